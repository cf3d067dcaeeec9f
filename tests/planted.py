"""Leaks that are there, or not, by construction: what an attack must find, and must not."""

import numpy as np

from dcpriv_lib.attacks import shadow_models
from dcpriv_lib.attacks.attack import Answers, References

D = 1.5  # how far the Gaussians of "in" and "out" lie apart, in standard deviations


def gaussian_scores(rng, models, n, shift=D, spread=5.0, queries=()):
    """Scores N(mu + shift if in, 1), with an own mu ~ N(0, spread^2) an example: shadows, keep, target, members."""
    own = rng.normal(0, spread, (n, *queries))
    keep, member = shadow_models.membership_matrix(n, models, rng), rng.permutation(np.arange(n) < n // 2)
    inside = keep.reshape(keep.shape + (1,) * len(queries))
    scores = own + shift * inside + rng.normal(size=(models, n, *queries))
    target = own + shift * member.reshape(n, *(1,) * len(queries)) + rng.normal(size=own.shape)
    return scores, keep, target, member


def ridge_logits(rows, labels, keep):
    """Logits of a ridge regression on the rows that are kept: with more features than rows it memorises."""
    kernel = rows[keep] @ rows[keep].T + 30 * np.eye(keep.sum())
    return 4 * rows @ (rows[keep].T @ np.linalg.solve(kernel, np.eye(10)[labels[keep]]))


def make_references(rng, leak: bool) -> tuple[References, Answers, np.ndarray]:
    """Ten reference models and a target that memorise random labels; without a leak, memberships are made up."""
    rows, labels = rng.normal(size=(600, 400)), rng.integers(0, 10, 600)
    keep, member = shadow_models.membership_matrix(400, 10, rng), rng.permutation(np.arange(400) < 200)
    inside = [np.concatenate([one, np.zeros(200, bool)]) for one in [*keep, member]]
    logits = np.stack([ridge_logits(rows, labels, one) for one in inside])[:, :, None]
    if not leak:
        keep, member = shadow_models.membership_matrix(400, 10, rng), rng.permutation(member)
    references = References(keep, logits[:-1, :400], labels[:400], logits[:-1, 400:], labels[400:])
    return references, Answers(logits[-1, :400], labels[:400], logits[-1, 400:], labels[400:]), member
