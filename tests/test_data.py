"""Who holds what: the paper's indices, disjoint parts, pixels."""

import numpy as np
import pytest
import torch

from dcpriv_lib import data
from dcpriv_lib.shadow import shadow_split


def fake_mnist(count=60_000):
    """A data set with MNIST's name and size, blank images, and all ten classes everywhere."""
    images = torch.zeros(count, 1, 1, 1, dtype=torch.uint8)
    return data.Dataset("mnist", images, torch.arange(count) % 10, images[:0], torch.zeros(0, dtype=int),
                        tuple("0123456789"))


def test_mnist_split_is_the_papers():
    parts = data.split_indices(fake_mnist(), seed=0)
    # scikit-learn's train_test_split, written out: a permutation seeded with 42, its first half is the test set
    order = np.random.RandomState(42).permutation(30_000)
    assert np.array_equal(parts["non_members"], order[:15_000])
    assert np.array_equal(parts["members"], order[15_000:])
    assert np.array_equal(parts["attacker"], np.arange(30_000, 60_000))


def test_another_seed_gives_another_split():
    first, second = (data.split_indices(fake_mnist(), seed)["members"] for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_shadow_split_is_the_papers():
    attacker = np.arange(30_000, 60_000)
    members, non_members = shadow_split(attacker, 15_000, number=3)
    shuffled = np.random.RandomState(3).permutation(attacker)
    assert np.array_equal(np.concatenate([members, non_members]), shuffled)
    assert not np.array_equal(shadow_split(attacker, 15_000, 3, seed=1)[0], members)


def test_digits_parts_are_disjoint_balanced_and_have_fifty_members_a_class(digits):
    parts = digits.indices
    together = np.concatenate(list(parts.values()))
    assert len(np.unique(together)) == len(together) == 1797
    assert len(parts["members"]) == len(parts["non_members"]) == 599
    assert torch.bincount(digits.part("members")[1]).min() >= 50


@pytest.mark.parametrize("pixels, mean, deviation", [("standard", 0, 1), ("unit", None, None), ("raw", None, None)])
def test_pixels_and_back(digits, pixels, mean, deviation):
    split = data.Split(digits.dataset, digits.indices, {"pixels": pixels})
    seen = split.pixels(split.dataset.images)
    if mean is not None:
        assert seen.mean().item() == pytest.approx(mean, abs=1e-4)
        assert seen.std().item() == pytest.approx(deviation, abs=1e-3)
    else:
        assert seen.max().item() == {"unit": 1, "raw": 255}[pixels]
    assert torch.allclose(split.grey_levels(seen), split.dataset.images / 255, atol=1e-6)


def test_a_changed_pixel_changes_the_digest(digits):
    images = digits.dataset.images.clone()
    images[7, 0, 3, 3] ^= 1
    assert data.digest(images) != data.digest(digits.dataset.images)


def test_a_data_set_that_changed_after_the_split_is_noticed(tmp_path, monkeypatch):
    data.make_split(tmp_path, profile="p", dataset="digits", seed=0, pixels="unit")
    changed = data.load("digits")
    changed.images[0, 0, 0, 0] ^= 1
    monkeypatch.setattr(data, "load", lambda name: changed)
    with pytest.raises(data.ArtefactError, match="changed since; re-run notebooks/01_data_split"):
        data.load_split(tmp_path, profile="p", dataset="digits", seed=0)


@pytest.mark.mnist
def test_real_mnist_splits_as_in_the_paper():
    mnist = data.load("mnist")
    assert mnist.images.shape == (60_000, 1, 28, 28) and mnist.test_images.shape == (10_000, 1, 28, 28)
    assert mnist.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    parts = data.split_indices(mnist)
    assert [len(indices) for indices in parts.values()] == [15_000, 15_000, 30_000]
    split = data.Split(mnist, parts, {"pixels": "standard"})
    mean, deviation = split.scale  # the constants everybody uses for MNIST
    assert mean.item() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert deviation.item() / 255 == pytest.approx(0.3081, abs=1e-4)


@pytest.mark.mnist
def test_real_mnist_members_train_the_papers_network():
    """300 steps on 2,000 members reach well over 80 % on non-members: real images, right labels."""
    from dcpriv_lib import networks, training
    from dcpriv_lib.seeding import generator
    mnist = data.load("mnist")
    split = data.Split(mnist, data.split_indices(mnist), {"pixels": "standard"})
    images, labels = split.rows(split.indices["members"][:2000])
    network = networks.initialise(networks.PaperCNN(*split.shape), generator(0))
    training.train(network, images, labels, epochs=3, generator=generator(1))
    others, truth = split.rows(split.indices["non_members"][:2000])
    assert training.accuracy(training.predict(network, others), truth) > 0.8
