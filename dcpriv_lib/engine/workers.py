"""Independent jobs side by side, one process a core; all stop with their states saved."""

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import types
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver, util
from unittest import mock

import joblib

from . import origin, stopping, threads
from .standing import Standing


class WorkerKilledError(RuntimeError):
    """A worker was ended by something that is neither its job nor its parent."""


SOCKET = 107 - len("/pymp-12345678/listener-12345678")  # bytes that are left of a socket's longest name

_data = None  # in a worker: what all of its jobs are given


def run(data, jobs: list) -> Iterator[Standing]:
    """Do ``job.result(data)`` for every job, in as many processes as there are cores.

    A job keeps its own result in a file; nothing is returned by it. What it imports late, and slowly, it names in
    `imports`; that of the first jobs ever is then imported once for all. The number of cores is
    joblib's: ``LOKY_MAX_CPU_COUNT`` lowers it. Ctrl-C, SIGTERM and SIGHUP reach all processes, which save
    the states of their computations (see `checkpoint`) before they end. If this process is killed, they do so too.

    Yields
    ------
    How far all of them are, once for each job that is done.

    Raises
    ------
    WorkerKilledError
        If one of the processes was killed; all others have saved their states and ended.
    """
    _clear_up_on_signals()
    _make_folder()
    with _nothing_in_main(), _without_interrupts():
        multiprocessing.set_forkserver_preload(  # loaded once, then workers are forked from it
            [type(jobs[0]).__module__, *jobs[0].imports]
        )
        forkserver.ensure_running()
    workers = min(len(jobs), joblib.cpu_count())
    with (
        stopping.interrupted_once(),
        ProcessPoolExecutor(
            workers, multiprocessing.get_context("forkserver"), _start, (data, origin.read_so_far())
        ) as pool,
    ):
        try:
            with _nothing_in_main():
                waiting = [pool.submit(_do, job) for job in jobs]
            for done, future in enumerate(as_completed(waiting), 1):
                future.result()
                running = min(workers, len(jobs) - done)
                yield Standing(done, running, len(jobs) - done - running, workers)
        except BaseException as error:
            _stop(multiprocessing.active_children(), pool)
            if isinstance(error, BrokenProcessPool):
                raise WorkerKilledError(f"a process that trained {stopping.KILLED}") from None
            raise


def _clear_up_on_signals() -> None:
    """Let a SIGTERM that nobody handles end this process as ever, but remove the fork server's folder first.

    So ends every kernel: Jupyter asks it to, but then waits for the fork server's tracker, which ignores SIGTERM.
    """

    def clear_up(number, _):
        _remove_folder()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, clear_up)


def _make_folder() -> None:
    """Make multiprocessing's folder, in /tmp if names of sockets in it would be too long, as in many a cluster's."""
    short = "/tmp" if len(os.fsencode(tempfile.gettempdir())) > SOCKET else tempfile.gettempdir()
    with mock.patch.object(tempfile, "tempdir", short):
        util.get_temp_dir()


def _remove_folder() -> None:
    shutil.rmtree(util.get_temp_dir(), ignore_errors=True)


def _stop(workers: list, pool: ProcessPoolExecutor) -> None:
    for worker in workers:
        worker.terminate()
    too_late = threading.Timer(stopping.GRACE, lambda: [worker.kill() for worker in workers])
    too_late.start()
    pool.shutdown(cancel_futures=True)
    too_late.cancel()


def _nothing_in_main():
    """Hide the caller's main module: workers need nothing of it, and would run a script again to import it."""
    return mock.patch.dict(sys.modules, {"__main__": types.ModuleType("__main__")})


@contextlib.contextmanager
def _without_interrupts():
    """Ignore Ctrl-C, and let a process started meanwhile ignore it for good: it is the parent's to handle."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _start(data, sources: dict) -> None:
    global _data
    _data = data
    origin.read_already(sources)
    threads.use_one()
    for number in stopping.SIGNALS:  # between two computations there is nothing to save
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    signal.alarm(stopping.GRACE)  # it ends this process even where a save hangs: nothing of Python is needed for it
    _remove_folder()  # the parent's, who cannot clear up any more
    os.kill(os.getpid(), signal.SIGTERM)


def _do(job) -> None:
    try:
        job.result(_data)
    except KeyboardInterrupt:
        os._exit(1)  # the state is saved; do not begin the next job
    finally:
        parent = multiprocessing.parent_process()
        if parent and not parent.is_alive():
            os._exit(1)  # nor after an error that only says so: a broken pipe
