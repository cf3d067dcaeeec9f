"""The strongest attack is the one with the highest AUC; a bound finds planted examples and not a true guarantee."""

import numpy as np
import pytest

from dcpriv_lib.attacks.shadow_models import membership_matrix
from dcpriv_lib.evaluation import examination, released_sets


def scores_of(rng, is_member, shown=0):
    """Scores that say nothing, but for so many members of every set, whom "nearest image" has at distance 0."""
    found = {name: rng.normal(size=is_member.shape) for name in ("nearest image", "unmixing", "density")}
    for scores, member in zip(found["nearest image"], is_member):
        scores[rng.choice(np.flatnonzero(member), shown, replace=False)] = 10.0
    return found


@pytest.mark.parametrize("sets", [10, 40])
def test_an_example_of_each_class_is_caught_however_many_sets_there_are(sets):
    rng = np.random.default_rng(sets)
    is_member = membership_matrix(1000, sets, rng)
    bound, largest = released_sets.epsilon_at_least(scores_of(rng, is_member, shown=10), is_member, 1e-5)
    assert 1 < bound < largest


def test_where_nothing_leaks_a_bound_above_0_is_found_in_at_most_one_of_twenty():
    above = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        is_member = membership_matrix(100, 10, rng)
        above += released_sets.epsilon_at_least(scores_of(rng, is_member), is_member, 1e-5)[0] > 0
    assert above <= 0.05 * 200 + 2 * np.sqrt(200 * 0.05 * 0.95)


def test_the_strongest_attack_is_chosen_by_its_auc():
    rng = np.random.default_rng(0)
    is_member = membership_matrix(200, 6, rng)
    scores = {name: rng.normal(size=is_member.shape) + by * is_member for name, by in (("weak", 0.1), ("strong", 1.0))}
    best, row = released_sets.strongest(scores, is_member, ~is_member)
    assert best == "strong" and row["auc"] == examination.examine(scores["strong"], is_member, ~is_member)["auc"]
