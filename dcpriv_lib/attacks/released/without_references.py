"""A test for whoever holds only the set, the people it was made of and as many who were held out.

If nothing of *who* was condensed is in the set, it does not matter which of two people was: their scores can be
exchanged. So members and people held out at random are paired at random, class by class. In every pair the attacker
says that the one with the higher score was condensed, and is silent where the two scores are near. What looks like a
match but is none, a stranger who resembles an image, is as frequent on both sides and cancels out.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from ...privacy import auditing

SHARES = (0.02, 0.1, 0.3, 1.0)  # of the pairs about which the attacker guesses, each of them tried
LEVEL = 0.95
POWER = 0.8
LEAST_PAIRS = 8


@dataclass(frozen=True)
class Matches:
    """What the pairs say of one score, or of several.

    Attributes
    ----------
    right, guesses : of the share of pairs, one of `SHARES`, that has the smallest p-value.
    p : the chance of so many right guesses, or more, if nothing leaks; corrected for the number of shares.
    detectable : the share of right guesses about all pairs that would have been found in 8 of 10 repetitions.
    epsilon_lower_bound : smaller ones are refuted, at the level asked for, for a guarantee about exchanging one person
        for another. A guarantee about one person more or less, epsilon, gives one of 2 epsilon for an exchange.
    pairs : how many there are.
    """

    right: int
    guesses: int
    p: float
    detectable: float
    epsilon_lower_bound: float
    pairs: int


def matches(
    scores: np.ndarray, is_member: np.ndarray, classes: np.ndarray, rng: np.random.Generator, questions: int = 1
) -> Matches:
    """Return what random pairs of a member and a person held out say of a score.

    Parameters
    ----------
    scores : float [n], higher for "member".
    is_member : bool [n].
    classes : int [n]; the two of a pair are of one class. Of a class with more members than people held out, or fewer,
        a random choice is paired.
    rng : of the pairing, and of ties.
    questions : how many scores are tried on the same people: the bound on epsilon and the detectable share hold for
        the best of them (Bonferroni). `Matches.p` is to be corrected by whoever compares them.

    Raises
    ------
    ValueError
        If there are fewer than `LEAST_PAIRS`.
    """
    difference = _differences(np.asarray(scores, np.float64), is_member, classes, rng)
    pairs = len(difference)
    if pairs < LEAST_PAIRS:
        raise ValueError(
            f"{is_member.sum()} members and {(~is_member).sum()} people held out make {pairs} pairs of one class: "
            f"expected at least {LEAST_PAIRS}"
        )
    sign = np.where(difference == 0, rng.choice([-1.0, 1.0], pairs), np.sign(difference))
    surest = np.argsort(-np.abs(difference), kind="stable")
    tried = []
    for share in SHARES:
        guesses = max(1, round(share * pairs))
        right = int((sign[surest[:guesses]] > 0).sum())
        tried.append((float(binom.sf(right - 1, guesses, 0.5)), right, guesses))
    p, right, guesses = min(tried)
    level = 1 - (1 - LEVEL) / questions / len(SHARES)
    bound = max(auditing.one_run(of_share, number, pairs, level=level) for _, of_share, number in tried)
    return Matches(right, guesses, min(1.0, p * len(SHARES)), _detectable(pairs, questions * len(SHARES)), bound, pairs)


def _differences(scores, is_member, classes, rng) -> np.ndarray:
    """Return the member's score less that of the person held out, float64 [pairs]."""
    found = []
    for label in np.unique(classes):
        own = classes == label
        members, held_out = (rng.permutation(scores[own & side]) for side in (is_member, ~is_member))
        pairs = min(len(members), len(held_out))
        found.append(members[:pairs] - held_out[:pairs])
    return np.concatenate(found)


def _detectable(pairs: int, questions: int) -> float:
    """Return the share of right guesses about all pairs that the test finds with the probability `POWER`."""
    needed = int(binom.isf((1 - LEVEL) / questions, pairs, 0.5)) + 1
    shares = np.linspace(0.5, 1, 2001)
    enough = binom.sf(needed - 1, pairs, shares) >= POWER
    return float(shares[enough.argmax()]) if enough.any() else 1.0
