"""What an attack reads off a model's answer for one example: its loss, its confidence, its probability."""

import numpy as np
from scipy.special import logsumexp, softmax


def finite(logits: np.ndarray) -> np.ndarray:
    """Return logits [..., classes] as float64, or raise ValueError if one is NaN or infinite."""
    logits = np.asarray(logits, dtype=np.float64)
    bad = ~np.isfinite(logits).all(axis=-1)
    if bad.any():
        raise ValueError(
            f"{int(bad.sum())} of {bad.size} rows of logits hold NaN or infinity: the model diverged; "
            "train it with a smaller learning rate, or scale its pixels"
        )
    return logits


def losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cross-entropy in nats, float64 [n], of logits [n, classes] at int labels [n].

    Raises
    ------
    ValueError
        If a logit is NaN or infinite.
    """
    logits = finite(logits)
    return logsumexp(logits, axis=1) - logits[np.arange(len(logits)), np.asarray(labels)]


def logit_confidence(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the logit-scaled confidence in the true class, phi = log(p_y / (1 - p_y)).

    Computed as phi = z_y - log sum_{c != y} exp(z_c), which stays exact where p_y rounds to 0 or
    1. Unlike p_y or the loss, phi is close to Gaussian over models (Carlini et al. 2022).

    Parameters
    ----------
    logits : float [n, classes] or [n, queries, classes], z, finite, two classes or more.
    labels : int [n], the true classes y.

    Returns
    -------
    float64 [n] or [n, queries], in nats, unbounded.

    Raises
    ------
    ValueError
        If a logit is NaN or infinite, or there are fewer than two classes.
    """
    logits = finite(logits)
    if logits.shape[-1] < 2:
        raise ValueError(
            f"logits of shape {list(logits.shape)}: a confidence needs two classes or more, in the last axis"
        )
    true = np.asarray(labels).reshape(-1, *(1,) * (logits.ndim - 1))
    wrong_classes = logits.copy()
    np.put_along_axis(wrong_classes, true, -np.inf, axis=-1)
    return np.take_along_axis(logits, true, axis=-1)[..., 0] - logsumexp(wrong_classes, axis=-1)


def true_class(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the softmax probability of the true class, float64 from 0 to 1.

    Parameters
    ----------
    logits : float [n, classes] or [n, queries, classes].
    labels : int [n].

    Returns
    -------
    float64 [n] or [n, queries].
    """
    p = softmax(np.asarray(logits, dtype=np.float64), axis=-1)
    true = np.asarray(labels).reshape(-1, *(1,) * (p.ndim - 1))
    return np.take_along_axis(p, true, axis=-1)[..., 0]


def accuracies(logits: np.ndarray, labels: np.ndarray, asked: np.ndarray | bool = True) -> np.ndarray:
    """Return the share of right answers, float64 [models] from 0 to 1, of logits [models, n, classes].

    Only the examples `asked` count, bool [models, n]. NaN where there are no examples (`labels` int [n] is empty).
    """
    right = np.asarray(logits).argmax(axis=-1) == np.asarray(labels)
    return right.mean(axis=-1, where=asked) if right.shape[-1] else np.full(len(right), np.nan)
