"""How near a candidate is to the released images of the class.

As an attack such a distance has a ROC like any other. It is no evidence *of* privacy: a set can be far from everybody
in pixels and give them away by another statistic.
"""

import functools
from collections.abc import Callable

import numpy as np
import torch

from .released_set import REMEMBERED, Known, Labelled, by_class

COPY = 1e-3  # of the distance to the own image: whoever is nearer is a copy, and more would tell nothing
CHUNK = 2**22  # distances at a time, 16 MiB


def squared_distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the squared Euclidean distances of rows, float32 [n, m], never below 0."""
    return (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp_(min=0)


def nearest(released: Labelled, people: Labelled, known: Known) -> np.ndarray:
    """Return minus the distance to the nearest released image of the class, float64 [n]."""
    return by_class(lambda shown, some, _: -_to_nearest(some.pixels, shown.pixels), released, people, known.own).numpy()


def nearest_against_own(released: Labelled, people: Labelled, known: Known) -> np.ndarray:
    """Return how much nearer the nearest released image is than the nearest of the attacker's own, float64 [n].

    The logarithm of the ratio of both distances: who is like everybody is near to any image, so what counts is being
    nearer to the released ones than to images that nobody condensed.
    """

    def ratio(shown, some, own):
        to_released, to_own = _to_nearest(some.pixels, shown.pixels), _to_own(some.pixels, own.pixels)
        return -by_numpy(np.log, (to_released / to_own.clamp(min=1e-12)).clamp(COPY, 1 / COPY))

    return by_class(ratio, released, people, known.own).numpy()


def soft_nearest(released: Labelled, people: Labelled, known: Known) -> np.ndarray:
    """Return a soft minimum of the squared distances to all released images of the class, negative, float64 [n].

    ``log sum_s exp(-d_s^2 / t)``, with the temperature t from the attacker's own images: the median of their squared
    distances to the nearest released image.
    """

    def soft(shown, some, own):
        temperature = _to_nearest(own.pixels, shown.pixels).square().median().clamp(min=1e-12)
        return torch.cat(
            [
                log_of_sums(-squared_distances(rows, shown.pixels) / temperature)
                for rows in some.pixels.split(max(1, CHUNK // len(shown)))
            ]
        )

    return by_class(soft, released, people, known.own).numpy()


@functools.lru_cache(maxsize=REMEMBERED)
def _to_own(rows: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    return _to_nearest(rows, own)


def _to_nearest(rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return the distance of every row to the nearest of others, float32 [n]."""
    parts = rows.split(max(1, CHUNK // max(1, len(others))))
    return by_numpy(np.sqrt, torch.cat([squared_distances(part, others).min(1).values for part in parts]))


def log_of_sums(exponents: torch.Tensor) -> torch.Tensor:
    """Return log sum_j exp(x_ij) of every row, float [n]."""
    largest = exponents.amax(1, keepdim=True)
    return largest[:, 0] + by_numpy(np.log, (exponents - largest).exp().sum(1))


def by_numpy(function: Callable, values: torch.Tensor) -> torch.Tensor:
    """Return a function of numpy's of a tensor; torch's roots and logarithms are MKL's, whose last digit differs
    between processors."""
    return torch.from_numpy(function(values.cpu().numpy())).to(values.device)
