"""Orders and scales that are mistaken are noticed; honest files are not doubted more often than is stated."""

import warnings

import numpy as np
import pytest
import torch
from scipy.stats import poisson

from dcpriv_lib.attacks import signals
from dcpriv_lib.data import dataset, split
from dcpriv_lib.external import files, plausible

PARTS = ("members", "non_members")


# ---------------------------------------------------------------- the order of answers


def honest(rng, classes: int, rows: int, right: float):
    """Return what a model of uneven classes and a taste for some of them names, true classes, and other orders."""
    shares = rng.dirichlet(np.ones(classes) * rng.choice([0.3, 1, 10]))
    taste = rng.dirichlet(np.ones(classes) * rng.choice([0.1, 1]))
    labels = {part: rng.choice(classes, rows, p=shares) for part in PARTS}
    named = {
        part: np.where(rng.random(rows) < right, true, rng.choice(classes, rows, p=taste))
        for part, true in labels.items()
    }
    file = {part: rng.permutation(true) for part, true in labels.items()}  # the split draws its order by chance
    return named, labels, {"the order of the file": file} | {part: {part: file[part]} for part in PARTS}


def test_honest_models_however_bad_are_not_doubted_for_an_order():
    """1,500 of them: below a rate of 1 in 10,000 there is none in 86 of 100 such tests; this seed is one."""
    rng, doubts = np.random.default_rng(0), []
    for _ in range(1500):
        classes, rows = int(rng.choice([2, 3, 10, 26])), int(rng.choice([20, 136, 599]))
        right = rng.choice([0, 0.05, 0.2, 0.5, 0.9, 1])
        if doubt := plausible.of_answers(*honest(rng, classes, rows, right)):
            doubts.append(doubt)
    assert {doubt.short for doubt in doubts} == {"no better than chance"} and not any(one.certain for one in doubts)


@pytest.mark.parametrize("level", [0.1, 0.01, 0.001])
def test_poissons_tail_bounds_that_of_matches_under_a_random_permutation(level):
    rng, alarms, tries = np.random.default_rng(1), 0, 0
    for _ in range(60):
        named, labels, _ = honest(
            rng, int(rng.choice([2, 3, 10])), int(rng.choice([20, 60, 136])), rng.choice([0, 0.9])
        )
        one, true = named["members"], labels["members"]
        orders = rng.permuted(np.tile(true, (500, 1)), axis=1)
        tails = poisson.sf((one == orders).sum(1) - 1, plausible._by_chance(one, true))
        alarms, tries = alarms + int((tails < level).sum()), tries + len(tails)
    assert alarms <= level * tries


@pytest.mark.parametrize("classes", [2, 10])
def test_other_orders_of_rows_and_classes_are_named(classes):
    rng = np.random.default_rng(2)
    named, labels, _ = honest(rng, classes, 400, 0.8)
    order = {part: rng.permutation(400) for part in PARTS}  # answers[order] are in the order of the file
    file = {part: labels[part][order[part]] for part in PARTS}
    in_file = {part: named[part][order[part]] for part in PARTS}
    doubt = plausible.of_answers(in_file, labels, {"the order of the file": file})
    assert doubt.certain and doubt.short == "rows in another order?"
    right = np.mean(np.concatenate([named[part] == labels[part] for part in PARTS]))
    assert f"in the order of the file its rows for members and non_members would be right {right:.1%}" in doubt.sentence
    exchanged = {"the other part's place": {part: labels[other] for part, other in zip(PARTS, PARTS[::-1])}}
    doubt = plausible.of_answers(dict(zip(PARTS, reversed(named.values()))), labels, exchanged)
    assert doubt.certain and "the other part's place" in doubt.sentence
    shuffled = {part: rng.permutation(named[part]) for part in PARTS}
    doubt = plausible.of_answers(shuffled, labels, {})
    assert doubt.short == "no better than chance" and not doubt.certain


@pytest.mark.parametrize("permutation", [[1, 0], [0, 1, 2, 4, 3], [0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9]])
def test_another_order_of_classes_is_named(permutation):
    rng, classes = np.random.default_rng(3), len(permutation)
    labels = {part: rng.integers(classes, size=500) for part in PARTS}
    named = {
        part: np.where(rng.random(500) < 0.8, true, rng.integers(classes, size=500)) for part, true in labels.items()
    }
    assert plausible.of_answers(named, labels, {}) is None
    columns = np.argsort(permutation)  # column j holds the class permutation[j]
    doubt = plausible.of_answers({part: columns[one] for part, one in named.items()}, labels, {})
    assert doubt.short == "classes in another order?" and not doubt.certain
    assert f"if its columns were the classes {', '.join(map(str, permutation[:10]))}" in doubt.sentence


def test_a_model_that_confuses_two_classes_or_names_only_one_is_not_doubted_for_the_order():
    rng = np.random.default_rng(4)
    labels = {part: rng.integers(10, size=600) for part in PARTS}
    confused = {part: np.where((true == 3) & (rng.random(600) < 0.6), 8, true) for part, true in labels.items()}
    assert plausible.of_answers(confused, labels, {}) is None
    for label in range(2):
        uneven = {part: (rng.random(136) < 0.27).astype(int) for part in PARTS}
        doubt = plausible.of_answers({part: np.full(136, label) for part in PARTS}, uneven, {})
        assert doubt.short == "no better than chance"


@pytest.fixture(scope="module")
def leaking(digits):
    """The answers [N, classes] of a model that is nearly always right, and surer of its members."""
    labels = digits.dataset.labels.numpy()
    logits = np.random.default_rng(8).normal(size=(len(labels), 10)) + 4 * np.eye(10)[labels]
    logits[digits.indices["members"]] += 1.5 * np.eye(10)[labels[digits.indices["members"]]]
    return logits


def auc_of_the_loss(logits, about) -> float:
    """Return how often a member's loss is below a non-member's, asked in the order of the split."""
    losses = [signals.losses(logits[part], about.dataset.labels[about.indices[part]].numpy()) for part in PARTS]
    return float((losses[0][:, None] < losses[1]).mean() + (losses[0][:, None] == losses[1]).mean() / 2)


def test_a_leaking_model_in_the_order_of_the_file_would_look_private_and_is_refused(digits, leaking, tmp_path):
    device, path = torch.device("cpu"), tmp_path / "a.npz"
    right = {part: leaking[digits.indices[part]] for part in PARTS}
    wrong = {part: leaking[np.sort(digits.indices[part])] for part in PARTS}
    assert auc_of_the_loss(right, digits) > 0.75 and auc_of_the_loss(wrong, digits) < 0.55
    np.savez(path, kind="logits", **right)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(files.targets(str(path), digits, device)[0]) == [("a.npz", 0)]
    np.savez(path, kind="logits", **wrong)
    with pytest.raises(
        dataset.DataError, match=r"a.npz: in the order of the file.* would be right 9\d.*%, in the split's"
    ):
        files.targets(str(path), digits, device)


def test_a_doubt_stands_behind_the_name_in_every_table(digits, leaking, tmp_path):
    rng, path = np.random.default_rng(5), tmp_path / "a.npz"
    np.savez(path, kind="logits", **{part: rng.permutation(leaking[digits.indices[part]]) for part in PARTS})
    with pytest.warns(UserWarning, match=r"a.npz: it is right about .* of members, and the same answers in any order"):
        found, checksums = files.targets(str(path), digits, torch.device("cpu"))
    assert list(found) == [("a.npz (no better than chance)", 0)] and list(checksums) == ["a.npz"]
    assert files.networks_on_pixels(str(path), digits, torch.device("cpu"))[0] == {
        "a.npz (no better than chance)": None
    }
    np.savez(path, kind="logits", **{part: leaking[digits.indices[part]][:, ::-1] for part in PARTS})
    with pytest.warns(UserWarning, match="if its columns were the classes 9, 8, 7, 6, 5, 4, 3, 2, 1, 0"):
        found, _ = files.targets(str(path), digits, torch.device("cpu"))
    assert list(found) == [("a.npz (classes in another order?)", 0)]


# ---------------------------------------------------------------- the scale of sets

SCALES = ("unit", "raw", "standard")


def scaled(about, grey, scale):
    """Return grey levels [n, 1, H, W] on a scale."""
    mean, deviation = split.pixel_scale(about.dataset.images, scale)
    return ((grey - mean) / deviation).numpy()


def strange(rng, images, labels):
    """Return a set as methods make it, grey levels [20, 1, H, W]: real images, means or noise, and steps upon them."""
    rows = np.concatenate([rng.choice(np.flatnonzero(labels == label), 2) for label in range(10)])
    start = rng.choice(["real", "means", "noise"])
    mean, spread = images.mean().item(), images.std().item()
    if start == "real":
        grey = images[rows]
    elif start == "means":
        grey = torch.stack([images[rng.choice(np.flatnonzero(labels == labels[row]), 4)].mean(0) for row in rows])
    else:
        grey = mean + spread * torch.from_numpy(rng.normal(size=images[rows].shape)).float()
    steps = torch.from_numpy(rng.normal(size=grey.shape)).float()
    return grey + spread * rng.choice([0, 0.3, 1, 1.5]) * steps


@pytest.mark.parametrize("scale", SCALES)
def test_condensed_images_on_the_scale_stated_are_not_doubted(digits, scale):
    rng, images, labels = np.random.default_rng(6), digits.dataset.images.float(), digits.dataset.labels.numpy()
    for _ in range(60):
        grey = strange(rng, images, labels)
        one = {scale: split.pixel_scale(digits.dataset.images, scale)}
        doubt = files._doubt_of_scale(scaled(digits, grey, scale).astype(float), scale, one[scale], digits)
        assert doubt is None, doubt


@pytest.mark.parametrize("meant", [*SCALES, "-1 to 1", "MNIST's"])
@pytest.mark.parametrize("stated", SCALES)
def test_real_images_on_another_scale_are_doubted_and_the_right_one_is_named(digits, meant, stated, tmp_path):
    rng, labels = np.random.default_rng(7), digits.dataset.labels.numpy()
    rows = np.concatenate([rng.choice(np.flatnonzero(labels == label), 2) for label in range(10)])
    grey = digits.dataset.images[rows].float()
    mean, std = {"-1 to 1": (0.5, 0.5), "MNIST's": (0.1307, 0.3081)}.get(meant, (0, 1))
    x = scaled(digits, grey, meant) if meant in SCALES else ((grey / 255 - mean) / std).numpy()
    path = tmp_path / "s.npz"
    np.savez(path, images=x, labels=labels[rows], pixels=stated)
    if meant == stated:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert list(files.synthetic_sets(str(path), digits)[1]) == ["s.npz"]
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            assert list(files.synthetic_sets(str(path), digits)[1]) == ["s.npz (another scale?)"]
            told, refused = str(caught[0].message), False
        except dataset.DataError as error:
            told, refused = str(error), True
    assert (
        refused == ((meant, stated) != ("-1 to 1", "standard"))
        and len(told) <= 300
        and "was another scale meant" in told
    )
    named = {"-1 to 1": "mean and std of 0.5", "MNIST's": "MNIST's mean and std"}.get(meant, f"pixels='{meant}'")
    assert f"{named} fits" in told or f"{named} (-1 to 1) fits" in told, told


def test_a_set_may_state_mean_and_deviation(digits, tmp_path):
    rows, path = digits.indices["members"][:0], tmp_path / "s.npz"
    labels = digits.dataset.labels.numpy()
    rows = np.concatenate([np.flatnonzero(labels == label)[:2] for label in range(10)])
    unit = digits.dataset.images[rows].float() / 255
    expected = digits.pixels(digits.dataset.images[rows]).numpy()
    for mean, std in ((0.5, 0.5), ([0.1307], [0.3081]), (np.float32(0.0), np.float64(1.0))):
        np.savez(path, images=(unit - torch.tensor(mean)) / torch.tensor(std), labels=labels[rows], mean=mean, std=std)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.allclose(files.synthetic_set(path, digits)["images"], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"mean": 0.5}, "says mean: expected mean and std"),
        ({"mean": 0.5, "std": 0.5, "pixels": "unit"}, "says mean and std and pixels: expected mean and std, or pixels"),
        ({"mean": 33.3, "std": 78.6}, "mean is 33.3: expected 1 numbers between 0 and 1"),
        ({"mean": 0.5, "std": 0.0}, "std is 0.0: expected"),
        ({"mean": [0.5] * 3, "std": [0.5] * 3}, "mean is .*: expected 1 numbers"),
        ({"mean": np.nan, "std": 0.5}, "mean is nan"),
        ({"mean": "half", "std": 0.5}, "mean is half"),
    ],
)
def test_a_mean_that_is_none_is_refused(stated, words, digits, tmp_path):
    np.savez(tmp_path / "s.npz", images=np.zeros((10, 16, 16)), labels=np.arange(10), **stated)
    with pytest.raises(dataset.DataError, match=f"s.npz:? {words}"):
        files.synthetic_set(tmp_path / "s.npz", digits)
