"""RMIA: does the model favour this example more than it favours other people's?

Robust membership inference attack of Zarifzadeh, Liu & Shokri, *Low-cost high-power
membership inference attacks*, ICML 2024. The score of x is the share of population examples z that x beats:

    LR(x, z) = [p(x | theta) / p(x)] / [p(z | theta) / p(z)],    score(x) = P_z(LR(x, z) > gamma)

p(x | theta) is the target's softmax probability of the true class, ``exp(-attacks.losses(...))``. p(x) is what
it is expected to be whether or not x was a member: `online_prior` or `offline_prior`.
"""

import numpy as np

from . import shadow_models


def online_prior(shadow_p: np.ndarray, is_member: np.ndarray) -> np.ndarray:
    """Return p(x) = (p_in + p_out)/2, the means over the reference models with and without x.

    Parameters
    ----------
    shadow_p : float [models, n] or [models, n, queries], 0 to 1, the true class's probability.
    is_member : bool [models, n], which example was a member of which model. Every example must be a member of one and
        a non-member of another.

    Returns
    -------
    float64 [n] or [n, queries], 0 to 1.

    Raises
    ------
    ValueError
        If shapes do not fit, a value is not a probability, or an example is in no model or in all.
    """
    p, is_member = shadow_models.checked(_probabilities(shadow_p), is_member, least_in=1, least_out=1)
    return (p.mean(axis=0, where=is_member) + p.mean(axis=0, where=~is_member)) / 2


def offline_prior(shadow_p: np.ndarray, is_member: np.ndarray, a: float) -> np.ndarray:
    """Return p(x) ~ ((1 + a) p_out + (1 - a))/2, from the reference models without x alone.

    The models with x are replaced by p_in ~ a p_out + (1 - a): a = 1 if members gain nothing, a = 0 if
    every member gets probability 1. The attacker tunes `a` by attacking a shadow model with
    the others. One reference model suffices.

    Parameters
    ----------
    a : 0 to 1.

    The other parameters, returned array and errors are those of `online_prior`, except that no
    example needs to be in a model (for population examples `is_member` is all False).
    """
    if not 0 <= a <= 1:
        raise ValueError(f"a = {a}: choose a number from 0 to 1, the one that works best between shadow models")
    p, is_member = shadow_models.checked(_probabilities(shadow_p), is_member, least_in=0, least_out=1)
    return ((1 + a) * p.mean(axis=0, where=~is_member) + (1 - a)) / 2


def scores(
    target_p: np.ndarray, prior: np.ndarray, population_p: np.ndarray, population_prior: np.ndarray, gamma: float = 1.0
) -> np.ndarray:
    """Return the share of population examples z with LR(x, z) > gamma, mean over queries.

    With m population examples a score is a multiple of 1/m, so low false positive rates need a large
    population: examples that beat all z tie. (Over several queries the paper takes a majority vote for
    each z; the mean of the shares needs no table of all pairs.) Constant probabilities give
    constant scores.

    Parameters
    ----------
    target_p : float [n] or [n, queries], 0 to 1, p(x | theta), by the target.
    prior : float, same shape, p(x), from `online_prior` or `offline_prior`.
    population_p, population_prior : float [m] or [m, queries], the same of non-members of the
        target that the attacker owns, with the same kind of prior: two kinds have two scales.
    gamma : > 0; 1 in the authors' code. Larger asks for more evidence a pair.

    Returns
    -------
    float64 [n], 0 to 1, higher for "member".

    Raises
    ------
    ValueError
        If shapes do not fit, a value is not a probability, the population is empty, or gamma <= 0.
    """
    x, z = _ratios(target_p, prior), _ratios(population_p, population_prior)
    if gamma <= 0 or not len(z) or x.shape[1] != z.shape[1]:
        raise ValueError(
            f"gamma = {gamma}, {len(z)} population examples, {x.shape[1]} and {z.shape[1]} queries: "
            "gamma must be above 0, the population not empty, and both must have the same queries"
        )
    # LR > gamma means ratio_z < ratio_x / gamma: count by sorting, not by comparing all pairs.
    beaten = [np.searchsorted(np.sort(zs), xs / gamma, side="left") for xs, zs in zip(x.T, z.T)]
    return np.mean(beaten, axis=0) / len(z)


def _ratios(p: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Return p(. | theta) / p(.), float64 [n, queries]; 0 where both are 0."""
    prior = _probabilities(prior)
    p = shadow_models.checked_target(_probabilities(p), prior.shape)
    ratios = p / np.maximum(prior, np.finfo(float).tiny)
    return ratios if ratios.ndim == 2 else ratios[:, None]


def _probabilities(p: np.ndarray) -> np.ndarray:
    p = np.asarray(p, dtype=np.float64)
    if bad := int((~((p >= 0) & (p <= 1))).sum()):
        raise ValueError(
            f"{bad} of {p.size} values are not probabilities from 0 to 1: RMIA takes the softmax "
            "probability of the true class, not losses, logits or NaN"
        )
    return p
