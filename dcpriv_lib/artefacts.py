"""Files that the stages pass to each other.

An artefact is one ``.npz`` (arrays) or ``.csv`` (a table). Its bytes depend only on the
data, the parameters and the seed. Beside it lies a ``.json`` with the inputs it was made
from, its SHA-256 and its provenance (versions, git commit, hardware, duration).
Everything is written to a temporary file and renamed, the ``.json`` first: an artefact
that exists is complete. Nothing here can run code: arrays of objects are refused.
"""

import functools
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import subprocess
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pandas as pd

from .paths import REPOSITORY, shown


class ArtefactError(RuntimeError):
    """An artefact is missing, damaged, or was made from other inputs."""


def fingerprint(inputs: dict) -> str:
    """Return 10 hexadecimal digits that identify `inputs` (JSON-serialisable)."""
    text = json.dumps(inputs, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def sidecar(path) -> Path:
    """Return the ``.json`` that belongs to the artefact `path`."""
    path = Path(path)
    return path.with_name(path.name + ".json")


def write(path, content: bytes) -> None:
    """Write `content` to `path` atomically: readers see the old file or the new one."""
    _write_all({Path(path): content})


def _write_all(contents: dict[Path, bytes]) -> None:
    """Write files atomically, and rename none before all are on the disk.

    Were they written one by one, a disk that is full after a new record would leave it
    beside the old artefact, which nobody could load any more.
    """
    temporaries = []
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
            temporaries.append(temporary)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
        for temporary, path in zip(temporaries, contents):
            os.replace(temporary, path)
    except BaseException:
        for temporary in temporaries:
            Path(temporary).unlink(missing_ok=True)
        raise


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
        If the file is missing, damaged, or was made from other inputs.
    """
    content = _load(path, expect, made_by)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # zipfile and numpy raise many kinds
        raise ArtefactError(f"{shown(path)} is not an .npz of plain arrays ({error}): "
                            f"delete it and re-run {made_by}") from error


def save_table(path, table: pd.DataFrame, inputs: dict) -> None:
    """Save a table as ``.csv`` (no index; floats in full precision)."""
    _save(path, table.to_csv(index=False).encode(), inputs, None)


def load_table(path, expect: dict, made_by: str) -> pd.DataFrame:
    """Load what `save_table` saved; the arguments and errors are those of `load_arrays`."""
    return pd.read_csv(io.BytesIO(_load(path, expect, made_by)))


def cached(path, inputs: dict, compute) -> dict:
    """Return the arrays at `path`, computing and saving them first if they do not exist.

    The file's name carries the fingerprint of `inputs`: other parameters make another
    file, so a changed parameter never returns an old result and never destroys one.

    Parameters
    ----------
    path : where to save, without suffix.
    inputs : everything the result depends on.
    compute : function that returns the dict of arrays. It is given a path beside the artefact
        where it may keep the state of unfinished work.
    """
    path = cached_path(path, inputs)
    if not path.exists():
        start = time.perf_counter()
        arrays = compute(path.with_name(path.stem + "-unfinished.npz"))
        save_arrays(path, arrays, inputs, time.perf_counter() - start)
    return load_arrays(path, inputs, "the same notebook")


def cached_path(path, inputs: dict) -> Path:
    """Return the file in which `cached` keeps the result of `inputs`."""
    path = Path(path)
    return path.with_name(f"{path.name}-{fingerprint(inputs)}.npz")


def read_sidecar(path, made_by: str = "the notebook that writes them") -> dict:
    """Return the recorded inputs, SHA-256 and provenance of the artefact `path`.

    `made_by` is for the error message, as in `load_arrays`.

    Raises
    ------
    ArtefactError
        If the record is missing or is not JSON.
    """
    try:
        record = json.loads(sidecar(path).read_text())
        record["inputs"] | {}, record["sha256"]  # a TypeError unless the inputs are a dict
        return record
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{shown(sidecar(path))}, the record of where {Path(path).name} comes "
                            f"from, is missing or damaged: delete both and re-run {made_by}") from error


def provenance(seconds: float | None = None) -> dict:
    """Return when, where and with what this process computes (JSON-serialisable)."""
    return {"written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "seconds": None if seconds is None else round(seconds, 3), **_environment()}


def _save(path, content: bytes, inputs: dict, seconds: float | None) -> None:
    record = {"inputs": inputs, "sha256": hashlib.sha256(content).hexdigest(),
              "provenance": provenance(seconds)}
    _write_all({sidecar(path): (json.dumps(record, indent=1) + "\n").encode(), Path(path): content})


def _load(path, expect: dict, made_by: str) -> bytes:
    if not Path(path).exists():
        raise ArtefactError(f"{shown(path)} does not exist yet: run {made_by} first, "
                            "with the same profile")
    record, content = read_sidecar(path, made_by), Path(path).read_bytes()
    for name, wanted in expect.items():
        found = record["inputs"].get(name)
        if found != json.loads(json.dumps(wanted)):
            raise ArtefactError(f"{shown(path)} was made with {name} = {found!r}, but {name} = "
                                f"{wanted!r} is asked for: re-run {made_by} with {name} = "
                                f"{wanted!r}, or ask for {found!r}")
    if hashlib.sha256(content).hexdigest() != record["sha256"]:
        raise ArtefactError(f"{shown(path)} is truncated or was changed after it was written "
                            f"(its SHA-256 is not the recorded one): delete it and re-run {made_by}")
    return content


@functools.cache
def _environment() -> dict:
    import torch  # here, because importing it takes seconds and reading an artefact does without
    packages = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"git_commit": _git_commit(), "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages},
            "platform": platform.platform(), "processor": _processor(),
            "cores": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu}


def _git_commit() -> str | None:
    """Return the commit, with ``+changes`` if library or notebooks differ from it."""
    def git(*command):
        return subprocess.run(["git", "-C", str(REPOSITORY), *command], capture_output=True,
                              text=True, check=True).stdout.strip()
    try:
        changes = git("status", "--porcelain", "--", "dcpriv_lib", "notebooks/*.py", "profiles")
        return git("rev-parse", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
