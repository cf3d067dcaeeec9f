"""What the scores show, and what that says of each claim.

Everything is about these people and these attacks. A claim is refuted by one attack whose lower bound, corrected for
all attacks and all claims, exceeds it. It is verified only if the upper bounds of all attacks are within it: each of
these errs on its own, and the largest leak among the attacks has one of them, so that none is corrected. In between
nothing is concluded.
"""

import numpy as np

from ..attacks.released import without_references
from ..engine.seeding import derive
from ..evaluation.examination import holm
from ..metrics import LEVEL
from . import blind, statistics
from .claims import AUC, EPSILON, EXCESS, EXCHANGE, NOBODY, Claim
from .people import People

VERIFIED, REFUTED, INCONCLUSIVE = "verified", "refuted", "inconclusive"
FPRS = (0.01, 0.001)  # of the true positive rates in the table
CONTROL = 1e-3  # the control fails where chance makes such a difference, over all attacks, so rarely
WORST = 10  # people who are shown


def measure(people: People, scores: dict[str, np.ndarray], claims: list[Claim], seed: int) -> list[dict]:
    """Return what every attack shows, one dict an attack.

    Parameters
    ----------
    people : who is a member, and of which class.
    scores : name of the attack to float [n].
    claims : the levels are corrected for their number too.
    seed : of pairs.

    Returns
    -------
    dicts with "attack"; "auc", [value, low, high] with a 95 % interval; "auc_of_all", the same with an interval that
    holds for all attacks at once; "auc_at_least", "tpr_at_least" (by false positive rate) and "epsilon_at_least" (of an
    exchange), the lower bounds corrected for all attacks and claims; "tpr", by false positive rate as text,
    [value or None, low, high]; "excess", by false positive rate the members above it and the chance of so many; "right"
    and "guesses" about pairs; "p" and "p_corrected", by Holm over the attacks; "tests", for how many the bounds are
    corrected.
    """
    tests = len(scores) * len(claims)
    fprs = sorted({*FPRS, *(claim.fpr for claim in claims if claim.fpr)}, reverse=True)
    rows = [_measured(people, name, values, fprs, len(scores), tests, seed) for name, values in scores.items()]
    corrected = holm(np.array([row["p"] for row in rows]))
    return [row | {"p_corrected": float(p)} for row, p in zip(rows, corrected)]


def _measured(people: People, name: str, scores: np.ndarray, fprs, attacks: int, tests: int, seed: int) -> dict:
    is_member, classes = people.is_member, people.classes
    ranked = statistics.ranks(scores, classes)
    one_sided = 1 - 2 * (1 - LEVEL) / tests  # of an interval of which only the lower end is used
    pairs = without_references.matches(
        scores, is_member, classes, np.random.default_rng(derive(seed, "pairs", name)), tests
    )
    p = 2 * min(statistics.p_of_ranks(ranked, is_member, classes), pairs.p)  # two tests of the same
    rates = {fpr: statistics.tpr(ranked, is_member, fpr) for fpr in fprs}
    return {
        "attack": name,
        "auc": list(statistics.auc(ranked, is_member)),
        "auc_of_all": list(statistics.auc(ranked, is_member, 1 - (1 - LEVEL) / attacks)),
        "auc_at_least": statistics.auc(ranked, is_member, one_sided)[1],
        "tpr": {_key(fpr): [None if np.isnan(rate[0]) else rate[0], *rate[1:]] for fpr, rate in rates.items()},
        "tpr_at_least": {_key(fpr): statistics.tpr(ranked, is_member, fpr, one_sided)[1] for fpr in fprs},
        "excess": {_key(fpr): list(statistics.p_of_excess(ranked, is_member, fpr)) for fpr in fprs},
        "right": pairs.right,
        "guesses": pairs.guesses,
        "epsilon_at_least": pairs.epsilon_lower_bound,
        "p": min(1.0, p),
        "tests": tests,
    }


def _key(fpr: float) -> str:
    return f"{fpr:g}"


def control(people: People, scores: dict[str, np.ndarray], seed: int) -> dict:
    """Return what the attacks find between two random halves of the people held out: "attack" and "auc" of the largest
    difference from 50 %, its "p", corrected for the number of attacks, and whether it "holds"; "blind", what
    `blind.told_apart` finds without the set."""
    rows = np.flatnonzero(~people.is_member)
    classes = people.classes[rows]
    rng = np.random.default_rng(derive(seed, "control"))
    called = np.zeros(len(rows), bool)
    for label in np.unique(classes):
        own = rng.permutation(np.flatnonzero(classes == label))
        called[own[: (len(own) + rng.integers(2)) // 2]] = True
    found = []
    for name, values in scores.items():
        ranked = statistics.ranks(values[rows], classes)
        low = statistics.p_of_ranks(ranked, called, classes)
        p = min(1.0, 2 * min(low, 1 - low) * len(scores))
        found.append((p, name, statistics.auc(ranked, called)))
    p, name, area = min(found)
    return {
        "attack": name,
        "auc": list(area),
        "p": p,
        "holds": p >= CONTROL,
        "blind": blind.told_apart(people, derive(seed, "blind")),
    }


def detectable(people: People, attacks: int) -> dict:
    """Return the smallest leak that one attack would have shown in 8 of 10 repetitions, corrected for their number.

    "auc" is for a leak about everybody, "share" of right guesses about pairs (see `without_references.Matches`) is
    uncorrected.
    """
    members = int(people.is_member.sum())
    rng = np.random.default_rng(0)
    chance = without_references.matches(rng.normal(size=len(people.is_member)), people.is_member, people.classes, rng)
    level = 1 - (1 - LEVEL) / attacks
    return {
        "auc": statistics.detectable_auc(members, len(people.is_member) - members, level),
        "share": chance.detectable,
    }


def strongest(rows: list[dict]) -> dict:
    """Return the row of the attack with the largest leak: the highest lower end of an AUC."""
    return max(rows, key=lambda row: (row["auc_of_all"][1], row["auc"][0]))


def most_personal(rows: list[dict]) -> dict:
    """Return the row of the attack that is surest about single people: the least chance of so many at the top."""
    return min(rows, key=lambda row: (min(p for _, p in row["excess"].values()), row["p"], -row["auc"][0]))


# ---------------------------------------------------------------- verdicts


def of_claims(claims: list[Claim], rows: list[dict], checked: dict, copies: int) -> list[dict]:
    """Return the verdict on each claim, as dicts with "claim", "verdict" and "reason", a sentence.

    Parameters
    ----------
    claims : what is stated.
    rows : of `measure`; none if there were too few people.
    checked : of `control`.
    copies : released images that are members' own.
    """
    found = []
    for claim in claims:
        if not rows:
            verdict, reason = INCONCLUSIVE, "There are too few people to test anything."
        elif not checked["holds"]:
            verdict, reason = INCONCLUSIVE, "The control failed, so that no number here can be relied on."
        elif not checked["blind"]["holds"] and not (copies and claim.kind == NOBODY):
            verdict, reason = (
                INCONCLUSIVE,
                (
                    "Members are told from people held out without the set "
                    f"(AUC {_percent(checked['blind']['auc'][0])}): these are other kinds of people, and what is found "
                    "may be that difference. Hold out a random choice."
                ),
            )
        else:
            verdict, reason = _of_claim(claim, rows, copies)
        found.append({"claim": claim.text, "verdict": verdict, "reason": reason})
    return found


def overall(verdicts: list[dict], copies: int) -> str:
    """Return the verdict on all claims together; never `VERIFIED` if released images are members' own."""
    words = {one["verdict"] for one in verdicts}
    if REFUTED in words:
        return REFUTED
    return VERIFIED if words == {VERIFIED} and not copies else INCONCLUSIVE


def _of_claim(claim: Claim, rows: list[dict], copies: int) -> tuple[str, str]:
    if claim.kind in (EPSILON, EXCHANGE):
        return _of_epsilon(claim, rows)
    if claim.kind == NOBODY:
        return _of_nobody(claim, rows, copies)
    key = _key(claim.fpr)
    bounds = {
        row["attack"]: (row["auc_at_least"], row["auc"][2])
        if claim.kind == AUC
        else (row["tpr_at_least"][key], row["tpr"][key][2])
        for row in rows
    }
    what = "an AUC" if claim.kind == AUC else f"a true positive rate at {_percent(claim.fpr)} false positives"
    attack, (low, _) = max(bounds.items(), key=lambda one: one[1][0])
    if low > claim.most:
        return REFUTED, f"The attack '{attack}' has {what} of at least {_percent(low)}, corrected for all comparisons."
    attack, (_, high) = max(bounds.items(), key=lambda one: one[1][1])
    if high <= claim.most:
        return VERIFIED, f"By these attacks, {what} is at most {_percent(high)} ('{attack}')."
    return INCONCLUSIVE, (
        f"No attack is surely above {_percent(claim.most)}, but '{attack}' may have {what} of up to {_percent(high)}. "
        "More people, held out and condensed, would narrow this down."
    )


def _of_epsilon(claim: Claim, rows: list[dict]) -> tuple[str, str]:
    """A guarantee about one person more or less gives one of twice that for an exchange, which is what pairs test."""
    most = claim.most * (2 if claim.kind == EPSILON else 1)
    row = max(rows, key=lambda row: row["epsilon_at_least"])
    bound = f"'{row['attack']}' refutes an epsilon below {row['epsilon_at_least']:.2f} for the exchange of one person"
    if claim.kind == EPSILON:
        bound += f", and so one below {row['epsilon_at_least'] / 2:.2f} for one person more or less"
    if row["epsilon_at_least"] > most:
        return REFUTED, f"{bound}."
    return INCONCLUSIVE, f"{bound}, and none that is as large as claimed. No attack can verify an epsilon."


def _of_nobody(claim: Claim, rows: list[dict], copies: int) -> tuple[str, str]:
    """Nobody stands out if no more members are above the threshold than of people held out, by chance."""
    key, one_in = _key(claim.fpr), f"1 in {round(1 / claim.fpr):,} people held out"
    if copies:
        return REFUTED, f"{copies} released images are members' own images."
    row = min(rows, key=lambda row: row["excess"][key][1])
    above, p = row["excess"][key]
    if row["tpr"][key][0] is None:
        return INCONCLUSIVE, (
            f"So few people were held out that none of them may stand above {one_in}: hold out "
            f"{round(1 / claim.fpr):,} or more, to be asked about."
        )
    if p <= (1 - LEVEL) / row["tests"]:
        return REFUTED, (
            f"By '{row['attack']}', {above:,} members stand above {one_in}; the chance of so many is {_small(p)}, "
            f"before correction for {row['tests']} comparisons."
        )
    high = max(row["tpr"][key][2] for row in rows)
    if high <= EXCESS * claim.fpr:
        return VERIFIED, (
            f"By these attacks, not more members than chance allows stand above {one_in}, and at most "
            f"{_percent(high)} of all do."
        )
    return INCONCLUSIVE, (
        f"Not more members than chance allows stand above {one_in}, but up to {_percent(high)} of all might: with so "
        f"few people no more can be said. It is verified where at most {EXCESS} times {_percent(claim.fpr)} do."
    )


def _small(p: float) -> str:
    return "below one in a million" if p < 1e-6 else f"{p:.2g}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


# ---------------------------------------------------------------- who is worst off


def worst_off(people: People, name: str, scores: np.ndarray) -> list[dict]:
    """Return the members who stand highest by an attack, one dict each.

    Returns
    -------
    dicts with "candidate", the number among the candidates; "row" in the file; "class"; "above", how many of the
    "held_out" people of the class stand as high or higher; "released", the number of the released image that is
    nearest to theirs, and "distance" to it, root mean square in grey levels from 0 to 1.
    """
    ranked = statistics.ranks(scores, people.classes)
    order = np.lexsort((-scores, -ranked))
    found = []
    for candidate in order[people.is_member[order]][:WORST].tolist():
        label = int(people.classes[candidate])
        of_class = (people.classes == label) & ~people.is_member
        shown = np.flatnonzero(people.released.classes.numpy() == label)
        apart = people.known.grey(people.released.images[shown]) - people.known.grey(
            people.candidates.images[candidate][None]
        )
        distances = apart.square().mean(1).sqrt().numpy()
        found.append(
            {
                "candidate": candidate,
                "row": int(people.rows[candidate]),
                "class": label,
                "above": int((scores[of_class] >= scores[candidate]).sum()),
                "held_out": int(of_class.sum()),
                "released": int(shown[distances.argmin()]),
                "distance": float(distances.min()),
            }
        )
    return found
