"""Gradient matching against independent, plainer computations."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dcpriv_lib import condensation, networks
from dcpriv_lib.seeding import generator

SHAPE = (1, 16, 3)  # channels, size, classes


@pytest.fixture
def toy():
    """A small network, 30 real and 6 synthetic images of 3 classes, all float64."""
    network = networks.initialise(networks.ConvNet(*SHAPE, width=4), generator(0, "network")).double()
    images = torch.randn(30, 1, 16, 16, generator=generator(0, "real"), dtype=torch.float64)
    synthetic = torch.randn(3, 2, 1, 16, 16, generator=generator(0, "synthetic"), dtype=torch.float64)
    return network, images, torch.arange(3).repeat(10), synthetic


def plain_distance(real, synthetic):
    """The distance of the paper, row by row, in numpy float64."""
    total = 0.0
    for a, b in zip(real, synthetic):
        for row_a, row_b in zip(a.detach().double().numpy(), b.detach().double().numpy()):
            x, y = row_a.ravel(), row_b.ravel()
            total += 1 - x @ y / (np.linalg.norm(x) * np.linalg.norm(y) + 1e-6)
    return total


def test_distance_equals_a_float64_loop_over_rows():
    draw = generator(1)
    real = [torch.randn(shape, generator=draw) for shape in ((8, 1, 3, 3), (8, 8, 3, 3), (3, 40))]
    synthetic = [torch.randn(g.shape, generator=draw) for g in real]
    ours = condensation.matching_distance(real, synthetic)
    assert ours.item() == pytest.approx(plain_distance(real, synthetic), rel=1e-5)


def test_distance_of_parallel_opposite_and_zero_gradients():
    g = [torch.randn(5, 7, generator=generator(2), dtype=torch.float64)]
    assert condensation.matching_distance(g, [3 * g[0]]).item() == pytest.approx(0, abs=1e-5)
    assert condensation.matching_distance(g, [-g[0]]).item() == pytest.approx(10, abs=1e-5)
    assert condensation.matching_distance(g, [0 * g[0]]).item() == 5


def test_weight_gradients_leave_out_biases_and_normalisation(toy):
    network, images, labels, _ = toy
    gradients = condensation.weight_gradients(network, images, labels)
    assert [g.ndim for g in gradients] == [4, 4, 4, 2]
    F.cross_entropy(network(images), labels).backward()
    expected = [p.grad for name, p in network.named_parameters() if p.ndim > 1]
    assert all(torch.allclose(a, b) for a, b in zip(gradients, expected))


def test_image_gradient_equals_finite_differences(toy):
    network, images, labels, synthetic = toy
    everything = lambda label: torch.nonzero(labels == label).flatten()
    gradient, _ = condensation.matching_step(network, images, labels, synthetic, everything)

    def loss(s):
        return condensation.matching_step(network, images, labels, s, everything)[1]
    for position in [(0, 0, 0, 3, 4), (1, 1, 0, 8, 8), (2, 0, 0, 15, 2)]:
        step = torch.zeros_like(synthetic)
        step[position] = 1e-6
        difference = (loss(synthetic + step) - loss(synthetic - step)) / 2e-6
        assert gradient[position].item() == pytest.approx(difference, rel=1e-4, abs=1e-9)


def test_step_equals_the_plain_sum_over_classes_and_one_backward(toy):
    network, images, labels, synthetic = toy
    gradient, loss = condensation.matching_step(
        network, images, labels, synthetic, lambda label: torch.nonzero(labels == label).flatten())
    pixels, total = synthetic.clone().requires_grad_(), 0
    weights = [p for p in network.parameters() if p.ndim > 1]
    for label in range(3):
        real = torch.autograd.grad(F.cross_entropy(network(images[labels == label]), labels[labels == label]),
                                   weights)
        own = F.cross_entropy(network(pixels[label]), torch.full((2,), label))
        for a, b in zip(real, torch.autograd.grad(own, weights, create_graph=True)):
            a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
            total = total + (1 - (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1) + 1e-6)).sum()
    total.backward()
    assert loss == pytest.approx(total.item())
    assert torch.allclose(gradient, pixels.grad, atol=1e-12)


def settings(**changes):
    """Arguments of a very small condensation."""
    return dict(ipc=2, make_network=lambda: networks.ConvNet(*SHAPE, width=4), iterations=3, outer=2, inner=2,
                seed=5, real_batch=4, image_lr=0.5, snapshots=(0, 1, 3)) | changes


def test_condense_equals_torch_optimisers_on_the_same_draws():
    images, labels = torch.randn(30, 1, 16, 16, generator=generator(3)), torch.arange(3).repeat(10)
    ours = condensation.condense(images, labels, **settings())

    pixels = torch.randn((3, 2, 1, 16, 16), generator=generator(5, "noise")).requires_grad_()
    image_optimizer = torch.optim.SGD([pixels], lr=0.5, momentum=0.5)
    network = networks.ConvNet(*SHAPE, width=4)
    for iteration in range(3):
        draw = generator(5, "iteration", iteration)
        networks.initialise(network, draw)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        for update in range(2):
            loss = 0
            for label in range(3):
                rows = torch.nonzero(labels == label).flatten()[torch.randperm(10, generator=draw)[:4]]
                real = condensation.weight_gradients(network, images[rows], labels[rows])
                own = condensation.weight_gradients(network, pixels[label], torch.full((2,), label), True)
                loss = loss + condensation.matching_distance(real, own)
            pixels.grad, = torch.autograd.grad(loss, pixels)
            image_optimizer.step()
            for _ in range(2 if update == 0 else 0):
                order = torch.randperm(6, generator=draw)
                synthetic, own_labels = pixels.detach().flatten(0, 1), torch.arange(3).repeat_interleave(2)
                optimizer.zero_grad()
                F.cross_entropy(network(synthetic[order]), own_labels[order]).backward()
                optimizer.step()
    assert torch.allclose(ours["images"], pixels.detach().flatten(0, 1), atol=1e-4)
    assert torch.equal(ours["snapshots"][2], ours["images"])


def test_an_interrupted_condensation_goes_on_to_the_same_bits(tmp_path):
    images, labels = torch.randn(30, 1, 16, 16, generator=generator(3)), torch.arange(3).repeat(10)
    unbroken = condensation.condense(images, labels, **settings())

    def power_cut(iterations):
        yield from list(iterations)[:2]
        raise KeyboardInterrupt
    checkpoint = tmp_path / "unfinished.npz"
    with pytest.raises(KeyboardInterrupt):
        condensation.condense(images, labels, **settings(checkpoint=checkpoint, progress=power_cut))
    done = []
    resumed = condensation.condense(images, labels, **settings(
        checkpoint=checkpoint, progress=lambda rest: (done.append(len(rest)), rest)[1]))
    assert done == [1], "two of three iterations were to be kept"
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)
    assert not list(tmp_path.iterdir()), "the checkpoint is deleted at the end"


def test_matching_brings_the_gradients_together(digits):
    images, labels = digits.part("members")
    result = condensation.condense(images, labels, ipc=2, make_network=lambda: networks.ConvNet(
        *digits.shape, width=8), iterations=6, outer=3, inner=1, seed=0, image_lr=10.0)
    assert result["loss"][-1] < 0.8 * result["loss"][0]


@pytest.mark.parametrize("ipc, expected", [(1, (1, 1)), (10, (10, 50)), (50, (50, 10))])
def test_loops_of_the_condensation_paper(ipc, expected):
    assert condensation.loops(ipc, 0, 0) == expected
    assert condensation.loops(ipc, 3, 4) == (3, 4)
