"""What the engine says: steps and errors, bars that move, failures that name the cell; and the front page."""

import hashlib
import json
import logging
import os
import subprocess
import sys

import nbformat
import pandas as pd
import pytest
from executed_notebooks import start_new_kernel
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from snakemake_interface_logger_plugins.common import LogEvent

from dcpriv_lib import stages
from dcpriv_lib.engine import paths, progress, run_notebook
from dcpriv_lib.results import report
from support import engine

KERNEL = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}


@pytest.mark.parametrize(
    ("event", "level", "text", "shown"),
    [
        (LogEvent.JOB_INFO, logging.INFO, "Rule: attack, Jobid: 3", True),
        (LogEvent.PROGRESS, logging.INFO, "None", True),
        (None, logging.INFO, "Nothing to be done (all requested files are present and up to date).", True),
        (None, logging.INFO, "Select jobs to execute...", False),
        (LogEvent.RUN_INFO, logging.INFO, "Job stats: ...", False),
        (LogEvent.ERROR, logging.ERROR, "ProfileError: there is no profile 'x'", True),
        (LogEvent.ERROR, logging.ERROR, "RuleException:\nCommand 'python ...' returned non-zero exit status 1.", False),
        (LogEvent.ERROR, logging.ERROR, "RuleException:\nCommand 'python ...' died with <Signals.SIGKILL: 9>.", True),
        (LogEvent.ERROR, logging.ERROR, "MissingOutputException in rule attack: attacks.csv", True),
        (LogEvent.JOB_ERROR, logging.ERROR, "Error in rule attack, jobid: 3", False),
        (None, logging.CRITICAL, "anything", True),
    ],
)
def test_steps_and_what_nobody_has_said_is_worth_reading(event, level, text, shown):
    record = logging.makeLogRecord({"event": event, "levelno": level, "msg": text})
    assert progress.worth_reading(record) is shown


def test_the_log_file_of_snakemake_keeps_all():
    logger, screen, file = logging.Logger("any"), logging.StreamHandler(), logging.StreamHandler()
    screen.name, file.name = "DefaultStreamHandler", "DefaultLogFileHandler"
    logger.addHandler(screen)
    logger.addHandler(file)
    progress.attach(logger)
    assert screen.filters == [progress.worth_reading] and file.filters == []


def test_an_unknown_profile_is_named(tmp_path):
    process = engine(tmp_path, profile="nonsense")
    said, _ = process.communicate()
    assert process.returncode and "nonsense" in said and "there is no profile" in said


def test_results_that_cannot_be_written_do_not_end_in_silence(tmp_path):
    (tmp_path / "tiny").write_text("a file where the folder of the results should be")
    process = engine(tmp_path)
    said, _ = process.communicate()
    assert process.returncode and "cannot write to the results folder" in said and str(tmp_path / "tiny") in said


def test_an_error_of_the_engine_itself_is_not_swallowed(tmp_path, monkeypatch):
    """Snakemake keeps something in the home folder, which here is a file."""
    home = tmp_path / "home"
    home.write_text("")
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home))
    process = engine(tmp_path / "results", targets=["no_such_step"])
    said, _ = process.communicate()
    assert process.returncode and str(home) in said


def test_a_failure_names_the_cell_and_the_error(tmp_path):
    cells = [new_markdown_cell("# T"), new_code_cell("1 + 1"), new_code_cell("# why\nraise ValueError('so\\nit is')")]
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), tmp_path / "01_test.ipynb")
    output = tmp_path / "out.ipynb"
    with pytest.raises(Exception) as caught:  # noqa: PT011 (whatever papermill raises)
        run_notebook.run(tmp_path / "01_test.ipynb", output, {})
    said = run_notebook.failure(tmp_path / "01_test.ipynb", output, caught.value)
    assert "code cell 2, which begins: raise ValueError" in said and "  it is" in said
    assert not output.exists() and run_notebook.unfinished(output).exists()


def test_a_kernel_that_dies_is_a_failure_that_names_the_cell(tmp_path):
    cells = [new_code_cell("1 + 1"), new_code_cell("import os\nos._exit(9)")]
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), tmp_path / "01_test.ipynb")
    with pytest.raises(Exception) as caught:  # noqa: PT011 (whatever papermill raises)
        run_notebook.run(tmp_path / "01_test.ipynb", tmp_path / "out.ipynb", {})
    said = run_notebook.failure(tmp_path / "01_test.ipynb", tmp_path / "out.ipynb", caught.value)
    assert "code cell 2, which begins: import os" in said and "Kernel died" in said


def test_a_long_step_says_how_far_it_is_and_how_long_still_and_repeats_warnings(tmp_path):
    bar = "import time, warnings\nfrom tqdm import tqdm\nfor _ in tqdm(range(30), 'models'):\n    time.sleep(0.1)"
    cells = [new_code_cell(bar), new_code_cell("warnings.warn('many copies')\nprint('a result')")]
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), tmp_path / "06_test.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "dcpriv_lib.engine.run_notebook", tmp_path / "06_test.ipynb", tmp_path / "out.ipynb"],
        env=os.environ | {"TQDM_MININTERVAL": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    moving = [
        line for line in lines if line.startswith("  06_test: models:") and "/30 [00:0" in line and "<00:0" in line
    ]
    assert 2 <= len(moving) <= 6 and any("many copies" in line for line in lines)
    assert "a result" not in done.stdout, "what a notebook prints is in the notebook"


def test_the_front_page_holds_what_there_is(tmp_path):
    (tmp_path / "tables").mkdir()
    pd.DataFrame({"claim": ["A <claim>"], "target": ["original"], "this run": ["50 %"], "verdict": ["no"]}).to_csv(
        tmp_path / "tables/claims.csv", index=False
    )
    inputs = {"profile": "p", "dataset": "d"}
    made = {"written": "2026-01-01T00:00:00", "processor": "cpu", "git_commit": None}
    sha256 = hashlib.sha256((tmp_path / "tables/claims.csv").read_bytes()).hexdigest()
    record = {"inputs": inputs, "provenance": made, "sha256": sha256}
    (tmp_path / "tables/claims.csv.json").write_text(json.dumps(record))
    html = report.write(tmp_path / "pages", paths.NOTEBOOKS, tmp_path / "tables", tmp_path).read_text()
    assert "A &lt;claim&gt; (original)" in html and "run on 2026-01-01 on cpu, commit unknown" in html
    bare = report.write(tmp_path / "bare", tmp_path, tmp_path, tmp_path).read_text()
    assert "have not been run yet" in bare and bare.count("(not run yet)") == len(stages.STAGES) and "<img" not in bare


def test_a_notebook_that_the_engine_does_not_run_is_shown_as_committed_until_it_is_run(tmp_path):
    stage, notebooks = stages.APART.name, tmp_path / "quick/notebooks"
    shown = report.executed(stage, notebooks)
    assert "*As committed with the report; `make authors` runs it here.*" in shown.cells[0].source
    assert shown.cells[1:] == report.as_committed(stage).cells[1:]
    place = tmp_path / "authors/notebooks" / f"{stage}.ipynb"
    place.parent.mkdir(parents=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Run here")]), place)
    assert report.executed(stage, notebooks).cells[0].source == "# Run here"
    assert report.executed("01_data_split", notebooks) is None


def test_plumbing_is_folded_and_the_lesson_is_not():
    cells = [
        new_markdown_cell("# T"),
        new_code_cell("a = 1", metadata={"tags": ["parameters"]}),
        new_code_cell("import os"),
        new_markdown_cell("text"),
        new_code_cell("lesson"),
        new_code_cell("keep()", metadata={"tags": ["plumbing"]}),
    ]
    folded = [cell.metadata.get("folded") for cell in report.fold(new_notebook(cells=cells)).cells]
    assert folded == [None, "parameters", "imports and set-up", None, None, "code"]


@pytest.mark.parametrize(("failures", "ends_well"), [(0, True), (1, True), (run_notebook.ATTEMPTS, False)])
def test_a_kernel_that_another_process_beat_to_a_port_is_started_again(tmp_path, monkeypatch, failures, ends_well):
    calls = []

    def execute(notebook, place, *_, **__):
        calls.append(place)
        if len(calls) <= failures:
            raise RuntimeError(run_notebook.UNBORN)
        place.write_text("executed")

    monkeypatch.setattr(run_notebook, "execute_notebook", execute)
    if ends_well:
        run_notebook.run(tmp_path / "a.ipynb", tmp_path / "out.ipynb", {})
        assert (tmp_path / "out.ipynb").read_text() == "executed" and len(calls) == failures + 1
    else:
        with pytest.raises(RuntimeError, match="died before replying"):
            run_notebook.run(tmp_path / "a.ipynb", tmp_path / "out.ipynb", {})


def test_no_other_error_of_a_notebook_is_tried_again(tmp_path, monkeypatch):
    calls = []

    def execute(*_, **__):
        calls.append(1)
        raise RuntimeError("of the notebook's own")

    monkeypatch.setattr(run_notebook, "execute_notebook", execute)
    with pytest.raises(RuntimeError, match="of the notebook's own"):
        run_notebook.run(tmp_path / "a.ipynb", tmp_path / "out.ipynb", {})
    assert len(calls) == 1


@pytest.mark.parametrize(("failures", "ends_well"), [(0, True), (1, True), (run_notebook.ATTEMPTS, False)])
def test_nbval_starts_a_kernel_again_too(failures, ends_well):
    calls = []

    def start(*given):
        calls.append(given)
        if len(calls) <= failures:
            raise RuntimeError(run_notebook.UNBORN)
        return "kernel"

    if ends_well:
        assert start_new_kernel(60, start=start) == "kernel" and len(calls) == failures + 1
    else:
        with pytest.raises(RuntimeError, match="died before replying"):
            start_new_kernel(60, start=start)


def test_nbval_tries_nothing_else_again():
    def start():
        raise RuntimeError("no such kernel")

    with pytest.raises(RuntimeError, match="no such kernel"):
        start_new_kernel(start=start)
