"""Whatever lies in the place of what a run left: who reads it makes it again, or says in a line which file it is."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from dcpriv_lib import jobs
from dcpriv_lib.engine import checkpoint, checksums, store
from dcpriv_lib.results import findings, tables
from dcpriv_lib.study import Study

TABLE = pd.DataFrame({"claim": ["a", "b"], "auc": [tables.percent(0.5, 0.4, 0.6), tables.percent(0.7, 0.6, 0.8)]})
STATE = {"seed": 0}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run: split, a model, a computed number, tables, a figure, a state, a notebook; and how each is read."""
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCPRIV_RESULTS", str(results))
        study = Study.divide("mine", "digits", 0, "standard")
        folder, notebook = study.folder, study.folder / "notebooks/05_results.ipynb"
        checksums.begin(notebook)
        wanted = jobs.each({("original", 0): study.members[:40], ("subset", 0): study.members[:20]}, jobs.Training(1))
        kept = study.models("target", wanted)
        study.results.save("targets", kept)
        study.results.save("condensed_sets", {"images": np.arange(9.0)})
        study.computed_once("mean", _double, 4)
        study.table(TABLE, "claims", "a note")
        study.table(TABLE.iloc[::-1], "summary")
        store.write(folder / "figures/a.png", b"a picture")
        checksums.add(folder / "figures/a.png")
        store.save_state(folder / "models/state-x.npz", {"epoch": np.array(3)}, STATE)
        notebook.parent.mkdir(exist_ok=True)
        cells = [nbformat.v4.new_markdown_cell("# Results"), nbformat.v4.new_code_cell("1 + 1")]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "unfinished.ipynb")
        checksums.end(notebook, folder / "unfinished.ipynb")
        os.replace(folder / "unfinished.ipynb", notebook)
        patch.delenv(checksums.LIST)
        store.write(folder / "tables/findings.md", b"1. A sentence.\n")
        yield folder, study, wanted


def _double(number):
    return {"twice": np.array(2 * number)}


def plain(value):
    """What was read, in a form in which it can be compared."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def readers(folder, study, wanted):
    """Return file to how it is read, a function without arguments."""
    models = sorted((folder / "models").glob("target-*.npz"))
    made = {path.name: path for path in models}
    return {
        "split.npz": lambda: plain(Study("mine", "digits", 0).split.indices),
        f"models/{min(made)}": lambda: plain(study.models("target", wanted).logits),
        f"models/{max(made)}": lambda: plain(study.results.load_models("targets").logits),
        f"models/{min(made)}.json": lambda: store.read_record(folder / "models" / min(made)).get("provenance"),
        "models/state-x.npz": lambda: plain(checkpoint.Checkpoint(folder / "models/state-x.npz", STATE).load()),
        "targets.npz": lambda: study.results.load_table("targets").to_dict(),
        "condensed_sets.npz": lambda: plain(study.results.load_arrays("condensed_sets")),
        f"once/{next((folder / 'once').glob('*.npz')).name}": lambda: plain(study.computed_once("mean", _double, 4)),
        "tables/claims.csv": lambda: tables.words(tables.read(folder / "tables/claims.csv")).to_dict(),
        "tables/claims.csv.json": lambda: store.read_exported(folder / "tables/claims.csv")[1],
        "tables/findings.md": lambda: findings.kept(folder / "tables"),
        "figures/a.png": lambda: checksums.damaged(folder / "notebooks/05_results.ipynb"),
        "notebooks/05_results.ipynb": lambda: checksums.executed(folder / "notebooks/05_results.ipynb"),
        "notebooks/05_results.sha256": lambda: checksums.executed(folder / "notebooks/05_results.ipynb"),
    }


HEAL = ("models/", "once/")  # what is computed again; of a state, the work begins afresh
UNSEALED = ("tables/findings.md",)  # whose changes only the list beside the front page tells
OTHERS = {"tables/claims.csv": "tables/summary.csv", "split.npz": "condensed_sets.npz", "targets.npz": "split.npz"}


def _swap(path: Path) -> None:
    """Exchange a file, together with its record, with another of its kind."""
    folder = path.parents[1] if path.parent.name in ("models", "tables", "once") else path.parent
    known = str(path.relative_to(folder))
    of = path.with_name(path.name.removesuffix(".json"))
    same = [one for one in sorted(of.parent.glob(f"*{of.suffix}")) if one != of and not one.name.startswith("state")]
    other = folder / OTHERS[known] if known in OTHERS else next(iter(same), None)
    if other is None:
        return
    for one, two in ((of, other), (store.sidecar(of), store.sidecar(other))):
        if one.exists() and two.exists():
            one.rename(one.with_name("aside"))
            two.rename(one)
            one.with_name("aside").rename(two)


def _flip(path: Path, bit: int | None = None) -> None:
    content = bytearray(path.read_bytes())
    bit = len(content) * 4 if bit is None else bit % (8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def _replace(path: Path, make) -> None:
    path.unlink()
    make(path)


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "one bit": _flip,
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "JSON": lambda path: path.write_bytes(b"[]"),
    "swapped": _swap,
    "gone": Path.unlink,
    "folder": lambda path: _replace(path, Path.mkdir),
    "named pipe": lambda path: _replace(path, os.mkfifo),
    "device": lambda path: _replace(path, lambda place: place.symlink_to("/dev/zero")),
    "dead link": lambda path: _replace(path, lambda place: place.symlink_to("nowhere")),
    "link to itself": lambda path: _replace(path, lambda place: place.symlink_to(place.name)),
    "unreadable": lambda path: _replace(path, lambda place: place.symlink_to("/proc/self/mem")),
}


@contextlib.contextmanager
def no_waiting(seconds=30):
    def fail(*_):
        pytest.fail("waits for ever")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def restored(folder):
    """Bring a folder back to what it was."""
    aside = folder.with_name("aside")
    shutil.copytree(folder, aside)
    try:
        yield
    finally:
        shutil.rmtree(folder)
        aside.rename(folder)


def check(file, read, damage):
    """Damage a file; who reads it has what was there, or says in one line which file it is."""
    right = read()
    damage()
    with no_waiting():
        try:
            found = read()
        except store.ArtefactError as error:
            message = str(error)
            # a list of checksums that was changed speaks of the notebook that it is of
            assert Path(file).name.removesuffix(".json").removesuffix(".sha256") in message, message
            assert "\n" not in message, message
            return message
    if file.startswith("figures"):
        assert not found or Path(file).name in {path.name for path in found}
    elif found is None:
        assert "state" in file or file.endswith(".json"), "a state, or a provenance that nobody knows any more"
    elif file not in UNSEALED:
        assert found == right, "a wrong value in silence"
    return ""


FILES = (
    "split.npz", "models/first", "models/last", "models/first.json", "models/state-x.npz", "targets.npz",
    "condensed_sets.npz", "once/", "tables/claims.csv", "tables/claims.csv.json", "tables/findings.md", "figures/a.png",
    "notebooks/05_results.ipynb", "notebooks/05_results.sha256",
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("number", range(len(FILES)), ids=FILES)
def test_a_damaged_file_is_made_again_or_named_in_a_line(number, damage, run):
    folder = run[0]
    with restored(folder):
        file, read = list(readers(*run).items())[number]
        message = check(file, read, lambda: DAMAGE[damage](folder / file))
        if damage in ("folder", "unreadable") and message:
            assert "it is not deleted here, because" in message or "no record" in message
        elif message and damage != "gone" and "sha256" not in file:
            assert "re-run" in message and "snakemake --cores all --config profile=mine" in message, message
        heals = file.startswith(HEAL) and file.endswith(".npz") and number != FILES.index("models/last")
        assert not (heals and message) or damage in ("folder", "unreadable")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.sampled_from([0, 1, 5, 8, 9, 12, 13]), place=st.integers(0, 10**7), cut=st.booleans())
def test_no_bit_and_no_cut_changes_what_is_read_in_silence(number, place, cut, run):
    folder = run[0]
    file, read = list(readers(*run).items())[number]
    kept = (folder / file).read_bytes()

    def damage():
        (folder / file).write_bytes(kept[: place % len(kept)]) if cut else _flip(folder / file, place)

    try:
        check(file, read, damage)
    finally:
        (folder / file).write_bytes(kept)
