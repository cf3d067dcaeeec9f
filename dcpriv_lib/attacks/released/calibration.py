"""What other released sets, of other halves of the people, say of a score.

A candidate can have a high score because of looks alone. An attacker who can condense as the owner did makes sets of
halves of the people, and compares: the same candidate's scores in sets with and without. This is LiRA (see `lira`)
with sets in place of models.
"""

from collections.abc import Callable

import numpy as np

from .. import lira

TOGETHER = "all together"
LEAST_SETS = 6  # on which a direction is learned
SAME = 1e-7  # of a score's size; a smaller spread over sets is rounding
FARTHEST = 6.0  # spreads from the middle; a copy of somebody is infinitely far, and would be all that a direction knows


def calibrated(scores: dict[str, np.ndarray], is_member: np.ndarray) -> dict[str, np.ndarray]:
    """Return every score calibrated by Bayesian LiRA, and `TOGETHER`, all of them combined.

    Parameters
    ----------
    scores : attack to float [sets, n]. What is the same for everybody, in every set, is left out.
    is_member : bool [sets, n], sets 2i and 2i + 1 being made of complementary halves; four pairs or more.

    Returns
    -------
    dict of attack to float64 [sets, n], higher for "member".
    """
    telling = {attack: of_sets for attack, of_sets in scores.items() if np.ptp(of_sets)}
    found = {attack: leave_pair_out(of_sets, is_member, lira.bayesian) for attack, of_sets in telling.items()}
    return found | {TOGETHER: together(scores, is_member)}


def together(scores: dict[str, np.ndarray], is_member: np.ndarray) -> np.ndarray:
    """Return all scores `combined`, float64 [sets, n]; the arguments are those of `calibrated`."""
    return combined(np.stack([of_sets for of_sets in scores.values() if np.ptp(of_sets)]), is_member)


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

    Raises
    ------
    ValueError
        If there are fewer than four pairs: a spread over the sets with somebody takes two of them, when two pairs are
        left out.
    """
    if len(is_member) < LEAST_SETS + 2:
        raise ValueError(
            f"{len(is_member)} sets: expected {LEAST_SETS + 2} or more, to learn a direction on the other pairs"
        )
    scores = scores - scores.mean((1, 2), keepdims=True)  # sums of squares would lose what is small beside an offset
    of_pairs = _moments_of_pairs(scores, is_member)
    everything, found = of_pairs.sum(0), []
    for pair in range(len(of_pairs)):
        others, rest = np.arange(len(is_member)) // 2 != pair, np.arange(len(of_pairs)) != pair
        known = everything - of_pairs[pair]
        direction = _direction(scores[:, others], is_member[others], known, of_pairs[rest])
        places = _middle_and_spread(known)
        found += [direction @ _centred(scores[:, number], *places) for number in (2 * pair, 2 * pair + 1)]
    return np.stack(found)


def combined_against(references: np.ndarray, is_member: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return one score out of several of one set, by what other sets say, float64 [n]; see `combined`.

    Parameters
    ----------
    references : float [attacks, sets, n], the scores of the other sets, pair by pair.
    is_member : bool [sets, n], who is in which of these.
    scores : float [attacks, n].

    Raises
    ------
    ValueError
        If there are fewer than three pairs of other sets: each is centred without its own pair, and a spread takes two.
    """
    if len(is_member) < LEAST_SETS:
        raise ValueError(f"{len(is_member)} other sets: expected {LEAST_SETS} or more, to learn a direction on")
    offset = references.mean((1, 2), keepdims=True)  # sums of squares would lose what is small beside it
    references, scores = references - offset, scores - offset[:, 0]
    of_pairs = _moments_of_pairs(references, is_member)
    known = of_pairs.sum(0)
    direction = _direction(references, is_member, known, of_pairs)
    return direction @ _centred(scores, *_middle_and_spread(known))


def _direction(references, is_member, known: np.ndarray, of_pairs: np.ndarray) -> np.ndarray:
    """Return what is learned of the other sets, float64 [attacks]; `known` are the moments of all of them, `of_pairs`
    those of each pair."""
    learned = []  # of each set, float64 [attacks, n], centred without its own pair
    for pair, moments in enumerate(of_pairs):
        places = _middle_and_spread(known - moments)
        learned += [_centred(references[:, number], *places) for number in (2 * pair, 2 * pair + 1)]
    scores = np.stack(learned, 1)
    return _discriminant(scores[:, is_member].T, scores[:, ~is_member].T)


def _moments_of_pairs(scores: np.ndarray, is_member: np.ndarray) -> np.ndarray:
    """Return number, sum and sum of squares of everybody's scores in the sets with and without them, of every pair of
    sets, float64 [pairs, 2, 3, attacks, n].

    Moments of some pairs are sums of these, so that leaving one out costs a subtraction.
    """
    found = np.zeros((len(is_member) // 2, 2, 3, *scores[:, 0].shape))
    for number, inside in enumerate(is_member):
        for side, which in enumerate((inside, ~inside)):
            own = scores[:, number] * which
            found[number // 2, side] += np.stack([np.broadcast_to(which, own.shape), own, own**2])
    return found


def _others(sets: int):
    """Yield, for every set, the numbers of the sets that are not of its pair."""
    for number in range(sets):
        yield np.flatnonzero(np.arange(sets) // 2 != number // 2)


def _middle_and_spread(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of what is known of everybody, float64 [attacks, n], and its spread, float64 [attacks].

    Parameters
    ----------
    moments : of the known sets, float64 [2, 3, attacks, n], as of `_moments_of_pairs`.
    """
    number, total, squares = moments.swapaxes(0, 1)  # each [2, attacks, n]
    means = total / np.maximum(number, 1)
    spread = np.sqrt(np.maximum(squares - means * total, 0).sum((0, 2)) / number.sum((0, 2)))
    size = np.sqrt(squares.sum((0, 2)) / number.sum((0, 2)))
    spread[spread <= SAME * size] = np.inf  # the same in all these sets, for everybody: nothing can be learned of it
    return means.mean(0), spread


def _centred(scores: np.ndarray, middle: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return scores [attacks, n] less the middle, in units of the spread."""
    return ((scores - middle) / spread[:, None]).clip(-FARTHEST, FARTHEST)


def _discriminant(members: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return Fisher's direction, float64 [attacks], from rows of scores of members and of others."""
    within = np.atleast_2d((np.cov(members.T) + np.cov(others.T)) / 2)
    # two attacks may be the same, and one may say nothing: then the shortest of all solutions
    return np.linalg.lstsq(within, members.mean(0) - others.mean(0), rcond=1e-9)[0]
