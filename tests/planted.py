"""Leaks that are there, or not, by construction: what an attack must find, and must not."""

import numpy as np

from dcpriv_lib.attacks import shadow_models
from dcpriv_lib.attacks.attack import Answers, References

D = 1.5  # how far the Gaussians of "in" and "out" lie apart, in standard deviations


def gaussian_scores(rng, models, n, shift=D, spread=5.0, queries=()):
    """Scores N(mu + shift if in, 1), where each example has its own mu ~ N(0, spread^2).

    Returns the shadow models' scores, who was a member of which of them, the target's scores, and who was its member.
    """
    mu = rng.normal(0, spread, (n, *queries))
    is_member, member = shadow_models.membership_matrix(n, models, rng), rng.permutation(np.arange(n) < n // 2)
    inside = is_member.reshape(is_member.shape + (1,) * len(queries))
    scores = mu + shift * inside + rng.normal(size=(models, n, *queries))
    target = mu + shift * member.reshape(n, *(1,) * len(queries)) + rng.normal(size=mu.shape)
    return scores, is_member, target, member


def ridge_logits(rows, labels, is_member):
    """Logits of a ridge regression on the members' rows: with more features than rows it memorises."""
    kernel = rows[is_member] @ rows[is_member].T + 30 * np.eye(is_member.sum())
    return 4 * rows @ (rows[is_member].T @ np.linalg.solve(kernel, np.eye(10)[labels[is_member]]))


def make_references(rng, leak: bool) -> tuple[References, Answers, np.ndarray]:
    """Ten reference models and a target that memorise random labels; without a leak, memberships are made up."""
    rows, labels = rng.normal(size=(600, 400)), rng.integers(0, 10, 600)
    is_member, member = shadow_models.membership_matrix(400, 10, rng), rng.permutation(np.arange(400) < 200)
    inside = [np.concatenate([one, np.zeros(200, bool)]) for one in [*is_member, member]]
    logits = np.stack([ridge_logits(rows, labels, one) for one in inside])[:, :, None]
    if not leak:
        is_member, member = shadow_models.membership_matrix(400, 10, rng), rng.permutation(member)
    references = References(is_member, logits[:-1, :400], labels[:400], logits[:-1, 400:], labels[400:])
    return references, Answers(logits[-1, :400], labels[:400], logits[-1, 400:], labels[400:]), member
