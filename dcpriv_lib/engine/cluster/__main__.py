"""``python -m dcpriv_lib.engine.cluster scheduler PROFILE`` and ``... worker PROFILE``."""

import argparse
import asyncio
import os
import sys
import tempfile

from .. import paths, switches
from ..errors import nearest
from . import meeting


def main() -> None:
    """Run a scheduler or a worker, as the command line says; exit with 1 and a sentence if that fails."""
    parser = argparse.ArgumentParser(prog="python -m dcpriv_lib.engine.cluster")
    roles = parser.add_subparsers(dest="role", required=True)
    scheduler, worker = (roles.add_parser(role) for role in ("scheduler", "worker"))
    for role in (scheduler, worker):
        role.add_argument("profile")
    scheduler.add_argument("--listen", default="127.0.0.1", help="address of this machine at which others reach it")
    scheduler.add_argument(
        "--unencrypted",
        action="store_true",
        help="let everybody on the network run code here, on workers and notebooks",
    )
    given = parser.parse_args()
    switches.begin_with_one_thread([sys.executable, "-m", "dcpriv_lib.engine.cluster", *sys.argv[1:]])
    try:
        paths.check_profile(given.profile)
        if not (paths.PROFILES / f"{given.profile}.yaml").exists():
            known = sorted(file.stem for file in paths.PROFILES.glob("*.yaml"))
            raise ValueError(f"there is no profile {given.profile!r}{nearest(given.profile, known)}")
        results = paths.results(given.profile)
        if given.role == "scheduler":
            from .scheduler import run as schedule  # each of them takes seconds to import

            asyncio.run(schedule(results, given.listen, not given.unencrypted))
        else:
            from .worker import run as work

            asyncio.run(work(results))
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, OSError, meeting.ClusterError) as error:
        where = paths.all_results() / given.profile, tempfile.gettempdir()
        print(paths.with_what_to_do(str(error), *where), file=sys.stderr, flush=True)
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)  # a job that saves no states is not waited for


if __name__ == "__main__":
    main()
