"""Results in place of those that take hours: of every kind of job one is done and measured, and the others are given a
copy of what it found, with noise. So a profile's notebooks can be followed (`scaling`) on a machine that never ran it.

Jobs are of one kind if they compute the same with the same settings on arrays of the same shapes (numbers of rows
need only be near). A kind that takes longer than it may is measured by the first steps of its loop, and the rest is
counted: its seconds are those of a step times the steps, and the record says how many were done. What a network answers
that was trained for a part of its epochs is made surer, because the time of an SVM on it depends on that.
"""

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import joblib
import numpy as np
import torch
from scaling import core_seconds

from dcpriv_lib import jobs
from dcpriv_lib.condensation import condense
from dcpriv_lib.engine import store
from dcpriv_lib.privacy import dp_sgd, psg

STEP = 1.25  # numbers of rows of one kind differ by so many times at most
NOISE = 0.02  # of each number, by which copies differ: none is then equal to another
WHOLE = (jobs.release,)  # of which others read every step
FEWEST = 3  # steps of a loop that is cut, beside those after which images are kept
WARM = jobs.ask_released  # its process keeps what networks say of the people: the second one is measured


def described(value) -> str:
    """Return what of an argument of a job decides how long it takes: settings and shapes, not contents and seeds."""
    if isinstance(value, jobs.Job):
        return kind_of(value)
    if isinstance(value, np.ndarray | torch.Tensor):
        rows, *rest = tuple(value.shape) or (1,)
        kind = str(value.dtype).removeprefix("torch.")
        about = round(STEP ** round(np.log(max(rows, 1)) / np.log(STEP)))
        return "x".join(map(str, [about, *rest])) + f" {kind}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {described(one)}" for name, one in value.items())
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(described, value)) + "]"
    if dataclasses.is_dataclass(value):
        fields = ((one.name, getattr(value, one.name)) for one in dataclasses.fields(value))
        return type(value).__name__ + "(" + ", ".join(f"{name} {described(one)}" for name, one in fields) + ")"
    if callable(value):
        return value.__name__
    if isinstance(value, str):
        return "" if value.endswith(".npz") else value
    return repr(value) if isinstance(value, float | bool) else f"{value:.2g}" if isinstance(value, int) else str(value)


def kind_of(job: jobs.Job) -> str:
    """Return the kind of a job: two of one kind take as long."""
    arguments = job.arguments[:2] if job.make is jobs.train else job.arguments  # the third is a seed
    return f"{job.make.__name__}({', '.join(map(described, arguments))})"


class Loop:
    """What wraps the steps of a job's loop: it leaves out most of them once they have taken long enough."""

    def __init__(self, seconds: float):
        self.seconds, self.steps, self.done, self.taken = seconds, 0, 0, 0.0

    def __call__(self, steps: range) -> Iterator[int]:
        self.steps, begun = len(steps), core_seconds()
        for step in steps:
            took = core_seconds() - begun
            needed = step + 1 in condense.SNAPSHOTS or step == steps[-1]
            if took > self.seconds and self.done >= FEWEST and not needed:
                continue
            yield step
            self.done += 1
        self.taken = core_seconds() - begun

    def left_out(self) -> float:
        """Return the seconds that the steps that were left out would have taken."""
        return self.taken * (self.steps / self.done - 1) if self.done else 0.0


def measured(job: jobs.Job, data: jobs.Data, most: float) -> tuple[dict, dict]:
    """Do a job, or the first part of it, and return its arrays and what was measured: "seconds" of a core, how these
    were "measured", and how many more the "first" of a process takes."""
    loop, taken = Loop(np.inf if job.make in WHOLE else most), []
    jobs._of_rows.cache_clear()  # a process that has been asked nothing yet
    unasked = [mock.patch.object(place, "assert_releases") for place in (dp_sgd, psg)]  # there are fewer than announced
    with unasked[0], unasked[1], joblib.parallel_config("sequential"):  # a worker is one process
        for _ in range(2 if job.make is WARM else 1):
            begun = core_seconds()
            arrays = job.make(data, *job.arguments, seed=job.seed, checkpoint=None, progress=loop)
            taken.append(core_seconds() - begun)
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    first = round(max(0.0, taken[0] - taken[-1]), 2)
    if loop.done == loop.steps:
        how = "the second of its process" if job.make is WARM else "in full"
        return arrays, {"seconds": round(taken[-1], 2), "measured": how, "first": first}
    if job.make is jobs.train:  # on data that a network fits its answers grow like the logarithm (Soudry et al. 2018)
        surer = np.log1p(loop.steps) / np.log1p(loop.done)
        arrays |= {name: arrays[name] * surer for name in ("logits", "test_logits")}
    if "loss" in arrays:
        arrays["loss"] = np.pad(arrays["loss"], (0, loop.steps - loop.done), mode="edge")
    seconds = round(taken[-1] + loop.left_out(), 2)
    return arrays, {"seconds": seconds, "measured": f"{loop.done} of {loop.steps} steps", "first": first}


class StandIns:
    """The kinds of jobs that were measured, and a result of each.

    Parameters
    ----------
    folder : where they are kept; a measurement that was stopped goes on from there.
    most : seconds after which the loop of a job is cut.
    """

    def __init__(self, folder: Path, most: float):
        self.file, self.most = folder / "kinds.json", most
        self.kinds: dict[str, dict] = json.loads(self.file.read_text()) if self.file.exists() else {}

    def make(self, wanted: list[jobs.Job], data: jobs.Data) -> None:
        """Write a result for each job that has none."""
        for job in wanted:
            path, kind = job.path(data.folder), kind_of(job)
            if path.exists():
                continue
            if kind not in self.kinds:
                arrays, took = measured(job, data, self.most)
                self.kinds[kind] = took | {"like": str(path)}
                store.save_arrays(path, arrays, job.inputs, self.kinds[kind]["seconds"])
                self.file.write_text(json.dumps(self.kinds, indent=1))
                print(f"    {job.place}: {{seconds:.1f}} s ({{measured}})".format(**took), file=sys.stderr, flush=True)
                continue
            with np.load(self.kinds[kind]["like"]) as found:
                arrays = noisy(dict(found), int(store.fingerprint(job.inputs), 16))
            store.save_arrays(path, arrays, job.inputs, self.kinds[kind]["seconds"])

    def kept(self, wanted: list[jobs.Job]) -> tuple[str, float]:
        """Return the name of what a worker keeps of such jobs, "" for nothing, and what its first takes longer."""
        if not wanted or wanted[0].make is not WARM:
            return "", 0.0
        whom = {part: wanted[0].inputs[part] for part in ("people", "own")}
        return f"of people {store.fingerprint(whom)}", max(self.kinds[kind_of(job)]["first"] for job in wanted)


def noisy(arrays: dict, seed: int) -> dict:
    """Return arrays whose fractions have noise."""
    draw = np.random.default_rng(seed)
    return {
        name: (value * (1 + NOISE * draw.standard_normal(value.shape))).astype(value.dtype)
        if value.dtype.kind == "f"
        else value
        for name, value in arrays.items()
    }
