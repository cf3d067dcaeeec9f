"""Parameters that no notebook allows are refused, and the models are those of the notebooks."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import jupytext
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pydantic import Field, create_model

from dcpriv_lib import parameters, stages
from dcpriv_lib.engine import errors, paths

# The lecture has parameters and a check of its own.
NOTEBOOKS = sorted(path for path in paths.NOTEBOOKS.rglob("[0-9]*.py") if path.stem != stages.ALONE.name)


def declared(path: Path) -> dict:
    """Run a notebook's parameters cell and return its globals."""
    found = {}
    for cell in jupytext.read(path).cells:
        if "parameters" in cell.metadata.get("tags", []):
            exec(cell.source, found)
    return found


def of(stem: str) -> dict:
    """Return the globals of the notebook of this name, as its parameters cell leaves them."""
    return declared(next(path for path in NOTEBOOKS if path.stem == stem))


def fits(name: str, value) -> bool:
    """Return whether any notebook allows this value."""
    try:
        return parameters.check({name: value}) == {name: value}
    except errors.ParameterError:
        return False


def type_of(schema: dict) -> type:
    """Return the type by which a notebook declares what a JSON schema allows."""
    kinds = [one["type"] for one in schema.get("anyOf", [schema])]
    return {"array": list, "integer": int, "number": float, "string": str}["array" if "array" in kinds else kinds[0]]


every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@every_notebook
def test_every_parameter_of_a_notebook_is_known_and_its_default_allowed(path):
    found = declared(path)
    assert parameters.check(found).keys() == found["__annotations__"].keys()


@every_notebook
def test_a_notebook_declares_what_its_model_says(path):
    schemas = parameters.MODELS[path.stem].model_json_schema()["properties"]
    assert declared(path)["__annotations__"] == {name: type_of(schema) for name, schema in schemas.items()}


@every_notebook
def test_every_default_is_what_its_model_allows(path):
    found = declared(path)
    parameters.MODELS[path.stem].model_validate({name: found[name] for name in found["__annotations__"]})


@every_notebook
def test_a_notebook_finds_its_model_by_what_it_declares(path):
    found = parameters._model_of(declared(path)["__annotations__"])
    assert found.model_json_schema()["properties"] == parameters.MODELS[path.stem].model_json_schema()["properties"]


def test_there_is_a_model_for_every_notebook_and_no_other():
    assert sorted(parameters.MODELS) == sorted(path.stem for path in NOTEBOOKS)


def test_a_parameter_that_a_notebook_declares_and_its_model_lacks_is_named(refused):
    given = of("11_formal_privacy")
    given["n_shadows"], given["__annotations__"]["n_shadows"] = 5, int
    with refused(errors.ParameterError, "declares n_shadows", "its model in dcpriv_lib/parameters.py lacks", "add it"):
        parameters.check(given)


def test_the_models_import_no_torch_before_they_are_used():
    code = "import sys, dcpriv_lib.profiles; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=paths.REPOSITORY).returncode == 0


NUMBERS = [
    True,
    False,
    None,
    "",
    "5",
    "1e-4",
    "ten",
    {},
    (1,),
    {1},
    b"1",
    1j,
    -5,
    -0.5,
    float("nan"),
    float("inf"),
    -float("inf"),
    1e300,
    10**12,
]


LISTS = [[], [None], [True], ["5"], [[1]], [float("nan")], [float("inf")], [-1], [10**12], ["original", 1]]


WORDS = [True, None, "", " ", 5, 0.5, float("nan"), ["auto"], {}, b"auto"]


def senseless(name: str) -> list:
    """Return values that no parameter of this name may have."""
    if name in ("profile", "dataset", "pixels", "device"):
        extra = {"profile": ["../x", "/x", ".", "-x", "a b", "a{b}", "a\n", "x" * 101], "dataset": []}
        return WORDS + extra.get(name, ["Auto", "standard\n", "gpu"])
    if name in ("synthetic_sets", "extra_targets"):
        return [value for value in WORDS if value != ["auto"]] + [[""], [5], [None], [["a"]], ["a", "a"], ("a",), b"a"]
    if name == "clone":
        return [value for value in WORDS if value != ""]
    fits_half, fits_zero = (fits(name, value) for value in (0.5, 0))
    many = {
        "ipc": [[3, 3], [0], [0.5]],
        "iterations": [[0]],
        "condensed_sets": [[0]],
        "epochs": [[0]],
        "training_sets": [["subset"] * 2, ["subste"]],
        "grid_C": [[1, 1], [0]],
        "grid_gamma": [[1, 1.0], [0]],
        "factors": [[1, 1.0], [0]],
        "step_factors": [[0], [-1.0]],
        "released": [["KIP", "KIP"], ["KIP from"], ["from noise"], ["KIP from nowhere"], ["KIP from noise from real"]],
        "looked_at": ["kip", "KIP from", "random from noise ", ["KIP"]],
        "slow_attacks": [["gradient", "gradient"], ["unmixing"]],
        "n_sets": [6, 9, 10.0],
        "other_ipc": [[3, 3], [0], [0.5]],
        "epsilons": [[0.2, 0.1], [0.1, 0.1], [-0.1], [1.5]],
        "dp_epsilons": [[1, 1], [0]],
        "dp_steps": [[3, 3], [0], [0.5]],
        "releases": [[3, 3], [0], [0.5]],
        "psg_networks": [[3, 3], [0], [0.5]],
    }
    return (
        NUMBERS
        + LISTS[name in ("doses", "slow_attacks") :]
        + many.get(name, [[1]])
        + [0.5] * (not fits_half)
        + [1.0] * (not fits_half)
        + [0] * (not fits_zero)
    )


@pytest.mark.parametrize("name", parameters.NAMES)
def test_senseless_values_are_refused_by_name(name, refused):
    for value in senseless(name):
        with refused(errors.ParameterError, f"{name} = ", "expected "):
            parameters.check({name: value})


def test_only_these_parameters_may_be_zero_or_no_whole_number_or_an_empty_list():
    zero, half, empty = ({name for name in parameters.NAMES if fits(name, value)} for value in (0, 0.5, []))
    assert empty == {"doses", "synthetic_sets", "extra_targets", "slow_attacks"}
    assert zero == {"seed", "outer", "inner", "merge_step", "shift", "epsilon", "n_images"}
    assert half == {"image_lr", "effort", "epsilon", "step_factors"}


@pytest.mark.parametrize("name", parameters.NAMES)
def test_a_misspelt_parameter_is_refused_with_the_nearest(name, refused):
    with refused(errors.ParameterError, f"there is no parameter '{name}_'", f"did you mean '{name}'?"):
        parameters.check({f"{name}_": 3})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n_references": 7}, ["n_references = 7", "even"]),
        ({"n_models": 5}, ["n_models = 5", "even"]),
        ({"start": "zeros"}, ["start = 'zeros'", "one of noise, real, means"]),
        ({"methods": ["IDMM"]}, ["methods = ['IDMM']", "each one of random, herding", "did you mean 'IDM'?"]),
        ({"folds": 1}, ["folds = 1", "from 2"]),
        ({"shift": 14}, ["shift = 14", "from 0 to 13"]),
        ({"epsilons": [0.1, 0.05]}, ["epsilons = [0.1, 0.05]", "each larger than the one before"]),
        ({"merge_step": 10}, ["merge_step = 10", "from 0 to 0.1"]),
        ({"n_shadows": 1001}, ["n_shadows = 1001", "to 1,000"]),
        ({"processes": -2}, ["processes = -2", "expected -1, or a whole number from 1 to 1,024"]),
        ({"ipc": "[10, 50]"}, ["ipc = '[10, 50]'", "this is text, write {ipc: [10, 50]}"]),
        ({"epochs": "60"}, ["epochs = '60'", "a whole number from 1", "this is text, write {epochs: 60}"]),
        ({"grid_gamma": ["1e-4", 1]}, ["grid_gamma = ['1e-4', 1]", "write {grid_gamma: [0.0001, 1]}"]),
        ({"dp_epsilons": 1}, ["dp_epsilons = 1", "a list, each a number", "; write {dp_epsilons: [1]}"]),
        ({"device": ["cpu"]}, ["device = ['cpu']", "expected one of auto, cpu", "did you mean 'cpu'?"]),
        ({"epochs": [5], "__annotations__": {"epochs": int}}, ["epochs = [5]", "expected one int here"]),
        ({"n_sets": 9}, ["n_sets = 9", "expected an even whole number from 10"]),
        ({"n_sets": 6}, ["n_sets = 6", "expected an even whole number from 10"]),
        ({"released": ["DMM"]}, ["released = ['DMM']", "each a method, as 'KIP', or a method and its start"]),
        ({"released": ["DM from zeros"]}, ["released = ['DM from zeros']", "as 'DM from noise'"]),
        ({"released": "DM"}, ["released = 'DM'", "expected a list", "; write {released: [DM]}"]),
        ({"looked_at": "DM from"}, ["looked_at = 'DM from'", "a method and its start, as 'DM from noise'"]),
        ({"slow_attacks": ["gradients"]}, ["slow_attacks = ['gradients']", "did you mean 'gradient'?"]),
        ({"seed": 10**5000}, ["seed = <int too long to print>", "from 0 to 4,000,000"]),
    ],
)
def test_parameters_that_nobody_allows_are_refused(given, words, refused):
    with refused(errors.ParameterError, *words):
        parameters.check(given)


@pytest.mark.parametrize(
    ("notebook", "given", "words"),
    [
        (2, {"ipc": [10, 50], "iterations": [1, 2, 3]}, ["iterations = [1, 2, 3]", "each of ipc = [10, 50]"]),
        (2, {"ipc": 10, "condensed_sets": [1, 2]}, ["condensed_sets = [1, 2]", "one for each of ipc = [10]"]),
        (2, {"ipc": [10, 3], "outer": 0}, ["outer = 0", "1, 10, 50, not 3", "set outer and inner yourself"]),
        (2, {"training_sets": ["subset", "condensed"]}, ["training_sets = ['subset', 'condensed']", "'original'"]),
        (2, {"method": "KIP-labels", "network": "linear"}, ["network = 'linear'", "KIP-labels works with the kernel"]),
        (2, {"method": "IDC", "network": "linear"}, ["network = 'linear'", "gradients of convolutions"]),
        (6, {"extra_targets": "a.npz", "shift": 1}, ["shift = 1", "set shift to 0, or extra_targets to []"]),
        (9, {"methods": ["DM"]}, ["more_of = ['IDM']", "expected one of methods = ['DM']"]),
        (9, {"factor_method": "MTT"}, ["factor_method = 'MTT'", "expected one of methods = ['random', "]),
        (
            12,
            {"step_factors": [0.5, 3.5]},
            ["step_factors = [0.5, 3.5]", "one number, or 6, one for each of released = ['random"],
        ),
        (12, {"looked_at": "DSA"}, ["looked_at = 'DSA'", "expected one of released = ['random', "]),
        (12, {"released": ["IDM", "DM"]}, ["looked_at = 'KIP'", "expected one of released = ['IDM', 'DM']"]),
        (10, {"epsilons": [0.1], "epsilon": 0.2}, ["epsilon = 0.2", "expected one of epsilons = [0.1]"]),
    ],
)
def test_parameters_that_do_not_fit_each_other_are_refused(notebook, given, words, refused):
    (path,) = [path for path in NOTEBOOKS if path.stem.startswith(f"{notebook:02}") and "solutions" not in path.stem]
    with refused(errors.ParameterError, *words):
        parameters.check(declared(path) | given)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (bool, "True or False"),
        (int, "a whole number"),
        (str, "text"),
        (Annotated[float, Field(ge=0.5)], "a number from 0.5"),
        (Annotated[int, Field(le=-1000)], "a whole number to -1,000"),
        (Annotated[int, Field(ge=4, le=1000, multiple_of=2)], "an even whole number from 4 to 1,000"),
        (Literal["all"] | Annotated[int, Field(ge=1, le=9)], "all, or a whole number from 1 to 9"),
        (Literal[1, 2], "one of 1, 2"),
        (list[str], "a list, each text"),
        (parameters.OneOrMany[parameters.Ipc], "a whole number from 1 to 10,000, or a list of these"),
        (bytes | dict, "text, or something else"),
    ],
)
def test_a_parameter_of_any_type_has_its_expectation_in_words(kind, words):
    model = create_model("Added", added=kind, __base__=parameters.Parameters)
    with pytest.raises(errors.ParameterError, match=rf"^added = \{{1\}}: expected {words}$"):
        parameters.validate(model, {"added": {1}})


WRONG = st.one_of(
    st.none() | st.booleans() | st.binary() | st.complex_numbers() | st.tuples(st.integers()),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.lists(st.none() | st.booleans() | st.dictionaries(st.text(), st.integers()), min_size=1),
    st.just(float("nan")) | st.integers(max_value=-2) | st.integers(min_value=10**8),
)


@settings(max_examples=200, deadline=None, database=None)
@given(name=st.sampled_from(parameters.NAMES), value=WRONG)
def test_any_value_of_a_wrong_type_is_refused_in_one_line_that_names_it(name, value):
    with pytest.raises(errors.ParameterError) as refusal:
        parameters.check({name: value})
    message = str(refusal.value)
    assert message.startswith(f"{name} = ") and "expected " in message
    assert len(message) <= 300 and len(message.splitlines()) == 1


@settings(max_examples=200, deadline=None, database=None)
@given(
    name=st.sampled_from(parameters.NAMES),
    value=st.recursive(st.text() | st.integers() | st.floats(), lambda inner: st.lists(inner), max_leaves=20),
)
def test_any_value_is_kept_as_it_is_or_refused_in_one_line_that_names_it(name, value):
    try:
        assert parameters.check({name: value})[name] is value
    except errors.ParameterError as refusal:
        message = str(refusal)
        assert message.startswith(f"{name} = ") and "expected " in message
        assert len(message) <= 300 and len(message.splitlines()) == 1


NUMPY = st.one_of(
    st.builds(np.array, st.lists(st.text(max_size=3), max_size=3)),
    st.builds(np.array, st.lists(st.integers(-5, 5) | st.floats(), max_size=3)),
    st.sampled_from([np.zeros((2, 2)), np.array("a"), np.array(None), np.int64(3), np.float32(0.5), np.bool_(True)]),
)


@settings(max_examples=200, deadline=None, database=None)
@given(name=st.sampled_from(parameters.NAMES), value=NUMPY | st.lists(NUMPY, min_size=1, max_size=2))
def test_numpys_values_are_kept_or_refused_in_one_line_that_names_the_parameter(name, value):
    try:
        parameters.check({name: value})
    except errors.ParameterError as refusal:
        message = str(refusal)
        assert message.startswith(f"{name} = ") and "expected " in message
        assert len(message) <= 300 and len(message.splitlines()) == 1


def test_what_is_no_plain_data_or_ipythons_own_is_no_parameter():
    given = {"seed": 3, "In": [""], "Out": {}, "_": 3, "_i1": "", "np": np, "open": open, "Path": Path}
    assert parameters.check(given) == {"seed": 3}


def test_parameters_of_other_notebooks_are_checked_but_not_returned(refused):
    given = {"__annotations__": {"seed": int}, "seed": 3, "ipc": [3], "outer": 0}  # papermill -f PROFILE
    assert parameters.check(given) == {"seed": 3}
    with refused(errors.ParameterError, "ipc = 0"):
        parameters.check(given | {"ipc": 0})


def test_a_notebook_that_has_been_run_may_check_again_with_its_own_variables():
    given = {"seed": 3}
    parameters.check(given)
    assert parameters.check(given | {"number": 3, "seed": 4}) == {"seed": 4}


def test_a_value_above_what_the_data_allow_is_refused(refused):
    errors.check_at_most("n_canaries", 299, 299, "images")
    with refused(errors.ParameterError, "n_canaries = 300", "299 images", "at most"):
        errors.check_at_most("n_canaries", 300, 299, "images")
