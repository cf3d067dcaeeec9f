"""What a run found, in a few sentences made of its tables: the console's last words and the front page's first.

    python -m dcpriv_lib.results.findings quick

Every sentence is true whatever the numbers are, says what the attacker holds, and is left out where its table is not
there.
"""

import contextlib
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from scipy.stats import binom, ttest_ind

from ..attacks.suites import CANDIDATES
from ..engine import foreign_text, origin, paths, store
from ..evaluation import examination
from . import tables, verdicts
from .voice.wording import no_winner, reaches

NAME = "findings.md"  # among the tables
TIED = "\u00a0"  # a space at which no line is broken
OURS = re.compile(r"original|condensed-\d+")  # of notebook 2; a model made elsewhere is called by the name of its file
ACCUSER = "Bayesian LiRA"  # whose accusations notebook 6 draws


def sentences(folder: Path) -> list[str]:
    """Return what the tables in the folder of a run say."""
    every, strong, usual, controls, targets, formal, released = (
        _table(folder / f"{name}.npz")
        for name in ("every_model", "strong_judged", "attacks", "controls", "targets", "formal_privacy", "released")
    )
    attack = None if every is None else examination.best_attack(every, CANDIDATES)
    said = (
        _said(leak, strong, usual, attack),
        _said(accused, strong),
        _said(against_real_images, controls, attack),
        _said(handed_over, released),
        _said(accuracy, targets),
        _said(guarantee, formal, _delta(folder)),
    )
    return [sentence for sentence in said if sentence]


def _table(path: Path) -> pd.DataFrame | None:
    try:
        return store.load_table(path, {}, "the notebook that makes it")
    except store.ArtefactError:  # not there yet, or damaged: then its notebook runs again
        return None


def _said(sentence: Callable[..., str], *tables_and_words) -> str:
    if any(one is None for one in tables_and_words):
        return ""
    try:
        return sentence(*tables_and_words)
    except KeyError:  # a table that older code left lacks a column; its notebook runs again
        return ""


# ---------------------------------------------------------------- one sentence each, "" where there is nothing to say


def leak(strong: pd.DataFrame, usual: pd.DataFrame, attack: str) -> str:
    """Return how well members of the original model are recognised, and what the paper's attack sees of it.

    Parameters
    ----------
    strong, usual : one row a target, run and attack, with an "auc" and its interval; those of notebooks 6 and 4.
    attack : which of the strong ones, chosen on other models.
    """
    found = _auc(strong, "original", attack)
    if not found:
        return ""
    papers = _auc(usual, "original", "SVM")
    text = (
        "The original model gives its members away to whoever may ask it about their images"
        if found[1] > 0.5
        else "In the original model no leak was detected by an attacker who may only ask it"
    )
    least = f" (detectable: {tables.plain(min(1, 0.5 + reaches(found[0] - found[1])), '{:.1 %}')})"
    text += (
        f": {attack} has an AUC of {tables.percent(*found)}{'' if found[1] > 0.5 else least}, and guessing has 50 %."
    )
    return text + (f" The paper's attack, an SVM, has {tables.percent(*papers)}." if papers else "")


def accused(strong: pd.DataFrame) -> str:
    """Return how many of the ten people whom notebook 6 draws as accused were members, of the original and a condensed
    model."""
    rows = strong[strong["attack"] == ACCUSER].drop_duplicates("target").set_index("target")
    shown = [name for name in rows.index if OURS.fullmatch(name)][:2]
    if not shown:
        return ""
    share = 1 - rows["non_members"].iloc[0] / rows["n"].iloc[0]
    low, high = binom.ppf((0.025, 0.975), 10, share)
    right = [f"{rows.loc[name, 'right_of_ten']:.0f} were members of {name}" for name in shown]
    return (
        f"Of the ten people whom an attacker who asks the model accuses first ({ACCUSER}), {origin.listed(right)}; "
        f"chance gives {10 * share:.0f}, and {low:.0f} to {high:.0f} in at least 95 of 100 cases."
    )


def against_real_images(controls: pd.DataFrame, attack: str) -> str:
    """Return how models of condensed images leak, beside those of as many real ones chosen at random.

    Parameters
    ----------
    controls : rows of `examination.examine` with the columns "trained on" and "attack", of notebook 7.
    """
    judged = verdicts.judged(controls)
    rows = controls.assign(
        verdict=[one.word for one in judged], detectable=[one.detectable.get("auc") for one in judged]
    )[controls["attack"] == attack].set_index("trained on")
    condensed = next((name for name in rows.index if name.startswith("condensed")), None)
    real = next((name for name in rows.index if re.fullmatch(r"\d+ random members", name)), None)
    if not condensed or not real:
        return ""
    ours, theirs = (rows.loc[name, ["auc", "auc_low", "auc_high"]].tolist() for name in (condensed, real))
    if not all(end == end for end in ours + theirs):
        return ""
    compared = (
        "the condensed images leak more"
        if ours[1] > theirs[2]
        else "the condensed images leak less"
        if ours[2] < theirs[1]
        else "these intervals overlap, no difference detected (detectable: "
        f"{100 * reaches(*((high - low) / 2 for _, low, high in (ours, theirs))):.1f} points)"
    )
    verdict = rows.loc[condensed, "verdict"]
    begins = {
        verdicts.RECOGNISED: "Models of condensed images give members away too, to",
        verdicts.PERHAPS: "Models of condensed images perhaps give members away too (not after correction for the "
        "number of questions), to",
    }.get(verdict, "In models of condensed images no leak of the average member was detected by")
    least = rows.loc[condensed, "detectable"]
    told = (
        f"; detectable: {tables.plain(least, '{:.1 %}')}" if verdict != verdicts.RECOGNISED and least == least else ""
    )
    return (
        f"{begins} an attacker who may ask the model and condenses as its owner did: AUC {tables.percent(*ours)} "
        f"({condensed}{told}). Models of {real.split()[0]} real images have {tables.percent(*theirs)}: {compared}."
    )


def handed_over(released: pd.DataFrame) -> str:
    """Return what somebody reads off the images who is handed them, beside somebody who may ask one model of them.

    Parameters
    ----------
    released : one row a kind of set, with "images_auc", "model_auc" and their intervals, and "more", by how much the
        first is larger, with its own; of notebook 12.
    """
    condensed = released[released["images_auc"].notna()]
    if condensed.empty:
        return ""
    worst = condensed.loc[condensed["images_auc"].idxmax()]
    images, model = (
        tables.percent(*worst[[f"{door}_auc{end}" for end in ("", "_low", "_high")]]) for door in ("images", "model")
    )
    more = int((released["more_low"] > 0).sum())
    others = condensed[condensed["images_auc_high"] >= worst["images_auc_low"]]["released"].drop(worst.name)
    uncorrected = f", not corrected for {len(released)} questions" if len(released) > 1 else ""
    begins = "Whoever is handed the images and condenses as their owner did"
    begins += (
        f" has the highest AUC in {worst['released']}{no_winner(others)}: {images}"
        if len(others)
        else f" finds most in {worst['released']}: AUC {images}"
    )
    return (
        f"{begins}, where whoever may ask one model of these images has {model} by the best of four attacks. In "
        f"{more} of {len(released)} kinds of sets the images are found to say more than the model (95 % intervals"
        f"{uncorrected})."
    )


def accuracy(targets: pd.DataFrame) -> str:
    """Return what condensing costs in accuracy on people whom no model was trained on, by Welch's t interval over the
    trainings.

    Parameters
    ----------
    targets : one row a target and run, with the accuracy on "non_members".
    """
    runs = dict(list(targets.groupby("target", sort=False)["non_members"]))
    condensed = next((name for name in runs if name.startswith("condensed")), None)
    if not condensed or "original" not in runs:
        return ""
    whole, few = runs["original"], runs[condensed]
    lost, ends = whole.mean() - few.mean(), None
    if min(len(whole), len(few)) > 1 and whole.std() + few.std() > 0:
        ends = ttest_ind(whole, few, equal_var=False).confidence_interval()
    text = (
        "Condensing costs {} points of accuracy{}"
        if ends is None or ends.low > 0
        else "Condensing gains {} points of accuracy{}"
        if ends.high < 0
        else "No difference in accuracy detected, {} points{}"
    )
    sign = -1 if ends and ends.high < 0 else 1
    detectable = ""
    if ends is not None and ends.low <= 0 <= ends.high:
        detectable = f"; detectable: {100 * reaches((ends.high - ends.low) / 2):.1f} points"
    spread = "" if ends is None else " [{:z.1f}, {:z.1f}]".format(*sorted(sign * 100 * end for end in ends))
    others = f"the original is right on {whole.mean():.1%} of the non-members, {condensed} on {few.mean():.1%}"
    subset = condensed.replace("condensed", "subset")
    others += f", and as many real images ({subset}) on {runs[subset].mean():.1%}" if subset in runs else ""
    return (
        f"{text.format(f'{sign * 100 * lost:z.1f}', spread)}: {others} ("
        f"{'one training each, no interval' if ends is None else 'interval over trainings'}{detectable})."
    )


def guarantee(formal: pd.DataFrame, delta: float) -> str:
    """Return what the strictest guarantee leaves of the accuracy, models beside models and images beside images.

    Parameters
    ----------
    formal : one row a recipe, of notebook 11 (see `recipe.Recipe`), with the "network", the share of the "noise",
        "epsilon", whether its "guarantee" was refuted, what is "shared", and the "accuracy" and its interval.
    delta : of all guarantees.
    """
    formal = formal[formal["network"] == "PaperCNN"].set_index("method")
    broken = (formal["noise"] < 1) | (formal["guarantee"] == "REFUTED")
    proven = formal[(formal["epsilon"] < float("inf")) & ~broken]
    strictest = proven[proven["epsilon"] == proven["epsilon"].min()]
    condensed = next((name for name in formal.index if name.startswith("condensed")), "")
    parts = []
    for shared, begins, rival in (("a model", "models", "all members"), ("images", "models of images", condensed)):
        ours = strictest.loc[strictest["shared"] == shared, "accuracy"]
        if len(ours) and rival in formal.index:
            with_it, without = (
                tables.percent(*formal.loc[name, ["accuracy", "accuracy_low", "accuracy_high"]])
                for name in (ours.idxmax(), rival)
            )
            best = formal.loc[ours.idxmax(), "family"] + (f", the best of {len(ours)}," if len(ours) > 1 else "")
            parts.append(
                f"{begins} by {best} are right on {with_it} of the non-members, and without a guarantee ({rival}) on "
                f"{without}"
            )
    return (
        ""
        if not parts
        else (
            "A guarantee against every attacker who does not know the seed takes noise: with epsilon "
            f"{strictest['epsilon'].iloc[0]:g} (delta {delta:g}, one image more or less) "
            f"{'; '.join(parts)}. All on the paper's network."
        )
    )


def _auc(judged: pd.DataFrame, target: str, attack: str) -> list[float] | None:
    """Return the means over the runs of an AUC and of its two ends."""
    rows = judged[(judged["target"] == target) & (judged["attack"] == attack)]
    return rows[["auc", "auc_low", "auc_high"]].mean().tolist() if len(rows) else None


# ---------------------------------------------------------------- where they are shown


def keep(folder: Path) -> None:
    """Write the sentences among the tables of a run, as a list in markdown."""
    found = sentences(folder)
    text = "".join(f"{number}. {foreign_text.in_markdown(sentence)}\n" for number, sentence in enumerate(found, 1))
    store.write(folder / "tables" / NAME, text.encode())


def kept(folder: Path) -> list[str]:
    """Return the sentences that lie among the tables in `folder`, as plain text; none if nothing was run."""
    try:
        lines = store.read(folder / NAME).decode().splitlines()
    except (store.ArtefactError, UnicodeDecodeError):  # not there yet, or damaged: the report writes it again
        lines = []
    return [foreign_text.from_markdown(line.partition(". ")[2]) for line in lines]


def last_words(profile: str) -> str:
    """Return what the console says at the end of a run: its findings, how much it mixes, and where to read on."""
    folder = paths.results(profile)
    fill = textwrap.TextWrapper(100, initial_indent="  ", subsequent_indent="     ", break_on_hyphens=False).fill
    found = [
        fill(f"{number}. {sentence}".replace(" %", TIED + "%").replace(" [", TIED + "[")).replace(TIED, " ")
        for number, sentence in enumerate(kept(folder / "tables"), 1)
    ]
    page, whose = folder / "report/index.html", tables.data_set(_dataset(folder))
    lines = [f"What this run found ({profile}, on {whose}):", *found] if found else []
    mixed = origin.mixture([*_records(folder)])
    lines += [f"{mixed} `make fresh PROFILE={profile}` starts anew."] if mixed else []
    lines += [f"Read on: {page.as_uri()}"] if page.exists() else []
    if whose == "digits":
        lines.append("Small data, wide intervals: the MNIST results are in README.md and figures/.")
    return "\n".join(lines)


def _records(folder: Path) -> Iterator[dict]:
    """Yield the records of a run's tables, without those of damaged ones, which the report has named."""
    for table in sorted((folder / "tables").glob("*.csv")):
        with contextlib.suppress(store.ArtefactError):
            yield store.read_exported(table)[1]


def _delta(folder: Path) -> float | None:
    return store.inputs_of(folder / "formal_privacy.npz").get("parameters", {}).get("delta")


def _dataset(folder: Path) -> str:
    return store.inputs_of(folder / "split.npz").get("dataset", "no data")


if __name__ == "__main__":
    try:
        print(last_words(sys.argv[1]))
    except (ValueError, OSError) as error:  # no name of a profile, or a folder that cannot be written to
        sys.exit(str(error))
