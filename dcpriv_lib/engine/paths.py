"""Every path the project uses, in one place.

Nothing depends on the folder a notebook or a command is started from.
"""

import os
import re
import tempfile
from pathlib import Path

from .foreign_text import plain

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = REPOSITORY / "notebooks"
PROFILES = REPOSITORY / "profiles"
FIGURES = REPOSITORY / "figures"  # the committed figures and tables, one folder a profile

PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PROFILE_NAME_RULE = "letters, digits, '.', '_' and '-', the first a letter or digit, 100 at most"


def data() -> Path:
    """Return the folder of the downloaded data sets: ``$DCPRIV_DATA``, else ``data/``."""
    return Path(os.environ.get("DCPRIV_DATA") or REPOSITORY / "data").absolute()


def check_profile(name: str) -> None:
    """Raise ValueError unless `name` is one that stays inside the folder of profiles and that of results."""
    if not (isinstance(name, str) and PROFILE_NAME.fullmatch(name)):
        raise ValueError(f"profile = {name!r}: expected {PROFILE_NAME_RULE}")


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
    PermissionError
        If the folder cannot be created or written to; raised here, before any
        compute is spent.
    """
    check_profile(profile)
    folder = all_results() / profile
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PermissionError(
            f"cannot write to the results folder {folder} ({error.strerror}): "
            "free that path, or set DCPRIV_RESULTS to a folder you may write to"
        ) from error
    return folder


def shown(path) -> str:
    """Return `path` relative to the repository where it lies inside it, for messages."""
    path = Path(path)
    return plain(str(path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path), None)
