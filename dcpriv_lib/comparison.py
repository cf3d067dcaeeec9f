"""Our tables beside the paper's: what it says, what we got, and a verdict by fixed rules."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from . import evaluation, metrics, paper, tables


def table_1(targets: pd.DataFrame, members: int, non_members: int, papers_data: bool) -> pd.DataFrame:
    """Return Table 1, the accuracy of the targets, one row a target.

    Parameters
    ----------
    targets : one row a target and run: target, images, updates, and the accuracies members and non_members.
    members, non_members : how many images these accuracies are of.
    papers_data : whether the targets were trained on the paper's data, so that numbers may be compared.
    """
    def row(target: str, runs: pd.DataFrame) -> dict:
        says, files = paper.TABLE_1.get(target), paper.RESULT_FILES.get(target)
        return {"target": target, "images": runs["images"].iloc[0], "image updates": updates(targets, target),
                "runs": len(runs), "paper says": f"~{says:.0%}" if says else "-",
                "paper's files, on members / non-members": " / ".join(f"{100 * one:.1f}" for one in files) if files else "-",
                "we got, on members": with_spread(runs["members"], members),
                "we got, on non-members": with_spread(runs["non_members"], non_members),
                # whole per cents, marked "~": true to half a per cent
                "verdict": verdict(says, *accuracy_interval(runs["members"], members), 0.005, papers_data)}
    return pd.DataFrame([row(*runs) for runs in targets.groupby("target", sort=False)])


def table_2(targets: pd.DataFrame, mean: pd.DataFrame, papers_data: bool) -> pd.DataFrame:
    """Return Table 2, the attack, one row a target and attack.

    `mean` is `evaluation.mean_over_runs` of the judged attacks; the other arguments are those of `table_1`.
    """
    def row(found: pd.Series) -> dict:
        says = paper.TABLE_2.get(found["target"]) if found["attack"] != "loss threshold" else None
        return {"target": found["target"], "image updates": updates(targets, found["target"]), "attack": found["attack"],
                "paper says (P / R / A)": " / ".join(f"{100 * rate:.1f}" for rate in says.values()) if says else "-",
                "precision": found["precision, text"], "recall": found["recall, text"],
                "accuracy": found["accuracy, text"], "AUC": found["auc, text"],
                "verdict": attack_verdict(says, found, papers_data),
                "distinguishable from chance?": better_than_guessing(found)}
    return pd.DataFrame([row(found) for _, found in mean.reset_index().iterrows()])


def summary(targets: pd.DataFrame, mean: pd.DataFrame) -> pd.DataFrame:
    """Return both tables in one: every target's accuracies in per cent, and the AUC of every attack."""
    auc = mean.reset_index().pivot(index="target", columns="attack", values="auc, text").add_prefix("AUC, ")
    models = targets.groupby("target", sort=False).agg(
        images=("images", "first"), members=("members", "mean"), non_members=("non_members", "mean"))
    models[["members", "non_members"]] = (100 * models[["members", "non_members"]]).round(1)
    models.insert(1, "updates", [updates(targets, target) for target in models.index])
    order = mean.index.unique("target")
    return models.astype(str).reindex(order).fillna("-").join(auc).rename_axis("target").reset_index()


def claims(targets: pd.DataFrame, mean: pd.DataFrame) -> pd.DataFrame:
    """Return each claim of the paper, what this run has to say about it, and a verdict.

    A difference of accuracies counts when Welch's t test over the runs tells it from 0 at the 95 % level, an
    attack (the paper's SVM) when its AUC's interval lies above one half.
    """
    svm = mean.xs("SVM", level="attack")
    accuracy = {target: runs["non_members"] for target, runs in targets.groupby("target")}
    rows = [("The attack recognises members of the original model", "original", *attack_works(svm, "original"))]
    for condensed in [target for target in svm.index if target.startswith("condensed") and target in accuracy]:
        subset = condensed.replace("condensed", "subset")
        rows += [("More accurate than a random subset of the same size", condensed,
                  *larger(accuracy[condensed], accuracy.get(subset))),
                 ("Its members are not recognised", condensed, *no_attack(svm, condensed)),
                 ("Recall falls, so members are safer", condensed, *recall_alone(svm, condensed)),
                 ("(control) The random subset's members are not recognised either", subset, *no_attack(svm, subset))]
    rows.append(("(control) A model without these members gives nothing away", "unrelated", *no_attack(svm, "unrelated")))
    return pd.DataFrame([row for row in rows if row[-1]], columns=["claim", "target", "this run", "verdict"])


def attack_works(svm: pd.DataFrame, target: str) -> tuple[str, str]:
    """Return the evidence that members are recognised, and "holds" or "no leak detected"; no verdict without the target."""
    if target not in svm.index:
        return "", ""
    return f"AUC {svm.loc[target, 'auc, text']}", "holds" if svm.loc[target, "auc_low"] > 0.5 else "no leak detected"


def no_attack(svm: pd.DataFrame, target: str) -> tuple[str, str]:
    """Return the same evidence for the opposite claim."""
    evidence, found = attack_works(svm, target)
    consistent = "as it should be" if target == "unrelated" else "consistent, but this attack may be blind"
    return evidence, {"holds": "not seen: the attack works", "no leak detected": consistent}.get(found, "")


def recall_alone(svm: pd.DataFrame, target: str) -> tuple[str, str]:
    """Return to how many members and non-members the attack says "member", and what follows."""
    row = svm.loc[target]
    false_alarms = 2 * (1 - row["accuracy"]) - (1 - row["recall"])
    return (f"'member' said to {row['recall']:.1%} of the members, {false_alarms:.1%} of the non-members",
            "recall is no evidence" if row["auc_low"] <= 0.5 else "see the AUC instead")


def larger(a: pd.Series, b: pd.Series | None) -> tuple[str, str]:
    """Return both means, and "holds" if the runs `a` have the larger one, "the reverse holds", or "no difference detected"."""
    if b is None:
        return "", ""
    found = supports(*difference(a, b)[1:]) if min(len(a), len(b)) > 1 else "no difference detected"
    return (f"{a.mean():.1%} against {b.mean():.1%}",
            {"supported": "holds", "contradicted": "the reverse holds"}.get(found, found))


def difference(a: pd.Series, b: pd.Series) -> tuple[float, float, float]:
    """Return the mean of runs `a` less that of runs `b`, and its 95 % interval by Welch's t; NaN where none has a spread."""
    from scipy.stats import ttest_ind  # here, because importing it takes a second
    low, high = ttest_ind(a, b, equal_var=False).confidence_interval(metrics.LEVEL)
    return float(a.mean() - b.mean()), float(low), float(high)


def gain(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of a - b, each a number of the same half of the people, and its 95 % interval by Student's paired t.

    Parameters
    ----------
    a, b : float [halves], two or more.
    """
    from scipy.stats import ttest_rel  # here, because importing it takes a second
    low, high = ttest_rel(a, b).confidence_interval(metrics.LEVEL)
    return float(np.mean(a) - np.mean(b)), float(low), float(high)


def luck(intervals: Collection[tuple[float, float, float]]) -> str:
    """Return the sentence to stand under a table of 95 % intervals of differences: how many would exclude 0 by luck alone, and how many do.

    Parameters
    ----------
    intervals : (value, low, high); NaN does not count.
    """
    known = [one for one in intervals if not np.isnan(one[1])]
    found = sum(supports(*one[1:]) != "no difference detected" for one in known)
    return (f"{len(known)} intervals of 95 % stand here. If there were no difference anywhere, about {(1 - metrics.LEVEL) * len(known):.1f} of them "
            f"would show one by luck; {found} do.")


def depends(on: str, a: np.ndarray, b: np.ndarray, a_name: str, b_name: str) -> tuple[dict, tuple[float, float, float]]:
    """Return a row on a sentence of Chen et al., that the leak depends on something, and the difference of two AUCs that it rests on.

    Parameters
    ----------
    on : what it depends on.
    a, b : float [models], the AUCs at one end and at the other.
    a_name, b_name : what the two ends are.
    """
    apart = evaluation.over_pairs(a - b)
    said = supports(*apart[1:])
    least = f"; detectable: {100 * evaluation.detectable(a - b):.1f} points" if said == "no difference detected" else ""
    return {"they say: the leak depends on": on, "compared": f"{a_name} with {b_name}",
            "AUC, difference": tables.points(*apart), "verdict": said + least}, apart


def supports(low: float, high: float, limit: float = 0.0) -> str:
    """Return whether an interval supports "larger than `limit`", contradicts it, or (NaN too) neither."""
    return "supported" if low > limit else "contradicted" if high < limit else "no difference detected"


def verdict(says: float | None, low: float, high: float, tolerance: float, papers_data: bool) -> str:
    """Return whether the paper's number lies in our interval, widened by the rounding of the paper's number."""
    if says is None:
        return "not in the paper"
    if not papers_data:
        return "other data"
    if low - tolerance <= says <= high + tolerance:
        return "agrees"
    return "ours is higher" if low > says else "ours is lower"


def attack_verdict(says: dict | None, row: pd.Series, papers_data: bool) -> str:
    """Return the `verdict` on an attack's accuracy, but "both at chance" where neither can be told from it."""
    found = verdict(says and says["accuracy"], row["accuracy_low"], row["accuracy_high"], 0, papers_data)
    if found != "agrees":
        return found
    theirs = metrics.rate(round(says["accuracy"] * paper.TEST_SIZE), paper.TEST_SIZE)
    return "both at chance" if theirs[1] <= 0.5 and row["accuracy_low"] <= 0.5 else "agrees"


def better_than_guessing(row: pd.Series) -> str:
    """Return by which of accuracy and AUC an attack's interval lies above one half."""
    beats = [name for name in ("accuracy", "auc") if row[name + "_low"] > 0.5]
    return "yes, by " + " and ".join(beats).replace("auc", "AUC") if beats else "no"


def updates(targets: pd.DataFrame, target: str) -> str:
    """Return how many updates made a target's synthetic images, beside the paper's number; "-" for real images."""
    made = targets.loc[targets["target"] == target, "updates"].max()
    says = f" (paper: {paper.UPDATES[target]:,})" if target in paper.UPDATES else ""
    return f"{made:,.0f}{says}" if made > 0 else "-"


def accuracy_interval(accuracies: pd.Series, n: int) -> tuple[float, float]:
    """Return the mean ends of the Clopper-Pearson intervals of accuracies on `n` images each."""
    return tuple(np.mean([metrics.rate(round(a * n), n)[1:] for a in accuracies], axis=0))


def with_spread(accuracies: pd.Series, n: int) -> str:
    """Return "98.7 % [98.5, 98.8] ± 0.0": mean, `accuracy_interval`, and standard deviation over the runs."""
    text = tables.percent(accuracies.mean(), *accuracy_interval(accuracies, n))
    return f"{text} ± {100 * accuracies.std():.1f}"


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
        files, recomputed = paper.RESULT_FILES[target], found[["members", "non_members"]].round(4)
        interval = metrics.rate(round(found["non_members"] * non_members), non_members)
        return {"target": target, "the paper prints": f"~{paper.TABLE_1[target]:.0%}",
                "its files say, members / non-members": " / ".join(f"{100 * one:.2f}" for one in files),
                "recomputed": " / ".join(f"{100 * one:.2f}" for one in recomputed),
                "on non-members": tables.percent(*interval),
                "to four digits": "the same" if tuple(recomputed) == files else "another model"}
    return pd.DataFrame([row(*found) for found in accuracies.iterrows()])


def authors_table_2(judged: pd.DataFrame) -> pd.DataFrame:
    """Return Table 2 three ways, one row a target and attack.

    Parameters
    ----------
    judged : one row a target and attack, measured by `evaluation.usual`.
    """
    def row(found: pd.Series) -> dict:
        says, files = paper.TABLE_2.get(found["target"]), paper.ATTACK_FILES.get(found["target"])
        return {"target": found["target"], "attack": found["attack"]} | {
            name: " / ".join(f"{100 * rate:.2f}" for rate in rates.values()) if rates else "-"
            for name, rates in (("the paper prints (P / R / A)", says), ("its files say", files))} | {
            "recomputed": " / ".join("-" if np.isnan(found[rate]) else f"{100 * found[rate]:.2f}"
                                     for rate in ("precision", "recall", "accuracy")),
            **{rate: tables.percent(*found[[rate, rate + "_low", rate + "_high"]])
               for rate in ("precision", "recall", "accuracy")}}
    return pd.DataFrame([row(found) for _, found in judged.iterrows()])


def authors_models(models: pd.DataFrame, non_members: int) -> pd.DataFrame:
    """Return every attack on every target as text, one row each; "-" for the accuracy of attacks without a threshold.

    `models` is that of `authors_claims`, `non_members` how many the false positive rates are of.
    """
    def row(target: str, attack: str, found: pd.Series) -> dict:
        accuracy = found[["accuracy", "accuracy_low", "accuracy_high"]]
        at = {fpr: found[[f"tpr_at_{fpr}{end}" for end in ("", "_low", "_high")]] for fpr in (0.01, 0.001)}
        return {"target": target, "attack": attack,
                "accuracy": "-" if accuracy.isna().any() else tables.percent(*accuracy),
                "AUC": tables.percent(*found[["auc", "auc_low", "auc_high"]])} | {
            f"TPR at {100 * fpr:g} % FPR": tables.percent_at_fpr(*rate, non_members) for fpr, rate in at.items()} | {
            "epsilon": f"{found['epsilon']:.2f}"}
    return pd.DataFrame([row(*key, found) for key, found in models.iterrows()])


def authors_retrained(retrained: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy of models of condensed and of real images, and how much more the condensed ones give.

    `retrained` is that of `authors_claims`.
    """
    def row(ipc: int, kind: str, accuracy: pd.Series, condensed: pd.Series) -> dict:
        return {"images per class": ipc, "trained on": f"{kind} images", "runs": len(accuracy),
                "accuracy on non-members (%)": tables.spread(accuracy),
                "the condensed ones give": "-" if kind == "condensed" else tables.points(*difference(condensed, accuracy)),
                "more?": "-" if kind == "condensed" else supports(*difference(condensed, accuracy)[1:])}
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
    models : index (target, attack); the columns of `evaluation.ranking`, and those of `metrics.evaluate` for the paper's
        attacks "logistic regression" and "SVM". "LiRA" compares with the authors' shadow models, "LiRA, few" with
        models of as few real images as the target has synthetic ones.
    accuracies : index target; members, non_members, each non_members also with _low and _high.
    retrained : one row a model: ipc, "trained on" ("condensed", "random" or "balanced" images), non_members.
    """
    rows = [("A condensed data set loses some accuracy", target, *loses_accuracy(accuracies, target))
            for target in CONDENSED]
    for target, ipc in CONDENSED.items():
        of = {kind: runs["non_members"] for kind, runs in retrained[retrained["ipc"] == ipc].groupby("trained on")}
        rows += [("It performs better than a subset of the data", f"{target}, a random subset", *beats(of, "random")),
                 ("(control) It performs better than as many images of each class", target, *beats(of, "balanced"))]
    rows.append(("The attack tells members of the original from non-members", "original",
                 *tells(models.loc["original", "logistic regression"])))
    rows.append(("The attack model does not show good performance", "original", *weak_attack(models.loc["original"])))
    for target in CONDENSED:
        rows.append(("Very few members are identified after condensation (recall)", target,
                     *low_recall(models.loc[target])))
    for target in CONDENSED:
        rows.append(("So the members are safer", target, *safer(models, target)))
    return pd.DataFrame(rows, columns=["the paper concludes", "about", "its own models say", "verdict"])


def loses_accuracy(accuracies: pd.DataFrame, target: str) -> tuple[str, str]:
    """Return how many points less a target is right than the original, with the outer ends of both intervals."""
    a, b = accuracies.loc["original"], accuracies.loc[target]
    low, high = a["non_members_low"] - b["non_members_high"], a["non_members_high"] - b["non_members_low"]
    return (f"{a['non_members']:.1%} against {b['non_members']:.1%}: "
            f"{tables.points(a['non_members'] - b['non_members'], low, high)}", supports(low, high))


def beats(accuracies: dict[str, pd.Series], rival: str) -> tuple[str, str]:
    """Return by how many points models of the condensed images are better than those of real ones (Welch's t)."""
    mean, low, high = difference(accuracies["condensed"], accuracies[rival])
    return (f"{accuracies['condensed'].mean():.1%} against {accuracies[rival].mean():.1%}: "
            f"{tables.points(mean, low, high)}", supports(low, high))


def tells(found: pd.Series) -> tuple[str, str]:
    """Return the AUC of an attack, and whether it supports that members are told from non-members."""
    said = supports(found["auc_low"], found["auc_high"], 0.5)
    return (f"AUC {tables.percent(*found[['auc', 'auc_low', 'auc_high']])}",
            "no leak detected" if said == "no difference detected" else said)


def weak_attack(of_target: pd.DataFrame) -> tuple[str, str]:
    """Return how many members the paper's SVM and LiRA find at 0.1 % false alarms, and whether it was the attack's fault."""
    at = ["tpr_at_0.001", "tpr_at_0.001_low", "tpr_at_0.001_high"]
    theirs, lira = of_target.loc["SVM", at], of_target.loc["LiRA", at]
    worse = supports(lira[at[1]] - theirs[at[2]], lira[at[2]] - theirs[at[1]])
    return (f"members found at 0.1 % false alarms: {tables.percent(*theirs)} by the SVM, {tables.percent(*lira)} by LiRA",
            {"supported": "supported: a stronger one finds more"}.get(worse, worse))


def low_recall(of_target: pd.DataFrame) -> tuple[str, str]:
    """Return to whom the paper's two attacks say "member", and what follows from recall alone."""
    def said(attack: str) -> str:
        row = of_target.loc[attack]
        false_alarms = 2 * (1 - row["accuracy"]) - (1 - row["recall"])
        return f"{row['recall']:.1%} of the members and {false_alarms:.1%} of the non-members ({attack})"
    blind = of_target.loc[["logistic regression", "SVM"], "auc_low"].max() <= 0.5
    return (f"'member' is said to {said('logistic regression')}, to {said('SVM')}",
            "recall is no evidence: both attacks are blind" if blind else "see the AUC instead")


def safer(models: pd.DataFrame, target: str) -> tuple[str, str]:
    """Return the AUCs of LiRA on a condensed model, the original and a subset, and what they say of safety.

    Against models of few images the attacker compares with models of as few: that is the attack "LiRA, few".
    """
    subset = models.loc[(target.replace("condensed", "subset"), "LiRA, few")]
    original, condensed = models.loc[("original", "LiRA")], models.loc[(target, "LiRA, few")]
    rival = "safer than a random subset" if condensed["auc_high"] < subset["auc_low"] else "no difference from a random subset detected"
    answer = ("contradicted: members are recognised" if condensed["auc_low"] > 0.5 else
              f"supported against this attack; {rival}" if original["auc_low"] > condensed["auc_high"] else "no difference detected")
    return (f"LiRA: {tells(condensed)[0]}; on the original {tells(original)[0]}, on as many random images "
            f"{tells(subset)[0]}", answer)


# ---------------------------------------------------------------- the second source

EQUAL = "(control) {} at equal accuracy"
# A sentence, what was measured about it, the value that means no effect, how it is written, and the verdicts for an interval above it,
# below it, or around it.
CHEN_RULES = (
    (paper.CHEN["leak"], "leak", 0.5, lambda *one: f"AUC {tables.percent(*one)}", ("supported", "no leak detected", "no leak detected")),
    (paper.CHEN["robustness"], "kept", 0, lambda *one: f"right images that withstand: {tables.points(*one)} against the original",
     ("more robust", "less robust", "no difference detected")),
    (EQUAL.format("robustness"), "robustness, equal", 0,
     lambda *one: f"images that withstand: {tables.points(*one)} against real images at equal accuracy",
     ("more robust", "less robust", "no difference detected")),
    (paper.CHEN["fairness"], "amplification", 1, lambda *one: f"spread {tables.number(*one)} times the original's",
     ("supported", "contradicted", "no difference detected")),
    (EQUAL.format("fairness"), "spread, equal", 0, lambda *one: f"spread: {tables.points(*one)} against real images at equal accuracy",
     ("less fair", "fairer", "no difference detected")))


def chen_claims(measured: dict[str, dict[str, tuple[float, float, float] | None]]) -> pd.DataFrame:
    """Return Chen et al.'s sentences, what this run has to say about them, and a verdict by a fixed rule, one row a sentence and set.

    Each rule asks on which side of "no effect" a 95 % interval lies (`supports`). The rows marked as controls compare with
    models of real images at equal accuracy, because a less accurate model has less to lose; without such models, they are left out.

    Parameters
    ----------
    measured : training set to (value, low, high) of "leak", an AUC; "kept", how much larger than the original's is the share of right
        images that withstand an attack; "amplification", the spread over the classes, divided by the original's; and "robustness,
        equal" and "spread, equal", how far the model is above those of real images at equal accuracy (None if there are none).
    """
    rows = []
    for sentence, key, limit, write, (above, below, around) in CHEN_RULES:
        words = {"supported": above, "contradicted": below, "no difference detected": around}
        rows += [(sentence, name, write(*of[key]), words[supports(*of[key][1:], limit=limit)])
                 for name, of in measured.items() if of[key] is not None]
    return pd.DataFrame(rows, columns=["Chen et al. say", "trained on", "this run", "verdict"])


def chen_luck(measured: dict[str, dict[str, tuple[float, float, float] | None]]) -> str:
    """Return `luck` about all intervals that `chen_claims` judges; the argument is the same."""
    return luck([tuple(end - limit for end in of[key]) for _, key, limit, *_ in CHEN_RULES for of in measured.values() if of[key]])


def chen_in_short(claims: pd.DataFrame) -> pd.DataFrame:
    """Return for how many training sets `chen_claims` gave which verdict, one row a sentence; every verdict of its rule is named."""
    rows = []
    for sentence, *_, words in CHEN_RULES:
        found = list(claims.loc[claims["Chen et al. say"] == sentence, "verdict"])
        counts = [f"{word} for {found.count(word)}" for word in dict.fromkeys(words)]
        rows.append((sentence, f"{len(found)} training sets", ", ".join(counts)))
    return pd.DataFrame(rows, columns=["Chen et al. say", "this run", "verdict"])
