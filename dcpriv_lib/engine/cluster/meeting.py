"""Where the scheduler of a profile, its workers and its notebooks meet: a folder in the profile's results.

The scheduler makes it when it begins and removes it when it ends. It holds the scheduler's address, what code it runs,
and a certificate that was made for this run. Only the folder's owner may read it; whoever does not hold the certificate
is not listened to.
"""

import functools
import hashlib
import json
import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

from .. import paths, store

FOLDER, ADDRESS, CERTIFICATE, KEY = "cluster", "scheduler.json", "certificate.pem", "key.pem"
COMPUTE = "torch", "numpy", "scipy", "scikit-learn"  # of other versions the bits may be others


class ClusterError(RuntimeError):
    """Nobody answers, or somebody must not take part."""


class AbsentError(ClusterError):
    """No scheduler has begun."""


def is_there(results: Path) -> bool:
    """Return whether a scheduler of this folder of results has begun, and has not said that it ended."""
    return (results / FOLDER / ADDRESS).exists()


def open_(results: Path) -> Path:
    """Make the folder, empty; what a scheduler that was killed has left goes. Returns it."""
    place = results / FOLDER
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)
    return place


def close(results: Path) -> None:
    """Remove the folder."""
    shutil.rmtree(results / FOLDER, ignore_errors=True)


def announce(results: Path, address: str) -> None:
    """Say where the scheduler listens."""
    store.write(results / FOLDER / ADDRESS, json.dumps({"address": address, "code": code()}).encode())


def address(results: Path) -> str:
    """Return where the scheduler listens.

    Raises
    ------
    ClusterError
        If no scheduler runs, or one of other code than this process.
    """
    start = f"python -m dcpriv_lib.engine.cluster scheduler {results.name}"
    if not is_there(results):
        raise AbsentError(f"no scheduler runs for {paths.shown(results)}: start it first ({start})")
    try:
        said = json.loads((results / FOLDER / ADDRESS).read_text())
        found, its_code = str(said["address"]), said["code"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ClusterError(
            f"{paths.shown(results / FOLDER / ADDRESS)} is damaged: stop the scheduler, and {start}"
        ) from None
    if its_code != code():
        raise ClusterError(
            f"the scheduler at {found} runs other code than this process ({its_code}; here {code()}): start both from "
            "the same commit, in the same environment"
        )
    return found


@functools.cache
def code() -> str:
    """Return a digest of the library's code, and the versions of what computes."""
    files = sorted((paths.REPOSITORY / "dcpriv_lib").rglob("*.py"))
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]
    versions = [f"{name} {metadata.version(name)}" for name in COMPUTE]
    return ", ".join([f"dcpriv_lib {digest}", f"Python {platform.python_version()}", *versions])


def write_privately(path: Path, content: str) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(content)
