"""Profiles: YAML files that set the notebooks' parameters, checked before anything runs."""

import ast
import difflib
import functools
import math
import re
from pathlib import Path

import yaml
from pydantic import model_validator

from .engine import paths
from .engine.errors import ParameterError, as_list, nearest
from .parameters import NAMES, model_of, validate
from .stages import STAGES

OF_STAGES = {stage.name: model_of(stage.name) for stage in STAGES}  # their models
# Those that no other one builds on: what it allows is in that one's too.
WHOLE = [
    one for one in dict.fromkeys(OF_STAGES.values()) if sum(issubclass(a, one) for a in set(OF_STAGES.values())) == 1
]


class ProfileError(ValueError):
    """A profile is not YAML, names an unknown key or gives a value that its parameter may not have."""


class Profile(*WHOLE):  # type: ignore[misc]
    """What a profile may set: the parameters of all stages."""

    @model_validator(mode="after")
    def _the_controls_are_about_a_condensed_set_of_notebook_2(self):
        ipcs = as_list(self.ipc)
        if self.control_ipc not in ipcs:
            raise ValueError(f"control_ipc = {self.control_ipc}: expected one of ipc = {ipcs}")
        return self


@functools.cache
def parameters(stage: str) -> dict:
    """Return the parameters a notebook declares, with their defaults."""
    import papermill  # here, because it takes seconds to import, and not everybody asks

    found = papermill.inspect_notebook(str(paths.NOTEBOOKS / f"{stage}.ipynb"))
    return {name: ast.literal_eval(entry["default"]) for name, entry in found.items()}


def read(name: str) -> dict:
    """Read ``profiles/<name>.yaml``: what it changes of the notebooks' defaults.

    Returns
    -------
    dict of stage to its complete parameters.

    Raises
    ------
    ProfileError
        For a missing profile, one that is not YAML, a key that no notebook declares (the
        nearest right one is named), or a value that the notebooks' models refuse.
    """
    path = _find(name)
    given = _load(path)
    known = [key for key in NAMES if key in Profile.model_fields]
    for key in given:
        if key == "profile":
            raise ProfileError(f"{paths.shown(path)}: profile is the name of the file: delete this line")
        if key not in known:
            raise ProfileError(
                f"{paths.shown(path)}: no notebook declares a parameter {key!r}{nearest(str(key), known)}"
            )
    defaults = {stage: parameters(stage) for stage in OF_STAGES}
    chosen = {key: value for own in defaults.values() for key, value in own.items()} | given | {"profile": name}
    try:
        validate(Profile, chosen)
    except ParameterError as error:
        raise ProfileError(f"{paths.shown(path)}: {error}") from None
    return {stage: {key: chosen[key] for key in own} for stage, own in defaults.items()}


def named(config: dict, words: list[str]) -> str:
    """Return the name of the profile that the engine was given, "quick" if none.

    Parameters
    ----------
    config : what Snakemake read of ``--config profile=NAME``: 2024 is a number to it, and 1.10 is 1.1.
    words : those of the command line, which still has the name.

    Raises
    ------
    ProfileError
        If `config` has any other key.
    """
    for key in sorted(config.keys() - {"profile"}):
        near = (difflib.get_close_matches(str(key), Profile.model_fields, n=1, cutoff=0.6) or ["its parameters"])[0]
        hint = "did you mean profile?" if near == "profile" else f"write {near} to profiles/NAME.yaml"
        raise ProfileError(f"--config {key}=...: expected only profile=NAME; {hint}")
    name = config.get("profile", "quick")
    written = [word.rpartition("profile=")[2] for word in words if re.fullmatch("(--config=|-C)?profile=.*", word)]
    return name if isinstance(name, str) else (written or [str(name)])[-1]


def arguments(stage: str, chosen: dict) -> str:
    """Return what differs from a notebook's defaults, as the one-line YAML of papermill's -y."""
    defaults = parameters(stage)
    changes = {key: value for key, value in chosen.items() if value != defaults[key]}
    return yaml.safe_dump(changes, default_flow_style=True, width=math.inf).strip()


def _find(name: str) -> Path:
    try:
        paths.check_profile(name)
    except ValueError as error:
        raise ProfileError(str(error)) from None
    path, bare = paths.PROFILES / f"{name}.yaml", re.sub(r"\.ya?ml$", "", name)
    if path.exists():
        return path
    whole = paths.PROFILES / f"{bare}.yaml"
    if (other := whole.with_suffix(".yml")).exists() and not whole.exists():
        raise ProfileError(f"{paths.shown(other)}: a profile's name ends in .yaml: rename it to {whole.name}")
    if whole.exists():
        raise ProfileError(f"profile = {name!r}: write the name of the file without its ending: {bare}")
    known = sorted(file.stem for file in paths.PROFILES.glob("*.yaml"))
    raise ProfileError(f"there is no profile {name!r} in {paths.shown(paths.PROFILES)}{nearest(name, known)}")


class _PlainLoader(yaml.SafeLoader):
    """YAML in which no key stands twice, of which PyYAML would keep the last in silence, and nothing is copied.

    Aliases and merge keys say little in many lines' place: a few of them, nested, keep the reader busy for ever.
    """

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.MarkedYAMLError(
                problem=f"an alias, *{event.anchor}: write it out", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        seen = []
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem="a merge key, <<: write it out", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} a second time", problem_mark=key.start_mark)
            seen.append(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node):
        try:
            return super().construct_yaml_int(node)
        except ValueError:  # Python reads no whole number of more than 4,300 digits
            digits = len(self.construct_scalar(node))
            problem = f"a whole number of {digits:,} digits"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_yaml_int)


def _load(path: Path) -> dict:
    try:
        given = yaml.load(path.read_text(), _PlainLoader)
        if not isinstance(given, dict | None):
            raise TypeError(f"a {type(given).__name__}")
        return given or {}
    except (yaml.YAMLError, TypeError, ValueError, RecursionError, OSError) as error:
        raise ProfileError(
            f"{paths.shown(path)} is not YAML with a parameter and its value a line "
            f"({' '.join(str(error).split())}): correct it"
        ) from error
