"""Dataset condensation by distribution matching (DM; Zhao & Bilen, WACV 2023).

Synthetic images are to look, to networks that were never trained, like the real ones on average.
"""

from collections.abc import Callable

import torch
from torch import nn

from ..models import augmentation
from ..models.training import momentum_step
from . import side_by_side
from .method import Real, Settings, State

CPU_CHUNK = 2**20  # activations of the first layer in one pass on CPUs, 4 MiB: what stays in the cache


def features(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return ``network.embed``, float [B, n], of images [B, C, H, W]; on CPUs in small chunks, twice as fast."""
    chunk = max(1, CPU_CHUNK // (next(network.parameters()).shape[0] * images.shape[2:].numel()))
    parts = images.split(chunk if images.device.type == "cpu" else len(images))
    return torch.cat([network.embed(some) for some in parts])  # type: ignore[operator]  # all networks here have it


@torch.no_grad()
def class_means(
    network: nn.Module, real: Real, size: int, draw: torch.Generator, changes: list[augmentation.Siamese] | None = None
) -> torch.Tensor:
    """Return the mean of `features` over `size` random real images of each class, float [classes, n].

    `changes` has a function of images for each class, which is applied first; None leaves them as they are.
    """
    rows = [real.some(label, size, draw) for label in range(len(real.by_class))]
    if real.images.device.type != "cpu":
        images, counts = side_by_side.chosen(real.images, rows)
        found = features(network, side_by_side.changed(changes, images).flatten(0, 1))
        return (counts[:, None] @ found.unflatten(0, counts.shape))[:, 0]
    batches = [real.images[own] for own in rows]
    if changes:
        batches = [change(images) for change, images in zip(changes, batches)]
    return torch.stack([features(network, images).mean(0) for images in batches])


def matching_gradient(
    network: nn.Module, means: torch.Tensor, synthetic: torch.Tensor, decode: Callable | None = None
) -> tuple[torch.Tensor, float]:
    """Return the gradient of the matching loss for the synthetic images, and the loss (Zhao & Bilen, eq. 5).

    L = sum_c || mean_{x in real class c} f(x) - mean_{s in synthetic class c} f(s) ||^2, where f are the features
    of the network.

    Parameters
    ----------
    network : f; its weights should need no gradient, which would be computed too.
    means : the means of f over the real images of each class, float [classes, n].
    synthetic : float [classes, ipc, C, H, W].
    decode : makes [classes, ipc, k, C, H, W] of them, the images that are matched; None leaves them as they are.
    """
    pixels = synthetic.detach().requires_grad_()
    shown = decode(pixels).flatten(1, 2) if decode else pixels
    own = features(network, shown.flatten(0, 1)).unflatten(0, shown.shape[:2]).mean(1)
    loss = (means - own).square().sum()
    return torch.autograd.grad(loss, pixels)[0], loss.item()


def match_distributions(
    state: State, real: Real, settings: Settings, draw: torch.Generator, network: nn.Module, augmented: bool = False
) -> tuple[State, float]:
    """Make one iteration of distribution matching (Zhao & Bilen, algorithm 1).

    With the freshly drawn network and one batch of real images a class, the synthetic images make
    `outer` steps along the gradient of `matching_gradient` (SGD on the pixels, momentum 0.5); the
    authors make one. The arguments and what is returned are those of every `method.Step`.

    With `augmented`, `augmentation.siamese` changes the real and the synthetic images of a class alike before they
    are embedded, another time in each iteration; the authors' published accuracies are of this variant.
    """
    network.requires_grad_(False)
    synthetic, velocity, total = state["images"], state["velocity"], 0.0
    changes = [augmentation.siamese(draw) for _ in synthetic] if augmented else None
    means = class_means(network, real, settings.real_batch, draw, changes)

    def changed(images):
        if images.device.type != "cpu":
            return side_by_side.changed(changes, images)[:, :, None]
        return torch.stack([change(own) for change, own in zip(changes, images)])[:, :, None]

    for _ in range(settings.outer):
        gradient, loss = matching_gradient(network, means, synthetic, changed if augmented else None)
        synthetic, velocity = momentum_step(synthetic, velocity, gradient, settings.image_lr)
        total += loss
    return {"images": synthetic, "velocity": velocity}, total / (settings.outer * len(synthetic))
