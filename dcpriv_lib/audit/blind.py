"""Are members told from people held out by somebody who does not hold the set?

Then the two are not of one kind, other years or other devices for instance, and whatever is found with the set may be
that difference (Das, Zhang & Tramèr 2024, on blind baselines). Of a random choice no classifier learns anything.
"""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from . import statistics
from .people import People

COMPONENTS = 50  # principal components of the pixels
FOLDS = 5
LEAST = 20  # members of a class, and people held out; of fewer nothing is learned
LEVEL = 0.01  # of the chance from which on the two are said to differ


def told_apart(people: People, seed: int) -> dict:
    """Return how well a linear discriminant learns from pixels who was condensed, class by class, cross-validated.

    Returns
    -------
    "auc" with its interval, "p" (one-sided), and whether members and people held out look alike, "holds"; "auc" is None
    where every class has too few people.
    """
    scores, asked = np.zeros(len(people.is_member)), np.zeros(len(people.is_member), bool)
    pixels = people.candidates.pixels.numpy()
    for label in np.unique(people.classes):
        own = np.flatnonzero(people.classes == label)
        inside = people.is_member[own]
        if min(inside.sum(), (~inside).sum()) >= LEAST:
            components = min(COMPONENTS, len(own) // 4, pixels.shape[1])
            model = make_pipeline(
                PCA(components, svd_solver="covariance_eigh"),
                LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
            )
            folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
            scores[own] = cross_val_predict(model, pixels[own], inside, cv=folds, method="decision_function")
            asked[own] = True
    if not asked.any():
        return {"auc": None, "p": 1.0, "holds": True}
    classes, is_member = people.classes[asked], people.is_member[asked]
    ranked = statistics.ranks(scores[asked], classes)
    p = float(statistics.p_of_ranks(ranked, is_member, classes))
    return {"auc": list(statistics.auc(ranked, is_member)), "p": p, "holds": p >= LEVEL}
