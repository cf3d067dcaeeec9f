"""The scheduler: it knows which jobs wait and who is idle, and computes nothing."""

import asyncio
import platform
from pathlib import Path
from urllib.parse import urlsplit

import distributed

from .. import paths, stopping
from . import connection, meeting


async def run(results: Path, listen: str, encrypted: bool) -> None:
    """Run a scheduler until it is told to end.

    Parameters
    ----------
    results : folder of the profile, that workers and notebooks see as well.
    listen : address, or name, of this machine at which others reach it.
    encrypted : whether only those may take part who can read the folder `meeting.FOLDER`.

    Raises
    ------
    ClusterError
        If a scheduler of this profile runs already, or nobody can listen at that address.
    """
    if meeting.is_there(results):
        await _refuse_a_second(results)
    place = meeting.open_(results)
    try:
        if encrypted:
            connection.make_certificate(place)
        try:
            scheduler = await distributed.Scheduler(
                host=f"{'tls' if encrypted else 'tcp'}://{listen}",
                port=0,
                dashboard=False,
                dashboard_address="127.0.0.1:0",
                security=connection.security(results),
            )
        except (OSError, RuntimeError) as error:  # Dask's own way to say that something did not start
            why = error.__cause__ or error
            raise meeting.ClusterError(f"--listen {listen}: nobody can listen there on this machine ({why})") from None
        async with scheduler:
            meeting.announce(results, scheduler.address)
            print(f"{scheduler.address} waits for workers, and for the notebooks of {results.name}", flush=True)
            await stopping.told_to_end()
    finally:
        meeting.close(results)


async def _refuse_a_second(results: Path) -> None:
    """Raise ClusterError unless the scheduler that was there has been killed: then nobody listens at its address."""
    said = meeting.read(results)
    ask = f"stop it first, or if it does not run any more, remove {paths.shown(results / meeting.FOLDER)}"
    if said["host"] != platform.node():
        raise meeting.ClusterError(f"a scheduler of {paths.shown(results)} runs on {said['host']}: {ask}")
    host = urlsplit(said["address"])
    try:
        _, connected = await asyncio.open_connection(host.hostname, host.port)
        connected.close()
    except OSError:
        return
    raise meeting.ClusterError(f"a scheduler of {paths.shown(results)} runs already, at {said['address']}: {ask}")
