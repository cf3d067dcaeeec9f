"""What the tables about models that may be asked say (notebooks 2, 4 to 6 and 8)."""

import numpy as np
import pandas as pd

from ...evaluation.examination import detectable_at
from ..comparison import supports
from .wording import (
    Sentence,
    beside,
    detectable_difference,
    extreme,
    interval,
    names,
    no_winner,
    percent,
    sentence,
    side,
    tied,
)

ONE_RULE = ("loss threshold", "loss threshold per class", "shadow classifier")  # one rule for everybody
CONTROL = "unrelated"  # a model of nobody here, in which nothing can leak


def rivals(runs: pd.DataFrame) -> Sentence:
    """Of the targets of notebook 2, one row a run: condensed images beside as many random real ones, by Welch's t."""
    from scipy.stats import ttest_ind  # here, because importing it takes a second

    right = dict(list(runs.groupby("target", sort=False)["non_members"]))
    parts = [
        f"the original is right on {right[name].mean():.1%} of the non-members" for name in right if name == "original"
    ]
    for name, ours in right.items():
        theirs = right.get(name.replace("condensed", "subset"))
        if not name.startswith("condensed-") or theirs is None:
            continue
        text = f"{name} on {ours.mean():.1%}, as many random real images on {theirs.mean():.1%}"
        if min(len(ours), len(theirs)) < 2 or ours.std() + theirs.std() == 0:
            parts.append(f"{text} (one training each says nothing of the difference)")
            continue
        test = ttest_ind(ours, theirs, equal_var=False)
        low, high = test.confidence_interval()
        error = float(np.hypot(*(one.std() / len(one) ** 0.5 for one in (ours, theirs))))
        said = {"supported": "condensed images are better here", "contradicted": "random real images are better here"}
        verdict = said.get(
            supports(low, high),
            f"no difference detected (detectable: {100 * detectable_at(error, test.df):.1f} points)",
        )
        parts.append(f"{text}: {verdict}")
    compared = any("better" in part or "detected" in part for part in parts)
    return sentence("; ".join(parts) + (" (by intervals over the trainings)" if compared else ""))


def shadows(table: pd.DataFrame) -> Sentence:
    """Of the shadow models, one row each: how much better they know their own members."""
    inside, outside = table["members"].mean(), table["non_members"].mean()
    return sentence(
        f"{len(table)} shadow models are right on {inside:.1%} of their members and on {outside:.1%} of the others, a "
        f"gap of {100 * (inside - outside):.1f} points"
    )


def accuracies(table: pd.DataFrame) -> Sentence:
    """Of Table 1: accuracies on people whom no model saw, condensed beside as many random real images."""
    right = table.set_index("target")["we got, on non-members"]
    parts = [
        f"the original is right on {percent(right[name])} of the non-members"
        for name in right.index
        if name == "original"
    ]
    for name in (name for name in right.index if name.startswith("condensed-")):
        subset = name.replace("condensed", "subset")
        rival = ""
        if subset in right:
            said = beside(right[name], right[subset], "condensed is better", "random real images are better")
            rival = f", {subset} on {percent(right[subset])} ({said})"
        parts.append(f"{name} on {percent(right[name])}{rival}")
    return sentence("; ".join(parts))


def usual_attacks(table: pd.DataFrame) -> Sentence:
    """Of the attacks of notebook 4: on which targets they are distinguishable from chance, by accuracy."""
    above = table["accuracy"].map(lambda cell: (interval(cell) or (0.0, 0.0, 0.0))[1] > 0.5).astype(bool)
    told, by = table[above], table["attack"].nunique()
    best = extreme(told, "accuracy")
    if best is None:
        text = f"none of {by} attacks on one model is right more often than chance on any target"
    else:
        text = (
            f"for somebody who may ask one model, at least one of {by} attacks is right more often than chance on "
            f"{names(told['target'])} (highest: {percent(best['accuracy'])}, {best['attack']} on {best['target']})"
        )
    if CONTROL in set(table["target"]):
        text += f"; on the control, which saw none of these people, {(told['target'] == CONTROL).sum()} of {by} are"
    return sentence(f"{text} ({len(table)} intervals of 95 %, not corrected for their number)")


def recall(table: pd.DataFrame) -> Sentence:
    """Of one attack: how far recall and precision differ between the targets."""
    parts = []
    for column in ("recall", "precision"):
        low, high = (extreme(table, column, highest) for highest in (False, True))
        if low is None or high is None:
            return ""
        parts.append(
            f"{column} lies between {percent(low[column])} ({low['target']}) and {percent(high[column])} "
            f"({high['target']})"
        )
    return sentence("; ".join(parts))


def every_model(table: pd.DataFrame) -> Sentence:
    """Of notebook 6's examination: attacks that compare an image with itself, beside those with one rule."""
    one_rule = table["attack"].isin(ONE_RULE)
    old, new = (extreme(table[which], "AUC") for which in (one_rule, ~one_rule))
    if old is None or new is None:
        return ""
    return sentence(
        "asked of one model of all members, the best attack with one rule for everybody "
        f"({old['attack']}) has an AUC of {percent(old['AUC'])}, and the best that compares each image with itself "
        f"({new['attack']}) has {percent(new['AUC'])}: "
        + beside(new["AUC"], old["AUC"], "the newer one sees more", "the older one sees more")
        + _at_low_rates(table[one_rule], table[~one_rule])
    )


def _at_low_rates(older: pd.DataFrame, newer: pd.DataFrame) -> str:
    column = "TPR at 1 % FPR"
    if column not in older:
        return ""
    old, new = (extreme(rows, column) for rows in (older, newer))
    if old is None or new is None:
        return ""
    return (
        f". At 1 % false alarms the best of each find {percent(old[column])} ({old['attack']}) and "
        f"{percent(new[column])} ({new['attack']}) of the members: "
        + beside(new[column], old[column], "the newer one finds more", "the older one finds more")
    )


def attacked_targets(table: pd.DataFrame) -> Sentence:
    """Of the attacks on the targets: the one that sees most in the original, on all others."""
    best = extreme(table[table["target"] == "original"], "AUC")
    if best is None:
        return ""
    auc = table[table["attack"] == best["attack"]].set_index("target")["AUC"]
    parts = []
    for name in (name for name in auc.index if name.startswith("condensed-")):
        said: dict[str, list] = {}
        for rival in ("original", name.replace("condensed", "subset")):
            if rival in auc:
                said.setdefault(beside(auc[name], auc[rival], "more than", "less than"), []).append(rival)
        compared = [f"{how.replace('overlap', 'overlaps with that of')} {names(which)}" for how, which in said.items()]
        parts.append(
            f"{name} has {percent(auc[name])} ({', '.join(compared)})".replace("the intervals", "the interval")
        )
    if CONTROL in auc:
        parts.append(f"the control, in which nothing can leak, has {percent(auc[CONTROL])}")
    text = f"for somebody who may ask it, the original has an AUC of {percent(best['AUC'])} by {best['attack']}"
    of_it = table[table["target"] == "original"]
    others = of_it["attack"][tied(of_it, best, "AUC")]
    by = f", the highest of {len(of_it)} attacks{no_winner(others)}"
    return sentence(text + by + (f"; by {best['attack']} too, {'; '.join(parts)}" if parts else ""))


def low_rates(table: pd.DataFrame) -> Sentence:
    """Of the attacks on the targets at 1 % false alarms: the one that finds most members of the original."""
    column = "TPR at 1 % FPR"
    best = extreme(table[table["target"] == "original"], column)
    if best is None:
        return ""
    of = table[table["attack"] == best["attack"]].set_index("target")[column]
    parts = [f"{percent(of[name])} of {name}" for name in of.index if name.startswith(("original", "condensed-"))]
    control = f"; of the control, which saw none of them, {percent(of[CONTROL])}" if CONTROL in of else ""
    return sentence(
        f"who may ask one model and accuses 1 % of the others finds, by {best['attack']}, {names(parts)} among the "
        f"members{control}"
    )


def precision(table: pd.DataFrame) -> Sentence:
    """Of the accused: how many are members where members are rare, in the row with the highest share."""
    rarest = next(column for column in table if column.startswith("prior"))
    best = extreme(table, rarest)
    if best is None:
        return ""
    return sentence(
        f"where {rarest.removeprefix('prior ')} of the people are members and 1 % of the others are accused, in the "
        f"best of {len(table)} rows {percent(best[rarest])} of the accused are members "
        f"({best['attack']} on {best['target']}){''.join(_on_original(table, best, rarest))}"
    )


def _on_original(table: pd.DataFrame, best: pd.Series, column: str) -> list[str]:
    same = table[(table["attack"] == best["attack"]) & (table["target"] == "original")]
    if best["target"] == "original":
        return []
    return [f"; on the original by the same attack {percent(cell)}" for cell in same[column]]


def epsilon(table: pd.DataFrame) -> Sentence:
    """Of the lower bounds on epsilon: the largest for each target, and what luck gives."""
    most = table.set_index("attack").max()
    said = {name: f"{value:.2f}" if round(value, 2) > 0 else "none" for name, value in most.items()}
    parts = [f"{value} for {name}" for name, value in said.items() if name != CONTROL and value != "none"]
    none = [name for name, value in said.items() if name != CONTROL and value == "none"]
    parts += [f"none for {names(none)}"] if none else []
    text = f"the largest epsilon that any of {len(table)} attacks refutes by asking one model is {', '.join(parts)}"
    control = f"; on the control, one model that saw none of these people, {said.get(CONTROL)}"
    bounds = " (bounds of 95 %, not corrected for the number of attacks)"
    return sentence(text + (control if CONTROL in said else "") + bounds)


def authors_models(table: pd.DataFrame) -> Sentence:
    """Of the authors' original: the attack of the paper's code beside those that compare an image with itself."""
    of = table[table["target"] == "original"].set_index("attack")["AUC"]
    if not {"logistic regression", "LiRA"} <= set(of.index):
        return ""
    return sentence(
        f"asked of the authors' original, the attack of their code has an AUC of {percent(of['logistic regression'])} "
        f"and LiRA {percent(of['LiRA'])}: "
        + beside(of["LiRA"], of["logistic regression"], "LiRA sees more", "their attack sees more")
    )


def authors_retrained(table: pd.DataFrame) -> Sentence:
    """Of the authors' condensed sets: what they give beside random images."""
    says = {1: "more than", -1: "less than", 0: "no detected difference from"}
    parts = []
    for _, row in table[table["trained on"] == "random images"].iterrows():
        gain = row["the condensed ones give"]
        told = side(gain)
        if told is None:
            continue
        least = f" (detectable: {detectable_difference(gain)})" if told == 0 else ""
        parts.append(
            f"at {row['images per class']} images a class the authors' one set gives {says[told]} random images: "
            f"{gain}{least}"
        )
    return sentence("; ".join(parts))
