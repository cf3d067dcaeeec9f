"""The simulated cluster, against graphs whose times are known."""

import sys
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from dcpriv_lib.engine import paths

sys.path.insert(0, str(paths.REPOSITORY / "benchmarks"))
import scaling
from scaling import Graph, Task, critical, in_ranges, ranges, simulate, table


def chain(seconds):
    names = [f"c{number}" for number in range(len(seconds))]
    return [Task(name, one, (before,) if before else ()) for name, one, before in zip(names, seconds, [None, *names])]


@pytest.mark.parametrize("workers", [1, 2, 1000])
def test_a_chain_takes_as_long_on_any_number_of_workers(workers):
    seconds, found = simulate(chain([3, 1, 4]), workers)
    assert seconds == 8 and [task.name for task in found] == ["c0", "c1", "c2"]


@pytest.mark.parametrize(("workers", "seconds"), [(1, 24), (2, 12), (5, 6), (12, 2), (1000, 2)])
def test_a_fan_of_equal_jobs_takes_so_many_rounds(workers, seconds):
    fan = [Task(f"f{number}", 2) for number in range(12)]
    assert simulate(fan, workers)[0] == seconds
    assert table(fan, [workers])[0]["efficiency"] == pytest.approx(24 / seconds / workers)


@pytest.mark.parametrize(("workers", "seconds"), [(1, 10), (2, 8), (3, 8)])
def test_of_a_diamond_the_longer_side_counts(workers, seconds):
    diamond = [Task("top", 1), Task("left", 2, ("top",)), Task("right", 6, ("top",)), Task("end", 1, ("left", "right"))]
    found, path = simulate(diamond, workers)
    assert found == seconds
    assert workers == 1 or [task.name for task in path] == ["top", "right", "end"]


def test_what_a_notebook_computes_takes_no_worker():
    both = [Task("job", 5), Task("of one notebook", 5, (), False), Task("of another", 5, (), False)]
    assert simulate(both, 1)[0] == 5


@pytest.mark.parametrize(("cores", "seconds"), [(1, 15), (2, 10), (3, 5)])
def test_workers_and_notebooks_on_one_machine_share_its_cores(cores, seconds):
    both = [Task("job", 5), Task("of one notebook", 5, (), False), Task("of another", 5, (), False)]
    assert simulate(both, 1, cores)[0] == seconds


def test_tasks_that_need_each_other_are_refused():
    with pytest.raises(ValueError, match="without cycles"):
        simulate([Task("a", 1, ("b",)), Task("b", 1, ("a",))], 2)


tasks = st.lists(st.tuples(st.integers(1, 9), st.sets(st.integers(0, 9), max_size=3)), min_size=1, max_size=12).map(
    lambda drawn: [
        Task(str(number), seconds, tuple(str(need % number) for need in needs) if number else ())
        for number, (seconds, needs) in enumerate(drawn)
    ]
)


@given(tasks, st.integers(1, 5))
def test_no_time_is_better_than_possible_or_worse_than_grahams_bound(drawn, workers):
    """Graham (1969): at most the work divided by the workers, and the longest chain in what they are not all busy."""
    work, (longest, _), (seconds, _) = sum(one.seconds for one in drawn), simulate(drawn, 99), simulate(drawn, workers)
    assert max(longest, work / workers) <= seconds <= work / workers + longest * (1 - 1 / workers) + 1e-9
    assert simulate(drawn, 1)[0] == work == scaling.work(drawn)


def test_a_job_that_two_notebooks_want_is_done_once_and_both_wait_for_it():
    graph = Graph(cluster=True)
    graph.add_jobs({"a": 7.0})
    graph.after = ()
    graph.add("another notebook", 1.0)
    graph.add_jobs({"a": 7.0, "b": 2.0})
    graph.add("its end", 1.0)
    found, path = simulate(graph.tasks.values(), 9)
    assert found == 8.0 and critical(path) == ["       7.0 s  worker: a", "       1.0 s  notebook its end"]


def test_jobs_that_are_done_do_not_let_a_notebook_forget_what_it_did_before():
    graph = Graph(cluster=True)
    graph.add_jobs({"a": 1.0})
    graph.after = ()
    graph.add("another notebook", 5.0)
    graph.add_jobs({"a": 1.0})
    graph.add("its end", 1.0)
    assert simulate(graph.tasks.values(), 9)[0] == 6.0


@given(st.lists(st.integers(0, 30)))
def test_ranges_are_read_as_they_were_written(numbers):
    assert in_ranges(ranges(numbers)) == numbers
    assert ranges([3, 4, 5, 8, 0]) == "3-5 8 0"


@given(tasks)
def test_what_is_written_is_read_as_the_same_graph(tmp_path_factory, drawn):
    place = tmp_path_factory.mktemp("records")
    (place / "some.json").write_text(scaling.record(drawn, [{"kind": "a", "seconds": 1.0}], {"profile": "some"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "RECORDS", place)
        found, about = scaling.recorded("some")
    assert found == drawn and about["profile"] == "some" and about["kinds"][0]["seconds"] == 1.0


def test_what_a_worker_keeps_spares_its_next_task_and_no_other_workers():
    two = [Task(name, 1, (), True, "people", 5) for name in "ab"]
    assert simulate(two, 1)[0] == 7 and simulate(two, 2)[0] == 6
    assert table(two, [2])[0]["times as fast"] == pytest.approx(7 / 6)


RECORDED = sorted(file.stem for file in scaling.RECORDS.glob("*.json"))


@pytest.mark.parametrize("profile", RECORDED)
def test_the_table_that_is_told_is_that_of_the_record(profile):
    """And no cell was left out, of which nobody knows what it would have asked for."""
    found, about = scaling.recorded(profile)
    assert not about["cells left out"]
    lines = [
        line.strip(" |").split(" | ") for line in (paths.REPOSITORY / "benchmarks/README.md").read_text().split("\n")
    ]
    (workers,) = (line[1:] for line in lines if line[0] == "workers" and len(line) > 4)
    (told,) = (line[1:] for line in lines if line[0] == f"`{profile}`" and len(line) == len(workers) + 1)
    one, *more = table(found, [int(number.replace(",", "")) for number in workers])
    assert told[0] == f"{one['seconds']:,.0f} s"
    assert [cell.replace(" %", "%") for cell in told[1:]] == [
        "{times as fast:.1f}, {efficiency:.0%}".format(**row) for row in more
    ]


def test_the_readme_tells_the_times_of_the_records():
    told = " ".join((paths.REPOSITORY / "README.md").read_text().split())
    faster = {name: [row["times as fast"] for row in table(scaling.recorded(name)[0], [16, 128])] for name in RECORDED}
    (small, small_many), (paper, paper_many) = faster["mnist-small"], faster["paper"]
    assert f"16 workers are {small:.1f} times as fast as one core on `mnist-small` and {paper:.1f} on `paper`" in told
    assert f"128 are {small_many:.0f} and {paper_many:.0f} times as fast" in told
    longest = {name: max(task.seconds for task in scaling.recorded(name)[0] if task.by_a_worker) for name in RECORDED}
    assert round(longest["mnist-small"] / 60) == 2 and round(longest["paper"] / 60) == 19


def test_what_is_said_to_keep_the_released_images_from_more_does():
    found, _ = scaling.recorded("mnist-released")
    itself = {task.name for task in found if task.name.startswith("12_released_images #")}
    own = sum(task.seconds for task in found if task.name in itself)
    neither = [replace(task, first=0.0, seconds=0.0 if task.name in itself else task.seconds) for task in found]
    sixteen, thousand = (row["times as fast"] for row in table(neither, [16, 1000]))
    told = " ".join((paths.REPOSITORY / "benchmarks/README.md").read_text().split())
    assert f"computes {own:.0f} s itself" in told and f"up to {max(task.first for task in found):.0f} s" in told
    assert f"16 workers would be {sixteen:.1f} times as fast, and 1,000 {thousand:.1f} times" in told
