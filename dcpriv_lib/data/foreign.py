"""Arrays out of a stranger's file: what it announces is checked before memory is taken, and no code in it runs."""

import os
import zipfile
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from ..engine.foreign_text import plain, several
from .dataset import AGAIN, DataError

MOST_ARRAYS = 1000  # that a file may hold: networks have dozens
PACKED, SMALL = 200, 2**26  # times that pixels hardly ever shrink, and bytes up to which nobody minds
READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
FORMATS = {b"\x93NUMPY": "is one array, as numpy.save writes it", b"\x89HDF": "is an HDF5 file"}  # by first bytes
TORCH = "is in torch's own format or a pickle, which could run code and is never loaded"


def most_bytes() -> int:
    """Return how many bytes a file and its arrays may take: half of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def shown(path) -> str:
    """Return a path for a message: on one line, and of at most 100 characters."""
    return plain(path)


def check_file(path: Path, parameter: str, most: int | None = None) -> None:
    """Raise DataError unless there is a regular file that can be read, and that memory can hold.

    A named pipe or a device, which would never end, is none.

    Parameters
    ----------
    path : of the file.
    parameter : the notebooks' parameter that names it, for the message.
    most : bytes that it may have; `most_bytes` if None.
    """
    if not os.path.isfile(path):
        raise DataError(
            f"{parameter} = {plain(path, 60)!r}: there is no file {shown(Path(path).absolute())}: correct the path"
        )
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise DataError(f"{shown(path)} cannot be read ({error.strerror}): correct its permissions") from error
    size, most = os.path.getsize(path), most or most_bytes()
    if size > most:
        raise DataError(f"{shown(path)} has {size:,} bytes: expected at most {most:,}: {AGAIN}")


def npz_arrays(
    path: Path,
    parameter: str,
    advice: str,
    wanted: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    most: int | None = None,
) -> dict[str, np.ndarray]:
    """Return the arrays of a stranger's ``.npz``, which cannot run code.

    Parameters
    ----------
    path : of the file.
    parameter : the notebooks' parameter that names it, for the message if it is not there.
    advice : how the arrays should have been saved, for the message about arrays of objects.
    wanted, optional : the arrays to be read, and those that may be missing; all of the file if none is named.
    most : bytes that file and arrays may take; `most_bytes` if None.

    Raises
    ------
    DataError
        If the file is missing, unreadable, damaged, of another format, lacks a wanted array or holds arrays of
        objects; if its arrays would take more than `most` bytes, which their headers tell before they are read.
    """
    most = most or most_bytes()
    check_file(path, parameter, most)
    _check_format(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            announced = _announced(path, file.zip)
            missing = [key for key in wanted if key not in announced]
            if missing:
                raise DataError(
                    f"{shown(path)} lacks {', '.join(missing)}: it holds {several(announced, 3, 20)}, "
                    f"expected {', '.join(wanted)}: {AGAIN}"
                )
            names = [name for name in announced if name in wanted or name in optional or not (wanted or optional)]
            size = sum(_bytes(path, file.zip, announced[name]) for name in names)
            if size > most:
                raise DataError(f"{shown(path)} announces arrays of {size:,} bytes: expected at most {most:,}: {AGAIN}")
            return {name: np.asarray(file[name]) for name in names}
    except DataError:
        raise
    except Exception as error:  # zipfile and numpy raise many kinds on a damaged file
        raise DataError(
            f"{shown(path)} is damaged or holds arrays of objects, which could run code and are never "
            f"loaded ({plain(error, 60)}): {advice}"
        ) from error


def _check_format(path: Path) -> None:
    """Raise DataError, and name the format where it is known, if a file is no archive."""
    with open(path, "rb") as file:
        first = file.read(6)
    what = next((what for start, what in FORMATS.items() if first.startswith(start)), None)
    if first[:1] == b"\x80" and first[1:2] in b"\2\3\4\5":
        what = TORCH
    if what or not zipfile.is_zipfile(path):
        why = f": it {what}" if what else ", or is truncated"
        raise DataError(f"{shown(path)} is not an .npz file{why}: save it again with numpy.savez")


def _announced(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return what an archive holds, by name; nothing is unpacked."""
    entries = archive.infolist()
    found = {entry.filename.removesuffix(".npy"): entry for entry in entries}
    if any(entry.filename.endswith("data.pkl") for entry in entries):
        raise DataError(f"{shown(path)} is not an .npz file: it {TORCH}: save its arrays with numpy.savez")
    if len(entries) > MOST_ARRAYS or len(found) < len(entries):
        wrong = f"{len(entries):,} arrays" if len(entries) > MOST_ARRAYS else "two arrays of one name"
        raise DataError(
            f"{shown(path)} holds {wrong}: expected at most {MOST_ARRAYS:,}, each with a name of its own: {AGAIN}"
        )
    return found


def _bytes(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """Return how many bytes an array takes; an error unless it is what its header announces, and packed as numpy does.

    numpy takes the memory that a header announces before it reads the first number.
    """
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{plain(entry.filename, 24)} is packed as numpy never does")
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        if version not in READ_HEADER:
            raise ValueError(f"{plain(entry.filename, 24)} has fields with names")
        shape, _, dtype = READ_HEADER[version](file)
        size, announced = entry.file_size - file.tell(), dtype.itemsize
    if dtype.hasobject:
        raise ValueError(f"{plain(entry.filename, 24)} holds objects")
    for length in shape:  # numbers of Python's, which have no end
        announced *= length
    if announced != size or min(shape, default=0) < 0:
        raise ValueError(f"{plain(entry.filename, 24)} announces {announced:.3g} bytes and has {size:,}")
    if size > max(SMALL, PACKED * entry.compress_size):
        raise DataError(
            f"{shown(path)}: {plain(entry.filename, 24)} has {entry.compress_size:,} bytes and would unpack to "
            f"{size:,}: expected at most {PACKED} times as many: save it again with numpy.savez"
        )
    return size


def safetensors_arrays(path: Path, parameter: str, most: int | None = None) -> dict[str, np.ndarray]:
    """Return the arrays of a stranger's ``.safetensors``, and the words of its metadata.

    Parameters
    ----------
    path, parameter, most : as in `npz_arrays`. The format has no packing: a file is as large as its arrays.

    Raises
    ------
    DataError
        If the file is missing, truncated, too large, or holds numbers that numpy does not know.
    """
    check_file(path, parameter, most)
    try:
        with safe_open(path, "numpy") as file:
            names, words = file.keys(), file.metadata() or {}
            if len(names) + len(words) > MOST_ARRAYS:
                raise DataError(
                    f"{shown(path)} holds {len(names):,} arrays and {len(words):,} words: expected at most "
                    f"{MOST_ARRAYS:,}: {AGAIN}"
                )
            return {key: np.array(word) for key, word in words.items()} | {key: file.get_tensor(key) for key in names}
    except (SafetensorError, OSError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataError(
            f"{shown(path)} is not a safetensors file of numbers that numpy knows, or is truncated "
            f"({plain(error, 60)}): {AGAIN}"
        ) from error
