"""A small network that makes images of noise and a label, to be shared in place of the members' images.

The literature calls it a generator. In this code a `generator` is only torch's source of random numbers, and the
network is the generator network.

In a conditional GAN (Goodfellow et al. 2014; Mirza & Osindero 2014) it learns from the members and guarantees nothing.
In DP-MERF (Harder, Adamczewski & Park, AISTATS 2021) the same network learns from noisy sums that were released before
(see `noisy_embeddings`): that is post-processing.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ..engine import store
from ..engine.checkpoint import Checkpoint
from ..engine.seeding import generator
from ..models.networks import initialise
from ..models.products import Linear
from ..models.training import Adam
from .noisy_embeddings import ReleaseSettings, embedding, matching_gradient

CODE_LENGTH = 16  # An image is made of so many random numbers.
LEAKY_SLOPE = 0.2  # The slope of the discriminator's ReLUs below zero.
# The discriminator's step size is so many times smaller than the generator network's. With equal steps it wins before
# the generator network has learned anything.
DISCRIMINATOR_SLOWDOWN = 5


@dataclass(frozen=True)
class Settings:
    """How a generator network is trained, and how many images it then makes.

    The names of the fields enter the keys of kept results, and so they stay as they are.

    Attributes
    ----------
    drawn : images of each class that are drawn from the trained network.
    updates : steps of Adam; in a GAN each of the two networks makes so many.
    lr : step size; the discriminator's is smaller (`DISCRIMINATOR_SLOWDOWN`).
    batch : images in a step. DP-MERF takes batch / classes of each class, rounded, and at least one.
    width : units of the two hidden layers of both networks.
    """

    drawn: int
    updates: int
    lr: float
    batch: int
    width: int


class GeneratorNetwork(nn.Module):
    """Two hidden layers, from a code of `CODE_LENGTH` normal numbers and a label to an image.

    Parameters
    ----------
    shape : channels, size and classes, as in `networks.PaperCNN`.
    width : units of a hidden layer.
    """

    def __init__(self, shape: tuple[int, int, int], width: int):
        super().__init__()
        channels, side, self.classes = shape
        self.layers = nn.Sequential(
            Linear(CODE_LENGTH + self.classes, width),
            nn.ReLU(),
            Linear(width, width),
            nn.ReLU(),
            Linear(width, channels * side**2),
            nn.Unflatten(1, (channels, side, side)),
        )

    def forward(self, codes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Map codes, float [B, CODE_LENGTH], and labels, int64 [B], to images, float [B, C, H, W]."""
        return self.layers(torch.cat([codes, F.one_hot(labels, self.classes).to(codes)], dim=1))

    def make(self, labels: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
        """Return an image of each of the `labels`, with codes from `draw`."""
        return self(torch.randn(len(labels), CODE_LENGTH, generator=draw).to(labels.device), labels)


def train(
    images: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    settings: Settings,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> dict[str, torch.Tensor]:
    """Train a conditional GAN on the members, and return images drawn from it; there is no guarantee.

    In each step the discriminator D goes down along the gradient of

        mean log(1 + exp(-D(x, y))) + mean log(1 + exp(D(G(z, y), y)))

    over a batch of members and as many new images, where D has one output for each label y. Then the generator network
    G goes down along that of mean log(1 + exp(-D(G(z, y), y))), the non-saturating loss.

    Parameters
    ----------
    images, labels : the members, float32 [N, C, H, W], int64 [N].
    classes : their number.
    settings : see `Settings`.
    seed : of everything that is random.
    checkpoint : as in `training.train`.
    progress : wraps the updates.

    Returns
    -------
    dict with "images" float32 [classes * drawn, C, H, W], "labels" int64 [classes * drawn], and "loss" float64
    [updates], that of the generator network.
    """
    network = _new_network((images.shape[1], images.shape[2], classes), settings, seed).to(images.device)
    discriminator = initialise(
        nn.Sequential(
            nn.Flatten(),
            Linear(images[0].numel(), settings.width),
            nn.LeakyReLU(LEAKY_SLOPE),
            Linear(settings.width, settings.width),
            nn.LeakyReLU(LEAKY_SLOPE),
            Linear(settings.width, classes),
        ),
        generator(seed, "discriminator"),
    ).to(images.device)
    adam = Adam(list(network.parameters()), settings.lr)
    adam_of_discriminator = Adam(list(discriminator.parameters()), settings.lr / DISCRIMINATOR_SLOWDOWN)

    def step(draw: torch.Generator) -> float:
        rows = torch.randint(len(images), (settings.batch,), generator=draw).to(images.device)
        classes_of_batch = labels[rows]
        made = network.make(classes_of_batch, draw)

        def realness(batch: torch.Tensor) -> torch.Tensor:
            return discriminator(batch).gather(1, classes_of_batch[:, None])

        loss = F.softplus(-realness(images[rows])).mean() + F.softplus(realness(made.detach())).mean()
        adam_of_discriminator.step(torch.autograd.grad(loss, adam_of_discriminator.weights))
        loss = F.softplus(-realness(made)).mean()
        adam.step(torch.autograd.grad(loss, adam.weights))
        return loss.item()

    known = asdict(settings) | {"seed": seed, "data": store.digest(images.cpu(), labels.cpu())}
    loss = _repeat(step, [adam, adam_of_discriminator], settings.updates, known, checkpoint, progress)
    return _drawn(network, settings, seed) | {"loss": loss}


def fit(
    sums: torch.Tensor,
    shape: tuple[int, int, int],
    people: float,
    release_settings: ReleaseSettings,
    settings: Settings,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> dict[str, torch.Tensor]:
    """Train a generator network to make images with the released mean embeddings, and return images drawn from it.

    Adam makes steps along the gradient of the loss of `noisy_embeddings.fit`, with new images of the network in place
    of fixed ones; of several releases one is chosen at random. The members are not asked.

    The arguments and what is returned are those of `noisy_embeddings.fit`, with this module's `Settings` in place of
    `FitSettings`.
    """
    network = _new_network(shape, settings, seed).to(sums.device)
    per_class = max(1, round(settings.batch / shape[2]))
    means, labels = sums / (release_settings.rate * people), _balanced_labels(shape[2], per_class).to(sums.device)
    embeddings = [embedding(shape, release_settings, seed, number) for number in range(len(sums))]
    adam = Adam(list(network.parameters()), settings.lr)

    def step(draw: torch.Generator) -> float:
        images, number = network.make(labels, draw), int(torch.randint(len(sums), (), generator=draw))
        gradient, loss = matching_gradient(embeddings[number], means[number], images, per_class)
        adam.step(torch.autograd.grad(images, adam.weights, gradient))
        return loss

    known = asdict(settings) | {"seed": seed, "sums": store.digest(sums.cpu())}
    loss = _repeat(step, [adam], settings.updates, known, checkpoint, progress)
    return _drawn(network, settings, seed) | {"loss": loss}


def _new_network(shape: tuple[int, int, int], settings: Settings, seed: int) -> GeneratorNetwork:
    network = GeneratorNetwork(shape, settings.width)
    initialise(network, generator(seed, "generator"))
    return network


def _balanced_labels(classes: int, per_class: int) -> torch.Tensor:
    return torch.arange(classes).repeat_interleave(per_class)


@torch.no_grad()
def _drawn(network: GeneratorNetwork, settings: Settings, seed: int) -> dict[str, torch.Tensor]:
    """Return images of the trained network, and their labels."""
    labels, device = _balanced_labels(network.classes, settings.drawn), next(network.parameters()).device
    return {"images": network.make(labels.to(device), generator(seed, "drawn")).cpu(), "labels": labels}


def _repeat(
    step: Callable[[torch.Generator], float],
    optimisers: list[Adam],
    updates: int,
    known: dict,
    checkpoint: Path | None,
    progress: Callable,
) -> torch.Tensor:
    """Call ``step(draw)`` so many times, each with its own random stream; return the losses, float64 [updates]."""
    tensors = [tensor for optimiser in optimisers for tensor in optimiser.weights + optimiser.state]
    loss = torch.zeros(0, dtype=torch.float64)
    with Checkpoint(checkpoint, known) as saved:
        if state := saved.load():
            loss = torch.as_tensor(state["loss"])
            vector_to_parameters(torch.as_tensor(state["tensors"]).to(tensors[0].device), tensors)
        for update in progress(range(len(loss), updates)):
            value = step(generator(known["seed"], "update", update))
            loss = torch.cat([loss, torch.tensor([value], dtype=torch.float64)])
            saved.keep({"tensors": parameters_to_vector(tensors).detach().cpu(), "loss": loss})
    return loss
