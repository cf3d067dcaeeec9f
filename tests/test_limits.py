"""All that data and split do not allow is said at once; what is allowed meets no refusal later."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sklearn.model_selection import StratifiedKFold

from dcpriv_lib import limits, profiles
from dcpriv_lib.attacks import suites
from dcpriv_lib.attacks.shadow_models import membership_matrix, shadow_split
from dcpriv_lib.condensation.method import check_ipc
from dcpriv_lib.engine import errors, paths
from dcpriv_lib.privacy import accounting
from dcpriv_lib.study import Study
from support import engine

DEFAULTS = {stage: profiles.parameters(stage) for stage in profiles.OF_STAGES}


def divided(folder, sizes, seed=0):
    """Return the study of so many random images of each class, divided as notebook 1 does."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    np.savez(
        folder / "mine.npz",
        train_images=rng.integers(0, 256, (len(labels), 14, 14), np.uint8),
        train_labels=labels,
        test_images=rng.integers(0, 256, (len(sizes), 14, 14), np.uint8),
        test_labels=np.arange(len(sizes)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCPRIV_RESULTS", str(folder / "results"))
        return Study.divide("mine", str(folder / "mine.npz"), seed, "standard", device="cpu")


@pytest.fixture(scope="module")
def breast(tmp_path_factory):
    """As many images as BreastMNIST has: 147 of one class and 399 of the other."""
    return divided(tmp_path_factory.mktemp("breast"), [147, 399])


def exceeded(study, **changes):
    """Return all lines about the notebooks' defaults with some changes."""
    chosen = {stage: {name: changes.get(name, value) for name, value in own.items()} for stage, own in DEFAULTS.items()}
    return limits.exceeded(study, limits.with_earlier(chosen))


def test_all_that_does_not_fit_a_small_set_of_two_classes_is_said_at_once(breast):
    """A profile that names the data set and ipc alone meets four limits, which four notebooks would have told."""
    assert [len(part) for part in (breast.members, breast.non_members, breast.attacker)] == [136, 136, 274]
    third = np.bincount(breast.labels[breast.pool]).min() // 3
    assert exceeded(breast, ipc=10) == [
        "ds = 299: there are 137 images in half of the attacker's, who needs as many for non-members, expected at most "
        "that many (notebook 3)",
        "doses = [200]: there are 136 images in half of the pool, expected at most that many (notebook 7)",
        f"real_sizes = [5, 10, 20, 35]: there are {third} images, a third of the smallest class, expected at most that "
        "many (notebook 9)",
        "crowds = [200]: there are 136 images in half of the pool, expected at most that many (notebooks 9, 12)",
    ]


FITS = {"ipc": 10, "ds": 130, "doses": [100], "real_sizes": [5, 10], "crowds": [100]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"doses": []}, []),
        ({"ds": 137}, []),
        ({"ds": 138}, ["ds = 138: there are 137 images"]),
        ({"ipc": [10, 60]}, ["ipc = [10, 60]: there are", "members of the smallest class"]),
        ({"ipc": [10, 60], "synthetic_sets": "a.npz"}, []),
        ({"n_canaries": 900}, ["n_canaries = 900: there are 68 images in a quarter of the pool", "7, 9, 11, 12"]),
        ({"class_counts": [2, 50]}, ["class_counts = [2, 50]: there are 2 classes"]),
        ({"sizes": [500]}, ["sizes = [500]", "a third of the smallest class"]),
        ({"folds": 1000}, ["folds = 1,000: there are", "expected at most that many (notebook 4)"]),
        ({"dp_batch": 900}, ["dp_batch = 900: there are 136 people in half of the pool"]),
        ({"dm_batch": 900}, ["dm_batch = 900: there are 68 people of a class", "notebooks 11, 12"]),
        ({"strong_pictures": 500}, ["strong_pictures = 500: there are", "n_pictures of every class"]),
        (
            {"control_ipc": 24},
            ["control_ipc = 24: there are 18 images of some class in a half of the", "(notebooks 7, 9, 12)"],
        ),
        ({"doses": [14]}, ["control_ipc = 10: there are", "in a half of the smallest of the doses", "(notebook 7)"]),
        (
            {"crowds": [14]},
            ["control_ipc = 10: there are", "in a half of the smallest of the crowds", "(notebooks 9, 12)"],
        ),
    ],
)
def test_each_limit_is_named_with_its_parameter_value_and_notebook(breast, changes, words):
    lines = exceeded(breast, **FITS | changes)
    assert len(lines) == (1 if words else 0), lines
    assert all(word in lines[0] for word in words), lines
    assert all(len(line) <= 300 and len(line.splitlines()) == 1 for line in lines)


def test_several_limits_of_one_parameter_are_one_line_with_the_tightest(breast):
    (line,) = exceeded(breast, **FITS | {"crowds": [14, 100], "control_ipc": 100, "doses": []})
    most = int(re.search(r"there are (\d+) ", line)[1])
    assert exceeded(breast, **FITS | {"crowds": [14, 100], "control_ipc": most, "doses": []}) == []
    assert exceeded(breast, **FITS | {"crowds": [14, 100], "control_ipc": most + 1, "doses": []})


def test_a_notebook_asks_for_itself_and_raises_one_error_of_all_lines(breast):
    asked = Study.__new__(Study)
    asked.__dict__ |= breast.__dict__ | {
        "parameters": DEFAULTS["09_methods"] | {"n_canaries": 200, "class_counts": [3]}
    }
    with pytest.raises(errors.ParameterError) as refusal:
        limits.check("09_methods", asked)
    named = [line.split(" = ")[0] for line in str(refusal.value).splitlines()]
    assert named == ["real_sizes", "n_canaries", "class_counts", "crowds"]


# ---------------------------------------------------------------- what passes meets no refusal later


def use(study, chosen):
    """Do what the notebooks do with their parameters up to the training, by the functions that refuse."""
    labels, count = study.labels.numpy(), len(study.classes)
    for ipc in errors.as_list(chosen["ipc"]):
        check_ipc(study.labels[study.members], ipc)
    splits = [shadow_split(study.attacker, chosen["ds"], j, study.seed) for j in range(chosen["n_shadows"])]
    rows = np.concatenate([np.concatenate(split) for split in splits])
    inside = np.tile(np.repeat([True, False], chosen["ds"]), len(splits))
    found = list(suites.rows_per_class(labels[rows], inside))
    assert [label for label, _ in found] == list(range(count))
    for _, of_class in found:
        folds = StratifiedKFold(chosen["folds"]).split(rows[of_class], inside[of_class])
        assert all(len(np.unique(inside[of_class][one])) == 2 for _, one in folds), "both sides in every fold"
    pool = len(study.pool)
    people, per_class = pool // 2, pool / 2 / count
    for batch, of in ((chosen["dp_batch"], people), (chosen["dm_batch"], per_class)):
        accounting.check_guarantee(rate=accounting.sampling_rate(batch, of))
    tuned_on = study.rng("tuning").permutation(study.attacker)[: len(study.attacker) // 2]
    rehearsed_on = np.split(study.rng("rehearsal").permutation(study.attacker), [2 * len(study.attacker) // 3])[0]
    accounting.check_guarantee(rate=chosen["dp_batch"] / len(rehearsed_on))
    for some in (tuned_on, rehearsed_on, study.attacker, study.members):
        check_ipc(study.labels[some], chosen["control_ipc"])
    world = study.with_canaries(chosen["n_canaries"])
    assert world.canaries.sum() == chosen["n_canaries"]
    for models, purpose in (("n_models", "controls"), ("n_per_method", "methods"), ("n_sets", "methods")):
        for half in membership_matrix(pool, chosen[models], study.rng(purpose)):
            check_ipc(world.labels[study.pool[half]], chosen["control_ipc"])
            for size in chosen["real_sizes"] if purpose == "methods" else chosen["sizes"]:
                assert len(world.choose_balanced(study.pool[half], size, "line")) == size * count
    smaller = [(study.subset(2 * size), ("dose", size), "n_models") for size in chosen["doses"]]
    smaller += [(study.subset(2 * size), ("methods", "members", size), "n_per_method") for size in chosen["crowds"]]
    smaller += [(study.of_classes(n), ("methods", "classes", n), "n_per_method") for n in chosen["class_counts"]]
    for some, purpose, models in smaller:
        assert purpose[1] == "classes" or len(some.pool) == 2 * purpose[-1]
        for half in membership_matrix(len(some.pool), chosen[models], some.rng(*purpose)):
            check_ipc(some.labels[some.pool[half]], chosen["control_ipc"])
    assert max(chosen["class_counts"]) <= count


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    return [
        divided(tmp_path_factory.mktemp("some"), sizes, seed)
        for seed, sizes in enumerate(([147, 399], [60] * 10, [40, 200, 90], [500, 30]))
    ]


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.integers(0, 3),
    changes=st.fixed_dictionaries(
        {
            "ipc": st.integers(1, 30),
            "control_ipc": st.integers(1, 25),
            "ds": st.integers(1, 150),
            "n_shadows": st.integers(1, 4),
            "folds": st.integers(2, 12),
            "n_canaries": st.integers(8, 90),
            "dp_batch": st.integers(1, 160),
            "dm_batch": st.integers(1, 90),
            "doses": st.lists(st.integers(10, 150), max_size=2, unique=True),
            "crowds": st.lists(st.integers(10, 150), min_size=1, max_size=2, unique=True),
            "class_counts": st.lists(st.integers(2, 11), min_size=1, max_size=2, unique=True),
            "sizes": st.lists(st.integers(2, 30), min_size=1, max_size=2, unique=True),
            "real_sizes": st.lists(st.integers(2, 30), min_size=1, max_size=2, unique=True),
            "other_ipc": st.just([1]),
            "strong_pictures": st.just(1),
        }
    ),
)
def test_what_the_limits_allow_meets_no_refusal_later_and_smaller_values_are_found(several, which, changes):
    study = several[which]
    for _ in range(30):  # lower whatever is named to its limit, as somebody who reads the lines does
        lines = exceeded(study, **changes)
        if not lines:
            break
        for line in lines:
            name, most = line.split(" = ")[0], int(re.search(r"there are ([\d,]+) ", line)[1].replace(",", ""))
            lowered = changes.get(name)
            if isinstance(lowered, list):
                changes[name] = sorted({min(value, most) for value in lowered})
            elif most >= 1:
                changes[name] = min(lowered, most)
            else:  # nothing fits: larger pools and rehearsals instead
                changes |= {"doses": [], "crowds": [len(study.pool) // 2], "ds": len(study.attacker) // 2}
        if not changes["doses"] or min(changes["folds"], changes["control_ipc"]) < 1:
            changes["doses"] = []
    if lines or min(changes["class_counts"]) < 2 or changes["folds"] < 2:
        return
    use(study, {name: value for own in DEFAULTS.values() for name, value in own.items()} | changes)


# ---------------------------------------------------------------- the notebooks, and the engine's question


@pytest.mark.parametrize("stage", limits.LIMITS)
def test_every_notebook_with_limits_asks_before_it_makes_anything(stage):
    text = (paths.NOTEBOOKS / f"{stage}.py").read_text()
    asked = text.index(f'limits.check("{stage}", study')
    made = [text.index(word) for word in ("study.sets(", "study.models(", "world.", "computed_once") if word in text]
    assert asked < min(made)


def test_no_notebook_has_a_limit_of_its_own():
    for path in paths.NOTEBOOKS.rglob("*.py"):
        assert "check_at_most" not in path.read_text(), path


@pytest.fixture
def mine(breast, tmp_path, monkeypatch):
    """Write profiles/mine.yaml about the small set, in a folder of the test's own."""
    monkeypatch.setattr(paths, "PROFILES", tmp_path)
    monkeypatch.setenv("DCPRIV_RESULTS", str(breast.folder.parent))

    def write(text):
        (tmp_path / "mine.yaml").write_text(f"dataset: {breast.parameters['dataset']}\n{text}")

    return write


def test_the_engine_is_told_all_of_a_profile_or_of_the_stages_that_will_run(mine):
    mine("ipc: 10")
    with pytest.raises(SystemExit) as refusal:
        limits.main("mine")
    first, *lines, last = str(refusal.value).splitlines()
    assert first.startswith("profiles/mine.yaml does not fit ") and "136 members" in first and "2 classes" in first
    assert [line.split()[0] for line in lines] == ["ds", "doses", "real_sizes", "crowds"]
    assert last.startswith("Write smaller values into it")
    with pytest.raises(SystemExit) as refusal:
        limits.main("mine", "01_data_split", "12_released_images")
    assert [line.split()[0] for line in str(refusal.value).splitlines()[1:-1]] == ["crowds"]
    mine("ipc: 10\nds: 100\ndoses: []\nreal_sizes: [10]\ncrowds: [100]")
    limits.main("mine")


def test_no_split_yet_is_no_reason_to_stop(mine, monkeypatch, tmp_path):
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path / "nothing"))
    mine("ipc: 10")
    limits.main("mine")


def test_the_limits_import_no_torch_before_there_is_a_study():
    code = "import sys, dcpriv_lib.limits; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_the_engine_stops_after_the_split_and_names_everything(breast, tmp_path):
    """On the way there and, with the split already made, before anything is run."""
    profile = paths.PROFILES / f"test-{os.getpid()}.yaml"
    profile.write_text(f"dataset: {breast.parameters['dataset']}\nipc: 10\n")
    try:
        split = engine(tmp_path / "second", profile.stem, ["split"])
        assert split.communicate() and split.returncode == 0, "the split alone does not exceed anything"
        for folder in ("first", "second"):
            process = engine(tmp_path / folder, profile.stem)
            output, _ = process.communicate()
            assert process.returncode == 1
            named = re.findall(r"^  (\w+) = .*at most that many", output, re.M)
            assert named == ["ds", "doses", "real_sizes", "crowds"], output
            assert not (tmp_path / folder / profile.stem / "models").exists()
    finally:
        profile.unlink()
