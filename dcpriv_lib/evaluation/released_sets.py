"""How much a released set gives away, beside a model of it: the strongest attack, and a bound on epsilon."""

import numpy as np

from ..attacks.released import calibration
from ..privacy import auditing
from . import examination

LADDER = 6


def strongest(
    scores: dict[str, np.ndarray], inside: np.ndarray, outside: np.ndarray, others_like_them: bool = False
) -> tuple[str, dict[str, float]]:
    """Return the attack with the highest AUC, and its `examination.examine`.

    The highest of several numbers is too high. So it serves to be fair to the door for which a claim is *not* made.

    Parameters
    ----------
    scores : attack to float [models, n]; the other arguments are those of `examination.examine`.
    """
    rows = {name: examination.examine(one, inside, outside, others_like_them) for name, one in scores.items()}
    best = max(rows, key=lambda name: rows[name]["auc"])
    return best, rows[best]


def epsilon_at_least(scores: dict[str, np.ndarray], is_member: np.ndarray, delta: float) -> tuple[float, float]:
    """Return the largest epsilon that guesses about members of released sets refute, and the largest that they could.

    It is for a guarantee by Gaussian noise (`auditing.one_run_gaussian`). Of epsilon and delta alone nothing can be
    refuted about many thousand people at once: the bound allows 2 delta for each of them.

    Two attacks share the 5 %: minus the distance to the nearest image, asked of one set of each pair, since it needs no
    other set; and all attacks together, asked of the sets, and by the references, of `auditing.asked_and_references`.
    Both are tried with `LADDER` numbers of guesses, from one a set to one in four people (`auditing.members_pooled`).

    Parameters
    ----------
    scores : attack to float [sets, n], "nearest image" among them, as of `Study.scores`.
    is_member : bool [sets, n], sets 2i and 2i + 1 being made of complementary halves.
    delta : of the guarantee.
    """
    asked, references = auditing.asked_and_references(len(is_member))
    telling = np.stack([one for one in scores.values() if np.ptp(one)])
    together = np.stack(
        [
            calibration.combined_against(telling[:, references], is_member[references], telling[:, number])
            for number in asked
        ]
    )
    firsts = np.arange(0, len(is_member), 2)
    tried = [(together, is_member[asked]), (scores["nearest image"][firsts], is_member[firsts])]
    level, bound = 1 - (1 - auditing.LEVEL) / len(tried), auditing.one_run_gaussian
    bounds = [
        auditing.members_pooled(of_sets, member, _ladder(len(member), member.size // 4), delta, level, bound)
        for of_sets, member in tried
    ]
    return max(bounds)


def _ladder(fewest: int, most: int) -> list[int]:
    """Return numbers of guesses to try, each as many times as large as the one before."""
    return sorted(set(np.geomspace(fewest, most, LADDER).round().astype(int).tolist()))
