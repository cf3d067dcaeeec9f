"""Shadow models: copies of the target whose members the attacker knows (Shokri et al. 2017)."""

import numpy as np

MOST_SHADOWS = 1000  # Each seed has so many shuffles of its own; with more models two seeds would share some.


def shadow_split(attacker: np.ndarray, ds: int, number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the members and the non-members of shadow model `number`.

    The attacker's data are shuffled; the first `ds` are members, the next `ds` are not.
    With ``seed = 0`` the shuffle is seeded with `number`, as in the paper.

    Parameters
    ----------
    attacker : int64 indices of the attacker's data.
    ds : members (and non-members) of one shadow model.
    number : 0 to `MOST_SHADOWS` - 1.

    Returns
    -------
    Two int64 arrays [ds], disjoint subsets of `attacker`.

    Raises
    ------
    ValueError
        If twice `ds` exceeds the attacker's data.
    """
    if not 1 <= ds <= len(attacker) // 2:
        raise ValueError(
            f"ds = {ds}: a shadow model needs ds members and ds non-members, and the attacker "
            f"has {len(attacker):,} images: choose ds between 1 and {len(attacker) // 2:,}"
        )
    shuffled = np.random.RandomState(MOST_SHADOWS * seed + number).permutation(attacker)
    return shuffled[:ds], shuffled[ds : 2 * ds]


def membership_matrix(n: int, models: int, rng: np.random.Generator) -> np.ndarray:
    """Return which of `n` examples each of `models` shadow models is trained on.

    Models come in complementary pairs: model 2i has a random half of the examples, and model 2i + 1
    has the others. So every example is in exactly half of the models, and for even `n` every model
    has exactly n/2 examples; for odd `n` they have (n - 1)/2 and (n + 1)/2 in turn. To attack
    one of these models with the others, leave out its partner too: the other pairs are balanced,
    whereas an example that is in fewer than half of them would thereby be known to be a member.

    Parameters
    ----------
    n : examples, at least 2.
    models : even, at least 2.
    rng : source of the halves.

    Returns
    -------
    is_member : bool [models, n], True where the example is a member of the model.

    Raises
    ------
    ValueError
        If `models` is odd, or one of the numbers is below 2.
    """
    if n < 2 or models < 2 or models % 2:
        raise ValueError(
            f"n = {n}, models = {models}: every example is to be in half of the models, which takes "
            "at least 2 examples and an even number of at least 2 models"
        )
    first = rng.permuted(np.tile(np.arange(n) < n // 2, (models // 2, 1)), axis=1)
    return np.stack([first, ~first], axis=1).reshape(models, n)


def checked(
    shadow_scores: np.ndarray, is_member: np.ndarray, least_in: int, least_out: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return shadow scores as float64, and `is_member` with as many axes, for ``where=is_member``.

    Parameters
    ----------
    shadow_scores : float [models, n] or [models, n, queries], finite.
    is_member : bool [models, n], which example was in which model.
    least_in, least_out : models that every example must at least be in, and out of.

    Raises
    ------
    ValueError
        If shapes do not fit, a score is not finite, or an example is in, or out of, too few.
    """
    scores, is_member = np.asarray(shadow_scores, dtype=np.float64), np.asarray(is_member)
    if is_member.dtype != bool or scores.ndim not in (2, 3) or scores.shape[:2] != is_member.shape:
        raise ValueError(
            f"shadow scores of shape {list(scores.shape)} with is_member of shape {list(is_member.shape)} and "
            f"type {is_member.dtype}: expected [models, n] or [models, n, queries], with bool is_member [models, n]"
        )
    _finite(scores, "shadow scores")
    for side, counts, least in (
        ("in", is_member.sum(axis=0), least_in),
        ("out of", (~is_member).sum(axis=0), least_out),
    ):
        if (few := np.flatnonzero(counts < least)).size:
            raise ValueError(
                f"{few.size} of {is_member.shape[1]} examples (first: {few[0]}) are {side} fewer than {least} "
                f"of the {len(is_member)} shadow models: train more, with members from membership_matrix"
            )
    return scores, is_member.reshape(is_member.shape + (1,) * (scores.ndim - 2))


def checked_target(target_scores: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a target's scores as float64; ValueError unless they are finite and of `shape`."""
    scores = np.asarray(target_scores, dtype=np.float64)
    if scores.shape != tuple(shape):
        raise ValueError(
            f"target scores of shape {list(scores.shape)}: expected {list(shape)}, as the shadow models' "
            "scores have; pass the same examples in the same order, with the same queries"
        )
    _finite(scores, "target scores")
    return scores


def _finite(scores: np.ndarray, name: str) -> None:
    if bad := int((~np.isfinite(scores)).sum()):
        raise ValueError(
            f"{bad} of {scores.size} {name} are NaN or infinite: expected finite ones; look for a model "
            "that diverged, and compute confidences from logits, not from rounded probabilities"
        )
