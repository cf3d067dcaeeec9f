"""Calibration by other sets finds a planted leak and no made-up one; several scores reach the best direction."""

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn.metrics import roc_auc_score

from dcpriv_lib.attacks import lira, shadow_models
from dcpriv_lib.attacks.released import calibration, without_references


def planted(rng, attacks=1, sets=12, n=400, shift=1.0):
    """Scores that every person has by looks, much more spread than what membership adds to them."""
    is_member = shadow_models.membership_matrix(n, sets, rng)
    looks = 10 * rng.normal(size=(attacks, 1, n))
    return looks + shift * is_member + rng.normal(size=(attacks, sets, n)), is_member


def mean_auc(scores, is_member):
    return np.mean([roc_auc_score(member, score) for member, score in zip(is_member, scores)])


def test_other_sets_take_the_looks_out_of_a_score(rng):
    scores, is_member = planted(rng)
    assert mean_auc(scores[0], is_member) < 0.56
    assert mean_auc(calibration.leave_pair_out(scores[0], is_member, lira.bayesian), is_member) > 0.7
    made_up = shadow_models.membership_matrix(400, 12, rng)
    found = calibration.leave_pair_out(scores[0], made_up, lira.bayesian)
    assert mean_auc(found, made_up) == pytest.approx(0.5, abs=0.03)


def test_the_sets_partner_says_nothing_of_it(rng):
    """Where the partner alone knows, by mistake, the answer must not get worse or better than chance."""
    scores, is_member = planted(rng, shift=0.0)
    changed = scores[0].copy()
    changed[1] += 100 * is_member[0]
    one = calibration.leave_pair_out(scores[0], is_member, lira.bayesian)[0]
    other = calibration.leave_pair_out(changed, is_member, lira.bayesian)[0]
    assert np.array_equal(one, other)


def test_several_scores_together_reach_the_best_direction(rng):
    """Independent scores with the shifts d_a give an AUC of Phi(|d| / sqrt 2) at best, and no single one does."""
    shifts = np.array([1.0, 0.7, 0.0])[:, None, None]
    scores, is_member = planted(rng, attacks=3, sets=20, n=2000, shift=shifts)
    found = mean_auc(calibration.combined(scores, is_member), is_member)
    best = ndtr(np.linalg.norm(shifts) / np.sqrt(2))
    assert best - 0.03 < found < best + 0.01
    assert found > mean_auc(calibration.combined(scores[:1], is_member), is_member) + 0.02


def test_two_pairs_are_too_few_for_a_direction(rng):
    scores, is_member = planted(rng, attacks=2, sets=6)
    assert np.isfinite(calibration.combined_against(scores, is_member, scores[:, 0])).all()
    with pytest.raises(ValueError, match="4 other sets"):
        calibration.combined_against(scores[:, :4], is_member[:4], scores[:, 0])


def test_made_up_memberships_are_not_found_by_a_direction_either(rng):
    scores, _ = planted(rng, attacks=3, sets=12, n=1000)
    made_up = shadow_models.membership_matrix(1000, 12, rng)
    assert mean_auc(calibration.combined(scores, made_up), made_up) == pytest.approx(0.5, abs=0.02)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def paired(members, held_out, rng):
    """Return `matches` of people who are all of one class."""
    scores, is_member = np.concatenate([members, held_out]), np.repeat([True, False], [len(members), len(held_out)])
    return without_references.matches(scores, is_member, np.zeros(len(scores), int), rng)


def test_without_references_the_level_holds_where_nothing_leaks():
    """Of 400 sets without a leak at most 5 % are accused, two standard errors aside; half the scores are tied."""
    p = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        members, held_out = (np.maximum(rng.normal(size=60), 0) for _ in range(2))
        p.append(paired(members, held_out, rng).p)
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_the_bound_exceeds_a_known_epsilon_in_at_most_one_of_twenty():
    """Scores of randomised response: a bit that is right with e^eps / (1 + e^eps) is eps-private for an exchange."""
    epsilon, above = 1.0, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        right = rng.random(200) < 1 / (1 + np.exp(-epsilon))
        sure = 1 + rng.random(200)
        scores, is_member = np.append(np.where(right, sure, -sure), np.zeros(200)), np.repeat([True, False], 200)
        found = without_references.matches(scores, is_member, np.tile(np.arange(200), 2), rng)  # a pair is a class
        above += found.epsilon_lower_bound > epsilon
    assert above <= 0.05 * 200 + 2 * np.sqrt(200 * 0.05 * 0.95)


def test_a_copy_of_the_members_is_found(rng):
    found = paired(np.ones(100), np.zeros(100), rng)
    assert found.right == found.guesses and found.p < 1e-6 and found.epsilon_lower_bound > 2


def test_the_detectable_share_is_found_as_often_as_stated():
    share, times = paired(np.ones(200), np.zeros(200), np.random.default_rng(0)).detectable, []
    for seed in range(300):
        draw = np.random.default_rng(seed)
        difference = np.where(draw.random(200) < share, 1.0, -1.0)  # all equally sure: the shares say the same
        times.append(paired(difference, np.zeros(200), draw).p <= 0.05)
    assert 0.75 < np.mean(times)


def test_looks_of_a_class_do_not_hide_a_leak_within_it(rng):
    """Classes differ by far more than members do; pairs of one class do not see it."""
    classes, is_member = np.tile(np.arange(10), 40), np.repeat([True, False], 200)
    scores = 100.0 * classes + 2 * is_member + rng.normal(size=400)
    assert without_references.matches(scores, is_member, classes, rng).p < 1e-6


def test_too_few_people_are_refused(rng):
    with pytest.raises(ValueError, match="7 pairs of one class: expected at least 8"):
        paired(np.zeros(7), np.zeros(100), rng)
