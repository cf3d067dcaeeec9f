"""The accounting of differential privacy: what noise costs, and what it buys.

A mechanism is (epsilon, delta)-differentially private if adding or removing one person changes no probability
by more than a factor e^epsilon, delta aside (Dwork et al. 2006). All mechanisms of this report are made of noisy sums
of clipped contributions (see `mechanism`). An accountant adds up the losses of several such releases (`epsilon`).
"""

import functools
import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri

from . import privacy_loss

ACCOUNTANTS = ("pld", "rdp")
LEAST_SIGMA, MOST_SIGMA = 0.05, 1e4
SIGMA_PRECISION = 1e-4  # `noise_multiplier` finds sigma up to this relative error.


def sampling_rate(batch: float, people: float) -> float:
    """Return the probability with which each person is in a batch of the expected size `batch`.

    Both numbers are taken as public. The batch itself is drawn by one coin for each person (`mechanism.poisson`).

    Parameters
    ----------
    batch : expected size, above 0.
    people : how many there are. Where each class is released on its own, the mean size of a class.

    Raises
    ------
    ValueError
        If the batch is empty or larger than that.
    """
    if not 0 < batch <= people:
        raise ValueError(
            f"batch = {batch:g}: expected above 0 and at most {people:g}, the people who can be in it: "
            "choose a smaller batch"
        )
    return batch / people


def epsilon(sigma: float, rate: float, steps: int, delta: float, accountant: str = "pld") -> float:
    """Return an upper bound on epsilon at `delta` of `steps` noisy sums of Poisson batches.

    The guarantee is for adding or removing one person.

    With `rate` 1 the releases together are one Gaussian mechanism of mu = sqrt(steps) / sigma, whose epsilon is
    exact (Balle & Wang 2018). Otherwise "pld" convolves the privacy loss itself (`privacy_loss`), and "rdp" adds up
    Renyi divergences (Mironov, Talwar & Zhang 2019; by Opacus), which is known to be larger than need be and serves as
    a check. Opacus' accountant "prv" convolves too, but adds 0.01 to epsilon for its own errors and computes only one
    of the two directions. The accountant by the central limit theorem is no upper bound.

    Parameters
    ----------
    sigma : standard deviation of the noise in units of the clipping length, above 0.
    rate : probability with which each person is in a batch, above 0 to 1.
    steps : releases, 1 or more.
    delta : between 0 and 1.
    accountant : one of `ACCOUNTANTS`.

    Raises
    ------
    ValueError
        If a number is out of range, or there is no such accountant.
    """
    check_guarantee(sigma=sigma, rate=rate, steps=steps, delta=delta)
    if accountant not in ACCOUNTANTS:
        raise ValueError(f"accountant = {accountant!r}: expected one of {', '.join(ACCOUNTANTS)}")
    if rate == 1:
        return gaussian_epsilon(math.sqrt(steps) / sigma, delta)
    if accountant == "pld":
        return privacy_loss.epsilon(sigma, rate, steps, delta)
    from opacus.accountants import RDPAccountant  # It is imported here because that takes seconds.

    rdp = RDPAccountant()
    rdp.history = [(sigma, rate, steps)]
    return float(rdp.get_epsilon(delta))


@functools.cache  # A call takes a second or more, and notebook 11 asks for the same guarantee more than once.
def noise_multiplier(target: float, rate: float, steps: int, delta: float) -> float:
    """Return the smallest sigma for which `epsilon` is at most `target`, to a ten-thousandth from above.

    It is at least `LEAST_SIGMA`, whatever the target.

    Parameters
    ----------
    target : the epsilon to be kept, above 0; infinity takes no noise.
    rate, steps, delta : as in `epsilon`.

    Raises
    ------
    ValueError
        If a number is out of range, or no reasonable sigma keeps this epsilon.
    """
    check_guarantee(epsilon=target, rate=rate, steps=steps, delta=delta)
    if target == math.inf:
        return 0.0
    low = high = 1.0
    while epsilon(high, rate, steps, delta) > target:  # The search starts low: accountants struggle with a large sigma.
        low, high = high, 2 * high
        if high > MOST_SIGMA:
            raise ValueError(
                f"epsilon = {target:g} for {steps:,} releases: expected one that a sigma of {MOST_SIGMA:g} "
                "keeps: make fewer releases"
            )
    while low == high or epsilon(low, rate, steps, delta) <= target:
        low, high = low / 2, low
        if high < LEAST_SIGMA:
            return high
    while high > low * (1 + SIGMA_PRECISION):  # By halving: a sigma with another last digit would draw other noise.
        middle = math.sqrt(low * high)
        low, high = (low, middle) if epsilon(middle, rate, steps, delta) <= target else (middle, high)
    return high


def check_guarantee(**numbers: float) -> None:
    """Raise ValueError for the first of the numbers, given by name, that makes no sense in a guarantee."""
    rules: dict[str, tuple[Callable[[float], bool], str]] = {
        "sigma": (lambda value: 0 < value < math.inf, "above 0: without noise no epsilon can be promised"),
        "epsilon": (lambda value: value > 0, "above 0"),
        "delta": (lambda value: 0 < value < 1, "between 0 and 1"),
        "rate": (lambda value: 0 < value <= 1, "above 0 and at most 1"),
        "steps": (lambda value: value == int(value) and value >= 1, "a whole number of at least 1"),
    }
    for name, value in numbers.items():
        fits, expected = rules[name]
        if math.isnan(value) or not fits(value):
            raise ValueError(f"{name} = {value:g}: expected {expected}")


def highest_tpr(epsilon: float, delta: float, fpr: np.ndarray) -> np.ndarray:
    """Return the highest true positive rate that (epsilon, delta)-differential privacy allows any attack.

    TPR <= min(e^epsilon FPR + delta, 1 - e^-epsilon (1 - delta - FPR)) (Kairouz, Oh & Viswanath 2015).

    Parameters
    ----------
    epsilon, delta : the guarantee.
    fpr : false positive rates, float [...] from 0 to 1.
    """
    fpr = np.asarray(fpr, dtype=np.float64)
    return np.clip(np.minimum(np.exp(epsilon) * fpr + delta, 1 - np.exp(-epsilon) * (1 - delta - fpr)), 0, 1)


def gaussian_tpr(mu: float, fpr: np.ndarray) -> np.ndarray:
    """Return the true positive rate of the best test of N(0, 1) against N(mu, 1): Phi(Phi^-1(FPR) + mu)."""
    return ndtr(ndtri(np.asarray(fpr, dtype=np.float64)) + mu)


def best_tpr(fpr: np.ndarray, sigma: float, rate: float, steps: int) -> np.ndarray:
    """Return the highest true positive rate that any attack on `steps` noisy sums can have.

    See `privacy_loss.best_tpr`.

    Parameters
    ----------
    fpr : false positive rates, float [...] from 0 to 1.
    sigma, rate, steps : as in `epsilon`.
    """
    check_guarantee(sigma=sigma, rate=rate, steps=steps)
    if rate == 1:
        return gaussian_tpr(math.sqrt(steps) / sigma, fpr)
    return privacy_loss.best_tpr(np.asarray(fpr, dtype=np.float64), sigma, rate, steps)


def smallest_mu(sigma: float, rate: float, steps: int, delta: float) -> float:
    """Return the smallest mu for which `steps` noisy sums are mu-GDP with slack `delta`.

    See `privacy_loss.smallest_mu`. With `rate` 1 it is sqrt(steps) / sigma and takes no slack. The other arguments are
    those of `epsilon`.
    """
    check_guarantee(sigma=sigma, rate=rate, steps=steps, delta=delta)
    return math.sqrt(steps) / sigma if rate == 1 else privacy_loss.smallest_mu(sigma, rate, steps, delta)


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Return the mu of the Gaussian mechanism that is exactly (epsilon, delta)-private; see `noise_multiplier`."""
    return 1 / noise_multiplier(epsilon, 1, 1, delta)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the smallest epsilon >= 0 at `delta` of telling N(0, 1) from N(mu, 1) (Balle & Wang 2018, theorem 8).

        delta(epsilon) = Phi(mu / 2 - epsilon / mu) - e^epsilon Phi(-mu / 2 - epsilon / mu)

    Parameters
    ----------
    mu : >= 0, the distance of the means in standard deviations.
    delta : between 0 and 1, both excluded.
    """

    def too_large(epsilon: float) -> float:
        return ndtr(mu / 2 - epsilon / mu) - np.exp(epsilon + log_ndtr(-mu / 2 - epsilon / mu)) - delta

    if mu == 0 or too_large(0.0) <= 0:
        return 0.0
    renyi_bound = mu**2 / 2 + mu * np.sqrt(2 * np.log(1 / delta))
    return float(brentq(too_large, 0.0, renyi_bound))
