"""How well an attack did, each rate with its 95 % interval."""

import numpy as np
import pandas as pd
from scipy.stats import binomtest

LEVEL = 0.95
RATES = ("accuracy", "precision", "recall", "auc")


def rate(successes: int, trials: int) -> tuple[float, float, float]:
    """Return successes/trials and its Clopper-Pearson interval; NaN three times for no trials."""
    if trials == 0:
        return (np.nan,) * 3
    interval = binomtest(int(successes), int(trials)).proportion_ci(LEVEL, method="exact")
    return successes / trials, interval.low, interval.high


def auc(scores: np.ndarray, is_member: np.ndarray, rng: np.random.Generator,
        draws: int = 500) -> tuple[float, float, float]:
    """Return the area under the ROC curve and its bootstrap percentile interval.

    Members and non-members are resampled separately. Ties count one half.

    Parameters
    ----------
    scores : float [n], higher for "member".
    is_member : bool [n].
    rng : source of the resampling.
    draws : bootstrap samples.

    Raises
    ------
    ValueError
        If there are no members, no non-members, or a score is NaN.
    """
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} attack scores are NaN: no ROC curve exists")
    if is_member.all() or not is_member.any():
        raise ValueError("a ROC curve needs members and non-members, "
                         f"got only {'members' if is_member.all() else 'non-members'}")
    values, position = np.unique(scores, return_inverse=True)
    members = np.bincount(position[is_member], minlength=len(values))
    others = np.bincount(position[~is_member], minlength=len(values))

    def area(a, b):
        below = np.cumsum(b) - b
        return float(a @ (below + b / 2)) / (a.sum() * b.sum())
    samples = [area(rng.multinomial(members.sum(), members / members.sum()),
                    rng.multinomial(others.sum(), others / others.sum())) for _ in range(draws)]
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return area(members, others), float(low), float(high)


def evaluate(scores: np.ndarray, decisions: np.ndarray, is_member: np.ndarray,
             rng: np.random.Generator) -> dict[str, float]:
    """Return accuracy, precision, recall and AUC of an attack, each with `_low` and `_high`.

    Precision is NaN for an attack that never says "member".

    Parameters
    ----------
    scores : float [n], higher for "member".
    decisions, is_member : bool [n].
    rng : source of the AUC's bootstrap.
    """
    hits = decisions & is_member
    found = {"accuracy": rate((decisions == is_member).sum(), len(decisions)),
             "precision": rate(hits.sum(), decisions.sum()),
             "recall": rate(hits.sum(), is_member.sum()),
             "auc": auc(scores, is_member, rng)}
    return {name + suffix: float(value) for name, triple in found.items()
            for suffix, value in zip(("", "_low", "_high"), triple)}


def mean_over_runs(judged: pd.DataFrame) -> pd.DataFrame:
    """Return the means over the runs of every target and attack, and the rates as text.

    The text, for instance "51.2 % [50.1, 52.3]", holds the mean of the runs' intervals. It
    does not shrink with the number of runs, since all runs are judged on the same examples.

    Parameters
    ----------
    judged : one row a target, run and attack, with the columns of `evaluate`.

    Returns
    -------
    DataFrame indexed by (target, attack) in the order of `judged`, with the means of its
    numeric columns, and a column "accuracy, text" (and so on) a rate.
    """
    mean = judged.groupby(["target", "attack"], sort=False).mean(numeric_only=True)
    texts = {f"{name}, text": [percent(*row) for row in mean[[name, f"{name}_low", f"{name}_high"]].to_numpy()]
             for name in RATES}
    return mean.assign(**texts)


def percent(value: float, low: float, high: float) -> str:
    """Return "51.2 % [50.1, 52.3]" for fractions; "undefined" for NaN."""
    return "undefined" if np.isnan(value) else f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
