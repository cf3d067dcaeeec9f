"""The list of notebooks: it agrees with what they read and leave, and what other settings left is found."""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest

from dcpriv_lib import profiles, stages
from dcpriv_lib.engine import checksums, paths, store
from dcpriv_lib.results import tables

every_stage = pytest.mark.parametrize("stage", stages.STAGES, ids=lambda stage: stage.name)


def test_every_notebook_has_its_place():
    there = {path.stem for path in paths.NOTEBOOKS.glob("[0-9]*.py")}
    assert [stage.name for stage in stages.PAGES] == sorted(there)
    assert len({stage.rule for stage in stages.PAGES} | {"report"}) == len(there) + 1, "the engine's names"


@every_stage
def test_a_notebook_loads_what_its_stage_waits_for_and_saves_what_it_leaves(stage):
    source = (paths.NOTEBOOKS / f"{stage.name}.py").read_text()
    earlier = {name for other in stages.STAGES if other.number < stage.number for name in other.leaves}
    loaded = set(re.findall(r"\b(?:results|kept|study)\.(?:load\w*|record_of|made_with)\(\"(\w+)\"", source))
    loaded &= stages.MADE_BY.keys()
    assert loaded - set(stage.leaves) - {"split"} == set(stage.reads) - {"split"} <= earlier, "it waits for no more"
    saved = set(re.findall(r"study\.results\.save\w*\(\"(\w+)\"", source))
    assert set(stage.leaves) <= (saved | {"split"} if "Study.divide(" in source else saved)


@every_stage
def test_a_table_of_verdicts_is_one_that_its_notebook_makes(stage):
    source = (paths.NOTEBOOKS / f"{stage.name}.py").read_text()
    assert stage.verdict is None or f'"{stage.verdict[0]}"' in source


def test_notebooks_that_condense_as_the_second_did_need_sets_of_its_own():
    profile = profiles.read("tiny")
    assert stages.in_profile(profile) == list(stages.STAGES)
    profile["02_condensation"]["synthetic_sets"] = ["theirs.npz"]
    left_out = [stage.number for stage in stages.STAGES if stage not in stages.in_profile(profile)]
    assert left_out == [7, 11]
    assert stages.made_elsewhere(profile["02_condensation"]) == [paths.REPOSITORY / "theirs.npz"]
    assert stages.made_elsewhere(profile["03_shadow_training"]) == []


@pytest.fixture(scope="module")
def as_left(tmp_path_factory):
    """A folder as notebooks 1, 2 and 5 and the report left it, and its profile."""
    tmp_path, profile = tmp_path_factory.mktemp("results"), profiles.read("tiny")

    def run(stage, *files):
        notebook = tmp_path / "notebooks" / f"{stage}.ipynb"
        store.write(notebook, nbformat.writes(nbformat.v4.new_notebook()).encode())
        checksums.write(notebook, [tmp_path / file for file in files])

    inputs = {stage: {"profile": "tiny", "parameters": chosen} for stage, chosen in profile.items()}
    store.save_arrays(tmp_path / "split.npz", {"members": np.arange(3)}, inputs["01_data_split"])
    run("01_data_split", "split.npz")
    of_model = {"kind": "target"}
    model = store.cached_path(tmp_path / "models/target", of_model)
    store.save_arrays(model, {"logits": np.ones(3)}, of_model)
    store.save_table(tmp_path / "targets.npz", pd.DataFrame({"file": [model.name]}), inputs["02_condensation"])
    store.save_arrays(tmp_path / "condensed_sets.npz", {"images": np.ones(3)}, inputs["02_condensation"])
    store.write(tmp_path / "figures/a.png", b"a picture")
    run("02_condensation", "targets.npz", "condensed_sets.npz", "figures/a.png")
    for name in ("claims", "summary"):
        tables.keep(tmp_path / f"tables/{name}.csv", pd.DataFrame({name: [1]}), inputs["05_results"])
    run("05_results", "tables/claims.csv", "tables/summary.csv")
    for page in ("index", "01_data_split"):
        store.write(tmp_path / f"report/{page}.html", page.encode())
    checksums.write(tmp_path / "report/index.html", [tmp_path / "report/01_data_split.html"])
    return tmp_path, profile


@pytest.fixture
def left(as_left, tmp_path):
    """A copy of it that may be damaged."""
    shutil.copytree(as_left[0], tmp_path, dirs_exist_ok=True)
    return tmp_path, as_left[1]


def remove_damaged(folder, profile):
    """The lines of `stages.remove_damaged`, and what it removed."""
    before = {path for path in folder.rglob("*") if os.path.lexists(path)}
    lines = stages.remove_damaged(folder, profile)
    removed = {str(path.relative_to(folder)) for path in before if not os.path.lexists(path)}
    return lines, removed


SECOND = {"targets.npz", "condensed_sets.npz", "notebooks/02_condensation.ipynb"}
FIFTH, PAGES = {"notebooks/05_results.ipynb"}, {"report/index.html"}
MODEL = f"models/target-{store.fingerprint({'kind': 'target'})}.npz"


@pytest.mark.parametrize(
    ("file", "removed"),
    [
        ("split.npz", {"split.npz", "notebooks/01_data_split.ipynb"}),
        ("targets.npz", SECOND),
        ("targets.npz.json", SECOND),
        (MODEL, SECOND),
        ("figures/a.png", SECOND),
        ("notebooks/02_condensation.ipynb", SECOND),
        ("notebooks/02_condensation.sha256", SECOND),
        ("notebooks/05_results.ipynb", FIFTH),
        ("tables/claims.csv", FIFTH),
        ("tables/claims.csv.json", FIFTH),
        ("report/01_data_split.html", PAGES),
        ("report/index.html", PAGES),
        ("report/index.sha256", PAGES),
    ],
)
@pytest.mark.parametrize("damage", ["gone", "truncated", "one bit", "empty", "zeros", "named pipe", "dead link"])
def test_what_was_damaged_is_told_in_a_line_and_its_notebook_runs_again(file, removed, damage, left):
    folder, profile = left
    assert stages.remove_damaged(folder, profile) == [] == stages.remove_other(folder, profile)
    path, content = folder / file, (folder / file).read_bytes()
    half, changed = len(content) // 2, content[len(content) // 2] ^ 1
    path.unlink()
    match damage:
        case "named pipe":
            os.mkfifo(path)
        case "dead link":
            path.symlink_to("nowhere")
        case "truncated":
            path.write_bytes(content[:half])
        case "one bit":
            path.write_bytes(content[:half] + bytes([changed]) + content[half + 1 :])
        case "empty" | "zeros":
            path.write_bytes(bytes(len(content)) if damage == "zeros" else b"")
    lines, found = remove_damaged(folder, profile)
    if damage == "gone" and file in {*FIFTH, *PAGES, *SECOND, "notebooks/02_condensation.sha256"} - {"targets.npz"}:
        assert not lines, "an output, which the engine misses itself, or a list, without which there is no damage"
        return
    assert found - {file} == removed - {file}
    named = any(line.startswith(f"{folder}/") and path.name in line for line in lines)
    assert named or (lines and path.suffix == ".sha256"), lines
    assert all(line.endswith((": the notebook runs again", ": the report is written again")) for line in lines)


def test_an_older_file_and_two_exchanged_tables_are_noticed(left):
    folder, profile = left
    path = folder / "condensed_sets.npz"
    store.save_arrays(path, {"images": np.zeros(3)}, store.inputs_of(path))
    assert remove_damaged(folder, profile) == (
        [f"{path}, left by notebook 2, was changed after it was written: the notebook runs again"],
        SECOND,
    )
    claims, summary = folder / "tables/claims.csv", folder / "tables/summary.csv"
    for one, other in ((claims, summary), (store.sidecar(claims), store.sidecar(summary))):
        kept = one.read_bytes()
        one.write_bytes(other.read_bytes()), other.write_bytes(kept)
    with pytest.raises(store.DamagedError, match=r"claims.csv is summary.csv under another name"):
        tables.read(claims)
    lines, removed = remove_damaged(folder, profile)
    assert len(lines) == 2 and removed == FIFTH


def test_what_only_its_owner_may_remove_is_named_and_nothing_is_removed(left, refused):
    folder, profile = left
    (folder / "tables/claims.csv").write_text("damaged")
    for file in ("split.npz", "notebooks/01_data_split.ipynb", "report/01_data_split.html", "targets.npz.json"):
        (folder / file).rename(folder / "aside")
        (folder / file).mkdir()
        with refused(store.ArtefactError, f"{folder / file} is a folder, where a file belongs: move it away"):
            stages.remove_damaged(folder, profile)
        (folder / file).rmdir()
        (folder / "aside").rename(folder / file)
    (folder / "models").rename(folder / "aside")
    (folder / "models").write_text("")
    with refused(store.ArtefactError, f"{folder}/models is a file or a dead link, where a folder belongs: move it"):
        stages.remove_damaged(folder, profile)


def test_results_without_lists_are_looked_through_as_far_as_they_tell(left):
    """As those of older versions: an executed notebook must be one, and a table that its source names must be whole."""
    folder, profile = left
    for file in folder.glob("notebooks/*.sha256"):
        file.unlink()
    assert stages.remove_damaged(folder, profile) == []
    (folder / "tables/claims.csv").write_text("")
    notebook = folder / "notebooks/01_data_split.ipynb"
    notebook.write_bytes(notebook.read_bytes()[:-9])
    lines, removed = remove_damaged(folder, profile)
    assert [line.partition(",")[0] for line in lines] == [str(notebook), str(folder / "tables/claims.csv")]
    assert removed == {"split.npz", "notebooks/01_data_split.ipynb"} | FIFTH


def test_a_list_that_is_gone_is_a_damage_where_there_was_one(left):
    folder, profile = left
    notebook = folder / "notebooks/05_results.ipynb"
    executed = nbformat.read(notebook, 4)
    (folder / "notebooks/05_results.sha256").unlink()
    for begun, lines in (("2026-11-30T23:59:59+00:00", 0), ("2026-12-01T00:00:00+00:00", 1), (None, 0)):
        executed.metadata["papermill"] = {"start_time": begun}
        nbformat.write(executed, notebook)
        found, removed = remove_damaged(folder, profile)
        assert len(found) == lines and removed == (FIFTH if lines else set())
        assert all("05_results.sha256, left by notebook 5, is gone: the notebook runs again" in one for one in found)


def test_what_a_notebook_left_by_hand_with_other_settings_is_no_damage(left):
    folder, profile = left
    inputs = store.inputs_of(folder / "targets.npz")
    other = inputs | {"parameters": inputs["parameters"] | {"n_runs": 7}}
    store.save_table(folder / "targets.npz", pd.DataFrame({"run": [1]}), other)
    (folder / "figures/a.png").write_bytes(b"another picture")
    assert stages.remove_damaged(folder, profile) == []
    assert [stage.number for stage in stages.remove_other(folder, profile)] == [2]


def test_what_was_left_with_other_settings_is_removed_and_nothing_else(tmp_path):
    profile, table = profiles.read("tiny"), pd.DataFrame({"a": [1]})

    def left(name, parameters):
        path = tmp_path / stages.file_of(name)
        store.save_table(path, table, {"profile": "tiny", "parameters": parameters})
        return path

    kept = left("shadows", profile["03_shadow_training"] | {"of_an_older_notebook": 1})
    other = left("targets", profile["02_condensation"] | {"n_runs": 7})
    unknown = tmp_path / stages.file_of("attacks")
    unknown.write_bytes(b"no record")
    assert [stage.number for stage in stages.remove_other(tmp_path, profile)] == [2, 4]
    assert kept.exists() and not other.exists() and not unknown.exists()
    assert stages.remove_other(tmp_path, profile) == []


# ---------------------------------------------------------------- one notebook alone


def notebook(name: str):
    return paths.NOTEBOOKS / f"{name}.ipynb"


@pytest.mark.parametrize(
    ("name", "there", "first"),
    [
        ("01_data_split", [], []),
        ("05_results", [], [1, 2, 3, 4]),
        ("05_results", ["split", "shadows"], [2, 4]),
        ("02_condensation", ["split"], []),
        ("08_the_authors_models", [], []),
        ("solutions/02_solutions", [], [1, 2]),
        ("solutions/02_solutions", ["split", "targets"], [2]),  # it leaves its synthetic sets, too
        ("solutions/05_solutions", ["split", "targets", "condensed_sets", "shadows", "attacks"], []),
    ],
)
def test_a_notebook_alone_is_told_which_others_run_before_it(tmp_path, name, there, first):
    for one in there:
        (tmp_path / stages.file_of(one)).touch()
    assert [stage.number for stage in stages.to_run_first(notebook(name), tmp_path)] == first


@every_stage
def test_what_runs_first_leaves_all_that_a_notebook_waits_for(stage, tmp_path):
    first = stages.to_run_first(notebook(stage.name), tmp_path)
    left = {name for one in first for name in one.leaves}
    assert all(set(one.reads) <= left for one in [*first, stage])
    assert all(one.number < stage.number for one in first)


@pytest.mark.parametrize(("profile", "command"), [("quick", True), ("nobody-wrote-one", False)])
def test_what_is_missing_is_named_at_once_with_one_command(tmp_path, monkeypatch, profile, command):
    monkeypatch.setattr(stages.origin, "running_notebook", lambda: notebook("05_results"))
    with pytest.raises(store.MissingError) as told, stages.naming_all_that_is_missing(tmp_path / profile):
        store.load_arrays(tmp_path / profile / "split.npz", {}, "notebooks/01_data_split.ipynb")
    said = str(told.value).splitlines()
    assert "split.npz does not exist yet: run notebooks/01_data_split.ipynb first" in said[0]
    assert said[1] == (
        "notebooks/05_results.ipynb needs what these leave, which is not there: 01_data_split.ipynb, "
        "02_condensation.ipynb, 03_shadow_training.ipynb and 04_attack.ipynb."
    )
    wanted = "snakemake data_split condensation shadow_training attack --cores all --config profile=quick"
    assert said[2:-1] == [f"With the parameters of profiles/quick.yaml, this makes it: {wanted}"] * command
    read = re.findall(r"(?:notebooks|figures)/\w+(?:\.ipynb)?", said[-1])
    assert read == ["notebooks/05_results.ipynb", "figures/quick"]
    assert all((paths.REPOSITORY / one).exists() for one in read)


def test_nothing_is_added_to_what_is_no_missing_file_and_outside_of_a_notebook(tmp_path, monkeypatch):
    with pytest.raises(store.MissingError) as told, stages.naming_all_that_is_missing(tmp_path):
        raise store.MissingError("as it was")
    assert str(told.value) == "as it was"
    monkeypatch.setattr(stages.origin, "running_notebook", lambda: notebook("05_results"))
    with pytest.raises(store.ArtefactError, match="^of another seed$"), stages.naming_all_that_is_missing(tmp_path):
        raise store.ArtefactError("of another seed")


@pytest.mark.slow
def test_a_notebook_that_is_run_alone_says_so_itself(tmp_path):
    asked = [sys.executable, "-m", "dcpriv_lib.engine.run_notebook", notebook("05_results"), tmp_path / "out.ipynb"]
    environment = os.environ | {"DCPRIV_RESULTS": str(tmp_path)}
    ran = subprocess.run(asked, capture_output=True, text=True, env=environment)
    assert ran.returncode == 1
    assert "02_condensation.ipynb, 03_shadow_training.ipynb and 04_attack.ipynb." in ran.stdout
    assert "snakemake data_split condensation shadow_training attack --cores all --config profile=quick" in ran.stdout
