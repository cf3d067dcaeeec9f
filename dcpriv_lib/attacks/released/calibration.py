"""What other released sets, of other halves of the people, say of a score.

A candidate can have a high score because of looks alone. An attacker who can condense as the owner did makes sets of
halves of the people, and compares: the same candidate's scores in sets with and without. This is LiRA (see `lira`)
with sets in place of models.
"""

from collections.abc import Callable

import numpy as np

LEAST_SETS = 6  # on which a direction is learned


def leave_pair_out(scores: np.ndarray, is_member: np.ndarray, ratio: Callable) -> np.ndarray:
    """Return the calibrated scores of every set against the others, its partner left out, float64 [sets, n].

    Parameters
    ----------
    scores : float [sets, n], sets 2i and 2i + 1 being made of complementary halves.
    is_member : bool [sets, n], who was condensed into which.
    ratio : ``ratio(scores of the others, their is_member, scores of the set)``, as `lira.bayesian`.
    """
    return np.stack(
        [ratio(scores[others], is_member[others], scores[number]) for number, others in enumerate(_others(len(scores)))]
    )


def combined(scores: np.ndarray, is_member: np.ndarray) -> np.ndarray:
    """Return one score out of several, by the linear direction that tells members best on the other pairs.

    Everybody's scores are measured from the middle between the means of the sets with and without the person, in units
    of the spread over sets. Fisher's linear discriminant is learned on the pairs other than that of the set in
    question, every one of which is centred without itself and without the set's pair: nothing is known of who is in
    the set.

    Parameters
    ----------
    scores : float [attacks, sets, n].
    is_member : bool [sets, n].

    Returns
    -------
    float64 [sets, n]
    """
    found = np.empty(is_member.shape)
    for number, others in enumerate(_others(len(is_member))):
        found[number] = combined_outside(scores[:, others], is_member[others], scores[:, number])
    return found


def combined_outside(known: np.ndarray, is_member: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return one score of a set out of several scores, by the direction that is learned on other sets alone.

    Parameters
    ----------
    known : float [attacks, sets, n], of the other sets, 2i and 2i + 1 being made of complementary halves.
    is_member : bool [sets, n], who was condensed into which of these; three pairs or more, since every one is centred
        without its own, and a spread takes two.
    scores : float [attacks, n], of the set in question.

    Returns
    -------
    float64 [n]

    Raises
    ------
    ValueError
        If there are fewer than three pairs.
    """
    if len(is_member) < LEAST_SETS:
        raise ValueError(f"{len(is_member)} other sets: expected {LEAST_SETS} or more, to learn a direction on")
    learned = np.stack(
        [_centred(known[:, rest], is_member[rest], known[:, own]) for own, rest in enumerate(_others(len(is_member)))],
        1,
    )  # [attacks, sets, n]
    direction = _discriminant(learned[:, is_member].T, learned[:, ~is_member].T)
    return direction @ _centred(known, is_member, scores)


def _others(sets: int):
    """Yield, for every set, the numbers of the sets that are not of its pair."""
    for number in range(sets):
        yield np.flatnonzero(np.arange(sets) // 2 != number // 2)


def _centred(known: np.ndarray, inside: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return scores [attacks, n] less the middle of the known ones [attacks, sets, n], in units of their spread."""
    with_, without = (np.where(which, known, 0).sum(1) / np.maximum(which.sum(0), 1) for which in (inside, ~inside))
    spread = np.sqrt(np.where(inside, (known - with_[:, None]) ** 2, (known - without[:, None]) ** 2).mean((1, 2)))
    return (scores - (with_ + without) / 2) / np.maximum(spread, np.finfo(float).tiny)[:, None]


def _discriminant(members: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return Fisher's direction, float64 [attacks], from rows of scores of members and of others."""
    within = np.atleast_2d((np.cov(members.T) + np.cov(others.T)) / 2)
    within += 1e-9 * np.trace(within) / len(within) * np.eye(len(within))  # two attacks may be the same
    return np.linalg.solve(within, members.mean(0) - others.mean(0))
