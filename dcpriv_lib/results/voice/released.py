"""What the tables of notebook 12 say: the attacker holds the released images, and condenses as their owner did."""

import itertools

import pandas as pd

from ...privacy import auditing
from ..verdicts import RECOGNISED
from .wording import (
    OVERLAP,
    Sentence,
    beside,
    by_verdict,
    ceiling,
    detectable_difference,
    extreme,
    measures,
    names,
    no_winner,
    percent,
    quoted,
    sentence,
    side,
    tied,
    word,
)

HELD = "asked of the images, by somebody who condenses as their owner did:"
TOGETHER = "all together"
NO_ORDER = "these intervals overlap, no difference between the kinds detected"


def attacks(table: pd.DataFrame) -> Sentence:
    """Of all scores of a set: the one fixed in advance, and of the single ones the highest that is believed."""
    fixed = table[table["attack"] == TOGETHER]
    said = by_verdict(fixed[["released", "AUC", "answer"]].itertuples(index=False), "members", "in", "in")
    if not said:
        return ""
    single, best = table[table["attack"] != TOGETHER], []
    for name, rows in single.groupby("released", sort=False):
        by_auc = rows["answer"].map(lambda answer: word(answer) == RECOGNISED and "AUC" in measures(answer))
        row = extreme(rows[by_auc.astype(bool)], "AUC")
        if row is not None:
            best.append(f"in {name} '{row['attack']}' ({percent(row['AUC'])}{ceiling(row['answer'])})")
    more = (
        f". Of {single['attack'].nunique()} single scores the highest that recognises members by its AUC, picked "
        "afterwards, is " + "; ".join(best)
    )
    if any(one.startswith("in random ") for one in best):
        more += ". In random no AUC above 1/2 + n/2N is possible, where n of N members are shown; the rest is accident"
    return sentence(f"{HELD} by all scores together, {said}{more if best else ''}")


def two_doors(table: pd.DataFrame) -> Sentence:
    """Of both doors: in how many sets the images say more than one model of them."""
    sides = [side(cell) for cell in table["images less model"]]
    more, less, neither = (table[[one == which for one in sides]] for which in (1, -1, 0))
    uncorrected = f", not corrected for {len(table)} questions" if len(table) > 1 else ""
    text = (
        "whoever holds the images and condenses as their owner did sees more than whoever may ask one model of them in "
        f"{len(more)} of {len(table)} kinds of sets (95 % intervals{uncorrected})"
    )
    row = extreme(more, "images less model")
    if row is not None:
        others = table["released"][tied(table, row, "images less model")]
        text += (
            (", by most in " if others.empty else "; the largest difference is that in ")
            + f"{row['released']}{no_winner(others)}: AUC {percent(row['the images: AUC'])} by the images, "
            f"{percent(row['one model: AUC'])} by a model"
        )
    for name, answer in table.reindex(columns=["released", "the images"]).itertuples(index=False):
        text += f"; in {name} an AUC{most.removeprefix(';')}" if (most := ceiling(answer)) else ""
    text += f"; the model says more in {names(less['released'])}" if len(less) else ""
    overlap = [f"{row['released']} ({row['images less model']})" for _, row in neither.iterrows()]
    return sentence(text + (f"; the interval of the difference holds 0 for {names(overlap)}" if overlap else ""))


def canaries(table: pd.DataFrame) -> Sentence:
    """Of the canaries, at either door."""
    parts = [
        by_verdict(rows[["released", "AUC", "answer"]].itertuples(index=False), "canaries", begins, then)
        for door, begins, then in (
            ("the images", "in the images of", "in those of"),
            ("one model", "in models of", "in those of"),
        )
        if len(rows := table[table["door"] == door])
    ]
    return " ".join(map(sentence, parts)) if parts and all(parts) else ""


def special_people(table: pd.DataFrame) -> Sentence:
    """Of people who are easily noticed: the range over their kinds that each set betrays, at either door."""
    column, found = "TPR at 0 % FPR", []
    for name, rows in table[table["door"] == "the images"].groupby("released", sort=False):
        first, last = (extreme(rows, column, highest) for highest in (True, False))
        if first is None or last is None:
            continue
        model = table[
            (table["door"] == "one model") & (table["released"] == name) & (table["people"] == first["people"])
        ]
        behind = f", one model of them {percent(model[column].iloc[0])} of the latter" if len(model) else ""
        found.append(
            f"the images of {name} show from {percent(last[column])} of the kind '{last['people']}' to "
            f"{percent(first[column])} of the kind '{first['people']}' "
            f"({beside(first[column], last[column], 'these intervals lie apart').replace(OVERLAP, NO_ORDER)}){behind}"
        )
    return sentence("of those above everybody who was left out, " + "; ".join(found)) if found else ""


def updates(table: pd.DataFrame) -> Sentence:
    """Of the updates: whether they wash the start out or write people in."""
    parts = []
    for start, rows in table.groupby("start", sort=False):
        rows = rows.sort_values("iterations")
        first, last = rows.iloc[0], rows.iloc[-1]
        if first["iterations"] == last["iterations"]:
            continue
        what = beside(
            last["AUC"], first["AUC"], "they write in more than they wash out", "they wash out more than they write in"
        )
        if what == OVERLAP:
            what += f", detectable: {detectable_difference(last['AUC'], first['AUC'])}"
        parts.append(f"from {start} {percent(first['AUC'])} before and {percent(last['AUC'])} after them ({what})")
    return sentence("the images' AUC, at the start and after the updates: " + "; ".join(parts)) if parts else ""


def known_start(table: pd.DataFrame) -> Sentence:
    """Of an attacker who knows the start."""
    labels = table["attack"].replace(TOGETHER, "all scores together with a start") + " " + table["start"]
    said = by_verdict(zip(labels, table["AUC"], table["answer"]), "members", "by", "by")
    return sentence(f"asked of the images, by somebody who knows their start: {said}") if said else ""


def doses(table: pd.DataFrame) -> Sentence:
    """Of how many people an image stands for, among as many members; an order only if each row is apart from the
    next."""
    crowd, said = table["people to an image"].map(lambda cell: cell.numbers[0]), []
    for members, rows in table.assign(crowd=crowd).sort_values("crowd").groupby("members", sort=True):
        if len(rows) < 2:
            continue
        cells = list(rows["AUC"])
        steps = {beside(cell, then) for cell, then in itertools.pairwise(cells)}
        shared = [f"{percent(cell)} where {_people(one)} share an image" for cell, one in zip(cells, rows["crowd"])]
        order = {
            "more": "the fewer share an image, the more the images say",
            "less": "the more share an image, the more the images say",
        }
        said.append(
            f"of {members:,} members the images have an AUC of {names(shared)}: "
            + (order.get(*steps, *steps) if len(steps) == 1 else "not in one order beyond their intervals")
        )
    return " ".join(map(sentence, said))


def _people(number: float) -> str:
    return f"{number:,.0f} people" if number >= 10 else f"{round(number, 1):g} people"


def guarantees(table: pd.DataFrame) -> Sentence:
    """Of guarantees that are asked at the door of the images."""
    claimed = table[[hasattr(cell, "numbers") for cell in table["claimed epsilon"]]]
    if claimed.empty:
        return ""
    having = {
        answer: list(claimed[claimed["guarantee"] == answer]["released"])
        for answer in (auditing.REFUTED, auditing.STANDS, auditing.UNTESTABLE)
    }
    says = {
        auditing.REFUTED: "refuted",
        auditing.STANDS: "not refuted",
        auditing.UNTESTABLE: "too large a claim to test",
    }
    found = [f"{says[answer]}: {names(sets)}" for answer, sets in having.items() if sets]
    return sentence(f"asked of the images alone, of {len(claimed)} guarantees these are " + "; ".join(found))


def without_references(table: pd.DataFrame) -> Sentence:
    """Of the test for somebody who cannot condense as the owner did."""
    told = table[table["answer"].map(str) == "members recognised"]
    others = table.drop(told.index)
    text = f"without sets of one's own, members are recognised in the images of {len(told)} of {len(table)} sets"
    text += f": {names(told['released'])}" if len(told) else ""
    of = others["answer"].map(lambda answer: str(answer).partition("; ")[2])
    rest = [f"{names(others['released'][of == one])} ({one})" for one in of.unique()]
    return sentence("; nothing was found in ".join([text, *rest]))


def _and_detectable(row: pd.Series) -> str:
    return f"{quoted(row['change'])} (detectable: {detectable_difference(row['accuracy, difference'])})"


def what_helps(table: pd.DataFrame) -> Sentence:
    """Of changes before publishing: which lower the leak, and what they cost."""
    less = [row for _, row in table.iterrows() if side(row["AUC, difference"]) == -1]
    free = [row for row in less if side(row["accuracy, difference"]) == 0]
    other = [row["change"] for _, row in table.iterrows() if side(row["AUC, difference"]) in (0, 1)]
    parts = []
    if less:
        parts.append(
            "the images' AUC falls with "
            + names(
                f"{quoted(row['change'])} ({row['AUC, difference']}, accuracy {row['accuracy, difference']})"
                for row in less
            )
        )
        parts.append(
            f"no loss of accuracy was detected with {names(map(_and_detectable, free))}"
            if free
            else "each of these costs accuracy or gains it"
        )
    parts += [f"no lower AUC was found with {names(other)}"] if other else []
    return sentence("; ".join(parts))
