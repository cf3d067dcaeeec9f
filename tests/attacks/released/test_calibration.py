"""Calibration by other sets finds a planted leak and no made-up one; several scores reach the best direction."""

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from sklearn.metrics import roc_auc_score

from dcpriv_lib.attacks import lira, shadow_models
from dcpriv_lib.attacks.released import calibration, suite, without_references
from dcpriv_lib.attacks.released.released_set import Known, Labelled
from dcpriv_lib.evaluation import controls, examination


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


# ---------------------------------------------------------------- several scores, and sets of real images


def test_a_direction_says_the_same_whoever_is_in_the_set_that_is_asked_about(rng):
    """Neither the coins of the set nor those of its partner count, nor what the partner shows; rounding aside."""
    scores, is_member = planted(rng, attacks=3, sets=10, n=100)
    plain = calibration.combined(scores, is_member)
    others = is_member.copy()
    others[4] = rng.permutation(is_member[4])
    others[5] = ~others[4]
    assert np.allclose(calibration.combined(scores, others)[4:6], plain[4:6], rtol=1e-9, atol=1e-9)
    assert not np.allclose(calibration.combined(scores, others)[:4], plain[:4], rtol=1e-3, atol=1e-3)
    changed = scores.copy()
    changed[:, 5] = rng.normal(size=changed[:, 5].shape)
    assert np.allclose(calibration.combined(changed, is_member)[4], plain[4], rtol=1e-9, atol=1e-9)


def test_a_set_that_is_asked_about_may_have_any_scores_of_others(rng):
    """What `combined_against` says of a person depends on that person's scores in the set, and on nobody else's."""
    scores, is_member = planted(rng, attacks=2, sets=8, n=60)
    references, asked = scores[:, :6], scores[:, 6]
    mixed = asked.copy()
    mixed[:, 1:] = rng.normal(size=mixed[:, 1:].shape)
    one, other = (calibration.combined_against(references, is_member[:6], which) for which in (asked, mixed))
    assert one[0] == other[0] and not np.array_equal(one, other)


def test_a_score_that_everybody_shares_is_left_out(rng):
    scores, is_member = planted(rng, attacks=2, sets=8, n=60)
    named = {"first": scores[0], "same for all": np.full_like(scores[0], 3.0), "second": scores[1]}
    found = calibration.calibrated(named, is_member)
    assert list(found) == ["first", "second", calibration.TOGETHER]
    assert np.allclose(found[calibration.TOGETHER], calibration.combined(scores, is_member), rtol=1e-9, atol=1e-9)


def test_a_score_that_varies_in_no_known_set_says_nothing_of_the_one_that_is_asked_about(rng):
    """As if it were not there, whatever it is in that one set."""
    scores, is_member = planted(rng, attacks=2, sets=10, n=80)
    known, asked = scores[:, :8], scores[:, 8]
    constant = np.concatenate([known, np.full_like(known[:1], 3.0)])
    one = calibration.combined_against(constant, is_member[:8], np.concatenate([asked, 100 * asked[:1]]))
    assert np.allclose(one, calibration.combined_against(known, is_member[:8], asked), rtol=1e-6)


@pytest.mark.parametrize("sets", [2, 6])
def test_fewer_than_four_pairs_are_refused(rng, sets):
    scores, is_member = planted(rng, attacks=2, sets=sets, n=40)
    with pytest.raises(ValueError, match=f"^{sets} sets: expected 8 or more"):
        calibration.combined(scores, is_member)


def copies_of_some(shown, rng, sets=20, n=120):
    """Scores of sets that are a random choice of their members' images, as they are; who is whose member."""
    is_member = shadow_models.membership_matrix(n, sets, rng)
    draw = torch.Generator().manual_seed(int(rng.integers(2**31)))
    faces = torch.rand(n + 100, 1, 6, 6, generator=draw)
    everybody, own = (Labelled(part, torch.zeros(len(part), dtype=torch.int64)) for part in (faces[:n], faces[n:]))
    known = Known(own, torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1))
    asked = {name: [] for name in ("nearest image", "nearer than to own images", "soft nearest", "density", "unmixing")}
    for members in is_member:
        rows = torch.as_tensor(rng.permutation(np.flatnonzero(members))[:shown])
        released = Labelled(everybody.images[rows], everybody.labels[rows])
        for name, found in asked.items():
            found.append(suite.SCORES[name](released, everybody, known))
    return {name: np.stack(found) for name, found in asked.items()}, is_member


@pytest.mark.parametrize("shown", [6, 30])
def test_copies_of_members_leave_every_calibrated_score_finite_and_no_auc_above_the_theorems(rng, shown):
    """n of N members, as they are: an AUC of 1/2 + n/(2N) at most, on average; a copy is infinitely near its person."""
    scores, is_member = copies_of_some(shown, rng)
    found, most = calibration.calibrated(scores, is_member), controls.ceiling(shown, 60)
    assert len(found) == 6
    for name, calibrated in found.items():
        assert np.isfinite(calibrated).all(), name
        _, low, _ = examination.over_pairs(examination.aucs(calibrated, is_member, ~is_member))
        assert low <= most, name
    together = examination.aucs(found[calibration.TOGETHER], is_member, ~is_member)
    assert together.mean() > 0.5 + 0.5 * (most - 0.5), "and copies are found"


@pytest.mark.parametrize("references", [2, calibration.LEAST_SETS - 2])
def test_too_few_other_sets_are_refused(rng, references):
    scores, is_member = planted(rng, attacks=2, sets=8, n=40)
    with pytest.raises(ValueError, match=f"^{references} other sets: expected {calibration.LEAST_SETS} or more"):
        calibration.combined_against(scores[:, :references], is_member[:references], scores[:, 7])
