"""Dataset condensation with differential privacy: noisy embedding sums, matched by synthetic images.

The sums are released once, with noise, and kept. Whatever is done with them afterwards is post-processing and costs
no privacy: the synthetic images may be fitted to them for as long as one likes (decoupled sampling, Zheng & Li,
NDPDC, 2024). With the features of random networks that is distribution matching (DM); with random Fourier features and
one release it is the mean embedding of DP-MERF (Harder et al., AISTATS 2021), with images in place of its generator.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from ..condensation.distribution_matching import features as embed
from ..engine import store
from ..engine.checkpoint import Checkpoint
from ..engine.seeding import derive, generator
from ..engine.store import fingerprint
from ..models.networks import ConvNet, initialise
from ..models.training import Adam
from .mechanism import NOBODY, batch, canary_scores, clip, executed, noisy_sums, resumable

START = 0.2  # deviation of the noise that the synthetic images start from
LEAST_RIDGE = 1e-6  # of the least squares where there is no noise


@dataclass(frozen=True)
class Query:
    """What is asked about the members: the releases.

    Attributes
    ----------
    releases : noisy sums of each class, each with an embedding of its own.
    rate : probability with which everybody is in a release.
    sigma : standard deviation of the noise, in units of the clipping length; 0 gives no guarantee.
    embedding : one of `EMBEDDINGS`.
    size : of the embedding: filters of the network, or frequencies.
    clip : length to which every person's embedding is clipped.
    """

    releases: int
    rate: float
    sigma: float
    embedding: str = "network"
    size: int = 16
    clip: float = 1.0


@dataclass(frozen=True)
class Fit:
    """How synthetic images are fitted to the releases.

    Attributes
    ----------
    ipc : synthetic images a class.
    updates : steps of Adam on the pixels, each on one of the releases.
    lr : step size.
    """

    ipc: int
    updates: int
    lr: float


def random_network(shape: tuple[int, int, int], size: int, draw: torch.Generator) -> Callable:
    """Return the features of a `networks.ConvNet` of `size` filters that was never trained."""
    network = initialise(ConvNet(*shape, width=size), draw).requires_grad_(False)
    return lambda images: embed(network.to(images.device), images)


def fourier(shape: tuple[int, int, int], size: int, draw: torch.Generator) -> Callable:
    """Return random Fourier features (Rahimi & Recht 2007), of length 1 each, without looking at the data.

    f(x) = (cos w_1 x, sin w_1 x, ...) / sqrt(size), w ~ N(0, 1 / d): with the kernel's width sqrt(d) for d pixels of
    variance 1, which is in the order of the distance of two images.
    """
    channels, side, _ = shape
    pixels = channels * side**2
    frequencies = torch.randn(pixels, size, generator=draw) / pixels**0.5

    def features(images: torch.Tensor) -> torch.Tensor:
        angle = images.flatten(1) @ frequencies.to(images)
        return torch.cat([angle.cos(), angle.sin()], dim=1) / size**0.5

    return features


# ``EMBEDDINGS[name](shape, size, draw)`` returns a function of images, float [B, C, H, W], to features, float [B, n].
EMBEDDINGS = {"network": random_network, "fourier": fourier}


def embedding(shape: tuple[int, int, int], how: Query, seed: int, number: int) -> Callable:
    """Return the clipped embedding of one release, which is public: float [B, C, H, W] to float [B, n]."""
    features = EMBEDDINGS[how.embedding](shape, how.size, generator(seed, "embedding", number))
    return lambda images: clip(features(images), how.clip)


@torch.no_grad()
def embedding_sums(embedded: Callable, images: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Return the sum of the embeddings of each class, float [classes, n].

    A person is in one class only, so that adding or removing one moves one row of the sum, by the clipping length at
    most: the releases of all classes together cost no more than that of one (parallel composition).

    Parameters
    ----------
    embedded : from `embedding`.
    images, labels : of a batch, which may be empty, float32 [B, C, H, W], int64 [B].
    classes : their number.
    """
    vectors = embedded(images)
    return torch.zeros(classes, vectors.shape[1], device=images.device).index_add_(0, labels, vectors)


def release(
    images: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    how: Query,
    *,
    seed: int,
    coins: torch.Tensor = NOBODY,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> dict[str, torch.Tensor]:
    """Return all releases, each the noisy sums of a Poisson batch, made once.

    Parameters
    ----------
    images, labels : the members, float32 [N, C, H, W], int64 [N].
    classes : their number.
    how : see `Query`.
    seed : of the embeddings, which are public, and together with settings and data of the batches and the noise (see
        `dp_sgd.train`).
    coins : as in `dp_sgd.train`.
    checkpoint : file of the releases made so far; a resumed run goes on with the next one.
    progress : wraps the releases.

    Returns
    -------
    dict with "sums" float32 [releases, classes, n], and "scores" float64 [canaries], the auditor's score of each canary
    (`mechanism.canary_scores`).
    """
    known = {"query": asdict(how), "seed": seed, "data": store.digest(images.cpu(), labels.cpu(), coins)}
    secret, shape = derive(seed, fingerprint(known)), (images.shape[1], images.shape[2], classes)
    first = {"sums": torch.zeros(0), "scores": torch.zeros(len(coins), dtype=torch.float64)}
    with Checkpoint(checkpoint, known) as saved:
        state = resumable(saved.load() or first, "sums", how.releases)
        for number in progress(range(len(state["sums"]), how.releases)):
            rows, canaries = batch(len(images), coins, how.rate, generator(secret, "batch", number))
            rows = rows.to(images.device)
            sums = embedding_sums(embedding(shape, how, seed, number), images[rows], labels[rows], classes)
            one = noisy_sums(sums, canaries, how, seed, secret, number)
            state = {
                "sums": torch.cat([state["sums"].reshape(-1, *one.shape), one[None].cpu()]),
                "scores": state["scores"] + canary_scores(one - sums, len(coins), how.clip, seed, number),
            }
            saved.keep(state)
    executed(len(state["sums"]), how.releases)
    return state


def fit(
    sums: torch.Tensor,
    shape: tuple[int, int, int],
    people: float,
    how: Query,
    until: Fit,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> dict[str, torch.Tensor]:
    """Return synthetic images whose mean embeddings are those that were released; the members are not asked again.

    Adam makes steps along the gradient of

        L_t = sum_c || sum_tc / (rate people) - mean_{s in synthetic class c} clip(f_t(s)) ||^2,

    t being one release after the other, in an order drawn anew for each round.

    Parameters
    ----------
    sums : float [releases, classes, n], from `release`; they are not changed.
    shape : channels, size and classes.
    people : mean size of a class, which is taken as public.
    how, until : see `Query` and `Fit`.
    seed : that of `release`.
    checkpoint, progress : as in `release`.

    Returns
    -------
    dict with "images" float32 [classes * ipc, C, H, W], "labels" int64 [classes * ipc] and "loss" float64 [updates].
    """
    channels, side, classes = shape
    means = sums / (how.rate * people)
    embeddings = [embedding(shape, how, seed, number) for number in range(len(sums))]
    images = START * torch.randn(classes * until.ipc, channels, side, side, generator=generator(seed, "start")).to(sums)
    labels = torch.arange(classes).repeat_interleave(until.ipc)
    optimiser, loss = Adam([images], until.lr), torch.zeros(0, dtype=torch.float64)
    with Checkpoint(checkpoint, asdict(until) | {"seed": seed, "sums": store.digest(sums.cpu())}) as saved:
        if state := saved.load():
            loss = torch.as_tensor(state["loss"])
            for name, tensor in zip(("images", "mean", "square", "step"), [images, *optimiser.state]):
                tensor.copy_(torch.as_tensor(state[name]))
        for update in progress(range(len(loss), until.updates)):
            turn, place = divmod(update, len(sums))
            number = int(torch.randperm(len(sums), generator=generator(seed, "order", turn))[place])
            gradient, value = matching_gradient(embeddings[number], means[number], images, until.ipc)
            optimiser.step([gradient])
            loss = torch.cat([loss, torch.tensor([value], dtype=torch.float64)])
            saved.keep(
                {"images": images.cpu().clone(), "loss": loss}
                | {name: value.cpu().clone() for name, value in zip(("mean", "square", "step"), optimiser.state)}
            )
    return {"images": images.cpu(), "labels": labels, "loss": loss}


def matching_gradient(
    embedded: Callable, means: torch.Tensor, images: torch.Tensor, ipc: int
) -> tuple[torch.Tensor, float]:
    """Return the gradient of the loss of `fit` for the images, float [classes * ipc, C, H, W], and the loss."""
    pixels = images.detach().requires_grad_()
    own = embedded(pixels).unflatten(0, (-1, ipc)).mean(1)
    loss = (means - own).square().sum()
    return torch.autograd.grad(loss, pixels)[0], loss.item()


@torch.no_grad()
def members_by_least_squares(
    sums: torch.Tensor, images: torch.Tensor, labels: torch.Tensor, how: Query, seed: int
) -> np.ndarray:
    """Return how much of everybody is in the releases, float64 [n]: near 1 for a member, near 0 else, noise aside.

    An attack by somebody who sees the releases and knows everybody in question. For each class, with the
    embeddings F_t [people, n] and b = 1 for members, the releases are s_t = rate F_t' b + noise; so the guess is

        b = 1/2 + (sum_t F_t F_t' + lambda)^-1 sum_t F_t (s_t / rate - F_t' 1/2),
        lambda = 4 (sigma clip / rate)^2 + 2 people (1 - rate) / rate clip^2 / n,

    the best linear one where each b was decided by a coin, if the noise of the batches' coins, of which
    the second term is the variance, were the same in all directions.

    Parameters
    ----------
    sums : float [releases, classes, n], from `release`.
    images, labels : everybody in question, float32 [n, C, H, W], int64 [n].
    how : see `Query`.
    seed : that of `release`, from which the public embeddings come.
    """
    shape, guess = (images.shape[1], images.shape[2], sums.shape[1]), np.empty(len(labels))
    blur = 4 * (how.sigma * how.clip / how.rate) ** 2 + LEAST_RIDGE
    embeddings = [embedding(shape, how, seed, number) for number in range(len(sums))]
    for label in labels.unique():
        own = images[labels == label]
        coins = 2 * len(own) * (1 - how.rate) / how.rate * how.clip**2 / sums.shape[2]
        gram, right = (
            (blur + coins) * torch.eye(len(own), dtype=torch.float64),
            torch.zeros(len(own), dtype=torch.float64),
        )
        for embedded, released in zip(embeddings, sums[:, label].double()):
            vectors = embedded(own).cpu().double()
            gram += vectors @ vectors.T
            right += vectors @ (released / how.rate - vectors.sum(0) / 2)
        guess[labels.numpy() == int(label)] = 0.5 + torch.linalg.solve(gram, right).numpy()
    return guess
