"""A worker: it does one job after the other, for whichever notebook of its profile, in one thread."""

import asyncio
import contextlib
import os
import platform
import signal
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import distributed
import joblib
import torch

from .. import checkpoint, devices, paths, stopping, store, threads
from . import connection, meeting, sending

FINAL = ValueError, TypeError, store.ArtefactError  # another attempt would say the same
# ... but for this one: a file that another machine has written may not be seen yet
NOT_FINAL = store.MissingError


class JobError(RuntimeError):
    """A job failed: which one, where, and why."""


@dataclass
class _House:
    """What a worker's process knows besides the job.

    Attributes
    ----------
    results : folder in which it keeps them.
    name : of this worker.
    ending : whether it is.
    unfit : why it ended by itself.
    released : jobs that nobody waits for any more, of those that had been sent here.
    """

    results: Path = Path()
    name: str = f"{platform.node()}-{os.getpid()}"
    ending: threading.Event = field(default_factory=threading.Event)
    unfit: str = ""
    released: set[str] = field(default_factory=set)


_house = _House()


async def run(results: Path) -> None:
    """Run one worker until it or its scheduler ends; a job is then stopped, and its state saved.

    Raises
    ------
    ClusterError
        If no scheduler answers, or one of other code, or if this worker is unfit for the notebooks' jobs.
    """
    _house.results = results
    worker = await _begin(results)
    _house.ending.clear()  # as attempts did that met nobody
    print(f"worker {_house.name} is ready", flush=True)
    gone, told = (asyncio.ensure_future(one) for one in (worker.finished(), stopping.told_to_end()))
    await asyncio.wait([gone, told], return_when=asyncio.FIRST_COMPLETED)
    _house.ending.set()
    checkpoint.stop_others.set()
    signal.alarm(stopping.GRACE)  # even where a save hangs
    if told.done():
        with contextlib.suppress(OSError):
            await worker.close_gracefully()
        if _house.unfit:
            raise meeting.ClusterError(f"{_house.unfit}. This worker has ended")
    else:
        print("the scheduler has gone: start it, and then me, again", flush=True)


async def _begin(results: Path) -> distributed.Worker:
    """Return a worker that the scheduler knows.

    Both may have been started at the same moment, and a scheduler that was killed has left its address: for a minute
    it tries again.
    """
    until = time.monotonic() + meeting.SEEN
    while True:
        try:
            return await _worker(results, meeting.address(results))
        except (OSError, ValueError, RuntimeError) as error:
            if isinstance(error, meeting.ClusterError) and not isinstance(error, meeting.AbsentError):
                raise
            if time.monotonic() > until:
                raise meeting.ClusterError(
                    f"no scheduler answers ({error.__cause__ or error}): start it again"
                ) from None
            await asyncio.sleep(1)


async def _worker(results: Path, scheduler: str) -> distributed.Worker:
    host = urlsplit(scheduler)
    return await distributed.Worker(
        scheduler,
        host=f"{host.scheme}://{distributed.utils.get_ip(host.hostname, host.port)}",
        name=_house.name,
        nthreads=1,
        memory_limit=0,  # nothing is moved to a disk: the one job that runs needs what it has
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        security=connection.security(results),
        death_timeout=connection.PATIENCE,
        plugins=(_StopsWithItsTask(),),
        local_directory=tempfile.gettempdir(),
    )


class _StopsWithItsTask(distributed.WorkerPlugin):
    """Stops a job that nobody waits for any more: its notebook was stopped, or has died, or the scheduler has."""

    def transition(self, key, start, finish, **_) -> None:
        if finish in ("released", "forgotten") and start in ("ready", "executing"):
            _house.released.add(key)
        if (start, finish) == ("executing", "released"):
            checkpoint.stop_others.set()

    def teardown(self, worker) -> None:
        _house.ending.set()
        checkpoint.stop_others.set()


def do(job, parcel: sending.Parcel, token: str, key: str) -> str:
    """Do ``job.result(data)``; a task.

    Parameters
    ----------
    job : as in `workers.run`; results are kept in this worker's own folder.
    parcel : of the data.
    token : name of a file in `meeting.FOLDER` that the notebook has written there.
    key : of this task.

    Returns
    -------
    "" if it is done, else in a sentence why no attempt will do it.

    Raises
    ------
    Reschedule
        If it was stopped, or if this worker, which then ends, is unfit for it: another one goes on with it.
    JobError
        If it failed for a reason that may not be there the next time.
    """
    checkpoint.stop_others.clear()  # who was told to stop was another, unless it is this one
    if not _house.ending.is_set() and (reason := _unfit(job, parcel.device, token, key)):
        _house.unfit = reason
        _house.ending.set()
        os.kill(os.getpid(), signal.SIGTERM)
    if _house.ending.is_set() or key in _house.released:
        _house.released.discard(key)
        raise distributed.Reschedule
    threads.use_one()
    begun = time.monotonic()
    try:
        with joblib.parallel_config("sequential"):  # a worker is one process
            job.result(sending.unpack(parcel, _house.results))
    except KeyboardInterrupt:
        raise distributed.Reschedule from None
    except Exception as error:
        traceback.print_exc()
        sentence = f"{job.place}, on worker {_house.name}: {type(error).__name__}: {error}"
        if isinstance(error, FINAL) and not isinstance(error, NOT_FINAL):
            return sentence
        raise JobError(sentence) from None
    print(f"{job.place} took {time.monotonic() - begun:.0f} s", flush=True)
    return ""


def _unfit(job, device: torch.device, token: str, key: str) -> str:
    """Return why this worker cannot do what the notebook wants; "" if it can, or if nobody wants it any more."""
    if device.type == "cuda" and not torch.cuda.is_available():
        return "the notebooks compute on a GPU, and there is none here: ask for one, or set device: cpu in the profile"
    theirs = job.inputs.get("device")
    if theirs and theirs != devices.name(device):
        return f"the notebooks compute on {theirs}, and here is {devices.name(device)}: bits would differ"
    place = _house.results / meeting.FOLDER

    def nobody_waits() -> bool:
        return not place.exists() or _house.ending.is_set() or key in _house.released

    if meeting.seen(place / token, nobody_waits) or nobody_waits():
        return ""
    return (
        f"{paths.shown(_house.results)} is not the folder in which the notebooks keep their results: set "
        "DCPRIV_RESULTS to that one"
    )
