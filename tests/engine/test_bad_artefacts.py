"""Folders that cannot be written and files that are damaged, forged or of other inputs are refused."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bad_input import INPUTS, NOTEBOOK, contents, never
from dcpriv_lib.engine import paths, store
from support import Bomb


@pytest.mark.parametrize("below", ["", "deeper"])
def test_unwritable_results_folder_is_refused(below, refused, tmp_path, monkeypatch):
    (tmp_path / "quick").write_text("a file, where a folder is needed")
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path / "quick" / below if below else tmp_path))
    with refused(PermissionError, f"write to the results folder {tmp_path}/quick", "set DCPRIV_RESULTS"):
        paths.results("quick")


def save(path: Path):
    """Save an artefact and return its reader."""
    if path.name == "targets.npz":
        store.save_table(path, pd.DataFrame({"run": range(50)}), INPUTS)
        return store.load_table
    store.save_arrays(path, {"members": np.arange(50)}, INPUTS)
    return store.load_arrays


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def with_record(change):
    """Return what replaces the record inside an artefact by `change` of it, a text."""

    def spoil(path: Path) -> None:
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = change(archive.comment.decode()).encode("latin-1")

    return spoil


ARTEFACT_DAMAGE = {  # name: (what happens to the file, words of the message)
    "missing": (Path.unlink, ["does not exist yet", f"run {NOTEBOOK} first"]),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-9]), ["truncated", f"re-run {NOTEBOOK}"]),
    "one byte changed": (flip, ["was changed after it was written", f"re-run {NOTEBOOK}, which replaces it"]),
    "without record": (with_record(lambda _: ""), ["changed after it was written", "re-run", "which replaces it"]),
    "without record or what lies beside it": (
        lambda path: (with_record(lambda _: "")(path), store.sidecar(path).unlink()),
        ["no record", "neither inside nor in", ".npz.json", f"re-run {NOTEBOOK}, which replaces it"],
    ),
    "record not JSON": (with_record(lambda _: "\xff{"), ["was changed after it was written"]),
    "record without inputs": (with_record(lambda _: '{"sha256": ""}'), ["its record is damaged"]),
    "record with odd inputs": (with_record(lambda _: '{"sha256": "", "inputs": 3}'), ["its record is damaged"]),
    "record of other inputs": (with_record(lambda text: text.replace('"quick"', '"digits"')), ["SHA-256 is not the"]),
    "another artefact": (
        lambda path: save(path.with_name("shadows.npz")) and path.with_name("shadows.npz").rename(path),
        ["is shadows.npz under another name", f"re-run {NOTEBOOK}"],
    ),
}


@pytest.mark.parametrize("name", ["split.npz", "targets.npz"])
@pytest.mark.parametrize("damage", ARTEFACT_DAMAGE)
def test_damaged_artefact_names_the_file_and_its_notebook(name, damage, refused, tmp_path):
    load = save(tmp_path / name)
    change, words = ARTEFACT_DAMAGE[damage]
    change(tmp_path / name)
    with refused(store.ArtefactError, str(tmp_path / name), *words):
        load(tmp_path / name, INPUTS, NOTEBOOK)


@pytest.mark.parametrize("name", ["split.npz", "targets.npz"])
@pytest.mark.parametrize(("key", "wanted"), [("seed", 1), ("profile", "paper")])
def test_artefact_of_other_inputs_says_which(name, key, wanted, refused, tmp_path):
    load = save(tmp_path / name)
    with refused(
        store.ArtefactError,
        str(tmp_path / name),
        f"was made with {key} = {INPUTS[key]!r}",
        f"{key} = {wanted!r} is asked for",
        f"re-run {NOTEBOOK} with {key} = {wanted!r}",
    ):
        load(tmp_path / name, INPUTS | {key: wanted}, NOTEBOOK)


@pytest.mark.parametrize("form", ["old", "new"])
@pytest.mark.parametrize("kind", ["objects", "text"])
def test_artefact_forged_with_a_matching_hash_is_never_unpickled(kind, form, refused, tmp_path):
    path, marker = tmp_path / "split.npz", tmp_path / "marker"
    save(path)
    with zipfile.ZipFile(path) as archive:
        record = archive.comment
    if kind == "text":
        path.write_text("not an archive")
    else:
        np.savez(path, members=np.array([Bomb(marker)], dtype=object))
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = record if form == "new" else b""
    beside = {"inputs": INPUTS, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    store.sidecar(path).write_text(json.dumps(beside))
    with refused(store.DamagedError, str(path), "not an .npz of plain arrays", f"re-run {NOTEBOOK}"):
        store.load_arrays(path, INPUTS, NOTEBOOK)
    assert not marker.exists()


def test_objects_and_inputs_that_no_record_can_hold_are_refused_before_anything_is_written(refused, tmp_path):
    with refused(ValueError, "members is an array of objects", "expected numbers or text"):
        store.save_arrays(tmp_path / "a.npz", {"members": np.array([None])}, INPUTS)
    with refused(ValueError, "the inputs of", "a.npz take", "expected at most 65,535", "name a checksum"):
        store.save_arrays(tmp_path / "a.npz", {"members": np.arange(3)}, INPUTS | {"arguments": [0] * 30_000})


EXPORTED_DAMAGE = {
    "missing": (Path.unlink, ["does not exist yet", f"run {NOTEBOOK} first"]),
    "one byte changed": (flip, ["was changed after it was written", f"re-run {NOTEBOOK}, which replaces it"]),
    "without record": (
        lambda path: store.sidecar(path).unlink(),
        ["no record", "claims.csv.json is missing or damaged"],
    ),
    "record not JSON": (lambda path: store.sidecar(path).write_bytes(b"\xff{"), ["missing or damaged"]),
    "record without provenance": (
        lambda path: store.sidecar(path).write_text('{"sha256": "", "inputs": {}}'),
        ["missing or damaged"],
    ),
}


@pytest.mark.parametrize("damage", EXPORTED_DAMAGE)
def test_damaged_table_of_the_report_names_the_file_and_its_notebook(damage, refused, tmp_path):
    path = tmp_path / "claims.csv"
    store.export_table(path, pd.DataFrame({"run": range(50)}), INPUTS)
    change, words = EXPORTED_DAMAGE[damage]
    change(path)
    with refused(store.ArtefactError, str(path), *words):
        store.read_exported(path, NOTEBOOK)


def test_unreadable_artefact_is_called_unreadable_and_not_made_again(refused, tmp_path):
    path = store.cached_path(tmp_path / "a", INPUTS)
    save(path)
    path.unlink()
    path.symlink_to("/proc/self/mem")
    for load in (
        lambda: store.load_arrays(path, INPUTS, NOTEBOOK),
        lambda: store.cached(tmp_path / "a", INPUTS, never),
    ):
        with refused(store.ArtefactError, str(path), "cannot be read (Input/output error)", "correct"):
            load()


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), KeyboardInterrupt("broken")])
def test_interrupted_write_keeps_the_old_file_and_leaves_no_other(error, refused, tmp_path, monkeypatch):
    def fail(*_):
        raise error

    path = tmp_path / "split.npz"
    save(path)
    monkeypatch.setattr(os, "replace", fail)
    for write in (lambda: store.write(path, b"new"), lambda: save(path)):
        with refused(type(error), "broken"):
            write()


@pytest.mark.parametrize("files_that_fit", [0, 1])
def test_full_disk_names_the_file_and_leaves_the_old_one(files_that_fit, refused, tmp_path, monkeypatch):
    load, calls = save(tmp_path / "split.npz"), []

    def fail_when_full(_):
        calls.append(1)
        if len(calls) > files_that_fit:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail_when_full)
    with refused(OSError, f"cannot write {tmp_path}/split.npz", "No space left on device", "make room"):
        store.save_arrays(tmp_path / "split.npz", {"members": np.arange(60)}, INPUTS | {"seed": 1})
    with refused(OSError, f"cannot write {tmp_path}/new.svg", "No space left on device"):
        store.write(tmp_path / "new.svg", b"new")
    assert len(load(tmp_path / "split.npz", INPUTS, NOTEBOOK)["members"]) == 50


def test_changed_inputs_make_a_second_file_and_keep_the_first(tmp_path):
    def of(seed):
        return store.cached(tmp_path / "a", {"seed": seed}, lambda _: {"x": np.array(seed)})["x"]

    assert of(0) == 0
    before = contents(tmp_path)
    assert of(1) == 1 and len(list(tmp_path.glob("a-*.npz"))) == 2
    assert before.items() <= contents(tmp_path).items()
    assert store.cached(tmp_path / "a", {"seed": 0}, never)["x"] == 0


def test_interrupted_computation_leaves_nothing_in_the_cache(refused, tmp_path):
    def stop(_):
        raise KeyboardInterrupt("stopped")

    with refused(KeyboardInterrupt, "stopped"):
        store.cached(tmp_path / "a", INPUTS, stop)


@pytest.mark.slow
def test_notebook_without_its_input_names_the_notebook_to_run_and_leaves_no_artefact(tmp_path):
    command = [
        sys.executable,
        "-m",
        "papermill",
        "--no-progress-bar",
        paths.NOTEBOOKS / "02_condensation.ipynb",
        tmp_path / "out.ipynb",
    ]
    done = subprocess.run(
        command,
        env=os.environ | {"DCPRIV_RESULTS": str(tmp_path / "results")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode != 0
    *_, missing, needed, command, committed = done.stderr.strip().splitlines()
    split = tmp_path / "results/quick/split.npz"
    assert missing.startswith(f"MissingError: {split} does not exist yet: run {NOTEBOOK} first")
    assert needed.endswith("needs what these leave, which is not there: 01_data_split.ipynb.")
    assert command.endswith("this makes it: snakemake data_split --cores all --config profile=quick")
    assert "figures/quick" in committed
    assert list(contents(tmp_path)) == [tmp_path / "out.ipynb"]
