"""Stand-ins for results that take hours: which jobs are of one kind, what is counted, and what the copies are."""

import sys
from dataclasses import replace
from unittest import mock

import joblib
import numpy as np
import pytest
import torch

from dcpriv_lib import jobs
from dcpriv_lib.condensation import defaults
from dcpriv_lib.engine import paths, store

sys.path.insert(0, str(paths.REPOSITORY / "benchmarks"))
import stand_ins

SETTINGS = replace(defaults.settings_of("DM", 2, width=4, real_batch=4), iterations=60)


@pytest.fixture
def data(tmp_path):
    shape = type("Shape", (), {"shape": (1, 14, 3), "dataset": type("None", (), {"test_images": ()})()})()
    images = torch.randn(40, 1, 14, 14, generator=torch.Generator().manual_seed(0))
    return jobs.Data(tmp_path, {}, 0, torch.device("cpu"), shape, images, torch.arange(40) % 3)


def of_set(data, key, rows, settings=SETTINGS):
    return jobs.set_job(data, "sets", (key,), rows, settings)


def test_jobs_are_of_one_kind_if_they_differ_in_what_takes_no_time(data):
    job = of_set(data, 0, np.arange(30))
    assert job.make is jobs.condense
    assert stand_ins.kind_of(of_set(data, 1, np.arange(1, 31))) == stand_ins.kind_of(job)
    others = [
        of_set(data, 0, np.arange(12)),
        of_set(data, 0, np.arange(30), replace(SETTINGS, iterations=61)),
        of_set(data, 0, np.arange(30), replace(SETTINGS, width=8)),
        jobs.model_job(data, "models", (0,), np.arange(30), jobs.Training(3)),
        jobs.model_job(data, "models", (0,), np.arange(30), jobs.Training(4)),
        jobs.model_job(data, "models", (0,), (data.images[:30], data.labels[:30]), jobs.Training(3)),
    ]
    kinds = {stand_ins.kind_of(one) for one in [job, *others]}
    assert len(kinds) == 7
    model = [jobs.model_job(data, "models", (key,), np.arange(30), jobs.Training(3)) for key in range(2)]
    assert stand_ins.kind_of(model[0]) == stand_ins.kind_of(model[1]), "their orders have two seeds"


def test_steps_that_are_left_out_are_counted(monkeypatch):
    clock = 0.0
    monkeypatch.setattr(stand_ins, "core_seconds", lambda: clock)
    loop, done = stand_ins.Loop(7.0), []
    for step in loop(range(1000)):
        done.append(step)
        clock += 2.0
    assert done == [0, 1, 2, 3, 4, 9, 19, 49, 99, 199, 499, 999], "and those after which images are kept"
    assert loop.taken == 24.0 and loop.left_out() == pytest.approx(2.0 * (1000 - 12))
    loop = stand_ins.Loop(np.inf)
    assert list(loop(range(5))) == list(range(5)) and loop.left_out() == 0


def test_a_set_that_is_made_in_part_looks_like_one_that_is_made_whole(data):
    job = of_set(data, 0, np.arange(30))
    whole, in_full = stand_ins.measured(job, data, np.inf)
    part, took = stand_ins.measured(job, data, -1.0)
    assert in_full["measured"] == "in full" and in_full["first"] == 0
    assert took["measured"] == "8 of 60 steps", "0, 1, 2, 4, 9, 19, 49 and the last"
    assert {name: (value.shape, value.dtype) for name, value in part.items()} == {
        name: (value.shape, value.dtype) for name, value in whole.items()
    }
    assert took["seconds"] > 0


def test_answers_of_a_model_that_was_trained_in_part_become_surer_but_not_certain(data):
    data.split.pixels = lambda _: data.images[:0]
    job = jobs.model_job(data, "models", (0,), np.arange(30), jobs.Training(20))
    part, took = stand_ins.measured(job, data, -1.0)
    assert took["measured"] == "6 of 20 steps"
    with mock.patch.object(stand_ins.np, "log1p", return_value=1.0):
        as_it_is, _ = stand_ins.measured(job, data, -1.0)
    assert part["logits"] == pytest.approx(as_it_is["logits"] * np.log(21) / np.log(7), rel=1e-5)


def processes() -> dict:
    return {"processes": np.asarray(joblib.effective_n_jobs(-1))}


def test_a_job_is_measured_in_one_process_as_a_worker_does_it(data):
    made, _ = stand_ins.measured(jobs.function_job(data, "count", processes, ()), data, np.inf)
    assert made["processes"] == 1


def test_what_the_first_question_about_people_takes_longer_is_measured_apart(data, monkeypatch):
    clock, asked = 0.0, []

    def ask(released, people, known):
        nonlocal clock
        clock += 1.0 if any(people is before for before in asked) else 5.0
        asked.append(people)
        return np.zeros(len(people))

    monkeypatch.setattr(stand_ins, "core_seconds", lambda: clock)
    monkeypatch.setitem(jobs.suite.SCORES, "nearest image", ask)
    data.split.scale = torch.zeros(1), torch.ones(1)
    released = {"images": np.zeros((3, 1, 14, 14), np.float32), "labels": np.arange(3)}
    job = jobs.score_job(data, "set", (0,), released, np.arange(20), np.arange(20, 40), ["nearest image"])
    jobs.ask_released(data, *job.arguments, seed=0)  # another kind was measured before
    made = stand_ins.StandIns(data.folder, np.inf)
    made.make([job], data)
    (took,) = made.kinds.values()
    assert (took["seconds"], took["first"], took["measured"]) == (1, 4, "the second of its process")
    name, first = made.kept([job])
    assert first == 4 and made.kept([of_set(data, 0, np.arange(30))]) == ("", 0)
    others = jobs.score_job(data, "set", (0,), released, np.arange(19), np.arange(20, 40), ["nearest image"])
    assert name and stand_ins.StandIns(data.folder, np.inf).kept([job])[0] == name
    assert others.inputs["people"] != job.inputs["people"]


def test_of_a_kind_one_is_done_and_the_others_are_copies_with_noise(data, monkeypatch):
    made = stand_ins.StandIns(data.folder, -1.0)
    wanted = [of_set(data, key, np.arange(key, key + 30)) for key in range(3)]
    made.make(wanted, data)
    first, second, _ = [store.load_arrays(job.path(data.folder), {}, "") for job in wanted]
    assert (
        np.allclose(first["images"], second["images"], rtol=0.2)
        and not np.equal(first["images"], second["images"]).any()
    )
    assert np.array_equal(first["labels"], second["labels"])
    seconds = {store.read_record(job.path(data.folder))["provenance"]["seconds"] for job in wanted}
    assert seconds == {made.kinds[stand_ins.kind_of(wanted[0])]["seconds"]}
    monkeypatch.setattr(stand_ins, "measured", None)
    again = stand_ins.StandIns(data.folder, -1.0)  # goes on from there
    again.make([of_set(data, 4, np.arange(4, 34))], data)
    assert again.kinds == made.kinds
