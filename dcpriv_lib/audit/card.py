"""The card of an audit: a page for people, and the same numbers for machines."""

import base64
import io
import json
from pathlib import Path

import jinja2
import numpy as np
from matplotlib.image import imsave

from ..engine import store
from . import attacking
from .people import People
from .verdict import FPRS, INCONCLUSIVE, REFUTED, VERIFIED

MEANING = {
    REFUTED: "The released images give away who was condensed, by more than was claimed.",
    VERIFIED: "By these attacks, the released images give away no more about who was condensed than was claimed.",
    INCONCLUSIVE: "These attacks and these people neither refute all that was claimed nor verify it.",
}
GAP = 2  # pixels between the two pictures of a pair


def write(folder: Path, card: dict) -> Path:
    """Write ``card.json`` and ``card.html``, each atomically, and return the page's path.

    Parameters
    ----------
    folder : for both.
    card : see `audit.examine`; pictures, of which `people` knows, are in the page only.
    """
    page = html(card)
    plain = card | {"worst_off": [_without_picture(person) for person in card["worst_off"]]}
    store.write(folder / "card.json", (json.dumps(plain, indent=1, allow_nan=False) + "\n").encode())
    store.write(folder / "card.html", page.encode())
    return folder / "card.html"


def _without_picture(person: dict) -> dict:
    return {key: value for key, value in person.items() if key != "picture"}


def html(card: dict) -> str:
    """Return the page as text; all of its numbers are the card's."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    rows = sorted(card["attacks"], key=lambda row: -row["auc"][0])
    return environment.get_template("card.html.j2").render(
        card=card,
        rows=rows,
        fprs=[f"{fpr:g}" for fpr in FPRS],
        meaning=meaning(card),
        holds=_holds(card),
        copies=_copies(card["people"]),
        comparison=_comparison(card),
        compared_words=_compared_words(rows),
        worst_words=_worst_words(card),
        kept_words=" (sets that were kept from an earlier run took none)" if card["references"]["number"] else "",
        percent=percent,
        interval=interval,
        fpr_words=lambda fpr: f"{100 * float(fpr):g} %",
        p_words=p_words,
    )


def percent(share: float) -> str:
    """Return a share in percent, with one decimal."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def interval(triple: list) -> str:
    """Return a value and its interval in percent; a dash where there is no value."""
    value, low, high = triple
    if value is None:
        return "–"  # noqa: RUF001
    return f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def p_words(p: float) -> str:
    """Return a p-value in at most three digits."""
    return "below 0.001" if p < 0.001 else f"{p:.3f}"


def _controlled(card: dict) -> bool:
    return card["control"]["holds"] and card["control"]["blind"]["holds"]


def meaning(card: dict) -> str:
    """Return what the verdict means, and of a leak that is none of what the claims are about."""
    found = [row for row in card["attacks"] if row["p_corrected"] < 0.05]
    if card["verdict"] == REFUTED or not found or not _controlled(card):
        return MEANING[card["verdict"]]
    best = min(found, key=lambda row: row["p"])
    return (
        f"{MEANING[card['verdict']]} A leak was found all the same: “{best['attack']}” names the member of a pair "
        f"rightly {best['right']:,} times of {best['guesses']:,}, more than chance allows. It may be small, or about "
        "few people, of whom an average such as the AUC says little."
    )


def _holds(card: dict) -> str:
    text = (
        "The attacker holds the released images and their labels, the images of the people they ask about, and some "
        "images of the same kind that were not condensed. They do not have the owner's other files, do not know what "
        "the condensation started from, and ask whether each person was among the condensed."
    )
    if card["references"]["number"]:
        text += (
            " They can also make sets as the owner did, and compare with "
            f"{card['references']['number']} that they made of random halves of these people."
        )
    return text


def _copies(notes: dict) -> list[str]:
    found = []
    if notes["verbatim of a member"]:
        found.append(
            f"{notes['verbatim of a member']:,} of the released images are exact copies of members' images. That is a "
            "leak in itself, whatever the attacks say."
        )
    if notes["verbatim of somebody held out"]:
        found.append(
            f"{notes['verbatim of somebody held out']:,} of the released images are exact copies of images of people "
            "held out: either these were condensed too, or the same image is there twice."
        )
    if notes["on both sides"]:
        found.append(
            f"{notes['on both sides']:,} images are both a member's and somebody's who was held out; nobody was asked "
            "about these."
        )
    if notes["twice on one side"]:
        found.append(f"{notes['twice on one side']:,} images are copies of others on their side and were left out.")
    return found


def _comparison(card: dict) -> str:
    about = card["references"]
    if not about["number"]:
        return "none: the attacks need no other sets"
    return f"{about['number']} sets by {about['maker']}, of halves of {about['people']:,} people"


def _compared_words(rows: list[dict]) -> str:
    if not any(row["attack"].endswith(attacking.COMPARED) for row in rows):
        return ""
    return (
        " “Compared”: everybody's score is judged by the scores that the same person has in sets made with and without "
        "them. “All together” adds these up in the direction that tells members best on the sets for comparison."
    )


def _worst_words(card: dict) -> str:
    if not card["worst_off"]:
        return ""
    sure = card["surest"]["p_corrected"] < 0.05
    text = (
        f"The {len(card['worst_off'])} members who stand highest by “{card['surest']['attack']}”, the attack that is "
        "surest about single people, each beside the released image that is nearest to theirs. "
    )
    return text + (
        "Not each of them need be given away: some people held out stand high as well."
        if sure
        else "This attack found no more than chance allows: people would stand there as well if nothing leaked."
    )


def pictures(people: People, worst: list[dict]) -> list[dict]:
    """Return the worst-off people with "picture", the address of a png that is all in the page: theirs and the nearest.

    Parameters
    ----------
    people : of the audit.
    worst : of `verdict.worst_off`.
    """
    shown = people.released_grey()
    return [
        person | {"picture": _pair(people.grey[person["candidate"]] / 255, shown[person["released"]])}
        for person in worst
    ]


def _pair(one: np.ndarray, other: np.ndarray) -> str:
    """Return two images, float [C, H, W] from 0 to 1, side by side."""
    gap = np.ones((*one.shape[:2], GAP))
    both = np.concatenate([one, gap, other], 2).transpose(1, 2, 0)
    content = io.BytesIO()
    imsave(content, np.broadcast_to(both, (*both.shape[:2], 3)).astype(np.float32).copy(), format="png")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
