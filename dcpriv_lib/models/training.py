"""Training and querying classifiers whose data fit in memory as one tensor."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.optim.adam import adam

from ..engine import devices
from ..engine.checkpoint import Checkpoint

IMAGE_MOMENTUM = 0.5  # The momentum of SGD on synthetic pixels.


def device(name: str = "auto") -> torch.device:
    """Return the device for `name`: "cpu", "cuda", "mps", or "auto" for the best one here.

    Its settings are those of `devices.use`.

    Raises
    ------
    ValueError
        If the device is unknown or not present on this machine.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, is_present in present.items() if is_present)
    if not present.get(name):
        choices = ", ".join(device for device, is_present in present.items() if is_present)
        raise ValueError(f"device = {name!r} is not available on this machine: choose auto, {choices}")
    chosen = torch.device(name)
    devices.use(chosen)
    return chosen


def epochs_for(steps: int, images: int, batch_size: int = 128) -> int:
    """Return the epochs that make about `steps` optimiser steps on so many images."""
    return max(1, round(steps / -(-images // batch_size)))


def train(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    epochs: int,
    generator: torch.Generator,
    lr: float = 1e-3,
    batch_size: int = 128,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> list[float]:
    """Train `network` in place with Adam and cross-entropy, as the paper does.

    The paper's learning-rate decay of 1e-7 per step changes the rate by 0.1 % over its
    100 epochs and is left out.

    Parameters
    ----------
    network : returns logits; its weights are the starting point.
    images : float32 [N, C, H, W], on the network's device.
    labels : int64 [N], or float32 [N, classes], probabilities of the classes ("soft labels"); on the same device.
    epochs : passes over the data; the last, smaller batch is used too.
    generator : CPU generator of the order of the examples.
    checkpoint : file of the state of an unfinished training. If it exists, the training
        goes on from there, to the same bits as an unbroken one. Whoever keeps the network
        deletes it.
    progress : wraps the epochs, for instance ``tqdm``.

    Returns
    -------
    list of float
        Mean training loss (nats) of each epoch.
    """
    network.train()
    weights = list(network.parameters())
    optimiser, history = Adam(weights, lr), []
    known = {"images": len(images), "lr": lr, "batch_size": batch_size, "weights": sum(map(torch.numel, weights))}
    with Checkpoint(checkpoint, known) as saved:
        if state := saved.load():
            history = state["history"].tolist()
            generator.set_state(torch.from_numpy(state["generator"]))
            vector_to_parameters(torch.from_numpy(state["tensors"]).to(images.device), weights + optimiser.state)
        for _ in progress(range(len(history), epochs)):
            order = torch.randperm(len(images), generator=generator).to(images.device)
            total = torch.zeros((), device=images.device)
            for batch in order.split(batch_size):
                loss = F.cross_entropy(network(images[batch]), labels[batch])
                optimiser.step(torch.autograd.grad(loss, weights))
                total += loss.detach() * len(batch)
            history.append(total.item() / len(images))
            saved.keep(
                {
                    "tensors": parameters_to_vector(weights + optimiser.state).detach().cpu(),
                    "history": np.array(history),
                    "generator": generator.get_state(),
                }
            )
    return history


def train_together(
    networks: Sequence[nn.Module],
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    epochs: int,
    generators: Sequence[torch.Generator],
    lr: float = 1e-3,
    batch_size: int = 128,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> np.ndarray:
    """Train networks of one kind in place, each on images of its own, as `train` does one after the other.

    It is for devices other than the CPU, which are done with a small network's step before the next one is launched:
    here one operation is a step of all. Values are those of `train`, last digits are not, and may depend on how many
    networks there are.

    Parameters
    ----------
    networks : of one architecture.
    images : float32 [networks, N, C, H, W], on their device.
    labels : int64 [networks, N] or float32 [networks, N, classes], as in `train`.
    generators : CPU generators of the order of each network's examples.
    epochs, lr, batch_size, progress : as in `train`.
    checkpoint : as in `train`; the last state is kept too, and whoever keeps all networks deletes it.

    Returns
    -------
    float64 [networks, epochs], mean training losses (nats).
    """
    first, number = networks[0].train(), len(networks)
    stacked = {
        name: torch.stack([dict(network.named_parameters())[name].detach() for network in networks])
        for name, _ in first.named_parameters()
    }

    def loss(weights: dict[str, torch.Tensor], some: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(functional_call(first, weights, some), own)

    gradients = vmap(grad_and_value(loss))
    weights, known = list(stacked.values()), {"images": list(images.shape[:2]), "lr": lr, "batch_size": batch_size}
    optimiser, history = Adam(weights, lr), np.zeros((number, 0))
    rows = torch.arange(number, device=images.device)[:, None]
    with Checkpoint(checkpoint, known | {"weights": sum(map(torch.numel, weights))}, keep_last=True) as saved:
        if state := saved.load():
            history = state["history"]
            for generator, its in zip(generators, state["generators"]):
                generator.set_state(torch.from_numpy(its))
            vector_to_parameters(torch.from_numpy(state["tensors"]).to(images.device), weights + optimiser.state)
        for _ in progress(range(history.shape[1], epochs)):
            order = torch.stack([torch.randperm(images.shape[1], generator=one) for one in generators])
            total = torch.zeros(number, device=images.device)
            for batch in order.to(images.device).split(batch_size, dim=1):
                by_name, losses = gradients(stacked, images[rows, batch], labels[rows, batch])
                optimiser.step([by_name[name] for name in stacked])
                total += losses * batch.shape[1]
            history = np.concatenate([history, total.cpu().double().numpy()[:, None] / images.shape[1]], 1)
            saved.keep(
                {
                    "tensors": parameters_to_vector(weights + optimiser.state).detach().cpu(),
                    "history": history,
                    "generators": torch.stack([one.get_state() for one in generators]),
                }
            )
    for network, *own in zip(networks, *weights):
        vector_to_parameters(parameters_to_vector(own), network.parameters())
    return history


def momentum_step(
    images: torch.Tensor, velocity: torch.Tensor, gradient: torch.Tensor, lr: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and velocity after one step of SGD with momentum 0.5, by which all methods move pixels."""
    velocity = IMAGE_MOMENTUM * velocity + gradient
    return images - lr * velocity, velocity


class Adam:
    """Adam over `weights`, in place: the step is torch's own, and its state is kept here.

    To build a ``torch.optim.Adam`` would import the compiler first, which takes seconds in every process.
    """

    def __init__(self, weights: Sequence[torch.Tensor], lr: float):
        self.weights, self.lr = list(weights), lr
        self.means = [torch.zeros_like(weight) for weight in weights]
        self.squares = [torch.zeros_like(weight) for weight in weights]
        self.steps = [torch.zeros((), device=weight.device) for weight in weights]

    @property
    def state(self) -> list[torch.Tensor]:
        """All tensors that the next step depends on, besides the weights."""
        return self.means + self.squares + self.steps

    @torch.no_grad()
    def step(self, gradients: Sequence[torch.Tensor]) -> None:
        """Make one step along `gradients`, tensors in the order and shapes of the weights."""
        adam(
            self.weights,
            [gradient.contiguous() for gradient in gradients],  # The fused kernel ignores strides.
            self.means,
            self.squares,
            [],
            self.steps,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.lr,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
            fused=self.weights[0].device.type in ("cpu", "cuda"),
        )


@torch.no_grad()
def predict(network: nn.Module, images: torch.Tensor, batch_size: int = 1024) -> torch.Tensor:
    """Return the logits, float32 [N, classes] on the CPU, of images [N, C, H, W]."""
    network.eval()
    parameter = next(network.parameters())
    return torch.cat([network(batch.to(parameter.device)).cpu() for batch in images.split(batch_size)])


def accuracy(logits: np.ndarray | torch.Tensor, labels: np.ndarray | torch.Tensor) -> float:
    """Return the fraction (0 to 1) of rows of `logits` [N, classes] whose largest entry is the label."""
    return (torch.as_tensor(logits).argmax(1) == torch.as_tensor(labels)).float().mean().item()
