"""Whoever is told to stop, or lost its parent, saves its states and ends, and so do all that it started."""

import contextlib
import itertools
import multiprocessing.connection
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from dcpriv_lib.engine import stopping, store, workers
from dcpriv_lib.engine.checkpoint import Checkpoint

INPUTS = {"seed": 0}
SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
SOON = 120  # seconds; a second, on a machine that does nothing else


@pytest.fixture
def folder():
    """An empty folder with a short name: one below tmp_path may be too long for the names of sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        yield Path(place)


class Endless:
    """A job that keeps states for ever."""

    imports = (workers.__name__,)

    def __init__(self, number: int):
        self.number = number

    def result(self, folder: Path):
        with Checkpoint(folder / f"state-{self.number}.npz", INPUTS) as saved:
            for step in itertools.count():
                saved.keep({"step": np.array(step)})
                (folder / f"begun-{self.number}").touch()
                time.sleep(0.01)


class Hanging(Endless):
    """The same on a disk that never answers."""

    def result(self, folder: Path):
        store.save_state = lambda *_: time.sleep(1000)
        super().result(folder)


def train(folder: Path, kind: type) -> None:
    """Be what a kernel is: do four jobs in two processes whose stderr only this one reads."""
    os.dup2(os.pipe()[1], 2)
    try:
        list(workers.run(folder, [kind(number) for number in range(4)]))
    except Exception as error:
        sys.exit(print(f"{type(error).__name__}: {error}") or 1)


@contextlib.contextmanager
def training(folder, kind=Endless):
    """Start a process that trains; yield it and all that it started, once two jobs have begun."""
    (folder / "temporary").mkdir()
    code = f"import test_stopping as t; from pathlib import Path; t.train(Path({str(folder)!r}), t.{kind.__name__})"
    environment = os.environ | {
        "LOKY_MAX_CPU_COUNT": "2",
        "TMPDIR": str(folder / "temporary"),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    process = psutil.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
    everybody: list = []
    try:
        until(lambda: len(list(folder.glob("begun-*"))) == 2 or process.poll() is not None)
        until(lambda: len(below(process)) == 4)
        everybody += [process, *below(process)]
        if len(everybody) != 5:  # not the fork server, its tracker, and two workers
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
            pytest.fail(f"it has {len(everybody) - 1} processes and said {process.communicate()[0]!r}")
        yield everybody
    finally:
        for one in everybody or [process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.communicate()


def below(process):
    """Return those that a process started, and whom these started; nobody if one of them ended meanwhile."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def until(true, seconds=120):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)


def all_end(everybody, seconds=SOON):
    until(lambda: everybody[0].poll() is not None, seconds)
    _, alive = psutil.wait_procs(everybody, seconds)
    return not alive


def of_workers(everybody):
    """Return the two that have the fork server for their parent."""
    return [one for one in everybody if one.parent() in everybody[1:]]


def kill_the_kernel(everybody):
    everybody[0].kill()


def assert_saved(folder, numbers=(0, 1)):
    for number in numbers:
        assert store.load_arrays(folder / f"state-{number}.npz", INPUTS, "x")["step"] >= 0
    assert {path.name for path in folder.glob("begun-*")} == {"begun-0", "begun-1"}, "nobody began another job"
    assert not list((folder / "temporary").glob("pymp-*"))


def tell(number):
    return pytest.param(lambda everybody: everybody[0].send_signal(number), id=f"{number.name} to the kernel")


def tell_all(number):
    def send(everybody):
        for one in everybody:
            one.send_signal(number)

    return pytest.param(send, id=f"{number.name} to all", marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(kill_the_kernel, id="the kernel is killed", marks=pytest.mark.slow),
        *(pytest.param(*one.values, id=one.id, marks=pytest.mark.slow) for one in map(tell, SIGNALS)),
        *map(tell_all, SIGNALS),
    ],
)
def test_a_pool_ends_with_its_states_saved_and_leaves_nobody_and_nothing(stop, folder):
    with training(folder) as everybody:
        stop(everybody)
        assert all_end(everybody)
        assert everybody[0].wait() != 0
    assert_saved(folder)


@pytest.mark.parametrize("length", [40, 90])
def test_sockets_have_names_that_the_system_takes_however_long_that_of_the_temporary_folder_is(
    length, folder, monkeypatch
):
    long = folder / ("x" * (length - len(str(folder)) - 1))
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    monkeypatch.setitem(multiprocessing.current_process()._config, "tempdir", None)
    monkeypatch.setattr(multiprocessing.util, "Finalize", lambda *_, **__: None)  # it is removed below
    workers._make_folder()
    made = Path(multiprocessing.util.get_temp_dir())
    try:
        assert made.parent == (long if length == 40 else Path("/tmp"))
        multiprocessing.connection.Listener(family="AF_UNIX").close()
    finally:
        workers._remove_folder()
    assert not made.exists()


def test_a_process_ends_with_its_parent_even_if_nobody_has_noticed_the_parents_end():
    parent = subprocess.Popen(["sleep", "1000"])
    code = (
        "import sys; from dcpriv_lib.engine import stopping; import time; stopping.end_with_the_parent()\n"
        "print('begun', flush=True); time.sleep(1000)"
    )
    environment = os.environ | {stopping.PARENT: str(parent.pid), "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout.readline() == b"begun\n"
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(2)
            parent.kill()  # and is not asked for its exit status: a zombie
            assert child.wait(SOON) == -signal.SIGTERM
        finally:
            child.kill(), parent.kill(), parent.wait()


@pytest.mark.slow
def test_a_save_that_hangs_keeps_nobody(folder):
    with training(folder, Hanging) as everybody:
        everybody[0].kill()
        assert all_end(everybody, stopping.GRACE + SOON)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_told_as_one_and_the_other_is_saved(folder):
    with training(folder) as everybody:
        killed = of_workers(everybody)[0]
        killed.kill()
        said = everybody[0].communicate(timeout=SOON)[0].decode()
        assert all_end(everybody)
    assert "WorkerKilledError: a process that trained was killed from outside, usually because memory ran out" in said
    assert "export LOKY_MAX_CPU_COUNT=1" in said and "BrokenProcessPool" not in said
    assert len(list(folder.glob("state-*.npz"))) == 1
