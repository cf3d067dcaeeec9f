"""Processes killed at random moments inside saves: the same run goes on, from a whole state, old or new.

Children are forked, so that one takes milliseconds to start. ``KILLS=200 pytest tests/engine/test_kills.py``
kills more of them.
"""

import io
import multiprocessing
import os
import random
import signal
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from dcpriv_lib.engine import origin, provenance, store
from dcpriv_lib.engine.checkpoint import Checkpoint

KILLS = int(os.environ.get("KILLS", 40))
INPUTS = {"seed": 0}
SIZE = 50_000
STEPS = 40 * KILLS  # far more than are done by then: on a busy machine a kill comes late
fork = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def _provenance(monkeypatch):
    """Ask git, import torch and parse the code, so that forked children need not; nobody has read anything yet."""
    monkeypatch.setattr(origin, "_told", set())
    monkeypatch.setattr(origin, "_under_way", [{}])
    provenance.of_this_process(), origin.of_what_is_saved()


@contextmanager
def child(work, *arguments):
    process = fork.Process(target=work, args=arguments)
    process.start()
    yield process
    process.join()
    process.close()


def kill_once(rng, work, *arguments):
    """Let `work` make its first save, and kill it within the time of two more: in a large process they take longer."""
    saves, begun = fork.Value("i", 0, lock=False), []  # whoever is killed would keep a lock
    with child(work, saves, *arguments) as process:
        for _ in range(2):
            before = saves.value if begun else 0
            while saves.value == before and process.is_alive():
                time.sleep(0.0005)
            begun.append(time.perf_counter())
        time.sleep(rng.random() * 2 * (begun[1] - begun[0]))
        process.kill()
    return saves.value


def array(number):
    return {"value": np.full(SIZE, number)}


def number_in(arrays):
    """Return the number of a whole state."""
    (number,) = set(arrays["value"].tolist())
    return number


def partial_files(folder):
    return list(folder.glob(".partial-*"))


def replace_for_ever(saves, path, first):
    for number in range(first, 10**9):
        saves.value = number
        store.save_arrays(path, array(number), INPUTS)


def test_an_artefact_that_is_replaced_is_the_old_or_the_new_one(tmp_path):
    path, rng = tmp_path / "a.npz", random.Random(0)
    store.save_arrays(path, array(0), INPUTS)
    found, kills, cut_short = 0, 0, 0
    while cut_short < KILLS // 2 and kills < 20 * KILLS:  # how many fall inside a save is the machine's business
        last = kill_once(rng, replace_for_ever, path, found + 1)
        kills += 1
        cut_short += len(partial_files(tmp_path)) > 0
        found = number_in(store.load_arrays(path, INPUTS, "x"))
        assert found in (last - 1, last)
    print(f"{cut_short} of {kills} kills were inside a save")
    assert cut_short >= KILLS // 2
    store.save_arrays(path, array(0), INPUTS)
    assert not partial_files(tmp_path)


# ---------------------------------------------------------------- every moment of one save

CALLS = ("posix", "_io")  # the modules of all that reaches the disk


def killed_at(moment, work):
    """Run `work` in a child that kills itself at a moment; return whether it got so far.

    There is a moment before and one after each of its calls to the system; they are counted from 0.
    """
    made = fork.Value("i", 0, lock=False)

    def count(_, event, function):
        if not event.startswith("c_"):
            return
        its_object = getattr(function, "__self__", None)
        owner = getattr(function, "__module__", None) or type(its_object).__module__
        if owner in CALLS and not isinstance(its_object, io.BytesIO):
            if made.value == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            made.value += 1

    def watched():
        sys.setprofile(count)
        work()
        sys.setprofile(None)
        os._exit(0)

    with child(watched) as process:
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        return process.exitcode != 0


SAVES = {
    "an artefact": (lambda path, number: store.save_arrays(path, {"value": np.full(9, number)}, INPUTS), 2),
    "a state": (lambda path, number: store.save_state(path, {"value": np.full(9, number)}, INPUTS), 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", SAVES)
@pytest.mark.parametrize("older", [True, False])
def test_a_save_killed_between_any_two_system_calls_leaves_the_old_one_or_the_new_one(what, older, tmp_path, capfd):
    save, files = SAVES[what]
    path = tmp_path / "a.npz"
    if older:
        save(path, 1)
    whole = {file: file.read_bytes() for file in tmp_path.iterdir()}
    found, killed = [], True
    while killed:
        for file in tmp_path.iterdir():
            file.unlink()
        for file, content in whole.items():
            file.write_bytes(content)
        killed = killed_at(len(found), lambda: save(path, 2))
        loaded = store.load_if_whole(path, INPUTS, "")
        found.append(None if loaded is None else number_in(loaded))
        save(path, 3)  # which goes on as if nothing had been, and clears up
        assert number_in(store.load_arrays(path, INPUTS, "x")) == 3
        assert len(list(tmp_path.iterdir())) == files
    before = found.index(2)
    assert before > 16 * files and len(found) > before + 1, "killed before the artefact was there, and after"
    assert found == [1 if older else None] * before + [2] * (len(found) - before), (
        "old, then new, and never anything else"
    )
    told = capfd.readouterr().err.splitlines()
    assert all("code that is not on record" in line for line in told) and len(told) <= older, "a damaged file was met"


def new_ones_for_ever(saves, folder, first):
    for number in range(first, 10**9):
        saves.value = number
        store.cached(folder / "a", {"number": number}, lambda _: array(number))


def test_a_new_artefact_is_whole_or_not_there(tmp_path, capsys):
    rng, last = random.Random(1), 0
    for _ in range(KILLS):
        last = kill_once(rng, new_ones_for_ever, tmp_path, last + 1)
        for number in (last - 1, last):
            found = store.cached(tmp_path / "a", {"number": number}, lambda _: array(number))
            assert number_in(found) == number
    assert not partial_files(tmp_path)
    assert capsys.readouterr().err == ""


def walk(folder, saves=None, steps=STEPS, seconds=0.0):
    """Return the last state of a computation that keeps every state."""

    def compute(unfinished):
        with Checkpoint(unfinished, INPUTS, seconds=seconds) as saved:
            state = saved.load() or {"position": np.zeros(SIZE), "step": np.array(0)}
            for step in range(int(state["step"]), steps):
                draw = np.random.default_rng(step).normal(size=SIZE)
                state = {"position": np.sin(state["position"] + draw), "step": np.array(step + 1)}
                if saves is not None:
                    saves.value = step
                saved.keep(state)
        return state

    return store.cached(folder / "walk", INPUTS, compute)


def test_a_computation_that_is_killed_again_and_again_ends_in_the_bits_of_an_unbroken_one(tmp_path, capfd):
    rng, steps = random.Random(2), []
    for _ in range(KILLS):
        steps.append(kill_once(rng, lambda saves: walk(tmp_path, saves)))
    assert steps == sorted(steps) and steps[-1] > 0, "every run goes on from where the one before was killed"
    made, unbroken = walk(tmp_path, seconds=1e9), walk(tmp_path / "other", seconds=1e9)
    assert made["step"] == STEPS and np.array_equal(made["position"], unbroken["position"])
    assert capfd.readouterr().err == ""
    assert len(list(tmp_path.glob("*"))) == 3, "the result, its record, and the other folder"


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: path.write_bytes(path.read_bytes()[:400] + b"x" + path.read_bytes()[401:]),
        lambda path: path.write_bytes(b""),
        lambda path: np.savez(path, **array(9)),
    ],
)
def test_a_damaged_state_or_artefact_is_made_again(damage, tmp_path, capsys):
    state = tmp_path / "state.npz"
    store.save_arrays(state, array(1), INPUTS)
    damage(state)
    with Checkpoint(state, INPUTS, keep_last=True) as saved:
        assert saved.load() is None
        saved.keep(array(2))
    assert number_in(Checkpoint(state, INPUTS).load()) == 2
    store.cached(tmp_path / "a", INPUTS, lambda _: array(1))
    damage(store.cached_path(tmp_path / "a", INPUTS))
    for number in (2, 3):  # the second time it is whole
        assert number_in(store.cached(tmp_path / "a", INPUTS, lambda _: array(number))) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert str(state) in first and first.endswith(": starting afresh")
    assert str(tmp_path / "a-") in second and second.endswith(": it is computed again")


def test_files_of_processes_that_are_gone_are_removed_and_those_of_living_ones_stay(tmp_path):
    with child(lambda: None) as gone:
        pid = gone.pid
    names = [store._write_temporary(tmp_path, b"").name for _ in range(2)]
    left = tmp_path / names[0].replace(f"@{os.getpid()}-", f"@{pid}-")
    (tmp_path / names[0]).rename(left)
    elsewhere = tmp_path / f".partial-other.host@{pid}-x"
    elsewhere.touch()
    store.write(tmp_path / "b", b"b")
    assert set(tmp_path.iterdir()) == {tmp_path / "b", tmp_path / names[1], elsewhere}


# ---------------------------------------------------------------- signals


def keep_until_stopped(path, saves, saving):
    """Keep states for ever, saving each; end with 3 if a KeyboardInterrupt came out of it, like a worker."""

    def slow(handle, real=os.fsync):
        saving.set()
        time.sleep(0.005)  # a disk on which a signal finds a save under way
        real(handle)

    os.fsync = slow
    for number in (signal.SIGTERM, signal.SIGINT):  # one that comes when the state is saved and the block is left
        signal.signal(number, lambda *_: None)
    try:
        with Checkpoint(path, INPUTS, keep_last=True, seconds=-1) as saved:
            for number in range(1, 10**9):
                saves.value = number
                saved.keep(array(number))
    except KeyboardInterrupt:
        os._exit(3)


@pytest.mark.parametrize(
    "signals", [[signal.SIGTERM], [signal.SIGTERM] * 3, [signal.SIGTERM, signal.SIGINT], [signal.SIGINT] * 2]
)
def test_signals_during_a_save_wait_for_its_end(signals, tmp_path, capfd):
    path, rng = tmp_path / "state.npz", random.Random(3)
    for _ in range(5):
        saves, saving = fork.Value("i", 0, lock=False), fork.Event()
        with child(keep_until_stopped, path, saves, saving) as process:
            saving.wait()
            time.sleep(rng.random() * 0.02)
            for number in signals:
                os.kill(process.pid, number)
                time.sleep(rng.random() * 0.004)
            process.join()
            assert process.exitcode == 3
        assert number_in(store.load_arrays(path, INPUTS, "x")) == saves.value, "nothing is lost"
        assert not partial_files(tmp_path)
    assert capfd.readouterr().err.count("holds the state, the same run goes on from there") == 5


def test_a_signal_in_the_last_save_of_a_block_that_ends_well_is_not_forgotten(tmp_path, monkeypatch):
    path, before = tmp_path / "state.npz", signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(os, "fsync", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt), Checkpoint(path, INPUTS, keep_last=True) as saved:
        saved.keep(array(7))
    assert number_in(store.load_arrays(path, INPUTS, "x")) == 7
    assert signal.getsignal(signal.SIGTERM) is before
