"""Gradient matching against independent, plainer computations."""

import signal

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dcpriv_lib.condensation import condense, defaults, gradient_matching, method
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.models import networks

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
    ours = gradient_matching.matching_distance(real, synthetic)
    assert ours.item() == pytest.approx(plain_distance(real, synthetic), rel=1e-5)


def test_distance_of_parallel_opposite_and_zero_gradients():
    g = [torch.randn(5, 7, generator=generator(2), dtype=torch.float64)]
    assert gradient_matching.matching_distance(g, [3 * g[0]]).item() == pytest.approx(0, abs=1e-5)
    assert gradient_matching.matching_distance(g, [-g[0]]).item() == pytest.approx(10, abs=1e-5)
    assert gradient_matching.matching_distance(g, [0 * g[0]]).item() == 5


def test_weight_gradients_leave_out_biases_and_normalisation(toy):
    network, images, labels, _ = toy
    gradients = gradient_matching.weight_gradients(network, images, labels)
    assert [g.ndim for g in gradients] == [4, 4, 4, 2]
    F.cross_entropy(network(images), labels).backward()
    expected = [p.grad for name, p in network.named_parameters() if p.ndim > 1]
    assert all(torch.allclose(a, b) for a, b in zip(gradients, expected))


def test_image_gradient_equals_finite_differences(toy):
    network, images, labels, synthetic = toy

    def everything(label):
        return torch.nonzero(labels == label).flatten()

    gradient, _ = gradient_matching.matching_step(network, images, labels, synthetic, everything)

    def loss(s):
        return gradient_matching.matching_step(network, images, labels, s, everything)[1]

    for position in [(0, 0, 0, 3, 4), (1, 1, 0, 8, 8), (2, 0, 0, 15, 2)]:
        step = torch.zeros_like(synthetic)
        step[position] = 1e-6
        difference = (loss(synthetic + step) - loss(synthetic - step)) / 2e-6
        assert gradient[position].item() == pytest.approx(difference, rel=1e-4, abs=1e-9)


def test_step_equals_the_plain_sum_over_classes_and_one_backward(toy):
    network, images, labels, synthetic = toy
    gradient, loss = gradient_matching.matching_step(
        network, images, labels, synthetic, lambda label: torch.nonzero(labels == label).flatten()
    )
    pixels, total = synthetic.clone().requires_grad_(), 0
    weights = [p for p in network.parameters() if p.ndim > 1]
    for label in range(3):
        real = torch.autograd.grad(F.cross_entropy(network(images[labels == label]), labels[labels == label]), weights)
        own = F.cross_entropy(network(pixels[label]), torch.full((2,), label))
        for a, b in zip(real, torch.autograd.grad(own, weights, create_graph=True)):
            a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
            total = total + (1 - (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1) + 1e-6)).sum()
    total.backward()
    assert loss == pytest.approx(total.item())
    assert torch.allclose(gradient, pixels.grad, atol=1e-12)


def settings(**changes):
    """Arguments of a very small condensation."""
    how = dict(ipc=2, iterations=3, outer=2, inner=2, width=4, real_batch=4, image_lr=0.5)
    others = dict(make_network=lambda: networks.ConvNet(*SHAPE, width=4), seed=5)
    fields = {name: value for name, value in changes.items() if name in {*how, "start"}}
    return (
        {"settings": method.Settings(**how | fields)}
        | others
        | {name: value for name, value in changes.items() if name not in fields}
    )


def test_condense_equals_torch_optimisers_on_the_same_draws():
    images, labels = torch.randn(30, 1, 16, 16, generator=generator(3)), torch.arange(3).repeat(10)
    ours = condense.condense(images, labels, **settings())

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
                real = gradient_matching.weight_gradients(network, images[rows], labels[rows])
                own = gradient_matching.weight_gradients(network, pixels[label], torch.full((2,), label), True)
                loss = loss + gradient_matching.matching_distance(real, own)
            (pixels.grad,) = torch.autograd.grad(loss, pixels)
            image_optimizer.step()
            for _ in range(2 if update == 0 else 0):
                order = torch.randperm(6, generator=draw)
                synthetic, own_labels = pixels.detach().flatten(0, 1), torch.arange(3).repeat_interleave(2)
                optimizer.zero_grad()
                F.cross_entropy(network(synthetic[order]), own_labels[order]).backward()
                optimizer.step()
    assert torch.allclose(ours["images"], pixels.detach().flatten(0, 1), atol=1e-4)
    assert condense.snapshot_iterations(3) == [0, 1, 2] and len(ours["snapshots"]) == 3
    shorter = condense.condense(images, labels, **settings(iterations=2))
    assert torch.equal(ours["snapshots"][2], shorter["images"])


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_condensation_goes_on_to_the_same_bits(tmp_path, stop, capsys):
    images, labels = torch.randn(30, 1, 16, 16, generator=generator(3)), torch.arange(3).repeat(10)
    unbroken = condense.condense(images, labels, **settings())

    def stopped_before_the_third(iterations):
        yield from list(iterations)[:2]
        signal.raise_signal(stop)

    checkpoint = tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        condense.condense(images, labels, **settings(checkpoint=checkpoint, progress=stopped_before_the_third))
    assert "state.npz holds the state" in capsys.readouterr().err
    done = []
    resumed = condense.condense(
        images, labels, **settings(checkpoint=checkpoint, progress=lambda rest: (done.append(len(rest)), rest)[1])
    )
    assert done == [1], "two of three iterations were to be kept"
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)


def test_more_iterations_go_on_from_fewer_and_fewer_leave_the_state_alone(tmp_path):
    images, labels = torch.randn(30, 1, 16, 16, generator=generator(3)), torch.arange(3).repeat(10)
    checkpoint, done = tmp_path / "state.npz", []

    def condensed(iterations, **changes):
        return condense.condense(
            images,
            labels,
            **settings(iterations=iterations, progress=lambda rest: (done.append(len(rest)), rest)[1], **changes),
        )

    condensed(2, checkpoint=checkpoint)
    longer = condensed(3, checkpoint=checkpoint)
    state = checkpoint.read_bytes()
    shorter = condensed(1, checkpoint=checkpoint)
    assert done == [2, 1, 1]
    assert checkpoint.read_bytes() == state
    assert all(torch.equal(value, longer[name]) for name, value in condensed(3).items())
    assert all(torch.equal(value, shorter[name]) for name, value in condensed(1).items())


@pytest.mark.parametrize(("start", "made_of"), [("real", 1), ("means", 4)])
def test_a_start_is_the_mean_of_the_members_that_it_names(start, made_of):
    images, labels = torch.randn(30, 1, 16, 16, generator=generator(3)), torch.arange(3).repeat(10)
    made = condense.condense(images, labels, **settings(start=start))
    rows = made["started_from"]
    assert rows.shape == (6, made_of) and torch.equal(labels[rows], made["labels"][:, None].expand(-1, made_of))
    assert torch.allclose(made["snapshots"][0], images[rows].mean(1))
    assert all(len(set(own)) == made_of for own in rows.tolist())
    assert start != "real" or len(set(rows.flatten().tolist())) == 6, "no real image twice"
    assert not torch.equal(rows, condense.condense(images, labels, **settings(start=start, seed=6))["started_from"])


def test_a_start_belongs_to_the_state(tmp_path):
    images, labels = torch.randn(30, 1, 16, 16, generator=generator(3)), torch.arange(3).repeat(10)
    checkpoint = tmp_path / "state.npz"
    assert condense.condense(images, labels, **settings(checkpoint=checkpoint))["started_from"].shape == (6, 0)
    with pytest.raises(RuntimeError, match="start = 'noise', but start = 'real' is asked for"):
        condense.condense(images, labels, **settings(start="real", checkpoint=checkpoint))
    with pytest.raises(ValueError, match="start = 'zeros': there is no such start: choose from noise, real, means"):
        condense.condense(images, labels, **settings(start="zeros"))


@pytest.mark.parametrize(("width", "size"), [(128, 28), (128, 16), (8, 28)])
def test_fast_convnet_is_the_plain_one_in_float64_to_the_second_derivative(width, size):
    network = networks.initialise(networks.ConvNet(1, size, 4, width=width), generator(0)).double()
    images = torch.randn(3, 1, size, size, generator=generator(1)).double()
    weights = [p for p in network.parameters() if p.ndim > 1]

    def first_and_second(forward):
        pixels = images.clone().requires_grad_()
        loss = F.cross_entropy(forward(pixels), torch.tensor([0, 1, 3]))
        first = torch.autograd.grad(loss, weights, create_graph=True)
        return [loss, *first, *torch.autograd.grad(sum(g.square().sum() for g in first), pixels)]

    plain = first_and_second(lambda pixels: network.classifier(network.features(pixels)))
    for a, b in zip(plain, first_and_second(network), strict=True):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-11)


def test_float32_gradients_point_where_the_plain_float64_ones_do(monkeypatch):
    """In four passes. With so few activations none lies where rounding decides on which side of ReLU's kink it is."""
    monkeypatch.setattr(gradient_matching, "CPU_CHUNK", 3 * 8 * 16 * 16)  # of 3 images
    network = networks.initialise(networks.ConvNet(1, 16, 10, width=8), generator(0))
    images, labels = torch.randn(10, 1, 16, 16, generator=generator(1)), torch.arange(10)
    fast = gradient_matching.weight_gradients(network, images, labels)
    network.double()
    before_relu = []
    for layer in network.modules():
        if isinstance(layer, nn.GroupNorm):
            layer.register_forward_hook(
                lambda layer, inputs, output: before_relu.append(float(output.detach().abs().min()))
            )
    loss = F.cross_entropy(network.classifier(network.features(images.double())), labels)
    exact = torch.autograd.grad(loss, [p for p in network.parameters() if p.ndim > 1])
    assert len(before_relu) == 3 and min(before_relu) > 1e-5, "choose other images"
    for a, b in zip(fast, exact, strict=True):
        assert (1 - F.cosine_similarity(a.double().flatten(1), b.flatten(1))).max() < 1e-11


def test_matching_brings_the_gradients_together(digits):
    images, labels = digits.part("members")
    how = method.Settings(ipc=2, iterations=6, outer=3, inner=1, width=8, image_lr=10.0)
    result = condense.condense(
        images, labels, how, seed=0, make_network=lambda: networks.ConvNet(*digits.shape, width=8)
    )
    assert result["loss"][-1] < 0.8 * result["loss"][0]


@pytest.mark.parametrize(("ipc", "expected"), [(1, (1, 1)), (10, (10, 50)), (50, (50, 10))])
def test_loops_of_the_condensation_paper(ipc, expected):
    assert defaults.loops(ipc, 0, 0) == expected
    assert defaults.loops(ipc, 3, 4) == (3, 4)
