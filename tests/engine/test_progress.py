"""What the engine says: steps and errors, bars that move, failures that name the cell; and the front page."""

import hashlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from executed_notebooks import start_new_kernel
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from snakemake_interface_logger_plugins.common import LogEvent

from dcpriv_lib import stages
from dcpriv_lib.engine import progress, run_notebook
from dcpriv_lib.results import report
from dcpriv_lib.results.pages import sources
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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "RuleException:\nCommand 'set -e; python 'a'.ipynb' returned non-zero exit status 2.",
            "the step returned non",
        ),
        (
            "RuleException:\nCommand 'python' died with <Signals.SIGTERM: 15>.\n  File",
            "the step died with <Signals.SIG",
        ),
        (
            "RuleException:\nCommand 'python' died with <Signals.SIGKILL: 9>.",
            "the step was killed from outside, usually",
        ),
        ("RuleException:\nCommand 'python' returned non-zero exit status 137.", "the step was killed from outside"),
        ("MissingOutputException in rule attack: attacks.csv", "MissingOutputException in rule attack: attacks.csv"),
        (
            'WorkflowError in file "python/Snakefile", line 8:\nno\n  File "python/Snakefile", line 8, in __onstart',
            "no",
        ),
        (
            "Traceback (most recent call last):\n\n  File python\n\nOSError: [Errno 28] No space\n\n",
            "OSError: [Errno 28] No",
        ),
    ],
)
def test_of_a_step_that_fails_its_end_is_shown_and_not_its_command(text, shown):
    assert progress.in_words(text).startswith(shown) and "python" not in progress.in_words(text)


def test_the_log_file_of_snakemake_keeps_all():
    logger, screen, file = logging.Logger("any"), logging.StreamHandler(), logging.StreamHandler()
    screen.name, file.name = "DefaultStreamHandler", "DefaultLogFileHandler"
    logger.addHandler(screen)
    logger.addHandler(file)
    progress.attach(logger, "make report")
    assert screen.filters == [progress.worth_reading] and file.filters == []


def slow(*values):
    """Return a case that another one stands for in `make check`: the engine takes seconds to start."""
    return pytest.param(*values, marks=pytest.mark.slow)


FAKE = """#!/bin/sh
for last; do true; done
case "$*" in
*run_notebook*) {notebook} ;;
*report*) {report} ;;
esac
"""
EVERYTHING = " ".join(f"{name}.npz" for stage in stages.STAGES for name in stage.leaves)
SUCCEEDS = f'touch "$last"; cd "$(dirname "$last")/.."; touch {EVERYTHING}'


@pytest.mark.parametrize(
    ("notebook", "report", "said"),
    [
        ("echo FAILED: cell 3; exit 1", "true", "FAILED: cell 3"),
        slow("true", "true", "MissingOutputException"),
        ("kill -9 $$", "true", "the step was killed from outside, usually because memory ran out"),
        slow("kill -9 $PPID", "true", "the step was killed from outside, usually because memory ran out"),
        slow("exit 127", "true", "the step returned non-zero exit status 127"),
        (SUCCEEDS, "echo No space left on device: page; exit 1", "No space left on device: page"),
        slow(SUCCEEDS, "exit 2", "the step returned non-zero exit status 2"),
    ],
)
def test_a_step_that_fails_is_told_in_words_and_with_the_command_that_goes_on(tmp_path, notebook, report, said):
    """Another program takes the place of python; all steps are run by it, in milliseconds."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/python").write_text(FAKE.format(notebook=notebook, report=report))
    (tmp_path / "tools/python").chmod(0o755)
    targets = [] if notebook == SUCCEEDS else ["data_split"]
    process = engine(tmp_path / "results", targets=targets, tools=[tmp_path / "tools"])
    shown, _ = process.communicate()
    assert process.returncode == 1 and said in shown
    assert "What was finished is kept. To go on from there: snakemake --cores 2" in shown
    assert "set -euo pipefail" not in shown and "Traceback" not in shown


@pytest.mark.parametrize(
    ("results", "options", "said"),
    [
        ("", {"profile": "nonsense"}, "there is no profile 'nonsense'"),
        slow("", {"profile": "2024"}, "there is no profile '2024'"),
        slow("", {"config": ["dataset=mnist"]}, "--config dataset=...: expected only profile=NAME; write dataset to"),
        ("", {"targets": ["no_such_step"]}, "no_such_step"),
        slow("/".join(["a" * 200] * 11), {}, "bytes: expected at most 2,000"),
        slow("", {"cores": 0}, "--cores 0: expected 1 or more, or all"),
        slow("a{ipc}b", {}, "a{ipc}b/tiny: Snakemake cannot work with braces in a path"),
        ("occupied", {}, "occupied/tiny (File exists): free that path, or set DCPRIV_RESULTS"),
    ],
)
def test_what_cannot_begin_is_told_in_words_and_with_the_command_that_goes_on(tmp_path, results, options, said):
    (tmp_path / "occupied").mkdir()
    (tmp_path / "occupied/tiny").write_text("a file where the folder of the results should be")
    process = engine(tmp_path / results, **options)
    shown, _ = process.communicate()
    assert process.returncode == 1 and said in shown and "Traceback" not in shown and 'File "' not in shown
    assert "What was finished is kept. To go on from there: snakemake --cores" in shown


@pytest.mark.slow
def test_a_run_that_was_killed_needs_no_unlocking(tmp_path):
    """Snakemake's locks are files that a killed one leaves; that two of them name one result is what locks."""
    locks = tmp_path / ".snakemake/locks"
    locks.mkdir(parents=True)
    for kind in ("input", "output"):
        (locks / f"0.{kind}.lock").write_text(str(tmp_path / "tiny/split.npz") + "\n")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/python").write_text(FAKE.format(notebook=SUCCEEDS, report="true"))
    (tmp_path / "tools/python").chmod(0o755)
    process = engine(tmp_path, targets=["data_split"], tools=[tmp_path / "tools"])
    shown, _ = process.communicate()
    assert process.returncode == 0, shown


@pytest.mark.slow
def test_the_engine_needs_no_home_folder(tmp_path, monkeypatch):
    """Snakemake keeps something in the home folder, which here is a file: so nobody can write to it."""
    home = tmp_path / "home"
    home.write_text("")
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home))
    process = engine(tmp_path / "results", targets=["no_such_step"])
    said, _ = process.communicate()
    assert process.returncode == 1 and "No rule to produce no_such_step" in said and "Traceback" not in said


def test_a_failure_names_the_cell_and_the_error(tmp_path):
    cells = [new_markdown_cell("# T"), new_code_cell("1 + 1"), new_code_cell("# why\nraise ValueError('so\\nit is')")]
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), tmp_path / "01_test.ipynb")
    output = tmp_path / "out.ipynb"
    with pytest.raises(Exception) as caught:  # noqa: PT011 (whatever papermill raises)
        run_notebook.run(tmp_path / "01_test.ipynb", output, {})
    said = run_notebook.failure(tmp_path / "01_test.ipynb", output, caught.value)
    assert "code cell 2, which begins: raise ValueError" in said and "  it is" in said
    assert not output.exists() and run_notebook.unfinished(output).exists()


def test_a_notebook_that_a_full_disk_cut_off_leaves_the_failure_to_be_told(tmp_path):
    output = tmp_path / "out.ipynb"
    for content in ('{"cells": [{"cell_type": "co', "", "[]"):
        run_notebook.unfinished(output).write_text(content)
        said = run_notebook.failure(tmp_path / "01_test.ipynb", output, OSError(28, "No space left on device"))
        assert said.splitlines()[0].startswith("FAILED:") and "No space left on device" in said


def test_braces_in_a_path_are_no_parameters(tmp_path, monkeypatch):
    def execute(source, place, *_, **__):
        assert str(source).format() == str(tmp_path / "a{ipc}.ipynb"), "as papermill formats it"
        Path(str(place).format()).write_text("executed")

    monkeypatch.setattr(run_notebook, "execute_notebook", execute)
    run_notebook.run(tmp_path / "a{ipc}.ipynb", tmp_path / "{b}/out.ipynb", {})
    assert (tmp_path / "{b}/out.ipynb").read_text() == "executed"


def test_a_kernel_that_dies_is_a_failure_that_names_the_cell(tmp_path):
    cells = [new_code_cell("1 + 1"), new_code_cell("import os\nos._exit(9)")]
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), tmp_path / "01_test.ipynb")
    with pytest.raises(Exception) as caught:  # noqa: PT011 (whatever papermill raises)
        run_notebook.run(tmp_path / "01_test.ipynb", tmp_path / "out.ipynb", {})
    said = run_notebook.failure(tmp_path / "01_test.ipynb", tmp_path / "out.ipynb", caught.value)
    assert "code cell 2, which begins: import os" in said and "Kernel died: it was killed from outside" in said


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
    front = report.write(tmp_path / "pages", tmp_path, tmp_path / "tables", tmp_path)
    html = front.with_name("verdicts.html").read_text()
    assert "A &lt;claim&gt; (original)" in html and "run on 2026-01-01 on cpu, commit unknown" in html
    assert front.read_text().count("(not run yet)") == len(stages.STAGES) + 1, "the first is named twice"
    bare = report.TEMPLATES.get_template("verdicts.md.j2")
    assert "have not been run yet" in bare.render(apart={"there": False, "number": 8}, paper="", run="", verdicts=[])


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
        new_code_cell("begin()"),
        new_markdown_cell("text"),
        new_code_cell("lesson"),
        new_code_cell("keep()", metadata={"tags": ["plumbing"]}),
    ]
    folded = [cell.metadata.get("folded") for cell in sources.fold(new_notebook(cells=cells)).cells]
    assert folded == [None, "parameters", "imports", "set-up", None, None, "code"]


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
