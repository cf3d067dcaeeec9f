"""Independent jobs side by side, one process a core; all stop with their states saved."""

import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

import joblib
import torch

_study = None  # in a worker: the study whose jobs it does


def run(study, jobs: list) -> Iterator:
    """Do ``job.arrays(study)`` for every job, in as many processes as there are cores.

    A job keeps its own result in a file; nothing is returned by it. The number of cores is
    joblib's: ``LOKY_MAX_CPU_COUNT`` lowers it. Ctrl-C and SIGTERM reach all processes, which save
    the states of their computations (see `checkpoint`) before they end.

    Yields
    ------
    None, once for each job that is done.
    """
    pool = _pool(study)
    waiting = [pool.submit(_do, job) for job in jobs]
    try:
        for done in as_completed(waiting):
            yield done.result()
    except BaseException:
        for worker in multiprocessing.active_children():
            worker.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
        _pool.cache_clear()
        raise


@functools.lru_cache(maxsize=1)
def _pool(study) -> ProcessPoolExecutor:
    """Return the study's worker processes; they stay, since starting one takes seconds."""
    return ProcessPoolExecutor(joblib.cpu_count(), multiprocessing.get_context("spawn"), _start, (study,))


def _start(study) -> None:
    global _study
    _study = study
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)


def _do(job) -> None:
    try:
        job.arrays(_study)
    except KeyboardInterrupt:
        os._exit(1)  # the state is saved; do not begin the next job
