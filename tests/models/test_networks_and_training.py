"""The networks are the published ones; the training loop is Adam."""

import signal

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dcpriv_lib.engine import store
from dcpriv_lib.engine.seeding import derive, generator
from dcpriv_lib.models import networks, training


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_paper_cnn_is_the_published_network():
    ours = networks.initialise(networks.PaperCNN(1, 28, 10), generator(0))
    published = nn.Sequential(
        nn.Conv2d(1, 28, 5),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(28, 28, 3),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(700, 128),
        nn.Tanh(),
        nn.Linear(128, 10),
    )
    assert count(ours) == count(published)
    published.load_state_dict(dict(zip(published.state_dict(), ours.state_dict().values())))
    images = torch.randn(4, 1, 28, 28, generator=generator(1))
    assert torch.equal(ours.classifier(ours.features(images)), published(images)), "pooling before tanh changes no bit"
    assert torch.allclose(ours(images), published(images), atol=1e-6)


def test_convnet_has_the_reference_number_of_parameters():
    assert count(networks.ConvNet(3, 32, 10)) == 320_010  # ConvNet-3-128 on CIFAR-10
    assert networks.ConvNet(1, 28, 10).features[0].padding == (3, 3)  # the reference pads MNIST to 32x32
    assert networks.ConvNet(1, 28, 10)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_initialisation_is_torchs_distribution_and_reproducible():
    network = networks.PaperCNN(1, 28, 10)
    first = [p.clone() for p in networks.initialise(network, generator(3)).parameters()]
    again = networks.initialise(networks.PaperCNN(1, 28, 10), generator(3)).parameters()
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    weight = network.classifier[1].weight  # 700 inputs: uniform in +-1/sqrt(700)
    assert weight.abs().max() <= 700**-0.5
    assert abs(weight.std().item() - (700 * 3) ** -0.5) < 1e-3


def test_training_equals_torch_optim_adam_bit_for_bit():
    images, labels = torch.randn(50, 1, 16, 16, generator=generator(4)), torch.arange(10).repeat(5)
    ours = networks.initialise(networks.PaperCNN(1, 16, 10), generator(5))
    theirs = networks.initialise(networks.PaperCNN(1, 16, 10), generator(5))
    training.train(ours, images, labels, epochs=3, generator=generator(6), batch_size=16)
    optimizer, draw = torch.optim.Adam(theirs.parameters(), lr=1e-3, fused=True), generator(6)
    for _ in range(3):
        for batch in torch.randperm(50, generator=draw).split(16):
            optimizer.zero_grad()
            F.cross_entropy(theirs(images[batch]), labels[batch]).backward()
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters()))


def test_predictions_do_not_depend_on_the_batches():
    network = networks.initialise(networks.PaperCNN(1, 16, 10), generator(7))
    images = torch.randn(25, 1, 16, 16, generator=generator(8))
    assert torch.allclose(training.predict(network, images, 4), training.predict(network, images), atol=1e-6)


def test_accuracy_counts_right_rows():
    assert training.accuracy(torch.tensor([[1.0, 2], [3, 0], [0, 1]]), torch.tensor([1, 1, 1])) == 2 / torch.tensor(3.0)


def test_purposes_have_their_own_streams():
    assert derive(0, "target", 1) == derive(0, "target", 1)
    assert len({derive(s, *p) for s in (0, 1) for p in (("target", 1), ("target", 2), ("shadow", 1))}) == 6


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (1, 16), (3, 32), (1, 15), (3, 17)])
def test_fast_form_of_the_paper_cnn_is_the_plain_one_in_float64(channels, size):
    network = networks.initialise(networks.PaperCNN(channels, size, 10), generator(0)).double()
    images = torch.randn(6, channels, size, size, generator=generator(1)).double()
    images[:, :, :9] = -0.4  # a blank part: all its pooling fields are ties
    images.requires_grad_()
    plain, fast = network.classifier(network.features(images)), network(images)
    assert torch.allclose(plain, fast, rtol=1e-12)
    weights = list(network.parameters())
    for a, b in zip(
        torch.autograd.grad(plain.logsumexp(1).sum(), weights), torch.autograd.grad(fast.logsumexp(1).sum(), weights)
    ):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-13)


def test_gradient_by_the_pixels_is_the_plain_one_where_no_maximum_is_shared():
    network = networks.initialise(networks.PaperCNN(1, 17, 4), generator(0)).double()
    images = torch.randn(3, 1, 17, 17, generator=generator(1)).double().requires_grad_()
    (plain,) = torch.autograd.grad(network.classifier(network.features(images)).logsumexp(1).sum(), images)
    (fast,) = torch.autograd.grad(network(images).logsumexp(1).sum(), images)
    assert torch.allclose(plain, fast, rtol=1e-10, atol=1e-13)


def _trained(epochs=3, **settings):
    network = networks.initialise(networks.PaperCNN(1, 16, 3), generator(0))
    images, labels = torch.randn(40, 1, 16, 16, generator=generator(1)), torch.arange(40) % 3
    history = training.train(network, images, labels, epochs=epochs, batch_size=16, generator=generator(2), **settings)
    return network.state_dict(), history


@pytest.mark.parametrize(
    "stop", [lambda: signal.raise_signal(signal.SIGTERM), lambda: signal.raise_signal(signal.SIGINT)]
)
def test_stopped_training_goes_on_to_the_same_bits(tmp_path, stop, capsys):
    def stop_before_the_third(epochs):
        yield from list(epochs)[:2]
        stop()

    whole, history = _trained()
    with pytest.raises(KeyboardInterrupt):
        _trained(checkpoint=tmp_path / "unfinished.npz", progress=stop_before_the_third)
    assert "unfinished.npz holds the state" in capsys.readouterr().err
    epochs_left = []
    resumed, resumed_history = _trained(
        checkpoint=tmp_path / "unfinished.npz", progress=lambda rest: (epochs_left.append(len(rest)), rest)[1]
    )
    assert epochs_left == [1]
    assert resumed_history == history
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert (tmp_path / "unfinished.npz").exists(), "it goes when the result is kept"


def test_checkpoint_of_another_training_is_refused(tmp_path):
    def stop(epochs):
        yield 0
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        _trained(checkpoint=tmp_path / "unfinished.npz", progress=stop)
    with pytest.raises(store.ArtefactError, match="lr = 0.001"):
        _trained(checkpoint=tmp_path / "unfinished.npz", lr=0.5)


def test_a_checkpoint_of_a_wider_network_is_refused(tmp_path):
    def train(width, progress=iter):
        network = networks.initialise(networks.ConvNet(1, 16, 10, width=width), generator(1))
        training.train(
            network,
            torch.randn(20, 1, 16, 16, generator=generator(2)),
            torch.arange(10).repeat(2),
            epochs=3,
            generator=generator(3),
            checkpoint=tmp_path / "unfinished.npz",
            progress=progress,
        )

    def stop(epochs):
        yield from list(epochs)[:1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(8, stop)
    with pytest.raises(store.ArtefactError, match="weights = "):
        train(4)


# ---------------------------------------------------------------- networks that methods match in


def test_features_are_what_the_last_layer_sees():
    images = torch.randn(5, 1, 16, 16, generator=generator(1))
    for name in networks.NETWORKS:
        network = networks.initialise(networks.build(name, (1, 16, 10), 8), generator(2))
        last = network.classifier if isinstance(network.classifier, nn.Linear) else network.classifier[-1]
        assert torch.equal(last(network.embed(images)), network(images)), name


def test_every_network_can_be_differentiated_twice_and_then_is_the_same_function():
    images = torch.randn(3, 1, 16, 16, generator=generator(1), dtype=torch.float64, requires_grad=True)
    for name in networks.NETWORKS:
        network, fast = (
            networks.initialise(networks.build(name, (1, 16, 10), 4, twice), generator(2)).double()
            for twice in (True, False)
        )
        assert torch.allclose(network(images), fast(images), atol=1e-12), name
        weights = [weight for weight in network.parameters() if weight.ndim > 1]

        def squared(pixels):
            loss = F.cross_entropy(network(pixels), torch.tensor([0, 1, 2]))
            return sum(g.square().sum() for g in torch.autograd.grad(loss, weights, create_graph=True))

        (gradient,) = torch.autograd.grad(squared(images), images)
        move = torch.zeros_like(images)
        move[1, 0, 8, 8] = 1e-6
        by_hand = (squared(images + move) - squared(images - move)) / 2e-6
        assert gradient[1, 0, 8, 8].item() == pytest.approx(by_hand.item(), rel=1e-4, abs=1e-9), name


def test_an_unknown_network_names_the_nearest():
    with pytest.raises(ValueError, match="network = 'PaperCNM': there is no such network: did you mean 'PaperCNN'"):
        networks.build("PaperCNM", (1, 16, 10))
