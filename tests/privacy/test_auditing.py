"""The audit of epsilon, against mechanisms whose epsilon is known."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import beta, binom, norm

from dcpriv_lib.privacy import accounting, auditing
from dcpriv_lib.results import verdicts


def randomised_response(epsilon, n, rng):
    """The honest bit with probability e^epsilon / (1 + e^epsilon), else the other; then membership."""
    member = np.arange(2 * n) < n
    honest = rng.random(2 * n) < 1 / (1 + np.exp(-epsilon))
    return np.where(honest, member, ~member).astype(float), member


def gaussian_epsilon(sigma, delta):
    """Return the exact epsilon of the Gaussian mechanism of sensitivity 1 (Balle & Wang 2018)."""

    def excess(epsilon):
        return norm.cdf(0.5 / sigma - epsilon * sigma) - np.exp(epsilon) * norm.cdf(-0.5 / sigma - epsilon * sigma)

    return brentq(lambda epsilon: excess(epsilon) - delta, 0, 50)


def test_bound_is_the_formula_with_textbook_intervals():
    hits, members, false_alarms, non_members, delta = 300, 400, 30, 500, 0.01
    low = beta.ppf(0.025, hits, members - hits + 1)
    high = beta.ppf(0.975, false_alarms + 1, non_members - false_alarms)
    expected = max(np.log((low - delta) / high), np.log((1 - high - delta) / (1 - low)))
    assert auditing.lower_bound(hits, members, false_alarms, non_members, delta) == pytest.approx(expected)
    # The mirrored form wins where the attack is sure of who was not a member.
    mirrored = auditing.lower_bound(500 - 30, 500, 400 - 300, 400, delta)
    assert mirrored == pytest.approx(expected)


@pytest.mark.parametrize("true", [0.2, 1.0, 3.0])
def test_randomised_response_is_bounded_from_below_and_nearly_reached(true):
    found = [
        auditing.epsilon_lower_bound(
            *randomised_response(true, 200_000, np.random.default_rng(seed)), np.random.default_rng(seed)
        )
        for seed in range(10)
    ]
    assert max(found) <= true and np.mean(found) == pytest.approx(true, abs=0.06)


def test_bound_exceeds_the_truth_no_more_often_than_its_confidence_allows():
    """1000 audits of 200 people at a level of 80 %: at most 20 % too high, and not idle either."""
    rng = np.random.default_rng(0)
    hits, false_alarms = rng.binomial(200, np.array([[1], [0]]) * 0.462117 + 0.268941, (2, 1000))
    found = auditing.lower_bound(hits, 200, false_alarms, 200, level=0.8)
    assert 0.01 < np.mean(found > 1) <= 0.2 and found.mean() > 0.6


@pytest.mark.parametrize(("sigma", "delta"), [(1.0, 0.1), (0.7, 0.2), (2.0, 0.01)])
def test_gaussian_mechanism_is_bounded_from_below_and_nearly_reached(sigma, delta):
    true, member = gaussian_epsilon(sigma, delta), np.arange(60_000) < 30_000
    found = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        found.append(auditing.epsilon_lower_bound(rng.normal(member, sigma), member, rng, delta))
    assert max(found) <= true and np.mean(found) > 0.75 * true


def test_random_scores_prove_nothing():
    found = [
        auditing.epsilon_lower_bound(rng.normal(size=2000), np.arange(2000) < 1000, rng)
        for rng in map(np.random.default_rng, range(20))
    ]
    assert np.count_nonzero(found) <= 1


def test_constant_scores_prove_nothing():
    assert auditing.epsilon_lower_bound(np.zeros(100), np.arange(100) < 50, np.random.default_rng(0)) == 0


def test_a_perfect_attack_proves_all_that_its_numbers_can():
    member = np.arange(400) < 200
    found = auditing.epsilon_lower_bound(member.astype(float), member, np.random.default_rng(0))
    assert found == pytest.approx(float(auditing.lower_bound(100, 100, 0, 100)))
    assert found == pytest.approx(np.log(0.025**0.01 / (1 - 0.025**0.01)))


def test_a_large_delta_explains_every_attack_away():
    assert auditing.lower_bound(100, 100, 0, 100, delta=0.99) == 0


def test_the_threshold_is_the_best_of_all():
    rng, member = np.random.default_rng(0), np.arange(600) < 300
    scores = rng.normal(2 * member).round(1)
    best = auditing.best_threshold(scores, member)
    bounds = {
        t: auditing.lower_bound((scores[member] >= t).sum(), 300, (scores[~member] >= t).sum(), 300)
        for t in np.unique(scores)
    }
    assert bounds[best] == max(bounds.values()) > 1


def test_the_judging_half_does_not_choose_the_threshold():
    """Chosen and judged on the same examples, random scores look leaky far more often."""
    cheating = honest = 0
    for seed in range(100):
        rng, member = np.random.default_rng(seed), np.arange(400) < 200
        scores = rng.normal(size=400)
        said = scores >= auditing.best_threshold(scores, member, level=0.5)
        cheating += auditing.lower_bound(said[member].sum(), 200, said[~member].sum(), 200, level=0.5) > 0
        honest += auditing.epsilon_lower_bound(scores, member, rng, level=0.5) > 0
    assert cheating > 50 >= honest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((1, 2, 1, 2, -0.1), "delta = -0.1.*from 0 to below 1"),
        ((1, 2, 1, 2, 1.0), "delta = 1.0"),
        ((1, 2, 1, 2, 0.0, 1.0), "level = 1.0.*between 0 and 1"),
        ((0, 0, 1, 2), "0 members and 2 non-members"),
        ((1, 2, 0, 0), "2 members and 0 non-members"),
        ((3, 2, 1, 2), "between 0 and trials"),
    ],
)
def test_impossible_counts_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        auditing.lower_bound(*arguments)


def test_scores_that_cannot_be_audited_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="1 members and 3 non-members.*at least 2 of each"):
        auditing.epsilon_lower_bound(np.arange(4.0), np.arange(4) < 1, rng)
    with pytest.raises(ValueError, match="got only members"):
        auditing.epsilon_lower_bound(np.arange(4.0), np.ones(4, bool), rng)
    with pytest.raises(ValueError, match="1 attack scores are NaN"):
        auditing.epsilon_lower_bound(np.array([np.nan, 1, 2, 3]), np.arange(4) < 2, rng)


@pytest.mark.parametrize(
    ("canaries", "guesses", "correct", "delta", "expected"),
    [
        (60, 60, 40, 1e-5, 0.46717),
        (300, 150, 120, 1e-5, 1.94527),
        (300, 20, 20, 1e-5, 2.73002),
        (300, 10, 10, 1e-5, 1.39813),
        (300, 300, 250, 1e-6, 3.05027),
        (1000, 500, 400, 1e-5, 2.07681),
        (1000, 1000, 620, 1e-5, 0.73635),
        (60, 10, 6, 1e-5, 0),
        (300, 300, 160, 1e-5, 0),
    ],
)
def test_the_audit_of_a_gaussian_mechanism_equals_that_of_jax_privacy(canaries, guesses, correct, delta, expected):
    """Expected values: the f-DP audit of jax_privacy 2.0.0, computed with its own code for these counts."""
    assert auditing.one_run_gaussian(correct, guesses, canaries, delta) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("bound", [auditing.one_run, auditing.one_run_gaussian])
def test_one_run_of_a_gaussian_mechanism_is_not_refuted(bound):
    """300 canaries, each a draw of N(0, 1) or N(mu, 1): at most one bound in twenty may exceed the true epsilon."""
    mu, delta = 1.5, 1e-5
    truth, found = accounting.gaussian_epsilon(mu, delta), []
    for rng in map(np.random.default_rng, range(200)):
        member = rng.random(300) < 0.5
        right = auditing.right_guesses(rng.normal(mu * member), member, 100)
        found.append(bound(right, 100, 300, delta))
    assert np.mean(np.array(found) > truth) <= 0.05
    assert np.mean(found) > 1  # and yet it says something


def test_the_gaussian_audit_proves_more_than_the_general_one():
    assert auditing.one_run_gaussian(120, 150, 300) > 1.5 * auditing.one_run(120, 150, 300, 1e-5)


@pytest.mark.parametrize("mu", [0.3, 1.0, 4.0])
def test_the_epsilon_of_a_gaussian_mechanism_equals_an_integral(mu):
    """delta is what P(N(mu, 1)) exceeds e^epsilon P(N(0, 1)) by, summed up wherever it does."""
    x = np.linspace(-12, 16, 2_000_001)
    epsilon = accounting.gaussian_epsilon(mu, 1e-3)
    excess = norm.pdf(x, mu) - np.exp(epsilon) * norm.pdf(x)
    assert np.trapezoid(np.maximum(excess, 0), x) == pytest.approx(1e-3, rel=1e-4)
    assert accounting.gaussian_epsilon(0.0, 1e-3) == 0


def test_a_game_that_cannot_have_been_played_is_refused():
    with pytest.raises(ValueError, match="3 of 2 guesses right.*expected correct <= guesses <= canaries"):
        auditing.one_run_gaussian(3, 2, 10)


# ---------------------------------------------------------------- several models together


def responses(epsilon, shape, rng):
    """Coins, and what randomised response makes of them, its scores in an order of their own."""
    member = rng.random(shape) < 0.5
    said = np.where(rng.random(shape) < 1 / (1 + np.exp(-epsilon)), member, ~member)
    return said + rng.random(shape), member


@pytest.mark.parametrize("shape", [(10, 60), (3, 40)])
def test_a_pooled_bound_exceeds_the_truth_of_randomised_response_in_at_most_one_of_twenty_repetitions(shape):
    """Here the count of right guesses is exactly the binomial of the theorem: the hardest case for the level."""
    true = 1.0
    found = np.array([auditing.pooled(*responses(true, shape, np.random.default_rng(seed)))[0] for seed in range(600)])
    assert 0.005 < np.mean(found > true) <= 0.05
    assert found.mean() > (0.7 if shape[0] == 10 else 0.2), "and yet it says something"


@pytest.mark.parametrize("bound", [auditing.one_run, auditing.one_run_gaussian])
def test_a_pooled_bound_of_a_gaussian_mechanism_stays_below_its_epsilon(bound):
    mu, delta, found = 1.0, 1e-5, []
    for rng in map(np.random.default_rng, range(200)):
        member = rng.random((10, 60)) < 0.5
        found.append(auditing.pooled(rng.normal(mu * member), member, delta, bound=bound)[0])
    assert np.mean(np.array(found) > accounting.gaussian_epsilon(mu, delta)) <= 0.05
    assert np.mean(found) > 0.5


def lira_of_noise(seed, asked=None, references=None, pairs=10, canaries=60):
    """Scores by online LiRA of models that learned nothing, with the true coins of the references; and those of the
    asked."""
    rng = np.random.default_rng(seed)
    half = rng.random((pairs, canaries)) < 0.5
    is_member, phi = np.stack([half, ~half], 1).reshape(-1, canaries), rng.normal(size=(2 * pairs, canaries))
    asked = np.arange(0, 2 * pairs, 2) if asked is None else asked
    scores = []
    for model in asked:
        others = np.flatnonzero(np.arange(2 * pairs) // 2 != model // 2) if references is None else references
        inside, values = is_member[others], phi[others]
        means = [(values * side).sum(0) / np.maximum(side.sum(0), 1) for side in (inside, ~inside)]
        scores.append((means[0] - means[1]) * (phi[model] - sum(means) / 2))
    return np.array(scores), is_member[asked]


def test_only_references_that_are_not_asked_themselves_keep_the_level_of_a_pooled_bound():
    divided = auditing.asked_and_references(20)
    kept = np.mean([auditing.pooled(*lira_of_noise(seed, *divided))[0] > 0 for seed in range(600)])
    broken = np.mean(
        [
            auditing.one_run(auditing.right_guesses(*map(np.ravel, lira_of_noise(seed)), 300), 300, 600) > 0
            for seed in range(600)
        ]
    )
    assert kept <= 0.05 < broken


def test_the_largest_pooled_bound_is_that_of_a_perfect_attack():
    member = np.random.default_rng(0).random((4, 50)) < 0.5
    shown, largest = auditing.pooled(member + 0.0, member, 1e-5)
    by_size = [
        brentq(
            lambda e, r=r: (
                (p := 1 / (1 + np.exp(-e))) ** r
                + 2 * 200 * 1e-5 * max((binom.sf(r - i - 1, r, p) - p**r) / i for i in range(1, r + 1))
                - 0.0125
            ),
            0,
            20,
        )
        for r in (20, 50, 100, 200)
    ]
    assert largest == pytest.approx(max(by_size)) and shown <= largest
    assert auditing.pooled(member[:, :49] + 0.0, member[:, :49])[1] == pytest.approx(
        auditing.one_run(196, 196, 196, level=0.9875)
    )


@pytest.mark.parametrize("models", [4, 6, 10, 40])
def test_models_that_are_asked_share_no_coin_with_each_other_or_with_the_references(models):
    asked, references = auditing.asked_and_references(models)
    pairs = [*(asked // 2), *np.unique(references // 2)]
    assert len(set(pairs)) == len(pairs) == models // 2 and len(references) % 2 == 0 < len(asked)


def test_a_single_pair_cannot_be_both_asked_and_references():
    with pytest.raises(ValueError, match="2 models: expected two pairs or more"):
        auditing.asked_and_references(2)


# ---------------------------------------------------------------- what an audit could have shown


@pytest.mark.parametrize("guesses", [1, 4, 5, 96, 128])
def test_the_largest_bound_is_that_of_a_coin_that_is_always_right(guesses):
    """With delta = 0 all r guesses are right with probability p^r: p^r = 5 % gives e^epsilon = p / (1 - p)."""
    p = 0.05 ** (1 / guesses)
    assert auditing.one_run(guesses, guesses, 4 * guesses) == pytest.approx(max(0, np.log(p / (1 - p))), abs=1e-6)
    assert auditing.one_run(guesses, guesses, 4 * guesses) >= auditing.one_run(
        max(guesses - 1, 0), guesses, 4 * guesses
    )


def test_the_largest_bounds_are_those_of_an_independent_computation():
    assert auditing.one_run(96, 96, 384, 1e-5) == pytest.approx(3.44, abs=0.005)
    assert auditing.one_run(128, 128, 512, 1e-5) == pytest.approx(3.73, abs=0.005)
    assert auditing.one_run_gaussian(96, 96, 384, 1e-5) == pytest.approx(6.27, abs=0.005)
    assert auditing.one_run_gaussian(128, 128, 512, 1e-5) == pytest.approx(6.76, abs=0.005)


@pytest.mark.parametrize(
    ("claimed", "shown", "largest", "expected"),
    [
        (1, 1.5, 3.4, "REFUTED"),
        (1, 0.9, 3.4, "not refuted"),
        (1, 1, 3.4, "not refuted"),
        (10, 3.4, 3.4, "cannot be tested"),
        (3.4, 3.4, 3.4, "cannot be tested"),
        (1, np.nan, 3.4, "cannot be tested"),
        (np.inf, 3.4, 3.4, "none"),
        (np.inf, np.nan, 3.4, "none"),
    ],
)
def test_only_a_claim_that_could_be_refuted_is_said_to_stand(claimed, shown, largest, expected):
    assert auditing.answer(claimed, shown, largest) == expected


def test_claims_that_cannot_be_tested_are_not_counted_as_tested():
    assert str(verdicts.tally(["not refuted"] * 5 + ["cannot be tested"] * 5)) == "0 of 5 refuted; 5 cannot be tested"
    assert str(verdicts.tally(np.array(["REFUTED", "not refuted"]))) == "1 of 2 refuted"
    assert str(verdicts.tally(["cannot be tested"])) == "0 of 0 refuted; 1 cannot be tested"


# ---------------------------------------------------------------- guesses that say "member" only


def test_members_pooled_is_one_run_of_the_highest_scores_of_all_models():
    scores = np.array([[9.0, 1.0, 7.0, 5.0], [2.0, 8.0, 0.0, 6.0]])
    member = np.array([[True, False, False, True], [False, True, True, True]])
    # From above: 9 in, 8 in, 7 out, 6 in, 5 in, 2 out, 1 out, 0 in. Two numbers of guesses share the 5 %.
    by_hand = [auditing.one_run(2, 2, 8, 0.001, 0.975), auditing.one_run(4, 5, 8, 0.001, 0.975)]
    largest = [auditing.one_run(2, 2, 8, 0.001, 0.975), auditing.one_run(5, 5, 8, 0.001, 0.975)]
    assert auditing.members_pooled(scores, member, [2, 5], 0.001) == (max(by_hand), max(largest))
    many = np.tile(member, (50, 1)), np.tile(scores, (50, 1))  # 100 times 9, 8 and so on
    assert auditing.members_pooled(many[1], many[0], [100])[0] == auditing.one_run(100, 100, 400) > 2
    assert auditing.members_pooled(-many[1], many[0], [100])[0] < auditing.one_run(100, 100, 400)


def test_members_pooled_refutes_zero_in_at_most_one_of_twenty_where_nothing_leaks():
    """Three numbers of guesses share the level: 200 draws, two standard errors aside."""
    rng, found = np.random.default_rng(0), []
    for _ in range(200):
        member = rng.random((3, 200)) < 0.5
        found.append(auditing.members_pooled(rng.normal(size=member.shape), member, [12, 60, 150])[0])
    assert np.mean(np.array(found) > 0) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)


@pytest.mark.parametrize("true", [0.5, 2.0])
def test_members_pooled_stays_below_a_known_epsilon_and_comes_near_it(true):
    """Everybody's coin by randomised response is epsilon-private; who is said to be in is guessed first."""
    rng, found = np.random.default_rng(1), []
    for _ in range(200):
        member = rng.random((4, 250)) < 0.5
        honest = rng.random(member.shape) < 1 / (1 + np.exp(-true))
        scores = np.where(honest, member, ~member) + 0.1 * rng.random(member.shape)
        found.append(auditing.members_pooled(scores, member, [50, 400])[0])
    assert np.mean(np.array(found) > true) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean(found) > 0.4 * true


def test_members_pooled_finds_the_few_who_are_recognised_where_pooled_does_not():
    """Sixty of a thousand members are recognised, and nobody's absence: half of the guesses of `pooled` are wasted."""
    rng = np.random.default_rng(2)
    member = rng.random((2, 1000)) < 0.5
    scores = rng.normal(size=member.shape)
    scores[:, :60] += 100 * member[:, :60]
    found, largest = auditing.members_pooled(scores, member, [50])
    assert found == largest == auditing.one_run(50, 50, 2000)
    assert auditing.pooled(scores, member)[0] < found
