"""How well an attack did, each rate with its 95 % interval."""

from collections.abc import Callable

import numpy as np
from scipy.special import betainccinv, betaincinv, ndtr, ndtri

LEVEL = 0.95
RATES = ("accuracy", "precision", "recall", "auc")
LOW_FPRS = (0.01, 0.001, 0.0001)
PRIORS = (0.01, 0.1, 0.5)
FEWEST_ALLOWED = 5  # A rate at a threshold is only given where so many non-members may lie above it, or more.
# Bootstrap samples of an AUC, of a true positive rate, and of `bootstrap`'s statistics. With B samples the ends of an
# interval move by about 2.7 / sqrt(B) standard deviations from run to run: 0.12, 0.08 and 0.13 of the 3.9 between them.
# A sample of a true positive rate costs least, since no scores are drawn for it.
AUC_DRAWS, TPR_DRAWS, STATISTIC_DRAWS = 500, 1000, 400

Counts = int | np.integer | np.ndarray
Interval = tuple[float, float, float]  # A value, and the low and the high end of its interval.


def clopper_pearson(successes: Counts, trials: Counts, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Return both ends of the Clopper-Pearson intervals of binomial proportions.

    With k successes in n trials and alpha = 1 - level, the ends are the alpha/2 quantile of
    Beta(k, n - k + 1) and the 1 - alpha/2 quantile of Beta(k + 1, n - k); 0 for k = 0, 1 for
    k = n. Each end misses the true proportion with probability alpha/2 at most (Clopper &
    Pearson 1934). No trials give [0, 1].

    Parameters
    ----------
    successes, trials : int, or int arrays of one shape; 0 <= successes <= trials.
    level : confidence, between 0 and 1.

    Returns
    -------
    low, high : float64, of the shape of `successes`.

    Raises
    ------
    ValueError
        If there are more successes than trials, or fewer than none.
    """
    k, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    if ((k < 0) | (k > n)).any():
        raise ValueError(f"successes = {successes} of trials = {trials}: successes must lie between 0 and trials")
    tail = (1 - level) / 2
    low = np.where(k > 0, betaincinv(np.maximum(k, 1), n - k + 1, tail), 0.0)
    high = np.where(k < n, betainccinv(k + 1, np.maximum(n - k, 1), tail), 1.0)
    return low, high


def beyond_none_and_all(low: float, high: float, trials: int) -> tuple[float, float]:
    """Return the interval of a rate, widened to reach as far as the Clopper-Pearson intervals of none and of all.

    An interval that comes from a spread has no width where nobody is found, or everybody is.
    """
    (_, of_none), (of_all, _) = (clopper_pearson(k, trials) for k in (0, trials))
    return float(np.minimum(low, of_all)), float(np.maximum(high, of_none))


def rate(successes: int, trials: int) -> Interval:
    """Return successes/trials and its Clopper-Pearson interval; NaN three times for no trials."""
    if trials == 0:
        return (np.nan,) * 3
    low, high = clopper_pearson(successes, trials)
    return successes / trials, float(low), float(high)


def mean_rate(hits: np.ndarray, among: np.ndarray | None = None) -> Interval:
    """Return the mean over the runs of a share, and the mean of their intervals.

    All runs are judged on the same examples, so that the interval does not shrink with their number. Runs without an
    example do not count; NaN three times if none has one.

    Parameters
    ----------
    hits : bool [runs, n].
    among : bool [runs, n], which examples count; all if not given.
    """
    hits = np.asarray(hits, dtype=bool)
    among = np.ones_like(hits) if among is None else among
    rates = [rate(int((hit & counted).sum()), int(counted.sum())) for hit, counted in zip(hits, among) if counted.any()]
    value, low, high = np.mean(rates, axis=0).tolist() if rates else (np.nan,) * 3
    return value, low, high


def checked(scores: np.ndarray, is_member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores as float64 [n] and the membership as bool [n]; infinite scores are allowed.

    Raises
    ------
    ValueError
        If the shapes differ, a score is NaN, or there are no members or no non-members.
    """
    scores, is_member = np.asarray(scores, dtype=np.float64), np.asarray(is_member, dtype=bool)
    if scores.ndim != 1 or scores.shape != is_member.shape:
        raise ValueError(
            f"scores of shape {list(scores.shape)} and membership of shape {list(is_member.shape)}: "
            "one score and one membership an example are needed, both of shape [n]"
        )
    if np.isnan(scores).any():
        raise ValueError(
            f"{int(np.isnan(scores).sum())} attack scores are NaN: no ROC curve exists; "
            "look for NaN in the model's logits"
        )
    if is_member.all() or not is_member.any():
        raise ValueError(
            f"a ROC curve needs members and non-members, got only {'members' if is_member.any() else 'non-members'}"
        )
    return scores, is_member


def auc(scores: np.ndarray, is_member: np.ndarray, rng: np.random.Generator, draws: int = AUC_DRAWS) -> Interval:
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
    scores, is_member = checked(scores, is_member)
    values, position = np.unique(scores, return_inverse=True)
    members, non_members = position[is_member], position[~is_member]

    def area(members: np.ndarray, non_members: np.ndarray) -> float:
        """Return the AUC of scores that are given by their positions in `values`."""
        a, b = (np.bincount(positions, minlength=len(values)) for positions in (members, non_members))
        below = np.cumsum(b) - b
        return float(a @ (below + b / 2)) / (a.sum() * b.sum())

    def resampled(positions: np.ndarray) -> np.ndarray:
        return positions[rng.integers(0, len(positions), len(positions))]

    samples = [area(resampled(members), resampled(non_members)) for _ in range(draws)]
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return area(members, non_members), float(low), float(high)


def share_above(members: np.ndarray, non_members: np.ndarray, allowed: int) -> float:
    """Return the share of members whose score is above that of all but `allowed` of the non-members; NaN without."""
    if not len(members) or not len(non_members):
        return np.nan
    return float(np.mean(members > np.sort(non_members)[-1 - allowed]))


def _sorted(scores: np.ndarray, is_member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the members' and the non-members' scores, each ascending."""
    scores, is_member = checked(scores, is_member)
    return np.sort(scores[is_member]), np.sort(scores[~is_member])


def threshold_at_fpr(scores: np.ndarray, is_member: np.ndarray, fpr: float) -> float:
    """Return the smallest threshold t whose false positive rate is at most `fpr`, or NaN.

    "Member iff score > t". Of n non-members, floor(fpr n) may lie above t, so t is the score of
    the next one. Ties are not split: with tied scores fewer lie above.

    The smallest rate above zero that n non-members can show is 1/n. So `fpr` is *resolvable*
    only if fpr n >= 1; otherwise NaN is returned. Resolvable does not mean precise: t was found on
    these very non-members, and strangers would exceed it at an expected rate of
    (floor(fpr n) + 1)/(n + 1), twice `fpr` where fpr n = 1.

    Parameters
    ----------
    scores : float [n], higher for "member".
    is_member : bool [n].
    fpr : false positive rate, between 0 and 1, both excluded.

    Raises
    ------
    ValueError
        If `fpr` is not between 0 and 1, or for the reasons given in `checked`.
    """
    if not 0 < fpr < 1:
        raise ValueError(f"fpr = {fpr}: choose a false positive rate above 0 and below 1, for instance 0.01")
    _, non_members = _sorted(scores, is_member)
    allowed = int(fpr * len(non_members) + 1e-9)  # 0.07 * 100 is 7.000000000000001, 0.29 * 100 is 28.999999999999996
    return float(non_members[-1 - allowed]) if allowed else np.nan


def tpr_at_fpr(scores: np.ndarray, is_member: np.ndarray, fpr: float, rng: np.random.Generator) -> Interval:
    """Return the true positive rate at `threshold_at_fpr` and its 95 % interval (bootstrap percentiles).

    Members and non-members are both resampled, and the threshold is chosen anew each time: the
    interval of the members above one fixed threshold would be much too narrow. Where no member is above, it ends
    where the Clopper-Pearson interval does. Constant scores give 0: nobody can be called a member without
    calling everybody one.

    NaN three times where the non-members cannot resolve `fpr`: where fewer than `FEWEST_ALLOWED` of them may
    lie above the threshold, no interval can be trusted.

    Parameters
    ----------
    rng : source of the resampling.

    The other parameters and the errors are those of `threshold_at_fpr`.
    """
    threshold = threshold_at_fpr(scores, is_member, fpr)
    members, non_members = _sorted(scores, is_member)
    allowed = int(fpr * len(non_members) + 1e-9)
    if allowed < FEWEST_ALLOWED:
        return (np.nan,) * 3
    low, high = _tpr_interval(members, non_members, allowed, rng)
    return float(np.mean(members > threshold)), low, high


def _tpr_interval(
    members: np.ndarray, non_members: np.ndarray, allowed: int, rng: np.random.Generator, draws: int = TPR_DRAWS
) -> tuple[float, float]:
    """Return the bootstrap interval of the share of members above all but `allowed` non-members; scores ascending.

    The (k + 1)-th largest of n resampled scores is the score at the quantile 1 - B of the sample, with
    B ~ Beta(k + 1, n - k); of the members above it a binomial number is drawn. No sample need be drawn whole.

    Where no member is above, no resampled member is: see `beyond_none_and_all`.
    """
    n = len(non_members)
    position = n - 1 - np.minimum((n * rng.beta(allowed + 1, n - allowed, draws)).astype(int), n - 1)
    above = len(members) - np.searchsorted(members, non_members[position], side="right")
    shares = rng.binomial(len(members), above / len(members)) / len(members)
    low, high = np.quantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return beyond_none_and_all(low, high, len(members))


def roc_band(
    scores: np.ndarray, is_member: np.ndarray, rng: np.random.Generator, points: int = 50
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the ROC curve on a logarithmic grid of false positive rates, with a band.

    The band is *pointwise*: at each grid point the 95 % interval of `tpr_at_fpr`. The whole curve
    leaves it somewhere more often than in 5 % of the cases.

    Parameters
    ----------
    scores : float [n], higher for "member".
    is_member : bool [n].
    rng : source of the resampling.
    points : grid points asked for; those that fall on the same number of non-members merge.

    Returns
    -------
    fpr : float64 [k], ascending multiples of 1/n for n non-members, from the smallest that they can resolve to 1.
    tpr, low, high : float64 [k].
    """
    members, non_members = _sorted(scores, is_member)
    allowed = np.unique(
        np.geomspace(min(FEWEST_ALLOWED, len(non_members)), len(non_members), points).round().astype(int)
    )
    # The last point calls everybody a member, which no score as a threshold does.
    thresholds = non_members[-1 - allowed[:-1]]
    hits = np.append(len(members) - np.searchsorted(members, thresholds, side="right"), len(members))
    band = [_tpr_interval(members, non_members, k, rng) for k in allowed[:-1]] + [(1.0, 1.0)]
    return allowed / len(non_members), hits / len(members), *np.transpose(band)


def best_balanced_accuracy(scores: np.ndarray, is_member: np.ndarray) -> float:
    """Return the largest (TPR + 1 - FPR)/2 over all thresholds, from 0.5 to 1.

    This is an *upper bound*, not an attack's accuracy: the threshold is chosen with the
    memberships it is judged on, so even random scores come out above one half. It has no
    interval for that reason.
    """
    members, non_members = _sorted(scores, is_member)
    thresholds = np.unique(np.concatenate([members, non_members]))
    below_members, below_non_members = (
        np.searchsorted(side, thresholds) / len(side) for side in (members, non_members)
    )
    return float(0.5 + (below_non_members - below_members).max() / 2)


def precision_at_prior(decisions: np.ndarray, is_member: np.ndarray, prior: float) -> Interval:
    """Return the precision where a share `prior` of the people are members, and its interval.

        precision = prior TPR / (prior TPR + (1 - prior) FPR)

    An examination with as many members as non-members has prior one half; an attacker in the wild
    rarely does. The interval is conservative: its ends combine the worst and the best ends of the
    97.5 % Clopper-Pearson intervals of TPR and FPR, which both hold with at least 95 %.
    The precision is NaN for an attack that never says "member"; its interval is then [0, 1].

    Parameters
    ----------
    decisions, is_member : bool [n].
    prior : between 0 and 1, both excluded.

    Raises
    ------
    ValueError
        If `prior` is not between 0 and 1, or there are no members or no non-members.
    """
    if not 0 < prior < 1:
        raise ValueError(f"prior = {prior}: choose a share of members above 0 and below 1, for instance 0.01")
    decisions, is_member = checked(decisions, is_member)
    called = np.array([decisions[is_member].sum(), decisions[~is_member].sum()])
    asked = np.array([is_member.sum(), (~is_member).sum()])
    low, high = clopper_pearson(called, asked, level=1 - (1 - LEVEL) / 2)

    def precision(tpr: float, fpr: float) -> float:
        return float(prior * tpr / (prior * tpr + (1 - prior) * fpr)) if tpr + fpr else np.nan

    return precision(*(called / asked)), precision(low[0], high[1]), precision(high[0], low[1])


def evaluate(
    scores: np.ndarray, decisions: np.ndarray, is_member: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
    """Return accuracy, precision, recall and AUC of an attack, each with `_low` and `_high`.

    Precision is NaN for an attack that never says "member".

    Parameters
    ----------
    scores : float [n], higher for "member".
    decisions, is_member : bool [n].
    rng : source of the AUC's bootstrap.
    """
    hits = decisions & is_member
    rates = {
        "accuracy": rate((decisions == is_member).sum(), len(decisions)),
        "precision": rate(hits.sum(), decisions.sum()),
        "recall": rate(hits.sum(), is_member.sum()),
        "auc": auc(scores, is_member, rng),
    }
    return {
        name + suffix: float(value)
        for name, triple in rates.items()
        for suffix, value in zip(("", "_low", "_high"), triple)
    }


def bootstrap(
    statistic: Callable[..., float],
    samples: list[np.ndarray],
    labels: np.ndarray,
    rng: np.random.Generator,
    draws: int = STATISTIC_DRAWS,
) -> Interval:
    """Return a statistic and its 95 % interval by a bootstrap over images and runs.

    Images are resampled within their class, the same ones for all samples, because all models are judged on the same
    images. Of the R runs of each sample R - 1 are drawn with replacement, which gives the variance of their mean
    without bias (Rao & Wu 1988); a single run stays. The interval is bias-corrected (Efron 1981), because resampled
    images are spread more widely than the images themselves.

    Parameters
    ----------
    statistic : ``statistic(*samples)`` is a float.
    samples : arrays [runs, ..., n], each with runs of its own.
    labels : int [n].
    rng : source of the resampling.
    draws : bootstrap samples.
    """
    value, classes = statistic(*samples), [np.flatnonzero(labels == c) for c in np.unique(labels)]
    drawn, rows = [], np.empty(len(labels), dtype=np.int64)
    for _ in range(draws):
        for of_class in classes:  # An image is replaced by one of its class, so that the labels stay what they are.
            rows[of_class] = of_class[rng.integers(0, len(of_class), len(of_class))]
        drawn.append(
            statistic(*(runs[rng.integers(0, len(runs), max(1, len(runs) - 1))][..., rows] for runs in samples))
        )
    below = np.clip(
        (np.mean(np.less(drawn, value)) + np.mean(np.less_equal(drawn, value))) / 2, 1 / draws, 1 - 1 / draws
    )
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, _corrected(np.array([tail, 1 - tail]), below), method="nearest")
    return float(value), float(low), float(high)


def _corrected(levels: np.ndarray, below: float) -> np.ndarray:
    """Return the levels of the bootstrap quantiles, where a share `below` of the draws lies below the statistic."""
    return ndtr(2 * ndtri(below) + ndtri(levels))
