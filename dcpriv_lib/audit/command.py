"""The command line of an audit: ``python -m dcpriv_lib.audit SET DATA``."""

import argparse
import sys

from ..data.dataset import DataError
from ..engine import foreign_text, paths
from ..engine.store import ArtefactError
from . import audit, card as cards, claims, verdict

BAD_INPUT = 3
STATUS = {verdict.VERIFIED: 0, verdict.REFUTED: 1, verdict.INCONCLUSIVE: 2}
ENDS = "exit status: 0 verified (by these attacks), 1 refuted, 2 inconclusive, 3 bad input"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        """End with `BAD_INPUT` and one sentence; argparse would end with 2, which is a verdict here."""
        self.exit(BAD_INPUT, f"{message}: see python -m dcpriv_lib.audit --help\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = _Parser(
        prog="python -m dcpriv_lib.audit",
        description="What can somebody who holds a condensed set read off it about who was condensed? Writes a card, "
        "as a page and as JSON.",
        epilog=ENDS,
    )
    add = found.add_argument
    add("set", metavar="SET", help="npz or safetensors with images, labels and pixels (unit, raw or standard)")
    add(
        "data",
        metavar="DATA",
        help="npz with train_images, train_labels, test_images, test_labels; if it has member, bool, the others of "
        "train were held out, else test was",
    )
    add(
        "--claim",
        default=claims.DEFAULT,
        help=f"what is stated, with commas between: {', '.join(claims.FORMS)} (default: {claims.DEFAULT})".replace(
            "%", "%%"
        ),
    )
    add("--method", help="the method of this project by which SET was made, for instance KIP")
    add("--command", help="or the maker's program: 'python mine.py {data} {out} {seed}'")
    add("--start", help="what METHOD starts from, if not from its usual start: noise, real, means, tiles ...")
    add("--effort", type=float, default=1.0, help="multiple of METHOD's usual iterations")
    add("--factor", type=float, default=1.0, help="multiple of METHOD's usual step size")
    add("--references", type=int, help="sets that are made for comparison, even, from 4 up (default: as --minutes let)")
    add("--minutes", type=float, default=10.0, help="time for these sets (default: 10); at least 4 are made")
    add("--people", type=int, default=audit.MOST_PEOPLE, help=f"asked about, a side (default: {audit.MOST_PEOPLE:,})")
    add("--seed", type=int, default=0, help="of every choice by chance (default: 0)")
    add("--out", help="folder of the card (default: results/audit-<name of SET>)")
    add("--no-pictures", action="store_true", help="leave the members' images out of the page")
    add("--quiet", action="store_true", help="say nothing of what is going on")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Audit as the command line says, print the verdict and where the card is, and return the exit status."""
    given = vars(parser().parse_args(arguments))
    quiet, pictures = given.pop("quiet"), not given.pop("no_pictures")
    try:
        card = audit.examine(
            given.pop("set"),
            given.pop("data"),
            **given,
            pictures=pictures,
            progress=(lambda told: None) if quiet else (lambda told: print(told, file=sys.stderr)),
        )
    except (DataError, ArtefactError, ValueError, OSError) as error:
        print(_lines(str(error)), file=sys.stderr)
        return BAD_INPUT
    print(summary(card))
    return STATUS[card["verdict"]]


def summary(card: dict) -> str:
    """Return the verdict, the largest leak and where the card is, as lines."""
    lines = [f"{card['verdict'].upper()}. {cards.meaning(card)}"]
    lines += [f"{row['claim']}: {row['verdict']}. {row['reason']}" for row in card["claims"]]
    if card["largest"]:
        value, low, high = (100 * end for end in card["largest"]["auc_of_all"])
        lines.append(f"largest leak: AUC {value:.1f} % ({low:.1f} to {high:.1f}), by '{card['largest']['attack']}'")
    lines += [f"warning: {warning}" for warning in card["warnings"]]
    if copies := card["people"]["verbatim of a member"]:
        lines.append(f"{copies} released images are exact copies of members' images: a leak in itself")
    return _lines("\n".join([*lines, f"card: {paths.shown(card['page'])}"]))


def _lines(text: str) -> str:
    """Return lines for a terminal, which names of files in them do not command."""
    return "\n".join(foreign_text.plain(line, None) for line in text.splitlines())
