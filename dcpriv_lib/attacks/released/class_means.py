"""Does the mean of the released images of a class lean towards a candidate?

A set whose class means, in some features, are those of its members has moved a little towards each of them. The best
linear test of a shift of a Gaussian's mean is the whitened inner product (Fisher's discriminant):

    score(x) = (phi(x) - mu)' S^-1 (mean of phi over the released images - mu),

mu and S being mean and covariance of the features phi of the attacker's own images of the class.
"""

import functools

import numpy as np
import torch

from ...condensation.distribution_matching import features
from ...engine.seeding import generator
from ...models import networks
from .density import principal_components
from .released_set import REMEMBERED, Known, Labelled, by_class, number_of_classes

COMPONENTS = 100  # of the features in which means are compared; the rest is noise in covariances of few images
SHRINKAGE = 0.1  # of a variance, the part that is replaced by the mean variance
NETWORKS = 2  # random networks whose scores are added
WIDTH = 32  # of their filters
OWN = 2000  # images of a class are enough for a covariance


def in_pixels(released: Labelled, people: Labelled, known: Known) -> np.ndarray:
    """Return the whitened inner product with the class mean of the released images in pixels, float64 [n]."""
    return by_class(lambda *parts: whitened(*(part.pixels for part in parts)), released, people, known.own).numpy()


def in_random_networks(released: Labelled, people: Labelled, known: Known) -> np.ndarray:
    """Return the same in the features of networks with random weights, the sum over `NETWORKS` of them, float64 [n].

    Distribution matching makes just these means alike, those of other random networks.
    """
    total, classes = np.zeros(len(people)), number_of_classes(released, people)
    for number in range(NETWORKS):
        parts = [embedded(part, classes, known.seed, number) for part in (released, people, known.own)]
        found = by_class(lambda *parts: whitened(*(part.pixels for part in parts)), *parts)
        total += (found / found.std().clamp(min=1e-30)).numpy()
    return total


def of_the_update(released: Labelled, people: Labelled, known: Known) -> np.ndarray:
    """Return the whitened inner product, in pixels, with what was added to a known start, float64 [n].

    Raises
    ------
    ValueError
        If the attacker does not know the start.
    """
    if known.start is None:
        raise ValueError("start = None: this attack is for somebody who knows what the condensation started from")
    moved = Labelled(released.images - known.start, released.labels)

    def product(shift, some, own):
        centre, components, variances = spread(own.pixels)
        return (some.pixels - centre) @ components @ (shift.pixels.mean(0) @ components / variances)

    return by_class(product, moved, people, known.own).numpy()


@functools.lru_cache(maxsize=4 * NETWORKS)  # many sets are asked about the same people
def embedded(part: Labelled, classes: int, seed: int, number: int) -> Labelled:
    """Return the features of images in place of the images, float32 [n, k, 1, 1]."""
    network = random_network(part.images.shape[1:], classes, seed, number)
    with torch.no_grad():
        return Labelled(features(network, part.images)[:, :, None, None], part.classes)


def random_network(shape: torch.Size, classes: int, seed: int, number: int, width: int = WIDTH) -> torch.nn.Module:
    """Return the attacker's own network of a number: a ConvNet with random weights."""
    channels, size, _ = shape
    return networks.initialise(
        networks.ConvNet(channels, size, classes, width), generator(seed, "network of somebody with the images", number)
    )


def whitened(released: torch.Tensor, people: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Return the whitened inner product of people with the mean of the released, rows of features each, float [n]."""
    centre, components, variances = spread(own)
    shift = (released.mean(0) - centre) @ components
    return (people - centre) @ components @ (shift / variances)


@functools.lru_cache(maxsize=REMEMBERED)
def spread(own: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the mean of rows, their leading principal components, and the shrunken variances along these."""
    own = own[:OWN]
    centre, components = principal_components(own, COMPONENTS)
    variances = ((own - centre) @ components).var(0)
    return centre, components, ((1 - SHRINKAGE) * variances + SHRINKAGE * variances.mean()).clamp(min=1e-30)
