"""Artefacts: the record inside them, what lies beside them, tables, and the form that older versions wrote."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch

from dcpriv_lib.engine import origin, provenance, store
from dcpriv_lib.study import Study

INPUTS = {"profile": "quick", "seed": 0, "ipc": {10: 0.1, 2: [1, None]}}
ARRAYS = {
    "weights.0": torch.arange(6.0).reshape(2, 3),
    "is member": np.array([True, False]),
    "order": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "none": np.empty((0, 4), np.float32),
    "text": np.array(["a", "é"]),
    "one": np.array(7, np.int8),
    "big endian": np.array([1.5], ">f8"),
}


def record(path):
    """The JSON that `unzip -z` shows."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.comment)


@pytest.fixture(autouse=True)
def _nobody_was_told_yet(monkeypatch):
    monkeypatch.setattr(origin, "_told", set())
    monkeypatch.setattr(origin, "_under_way", [{}])


def test_what_is_loaded_is_what_was_saved_and_numpy_sees_nothing_else(tmp_path):
    path = tmp_path / "a.npz"
    store.save_arrays(path, ARRAYS, INPUTS)
    with np.load(path) as file:
        strangers = dict(file)
    for found in (store.load_arrays(path, INPUTS, ""), strangers):
        assert list(found) == list(ARRAYS)
        for name, array in ARRAYS.items():
            assert found[name].dtype == np.asarray(array).dtype and np.array_equal(found[name], array)
    assert record(path)["inputs"] == json.loads(json.dumps(INPUTS)) == store.inputs_of(path)


def test_the_same_save_gives_the_same_bytes_whenever_and_wherever_it_is_made(tmp_path, monkeypatch):
    store.save_arrays(tmp_path / "a.npz", ARRAYS, INPUTS, seconds=1.0)
    monkeypatch.setattr(provenance, "of_this_process", lambda _: {"written": "another day", "git_commit": "another"})
    store.save_arrays(tmp_path / "b/a.npz", ARRAYS, dict(reversed(INPUTS.items())), seconds=2.0)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b/a.npz").read_bytes()
    assert store.read_record(tmp_path / "a.npz")["provenance"]["seconds"] == 1.0
    assert store.read_record(tmp_path / "b/a.npz")["provenance"]["git_commit"] == "another"


def test_no_changed_byte_changes_what_is_loaded_without_an_error(tmp_path):
    """Some bytes of an archive say nothing, such as the time of a member: these may change."""
    path = tmp_path / "a.npz"
    store.save_arrays(path, {"x": np.arange(5), "y": np.array(2.5)}, INPUTS)
    content, noticed = path.read_bytes(), 0
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        try:
            found = store.load_arrays(path, INPUTS, "")
        except store.DamagedError:
            noticed += 1
        else:
            assert list(found) == ["x", "y"] and np.array_equal(found["x"], np.arange(5)) and found["y"] == 2.5
    assert noticed > 0.7 * len(content)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(store.DamagedError):
            store.load_arrays(path, INPUTS, "")


def test_a_result_in_the_place_of_another_is_computed_again(tmp_path, capsys):
    for seed in (0, 1):
        store.cached(tmp_path / "a", {"seed": seed}, lambda _, seed=seed: {"x": np.array(seed)})
    zero, one = (store.cached_path(tmp_path / "a", {"seed": seed}) for seed in (0, 1))
    zero.write_bytes(one.read_bytes())
    assert store.cached(tmp_path / "a", {"seed": 0}, lambda _: {"x": np.array(7)})["x"] == 7
    assert f"is {one.name} under another name: it is computed again" in capsys.readouterr().err


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("{"),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"provenance": 3})),
        lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"sha256": "of another save"})),
    ],
)
def test_an_artefact_is_read_without_what_lies_beside_it_and_then_nobody_knows_its_code(spoil, tmp_path, capsys):
    path = tmp_path / "a.npz"
    store.save_arrays(path, {"x": np.arange(3)}, INPUTS)
    assert store.read_record(path)["code"] and store.load_arrays(path, INPUTS, "")["x"].sum() == 3
    assert capsys.readouterr().err == ""
    spoil(store.sidecar(path))
    assert store.read_record(path).keys() == {"name", "inputs", "sha256"}
    assert store.load_arrays(path, INPUTS, "")["x"].sum() == 3
    assert f"made some of this ({origin.UNKNOWN})" in capsys.readouterr().err
    store.save_arrays(tmp_path / "b.npz", {"x": np.arange(3)}, INPUTS)
    assert store.read_record(tmp_path / "b.npz")["other_code"] == {origin.UNKNOWN: [origin.NONE]}


TABLE = pd.DataFrame(
    {
        "of": ["a,b", 'say "é"', None],
        "auc": [0.1 + 0.2, float("nan"), 1e-300],
        "n": [1, 2, 3],
        "yes": [True, False, True],
    }
)


def test_a_table_comes_back_as_read_csv_gives_its_text(tmp_path):
    path = tmp_path / "targets.npz"
    store.save_table(path, TABLE, INPUTS)
    pd.testing.assert_frame_equal(
        store.load_table(path, INPUTS, ""), pd.read_csv(io.StringIO(TABLE.to_csv(index=False))), check_exact=True
    )
    store.save_arrays(path, {"x": np.arange(3)}, INPUTS)
    with pytest.raises(store.DamagedError, match="holds arrays, where a table was expected"):
        store.load_table(path, INPUTS, "")


def test_a_table_of_the_report_is_plain_csv_with_its_record_beside_it(tmp_path):
    path = tmp_path / "tables/claims.csv"
    store.export_table(path, TABLE, {"profile": "quick"})
    assert path.read_text() == TABLE.to_csv(index=False)
    table, made = store.read_exported(path)
    pd.testing.assert_frame_equal(table, pd.read_csv(path), check_exact=True)
    assert made["inputs"] == {"profile": "quick"} and made["provenance"]["torch"] and made["code"]


def test_inputs_of_what_cannot_be_read_are_nothing(tmp_path):
    path = tmp_path / "a.npz"
    assert store.inputs_of(path) == {}
    path.write_text("no archive")
    assert store.inputs_of(path) == {}
    np.savez(path, x=np.arange(3))
    assert store.inputs_of(path) == {}
    with pytest.raises(store.DamagedError, match="no record of where it comes from"):
        store.read_record(path)


# ---------------------------------------------------------------- what older versions wrote


def save_as_older_versions_did(path, arrays, inputs, **more):
    """The arrays alone, and beside them the record of the whole file."""
    np.savez(path, **arrays)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    made = {
        "inputs": inputs,
        "sha256": sha256,
        "provenance": provenance.of_this_process(2.0),
        **origin.of_what_is_saved(),
    }
    store.sidecar(path).write_text(json.dumps(made | more, indent=1) + "\n")
    return made


def test_an_artefact_of_an_older_version_is_read_and_checked_as_before(tmp_path, capsys):
    path = store.cached_path(tmp_path / "a", INPUTS)
    made = save_as_older_versions_did(path, {"x": np.arange(3)}, json.loads(json.dumps(INPUTS)))
    arrays = store.cached(tmp_path / "a", INPUTS, lambda _: pytest.fail("it is there"))
    assert list(arrays) == ["x"] and arrays["x"].tolist() == [0, 1, 2] and store.inputs_of(path) == made["inputs"]
    assert store.read_record(path)["provenance"]["seconds"] == 2.0 and capsys.readouterr().err == ""
    with pytest.raises(store.ArtefactError, match="was made with seed = 0, but seed = 1 is asked for"):
        store.load_arrays(path, {"seed": 1}, "")
    np.savez(path, x=np.arange(4))
    with pytest.raises(store.DamagedError, match="its SHA-256 is not the one in"):
        store.load_arrays(path, INPUTS, "")
    assert store.cached(tmp_path / "a", INPUTS, lambda _: {"x": np.arange(5)})["x"].size == 5
    assert record(path)["inputs"] and store.read_record(path)["provenance"]


def test_two_artefacts_of_an_older_version_exchanged_with_their_records_are_noticed_by_their_names(tmp_path, capsys):
    inputs = [{"profile": "quick", "kind": "target", "key": [target, 0], "ipc": {"10": 1, "2": 0}} for target in "ab"]
    paths = [store.cached_path(tmp_path / "target", {**one, "ipc": {10: 1, 2: 0}}) for one in inputs]
    for number, (path, one) in enumerate(zip(paths, inputs)):
        save_as_older_versions_did(path, {"x": np.array(number)}, one)
        assert store.load_arrays(path, {"profile": "quick"}, "")["x"] == number
    for one, other in (paths, map(store.sidecar, paths)):
        aside = one.rename(tmp_path / "aside")
        other.rename(one), aside.rename(other)
    for path in paths:
        for reader in (lambda: store.load_arrays(path, {"profile": "quick"}, ""), lambda: store.read_record(path)):
            with pytest.raises(store.DamagedError, match="another result under this name, which ends in"):
                reader()
    found = store.cached(tmp_path / "target", {**inputs[0], "ipc": {10: 1, 2: 0}}, lambda _: {"x": np.array(7)})
    assert found["x"] == 7 and "it is computed again" in capsys.readouterr().err


def test_a_save_that_an_older_version_was_killed_in_is_read(tmp_path):
    """It left the new record, which holds that of the file that is still there."""
    path = tmp_path / "a.npz"
    replaced = save_as_older_versions_did(path, {"x": np.arange(3)}, INPUTS)
    store.sidecar(path).write_text(json.dumps({"inputs": {}, "sha256": "", "provenance": {}, "replaces": replaced}))
    assert store.load_arrays(path, {"seed": 0}, "")["x"].sum() == 3


def test_a_table_that_an_older_version_passed_on_is_not_looked_at(tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path))
    study = Study.divide("mine", "digits", 0, "standard")
    pd.DataFrame({"target": ["original"]}).to_csv(study.folder / "targets.csv", index=False)
    with pytest.raises(store.ArtefactError, match="targets.npz does not exist yet: run notebooks/02_condensation"):
        study.results.load_models("targets")


def test_a_copy_may_have_a_name_of_its_own_but_not_that_of_another_result(tmp_path):
    one, other = ({"seed": seed} for seed in (0, 1))
    kept = store.cached_path(tmp_path / "set", one)
    store.save_arrays(kept, {"x": np.arange(3)}, one)
    for name in ("mine.npz", "set-2026.npz", store.cached_path("other", one).name):
        (tmp_path / name).write_bytes(kept.read_bytes())
        assert store.load_arrays(tmp_path / name, {}, "", may_be_renamed=True)["x"].sum() == 3
    copy = store.cached_path(tmp_path / "set", other)
    copy.write_bytes(kept.read_bytes())
    with pytest.raises(store.DamagedError, match=f"{copy.name} is another result under this name, which ends in"):
        store.load_arrays(copy, {}, "", may_be_renamed=True)


def test_a_table_without_columns_is_kept_and_read_again(tmp_path):
    store.export_table(tmp_path / "a.csv", pd.DataFrame(), {"seed": 0})
    assert store.read_exported(tmp_path / "a.csv")[0].empty
    store.save_table(tmp_path / "a.npz", pd.DataFrame(), {"seed": 0})
    assert store.load_table(tmp_path / "a.npz", {"seed": 0}, "").empty
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(store.DamagedError, match="was changed after it was written"):
        store.read_exported(tmp_path / "a.csv")
