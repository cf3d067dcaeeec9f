"""The scores of all attacks, of the released set alone and, where there are sets for comparison, against these."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..attacks import lira
from ..attacks.released import calibration, suite
from ..attacks.released.released_set import Labelled
from ..engine import store
from .people import People

LABELS = "learned labels"  # says nothing where they are hard
COMPARED = ", compared"  # ends the name of an attack that is compared with other sets
TOGETHER = "all together" + COMPARED


def names(released: Labelled) -> list[str]:
    """Return the attacks that somebody can make who holds the images and does not know what they started from."""
    left_out = suite.NEEDS_START | ({LABELS} if released.labels.ndim == 1 else set())
    return [name for name in suite.SCORES if name not in left_out]


def scores(people: People, released: Labelled, folder: Path, told: str, progress: Callable[[str], None]) -> np.ndarray:
    """Return the scores of all candidates by every attack of `names`, float64 [attacks, n]; kept in `folder`.

    Parameters
    ----------
    people : of the audit.
    released : the set that is attacked: the owner's, or one for comparison.
    folder : of the file.
    told : what the set is called in the progress and in the file's name.
    progress : is told, in words, of every attack.
    """
    attacks = names(released)

    def compute(_) -> dict[str, np.ndarray]:
        found = {}
        for attack in attacks:
            progress(f"{told}: {attack}")
            found[attack] = suite.SCORES[attack](released, people.candidates, people.known)
        return {"scores": np.stack([found[attack] for attack in attacks])}

    inputs = {
        "set": store.digest(released.images.numpy(), released.labels.numpy()),
        "data": people.checksums["DATA"],
        "people": store.digest(people.rows, people.is_member, people.known.own.images.numpy()),
        "attacks": attacks,
        "seed": people.known.seed,
    }
    by = tuple(suite.SCORES[attack] for attack in attacks)
    found = store.cached(folder / f"scores-{told.replace(' ', '-')}", inputs, compute, by=by)["scores"]
    for attack, values in zip(attacks, found):
        if not np.isfinite(values).all():
            raise ValueError(f"{attack} gives NaN or infinite scores on {told}: look for extreme pixels in SET")
    return found


def compared(attacks: list[str], target: np.ndarray, known: np.ndarray, is_member: np.ndarray) -> dict[str, np.ndarray]:
    """Return every attack's likelihood ratios, and the combination of all, by sets whose members are known.

    Parameters
    ----------
    attacks : their names.
    target : float [attacks, n], scores on the owner's set.
    known : float [attacks, sets, n], scores on the sets for comparison.
    is_member : bool [sets, n].

    Returns
    -------
    dict of name to float64 [n]: `lira.bayesian` of every attack, its name ending in `COMPARED`; and `TOGETHER`, if
    there are so many sets that a direction can be learned on them.
    """
    found = {name + COMPARED: lira.bayesian(of, is_member, mine) for name, of, mine in zip(attacks, known, target)}
    if len(is_member) >= calibration.LEAST_SETS:
        found[TOGETHER] = calibration.combined_against(known, is_member, target)
    return found
