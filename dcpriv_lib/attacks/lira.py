"""LiRA: is this score what a model gives that was trained on the example, or one that was not?

Likelihood-ratio attack of Carlini et al., *Membership inference attacks from first
principles*, IEEE S&P 2022. Every example gets its own Gaussians, fitted to the scores of the
shadow models that had it ("in") and of those that had not ("out").

The code that its authors published (research/mi_lira_2021/plot.py in TensorFlow Privacy) differs from the paper's text:
medians instead of means, deviations divided by n, one variance for all that is taken without removing each example's
middle, and offline the density of phi on both sides, so that a phi far below the models without the example counts as
one far above. Here it is done as in the text. The solutions to notebook 6 (exercise 3) run both on the same models.
"""

import numpy as np
from scipy.special import gammaln, log_ndtr

from . import shadow_models

# Scores that agree in all models have no spread; this floor, in units of phi, keeps ratios finite.
LEAST_STD = 1e-6
# The squared variation of the examples' variances, beyond what so few models make of equal ones, from which on the
# prior lets them differ. Below it the method of moments would divide by almost nothing.
LEAST_EXCESS = 1e-3
# The shape a of the prior where the variances do not differ: their standard deviation is then about 3 % of their mean.
SHAPE_OF_EQUAL_VARIANCES = 1e3
# The least prior variance of mu and of d, in units of s^2. It keeps 1/v finite where means differ by less than chance.
LEAST_PRIOR_VARIANCE = 1e-3


def online(
    shadow_scores: np.ndarray, is_member: np.ndarray, target_scores: np.ndarray, *, fixed_variance: bool
) -> np.ndarray:
    """Return the log-likelihood ratio of "in" over "out" (Carlini et al. 2022, algorithm 1).

        score = mean over queries of  log N(phi; mu_in, sigma_in^2) - log N(phi; mu_out, sigma_out^2)

    The sum over queries would be the ratio of two multivariate Gaussians with diagonal
    covariance; the mean ranks the same. Examples whose scores are all equal get 0.

    Parameters
    ----------
    shadow_scores : float [models, n] or [models, n, queries], phi of every example by every
        shadow model, finite.
    is_member : bool [models, n], which example was in which model.
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
    scores, is_member = shadow_models.checked(shadow_scores, is_member, least_in=least, least_out=least)
    phi = shadow_models.checked_target(target_scores, scores.shape[1:])
    ratio = log_density(phi, *gaussian(scores, is_member, fixed_variance)) - log_density(
        phi, *gaussian(scores, ~is_member, fixed_variance)
    )
    return ratio.reshape(len(phi), -1).mean(axis=1)


def offline(
    shadow_scores: np.ndarray, is_member: np.ndarray, target_scores: np.ndarray, *, fixed_variance: bool
) -> np.ndarray:
    """Return how unlikely so high a score is for a model without the example.

        score = mean over queries of  -log P(Z > phi),   Z ~ N(mu_out, sigma_out^2)

    For one query this ranks as the paper's 1 - P(Z > phi) does (Carlini et al. 2022),
    without rounding to 1 for the very members it is sure of. Several queries are combined as
    Fisher combines p-values. Only "out" models are used: all of them may have been trained before
    the example was known.

    Parameters, returned array and errors are those of `online`, except that no example needs to
    be in a model, and the score is above 0.
    """
    scores, is_member = shadow_models.checked(
        shadow_scores, is_member, least_in=0, least_out=1 if fixed_variance else 2
    )
    phi = shadow_models.checked_target(target_scores, scores.shape[1:])
    mean, std = gaussian(scores, ~is_member, fixed_variance)
    return -log_ndtr((mean - phi) / std).reshape(len(phi), -1).mean(axis=1)


def bayesian(shadow_scores: np.ndarray, is_member: np.ndarray, target_scores: np.ndarray) -> np.ndarray:
    """Return a log-likelihood ratio that stays strong with few shadow models.

    With few models the means and variances of a single example are mostly noise. So they get a prior, the
    same for all examples, that is estimated from all of them (empirical Bayes). Each example has a
    linear model with a normal-inverse-gamma prior,

        phi_j = mu + member_j d + e_j,    e_j ~ N(0, s^2 rho^member_j),    s^2 ~ InvGamma(a, b),
        mu ~ N(m, s^2 v_mu),    d ~ N(g, s^2 v_d):

    member_j is 1 if the example is a member of model j and 0 otherwise, mu is how hard the example is, and d what
    membership adds. The score is the logarithm of the ratio of the
    two posterior predictive densities of the target's phi, both Student's t:

        score = mean over queries of  log t_in(phi) - log t_out(phi)

    The idea of such priors for LiRA is that of BaVarIA (arXiv 2603.11799); that "in" differs from the
    example's *own* "out" by a gain with a prior is ours. Their parameters are those of `hyperparameters`.

    Parameters, returned array and errors are those of `online`; every example must be in and out of two models.
    """
    scores, is_member = shadow_models.checked(shadow_scores, is_member, least_in=2, least_out=2)
    phi = shadow_models.checked_target(target_scores, scores.shape[1:])
    mean, precision, a, b, rho = posterior(scores, is_member, hyperparameters(scores, is_member))
    covariance = np.linalg.inv(precision)
    ratio = np.zeros_like(phi)
    for inside in (1, 0):
        design = np.array([1.0, inside])
        scale = (1 + inside * (rho - 1) + design @ covariance @ design) * b / a
        ratio = ratio + (2 * inside - 1) * log_student(phi, mean @ design, scale, 2 * a)
    return ratio.reshape(len(phi), -1).mean(axis=1)


def hyperparameters(scores: np.ndarray, is_member: np.ndarray) -> dict[str, np.ndarray]:
    """Return the hyperparameters of `bayesian` by the method of moments over all examples, one a query.

    The spread of the examples' variances, beyond that of variances of so few models, gives a and b
    (Smyth 2004); the spread of their means and gains, beyond that of means of so few, gives v_mu and v_d.

    Parameters
    ----------
    scores : float [models, n] or [models, n, queries].
    is_member : bool, with as many axes.
    """
    count_in, count_out = is_member.sum(axis=0), (~is_member).sum(axis=0)
    mean_in, mean_out = (scores.mean(axis=0, where=where) for where in (is_member, ~is_member))
    squares_in, squares_out = (
        np.sum((scores - mean) ** 2, axis=0, where=where)
        for mean, where in ((mean_in, is_member), (mean_out, ~is_member))
    )
    pooled_in, pooled_out = (
        np.maximum(squares.sum(axis=0) / (count - 1).sum(axis=0), LEAST_STD**2)
        for squares, count in ((squares_in, count_in), (squares_out, count_out))
    )
    rho = pooled_in / pooled_out
    freedom = count_in + count_out - 2
    variance = (squares_out + squares_in / rho) / freedom  # of every example
    average = np.maximum(variance.mean(axis=0), LEAST_STD**2)
    excess = (variance**2).mean(axis=0) / average**2 / (1 + 2 / freedom).mean(axis=0)
    a = np.where(
        excess > 1 + LEAST_EXCESS, (2 * excess - 1) / np.maximum(excess - 1, LEAST_EXCESS), SHAPE_OF_EQUAL_VARIANCES
    )
    gain = mean_in - mean_out
    noise_out, noise_gain = ((1 / count_out).mean(axis=0), (1 / count_out + rho / count_in).mean(axis=0))
    v_mu = np.maximum(mean_out.var(axis=0) / average - noise_out, LEAST_PRIOR_VARIANCE)
    v_d = np.maximum(gain.var(axis=0) / average - noise_gain, LEAST_PRIOR_VARIANCE)
    return {
        "m": mean_out.mean(axis=0),
        "g": gain.mean(axis=0),
        "v_mu": v_mu,
        "v_d": v_d,
        "a": a,
        "b": average * (a - 1),
        "rho": rho,
    }


def posterior(scores: np.ndarray, is_member: np.ndarray, prior: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Return mean [n, ..., 2] and precision [n, ..., 2, 2] of (mu, d) in units of 1/s^2, a, b and rho.

    The textbook update of a Bayesian linear regression with weights 1 and 1/rho. The arguments are
    those of `bayesian` and what `hyperparameters` returned.
    """
    weight = np.where(is_member, 1 / prior["rho"], 1.0)
    shape = scores.shape[1:]
    prior_mean = np.broadcast_to(np.stack([prior["m"], prior["g"]], -1), (*shape, 2))
    prior_precision = np.broadcast_to(np.stack([1 / prior["v_mu"], 1 / prior["v_d"]], -1), (*shape, 2))
    precision = np.zeros((*shape, 2, 2))
    precision[..., 0, 0] = weight.sum(axis=0) + prior_precision[..., 0]
    precision[..., 0, 1] = precision[..., 1, 0] = np.sum(weight * is_member, axis=0)
    precision[..., 1, 1] = precision[..., 0, 1] + prior_precision[..., 1]
    evidence = (
        np.stack([(weight * scores).sum(axis=0), (weight * scores * is_member).sum(axis=0)], -1)
        + prior_precision * prior_mean
    )
    mean = np.linalg.solve(precision, evidence[..., None])[..., 0]
    residual = (weight * scores**2).sum(axis=0) + (prior_precision * prior_mean**2).sum(-1) - (mean * evidence).sum(-1)
    return mean, precision, prior["a"] + len(scores) / 2, prior["b"] + residual / 2, prior["rho"]


def log_student(x: np.ndarray, mean: np.ndarray, scale: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Return the log density of Student's t at x, with location `mean` and squared scale `scale`.

    It is written out because scipy.stats takes a second to import, for which every kernel and worker would wait.
    """
    z = (x - mean) ** 2 / scale / freedom
    return (
        gammaln((freedom + 1) / 2)
        - gammaln(freedom / 2)
        - np.log(np.pi * freedom * scale) / 2
        - (freedom + 1) / 2 * np.log1p(z)
    )


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
        raise ValueError(
            "no example has two shadow models of the same kind, so no variance can be estimated: "
            "train at least 4, with members from membership_matrix"
        )
    return mean, np.maximum(np.sqrt(squares / freedom), LEAST_STD)


def log_density(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return log N(x; mean, std^2) in nats, without the constant log sqrt(2 pi)."""
    return -(((x - mean) / std) ** 2) / 2 - np.log(std)
