"""Dataset condensation by matching training trajectories (MTT; Cazenavette et al., CVPR 2022).

A network that starts where an expert was at some time of its training on the real images, and is trained on the
synthetic ones for a few steps, is to arrive where the expert was some time later.
"""

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from ..models.training import momentum_step
from .method import Real, Settings, State

EXPERT_LR, EXPERT_BATCH = 0.01, 256  # plain SGD
STAGES = 4  # times at which an expert's weights are kept, besides the first ones
STAGE_STEPS = 20  # of the expert between two of them
SPAN = 2  # stages from a start to the target
FIRST_RATE = 0.02  # of the training on the synthetic images, learned from there on
RATE_LR = 1e-5


def unrolled(
    network: nn.Module,
    start: list[torch.Tensor],
    images: torch.Tensor,
    labels: torch.Tensor,
    rate: torch.Tensor,
    steps: int,
) -> list[torch.Tensor]:
    """Return the weights after some steps of plain SGD on all synthetic images, differentiable by these and the rate.

    Parameters
    ----------
    network : says how weights and images make logits; its own weights play no part.
    start : the first weights, in the order of ``network.parameters()``.
    images, labels : float [n, C, H, W], int64 [n].
    rate : float, no dimensions.
    steps : 1 or more.
    """
    names, weights = [name for name, _ in network.named_parameters()], [one.detach().requires_grad_() for one in start]
    for _ in range(steps):
        loss = F.cross_entropy(functional_call(network, dict(zip(names, weights)), images), labels)
        gradients = torch.autograd.grad(loss, weights, create_graph=True)
        weights = [weight - rate * gradient for weight, gradient in zip(weights, gradients)]
    return weights


def trajectory_distance(
    arrived: list[torch.Tensor], start: list[torch.Tensor], target: list[torch.Tensor]
) -> torch.Tensor:
    """Return || arrived - target ||^2 / || start - target ||^2 over all weights (Cazenavette et al., eq. 2).

    0 where the target was reached, 1 for weights that did not move.
    """

    def squared(a, b):
        return sum((x - y).square().sum() for x, y in zip(a, b, strict=True))

    return squared(arrived, target) / squared(start, target)


def trajectory(network: nn.Module, real: Real, draw: torch.Generator) -> list[list[torch.Tensor]]:
    """Train `network` on the real images, and return its weights at first and after each of STAGES stages."""
    weights, kept = list(network.parameters()), []
    for step in range(STAGES * STAGE_STEPS + 1):
        if step % STAGE_STEPS == 0:
            kept.append([weight.detach().clone() for weight in weights])
        batch = torch.randint(len(real.images), (EXPERT_BATCH,), generator=draw).to(real.images.device)
        loss = F.cross_entropy(network(real.images[batch]), real.labels[batch])
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
            with torch.no_grad():
                weight -= EXPERT_LR * gradient
    return kept


def match_trajectories(
    state: State, real: Real, settings: Settings, draw: torch.Generator, network: nn.Module
) -> tuple[State, float]:
    """Make one iteration of MTT (Cazenavette et al., algorithm 1) with one new expert.

    The freshly drawn network is trained on the real images. Then `outer` times: from a random stage of it,
    `inner` steps on the synthetic images (1 if `inner` is 0), and a step of the images along the gradient of
    `trajectory_distance` to the expert two stages later (SGD on the pixels, momentum 0.5). The rate of the
    training on the synthetic images is learned too. The authors store 100 experts and draw one for each update;
    here every iteration has one of its own, so that nothing is stored, and all updates train on all synthetic
    images without augmentation. The arguments and what is returned are those of every `method.Step`.
    """
    classes, ipc = state["images"].shape[:2]
    synthetic, velocity = state["images"], state["velocity"]
    rate = state.get("rate", torch.tensor(FIRST_RATE, device=synthetic.device))
    rate_velocity = state.get("rate_velocity", torch.zeros_like(rate))
    labels = torch.arange(classes, device=synthetic.device).repeat_interleave(ipc)
    expert, total = trajectory(network, real, draw), 0.0
    for _ in range(settings.outer):
        stage = int(torch.randint(STAGES - SPAN + 1, (), generator=draw))
        pixels, own_rate = synthetic.detach().requires_grad_(), rate.detach().requires_grad_()
        arrived = unrolled(network, expert[stage], pixels.flatten(0, 1), labels, own_rate, max(1, settings.inner))
        loss = trajectory_distance(arrived, expert[stage], expert[stage + SPAN])
        gradient, by_rate = torch.autograd.grad(loss, (pixels, own_rate))
        synthetic, velocity = momentum_step(synthetic, velocity, gradient, settings.image_lr)
        rate, rate_velocity = momentum_step(rate, rate_velocity, by_rate, RATE_LR)
        rate = rate.clamp(min=1e-6)
        total += loss.item()
    return {
        "images": synthetic,
        "velocity": velocity,
        "rate": rate,
        "rate_velocity": rate_velocity,
    }, total / settings.outer
