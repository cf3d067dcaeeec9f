"""Files that the stages pass to each other.

An artefact is one ``.npz``: arrays, or a table as text. It holds its own record, the JSON that ``unzip -z`` shows: its
name, the inputs it was made from, and a SHA-256 of these and of all arrays. All of it is a function of data, parameters
and seed, so the same seed gives the same bytes; a file that was truncated, changed or renamed is noticed. The record is
the comment of the archive and no member: ``numpy.load`` returns what was saved and nothing else.

Beside an artefact lies a ``.json`` with what differs from run to run: its provenance (time, versions, git commit,
hardware, duration) and hashes of the code that made it (see `origin`). Nothing needs it. Where it is missing, damaged
or of another save (it names the SHA-256 it is of), where the artefact comes from is not on record.

Tables of the report are for people: plain ``.csv``, each with a ``.csv.json`` beside it (`export_table`).

Everything is written to a temporary file and renamed, so a file is the old one or the new one, and a process killed at
any moment leaves an artefact that can be read. What is damaged nevertheless is computed again; so is what is no file
but a named pipe or a link that leads nowhere. A folder in an artefact's place may hold something of somebody's: it is
named, and left alone. Nothing here can run code: arrays of objects are refused.
"""

import contextlib
import errno
import glob
import hashlib
import io
import json
import os
import re
import socket
import stat
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from . import origin, provenance
from .paths import again, shown

TABLE = "table"  # the array that holds the text of a table
FINGERPRINT = re.compile(r".*-([0-9a-f]{10})\.npz")  # the name of what `cached` keeps
WRITER = "the notebook that writes it"
NO_FILE, DEAD_LINK = "is a named pipe, a socket or a device, where a file was expected", "is a link that leads nowhere"
STATE = "state-"  # begins the name of a state that outlives its work: its inputs are those of the work


class ArtefactError(RuntimeError):
    """An artefact is missing, damaged, or was made from other inputs."""


class MissingError(ArtefactError):
    """An artefact is not there."""


class DamagedError(ArtefactError):
    """An artefact is not what was once written, or its record is not; to make it again replaces it.

    Attributes
    ----------
    path : the file.
    wrong : what is wrong with it: "is truncated".
    what : both, without the advice to re-run `made_by`.
    """

    def __init__(self, path, wrong: str, made_by: str):
        self.path, self.wrong = Path(path), wrong
        self.what = f"{shown(path)} {wrong}"
        does = f" (`{command}` does)" if (command := again(path)) else ""
        super().__init__(f"{self.what}: re-run {made_by}, which replaces it{does}")


def read(path, made_by: str = WRITER) -> bytes:
    """Return what a file holds.

    Raises
    ------
    DamagedError
        If something lies in its place that holds nothing: a named pipe, whose reader would wait for ever, a socket, a
        device, or a link that leads nowhere.
    MissingError
        If there is nothing.
    ArtefactError
        If there is a folder, or if the file cannot be read: only its owner knows what to do.
    """
    path = Path(path)
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read()
        wrong = NO_FILE
    except FileNotFoundError as error:
        if not path.is_symlink():
            does = f" (`{command}` does)" if (command := again(path)) else ""
            wrong = f"{shown(path)} does not exist yet: run {made_by} first, with the same profile{does}"
            raise MissingError(wrong) from error
        wrong = DEAD_LINK
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ELOOP):  # which a socket and a link to itself give
            raise _unreadable(path, error) from error
        wrong = NO_FILE if error.errno == errno.ENXIO else DEAD_LINK
    raise DamagedError(path, wrong, made_by)


def _unreadable(path: Path, error: OSError) -> ArtefactError:
    if wrong := misplaced(path):
        return wrong
    return ArtefactError(
        f"{shown(path)} cannot be read ({error.strerror}): correct its permissions, or what is wrong with the disk; it "
        "is not deleted here, because it may be whole"
    )


def misplaced(path: Path) -> ArtefactError | None:
    """Return what to say of a folder in the place of a file, or of what is none in the place of a folder that it should
    lie in; None if there is no such thing."""
    wrong = (path, "folder, where a file") if os.path.isdir(path) else None
    there = next((parent for parent in path.absolute().parents if os.path.lexists(parent)), None)
    if there and not os.path.isdir(there):
        wrong = there, "file or a dead link, where a folder"
    if wrong is None:
        return None
    return ArtefactError(
        f"{shown(wrong[0])} is a {wrong[1]} belongs: move it away; it is not deleted here, because nobody but you "
        "knows what is in it"
    )


def fingerprint(inputs: dict) -> str:
    """Return 10 hexadecimal digits that identify `inputs` (JSON-serialisable)."""
    text = json.dumps(inputs, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _fingerprints(recorded: dict) -> set[str]:
    """Return what `fingerprint` may have been of inputs that were recorded since: JSON makes texts of numbers that are
    keys, and sorts them as such."""
    return {fingerprint(recorded), fingerprint(_with_number_keys(recorded))}


def _with_number_keys(value):
    if isinstance(value, list):
        return [_with_number_keys(one) for one in value]
    if not isinstance(value, dict):
        return value
    keys: list = list(value)
    with contextlib.suppress(ValueError):
        keys = [float(key) if set(key) & set(".en") else int(key) for key in value]
    return {key: _with_number_keys(one) for key, one in zip(keys, value.values())}


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
        if isinstance(error, OSError) and (wrong := misplaced(path)):
            raise wrong from error
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
        process = left.name.removeprefix(ours).split("-")[0]
        if process.isdecimal() and not left.is_dir() and not _is_running(int(process)):
            left.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=f"{ours}{os.getpid()}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(PermissionError):  # some mounts have no modes
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
    """Save named arrays as an artefact, and where they come from beside it.

    Parameters
    ----------
    path : the ``.npz``, with its suffix.
    arrays : name to array, numpy or torch, of any shape and dtype but object.
    inputs : what they were made from, as JSON can hold it; with the file's name at most 64 kB of it.
    seconds : how long it took to compute them.

    Raises
    ------
    ValueError
        If an array is one of objects, or the inputs are too long.
    OSError
        Naming the file, if the disk is full or the folder not writable; the old file stays.
    """
    content, sha256 = _packed(path, arrays, {"inputs": inputs})
    # In this order, an artefact that is new was never without its provenance.
    _write_all((sidecar(path), _beside(Path(path), inputs, sha256, seconds)), (Path(path), content))


def save_state(path, arrays: dict, inputs: dict) -> None:
    """Save the state of unfinished work: as `save_arrays` does, but with the hashes of the code inside.

    Nothing lies beside it, so no kill can part a state from its code: whoever goes on from it has to know.
    """
    content, _ = _packed(path, arrays, {"inputs": inputs} | origin.of_what_is_saved())
    write(path, content)


def load_arrays(path, expect: dict, made_by: str, may_be_renamed: bool = False) -> dict:
    """Load what `save_arrays` or `save_state` saved, after checking where it comes from.

    Parameters
    ----------
    path : path of the ``.npz``.
    expect : the inputs this reader relies on; each must equal the recorded one.
    made_by : the notebook that writes this artefact, for the error message.
    may_be_renamed : whether a copy under another name will do. Where the name tells what is inside, it will not.

    Raises
    ------
    ArtefactError
        If the file is missing, unreadable, or was made from other inputs; if it is damaged, the
        subclass DamagedError.
    """
    arrays, record = _whole(Path(path), made_by, may_be_renamed)
    _check(path, record["inputs"], expect, made_by)
    origin.noticed(path, record | _origin_of(Path(path), record["sha256"]))
    return arrays


def check(path, beside: bool = True) -> dict:
    """Return the arrays of an artefact if it is whole, none of a table of the report.

    Parameters
    ----------
    path : the ``.npz`` or ``.csv``.
    beside : whether the ``.json`` beside an ``.npz`` must be whole too.

    Raises
    ------
    DamagedError
        If it is not what was once written, or if its record beside it is not.
    ArtefactError
        As `read`.
    """
    path = Path(path)
    if wrong := misplaced(sidecar(path)):
        raise wrong
    if path.suffix == ".csv":
        _exported(path, WRITER)
        return {}
    arrays, record = _whole(path, WRITER)
    if beside and not _origin_of(path, record["sha256"]):
        raise DamagedError(sidecar(path), "is missing, damaged, or of another file", WRITER)
    return arrays


def _whole(path: Path, made_by: str, may_be_renamed: bool = False) -> tuple[dict, dict]:
    """Return the arrays and the record of an artefact; the errors are those of `load_arrays`."""
    content = read(path, made_by)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            comment, arrays = file.zip.comment, {name: file[name] for name in file.files}
        record = _parsed(comment) if comment else _record_of_old_form(path, content)
    except Exception as error:  # zipfile and numpy raise many kinds
        why = " ".join(str(error).split()).partition(". ")[0]  # numpy's next sentence tells how to run what is pickled
        wrong = f"is truncated, was changed after it was written, or is not an .npz of plain arrays ({why})"
        raise DamagedError(path, wrong, made_by) from error
    if record is None:
        wrong = f"has no record of where it comes from, neither inside nor in {sidecar(path).name}"
        raise DamagedError(path, wrong, made_by)
    _check_name(path, record, made_by, may_be_renamed)
    if comment and record["sha256"] != _checksum(record, arrays):
        raise DamagedError(path, "was changed after it was written (its SHA-256 is not the recorded one)", made_by)
    return arrays, record


def _check_name(path: Path, record: dict, made_by: str, may_be_renamed: bool = False) -> None:
    """Raise a DamagedError if a file lies under the name of another."""
    if record.get("name", path.name) != path.name and not may_be_renamed:
        raise DamagedError(path, f"is {record['name']} under another name", made_by)
    named = FINGERPRINT.fullmatch(path.name)
    if named and not path.name.startswith(STATE) and named[1] not in _fingerprints(record["inputs"]):
        wrong = f"is another result under this name, which ends in {named[1]} and not in its own fingerprint"
        raise DamagedError(path, wrong, made_by)


def save_table(path, table: pd.DataFrame, inputs: dict) -> None:
    """Save a table that notebooks pass on, as the artefact `path` (an ``.npz``, with its suffix).

    Its only array is "table", uint8: the text of the table as csv, without an index, floats in full precision.
    """
    save_arrays(path, {TABLE: np.frombuffer(_csv(table), np.uint8)}, inputs)


def load_table(path, expect: dict, made_by: str) -> pd.DataFrame:
    """Load what `save_table` saved; the arguments and errors are those of `load_arrays`.

    The table is what ``pandas.read_csv`` makes of the text, but for words such as NA and None, which stay words.
    """
    arrays = load_arrays(path, expect, made_by)
    if arrays.keys() != {TABLE}:
        raise DamagedError(path, "holds arrays, where a table was expected", made_by)
    return _of_csv(arrays[TABLE].tobytes())


def export_table(path, table: pd.DataFrame, inputs: dict, **more) -> None:
    """Keep a table of the report as the ``.csv`` `path`, with its inputs, SHA-256, provenance and code beside it.

    `more`, what JSON can hold, goes into the record beside these; so do, as "texts", columns of text that would be read
    as numbers of another look, such as 7 for "007".

    It is for readers: notebooks pass on what `save_table` saves.
    """
    content = _csv(table)
    if texts := _taken_for_numbers(table, _of_csv(content)):
        more["texts"] = texts
    beside = _beside(Path(path), inputs, hashlib.sha256(content).hexdigest(), None, **more)
    _write_all((sidecar(path), beside), (Path(path), content))


def read_exported(path, made_by: str = WRITER) -> tuple[pd.DataFrame, dict]:
    """Return a table that `export_table` kept, and its record: "inputs", "sha256", "provenance", "code".

    Raises
    ------
    ArtefactError
        If the table is missing or unreadable; the subclass DamagedError, if its record is missing or damaged, or is not
        of this table.
    """
    content, record = _exported(Path(path), made_by)
    texts = [name for name, form in record.get("forms", {}).items() if form["form"] is None]
    return _of_csv(content, dict.fromkeys(texts + record.get("texts", []), str)), record


def _exported(path: Path, made_by: str) -> tuple[bytes, dict]:
    """Return the text and the record of a table that `export_table` kept; the errors are those of `read_exported`."""
    content, record = read(path, made_by), _record_beside(path)
    if record is None:
        wrong = f"has no record of where it comes from ({sidecar(path).name} is missing or damaged)"
        raise DamagedError(path, wrong, made_by)
    if record["sha256"] != hashlib.sha256(content).hexdigest():
        wrong = f"was changed after it was written, or its save was cut short ({sidecar(path).name} is of another text)"
        raise DamagedError(path, wrong, made_by)
    _check_name(path, record, made_by)
    return content, record


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
    for file in (path, sidecar(path), unfinished):  # before anything is computed that could then not be saved
        if wrong := misplaced(file):
            raise wrong
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
    if not os.path.exists(path):  # a link that leads nowhere is replaced by what is computed
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


def read_record(path, made_by: str = WRITER) -> dict:
    """Return the "inputs" and the "sha256" of an artefact, and its "provenance" and "code" if these are on record.

    Its arrays are neither read nor checked.

    Raises
    ------
    ArtefactError
        If the artefact is missing or unreadable; the subclass DamagedError, if it has no record or that of another.
    """
    path = Path(path)
    record = _record_alone(path, made_by)
    _check_name(path, record, made_by)
    return record | _origin_of(path, record["sha256"])


def inputs_of(path) -> dict:
    """Return what the artefact `path` was made from; nothing if there is no such artefact, or none that can be read."""
    try:
        return _record_alone(Path(path), WRITER)["inputs"]
    except ArtefactError:
        return {}


# ---------------------------------------------------------------- the record and what lies beside it


def _packed(path, arrays: dict, record: dict) -> tuple[bytes, str]:
    """Return the archive of arrays with its record as comment, and the SHA-256 of both."""
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    record = json.loads(json.dumps(record)) | {"name": Path(path).name}
    record["sha256"] = _checksum(record, arrays)
    comment = json.dumps(record, sort_keys=True).encode()
    if len(comment) > zipfile.ZIP_MAX_COMMENT:
        raise ValueError(
            f"the inputs of {shown(path)} take {len(comment):,} bytes: expected at most {zipfile.ZIP_MAX_COMMENT:,}: "
            "name a checksum in place of what is long"
        )
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = comment
    return buffer.getvalue(), record["sha256"]


def _checksum(record: dict, arrays: dict[str, np.ndarray]) -> str:
    """Return the SHA-256 of a record, less its own "sha256", and of arrays with their names, dtypes and shapes."""
    rest = {name: value for name, value in record.items() if name != "sha256"}
    state = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(
                f"{name} is an array of objects: expected numbers or text, which can run no code when read"
            )
        state.update(f"{name} {np.lib.format.dtype_to_descr(array.dtype)} {array.shape}".encode())
        state.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return state.hexdigest()


def _parsed(comment: bytes) -> dict:
    record = json.loads(comment)
    if not _is_record(record) or "name" not in record:
        raise ValueError("its record is damaged")
    return record


def _is_record(record) -> bool:
    return isinstance(record, dict) and isinstance(record.get("inputs"), dict) and isinstance(record.get("sha256"), str)


def _record_alone(path: Path, made_by: str) -> dict:
    """Return the record of an artefact of which nothing else is read, whatever its name is."""
    try:
        with zipfile.ZipFile(io.BytesIO(read(path, made_by))) as archive:
            record = _parsed(archive.comment) if archive.comment else _record_of_old_form(path, None)
    except ArtefactError:
        raise
    except Exception as error:
        raise DamagedError(path, f"is truncated or was changed after it was written ({error})", made_by) from error
    if record is None:
        raise DamagedError(path, "has no record of where it comes from", made_by)
    return record


def _record_of_old_form(path: Path, content: bytes | None) -> dict | None:
    """Return the record of an artefact of the old form, whose record is the ``.json`` beside it; None if it has none.

    Such artefacts were made before 2026-12, and this function is all that knows of them: remove it with the last one.
    `content` is checked against the SHA-256, unless it is None.
    """
    record = _json_of(sidecar(path))
    both = [record, record.get("replaces")] if isinstance(record, dict) else []  # the second after a save cut short
    records: list[dict] = [one for one in both if isinstance(one, dict) and _is_record(one)]
    if content is None or not records:
        return records[0] if records else None
    found = hashlib.sha256(content).hexdigest()
    fitting = [one for one in records if one["sha256"] == found]
    if not fitting:
        raise ValueError(f"its SHA-256 is not the one in {sidecar(path).name}")
    return fitting[0]


def _beside(path: Path, inputs: dict, sha256: str, seconds: float | None, **more) -> bytes:
    """Return the ``.json`` that lies beside what is saved now.

    "record_sha256" is the SHA-256 of all the rest, as `_seal` has it.
    """
    record = {
        "name": path.name,
        "inputs": inputs,
        **more,
        "sha256": sha256,
        "provenance": provenance.of_this_process(seconds),
    } | origin.of_what_is_saved()
    return (json.dumps(record | {"record_sha256": _seal(record)}, indent=1) + "\n").encode()


def _seal(record: dict) -> str:
    """Return the SHA-256 of a record less its own "record_sha256"."""
    rest = {name: value for name, value in json.loads(json.dumps(record)).items() if name != "record_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _record_beside(path: Path) -> dict | None:
    """Return the record in the ``.json`` beside a file; None if it is missing or damaged.

    Records made before 2026-12 have neither "name" nor "record_sha256".
    """
    found = _json_of(sidecar(path))
    if not _is_record(found) or not isinstance(found.get("provenance"), dict):
        return None
    sealed = found.keys() & {"name", "record_sha256"}
    return None if sealed and found.get("record_sha256") != _seal(found) else found


def _origin_of(path: Path, sha256: str) -> dict:
    """Return what the ``.json`` beside an artefact says of where it comes from; nothing unless it is of this save."""
    found = _record_beside(path)
    if found is None or found["sha256"] != sha256:
        return {}
    return {name: found[name] for name in ("provenance", "code", "other_code", "other_devices") if name in found}


def _json_of(path: Path):
    """Return what a JSON file holds; None if it is missing or damaged."""
    try:
        return json.loads(read(path))
    except (ArtefactError, ValueError, RecursionError):
        return None


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def _of_csv(content: bytes, dtypes: dict | None = None) -> pd.DataFrame:
    """Return the table of a csv. Only an empty cell is nothing: "NA", "None" and "nan" are somebody's names."""
    if not content.strip():
        return pd.DataFrame()  # as it was written: without columns
    return pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=[""], dtype=dtypes)


def _taken_for_numbers(table: pd.DataFrame, read: pd.DataFrame) -> list[str]:
    """Return the columns of text of a table that do not look the same when they were read."""
    texts = [name for name in table if all(isinstance(one, str) for one in table[name].dropna())]
    return [name for name in texts if list(table[name].dropna()) != list(map(str, read[name].dropna()))]


def _check(path: Path, inputs: dict, expect: dict, made_by: str) -> None:
    """Raise an ArtefactError unless every input that a reader relies on is the recorded one."""
    for name, wanted in expect.items():
        found = inputs.get(name)
        if found != json.loads(json.dumps(wanted)):
            raise ArtefactError(
                f"{shown(path)} was made with {name} = {found!r}, but {name} = "
                f"{wanted!r} is asked for: re-run {made_by} with {name} = "
                f"{wanted!r}, or ask for {found!r}"
            )


def digest(*arrays) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of arrays or tensors, shapes included."""
    state = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        state.update(f"{array.dtype} {array.shape}".encode())
        state.update(array.data)
    return state.hexdigest()[:16]
