"""Is a stranger's file what it says? Tests of plausibility; what is known of their false alarms stands with each.

Answers whose rows or classes are in another order, and images on another scale, are well-formed. What is computed of
them is wrong all the same, and in the comforting direction: a model whose rows were mixed up seems to leak nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import gammaln
from scipy.stats import poisson

LEVEL = 1e-4  # of an honest file being doubted for the order of its rows, over all orders that are tried
CERTAIN = 1e-9  # of an honest file being refused for it
CHANCE = 3.0  # standard deviations above chance: what is right less often is told to be no better than chance
CLEAR = 0.5  # of the way from the commonest class to all right: what other columns have to reach, to be named

MEAN, SPREAD = 0.2, 0.4  # by which condensed sets usually differ from real images: in deviations; log of the ratio
APART, NEAR = (7.0, 4.0), 2.0  # by which another scale has to fit better, and how well it has to fit
ODD_SPREAD = 10  # times the spread of real images, or a tenth of it: not the scale that was stated
TOUCHES = 0.01  # of a scale's range: so near have the ends of images to be for its ends to be theirs


@dataclass(frozen=True)
class Doubt:
    """What seems to be wrong with a file.

    Attributes
    ----------
    short : a few words, which stand beside the name in tables.
    sentence : what was found, in words.
    certain : whether the file is to be refused.
    """

    short: str
    sentence: str
    certain: bool = False


def of_answers(
    predicted: dict[str, np.ndarray], labels: dict[str, np.ndarray], other_orders: dict[str, dict[str, np.ndarray]]
) -> Doubt | None:
    """Return what seems to be wrong with the order of the rows or classes of a model's answers; None if nothing.

    The rows of an honest file are in the order of the split, which was drawn by chance. So how many of them would be
    right in another order, the file's for instance, is a count of matches under a random permutation, whatever the
    model. Its tail is bounded by Poisson's of the same mean. `LEVEL` is divided by the number of orders.

    Columns are different: an honest model that learned nothing may name classes in a wrong order too. So they are only
    named, if the best order of the classes is clearly better for those that it moves; no file is refused for them.

    Parameters
    ----------
    predicted : int [n], the class that the model names for every row of a part: "members" and so on.
    labels : int [n], the true classes of the parts in the order of the split.
    other_orders : name of an order to parts and their true classes in that order; for instance "the order of the file".
    """
    orders = [(name, parts) for name, parts in other_orders.items() if _differ(parts, labels)]
    for name, parts in orders:
        here, there = _right(predicted, labels, parts), _right(predicted, parts, parts)
        tail = float(np.exp(poisson.logsf(there - 1, sum(_by_chance(predicted[part], parts[part]) for part in parts))))
        if there > here and tail < LEVEL / len(orders):
            n = sum(map(len, parts.values()))
            return Doubt(
                "rows in another order?",
                f"in {name} its rows for {' and '.join(parts)} would be right {there / n:.1%}, in the split's order "
                f"they are {here / n:.1%}: write them in the order of split.npz",
                tail < CERTAIN / len(orders),
            )
    return _of_columns(predicted, labels) or _of_chance(predicted, labels)


def _differ(parts: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> bool:
    return any(not np.array_equal(parts[part], labels[part]) for part in parts)


def _right(predicted: dict, labels: dict, parts: Iterable[str]) -> int:
    return sum(int(np.sum(predicted[part] == labels[part])) for part in parts)


def _by_chance(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Return how many rows are right on average if they are in any order."""
    classes = int(max(predicted.max(), labels.max())) + 1
    counts = np.bincount(predicted, minlength=classes) * np.bincount(labels, minlength=classes).astype(float)
    return float(counts.sum() / len(labels))


def _of_columns(predicted: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> Doubt | None:
    """Return a doubt if some classes are hit by no more than chance, and clearly once they are renamed."""
    named, true = (np.concatenate([one[part] for part in predicted]) for one in (predicted, labels))
    classes = int(max(named.max(), true.max())) + 1
    table = np.zeros((classes, classes))  # [named, true]
    np.add.at(table, (named, true), 1)
    rows, best = linear_sum_assignment(-(table + 1e-9 * np.eye(classes)))  # of two that are as good, the stated one
    moved = rows[best != rows]
    if not len(moved):
        return None
    among = table[np.ix_(moved, moved)]
    position = {label: number for number, label in enumerate(moved)}
    renamed = [position[label] for label in best[moved]]
    n, of_named, of_true = among.sum(), among.sum(1), among.sum(0)
    if n == 0:
        return None
    here, there = among.trace(), among[range(len(moved)), renamed].sum()
    chance = (of_named * of_true).sum() / n
    tail = gammaln(len(moved) + 1) + poisson.logsf(there - 1, (of_named * of_true[renamed]).sum() / n)
    most = of_true.max()
    if here <= chance and tail < np.log(LEVEL) and there - most >= CLEAR * (n - most):
        order = np.arange(classes)
        order[moved] = best[moved]
        shown = ", ".join(map(str, order[:10])) + (" ..." if classes > 10 else "")
        right = np.sum(named == true), np.sum(order[named] == true)
        return Doubt(
            "classes in another order?",
            f"if its columns were the classes {shown}, its rows would be right {right[1] / len(true):.1%}, as they "
            f"stand they are {right[0] / len(true):.1%}: columns are the classes 0, 1, 2 ... of the data set",
        )
    return None


def _of_chance(predicted: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> Doubt | None:
    """Return a doubt if the rows of a part are right no more often than in any order."""
    for part, named in predicted.items():
        n, mean = len(named), _by_chance(named, labels[part])
        classes = int(max(named.max(), labels[part].max())) + 1
        a, b = (np.bincount(one, minlength=classes) / n for one in (named, labels[part]))
        m = (a * b).sum()  # n m is the mean, and below the variance, of the matches under a random permutation
        variance = n**2 / max(n - 1, 1) * (m + m**2 - (a * b * (a + b)).sum())
        right = int(np.sum(named == labels[part]))
        if right - mean <= CHANCE * np.sqrt(max(variance, 0)):
            return Doubt(
                "no better than chance",
                f"it is right about {right / n:.1%} of {part}, and the same answers in any order are about "
                f"{mean / n:.1%}: the model learned nothing, or the rows are in another order, or the pixels on "
                "another scale",
            )
    return None


# ---------------------------------------------------------------- the scale of pixels


def of_scale(images: np.ndarray, stated: str, scales: dict[str, tuple], mean: float, spread: float) -> Doubt | None:
    """Return what seems to be wrong with the scale that is stated for condensed images; None if nothing.

    Condensed images may look strange, so what is compared with real ones is only the mean of all pixels and their
    spread: d = (difference of means / `MEAN` deviations)^2 + (log of the ratio of spreads / `SPREAD`)^2. The stated
    scale is doubted if another one is within `NEAR`, and nearer by the first of `APART`; by the second, if all images
    are grey levels on the other scale, 0 to 255. The numbers were chosen so that none of 2,514 sets is doubted that
    this report made of digits, MNIST and chest X-rays, by each of its methods; how often honest sets of others would be
    is not known.

    Parameters
    ----------
    images : float [n, C, H, W], as the file has them.
    stated : the scale that the file states, one of `scales`, or another word for a mean and a deviation of its own.
    scales : name to mean and deviation, in grey levels, float [1, C, 1, 1] each.
    mean, spread : of the real images, in grey levels.
    """
    found = {name: images * deviation + middle for name, (middle, deviation) in scales.items()}
    far = {name: _distance(grey, mean, spread) for name, grey in found.items()}
    times = float(found[stated].std()) / spread
    odd = not 1 / ODD_SPREAD < times < ODD_SPREAD
    best = min(far, key=lambda name: far[name])
    low, high = float(found[best].min()), float(found[best].max())
    grey = -255 * TOUCHES < low and high < 255 * (1 + TOUCHES)
    fits = best != stated and far[best] < NEAR and far[best] < far[stated] - APART[grey]
    if not odd and not fits:
        return None
    looks = (
        f"with {stated} its images spread {times:.2g} times as much as the real ones, around a grey level of "
        f"{float(found[stated].mean()):.3g} for {mean:.3g}"
    )
    if not fits:
        return Doubt("another scale?", f"{looks}: was another scale meant?")
    ends = max(abs(low), abs(high - 255)) < 255 * TOUCHES
    return Doubt(
        "another scale?", f"{looks}: was another scale meant? {best} fits", ends and (odd or far[stated] > APART[0])
    )


def _distance(grey: np.ndarray, mean: float, spread: float) -> float:
    """Return how far images are from real ones in mean and spread, see `of_scale`."""
    ratio = max(float(grey.std()), 1e-9) / spread
    return float(((grey.mean() - mean) / spread / MEAN) ** 2 + (np.log(ratio) / SPREAD) ** 2)
