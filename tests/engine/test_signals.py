"""What signals do to `make` and to the engine, with other programs in the place of what they start, as README says."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from dcpriv_lib.engine import paths, stopping
from support import SOON, engine, wait_for

# In place of Snakemake, or of a step: it notes whose child it is, and every signal that it is told.
NOTES = f"""#!{sys.executable} -ES
import os, signal, sys, time
def told(number, _):
    os.write(notes, (signal.Signals(number).name + "\\n").encode())
    sys.exit(128 + number)
notes = os.open("notes", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
for number in {[int(one) for one in stopping.SIGNALS]}:
    signal.signal(number, told)
os.write(notes, (os.environ["{stopping.PARENT}"] + "\\n").encode())
while not os.path.exists("end"):
    time.sleep(0.02)
"""


def put(folder: Path, name: str, program: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(program)
    (folder / name).chmod(0o755)


@pytest.fixture
def house(tmp_path):
    """A folder with the Makefile, which finds its environment ready."""
    for name in ("Makefile", "requirements.txt", "requirements-uv.txt", "pyproject.toml"):
        shutil.copy(paths.REPOSITORY / name, tmp_path)
    put(tmp_path / ".venv/bin", "snakemake", NOTES)
    put(tmp_path / ".venv/bin", "python", "#!/bin/sh\n")
    (tmp_path / ".venv/ready").touch()
    return tmp_path


def notes(house: Path) -> list[str]:
    return (house / "notes").read_text().split() if (house / "notes").exists() else []


@pytest.fixture
def make(house):
    """`make report`, in a process group of its own, once the engine runs."""
    with subprocess.Popen(["make", "report"], cwd=house, start_new_session=True, stderr=subprocess.PIPE) as process:
        wait_for(lambda: notes(house) or process.poll() is not None)
        yield process
        (house / "end").touch()
        process.wait(SOON)


def test_the_engine_is_started_in_the_place_of_a_shell_and_knows_whose_it_is(make, house):
    (engine,) = psutil.Process(make.pid).children(recursive=True)
    assert engine.cmdline()[-1].startswith("profile=") and notes(house) == [str(make.pid)]
    (house / "end").touch()
    assert make.wait(SOON) == 0


def test_make_passes_sigterm_on(make, house):
    make.send_signal(signal.SIGTERM)
    assert make.wait(SOON) != 0 and notes(house)[1:] == ["SIGTERM"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_make_waits_for_the_engine_after_what_only_it_was_told(number, make, house):
    make.send_signal(number)
    time.sleep(1)
    assert make.poll() is None and len(notes(house)) == 1, "the engine was told nothing"
    (house / "end").touch()
    assert make.wait(SOON) == -number, "and then ends as it was told"


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_what_the_group_is_told_the_engine_is_told_once_or_twice(number, make, house):
    os.killpg(make.pid, number)
    assert make.wait(SOON) != 0
    assert set(notes(house)[1:]) == {number.name}


def once(process, number):
    process.send_signal(number)


def to_the_group(process, number):
    os.killpg(process.pid, number)


def twice_to_the_group(process, number):
    os.killpg(process.pid, number)
    time.sleep(0.2)
    os.killpg(process.pid, number)


@pytest.mark.slow
@pytest.mark.parametrize("tell", [once, to_the_group, twice_to_the_group])
@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_the_engine_stops_its_step_and_then_ends_in_few_lines(number, tell, tmp_path):
    put(tmp_path / "tools", "python", NOTES)
    process = engine(tmp_path, targets=["data_split"], tools=[tmp_path / "tools"], start_new_session=True)
    try:
        wait_for(lambda: notes(tmp_path) or process.poll() is not None)
        tell(process, number)
        said, _ = process.communicate(timeout=SOON)
    finally:
        process.kill()
    assert process.returncode != 0 and set(notes(tmp_path)[1:]) <= {number.name, "SIGTERM"}
    assert len(notes(tmp_path)) > 1, "the step was told"
    assert "What was finished is kept. To go on from there: snakemake" in said
    assert "Traceback" not in said and len(said.splitlines()) <= 8, said


def test_the_readme_says_so():
    readme = (paths.REPOSITORY / "README.md").read_text()
    assert (
        "| SIGTERM | `make` | the same; SIGINT or SIGHUP to `make` alone makes GNU make wait for the engine |" in readme
    )
