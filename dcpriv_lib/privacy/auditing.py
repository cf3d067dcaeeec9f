"""An empirical lower bound on epsilon, from what an attack achieved.

If the training algorithm is (epsilon, delta)-differentially private, every attack has
TPR <= exp(epsilon) FPR + delta and 1 - FPR <= exp(epsilon) (1 - TPR) + delta (Kairouz, Oh &
Viswanath 2015). An attack that does better therefore refutes that epsilon.

What a bound shows: with the stated confidence, no claim of a smaller epsilon can be true. What it does
not show: an upper bound. 0 means that *this* attack on this many examples says nothing, and is no
evidence of privacy; training without noise comes with no guarantee of any epsilon. The largest
value that n members and n non-members can prove is ``lower_bound(n, n, 0, n)``, however bad the leak.

The confidence of `lower_bound` holds for independent examinations: one example from each of many
trained models, with membership decided by a coin. Many examples of *one* model share its randomness;
then read that bound as an estimate. `one_run` is made for this case (Steinke, Nasr & Jagielski 2023), and
`one_run_gaussian` for the same against a claim about the whole trade-off of errors. `pooled` counts the
canaries of several models together.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import bdtrc, expit, ndtr, ndtri

from ..metrics import LEVEL, Counts, checked, clopper_pearson
from .accounting import gaussian_epsilon

GUESSED_SHARES = (0.1, 0.25, 0.5, 1.0)  # `pooled` tries to guess about each of these shares of the canaries.
# Upper end of the search for an epsilon (in nats) and for a mu that is refuted. r right guesses refute an epsilon of
# about ln(r / 3), and a mu that is smaller: no audit has so many canaries that either reaches 50.
LARGEST_REFUTED = 50.0


def lower_bound(
    hits: Counts, members: Counts, false_alarms: Counts, non_members: Counts, delta: float = 0.0, level: float = LEVEL
) -> np.ndarray:
    """Return the largest epsilon that these counts refute, 0 if none.

        epsilon >= max( ln((TPR_low - delta) / FPR_high), ln((TNR_low - delta) / FNR_high) )

    TPR_low and FPR_high are the ends of Clopper-Pearson intervals. Each end errs with
    probability (1 - level)/2 at most. TNR_low = 1 - FPR_high and FNR_high = 1 - TPR_low, so the mirrored
    bound rests on the same two ends, and by Bonferroni both bounds hold together with `level`.

    Parameters
    ----------
    hits, members : members called members, and members asked; int or int arrays.
    false_alarms, non_members : non-members called members, and non-members asked.
    delta : 0 to 1, 1 excluded.
    level : confidence, between 0 and 1.

    Returns
    -------
    float64 >= 0, of the shape of the counts.

    Raises
    ------
    ValueError
        If `delta` or a count is out of range, or there are no members or no non-members.
    """
    if not 0 <= delta < 1 or not 0 < level < 1:
        raise ValueError(f"delta = {delta}, level = {level}: delta must be from 0 to below 1, level between 0 and 1")
    if np.min(members) < 1 or np.min(non_members) < 1:
        raise ValueError(f"{members} members and {non_members} non-members: an audit needs some of both")
    tpr_low, _ = clopper_pearson(hits, members, level)
    _, fpr_high = clopper_pearson(false_alarms, non_members, level)
    ratio = np.maximum((tpr_low - delta) / fpr_high, (1 - fpr_high - delta) / (1 - tpr_low))
    return np.log(np.maximum(ratio, 1))


def best_threshold(scores: np.ndarray, is_member: np.ndarray, delta: float = 0.0, level: float = LEVEL) -> float:
    """Return the score t for which "member iff score >= t" gives the largest `lower_bound`.

    Judge it on other examples: a bound found together with its threshold does not have its
    confidence. It is one of the members' scores; of equally good ones the smallest.

    Parameters
    ----------
    scores : float [n], higher for "member".
    is_member : bool [n].
    delta, level : as in `lower_bound`.
    """
    scores, is_member = checked(scores, is_member)
    # Any other threshold has the hits of the next higher one of these, and no fewer false alarms.
    thresholds = np.unique(scores[is_member])
    hits, false_alarms = (
        part.size - np.searchsorted(np.sort(part), thresholds) for part in (scores[is_member], scores[~is_member])
    )
    bounds = lower_bound(hits, is_member.sum(), false_alarms, (~is_member).sum(), delta, level)
    return float(thresholds[np.argmax(bounds)])


def epsilon_lower_bound(
    scores: np.ndarray, is_member: np.ndarray, rng: np.random.Generator, delta: float = 0.0, level: float = LEVEL
) -> float:
    """Return a lower bound on epsilon, >= 0: the threshold is chosen on one half and judged on the other.

    Members and non-members are each halved at random. Read the module's first lines for what the bound
    shows and what not.

    Parameters
    ----------
    scores : float [n], higher for "member".
    is_member : bool [n], with at least two members and two non-members.
    rng : source of the halves.
    delta, level : as in `lower_bound`.

    Raises
    ------
    ValueError
        If there are fewer than two members or non-members, or for the reasons given in
        `metrics.checked` and `lower_bound`.
    """
    scores, is_member = checked(scores, is_member)
    members, non_members = (rng.permutation(np.flatnonzero(mask)) for mask in (is_member, ~is_member))
    if min(len(members), len(non_members)) < 2:
        raise ValueError(
            f"{len(members)} members and {len(non_members)} non-members: each kind is halved, one half to "
            "choose the threshold, the other to judge it, so at least 2 of each are needed"
        )
    select = np.concatenate([members[::2], non_members[::2]])
    threshold = best_threshold(scores[select], is_member[select], delta, level)
    members, non_members = members[1::2], non_members[1::2]
    return float(
        lower_bound(
            (scores[members] >= threshold).sum(),
            len(members),
            (scores[non_members] >= threshold).sum(),
            len(non_members),
            delta,
            level,
        )
    )


def one_run(correct: int, guesses: int, canaries: int, delta: float = 0.0, level: float = LEVEL) -> float:
    """Return the largest epsilon that one model's canaries refute, 0 if none (Steinke et al. 2023, theorem 5.2).

    Each of the canaries was a member or not by its own coin; the attacker guessed for some of them and
    was silent about the others. Under (epsilon, delta)-differential privacy the number of right guesses is hardly
    larger than a binomial of `guesses` trials with probability e^eps / (1 + e^eps):

        P(correct >= v) <= beta(v) + 2 m delta max_{i=1..v} (beta(v - i) - beta(v)) / i,

    beta(v) being the binomial's tail. The bound is the largest epsilon for which this is at most 1 - level.

    Parameters
    ----------
    correct, guesses, canaries : v <= r <= m. The guesses must have been chosen without looking at who was a member.
    delta : 0 to 1, 1 excluded.
    level : confidence, between 0 and 1.

    Raises
    ------
    ValueError
        If the counts do not fit, or `delta` or `level` is out of range.
    """
    _check_game(correct, guesses, canaries, delta, level)

    def p_value(epsilon: float) -> float:
        def tail(v: Counts) -> np.ndarray:
            """Return P(binomial >= v)."""
            return bdtrc(np.asarray(v, dtype=np.float64) - 1, guesses, expit(epsilon))

        steps = np.arange(1, correct + 1)
        alpha = ((tail(correct - steps) - tail(correct)) / steps).max(initial=0.0)
        return float(tail(correct) + 2 * canaries * delta * alpha)

    if correct == 0 or p_value(0.0) > 1 - level:
        return 0.0
    return float(brentq(lambda epsilon: p_value(epsilon) - (1 - level), 0.0, LARGEST_REFUTED))


def one_run_gaussian(correct: int, guesses: int, canaries: int, delta: float = 1e-5, level: float = LEVEL) -> float:
    """Return the largest epsilon of a Gaussian mechanism that one model's canaries refute, 0 if none.

    The same game as in `one_run`, but against a claim about the whole trade-off of errors instead of one point
    of it: the training is as private as telling N(0, 1) from N(mu, 1), as DP-SGD nearly is. Such a claim
    forbids more, so that it takes fewer guesses to refute it (Mahloujifar, Melis & Chaudhuri 2025). With
    m canaries, r guesses and v of them right, start at r_v = (1 - level) v / m, h_v = (1 - level) (r - v) / m, and for
    i = v - 1, ..., 0

        h_i = max(h_{i+1}, Phi(Phi^-1(r_{i+1}) - mu)),   r_i = r_{i+1} + (h_i - h_{i+1}) i / (r - i).

    The claim is refuted if r_0 + h_0 > r / m. Being refuted at this mu says nothing about trainings of another kind.

    Parameters
    ----------
    correct, guesses, canaries, level : as in `one_run`.
    delta : between 0 and 1, at which the refuted mu is expressed as an epsilon (`gaussian_epsilon`).

    Raises
    ------
    ValueError
        If the counts do not fit, or `delta` or `level` is out of range.
    """
    _check_game(correct, guesses, canaries, delta, level)

    def refuted(mu: float) -> float:
        """Return a number above 0 if this mu is refuted."""
        r, h = (1 - level) * correct / canaries, (1 - level) * (guesses - correct) / canaries
        for i in range(correct - 1, -1, -1):
            step = max(ndtr(ndtri(r) - mu) - h, 0.0)
            if step == 0:  # From here on neither r nor h changes.
                break
            r, h = min(r + step * i / (guesses - i), 1.0), h + step
        return r + h - guesses / canaries

    if correct == 0 or refuted(0.0) <= 0:
        return 0.0
    return gaussian_epsilon(brentq(refuted, 0.0, LARGEST_REFUTED), delta)


def _check_game(correct: int, guesses: int, canaries: int, delta: float, level: float) -> None:
    if not 0 <= correct <= guesses <= canaries or not 0 <= delta < 1 or not 0 < level < 1:
        raise ValueError(
            f"{correct} of {guesses} guesses right, {canaries} canaries, delta = {delta}, level = {level}: "
            "expected correct <= guesses <= canaries, delta from 0 to below 1, level between 0 and 1"
        )


def right_guesses(scores: np.ndarray, is_member: np.ndarray, guesses: int) -> int:
    """Return how many guesses are right: half say "member" of the highest scores, half "non-member" of the lowest.

    Parameters
    ----------
    scores : float [m], higher for "member".
    is_member : bool [m].
    guesses : their number, at most m; of an odd number one more says "member".
    """
    order = np.argsort(scores, kind="stable")
    lowest, highest = order[: guesses // 2], order[len(order) - (guesses - guesses // 2) :]
    return int(is_member[highest].sum() + (~is_member[lowest]).sum())


def pooled(
    scores: np.ndarray,
    is_member: np.ndarray,
    delta: float = 0.0,
    level: float = LEVEL,
    bound: Callable[..., float] = one_run,
) -> tuple[float, float]:
    """Return the largest epsilon that the canaries of several models refute together, and the largest that they could.

    If each training is (epsilon, delta)-differentially private, all trainings together are so for every single canary,
    because a canary's coin matters to one model only: the game is `one_run` with the canaries of all models. How many
    guesses tell most is not known before. So all `GUESSED_SHARES` of the canaries are tried, each at a level of
    1 - (1 - level) / 4, and by Bonferroni the largest of the bounds holds with `level`: it exceeds the truth in at most
    1 of 20 repetitions.

    Two conditions decide whether this level holds. All coins must be independent, so that of two models with
    complementary members only one may be asked. And no score may rest on the coins of another model that is asked: with
    leave-pair-out, where all models are each other's references, an attack that learned nothing refutes epsilon = 0 in
    7 of 100 repetitions instead of 5. `asked_and_references` divides models so that both conditions hold.

    Parameters
    ----------
    scores : float [models, canaries], higher for "member".
    is_member : bool [models, canaries].
    delta, level : as in `one_run`.
    bound : `one_run` or `one_run_gaussian`.

    Returns
    -------
    The bound, and what it would be with all guesses right: a claim above the second cannot be tested.
    """
    scores, is_member = np.ravel(scores), np.ravel(is_member)
    tried = sorted({max(1, round(share * scores.size)) for share in GUESSED_SHARES})
    level = 1 - (1 - level) / len(tried)
    bounds = [bound(right_guesses(scores, is_member, guesses), guesses, scores.size, delta, level) for guesses in tried]
    return max(bounds), max(bound(guesses, guesses, scores.size, delta, level) for guesses in tried)


def members_pooled(
    scores: np.ndarray,
    is_member: np.ndarray,
    tried: Sequence[int],
    delta: float = 0.0,
    level: float = LEVEL,
    bound: Callable[..., float] = one_run,
) -> tuple[float, float]:
    """Return what `pooled` does, where only members are guessed: for attacks that recognise a few and nobody's absence.

    Parameters
    ----------
    scores, is_member, delta, level, bound : as in `pooled`, under the same two conditions.
    tried : numbers of guesses, for the highest scores; each is tried, and the level is corrected for how many.
    """
    inside = np.ravel(is_member)[np.argsort(-np.ravel(scores), kind="stable")]
    level = 1 - (1 - level) / len(tried)
    bounds = [bound(int(inside[:guesses].sum()), guesses, inside.size, delta, level) for guesses in tried]
    return max(bounds), max(bound(guesses, guesses, inside.size, delta, level) for guesses in tried)


def asked_and_references(models: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which models `pooled` may ask about, int64 [asked], and which the attacker may know, int64 [references].

    One model of each pair in the first half of the pairs is asked. All models of the other pairs are references: their
    coins say nothing about the models that are asked.

    Parameters
    ----------
    models : how many there are, four or more; models 2i and 2i + 1 are complements.
    """
    asked = models // 4
    if asked == 0:
        raise ValueError(f"{models} models: expected two pairs or more, one to be asked about and one as references")
    return 2 * np.arange(asked), np.arange(2 * asked, models)


# ---------------------------------------------------------------- what an audit says of a claim
NONE, UNTESTABLE, REFUTED, STANDS = "none", "cannot be tested", "REFUTED", "not refuted"


def answer(claimed: float, audited: float, largest: float) -> str:
    """Return what an audit says of a claimed epsilon: one of `NONE`, `UNTESTABLE`, `REFUTED` and `STANDS`.

    Parameters
    ----------
    claimed : the epsilon that is claimed; infinity where nothing is.
    audited : the lower bound that the audit found; NaN where there was none.
    largest : the bound that would have been found with all guesses right. A larger claim would have survived whatever
        had happened.
    """
    if np.isinf(claimed):
        return NONE
    if np.isnan(audited) or claimed >= largest:
        return UNTESTABLE
    return REFUTED if audited > claimed else STANDS
