"""All classes at once, for devices other than the CPU.

A class has few images, so a GPU is done with each operation on it before the next one is launched: what counts there is
the number of operations. A CPU is as fast class by class, in less memory, and does so (to the same values, but not the
same last digits).
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from ..models import augmentation


def chosen(images: torch.Tensor, rows: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows of each class as one tensor, and how much each image counts in the mean of its class.

    Parameters
    ----------
    images : float [N, C, H, W], on the device.
    rows : int64 [n] of each class, on the CPU.

    Returns
    -------
    float [classes, most, C, H, W], and float [classes, most], 1 / n, or 0 where a class has fewer images than `most`:
    its first one is repeated there.
    """
    most = max(map(len, rows))
    padded = torch.stack([torch.cat([own, own[:1].expand(most - len(own))]) for own in rows])
    counts = torch.stack([(torch.arange(most) < len(own)) / len(own) for own in rows])
    return images[padded.to(images.device)], counts.to(images)


def changed(changes: list[augmentation.Siamese] | None, images: torch.Tensor) -> torch.Tensor:
    """Return images [classes, n, C, H, W] after the change of each class, or as they are if there is none."""
    return augmentation.of_classes(changes, images) if changes else images


def weight_gradients(
    network: nn.Module, names: list[str], images: torch.Tensor, counts: torch.Tensor
) -> list[torch.Tensor]:
    """Return the gradients of the mean cross-entropy of each class for some weights, float [classes, ...] each.

    Parameters
    ----------
    network : returns logits.
    names : of the weights, as ``network.named_parameters`` has them.
    images, counts : as `chosen` returns them.
    """
    weights = {name: weight.detach() for name, weight in network.named_parameters()}
    targets = counts[:, :, None] * torch.eye(len(images), dtype=images.dtype, device=images.device)[:, None]

    def loss_of_class(some: dict, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(functional_call(network, weights | some, images), targets, reduction="sum")

    by_name = vmap(grad(loss_of_class), (None, 0, 0))({name: weights[name] for name in names}, images, targets)
    return [by_name[name] for name in names]


def one_matrix(gradients: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the rows of gradients [outputs, ...], of all weights, as the rows of one matrix, with zeros at their
    ends: neither products nor lengths of rows change, and there are fewer operations."""
    width = max(one[0].numel() for one in gradients)
    return [torch.cat([F.pad(one.flatten(1), (0, width - one[0].numel())) for one in gradients])]


def matching_gradient(
    network: nn.Module,
    names: list[str],
    distance: Callable,
    real: tuple[torch.Tensor, torch.Tensor],
    synthetic: torch.Tensor,
    changes: list[augmentation.Siamese] | None = None,
    decode: Callable | None = None,
) -> tuple[torch.Tensor, float]:
    """Return the gradient of the sum over the classes of a distance of `weight_gradients`, and the sum.

    Parameters
    ----------
    network, names : as in `weight_gradients`.
    distance : ``distance(real, synthetic)`` of lists of gradients of one class.
    real : images of each class and how much each counts, from `chosen`.
    synthetic : float [classes, ipc, C, H, W], by which is differentiated.
    changes : of each class, made to real and synthetic images alike; None leaves them as they are.
    decode : makes [classes, ipc, k, C, H, W] of the synthetic ones; None leaves them as they are.
    """
    images, counts = real
    pixels = synthetic.detach().requires_grad_()
    shown = decode(pixels).flatten(1, 2) if decode else pixels
    if changes:  # both at once
        both = augmentation.of_classes(changes, torch.cat([images, shown], 1))
        images, shown = both[:, : images.shape[1]].detach(), both[:, images.shape[1] :]
    theirs = weight_gradients(network, names, images, counts)
    evenly = torch.full(shown.shape[:2], 1 / shown.shape[1], dtype=shown.dtype, device=shown.device)
    ours = weight_gradients(network, names, shown, evenly)
    loss = vmap(distance)(theirs, ours).sum()
    return torch.autograd.grad(loss, pixels)[0], loss.item()
