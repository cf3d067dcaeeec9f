"""Files that the stages pass to each other.

An artefact is one ``.npz`` (arrays) or ``.csv`` (a table). Its bytes depend only on the
data, the parameters and the seed. Beside it lies a ``.json`` with the inputs it was made
from, its SHA-256, its provenance (versions, git commit, hardware, duration) and hashes of the code that made it
(see `origin`).

Everything is written to a temporary file and renamed, so a file is the old one or the new one.
The ``.json`` comes first: an artefact that exists has its record. Where it replaces another, its
record holds that one's too until the artefact itself is there, and whoever reads takes the record
that fits the bytes: a process killed at any moment leaves a pair that can be read. What is damaged
nevertheless is computed again. Nothing here can run code: arrays of objects are refused.
"""

import functools
import glob
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from . import origin
from .paths import REPOSITORY, shown
from .switches import SWITCHES


class ArtefactError(RuntimeError):
    """An artefact is missing, damaged, or was made from other inputs."""


class DamagedError(ArtefactError):
    """An artefact is not what was once written, or its record is not; to make it again replaces it.

    Attributes
    ----------
    what : the file and what is wrong with it, without the advice to re-run `made_by`.
    """

    def __init__(self, path, wrong: str, made_by: str):
        self.what = f"{shown(path)} {wrong}"
        super().__init__(f"{self.what}: re-run {made_by}, which replaces it")


def fingerprint(inputs: dict) -> str:
    """Return 10 hexadecimal digits that identify `inputs` (JSON-serialisable)."""
    text = json.dumps(inputs, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def sidecar(path) -> Path:
    """Return the ``.json`` that belongs to the artefact `path`."""
    path = Path(path)
    return path.with_name(path.name + ".json")


def write(path, content: bytes) -> None:
    """Write `content` to `path` atomically: readers see the old file or the new one.

    Raises
    ------
    OSError
        Naming the file, if the disk is full or the folder not writable; the old file stays.
    """
    _write_all((Path(path), content))


def _write_all(*files: tuple[Path, bytes]) -> None:
    """Write files atomically one after the other, and rename none before all are on the disk."""
    temporaries = []
    try:
        for path, content in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporaries.append(_write_temporary(path.parent, content))
        for temporary, (path, _) in zip(temporaries, files):
            os.replace(temporary, path)
    except BaseException as error:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(
                error.errno,
                f"cannot write {shown(path)} ({error.strerror}); what was there is "
                "kept: make room or correct the permissions, then run the same again",
            ) from error
        raise


def _write_temporary(folder: Path, content: bytes) -> Path:
    """Write `content` to a new file in `folder`, and remove those that killed processes left there."""
    ours = f".partial-{socket.gethostname()}@"
    for left in folder.glob(f"{glob.escape(ours)}*"):
        if not _is_running(int(left.name.removeprefix(ours).split("-")[0])):
            left.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=f"{ours}{os.getpid()}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
    except BaseException:
        os.unlink(name)
        raise
    return Path(name)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # no signal, only the question
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def save_arrays(path, arrays: dict, inputs: dict, seconds: float | None = None) -> None:
    """Save named arrays (numpy or torch, any shape, no object dtype) as ``.npz``."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.asarray(value) for name, value in arrays.items()})
    _save(path, buffer.getvalue(), inputs, seconds)


def load_arrays(path, expect: dict, made_by: str) -> dict:
    """Load what `save_arrays` saved, after checking where it comes from.

    Parameters
    ----------
    path : path of the ``.npz``.
    expect : the inputs this reader relies on; each must equal the recorded one.
    made_by : the notebook that writes this artefact, for the error message.

    Raises
    ------
    ArtefactError
        If the file is missing, unreadable, or was made from other inputs; if it is damaged, the
        subclass DamagedError.
    """
    content = _load(path, expect, made_by)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # zipfile and numpy raise many kinds
        raise DamagedError(path, f"is not an .npz of plain arrays ({error})", made_by) from error


def save_table(path, table: pd.DataFrame, inputs: dict, **more) -> None:
    """Save a table as ``.csv`` (no index; floats in full precision), with `more` (JSON) in its record."""
    _save(path, table.to_csv(index=False).encode(), inputs, None, more)


def load_table(path, expect: dict, made_by: str) -> pd.DataFrame:
    """Load what `save_table` saved; the arguments and errors are those of `load_arrays`."""
    return pd.read_csv(io.BytesIO(_load(path, expect, made_by)))


def cached(path, inputs: dict, compute, by: tuple = ()) -> dict:
    """Return the arrays at `path`, computing and saving them first if they do not exist or are damaged.

    The file's name carries the fingerprint of `inputs`: other parameters make another
    file, so a changed parameter never returns an old result and never destroys one.

    Parameters
    ----------
    path : where to save, without suffix.
    inputs : everything the result depends on.
    compute : function that returns the dict of arrays. It is given a path beside the artefact
        where it may keep the state of unfinished work, which is deleted once the artefact is there.
    by : the functions that `compute` leaves the work to, where its module only chooses among others (see `origin`).
    """
    path = cached_path(path, inputs)
    unfinished = path.with_name(path.stem + "-unfinished.npz")
    arrays = load_if_whole(path, inputs, "it is computed again")
    if arrays is None:
        start = time.perf_counter()
        with origin.computing(compute, *by):
            save_arrays(path, compute(unfinished), inputs, time.perf_counter() - start)
        arrays = load_arrays(path, inputs, "the same notebook")
    for file in (unfinished, sidecar(unfinished)):
        file.unlink(missing_ok=True)
    return arrays


def load_if_whole(path, expect: dict, otherwise: str) -> dict | None:
    """Return what `load_arrays` does, or None if there is no such artefact, or only a damaged one.

    `otherwise` ends the line on stderr that tells of a damaged one: "it is computed again".
    """
    if not Path(path).exists():
        return None
    try:
        return load_arrays(path, expect, "the same notebook")
    except DamagedError as error:
        print(f"{error.what}: {otherwise}", file=sys.stderr)
        return None


def cached_path(path, inputs: dict) -> Path:
    """Return the file in which `cached` keeps the result of `inputs`."""
    path = Path(path)
    return path.with_name(f"{path.name}-{fingerprint(inputs)}.npz")


def read_sidecar(path, made_by: str = "the notebook that writes them") -> dict:
    """Return the recorded inputs, SHA-256, provenance and code of the artefact `path`.

    `made_by` is for the error message, as in `load_arrays`.

    Raises
    ------
    DamagedError
        If the record is missing or damaged, or if a save was cut short and neither of the two records
        it left is the artefact's. Otherwise the artefact's own bytes are not read.
    """
    records = _records(path, made_by)
    return records[0] if len(records) == 1 else _fitting(records, path, _content(path), made_by)


def provenance(seconds: float | None = None) -> dict:
    """Return when, where and with what this process computes (JSON-serialisable)."""
    import torch  # here, because importing it takes seconds and reading an artefact does without

    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": None if seconds is None else round(seconds, 3),
        **_environment(),
        "threads": torch.get_num_threads(),
        "switches": {name: os.environ.get(name) for name in SWITCHES},
    }


def _save(path, content: bytes, inputs: dict, seconds: float | None, more: dict | None = None) -> None:
    record = {
        "inputs": inputs,
        **(more or {}),
        "sha256": hashlib.sha256(content).hexdigest(),
        "provenance": provenance(seconds),
    } | origin.of_what_is_saved()
    new, replaced = (sidecar(path), _json(record)), _record_on_disk(Path(path))
    if replaced is None:
        _write_all(new, (Path(path), content))
    else:
        _write_all((sidecar(path), _json(record | {"replaces": replaced})), (Path(path), content), new)


def _json(record: dict) -> bytes:
    return (json.dumps(record, indent=1) + "\n").encode()


def _record_on_disk(path: Path) -> dict | None:
    """Return the record of the artefact that lies at `path` now; None if there is none, or none that fits."""
    try:
        record = _fitting(_records(path, ""), path, _content(path), "")
    except (ArtefactError, FileNotFoundError):
        return None
    return {key: value for key, value in record.items() if key != "replaces"}


def _load(path, expect: dict, made_by: str) -> bytes:
    if not Path(path).exists():
        raise ArtefactError(f"{shown(path)} does not exist yet: run {made_by} first, with the same profile")
    content = _content(path)
    record = _fitting(_records(path, made_by), path, content, made_by)
    for name, wanted in expect.items():
        found = record["inputs"].get(name)
        if found != json.loads(json.dumps(wanted)):
            raise ArtefactError(
                f"{shown(path)} was made with {name} = {found!r}, but {name} = "
                f"{wanted!r} is asked for: re-run {made_by} with {name} = "
                f"{wanted!r}, or ask for {found!r}"
            )
    origin.noticed(path, record)
    return content


def _records(path, made_by: str) -> list[dict]:
    """Return the record beside an artefact, and the one that it replaces if a save was cut short."""
    try:
        record = json.loads(_content(sidecar(path)))
        records = [record, record["replaces"]] if "replaces" in record else [record]
        for one in records:
            one["inputs"] | {}, one["sha256"]  # a TypeError unless the inputs are a dict
        return records
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(
            path, f"has no record of where it comes from ({sidecar(path).name} is missing or damaged)", made_by
        ) from error


def _fitting(records: list[dict], path, content: bytes, made_by: str) -> dict:
    """Return the record whose SHA-256 is that of `content`."""
    found = hashlib.sha256(content).hexdigest()
    for record in records:
        if record["sha256"] == found:
            return record
    raise DamagedError(
        path, "is truncated or was changed after it was written (its SHA-256 is not the recorded one)", made_by
    )


def _content(path) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ArtefactError(
            f"{shown(path)} cannot be read ({error.strerror}): correct its permissions, or what is wrong with the disk"
        ) from error


@functools.cache
def _environment() -> dict:
    import torch

    packages = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": gpu,
    }


def _git_commit() -> str | None:
    """Return the commit, with ``+changes`` if library, notebooks, profiles or benchmarks differ from it."""

    def git(*command):
        return subprocess.run(
            ["git", "-C", str(REPOSITORY), *command], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--", "dcpriv_lib", "notebooks/*.py", "profiles", "benchmarks")
        return git("rev-parse", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def digest(*arrays) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of arrays or tensors, shapes included."""
    state = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        state.update(f"{array.dtype} {array.shape}".encode())
        state.update(array.data)
    return state.hexdigest()[:16]
