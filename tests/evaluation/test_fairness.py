"""Fairness: against a hand-made confusion matrix, plain loops, and worlds whose unfairness is known."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from dcpriv_lib import metrics
from dcpriv_lib.evaluation import controls, examination, fairness
from dcpriv_lib.results import against_chen, comparison, literature, tables

# true class (row) said to be (column); class 3 never occurs
CONFUSION = np.array([[8, 1, 1, 0], [2, 6, 0, 2], [0, 0, 5, 0], [0, 0, 0, 0]])
LABELS = np.repeat(np.arange(4), CONFUSION.sum(1))
SAID = np.concatenate([np.repeat(np.arange(4), row) for row in CONFUSION])
RIGHT = (SAID == LABELS)[None]


def test_the_accuracies_of_the_classes_are_the_diagonal_of_the_confusion_matrix():
    found = fairness.class_accuracies(RIGHT, LABELS, 4)[0]
    assert found[:3].tolist() == [0.8, 0.6, 1.0] and np.isnan(found[3])
    assert fairness.spread(found) == pytest.approx(np.sqrt((0**2 + 0.2**2 + 0.2**2) / 3))
    table = fairness.by_class(RIGHT, LABELS, ["a", "b", "c", "d"])
    assert table["images"].tolist() == [10, 10, 5, 0] and table["accuracy"].tolist()[:3] == [0.8, 0.6, 1.0]
    for row, (k, n) in zip(table.itertuples(), ((8, 10), (6, 10), (5, 5))):
        assert (row.accuracy_low, row.accuracy_high) == metrics.rate(k, n)[1:]
    assert table.iloc[3, 2:].isna().all()


def test_a_class_that_never_occurs_changes_nothing():
    shares = fairness.shares_of_the_spread(np.repeat(RIGHT, 2, 0), LABELS, 4)
    assert shares == fairness.shares_of_the_spread(np.repeat(RIGHT, 2, 0), LABELS, 3)
    both = [fairness.amplification(RIGHT, RIGHT, LABELS, classes, np.random.default_rng(0)) for classes in (3, 4)]
    assert both[0] == both[1] and both[0][0] == 1
    aucs = examination.aucs_by_class(
        np.arange(25.0)[None], np.arange(25)[None] % 2 == 0, np.arange(25)[None] % 2 == 1, LABELS, 4
    )
    assert np.isnan(aucs[0, 3]) and np.isfinite(aucs[0, :3]).all()


def test_the_interval_of_runs_with_one_exam_does_not_shrink():
    one, three = (fairness.by_class(np.repeat(RIGHT, runs, 0), LABELS, list("abcd")) for runs in (1, 3))
    assert np.allclose(one.iloc[:3, 2:].astype(float), three.iloc[:3, 2:].astype(float))


def world(accuracies, runs, images, rng, of_run=0.0):
    """Answers [runs, n] of models right with a chance a class, which moves from run to run."""
    labels = np.repeat(np.arange(len(accuracies)), images)
    chance = np.clip(accuracies + of_run * rng.normal(size=(runs, len(accuracies))), 0, 1)
    return rng.random((runs, len(labels))) < chance[:, labels], labels


def test_amplification_is_the_plain_quotient():
    rng = np.random.default_rng(1)
    a, labels = world(np.linspace(0.5, 0.9, 5), 3, 40, rng)
    b, _ = world(np.linspace(0.8, 0.95, 5), 2, 40, rng)

    def plain(right):
        return np.mean([np.std([run[labels == c].mean() for c in range(5)]) for run in right])

    value, low, high = fairness.amplification(a, b, labels, 5, rng)
    assert value == pytest.approx(plain(a) / plain(b)) and low < value < high
    assert np.isnan(fairness.amplification(a, np.ones_like(b), labels, 5, rng)).all(), "no spread to amplify"


def test_the_interval_holds_the_truth_and_finds_an_amplification():
    rng, held, found = np.random.default_rng(2), 0, 0
    for _ in range(40):
        original, labels = world(np.linspace(0.75, 0.98, 10), 3, 60, rng, 0.01)
        same, _ = world(np.linspace(0.75, 0.98, 10), 3, 60, rng, 0.01)
        worse, _ = world(np.linspace(0.4, 0.95, 10), 3, 60, rng, 0.01)
        _, low, high = fairness.amplification(same, original, labels, 10, rng)
        held += low <= 1 <= high
        found += fairness.amplification(worse, original, labels, 10, rng)[1] > 1
    assert held >= 34, f"{held} of 40: about 38 should hold"
    assert found >= 38


def test_the_bootstrap_of_a_mean_has_the_variance_that_theory_says():
    rng = np.random.default_rng(3)
    runs = rng.normal(size=(4, 1)) + np.zeros((4, 50))  # nothing but the runs differ
    value, low, high = metrics.bootstrap(lambda one: one.mean(), [runs], np.zeros(50), rng, draws=4000)
    error = runs[:, 0].std(ddof=1) / 2
    assert value == pytest.approx(runs.mean()) and (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.2)
    images = np.tile(rng.normal(size=400), (1, 1))
    _, low, high = metrics.bootstrap(lambda one: one.mean(), [images], np.arange(400) % 2, rng, draws=4000)
    assert (high - low) / (2 * 1.96 * images.std() / 20) == pytest.approx(1, abs=0.1)


def test_images_are_resampled_together_and_within_their_class():
    labels = np.array([0, 1] * 20)
    a = np.arange(40.0)[None]

    def difference(x, y):
        assert (x[0] % 2 == labels).all()
        return (x - y).mean()

    assert metrics.bootstrap(difference, [a, a], labels, np.random.default_rng(4)) == (0, 0, 0)


@pytest.mark.parametrize(("classes", "of_run", "share"), [(0.0, 0.2, "luck of the run"), (0.12, 0.0, "classes")])
def test_the_shares_of_the_spread_are_those_that_were_planted(classes, of_run, share):
    rng = np.random.default_rng(5)
    found = [
        fairness.shares_of_the_spread(*world(0.6 + classes * rng.normal(size=10), 4, 400, rng, of_run), 10)
        for _ in range(30)
    ]
    mean = {name: np.mean([one[name] for one in found]) for name in found[0]}
    assert mean[share] > 0.8 and sum(mean.values()) == pytest.approx(1)


def test_the_luck_of_a_small_exam_is_told_from_the_classes():
    rng = np.random.default_rng(6)
    found = []
    for _ in range(40):  # all classes alike; the same hard images for every run
        hard = rng.random(300) < 0.3
        found.append(fairness.shares_of_the_spread(np.tile(~hard, (3, 1)), np.repeat(np.arange(10), 30), 10)["classes"])
    assert np.mean(found) < 0.25
    assert np.isnan(list(fairness.shares_of_the_spread(RIGHT, LABELS, 4).values())).all(), (
        "one run says nothing of luck"
    )


def test_the_rank_correlation_is_scipys_and_its_interval_holds():
    rng, held = np.random.default_rng(7), 0
    for _ in range(300):
        a, b = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 10).T
        r, low, high = fairness.rank_correlation(a, b)
        assert r == pytest.approx(spearmanr(a, b).statistic)
        held += low <= 6 / np.pi * np.arcsin(0.3) <= high
    assert held >= 276, f"{held} of 300: about 285 should hold"
    a[2] = np.nan
    assert fairness.rank_correlation(a, b)[0] == pytest.approx(spearmanr(np.delete(a, 2), np.delete(b, 2)).statistic)
    assert (
        np.isnan(fairness.rank_correlation(a[:5], b[:5])).all() and np.isnan(fairness.rank_correlation(a, 0 * b)).all()
    )


def test_as_accurate_models_of_real_images_lie_on_the_line_between_their_neighbours():
    rng = np.random.default_rng(8)
    real = [world(np.full(5, p), 3, 60, rng)[0] for p in (0.5, 0.7, 0.9)]
    right, labels = world(np.full(5, 0.8), 3, 60, rng)
    values = right & (rng.random(right.shape) < 0.5)
    pairs = [(one, one) for one in real]
    difference, low, high = controls.above_as_accurate(right, values, pairs, np.mean, labels, rng)
    low_a, high_a = sorted((real[1].mean(), real[2].mean()))
    assert difference == pytest.approx(values.mean() - right.mean()) and low_a < right.mean() < high_a
    assert low < difference < high < 0
    assert controls.above_as_accurate(right, values, pairs[:2], np.mean, labels, rng) is None


def test_the_verdict_on_chen_et_al_follows_from_the_side_on_which_an_interval_lies():
    low, none, high = (-0.2, -0.3, -0.1), (0.0, -0.1, 0.1), (0.2, 0.1, 0.3)
    measured = {
        "condensed-1": {
            "leak": (0.6, 0.55, 0.65),
            "kept": low,
            "robustness, equal": high,
            "amplification": (2.0, 1.2, 3.0),
            "spread, equal": low,
        },
        "condensed-2": {
            "leak": (0.5, 0.45, 0.55),
            "kept": none,
            "robustness, equal": None,
            "amplification": (0.5, 0.3, 0.9),
            "spread, equal": none,
        },
    }
    claims = against_chen.chen_claims(measured)
    table = claims.set_index(["trained on", "Chen et al. say"])["verdict"]
    assert table["condensed-1"].to_dict() == {
        literature.CHEN["leak"]: "supported",
        literature.CHEN["robustness"]: "less robust",
        "(control) robustness at equal accuracy": "more robust",
        literature.CHEN["fairness"]: "supported",
        "(control) fairness at equal accuracy": "fairer",
    }
    assert table["condensed-2"].to_dict() == {
        literature.CHEN["leak"]: "no leak detected",
        literature.CHEN["robustness"]: "no difference detected",
        literature.CHEN["fairness"]: "contradicted",
        "(control) fairness at equal accuracy": "no difference detected",
    }
    assert against_chen.chen_luck(measured) == (
        "9 intervals of 95 % stand here. If there were no difference anywhere, about 0.5 of them would show "
        "one by luck; 6 do."
    )
    assert comparison.luck([(0.1, 0.0, 0.2), (0.1, -0.1, 0.3), (np.nan,) * 3, (-1, -2, -0.5)]).endswith(
        "about 0.2 of them would show one by luck; 1 do."
    )
    short = against_chen.chen_in_short(claims).set_index("Chen et al. say")
    assert list(map(str, short.loc[literature.CHEN["leak"]])) == [
        "2 training sets",
        "supported for 1, no leak detected for 1",
    ]
    assert list(map(str, short.loc["(control) robustness at equal accuracy"])) == [
        "1 training sets",
        "more robust for 1, less robust for 0, no difference detected for 0",
    ]


@pytest.mark.parametrize("wrong", [-1, 4])
def test_labels_outside_the_classes_are_named(wrong):
    labels = LABELS.copy()
    labels[0] = wrong
    with pytest.raises(ValueError, match="^the labels run from .*: expected 0 to 3, the classes of the data set"):
        fairness.by_class(RIGHT, labels, list("abcd"))
    with pytest.raises(ValueError, match="expected one label an answer"):
        fairness.class_accuracies(RIGHT, LABELS[1:], 4)


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.012, -0.003, 0.027, "+1.2 points [-0.3, 2.7]"),
        (0.002, 0.0003, 0.0051, "+0.20 points [0.03, 0.51]"),
        (-0.002, -0.0051, -0.0003, "-0.20 points [-0.51, -0.03]"),
        (0.001, -0.00002, 0.002, "+0.100 points [-0.002, 0.200]"),
        (0.0, -0.01, 0.01, "+0.0 points [-1.0, 1.0]"),
        (0.01, 0.0, 0.02, "+1.0 points [0.0, 2.0]"),
        (0.0004, -0.001, 0.002, "+0.0 points [-0.1, 0.2]"),
    ],
)
def test_the_ends_of_a_difference_are_never_rounded_away_from_their_side(value, low, high, text):
    assert str(tables.points(value, low, high)) == text


def test_a_gain_is_that_of_pairs():
    rng = np.random.default_rng(0)
    of_half = rng.normal(0.8, 0.1, 6)
    a, b = of_half + 0.02 + rng.normal(0, 0.001, 6), of_half
    mean, low, high = comparison.gain(a, b)
    reach = 2.5706 * np.std(a - b, ddof=1) / np.sqrt(6)  # Student's t with 5 degrees of freedom
    assert (mean, low, high) == pytest.approx(
        ((a - b).mean(), (a - b).mean() - reach, (a - b).mean() + reach), rel=1e-4
    )
    assert low > 0 > comparison.difference(a, b)[1], "what halves differ in does not count"
