"""Of whom was a released image mixed? Every one is written as a non-negative combination of the candidates.

Condensation that starts from means of a few people leaves them in its images. Whoever holds the candidates' images can
try to take the mixture apart:

    w = argmin ||s - A w||^2,   w >= 0,

s being a released image and the columns of A the candidates of its class (non-negative least squares; Lawson & Hanson
1974). The score of a candidate is the largest weight in any released image.
"""

import numpy as np
import torch

from .released_set import Known, Labelled, by_class

TOLERANCE = 1e-6  # of a gradient, relative to the largest: what an optimum may have
ADDED = 4  # candidates that enter a combination in one round
ROUNDS = 400  # more than any image of the tests took; who has not ended by then keeps the combination so far
LEAST_RIDGE = 1e-7  # relative to the diagonal: two candidates may be the same image
CHUNK = 128  # released images at a time


def largest_weight(released: Labelled, people: Labelled, known: Known) -> np.ndarray:
    """Return the largest weight of every candidate in a released image of the class, in grey levels, float64 [n]."""

    def weight(shown, some, _):
        candidates, images = known.grey(some.images), known.grey(shown.images)
        return torch.stack([weights.amax(0) for weights in _in_chunks(images, candidates)]).amax(0)

    return by_class(weight, released, people, known.own).numpy()


def _in_chunks(images, candidates):
    for some in images.split(CHUNK):
        yield unmix(some, candidates)


def unmix(images: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
    """Return the non-negative weights by which candidates come nearest to each image, float32 [m, n].

    Lawson and Hanson's active sets for many images at once: in every round the `ADDED` candidates with the steepest
    gradient enter each image's combination, and those whose weight would become negative leave it.

    Parameters
    ----------
    images : float [m, d].
    candidates : float [n, d].

    Raises
    ------
    ValueError
        If there are no candidates, or the two have different numbers of pixels.
    """
    if images.ndim != 2 or candidates.ndim != 2 or images.shape[1] != candidates.shape[1] or not len(candidates):
        raise ValueError(
            f"images {tuple(images.shape)}, candidates {tuple(candidates.shape)}: expected rows of as many pixels"
        )
    weights = torch.zeros(len(images), len(candidates))
    active = torch.zeros(len(images), len(candidates), dtype=torch.bool)
    open_, enough = torch.arange(len(images)), TOLERANCE * (images @ candidates.T).abs().amax(1).clamp(min=1e-30)
    entering = torch.full((len(images),), ADDED)
    for _ in range(ROUNDS):
        gradient = (images[open_] - weights[open_] @ candidates) @ candidates.T
        gradient[active[open_]] = 0.0
        steepest, chosen = gradient.topk(min(ADDED, len(candidates)), 1)
        unfinished = steepest[:, 0] > enough[open_]
        if not unfinished.any():
            break
        open_, steepest, chosen = open_[unfinished], steepest[unfinished], chosen[unfinished]
        wanted = (steepest > enough[open_, None]) & (torch.arange(chosen.shape[1]) < entering[open_, None])
        before = weights[open_].clone()
        active[open_] = active[open_].scatter(1, chosen, active[open_].gather(1, chosen) | wanted)
        _solve(images, candidates, weights, active, open_)
        moved = (weights[open_] != before).any(1)
        entering[open_] = torch.where(moved, ADDED, 1)
        stuck = ~moved & (wanted.sum(1) == 1)  # the steepest alone did not help: rounding is all that is left
        open_ = open_[~stuck]
        if not len(open_):
            break
    return weights


def _solve(images, candidates, weights, active, rows) -> None:
    """Let the weights of some images be those of the best combination of their active candidates, all above 0.

    Where the unrestricted solution has a weight of 0 or below, the weights go as far towards it as they can, and
    whoever arrives at 0 becomes inactive (the inner loop of Lawson and Hanson).
    """
    while len(rows):
        size = int(active[rows].sum(1).max())
        if size == 0:
            return
        order = active[rows].float().topk(size, 1)
        place, inside = order.indices, order.values > 0
        columns = candidates[place].double() * inside[:, :, None]
        gram = columns @ columns.mT
        diagonal = gram.diagonal(dim1=1, dim2=2)
        diagonal += LEAST_RIDGE * diagonal.amax(1, keepdim=True) + (~inside).double()
        right = (columns @ images[rows].double()[:, :, None]).squeeze(2)
        solution = torch.linalg.solve(gram, right).float() * inside
        now = weights[rows].gather(1, place)
        falls = inside & (solution <= 0)
        share = torch.where(falls, now / (now - solution).clamp(min=1e-30), torch.inf).amin(1).clamp(max=1.0)
        step = torch.where(falls.any(1), share, 1.0)[:, None]
        new = torch.where(inside, now + step * (solution - now), 0.0)
        gone = falls & (new <= 1e-12 + 1e-7 * now)
        new[gone] = 0.0
        weights[rows] = torch.zeros_like(weights[rows]).scatter(1, place, new)
        active[rows] = torch.zeros_like(active[rows]).scatter(1, place, inside & ~gone)
        rows = rows[falls.any(1)]
