"""Membership inference attacks: from a model's outputs to "member" or "not a member".

Every attack gives one score an example, higher for "member", and one decision.
"""

import numpy as np
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import roc_curve


def losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cross-entropy in nats, float64 [n], of logits [n, classes] at int labels [n].

    Raises
    ------
    ValueError
        If a logit is NaN or infinite.
    """
    logits = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(logits).all():
        bad = int((~np.isfinite(logits)).any(axis=1).sum())
        raise ValueError(f"{bad} of {len(logits)} rows of logits hold NaN or infinity: the model diverged; "
                         "train it with a smaller learning rate, or scale its pixels")
    return logsumexp(logits, axis=1) - logits[np.arange(len(logits)), np.asarray(labels)]


def loss_threshold(member_losses: np.ndarray, non_member_losses: np.ndarray) -> float:
    """Return the tau that best separates the shadow models' losses (paper, section 2.1).

    "Member iff loss <= tau" is right most often, members and non-members weighing the
    same. Of equally good thresholds the smallest is returned; it is one of the losses,
    or -inf if no threshold beats guessing (then nobody is called a member).

    Parameters
    ----------
    member_losses, non_member_losses : float [n], [m], of the shadow models.
    """
    scores = -np.concatenate([member_losses, non_member_losses])
    is_member = np.repeat([1, 0], [len(member_losses), len(non_member_losses)])
    false_positive, true_positive, thresholds = roc_curve(is_member, scores, drop_intermediate=False)
    return float(-thresholds[np.argmax(true_positive - false_positive)])


def fit_per_class(estimators: dict[int, BaseEstimator] | BaseEstimator, features: np.ndarray,
                  labels: np.ndarray, is_member: np.ndarray) -> dict[int, BaseEstimator]:
    """Fit one attack model per true class (Shokri et al. 2017).

    Parameters
    ----------
    estimators : an unfitted scikit-learn classifier, or one a class.
    features : float [n, classes], the shadow models' softmax outputs.
    labels : int [n], the true classes.
    is_member : bool [n].

    Returns
    -------
    dict of class to fitted classifier.

    Raises
    ------
    ValueError
        If a class has no member or no non-member among the rows.
    """
    fitted = {}
    for label in np.unique(labels):
        rows = labels == label
        if len(np.unique(is_member[rows])) < 2:
            raise ValueError(f"class {label} has only {'members' if is_member[rows][0] else 'non-members'} "
                             "among the shadow models' rows: choose a larger ds")
        estimator = estimators[label] if isinstance(estimators, dict) else estimators
        fitted[int(label)] = clone(estimator).fit(features[rows], is_member[rows])
    return fitted


def score_per_class(models: dict[int, BaseEstimator], features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return each example's attack score, float64 [n], from the attack model of its class.

    The score is the classifier's decision function; "member" is decided where it is
    positive (for a logistic regression: probability above 0.5). The arguments are those
    of `fit_per_class`.
    """
    scores = np.empty(len(labels))
    for label in np.unique(labels):
        rows = labels == label
        scores[rows] = models[int(label)].decision_function(features[rows])
    return scores
