"""The models that the authors of the paper published, beside what the paper says of them."""

import pandas as pd

from .. import metrics
from . import literature, tables
from .comparison import difference, supports

# ---------------------------------------------------------------- the authors' own models
CONDENSED = {"condensed-10": 10, "condensed-50": 50}  # images per class


def authors_table_1(accuracies: pd.DataFrame, non_members: int) -> pd.DataFrame:
    """Return Table 1 three ways: as printed, as the authors' files say, and recomputed from their weights.

    Parameters
    ----------
    accuracies : index target; members and non_members, fractions.
    non_members : how many images the second is of.
    """

    def row(target: str, found: pd.Series) -> dict:
        files, recomputed = literature.RESULT_FILES[target], found[["members", "non_members"]].round(4)
        interval = metrics.rate(round(found["non_members"] * non_members), non_members)
        return {
            "target": target,
            "the paper prints": tables.plain(literature.TABLE_1[target], "~{:.0%}"),
            "its files say, members / non-members": hundredths(files),
            "recomputed": hundredths(recomputed),
            "on non-members": tables.percent(*interval),
            "to four digits": "the same" if tuple(recomputed) == files else "another model",
        }

    return pd.DataFrame([row(*found) for found in accuracies.iterrows()])


def authors_table_2(judged: pd.DataFrame) -> pd.DataFrame:
    """Return Table 2 three ways, one row a target and attack.

    Parameters
    ----------
    judged : one row a target and attack, measured by `attack_results.usual`.
    """

    def row(found: pd.Series) -> dict:
        says, files = literature.TABLE_2.get(found["target"]), literature.ATTACK_FILES.get(found["target"])
        return (
            {"target": found["target"], "attack": found["attack"]}
            | {
                name: hundredths(rates.values()) if rates else "-"
                for name, rates in (("the paper prints (P / R / A)", says), ("its files say", files))
            }
            | {
                "recomputed": hundredths(found[rate] for rate in ("precision", "recall", "accuracy")),
                **{
                    rate: tables.percent(*found[[rate, rate + "_low", rate + "_high"]])
                    for rate in ("precision", "recall", "accuracy")
                },
            }
        )

    return pd.DataFrame([row(found) for _, found in judged.iterrows()])


def hundredths(fractions) -> tables.Cell:
    """Return "50.78 / 79.58 / 51.22" for fractions; "-" for NaN."""
    return tables.joined(tables.plain_column(fractions, "{:.2 of 100}"), " / ")


def authors_models(models: pd.DataFrame, non_members: int) -> pd.DataFrame:
    """Return every attack on every target, one row each; "-" for the accuracy of attacks without a threshold.

    `models` is that of `authors_claims`, `non_members` how many the false positive rates are of.
    """

    def row(target: str, attack: str, found: pd.Series) -> dict:
        accuracy = found[["accuracy", "accuracy_low", "accuracy_high"]]
        at = {fpr: found[[f"tpr_at_{fpr}{end}" for end in ("", "_low", "_high")]] for fpr in (0.01, 0.001)}
        return (
            {
                "target": target,
                "attack": attack,
                "accuracy": "-" if accuracy.isna().any() else tables.percent(*accuracy),
                "AUC": tables.percent(*found[["auc", "auc_low", "auc_high"]]),
            }
            | {f"TPR at {100 * fpr:g} % FPR": tables.percent_at_fpr(*rate, non_members) for fpr, rate in at.items()}
            | {"epsilon": tables.plain(found["epsilon"], "{:.2f}")}
        )

    return pd.DataFrame([row(*key, found) for key, found in models.iterrows()])


def authors_retrained(retrained: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy of models of condensed and of real images, and how much more the condensed ones give.

    `retrained` is that of `authors_claims`.
    """

    def row(ipc: int, kind: str, accuracy: pd.Series, condensed: pd.Series) -> dict:
        return {
            "images per class": ipc,
            "trained on": f"{kind} images",
            "runs": len(accuracy),
            "accuracy on non-members (%)": tables.spread(accuracy),
            "the condensed ones give": "-" if kind == "condensed" else tables.points(*difference(condensed, accuracy)),
            "more?": "-" if kind == "condensed" else supports(*difference(condensed, accuracy)[1:]),
        }

    rows = []
    for ipc, of_size in retrained.groupby("ipc"):
        of = {kind: runs["non_members"] for kind, runs in of_size.groupby("trained on", sort=False)}
        rows += [row(ipc, kind, accuracy, of["condensed"]) for kind, accuracy in of.items()]
    return pd.DataFrame(rows).replace({"supported": "yes", "contradicted": "no, fewer"})


def authors_claims(models: pd.DataFrame, accuracies: pd.DataFrame, retrained: pd.DataFrame) -> pd.DataFrame:
    """Return what the paper concluded, what its own models say of it, and a verdict that follows by a fixed rule.

    A difference or an AUC supports a claim if its 95 % interval lies on the claim's side (`supports`).

    Parameters
    ----------
    models : index (target, attack); the columns of `attack_results.ranking`, and those of `metrics.evaluate` for the
        paper's attacks "logistic regression" and "SVM". "LiRA" compares with the authors' shadow models, "LiRA, few"
        with models of as few real images as the target has synthetic ones.
    accuracies : index target; members, non_members, each non_members also with _low and _high.
    retrained : one row a model: ipc, "trained on" ("condensed", "random" or "balanced" images), non_members.
    """
    rows = [
        ("A condensed data set loses some accuracy", target, *loses_accuracy(accuracies, target))
        for target in CONDENSED
    ]
    for target, ipc in CONDENSED.items():
        of = {kind: runs["non_members"] for kind, runs in retrained[retrained["ipc"] == ipc].groupby("trained on")}
        rows += [
            ("It performs better than a subset of the data", f"{target}, a random subset", *beats(of, "random")),
            ("(control) It performs better than as many images of each class", target, *beats(of, "balanced")),
        ]
    rows.append(
        (
            "The attack tells members of the original from non-members",
            "original",
            *tells(models.loc["original", "logistic regression"]),
        )
    )
    rows.append(("The attack model does not show good performance", "original", *weak_attack(models.loc["original"])))
    for target in CONDENSED:
        rows.append(
            ("Very few members are identified after condensation (recall)", target, *low_recall(models.loc[target]))
        )
    for target in CONDENSED:
        rows.append(("So the members are safer", target, *safer(models, target)))
    return pd.DataFrame(rows, columns=["the paper concludes", "about", "its own models say", "verdict"])


def loses_accuracy(accuracies: pd.DataFrame, target: str) -> tuple[tables.Cell, str]:
    """Return how many points less a target is right than the original, with the outer ends of both intervals."""
    a, b = accuracies.loc["original"], accuracies.loc[target]
    low, high = a["non_members_low"] - b["non_members_high"], a["non_members_high"] - b["non_members_low"]
    lost = a["non_members"] - b["non_members"], low, high
    return against(a["non_members"], b["non_members"], lost), supports(low, high)


def beats(accuracies: dict[str, pd.Series], rival: str) -> tuple[tables.Cell, str]:
    """Return by how many points models of the condensed images are better than those of real ones (Welch's t)."""
    mean, low, high = difference(accuracies["condensed"], accuracies[rival])
    means = (accuracies[name].mean() for name in ("condensed", rival))
    return against(*means, (mean, low, high)), supports(low, high)


def against(one: float, other: float, difference: tuple[float, float, float]) -> tables.Cell:
    """Return "98.4% against 88.2%: +10.2 points [9.5, 10.9]"."""
    means = (tables.plain(value, "{:.1%}") for value in (one, other))
    return tables.sentence("{} against {}: {}", *means, tables.points(*difference))


def tells(found: pd.Series) -> tuple[tables.Cell, str]:
    """Return the AUC of an attack, and whether it supports that members are recognised."""
    said = supports(found["auc_low"], found["auc_high"], 0.5)
    return (
        tables.sentence("AUC {}", tables.percent(*found[["auc", "auc_low", "auc_high"]])),
        "no leak detected" if said == "no difference detected" else said,
    )


def weak_attack(of_target: pd.DataFrame) -> tuple[tables.Cell, str]:
    """Return how many members the paper's SVM and LiRA find at 0.1 % false alarms, and whether it was the attack's
    fault."""
    at = ["tpr_at_0.001", "tpr_at_0.001_low", "tpr_at_0.001_high"]
    theirs, lira = of_target.loc["SVM", at], of_target.loc["LiRA", at]
    worse = supports(lira[at[1]] - theirs[at[2]], lira[at[2]] - theirs[at[1]])
    return (
        tables.sentence(
            "members found at 0.1 % false alarms: {} by the SVM, {} by LiRA",
            tables.percent(*theirs),
            tables.percent(*lira),
        ),
        {"supported": "supported: a stronger one finds more"}.get(worse, worse),
    )


def low_recall(of_target: pd.DataFrame) -> tuple[tables.Cell, str]:
    """Return to whom the paper's two attacks say "member", and what follows from recall alone."""

    def said(attack: str) -> tables.Cell:
        row = of_target.loc[attack]
        false_alarms = 2 * (1 - row["accuracy"]) - (1 - row["recall"])
        shares = (tables.plain(share, "{:.1%}") for share in (row["recall"], false_alarms))
        return tables.sentence("{} of the members and {} of the non-members ({})", *shares, attack)

    blind = of_target.loc[["logistic regression", "SVM"], "auc_low"].max() <= 0.5
    return (
        tables.sentence("'member' is said to {}, to {}", said("logistic regression"), said("SVM")),
        "recall is no evidence: both attacks are blind" if blind else "see the AUC instead",
    )


def safer(models: pd.DataFrame, target: str) -> tuple[tables.Cell, str]:
    """Return the AUCs of LiRA on a condensed model, the original and a subset, and what they say of safety.

    Against models of few images the attacker compares with models of as few: that is the attack "LiRA, few".
    """
    subset = models.loc[(target.replace("condensed", "subset"), "LiRA, few")]
    original, condensed = models.loc[("original", "LiRA")], models.loc[(target, "LiRA, few")]
    rival = (
        "safer than a random subset"
        if condensed["auc_high"] < subset["auc_low"]
        else "no difference from a random subset detected"
    )
    answer = (
        "contradicted: members are recognised"
        if condensed["auc_low"] > 0.5
        else f"supported against this attack; {rival}"
        if original["auc_low"] > condensed["auc_high"]
        else "no difference detected"
    )
    found = (tells(one)[0] for one in (condensed, original, subset))
    return tables.sentence("LiRA: {}; on the original {}, on as many random images {}", *found), answer
