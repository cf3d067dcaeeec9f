"""What a data set and its split allow: every upper limit that the parameters' models cannot know, in one place.

`python -m dcpriv_lib.limits PROFILE [STAGE ...]` says all that does not fit, of a whole profile; the engine asks it as
soon as the split is there. Every notebook asks for itself before it computes anything (`check`).
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .attacks.shadow_models import membership_matrix, shadow_split
from .engine.errors import ParameterError, as_list, too_large

if TYPE_CHECKING:
    from .study import Study


class Limit(NamedTuple):
    """How large a parameter, or the largest entry of a list, may be.

    Attributes
    ----------
    name, value : of the parameter.
    most : the largest value allowed.
    what : what there are `most` of, for the message: "images in half of the pool".
    """

    name: str
    value: int | list[int]
    most: int
    what: str

    @property
    def fits(self) -> bool:
        """Whether no entry is above the limit."""
        return max(as_list(self.value), default=0) <= self.most

    def __str__(self) -> str:
        return too_large(*self)


def check(stage: str, study: "Study", **earlier) -> None:
    """Raise ParameterError if a parameter of a notebook is above what its study's data allow.

    Parameters
    ----------
    stage : the notebook's name, a key of `LIMITS`.
    study : with the notebook's parameters.
    earlier : parameters of earlier notebooks that what is read here was made with.

    Raises
    ------
    ParameterError
        With one line for each of the parameters that do not fit.
    """
    if lines := exceeded(study, {stage: earlier | study.parameters}):
        raise ParameterError("\n".join(lines))


def exceeded(study: "Study", chosen: dict[str, dict]) -> list[str]:
    """Return one sentence for each parameter that is above what the data allow, with the tightest of its limits.

    Parameters
    ----------
    study : whose data and split they are.
    chosen : stage to its parameters, of all stages that are to be run.
    """
    limits = [
        (stage[:2].lstrip("0"), limit)
        for stage, parameters in chosen.items()
        for limit in LIMITS.get(stage, _none)(study, parameters)
        if not limit.fits
    ]
    lines = []
    for name in dict.fromkeys(limit.name for _, limit in limits):
        own = [(stage, limit) for stage, limit in limits if limit.name == name]
        numbers = list(dict.fromkeys(stage for stage, _ in own))
        tightest = min((limit for _, limit in own), key=lambda limit: limit.most)
        lines.append(f"{tightest} (notebook{'s' * (len(numbers) > 1)} {', '.join(numbers)})")
    return lines


# ---------------------------------------------------------------- the limits of every notebook


def _none(study: "Study", chosen: dict) -> Iterator[Limit]:
    yield from ()


def _condensation(study: "Study", chosen: dict) -> Iterator[Limit]:
    if not chosen["synthetic_sets"]:  # else the file says how many there are
        yield Limit("ipc", chosen["ipc"], _fewest(study, [study.members]), "members of the smallest class")


def _shadow_training(study: "Study", chosen: dict) -> Iterator[Limit]:
    most = len(study.attacker) // 2
    yield Limit("ds", chosen["ds"], most, "images in half of the attacker's, who needs as many for non-members")


def _attack(study: "Study", chosen: dict) -> Iterator[Limit]:
    if 0 < chosen.get("ds", 0) <= len(study.attacker) // 2:
        halves = [shadow_split(study.attacker, chosen["ds"], j, study.seed) for j in range(chosen["n_shadows"])]
        rows = [np.concatenate(side) for side in zip(*halves)]
        most = _fewest(study, rows)
        what = "rows of members, or of non-members, of some class among the shadow models'"
        yield Limit("folds", chosen["folds"], most, what)


def _controls(study: "Study", chosen: dict) -> Iterator[Limit]:
    yield _canaries(study, chosen)
    yield _smaller("doses", study, chosen)
    halves = _halves_with_canaries(study, chosen, chosen["n_models"], "controls")
    yield from _per_class(study, chosen, halves, ["sizes"])
    few = "images of some class in one of the halves of the pool"
    yield Limit("control_ipc", chosen["control_ipc"], _fewest(*halves), few)
    for dose in chosen["doses"]:
        yield from _ipc_of(study, 2 * dose, chosen, chosen["n_models"], ("dose", dose), "doses")


def _methods(study: "Study", chosen: dict) -> Iterator[Limit]:
    halves = _halves_with_canaries(study, chosen, chosen["n_per_method"], "methods")
    yield from _per_class(study, chosen, halves, ["control_ipc", "other_ipc", "real_sizes"])
    yield _canaries(study, chosen)
    yield Limit("class_counts", chosen["class_counts"], len(study.classes), "classes")
    yield _smaller("crowds", study, chosen)
    tuned_on = study.rng("tuning").permutation(study.attacker)[: len(study.attacker) // 2]
    what = "images of some class in that half of the attacker's on which step sizes are tried"
    yield Limit("control_ipc", chosen["control_ipc"], _fewest(study, [tuned_on]), what)
    for crowd in chosen["crowds"]:
        yield from _ipc_of(study, 2 * crowd, chosen, chosen["n_per_method"], ("methods", "members", crowd), "crowds")
    for count in chosen["class_counts"]:
        some = study.of_classes(count)
        kept = membership_matrix(len(some.pool), chosen["n_per_method"], study.rng("methods", "classes", count))
        most = _fewest(some, [some.pool[half] for half in kept], min(count, len(study.classes)))
        what = f"images of some class in a half of those of the first {count} classes"
        yield Limit("control_ipc", chosen["control_ipc"], most, what)


def _robustness_and_fairness(study: "Study", chosen: dict) -> Iterator[Limit]:
    sizes = np.bincount(study.labels[study.non_members], minlength=len(study.classes))
    pictures = int(np.minimum(sizes, chosen["n_pictures"]).sum())
    yield Limit("strong_pictures", chosen["strong_pictures"], pictures, "pictures, n_pictures of every class")
    for name in ("control_ipc", "other_ipc"):  # notebook 9's, whose methods condense the members here
        if name in chosen:
            yield Limit(name, chosen[name], _fewest(study, [study.members]), "members of the smallest class")


def _formal_privacy(study: "Study", chosen: dict) -> Iterator[Limit]:
    yield _canaries(study, chosen)
    people, per_class = len(study.pool) // 2, len(study.pool) / 2 / len(study.classes)
    rehearsed_on = study.rng("rehearsal").permutation(study.attacker)[: 2 * len(study.attacker) // 3]
    yield Limit("dp_batch", chosen["dp_batch"], people, "people in half of the pool, who can be in a batch")
    what = "people in two thirds of the attacker's images, on which settings are tried"
    yield Limit("dp_batch", chosen["dp_batch"], len(rehearsed_on), what)
    yield Limit("dm_batch", chosen["dm_batch"], int(per_class), "people of a class in half of the pool, on average")
    halves = _halves_with_canaries(study, chosen, chosen["private_models"], "controls")
    few = "images of some class in one of the halves of the pool"
    yield Limit("control_ipc", chosen["control_ipc"], _fewest(*halves), few)
    what = "images of some class in two thirds of the attacker's, on which settings are tried"
    yield Limit("control_ipc", chosen["control_ipc"], _fewest(study, [rehearsed_on]), what)


def _released_images(study: "Study", chosen: dict) -> Iterator[Limit]:
    halves = _halves_with_canaries(study, chosen, chosen["n_sets"], "methods")
    yield from _per_class(study, chosen, halves, ["control_ipc", "other_ipc"])
    yield _canaries(study, chosen)
    yield _smaller("crowds", study, chosen)
    per_class = len(study.pool) // 2 / len(study.classes)
    yield Limit("dm_batch", chosen["dm_batch"], int(per_class), "people of a class in half of the pool, on average")
    theirs = "images of some class among the attacker's"
    yield Limit("control_ipc", chosen["control_ipc"], _fewest(study, [study.attacker]), theirs)
    for crowd in chosen["crowds"]:
        yield from _ipc_of(study, 2 * crowd, chosen, chosen["n_sets"], ("methods", "members", crowd), "crowds")


# ``LIMITS[stage](study, parameters)`` yields the limits of one notebook. Those of n_images are the data set's own, see
# `data.split.some_images`; notebooks that are not named have none.
LIMITS: dict[str, Callable[["Study", dict], Iterable[Limit]]] = {
    "02_condensation": _condensation,
    "03_shadow_training": _shadow_training,
    "04_attack": _attack,
    "07_controls": _controls,
    "09_methods": _methods,
    "10_robustness_and_fairness": _robustness_and_fairness,
    "11_formal_privacy": _formal_privacy,
    "12_released_images": _released_images,
}


# ---------------------------------------------------------------- what several of them share


def _canaries(study: "Study", chosen: dict) -> Limit:
    return Limit("n_canaries", chosen["n_canaries"], len(study.pool) // 4, "images in a quarter of the pool")


def _smaller(name: str, study: "Study", chosen: dict) -> Limit:
    return Limit(name, chosen[name], len(study.pool) // 2, "images in half of the pool")


def _per_class(study: "Study", chosen: dict, halves: tuple, names: list[str]) -> Iterator[Limit]:
    """Yield the limits of numbers of images a class: a third of the smallest class, and what every half has."""
    third, fewest = _fewest(study, [study.pool]) // 3, _fewest(*halves)
    what = "images, a third of the smallest class" if third <= fewest else "images of some class in one of the halves"
    for name in names:
        yield Limit(name, chosen[name], min(third, fewest), what)


def _halves_with_canaries(study: "Study", chosen: dict, models: int, purpose: str) -> tuple["Study", list[np.ndarray]]:
    """Return the study with the wrong labels of its canaries, and the halves of the pool."""
    world = study.with_canaries(min(chosen["n_canaries"], len(study.pool)))
    member = membership_matrix(len(study.pool), models, study.rng(purpose))
    return world, [study.pool[half] for half in member]


def _ipc_of(study: "Study", size: int, chosen: dict, models: int, purpose: tuple, of: str) -> Iterator[Limit]:
    """Yield the limit of control_ipc where a smaller pool is halved; none if there is no pool of this size."""
    if size <= len(study.pool):
        some, kept = study.subset(size), membership_matrix(size, models, study.rng(*purpose))
        most = _fewest(some, [some.pool[half] for half in kept])
        what = f"images of some class in a half of the smallest of the {of}"
        yield Limit("control_ipc", chosen["control_ipc"], most, what)


def _fewest(study: "Study", sets: Iterable[np.ndarray], classes: int | None = None) -> int:
    """Return how many images the rarest of the (first) classes has in any of some sets of rows."""
    count = classes or len(study.classes)
    return min(int(np.bincount(study.labels[rows], minlength=count)[:count].min()) for rows in sets)


# ---------------------------------------------------------------- the whole profile


# notebook to an earlier one, with whose parameters what it reads was made
EARLIER = {"04_attack": "03_shadow_training", "10_robustness_and_fairness": "09_methods"}


def with_earlier(profile: dict[str, dict]) -> dict[str, dict]:
    """Return stage to its parameters, and those of the notebook of `EARLIER`; `profile` has all stages."""
    return {stage: profile[EARLIER[stage]] | own if stage in EARLIER else own for stage, own in profile.items()}


def main(name: str, *only: str) -> None:
    """Exit with all that a profile's parameters exceed; `only` names the stages to be run, in place of all."""
    from . import profiles, stages
    from .data.dataset import DataError
    from .engine.store import ArtefactError
    from .study import Study

    profile = profiles.read(name)
    of_split = profile["01_data_split"]
    try:
        study = Study(name, of_split["dataset"], of_split["seed"])
    except (ArtefactError, DataError):
        return  # there is no split yet, or it is damaged: the engine makes it (again), and then asks again
    except OSError as error:  # the results cannot be written to
        sys.exit(str(error))
    names = [stage.name for stage in stages.in_profile(profile) if stage.name in only or not only]
    chosen = with_earlier(profile)
    if lines := exceeded(study, {stage: chosen[stage] for stage in names}):
        parts = (study.members, study.non_members, study.attacker)
        sizes = ", ".join(
            f"{len(part):,} {what}" for part, what in zip(parts, ("members", "non-members", "images of the attacker's"))
        )
        told = "\n  ".join(lines)
        sys.exit(
            f"profiles/{name}.yaml does not fit {of_split['dataset']} ({sizes}; {len(study.classes)} classes):\n"
            f"  {told}\nWrite smaller values into it; a parameter that it does not name has its notebook's default."
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
