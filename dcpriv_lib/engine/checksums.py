"""What a step of the engine left, as ``sha256sum`` writes it: what was damaged since is noticed, and made again.

Beside the executed ``notebooks/05_results.ipynb`` lies ``05_results.sha256``: a line for each table, figure and
artefact that the notebook kept under a name, and a last one for the notebook itself. ``sha256sum -c 05_results.sha256``
in that folder reads it too. A notebook that is run by hand adds to no list.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from . import store

LIST = "DCPRIV_CHECKSUMS"  # the variable that tells a notebook's kernel of its list
CHANGED = "was changed after it was written"
LINE = re.compile(r"([0-9a-f]{64})  (.+)\n")


def of(output: Path) -> Path:
    """Return the list that belongs to an executed notebook or to a front page."""
    return Path(output).absolute().with_suffix(".sha256")


def begin(output: Path) -> None:
    """Begin the list of a notebook that is about to be run, for its kernel to add to."""
    store.write(of(output), b"")
    os.environ[LIST] = str(of(output))


def add(path: Path) -> None:
    """Add a file that was just written to the list of the notebook that is run; nothing if it is run by hand."""
    if LIST in os.environ:
        _append(Path(os.environ[LIST]), path, store.read(path))


def end(output: Path, written: Path) -> None:
    """End the list by the notebook itself, which still lies at `written`."""
    _append(of(output), output, store.read(written))


def write(output: Path, files: Iterable[Path]) -> None:
    """Write the list of `files` and `output` at once."""
    store.write(of(output), b"".join(_line(of(output), path, store.read(path)) for path in [*files, output]))


def damaged(output: Path) -> dict[Path, str]:
    """Return what is not as the list of `output` says, path to what is wrong with it: "is gone".

    Raises
    ------
    ArtefactError
        If there is a folder in a file's place, or a file that cannot be read.
    """
    place, wrong = of(output), {}
    try:
        listed = _listed(output)
    except store.DamagedError as error:
        return {place: error.wrong}
    for path, expected in listed.items():
        try:
            content = store.read(path)
        except store.MissingError:
            wrong[path] = "is gone"
        except store.DamagedError as error:
            wrong[path] = error.wrong
        else:
            if hashlib.sha256(content).hexdigest() != expected:
                wrong[path] = CHANGED if content else "is empty"
            elif path.suffix in (".csv", ".npz"):
                wrong |= _damaged_record(path)
    return wrong


def _damaged_record(path: Path) -> dict[Path, str]:
    try:
        store.check(path)
    except store.DamagedError as error:
        return {error.path: error.wrong}
    return {}


def executed(output: Path, made_by: str = store.WRITER):
    """Return an executed notebook, as nbformat has it.

    Raises
    ------
    DamagedError
        If it is none, or not the one on its list; without a list nothing is compared.
    ArtefactError
        As `store.read`.
    """
    import nbformat  # here, because kernels do without

    content = store.read(output, made_by)
    if os.path.lexists(of(output)) and hashlib.sha256(content).hexdigest() != _listed(output)[Path(output).absolute()]:
        raise store.DamagedError(output, CHANGED if content else "is empty", made_by)
    try:
        notebook = nbformat.reads(content.decode(), 4)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat raises many kinds
        raise store.DamagedError(output, "is empty" if not content else "is no notebook", made_by) from error
    return notebook


def _append(place: Path, path: Path, content: bytes) -> None:
    with open(place, "ab") as file:  # one write, so that lines of two processes do not mix
        file.write(_line(place, path, content))


def _line(place: Path, path: Path, content: bytes) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}  {os.path.relpath(path, place.parent)}\n".encode()


def _listed(output: Path) -> dict[Path, str]:
    """Return the SHA-256 of every file on a list; a DamagedError unless the list ends in `output`."""
    place = of(output)
    try:
        lines = store.read(place).decode().splitlines(keepends=True)
        found = [LINE.fullmatch(line) for line in lines]
        if not lines or not all(found) or found[-1][2] != Path(output).name:  # type: ignore[index]
            raise ValueError
    except ValueError as error:
        raise store.DamagedError(place, "is truncated or was changed after it was written", store.WRITER) from error
    return {Path(os.path.normpath(place.parent / one[2])): one[1] for one in found}  # type: ignore[index]
