"""Every path the project uses, in one place.

Nothing depends on the folder a notebook or a command is started from.
"""

import errno
import os
import re
import reprlib
import shlex
import tempfile
from pathlib import Path

from .foreign_text import plain

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = REPOSITORY / "notebooks"
PROFILES = REPOSITORY / "profiles"
FIGURES = REPOSITORY / "figures"  # the committed figures and tables, one folder a profile

PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PROFILE_NAME_RULE = "letters, digits, '.', '_' and '-', the first a letter or digit, 100 at most"

PATH_RULE = "in one line, at most 255 bytes between two '/' and 4,095 in all"  # what file systems take

FULL = errno.ENOSPC, errno.EDQUOT  # of a disk, or of what a user may have of it
ROOM = 2**20  # bytes that a folder has to have left: the least step leaves as much

LONGEST = 2000  # bytes of a path that the engine works with


def data() -> Path:
    """Return the folder of the downloaded data sets: ``$DCPRIV_DATA``, else ``data/``."""
    return Path(os.environ.get("DCPRIV_DATA") or REPOSITORY / "data").absolute()


def check_profile(name: str) -> None:
    """Raise ValueError unless `name` is one that stays inside the folder of profiles and that of results."""
    if not (isinstance(name, str) and PROFILE_NAME.fullmatch(name)):
        number = "; papermill's -p takes such a name for a number, its -r does not" * isinstance(name, int | float)
        raise ValueError(f"profile = {name!r}: expected {PROFILE_NAME_RULE}{number}")


def check_path(text: str) -> None:
    """Raise ValueError unless a file may have this path: `PATH_RULE`."""
    name = os.fsencode(text)
    if len(name) > 4095 or max(map(len, name.split(b"/"))) > 255 or any(byte < 32 or byte == 127 for byte in name):
        raise ValueError(f"{reprlib.repr(text)}: expected a path {PATH_RULE}")


def of_user(text: str) -> Path:
    """Return a path as a user wrote it, with ``~`` for their own folder."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # somebody else's folder, and there is nobody of this name
        return Path(text)


def all_results() -> Path:
    """Return the folder of all profiles' results: ``$DCPRIV_RESULTS``, else ``results/``."""
    return Path(os.environ.get("DCPRIV_RESULTS") or REPOSITORY / "results").absolute()


def results(profile: str) -> Path:
    """Return (and create) the folder of one profile's artefacts.

    It is ``results/<profile>`` in the repository, or ``$DCPRIV_RESULTS/<profile>``.

    Raises
    ------
    ValueError
        If the profile's name could lead out of that folder.
    OSError
        If the folder has no `ROOM`, or, as PermissionError, cannot be created or written to;
        raised here, before any compute is spent.
    """
    check_profile(profile)
    folder = all_results() / profile
    check_writable(folder, "the results folder ", ", or set DCPRIV_RESULTS to a folder you may write to")
    return folder


def check_writable(folder: Path, what: str = "", otherwise: str = "") -> None:
    """Create a folder if it does not exist, and raise OSError unless it can be written to and has `ROOM`.

    `what` and `otherwise` are more of the sentence: what the folder is, and what else can be done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        kind, do = (OSError, "make room there") if error.errno in FULL else (PermissionError, "free that path")
        raise kind(f"cannot write to {what}{folder} ({error.strerror}): {do}{otherwise}") from error


def with_what_to_do(message: str, *folders) -> str:
    """Return what an error says, and, if that is a full disk or a used-up quota, where to make room: in those of some
    folders that cannot be written to, or in all of them if each can be by now."""
    if not any(os.strerror(number) in message for number in FULL) or "make room" in message:
        return message
    full = []
    for folder in folders:
        try:
            check_writable(Path(folder))
        except OSError:
            full.append(folder)
    named = " and in ".join(dict.fromkeys(shown(folder) for folder in full or folders))
    return f"{message}: make room in {named}, then run the same again"


def check_for_the_engine(*places: Path) -> None:
    """Raise ValueError if a path has braces, which Snakemake takes for the places of wildcards, or is so long that its
    notes about it, whose names are longer, would not find place."""
    for place in places:
        if (length := len(os.fsencode(place))) > LONGEST:
            raise ValueError(f"{plain(place)}: a path of {length:,} bytes: expected at most {LONGEST:,}")
        if set("{}") & set(str(place)):
            raise ValueError(
                f"{place}: Snakemake cannot work with braces in a path. Rename that folder or file, or, if only the "
                "results lie there, set DCPRIV_RESULTS to another folder"
            )


def shown(path) -> str:
    """Return `path` relative to the repository where it lies inside it, for messages."""
    path = Path(path)
    return plain(str(path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path), None)


def again(path) -> str:
    """Return the command that brings back what lies in the results of a profile, or in the committed ones; "" for any
    other path."""
    path = Path(path).absolute()
    if path.is_relative_to(FIGURES):
        return f"git restore {shlex.quote(shown(path))}"
    if not path.is_relative_to(all_results()) or path == all_results():
        return ""
    name = path.relative_to(all_results()).parts[0]
    if name in ("authors", "published"):
        return f"make {name}"
    return os.environ.get("DCPRIV_AGAIN") or f"snakemake --cores all --config profile={name}"
