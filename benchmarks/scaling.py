"""How long a profile takes on more workers than there are: a simulation of its graph of tasks.

    python benchmarks/scaling.py quick               # of a finished run, by what it has on record
    python benchmarks/scaling.py paper --stand-ins   # of a profile that takes too long to run whole
    python benchmarks/scaling.py paper               # the table of what either of them wrote to benchmarks/scaling/

Every notebook of the profile is executed again. Its models and sets are found, so this takes as long as the rest of it;
which jobs it asks for, what it waits for and how long it computes itself in between is written down. With the seconds
that every job took (its record has them) this is a graph of tasks, which is then done by so many workers: whoever is
free takes the task that has waited longest. The notebooks compute on a machine of their own, which has a core for each.

With `--stand-ins` there need be no run: `stand_ins` does one job of every kind. Results go to results/stand-ins, mean
nothing, and may be removed. Seconds are those of a core, which other work on the machine moves less than a clock's.

"One core" is the sum of all seconds. "Local" is one machine without a scheduler, where one notebook trains at a time.
"""

import argparse
import contextlib
import heapq
import io
import json
import math
import os
import re
import sys
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stand_ins import StandIns

RECORDS = Path(__file__).parent / "scaling"  # what was measured, a file a profile
STARTUP = 10.0  # seconds until a notebook's kernel has imported what it needs, on a core that does nothing else


def core_seconds() -> float:
    """Return how many seconds of a core this process, and those that it has waited for, took."""
    return sum(os.times()[:4])


@dataclass(frozen=True)
class Task:
    """What is done without a break: a job by a worker, or what a notebook computes between two waits for jobs.

    Attributes
    ----------
    name : unique.
    seconds : it takes.
    needs : the names of those that have to be done before.
    by_a_worker : whether it takes one.
    kept : the name of what its worker keeps of it for other tasks; "" if nothing.
    first : seconds more that it takes a worker who has not kept that.
    """

    name: str
    seconds: float
    needs: tuple[str, ...] = ()
    by_a_worker: bool = True
    kept: str = ""
    first: float = 0.0


def simulate(tasks: Iterable[Task], workers: int, cores: float = math.inf) -> tuple[float, list[Task]]:
    """Return the seconds until all tasks are done, and the chain of tasks that was the last to end.

    Parameters
    ----------
    cores : of a machine on which workers and notebooks are together; no more tasks than these are done at a time.

    Whoever has been free for longest takes the task that could begin first; of several, the one named first. (So none
    is ever idle while there is something to do: Graham 1969 bounds what a better order could gain.) The chain's first
    task needs no other; between two of its tasks there may have been a wait for a worker.
    """
    tasks = {task.name: task for task in tasks}
    place = {name: number for number, name in enumerate(tasks)}
    missing = {name: len(set(task.needs)) for name, task in tasks.items()}
    follow: dict[str, list[str]] = {name: [] for name in tasks}
    for name, task in tasks.items():
        for need in set(task.needs):
            follow[need].append(name)
    ready = [(0.0, place[name], name) for name in tasks if not missing[name]]  # since when it could begin
    heapq.heapify(ready)
    running: list[tuple[float, int, str]] = []
    ends: dict[str, float] = {}
    idle: deque[set[str]] = deque(set() for _ in range(workers))  # what each has kept
    busy: dict[str, set[str]] = {}
    took: dict[str, float] = {}
    now = 0.0
    while ready or running:
        kept = []
        while ready:
            since, number, name = heapq.heappop(ready)
            task, more = tasks[name], 0.0
            if len(running) >= cores or (task.by_a_worker and not idle):
                kept.append((since, number, name))
                continue
            if task.by_a_worker:
                busy[name] = idle.popleft()
                more = 0.0 if task.kept in busy[name] else task.first
                busy[name].add(task.kept)
            took[name] = task.seconds + more
            heapq.heappush(running, (now + took[name], number, name))
        ready = kept
        heapq.heapify(ready)
        now, _, done = heapq.heappop(running)
        ends[done] = now
        if done in busy:
            idle.append(busy.pop(done))
        for name in follow[done]:
            missing[name] -= 1
            if not missing[name]:
                heapq.heappush(ready, (now, place[name], name))
    if len(ends) < len(tasks):
        raise ValueError("some tasks need each other: expected a graph without cycles")
    chain = [max(ends, key=ends.__getitem__)] if ends else []
    while chain and tasks[chain[-1]].needs:
        chain.append(max(tasks[chain[-1]].needs, key=ends.__getitem__))
    return now, [replace(tasks[name], seconds=took[name]) for name in reversed(chain)]


@dataclass
class Graph:
    """The tasks of all notebooks, in the order in which they were asked for.

    Attributes
    ----------
    tasks : name to task.
    after : the names of those that the next one has to wait for.
    failed : cells that were left out, and why.
    cluster : whether what waits for nothing is begun at once, and ahead of what a notebook reads.
    """

    cluster: bool
    tasks: dict[str, Task] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    failed: list[str] = field(default_factory=list)

    def add(self, name: str, seconds: float, by_a_worker: bool = False) -> None:
        """Add a task that follows on the last, and be the last."""
        name = f"{name} #{len(self.tasks)}"
        self.tasks[name] = Task(name, seconds, self.after, by_a_worker)
        self.after = (name,)

    def add_jobs(self, jobs: dict[str, float], kept: str = "", first: float = 0.0) -> None:
        """Add jobs, name to seconds, all of which follow on the last; those that are there are waited for."""
        before = self.after
        for name, seconds in jobs.items():
            self.tasks.setdefault(name, Task(name, seconds, before, True, kept, first))
        self.after = tuple(dict.fromkeys((*before, *jobs)))


def cells(source: str) -> list[str]:
    """Return the code cells of a notebook's .py."""
    parts = re.split(r"^# %%(.*)\n", source, flags=re.M)[1:]
    return [code for title, code in zip(parts[::2], parts[1::2]) if "[markdown]" not in title]


def follow(stage, parameters: dict, graph: Graph, stand_ins: "StandIns | None" = None, ahead: bool = False) -> None:
    """Execute a notebook whose models and sets are there, or stood in for, and add what it does to a graph.

    With `ahead` nothing is there that it reads of others, and a cell that fails for it is left out. So is a cell that
    fails because a stand-in is no real result, and noted in `graph.failed`: what it would have asked for is missing.
    """
    import matplotlib.pyplot as plt

    from dcpriv_lib import stages, study
    from dcpriv_lib.engine import ahead as ahead_, paths, store
    from dcpriv_lib.results import kept

    since = core_seconds()

    def own() -> None:
        nonlocal since
        graph.add(stage.name, core_seconds() - since)
        since = core_seconds()

    def made(self, wanted, what, original=study.Study._made):
        nonlocal since
        own()
        if stand_ins:
            stand_ins.make(wanted, self.data)
            since = core_seconds()
        found = {job.path(self.folder) for job in wanted}
        seconds = {path.name: store.read_record(path)["provenance"]["seconds"] for path in sorted(found)}
        graph.add_jobs(seconds, *(stand_ins.kept(wanted) if stand_ins else ()))
        return original(self, wanted, what)

    def at_once(_, calls):
        own()
        before, ends, found = graph.after, [], {}
        for key, call in calls.items():
            graph.after = before if graph.cluster else graph.after
            found[key] = call()
            own()
            ends += graph.after
        graph.after = tuple(ends) if graph.cluster and ends else graph.after
        return found

    def load_table(self, name, original=kept.Results.load_table):
        if ahead:
            raise store.MissingError(self.folder / stages.file_of(name), "is not there yet", stages.MADE_BY[name])
        return original(self, name)

    replaced = [
        (study.Study, "_made", made),
        (study.Study, "at_once", at_once),
        (kept.Results, "load_table", load_table),
    ]
    originals = [(place, name, getattr(place, name)) for place, name, _ in replaced]
    for place, name, function in replaced:
        setattr(place, name, function)
    names = {"display": lambda *_: None, "__name__": "notebook"}
    graph.add(f"{stage.name} begins", STARTUP)
    if ahead or not stand_ins:  # nothing is kept but models and sets: the rest is there, or is not to be
        os.environ[ahead_.VARIABLE] = "yes"
    try:
        for number, code in enumerate(cells((paths.NOTEBOOKS / f"{stage.name}.py").read_text())):
            with contextlib.redirect_stdout(io.StringIO()):
                try:
                    exec(compile(code, f"{stage.name}, code cell {number + 1}", "exec"), names)
                except Exception as error:
                    if not (ahead or stand_ins):
                        raise
                    if not ahead:
                        graph.failed.append(
                            f"{stage.name}, code cell {number + 1}: {type(error).__name__}: {error}"[:300]
                        )
            if number == 0:
                names |= parameters
            plt.close("all")
        own()
    finally:
        os.environ.pop(ahead_.VARIABLE, None)
        for place, name, function in originals:
            setattr(place, name, function)


def of_profile(name: str, cluster: bool, wanted: list[int], stand_ins: "StandIns | None" = None) -> Graph:
    """Return the graph of a profile, finished or stood in for, on a cluster or on one machine."""
    from dcpriv_lib import profiles, stages
    from dcpriv_lib.engine import paths

    graph, profile, ends = Graph(cluster), profiles.read(name), {}
    executed = paths.results(name) / "notebooks"
    for stage in stages.in_profile(profile):
        if (wanted and stage.number not in wanted) or not (stand_ins or (executed / f"{stage.name}.ipynb").exists()):
            continue
        print(f"  {stage.name}", file=sys.stderr, flush=True)
        waits = [ends.get(stages.MADE_BY[one], ()) for one in stage.reads]  # nothing where not all are followed
        if cluster and stage.ahead:
            graph.after = ends.get(stages.MADE_BY["split"], ())
            follow(stage, profile[stage.name], graph, stand_ins, ahead=True)
            waits.append(graph.after)
        if cluster:
            graph.after = tuple(dict.fromkeys(end for one in waits for end in one))
        follow(stage, profile[stage.name], graph, stand_ins)
        ends[stage.name] = graph.after
    graph.after = tuple(dict.fromkeys(end for one in ends.values() for end in one))
    graph.add("the report", 0.0)
    return graph


def work(tasks: list[Task]) -> float:
    """Return the seconds of all tasks, one after the other by one worker."""
    first: dict[str, float] = {}
    for task in tasks:
        first[task.kept] = max(first.get(task.kept, 0.0), task.first)
    return sum(task.seconds for task in tasks) + sum(first.values())


def table(tasks: list[Task], workers: Iterable[int], cores: float = math.inf) -> list[dict]:
    """Return a row for each number of workers: seconds, how many times as fast as one core, and efficiency."""
    one_core = work(tasks)
    rows = []
    for number in workers:
        seconds, _ = simulate(tasks, number, cores)
        faster = one_core / seconds
        rows.append({"workers": number, "seconds": seconds, "times as fast": faster, "efficiency": faster / number})
    return rows


def critical(chain: list[Task]) -> list[str]:
    """Return a line for each stretch of the chain that ended last: what it was and how long it took."""
    lines: list[tuple[str, float]] = []
    for task in chain:
        name = re.sub(r"(-\d+)*-[0-9a-f]{8,}\.npz$|( begins)? #\d+$", "", task.name)
        name = f"worker: {name}" if task.by_a_worker else f"notebook {name}"
        if lines and lines[-1][0] == name:
            lines[-1] = name, lines[-1][1] + task.seconds
        else:
            lines.append((name, task.seconds))
    return [f"{seconds:10.1f} s  {name}" for name, seconds in lines if seconds >= 0.01 * sum(one for _, one in lines)]


def record(tasks: list[Task], kinds: list[dict], about: dict) -> str:
    """Return what was measured as JSON, a line for each kind of job and for each task, whose needs are line numbers."""
    place = {task.name: number for number, task in enumerate(tasks)}
    lines = [
        json.dumps(
            [task.name, round(task.seconds, 2), task.by_a_worker, ranges([place[need] for need in task.needs])]
            + ([task.kept, task.first] if task.kept else [])
        )
        for task in tasks
    ]
    parts = {"kinds": [json.dumps(kind) for kind in kinds], "tasks": lines}
    rest = [f'"{name}": [\n  ' + ",\n  ".join(one) + "\n]" for name, one in parts.items()]
    return json.dumps(about, indent=1)[:-2] + ",\n" + ",\n".join(rest) + "\n}\n"


def recorded(name: str) -> tuple[list[Task], dict]:
    """Return the tasks of a profile that were written to `RECORDS`, and all that was written with them."""
    found = json.loads((RECORDS / f"{name}.json").read_text())
    names = [task[0] for task in found["tasks"]]
    return [
        Task(name, seconds, tuple(names[need] for need in in_ranges(needs)), by_a_worker, *kept)
        for name, seconds, by_a_worker, needs, *kept in found["tasks"]
    ], found


def ranges(numbers: list[int]) -> str:
    """Return numbers as text, "3-5 8": those that follow each other as a range."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return " ".join(f"{first}-{last}" if last > first else str(first) for first, last in parts)


def in_ranges(text: str) -> list[int]:
    """Return the numbers that `ranges` wrote."""
    ends = [[int(end) for end in part.split("-")] for part in text.split()]
    return [number for first, *last in ends for number in range(first, (last or [first])[0] + 1)]


def show(name: str, tasks: list[Task], workers: list[int], cores: float = math.inf) -> None:
    """Print the table of a graph, its longest job, and the chain that was the last to end."""
    jobs = [task for task in tasks if task.by_a_worker]
    own = sum(task.seconds for task in tasks if not task.by_a_worker)
    print(f"\n{name}: {len(jobs):,} jobs, {work(jobs):,.0f} s; the notebooks themselves {own:,.0f} s")
    for row in table(tasks, workers, cores):
        print("{workers:6,} workers {seconds:10,.0f} s {times as fast:8.1f} x {efficiency:7.0%}".format(**row))
    longest = max(jobs, key=lambda job: job.seconds)
    print(
        f"the longest job: {longest.name}, {longest.seconds:,.0f} s; on {max(workers):,} workers nothing else could "
        "end before",
        *critical(simulate(tasks, max(workers), cores)[1]),
        sep="\n",
    )


def main() -> None:
    """Print the table of one profile."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("profile")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 16, 128, 1000])
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--finished", action="store_true", help="follow the notebooks of a finished run, of this commit")
    how.add_argument("--stand-ins", action="store_true", help="follow the notebooks without a run")
    parser.add_argument("--notebooks", type=int, nargs="*", default=[], help="follow these alone, by number")
    parser.add_argument("--cores", type=float, default=math.inf, help="of one machine that has workers and notebooks")
    parser.add_argument("--most", type=float, default=20.0, help="seconds after which a loop is counted, not done")
    given = parser.parse_args()
    if not (given.finished or given.stand_ins):
        if not (RECORDS / f"{given.profile}.json").exists():
            parser.error(f"nothing is on record of {given.profile}: give --finished or --stand-ins")
        show(given.profile, recorded(given.profile)[0], given.workers, given.cores)
        return
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from dcpriv_lib.engine import paths, provenance  # before numpy, whose switches are set

    import matplotlib as mpl  # isort: skip
    import torch  # isort: skip
    from stand_ins import StandIns  # isort: skip

    mpl.use("Agg")
    torch.set_num_threads(1)
    stand_ins = None
    if given.stand_ins:
        os.environ["DCPRIV_RESULTS"] = str(paths.all_results() / "stand-ins")
        stand_ins = StandIns(paths.results(given.profile), given.most)
    graph = of_profile(given.profile, True, given.notebooks, stand_ins)
    tasks = list(graph.tasks.values())
    about = provenance.of_this_process()
    parts = ("written", "git_commit", "torch", "processor", "cores", "threads")
    kinds = [
        {"kind": kind} | {part: said[part] for part in ("seconds", "measured", "first")}
        for kind, said in (stand_ins.kinds if stand_ins else {}).items()
    ]
    made = "by stand-ins" if stand_ins else "from a finished run"
    told = {"profile": given.profile, "made": made, "notebooks": given.notebooks, "cells left out": graph.failed}
    text = record(tasks, kinds, told | {part: about[part] for part in parts})
    RECORDS.mkdir(exist_ok=True)
    (RECORDS / f"{given.profile}.json").write_text(text)
    show(given.profile, tasks, given.workers, given.cores)
    for failed in graph.failed:
        print(f"left out: {failed}")


if __name__ == "__main__":
    main()
