"""Intervals and tests of scores hold what they promise, and agree with direct computations."""

import itertools

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn.metrics import roc_auc_score

from dcpriv_lib.audit import statistics


def drawn(rng, members, others, shift=0.0):
    scores = np.concatenate([rng.normal(shift, size=members), rng.normal(size=others)])
    return scores, np.arange(members + others) < members


def test_ranks_are_within_classes_and_ties_share_theirs():
    found = statistics.ranks(np.array([5.0, 1.0, 7.0, 7.0, 100.0]), np.array([0, 0, 1, 1, 1]))
    assert found == pytest.approx([0.75, 0.25, 1 / 3, 1 / 3, 5 / 6])


def test_auc_is_the_usual_one_with_ties(rng):
    scores, is_member = drawn(rng, 40, 60, 0.5)
    scores = scores.round(1)
    assert statistics.auc(scores, is_member)[0] == pytest.approx(roc_auc_score(is_member, scores))


@pytest.mark.parametrize(("members", "others", "shift"), [(10, 10, 0.0), (30, 60, 1.0), (200, 100, 0.3), (12, 40, 2.0)])
def test_intervals_of_an_auc_cover(members, others, shift, rng):
    truth, missed = ndtr(shift / np.sqrt(2)), np.zeros(2)
    for _ in range(400):
        _, low, high = statistics.auc(*drawn(rng, members, others, shift))
        missed += [low > truth, high < truth]
    assert (missed / 400 < 0.045).all()  # 2.5 % each; 4.5 % is 2.6 standard errors above


def test_an_auc_of_one_has_an_interval(rng):
    scores, is_member = drawn(rng, 8, 8, 100.0)
    assert 0.5 < statistics.auc(scores, is_member)[1] < 0.9
    assert statistics.auc(scores, is_member, 0.999)[1] < statistics.auc(scores, is_member)[1]


def test_the_test_of_ranks_is_that_of_all_choices_of_members():
    """The mean and variance over all choices, written out; and so the chance by the normal distribution."""
    classes, is_member = np.array([0] * 5 + [1] * 4), np.array([1, 1, 0, 0, 0, 1, 0, 0, 1], bool)
    ranked = statistics.ranks(np.array([9.0, 8, 3, 2, 2, 5, 1, 3, 4]), classes)
    sums = [
        ranked[list(one)].sum() + ranked[list(other)].sum()
        for one, other in itertools.product(itertools.combinations(range(5), 2), itertools.combinations(range(5, 9), 2))
    ]
    expected = ndtr(-(ranked[is_member].sum() - np.mean(sums)) / np.std(sums))
    assert statistics.p_of_ranks(ranked, is_member, classes) == pytest.approx(expected)


@pytest.mark.parametrize(("fpr", "others"), [(0.01, 2000), (0.1, 60), (0.001, 300)])
def test_intervals_of_a_true_positive_rate_cover(fpr, others, rng):
    truth = 1 - ndtr(-statistics.ndtri(fpr) - 1.0)
    missed = np.zeros(2)
    for _ in range(300):
        _, low, high = statistics.tpr(*drawn(rng, 300, others, 1.0), fpr)
        missed += [low > truth, high < truth]
    assert (missed / 300 <= 0.04).all()


def test_too_few_people_say_nothing_of_a_low_rate(rng):
    value, low, high = statistics.tpr(*drawn(rng, 300, 100, 3.0), 0.001)
    assert np.isnan(value) and low == 0.0 and high > 0.5
    assert statistics.tpr(*drawn(rng, 5, 5, 3.0), 0.2)[2] == 1.0


def test_the_rate_is_the_share_above_the_threshold():
    scores, is_member = np.array([10.0, 9, 8, 1, *range(-100, 0)]), np.arange(104) < 4
    scores[50] = 8.5
    assert statistics.tpr(scores, is_member, 0.01)[0] == 1.0
    scores[51] = 8.6
    assert statistics.tpr(scores, is_member, 0.01)[0] == 0.5


def test_the_chance_of_an_excess_is_that_of_all_orders():
    """Of 3 members and 4 others, with one of the others allowed above: counted over all orders."""
    hits = []
    for members in itertools.combinations(range(7), 3):
        is_member = np.isin(np.arange(7), members)
        hits.append(statistics.p_of_excess(np.arange(7.0), is_member, 0.25))
    for above, p in hits:
        assert p == pytest.approx(np.mean([other >= above for other, _ in hits]))


def test_the_smallest_leak_that_is_found_is_found_in_eight_of_ten(rng):
    area = statistics.detectable_auc(150, 250)
    shift = np.sqrt(2) * statistics.ndtri(area)
    found = [
        statistics.p_of_ranks(statistics.ranks(scores, np.zeros(400)), is_member, np.zeros(400)) < 0.05
        for scores, is_member in (drawn(rng, 150, 250, shift) for _ in range(400))
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
