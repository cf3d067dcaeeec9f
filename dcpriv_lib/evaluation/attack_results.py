"""How attacks against the targets are judged."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from .. import metrics
from ..attacks.attack import Answers, Attack
from ..privacy import auditing


def judge(
    targets: dict[tuple, Answers], suite: dict[str, Attack], is_member: np.ndarray, measure: Callable[..., dict]
) -> tuple[dict, pd.DataFrame]:
    """Run every attack against every target; those that need others' answers, which a target may lack, are left out
    there.

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
    scores = {
        (*key, name): attack.score(answers)
        for key, answers in targets.items()
        for name, attack in suite.items()
        if answers.other_logits is not None or not attack.needs_others
    }
    rows = [
        dict(zip(("target", "run", "attack"), key))
        | {"n": len(is_member)}
        | measure(score, score >= suite[key[-1]].threshold, key)
        for key, score in scores.items()
    ]
    return scores, pd.DataFrame(rows)


def usual(is_member: np.ndarray, labels: np.ndarray, rng: Callable[..., np.random.Generator]) -> Callable[..., dict]:
    """Return the measure of the paper: precision, recall, accuracy, and the AUC, with intervals.

    "constant_classes" counts the classes of which everybody, or nobody, is called a member.

    Parameters
    ----------
    is_member, labels : bool [n], int [n], of the examples in question.
    rng : ``rng(*purpose)`` is the source of the resampling for one purpose.
    """

    def measure(score, says_member, key):
        same = [len(np.unique(says_member[labels == label])) == 1 for label in np.unique(labels)]
        return metrics.evaluate(score, says_member, is_member, rng("auc", *key)) | {"constant_classes": sum(same)}

    return measure


def strong(is_member: np.ndarray, rng: Callable[..., np.random.Generator]) -> Callable[..., dict]:
    """Return the measure of the strong attacks: true positives at low false positive rates, and epsilon.

    "right_of_ten": how many of the ten with the highest scores are members. The arguments are as in `usual`.
    """

    def measure(score, says_member, key):
        draw = rng("strong", *key)
        low_fpr = rates_at_low_fpr(score, is_member, draw)
        return (
            {"non_members": int((~is_member).sum())}
            | metrics.evaluate(score, says_member, is_member, draw)
            | low_fpr
            | {
                "best_balanced_accuracy": metrics.best_balanced_accuracy(score, is_member),
                "epsilon": auditing.epsilon_lower_bound(score, is_member, draw),
                "right_of_ten": int(is_member[np.argsort(-score)[:10]].sum()),
            }
        )

    return measure


def rates_at_low_fpr(score: np.ndarray, is_member: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Return `metrics.tpr_at_fpr` at every rate of `metrics.LOW_FPRS`: "tpr_at_0.01", "tpr_at_0.01_low" and so on."""
    found = {f"tpr_at_{fpr}": metrics.tpr_at_fpr(score, is_member, fpr, rng) for fpr in metrics.LOW_FPRS}
    return {name + end: value for name, triple in found.items() for end, value in zip(("", "_low", "_high"), triple)}


def ranking(score: np.ndarray, is_member: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Return what a score says without a threshold: AUC and true positive rates with intervals, and epsilon.

    Parameters
    ----------
    score : float [n], higher for "member".
    is_member : bool [n].
    rng : source of the resampling and of the halves for epsilon.
    """
    auc = dict(zip(("auc", "auc_low", "auc_high"), metrics.auc(score, is_member, rng)))
    return (
        auc | rates_at_low_fpr(score, is_member, rng) | {"epsilon": auditing.epsilon_lower_bound(score, is_member, rng)}
    )
