"""Training and querying classifiers whose data fit in memory as one tensor."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.adam import adam


def device(name: str = "auto") -> torch.device:
    """Return the device for `name`: "cpu", "cuda", "mps", or "auto" for the best one here.

    Raises
    ------
    ValueError
        If the device is unknown or not present on this machine.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, here in present.items() if here))
    if not present.get(name):
        here = ", ".join(kind for kind, is_here in present.items() if is_here)
        raise ValueError(f"device = {name!r} is not available on this machine: choose auto, {here}")
    return torch.device(name)


def train(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, *, epochs: int,
          generator: torch.Generator, lr: float = 1e-3, batch_size: int = 128) -> list[float]:
    """Train `network` in place with Adam and cross-entropy, as the paper does.

    The paper's learning-rate decay of 1e-7 per step changes the rate by 0.1 % over its
    100 epochs and is left out.

    Parameters
    ----------
    network : returns logits; its weights are the starting point.
    images : float32 [N, C, H, W], on the network's device.
    labels : int64 [N], on the same device.
    epochs : passes over the data; the last, smaller batch is used too.
    generator : CPU generator of the order of the examples.

    Returns
    -------
    list of float
        Mean training loss (nats) of each epoch.
    """
    network.train()
    weights = list(network.parameters())
    step = adam_step(weights, lr)
    history = []
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator).to(images.device)
        total = torch.zeros((), device=images.device)
        for batch in order.split(batch_size):
            loss = F.cross_entropy(network(images[batch]), labels[batch])
            step(torch.autograd.grad(loss, weights))
            total += loss.detach() * len(batch)
        history.append(total.item() / len(images))
    return history


def adam_step(weights: list[torch.Tensor], lr: float) -> Callable:
    """Return a function that takes the gradients of `weights` and makes one Adam step in place.

    This is torch's own Adam, its state kept here: building a ``torch.optim.Adam`` imports
    the compiler first, which takes seconds in every process.
    """
    means = [torch.zeros_like(weight) for weight in weights]
    squares = [torch.zeros_like(weight) for weight in weights]
    steps = [torch.zeros((), device=weight.device) for weight in weights]

    def step(gradients) -> None:
        with torch.no_grad():
            adam(weights, list(gradients), means, squares, [], steps, amsgrad=False, beta1=0.9, beta2=0.999,
                 lr=lr, weight_decay=0.0, eps=1e-8, maximize=False,
                 fused=weights[0].device.type in ("cpu", "cuda"))
    return step


@torch.no_grad()
def predict(network: nn.Module, images: torch.Tensor, batch_size: int = 1024) -> torch.Tensor:
    """Return the logits, float32 [N, classes] on the CPU, of images [N, C, H, W]."""
    network.eval()
    parameter = next(network.parameters())
    return torch.cat([network(batch.to(parameter.device)).cpu() for batch in images.split(batch_size)])


def accuracy(logits, labels) -> float:
    """Return the fraction (0 to 1) of rows of `logits` [N, classes] whose largest entry is the label."""
    return (torch.as_tensor(logits).argmax(1) == torch.as_tensor(labels)).float().mean().item()
