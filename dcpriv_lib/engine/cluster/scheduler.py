"""The scheduler: it knows which jobs wait and who is idle, and computes nothing."""

from pathlib import Path

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
        except OSError as error:
            raise meeting.ClusterError(f"--listen {listen}: this machine has no such address ({error})") from None
        async with scheduler:
            meeting.announce(results, scheduler.address)
            print(f"{scheduler.address} waits for workers, and for the notebooks of {results.name}", flush=True)
            await stopping.told_to_end()
    finally:
        meeting.close(results)


async def _refuse_a_second(results: Path) -> None:
    try:
        found = meeting.address(results)
        arguments = connection.security(results).get_connection_args("client")
        comm = await distributed.comm.connect(found, timeout=5, **arguments)
        await comm.close()
    except (OSError, ValueError, meeting.ClusterError):
        return  # it was killed, and could not clear up
    raise meeting.ClusterError(f"a scheduler of {paths.shown(results)} runs already, at {found}")
