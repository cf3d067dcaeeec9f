"""Dataset condensation with differential privacy: noisy embedding sums, matched by synthetic images.

The sums are released once, with noise, and kept. Whatever is done with them afterwards is post-processing and costs
no privacy: the synthetic images may be fitted to them for as long as one likes (decoupled sampling, Zheng & Li,
NDPDC, 2024). With the features of random networks that is distribution matching (DM); with random Fourier features and
one release it is the mean embedding of DP-MERF (Harder et al., AISTATS 2021), with images in place of its generator
network.
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
from ..models.products import multiply
from ..models.training import Adam
from .mechanism import NO_CANARIES, assert_releases, batch, canary_scores, clip, noisy_sums, restore

START_DEVIATION = 0.2  # The synthetic images start from noise of this standard deviation, in units of the images.
LEAST_RIDGE = 1e-6  # This keeps the least squares solvable where the releases have no noise.

Embedding = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class ReleaseSettings:
    """What is released about the members.

    The names of the fields enter the keys of kept results, and so they stay as they are.

    Attributes
    ----------
    releases : noisy sums of each class, each with an embedding of its own.
    rate : probability with which each person is in a release.
    sigma : standard deviation of the noise, in units of the clipping length; 0 gives no guarantee.
    embedding : one of `EMBEDDINGS`.
    size : filters of the embedding's network, or its frequencies.
    clip : length to which every person's embedding is clipped.
    """

    releases: int
    rate: float
    sigma: float
    embedding: str = "network"
    size: int = 16
    clip: float = 1.0


@dataclass(frozen=True)
class FitSettings:
    """How synthetic images are fitted to the releases.

    The names of the fields enter the keys of kept results, and so they stay as they are.

    Attributes
    ----------
    ipc : synthetic images a class.
    updates : steps of Adam on the pixels, each on one of the releases.
    lr : step size.
    """

    ipc: int
    updates: int
    lr: float


def random_network(shape: tuple[int, int, int], size: int, draw: torch.Generator) -> Embedding:
    """Return the features of a `networks.ConvNet` of `size` filters that was never trained."""
    network = initialise(ConvNet(*shape, width=size), draw).requires_grad_(False)
    return lambda images: embed(network.to(images.device), images)


def fourier(shape: tuple[int, int, int], size: int, draw: torch.Generator) -> Embedding:
    """Return random Fourier features (Rahimi & Recht 2007), of length 1 each, without looking at the data.

    f(x) = (cos w_1 x, sin w_1 x, ...) / sqrt(size), w ~ N(0, 1 / d). For d pixels of variance 1 the kernel's width is
    then sqrt(d), about as large as the distance between two images.
    """
    channels, side, _ = shape
    pixels = channels * side**2
    frequencies = torch.randn(pixels, size, generator=draw) / pixels**0.5

    def features(images: torch.Tensor) -> torch.Tensor:
        angle = multiply(images.flatten(1), frequencies.to(images))
        return torch.cat([angle.cos(), angle.sin()], dim=1) / size**0.5

    return features


# ``EMBEDDINGS[name](shape, size, draw)`` returns a function of images, float [B, C, H, W], to features, float [B, n].
EMBEDDINGS = {"network": random_network, "fourier": fourier}


def embedding(shape: tuple[int, int, int], settings: ReleaseSettings, seed: int, number: int) -> Embedding:
    """Return the clipped embedding of one release, which is public: float [B, C, H, W] to float [B, n]."""
    features = EMBEDDINGS[settings.embedding](shape, settings.size, generator(seed, "embedding", number))
    return lambda images: clip(features(images), settings.clip)


@torch.no_grad()
def embedding_sums(embed_clipped: Embedding, images: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Return the sum of the embeddings of each class, float [classes, n].

    A person is in one class only, so that adding or removing one moves one row of the sum, by the clipping length at
    most: the releases of all classes together cost no more than that of one (parallel composition).

    Parameters
    ----------
    embed_clipped : from `embedding`.
    images, labels : of a batch, which may be empty, float32 [B, C, H, W], int64 [B].
    classes : their number.
    """
    vectors = embed_clipped(images)
    return torch.zeros(classes, vectors.shape[1], device=images.device).index_add_(0, labels, vectors)


def release(
    images: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    settings: ReleaseSettings,
    *,
    seed: int,
    is_member: torch.Tensor = NO_CANARIES,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> dict[str, torch.Tensor]:
    """Return all releases, each the noisy sums of a Poisson batch, made once.

    Parameters
    ----------
    images, labels : the members, float32 [N, C, H, W], int64 [N].
    classes : their number.
    settings : see `ReleaseSettings`.
    seed : of the embeddings, which are public, and together with settings and data of the batches and the noise (see
        `dp_sgd.train`).
    is_member : bool [canaries], as in `dp_sgd.train`.
    checkpoint : file of the releases made so far; a resumed run goes on with the next one.
    progress : wraps the releases.

    Returns
    -------
    dict with "sums" float32 [releases, classes, n], and "scores" float64 [canaries], the auditor's score of each canary
    (`mechanism.canary_scores`).
    """
    # The noise comes from this record, "query" included: another word would make other releases.
    known = {"query": asdict(settings), "seed": seed, "data": store.digest(images.cpu(), labels.cpu(), is_member)}
    secret, shape = derive(seed, fingerprint(known)), (images.shape[1], images.shape[2], classes)
    first = {"sums": torch.zeros(0), "scores": torch.zeros(len(is_member), dtype=torch.float64)}
    with Checkpoint(checkpoint, known) as saved:
        state = restore(saved.load() or first, "sums", settings.releases)
        for number in progress(range(len(state["sums"]), settings.releases)):
            rows, canaries = batch(len(images), is_member, settings.rate, generator(secret, "batch", number))
            rows = rows.to(images.device)
            sums = embedding_sums(embedding(shape, settings, seed, number), images[rows], labels[rows], classes)
            noisy = noisy_sums(sums, canaries, settings, seed, secret, number)
            state = {
                "sums": torch.cat([state["sums"].reshape(-1, *noisy.shape), noisy[None].cpu()]),
                "scores": state["scores"] + canary_scores(noisy - sums, len(is_member), settings.clip, seed, number),
            }
            saved.keep(state)
    assert_releases(len(state["sums"]), settings.releases)
    return state


def fit(
    sums: torch.Tensor,
    shape: tuple[int, int, int],
    people: float,
    release_settings: ReleaseSettings,
    fit_settings: FitSettings,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> dict[str, torch.Tensor]:
    """Return synthetic images whose mean embeddings are those that were released; the members are not asked again.

    Adam makes steps along the gradient of

        L_t = sum_c || sum_tc / (rate people) - mean_{s in synthetic class c} clip(f_t(s)) ||^2,

    where t is one release after the other, in an order that is drawn anew for each round.

    Parameters
    ----------
    sums : float [releases, classes, n], from `release`; they are not changed.
    shape : channels, size and classes.
    people : mean size of a class, which is taken as public.
    release_settings, fit_settings : see `ReleaseSettings` and `FitSettings`.
    seed : that of `release`.
    checkpoint, progress : as in `release`.

    Returns
    -------
    dict with "images" float32 [classes * ipc, C, H, W], "labels" int64 [classes * ipc] and "loss" float64 [updates].
    """
    channels, side, classes = shape
    means = sums / (release_settings.rate * people)
    embeddings = [embedding(shape, release_settings, seed, number) for number in range(len(sums))]
    images = START_DEVIATION * torch.randn(
        classes * fit_settings.ipc, channels, side, side, generator=generator(seed, "start")
    ).to(sums)
    labels = torch.arange(classes).repeat_interleave(fit_settings.ipc)
    optimiser, loss = Adam([images], fit_settings.lr), torch.zeros(0, dtype=torch.float64)
    with Checkpoint(checkpoint, asdict(fit_settings) | {"seed": seed, "sums": store.digest(sums.cpu())}) as saved:
        if state := saved.load():
            loss = torch.as_tensor(state["loss"])
            for name, tensor in zip(("images", "mean", "square", "step"), [images, *optimiser.state]):
                tensor.copy_(torch.as_tensor(state[name]))
        for update in progress(range(len(loss), fit_settings.updates)):
            turn, position = divmod(update, len(sums))
            number = int(torch.randperm(len(sums), generator=generator(seed, "order", turn))[position])
            gradient, value = matching_gradient(embeddings[number], means[number], images, fit_settings.ipc)
            optimiser.step([gradient])
            loss = torch.cat([loss, torch.tensor([value], dtype=torch.float64)])
            saved.keep(
                {"images": images.cpu().clone(), "loss": loss}
                | {name: value.cpu().clone() for name, value in zip(("mean", "square", "step"), optimiser.state)}
            )
    return {"images": images.cpu(), "labels": labels, "loss": loss}


def matching_gradient(
    embed_clipped: Embedding, means: torch.Tensor, images: torch.Tensor, ipc: int
) -> tuple[torch.Tensor, float]:
    """Return the gradient of the loss of `fit` for the images, float [classes * ipc, C, H, W], and the loss."""
    pixels = images.detach().requires_grad_()
    synthetic_means = embed_clipped(pixels).unflatten(0, (-1, ipc)).mean(1)
    loss = (means - synthetic_means).square().sum()
    return torch.autograd.grad(loss, pixels)[0], loss.item()


@torch.no_grad()
def members_by_least_squares(
    sums: torch.Tensor, images: torch.Tensor, labels: torch.Tensor, settings: ReleaseSettings, seed: int
) -> np.ndarray:
    """Return how much of each person is in the releases, float64 [n]: noise aside, 1 for members and 0 for others.

    This attack is open to anybody who sees the releases and knows the images of everybody in question. For each class,
    with the embeddings F_t [people, n] and b = 1 for members, the releases are s_t = rate F_t' b + noise. The guess is

        b = 1/2 + (sum_t F_t F_t' + lambda)^-1 sum_t F_t (s_t / rate - F_t' 1/2),
        lambda = 4 (sigma clip / rate)^2 + 2 people (1 - rate) / rate clip^2 / n,

    It is the best linear guess where each b was decided by a coin, provided that the noise of the random batches, whose
    variance is the second term, is the same in all directions.

    Parameters
    ----------
    sums : float [releases, classes, n], from `release`.
    images, labels : everybody in question, float32 [n, C, H, W], int64 [n].
    settings : see `ReleaseSettings`.
    seed : that of `release`, from which the public embeddings come.
    """
    shape, guess = (images.shape[1], images.shape[2], sums.shape[1]), np.empty(len(labels))
    from_noise = 4 * (settings.sigma * settings.clip / settings.rate) ** 2 + LEAST_RIDGE
    embeddings = [embedding(shape, settings, seed, number) for number in range(len(sums))]
    for label in labels.unique():
        of_class = images[labels == label]
        people = len(of_class)
        from_batches = 2 * people * (1 - settings.rate) / settings.rate * settings.clip**2 / sums.shape[2]
        gram = (from_noise + from_batches) * torch.eye(people, dtype=torch.float64)
        right = torch.zeros(people, dtype=torch.float64)
        for embed_clipped, released in zip(embeddings, sums[:, label].double()):
            vectors = embed_clipped(of_class).cpu().double()
            gram += vectors @ vectors.T
            right += vectors @ (released / settings.rate - vectors.sum(0) / 2)
        guess[labels.numpy() == int(label)] = 0.5 + torch.linalg.solve(gram, right).numpy()
    return guess
