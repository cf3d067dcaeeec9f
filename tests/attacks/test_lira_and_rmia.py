"""LiRA, RMIA and the metrics of low false positive rates, against slow loops and closed forms."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.special import logit, softmax
from scipy.stats import beta, binomtest, norm
from sklearn.metrics import balanced_accuracy_score, precision_score, roc_curve

from dcpriv_lib import metrics
from dcpriv_lib.attacks import lira, rmia, shadow_models, signals, suites
from dcpriv_lib.attacks.attack import Answers
from dcpriv_lib.results import plots, tables
from planted import D, gaussian_scores, make_references, ridge_logits


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def refused():
    def refuse(*words):
        return pytest.raises(ValueError, match=".*".join(words))

    return refuse


# Membership


@pytest.mark.parametrize(("n", "models"), [(100, 16), (2, 2), (31, 6)])
def test_membership_matrix_is_balanced_both_ways(n, models, rng):
    is_member = shadow_models.membership_matrix(n, models, rng)
    assert is_member.shape == (models, n) and is_member.dtype == bool
    assert (is_member.sum(axis=0) == models // 2).all()
    assert set(is_member.sum(axis=1)) <= {n // 2, n - n // 2}
    assert np.array_equal(is_member[::2], ~is_member[1::2])  # so without one pair it is balanced still


def test_membership_matrix_is_random_and_repeatable():
    one, same, other = (shadow_models.membership_matrix(50, 400, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    fewer = shadow_models.membership_matrix(50, 8, np.random.default_rng(1))
    assert np.array_equal(one[:8], fewer), "more models leave the first ones as they are"
    together = (one[::2, 0] == one[::2, 1]).sum()  # two examples share a model with probability 24/49
    assert binomtest(int(together), 200, 24 / 49).pvalue > 0.001


# LiRA


def test_logit_confidence_is_the_logit_of_the_softmax_and_stays_exact(rng):
    logits, labels = rng.normal(size=(40, 3, 5)), rng.integers(0, 5, 40)
    p = softmax(logits, axis=-1)[np.arange(40), :, labels]
    assert np.allclose(signals.logit_confidence(logits, labels), logit(p), rtol=1e-12)
    assert np.array_equal(
        signals.logit_confidence(logits[:, 0], labels), signals.logit_confidence(logits, labels)[:, 0]
    )
    certain = np.array([[900.0, 0.0], [0.0, 900.0]])  # here p_y rounds to 1 and to 0
    assert signals.logit_confidence(certain, np.array([0, 0])).tolist() == [900.0, -900.0]


def slow_lira(scores, is_member, target, fixed_variance, online):
    """The same attack, one example, one query and one model at a time."""
    n, queries = target.shape

    def fit(inside, q):
        mean, squares, freedom = {}, {}, {}
        for i in range(n):
            own = [scores[j, i, q] for j in range(len(is_member)) if is_member[j, i] == inside]
            mean[i] = sum(own) / len(own)
            squares[i], freedom[i] = sum((x - mean[i]) ** 2 for x in own), len(own) - 1
        whole = np.sqrt(sum(squares.values()) / sum(freedom.values()))
        return {i: (mean[i], whole if fixed_variance else np.sqrt(squares[i] / freedom[i])) for i in range(n)}

    result = np.zeros(n)
    for q in range(queries):
        inside, outside = fit(True, q) if online else None, fit(False, q)
        for i in range(n):
            result[i] += (
                norm.logpdf(target[i, q], *inside[i]) - norm.logpdf(target[i, q], *outside[i])
                if online
                else -norm.logsf(target[i, q], *outside[i])
            ) / queries
    return result


@pytest.mark.parametrize("fixed_variance", [True, False])
@pytest.mark.parametrize("online", [True, False])
def test_lira_equals_an_independent_double_loop(fixed_variance, online, rng):
    scores, is_member, target, _ = gaussian_scores(rng, models=8, n=30, queries=(3,))
    is_member ^= rng.random(is_member.shape) < 0.05  # unequal numbers of models in and out
    attack = lira.online if online else lira.offline
    expected = slow_lira(scores, is_member, target, fixed_variance, online)
    assert np.allclose(attack(scores, is_member, target, fixed_variance=fixed_variance), expected, rtol=1e-9)
    one = attack(scores[..., 0], is_member, target[:, 0], fixed_variance=fixed_variance)
    assert np.allclose(one, slow_lira(scores[..., :1], is_member, target[:, :1], fixed_variance, online), rtol=1e-9)


@pytest.mark.parametrize("attack", [lira.online, lira.offline])
def test_lira_reaches_the_closed_form_where_one_threshold_for_all_does_not(attack, rng):
    scores, is_member, target, member = gaussian_scores(rng, models=200, n=4000)
    found = attack(scores, is_member, target, fixed_variance=True)
    assert metrics.auc(found, member, rng, draws=2)[0] == pytest.approx(norm.cdf(D / np.sqrt(2)), abs=0.015)
    assert metrics.tpr_at_fpr(found, member, 0.1, rng)[0] == pytest.approx(norm.cdf(norm.ppf(0.1) + D), abs=0.04)
    plain = metrics.auc(target, member, rng, draws=2)[0]  # the examples' own levels, of spread 5, drown it
    assert plain == pytest.approx(norm.cdf(D / np.sqrt(2 + 2 * 25)), abs=0.025)


def test_independent_queries_add_up_to_a_larger_distance(rng):
    scores, is_member, target, member = gaussian_scores(rng, models=200, n=2000, shift=0.75, queries=(4,))
    found = lira.online(scores, is_member, target, fixed_variance=True)
    assert metrics.auc(found, member, rng, draws=2)[0] == pytest.approx(norm.cdf(0.75 * 2 / np.sqrt(2)), abs=0.02)


def test_offline_lira_does_not_look_at_the_models_with_the_example(rng):
    scores, is_member, target, _ = gaussian_scores(rng, models=8, n=20)
    other = np.where(is_member, rng.normal(size=scores.shape), scores)
    assert np.array_equal(
        lira.offline(scores, is_member, target, fixed_variance=True),
        lira.offline(other, is_member, target, fixed_variance=True),
    )


def test_offline_lira_still_ranks_members_whose_probability_rounds_to_one(rng):
    scores = rng.normal(size=(50, 3))
    found = lira.offline(scores, np.zeros((50, 3), bool), np.array([20.0, 30.0, 40.0]), fixed_variance=True)
    assert (np.diff(found) > 100).all()


@pytest.mark.parametrize("fixed_variance", [True, False])
def test_constant_scores_give_constant_lira(fixed_variance, rng):
    is_member = shadow_models.membership_matrix(10, 6, rng)
    constant = np.full(is_member.shape, 0.1)
    assert np.allclose(lira.online(constant, is_member, constant[0], fixed_variance=fixed_variance), 0, atol=1e-9)
    assert np.allclose(lira.offline(constant, is_member, constant[0], fixed_variance=fixed_variance), np.log(2))


# RMIA


def slow_rmia(p, prior, population_p, population_prior, gamma):
    ratio = [[(a / b) / (c / d) for c, d in zip(population_p, population_prior)] for a, b in zip(p, prior)]
    return np.array([sum(one > gamma for one in row) / len(row) for row in ratio])


@pytest.mark.parametrize("gamma", [1.0, 2.0])
@pytest.mark.parametrize("online", [True, False])
def test_rmia_equals_an_independent_double_loop(gamma, online, rng):
    p, is_member, target = rng.random((6, 25)), shadow_models.membership_matrix(25, 6, rng), rng.random(25)
    z, is_member_z, target_z = rng.random((6, 40)), shadow_models.membership_matrix(40, 6, rng), rng.random(40)

    def slow_prior(p, is_member):
        out = [np.mean([p[j, i] for j in range(6) if not is_member[j, i]]) for i in range(p.shape[1])]
        inside = [
            np.mean([p[j, i] for j in range(6) if is_member[j, i]]) if online else 0.3 * out[i] + 0.7
            for i in range(p.shape[1])
        ]
        return [(a + b) / 2 for a, b in zip(inside, out)]

    priors = [
        rmia.online_prior(*pair) if online else rmia.offline_prior(*pair, a=0.3)
        for pair in ((p, is_member), (z, is_member_z))
    ]
    assert np.allclose(priors[0], slow_prior(p, is_member)) and np.allclose(priors[1], slow_prior(z, is_member_z))
    found = rmia.scores(target, priors[0], target_z, priors[1], gamma)
    assert np.array_equal(found, slow_rmia(target, priors[0], target_z, priors[1], gamma))
    assert len(np.unique(found)) > 5


def test_rmia_averages_over_queries(rng):
    x, px, z, pz = rng.random((20, 3)), rng.random((20, 3)), rng.random((30, 3)), rng.random((30, 3))
    each = [rmia.scores(x[:, q], px[:, q], z[:, q], pz[:, q]) for q in range(3)]
    assert np.allclose(rmia.scores(x, px, z, pz), np.mean(each, axis=0))


def test_rmia_reaches_the_closed_form_of_two_gaussians(rng):
    """log p(x|theta)/p(x) ~ N(D, 1) for members, N(0, 1) for others and for z; p(x) differs widely."""
    member = np.arange(4000) < 2000
    prior, prior_z = rng.uniform(1e-6, 1e-4, 4000), rng.uniform(1e-6, 1e-4, 20_000)
    target = prior * np.exp(rng.normal(D * member, 1))
    found = rmia.scores(target, prior, prior_z * np.exp(rng.normal(size=20_000)), prior_z)
    assert metrics.auc(found, member, rng, draws=2)[0] == pytest.approx(norm.cdf(D / np.sqrt(2)), abs=0.015)
    # A non-member's score is its rank among people like it: the false positive rate can be read off.
    assert np.mean(found[~member] > 0.9) == pytest.approx(0.1, abs=0.02)
    assert np.mean(found[member] > 0.9) == pytest.approx(norm.cdf(norm.ppf(0.1) + D), abs=0.04)


def test_rmia_on_constant_and_on_vanishing_probabilities_is_defined():
    same = np.full(5, 0.2)
    assert np.array_equal(rmia.scores(same, same, same, same), np.zeros(5))
    assert np.array_equal(rmia.scores(np.array([0.0, 1e-9]), np.zeros(2), np.zeros(3), np.zeros(3)), [0, 1])


# Losses


def test_loss_threshold_per_class_finds_each_class_its_own(rng):
    labels, member = np.repeat([3, 7], 200), np.tile([True, False], 200)
    losses = rng.exponential(np.where(labels == 3, 1, 100) * np.where(member, 1, 5))
    taus = suites.loss_threshold_per_class(losses, labels, member)
    assert taus == {
        c: suites.loss_threshold(losses[(labels == c) & member], losses[(labels == c) & ~member]) for c in (3, 7)
    }
    found = suites.score_loss_per_class(taus, losses, labels)
    assert np.array_equal(found >= 0, losses <= np.where(labels == 3, taus[3], taus[7]))
    one = suites.loss_threshold(losses[member], losses[~member]) - losses
    assert np.mean((found >= 0) == member) > np.mean((one >= 0) == member) + 0.1


# Controls


@pytest.mark.parametrize("attack", ["LiRA online", "LiRA offline", "RMIA online", "RMIA offline"])
def test_random_membership_labels_give_auc_one_half(attack):
    """The negative control: of 20 seeds, at least 17 intervals hold 0.5 (P < 0.02 otherwise)."""
    held = beaten = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scores, is_member, target, member = gaussian_scores(rng, models=8, n=1000, shift=0)
        found = scored(attack, scores, is_member, target, rng.normal(0, 5, (9, 500)))
        _, low, high = metrics.auc(found, member, rng, draws=200)
        held += low <= 0.5 <= high
        beaten += metrics.tpr_at_fpr(found, member, 0.01, rng)[1] > 0.01
    assert held >= 17 and beaten <= 1


def scored(attack, scores, is_member, target, population):
    """Run one attack by its name; `population` holds the reference models' scores, then the target's."""
    if attack.startswith("LiRA"):
        return (lira.online if "online" in attack else lira.offline)(scores, is_member, target, fixed_variance=True)
    p, q, z = (1 / (1 + np.exp(-one)) for one in (scores, target, population))
    is_member_z = shadow_models.membership_matrix(z.shape[1], len(is_member), np.random.default_rng(0))
    prior, prior_z = (
        (rmia.online_prior(p, is_member), rmia.online_prior(z[:-1], is_member_z))
        if "online" in attack
        else (rmia.offline_prior(p, is_member, 0.5), rmia.offline_prior(z[:-1], is_member_z, 0.5))
    )
    return rmia.scores(q, prior, z[-1], prior_z)


@pytest.mark.parametrize("attack", ["LiRA online", "LiRA offline", "RMIA online", "RMIA offline"])
def test_a_planted_leak_is_found_at_low_false_positive_rates(attack, rng):
    """The positive control, from membership matrix to rate: models that memorise random labels."""
    rows, labels = rng.normal(size=(800, 500)), rng.integers(0, 10, 800)
    is_member, member = shadow_models.membership_matrix(400, 12, rng), rng.permutation(np.arange(400) < 200)
    # The last 400 rows are the population: half of them in every model but the target.
    everybody = np.hstack(
        [
            np.vstack([is_member, member]),
            np.vstack([shadow_models.membership_matrix(400, 12, np.random.default_rng(0)), np.zeros(400, bool)]),
        ]
    )
    phi = np.array([signals.logit_confidence(ridge_logits(rows, labels, one), labels) for one in everybody])
    found = scored(attack, phi[:-1, :400], is_member, phi[-1, :400], phi[:, 400:])
    at_1_percent = metrics.share_above(found[member], found[~member], 2)  # too few non-members for an interval
    assert at_1_percent > 0.9 and metrics.rate(round(200 * at_1_percent), 200)[1] > 0.85
    tpr, low, _ = metrics.tpr_at_fpr(found, member, 0.03, rng)
    assert tpr > 0.9 and low > 0.85


# Metrics


def test_clopper_pearson_equals_scipy(rng):
    trials = np.concatenate([[1, 1, 5, 5, 30_000, 30_000], rng.integers(1, 5000, 40)])
    successes = np.concatenate([[0, 1, 0, 5, 1, 29_999], rng.integers(0, trials[6:] + 1)])
    for level in (0.95, 0.975, 0.999):
        low, high = metrics.clopper_pearson(successes, trials, level)
        for k, n, a, b in zip(successes, trials, low, high):
            exact = binomtest(int(k), int(n)).proportion_ci(level, method="exact")
            assert (a, b) == pytest.approx((exact.low, exact.high), abs=1e-9)
    assert metrics.clopper_pearson(0, 0) == (0, 1)


def test_judging_an_attack_does_not_wait_for_scipy_stats():
    imports = (
        "import sys; from dcpriv_lib import metrics; from dcpriv_lib.attacks import lira, rmia, shadow_models; "
        "from dcpriv_lib.privacy import auditing; sys.exit('scipy.stats' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", imports]).returncode == 0


@pytest.mark.parametrize("fpr", [0.05, 0.07, 0.29, 0.5])
@pytest.mark.parametrize("decimals", [1, 12])
def test_tpr_at_fpr_is_the_highest_point_of_the_roc_curve_within_it(fpr, decimals, rng):
    member = np.arange(300) < 200
    scores = rng.normal(member * 1.0).round(decimals)
    curve = roc_curve(member, scores, drop_intermediate=False)
    best = curve[1][curve[0] <= fpr + 1e-12].max()
    value, low, high = metrics.tpr_at_fpr(scores, member, fpr, rng)
    threshold = metrics.threshold_at_fpr(scores, member, fpr)
    false_positives = (scores[~member] > threshold).sum()
    assert value == best and low < best < high
    assert false_positives == round(100 * fpr) if decimals == 12 else false_positives <= round(100 * fpr)


def test_a_rate_that_the_non_members_cannot_resolve_is_said_to_be_so(rng):
    member = np.arange(1000) < 500
    scores = rng.normal(size=1000)
    assert [np.isnan(metrics.tpr_at_fpr(scores, member, fpr, rng)[0]) for fpr in metrics.LOW_FPRS] == [
        False,
        True,
        True,
    ]
    texts = [str(tables.percent_at_fpr(*metrics.tpr_at_fpr(scores, member, fpr, rng), 500)) for fpr in (0.01, 0.009)]
    assert texts[0].endswith("]") and texts[1] == "not resolvable at n = 500"


def test_strangers_exceed_the_threshold_as_often_as_documented(rng):
    rates = [norm.sf(metrics.threshold_at_fpr(rng.normal(size=101), np.arange(101) < 1, 0.03)) for _ in range(3000)]
    assert np.mean(rates) == pytest.approx(4 / 101, rel=0.05)


def test_roc_band_runs_through_the_rates_and_covers_the_closed_form_pointwise():
    covered = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        member = np.arange(20_500) < 500
        scores = rng.normal(D * member)
        fpr, tpr, low, high = metrics.roc_band(scores, member, rng)
        truth = norm.cdf(norm.ppf(fpr) + D)
        covered.append(((low <= truth) & (truth <= high))[(fpr > 0.01) & (fpr < 0.9)].mean())
    at = np.searchsorted(fpr, 0.01)
    assert tpr[at] == metrics.tpr_at_fpr(scores, member, fpr[at], rng)[0]
    assert fpr[0] == 5 / 20_000 and fpr[-1] == tpr[-1] == high[-1] == 1 and (np.diff(tpr) >= 0).all()
    assert np.mean(covered) > 0.9


def test_roc_log_draws_the_band_from_the_smallest_rate_that_can_be_resolved(rng):
    member = np.arange(300) < 100
    scores = rng.normal(member)
    _, ax = plt.subplots()
    assert plots.roc_log(ax, scores, member, "a") is ax
    plots.roc_log(ax, -scores, member, "b")
    _chance, one, two = ax.lines
    fpr, tpr, *_ = metrics.roc_band(scores, member, rng)
    assert ax.get_xscale() == ax.get_yscale() == "log" and ax.get_xlim() == (5 / 200, 1) and ax.get_ylim() == (0.01, 1)
    assert np.array_equal(one.get_xdata(), fpr) and np.array_equal(one.get_ydata(), np.maximum(tpr, 0.01))
    assert len(ax.collections) == 2 and one.get_color() != two.get_color()
    plt.close("all")


def test_best_balanced_accuracy_is_the_best_of_all_and_optimistic(rng):
    member = np.arange(60) < 30
    scores = rng.normal(size=60).round(1)
    every = [balanced_accuracy_score(member, scores >= t) for t in np.unique(scores)]
    assert metrics.best_balanced_accuracy(scores, member) == pytest.approx(max(every)) and max(every) > 0.5
    assert metrics.best_balanced_accuracy(-np.arange(60.0)[::-1], ~member) == 1.0
    assert metrics.best_balanced_accuracy(np.arange(60.0), member) == 0.5


def test_precision_at_a_prior_of_one_half_equals_scikit_learn(rng):
    member = np.arange(400) < 200
    said = rng.random(400) < 0.2 + 0.3 * member
    assert metrics.precision_at_prior(said, member, 0.5)[0] == pytest.approx(precision_score(member, said))


def test_precision_at_a_prior_takes_the_conservative_corners():
    member, said = np.repeat([True, False], [100, 1000]), np.zeros(1100, bool)
    said[:40], said[100:110] = True, True
    (tpr_low, tpr_high), (fpr_low, fpr_high) = (
        (beta.ppf(0.0125, k, n - k + 1), beta.ppf(0.9875, k + 1, n - k)) for k, n in ((40, 100), (10, 1000))
    )
    value, low, high = metrics.precision_at_prior(said, member, 0.01)
    assert value == pytest.approx(0.4 * 0.01 / (0.4 * 0.01 + 0.01 * 0.99))
    assert low == pytest.approx(tpr_low * 0.01 / (tpr_low * 0.01 + fpr_high * 0.99))
    assert high == pytest.approx(tpr_high * 0.01 / (tpr_high * 0.01 + fpr_low * 0.99))


def test_precision_interval_covers_at_least_as_often_as_it_says(rng):
    member, held = np.arange(400) < 200, 0
    truth = 0.1 * 0.3 / (0.1 * 0.3 + 0.9 * 0.05)
    for _ in range(300):
        _, low, high = metrics.precision_at_prior(rng.random(400) < np.where(member, 0.3, 0.05), member, 0.1)
        held += low <= truth <= high
    assert held >= 285


def test_constant_scores_and_silent_attacks_have_defined_rates(rng):
    member = np.arange(200) < 100
    assert metrics.tpr_at_fpr(np.zeros(200), member, 0.05, rng) == pytest.approx((0, 0, 1 - 0.025 ** (1 / 100)))
    _fpr, tpr, _, _ = metrics.roc_band(np.zeros(200), member, rng)
    assert (tpr[:-1] == 0).all() and tpr[-1] == 1
    assert metrics.best_balanced_accuracy(np.zeros(200), member) == 0.5
    value, low, high = metrics.precision_at_prior(np.zeros(200, bool), member, 0.1)
    assert np.isnan(value) and (low, high) == (0, 1)


# Errors


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_and_scores_that_are_not_finite_are_refused(value, refused, rng):
    with refused("1 of 2 rows of logits hold NaN or infinity", "smaller learning rate"):
        signals.logit_confidence(np.array([[0.0, value], [0.0, 1.0]]), np.array([0, 1]))
    scores, is_member, target, _ = gaussian_scores(rng, models=4, n=6)
    for attack in (lira.online, lira.offline):
        with refused("1 of 24 shadow scores are NaN or infinite", "finite", "diverged"):
            attack(np.where(np.arange(24).reshape(4, 6) == 5, value, scores), is_member, target, fixed_variance=True)
        with refused("1 of 6 target scores are NaN or infinite"):
            attack(scores, is_member, np.append(target[:-1], value), fixed_variance=True)
    for bad in (value, 1.5, -0.1):
        with refused("1 of 24 values are not probabilities", "softmax"):
            rmia.offline_prior(np.where(np.arange(24) == 5, bad, 0.5).reshape(4, 6), is_member, a=0.5)


def test_an_example_in_no_model_or_in_all_is_refused(refused, rng):
    scores, is_member, target, _ = gaussian_scores(rng, models=4, n=6)
    p = np.full(is_member.shape, 0.5)
    never, always = is_member.copy(), is_member.copy()
    never[:, 2], always[:, 4] = False, True
    for attack, argument in ((lira.online, (scores, never, target)), (lira.offline, (scores, always, target))):
        kind = "in" if argument[1] is never else "out of"
        with refused("1 of 6 examples", f"are {kind} fewer than 1 of the 4 shadow models", "membership_matrix"):
            attack(*argument, fixed_variance=True)
    with refused(r"first: 2\) are in fewer than 1"):
        rmia.online_prior(p, never)
    with refused(r"first: 4\) are out of fewer than 1"):
        rmia.offline_prior(p, always, a=0.5)
    assert np.isfinite(lira.offline(scores, never, target, fixed_variance=False)).all()


def test_too_few_models_for_a_variance_are_refused(refused, rng):
    scores, is_member, target, _ = gaussian_scores(rng, models=2, n=6)
    with refused("6 of 6 examples", "fewer than 2 of the 2 shadow models"):
        lira.online(scores, is_member, target, fixed_variance=False)
    with refused("no variance can be estimated", "at least 4"):
        lira.online(scores, is_member, target, fixed_variance=True)


def test_arrays_that_do_not_fit_are_refused(refused, rng):
    scores, is_member, target, _ = gaussian_scores(rng, models=4, n=6)
    with refused(r"is_member of shape \[4, 6\] and type int64", "expected", "bool is_member"):
        lira.online(scores, is_member.astype(int), target, fixed_variance=True)
    with refused(r"shape \[4, 6\] with is_member of shape \[4, 5\]"):
        lira.online(scores, is_member[:, :5], target, fixed_variance=True)
    with refused(r"target scores of shape \[5\]: expected \[6\]", "same examples"):
        lira.offline(scores, is_member, target[:5], fixed_variance=True)
    with refused(r"logits of shape \[3, 1\]", "two classes"):
        signals.logit_confidence(np.zeros((3, 1)), np.zeros(3, int))
    for numbers in ((10, 3), (1, 2), (10, 0)):
        with refused(f"n = {numbers[0]}, models = {numbers[1]}", "even number"):
            shadow_models.membership_matrix(*numbers, rng)


def test_impossible_settings_are_refused(refused):
    half, nobody = np.full(4, 0.5), np.empty(0)
    with refused("a = 1.2", "from 0 to 1"):
        rmia.offline_prior(half[None], np.zeros((1, 4), bool), a=1.2)
    with refused("gamma = 0", "above 0"):
        rmia.scores(half, half, half, half, gamma=0)
    with refused("0 population examples", "not empty"):
        rmia.scores(half, half, nobody, nobody)
    member = np.arange(4) < 2
    for bad in (0, 1):
        with refused(f"fpr = {bad}", "above 0 and below 1"):
            metrics.tpr_at_fpr(half, member, bad, np.random.default_rng(0))
        with refused(f"prior = {bad}", "above 0 and below 1"):
            metrics.precision_at_prior(member, member, bad)
    with refused("successes = 3 of trials = 2"):
        metrics.clopper_pearson(3, 2)


def test_rmia_refuses_a_model_that_was_not_asked_about_the_attackers_own_examples(refused, rng):
    references, answers, _ = make_references(rng, leak=True)
    with refused("other_logits = None: expected", "needs_others"):
        suites.rmia_score(references, 0.5)(Answers(answers.logits, answers.labels))


@pytest.mark.parametrize("inside", [True, False])
def test_rates_without_members_or_non_members_are_refused(inside, refused, rng):
    member, words = np.full(5, inside), ("needs members and non-members", f"only {'' if inside else 'non-'}members")
    for rate in (
        lambda: metrics.tpr_at_fpr(np.zeros(5), member, 0.1, rng),
        lambda: metrics.roc_band(np.zeros(5), member, rng),
        lambda: metrics.best_balanced_accuracy(np.zeros(5), member),
        lambda: metrics.precision_at_prior(member, member, 0.1),
    ):
        with refused(*words):
            rate()
    with refused(r"scores of shape \[4\] and membership of shape \[5\]"):
        metrics.roc_band(np.zeros(4), member, rng)


def test_classes_without_thresholds_or_of_one_kind_are_refused(refused):
    with refused("class 1 has only members", "larger ds"):
        suites.loss_threshold_per_class(np.arange(3.0), np.array([0, 0, 1]), np.array([True, False, True]))
    with refused(r"no threshold for the classes \[4\]", "every class"):
        suites.score_loss_per_class({0: 1.0}, np.ones(2), np.array([0, 4]))
