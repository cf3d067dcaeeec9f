"""What condensed images have to be compared with: real images at equal accuracy, and the most that a random subset can
leak."""

import itertools
from collections.abc import Callable

import numpy as np

from .. import metrics


def at_equal_accuracy(accuracy: np.ndarray, by_size: dict[str, tuple[np.ndarray, np.ndarray]]) -> np.ndarray | None:
    """Return the values that models of real images would have at the accuracy of others, between those of two sizes.

    On the straight line between the sizes that are a little less and a little more accurate, with weights 1 - w and w
    by the means,

        r_j = (1 - w) a_j + w b_j + s (x_j - (1 - w) l_j - w h_j),

    x being the accuracies of the models in question, l and h those of the two sizes, a and b their values, and s the
    slope of the line. The last term is zero on average. It carries the uncertainty of the accuracies into the interval
    `over_pairs`: who is more accurate by luck is compared with a luckier rival.

    Parameters
    ----------
    accuracy : float [models], the mean of which is to be reached.
    by_size : accuracies and values, float [models] each, of models of each size.

    Returns
    -------
    float [models], model by model; None where the mean accuracy is below the lowest or above the highest.
    """
    ordered = sorted(by_size.values(), key=lambda one: one[0].mean())
    for (low, a), (high, b) in itertools.pairwise(ordered):
        if low.mean() <= accuracy.mean() <= high.mean():
            width = high.mean() - low.mean()
            weight = (accuracy.mean() - low.mean()) / width if width > 0 else 0.5
            slope = (b.mean() - a.mean()) / width if width > 0 else 0.0
            return (1 - weight) * a + weight * b + slope * (accuracy - (1 - weight) * low - weight * high)
    return None


def above_as_accurate(
    right: np.ndarray,
    values: np.ndarray,
    real: list[tuple[np.ndarray, np.ndarray]],
    measure: Callable[[np.ndarray], float],
    labels: np.ndarray,
    rng: np.random.Generator,
) -> tuple[float, float, float] | None:
    """Return how far models are above models of real images that are as accurate, and the interval of
    `metrics.bootstrap`.

    What models of real images would have at this accuracy lies on the straight line between the two neighbours in
    accuracy.

    Parameters
    ----------
    right, values : bool [runs, n] each, which images the models in question have right, and what is measured of these
        images.
    real : the same two of models of real images, of several sizes.
    measure : ``measure(values)`` is a float, for instance a share or a spread.
    labels : int [n], the classes of the images.
    rng : source of the resampling.

    Returns
    -------
    difference, low, high; None if the accuracy is below the lowest or above the highest of the real ones.
    """

    def difference(right, values, *others):
        by_accuracy = sorted((clean.mean(), measure(one)) for clean, one in zip(others[::2], others[1::2]))
        return measure(values) - np.interp(right.mean(), *zip(*by_accuracy))

    accuracies = [clean.mean() for clean, _ in real]
    if not real or not min(accuracies) <= right.mean() <= max(accuracies):
        return None
    return metrics.bootstrap(difference, [right, values, *(one for pair in real for one in pair)], labels, rng)


# ---------------------------------------------------------------- what a random subset can give away at most


def ceiling(shown: float, members: float) -> float:
    """Return the highest AUC that any attack can have on members of whom a random choice was used, on average.

    n of N members are drawn at random; whatever is made of them, models or published images, is (0, n/N)-differentially
    private. Whoever was not drawn has no influence, and so scores like a non-member. Thus, at every threshold,

        TPR <= FPR + n/N,   and   AUC = 1/2 + (n/N) (AUC_drawn - 1/2) <= 1/2 + n / (2 N).

    Parameters
    ----------
    shown, members : n and N.
    """
    return 0.5 + shown / members / 2


def of_subset(values: np.ndarray, chance: float, share: float) -> np.ndarray:
    """Return what models of a random choice of the members give away about all of them, from what they give away about
    those chosen.

    The members who were not chosen are left to chance, by the theorem of `ceiling`, and need not be asked: what is
    measured of them is noise around it.

    Parameters
    ----------
    values : float [models], an AUC or a true positive rate among those chosen.
    chance : what a guesser has.
    share : of the members who were chosen, 0 to 1.
    """
    return chance + share * (np.asarray(values) - chance)
