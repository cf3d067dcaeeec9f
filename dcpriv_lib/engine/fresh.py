"""``python -m dcpriv_lib.engine.fresh quick`` puts the results of a profile aside, so that it starts anew (`make
fresh`).

Nothing is deleted: results may be hours of work. They go to ``results/.old/``, where no command looks for runs. No run
of the profile should be under way: it would go on writing to the old place, or make the new one too early.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from . import paths
from .cluster import meeting

OLD = ".old"  # the name of no profile: these begin with a letter or digit


def put_aside(profile: str) -> Path | None:
    """Move the results of a profile out of the way, and return where they are now; None if there are none.

    Raises
    ------
    ValueError
        If it is not the name of a profile.
    OSError
        If they cannot be moved; they then are where they were.
    ClusterError
        If a scheduler of the profile runs.
    """
    paths.check_profile(profile)
    if meeting.is_there(paths.all_results() / profile):
        raise meeting.ClusterError(
            f"a scheduler of {profile} runs, and its workers: stop it first, with Ctrl-C. If none does, remove "
            f"{paths.shown(paths.all_results() / profile / meeting.FOLDER)}"
        )
    folder, now = paths.all_results() / profile, datetime.now(UTC)
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    place = folder.parent / OLD / f"{profile}-{now:%Y-%m-%dT%H%M%S.%f}"
    place.parent.mkdir(exist_ok=True)
    os.rename(folder, place)  # within one folder of results: at once, or not at all
    return place


def main(profile: str) -> str:
    """Put the results of a profile aside, and return what to say of it."""
    place = put_aside(profile)
    if place is None:
        return f"{profile} has no results yet"
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    return (
        f"what {profile} had found so far is kept in {paths.shown(place)} ({size / 1e6:.0f} MB): delete that folder "
        "when you no longer need it, or move it back"
    )


if __name__ == "__main__":
    try:
        print(main(sys.argv[1] if len(sys.argv) > 1 else ""))
    except (ValueError, OSError, meeting.ClusterError) as error:
        sys.exit(f"{error}\nName the profile that starts anew: make fresh PROFILE=quick")
