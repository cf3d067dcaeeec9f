"""Membership inference attacks: from a model's outputs to "member" or "not a member".

Every attack gives one score an example, higher for "member", and one decision.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import roc_curve
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC


def finite(logits: np.ndarray) -> np.ndarray:
    """Return logits [..., classes] as float64, or raise ValueError if one is NaN or infinite."""
    logits = np.asarray(logits, dtype=np.float64)
    bad = ~np.isfinite(logits).all(axis=-1)
    if bad.any():
        raise ValueError(f"{int(bad.sum())} of {bad.size} rows of logits hold NaN or infinity: the model diverged; "
                         "train it with a smaller learning rate, or scale its pixels")
    return logits


def losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cross-entropy in nats, float64 [n], of logits [n, classes] at int labels [n].

    Raises
    ------
    ValueError
        If a logit is NaN or infinite.
    """
    logits = finite(logits)
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


def rows_per_class(labels: np.ndarray, is_member: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield every class and its rows, bool [n]; ValueError if one has no member or no non-member."""
    for label in np.unique(labels):
        rows = labels == label
        if len(np.unique(is_member[rows])) < 2:
            raise ValueError(f"class {label} has only {'members' if is_member[rows][0] else 'non-members'} "
                             "among the shadow models' rows: choose a larger ds")
        yield int(label), rows


def loss_threshold_per_class(losses: np.ndarray, labels: np.ndarray, is_member: np.ndarray) -> dict[int, float]:
    """Return the `loss_threshold` tau_c of every true class c (after Song & Mittal 2021).

    Parameters
    ----------
    losses : float [n], nats, of the shadow models.
    labels : int [n], the true classes.
    is_member : bool [n].

    Raises
    ------
    ValueError
        If a class has no member or no non-member among the rows.
    """
    return {label: loss_threshold(losses[rows & is_member], losses[rows & ~is_member])
            for label, rows in rows_per_class(labels, is_member)}


def score_loss_per_class(thresholds: dict[int, float], losses: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return tau_y - loss, float64 [n]: "member" where it is >= 0; -inf where no loss separates class y.

    Parameters
    ----------
    thresholds : tau in nats a class, from `loss_threshold_per_class`.
    losses : float [n], nats, of the target.
    labels : int [n], the true classes y.

    Raises
    ------
    ValueError
        If a class has no threshold.
    """
    classes, position = np.unique(labels, return_inverse=True)
    if missing := sorted(set(classes.tolist()) - set(thresholds)):
        raise ValueError(f"no threshold for the classes {missing}: the shadow models' rows must hold every class "
                         "of the target's; choose a larger ds")
    return np.array([thresholds[label] for label in classes.tolist()])[position] - losses


def merge_rows(features: np.ndarray, is_member: np.ndarray,
               step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge the rows that have the same label and agree after rounding to multiples of `step`.

    Parameters
    ----------
    features : float [n, d], finite.
    is_member : bool [n]; members never merge with non-members.
    step : >= 0; 0 merges only equal rows.

    Returns
    -------
    merged : float64 [m, d], the mean of each group, in order of first appearance. A row that
        merges with no other is unchanged, and no coordinate moves by more than `step`.
    merged_member : bool [m].
    weights : float64 [m], the sizes of the groups; they add up to n.

    Raises
    ------
    ValueError
        If `step` is negative, or a feature is NaN or infinite.
    """
    if not step >= 0:
        raise ValueError(f"step = {step}: choose 0 (only equal rows merge) or more, such as 1e-4")
    if not np.isfinite(features).all():
        raise ValueError("the rows to merge hold NaN or infinity: the shadow models diverged; "
                         "train them with a smaller learning rate")
    cells = pd.DataFrame(features if step == 0 else np.round(features / step))
    group = cells.groupby([np.asarray(is_member), *cells], sort=False).ngroup().to_numpy()
    weights = np.bincount(group).astype(np.float64)
    merged = np.column_stack([np.bincount(group, column) for column in np.transpose(features)])
    return merged / weights[:, None], np.bincount(group, is_member) > 0, weights


class MergedSVC(ClassifierMixin, BaseEstimator):
    """scikit-learn's SVC with RBF kernel, trained on merged rows (`merge_rows`).

    An SVM pays C for each unit of slack of each row. Equal rows of one label have the same slack,
    so one of them that pays w C is the same problem as w of them. Rows that only agree after
    rounding are moved first, each by less than r = step sqrt(d). That changes no kernel value by
    more than 2 r sqrt(2 gamma / e): the way times the steepest slope of exp(-gamma x^2). At
    step = 1e-4, d = 10 and gamma = 0.1 this is 2e-4.

    Parameters
    ----------
    C, gamma : > 0, as in SVC.
    step : as in `merge_rows`.

    Source: C.-C. Chang, C.-J. Lin, *LIBSVM: a library for support vector machines*, ACM TIST 2011.
    """

    def __init__(self, C: float = 1.0, gamma: float = 1.0, step: float = 1e-4):
        self.C, self.gamma, self.step = C, gamma, step

    def fit(self, features: np.ndarray, is_member: np.ndarray) -> "MergedSVC":
        """Fit to float [n, d] and bool [n]; ValueError if C, gamma or a label's rows are unusable."""
        if not self.C > 0:  # gamma is SVC's to check
            raise ValueError(f"C = {self.C}: choose a number above 0, such as 1")
        merged, merged_member, weights = merge_rows(features, is_member, self.step)
        # C with 24 bits, so that C times a weight and sums of these are exact: a row at its bound must not
        # seem free. With as many members as non-members, all are at their bounds and one free row would
        # move the intercept, and with it every decision.
        self.svm_ = SVC(C=1, gamma=self.gamma).fit(merged, merged_member, weights * float(np.float32(self.C)))
        self.classes_ = self.svm_.classes_
        return self

    def decision_function(self, features: np.ndarray) -> np.ndarray:
        """Return float [n], positive for "member", of float [n, d]."""
        return self.svm_.decision_function(features)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return bool [n] of float [n, d]."""
        return self.svm_.predict(features)


def grid_search(features: np.ndarray, is_member: np.ndarray, grid_C: list, grid_gamma: list, folds: int = 5,
                processes: int = 1, step: float = 1e-4) -> dict:
    """Choose C and gamma of a `MergedSVC` by cross-validated accuracy (paper, section 2.1).

    The folds and the choice are scikit-learn's `GridSearchCV`. Rows merge inside the training
    folds only; every row of a test fold is predicted as it is.

    Parameters
    ----------
    features, is_member : float [n, d], bool [n], rows of one class.
    grid_C, grid_gamma : > 0, the values to try.
    folds : 2 or more, not shuffled.
    processes : fits at the same time; -1 takes every core.
    step : of `merge_rows`.

    Returns
    -------
    dict with the best C and gamma (of equally good ones the first), and the mean accuracy,
    float64 [len(grid_C) * len(grid_gamma)], gamma running fastest.

    Raises
    ------
    ValueError
        If there are fewer members, or fewer non-members, than folds; or less than 2 folds.
    """
    if folds < 2:
        raise ValueError(f"folds = {folds}: choose 2 or more")
    fewest = min(np.sum(is_member), np.sum(~is_member))
    if fewest < folds:
        raise ValueError(f"folds = {folds}, but the class has only {fewest} rows of "
                         f"{'members' if np.sum(is_member) == fewest else 'non-members'}: "
                         "choose fewer folds, a larger ds or a larger n_shadows")
    found = GridSearchCV(MergedSVC(step=step), {"C": grid_C, "gamma": grid_gamma}, cv=folds, n_jobs=processes,
                         refit=False, error_score="raise").fit(features, is_member)
    return found.best_params_ | {"accuracy": found.cv_results_["mean_test_score"]}


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
    for label, rows in rows_per_class(labels, is_member):
        estimator = estimators[label] if isinstance(estimators, dict) else estimators
        fitted[label] = clone(estimator).fit(features[rows], is_member[rows])
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
