"""Every method of condensation: alike in what they promise, and each against its definition in float64."""

import signal

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dcpriv_lib import condensation, coresets, distribution_matching, networks, parameters
from dcpriv_lib.seeding import generator

SHAPE = (1, 16, 3)  # channels, size, classes
LABELS = torch.arange(3).repeat(10)
every_method = pytest.mark.parametrize("method", condensation.METHODS)
every_start = pytest.mark.parametrize("start", condensation.STARTS)


def pictures(number=30, dtype=torch.float32):
    return torch.randn(number, 1, 16, 16, generator=generator(3), dtype=dtype)


def network(purpose="network", width=4, dtype=torch.float64):
    return networks.initialise(networks.ConvNet(*SHAPE, width=width), generator(0, purpose)).to(dtype)


def condense(images=None, labels=LABELS, seed=5, checkpoint=None, progress=iter, **changes):
    """A very small condensation."""
    how = dict(ipc=2, iterations=3, outer=2, inner=2, width=4, real_batch=4, image_lr=0.01, start="real")
    return condensation.condense(
        pictures(len(labels)) if images is None else images, labels, condensation.Settings(**how | changes), seed=seed,
        make_network=lambda: networks.ConvNet(1, 16, int(labels.max()) + 1, width=4), checkpoint=checkpoint,
        progress=progress)


def finite_differences(function, at, positions, step=1e-6):
    """The derivatives of a function of a tensor `at` some positions."""
    found = []
    for position in positions:
        move = torch.zeros_like(at)
        move[position] = step
        found.append((float(function(at + move)) - float(function(at - move))) / (2 * step))
    return found


POSITIONS = [(0, 0, 0, 3, 4), (1, 1, 0, 8, 8), (2, 0, 0, 15, 2)]  # of synthetic images [3, 2, 1, 16, 16]


# ---------------------------------------------------------------- what all promise

def test_the_parameters_know_the_methods_and_the_starts():
    assert parameters.METHODS == tuple(condensation.METHODS) and parameters.STARTS == tuple(condensation.STARTS)


@every_method
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(method):
    first, again, other = condense(method=method), condense(method=method), condense(method=method, seed=6)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["images"], other["images"])
    assert len(first["loss"]) == 3 and first["loss"].isfinite().all() and first["images"].isfinite().all()
    assert not torch.equal(first["images"], first["snapshots"][0]), "the images moved"


@every_method
def test_a_stopped_condensation_goes_on_to_the_same_bits(method, tmp_path, interruptible):
    def stopped_before_the_third(iterations):
        yield from list(iterations)[:2]
        signal.raise_signal(signal.SIGTERM)
    checkpoint = tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        condense(method=method, checkpoint=checkpoint, progress=stopped_before_the_third)
    done = []
    resumed = condense(method=method, checkpoint=checkpoint, progress=lambda rest: (done.append(len(rest)), rest)[1])
    unbroken = condense(method=method)
    assert done == [1] and all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)


@every_method
@pytest.mark.parametrize("ipc", [1, 10])
def test_one_image_a_class_and_as_many_as_there_are(method, ipc):
    made = condense(method=method, ipc=ipc, iterations=1)
    assert made["images"].isfinite().all() and len(made["images"]) == len(made["labels"])
    assert len(made["images"]) % (3 * ipc) == 0


@every_method
def test_two_classes_are_enough(method):
    made = condense(method=method, labels=torch.arange(2).repeat(10), iterations=1)
    assert made["images"].isfinite().all() and set(condensation.classes_of(made["labels"]).tolist()) == {0, 1}


@every_method
def test_a_missing_class_is_named(method):
    with pytest.raises(ValueError, match="class 1 has only 0 members: add images of it, or number the classes"):
        condense(method=method, labels=torch.tensor([0, 2]).repeat(10))


@every_method
def test_without_an_iteration_the_start_is_returned(method):
    made = condense(method=method, iterations=0)
    assert torch.equal(made["images"], made["snapshots"][0]) and len(made["loss"]) == 0
    assert condensation.snapshot_iterations(0) == [0]


@every_start
def test_every_start_has_the_shape_of_the_set_and_names_its_members(start):
    made = condense(start=start, iterations=0)
    assert made["images"].shape == (6, 1, 16, 16) and made["started_from"].shape == (6, condensation.STARTS[start])
    rows = made["started_from"]
    assert torch.equal(LABELS[rows], made["labels"][:, None].expand_as(rows))
    assert torch.equal(made["images"], condense(start=start, iterations=0)["images"])


def test_mean_noise_is_the_mean_of_the_class_plus_noise():
    made = condense(start="mean noise", iterations=0, ipc=10)["images"].unflatten(0, (3, 10))
    noise = made - torch.stack([pictures()[LABELS == label].mean(0) for label in range(3)])[:, None]
    assert abs(noise.mean()) < 0.05 and abs(noise.std() - 1) < 0.05


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(ValueError, match="method = 'DN': there is no such method: did you mean 'DM'"):
        condense(method="DN")
    with pytest.raises(ValueError, match="start = 'k-centre': there is no such start: did you mean 'k-center'"):
        condensation.settings(LABELS, 1, 1, 1, 1, 4, 4, 1.0, "k-centre")
    with pytest.raises(parameters.ParameterError, match="method = 'DMM': expected one of DC, .*; did you mean 'DM'"):
        parameters.check({"method": "DMM"})


def test_a_state_of_another_method_is_refused(tmp_path):
    checkpoint = tmp_path / "state.npz"
    condense(method="DM", checkpoint=checkpoint)
    with pytest.raises(RuntimeError, match="method = 'DM'"):
        condense(checkpoint=checkpoint)


def test_the_inputs_of_gradient_matching_are_those_from_before_there_were_methods():
    assert "method" not in condensation.Settings(1, 1, 1, 1).inputs()
    assert condensation.Settings(1, 1, 1, 1, method="DM").inputs()["method"] == "DM"


# ---------------------------------------------------------------- coresets

def clouds():
    return torch.randn(12, 3, generator=generator(7), dtype=torch.float64)


def test_herding_takes_what_brings_the_mean_nearest():
    points, chosen = clouds().numpy(), []
    for k in range(5):
        distances = {i: np.linalg.norm(points.mean(0) - points[[*chosen, i]].mean(0))
                     for i in range(12) if i not in chosen}
        chosen.append(min(distances, key=distances.get))
    assert coresets.herding(clouds(), 5).tolist() == chosen


def test_herding_and_k_center_take_all_if_they_may_even_equal_ones():
    for choose in coresets.CHOICES.values():
        assert sorted(choose(clouds(), 12).tolist()) == list(range(12))
        assert sorted(choose(torch.ones(4, 2), 4).tolist()) == list(range(4))


def test_k_center_takes_the_farthest_and_is_within_twice_the_best():
    points = clouds().numpy()
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    chosen = [int(np.linalg.norm(points - points.mean(0), axis=1).argmin())]
    for _ in range(3):
        chosen.append(int(apart[:, chosen].min(1).argmax()))
    assert coresets.k_center(clouds(), 4).tolist() == chosen
    from itertools import combinations
    best = min(apart[:, list(some)].min(1).max() for some in combinations(range(12), 4))
    assert best <= apart[:, chosen].min(1).max() <= 2 * best


def test_coresets_are_starts_without_an_iteration():
    made = condense(start="herding", iterations=0)
    draw = generator(5, "start")
    features = coresets.features(pictures(), LABELS, lambda: networks.ConvNet(*SHAPE, width=4), draw)
    for label in range(3):
        rows = torch.nonzero(LABELS == label).flatten()
        assert torch.equal(made["started_from"][made["labels"] == label, 0], rows[coresets.herding(features[rows], 2)])
    assert torch.equal(made["images"], pictures()[made["started_from"][:, 0]])


# ---------------------------------------------------------------- DM

@pytest.fixture
def toy():
    """A small network, 30 real and 6 synthetic images of 3 classes, all float64."""
    synthetic = torch.randn(3, 2, 1, 16, 16, generator=generator(0, "synthetic"), dtype=torch.float64)
    return network().requires_grad_(False), pictures(dtype=torch.float64), synthetic


def test_the_loss_of_distribution_matching_is_the_plain_sum_and_its_gradient_that_of_differences(toy):
    net, images, synthetic = toy
    means = torch.stack([distribution_matching.mean_features(net, images[LABELS == label]) for label in range(3)])

    def plain(own):
        total = 0.0
        for label in range(3):
            real = [net.features(image[None]).flatten().numpy() for image in images[LABELS == label]]
            ours = [net.features(image[None]).flatten().numpy() for image in own[label]]
            total += ((sum(real) / 10 - sum(ours) / 2) ** 2).sum()
        return total
    gradient, loss = distribution_matching.matching_gradient(net, means, synthetic)
    assert loss == pytest.approx(plain(synthetic), rel=1e-12)
    for position, expected in zip(POSITIONS, finite_differences(plain, synthetic, POSITIONS)):
        assert gradient[position].item() == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_distribution_matching_is_plain_sgd_on_a_network_an_iteration():
    made = condense(method="DM")
    pixels = pictures()[made["started_from"][:, 0]].requires_grad_()
    optimizer = torch.optim.SGD([pixels], lr=0.01, momentum=0.5)
    for iteration in range(3):
        draw = generator(5, "iteration", iteration)
        net = networks.initialise(networks.ConvNet(*SHAPE, width=4), draw)
        rows = [torch.nonzero(LABELS == label).flatten()[torch.randperm(10, generator=draw)[:4]] for label in range(3)]
        for _ in range(2):
            optimizer.zero_grad()
            sum(F.mse_loss(net.embed(pictures()[rows[label]]).mean(0), net.embed(pixels[2 * label:2 * label + 2]).mean(0),
                           reduction="sum") for label in range(3)).backward()
            optimizer.step()
    assert torch.allclose(made["images"], pixels.detach(), atol=1e-5)
