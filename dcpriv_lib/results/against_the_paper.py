"""Our tables beside the paper's: what it says, what we got, and a verdict by fixed rules."""

import numpy as np
import pandas as pd

from .. import metrics
from . import literature, tables
from .comparison import larger, verdict


def table_1(targets: pd.DataFrame, members: int, non_members: int, papers_data: bool) -> pd.DataFrame:
    """Return Table 1, the accuracy of the targets, one row a target.

    Parameters
    ----------
    targets : one row a target and run: target, images, updates, and the accuracies members and non_members.
    members, non_members : how many images these accuracies are of.
    papers_data : whether the targets were trained on the paper's data, so that numbers may be compared.
    """

    def row(target: str, runs: pd.DataFrame) -> dict:
        says, files = literature.TABLE_1.get(target), literature.RESULT_FILES.get(target)
        return {
            "target": target,
            "images": runs["images"].iloc[0],
            "image updates": updates(targets, target),
            "runs": len(runs),
            "paper says": tables.plain(says, "~{:.0%}") if says else "-",
            "paper's files, on members / non-members": tenths(files) if files else "-",
            "we got, on members": with_spread(runs["members"], members),
            "we got, on non-members": with_spread(runs["non_members"], non_members),
            # whole per cents, marked "~": true to half a per cent
            "verdict": verdict(says, *accuracy_interval(runs["members"], members), 0.005, papers_data),
        }

    return pd.DataFrame([row(*runs) for runs in targets.groupby("target", sort=False)])


def table_2(targets: pd.DataFrame, mean: pd.DataFrame, papers_data: bool) -> pd.DataFrame:
    """Return Table 2, the attack, one row a target and attack.

    `mean` is `attack_tables.mean_over_runs` of the judged attacks; the other arguments are those of `table_1`.
    """

    def row(found: pd.Series) -> dict:
        says = literature.TABLE_2.get(found["target"]) if found["attack"] != "loss threshold" else None
        return {
            "target": found["target"],
            "image updates": updates(targets, found["target"]),
            "attack": found["attack"],
            "paper says (P / R / A)": tenths(says.values()) if says else "-",
            "precision": found["precision, text"],
            "recall": found["recall, text"],
            "accuracy": found["accuracy, text"],
            "AUC": found["auc, text"],
            "verdict": attack_verdict(says, found, papers_data),
            "distinguishable from chance?": better_than_guessing(found),
        }

    return pd.DataFrame([row(found) for _, found in mean.reset_index().iterrows()])


def summary(targets: pd.DataFrame, mean: pd.DataFrame) -> pd.DataFrame:
    """Return both tables in one: every target's accuracies in per cent, and the AUC of every attack."""
    auc = mean.reset_index().pivot(index="target", columns="attack", values="auc, text").add_prefix("AUC, ")
    models = targets.groupby("target", sort=False).agg(
        images=("images", "first"), members=("members", "mean"), non_members=("non_members", "mean")
    )
    models.insert(1, "updates", [updates(targets, target) for target in models.index])
    models = models.reindex(mean.index.unique("target"))
    forms = {"images": "{:.0f}", "members": "{:.1 of 100}", "non_members": "{:.1 of 100}"}
    models = models.assign(**{name: tables.plain_column(models[name], form) for name, form in forms.items()})
    return models.fillna("-").join(auc).rename_axis("target").reset_index()


def claims(targets: pd.DataFrame, mean: pd.DataFrame) -> pd.DataFrame:
    """Return each claim of the paper, what this run has to say about it, and a verdict.

    A difference of accuracies counts when Welch's t test over the runs tells it from 0 at the 95 % level, an
    attack (the paper's SVM) when its AUC's interval lies above one half.
    """
    svm = mean.xs("SVM", level="attack")
    accuracy = {target: runs["non_members"] for target, runs in targets.groupby("target")}
    rows = [("The attack recognises members of the original model", "original", *attack_works(svm, "original"))]
    for condensed in [target for target in svm.index if target.startswith("condensed-") and target in accuracy]:
        subset = condensed.replace("condensed", "subset")
        rows += [
            (
                "More accurate than a random subset of the same size",
                condensed,
                *larger(accuracy[condensed], accuracy.get(subset)),
            ),
            ("Its members are not recognised", condensed, *no_attack(svm, condensed)),
            ("Recall falls, so members are safer", condensed, *recall_alone(svm, condensed)),
            ("(control) The random subset's members are not recognised either", subset, *no_attack(svm, subset)),
        ]
    rows.append(
        ("(control) A model without these members gives nothing away", "unrelated", *no_attack(svm, "unrelated"))
    )
    return pd.DataFrame([row for row in rows if row[-1]], columns=["claim", "target", "this run", "verdict"])


def attack_works(svm: pd.DataFrame, target: str) -> tuple[tables.Cell | str, str]:
    """Return the evidence that members are recognised, and "holds" or "no leak detected"; no verdict without the
    target."""
    if target not in svm.index:
        return "", ""
    return tables.sentence("AUC {}", svm.loc[target, "auc, text"]), "holds" if svm.loc[
        target, "auc_low"
    ] > 0.5 else "no leak detected"


def no_attack(svm: pd.DataFrame, target: str) -> tuple[tables.Cell | str, str]:
    """Return the same evidence for the opposite claim."""
    evidence, found = attack_works(svm, target)
    answers = {"holds": "they are: the attack works", "no leak detected": "consistent, but this attack may be blind"}
    if target == "unrelated":
        answers = {"holds": "it seems to: luck, or a fault", "no leak detected": "as it should be"}
    return evidence, answers.get(found, "")


def recall_alone(svm: pd.DataFrame, target: str) -> tuple[tables.Cell, str]:
    """Return to how many members and non-members the attack says "member", and what follows."""
    row = svm.loc[target]
    false_alarms = 2 * (1 - row["accuracy"]) - (1 - row["recall"])
    shares = (tables.plain(share, "{:.1%}") for share in (row["recall"], false_alarms))
    return (
        tables.sentence("'member' said to {} of the members, {} of the non-members", *shares),
        "recall is no evidence" if row["auc_low"] <= 0.5 else "see the AUC instead",
    )


def attack_verdict(says: dict | None, row: pd.Series, papers_data: bool) -> str:
    """Return the `verdict` on an attack's accuracy, but "both at chance" where neither is distinguishable from it."""
    found = verdict(says and says["accuracy"], row["accuracy_low"], row["accuracy_high"], 0, papers_data)
    if found != "agrees":
        return found
    theirs = metrics.rate(round(says["accuracy"] * literature.TEST_SIZE), literature.TEST_SIZE)
    return "both at chance" if theirs[1] <= 0.5 and row["accuracy_low"] <= 0.5 else "agrees"


def better_than_guessing(row: pd.Series) -> str:
    """Return by which of accuracy and AUC an attack's interval lies above one half."""
    beats = [name for name in ("accuracy", "auc") if row[name + "_low"] > 0.5]
    return "yes, by " + " and ".join(beats).replace("auc", "AUC") if beats else "no"


def tenths(fractions) -> tables.Cell:
    """Return "50.8 / 79.6 / 51.2" for fractions."""
    return tables.joined((tables.plain(one, "{:.1 of 100}") for one in fractions), " / ")


def updates(targets: pd.DataFrame, target: str) -> tables.Cell | str:
    """Return how many updates made a target's synthetic images, beside the paper's number; "-" for real images."""
    made = targets.loc[targets["target"] == target, "updates"].max()
    return tables.some("count and paper's", made, literature.UPDATES.get(target, np.nan)) if made > 0 else "-"


def accuracy_interval(accuracies: pd.Series, n: int) -> tuple[float, float]:
    """Return the mean ends of the Clopper-Pearson intervals of accuracies on `n` images each."""
    return tuple(np.mean([metrics.rate(round(a * n), n)[1:] for a in accuracies], axis=0))


def with_spread(accuracies: pd.Series, n: int) -> tables.Cell:
    """Return "98.7 % [98.5, 98.8] ± 0.0": mean, `accuracy_interval`, and standard deviation over the runs."""
    return tables.some("percent and deviation", accuracies.mean(), *accuracy_interval(accuracies, n), accuracies.std())
