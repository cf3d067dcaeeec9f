"""Kernel inducing points (KIP; Nguyen, Chen & Lee, ICLR 2021; Nguyen et al., NeurIPS 2021).

Instead of networks that are trained on the synthetic images there is the limit of infinitely wide ones, which is
kernel ridge regression: its answer is a formula, and so is how it depends on the images.
"""

import math

import torch
from torch.nn import functional as F

from ..models.products import multiply
from ..models.training import Adam
from .method import Real, Settings, State

WEIGHT_VARIANCE, BIAS_VARIANCE = 2.0, 0.01  # of a weight, times its inputs, and of a bias at the start
DEPTH = 1  # hidden layers
RIDGE = 1e-6  # of the mean of the kernel's diagonal


def tangent_kernel(a: torch.Tensor, b: torch.Tensor, depth: int = DEPTH) -> torch.Tensor:
    """Return the neural tangent kernel of an infinitely wide fully connected network with ReLU.

    By layers (Jacot et al. 2018; Lee et al. 2019): K = v_w x.x' / d + v_b and T = K at first; after each
    hidden layer, with the arc-cosine kernels of Cho & Saul (2009), cos t = K / sqrt(K_aa K_bb),

        K <- v_w sqrt(K_aa K_bb) (sin t + (pi - t) cos t) / (2 pi) + v_b,
        T <- K + v_w T (pi - t) / (2 pi)    with the new K and the old t.

    Parameters
    ----------
    a, b : float [n, ...] and [m, ...].
    depth : hidden layers.

    Returns
    -------
    float [n, m]
    """
    a, b = a.flatten(1), b.flatten(1)
    kernel = WEIGHT_VARIANCE * multiply(a, b.T) / a.shape[1] + BIAS_VARIANCE
    own_a, own_b = (WEIGHT_VARIANCE * x.square().mean(1) + BIAS_VARIANCE for x in (a, b))
    tangent = kernel
    for _ in range(depth):
        norm = _root(own_a[:, None] * own_b)
        cosine = kernel / norm
        apart = (
            cosine < 1 - 4 * torch.finfo(cosine.dtype).eps
        )  # of a point and itself: the angle has no derivative at 1
        cosine_apart = cosine.where(apart, 0)
        sine = _root((1 - cosine_apart) * (1 + cosine_apart))
        angle = torch.where(apart, torch.atan2(sine, cosine_apart), 0)
        kernel = (
            WEIGHT_VARIANCE * norm * (sine.where(apart, 0) + (math.pi - angle) * cosine) / (2 * math.pi) + BIAS_VARIANCE
        )
        tangent = kernel + WEIGHT_VARIANCE * tangent * (math.pi - angle) / (2 * math.pi)
        own_a, own_b = (WEIGHT_VARIANCE * own / 2 + BIAS_VARIANCE for own in (own_a, own_b))
    return tangent


def _root(values: torch.Tensor) -> torch.Tensor:
    """Return the root of positive values; torch's sqrt, acos and log are MKL's, whose last digit differs between
    processors."""
    return values * values.rsqrt()


def predictions(images: torch.Tensor, synthetic: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return what ridge regression on the synthetic images answers, K_ts (K_ss + r I)^-1 y, float [n, classes].

    Parameters
    ----------
    images : float [n, C, H, W], t.
    synthetic : float [m, C, H, W], s.
    targets : float [m, classes], y.
    """
    exact = synthetic.double()  # the equations of near points are ill-conditioned
    inner = tangent_kernel(exact, exact)
    ridge = RIDGE * inner.diagonal().mean() * torch.eye(len(inner), dtype=inner.dtype, device=inner.device)
    coefficients = torch.linalg.solve(inner + ridge, targets.double())
    return multiply(tangent_kernel(images, synthetic), coefficients.to(images))


def regression_loss(
    images: torch.Tensor, truth: torch.Tensor, synthetic: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Return the loss of `predictions` on real images (Nguyen et al. 2021, eq. 4): half the mean squared error.

    `truth`, float [n, classes], are the targets of `images`; the others are those of `predictions`.
    """
    return (predictions(images, synthetic, targets) - truth).square().mean() / 2


def centred(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Return one-hot labels minus 1 / classes, float32 [n, classes], the targets of the regression."""
    return F.one_hot(labels, classes).float() - 1 / classes


def soft_labels(state: dict, hard: torch.Tensor, classes: int) -> torch.Tensor:
    """Return the learned targets as soft labels float32 [n, classes], at least 0 and of sum 1.

    `state` is what `induce_points` returned; if it has not been called yet, the labels are the `hard` ones, int64 [n].
    """
    positive = (state.get("targets", centred(hard, classes)) + 1 / classes).clamp(min=1e-6)
    return positive / positive.sum(1, keepdim=True)


def induce_points(
    state: State, real: Real, settings: Settings, draw: torch.Generator, network=None, learn_labels: bool = False
) -> tuple[State, float]:
    """Make one iteration of KIP: `outer` steps of Adam on the pixels along the gradient of `regression_loss`.

    Each step sees `real_batch` real images a class. With `learn_labels` the targets of the synthetic images
    are learned too, at the same rate; they begin as those of the classes, and `soft_labels` makes labels of
    them. The arguments and what is returned are those of every `method.Step`; no network is needed.
    """
    classes, ipc = state["images"].shape[:2]
    pixels = state["images"].flatten(0, 1).clone().requires_grad_()
    own_labels = torch.arange(classes, device=pixels.device).repeat_interleave(ipc)
    targets = state.get("targets", centred(own_labels, classes)).clone().requires_grad_()
    learned = [pixels, targets] if learn_labels else [pixels]
    optimiser = Adam(learned, settings.image_lr)
    for i, memory in enumerate(optimiser.state):
        memory.copy_(state.get(f"adam{i}", memory))
    total = 0.0
    for _ in range(settings.outer):
        rows = torch.cat([real.some(label, settings.real_batch, draw) for label in range(classes)])
        loss = regression_loss(real.images[rows], centred(real.labels[rows], classes), pixels, targets)
        optimiser.step(torch.autograd.grad(loss, learned))
        total += loss.item()
    return {
        "images": pixels.detach().unflatten(0, (classes, ipc)),
        "targets": targets.detach(),
        **{f"adam{i}": memory for i, memory in enumerate(optimiser.state)},
    }, total / settings.outer
