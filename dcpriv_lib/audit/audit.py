"""What can somebody who holds the images read off a condensed set about who was condensed?

For the owner of the data, before the set is published. `examine` is the whole of it; ``python -m dcpriv_lib.audit`` and
``make audit`` call it.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .. import __version__
from ..engine import foreign_text, paths, provenance
from ..engine.errors import ParameterError
from . import attacking, card as cards, claims as claims_of, people as people_of, references as references_of, verdict

MOST_PEOPLE = 15_000  # members, and as many people held out, unless more are asked for
VERSIONS = ("written", "git_commit", "python", "torch", "numpy", "scipy", "processor")


def examine(
    set_file: str | Path,
    data_file: str | Path,
    *,
    claim: str = claims_of.DEFAULT,
    method: str | None = None,
    command: str | None = None,
    start: str | None = None,
    effort: float = 1.0,
    factor: float = 1.0,
    references: int | None = None,
    minutes: float = 10.0,
    people: int = MOST_PEOPLE,
    seed: int = 0,
    out: str | Path | None = None,
    pictures: bool = True,
    progress: Callable[[str], None] = lambda told: None,
) -> dict:
    """Audit a condensed set, and write ``card.html`` and ``card.json``.

    Parameters
    ----------
    set_file : an npz or safetensors with "images", "labels" and "pixels", see `external.files.synthetic_set`; or a
        condensed set that this report kept.
    data_file : an npz with "train_images", uint8 [N, H, W] or [N, H, W, 3], "train_labels", int [N], and "test_images"
        and "test_labels" of the same form. If it has "member", bool [N], these of train_images were condensed and the
        others held out; else train_images were condensed, and test_images held out. People held out must be a random
        sample of the same kind of people.
    claim : what is stated, see `claims.read`.
    method : one of `condense.METHODS`, by which the set was made; with `start`, `effort` and `factor` of
        `defaults.settings_of`.
    command : or the owner's program, see `references.ByCommand`.
    references : how many sets are made for comparison; None for as many as `minutes` allow, four at least.
    people : members at most about whom is asked, and people held out at most.
    seed : of every choice by chance.
    out : folder for the card and what is kept; ``results/audit-<name of the set>`` if None.
    pictures : whether the page shows the members who are worst off.
    progress : is told, in words, what is going on.

    Returns
    -------
    The card, as in ``card.json``: "verdict", "claims", "attacks", "largest", "detectable", "control", "worst_off" and
    where all of it comes from; "run" has what differs from run to run.

    Raises
    ------
    DataError, ArtefactError, ParameterError, ValueError
        If the input is not as said above; before anything is computed, except for sets that `command` makes.
    """
    begun = time.perf_counter()
    _check_all_is_given(set_file, data_file, method, command, references)
    set_file, data_file = Path(set_file), Path(data_file)
    claims = claims_of.read(claim)
    references_of.check_number(references, minutes)
    given = people_of.read(set_file, data_file, people=people, seed=seed, equal=bool(method or command))
    maker = _maker(given, data_file, method, command, start, effort, factor)
    folder = Path(out) if out else paths.all_results() / f"audit-{foreign_text.in_file_name(set_file.stem)}"
    scores: dict[str, np.ndarray] = {}
    compared = 0
    if given.enough:
        scores, compared = _scores(given, maker, folder / "kept", seed, references, minutes, progress)
    card = {
        "inputs": {
            "SET": foreign_text.plain(set_file.name),
            "DATA": foreign_text.plain(data_file.name),
            "claim": claim,
            "method": method,
            "command": command,
            "start": start,
            "effort": effort,
            "factor": factor,
            "people": people,
            "seed": seed,
        },
        "files": given.checksums,
        "released": {"images": len(given.released), "soft": given.released.labels.ndim > 1},
        "people": given.notes | {"pairs": int(given.pairs)},
        "warnings": given.warned,
        "references": {"number": compared, "maker": method or command, "people": len(given.is_member)},
        "not_tested": _not_tested(given, compared, method or command),
    } | _findings(given, scores, claims, seed, pictures)
    made = provenance.of_this_process()
    card["run"] = {name: made[name] for name in VERSIONS} | {
        "dcpriv": __version__,
        "seconds": time.perf_counter() - begun,
    }
    card["page"] = str(cards.write(folder, card))
    return card


def _check_all_is_given(set_file, data_file, method: str | None, command: str | None, references: int | None) -> None:
    """Raise ParameterError if a file is missing, or if it is not said by one program how the set was made."""
    for name, value in (("SET", set_file), ("DATA", data_file)):
        if not str(value):
            raise ParameterError(f"{name} is missing: give the path of a file: make audit SET=mine.npz DATA=mydata.npz")
    if method and command:
        raise ParameterError("METHOD and COMMAND: the set was made by one of them: give one")
    if not (method or command) and references is not None:
        raise ParameterError(
            f"references = {references}: nobody knows how to make them: give METHOD or COMMAND, by which SET was made"
        )


def _maker(given: people_of.People, data_file: Path, method, command, start, effort, factor):
    """Return what makes sets for comparison; None if nothing does."""
    if method:
        return references_of.ByMethod(given, method, start, effort, factor)
    if command:
        return references_of.ByCommand(given, command, references_of.flat_layout(data_file))
    return None


def _scores(
    given: people_of.People, maker, folder: Path, seed: int, number: int | None, minutes: float, progress
) -> tuple[dict[str, np.ndarray], int]:
    """Return the scores of all attacks, by name, and how many sets they were compared with."""
    attacks = attacking.names(given.released)
    target = attacking.scores(given, given.released, folder, "the set", progress)
    found = dict(zip(attacks, target))
    if maker is None:
        return found, 0
    inside, known = references_of.judged(
        given,
        maker,
        folder,
        lambda one, which: attacking.scores(given, one, folder, f"set {which:03d}", progress),
        seed=seed,
        number=number,
        minutes=minutes,
    )  # [sets, attacks, n]
    return found | attacking.compared(attacks, target, known.swapaxes(0, 1), inside), len(inside)


def _findings(given: people_of.People, scores: dict[str, np.ndarray], claims, seed: int, pictures: bool) -> dict:
    """Return the part of the card that says what was found."""
    copies = given.notes["verbatim of a member"]
    if not scores:
        judged = verdict.of_claims(claims, [], {"holds": True, "blind": {"holds": True}}, copies)
        nothing: dict = {"attacks": [], "largest": None, "surest": None, "detectable": None, "control": None}
        return nothing | {"verdict": verdict.overall(judged, copies), "claims": judged, "worst_off": []}
    rows = verdict.measure(given, scores, claims, seed)
    control = verdict.control(given, scores, seed)
    judged = verdict.of_claims(claims, rows, control, copies)
    surest = verdict.most_personal(rows)
    worst = verdict.worst_off(given, surest["attack"], scores[surest["attack"]])
    return {
        "verdict": verdict.overall(judged, copies),
        "claims": judged,
        "attacks": rows,
        "largest": verdict.strongest(rows),
        "surest": surest,
        "detectable": verdict.detectable(given, len(rows)),
        "control": control,
        "worst_off": cards.pictures(given, worst) if pictures else worst,
    }


def _not_tested(given: people_of.People, compared: int, maker: str | None) -> list[str]:
    """Return sentences about what somebody could do beyond these attacks."""
    found = [
        "Whoever knows what the condensation started from knows more: the attack on a known start was left out.",
        "Attacks that read a person's class, or whether somebody's group was condensed, were not tried; the question "
        "was who was.",
        "Nobody reconstructed images. Other attacks, of today or later, may find more.",
        "The verdict is about this one set. Another set that the same method makes may leak more or less.",
    ]
    if not compared:
        found.insert(
            0,
            "Whoever can condense as the owner did can compare with other sets, which is the stronger attack: "
            "METHOD or COMMAND lets this audit do so."
            if maker is None
            else "No sets for comparison were made.",
        )
    elif given.notes["members"] != len(given.is_member) // 2:
        found.append(
            f"The sets for comparison were made of {len(given.is_member) // 2:,} people, the released one of "
            f"{given.notes['members']:,}, so that they are not quite made alike."
        )
    left = given.notes["members"] - given.notes["members examined"]
    if left:
        found.append(f"{left:,} of the members were not asked about.")
    return found
