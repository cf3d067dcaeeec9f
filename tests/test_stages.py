"""The list of notebooks: it agrees with what they read and leave, and what other settings left is found."""

import re

import pandas as pd
import pytest

from dcpriv_lib import profiles, stages
from dcpriv_lib.engine import paths, store

every_stage = pytest.mark.parametrize("stage", stages.STAGES, ids=lambda stage: stage.name)


def test_every_notebook_has_its_place():
    there = {path.stem for path in paths.NOTEBOOKS.glob("[0-9]*.py")}
    assert [stage.name for stage in stages.PAGES] == sorted(there)
    assert len({stage.rule for stage in stages.PAGES} | {"report"}) == len(there) + 1, "the engine's names"


@every_stage
def test_a_notebook_loads_what_its_stage_waits_for_and_saves_what_it_leaves(stage):
    source = (paths.NOTEBOOKS / f"{stage.name}.py").read_text()
    earlier = {name for other in stages.STAGES if other.number < stage.number for name in other.leaves}
    loaded = set(re.findall(r"study\.results\.(?:load\w*|record_of)\(\"(\w+)\"", source)) & stages.MADE_BY.keys()
    assert loaded - set(stage.leaves) <= set(stage.reads) <= earlier
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
