"""Whatever is damaged of a run: the same command makes it again, to the same bytes, or says in a line what to do."""

import os
import shutil
from pathlib import Path

import pytest

from dcpriv_lib.engine import store
from support import artefacts_in, engine

pytestmark = pytest.mark.slow


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def one_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def named_pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def dead_link(path):
    path.unlink()
    path.symlink_to("nowhere")


def link_to_itself(path):
    path.unlink()
    path.symlink_to(path.name)


# How the names begin of all that notebooks 1 to 5 store; no others run again.
STORED = {"models": ("curve-", "shadow-", "target-"), "condensed": ("condense-",), "once": ("svm-",)}
KINDS = (truncated, one_bit, empty, zeros, Path.unlink, named_pipe, dead_link, link_to_itself)


def exchange(one, other):
    """Exchange two files together with their records."""
    for a, b in ((one, other), (store.sidecar(one), store.sidecar(other))):
        kept = a.read_bytes()
        a.write_bytes(b.read_bytes()), b.write_bytes(kept)


def everything(folder):
    """What has to be the same again: artefacts, tables, figures and the findings."""
    others = {path: path.read_bytes() for path in [*folder.glob("figures/*.png"), folder / "tables/findings.md"]}
    return artefacts_in(folder) | {str(path.relative_to(folder)): content for path, content in others.items()}


def run_to_the_tables(folder):
    """Run what has to be run of notebooks 1 to 5, which write their pages too."""
    process = engine(folder, targets=[folder / "tiny/notebooks/05_results.ipynb"])
    output, _ = process.communicate()
    return process.returncode, output


@pytest.fixture
def copied(tiny, tmp_path):
    """A copy of the finished run, Snakemake's own files too."""
    shutil.copytree(tiny.parent, tmp_path, dirs_exist_ok=True, copy_function=shutil.copy2)
    return tmp_path


def test_a_run_of_which_files_of_every_kind_are_damaged_ends_in_the_same_bytes(copied):
    folder = copied / "tiny"
    before = everything(folder)
    files = [
        *("attacks.npz", "shadows.npz", "condensed_sets.npz", "notebooks/03_shadow_training.ipynb"),
        *("notebooks/04_attack.ipynb", "notebooks/05_results.sha256", "tables/table1.csv", "tables/table2.csv.json"),
        *("tables/summary.csv", "tables/findings.md", "report/02_condensation.html", "report/index.html"),
        *("split.npz.json", "figures/figure2_shadow_training.png", "figures/attack_accuracy.png", "targets.npz"),
    ]
    damaged = [folder / name for name in files]
    for kind, names in STORED.items():
        stored = sorted(path for path in (folder / kind).glob("*.npz") if path.name.startswith(names))
        assert stored, kind
        if len(stored) > len(KINDS):
            exchange(stored.pop(), stored.pop())
        damaged += stored[: len(KINDS)]
    named_pipe(folder / "notebooks/unfinished-04_attack.ipynb")
    for number, path in enumerate(damaged):
        KINDS[number % len(KINDS)](path)
    metadata = sorted((copied / ".snakemake/metadata").iterdir())
    for change, path in zip((truncated, empty, zeros), metadata):
        change(path)
    code, output = run_to_the_tables(copied)
    assert code == 0, output[-3000:]
    assert everything(folder) == before
    told = {file for file in files if str(folder / file) in output}
    assert told >= {"attacks.npz", "shadows.npz", "targets.npz", "split.npz.json", "notebooks/03_shadow_training.ipynb"}
    assert told >= {"notebooks/05_results.sha256", "report/02_condensation.html", "tables/findings.md"}
    assert all(path.is_file() and path.stat().st_size for path in damaged)
    code, output = run_to_the_tables(copied)
    assert code == 0 and "Nothing to be done" in output and "again" not in output, output


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("tiny/targets.npz", "is a folder, where a file belongs: move it away; it is not deleted here, because"),
        ("tiny/models", "is a file or a dead link, where a folder belongs: move it away; it is not deleted here"),
        (".snakemake", "is a file or a dead link, where a folder belongs: move it away; it is not deleted here"),
    ],
)
def test_what_only_its_owner_may_remove_is_named_in_a_line(place, told, copied):
    path = copied / place
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("")
    else:
        path.unlink()
        path.mkdir()
    code, output = run_to_the_tables(copied)
    lines = output.splitlines()
    assert code == 1 and any(line.startswith(f"{path} {told}") for line in lines), output
    assert len(lines) <= 6 and lines[-1].startswith("What was finished is kept. To go on from there: "), output
