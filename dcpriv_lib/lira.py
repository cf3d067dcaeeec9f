"""LiRA: is this score what a model gives that was trained on the example, or one that was not?

Likelihood-ratio attack of Carlini et al., *Membership inference attacks from first
principles*, IEEE S&P 2022. Every example gets its own Gaussians, fitted to the scores of the
shadow models that had it ("in") and of those that had not ("out").
"""

import numpy as np
from scipy.special import log_ndtr

from . import shadow

# Scores that agree in all models have no spread; this floor, in units of phi, keeps ratios finite.
LEAST_STD = 1e-6


def online(shadow_scores: np.ndarray, keep: np.ndarray, target_scores: np.ndarray, *,
           fixed_variance: bool) -> np.ndarray:
    """Return the log-likelihood ratio of "in" over "out" (Carlini et al. 2022, algorithm 1).

        score = mean over queries of  log N(phi; mu_in, sigma_in^2) - log N(phi; mu_out, sigma_out^2)

    The sum over queries would be the ratio of two multivariate Gaussians with diagonal
    covariance; the mean ranks the same. Examples whose scores are all equal get 0.

    Parameters
    ----------
    shadow_scores : float [models, n] or [models, n, queries], phi of every example by every
        shadow model, finite.
    keep : bool [models, n], which example was in which model.
    target_scores : float [n] or [n, queries], phi by the target.
    fixed_variance : True for one sigma_in and one sigma_out for all examples (a query), pooled
        from the spreads around each example's own mean; better with few shadow models (fewer than
        64, says the paper). False for a sigma of every example, which needs two models in and
        two out.

    Returns
    -------
    float64 [n], higher for "member", in nats.

    Raises
    ------
    ValueError
        If shapes do not fit, a score is not finite, or an example is in or out of too few models.
    """
    least = 1 if fixed_variance else 2
    scores, keep = shadow.checked(shadow_scores, keep, least_in=least, least_out=least)
    phi = shadow.checked_target(target_scores, scores.shape[1:])
    ratio = (log_density(phi, *gaussian(scores, keep, fixed_variance))
             - log_density(phi, *gaussian(scores, ~keep, fixed_variance)))
    return ratio.reshape(len(phi), -1).mean(axis=1)


def offline(shadow_scores: np.ndarray, keep: np.ndarray, target_scores: np.ndarray, *,
            fixed_variance: bool) -> np.ndarray:
    """Return how unlikely so high a score is for a model without the example.

        score = mean over queries of  -log P(Z > phi),   Z ~ N(mu_out, sigma_out^2)

    For one query this ranks as the paper's 1 - P(Z > phi) does (Carlini et al. 2022),
    without rounding to 1 for the very members it is sure of. Several queries are combined as
    Fisher combines p-values. Only "out" models are used: all of them may have been trained before
    the example was known.

    Parameters, returned array and errors are those of `online`, except that no example needs to
    be in a model, and the score is above 0.
    """
    scores, keep = shadow.checked(shadow_scores, keep, least_in=0, least_out=1 if fixed_variance else 2)
    phi = shadow.checked_target(target_scores, scores.shape[1:])
    mean, std = gaussian(scores, ~keep, fixed_variance)
    return -log_ndtr((mean - phi) / std).reshape(len(phi), -1).mean(axis=1)


def gaussian(scores: np.ndarray, where: np.ndarray, fixed_variance: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return each example's mean [n, ...] and its std, [n, ...] or one for all examples [...].

    Variances are unbiased: squares around each example's mean, over models less one.
    `scores` [models, n, ...] are used where `where`, which has as many axes, is True.
    """
    mean = scores.mean(axis=0, where=where)
    squares = np.sum((scores - mean) ** 2, axis=0, where=where)
    freedom = where.sum(axis=0) - 1
    if fixed_variance:
        squares, freedom = squares.sum(axis=0), freedom.sum(axis=0)
    if (freedom < 1).any():
        raise ValueError("no example has two shadow models of the same kind, so no variance can be estimated: "
                         "train at least 4, with members from membership_matrix")
    return mean, np.maximum(np.sqrt(squares / freedom), LEAST_STD)


def log_density(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return log N(x; mean, std^2) in nats, without the constant log sqrt(2 pi)."""
    return -((x - mean) / std) ** 2 / 2 - np.log(std)
