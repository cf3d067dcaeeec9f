"""Generators: small networks that make images of noise and a label, to be shared in place of the members' images.

A conditional GAN (Goodfellow et al. 2014; Mirza & Osindero 2014) learns from the members and guarantees nothing. With
the same generator, DP-MERF (Harder, Adamczewski & Park, AISTATS 2021) learns from noisy sums that were released before
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
from ..models.training import Adam
from .noisy_embeddings import Query, embedding, matching_gradient

CODE = 16  # numbers of noise that an image is made of
SLOPE = 0.2  # of the discriminator's leaky ReLUs
SLOWER = (
    5  # times smaller are the discriminator's steps, which otherwise wins before the generator has learned anything
)


@dataclass(frozen=True)
class Settings:
    """How a generator is trained, and how many images it then makes.

    Attributes
    ----------
    drawn : images of each class that are drawn from the trained generator.
    updates : steps of Adam, of the GAN for each of its two networks.
    lr : their size; the discriminator's are `SLOWER`.
    batch : images in a step; of DP-MERF the nearest whole number of each class, at least one.
    width : units of the two hidden layers of both networks.
    """

    drawn: int
    updates: int
    lr: float
    batch: int
    width: int


class Generator(nn.Module):
    """Two hidden layers, from a code of `CODE` normal numbers and a label to an image.

    Parameters
    ----------
    shape : channels, size and classes, as in `networks.PaperCNN`.
    width : units of a hidden layer.
    """

    def __init__(self, shape: tuple[int, int, int], width: int):
        super().__init__()
        channels, side, self.classes = shape
        self.layers = nn.Sequential(
            nn.Linear(CODE + self.classes, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, channels * side**2),
            nn.Unflatten(1, (channels, side, side)),
        )

    def forward(self, codes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Map codes, float [B, CODE], and labels, int64 [B], to images, float [B, C, H, W]."""
        return self.layers(torch.cat([codes, F.one_hot(labels, self.classes).to(codes)], dim=1))

    def make(self, labels: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
        """Return an image of each of the `labels`, with codes from `draw`."""
        return self(torch.randn(len(labels), CODE, generator=draw).to(labels.device), labels)


def train(
    images: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    how: Settings,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> dict[str, torch.Tensor]:
    """Train a conditional GAN on the members, and return images drawn from it; there is no guarantee.

    In each step the discriminator D goes down along the gradient of

        mean log(1 + exp(-D(x, y))) + mean log(1 + exp(D(G(z, y), y)))

    over a batch of members and as many new images, D having one output for each label y, and then the generator G
    along that of mean log(1 + exp(-D(G(z, y), y))), the non-saturating loss.

    Parameters
    ----------
    images, labels : the members, float32 [N, C, H, W], int64 [N].
    classes : their number.
    how : see `Settings`.
    seed : of everything that is random.
    checkpoint, progress : as in `training.train`; it wraps the updates.

    Returns
    -------
    dict with "images" float32 [classes * drawn, C, H, W], "labels" int64 [classes * drawn], "loss" float64 [updates],
    the generator's.
    """
    maker = _new((images.shape[1], images.shape[2], classes), how, seed).to(images.device)
    judge = initialise(
        nn.Sequential(
            nn.Flatten(),
            nn.Linear(images[0].numel(), how.width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(how.width, how.width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(how.width, classes),
        ),
        generator(seed, "discriminator"),
    ).to(images.device)
    of_maker, of_judge = Adam(list(maker.parameters()), how.lr), Adam(list(judge.parameters()), how.lr / SLOWER)

    def step(draw: torch.Generator) -> float:
        rows = torch.randint(len(images), (how.batch,), generator=draw).to(images.device)
        own = labels[rows]
        made = maker.make(own, draw)
        real, fake = (judge(some).gather(1, own[:, None]) for some in (images[rows], made.detach()))
        loss = F.softplus(-real).mean() + F.softplus(fake).mean()
        of_judge.step(torch.autograd.grad(loss, of_judge.weights))
        loss = F.softplus(-judge(made).gather(1, own[:, None])).mean()
        of_maker.step(torch.autograd.grad(loss, of_maker.weights))
        return loss.item()

    known = asdict(how) | {"seed": seed, "data": store.digest(images.cpu(), labels.cpu())}
    loss = _repeat(step, [of_maker, of_judge], how.updates, known, checkpoint, progress)
    return _drawn(maker, how, seed) | {"loss": loss}


def fit(
    sums: torch.Tensor,
    shape: tuple[int, int, int],
    people: float,
    how: Query,
    until: Settings,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> dict[str, torch.Tensor]:
    """Train a generator whose images have the mean embeddings that were released, and return images drawn from it.

    Adam makes steps along the gradient of the loss of `noisy_embeddings.fit`, with new images of the generator in place
    of fixed ones; of several releases one is chosen at random. The members are not asked.

    The arguments and what is returned are those of `noisy_embeddings.fit`, with `until` see `Settings`.
    """
    maker, each = _new(shape, until, seed).to(sums.device), max(1, round(until.batch / shape[2]))
    means, labels = sums / (how.rate * people), _labels(shape[2], each).to(sums.device)
    embeddings = [embedding(shape, how, seed, number) for number in range(len(sums))]
    optimiser = Adam(list(maker.parameters()), until.lr)

    def step(draw: torch.Generator) -> float:
        images, number = maker.make(labels, draw), int(torch.randint(len(sums), (), generator=draw))
        gradient, loss = matching_gradient(embeddings[number], means[number], images, each)
        optimiser.step(torch.autograd.grad(images, optimiser.weights, gradient))
        return loss

    known = asdict(until) | {"seed": seed, "sums": store.digest(sums.cpu())}
    loss = _repeat(step, [optimiser], until.updates, known, checkpoint, progress)
    return _drawn(maker, until, seed) | {"loss": loss}


def _new(shape: tuple[int, int, int], how: Settings, seed: int) -> Generator:
    return initialise(Generator(shape, how.width), generator(seed, "generator"))


def _labels(classes: int, each: int) -> torch.Tensor:
    return torch.arange(classes).repeat_interleave(each)


@torch.no_grad()
def _drawn(maker: Generator, how: Settings, seed: int) -> dict[str, torch.Tensor]:
    """Return the images of the trained generator, and their labels."""
    labels, device = _labels(maker.classes, how.drawn), next(maker.parameters()).device
    return {"images": maker.make(labels.to(device), generator(seed, "drawn")).cpu(), "labels": labels}


def _repeat(step: Callable, optimisers: list[Adam], updates: int, known: dict, checkpoint, progress) -> torch.Tensor:
    """Make ``step(draw)`` so many times, each with randomness of its own, and return what it returned."""
    tensors = [tensor for optimiser in optimisers for tensor in optimiser.weights + optimiser.state]
    loss = torch.zeros(0, dtype=torch.float64)
    with Checkpoint(checkpoint, known) as saved:
        if state := saved.load():
            loss = torch.as_tensor(state["loss"])
            vector_to_parameters(torch.as_tensor(state["tensors"]).to(tensors[0].device), tensors)
        for update in progress(range(len(loss), updates)):
            one = step(generator(known["seed"], "update", update))
            loss = torch.cat([loss, torch.tensor([one], dtype=torch.float64)])
            saved.keep({"tensors": parameters_to_vector(tensors).detach().cpu(), "loss": loss})
    return loss
