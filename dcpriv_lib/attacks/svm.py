"""The attack model of the paper's text: an SVM for each class, on rows merged where they agree."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC


def merge_rows(features: np.ndarray, is_member: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
        raise ValueError(
            "the rows to merge hold NaN or infinity: the shadow models diverged; "
            "train them with a smaller learning rate"
        )
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
        if not self.C > 0:  # SVC checks gamma.
            raise ValueError(f"C = {self.C}: choose a number above 0, such as 1")
        merged, merged_member, weights = merge_rows(features, is_member, self.step)
        # C is rounded to 24 bits, so that C times a weight and sums of these are exact: a row at its bound must
        # not seem free. With as many members as non-members, all rows are at their bounds, and one free row
        # would move the intercept, and with it every decision.
        self.svm_ = SVC(C=1, gamma=self.gamma).fit(merged, merged_member, weights * float(np.float32(self.C)))
        self.classes_ = self.svm_.classes_
        return self

    def decision_function(self, features: np.ndarray) -> np.ndarray:
        """Return float [n], positive for "member", of float [n, d]."""
        return self.svm_.decision_function(features)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return bool [n] of float [n, d]."""
        return self.svm_.predict(features)


def grid_search(
    features: np.ndarray,
    is_member: np.ndarray,
    grid_C: list,
    grid_gamma: list,
    folds: int = 5,
    processes: int = 1,
    step: float = 1e-4,
) -> dict:
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
        raise ValueError(
            f"folds = {folds}, but the class has only {fewest} rows of "
            f"{'members' if np.sum(is_member) == fewest else 'non-members'}: "
            "choose fewer folds, a larger ds or a larger n_shadows"
        )
    search = GridSearchCV(
        MergedSVC(step=step),
        {"C": grid_C, "gamma": grid_gamma},
        cv=folds,
        n_jobs=processes,
        refit=False,
        error_score="raise",
    ).fit(features, is_member)
    return search.best_params_ | {"accuracy": search.cv_results_["mean_test_score"]}
