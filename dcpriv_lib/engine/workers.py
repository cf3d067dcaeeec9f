"""Independent jobs side by side, one process a core; all stop with their states saved."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import forkserver
from unittest import mock

import joblib
import torch

_data = None  # in a worker: what all of its jobs are given


def run(data, jobs: list) -> Iterator:
    """Do ``job.result(data)`` for every job, in as many processes as there are cores.

    A job keeps its own result in a file; nothing is returned by it. What it imports late, and slowly, it names in
    `imports`; that of the first jobs ever is then imported once for all. The number of cores is
    joblib's: ``LOKY_MAX_CPU_COUNT`` lowers it. Ctrl-C and SIGTERM reach all processes, which save
    the states of their computations (see `checkpoint`) before they end.

    Yields
    ------
    None, once for each job that is done.
    """
    with _nothing_in_main(), _without_interrupts():
        multiprocessing.set_forkserver_preload(  # loaded once, then workers are forked from it
            [type(jobs[0]).__module__, *jobs[0].imports]
        )
        forkserver.ensure_running()
    workers = min(len(jobs), joblib.cpu_count())
    with ProcessPoolExecutor(workers, multiprocessing.get_context("forkserver"), _start, (data,)) as pool:
        try:
            with _nothing_in_main():
                waiting = [pool.submit(_do, job) for job in jobs]
            for done in as_completed(waiting):
                yield done.result()
        except BaseException:
            for worker in multiprocessing.active_children():
                worker.terminate()
            pool.shutdown(cancel_futures=True)
            raise


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


def _start(data) -> None:
    global _data
    _data = data
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _do(job) -> None:
    try:
        job.result(_data)
    except KeyboardInterrupt:
        os._exit(1)  # the state is saved; do not begin the next job
