"""Jobs on other machines: a scheduler, workers that anybody may start, and the same files.

    python -m dcpriv_lib.engine.cluster scheduler PROFILE
    python -m dcpriv_lib.engine.cluster worker PROFILE

While a scheduler of a profile runs, its notebooks give their jobs to its workers (`run`), and not to processes
of their own. The scheduling is Dask's. Workers see the same folder of results as the notebooks, keep there what
they make, and may come and go: what one had begun is taken up by another, from its last state. Everybody who
takes part has a certificate that the scheduler made, in a folder that its owner alone may read; nobody else is
listened to.
"""

import argparse
import asyncio
import contextlib
import functools
import hashlib
import json
import logging
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import dask
import distributed
import torch
import trustme

from . import checkpoint, paths, store

FOLDER = "cluster"  # in a profile's results, while its scheduler runs
ATTEMPTS = 3
PATIENCE = 20  # seconds until somebody who does not answer is not there
dask.config.set(
    {
        "distributed.scheduler.allowed-failures": ATTEMPTS - 1,
        "distributed.scheduler.worker-saturation": 1.0,  # no job waits behind another while a worker is idle
        "distributed.scheduler.work-stealing": False,
        "distributed.scheduler.http.routes": [],  # neither of them needs pages
        "distributed.worker.http.routes": [],
        "distributed.worker.memory.terminate": False,
        "distributed.comm.timeouts.connect": PATIENCE,
        "distributed.admin.large-graph-warning-threshold": "1GB",  # the data set is one of the tasks
        "distributed.logging": {"distributed": "error"},
    }
)


class ClusterError(RuntimeError):
    """There is no scheduler where there should be one, or a worker must not take part."""


class LostError(distributed.Reschedule):
    """A job was stopped, and its state saved: another worker takes it up."""


# ---------------------------------------------------------------- for whoever wants jobs done


def is_there(results: Path) -> bool:
    """Return whether a scheduler of this folder of results was started, and not ended."""
    return (results / FOLDER / "scheduler.json").exists()


def run(data, jobs: list) -> Iterator:
    """Do ``job.result(data)`` for every job, on the workers; as `workers.run`.

    Raises
    ------
    ClusterError
        If no scheduler answers, or a worker has other code or another folder.
    Exception
        What stopped a job, if it did so three times.
    """
    with _client(data.folder) as client:
        shared = client.submit(_same, data, key=f"data-{secrets.token_hex(8)}", pure=False)
        waiting = client.map(_do, jobs, data=shared, pure=False, retries=ATTEMPTS - 1, key=_names(jobs))
        try:
            for done in distributed.as_completed(waiting, loop=client.loop):
                done.result()
                yield
        except KeyboardInterrupt:
            client.cancel(waiting)
            client.run(_stop_what_runs, wait=False)
            raise
        except distributed.KilledWorker as error:
            raise ClusterError(
                f"{ATTEMPTS} workers ended while they worked on {error.task}: mostly they had too little memory"
            ) from None


def _names(jobs: list) -> list[str]:
    """Return a key for every job, of this run alone: what another run wants is another task."""
    return [f"{job.place}-{secrets.token_hex(8)}" for job in jobs]


@contextlib.contextmanager
def _client(results: Path):
    place = results / FOLDER
    try:
        client = distributed.Client(
            scheduler_file=str(place / "scheduler.json"), security=_security(place), timeout=PATIENCE, set_as_default=False
        )
    except (OSError, ValueError):  # TimeoutError is an OSError; a file that is being written is no JSON
        raise ClusterError(
            f"no scheduler answers for {paths.shown(place)}: start it again (python -m dcpriv_lib.engine.cluster "
            f"scheduler {results.name}), or remove that folder to compute here"
        ) from None
    with client:
        client.register_plugin(_House(results, (place / "token").read_text(), code()), name="house")
        yield client


def _same(data):
    return data


def _do(job, data) -> None:
    torch.set_num_threads(1)
    checkpoint.stop_others.clear()  # who was told to stop was another
    try:
        job.result(data)
    except KeyboardInterrupt:
        raise LostError from None


def _stop_what_runs() -> None:
    checkpoint.stop_others.set()


class _House(distributed.WorkerPlugin):
    """Lets only workers in that have the same code and see the same results."""

    def __init__(self, results: Path, token: str, its_code: str):
        self.results, self.token, self.code = results, token, its_code

    def setup(self, worker) -> None:
        """Raise ClusterError if the worker must not take part."""
        seen = self.results / FOLDER / "token"
        if not seen.exists() or seen.read_text() != self.token:
            raise ClusterError(f"worker {worker.name} does not see the notebooks' folder of results {self.results}")
        if code() != self.code:
            raise ClusterError(
                f"worker {worker.name} has other code than the notebooks: start it again from the same commit"
            )


@functools.cache
def code() -> str:
    """Return a digest of the library's code."""
    files = sorted((paths.REPOSITORY / "dcpriv_lib").rglob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


# ---------------------------------------------------------------- scheduler and workers


async def schedule(results: Path, listen: str, encrypted: bool) -> None:
    """Run a scheduler until it is told to end; whoever sees its folder may take part."""
    place = results / FOLDER
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)
    store.write(place / "token", secrets.token_hex(16).encode())
    if encrypted:
        _make_certificates(place)
    try:
        scheme = "tls" if encrypted else "tcp"
        async with distributed.Scheduler(
            host=f"{scheme}://{listen}",
            port=0,
            dashboard=False,
            dashboard_address="127.0.0.1:0",
            security=_security(place),
        ) as scheduler:
            store.write(place / "scheduler.json", json.dumps(scheduler.identity()).encode())
            print(f"{scheduler.address} waits for workers, and for the notebooks of {results.name}", flush=True)
            await _told_to_end()
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def work(results: Path) -> None:
    """Run one worker until it or its scheduler is told to end."""
    place = results / FOLDER
    if not is_there(results):
        raise ClusterError(f"no scheduler runs for {paths.shown(results)}: start it first (... scheduler {results.name})")
    resources = {"GPU": 1} if torch.cuda.is_available() else {}
    async with distributed.Worker(
        scheduler_file=str(place / "scheduler.json"),
        nthreads=1,
        memory_limit=0,
        resources=resources,
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        security=_security(place),
        death_timeout=PATIENCE,
    ) as worker:
        print(f"worker {worker.address} is ready", flush=True)
        done, _ = await asyncio.wait(
            [asyncio.ensure_future(_told_to_end()), asyncio.ensure_future(worker.finished())],
            return_when=asyncio.FIRST_COMPLETED,
        )
        checkpoint.stop_others.set()
        await worker.close_gracefully()


async def _told_to_end() -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()


def _make_certificates(place: Path) -> None:
    """Write a certificate, its key and the authority that made it, for this scheduler alone."""
    authority = trustme.CA(organization_name="dcpriv")
    own = authority.issue_cert("dcpriv")
    for name, pem in (
        ("ca.pem", authority.cert_pem.bytes()),
        ("certificate.pem", own.cert_chain_pems[0].bytes()),
        ("key.pem", own.private_key_pem.bytes()),
    ):
        with open(os.open(place / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(pem)


def _security(place: Path) -> distributed.Security:
    if not (place / "key.pem").exists():
        return distributed.Security()
    own = {"cert": str(place / "certificate.pem"), "key": str(place / "key.pem")}
    return distributed.Security(
        tls_ca_file=str(place / "ca.pem"),
        require_encryption=True,
        **{f"tls_{role}_{part}": file for role in ("client", "scheduler", "worker") for part, file in own.items()},
    )


def main() -> None:
    """Run a scheduler or a worker, as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m dcpriv_lib.engine.cluster")
    roles = parser.add_subparsers(dest="role", required=True)
    scheduler, worker = (roles.add_parser(role) for role in ("scheduler", "worker"))
    for role in (scheduler, worker):
        role.add_argument("profile")
    scheduler.add_argument("--listen", default="127.0.0.1", help="address of this machine at which others reach it")
    scheduler.add_argument("--unencrypted", action="store_true", help="let everybody on the network run code here")
    given = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.ERROR)
    results = paths.results(given.profile)
    try:
        if given.role == "scheduler":
            asyncio.run(schedule(results, given.listen, not given.unencrypted))
        else:
            asyncio.run(work(results))
    except ClusterError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
