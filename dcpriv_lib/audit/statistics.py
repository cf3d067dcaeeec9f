"""What scores of members and of people held out say, each number with an interval of any level.

The bootstrap of `metrics` would need thousands of draws for the levels that a dozen attacks at once ask for. What is
here is a formula, or exact for finite numbers of people.
"""

import numpy as np
from scipy.special import betainc, ndtr, ndtri
from scipy.stats import hypergeom, rankdata

from ..metrics import LEVEL, Interval, clopper_pearson

POWER = 0.8  # with which the smallest leak is found that is said to be detectable


def ranks(scores: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the rank of every score in its class, (rank - 1/2)/n, float64 [n], between 0 and 1; ties share the mean.

    So people are compared with those of their class only: classes of which the scores are higher, and which may be
    more frequent on one side, tell nothing of who was condensed.

    Parameters
    ----------
    scores : float [n].
    classes : int [n].
    """
    found = np.empty(len(scores))
    for label in np.unique(classes):
        own = classes == label
        found[own] = (rankdata(scores[own]) - 0.5) / own.sum()
    return found


def auc(scores: np.ndarray, is_member: np.ndarray, level: float = LEVEL) -> Interval:
    """Return the area under the ROC curve and its interval, the wider one of two at either end.

    One is DeLong's (1988), from the spread of everybody's placement among the other side. It has no width where the two
    sides do not overlap. The other is Newcombe's (2006): all areas from which the one found is not further away than z
    standard errors, of Hanley and McNeil (1982), that these areas would have.

    Parameters
    ----------
    scores : float [n], higher for "member".
    is_member : bool [n], with some of both.
    level : confidence, between 0 and 1.
    """
    members, others = np.sort(scores[is_member]), np.sort(scores[~is_member])
    of_members, of_others = _placements(members, others), 1 - _placements(others, members)
    area = float(of_members.mean())
    z = float(ndtri((1 + level) / 2))
    error = np.sqrt(sum(values.var(ddof=1) / len(values) for values in (of_members, of_others) if len(values) > 1))
    low, high = _newcombe(area, len(members), len(others), z)
    return area, max(0.0, min(low, area - z * error)), min(1.0, max(high, area + z * error))


def _placements(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the share of others, ascending, below each score, float64; ties count one half."""
    return (np.searchsorted(others, scores, "left") + np.searchsorted(others, scores, "right")) / (2 * len(others))


def _newcombe(area: float, members: int, others: int, z: float) -> tuple[float, float]:
    """Return the smallest and the largest area from which the one found is at most z standard errors away."""
    areas = np.linspace(0, 1, 20_001)
    twice = (areas / (2 - areas) + 2 * areas**2 / (1 + areas)) - 2 * areas**2
    variance = (areas * (1 - areas) + ((members + others) / 2 - 1) * twice) / (members * others)
    inside = areas[(areas - area) ** 2 <= z**2 * np.maximum(variance, 0) + 1e-9]
    return float(inside[0]), float(inside[-1])


def p_of_ranks(ranked: np.ndarray, is_member: np.ndarray, classes: np.ndarray) -> float:
    """Return the chance of members' ranks as high as these, or higher, if it does not matter who was condensed.

    The sum of the members' ranks, classes apart, in units of the deviation that it has over all choices of as many
    members of each class (van Elteren 1960); the normal distribution stands for the exact one.

    Parameters
    ----------
    ranked : `ranks` [n].
    is_member, classes : [n].
    """
    excess = variance = 0.0
    for label in np.unique(classes):
        own = classes == label
        n, members = own.sum(), is_member[own].sum()
        if n > 1:
            excess += ranked[own & is_member].sum() - members * ranked[own].mean()
            variance += members * (n - members) / n * ranked[own].var(ddof=1)
    return float(ndtr(-excess / np.sqrt(variance))) if variance > 0 else 1.0


def tpr(scores: np.ndarray, is_member: np.ndarray, fpr: float, level: float = LEVEL) -> Interval:
    """Return the true positive rate at a false positive rate, and an interval that holds for any number of people.

    Of n people held out the (a + 1)-th highest is exceeded at a false positive rate that is distributed as
    Beta(a + 1, n - a). The low end counts the members above a threshold whose rate is below `fpr`, the high end those
    above one whose rate is above it, each with a certainty of 1 - (1 - level)/4; the other quarters are Clopper and
    Pearson's for the members counted. With too few people the interval is wide, and ends at 0 and at 1.

    Parameters
    ----------
    scores : float [n], higher for "member".
    is_member : bool [n], with some of both.
    fpr : between 0 and 1.
    level : confidence, between 0 and 1.

    Returns
    -------
    The rate at the threshold that floor(fpr n) people exceed, NaN if that is nobody; and both ends.
    """
    members, others = np.sort(scores[is_member]), np.sort(scores[~is_member])[::-1]
    n, allowed = len(others), np.arange(len(others))
    quarter = (1 - level) / 4
    below = betainc(allowed + 1, n - allowed, fpr)  # the chance of a rate below fpr
    certain, enough = np.flatnonzero(1 - below <= quarter), np.flatnonzero(below <= quarter)
    low, high = 0.0, 1.0
    if len(certain):
        above = len(members) - np.searchsorted(members, others[certain[-1]], "right")
        low = float(clopper_pearson(above, len(members), 1 - 2 * quarter)[0])
    if len(enough):
        above = len(members) - np.searchsorted(members, others[enough[0]], "left")
        high = float(clopper_pearson(above, len(members), 1 - 2 * quarter)[1])
    k = int(fpr * n + 1e-9)
    value = float(np.mean(members > others[k])) if 0 < k < n else np.nan
    return value, low, high


def p_of_excess(scores: np.ndarray, is_member: np.ndarray, fpr: float) -> tuple[int, float]:
    """Return how many members stand above the share `fpr` of the people held out, and the chance of so many or more.

    If it does not matter who was condensed, all orders of everybody are equally likely. That k members or more stand
    above all but a = floor(fpr n) of the people held out means that of the highest a + k of all, k or more are members:
    a hypergeometric probability.

    Parameters
    ----------
    scores : float [n], higher for "member"; a member who ties with the threshold does not stand above it.
    is_member : bool [n], with some of both.
    fpr : between 0 and 1.
    """
    members, others = scores[is_member], np.sort(scores[~is_member])[::-1]
    allowed = min(int(fpr * len(others) + 1e-9), len(others) - 1)
    above = int((members > others[allowed]).sum())
    return above, float(hypergeom.sf(above - 1, len(scores), len(members), allowed + above))


def detectable_auc(members: int, others: int, level: float = LEVEL) -> float:
    """Return the AUC that would have been found in 8 of 10 repetitions by a one-sided test of 50 % at this level."""
    error = np.sqrt((members + others + 1) / (12 * members * others))
    return float(min(1.0, 0.5 + (ndtri(level) + ndtri(POWER)) * error))
