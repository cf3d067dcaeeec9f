"""Every path the project uses, in one place.

Nothing depends on the folder a notebook or a command is started from.
"""

import os
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
NOTEBOOKS = REPOSITORY / "notebooks"
PROFILES = REPOSITORY / "profiles"
FIGURES = REPOSITORY / "figures"  # the committed figures and tables, one folder a profile


def data() -> Path:
    """Return the folder of the downloaded data sets: ``$DCPRIV_DATA``, else ``data/``."""
    return Path(os.environ.get("DCPRIV_DATA") or REPOSITORY / "data").absolute()


def results(profile: str) -> Path:
    """Return (and create) the folder of one profile's artefacts.

    It is ``results/<profile>`` in the repository, or ``$DCPRIV_RESULTS/<profile>``.

    Raises
    ------
    PermissionError
        If the folder cannot be created or written to; raised here, before any
        compute is spent.
    """
    folder = Path(os.environ.get("DCPRIV_RESULTS") or REPOSITORY / "results").absolute() / profile
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
    return str(path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path)
