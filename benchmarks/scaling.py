"""How long a profile takes on more workers than there are: a simulation, from what a finished run has on record.

    python benchmarks/scaling.py quick

Every notebook of the profile is executed again. Its models and sets are found, so this takes as long as the rest of it;
which jobs it asks for, what it waits for and how long it computes itself in between is written down. With the seconds
that every job took (its record has them) this is a graph of tasks, which is then done by so many workers: whoever is
free takes the task that has waited longest. The notebooks compute on a machine of their own, which has a core for each.

"One core" is the sum of all seconds. "Local" is one machine without a scheduler, where one notebook trains at a time.
"""

import argparse
import contextlib
import heapq
import io
import os
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

STARTUP = 10.0  # seconds until a notebook's kernel has imported what it needs, on a core that does nothing else


@dataclass(frozen=True)
class Task:
    """What is done without a break: a job by a worker, or what a notebook computes between two waits for jobs.

    Attributes
    ----------
    name : unique.
    seconds : it takes.
    needs : the names of those that have to be done before.
    by_a_worker : whether it takes one.
    """

    name: str
    seconds: float
    needs: tuple[str, ...] = ()
    by_a_worker: bool = True


def simulate(tasks: Iterable[Task], workers: int) -> tuple[float, list[Task]]:
    """Return the seconds until all tasks are done, and the chain of tasks that was the last to end.

    Whoever is free takes the task that could begin first; of several, the one named first. (So none is ever idle while
    there is something to do: Graham 1969 bounds what a better order could gain.) The chain's first task needs no other;
    between two of its tasks there may have been a wait for a worker.
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
    free, now = workers, 0.0
    while ready or running:
        kept = []
        while ready:
            since, number, name = heapq.heappop(ready)
            if tasks[name].by_a_worker and not free:
                kept.append((since, number, name))
                continue
            free -= tasks[name].by_a_worker
            heapq.heappush(running, (now + tasks[name].seconds, number, name))
        ready = kept
        heapq.heapify(ready)
        now, _, done = heapq.heappop(running)
        ends[done] = now
        free += tasks[done].by_a_worker
        for name in follow[done]:
            missing[name] -= 1
            if not missing[name]:
                heapq.heappush(ready, (now, place[name], name))
    if len(ends) < len(tasks):
        raise ValueError("some tasks need each other: expected a graph without cycles")
    chain = [max(ends, key=ends.__getitem__)] if ends else []
    while chain and tasks[chain[-1]].needs:
        chain.append(max(tasks[chain[-1]].needs, key=ends.__getitem__))
    return now, [tasks[name] for name in reversed(chain)]


@dataclass
class Graph:
    """The tasks of all notebooks, in the order in which they were asked for.

    Attributes
    ----------
    tasks : name to task.
    after : the names of those that the next one has to wait for.
    cluster : whether what waits for nothing is begun at once, and ahead of what a notebook reads.
    """

    cluster: bool
    tasks: dict[str, Task] = field(default_factory=dict)
    after: tuple[str, ...] = ()

    def add(self, name: str, seconds: float, by_a_worker: bool = False) -> None:
        """Add a task that follows on the last, and be the last."""
        name = f"{name} #{len(self.tasks)}"
        self.tasks[name] = Task(name, seconds, self.after, by_a_worker)
        self.after = (name,)

    def add_jobs(self, jobs: dict[str, float]) -> None:
        """Add jobs, name to seconds, all of which follow on the last; those that are there are waited for."""
        before = self.after
        for name, seconds in jobs.items():
            self.tasks.setdefault(name, Task(name, seconds, before))
        self.after = tuple(dict.fromkeys((*before, *jobs)))


def cells(source: str) -> list[str]:
    """Return the code cells of a notebook's .py."""
    parts = re.split(r"^# %%(.*)\n", source, flags=re.M)[1:]
    return [code for title, code in zip(parts[::2], parts[1::2]) if "[markdown]" not in title]


def follow(stage, parameters: dict, graph: Graph, ahead: bool = False) -> None:
    """Execute a notebook whose models and sets are there, and add what it does to a graph.

    With `ahead` nothing is there that it reads of others, and a cell that fails for it is left out.
    """
    import matplotlib.pyplot as plt

    from dcpriv_lib import jobs, stages, study
    from dcpriv_lib.engine import paths, store
    from dcpriv_lib.results import kept

    since = time.perf_counter()

    def own() -> None:
        nonlocal since
        graph.add(stage.name, time.perf_counter() - since)
        since = time.perf_counter()

    def asked(wanted, folder) -> None:
        own()
        found = {job.path(folder).name: job.path(folder) for job in wanted}
        graph.add_jobs({name: store.read_record(path)["provenance"]["seconds"] for name, path in found.items()})

    def made(self, wanted, what, original=study.Study._made):
        asked(wanted, self.folder)
        return original(self, wanted, what)

    def result(self, data, *progress, original=jobs.Job.result):
        if not self.place.startswith("once/"):
            return original(self, data, *progress)
        asked([self], data.folder)
        return original(self, data, *progress)

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
        (jobs.Job, "result", result),
        (kept.Results, "load_table", load_table),
    ]
    originals = [(place, name, getattr(place, name)) for place, name, _ in replaced]
    for place, name, function in replaced:
        setattr(place, name, function)
    names = {"display": lambda *_: None, "__name__": "notebook"}
    graph.add(f"{stage.name} begins", STARTUP)
    try:
        for number, code in enumerate(cells((paths.NOTEBOOKS / f"{stage.name}.py").read_text())):
            with contextlib.redirect_stdout(io.StringIO()):
                try:
                    exec(compile(code, f"{stage.name}, code cell {number + 1}", "exec"), names)
                except Exception:
                    if not ahead:
                        raise
            if number == 0:
                names |= parameters
            plt.close("all")
        own()
    finally:
        for place, name, function in originals:
            setattr(place, name, function)


def of_profile(name: str, cluster: bool) -> Graph:
    """Return the graph of a finished profile, on a cluster or on one machine."""
    from dcpriv_lib import profiles, stages
    from dcpriv_lib.engine import paths

    graph, profile, ends = Graph(cluster), profiles.read(name), {}
    executed = paths.results(name) / "notebooks"
    for stage in (one for one in stages.in_profile(profile) if (executed / f"{one.name}.ipynb").exists()):
        print(f"  {stage.name}", file=sys.stderr)
        waits = [ends[stages.MADE_BY[one]] for one in stage.reads]
        if cluster and stage.ahead:
            graph.after = ends[stages.MADE_BY["split"]]
            follow(stage, profile[stage.name], graph, ahead=True)
            waits.append(graph.after)
        if cluster:
            graph.after = tuple(dict.fromkeys(end for one in waits for end in one))
        follow(stage, profile[stage.name], graph)
        ends[stage.name] = graph.after
    graph.after = tuple(dict.fromkeys(end for one in ends.values() for end in one))
    graph.add("the report", 0.0)
    return graph


def table(tasks: list[Task], workers: Iterable[int]) -> list[dict]:
    """Return a row for each number of workers: seconds, how many times as fast as one core, and efficiency."""
    one_core = sum(task.seconds for task in tasks)
    rows = []
    for number in workers:
        seconds, _ = simulate(tasks, number)
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


def main() -> None:
    """Print the tables of one profile."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("profile", help="of which notebooks were run, by this version of them; the others are left out")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 16, 128, 1000])
    given = parser.parse_args()
    from dcpriv_lib.engine import ahead  # before numpy, whose switches are set

    import matplotlib as mpl  # isort: skip

    mpl.use("Agg")
    os.environ[ahead.VARIABLE] = "yes"  # nothing is kept: all of it is there
    for cluster in (True, False):
        tasks = list(of_profile(given.profile, cluster).tasks.values())
        jobs = [task for task in tasks if task.by_a_worker]
        print(
            f"\n{given.profile}, {'a cluster' if cluster else 'local'}: {len(jobs):,} jobs, "
            f"{sum(job.seconds for job in jobs):,.0f} s; the notebooks themselves "
            f"{sum(task.seconds for task in tasks if not task.by_a_worker):,.0f} s"
        )
        for row in table(tasks, given.workers if cluster else [1, 2]):
            print("{workers:6,} workers {seconds:10,.0f} s {times as fast:8.1f} x {efficiency:7.0%}".format(**row))
        if cluster:
            longest = max(jobs, key=lambda job: job.seconds)
            print(
                f"the longest job: {longest.name}, {longest.seconds:,.0f} s; on {max(given.workers):,} workers nothing "
                "else could end before",
                *critical(simulate(tasks, max(given.workers))[1]),
                sep="\n",
            )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
