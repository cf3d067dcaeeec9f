"""What a notebook does while a scheduler runs: it gives its jobs to the workers, and waits."""

import contextlib
import queue
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import distributed
from dask._task_spec import Task

from .. import checkpoint, paths, stopping
from ..standing import Standing
from . import connection, meeting, sending, worker

LOOK = 5.0  # seconds between two looks whether the scheduler is there
TELL = 60.0  # seconds between two lines where no job ends


def run(data, jobs: list) -> Iterator[Standing]:
    """Do ``job.result(data)`` for every job, on the workers of the profile; as `workers.run`.

    Raises
    ------
    ClusterError
        If no scheduler of this code answers, or it has gone, or a job took three workers with it.
    JobError
        If a job failed three times, or once and for all.
    """
    with _token(data.folder) as token, _client(data.folder) as client, stopping.interrupted_once():
        waiting = _submit(client, data, jobs, token)
        ended: queue.Queue = queue.Queue()
        for future in waiting:
            future.add_done_callback(ended.put)
        done, told = 0, time.monotonic()
        while done < len(waiting):
            with contextlib.suppress(queue.Empty):
                _check(ended.get(timeout=LOOK))
                done += 1
            if checkpoint.stop_others.is_set() and threading.current_thread() is not threading.main_thread():
                raise KeyboardInterrupt
            if client.status != "running":
                raise _gone(data.folder)
            if ended.empty() and (done == len(waiting) or time.monotonic() - told > TELL):
                told = time.monotonic()
                yield _standing(client, waiting, done)
    for job in jobs:
        _see(job.path(data.folder))


def _submit(client: distributed.Client, data, jobs: list, token: str) -> list[distributed.Future]:
    """Return a future a job."""
    tasks = _tasks(data, jobs, token)
    return client.get(tasks, list(tasks), sync=False, retries=connection.ATTEMPTS - 1)


def _tasks(data, jobs: list, token: str) -> dict[str, Task]:
    """Return a task a job. Each is marked as one that begins: only these wait at the scheduler, and not at a worker
    that is busy."""
    parcel = sending.pack(data)
    keys = [f"{job.place}-{token}-{i}" for i, job in enumerate(jobs)]
    return {key: Task(key, worker.do, job, parcel, token, key, _data_producer=True) for key, job in zip(keys, jobs)}


def _check(future: distributed.Future) -> None:
    """Raise what stopped a job, if it did not end well."""
    try:
        failed = future.result()
    except distributed.KilledWorker as error:
        raise meeting.ClusterError(
            f"{str(error.task).rsplit('-', 2)[0]}: {connection.ATTEMPTS} workers ended while they worked on it, mostly "
            "because they had too little memory. The states of the others are saved"
        ) from None
    except distributed.client.FutureCancelledError:
        raise meeting.ClusterError("the scheduler has gone, and with it the list of jobs; states are saved") from None
    if failed:
        raise worker.JobError(failed)


def _standing(client: distributed.Client, waiting: list[distributed.Future], done: int) -> Standing:
    ours = {future.key for future in waiting}
    try:
        at_workers = client.processing()
    except OSError:  # it is just ending, which the next look will tell
        at_workers = {}
    running = sum(key in ours for keys in at_workers.values() for key in keys)
    return Standing(done, running, len(waiting) - done - running, len(at_workers))


def _see(path: Path) -> None:
    """Raise ClusterError if a file that a worker has written is not seen here in time.

    What is missing would else be made again, here, by one process.
    """
    if not meeting.seen(path):
        raise meeting.ClusterError(
            f"a worker says that it has written {paths.shown(path)}, and it is not here: do its machine and this "
            "one share the folder of results?"
        )


@contextlib.contextmanager
def _client(results: Path) -> Iterator[distributed.Client]:
    found = meeting.address(results)
    try:
        client = distributed.Client(
            found, security=connection.security(results), timeout=connection.PATIENCE, set_as_default=False
        )
    except (OSError, ValueError):  # TimeoutError is an OSError
        raise _gone(results) from None
    with client:
        yield client


@contextlib.contextmanager
def _token(results: Path) -> Iterator[str]:
    """Write a file by which a worker knows that it sees this folder, and no copy of it."""
    token = secrets.token_hex(8)
    file = results / meeting.FOLDER / token
    file.touch()
    try:
        yield token
    finally:
        file.unlink(missing_ok=True)


def _gone(results: Path) -> meeting.ClusterError:
    return meeting.ClusterError(
        f"no scheduler answers for {paths.shown(results)}, where one was: start it again (python -m "
        f"dcpriv_lib.engine.cluster scheduler {results.name}) and its workers, or remove {meeting.FOLDER}/ there to "
        "compute on this machine alone"
    )
