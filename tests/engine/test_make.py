"""What signals do to `make`, with another program in the engine's place: README's table says so."""

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
from support import SOON, wait_for

# In place of Snakemake: it notes whose child it is, and every signal that it is told.
ENGINE = f"""#!{sys.executable} -ES
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


@pytest.fixture
def house(tmp_path):
    """A folder with the Makefile, which finds its environment ready."""
    for name in ("Makefile", "requirements.txt", "requirements-uv.txt", "pyproject.toml"):
        shutil.copy(paths.REPOSITORY / name, tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name, program in (("snakemake", ENGINE), ("python", "#!/bin/sh\n")):
        (tmp_path / ".venv/bin" / name).write_text(program)
        (tmp_path / ".venv/bin" / name).chmod(0o755)
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


def test_the_readme_says_so():
    readme = (paths.REPOSITORY / "README.md").read_text()
    assert "| SIGTERM | `make` | the same; SIGINT or SIGHUP to `make` alone makes GNU make wait for the engine |" in readme
