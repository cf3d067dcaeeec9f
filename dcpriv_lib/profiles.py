"""Profiles: YAML files that set the notebooks' parameters, checked before anything runs."""

import difflib
import json

import papermill
import yaml

from . import paths

STAGES = ("01_data_split", "02_condensation", "03_shadow_training", "04_attack", "05_results")
JOBS = {"runs": 1, "shadows": 5}  # target runs and shadow models that one job trains


class ProfileError(ValueError):
    """A profile names an unknown key or gives a value of the wrong type."""


def parameters(stage: str) -> dict:
    """Return the parameters a notebook declares, with their defaults."""
    found = papermill.inspect_notebook(str(paths.NOTEBOOKS / f"{stage}.ipynb"))
    return {name: yaml.safe_load(entry["default"]) if entry["default"] not in ("True", "False")
            else entry["default"] == "True" for name, entry in found.items()}


def read(name: str) -> dict:
    """Read ``profiles/<name>.yaml``: what it changes of the notebooks' defaults.

    Returns
    -------
    dict of stage to its complete parameters, and "jobs" to how the work is divided.

    Raises
    ------
    ProfileError
        For a missing profile, a key that no notebook declares (the nearest right one is
        named), or a value of another type than the default's.
    """
    path = paths.PROFILES / f"{name}.yaml"
    if not path.exists():
        known = sorted(file.stem for file in paths.PROFILES.glob("*.yaml"))
        raise ProfileError(f"there is no profile {name!r} in {paths.shown(paths.PROFILES)}"
                           f"{_nearest(name, known)}; it has {', '.join(known)}")
    given = yaml.safe_load(path.read_text()) or {}
    jobs = given.pop("jobs", {})
    defaults = {stage: parameters(stage) for stage in STAGES}
    known = {key: value for stage in STAGES for key, value in defaults[stage].items()} | {"profile": name}
    _check(path, given, known)
    _check(path, jobs, JOBS, "jobs: ")
    complete = {stage: {key: given.get(key, value) for key, value in defaults[stage].items()}
                | {"profile": name} for stage in STAGES}
    return complete | {"jobs": JOBS | jobs}


def arguments(parameters: dict, **changes) -> str:
    """Return the parameters, with `changes`, as the one-line YAML that papermill's -y takes."""
    return json.dumps(parameters | changes)


def _check(path, given: dict, known: dict, prefix: str = "") -> None:
    for key, value in given.items():
        if key not in known:
            raise ProfileError(f"{paths.shown(path)}: no notebook declares a parameter {prefix}{key!r}"
                               f"{_nearest(str(key), known)}")
        kinds = {type(known[key])} | ({int} if isinstance(known[key], float | list) else set())
        if type(value) not in kinds:
            raise ProfileError(f"{paths.shown(path)}: {prefix}{key} is {value!r}, expected "
                               f"{' or '.join(sorted(kind.__name__ for kind in kinds))}, "
                               f"like {known[key]!r}")


def _nearest(word: str, known) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else ""
