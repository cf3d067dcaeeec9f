"""The report of a run of which something is damaged: the rest is there, and a line says what is not."""

import os

import nbformat
import pandas as pd
import pytest

from dcpriv_lib.engine import checksums, origin, paths, store
from dcpriv_lib.results import committed, findings, kept, report, tables

INPUTS = {"profile": "mine", "dataset": "digits"}
COMMAND = "`snakemake --cores all --config profile=mine` does"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder with an executed notebook 5 and its tables."""
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path))
    monkeypatch.delenv("DCPRIV_AGAIN", raising=False)
    folder = tmp_path / "mine"
    claims = pd.DataFrame({"claim": ["it leaks"], "this run": ["51 %"], "verdict": ["reproduced"]})
    tables.keep(folder / "tables/claims.csv", claims, INPUTS)
    tables.keep(folder / "tables/summary.csv", pd.DataFrame({"a": [1]}), INPUTS)
    notebook = folder / "notebooks/05_results.ipynb"
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Results")])
    store.write(notebook, nbformat.writes(node).encode())
    checksums.write(notebook, [folder / "tables/claims.csv", folder / "tables/summary.csv"])
    return folder


def flip(path):
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def folder_in_its_place(path):
    path.unlink()
    path.mkdir()


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "one bit": flip,
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(100)),
    "JSON": lambda path: path.write_bytes(b"[1]"),
    "pipe": pipe,
    "folder": folder_in_its_place,
}
every_damage = pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)


@every_damage
@pytest.mark.parametrize("listed", [True, False])
def test_a_damaged_notebook_is_left_out_and_named_with_what_makes_it_again(damage, listed, run, capsys):
    notebook = run / "notebooks/05_results.ipynb"
    if not listed:
        checksums.of(notebook).unlink()
    assert report.executed("05_results", notebook.parent).cells[0].source == "# Results"
    assert capsys.readouterr().err == ""
    damage(notebook)
    assert report.executed("05_results", notebook.parent) is None or (damage is flip and not listed)
    said = capsys.readouterr().err
    if damage is not flip or listed:
        assert (
            said.count("\n") == 1 and said.startswith(str(notebook)) and "until then the report leaves it out" in said
        )
        assert "notebooks/05_results.ipynb" in said and (COMMAND in said or "move it away" in said)


@every_damage
@pytest.mark.parametrize("suffix", ["", ".json"])
def test_a_damaged_table_is_left_out_of_the_front_page_and_named(damage, suffix, run, capsys):
    assert [row["answer"] for row in report.verdicts(run / "tables")] == ["reproduced"]
    assert report.run(run / "tables").startswith("Profile mine on digits, run on ")
    damage(run / f"tables/claims.csv{suffix}")
    assert list(report.verdicts(run / "tables")) == []
    assert report.run(run / "tables").startswith("Profile mine on digits, run on "), "the other table tells"
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "claims.csv" in said and (COMMAND in said or "move it away" in said)
    assert "What this run found" not in findings.last_words("mine")


def test_the_pages_of_a_damaged_run_are_written_and_checked_by_their_list(run, capsys):
    pipe(run / "notebooks/05_results.ipynb")
    flip(run / "tables/claims.csv")
    front = report.build("mine")
    assert not (front.parent / "05_results.html").exists() and checksums.damaged(front) == {}
    assert len(capsys.readouterr().err.splitlines()) == 2
    (run / "tables/findings.md").write_bytes(b"\xff")
    assert findings.kept(run / "tables") == [] and list(checksums.damaged(front)) == [run / "tables/findings.md"]


def test_a_damaged_run_is_not_copied_to_the_committed_tables(run, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(committed, "uncommitted", lambda _: "")
    committed.copy("mine")
    assert (tmp_path / "figures/mine/claims.csv").exists()
    pipe(run / "tables/claims.csv")
    with pytest.raises(
        committed.RefusedError, match=r"figures/mine stays as it is: claims.csv is a named pipe.*`snakem"
    ):
        committed.copy("mine")
    assert (tmp_path / "figures/mine/claims.csv").is_file()


def test_a_damaged_committed_table_is_named_with_what_brings_it_back(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "FIGURES", tmp_path)
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick/claims.csv").write_text("a\n1\n")
    with pytest.raises(store.DamagedError, match=r"claims.csv has no record.*`git restore .*quick/claims.csv` does"):
        kept.committed("quick", "claims")


def test_a_record_that_is_none_is_of_unknown_code(tmp_path):
    for content in (b"", b"\xff", b"{"):
        (tmp_path / "a.csv.json").write_bytes(content)
        assert committed.uncommitted(tmp_path / "a.csv.json") == origin.UNKNOWN
