"""Every parameter of the notebooks: what it may be, and one check for notebooks and profiles.

A wrong value is refused before anything is computed, since it would be noticed after hours, or never.
The upper bounds are generous; they keep a slip of the finger from running for ever.
"""

import ast
import difflib
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass

import yaml

from .condensation.condense import METHODS
from .condensation.coresets import CORESETS
from .condensation.defaults import PAPER_LOOPS
from .condensation.starts import STARTS
from .engine.errors import ParameterError, as_list, in_words, nearest, per_ipc
from .engine.paths import PROFILE_NAME, PROFILE_NAME_RULE
from .models.networks import NETWORKS

PIXELS = ("standard", "unit", "raw")


MANY = 1_000_000
MOST_SHADOWS = 1000  # the seeds of a shadow model are this many times the report's seed, and its number
CHECKED = "_parameters_were_checked"
PLAIN = (bool, int, float, str, list, tuple, dict, type(None))


@dataclass(frozen=True)
class Rule:
    """What a parameter may be: a test of its value, and the same in words."""

    fits: Callable[[object], object]  # true or false, like a condition
    expected: str
    words: tuple[str, ...] = ()  # if it is one of some words


def whole(low: int, high: int = MANY) -> Rule:
    """Allow an int, bool excepted, from `low` to `high`."""
    return Rule(lambda value: type(value) is int and low <= value <= high, f"a whole number from {low:,} to {high:,}")


def even(low: int, high: int = 10_000) -> Rule:
    """Allow an even int from `low` to `high`."""
    return Rule(
        lambda value: whole(low, high).fits(value) and value % 2 == 0, f"an even whole number from {low:,} to {high:,}"
    )


def number(low: float, high: float) -> Rule:
    """Allow an int or float from `low` to `high`; NaN is in no range."""
    return Rule(
        lambda value: type(value) in (int, float) and low <= value <= high, f"a number from {low:g} to {high:g}"
    )


def one_of(*names: str) -> Rule:
    """Allow some words."""
    return Rule(lambda value: type(value) is str and value in names, f"one of {', '.join(names)}", names)


def entries(rule: Rule, distinct: bool = False, at_least: int = 1) -> Rule:
    """Allow a list of `at_least` entries or more, each allowed by `rule`."""

    def fits(value) -> bool:
        return (
            type(value) is list
            and len(value) >= at_least
            and all(map(rule.fits, value))
            and not (distinct and len(set(value)) < len(value))
        )

    return Rule(fits, f"a list, each {rule.expected}" + (", none of them twice" if distinct else ""))


def either(one: Rule, other: Rule) -> Rule:
    """Allow what one of two rules allows."""
    return Rule(lambda value: one.fits(value) or other.fits(value), f"{one.expected}, or {other.expected}")


def one_or_many(rule: Rule, distinct: bool = False) -> Rule:
    """Allow what `rule` allows, or a list of it."""
    many = entries(rule, distinct)
    return Rule(
        either(rule, many).fits, f"{rule.expected}, or a list of these" + (", none of them twice" if distinct else "")
    )


A_FILE = Rule(lambda value: type(value) is str and value.strip(), "the path of a file")
FILES = Rule(
    lambda value: value == [] or one_or_many(A_FILE, distinct=True).fits(value),
    "the path of a file, or a list of paths, none of them twice",
)

TABLE = {
    # of all notebooks
    "profile": Rule(lambda value: type(value) is str and PROFILE_NAME.fullmatch(value), PROFILE_NAME_RULE),
    "dataset": Rule(lambda value: type(value) is str and value.strip(), "the name of a data set, or a path"),
    "seed": whole(0, 4_000_000),  # numpy takes seeds below 2^32; those of shadow models are 1000 times this
    "pixels": one_of(*PIXELS),
    "device": one_of("auto", "cpu", "cuda", "mps"),
    "epochs": one_or_many(whole(1)),
    # 1
    "n_images": whole(0),
    # 2
    "ipc": one_or_many(whole(1, 10_000), distinct=True),
    "iterations": one_or_many(whole(1)),
    "outer": whole(0, 10_000),
    "inner": whole(0, 10_000),
    "width": whole(1, 4096),
    "real_batch": whole(1),
    "image_lr": number(1e-9, 1e4),
    "start": one_of(*STARTS),
    "method": one_of(*METHODS),
    "network": one_of(*NETWORKS),
    "condensed_sets": one_or_many(whole(1, 1000)),
    "training_sets": entries(one_of("original", "subset", "condensed"), distinct=True),
    "n_runs": whole(1, 1000),
    "synthetic_sets": FILES,
    # 3
    "ds": whole(1),
    "n_shadows": whole(1, MOST_SHADOWS),
    # 4; an infinite C or gamma would keep the search going for ever
    "grid_C": entries(number(1e-6, 1e6), distinct=True),
    "grid_gamma": entries(number(1e-6, 1e6), distinct=True),
    "folds": whole(2, 1000),
    "merge_step": number(0, 0.1),
    "processes": either(Rule(lambda value: type(value) is int and value == -1, "-1"), whole(1, 1024)),
    "extra_targets": FILES,
    # 6 and 7
    "n_references": even(6),
    "shift": whole(0, 13),  # the smallest images have 14 pixels
    "control_ipc": whole(1, 10_000),
    "n_models": even(6),
    "starts": entries(one_of(*STARTS), distinct=True),
    "sizes": entries(whole(2), distinct=True),
    "n_canaries": whole(8),
    "doses": entries(whole(10), distinct=True, at_least=0),
    "draws": whole(2, 100_000),
    # 9
    "methods": entries(one_of(*CORESETS, *METHODS), distinct=True),
    "factors": entries(number(1e-4, 1e4), distinct=True),
    "effort": number(1e-3, 1e4),
    "training_steps": whole(1),
    "n_per_method": even(6),
    "published_steps": whole(1),
    "real_sizes": entries(whole(2), distinct=True),
    "other_ipc": entries(whole(1, 10_000), distinct=True),
    "more_of": entries(one_of(*METHODS), distinct=True),
    "factor_method": one_of(*METHODS),
    "factor_starts": entries(one_of(*STARTS), distinct=True),
    "class_counts": entries(whole(2), distinct=True),
    "crowds": entries(whole(10), distinct=True),
    # 10
    "n_pictures": whole(1, 100_000),
    "epsilons": Rule(
        lambda value: entries(number(0, 1), distinct=True).fits(value) and value == sorted(value),
        "a list of numbers from 0 to 1, each larger than the one before",
    ),
    "epsilon": number(0, 1),
    "pgd_steps": whole(1, 10_000),
    "strong_pictures": whole(1, 100_000),
    "queries": whole(1),
    "rivals": whole(1, 1000),
    # 11
    "private_models": even(6),
    "n_directions": whole(8, 100_000),
    "dp_epsilons": entries(number(0.01, 1000), distinct=True),
    "delta": number(1e-15, 0.1),
    "dp_steps": entries(whole(1), distinct=True),
    "dp_batch": whole(1),
    "releases": entries(whole(1, 100_000), distinct=True),
    "dm_batch": whole(1),
    "dp_width": whole(1, 4096),
    "frequencies": whole(1, 100_000),
    "updates": whole(1),
    "psg_networks": entries(whole(1, 100_000), distinct=True),
    "psg_looks": whole(1, 100_000),
    "gan_steps": whole(1),
    "generator_steps": whole(1),
    "drawn_per_class": whole(1, 100_000),
    "rival_methods": entries(one_of(*CORESETS, *METHODS), distinct=True),
    # 8
    "clone": Rule(
        lambda value: type(value) is str and (value == "" or value.strip()),
        "the path of a folder, or '' for the one among the data sets",
    ),
    # solutions
    "n_networks": whole(1, 100_000),
    "steps": whole(1),
    "small_ds": whole(1),
    "shuffles": whole(1),
    "guesses": whole(1, 10_000_000),
    "attacked": whole(1, 10_000),
    "removed": whole(1),
    "most_iterations": whole(1),
}


def check(given: MutableMapping) -> dict:
    """Check a notebook's parameters, before it computes anything.

    Papermill only warns of a misspelt parameter, so other variables are refused too: those with a
    public name that are plain data. Only the first check of a kernel does so; once a notebook has
    been run it has variables of its own, and its first cells may be run again.

    Parameters
    ----------
    given : the notebook's ``globals()``, after its parameters and imports; or a dict of parameters.
        Where it holds annotations (``ipc: list = [10]``), they say what the notebook declares.

    Returns
    -------
    dict of name to value of the parameters in `given` that the notebook declares, of all without
    annotations.

    Raises
    ------
    ParameterError
        For a value that its parameter may not have, for two that do not fit each other, and for a
        variable that is no parameter.
    """
    declared = given.get("__annotations__", {})
    if not given.get(CHECKED):
        _check_names(given)
    for name in TABLE.keys() & given.keys():
        _check_value(name, given[name], declared.get(name))
    own = {name: given[name] for name in TABLE if name in given and (name in declared or not declared)}
    _check_together(own)
    given[CHECKED] = True
    return own


def _check_names(given: MutableMapping) -> None:
    own = {name for name, value in given.items() if isinstance(value, PLAIN) and not name.startswith("_")}
    for name in sorted(own - TABLE.keys() - {"In", "Out"}):  # the last two are IPython's
        raise ParameterError(
            f"there is no parameter {name!r}{nearest(name, TABLE)} (in Jupyter, correct the "
            "name and restart the kernel)"
        )


def _check_value(name: str, value, declared: type | None) -> None:
    if not TABLE[name].fits(value):
        raise ParameterError(f"{name} = {in_words(value)}: expected {TABLE[name].expected}{_hint(name, value)}")
    if type(value) is list and declared in (int, float, str):
        raise ParameterError(f"{name} = {in_words(value)}: expected one {declared.__name__} here, not a list")


def _hint(name: str, value) -> str:
    """Return the word that was probably meant, or how to write what YAML or papermill took for text; else nothing."""
    near = difflib.get_close_matches(str(value), TABLE[name].words, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    try:
        found = ast.literal_eval(value)
        text = yaml.safe_dump({name: found}, default_flow_style=True).strip()
        return f"; this is text, write {text}" if isinstance(found, float | list) else ""
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, yaml.YAMLError):
        return ""


def _check_together(own: dict) -> None:
    """Raise ParameterError if two parameters do not fit each other."""
    ipcs = as_list(own.get("ipc", []))
    for name in ("iterations", "condensed_sets"):
        if ipcs and name in own:
            per_ipc(name, own[name], ipcs)
    without = [ipc for ipc in ipcs if ipc not in PAPER_LOOPS]
    if own.get("outer") == 0 and without:
        raise ParameterError(
            "outer = 0 takes the condensation paper's loops, which exist for ipc = "
            f"{', '.join(map(str, PAPER_LOOPS))}, not {without[0]}: set outer and inner "
            "yourself"
        )
    if ipcs and own.get("control_ipc", ipcs[0]) not in ipcs:
        raise ParameterError(f"control_ipc = {own['control_ipc']}: expected one of ipc = {ipcs}")
    for name in ("more_of", "factor_method"):
        for method in as_list(own.get(name, [])):
            if method not in own.get("methods", [method]):
                raise ParameterError(f"{name} = {in_words(own[name])}: expected one of methods = {own['methods']}")
    if "epsilon" in own and own["epsilon"] not in own.get("epsilons", []):
        raise ParameterError(f"epsilon = {own['epsilon']:g}: expected one of epsilons = {own.get('epsilons')}")
    if own.get("extra_targets") and own.get("shift"):
        raise ParameterError(
            f"shift = {own['shift']}: files of extra_targets answer for the images themselves, not "
            "for shifted ones: set shift to 0, or extra_targets to []"
        )
