"""Gradient matching (DC; Zhao, Mopuri & Bilen, ICLR 2021), and the same under augmentations (DSA; Zhao & Bilen, ICML
2021).

The synthetic images are pushed until a network's gradient on them points where its gradient on the real images points.
"""

import functools
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from ..models import augmentation
from ..models.training import momentum_step
from . import side_by_side
from .method import Real, Settings, State

NETWORK_LR = 0.01
NETWORK_BATCH = 256  # synthetic images a step of the inner training
CPU_CHUNK = 2**21  # activations of the first layer in one pass on CPUs, 8 MiB: what stays in the cache


def weight_gradients(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, create_graph: bool = False
) -> list[torch.Tensor]:
    """Return the gradients of the mean cross-entropy for every weight tensor of `network`.

    Biases and normalisation parameters (one-dimensional) play no part in the distance.

    Parameters
    ----------
    images : float32 [B, C, H, W].
    labels : int64 [B].
    create_graph : keep the graph, to differentiate the gradients by the images.
    """
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    if not create_graph:
        return _gradients(network, weights, images, labels)
    loss = F.cross_entropy(network(images), labels)
    return list(torch.autograd.grad(loss, weights, create_graph=True))


def _gradients(network, weights, images, labels) -> list[torch.Tensor]:
    """Return the gradients of the mean cross-entropy for `weights`, on CPUs summed over small chunks."""
    per_image = weights[0].shape[0] * images[0, 0].numel()
    chunk = max(1, CPU_CHUNK // per_image) if images.device.type == "cpu" else len(images)
    total: list[torch.Tensor] = []
    for some, their_labels in zip(images.split(chunk), labels.split(chunk)):
        loss = F.cross_entropy(network(some), their_labels, reduction="sum") / len(images)
        part = torch.autograd.grad(loss, weights)
        total = [a.add_(b) for a, b in zip(total, part)] if total else list(part)
    return total


def matching_distance(real: list[torch.Tensor], synthetic: list[torch.Tensor]) -> torch.Tensor:
    """Return the distance of two gradients (Zhao et al. 2021, eq. 10).

    For every weight tensor and every output row i of it, 1 - cos(real_i, synthetic_i),
    summed: 0 for parallel gradients, 2 for each opposite row. A row that is zero on
    either side counts 1.

    Parameters
    ----------
    real, synthetic : one tensor [outputs, ...] a weight tensor, in the same order.
    """
    rows = [(a.flatten(1), b.flatten(1)) for a, b in zip(real, synthetic, strict=True)]
    cosines = [(a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-6) for a, b in rows]
    return functools.reduce(torch.add, [(1 - cosine).sum() for cosine in cosines])


def matching_step(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    synthetic: torch.Tensor,
    batch: Callable,
    augmentations: Callable | None = None,
) -> tuple[torch.Tensor, float]:
    """Return the gradient of the matching loss for the synthetic images, and the loss.

    The loss is the sum of `matching_distance` over the classes; each class's distance
    depends on its own synthetic images only, so they are differentiated one by one.

    Parameters
    ----------
    network : the network whose gradients are matched.
    images, labels : the real data, float32 [N, C, H, W] and int64 [N].
    synthetic : float32 [classes, ipc, C, H, W].
    batch : maps a class to the indices of its real images in this step.
    augmentations : called once a class, returns a function of images that changes the real and the
        synthetic ones alike; None leaves them as they are.
    """
    rows, changes = [], []
    for label in range(len(synthetic)):
        rows.append(batch(label))
        changes += [augmentations()] if augmentations else []
    if synthetic.device.type != "cpu":
        matrices = [name for name, weight in network.named_parameters() if weight.ndim > 1]
        real = side_by_side.chosen(images, rows)
        return side_by_side.matching_gradient(network, matrices, _distance_of_all, real, synthetic, changes)
    gradient, loss = torch.empty_like(synthetic), 0.0
    for label, (own_rows, own) in enumerate(zip(rows, synthetic)):
        change = changes[label] if changes else _as_it_is
        matched = weight_gradients(network, change(images[own_rows]), labels[own_rows])
        own = own.detach().requires_grad_()
        target = torch.full((len(own),), label, device=own.device)
        distance = matching_distance(matched, weight_gradients(network, change(own), target, create_graph=True))
        (gradient[label],) = torch.autograd.grad(distance, own)
        loss += distance.item()
    return gradient, loss


def _distance_of_all(real: list[torch.Tensor], synthetic: list[torch.Tensor]) -> torch.Tensor:
    """Return `matching_distance`, of all rows at once."""
    return matching_distance(side_by_side.one_matrix(real), side_by_side.one_matrix(synthetic))


def _as_it_is(images: torch.Tensor) -> torch.Tensor:
    return images


def match_gradients(
    state: State, real: Real, settings: Settings, draw: torch.Generator, network: nn.Module, augmented: bool = False
) -> tuple[State, float]:
    """Make one iteration of gradient matching (DC; Zhao et al. 2021, algorithm 1).

    `outer` times the synthetic images make one step along the gradient of `matching_step` (SGD on the
    pixels, momentum 0.5) and, between two of them, the network is trained on them for `inner` epochs
    (SGD, rate 0.01). The arguments and what is returned are those of every `method.Step`.

    With `augmented` it is DSA (Zhao & Bilen 2021): `augmentation.siamese` changes the real and the synthetic
    images of a class alike before their gradients are matched, and `augmentation.each` those that the network
    is trained on.
    """
    synthetic, velocity = state["images"], state["velocity"]
    labels = torch.arange(len(synthetic), device=synthetic.device).repeat_interleave(synthetic.shape[1])
    total = 0.0
    for update in range(settings.outer):
        gradient, loss = matching_step(
            network,
            real.images,
            real.labels,
            synthetic,
            lambda label: real.some(label, settings.real_batch, draw),
            (lambda: augmentation.siamese(draw)) if augmented else None,
        )
        synthetic, velocity = momentum_step(synthetic, velocity, gradient, settings.image_lr)
        total += loss
        if update < settings.outer - 1:
            _train_inner(network, synthetic.flatten(0, 1), labels, settings.inner, draw, augmented)
    return {"images": synthetic, "velocity": velocity}, total / (settings.outer * len(synthetic))


def _train_inner(network, images, labels, epochs: int, draw: torch.Generator, augmented: bool = False) -> None:
    """Train `network` on the synthetic images with plain SGD, so that later gradients differ."""
    weights = list(network.parameters())
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=draw).to(images.device)
        for batch in order.split(NETWORK_BATCH):
            some = augmentation.each(images[batch], draw) if augmented else images[batch]
            gradients = _gradients(network, weights, some, labels[batch])
            with torch.no_grad():
                for weight, gradient in zip(weights, gradients):
                    weight -= NETWORK_LR * gradient
