"""The privacy loss of noisy sums of Poisson batches, convolved numerically.

It gives every trade-off between the two errors that is left to an attack.

With a person, one release is distributed as P = (1 - q) N(0, sigma^2) + q N(1, sigma^2) along their direction, without
them as Q = N(0, sigma^2), in units of the clipping length; no other pair of data sets that differ in one person is told
apart more easily (Zhu, Dong & Wang 2022). The privacy loss ln P(x)/Q(x) of several releases is a sum, so that its
distribution is a convolution.

The losses are rounded to a grid such that nothing becomes more private: whoever has a loss in between is split between
the two neighbours so that probabilities with and without the person are both kept ("connect the dots", Doroshenko et
al. 2022). All that is said here is therefore an upper bound, up to rounding errors of some 1e-11 in a probability,
whatever the grid. Both directions are computed, a person removed and a person added: what is the worst case for one
release need not be so for several (Lebeda et al. 2024).
"""

import functools
import math

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtr, ndtri

TAIL = 1e-13  # This probability is cut off, and counted as an infinite loss.
FINEST_STEP, COARSEST_STEP = 1e-5, 1e-3  # The step of the grid of losses lies between these, in nats.
MOST_POINTS = 50_000  # The grid has at most so many points; losses of hundreds of nats need no fine one.
LARGEST_LOSS = 600  # In nats. Of a larger loss e to its power is not far from the largest float64.
MOMENTS = np.geomspace(0.01, 1000, 31)  # The ends of the sum of losses are found by Chernoff's bound with these.


def _range(sigma: float, rate: float) -> np.ndarray:
    """Return the smallest and the largest privacy loss of one release, but for a probability of `TAIL` at each end."""
    reach = -sigma * ndtri(TAIL)
    return np.logaddexp(math.log1p(-rate), math.log(rate) + (2 * np.array([-reach, 1 + reach]) - 1) / (2 * sigma**2))


def _one_release(sigma: float, rate: float, step: float, removed: bool) -> tuple[int, np.ndarray, float]:
    """Return the first grid point, the probabilities of the losses of one release, and that of an infinite loss."""

    def point_of(loss: np.ndarray) -> np.ndarray:
        """Return the released value at which P/Q = e^loss."""
        return 0.5 + sigma**2 * (loss + np.log1p((rate - 1) * np.exp(-loss)) - math.log(rate))

    low, high = _range(sigma, rate)
    first, last = math.floor(low / step), math.ceil(high / step)
    grid = step * np.arange(first, last + 1)
    inner = grid > math.log1p(-rate)
    at = np.where(inner, point_of(np.where(inner, grid, 0.0)), -np.inf)
    # The probabilities of the cells between the grid points, and beyond both ends.
    without, shifted = _between(at / sigma), _between((at - 1) / sigma)
    within = (1 - rate) * without + rate * shifted
    if removed:
        return first, *_split_cells(within, without, grid)
    return -last, *_split_cells(without[::-1], within[::-1], -grid[::-1])


def _between(at: np.ndarray) -> np.ndarray:
    """Return the probabilities of a standard Gaussian below, between and above ascending points, float64 [n + 1]."""
    at = np.concatenate([[-np.inf], at, [np.inf]])
    return np.where(
        at[1:] <= 0, np.diff(ndtr(at)), -np.diff(ndtr(-at))
    )  # Each comes from the tail in which it is exact.


def _split_cells(p: np.ndarray, q: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the probabilities, under P, of the grid's losses once every cell is split between its two ends."""
    ratio = np.exp(grid)
    upper_q = np.clip((p[1:-1] - ratio[:-1] * q[1:-1]) / np.diff(ratio), 0, None)
    upper = np.minimum(ratio[1:] * upper_q, p[1:-1])
    at_last = min(ratio[-1] * q[-1], p[-1])  # The upper end of the last cell is infinity.
    return np.concatenate([[p[0]], upper]) + np.concatenate([p[1:-1] - upper, [at_last]]), p[-1] - at_last


@functools.lru_cache(maxsize=64)
def losses(sigma: float, rate: float, steps: int, removed: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the distribution of the privacy loss of several releases.

    Parameters
    ----------
    sigma, rate, steps : as in `accounting.epsilon`; the rate is below 1.
    removed : whether outcomes are drawn with the person, and the loss is ln P/Q; else without, and it is ln Q/P.

    Returns
    -------
    Losses in nats, float64 [n] ascending; their probabilities, float64 [n]; and the probability of an infinite loss.

    Raises
    ------
    ValueError
        If one release alone can have a loss of more than `LARGEST_LOSS`.
    """
    if _range(sigma, rate)[1] > LARGEST_LOSS:
        raise ValueError(
            f"sigma = {sigma:g}: expected more noise: one release alone can lose {_range(sigma, rate)[1]:,.0f} "
            "nats, and what attacks find in it cannot be computed"
        )
    step = max(
        float(np.clip(rate / sigma / 10, FINEST_STEP, COARSEST_STEP)), float(np.ptp(_range(sigma, rate))) / MOST_POINTS
    )
    first, p, infinite = _one_release(sigma, rate, step, removed)
    grid = step * (first + np.arange(len(p)))
    # Chernoff's bounds of the sum.
    low, high = (
        sign * min((steps * _log_mean_exp(sign * moment * grid, p) - math.log(TAIL)) / moment for moment in MOMENTS)
        for sign in (-1, 1)
    )
    low, high = max(math.floor(low / step), steps * first), min(math.ceil(high / step), steps * (first + len(p) - 1))
    size = next_fast_len(max(high - low + 1, len(p)), real=True)
    circular = irfft(rfft(p, size) ** steps, size)  # Index i holds the sums steps * first + i + k size.
    sums = np.roll(circular, -((low - steps * first) % size))[: high - low + 1]
    return step * np.arange(low, high + 1), np.maximum(sums, 0), 1 - (1 - infinite) ** steps + 2 * TAIL


def _log_mean_exp(values: np.ndarray, p: np.ndarray) -> float:
    return values.max() + math.log(np.maximum(p, 1e-300) @ np.exp(values - values.max()))


def epsilon(sigma: float, rate: float, steps: int, delta: float) -> float:
    """Return the smallest epsilon >= 0 of several releases at `delta`; the other arguments are those of `losses`."""
    if _range(sigma, rate)[1] > LARGEST_LOSS:
        return math.inf
    return max(_epsilon(*losses(sigma, rate, steps, removed), delta) for removed in (True, False))


def _epsilon(grid: np.ndarray, p: np.ndarray, infinite: float, delta: float) -> float:
    first, second = _above(grid, p, infinite)
    with np.errstate(divide="ignore"):
        # These fall along the grid, and are linear in e^epsilon between its points.
        deltas = first - np.exp(grid + np.log(second))
    at = int(np.argmax(deltas <= delta))
    if deltas[at] > delta or second[at] < 1e-300:  # Epsilon is then in the hundreds.
        return math.inf
    return max(0.0, math.log(max(first[at] - delta, second[at]) / second[at]))


def best_tpr(fpr: np.ndarray, sigma: float, rate: float, steps: int) -> np.ndarray:
    """Return the highest true positive rate that any attack on several releases can have.

    By the lemma of Neyman and Pearson the best attack says "member" from some privacy loss on. Where that loss is
    positive, the rates come from the distribution with the person, and elsewhere from the one without.

    Parameters
    ----------
    fpr : false positive rates, float [...] from 0 to 1.
    sigma, rate, steps : as in `losses`.
    """
    tpr_low, fpr_low = _corners(sigma, rate, steps, True)
    fpr_high, tpr_high = (1 - rates[::-1] for rates in _corners(sigma, rate, steps, False))
    points = np.array([[0, *fpr_low, *fpr_high, 1], [tpr_low[0], *tpr_low, *tpr_high, 1]])
    return np.interp(fpr, *np.maximum.accumulate(points, axis=1))


def smallest_mu(sigma: float, rate: float, steps: int, delta: float) -> float:
    """Return the smallest mu for which several releases tell an attack no more than a mu-Gaussian mechanism does.

    `delta` is left aside:

        TPR <= Phi(Phi^-1(FPR) + mu) + delta   and   1 - FPR <= Phi(Phi^-1(1 - TPR) + mu) + delta

    for all attacks: the releases are mu-GDP (Dong, Roth & Su 2022) with the slack that (epsilon, delta) has too.
    Without any slack mu is sqrt(steps) / sigma however rarely people are sampled, because of false positive rates that
    no attacker ever meets.

    Parameters
    ----------
    sigma, rate, steps : as in `losses`.
    delta : the slack, 1e-9 or more because of rounding errors.
    """
    mus = [
        ndtri(first[first > delta] - delta) - ndtri(second[first > delta])
        for first, second in (_corners(sigma, rate, steps, removed) for removed in (True, False))
    ]
    return max(0.0, *(float(values.max(initial=0.0)) for values in mus))


def _corners(sigma: float, rate: float, steps: int, removed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return `_above` for the losses above 0, from the largest on: the corners of a trade-off curve."""
    grid, p, infinite = losses(sigma, rate, steps, removed)
    first, second = _above(grid, p, infinite)
    return first[grid > 0][::-1], second[grid > 0][::-1]


def _above(grid: np.ndarray, p: np.ndarray, infinite: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities of a loss at or above each grid point, under either distribution of the pair."""
    return np.cumsum(p[::-1])[::-1] + infinite, np.cumsum((p * np.exp(-grid))[::-1])[::-1]
