"""Training with differential privacy: DP-SGD (Abadi et al., CCS 2016)."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ..engine import store
from ..engine.checkpoint import Checkpoint
from ..engine.seeding import derive, generator
from ..engine.store import fingerprint
from .mechanism import NOBODY, batch, canary_scores, clip, executed, noisy_sums, resumable

CHUNK = 64  # examples whose gradients are held at a time


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
    network : with the parts `features` and `classifier`, as all of `networks`; nothing in it may mix examples.
    images, labels : float [B, C, H, W], int64 [B].
    """
    plain = nn.Sequential(network.features, network.classifier)  # torch's own layers, which vmap knows
    weights = {name: value.detach() for name, value in plain.named_parameters()}

    def loss(weights, image, label):
        return F.cross_entropy(functional_call(plain, weights, (image[None],)), label[None])

    found = vmap(grad(loss), (None, 0, 0))(weights, images, labels)
    return torch.cat([found[name].flatten(1) for name in weights], dim=1)


def clipped_gradients(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, length: float) -> Iterator:
    """Yield `gradients`, clipped to `length`, of a few examples at a time."""
    for some, their_labels in zip(images.split(CHUNK), labels.split(CHUNK)):
        if len(some):
            yield clip(gradients(network, some, their_labels), length)


def gradient_sum(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, length: float) -> torch.Tensor:
    """Return the sum of the clipped gradients of a batch, which may be empty, float [weights]."""
    total = torch.zeros_like(parameters_to_vector(network.parameters()).detach())
    for some in clipped_gradients(network, images, labels, length):
        total += some.sum(0)
    return total


def look(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    how,
    *,
    seed: int,
    secret: int,
    number: int,
    coins: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Release the noisy sum of the clipped gradients of a Poisson batch.

    Parameters
    ----------
    network, images, labels : as in `train`.
    how : has the attributes batch, clip and sigma of `Settings`.
    seed : of the canaries' directions, which are public.
    secret, number : the seed of the batch and the noise, and which release this is.
    coins : as in `train`.

    Returns
    -------
    The noisy sum, float32 [weights], the canaries' scores in it, float64 [canaries], and how many people were in the
    batch.
    """
    rows, canaries = batch(len(images), coins, how.batch / len(images), generator(secret, "batch", number))
    rows = rows.to(images.device)
    total = gradient_sum(network, images[rows], labels[rows], how.clip)[None]
    released = noisy_sums(total, canaries, how, seed, secret, number)
    return released[0], canary_scores(released - total, len(coins), how.clip, seed, number), len(rows)


def train(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    how: Settings,
    *,
    seed: int,
    coins: torch.Tensor = NOBODY,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> torch.Tensor:
    """Train `network` in place by DP-SGD (Abadi et al. 2016, algorithm 1).

    In each step everybody is in the batch with probability q = batch / N, and the weights move by

        theta <- theta - lr / batch * ( sum_i clip(grad_i, C) + N(0, sigma^2 C^2) ).

    The noise of every step has a stream of its own, which depends on the seed, the settings and the data: a resumed
    training makes the same release again, and no two data sets ever share a noise, whose difference would be bare.

    Parameters
    ----------
    network : as in `gradients`; its weights are the starting point, drawn without looking at the data.
    images, labels : the members, float32 [N, C, H, W] and int64 [N], on the network's device.
    how : see `Settings`.
    seed : of the batches and the noise.
    coins : bool [canaries], which artificial people are members too, for an audit (`mechanism.noisy_sums`).
    checkpoint : as in `training.train`.
    progress : wraps the steps.

    Returns
    -------
    float64 [canaries], the auditor's score of each canary, higher for a member (`mechanism.canary_scores`).
    """
    known = {"settings": asdict(how), "seed": seed, "data": store.digest(images.cpu(), labels.cpu(), coins)}
    secret, weights = derive(seed, fingerprint(known)), list(network.parameters())
    first = {
        "weights": parameters_to_vector(weights).detach().cpu(),
        "sizes": torch.zeros(0),
        "scores": torch.zeros(len(coins), dtype=torch.float64),
    }
    with Checkpoint(checkpoint, known) as saved:
        state = resumable(saved.load() or first, "sizes", how.steps)
        vector_to_parameters(state["weights"].clone().to(images), weights)
        for step in progress(range(len(state["sizes"]), how.steps)):
            noisy, found, size = look(network, images, labels, how, seed=seed, secret=secret, number=step, coins=coins)
            moved = parameters_to_vector(weights).detach() - how.lr / how.batch * noisy
            vector_to_parameters(moved.clone(), weights)
            state = {
                "weights": moved.cpu(),
                "sizes": torch.cat([state["sizes"], torch.tensor([float(size)])]),
                "scores": state["scores"] + found,
            }
            saved.keep(state)
    executed(len(state["sizes"]), how.steps)
    return state["scores"]
