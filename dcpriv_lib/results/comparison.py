"""Two results compared: their difference with an interval, and what it says of a claim."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from .. import metrics
from ..evaluation import examination
from . import tables


def larger(a: pd.Series, b: pd.Series | None) -> tuple[tables.Cell | str, str]:
    """Return both means, and "holds" if the runs `a` have the larger one, "the reverse holds", or "no difference
    detected"."""
    if b is None:
        return "", ""
    found = supports(*difference(a, b)[1:]) if min(len(a), len(b)) > 1 else "no difference detected"
    means = [tables.plain(one.mean(), "{:.1%}") for one in (a, b)]
    return (
        tables.sentence("{} against {}", *means),
        {"supported": "holds", "contradicted": "the reverse holds"}.get(found, found),
    )


def difference(a: pd.Series, b: pd.Series) -> tuple[float, float, float]:
    """Return the mean of runs `a` less that of runs `b`, and its 95 % interval by Welch's t; NaN where none has a
    spread."""
    from scipy.stats import ttest_ind  # here, because importing it takes a second

    low, high = ttest_ind(a, b, equal_var=False).confidence_interval(metrics.LEVEL)
    return float(a.mean() - b.mean()), float(low), float(high)


def gain(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of a - b, each a number of the same half of the people, and its 95 % interval by Student's paired
    t.

    Parameters
    ----------
    a, b : float [halves], two or more.
    """
    from scipy.stats import ttest_rel  # here, because importing it takes a second

    low, high = ttest_rel(a, b).confidence_interval(metrics.LEVEL)
    return float(np.mean(a) - np.mean(b)), float(low), float(high)


def luck(intervals: Collection[tuple[float, float, float]]) -> str:
    """Return the sentence to stand under a table of 95 % intervals of differences: how many would exclude 0 by luck
    alone, and how many do.

    Parameters
    ----------
    intervals : (value, low, high); NaN does not count.
    """
    known = [one for one in intervals if not np.isnan(one[1])]
    found = sum(supports(*one[1:]) != "no difference detected" for one in known)
    return (
        f"{len(known)} intervals of 95 % stand here. If there were no difference anywhere, about "
        f"{(1 - metrics.LEVEL) * len(known):.1f} of them would show one by luck; {found} do."
    )


def depends(on: str, a: np.ndarray, b: np.ndarray, a_name: str, b_name: str) -> tuple[dict, tuple[float, float, float]]:
    """Return a row on a sentence of Chen et al., that the leak depends on something, and the difference of two AUCs
    that it rests on.

    Parameters
    ----------
    on : what it depends on.
    a, b : float [models], the AUCs at one end and at the other.
    a_name, b_name : what the two ends are.
    """
    apart = examination.over_pairs(a - b)
    said = supports(*apart[1:])
    return {
        "they say: the leak depends on": on,
        "compared": f"{a_name} with {b_name}",
        "AUC, difference": tables.points(*apart),
        "verdict": undetected(a - b) if said == "no difference detected" else said,
    }, apart


def undetected(differences: np.ndarray) -> tables.Cell:
    """Return "no difference detected", and which would have been; `differences` are those of the models, float
    [models]."""
    least = tables.plain(examination.detectable(differences), "{:.1 points}")
    return tables.sentence("no difference detected; detectable: {}", least)


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
