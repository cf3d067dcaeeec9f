"""Does a candidate pull a network the way the released set does?

Gradient matching makes the gradient of a network's loss on the synthetic images of a class point where that on the real
ones points. So a member's gradient should lie a little along the set's,

    score(x) = < grad L(x, y), G_y >,    G_y = grad of the mean loss over the released images of class y,

over random networks. The inner product is the derivative of the loss in the direction G_y, which forward-mode
differentiation gives for a whole batch without the gradient of any single image.
"""

import warnings

import numpy as np
import torch
from torch.func import functional_call, jvp
from torch.nn import functional as F

from .class_means import random_network
from .released_set import Known, Labelled, number_of_classes

NETWORKS = 1
WIDTH = 16  # of its filters
BATCH = 256


def alignment(released: Labelled, people: Labelled, known: Known) -> np.ndarray:
    """Return the inner product of every candidate's gradient with the released class's, of unit length, float64 [n].

    The mean over `NETWORKS` networks with random weights.
    """
    total, classes = torch.zeros(len(people), dtype=torch.float64), number_of_classes(released, people)
    for number in range(NETWORKS):
        network = random_network(released.images.shape[1:], classes, known.seed, number, WIDTH)
        weights = {name: weight.detach() for name, weight in network.named_parameters()}
        for label in people.classes.unique().tolist():
            rows, shown = torch.nonzero(people.classes == label).flatten(), released.of_class(label)
            if len(shown):
                direction = _class_gradient(network, shown, classes)
                total[rows] += _derivatives(network, weights, direction, people.images[rows], label)
    return (total / NETWORKS).numpy()


def _class_gradient(network, shown: Labelled, classes: int) -> dict[str, torch.Tensor]:
    """Return the gradient of the mean loss over the images shown of a class, of length 1."""
    loss = F.cross_entropy(network(shown.images), shown.one_hot(classes))
    gradients = torch.autograd.grad(loss, tuple(network.parameters()))
    length = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt().clamp(min=1e-30)
    return {name: gradient / length for (name, _), gradient in zip(network.named_parameters(), gradients)}


def _derivatives(network, weights, direction, images: torch.Tensor, label: int) -> torch.Tensor:
    """Return the derivative of the loss of every image in a direction of the weights, float64 [n]."""

    def losses(weights, batch):
        logits = functional_call(network, weights, (batch,))
        return F.cross_entropy(logits, torch.full((len(batch),), label), reduction="none")

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch's own scripts for forward mode
        return torch.cat(
            [jvp(lambda w, batch=batch: losses(w, batch), (weights,), (direction,))[1] for batch in images.split(BATCH)]
        ).double()
