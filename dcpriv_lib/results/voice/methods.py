"""What the tables of the methods say (notebook 9): the attacker asks one model, and condenses as its owner did."""

import re

import pandas as pd

from .controls import ASKED, examined
from .wording import Sentence, beside, by_verdict, interval, names, percent, sentence, sentences, side


def step_sizes(table: pd.DataFrame) -> Sentence:
    """Of the step sizes that were tried on the attacker's images: which was chosen for each method."""
    tried = [column for column in table if column.startswith("accuracy (%) at x ")]
    numbers = table[tried].map(lambda cell: bool(re.search(r"\d", str(cell)))).sum(axis=1)
    table = table[numbers > 1]  # of the others nothing was tried
    if table.empty:
        return ""
    chosen = {str(one): list(rows["method"]) for one, rows in table.groupby(table["chosen"].map(str), sort=False)}
    return sentence(
        f"of {len(tried)} multiples of a method's usual step, tried on the attacker's images, the best was "
        + "; ".join(f"{factor} for {names(which)}" for factor, which in chosen.items())
    )


def seconds(table: pd.DataFrame) -> Sentence:
    """Of how long one core works on one set."""
    took = table["seconds"].map(lambda cell: cell.numbers[0])
    quickest, slowest = (
        f"{table['seconds'][row]} s ({table['method'][row]}, {table['images per class'][row]} a class)"
        for row in (took.idxmin(), took.idxmax())
    )
    return sentence(f"of one core's time the quickest set took {quickest} and the slowest {slowest}")


def across(table: pd.DataFrame) -> Sentence:
    """Of networks: which images are best for which, without an interval that would name a winner."""
    suffix, parts = ", accuracy (%)", []
    for column in (column for column in table if column.endswith(suffix)):
        of = [f"{row[column]} on images of {row['made with']}" for _, row in table.iterrows()]
        parts.append(f"{column.removesuffix(suffix)} {', '.join(of)}")
    return sentence("accuracy in per cent, mean and deviation of three models: for " + "; for ".join(parts))


def average(table: pd.DataFrame) -> Sentence:
    """Of every method, the average person."""
    return examined(table, "method")


def equal_accuracy(table: pd.DataFrame) -> Sentence:
    """Of every method beside random real images at equal accuracy, by the AUC."""
    column = "AUC, above real images"
    having: dict[int | None, list] = {1: [], -1: [], 0: [], None: []}
    for _, row in table.iterrows():
        having[side(row[column])].append(row)
    parts = [
        f"{', '.join(f'''{row['method']} ({row[column]})''' for row in having[which])} {says} by the AUC"
        for which, says in ((1, "leak more"), (-1, "leak less"))
        if having[which]
    ]
    if having[0]:
        told = ", ".join(f"{row['method']} (detectable: {row['AUC, detectable']})" for row in having[0])
        parts.append(f"no difference detected for {told}")
    if having[None]:
        parts.append(f"no real images of equal accuracy for {names(row['method'] for row in having[None])}")
    return sentence("asked through one model, beside real images at equal accuracy: " + "; ".join(parts))


def shown(table: pd.DataFrame) -> Sentence:
    """Of those whom the images started from or show, and of everybody else."""
    parts = [
        by_verdict(rows[["method", "AUC", "answer"]].itertuples(index=False), who, "in models of", "in those of")
        for whose, who in (("shown", "people who are shown"), ("other members", "other members"))
        if len(rows := table[table["whose"] == whose])
    ]
    return sentences(ASKED, parts) if all(parts) else ""


def ipc(table: pd.DataFrame) -> Sentence:
    """Of numbers of images a class."""
    return examined(table.assign(of=table["method"] + " " + table["images per class"].astype(str)), "of")


def two_evaluations(table: pd.DataFrame) -> Sentence:
    """Of gains over random images: by our training, and by that of the methods' authors."""
    parts = []
    for _, row in table.iterrows():
        ours, theirs = row["ours: gain"], row["theirs: gain"]
        if interval(ours) and interval(theirs):
            parts.append(f"{row['method']} {ours} by ours and {theirs} by theirs ({beside(theirs, ours)})")
    return sentence("gain in accuracy over random images, " + "; ".join(parts)) if parts else ""


def starts(table: pd.DataFrame) -> Sentence:
    """Of what one method starts from."""
    return examined(table, "start", where="in models of images that started from", then="in those from")


def crowds(table: pd.DataFrame) -> Sentence:
    """Of numbers of people and of classes that are condensed."""
    of = [f"{members:,} members of {classes} classes" for classes, members in table[["classes", "members"]].to_numpy()]
    said = examined(table.assign(of=of), "of")
    everywhere = table[table["classes"] == table["classes"].max()].sort_values("members")
    if len(everywhere) > 1:
        few, many = everywhere.iloc[0], everywhere.iloc[-1]
        said += " " + sentence(
            f"{'' if said else ASKED + ' '}with {few['members']:,} members the AUC is {percent(few['AUC'])}, "
            f"with {many['members']:,} it is {percent(many['AUC'])}: "
            + beside(few["AUC"], many["AUC"], "fewer people are recognised better", "more people are recognised better")
        )
    return said.strip()
