"""Training with differential privacy: DP-SGD (Abadi et al., CCS 2016)."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ..engine import store
from ..engine.checkpoint import Checkpoint
from ..engine.seeding import derive, generator
from ..engine.store import fingerprint
from .mechanism import NO_CANARIES, NoiseSettings, assert_releases, batch, canary_scores, clip, noisy_sums, restore

CHUNK = 64  # The gradients of so many examples are held at a time.


class GradientSettings(NoiseSettings, Protocol):
    """What `noisy_gradient` needs to know: those of `NoiseSettings`, and `batch`, the expected size of a batch."""

    @property
    def batch(self) -> float: ...


@dataclass(frozen=True)
class Settings:
    """How a network is trained privately.

    Attributes
    ----------
    steps : noisy gradients, each of them a release.
    batch : examples in a Poisson batch on average, by which the sum is divided whatever the batch's size is.
    clip : length C to which every example's gradient is clipped.
    sigma : standard deviation of the noise, in units of C; 0 gives no guarantee.
    lr : step size of SGD without momentum.
    """

    steps: int
    batch: float
    clip: float
    sigma: float
    lr: float


def gradients(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the gradient of the cross-entropy of every single example, float [B, weights].

    Parameters
    ----------
    network : with the parts `features` and `classifier`, as `PaperCNN` and `ConvNet` have; nothing in it may mix
        examples.
    images, labels : float [B, C, H, W], int64 [B].
    """
    # torch's own layers, which vmap can follow.
    plain = nn.Sequential(network.get_submodule("features"), network.get_submodule("classifier"))
    weights = {name: value.detach() for name, value in plain.named_parameters()}

    def loss(weights: dict[str, torch.Tensor], image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(functional_call(plain, weights, (image[None],)), label[None])

    by_name = vmap(grad(loss), (None, 0, 0))(weights, images, labels)
    return torch.cat([by_name[name].flatten(1) for name in weights], dim=1)


def clipped_gradients(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, length: float
) -> Iterator[torch.Tensor]:
    """Yield `gradients`, clipped to `length`, of a few examples at a time."""
    for images_of_chunk, labels_of_chunk in zip(images.split(CHUNK), labels.split(CHUNK)):
        if len(images_of_chunk):
            yield clip(gradients(network, images_of_chunk, labels_of_chunk), length)


def gradient_sum(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, length: float) -> torch.Tensor:
    """Return the sum of the clipped gradients of a batch, which may be empty, float [weights]."""
    total = torch.zeros_like(parameters_to_vector(network.parameters()).detach())
    for clipped in clipped_gradients(network, images, labels, length):
        total += clipped.sum(0)
    return total


def noisy_gradient(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    settings: GradientSettings,
    *,
    seed: int,
    secret: int,
    number: int,
    is_member: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Release the noisy sum of the clipped gradients of a Poisson batch.

    Parameters
    ----------
    network, images, labels : as in `train`.
    settings : see `GradientSettings`.
    seed : of the canaries' directions, which are public.
    secret, number : the seed of the batch and the noise, and which release this is.
    is_member : bool [canaries], as in `train`.

    Returns
    -------
    The noisy sum, float32 [weights], the canaries' scores in it, float64 [canaries], and how many people were in the
    batch.
    """
    rows, canaries = batch(len(images), is_member, settings.batch / len(images), generator(secret, "batch", number))
    rows = rows.to(images.device)
    total = gradient_sum(network, images[rows], labels[rows], settings.clip)[None]
    released = noisy_sums(total, canaries, settings, seed, secret, number)
    return released[0], canary_scores(released - total, len(is_member), settings.clip, seed, number), len(rows)


def train(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    settings: Settings,
    *,
    seed: int,
    is_member: torch.Tensor = NO_CANARIES,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> torch.Tensor:
    """Train `network` in place by DP-SGD (Abadi et al. 2016, algorithm 1).

    In each step everybody is in the batch with probability q = batch / N, and the weights move by

        theta <- theta - lr / batch * ( sum_i clip(grad_i, C) + N(0, sigma^2 C^2) ).

    The noise of every step has a stream of its own, which depends on the seed, the settings and the data: a resumed
    training makes the same release again. No two data sets ever share a noise: the difference of their releases would
    have none.

    Parameters
    ----------
    network : as in `gradients`; its weights are the starting point, drawn without looking at the data.
    images, labels : the members, float32 [N, C, H, W] and int64 [N], on the network's device.
    settings : see `Settings`.
    seed : of the batches and the noise.
    is_member : bool [canaries], which canaries are members: artificial people for an audit (`mechanism.noisy_sums`).
    checkpoint : as in `training.train`.
    progress : wraps the steps.

    Returns
    -------
    float64 [canaries], the auditor's score of each canary, higher for a member (`mechanism.canary_scores`).
    """
    known = {"settings": asdict(settings), "seed": seed, "data": store.digest(images.cpu(), labels.cpu(), is_member)}
    secret, weights = derive(seed, fingerprint(known)), list(network.parameters())
    first = {
        "weights": parameters_to_vector(weights).detach().cpu(),
        "sizes": torch.zeros(0),
        "scores": torch.zeros(len(is_member), dtype=torch.float64),
    }
    with Checkpoint(checkpoint, known) as saved:
        state = restore(saved.load() or first, "sizes", settings.steps)
        vector_to_parameters(state["weights"].clone().to(images), weights)
        for step in progress(range(len(state["sizes"]), settings.steps)):
            noisy, scores, size = noisy_gradient(
                network, images, labels, settings, seed=seed, secret=secret, number=step, is_member=is_member
            )
            moved = parameters_to_vector(weights).detach() - settings.lr / settings.batch * noisy
            vector_to_parameters(moved.clone(), weights)
            state = {
                "weights": moved.cpu(),
                "sizes": torch.cat([state["sizes"], torch.tensor([float(size)])]),
                "scores": state["scores"] + scores,
            }
            saved.keep(state)
    assert_releases(len(state["sizes"]), settings.steps)
    return state["scores"]
