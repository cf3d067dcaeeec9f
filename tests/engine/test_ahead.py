"""Ahead of what it reads: what a notebook trains as soon as it can, what it leaves, and in which order all run."""

import os
import threading

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from papermill.exceptions import PapermillExecutionError

from dcpriv_lib import profiles, stages
from dcpriv_lib.engine import ahead, checkpoint, checksums, paths, run_notebook, store
from dcpriv_lib.engine.cluster import meeting
from dcpriv_lib.study import Study
from support import engine

PYTHON = """#!/bin/sh
for last; do true; done
case "$*" in
*run_notebook*)
    echo "$(basename "$last") begins" >> "$LOG"
    touch "$last"
    case "$*" in *--ahead*) ;; *) cd "$(dirname "$last")/.."; touch {everything} ;; esac
    echo "$(basename "$last") ends" >> "$LOG" ;;
*report*) mkdir -p "$DCPRIV_RESULTS/tiny/report"; touch "$DCPRIV_RESULTS/tiny/report/index.html" ;;
esac
"""
AHEAD = {f"ahead-{stage.name}.ipynb" for stage in stages.STAGES if stage.ahead}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The digits, divided, with results in a folder of the test's own."""
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path))
    return Study.divide("tiny", "digits", 0, "standard")


def all_at_once(study):
    together = threading.Barrier(3)

    def call(key):
        together.wait(timeout=2)
        return key.upper()

    return study.at_once({key: lambda key=key: call(key) for key in "bca"})


def test_on_a_cluster_calls_wait_for_their_jobs_at_the_same_time_and_here_in_turn(study):
    with pytest.raises(threading.BrokenBarrierError):
        all_at_once(study)
    place = meeting.open_(study.folder)
    (place / meeting.ADDRESS).touch()
    assert list(all_at_once(study).items()) == [("b", "B"), ("c", "C"), ("a", "A")]
    with pytest.raises(ZeroDivisionError):  # and the other call, which waits for jobs, is told to stop
        study.at_once({0: lambda: 1 / 0, 1: lambda: checkpoint.stop_others.wait(10) or pytest.fail("it waits on")})
    assert not checkpoint.stop_others.is_set()


def test_a_notebook_that_runs_ahead_is_told_its_profiles_settings_and_keeps_nothing_under_a_name(study, monkeypatch):
    with pytest.raises(store.MissingError):
        study.settings_of(2)
    monkeypatch.setenv(ahead.VARIABLE, "yes")
    assert study.made_with("targets") == profiles.read("tiny")["02_condensation"]
    assert (study.settings_of(2).ipc, study.settings_of(2).width) == (2, 4)
    before = set(study.folder.rglob("*"))
    table = pd.DataFrame({"a": [1]})
    study.results.save("controls", table)
    study.table(table, "controls")
    assert set(study.folder.rglob("*")) == before
    monkeypatch.delenv(ahead.VARIABLE)
    study.results.save("targets", table)
    monkeypatch.setenv(ahead.VARIABLE, "yes")
    assert study.made_with("targets") == study.parameters, "what was left tells more than the profile"


@pytest.mark.slow
def test_cells_that_fail_are_left_out_ahead_and_no_list_says_that_the_notebook_was_run(tmp_path):
    cells = [f"open({str(tmp_path / 'first')!r}, 'w')", "1 / 0", f"open({str(tmp_path / 'last')!r}, 'w')"]
    notebook, output = tmp_path / "a.ipynb", tmp_path / "out/a.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=kernel), notebook)
    with pytest.raises(PapermillExecutionError):
        run_notebook.run(notebook, output, {})
    assert not output.exists() and not (tmp_path / "last").exists()
    checksums.of(output).unlink()
    run_notebook.run(notebook, output, {}, ahead=True)
    assert output.exists() and (tmp_path / "last").exists() and not checksums.of(output).exists()
    del os.environ[ahead.VARIABLE]


def test_on_a_cluster_notebooks_that_can_train_begin_with_the_split_and_nothing_runs_twice(tmp_path, monkeypatch):
    """Another program takes the place of python; then the same command finds nothing to be done, cluster or not."""
    everything = " ".join(f"{name}.npz" for stage in stages.STAGES for name in stage.leaves)
    log, tools, place = tmp_path / "log", tmp_path / "tools", tmp_path / "tiny" / meeting.FOLDER
    tools.mkdir()
    place.mkdir(parents=True)
    (place / meeting.ADDRESS).touch()
    (tools / "python").write_text(PYTHON.format(everything=everything))
    (tools / "python").chmod(0o755)
    monkeypatch.setenv("LOG", str(log))
    shown, _ = engine(tmp_path, tools=[tools]).communicate()
    order = log.read_text().split("\n")[:-1]
    assert {line.removesuffix(" begins") for line in order if line.startswith("ahead") and "begins" in line} == AHEAD, (
        shown
    )
    begun = {line.removesuffix(" begins"): number for number, line in enumerate(order) if line.endswith("begins")}
    ended = {line.removesuffix(" ends"): number for number, line in enumerate(order) if line.endswith("ends")}
    for stage in stages.STAGES:
        own = f"{stage.name}.ipynb"
        waits = [f"{stages.MADE_BY[name]}.ipynb" for name in stage.reads] + [f"ahead-{own}"] * stage.ahead
        assert all(ended[other] < begun[own] for other in waits), own
    assert not list((tmp_path / "tiny/notebooks").glob("ahead-*"))


def test_executors_that_submit_whole_notebooks_are_refused_in_a_sentence(tmp_path, monkeypatch):
    plugin = tmp_path / "snakemake_executor_plugin_elsewhere"
    plugin.mkdir()
    (plugin / "__init__.py").write_text(
        "from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor\n"
        "from snakemake_interface_executor_plugins.settings import CommonSettings\n"
        "class Executor(RemoteExecutor):\n"
        "    run_job = check_active_jobs = cancel_jobs = None\n"
        "common_settings = CommonSettings(non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False)\n"
    )
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")  # nothing is computed where it is not refused
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{paths.REPOSITORY}")
    options = ["--executor", "elsewhere", "--jobs", "1"]
    shown, _ = (process := engine(tmp_path / "results", config=options, tools=[tmp_path])).communicate()
    assert process.returncode == 1 and "the engine runs on one machine" in shown, shown
