"""How attacks are judged, and by which rules a verdict follows from the numbers."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from . import audit, metrics, tables
from .attacks import Answers, Attack


def judge(targets: dict[tuple, Answers], suite: dict[str, Attack], is_member: np.ndarray,
          measure: Callable[..., dict]) -> tuple[dict, pd.DataFrame]:
    """Run every attack against every target.

    Parameters
    ----------
    targets : (name, run) of a model to what it answers for the examples in question.
    suite : name to prepared attack.
    is_member : bool [n], the truth about the examples.
    measure : ``measure(scores, says_member, key)`` returns a dict of numbers; `usual` or `strong`.

    Returns
    -------
    scores : dict of (name, run, attack) to float64 [n].
    judged : DataFrame, one row a target, run and attack.
    """
    scores = {(*key, name): attack.score(answers) for key, answers in targets.items() for name, attack in suite.items()}
    rows = [dict(zip(("target", "run", "attack"), key)) | {"n": len(is_member)}
            | measure(score, score >= suite[key[-1]].threshold, key) for key, score in scores.items()]
    return scores, pd.DataFrame(rows)


def usual(study, labels: np.ndarray) -> Callable[..., dict]:
    """Return the measure of the paper: precision, recall, accuracy, and the AUC, with intervals.

    "constant_classes" counts the classes of which everybody, or nobody, is called a member.
    """
    def measure(score, says_member, key):
        same = [len(np.unique(says_member[labels == label])) == 1 for label in np.unique(labels)]
        return metrics.evaluate(score, says_member, study.is_member, study.rng("auc", *key)) | {
            "constant_classes": sum(same)}
    return measure


def strong(study) -> Callable[..., dict]:
    """Return the measure of the strong attacks: true positives at low false positive rates, and epsilon."""
    def measure(score, says_member, key):
        rng, is_member = study.rng("strong", *key), study.is_member
        low_fpr = {f"tpr_at_{fpr}": metrics.tpr_at_fpr(score, is_member, fpr) for fpr in metrics.LOW_FPRS}
        return {"non_members": int((~is_member).sum())} | metrics.evaluate(score, says_member, is_member, rng) | {
            name + end: value for name, triple in low_fpr.items() for end, value in zip(("", "_low", "_high"), triple)} | {
            "best_balanced_accuracy": metrics.best_balanced_accuracy(score, is_member),
            "epsilon": audit.epsilon(score, is_member, rng)}
    return measure


def mean_over_runs(judged: pd.DataFrame) -> pd.DataFrame:
    """Return the means over the runs of every target and attack, and the rates as text.

    The text, for instance "51.2 % [50.1, 52.3]", holds the mean of the runs' intervals. It
    does not shrink with the number of runs, since all runs are judged on the same examples.

    Parameters
    ----------
    judged : one row a target, run and attack, with the columns of `metrics.evaluate`.

    Returns
    -------
    DataFrame indexed by (target, attack) in the order of `judged`, with the means of its
    numeric columns, and a column "accuracy, text" (and so on) a rate.
    """
    mean = judged.groupby(["target", "attack"], sort=False).mean(numeric_only=True)
    return mean.assign(**{f"{name}, text": tables.rates(mean, name) for name in metrics.RATES})


def at_low_fpr(judged: pd.DataFrame) -> pd.DataFrame:
    """Return AUCs and true positive rates at low false positive rates as text, one row a target and attack.

    The spread is the standard deviation of the AUC over the runs, in points.

    Parameters
    ----------
    judged : one row a target, run and attack, measured by `strong`.
    """
    mean = mean_over_runs(judged)
    spread = judged.groupby(["target", "attack"], sort=False)["auc"].std()
    shown = pd.DataFrame({"AUC": mean["auc, text"],
                          "spread": (100 * spread).map("± {:.1f}".format).replace("± nan", "-")})
    for fpr in metrics.LOW_FPRS:
        names = [f"tpr_at_{fpr}{end}" for end in ("", "_low", "_high")]
        shown[f"TPR at {100 * fpr:g} % FPR"] = [tables.percent_at_fpr(*row[names], int(row["non_members"]))
                                                for _, row in mean.iterrows()]
    return shown.reset_index()


def above_luck(score: Callable, models: np.ndarray, strangers: np.ndarray, is_member: np.ndarray,
               rng: np.random.Generator) -> dict[str, float]:
    """Return the AUC, by how much it exceeds luck, and the TPR at 1 % FPR, with intervals.

    Luck is the AUC of the same attack on models that never saw a member (`metrics.auc_above`).

    Parameters
    ----------
    score : maps one model's answers to scores, float [n], of the examples in question.
    models, strangers : answers of the models, and of models of strangers' images, one entry a model.
    is_member : bool [n].
    rng : source of the AUC's bootstrap.

    Returns
    -------
    "auc", "tpr", "above", each also with "_low" and "_high": means over the models.
    """
    scores, luck = ([score(one) for one in some] for some in (models, strangers))
    found = [metrics.auc(one, is_member, rng) + metrics.tpr_at_fpr(one, is_member, 0.01) for one in scores]
    names = [name + end for name in ("auc", "tpr", "above") for end in ("", "_low", "_high")]
    return dict(zip(names, [*np.mean(found, axis=0), *metrics.auc_above(scores, luck, is_member)]))


ABOVE_LUCK = (("auc", "AUC", tables.percent), ("above", "above luck", tables.points),
              ("tpr", "TPR at 1 % FPR", tables.percent))


def with_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `above_luck` rows with their numbers as text."""
    others = frame[[name for name in frame if not name.startswith(("auc", "above", "tpr"))]]
    return others.assign(**{text: tables.rates(frame, name, write) for name, text, write in ABOVE_LUCK})


def recognised(row: pd.Series, non_members: int) -> tuple[str, str]:
    """Return what an `above_luck` row says in words, and "recognised" or "cannot be told".

    Members are recognised where the interval of "above luck" lies above zero, or that of the TPR at
    1 % FPR above the upper end of the interval of the false positive rate.
    """
    most_false_alarms = metrics.rate(int(0.01 * non_members), non_members)[2]
    auc, above, tpr = (write(*(row[name + end] for end in ("", "_low", "_high"))) for name, _, write in ABOVE_LUCK)
    found = row["above_low"] > 0 or row["tpr_low"] > most_false_alarms
    return f"AUC {auc}, {above} above luck, TPR at 1 % FPR {tpr}", "recognised" if found else "cannot be told"
