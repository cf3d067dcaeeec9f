"""Is the released set denser around a candidate than images of the same kind are? (DOMIAS; van Breugel et al. 2023)

Membership inference against generated data by density: a generator that over-fits puts more of its samples where its
members are. Both densities are Gaussian kernel estimates, on the leading principal components of the attacker's own
images.
"""

import functools

import numpy as np
import torch

from .distances import CHUNK, log_of_sums, squared_distances
from .released_set import REMEMBERED, Known, Labelled, by_class

COMPONENTS = 10  # of the attacker's images; kernel estimates of many dimensions need more images than anybody has


def log_ratio(released: Labelled, people: Labelled, known: Known) -> np.ndarray:
    """Return log p_released(x) - log p_own(x), float64 [n], by class.

    The bandwidths are Scott's: the standard deviation of a component, times n^(-1/(d + 4)) for n images of d
    components.
    """

    def ratio(shown, some, own):
        centre, directions, _ = _projection(own.pixels)
        points, of_released = ((those.pixels - centre) @ directions for those in (some, shown))
        return log_density(points, of_released) - _of_own(some.pixels, own.pixels)

    return by_class(ratio, released, people, known.own).numpy()


@functools.lru_cache(maxsize=REMEMBERED)
def _projection(own: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the mean of the attacker's images, directions in which they have a deviation of 1, and their places."""
    centre, components = principal_components(own, COMPONENTS)
    directions = components / ((own - centre) @ components).std(0).clamp(min=1e-12)
    return centre, directions, (own - centre) @ directions


@functools.lru_cache(maxsize=REMEMBERED)
def _of_own(rows: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of the density of the attacker's images at rows."""
    centre, directions, places = _projection(own)
    return log_density((rows - centre) @ directions, places)


def principal_components(rows: torch.Tensor, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean of rows, float [d], and their leading principal components, float [d, k], k at most `number`."""
    centre = rows.mean(0)
    _, singular, directions = torch.linalg.svd(rows - centre, full_matrices=False)
    real = int((singular > 1e-6 * singular[:1].clamp(min=1e-12)).sum())  # those in which the rows differ at all
    return centre, directions[: max(1, min(number, real))].T


def log_density(points: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return a kernel estimate of the logarithm of the density at points, up to what all points share, float [n]."""
    width = len(rows) ** (-1 / (rows.shape[1] + 4))
    parts = points.split(max(1, CHUNK // len(rows)))
    exponents = torch.cat([log_of_sums(-squared_distances(part, rows) / (2 * width**2)) for part in parts])
    return exponents - np.log(len(rows)) - rows.shape[1] * np.log(width)
