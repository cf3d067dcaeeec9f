"""Profiles: YAML files that set the notebooks' parameters, checked before anything runs."""

import difflib
import functools
import json

import yaml

from . import paths

STAGES = ("01_data_split", "02_condensation", "03_shadow_training", "04_attack", "05_results", "06_stronger_attacks",
          "07_controls")
JOBS = {"sets": 1, "runs": 1, "shadows": 5}  # condensed sets, target runs, shadow models that one job makes


class ProfileError(ValueError):
    """A profile is not YAML, names an unknown key or gives a value of the wrong type."""


@functools.cache
def parameters(stage: str) -> dict:
    """Return the parameters a notebook declares, with their defaults."""
    import papermill  # here, because a notebook that wants `per_ipc` would wait seconds for it
    found = papermill.inspect_notebook(str(paths.NOTEBOOKS / f"{stage}.ipynb"))
    return {name: yaml.safe_load(entry["default"]) if entry["default"] not in ("True", "False")
            else entry["default"] == "True" for name, entry in found.items()}


def as_list(value) -> list:
    """Return a list as it is, anything else as a list of one."""
    return value if isinstance(value, list) else [value]


def per_ipc(name: str, value: int | list[int], ipcs: list[int]) -> dict[int, int]:
    """Return the parameter `value` of each ipc: one number for all, or one for each.

    Raises
    ------
    ValueError
        If `value` has neither one entry nor as many as `ipcs`, or one is below 1.
    """
    values = as_list(value)
    if len(values) not in (1, len(ipcs)) or min(values) < 1:
        raise ValueError(f"{name} = {value}: expected one number of at least 1, or {len(ipcs)}, "
                         f"one for each of ipc = {ipcs}")
    return dict(zip(ipcs, values * len(ipcs) if len(values) == 1 else values))


def read(name: str) -> dict:
    """Read ``profiles/<name>.yaml``: what it changes of the notebooks' defaults.

    Returns
    -------
    dict of stage to its complete parameters, and "jobs" to how the work is divided.

    Raises
    ------
    ProfileError
        For a missing profile, one that is not YAML, a key that no notebook declares (the
        nearest right one is named), or a value of another type than the default's.
    """
    path = paths.PROFILES / f"{name}.yaml"
    if not path.exists():
        known = sorted(file.stem for file in paths.PROFILES.glob("*.yaml"))
        raise ProfileError(f"there is no profile {name!r} in {paths.shown(paths.PROFILES)}"
                           f"{_nearest(name, known)}")
    try:
        given = dict(yaml.safe_load(path.read_text()) or {})
    except (yaml.YAMLError, TypeError, ValueError) as error:  # the last two: of dict(), of the decoder
        raise ProfileError(f"{paths.shown(path)} is not YAML with a parameter and its value a line "
                           f"({' '.join(str(error).split())}): correct it") from error
    jobs = given.pop("jobs", {})
    defaults = {stage: parameters(stage) for stage in STAGES}
    known = {key: value for stage in STAGES for key, value in defaults[stage].items()} | {"profile": name}
    _check(path, given, known)
    _check(path, {"jobs": jobs}, {"jobs": JOBS})
    _check(path, jobs, JOBS, "jobs: ")
    complete = {stage: {key: given.get(key, value) for key, value in defaults[stage].items()}
                | {"profile": name} for stage in STAGES}
    for key in ("iterations", "condensed_sets"):
        try:
            per_ipc(key, complete["02_condensation"][key], as_list(complete["02_condensation"]["ipc"]))
        except ValueError as error:
            raise ProfileError(f"{paths.shown(path)}: {error}") from None
    return complete | {"jobs": JOBS | jobs}


def arguments(stage: str, chosen: dict) -> str:
    """Return what differs from a notebook's defaults, as the one-line YAML of papermill's -y."""
    defaults = parameters(stage)
    return json.dumps({key: value for key, value in chosen.items() if value != defaults[key]})


def _check(path, given: dict, known: dict, prefix: str = "") -> None:
    for key, value in given.items():
        if key not in known:
            what = f"{prefix}there is no" if prefix else "no notebook declares a parameter"
            raise ProfileError(f"{paths.shown(path)}: {what} {key!r}{_nearest(str(key), known)}")
        if not _fits(value, known[key]):
            raise ProfileError(f"{paths.shown(path)}: {prefix}{key} is {value!r}, expected "
                               f"{type(known[key]).__name__}, like {known[key]!r}")


def _fits(value, default) -> bool:
    """Return whether `value` is of the default's type.

    A whole number may also stand for a float, and for a list of whole numbers.
    """
    if isinstance(value, list) and isinstance(default, list):
        return all(any(_fits(entry, one) for one in default) for entry in value)
    if type(value) is int and isinstance(default, list):
        return all(type(one) is int for one in default)
    return type(value) is type(default) or type(value) is int and isinstance(default, float)


def _nearest(word: str, known) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else f": choose from {', '.join(known)}"
