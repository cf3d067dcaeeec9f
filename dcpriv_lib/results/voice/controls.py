"""What the tables of the controls say (notebook 7): the attacker asks one model, and condenses as its owner did."""

import pandas as pd

from .wording import Sentence, beside, by_verdict, interval, names, percent, sentence, sentences, side

ASKED = "asked of one model, by somebody who trains reference models as its owner did:"


def examined(
    table: pd.DataFrame,
    label: str,
    asked: str = ASKED,
    who: str = "members",
    where: str = "in models of",
    then: str = "in those of",
) -> Sentence:
    """Return `by_verdict` of a table of `verdicts.examined_cells` whose rows are named by one column."""
    said = by_verdict(zip(table[label].astype(str), table["AUC"], table["answer"]), who, where, then)
    return sentence(f"{asked} {said}") if said else ""


def average(table: pd.DataFrame) -> Sentence:
    """Of the average person, by any of the attacks."""
    asked = ASKED.removesuffix(":") + f", by the strongest answer of {table['attack'].nunique()} attacks:"
    return examined(table, "trained on", asked)


def canaries(table: pd.DataFrame) -> Sentence:
    """Of the people with a wrong label."""
    return examined(table, "trained on", who="canaries")


def equal_accuracy(table: pd.DataFrame) -> Sentence:
    """Of condensed images beside real ones at equal accuracy."""
    parts = []
    for _, row in table.iterrows():
        found, own = interval(row["condensed above real"]), row["real images leak"].numbers[0]
        said = {1: "leaks more", -1: "leaks less", 0: "no difference detected", None: "nothing to compare"}[
            side(row["condensed above real"])
        ]
        text = f"{row['trained on']}, {row['measure']}: {said} ({row['condensed above real']}"
        if said == "no difference detected":
            text += f"; detectable: {row['detectable']}"
        if found and said != "leaks more" and found[1] <= -own:
            text += "; complete protection is not excluded by this attack"
        parts.append(text + ")")
    return sentence("beside real images at equal accuracy, asked through one model: " + "; ".join(parts))


def doses(table: pd.DataFrame) -> Sentence:
    """Of how many people share a training image: condensed beside random images, few people beside many."""
    kinds = list(table["trained on"].unique())
    if len(kinds) < 2:
        return ""
    ours, theirs = (table[table["trained on"] == kind].set_index("members")["AUC"] for kind in kinds[:2])
    said = {members: beside(ours[members], theirs[members]) for members in ours.index if members in theirs.index}
    parts = [
        f"{begins} at {names(f'{members:,}' for members, one in said.items() if one == what)} members"
        for what, begins in (
            ("more", "condensed images leak more"),
            ("less", "condensed images leak less"),
            ("the intervals overlap", "their AUCs have intervals that overlap"),
        )
        if what in said.values()
    ]
    text = f"asked through one model, {kinds[0]} and {kinds[1]}: {'; '.join(parts)}"
    few, many = min(ours.index), max(ours.index)
    if few < many:
        text += (
            f". With {few:,} members {kinds[0]} have an AUC of {percent(ours[few])}, with {many:,} of "
            f"{percent(ours[many])}: "
            + beside(
                ours[few],
                ours[many],
                "the average member leaks more among fewer",
                "the average member leaks less among fewer",
            )
        )
    return sentence(text)


def nearest(table: pd.DataFrame) -> Sentence:
    """Of the images themselves: how many lie nearer to a member than to a non-member."""
    parts, lie = [], " lie nearer to a member than to any non-member"
    for _, row in table.iterrows():
        found = interval(row["nearer to a member"]) or (0.5, 0.5, 0.5)
        half = "more than half" if found[1] > 0.5 else "fewer than half" if found[2] < 0.5 else "half is not excluded"
        parts.append(f"that started from {row['start']}, {percent(row['nearer to a member'])}{lie} ({half})")
        lie = ""
    return sentence("of the synthetic images " + "; of those ".join(parts))


def started(table: pd.DataFrame) -> Sentence:
    """Of those whom a condensation started from, and of the others."""
    begins = {
        "it started from": "those whom a start from {} shows",
        "other members": "members whom a start from {} does not show",
    }
    of = [begins[whose].format(start) for whose, start in table[["whose", "start"]].to_numpy()]
    parts = []
    for people, who in (("average", "average people"), ("canaries", "canaries")):
        rows = table.assign(of=of)[table["people"] == people]
        said = by_verdict(rows[["of", "AUC", "answer"]].itertuples(index=False), who, "among", "among")
        parts.append(said)
    return sentences(ASKED, parts)


def verdict(table: pd.DataFrame) -> Sentence:
    """Of the verdict: which recipes give members away to whoever may ask one model."""
    rows = table[table["question"].str.startswith("Trained on ")]
    parts = []
    for people, who in (("the average person", "average people"), ("canaries", "canaries")):
        of = rows[rows["question"].str.endswith(f": {people}")]
        said = by_verdict(
            (
                (question.removeprefix("Trained on ").removesuffix(f": {people}"), auc, answer)
                for question, auc, answer in of[["question", "this run", "answer"]].itertuples(index=False)
            ),
            who, "in models of", "in those of",
        )  # fmt: skip
        parts.append(said.replace("AUC: AUC", "AUC:"))
    free = table[table["question"].str.startswith("Is it free?")]["this run"]
    return sentences(ASKED, parts + [f"Accuracy given up: {lost}" for lost in free[:1]]) if any(parts) else ""
