"""Too few people or rows, and scores that are no numbers, are refused."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from dcpriv_lib import metrics
from dcpriv_lib.attacks import shadow_models, suites, svm


@pytest.mark.parametrize("ds", [0, 51])
def test_ds_beyond_half_of_the_attackers_data_is_refused(ds, refused):
    with refused(ValueError, f"ds = {ds}", "the attacker has 101 images", "choose ds between 1 and 50"):
        shadow_models.shadow_split(np.arange(101), ds, number=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_of_a_diverged_model_are_refused(value, refused):
    with refused(ValueError, "1 of 2 rows of logits hold NaN or infinity", "smaller learning rate"):
        suites.losses(np.array([[0.0, value], [0.0, 1.0]]), np.array([0, 1]))


def test_attack_scores_of_nan_are_refused(refused):
    with refused(ValueError, "1 attack scores are NaN"):
        metrics.auc(np.array([0.1, np.nan]), np.array([True, False]), np.random.default_rng(0))


@pytest.mark.parametrize(("inside", "words"), [(False, "got only non-members"), (True, "got only members")])
def test_roc_of_one_kind_of_people_is_refused(inside, words, refused):
    with refused(ValueError, "needs members and non-members", words):
        metrics.auc(np.array([0.1, 0.2]), np.array([inside] * 2), np.random.default_rng(0))


def test_attack_model_for_a_class_of_members_only_is_refused(refused):
    with refused(ValueError, "class 1 has only members among the shadow models' rows", "choose a larger ds"):
        suites.fit_per_class(
            LogisticRegression(), np.eye(4), np.array([0, 0, 1, 1]), np.array([True, False, True, True])
        )


@pytest.mark.parametrize(
    ("members", "folds", "words"),
    [
        (3, 5, ("folds = 5", "only 3 rows of members", "choose fewer folds, a larger ds or a larger n_shadows")),
        (0, 2, ("folds = 2", "only 0 rows of members", "larger ds")),
        (9, 5, ("folds = 5", "only 1 rows of non-members", "larger ds")),
        (5, 1, ("folds = 1", "choose 2 or more")),
    ],
)
def test_grid_search_with_too_few_rows_or_folds_is_refused(members, folds, words, refused):
    with refused(ValueError, *words):
        svm.grid_search(np.eye(10), np.arange(10) < members, [1], [0.1], folds)


def test_merging_by_a_negative_step_is_refused(refused):
    with refused(ValueError, "step = -1", "choose 0", "or more"):
        svm.merge_rows(np.eye(2), np.array([True, False]), -1)


def test_merging_rows_of_nan_is_refused(refused):
    with refused(ValueError, "NaN or infinity", "smaller learning rate"):
        svm.merge_rows(np.full((2, 2), np.nan), np.array([True, False]), 1e-4)


def test_grid_of_impossible_C_is_refused(refused):
    with refused(ValueError, "C = -1", "choose a number above 0"):
        svm.grid_search(np.eye(4), np.arange(4) % 2 == 0, [-1], [0.1], 2)
