"""Every score of a released set: its definition by brute force, copies found, strangers not, no order."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import gaussian_kde
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F

from dcpriv_lib.attacks.released import class_means, density, distances, gradients, kernel_regression, own_models, suite
from dcpriv_lib.attacks.released.released_set import Known, Labelled

SIZE, CLASSES = 16, 3
SCORES = sorted(set(suite.SCORES) - suite.NEEDS_START)


@pytest.fixture(autouse=True)
def short_trainings(monkeypatch):
    monkeypatch.setattr(own_models, "STEPS", 20)


def people(number, seed):
    """Smooth random images: every class has a mean of its own, every person a pattern."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(number) % CLASSES
    means = torch.randn(CLASSES, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    coarse = means[labels] + torch.randn(number, 1, 4, 4, generator=draw)
    return Labelled(F.interpolate(coarse, SIZE, mode="bilinear"), labels)


OWN = people(90, seed=1)
KNOWN = Known(OWN, torch.full((1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.2), seed=3)


@pytest.mark.parametrize("name", SCORES)
def test_a_released_copy_of_the_members_gives_them_away(name):
    everybody = people(60, seed=2)
    released = Labelled(everybody.images[:30], everybody.labels[:30])
    found = suite.SCORES[name](released, everybody, KNOWN)
    assert found.shape == (60,) and found.dtype == np.float64 and np.isfinite(found).all()
    weak = (
        "class mean, pixels",
        "class mean, random networks",
        "gradient",
        "density",
        "own models",
        "kernel regression, margin",
    )
    least = 0.55 if name in weak else 0.85
    if name != "learned labels":  # these are hard
        assert roc_auc_score(np.arange(60) < 30, found) > least


@pytest.mark.parametrize("name", SCORES)
def test_a_set_made_of_nobody_gives_nobody_away(name):
    """Sets of strangers: the mean AUC of made-up members is one half within four standard errors."""
    aucs = []
    for seed in range(8 if name == "own models" else 30):
        everybody, released = people(60, seed=1000 + seed), people(15, seed=2000 + seed)
        is_member = np.random.default_rng(seed).permutation(60) < 30
        aucs.append(roc_auc_score(is_member, suite.SCORES[name](released, everybody, KNOWN)))
    assert abs(np.mean(aucs) - 0.5) <= 4 * np.std(aucs, ddof=1) / math.sqrt(len(aucs))


@pytest.mark.parametrize("name", SCORES)
def test_scores_do_not_depend_on_the_order_of_people_or_images(name):
    everybody, released = people(30, seed=5), people(12, seed=6)
    order, again = torch.randperm(30), torch.randperm(12)
    if name == "own models":
        again = torch.arange(12)  # training sees the images in an order
    plain = suite.SCORES[name](released, everybody, KNOWN)
    mixed = suite.SCORES[name](
        Labelled(released.images[again], released.labels[again]),
        Labelled(everybody.images[order], everybody.labels[order]),
        KNOWN,
    )
    assert np.allclose(mixed, plain[order.numpy()], rtol=1e-3, atol=1e-4 * np.abs(plain).max())


def test_distances_are_those_of_loops():
    everybody, released = people(9, seed=7), people(6, seed=8)
    nearest, ratio = (score(released, everybody, KNOWN) for score in (distances.nearest, distances.nearest_against_own))
    for person, (image, label) in enumerate(zip(everybody.images, everybody.labels)):
        to = [
            min(float((image - other).double().norm()) for other in part.images[part.labels == label])
            for part in (released, OWN)
        ]
        assert nearest[person] == pytest.approx(-to[0], rel=1e-4)
        assert ratio[person] == pytest.approx(math.log(to[1] / to[0]), rel=1e-3, abs=1e-4)


def test_the_density_is_scipys_for_components_of_equal_spread():
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(400, 3))
    rows = np.linalg.solve(np.linalg.cholesky(np.cov(rows.T)), (rows - rows.mean(0)).T).T  # of unit covariance
    points = draw.normal(size=(20, 3))
    ours = density.log_density(torch.as_tensor(points), torch.as_tensor(rows)).numpy()
    theirs = gaussian_kde(rows.T, "scott").logpdf(points.T)
    assert np.allclose(ours - ours.mean(), theirs - theirs.mean(), atol=1e-8)


def test_the_whitened_mean_is_fishers():
    rows = torch.randn(500, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own, shown, some = rows[:400] @ torch.diag(torch.arange(1.0, 7).double()), rows[400:410], rows[410:430]
    covariance = np.cov(own.T.numpy())
    values, vectors = np.linalg.eigh(covariance)
    shrunk = (1 - class_means.SHRINKAGE) * values + class_means.SHRINKAGE * values.mean()
    inverse = vectors @ np.diag(1 / shrunk) @ vectors.T
    expected = (some - own.mean(0)).numpy() @ inverse @ (shown.mean(0) - own.mean(0)).numpy()
    assert np.allclose(class_means.whitened(shown, some, own), expected, rtol=1e-8)


def test_kernel_regression_is_the_formula_in_double_precision():
    released, everybody = people(12, seed=9), people(7, seed=10)
    from dcpriv_lib.condensation.kernel_inducing_points import RIDGE, tangent_kernel

    inner = tangent_kernel(released.images.double(), released.images.double())
    targets = released.one_hot(CLASSES).double() - 1 / CLASSES
    ridge = RIDGE * inner.diagonal().mean() * torch.eye(12)
    answers = tangent_kernel(everybody.images.double(), released.images.double()) @ torch.linalg.solve(
        inner + ridge, targets
    )
    error = -(answers - everybody.one_hot(CLASSES) + 1 / CLASSES).square().sum(1)
    assert np.allclose(kernel_regression.squared_error(released, everybody, KNOWN), error, rtol=1e-3, atol=1e-4)
    others = answers.scatter(1, everybody.labels[:, None], -torch.inf).amax(1)
    margin = answers.gather(1, everybody.labels[:, None]).squeeze(1) - others
    assert np.allclose(kernel_regression.margin(released, everybody, KNOWN), margin, rtol=1e-3, atol=1e-4)


def test_soft_labels_are_what_the_regression_is_told():
    hard = people(12, seed=9)
    soft = Labelled(hard.images, hard.one_hot(CLASSES))
    everybody = people(7, seed=10)
    assert np.allclose(
        kernel_regression.squared_error(soft, everybody, KNOWN), kernel_regression.squared_error(hard, everybody, KNOWN)
    )
    turned = Labelled(hard.images, hard.one_hot(CLASSES).roll(1, 1))
    assert not np.allclose(
        kernel_regression.margin(turned, everybody, KNOWN), kernel_regression.margin(hard, everybody, KNOWN)
    )


def test_learned_labels_are_judged_by_the_error_that_they_save():
    hard, everybody = people(12, seed=9), people(7, seed=10)
    assert not kernel_regression.of_the_labels(hard, everybody, KNOWN).any()
    soft = Labelled(hard.images, (hard.one_hot(CLASSES) + 0.1) / (1 + 0.1 * CLASSES))
    errors = [kernel_regression.squared_error(one, everybody, KNOWN) for one in (soft, hard)]
    assert np.allclose(kernel_regression.of_the_labels(soft, everybody, KNOWN), errors[0] - errors[1])


def test_the_update_of_a_known_start_gives_away_what_was_added_to_it():
    everybody, start = people(60, seed=2), people(15, seed=3)
    added = torch.stack([everybody.images[:30][everybody.labels[:30] == label].mean(0) for label in start.labels])
    known = Known(OWN, KNOWN.mean, KNOWN.deviation, start=start.images)
    released = Labelled(start.images + 0.01 * added, start.labels)
    update = class_means.of_the_update(released, everybody, known)
    assert roc_auc_score(np.arange(60) < 30, update) > 0.55
    assert roc_auc_score(np.arange(60) < 30, update) > 0.05 + roc_auc_score(
        np.arange(60) < 30, class_means.in_pixels(released, everybody, KNOWN)
    )
    with pytest.raises(ValueError, match="start = None"):
        class_means.of_the_update(released, everybody, KNOWN)


def test_the_gradients_inner_product_is_that_of_gradients_one_by_one():
    released, everybody = people(6, seed=11), people(5, seed=12)
    expected = np.zeros(5)
    for number in range(gradients.NETWORKS):
        shape = released.images.shape[1:]
        network = class_means.random_network(shape, CLASSES, KNOWN.seed, number, gradients.WIDTH)

        def gradient(images, labels, network=network):
            return torch.cat(
                [
                    g.flatten()
                    for g in torch.autograd.grad(F.cross_entropy(network(images), labels), tuple(network.parameters()))
                ]
            )

        for person in range(5):
            label = everybody.labels[person]
            rows = released.labels == label
            of_class = gradient(released.images[rows], released.labels[rows])
            own = gradient(everybody.images[person : person + 1], label[None])
            expected[person] += float(own @ of_class / of_class.norm()) / gradients.NETWORKS
    assert np.allclose(gradients.alignment(released, everybody, KNOWN), expected, rtol=1e-3, atol=1e-5)


def test_a_class_of_which_nothing_was_released_is_not_accused():
    everybody, released = people(9, seed=13), people(6, seed=14)
    released = Labelled(released.images[released.labels > 0], released.labels[released.labels > 0])
    found = distances.nearest(released, everybody, KNOWN)
    assert (found[everybody.labels.numpy() == 0] == found.min()).all()


def test_images_and_labels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="as many labels"):
        Labelled(torch.zeros(3, 1, 16, 16), torch.zeros(2, dtype=torch.int64))


def test_a_logarithm_of_sums_is_scipys_whatever_the_size_of_the_exponents():
    exponents = torch.tensor([[-1e4, -1e4 - 1], [0.0, -200.0], [88.0, 88.0]], dtype=torch.float64)
    expected = torch.from_numpy(logsumexp(exponents.numpy(), axis=1))
    torch.testing.assert_close(distances.log_of_sums(exponents), expected, rtol=1e-14, atol=1e-14)
