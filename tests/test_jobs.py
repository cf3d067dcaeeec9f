"""Jobs: what a result is found by, what outlives it, and that nothing below a study knows of one."""

import ast
from dataclasses import replace

import numpy as np
import pytest

from dcpriv_lib import jobs
from dcpriv_lib.engine import origin, store
from dcpriv_lib.evaluation import robustness
from dcpriv_lib.jobs import FittedRelease, Job, PrivateTraining, StartedElsewhere, Training, each
from dcpriv_lib.privacy import dp_sgd, gan, noisy_embeddings, psg
from dcpriv_lib.study import Study
from support import SETTINGS

ROWS, COINS = np.arange(20), np.array([True, False])
GAN = gan.Settings(drawn=1, updates=1, lr=1e-3, batch=20, width=8)
QUERY = noisy_embeddings.ReleaseSettings(releases=1, rate=0.5, sigma=1.0, size=4)
FIT = noisy_embeddings.FitSettings(ipc=1, updates=1, lr=0.1)
PSG = psg.Settings(ipc=1, iterations=1, looks=1, batch=8, clip=0.5, sigma=1.0, image_lr=0.5, size=4, network_steps=1)
DP_SGD = dp_sgd.Settings(steps=1, batch=8, clip=0.5, sigma=1.0, lr=0.1)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The digits, divided, with results in a folder of the test's own."""
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path))
    return Study.divide("mine", "digits", 0, "standard")


@pytest.fixture
def data(study):
    """What the study gives its jobs."""
    return study.data


# ---------------------------------------------------------------- a job


def count(data, number, *, seed, checkpoint, progress):
    """The work of the jobs below: as many numbers as are wanted, those of an earlier state first."""
    state = store.load_arrays(checkpoint, {}, "")["numbers"] if checkpoint.exists() else np.empty(0)
    numbers = np.concatenate([state, seed + np.arange(len(state), number)])
    store.save_arrays(checkpoint, {"numbers": numbers}, {})
    return {"numbers": numbers, "found": np.array(len(state))}


JOB = Job("some/count-3", {"number": 3, "of": "apples"}, count, (3,))


def test_the_path_follows_from_the_place_and_the_inputs_and_from_nothing_else(tmp_path):
    for same in ({"make": print}, {"arguments": (4,)}, {"seed": 1}, {"by": (print,)}, {"imports": ("torch",)}):
        assert replace(JOB, **same).path(tmp_path) == JOB.path(tmp_path), same
    assert replace(JOB, grows_with=("number",)).path(tmp_path) == JOB.path(tmp_path)
    for name, value in (("number", 4), ("of", "pears")):
        assert replace(JOB, inputs=JOB.inputs | {name: value}).path(tmp_path) != JOB.path(tmp_path)
    elsewhere = replace(JOB, place="other/count-3").path(tmp_path)
    assert elsewhere == tmp_path / "other" / JOB.path(tmp_path).name and elsewhere.name.startswith("count-3-")


def test_a_result_is_computed_once(data):
    first = JOB.result(data)
    again = replace(JOB, make=lambda *_, **__: pytest.fail("computed again")).result(data)
    assert np.array_equal(first["numbers"], again["numbers"]) and first["found"] == 0
    assert [path.name for path in (data.folder / "some").glob("*.npz")] == [JOB.path(data.folder).name]


def test_more_of_what_grows_goes_on_from_the_state_of_less(data):
    def job(number, of="apples"):
        inputs = {"number": number, "of": of}
        return Job("some/count", inputs, count, (number,), grows_with=("number",))

    assert [int(job(number).result(data)["found"]) for number in (2, 5, 7)] == [0, 2, 5]
    assert np.array_equal(job(7).result(data)["numbers"], np.arange(7))
    assert job(3, "pears").result(data)["found"] == 0
    assert len(list((data.folder / "some").glob("state-count-*.npz"))) == 2  # one of the apples, one of the pears


# ---------------------------------------------------------------- recipes


PATHS = {  # of the first version that kept such results: whoever has them does not compute them again
    "DC": (lambda data: jobs.set_job(data, "a kind", ("x", 1), ROWS, SETTINGS), "condensed/a_kind-x-1-639ed6ce48"),
    "PSG": (lambda data: jobs.set_job(data, "k", (0,), ROWS, PSG, COINS), "condensed/k-0-a8583d4f24"),
    "PSG without an audit": (lambda data: jobs.set_job(data, "k", (0,), ROWS, PSG), "condensed/k-0-f6f55484e0"),
    "GAN": (lambda data: jobs.set_job(data, "k", (0,), ROWS, GAN), "condensed/k-0-5e7c397ffc"),
    "DM": (
        lambda data: jobs.set_job(data, "k", (0,), ROWS, FittedRelease(QUERY, FIT), COINS),
        "condensed/k-0-7bde7ff504",
    ),
    "its release": (
        lambda data: jobs.set_job(data, "k", (0,), ROWS, FittedRelease(QUERY, FIT), COINS).arguments[0],
        "releases/k-0-40d5504d4e",
    ),
    "DP-MERF": (
        lambda data: jobs.set_job(data, "k", (0,), ROWS, FittedRelease(QUERY, GAN)),
        "condensed/k-0-7ec179f81d",
    ),
    "model": (lambda data: jobs.model_job(data, "k", ("t", 0), ROWS, Training(3)), "models/k-t-0-e2091598c3"),
    "another protocol": (
        lambda data: jobs.model_job(
            data, "k", ("t", 0), (data.images[ROWS], data.labels[ROWS]), Training(3, "ConvNet", "published")
        ),
        "models/k-t-0-9c92fb5050",
    ),
    "DP-SGD": (
        lambda data: jobs.model_job(data, "k", (0,), ROWS, PrivateTraining(DP_SGD, "ConvNet"), COINS),
        "models/k-0-b6b2edb0f6",
    ),
    "attacked": (
        lambda data: jobs.attack_job(data, "t-0.npz", robustness.examine, ROWS, {"steps": 1}),
        "attacked/examine-t-0-74d4f9ca54",
    ),
    "any function": (lambda data: jobs.function_job(data, "a", print, (ROWS, 2)), "once/a-3ba674d212"),
}


@pytest.mark.parametrize("name", PATHS)
def test_results_of_earlier_versions_are_found(name, data):
    job, path = PATHS[name]
    assert str(job(data).path(data.folder).relative_to(data.folder)) == f"{path}.npz"


def test_the_state_of_an_earlier_version_is_found(data):
    state = jobs.set_job(data, "a kind", ("x", 1), ROWS, SETTINGS)._state(data.folder)
    assert str(state.relative_to(data.folder)) == "condensed/state-a_kind-x-1-214506e292.npz"
    more = jobs.set_job(data, "a kind", ("x", 1), ROWS, replace(SETTINGS, iterations=5))
    assert more._state(data.folder) == state


def test_two_fits_share_one_release(study, monkeypatch):
    released, release = [], noisy_embeddings.release
    monkeypatch.setattr(noisy_embeddings, "release", lambda *a, **named: released.append(1) or release(*a, **named))
    rows, coins = {0: study.members[:60]}, COINS[None]
    first = study.sets("shared", each(rows, FittedRelease(QUERY, FIT)), coins)[0]
    second = study.sets("shared", each(rows, FittedRelease(QUERY, GAN)), coins)[0]
    assert len(released) == 1 and not np.array_equal(first["images"], second["images"])
    for name in ("sums", "scores"):
        assert np.array_equal(first[name], second[name])
    study.sets("shared", each(rows, FittedRelease(replace(QUERY, sigma=2.0), FIT)), coins)
    assert len(released) == 2


def test_a_recipe_of_something_else_is_refused_before_anything_is_made(study, monkeypatch):
    monkeypatch.setattr(study, "_made", lambda *_: pytest.fail("made already"))
    wanted, coins = each({0: ROWS, 1: ROWS}, Training(1)), np.ones((2, 3), bool)
    with pytest.raises(TypeError, match="Training.*is none of condensation.method.Settings, .*name one of these"):
        study.sets("test", wanted)
    with pytest.raises(TypeError, match="Settings.*is none of jobs.Training, jobs.PrivateTraining"):
        study.models("test", each({0: ROWS}, SETTINGS))
    with pytest.raises(ValueError, match=r"is_member is given, and Training\(epochs=1.* has no audit: leave is_member"):
        study.models("test", wanted, coins)


# ---------------------------------------------------------------- a start that is made of other people


def elsewhere(study, purpose, ipc=2):
    """As many of the attacker's images of every class as a set has images, in an order without any order."""
    return study.rng(purpose, "shuffled").permutation(study.choose_balanced(study.attacker, ipc, purpose))


@pytest.mark.parametrize("iterations", [0, 1])
def test_members_are_condensed_from_other_peoples_images_class_by_class(study, iterations):
    rows = elsewhere(study, "public")
    assert not np.array_equal(np.sort(study.labels[rows]), study.labels[rows]), "the test is about an order"
    settings = replace(SETTINGS, ipc=2, iterations=iterations)
    made = study.sets("x", {0: (study.members, StartedElsewhere(settings, tuple(rows.tolist())))})[0]
    assert made["labels"].tolist() == np.repeat(np.arange(10), 2).tolist()
    by_hand = np.concatenate([[row for row in rows if study.labels[row] == label] for label in range(10)])
    assert np.array_equal(made["snapshots"][0], study.images[by_hand])
    assert np.array_equal(made["images"], made["snapshots"][0]) == (iterations == 0)
    assert made["started_from"].shape == (20, 0), "no member is shown"


def test_a_set_that_starts_elsewhere_is_kept_apart_from_all_others(study):
    data, first, second = study.data, elsewhere(study, "public"), elsewhere(study, "others")
    recipes = [SETTINGS, replace(SETTINGS, start="real")]
    recipes += [StartedElsewhere(SETTINGS, tuple(rows.tolist())) for rows in (first, second, first[::-1])]
    made = [jobs.set_job(data, "x", (0,), study.members, recipe) for recipe in recipes]
    assert len({job.path(data.folder) for job in made}) == len({job._state(data.folder) for job in made}) == 5
    more = StartedElsewhere(replace(SETTINGS, iterations=9), tuple(first.tolist()))
    assert jobs.set_job(data, "x", (0,), study.members, more)._state(data.folder) == made[2]._state(data.folder)


def test_a_set_that_starts_elsewhere_goes_on_from_its_own_state(study):
    """Members are condensed from two starts in turns; each set is what it would have been without the other."""
    settings = [replace(SETTINGS, iterations=number, start="real", method="DM") for number in (1, 3)]
    rows = tuple(elsewhere(study, "public", 1).tolist())
    for one in settings:
        study.sets("x", {0: (study.members, one)})
        made = study.sets("x", {0: (study.members, StartedElsewhere(one, rows))})[0]
    for state in (study.folder / "condensed").glob("state-*"):
        state.unlink()
    for path in (study.folder / "condensed").glob("x-0-*"):
        path.unlink()
    unbroken = study.sets("x", {0: (study.members, StartedElsewhere(settings[1], rows))})[0]
    assert all(np.array_equal(made[name], unbroken[name]) for name in made)


# ---------------------------------------------------------------- who knows whom


def test_nothing_below_a_study_knows_of_one():
    """A module that receives a study, or imports it, depends on all that a study can do."""
    assert "limits" not in origin.imported(origin.SOURCES["study"], "study")  # it is above, for notebooks
    for module, text in origin.SOURCES.items():
        if module == "limits":
            continue
        assert "study" not in origin.imported(text, module), module
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                of = node.args
                names = {one.arg for one in (*of.posonlyargs, *of.args, *of.kwonlyargs, of.vararg, of.kwarg) if one}
                assert "study" not in names, f"{module}, line {node.lineno}"
