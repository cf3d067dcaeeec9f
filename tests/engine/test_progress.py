"""What the engine says: lines for people, an honest "about", and failures that name the cell; and the front page."""

import json
import logging

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from snakemake_interface_logger_plugins.common import LogEvent

from dcpriv_lib import stages
from dcpriv_lib.engine import paths, progress, run_notebook
from dcpriv_lib.results import report

PLAN = {"split": 1, "attack": 2, "total": 3}


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Let a `Screen` of the profile "quick" on two cores hear events; the clock stands still but for `wait`."""
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path))
    monkeypatch.setattr(paths, "FIGURES", tmp_path / "figures")
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def start():
        listening = progress.Screen("quick", 2)

        def tell(event, wait=0, level=logging.INFO, text="", **extra):
            now[0] += wait
            listening.emit(logging.makeLogRecord({"event": event, "levelno": level, "msg": text} | extra))

        return tell

    return start


def run(tell, seconds):
    tell(LogEvent.RUN_INFO, stats=PLAN)
    jobs = [("split", seconds, 1), ("attack", 2 * seconds, 2), ("attack", 2 * seconds, 2)]
    for number, (rule, took, threads) in enumerate(jobs):
        tell(LogEvent.JOB_INFO, jobid=number, rule_name=rule, rule_msg=f"doing {rule}", threads=threads)
        tell(LogEvent.JOB_FINISHED, wait=took, job_id=number)


def test_steps_are_counted_and_timed_and_the_next_run_knows_how_long(engine, capsys):
    run(engine(), 10)
    first = capsys.readouterr().out.splitlines()
    assert first[0].endswith("quick: 3 steps on 2 cores") and first[1].endswith("begun   doing split")
    assert first[-1].endswith("3 of 3  doing attack: 20 s")
    run(engine(), 30)  # on a machine that is three times slower than expected
    again = capsys.readouterr().out.splitlines()
    assert again[0].endswith("on 2 cores, about 45 s left")  # 10 s of one core, twice 20 s of two
    assert again[2].endswith("1 of 3  doing split: 30 s, about 2 min left")


def test_only_errors_of_the_engine_itself_are_repeated(engine, capsys):
    tell = engine()
    tell(LogEvent.ERROR, level=logging.ERROR, text="ProfileError: there is no profile 'x'")
    tell(LogEvent.RUN_INFO, stats=PLAN)
    tell(LogEvent.JOB_INFO, jobid=0, rule_name="split", rule_msg="", threads=1)
    tell(LogEvent.ERROR, level=logging.ERROR, text="CalledProcessError")
    shown = capsys.readouterr().out
    assert "no profile 'x'" in shown and "CalledProcessError" not in shown


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (99, "99 s"), (240, "4 min"), (7800, "2 h 10 min")])
def test_durations(seconds, text):
    assert progress.duration(seconds) == text


def test_a_failure_names_the_cell_and_the_error(tmp_path):
    cells = [new_markdown_cell("# T"), new_code_cell("1 + 1"), new_code_cell("# why\nraise ValueError('so\\nit is')")]
    kernel = {"name": "python3", "display_name": "", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), tmp_path / "01_test.ipynb")
    output = tmp_path / "out.ipynb"
    with pytest.raises(Exception) as caught:  # noqa: PT011 (whatever papermill raises)
        run_notebook.run(tmp_path / "01_test.ipynb", output, {})
    said = run_notebook.failure(tmp_path / "01_test.ipynb", output, caught.value)
    assert "code cell 2, which begins: raise ValueError" in said and "  it is" in said
    assert not output.exists() and run_notebook.unfinished(output).exists()


def test_progress_is_the_newest_bar(capsys, monkeypatch):
    monkeypatch.setattr(run_notebook, "EVERY", 0)
    bars = "\rmodels:  10%|#   | 1/10 [00:05<00:45,  5s/it]\rmodels:  50%|#####     | 5/10 [00:25<00:25,  5.00s/it]"
    run_notebook.Progress("06").emit(logging.makeLogRecord({"msg": "just a print"}))
    run_notebook.Progress("06").emit(logging.makeLogRecord({"msg": bars}))
    assert capsys.readouterr().out.split() == ["06:", "models,", "5", "of", "10,", "00:25", "left"]


def test_the_front_page_holds_what_there_is(tmp_path):
    (tmp_path / "tables").mkdir()
    pd.DataFrame({"claim": ["A <claim>"], "target": ["original"], "this run": ["50 %"], "verdict": ["no"]}).to_csv(
        tmp_path / "tables/claims.csv", index=False
    )
    inputs = {"profile": "p", "dataset": "d"}
    made = {"written": "2026-01-01T00:00:00", "processor": "cpu", "git_commit": None}
    (tmp_path / "tables/claims.csv.json").write_text(json.dumps({"inputs": inputs, "provenance": made, "sha256": ""}))
    html = report.write(tmp_path / "pages", paths.NOTEBOOKS, tmp_path / "tables", tmp_path).read_text()
    assert "A &lt;claim&gt; (original)" in html and "run on 2026-01-01 on cpu, commit unknown" in html
    bare = report.write(tmp_path / "bare", tmp_path, tmp_path, tmp_path).read_text()
    assert "have not been run yet" in bare and bare.count("(not run yet)") == 10 and "<img" not in bare


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
