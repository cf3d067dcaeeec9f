"""How a notebook gives workers what all its jobs need, the data: large arrays are files in the folder where they meet.

Of MNIST these are hundreds of megabytes, which every worker would else be sent anew for every population. So each is
written once and named by its contents; what is sent is the rest, and the names.
"""

import functools
import hashlib
import io
import os
import pickle
import tempfile
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.weak import WeakTensorKeyDictionary

from .. import paths, store
from . import meeting

LARGE = 2**16  # bytes from which an array is a file
_written = WeakTensorKeyDictionary()  # tensor to the name of its file; nobody changes one in its place
_read: weakref.WeakValueDictionary[tuple[Path, str], torch.Tensor] = weakref.WeakValueDictionary()


@dataclass(frozen=True)
class Parcel:
    """Data without its large arrays.

    Attributes
    ----------
    key : what it is told apart by.
    device : on which it is wanted.
    content : the rest, pickled.
    """

    key: str
    device: torch.device = field(compare=False)
    content: bytes = field(compare=False, repr=False)


def pack(data) -> Parcel:
    """Return a parcel of `jobs.Data`, whose large arrays are then files where its results are."""
    content = io.BytesIO()
    packer = pickle.Pickler(content, pickle.HIGHEST_PROTOCOL)
    packer.persistent_id = functools.partial(_name, data.folder / meeting.FOLDER)  # type: ignore[method-assign]
    packer.dump(data)
    key = store.fingerprint(data.inputs | {"device": str(data.device)})
    return Parcel(key, data.device, content.getvalue())


@functools.lru_cache(maxsize=2)
def unpack(parcel: Parcel, results: Path):
    """Return what was packed, with `results` as its folder: the same object whenever it is the same parcel, so that
    what jobs keep of it is found by the next one.

    Raises
    ------
    FileNotFoundError
        If a file of it is not there, and is not to be seen for a minute.
    """
    packed = pickle.Unpickler(io.BytesIO(parcel.content))
    packed.persistent_load = functools.partial(_load, results / meeting.FOLDER)  # type: ignore[method-assign]
    return replace(packed.load(), folder=results)


def _name(place: Path, value) -> tuple[str, str] | None:
    """Return a name for a large array, which is then in a file; None for all else."""
    if isinstance(value, np.ndarray) and value.nbytes >= LARGE and value.dtype != object and value.flags.c_contiguous:
        return "array", _write(place, value)
    if type(value) is torch.Tensor and value.nbytes >= LARGE and value.is_contiguous() and value.device.type == "cpu":
        name = _written.get(value, "")
        if not (place / name).is_file():
            name = _written[value] = _write(place, value.detach().numpy())
        return "tensor", name
    return None


def _write(place: Path, array: np.ndarray) -> str:
    """Write an array unless a file has its contents, and return that file's name."""
    about = f"{array.dtype.str} {array.shape}".encode()
    name = f"{hashlib.sha256(about + array.tobytes()).hexdigest()[:32]}.npy"
    if not (place / name).exists():
        with tempfile.NamedTemporaryFile(dir=place, delete=False) as file:
            np.save(file, array, allow_pickle=False)
        os.replace(file.name, place / name)
    return name


def _load(place: Path, named: tuple[str, str]) -> np.ndarray | torch.Tensor:
    """Return the array of a name; as long as one worker's jobs have it, it is there once."""
    kind, name = named
    found = _read.get((place, name))
    if found is None:
        if not meeting.seen(place / name):
            raise FileNotFoundError(f"{paths.shown(place / name)} is not there: has the scheduler been started anew?")
        found = _read[place, name] = torch.from_numpy(np.load(place / name, allow_pickle=False))
    return found if kind == "tensor" else found.numpy()
