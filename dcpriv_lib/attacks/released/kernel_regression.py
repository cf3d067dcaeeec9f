"""What do infinitely wide networks that are trained on the released set say of a candidate?

Their answer is kernel ridge regression on the set, a formula, and so free of the luck of any one training. For a set
made by kernel inducing points it is the very quantity that was made small on the members.
"""

import functools

import numpy as np
import torch

from ...condensation.kernel_inducing_points import predictions
from .released_set import Known, Labelled, number_of_classes

CHUNK = 2**22  # entries of the kernel at a time


@functools.lru_cache(maxsize=2)  # error and margin ask for the same
def answers(released: Labelled, people: Labelled) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the regression answers for people and what it should, float32 [n, classes] each, centred labels."""
    classes = number_of_classes(released, people)
    targets, truth = released.one_hot(classes) - 1 / classes, people.one_hot(classes) - 1 / classes
    parts = people.images.split(max(1, CHUNK // len(released)))
    return torch.cat([predictions(part, released.images, targets) for part in parts]), truth


def squared_error(released: Labelled, people: Labelled, known: Known) -> np.ndarray:
    """Return minus the squared error of the regression on every candidate, the loss of KIP, float64 [n]."""
    found, truth = answers(released, people)
    return -(found - truth).square().sum(1).double().numpy()


def margin(released: Labelled, people: Labelled, known: Known) -> np.ndarray:
    """Return by how much the answer for the candidate's class exceeds the largest of the others, float64 [n]."""
    found, _ = answers(released, people)
    own = found.gather(1, people.classes[:, None]).squeeze(1)
    others = found.scatter(1, people.classes[:, None], -torch.inf).amax(1)
    return (own - others).double().numpy()


def of_the_labels(released: Labelled, people: Labelled, known: Known) -> np.ndarray:
    """Return by how much learned labels make the squared error smaller than hard ones on the same images, float64 [n].

    It is what the labels alone say; 0 for everybody where the labels are hard.
    """
    hard = Labelled(released.images, released.classes)
    return squared_error(released, people, known) - squared_error(hard, people, known)
