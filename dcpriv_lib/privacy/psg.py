"""Dataset condensation by private gradient matching (PSG; Chen, Kerkouche & Fritz, NeurIPS 2022).

Gradient matching (see `condensation`), with the gradients of DP-SGD in place of those of the real images: clipped for
each person, summed over a Poisson batch of all classes, and hidden by noise. Which network is asked depends on the
synthetic images made so far. So every noisy gradient is a release of its own, and nothing can be asked first and
matched later, as in `noisy_embeddings`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ..condensation.gradient_matching import NETWORK_LR, matching_distance, weight_gradients
from ..engine import store
from ..engine.checkpoint import Checkpoint
from ..engine.seeding import derive, generator
from ..engine.store import fingerprint
from ..models.networks import ConvNet, initialise
from ..models.training import momentum_step
from .dp_sgd import noisy_gradient
from .mechanism import NO_CANARIES, assert_releases, restore


@dataclass(frozen=True)
class Settings:
    """How one synthetic set is made.

    The names of the fields enter the keys of kept results, and so they stay as they are.

    Attributes
    ----------
    ipc : synthetic images a class.
    iterations, looks : networks, and noisy gradients in each of them; their product is the number of releases.
    batch : examples in a Poisson batch on average, by which the sum is divided whatever the batch's size is.
    clip : length C to which every example's gradient is clipped.
    sigma : standard deviation of the noise, in units of C; 0 gives no guarantee.
    image_lr : step size on the pixels.
    size : filters of the networks.
    network_steps : steps of SGD on the synthetic images that a network makes after each noisy gradient.
    """

    ipc: int
    iterations: int
    looks: int
    batch: float
    clip: float
    sigma: float
    image_lr: float
    size: int
    network_steps: int

    @property
    def releases(self) -> int:
        """The noisy gradients that are to be accounted for."""
        return self.iterations * self.looks


def condense(
    images: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    settings: Settings,
    *,
    seed: int,
    is_member: torch.Tensor = NO_CANARIES,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> dict[str, torch.Tensor]:
    """Condense members into `ipc` synthetic images a class by private gradient matching (algorithm 1 there).

    In each iteration a network is drawn anew. With each noisy gradient the synthetic images, noise at first, make one
    step (SGD on the pixels, momentum 0.5) along the gradient of `matching_distance` between the noisy gradient

        1 / batch * ( sum_i clip(grad_i, C) + N(0, sigma^2 C^2) )

    and the gradient on all synthetic images, and then the network makes some steps on the synthetic images.

    Parameters
    ----------
    images, labels : the members, float32 [N, C, H, W], int64 [N], on the device that is to do the work.
    classes : their number; that all have as many synthetic images says nothing about the members.
    settings : see `Settings`.
    seed : of the start and the networks, which are public, and together with settings and data of the batches and the
        noise (see `dp_sgd.train`).
    is_member, checkpoint : as in `dp_sgd.train`.
    progress : wraps the noisy gradients.

    Returns
    -------
    dict with "images" float32 [classes * ipc, C, H, W], "labels" int64 [classes * ipc], "loss" float64 [releases], and
    "scores" float64 [canaries], the auditor's score of each canary (`mechanism.canary_scores`).
    """
    known = {"settings": asdict(settings), "seed": seed, "data": store.digest(images.cpu(), labels.cpu(), is_member)}
    secret, (_, channels, side, _) = derive(seed, fingerprint(known)), images.shape
    network = ConvNet(channels, side, classes, width=settings.size).to(images.device)
    synthetic_labels = torch.arange(classes).repeat_interleave(settings.ipc).to(images.device)
    start = torch.randn(len(synthetic_labels), channels, side, side, generator=generator(seed, "start"))
    first = {
        "images": start,
        "velocity": torch.zeros_like(start),
        "loss": torch.zeros(0, dtype=torch.float64),
        "scores": torch.zeros(len(is_member), dtype=torch.float64),
    }
    with Checkpoint(checkpoint, known) as saved:
        state = restore(saved.load() or first, "loss", settings.releases)
        for number in progress(range(len(state["loss"]), settings.releases)):
            if number % settings.looks == 0:
                initialise(network, generator(seed, "network", number // settings.looks))
            else:
                vector_to_parameters(state["weights"].clone().to(images), network.parameters())
            noisy, scores, _ = noisy_gradient(
                network, images, labels, settings, seed=seed, secret=secret, number=number, is_member=is_member
            )
            moved = step(network, noisy / settings.batch, state, synthetic_labels, settings)
            state = moved | {"scores": state["scores"] + scores}
            saved.keep(state)
    assert_releases(len(state["loss"]), settings.releases)
    return {name: state[name] for name in ("images", "loss", "scores")} | {"labels": synthetic_labels.cpu()}


def step(
    network: nn.Module, released: torch.Tensor, state: dict[str, torch.Tensor], labels: torch.Tensor, settings: Settings
) -> dict[str, torch.Tensor]:
    """Return images, velocity, weights and loss after one noisy gradient; nothing in here asks the members."""
    gradient, loss = matching_gradient(network, released, state["images"].to(released), labels)
    synthetic, velocity = momentum_step(state["images"], state["velocity"], gradient.cpu(), settings.image_lr)
    train_network(network, synthetic.to(released), labels, settings.network_steps)
    weights = parameters_to_vector(network.parameters()).detach().cpu()
    return {
        "images": synthetic,
        "velocity": velocity,
        "weights": weights,
        "loss": torch.cat([state["loss"], torch.tensor([loss], dtype=torch.float64)]),
    }


def matching_gradient(
    network: nn.Module, released: torch.Tensor, images: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """Return the gradient of the matching distance for the synthetic images, float [n, C, H, W], and the distance.

    Parameters
    ----------
    network : the one of which these are gradients.
    released : the noisy gradient, float [weights]; biases and normalisation play no part in the distance.
    images, labels : the synthetic ones, float [n, C, H, W], int64 [n].
    """
    weights = list(network.parameters())
    parts = released.split([weight.numel() for weight in weights])
    noisy = [part.view_as(weight) for weight, part in zip(weights, parts) if weight.ndim > 1]
    pixels = images.detach().requires_grad_()
    distance = matching_distance(noisy, weight_gradients(network, pixels, labels, create_graph=True))
    return torch.autograd.grad(distance, pixels)[0], distance.item()


def train_network(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, steps: int) -> None:
    """Train `network` in place on all synthetic images by plain SGD, which asks no member."""
    weights = list(network.parameters())
    for _ in range(steps):
        gradients = torch.autograd.grad(F.cross_entropy(network(images), labels), weights)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients):
                weight.sub_(NETWORK_LR * gradient)
