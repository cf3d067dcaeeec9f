"""Where the scheduler of a profile, its workers and its notebooks meet: a folder in the profile's results.

The scheduler makes it when it begins and removes it when it ends. It holds the scheduler's address, what code it runs,
and a certificate that was made for this run. Only the folder's owner may enter it; whoever does not hold the
certificate is not listened to.
"""

import contextlib
import functools
import hashlib
import json
import os
import platform
import shutil
import stat
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from .. import paths, store
from ..switches import SWITCHES

FOLDER, ADDRESS, CERTIFICATE, KEY = "cluster", "scheduler.json", "certificate.pem", "key.pem"
SEEN = 60.0  # seconds until a file that one machine wrote is seen by all of them
COMPUTE = "torch", "numpy", "scipy", "scikit-learn"  # of other versions the bits may be others
START = "python -m dcpriv_lib.engine.cluster scheduler"


class ClusterError(RuntimeError):
    """Nobody answers, or somebody must not take part."""


class AbsentError(ClusterError):
    """No scheduler has begun."""


def is_there(results: Path) -> bool:
    """Return whether a scheduler of this folder of results has begun, and has not said that it ended."""
    return (results / FOLDER / ADDRESS).exists()


def seen(path: Path, enough: Callable[[], bool] = lambda: False) -> bool:
    """Wait until a file that another machine has written is seen here: a network's file system may take its time.

    Returns whether it is; after a minute, or once it is `enough`, the wait ends.
    """
    until = time.monotonic() + SEEN
    while not path.exists():
        if enough() or time.monotonic() > until:
            return False
        with contextlib.suppress(OSError):
            os.listdir(path.parent)  # makes it look again
        time.sleep(0.5)
    return True


def open_(results: Path) -> Path:
    """Make the folder, empty; what a scheduler that was killed has left goes. Returns it."""
    place = results / FOLDER
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)
    check_private(place)
    return place


def check_private(place: Path) -> None:
    """Raise ClusterError unless a folder is this user's own, and nobody else may enter it.

    Else whoever may write to the results could be the scheduler, and let everybody else run what they like.
    """
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ClusterError(
            f"{paths.shown(place)} is not a folder that you alone may enter, so its scheduler may be anybody's: remove "
            "it, and start a scheduler where the file system keeps modes (DCPRIV_RESULTS says where results are kept)"
        )


def announce(results: Path, address: str) -> None:
    """Say where the scheduler, this process, listens."""
    said = {"address": address, "code": code(), "host": platform.node(), "process": os.getpid()}
    store.write(results / FOLDER / ADDRESS, json.dumps(said).encode())


def close(results: Path) -> None:
    """Remove the folder, unless it is another scheduler's by now."""
    if not is_there(results):  # nothing was announced
        shutil.rmtree(results / FOLDER, ignore_errors=True)
    with contextlib.suppress(ClusterError, OSError):
        said = read(results)
        if (said["host"], said["process"]) == (platform.node(), os.getpid()):
            shutil.rmtree(results / FOLDER, ignore_errors=True)


def read(results: Path) -> dict:
    """Return what a scheduler has said of itself: "address", "code", "host" and "process".

    Raises
    ------
    ClusterError
        If it cannot be read, or need not be this user's.
    """
    check_private(results / FOLDER)
    try:
        said = json.loads((results / FOLDER / ADDRESS).read_text())
        return {part: said[part] for part in ("address", "code", "host", "process")}
    except (OSError, ValueError, KeyError, TypeError):
        raise ClusterError(
            f"{paths.shown(results / FOLDER / ADDRESS)} is damaged: stop the scheduler, and start it again "
            f"({START} {results.name})"
        ) from None


def address(results: Path) -> str:
    """Return where the scheduler listens.

    Raises
    ------
    ClusterError
        If no scheduler runs, or one of other code than this process, or one that need not be this user's.
    """
    if not is_there(results):
        raise AbsentError(f"no scheduler runs for {paths.shown(results)}: start it first ({START} {results.name})")
    said = read(results)
    if said["code"] != code():
        raise ClusterError(
            f"the scheduler at {said['address']} runs other code than this process ({said['code']}; here {code()}): "
            "start both from the same commit, in the same environment, on machines of one kind"
        )
    return str(said["address"])


@functools.cache
def code() -> str:
    """Return a digest of the library's code, the versions of what computes, and by which instructions it does."""
    files = sorted((paths.REPOSITORY / "dcpriv_lib").rglob("*.py"))
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]
    versions = [f"{name} {metadata.version(name)}" for name in COMPUTE]
    switches = [
        f"{name} {os.environ[name]}" for name in SWITCHES if os.environ.get(name, SWITCHES[name]) != SWITCHES[name]
    ]
    return ", ".join(
        [f"dcpriv_lib {digest}", f"Python {platform.python_version()}", *versions, platform.machine(), *switches]
    )


def write_privately(path: Path, content: str) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(content)
