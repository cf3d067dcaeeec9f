"""Images of any size, odd ones too: the networks are their plain layers, and every method condenses."""

import pytest
import torch
from torch.nn import functional as F

from dcpriv_lib.condensation import condense, trajectory_matching
from dcpriv_lib.condensation.method import Settings
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.models import convolution, networks
from dcpriv_lib.privacy import noisy_embeddings, psg


class PlainConvNet(networks.ConvNet):
    """A ConvNet that computes with torch's own layers alone."""

    def embed(self, images):
        return self.features(images).flatten(1)


def derivatives(answers, at):
    """First derivatives of a number by some tensors, and second ones of the sum of their squares."""
    first = torch.autograd.grad(answers.logsumexp(1).sum(), at, create_graph=True)
    return [*first, *torch.autograd.grad(sum(one.square().sum() for one in first), at)]


def assert_is_its_plain_layers(size, depth=3, channels=1):
    network = networks.initialise(networks.ConvNet(channels, size, 3, 4, depth), generator(0)).double()
    images = torch.randn(3, channels, size, size, generator=generator(1), dtype=torch.float64).requires_grad_()
    plain, fast = network.classifier(network.features(images)), network(images)
    torch.testing.assert_close(fast, plain, rtol=1e-11, atol=1e-12)
    at = [images, *network.parameters()]
    torch.testing.assert_close(derivatives(fast, at), derivatives(plain, at), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("winograd", [False, True])
@pytest.mark.parametrize(
    ("size", "depth"), [(14, 3), (15, 3), (17, 3), (31, 3), (31, 1), (28, 3), (30, 2), (33, 2), (47, 4)]
)
def test_the_convnet_is_its_plain_layers_with_two_derivatives(size, depth, winograd, monkeypatch):
    if winograd:  # wherever the tiles fit, not only where it is faster
        monkeypatch.setattr(networks, "WINOGRAD_CHANNELS", 1)
    assert_is_its_plain_layers(size, depth)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("size", range(14, 129))
def test_the_convnet_is_its_plain_layers_at_every_size(size, depth, monkeypatch):
    monkeypatch.setattr(networks, "WINOGRAD_CHANNELS", 1)
    assert_is_its_plain_layers(size, depth, channels=3 - 2 * (size % 2))


@pytest.mark.slow
@pytest.mark.parametrize("size", range(14, 129))
def test_the_paper_cnn_is_its_plain_layers_at_every_size(size):
    network = networks.initialise(networks.PaperCNN(1, size, 3), generator(0)).double()
    images = torch.randn(3, 1, size, size, generator=generator(1), dtype=torch.float64).requires_grad_()
    plain, fast = network.classifier(network.features(images)), network(images)
    torch.testing.assert_close(fast, plain, rtol=1e-11, atol=1e-12)
    at = [images, *network.parameters()]
    of_plain, of_fast = (torch.autograd.grad(answers.logsumexp(1).sum(), at) for answers in (plain, fast))
    torch.testing.assert_close(of_fast, of_plain, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("size", [17, 31])
@pytest.mark.parametrize("method", condense.METHODS)
def test_every_method_condenses_odd_sizes_as_with_plain_layers(method, size, monkeypatch):
    monkeypatch.setattr(trajectory_matching, "STAGE_STEPS", 2)
    monkeypatch.setattr(trajectory_matching, "EXPERT_BATCH", 16)
    labels = torch.arange(3).repeat(8)
    images = torch.randn(24, 1, size, size, generator=generator(3))
    settings = Settings(2, 1, 1, 1, 4, 4, 0.1, "tiles", method)
    fast, plain = (
        condense.condense(images, labels, settings, seed=5, make_network=lambda: kind(1, size, 3, width=4))
        for kind in (networks.ConvNet, PlainConvNet)
    )
    assert fast["images"].shape[1:] == (1, size, size)
    assert not torch.equal(fast["images"], fast["snapshots"][0]), "the update moved the pixels"
    torch.testing.assert_close(fast["images"], plain["images"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [17, 31])
def test_private_condensation_takes_odd_sizes_as_with_plain_pooling(size, monkeypatch):
    labels = torch.arange(3).repeat(8)
    images = torch.randn(24, 1, size, size, generator=generator(3))
    releases = noisy_embeddings.ReleaseSettings(releases=2, rate=0.5, sigma=0.1, size=4)
    fit = noisy_embeddings.FitSettings(2, 2, lr=0.1)
    private = psg.Settings(2, 1, 1, 4, 1.0, sigma=0.1, image_lr=1.0, size=4, network_steps=1)

    def made():
        sums = torch.as_tensor(noisy_embeddings.release(images, labels, 3, releases, seed=0)["sums"])
        fitted = noisy_embeddings.fit(sums, (1, size, 3), 8.0, releases, fit, seed=0)
        return [torch.as_tensor(one["images"]) for one in (fitted, psg.condense(images, labels, 3, private, seed=0))]

    fast = made()
    monkeypatch.setattr(convolution, "halved", lambda features: F.avg_pool2d(features, 2))
    torch.testing.assert_close(fast, made(), rtol=1e-4, atol=1e-5)
