"""The parameters of every notebook: what each may be, and one check for notebooks and profiles.

A notebook has one model here. Whoever adds a parameter to a notebook adds one line to its model and nothing else.
A wrong value is refused before anything is computed, since it would be noticed after hours, or never.
The upper bounds are generous; they keep a slip of the finger from running for ever.
"""

import functools
import importlib
import math
from collections.abc import MutableMapping
from typing import Annotated, Literal, TypeAlias, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import core_schema

from .engine.errors import ParameterError, as_list, expected, in_words, nearest, nearest_word, per_ipc, without_quotes
from .engine.paths import PATH_RULE, PROFILE_NAME_RULE, check_path, check_profile

# Names that the library's rooms own; see `__getattr__`
OWNERS = {
    "METHODS": "condensation.condense",
    "CORESETS": "condensation.coresets",
    "PAPER_LOOPS": "condensation.defaults",
    "STARTS": "condensation.starts",
    "NETWORKS": "models.networks",
    "SLOW": "attacks.released.suite",
}
CHECKED = "_parameters_were_checked"
PLAIN = (bool, int, float, str, list, tuple, dict, type(None))


def __getattr__(name: str) -> tuple:
    """Return the names that another room owns, "METHODS" for instance.

    They are imported when they are first asked for: their owners import torch, which takes seconds.
    """
    if name not in OWNERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return tuple(getattr(importlib.import_module(f".{OWNERS[name]}", __package__), name))


# ---------------------------------------------------------------- what a value may be


def _none_twice(entries: list) -> list:
    if len(set(entries)) < len(entries):
        raise ValueError("an entry stands twice")
    return entries


def _ascending(entries: list) -> list:
    if sorted(entries) != entries:
        raise ValueError("an entry is smaller than the one before")
    return entries


def _inside_its_folder(name: str) -> str:
    check_profile(name)
    return name


def _method_and_start(name: str) -> str:
    method, _, start = name.partition(" from ")
    if method not in __getattr__("METHODS") + __getattr__("CORESETS") or start not in ("", *__getattr__("STARTS")):
        raise ValueError("no such method or start")
    return name


def _path(text: str) -> str:
    check_path(text)
    return text


class OneOf:
    """Marks a text that is one of the names in these lists of `OWNERS`; a model asks for them when it is first used."""

    def __init__(self, *lists: str):
        self.lists = lists

    def __get_pydantic_core_schema__(self, source, handler):
        """Return the schema of a Literal."""
        return core_schema.literal_schema([name for names in self.lists for name in __getattr__(names)])


Entry = TypeVar("Entry")
Distinct = Annotated[list[Entry], AfterValidator(_none_twice), Field(json_schema_extra={"uniqueItems": True})]
SomeDistinct = Annotated[Distinct[Entry], Field(min_length=1)]
OneOrMany: TypeAlias = Entry | Annotated[list[Entry], Field(min_length=1)]
OneOrManyDistinct: TypeAlias = Entry | SomeDistinct[Entry]

Count = Annotated[int, Field(ge=1, le=1_000_000)]
ZeroOrMore = Annotated[int, Field(ge=0, le=1_000_000)]
UpTo1000 = Annotated[int, Field(ge=1, le=1000)]
UpTo10000 = Annotated[int, Field(ge=1, le=10_000)]
UpTo100000 = Annotated[int, Field(ge=1, le=100_000)]
EvenCount = Annotated[int, Field(ge=6, le=10_000, multiple_of=2)]  # of models: everybody is in half of them
TwoOrMore = Annotated[int, Field(ge=2, le=1_000_000)]
EightOrMore = Annotated[int, Field(ge=8, le=1_000_000)]
TenOrMore = Annotated[int, Field(ge=10, le=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=1e-4, le=1e4)]
Effort = Annotated[float, Field(ge=1e-3, le=1e4)]
Delta = Annotated[float, Field(ge=1e-15, le=0.1)]
SvmConstant = Annotated[float, Field(ge=1e-6, le=1e6)]  # an infinite one would keep the search going for ever

ProfileName = Annotated[str, AfterValidator(_inside_its_folder), Field(description=PROFILE_NAME_RULE)]
DataSet = Annotated[
    str, AfterValidator(_path), Field(pattern=r"\S", description=f"the name of a data set, or a path {PATH_RULE}")
]
# numpy takes seeds below 2^32; those of shadow models are a thousand times this, and the model's number
Seed = Annotated[int, Field(ge=0, le=4_000_000)]
Device = Literal["auto", "cpu", "cuda", "mps"]
Ipc = UpTo10000
Epochs = Count
Width = Annotated[int, Field(ge=1, le=4096)]  # filters of a network
Pixels = Literal["standard", "unit", "raw"]
PIXELS = get_args(Pixels)
Method = Annotated[str, OneOf("METHODS")]
MethodOrCoreset = Annotated[str, OneOf("CORESETS", "METHODS")]
Start = Annotated[str, OneOf("STARTS")]
Released = Annotated[
    str,
    AfterValidator(_method_and_start),
    Field(description="a method, as 'KIP', or a method and its start, as 'DM from noise'"),
]
Network = Annotated[str, OneOf("NETWORKS")]
TrainingSet = Literal["original", "subset", "condensed"]
File = Annotated[str, AfterValidator(_path), Field(pattern=r"\S")]
Files = Annotated[
    File | Distinct[File],
    Field(description=f"the path of a file, or a list of paths, none of them twice, each {PATH_RULE}"),
]
Clone = Annotated[
    str,
    AfterValidator(_path),
    Field(pattern=r"^$|\S", description=f"the path of a folder {PATH_RULE}, or '' for the one among the data sets"),
]
Distances = Annotated[
    SomeDistinct[Share],
    AfterValidator(_ascending),
    Field(description="a list of numbers from 0 to 1, each larger than the one before"),
]


# ---------------------------------------------------------------- what several notebooks share


class Parameters(BaseModel):
    """What a notebook declares. Types are strict: True is no number, 1.0 no whole one, "5" text."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    profile: ProfileName


class OfOneSplit(Parameters):
    """A notebook about one data set, divided by one seed; the first and fifth solutions declare no more."""

    dataset: DataSet
    seed: Seed


class OnOneDevice(OfOneSplit):
    """A notebook that trains or asks networks."""

    device: Device


class GridSearch(Parameters):
    """A notebook that fits the paper's SVM."""

    grid_C: SomeDistinct[SvmConstant]
    grid_gamma: SomeDistinct[SvmConstant]
    folds: Annotated[int, Field(ge=2, le=1000)]
    merge_step: Annotated[float, Field(ge=0, le=0.1)]
    processes: Annotated[int, Field(ge=-1, le=-1)] | Annotated[int, Field(ge=1, le=1024)]  # -1: all cores


class PixelDistances(Parameters):
    """A notebook in which pixels are changed to fool a model."""

    epsilons: Distances
    epsilon: Share

    @model_validator(mode="after")
    def _the_one_is_among_them(self):
        if self.epsilon not in self.epsilons:
            raise ValueError(f"epsilon = {self.epsilon:g}: expected one of epsilons = {self.epsilons}")
        return self


# ---------------------------------------------------------------- the notebooks


class DataSplit(OfOneSplit):
    """Notebook 1: whose images are whose."""

    pixels: Pixels
    n_images: ZeroOrMore


class Condensation(OnOneDevice):
    """Notebook 2: how sets are condensed, and the targets that are trained."""

    ipc: OneOrManyDistinct[Ipc]
    start: Start
    method: Method
    iterations: OneOrMany[Count]
    outer: Annotated[int, Field(ge=0, le=10_000)]
    inner: Annotated[int, Field(ge=0, le=10_000)]
    network: Network
    width: Width
    real_batch: Count
    image_lr: Annotated[float, Field(ge=1e-9, le=1e4)]
    condensed_sets: OneOrMany[UpTo1000]
    synthetic_sets: Files
    training_sets: SomeDistinct[TrainingSet]
    n_runs: UpTo1000
    epochs: Epochs

    @model_validator(mode="after")
    def _one_for_all_ipc_or_one_for_each(self):
        for name in ("iterations", "condensed_sets"):
            per_ipc(name, getattr(self, name), as_list(self.ipc))
        return self

    @model_validator(mode="after")
    def _the_original_is_among_them(self):
        if "original" not in self.training_sets:
            raise ValueError(
                f"training_sets = {in_words(self.training_sets)}: expected 'original' among them, with which the "
                "others are compared"
            )
        return self

    @model_validator(mode="after")
    def _the_network_is_one_for_the_method(self):
        condense = importlib.import_module(".condensation.condense", __package__)
        condense.check_names(self.start, self.method, self.network)
        uses = condense.METHODS[self.method].uses_network or self.start in condense.coresets.CHOICES
        if not uses and self.network != "ConvNet":
            raise ValueError(
                f"network = {self.network!r}: {self.method} works with the kernel of an infinitely wide network and "
                "takes none of these: leave network at ConvNet, or choose another method"
            )
        return self

    @model_validator(mode="after")
    def _the_paper_has_loops_for_every_ipc(self):
        known = __getattr__("PAPER_LOOPS")
        without = [ipc for ipc in as_list(self.ipc) if ipc not in known]
        if self.outer == 0 and without:
            raise ValueError(
                "outer = 0 takes the condensation paper's loops, which exist for ipc = "
                f"{', '.join(map(str, known))}, not {without[0]}: set outer and inner yourself"
            )
        return self


class ShadowTraining(OnOneDevice):
    """Notebook 3: how many shadow models there are, and on how many images each."""

    ds: Count
    n_shadows: UpTo1000  # see `Seed`
    epochs: Epochs


class Attack(OfOneSplit, GridSearch):
    """Notebook 4: the attacks of the paper, and the targets that others made."""

    extra_targets: Files


class Results(OfOneSplit):
    """Notebook 5."""


class StrongerAttacks(OnOneDevice):
    """Notebook 6: the reference models, and how they are asked."""

    n_references: EvenCount
    epochs: Epochs
    shift: Annotated[int, Field(ge=0, le=13)]  # the smallest images have 14 pixels
    extra_targets: Files

    @model_validator(mode="after")
    def _files_answer_for_the_images_themselves(self):
        if self.extra_targets and self.shift:
            raise ValueError(
                f"shift = {self.shift}: files of extra_targets answer for the images themselves, not for shifted "
                "ones: set shift to 0, or extra_targets to []"
            )
        return self


class Controls(OnOneDevice):
    """Notebook 7: real images to compare with, canaries and doses."""

    control_ipc: Ipc
    n_models: EvenCount
    starts: SomeDistinct[Start]
    sizes: SomeDistinct[TwoOrMore]
    steps: Count
    n_canaries: EightOrMore
    doses: Distinct[TenOrMore]
    draws: Annotated[int, Field(ge=2, le=100_000)]


class AuthorsModels(GridSearch):
    """Notebook 8: where the published models are."""

    clone: Clone
    n_references: EvenCount
    n_runs: UpTo1000
    epochs: Epochs


class Methods(OnOneDevice):
    """Notebook 9: which methods are compared, with how much effort, on how many models."""

    methods: SomeDistinct[MethodOrCoreset]
    control_ipc: Ipc
    other_ipc: SomeDistinct[Ipc]
    more_of: SomeDistinct[Method]
    n_per_method: EvenCount
    effort: Effort
    factors: SomeDistinct[Factor]
    width: Width
    real_batch: Count
    training_steps: Count
    published_steps: Count
    real_sizes: SomeDistinct[TwoOrMore]
    n_canaries: EightOrMore
    factor_method: Method
    factor_starts: SomeDistinct[Start]
    class_counts: SomeDistinct[TwoOrMore]
    crowds: SomeDistinct[TenOrMore]

    @model_validator(mode="after")
    def _some_of_the_methods(self):
        for name in ("more_of", "factor_method"):
            value = getattr(self, name)
            if not set(as_list(value)) <= set(self.methods):
                raise ValueError(f"{name} = {in_words(value)}: expected one of methods = {self.methods}")
        return self


class RobustnessAndFairness(OnOneDevice, PixelDistances):
    """Notebook 10: how far pixels are changed, and for how many pictures."""

    n_pictures: UpTo100000
    pgd_steps: UpTo10000
    strong_pictures: UpTo100000
    queries: Count
    rivals: UpTo1000
    extra_targets: Files


class FormalPrivacy(OnOneDevice):
    """Notebook 11: the guarantees, and how long is trained and released for each."""

    control_ipc: Ipc
    private_models: EvenCount
    n_canaries: EightOrMore
    n_directions: Annotated[int, Field(ge=8, le=100_000)]
    dp_epsilons: SomeDistinct[Annotated[float, Field(ge=0.01, le=1000)]]
    delta: Delta
    dp_steps: SomeDistinct[Count]
    dp_batch: Count
    releases: SomeDistinct[UpTo100000]
    dm_batch: Count
    dp_width: Width
    frequencies: UpTo100000
    updates: Count
    psg_networks: SomeDistinct[UpTo100000]
    psg_looks: UpTo100000
    gan_steps: Count
    generator_steps: Count
    drawn_per_class: UpTo100000
    steps: Count
    rival_methods: SomeDistinct[MethodOrCoreset]
    effort: Effort


class ReleasedImages(OnOneDevice):
    """Notebook 12: what is released, how many sets of it, and by which attacks the sets are asked."""

    released: SomeDistinct[Released]
    step_factors: OneOrMany[Factor]
    control_ipc: Ipc
    n_sets: Annotated[int, Field(ge=10, le=10_000, multiple_of=2)]  # so that three pairs are references of a bound
    slow_attacks: Distinct[Annotated[str, OneOf("SLOW")]]
    n_canaries: EightOrMore
    effort: Effort
    width: Width
    real_batch: Count
    training_steps: Count
    looked_at: Released
    factor_method: Method
    factor_starts: SomeDistinct[Start]
    other_ipc: SomeDistinct[Ipc]
    crowds: SomeDistinct[TenOrMore]
    dp_epsilons: SomeDistinct[Annotated[float, Field(ge=0.01, le=1000)]]
    delta: Delta
    releases_once: UpTo100000
    dm_batch: Count
    updates: Count
    short_gan_steps: Count

    @model_validator(mode="after")
    def _some_of_the_released(self):
        if self.looked_at not in self.released:
            raise ValueError(f"looked_at = {self.looked_at!r}: expected one of released = {self.released}")
        if len(as_list(self.step_factors)) not in (1, len(self.released)):
            raise ValueError(
                f"step_factors = {in_words(self.step_factors)}: expected one number, or {len(self.released)}, one for "
                f"each of released = {self.released}"
            )
        return self


# ---------------------------------------------------------------- their solutions


class CondensationSolutions(OfOneSplit):
    """The solutions of notebook 2."""

    width: Width
    n_networks: UpTo100000
    steps: Count
    iterations: Count
    epochs: Epochs
    n_runs: UpTo1000


class ShadowTrainingSolutions(OfOneSplit):
    """The solutions of notebook 3."""

    ds: Count
    small_ds: Count
    epochs: OneOrMany[Epochs]
    n_shadows: UpTo1000


class AttackSolutions(OfOneSplit):
    """The solutions of notebook 4."""

    shuffles: Count
    guesses: Annotated[int, Field(ge=1, le=10_000_000)]


class StrongerAttacksSolutions(OfOneSplit):
    """The solutions of notebook 6."""

    attacked: UpTo10000
    removed: Count


class ControlsSolutions(OfOneSplit):
    """The solutions of notebook 7."""

    most_iterations: Count


class AuthorsModelsSolutions(Parameters):
    """The solutions of notebook 8."""

    clone: Clone


class MethodsSolutions(OfOneSplit):
    """The solutions of notebook 9."""

    training_steps: Count


class RobustnessAndFairnessSolutions(OfOneSplit, PixelDistances):
    """The solutions of notebook 10."""

    n_pictures: UpTo100000
    pgd_steps: UpTo10000
    queries: Count


class FormalPrivacySolutions(OfOneSplit):
    """The solutions of notebook 11."""

    delta: Delta
    frequencies: UpTo100000


class ReleasedImagesSolutions(OfOneSplit):
    """The solutions of notebook 12."""

    training_steps: Count


MODELS: dict[str, type[Parameters]] = {
    "01_data_split": DataSplit,
    "02_condensation": Condensation,
    "03_shadow_training": ShadowTraining,
    "04_attack": Attack,
    "05_results": Results,
    "06_stronger_attacks": StrongerAttacks,
    "07_controls": Controls,
    "08_the_authors_models": AuthorsModels,
    "09_methods": Methods,
    "10_robustness_and_fairness": RobustnessAndFairness,
    "11_formal_privacy": FormalPrivacy,
    "12_released_images": ReleasedImages,
    "01_solutions": OfOneSplit,
    "02_solutions": CondensationSolutions,
    "03_solutions": ShadowTrainingSolutions,
    "04_solutions": AttackSolutions,
    "05_solutions": OfOneSplit,
    "06_solutions": StrongerAttacksSolutions,
    "07_solutions": ControlsSolutions,
    "08_solutions": AuthorsModelsSolutions,
    "09_solutions": MethodsSolutions,
    "10_solutions": RobustnessAndFairnessSolutions,
    "11_solutions": FormalPrivacySolutions,
    "12_solutions": ReleasedImagesSolutions,
}


def model_of(notebook: str) -> type[Parameters]:
    """Return the model of a notebook by its name; one that has no parameters of its own needs none in `MODELS`."""
    return MODELS.get(notebook, OnOneDevice)


NAMES = list(dict.fromkeys(name for model in MODELS.values() for name in model.model_fields))


# ---------------------------------------------------------------- the check


def check(given: MutableMapping) -> dict:
    """Check a notebook's parameters, before it computes anything.

    Papermill only warns of a misspelt parameter, so other variables are refused too: those with a
    public name that are plain data. Only the first check of a kernel does so; once a notebook has
    been run it has variables of its own, and its first cells may be run again.

    Parameters
    ----------
    given : the notebook's ``globals()``, after its parameters and imports; or a dict of parameters.
        Where it holds annotations (``ipc: list = [10]``), they say what the notebook declares, and so
        which of `MODELS` is the notebook's. Parameters of other notebooks, which papermill passes to
        all of them, may be what any notebook allows.

    Returns
    -------
    dict of name to value of the parameters in `given` that the notebook declares, of all without
    annotations. The values are those given: an int stays an int where a float is expected.

    Raises
    ------
    ParameterError
        For a value that its parameter may not have, for two that do not fit each other (where the
        notebook's parameters are all there), and for a variable that is no parameter.
    """
    declared = given.get("__annotations__", {})
    if not given.get(CHECKED):
        _check_names(given)
    known = {name: given[name] for name in NAMES if name in given}
    own = {name: value for name, value in known.items() if name in declared}
    for name, value in known.items():
        if name not in own:
            _check_for_any(name, value)
    if own:
        validate(_model_of(own), own)
    given[CHECKED] = True
    return own if declared else known


def validate(model: type[Parameters], values: dict) -> None:
    """Raise ParameterError, in one sentence, if `values` are not what a notebook's model allows.

    A parameter may be missing; whether two fit each other is then not asked.
    """
    wrong = _errors(model, values)
    if wrong:
        raise ParameterError(_sentence(model, values, wrong[0]))


def _check_names(given: MutableMapping) -> None:
    own = {name for name, value in given.items() if isinstance(value, PLAIN) and not name.startswith("_")}
    for name in sorted(own - {*NAMES, "In", "Out"}):  # the last two are IPython's
        raise ParameterError(
            f"there is no parameter {name!r}{nearest(name, NAMES)} (in Jupyter, correct the "
            "name and restart the kernel)"
        )


def _check_for_any(name: str, value) -> None:
    """Raise ParameterError unless some notebook with this parameter allows the value."""
    models = [model for model in MODELS.values() if name in model.model_fields]
    if not any(_fits(model, name, value) for model in models):
        validate(models[0], {name: value})


def _model_of(names) -> type[Parameters]:
    """Return the model of the notebook that declares these parameters: it has them all, and the fewest others."""

    def distance(model) -> tuple[int, int]:
        return len(names - model.model_fields.keys()), len(model.model_fields.keys() - names)

    names = set(names)
    return min(MODELS.values(), key=distance)


def _errors(model: type[Parameters], values: dict) -> list:
    """Return pydantic's errors, without those of missing parameters."""
    try:
        model.model_validate(values)
    except ValidationError as error:
        return [found for found in error.errors(include_url=False) if found["type"] != "missing"]
    return []


# ---------------------------------------------------------------- one sentence


def _sentence(model: type[Parameters], values: dict, error) -> str:
    """Return pydantic's error as one line: the parameter, its value, what was expected, and what was probably meant."""
    if not error["loc"]:  # two parameters that do not fit each other: their rule has said all of it
        return str(error["ctx"]["error"])
    name = error["loc"][0]
    if error["type"] == "extra_forbidden":
        return f"a notebook declares {name}, which its model in dcpriv_lib/parameters.py lacks: add it there"
    value, schema = values[name], _schemas(model)[name]
    one = {"integer": "int", "number": "float", "string": "str"}.get(schema.get("type"))
    if one and "enum" not in schema and type(value) is list and value and all(_fits(model, name, e) for e in value):
        return f"{name} = {in_words(value)}: expected one {one} here, not a list"
    hint = nearest_word(schema, value) or _how_to_write(model, name, value)
    return f"{name} = {in_words(value)}: expected {expected(schema)}{hint}"


def _fits(model: type[Parameters], name: str, value) -> bool:
    return not _errors(model, {name: value})


@functools.cache
def _schemas(model: type[Parameters]) -> dict:
    """Return what each parameter may be, as JSON schemas."""
    return model.model_json_schema()["properties"]


def _how_to_write(model: type[Parameters], name: str, value) -> str:
    """Return how to write what YAML or papermill took for text, or what lacks its brackets; else nothing."""
    for meant, why in ((without_quotes(value), "this is text, "), ([value], "")):
        if _fits(model, name, meant):
            try:
                text = yaml.safe_dump({name: meant}, default_flow_style=True, width=math.inf).strip()
            except yaml.YAMLError:  # numpy's numbers are none of YAML's
                return ""
            return f"; {why}write {text}" if len(text) <= 60 else ""
    return ""
