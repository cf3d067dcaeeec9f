"""Which code made a result: hashes of what it passed through and of nothing else; who reads older ones is told;
refusals."""

import json
import multiprocessing
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from dcpriv_lib.condensation import condense, starts
from dcpriv_lib.condensation.method import Settings
from dcpriv_lib.engine import fresh, origin, paths, store, workers
from dcpriv_lib.engine.checkpoint import Checkpoint
from dcpriv_lib.evaluation import robustness
from dcpriv_lib.jobs import FittedRelease, Job, PrivateTraining, Training, each
from dcpriv_lib.privacy import dp_sgd, gan, noisy_embeddings, psg
from dcpriv_lib.results import committed
from dcpriv_lib.study import Study
from support import in_this_process

SETTINGS = Settings(ipc=1, iterations=1, outer=1, inner=1, width=4, real_batch=16, image_lr=1.0)
NOTEBOOK = paths.NOTEBOOKS / "07_controls.py"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The digits, divided, with results in a folder of the test's own, computed in this process."""
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(workers, "run", in_this_process)
    return Study.divide("mine", "digits", 0, "standard")


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Let the code be a copy that may be changed; returns a function that replaces text in one module, as if imported
    so."""
    copy = tmp_path / "dcpriv_lib"
    shutil.copytree(paths.REPOSITORY / "dcpriv_lib", copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(origin, "_told", set())
    monkeypatch.setattr(origin, "_under_way", [{}])

    def change(module, old, new):
        text, number = re.subn(old, new, origin.FILES[module].read_text(), count=1, flags=re.M)
        assert number, f"{module} has no {old}"
        origin.FILES[module].write_text(text)
        imported_anew(monkeypatch, copy)

    imported_anew(monkeypatch, copy)
    return change


def imported_anew(monkeypatch, folder):
    """Let this process believe that it imported the modules as they are in `folder` now."""
    files = {
        module: folder / path.relative_to(paths.REPOSITORY / "dcpriv_lib")
        if path.is_relative_to(paths.REPOSITORY)
        else path
        for module, path in origin.FILES.items()
    }
    monkeypatch.setattr(origin, "FILES", files)
    monkeypatch.setattr(origin, "SOURCES", {module: path.read_text() for module, path in files.items()})
    monkeypatch.setattr(origin, "STAMPS", {module: path.stat().st_mtime_ns for module, path in files.items()})


def record(path):
    return json.loads(store.sidecar(path).read_text())


def of_kind(study, name):
    """The record of the only artefact whose file begins so."""
    (path,) = (path for path in study.folder.rglob(f"{name}*.npz") if not path.name.startswith("state-"))
    return record(path)


# ---------------------------------------------------------------- what a computation passed through


def made(study, monkeypatch):
    """Make a set by DC, one by KIP, a model and a notebook's table; return what the records say of their code."""
    rows = study.members[:200]
    study.sets("a DC set", {0: (rows, SETTINGS)})
    study.sets("a KIP set", {0: (rows, replace(SETTINGS, method="KIP", start="real"))})
    study.models("a model", each({0: rows}, Training(1)))
    monkeypatch.setattr(origin, "_executed", lambda: set(origin._cells(NOTEBOOK.read_text())))
    study.results.save("controls", pd.DataFrame({"a": [1]}))
    return {name: of_kind(study, name)["code"] for name in ("a_DC_set", "a_KIP_set", "a_model")} | {
        "the table": record(study.folder / "controls.npz")["code"]
    }


ALL = {"a_DC_set", "a_KIP_set", "a_model", "the table"}


def test_what_one_process_read_another_takes_over_unless_it_was_edited_since(library, monkeypatch):
    monkeypatch.setattr(origin, "_read", {})
    before = origin.code(condense.condense)
    told = origin.read_so_far()
    monkeypatch.setattr(origin, "_read", {})
    origin.read_already(told)
    with monkeypatch.context() as unable:
        unable.setattr(origin, "ast", None)
        assert origin.code(condense.condense) == before
    library("condensation.condense", "^SNAPSHOTS = .0, ", "SNAPSHOTS = (0, 7, ")
    origin.read_already(told)
    changed = {file for file, found in origin.code(condense.condense).items() if found != before[file]}
    assert changed == {"dcpriv_lib/condensation/condense.py"}


@pytest.mark.parametrize(
    ("module", "old", "new", "whose"),
    [
        ("condensation.kernel_inducing_points", "^RIDGE = 1e-6", "RIDGE = 1e-5", {"a_KIP_set"}),
        ("evaluation.examination", "^LEAD = 0.001", "LEAD = 0.002", {"the table"}),
        ("metrics", "^LEVEL = 0.95", "LEVEL = 0.9", {"the table"}),
        ("condensation.gradient_matching", "^NETWORK_LR = 0.01", "NETWORK_LR = 0.02", {"a_DC_set"}),
        ("condensation.condense", "^SNAPSHOTS = .0, ", "SNAPSHOTS = (0, 7, ", {"a_DC_set", "a_KIP_set"}),
        ("models.training", "^IMAGE_MOMENTUM = 0.5", "IMAGE_MOMENTUM = 0.6", ALL),
        (
            "condensation.distribution_matching",
            r"^CPU_CHUNK = 2\*\*20",
            "CPU_CHUNK = 2**19",
            set(),
        ),  # of a method that made none of these
        ("condensation.coresets", "^EPOCHS = 1", "EPOCHS = 2", set()),  # of a start that none began with
        ("privacy.dp_sgd", "^CHUNK = 64", "CHUNK = 32", set()),
        ("models.published_protocol", "^CHUNK = 32", "CHUNK = 16", set()),
        ("__init__", "^__version__", "from .condensation import defaults\n__version__", None),  # what all pass through
        ("results.plots", "^from pathlib", "OTHER = 1\nfrom pathlib", set()),  # draws, and makes no number
        ("models.training", "^IMAGE_MOMENTUM = 0.5", "# a comment\n\nIMAGE_MOMENTUM = 0.5", set()),
        ("condensation.kernel_inducing_points", '"""[^"]+"""', '"""Another docstring."""', set()),
    ],
)
def test_a_changed_constant_changes_the_hash_of_what_passed_through_it_and_of_nothing_else(
    module, old, new, whose, study, library, monkeypatch
):
    before = made(study, monkeypatch)
    assert all(before.values())
    library(module, old, new)
    shutil.rmtree(study.folder / "models"), shutil.rmtree(study.folder / "condensed")
    after = made(study, monkeypatch)
    assert {name for name in before if after[name] != before[name]} == (ALL if whose is None else whose)
    for name in whose or ():
        assert {file for file in before[name] if after[name][file] != before[name][file]} == {
            f"dcpriv_lib/{module.replace('.', '/')}.py"
        }


def passed_through(work, monkeypatch):
    """The modules of the library in which a function was called while the jobs of `work` ran, as Python's profiler
    sees it."""
    found, library, result = set(), str(paths.REPOSITORY / "dcpriv_lib"), Job.result

    def look(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(library):
            found.add(".".join(Path(frame.f_code.co_filename).relative_to(library).with_suffix("").parts))

    def profiled(*arguments):
        before = sys.getprofile()
        sys.setprofile(look)
        try:
            return result(*arguments)
        finally:
            sys.setprofile(before)

    monkeypatch.setattr(Job, "result", profiled)
    work()
    return found - origin.HOUSE


def condensed(method="DC", start="noise", network="ConvNet"):
    how = replace(SETTINGS, method=method, start=start, network=network)
    return lambda study: study.sets("job", {0: (study.members[:150], how)})


GAN = gan.Settings(drawn=1, updates=1, lr=1e-3, batch=20, width=8)
QUERY = noisy_embeddings.ReleaseSettings(releases=1, rate=0.5, sigma=1.0, size=4)
FIT = noisy_embeddings.FitSettings(ipc=1, updates=1, lr=0.1)
PSG = psg.Settings(ipc=1, iterations=1, looks=1, batch=8, clip=0.5, sigma=1.0, image_lr=0.5, size=4, network_steps=1)
DP_SGD = dp_sgd.Settings(steps=1, batch=8, clip=0.5, sigma=1.0, lr=0.1)


def private(recipe):
    return lambda study: study.sets("job", {0: (study.members[:150], recipe)})


def attacked(study):
    models = study.models("model", each({0: study.members[:50]}, Training(1)))
    study.attacked(models, study.members[:5], robustness.examine, epsilons=[0.1], steps=1)


@pytest.mark.parametrize(
    "job",
    [
        *(pytest.param(condensed(method), id=method) for method in condense.METHODS),
        *(pytest.param(condensed(start=start), id=f"from {start}") for start in starts.STARTS),
        pytest.param(condensed("KIP-labels", "tiles"), id="KIP-labels from tiles"),
        pytest.param(lambda study: study.models("job", each({0: study.members[:50]}, Training(1))), id="model"),
        pytest.param(
            lambda study: study.models("job", each({0: study.members[:50]}, Training(1, protocol="published"))),
            id="their protocol",
        ),
        pytest.param(
            lambda study: study.models("job", {0: (study.members[:50], PrivateTraining(DP_SGD))}), id="DP-SGD"
        ),
        pytest.param(private(FittedRelease(QUERY, FIT)), id="DM"),
        pytest.param(private(FittedRelease(replace(QUERY, embedding="fourier"), GAN)), id="DP-MERF"),
        pytest.param(private(PSG), id="PSG"),
        pytest.param(private(GAN), id="GAN"),
        pytest.param(attacked, id="attacked"),
    ],
)
def test_no_module_that_a_job_passes_through_is_missing_from_its_record(job, study, monkeypatch):
    through = passed_through(lambda: job(study), monkeypatch)
    (newest,) = (
        path
        for path in study.folder.rglob("*.npz")
        if path.parent.name in ("condensed", "models", "attacked") and not path.name.startswith(("state-", "model-"))
    )
    recorded = {".".join(Path(file).with_suffix("").parts[1:]) for file in record(newest)["code"]}
    assert len(through) > 2 and through <= recorded, through - recorded


def test_what_a_module_chooses_from_is_what_its_jobs_name():
    for module, chosen in origin.CHOICES.items():
        assert chosen <= origin.imported(origin.SOURCES[module], module), module
    named = {
        maker.__module__.removeprefix("dcpriv_lib.")
        for method in condense.METHODS
        for start in starts.STARTS
        for maker in (
            getattr(one, "func", one) for one in condense.chosen(replace(SETTINGS, method=method, start=start))
        )
    }
    assert named == origin.chosen_by("condensation.condense") | origin.chosen_by("condensation.starts")


def test_the_source_is_read_without_what_changes_nothing():
    plain = "def f(x):\n    return x + 1\nY = 2\n"
    documented = '"""Doc."""\n\n# why\ndef f(x):  # because\n    """Doc."""\n    return (x +\n  1)\n\nY = 2'
    assert origin.normalised(documented) == origin.normalised(plain)
    assert origin.normalised("Y = 2") != origin.normalised("Y = 3") and origin.normalised(
        "Y: int = 2"
    ) != origin.normalised("Y: int = 3")
    assert origin.imported(
        "from . import starts, nothing\nfrom ..models.training import train\nimport torch\n"
        "def f():\n    from dcpriv_lib import metrics as m\n    from dcpriv_lib.study import Study\n",
        "condensation.condense",
    ) == {"condensation.starts", "models.training", "metrics", "study"}


def test_a_notebook_is_known_by_the_cells_that_were_run(study, monkeypatch):
    text = NOTEBOOK.read_text()
    begun = set(origin._cells(text)[:20])
    assert not [one for one in origin._cells(text) if one.startswith("profile: ")], (
        "a result has its parameters among its inputs"
    )
    monkeypatch.setattr(origin, "_executed", lambda: begun)
    known = origin.of_what_is_saved()["code"]
    assert known["notebooks/07_controls.py"] == origin._today("notebooks/07_controls.py")
    monkeypatch.setattr(origin, "_executed", lambda: begun | {"n_models = 4"})
    by_hand = origin.of_what_is_saved()["code"]
    assert origin.BY_HAND in by_hand and "notebooks/07_controls.py" not in by_hand
    assert {"dcpriv_lib/evaluation/examination.py", "dcpriv_lib/results/tables.py"} <= known.keys() & by_hand.keys()


def test_what_was_executed_is_what_ipython_ran():
    shell = InteractiveShell.instance()
    try:
        for cell in (
            "profile: str = 'quick'",
            "# Parameters\nprofile = 'tiny'",
            "y = 1;  # why",
            "this is no Python",
            "y = 1",
        ):
            shell.run_cell(cell, store_history=True)
        assert origin._executed() == {"y = 1"}
    finally:
        InteractiveShell.clear_instance()
    assert origin._executed() == set()


def test_a_module_that_is_edited_while_it_runs_has_no_hash(study, library):
    kernel = origin.FILES["condensation.kernel_inducing_points"]
    kernel.write_text(kernel.read_text() + "\nMORE = 1\n")
    study.sets("job", {0: (study.members[:150], replace(SETTINGS, method="KIP", start="real"))})
    assert of_kind(study, "job")["code"]["dcpriv_lib/condensation/kernel_inducing_points.py"] == origin.EDITED
    assert list(origin.other_code(of_kind(study, "job"))) == ["dcpriv_lib/condensation/kernel_inducing_points.py"]


def test_the_code_is_no_part_of_what_a_result_is_found_by(study, library, monkeypatch):
    study.models("a model", each({0: study.members[:50]}, Training(1)))
    files = sorted((study.folder / "models").iterdir())
    library("models.training", "^IMAGE_MOMENTUM = 0.5", "IMAGE_MOMENTUM = 0.6")
    study.models("a model", each({0: study.members[:50]}, Training(1)))
    assert sorted((study.folder / "models").iterdir()) == files and "code" not in of_kind(study, "a_model")["inputs"]


# ---------------------------------------------------------------- whoever reads a result of other code


def test_a_reader_of_other_code_is_told_once_a_folder_and_what_is_saved_then_says_so(study, library, capsys):
    sets = {number: study.members[number : 50 + number] for number in range(3)}
    study.models("a model", each(sets, Training(1)))
    study.models("a model", each(sets, Training(1)))
    assert capsys.readouterr().err == "", "today's code"
    library("models.training", "^IMAGE_MOMENTUM = 0.5", "IMAGE_MOMENTUM = 0.6")
    for _ in range(2):
        study.models("a model", each(sets, Training(1)))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "mine/models: other code than today's made some of this (dcpriv_lib/models/training.py); "
        "`make fresh PROFILE=mine` starts anew"
    )
    study.results.save("every_model", pd.DataFrame({"a": [1]}))
    (rests_on,) = record(study.folder / "every_model.npz")["other_code"]["dcpriv_lib/models/training.py"]
    assert re.fullmatch(r"[0-9a-f]{12} of ([0-9a-f]{40}(\+changes)?|no commit)", rests_on)
    assert list(origin.other_code(record(study.folder / "every_model.npz"))) == ["dcpriv_lib/models/training.py"], (
        "a table of today's code"
    )


def test_workers_are_silent_and_a_record_without_hashes_counts_as_other_code(study, library, capsys, monkeypatch):
    study.models("a model", each({0: study.members[:50]}, Training(1)))
    file = store.sidecar(next((study.folder / "models").glob("*.npz")))
    old = json.loads(file.read_text())
    del old["code"]
    file.write_text(json.dumps(old))
    with monkeypatch.context() as worker:
        worker.setattr(multiprocessing, "parent_process", lambda: "the parent")
        study.models("a model", each({0: study.members[:50]}, Training(1)))
    assert capsys.readouterr().err == ""
    study.models("a model", each({0: study.members[:50]}, Training(1)))
    assert "made some of this (code that is not on record)" in capsys.readouterr().err


def test_committed_tables_are_read_without_a_word(library, capsys):
    store.read_exported(paths.FIGURES / "digits/canaries.csv")
    assert capsys.readouterr().err == "" and origin._under_way == [{}]


def test_a_result_that_went_on_from_a_state_of_other_code_says_so(tmp_path, library):
    def stop(unfinished):
        with Checkpoint(unfinished, {}) as saved:
            saved.keep({"x": np.zeros(1)})
            raise KeyboardInterrupt

    def go_on(unfinished):
        with Checkpoint(unfinished, {}) as saved:
            return saved.load()

    with pytest.raises(KeyboardInterrupt):
        store.cached(tmp_path / "a", {}, stop, by=(condense.condense,))
    library("condensation.condense", "^SNAPSHOTS = .0, ", "SNAPSHOTS = (0, 7, ")
    store.cached(tmp_path / "a", {}, go_on, by=(condense.condense,))
    store.cached(tmp_path / "b", {}, lambda _: {"x": np.zeros(1)}, by=(condense.condense,))
    mixed, pure = (record(store.cached_path(tmp_path / name, {})) for name in "ab")
    assert list(mixed["other_code"]) == ["dcpriv_lib/condensation/condense.py"] and "other_code" not in pure
    assert mixed["code"] == pure["code"]


# ---------------------------------------------------------------- the commit and the mixture, wherever they are shown

CLEAN, CHANGED = "cdee8705a1" + 30 * "0", "cdee8705a1" + 30 * "0" + "+changes"


def made_by(commit, day="2026-11-28", **more):
    return {
        "inputs": {},
        "sha256": "",
        "provenance": {"written": f"{day}T00:00:00", "processor": "cpu", "git_commit": commit},
    } | more


@pytest.mark.parametrize(
    ("commit", "shown"), [(CLEAN, "cdee8705a1"), (CHANGED, "cdee8705a1+changes"), (None, "unknown")]
)
def test_no_cut_removes_the_mark_of_changed_code(commit, shown):
    assert origin.short(commit) == shown
    assert origin.of_run([made_by(commit)]) == f"run on 2026-11-28 on cpu, commit {shown}."


def test_a_run_says_how_much_code_it_mixes():
    a, b = {"dcpriv_lib/a.py": "1", "dcpriv_lib/b.py": "2"}, {"dcpriv_lib/a.py": "3", "dcpriv_lib/b.py": "2"}
    other = "f" * 40
    assert origin.mixture([]) == ""
    assert origin.mixture([made_by(CLEAN, code=a), made_by(CLEAN, code=a)]) == ""
    assert origin.mixture([made_by(CLEAN, code=a), made_by(other, code=a)]) == (
        "Its tables are of 2 commits, which differ in nothing that they passed through."
    )
    assert origin.mixture([made_by(CLEAN), made_by(other, code=a)]) == (
        "Its tables are of 2 commits, and what differs between these is not on record."
    )
    assert (
        origin.mixture([made_by(CLEAN, code=a), made_by(CLEAN, code=b)])
        == "It mixes code: dcpriv_lib/a.py in 2 versions."
    )
    read = {"dcpriv_lib/b.py": ["7 of x", "8 of y"], origin.UNKNOWN: ["z"]}
    assert origin.mixture([made_by(CLEAN, code=a, other_code=read)]) == (
        "It mixes code: dcpriv_lib/b.py in 3 versions and results whose code is not on record."
    )
    assert origin.of_run([made_by(CLEAN), made_by(CHANGED, "2026-11-30"), made_by(CLEAN, "2026-11-29")]).startswith(
        "run on 2026-11-28 to 2026-11-30 on cpu, commits cdee8705a1 and cdee8705a1+changes. "
    )


def test_no_committed_result_is_of_code_that_is_in_no_commit():
    """`make figures` refuses such results, and so does this test, which CI runs."""
    found = {
        str(file.relative_to(paths.FIGURES)): why
        for file in sorted(paths.FIGURES.glob("*/*.json"))
        if (why := committed.uncommitted(file))
    }
    assert not found, "make them again by committed code: commit, `make fresh PROFILE=...`, `make figures`"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs, "good" and "other", whose records a test may spoil, and what was committed of them before."""
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(paths, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    for name in ("good", "other"):
        for file in ("tables/claims.csv", "figures/a.png", "condensed_sets.npz", "models/m.npz"):
            path = tmp_path / "results" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}" if file.endswith("json") else name)
        for file in ("tables/claims.csv.json", "condensed_sets.npz.json"):
            (tmp_path / "results" / name / file).write_text(json.dumps(made_by(CLEAN)))
        (tmp_path / "figures" / name).mkdir(parents=True)
        (tmp_path / "figures" / name / "before.csv").write_text("before")
    return tmp_path


def test_what_a_run_found_replaces_what_was_committed_of_it(runs):
    committed.copy("good")
    assert sorted(file.name for file in (runs / "figures/good").iterdir()) == [
        "a.png",
        "claims.csv",
        "claims.csv.json",
        "condensed_sets.npz",
        "condensed_sets.npz.json",
    ]
    assert [file.name for file in (runs / "figures/other").iterdir()] == ["before.csv"]
    committed.copy()
    assert (runs / "figures/other/claims.csv").read_text() == "other"


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        (made_by(CHANGED), "changed code that was not committed"),
        (made_by(None), "code without a commit"),
        (
            made_by(CLEAN, inputs={"made from": {"provenance": {"git_commit": CHANGED}}}),
            "changed code that was not committed",
        ),
        (made_by(CLEAN, other_code={"dcpriv_lib/a.py": [f"1 of {CHANGED}"]}), "changed code that was not committed"),
        (made_by(CLEAN, other_code={"dcpriv_lib/a.py": ["1 of no commit"]}), "code without a commit"),
        (made_by(CLEAN, other_code={"dcpriv_lib/a.py": ["1 of no commit", f"2 of {CLEAN}"]}), "code without a commit"),
        (made_by(CLEAN, replaces=made_by(CHANGED)), "changed code that was not committed"),
    ],
)
@pytest.mark.parametrize("file", ["tables/claims.csv.json", "condensed_sets.npz.json"])
def test_results_of_uncommitted_code_are_refused_before_anything_is_deleted(file, spoiled, words, runs):
    (runs / "results/other" / file).write_text(json.dumps(spoiled))
    with pytest.raises(
        committed.RefusedError,
        match=f"figures/other stays as it is: {words} made {Path(file).stem}, .*"
        "Commit your changes, then `make fresh PROFILE=other` and `make figures` again",
    ):
        committed.copy()
    for name in ("good", "other"):
        assert [path.name for path in (runs / "figures" / name).iterdir()] == ["before.csv"]


def test_code_of_a_state_is_committed_if_another_result_of_the_same_code_is(tmp_path):
    both = made_by(CLEAN, other_code={"dcpriv_lib/a.py": ["1 of no commit", f"1 of {CLEAN}"]})
    (tmp_path / "a.json").write_text(json.dumps(both))
    assert committed.uncommitted(tmp_path / "a.json") == ""


@pytest.mark.parametrize("file", ["tables/claims.csv", "condensed_sets.npz"])
def test_results_whose_code_is_not_on_record_are_refused(file, runs):
    store.sidecar(runs / "results/other" / file).unlink()
    with pytest.raises(committed.RefusedError, match=f"{origin.UNKNOWN} made {Path(file).name}, so nobody"):
        committed.copy("other")
    assert [path.name for path in (runs / "figures/other").iterdir()] == ["before.csv"]


def test_a_run_that_is_not_there_is_named(runs):
    with pytest.raises(committed.RefusedError, match="nowhere: no such run with tables in results"):
        committed.copy("nowhere")
    assert (runs / "figures/good/before.csv").exists()


# ---------------------------------------------------------------- to start anew


def test_a_profile_starts_anew_and_nothing_is_lost(runs):
    said = fresh.main("other")
    (old,) = (runs / "results/.old").iterdir()
    assert old.name.startswith("other-") and (old / "models/m.npz").read_text() == "other" and str(old.name) in said
    assert not (runs / "results/other").exists() and (runs / "results/good/models/m.npz").exists()
    assert fresh.main("other") == "other has no results yet"
    committed.copy()
    assert not (runs / "figures/.old").exists(), "what was put aside is no run"


@pytest.mark.parametrize("name", ["", ".", "..", "../figures", "a/b", ".old"])
def test_only_results_of_a_profile_are_put_aside(name, runs):
    with pytest.raises(ValueError, match="expected letters, digits"):
        fresh.put_aside(name)
    assert (runs / "figures/good/before.csv").exists() and (runs / "results/good").exists()


@pytest.mark.parametrize(
    ("profile", "runs"), [("quick", "profile=quick"), ("authors", "make --no-print-directory authors")]
)
def test_make_fresh_puts_aside_then_runs_and_never_says_to_put_aside_again(profile, runs):
    shown = subprocess.run(
        ["make", "-n", "fresh", f"PROFILE={profile}"], cwd=paths.REPOSITORY, capture_output=True, text=True
    ).stdout
    assert 0 <= shown.index(f'python -m dcpriv_lib.engine.fresh "{profile}"') < shown.index(runs)
    assert 'DCPRIV_AGAIN="make' not in shown, "whoever stops it goes on by the engine's own command"
