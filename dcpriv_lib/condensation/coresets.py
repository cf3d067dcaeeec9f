"""Coresets: real images chosen to stand for all of their class, the rivals of condensed ones.

Two are chosen by their features, here. The others are chosen at random: as they are, or four cut small in place of one,
the tiles of `multi_formation`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..models import training
from ..models.networks import initialise
from .method import Schedule

EPOCHS = 1  # of the network whose features are compared


def features(images: torch.Tensor, labels: torch.Tensor, make_network: Callable, draw: torch.Generator) -> torch.Tensor:
    """Return the features float32 [N, n] of a network that was trained on the real images for one epoch.

    Parameters
    ----------
    images, labels : float32 [N, C, H, W], int64 [N].
    make_network : builds the network.
    draw : generator of its first weights and of the order of the images.
    """
    network = initialise(make_network(), draw).to(images.device)
    training.train(network, images, labels, epochs=EPOCHS, generator=draw)
    with torch.no_grad():
        return torch.cat([network.embed(some) for some in images.split(256)])


def herding(features: torch.Tensor, size: int) -> torch.Tensor:
    """Choose points one after the other so that their mean stays as near as can be to the mean of all.

    The next is i = argmin || (k + 1) mu - sum_{j chosen} f_j - f_i || among those not chosen yet (Welling,
    "Herding dynamical weights to learn", ICML 2009, as used by Rebuffi et al., iCaRL, CVPR 2017).

    Parameters
    ----------
    features : float [N, n], f.
    size : how many of them, at most N.

    Returns
    -------
    int64 [size], different rows, in the order in which they were chosen.
    """
    mean, total, chosen = features.mean(0), torch.zeros_like(features[0]), []
    free = torch.zeros(len(features), device=features.device)
    for k in range(size):
        distance = ((k + 1) * mean - total - features).square().sum(1) + free
        chosen.append(int(distance.argmin()))
        total, free[chosen[-1]] = total + features[chosen[-1]], torch.inf
    return torch.tensor(chosen, device=features.device)


def k_center(features: torch.Tensor, size: int) -> torch.Tensor:
    """Choose points so that none is far from the nearest chosen one: always the farthest is next.

    The first is the nearest to the mean of all. Gonzalez's greedy algorithm (1985), as used by Sener & Savarese
    (ICLR 2018): the largest distance is at most twice that of the best choice for the first given.

    Parameters
    ----------
    features : float [N, n].
    size : how many of them, at most N.

    Returns
    -------
    int64 [size], different rows, in the order in which they were chosen.
    """
    chosen = [int((features - features.mean(0)).square().sum(1).argmin())]
    nearest = torch.full_like(features[:, 0], torch.inf)
    for _ in range(size - 1):
        nearest = torch.minimum(nearest, (features - features[chosen[-1]]).square().sum(1))
        nearest[chosen[-1]] = -1.0  # equal images are at distance 0, and none is to be chosen twice
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen, device=features.device)


CHOICES = {"herding": herding, "k-center": k_center}


@dataclass(frozen=True)
class Coreset:
    """A choice of real images: a start, and no iteration.

    `decoded_by` is the method, one of `condense.METHODS`, through whose loop the start goes; it says what the training
    images are.
    """

    start: str
    decoded_by: str = "DC"

    @property
    def usual(self) -> Schedule:
        """The schedule without an iteration."""
        return Schedule(0, 1, 0, 1.0, self.start)


# Real images as they are, which condensed sets have to beat; the tiles, four of them an image and cut small, are where
# IDC and IDM begin.
CORESETS = {
    "random": Coreset("real"),
    "herding": Coreset("herding"),
    "k-center": Coreset("k-center"),
    "tiles": Coreset("tiles", decoded_by="IDM"),
}
