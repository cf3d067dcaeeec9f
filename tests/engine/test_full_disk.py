"""On a full disk every place that writes says in a sentence where to make room, spoils nothing, and goes on later."""

import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from nbformat.v4 import new_code_cell, new_notebook

from dcpriv_lib.engine import checksums, paths, run_notebook, store
from dcpriv_lib.engine.checkpoint import Checkpoint
from dcpriv_lib.engine.cluster import __main__ as cluster
from dcpriv_lib.results import committed, plots, tables
from support import engine

INPUTS = {"seed": 0}
SIZE = 400_000  # bytes of what is written
LARGE = np.random.default_rng(0).integers(0, 256, SIZE, dtype=np.uint8)
KERNEL = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}


class SmallDisk:
    """A file system of its own, of three megabytes."""

    def __init__(self, folder: Path):
        self.folder, self.filler = folder, folder / "filler"

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes and no more."""
        self.make_room()
        free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
        self.filler.write_bytes(bytes(max(free - leave, 0)))

    def make_room(self) -> None:
        self.filler.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", place], capture_output=True).returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield SmallDisk(place)
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def arrays(folder: Path, made: int) -> None:
    store.save_arrays(folder / "split.npz", {"members": LARGE + np.uint8(made)}, INPUTS)


def state(folder: Path, made: int) -> None:
    with Checkpoint(folder / "state-x.npz", INPUTS, keep_last=True) as saved:
        saved.keep({"images": LARGE + np.uint8(made)})


def state_of_one_that_is_stopped(folder: Path, made: int) -> None:
    with contextlib.suppress(KeyboardInterrupt), Checkpoint(folder / "state-x.npz", INPUTS) as saved:
        saved.keep({"images": LARGE + np.uint8(made)})
        raise KeyboardInterrupt


def table(folder: Path, made: int) -> None:
    tables.keep(folder / "tables/claims.csv", pd.DataFrame({"a": [str(made) + "x" * SIZE]}), INPUTS | {"profile": "p"})


def figure(folder: Path, made: int) -> None:
    drawn, axes = pyplot.subplots(figsize=(4, 4))
    axes.imshow(np.random.default_rng(made).random((300, 300)))
    plots.save(drawn, folder, "figure4")
    pyplot.close(drawn)


def figures_that_are_committed(folder: Path, made: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "FIGURES", folder / "figures")
        patch.setenv("DCPRIV_RESULTS", str(folder.with_name(f"results-{made}")))
        run = paths.all_results() / "tiny"
        for name in ("a", "b"):
            store.write(run / f"figures/{name}.png", bytes([made + 1]) * SIZE)
        (run / "tables").mkdir(exist_ok=True)
        committed.copy("tiny")


WRITERS = [arrays, state, state_of_one_that_is_stopped, table, figure, figures_that_are_committed]


def contents(folder: Path) -> dict[str, bytes]:
    """What files of results hold. Where something comes from differs from run to run."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".json" and path.name != "filler"
    }


@pytest.mark.parametrize("leave", [0, SIZE // 4])
@pytest.mark.parametrize("write", WRITERS, ids=lambda one: one.__name__)
def test_what_was_there_stays_and_the_same_call_goes_on_once_there_is_room(write, leave, disk):
    write(disk.folder, 0)
    before = contents(disk.folder)
    disk.fill(leave)
    with pytest.raises(OSError, match=f"cannot write {disk.folder}.*No space left.*make room") as caught:
        write(disk.folder, 1)
    assert len(str(caught.value).splitlines()) == 1
    assert contents(disk.folder) == before, "the old files, and no half of a new one"
    disk.make_room()
    write(disk.folder, 1)
    assert contents(disk.folder).keys() == before.keys() and contents(disk.folder) != before


@pytest.mark.parametrize("write", WRITERS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("number", paths.FULL, ids=errno.errorcode.get)
def test_the_same_without_a_disk_of_its_own(number, write, tmp_path, monkeypatch):
    """Every write of a temporary file fails; a quota that is used up is a full disk too."""
    folder = tmp_path / "here"
    write(folder, 0)
    before = contents(folder)

    def fail(_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match=f"cannot write .*{os.strerror(number)}.*make room"):
            write(folder, 1)
    assert contents(folder) == before
    write(folder, 1)
    assert contents(folder) != before


def test_the_folder_of_results_is_refused_before_anything_is_computed(disk, monkeypatch):
    monkeypatch.setenv("DCPRIV_RESULTS", str(disk.folder))
    disk.fill(paths.ROOM // 2)
    with pytest.raises(OSError, match=f"results folder {disk.folder}/tiny .No space left on device.: make room there"):
        paths.results("tiny")
    disk.make_room()
    assert paths.results("tiny") == disk.folder / "tiny" and not list((disk.folder / "tiny").iterdir())


def test_of_several_folders_the_full_one_is_named(disk, tmp_path):
    full = f"[Errno 28] {os.strerror(errno.ENOSPC)}"
    disk.fill()
    assert paths.with_what_to_do(full, disk.folder, tmp_path).endswith(
        f"make room in {disk.folder}, then run the same again"
    )
    disk.make_room()
    assert f"make room in {disk.folder} and in {tmp_path}, then" in paths.with_what_to_do(full, disk.folder, tmp_path)
    for other in ("a formula has no place here", f"{full}: make room there"):
        assert paths.with_what_to_do(other, disk.folder) == other


def small_notebook(folder: Path, code: str) -> Path:
    nbformat.write(new_notebook(cells=[new_code_cell(code)], metadata=KERNEL), folder / "01_test.ipynb")
    return folder / "01_test.ipynb"


@pytest.mark.parametrize(
    ("code", "leave"),
    [
        ("import base64, os\nbase64.b64encode(os.urandom(300_000)).decode()", 100_000),  # what it shows
        ("open('{disk}/mine', 'wb').write(bytes(300_000))", 100_000),  # what it writes past the library
        ("1", 0),
    ],
)
def test_an_executed_notebook(code, leave, disk, tmp_path):
    notebook, output = small_notebook(tmp_path, code.format(disk=disk.folder)), disk.folder / "notebooks/01_test.ipynb"
    output.parent.mkdir()
    disk.fill(leave)
    with pytest.raises(Exception, match="No space left") as caught:
        run_notebook.run(notebook, output, {})
    said = run_notebook.failure(notebook, output, caught.value)
    assert f"make room in {output.parent}, then run the same again" in said
    assert len(said.splitlines()) <= 4 and not output.exists()
    disk.make_room()
    run_notebook.run(notebook, output, {})
    assert checksums.damaged(output) == {}


def test_a_list_of_checksums_that_was_cut_off_is_damage_that_is_noticed(disk):
    output = disk.folder / "01_test.ipynb"
    output.write_text("executed")
    checksums.write(output, [])
    assert checksums.damaged(output) == {}
    whole = checksums.of(output).read_bytes()
    for length in range(len(whole)):
        checksums.of(output).write_bytes(whole[:length])
        assert checksums.of(output) in checksums.damaged(output)


@pytest.mark.parametrize("role", ["scheduler", pytest.param("worker", marks=pytest.mark.slow)])
def test_a_cluster_does_not_begin_and_leaves_no_folder(role, disk):
    (disk.folder / "tiny").mkdir()
    disk.fill()
    done = subprocess.run(
        [sys.executable, "-m", cluster.__package__, role, "tiny"],
        env=os.environ | {"DCPRIV_RESULTS": str(disk.folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{disk.folder}/tiny (No space left on device): make room there" in done.stderr
    assert not (disk.folder / "tiny/cluster").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["limits tiny", "external.early tiny", "results.report tiny", "results.findings tiny"])
def test_commands_of_the_engine(name, disk):
    disk.fill()
    command, *arguments = name.split()
    done = subprocess.run(
        [sys.executable, "-m", f"dcpriv_lib.{command}", *arguments],
        env=os.environ | {"DCPRIV_RESULTS": str(disk.folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
    assert f"{disk.folder}/tiny (No space left on device): make room there" in done.stderr


@pytest.mark.slow
def test_the_engine_begins_nothing_and_says_so_in_few_lines(disk):
    disk.fill()
    for folders in ({}, {"state": disk.folder / "state"}):
        process = engine(disk.folder, targets=["data_split"])
        said, _ = process.communicate()
        assert process.returncode == 1 and "No space left on device): make room there" in said, folders
        assert "Traceback" not in said and "Logging error" not in said and len(said.splitlines()) <= 5


@pytest.mark.slow
def test_a_run_that_filled_the_disk_goes_on_to_the_same_bytes(disk, tmp_path):
    """There is room to begin, and none for what notebook 1 leaves."""
    disk.fill(paths.ROOM + 60_000)
    said, _ = (process := engine(disk.folder, targets=["data_split"])).communicate()
    assert process.returncode == 1 and "make room" in said and "To go on from there: snakemake" in said
    assert "Traceback" not in said and "Logging error" not in said and len(said.splitlines()) <= 12, said
    disk.make_room()
    for folder in (disk.folder, tmp_path / "other"):
        assert (process := engine(folder, targets=["data_split"])).communicate() and process.returncode == 0
    assert (disk.folder / "tiny/split.npz").read_bytes() == (tmp_path / "other/tiny/split.npz").read_bytes()
