"""How the authors of DC, DSA and DM train the networks by which a condensed set is judged.

It trains much longer than this report's models are trained, on images that are changed at random in every step: with a
thousand epochs on a hundred images, real images can be worth more than a short training shows.
"""

import torch
from torch import nn
from torch.nn import functional as F

from . import augmentation

LR, BATCH, MOMENTUM, WEIGHT_DECAY = 0.01, 256, 0.9, 5e-4
CHUNK = 32  # The activations of so many images stay in the cache.


def train(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int, draw: torch.Generator) -> None:
    """Train `network` in place as the authors' evaluation does (``evaluate_synset`` of their code, with DSA).

    SGD with momentum and weight decay, `epochs` + 1 epochs, each batch under one operation of DSA with a strength
    for each image; the rate falls to a tenth after epoch `epochs` // 2 + 1, with the momentum forgotten. The authors:
    1,000 epochs, or 300 without augmentation, and a ConvNet of 128 filters.

    Parameters
    ----------
    images, labels : float [N, C, H, W], and int64 [N] or soft, float [N, classes], on the network's device.
    epochs : 1 or more.
    draw : CPU generator of the order and the operations.
    """
    network.train()
    weights, lr = list(network.parameters()), LR
    momenta = [torch.zeros_like(weight) for weight in weights]
    for epoch in range(epochs + 1):
        for rows in torch.randperm(len(images), generator=draw).split(BATCH):
            gradients = _gradients(network, weights, augmentation.each(images[rows], draw), labels[rows])
            with torch.no_grad():
                for weight, momentum, gradient in zip(weights, momenta, gradients):
                    momentum.mul_(MOMENTUM).add_(gradient + WEIGHT_DECAY * weight)
                    weight.sub_(lr * momentum)
        if epoch == epochs // 2 + 1:
            momenta, lr = [torch.zeros_like(weight) for weight in weights], 0.1 * LR


def _gradients(
    network: nn.Module, weights: list[nn.Parameter], images: torch.Tensor, labels: torch.Tensor
) -> list[torch.Tensor]:
    """Return the gradients of the mean cross-entropy, summed over chunks."""
    total = [torch.zeros_like(weight) for weight in weights]
    for images_of_chunk, labels_of_chunk in zip(images.split(CHUNK), labels.split(CHUNK)):
        loss = F.cross_entropy(network(images_of_chunk), labels_of_chunk, reduction="sum") / len(images)
        for summed, gradient in zip(total, torch.autograd.grad(loss, weights)):
            summed += gradient
    return total
