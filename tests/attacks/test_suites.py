"""Attacks and metrics against scikit-learn, scipy, closed forms, and planted leaks."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax
from scipy.stats import beta, norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC
from torch.nn import functional as F

from dcpriv_lib import metrics
from dcpriv_lib.attacks import signals, suites, svm
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.models import networks, training
from dcpriv_lib.results import attack_tables, tables


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_losses_equal_torch_in_float64_also_for_huge_logits(rng):
    logits, labels = rng.normal(size=(50, 10)) * 300, rng.integers(0, 10, 50)
    expected = F.cross_entropy(torch.tensor(logits), torch.tensor(labels), reduction="none").numpy()
    assert np.allclose(signals.losses(logits, labels), expected, rtol=1e-12)


def test_threshold_is_the_best_of_all(rng):
    members, others = rng.exponential(1, 60).round(1), rng.exponential(2, 80).round(1)
    tau = suites.loss_threshold(members, others)

    def balanced(t):
        return (np.mean(members <= t) + np.mean(others > t)) / 2

    candidates = np.concatenate([[-np.inf], members, others])
    assert balanced(tau) == max(balanced(t) for t in candidates)
    assert tau == min(t for t in candidates if balanced(t) == balanced(tau))


def test_threshold_on_useless_losses_calls_nobody_a_member():
    assert suites.loss_threshold(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == -np.inf


@pytest.mark.parametrize("estimator", [LogisticRegression(max_iter=1000), SVC(C=1, gamma=0.1)])
def test_per_class_attack_equals_scikit_learn_class_by_class(rng, estimator):
    features, labels = rng.dirichlet(np.ones(3), 300), rng.integers(0, 3, 300)
    member = rng.random(300) < 0.3 + 0.4 * features[:, 0]
    models = suites.fit_per_class(estimator, features, labels, member)
    scores = suites.score_per_class(models, features, labels)
    for c in range(3):
        own = labels == c
        alone = type(estimator)(**estimator.get_params()).fit(features[own], member[own])
        assert np.array_equal(scores[own], alone.decision_function(features[own]))
        assert np.array_equal(scores[own] > 0, alone.predict(features[own]))


GRID = {"C": [0.1, 1, 10], "gamma": [0.001, 0.01, 0.1]}


def saturated(rng, members, others, certainty=14):
    """Softmax rows of a well trained model, the members a little more certain; members first."""
    is_member = np.repeat([True, False], [members, others])
    logits = rng.normal(size=(len(is_member), 10)).astype(np.float32)
    logits[:, 0] += rng.normal(certainty + is_member, 4)
    return softmax(logits, axis=1), is_member


def plain_search(features, member):
    return GridSearchCV(SVC(), GRID, cv=5).fit(features, member)


def assert_same_search(found, plain):
    assert {name: found[name] for name in GRID} == plain.best_params_
    assert np.array_equal(found["accuracy"], plain.cv_results_["mean_test_score"])


def test_merged_rows_are_the_means_of_their_cells_with_their_numbers():
    features = np.array([[0.30, 0.70], [0.91, 0.09], [0.29, 0.71], [0.34, 0.66], [0.30, 0.70]])
    member = np.array([True, True, True, True, False])
    merged, merged_member, weights = svm.merge_rows(features, member, 0.1)
    assert np.allclose(merged, [[0.31, 0.69], [0.91, 0.09], [0.30, 0.70]], rtol=1e-12)
    assert merged_member.tolist() == [True, True, False] and weights.tolist() == [3, 1, 1]


@pytest.mark.parametrize("step", [0, 1e-4, 1e-2])
def test_merging_keeps_the_sum_of_all_rows_and_moves_none_by_more_than_the_step(rng, step):
    features, member = saturated(rng, 300, 200)
    merged, merged_member, weights = svm.merge_rows(features, member, step)
    for inside in (True, False):
        own = weights[merged_member == inside] @ merged[merged_member == inside]
        assert np.allclose(own, features[member == inside].sum(0, dtype=np.float64), rtol=1e-12)
        away = np.abs(features[member == inside][:, None] - merged[merged_member == inside]).max(2).min(1)
        assert away.max() <= step + 1e-12
    assert weights.sum() == len(features) and (step < 1e-2 or len(merged) < 100)


def test_search_without_equal_rows_is_scikit_learns(rng):
    features = rng.dirichlet(np.ones(4), 200)
    member = rng.random(200) < 0.2 + 0.6 * features[:, 0]
    assert len(svm.merge_rows(features, member, 1e-4)[0]) == 200
    found = svm.grid_search(features, member, GRID["C"], GRID["gamma"])
    assert_same_search(found, plain_search(features, member))


def test_planted_duplicates_leave_the_decision_function_as_it_is(rng):
    features = rng.dirichlet(np.ones(4), 60)
    member = rng.random(60) < 0.2 + 0.6 * features[:, 0]
    copies = rng.integers(1, 6, 60)
    many, many_member = np.repeat(features, copies, axis=0), np.repeat(member, copies)
    for C in GRID["C"]:
        plain = SVC(C=C, gamma=1, tol=1e-9).fit(many, many_member)
        weighted = SVC(C=C, gamma=1, tol=1e-9).fit(features, member, copies)  # libsvm without its slack of 1e-3
        merged = svm.MergedSVC(C, 1).fit(many, many_member)
        assert np.array_equal(svm.merge_rows(many, many_member, 0)[2], copies)
        assert np.allclose(plain.decision_function(features), weighted.decision_function(features), atol=1e-6)
        assert np.allclose(merged.decision_function(features), plain.decision_function(features), atol=5e-3)


@pytest.mark.parametrize(("members", "others"), [(400, 400), (410, 390), (250, 500)])
def test_search_and_predictions_on_saturated_rows_are_scikit_learns(rng, members, others):
    """Equal numbers are the hard case: no label has the majority, so all hangs on the intercept."""
    features, member = saturated(rng, members, others)
    assert len(svm.merge_rows(features, member, 1e-4)[0]) < len(features) / 2
    found = svm.grid_search(features, member, GRID["C"], GRID["gamma"])
    plain = plain_search(features, member)
    assert {name: found[name] for name in GRID} == plain.best_params_
    assert np.allclose(found["accuracy"], plain.cv_results_["mean_test_score"], atol=1e-3)
    new, _ = saturated(rng, 1000, 1000)
    for C in GRID["C"]:
        for gamma in GRID["gamma"]:
            merged = svm.MergedSVC(C, gamma).fit(features, member)
            assert np.mean(merged.predict(new) == SVC(C=C, gamma=gamma).fit(features, member).predict(new)) >= 0.999


def test_of_equally_good_choices_the_first_is_taken():
    features, member = np.tile(np.eye(2), (10, 1)), np.tile([True, False], 10)
    found = svm.grid_search(features, member, [10, 1], [0.1, 0.01], folds=2)
    assert (found["C"], found["gamma"]) == (10, 0.1) and (found["accuracy"] == 1).all()


def test_random_membership_labels_give_auc_one_half(rng):
    """The negative control: of 20 seeds, at least 17 intervals hold 0.5 (P < 0.02 otherwise)."""
    held = 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        features, labels = draw.dirichlet(np.ones(4), 1200), draw.integers(0, 4, 1200)
        member = draw.random(1200) < 0.5
        models = suites.fit_per_class(LogisticRegression(), features[:600], labels[:600], member[:600])
        scores = suites.score_per_class(models, features[600:], labels[600:])
        _, low, high = metrics.auc(scores, member[600:], draw)
        held += low <= 0.5 <= high
    assert held >= 17


def test_a_planted_leak_is_found(digits):
    """The positive control: models that memorise random labels give their members away."""

    def memorise(indices, seed):
        images, _ = digits.rows(indices)
        labels = torch.randint(10, (len(images),), generator=generator(seed, "labels"))
        network = networks.initialise(networks.PaperCNN(*digits.shape), generator(seed, "start"))
        training.train(network, images[:60], labels[:60], epochs=150, generator=generator(seed, "order"))
        return training.predict(network, images).numpy(), labels.numpy()

    shadow_logits, shadow_labels = memorise(digits.indices["attacker"][:300], 1)
    shadow_losses = signals.losses(shadow_logits, shadow_labels)
    tau = suites.loss_threshold(shadow_losses[:60], shadow_losses[60:])
    logits, labels = memorise(digits.indices["members"][:300], 2)
    losses, member = signals.losses(logits, labels), np.arange(300) < 60
    found = metrics.evaluate(-losses, losses <= tau, member, np.random.default_rng(0))
    assert found["auc_low"] > 0.9 and found["accuracy_low"] > 0.8


def test_rate_is_the_textbook_clopper_pearson():
    for k, n in [(0, 10), (3, 10), (10, 10), (15_210, 30_000)]:
        value, low, high = metrics.rate(k, n)
        assert value == k / n
        assert low == pytest.approx(beta.ppf(0.025, k, n - k + 1) if k else 0)
        assert high == pytest.approx(beta.ppf(0.975, k + 1, n - k) if k < n else 1)
    assert np.isnan(metrics.rate(0, 0)).all()


def test_auc_equals_scikit_learn_with_ties(rng):
    scores, member = rng.normal(size=400).round(1), rng.random(400) < 0.5
    assert metrics.auc(scores, member, rng, draws=2)[0] == pytest.approx(roc_auc_score(member, scores))


def test_auc_interval_equals_a_plain_bootstrap(rng):
    member = np.repeat([True, False], [80, 120])
    scores = rng.normal(size=200) + 0.5 * member
    _, low, high = metrics.auc(scores, member, rng, draws=2000)
    plain = [
        roc_auc_score(member, np.concatenate([rng.choice(scores[:80], 80), rng.choice(scores[80:], 120)]))
        for _ in range(2000)
    ]
    assert (low, high) == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.01)


def test_auc_interval_covers_the_closed_form_of_two_gaussians():
    truth, covered = norm.cdf(1 / np.sqrt(2)), 0
    for seed in range(40):
        draw = np.random.default_rng(seed)
        scores = np.concatenate([draw.normal(1, 1, 150), draw.normal(0, 1, 150)])
        _, low, high = metrics.auc(scores, np.arange(300) < 150, draw, draws=300)
        covered += low <= truth <= high
    assert covered >= 34  # P = 0.01 for an honest 95 % interval


def test_constant_scores_are_chance():
    member = np.arange(100) < 50
    assert metrics.auc(np.zeros(100), member, np.random.default_rng(0)) == (0.5, 0.5, 0.5)


def test_evaluate_equals_scikit_learn(rng):
    member, scores = rng.random(500) < 0.5, rng.normal(size=500)
    said = scores > 0.3
    found = metrics.evaluate(scores, said, member, rng)
    assert found["accuracy"] == pytest.approx(accuracy_score(member, said))
    assert found["precision"] == pytest.approx(precision_score(member, said))
    assert found["recall"] == pytest.approx(recall_score(member, said))
    assert all(found[name + "_low"] <= found[name] <= found[name + "_high"] for name in metrics.RATES)


def test_an_attack_that_never_says_member_has_no_precision(rng):
    found = metrics.evaluate(rng.normal(size=20), np.zeros(20, bool), np.arange(20) < 10, rng)
    assert np.isnan(found["precision"]) and found["recall"] == 0
    assert str(tables.percent(*(found["precision" + end] for end in ("", "_low", "_high")))) == "undefined"


def test_a_narrow_interval_is_written_with_two_ends():
    assert str(tables.percent(*metrics.rate(0, 15_000))) == "0.00 % [0.00, 0.02]"
    assert str(tables.percent(*metrics.rate(0, 120_000))) == "0.000 % [0.000, 0.003]"
    assert str(tables.percent(*metrics.rate(585, 15_000))) == "3.9 % [3.6, 4.2]"


def test_means_over_runs_keep_their_intervals():
    row = {"target": "t", "attack": "a", "n": 100}
    judged = pd.DataFrame(
        [
            row
            | {"run": run}
            | {
                name + end: value + run / 10
                for name in metrics.RATES
                for end, value in (("", 0.5), ("_low", 0.4), ("_high", 0.6))
            }
            for run in range(2)
        ]
    )
    mean = attack_tables.mean_over_runs(judged).loc["t", "a"]
    assert mean["auc"] == pytest.approx(0.55) and str(mean["auc, text"]) == "55.0 % [45.0, 65.0]"
