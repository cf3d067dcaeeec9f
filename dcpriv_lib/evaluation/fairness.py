"""Fairness: is a model right for every class alike, and does training on other images make it less so?

The accuracy of a class is the share of its images that a model has right. Their standard deviation over the classes is
the *spread*; a model that is right equally often for all has a spread of zero.
"""

import warnings

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import spearmanr

from .. import metrics


def class_accuracies(right: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the accuracy of every class, float64 [..., classes]; NaN for a class that does not occur in the evaluation
    set.

    Parameters
    ----------
    right : bool or float [..., n], which answers are right.
    labels : int [n], from 0 to `classes` - 1.
    classes : how many there are.

    Raises
    ------
    ValueError
        If a label is out of range, or there are not as many labels as answers.
    """
    right, labels = np.asarray(right, dtype=np.float64), np.asarray(labels)
    if labels.shape != right.shape[-1:]:
        raise ValueError(f"{right.shape[-1]} answers and labels of shape {labels.shape}: expected one label an answer")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"the labels run from {labels.min()} to {labels.max()}: expected 0 to {classes - 1}, the classes of the "
            "data set: leave the other images out"
        )
    one_hot = labels[:, None] == np.arange(classes)
    with np.errstate(invalid="ignore"):
        return right @ one_hot / one_hot.sum(0)


def spread(accuracies: np.ndarray) -> np.ndarray:
    """Return the standard deviation over the classes that occur, float64 [...], of accuracies [..., classes]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no class at all gives NaN
        return np.nanstd(accuracies, axis=-1)


def by_class(right: np.ndarray, labels: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Return the accuracy of every class with its interval (`metrics.mean_rate`), one row a class.

    Parameters
    ----------
    right : bool [runs, n].
    labels : int [n].
    names : of the classes.

    Returns
    -------
    DataFrame with class, images, accuracy, accuracy_low, accuracy_high; NaN where the evaluation set has no image of
    the class.
    """
    class_accuracies(right, labels, len(names))  # checks
    found = [metrics.mean_rate(right[:, labels == label]) for label in range(len(names))]
    rows = [
        {"class": name, "images": int((labels == label).sum())}
        | dict(zip(("accuracy", "accuracy_low", "accuracy_high"), triple))
        for label, (name, triple) in enumerate(zip(names, found))
    ]
    return pd.DataFrame(rows)


def amplification(
    right: np.ndarray, original: np.ndarray, labels: np.ndarray, classes: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return how many times as large the spread is as that of the original, and its 95 % interval
    (`metrics.bootstrap`).

    Above 1 the classes are treated less alike than by the original. The spread of each is its mean over the runs. NaN
    three times where the original has no spread at all.

    Parameters
    ----------
    right, original : bool [runs, n], whether the models and the original are right, about the same images.
    labels, classes : as in `class_accuracies`.
    rng : source of the resampling.
    """

    def ratio(*both):
        a, b = (spread(class_accuracies(one, labels, classes)).mean() for one in both)
        return a / b if b > 0 else np.inf

    if not np.isfinite(ratio(right, original)):
        return (np.nan,) * 3
    return metrics.bootstrap(ratio, [right, original], labels, rng)


def shares_of_the_spread(right: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, float]:
    """Return of what the spread of one run is made: "luck of the run", "luck of the evaluation set", "classes"; shares
    of its square.

    The variance over the classes of a run is the sum of three: that of the classes themselves; that of a class over the
    runs of one method, which another training would turn out differently; and that of drawing a handful of images of a
    class for the exam. The second is the sample variance over the runs, less what all classes have in common; the third
    the sample variance over the images of a class, divided by their number. What is left is the classes' own share, and
    0 if nothing is left.

    Parameters
    ----------
    right : bool [runs, n]; with one run its luck is unknown, and all shares are NaN.
    labels, classes : as in `class_accuracies`.
    """
    accuracies = class_accuracies(right, labels, classes)
    accuracies = accuracies[:, ~np.isnan(accuracies[0])]
    centred = accuracies - accuracies.mean(1, keepdims=True)
    total = (centred**2).mean()
    if len(right) < 2 or total == 0:
        return dict.fromkeys(("luck of the run", "luck of the evaluation set", "classes"), np.nan)
    run = min(1.0, centred.var(axis=0, ddof=1).mean() / total)
    mean, present = np.mean(right, axis=0), np.unique(labels)
    own = [mean[labels == c] for c in present]
    of_exam = np.mean([one.var(ddof=1) / len(one) for one in own if len(one) > 1]) * (1 - 1 / len(present))
    exam = min(1 - run, of_exam / total)
    return {"luck of the run": run, "luck of the evaluation set": exam, "classes": 1 - run - exam}


def rank_correlation(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Return Spearman's rank correlation over the classes and its 95 % interval; NaN three times with fewer than five
    classes.

    The interval is Bonett & Wright's (2000): Fisher's z = artanh r, with the variance (1 + r^2 / 2) / (n - 3). It asks
    whether the relation would hold for *other classes* like these.

    Parameters
    ----------
    a, b : float [classes]; classes with a NaN do not count.
    """
    known = ~np.isnan(a) & ~np.isnan(b)
    a, b = np.asarray(a)[known], np.asarray(b)[known]
    if len(a) < 5 or len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return (np.nan,) * 3
    r = float(spearmanr(a, b).statistic)
    z = np.arctanh(np.clip(r, -0.999999, 0.999999))
    reach = -ndtri((1 - metrics.LEVEL) / 2) * np.sqrt((1 + r**2 / 2) / (len(a) - 3))
    return r, float(np.tanh(z - reach)), float(np.tanh(z + reach))
