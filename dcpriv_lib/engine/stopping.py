"""How a run is stopped: whoever is told to stop tells those whom it started, and whoever lost its parent ends.

The engine starts steps, a step a notebook's kernel, a kernel its workers. To each of them SIGINT (Ctrl-C), SIGTERM
(clusters, `timeout`) and SIGHUP (a closed terminal) mean the same. What is being computed is saved on the way (see
`checkpoint`). A kill that nobody can handle takes one process: those that it started notice within seconds.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil

SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
PARENT = "DCPRIV_PARENT"  # the process that this one ends with
KILLED = (
    "was killed from outside, usually because memory ran out. What the others were computing is saved; after "
    "export LOKY_MAX_CPU_COUNT=1 the same command goes on from there, and takes less memory"
)
GRACE = 20  # seconds for saving a state; no state takes one, unless the disk hangs


def heeded() -> list[signal.Signals]:
    """Return the `SIGNALS` that this process was not started to ignore, as `nohup` and background jobs are."""
    return [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]


@contextlib.contextmanager
def interrupted_once() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first of `SIGNALS`, and ignore those after it until the block is left.

    Signals are the main thread's: in another one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stopped = False

    def stop(*_):
        nonlocal stopped
        first, stopped = not stopped, True
        if first:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


async def told_to_end() -> None:
    """Wait for one of `SIGNALS`."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in heeded():
        loop.add_signal_handler(number, told.set)
    await told.wait()


def end_with_the_parent() -> None:
    """Send this process SIGTERM when the process that the environment names as `PARENT` is gone.

    Its children do not inherit the name: they have parents of their own.
    """
    if parent := os.environ.pop(PARENT, ""):

        def wait():
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(parent))
                while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:  # dead, and nobody has noticed
                    time.sleep(0.5)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=wait, daemon=True).start()


def stop_steps_on_signals(notice: Callable[[], None]) -> None:
    """Let the first of `SIGNALS` stop every step that this process, the engine, runs, and then this process.

    Snakemake itself passes nothing on. A step's kernel is in a process group of its own: the step stops it. `notice` is
    called once, first.
    """

    def stop(number, _):
        for other in heeded():
            signal.signal(other, lambda *_: None)
        notice()
        threading.Thread(target=_stop_steps, daemon=True).start()
        sys.exit(128 + number)  # Snakemake waits for the steps, if it runs any

    for number in heeded():
        signal.signal(number, stop)


def _stop_steps() -> None:
    told: set[psutil.Process] = set()
    while True:  # one may just be starting
        for step in set(psutil.Process().children(recursive=True)) - told:
            with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
                if os.getpgid(step.pid) == os.getpgrp():
                    step.terminate()
            told.add(step)
        time.sleep(0.2)
