"""Jobs on workers of a scheduler: the same files, whoever is killed on the way; and nobody else is listened to."""

import asyncio
import functools
import json
import multiprocessing
import os
import pickle
import platform
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path

import cluster_jobs
import distributed
import numpy as np
import psutil
import pytest
import torch

from dcpriv_lib.engine import checkpoint, workers
from dcpriv_lib.engine.cluster import connection, driver, meeting, scheduler, sending, worker
from support import SOON, cluster, cluster_process, wait_for

slow = pytest.mark.slow


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster"), 2) as (results, processes):
        yield results, processes


def run(results: Path, *jobs) -> list:
    """Do the jobs and return where they stood on the way."""
    return list(driver.run(cluster_jobs.data(results), list(jobs)))


def walk_in_a_process(results: Path, job) -> multiprocessing.Process:
    """Do a job from a process of its own, as a notebook's is, and return that process."""
    process = multiprocessing.get_context("spawn").Process(target=run, args=(results, job))
    process.start()
    return process


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A worker of its own, in this process; what it sends itself is noted in `told`."""
    house, told = worker._House(results=tmp_path), []
    monkeypatch.setattr(worker, "_house", house)
    monkeypatch.setattr(meeting, "SEEN", 0.1)
    monkeypatch.setattr(os, "kill", lambda *how: told.append(how))
    meeting.open_(tmp_path)
    return house, told


# ---------------------------------------------------------------- jobs


@slow
def test_two_workers_make_the_files_that_two_processes_make(two_workers, tmp_path):
    results, processes = two_workers
    jobs = [cluster_jobs.job(f"who-{i}", cluster_jobs.by_whom, i) for i in range(8)]
    jobs += [cluster_jobs.job("walk", cluster_jobs.walk, 50, 0.001, str(tmp_path / "log"))]
    standings = run(results, *jobs)
    list(workers.run(here := cluster_jobs.data(tmp_path / "here"), jobs))

    assert standings[-1].done == 9 and standings[-1].waiting == 0 and standings[-1].workers == 2
    found = [job.result(cluster_jobs.data(results)) for job in jobs]
    assert {int(one["pid"]) for one in found[:8]} == {process.pid for process in processes[1:]}
    assert {int(one["threads"]) for one in found[:8]} == {1}
    assert [int(one["number"]) for one in found[:8]] == list(range(8))
    assert found[8]["sum"] == jobs[8].result(here)["sum"] == sum(np.random.default_rng(i).random() for i in range(50))


def who_meets_whom(results, folder, whom: dict[str, list[str]]) -> list[str]:
    """Let jobs wait for each other, and return in which order processes began and ended them."""
    folder.mkdir()
    jobs = [cluster_jobs.job(f"{folder.name}-{own}", cluster_jobs.meet, own, whom[own], str(folder)) for own in whom]
    run(results, *jobs)
    assert all(job.result(cluster_jobs.data(results))["met"] for job in jobs)
    return lines(folder / "log")


@slow
def test_a_slow_worker_does_not_hold_up_the_rest(two_workers, tmp_path):
    """The first of four jobs ends once the three others have begun: none of them waits behind it."""
    who_meets_whom(two_workers[0], tmp_path / "slow", {"first": ["b", "c", "d"], "b": [], "c": [], "d": []})


@slow
def test_as_many_jobs_run_as_there_are_workers_and_each_does_one(two_workers, tmp_path):
    results, processes = two_workers
    order = who_meets_whom(results, tmp_path / "pairs", {"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"]})
    for process in processes[1:]:
        own = [line.split()[1] for line in order if line.startswith(f"{process.pid} ")]
        assert own == ["begins", "ends"] * 2
    assert not [child for process in processes for child in psutil.Process(process.pid).children()]


@slow
@pytest.mark.parametrize(("error", "attempts"), [(RuntimeError, 3), (OSError, 3), (ValueError, 1)])
def test_a_job_that_fails_fails_the_run_with_its_sentence(two_workers, tmp_path, error, attempts):
    results, processes = two_workers
    log = tmp_path / "log"
    with pytest.raises(worker.JobError, match=rf"^once/f, on worker .*-\d+: {error.__name__}: the disk is full$"):
        run(results, cluster_jobs.job("f", cluster_jobs.fail, error, "the disk is full", str(log)))
    assert len(lines(log)) == attempts
    assert all(process.poll() is None for process in processes)


def test_a_scheduler_gives_jobs_to_its_worker(house, tmp_path):
    """All three in this process, over TLS."""
    jobs = [cluster_jobs.job(f"who-{i}", cluster_jobs.by_whom, i) for i in range(3)]

    async def everything():
        scheduling = asyncio.create_task(scheduler.run(tmp_path, "127.0.0.1", True))
        while not meeting.is_there(tmp_path):
            await asyncio.sleep(0.02)
        working = await worker._begin(tmp_path)
        standings = await asyncio.to_thread(run, tmp_path, *jobs)
        await working.close()
        scheduling.cancel()
        await asyncio.gather(scheduling, return_exceptions=True)
        return standings[-1]

    last = asyncio.run(everything())
    checkpoint.stop_others.clear()  # as this worker, which has ended, set it
    assert (last.done, last.running, last.waiting, last.workers) == (3, 0, 0, 1)
    assert [int(job.result(cluster_jobs.data(tmp_path))["number"]) for job in jobs] == [0, 1, 2]
    assert not meeting.is_there(tmp_path)


def test_no_large_array_is_sent_and_all_arrive_with_their_bits(tmp_path):
    """Of 8 MB of images two populations send names, and their file is there once, for both labellings."""
    meeting.open_(tmp_path)
    images, labels = torch.randn(10_000, 1, 14, 14), torch.arange(10_000)
    data = replace(cluster_jobs.data(tmp_path), images=images, labels=labels, split=np.arange(9_000))
    wrong = replace(data, labels=labels.flip(0), inputs={"canaries": "all"})
    sent = [
        len(pickle.dumps(driver._tasks(one, [cluster_jobs.job("a", cluster_jobs.by_whom, 1)], "")))
        for one in (data, wrong)
    ]
    assert max(sent) < 10_000
    assert len(list((tmp_path / meeting.FOLDER).glob("*.npy"))) == 4
    found, other = (sending.unpack(sending.pack(one), tmp_path) for one in (data, wrong))
    assert found.images.equal(images) and found.labels.equal(labels) and (found.split == np.arange(9_000)).all()
    assert other.labels.equal(labels.flip(0)) and other.images is found.images
    assert sending.unpack(sending.pack(data), tmp_path) is found, "what jobs keep of it is found by the next"


def test_a_strided_tensor_arrives_with_its_strides_and_a_changed_copy_is_another_file(tmp_path):
    """In another order of memory the same numbers may be added in another order."""
    meeting.open_(tmp_path)
    images = torch.randn(300, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    data = replace(cluster_jobs.data(tmp_path), images=images)
    found = sending.unpack(sending.pack(data), tmp_path)
    assert found.images.equal(images) and found.images.stride() == images.stride()
    changed = replace(data, images=images.contiguous() + 1, inputs={"changed": True})
    assert sending.unpack(sending.pack(changed), tmp_path).images.equal(images + 1)


# ---------------------------------------------------------------- who ends on the way


@slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_lost_worker_had_begun_is_taken_up_from_its_state(tmp_path, how):
    job = cluster_jobs.job("walk", cluster_jobs.walk, 150, 0.02, str(tmp_path / "log"))
    with cluster(tmp_path, 2) as (results, processes):
        driving = walk_in_a_process(results, job)
        doing = int(wait_for(lambda: lines(tmp_path / "log"))[0].split()[0])
        time.sleep(1)
        (ended,) = (process for process in processes if process.pid == doing)
        ended.send_signal(how)
        assert ended.wait(SOON) == (0 if how == signal.SIGTERM else -how)
        driving.join(SOON)
        assert driving.exitcode == 0
        first, second = (line.split() for line in lines(tmp_path / "log"))
        assert first[0] != second[0] and int(second[1]) > 0
        assert job.result(cluster_jobs.data(results))["sum"] == sum(
            np.random.default_rng(i).random() for i in range(150)
        )


@slow
def test_a_job_that_ends_three_workers_ends_the_run_and_says_so(tmp_path):
    what = cluster_jobs.job("die", cluster_jobs.die, str(tmp_path / "log"))
    said = pytest.raises(meeting.ClusterError, match=r"once/die: 3 workers ended .* too little memory")
    with cluster(tmp_path, 3) as (results, _), said:
        run(results, what)
    assert len(set(lines(tmp_path / "log"))) == 3


@slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_of_a_notebook_that_ends_are_idle_and_not_dead(tmp_path, how):
    job = cluster_jobs.job("walk", cluster_jobs.walk, 100_000, 0.02, str(tmp_path / "log"))
    with cluster(tmp_path, 1) as (results, processes):
        driving = walk_in_a_process(results, job)
        wait_for(lambda: lines(tmp_path / "log"))
        time.sleep(1)
        os.kill(driving.pid, how)
        driving.join(SOON)
        run(results, other := cluster_jobs.job("other", cluster_jobs.by_whom, 1))
        assert int(other.result(cluster_jobs.data(results))["pid"]) == processes[1].pid  # it waits for nothing else
        state = job._state(results) if job.grows_with else next((results / "once").glob("*unfinished*"), None)
        assert state is not None and len(lines(tmp_path / "log")) == 1


@slow
def test_a_scheduler_that_is_killed_ends_its_workers_and_the_run_which_goes_on_later(tmp_path):
    job = cluster_jobs.job("walk", cluster_jobs.walk, 200, 0.02, str(tmp_path / "log"))
    with cluster(tmp_path, 1) as (results, processes):
        driving = walk_in_a_process(results, job)
        wait_for(lambda: lines(tmp_path / "log"))
        time.sleep(1)
        processes[0].kill()
        driving.join(SOON)
        assert driving.exitcode == 1
        assert processes[1].wait(SOON) == 0
        assert "the scheduler has gone: start it" in processes[1].stdout.read()
        with pytest.raises(meeting.ClusterError, match=r"no scheduler answers .*: start it again"):
            run(results, job)
    early = cluster_process(tmp_path, "worker", "tiny")  # it meets what the killed one has left, and waits
    with early, cluster(tmp_path, 0) as (results, _):
        run(results, job)
        assert int(lines(tmp_path / "log")[1].split()[1]) > 0
        assert job.result(cluster_jobs.data(results))["sum"] == sum(
            np.random.default_rng(i).random() for i in range(200)
        )


# ---------------------------------------------------------------- who may take part


@slow
def test_only_the_owner_can_take_part_and_only_from_this_machine(two_workers):
    results, processes = two_workers
    place = results / meeting.FOLDER
    assert place.stat().st_mode & 0o777 == 0o700
    assert (place / meeting.KEY).stat().st_mode & 0o777 == (place / meeting.CERTIFICATE).stat().st_mode & 0o777 == 0o600
    listening = [c for p in processes for c in psutil.Process(p.pid).net_connections() if c.status == "LISTEN"]
    assert len(listening) >= 3 and {c.laddr.ip for c in listening} == {"127.0.0.1"}

    address = meeting.address(results)
    stranger = distributed.Security.temporary()
    for place_, security in ((address, stranger), (address.replace("tls", "tcp"), distributed.Security())):
        with pytest.raises(OSError, match=r".+"):
            distributed.Client(place_, security=security, timeout=3)
    for listens in (processes[0], processes[1]):
        ports = {c.laddr.port for c in psutil.Process(listens.pid).net_connections() if c.status == "LISTEN"}
        for port in ports:
            arguments = stranger.get_connection_args("client")
            with pytest.raises(OSError, match=r".+"):
                asyncio.run(distributed.comm.connect(f"tls://127.0.0.1:{port}", timeout=3, **arguments))
    run(results, cluster_jobs.job("after-strangers", cluster_jobs.by_whom, 0))


@slow
def test_a_second_scheduler_is_refused(two_workers):
    results, _ = two_workers
    second = cluster_process(results.parent, "scheduler", "tiny")
    assert second.wait(SOON) == 1
    assert "runs already, at tls://127.0.0.1:" in second.stdout.read()
    assert meeting.is_there(results)


@slow
def test_a_worker_of_other_code_is_refused(two_workers, tmp_path):
    results, _ = two_workers
    other = tmp_path / "tiny" / meeting.FOLDER
    other.mkdir(0o700, parents=True)
    said = json.loads((results / meeting.FOLDER / meeting.ADDRESS).read_text())
    (other / meeting.ADDRESS).write_text(json.dumps(said | {"code": "dcpriv_lib 0123"}))
    refused = cluster_process(tmp_path, "worker", "tiny")
    assert refused.wait(SOON) == 1
    sentence = refused.stdout.read()
    assert "runs other code than this process (dcpriv_lib 0123; here dcpriv_lib" in sentence
    assert "Traceback" not in sentence


def test_a_notebook_of_other_code_is_refused(tmp_path, monkeypatch):
    place = meeting.open_(tmp_path)
    meeting.announce(tmp_path, "tls://127.0.0.1:9")
    assert meeting.address(tmp_path) == "tls://127.0.0.1:9" and meeting.is_there(tmp_path)
    monkeypatch.setattr(meeting, "code", lambda: "dcpriv_lib other")
    with pytest.raises(meeting.ClusterError, match="start both from the same commit"):
        run(tmp_path, None)
    (place / meeting.ADDRESS).write_text("{")
    with pytest.raises(meeting.ClusterError, match=r"scheduler.json is damaged"):
        run(tmp_path, None)
    (place / meeting.ADDRESS).unlink()
    meeting.close(tmp_path)
    assert not place.exists()
    with pytest.raises(meeting.ClusterError, match=r"start it first \(python -m"):
        meeting.address(tmp_path)


def test_a_worker_that_sees_a_copy_of_the_results_ends(house, tmp_path):
    (house, told), job = house, cluster_jobs.job("a", cluster_jobs.by_whom, 1)
    parcel = sending.pack(cluster_jobs.data(tmp_path / "elsewhere"))
    with pytest.raises(distributed.Reschedule):
        worker.do(job, parcel, "token", "key")
    assert told == [(os.getpid(), signal.SIGTERM)]
    assert "is not the folder in which the notebooks keep their results" in house.unfit

    house.ending.clear()
    (tmp_path / meeting.FOLDER / "token").touch()
    assert worker.do(job, parcel, "token", "key") == ""
    assert job.path(tmp_path).exists() and not (tmp_path / "elsewhere").exists()


def test_a_worker_of_another_device_ends(house, tmp_path):
    house, told = house
    (tmp_path / meeting.FOLDER / "token").touch()
    job = replace(cluster_jobs.job("a", cluster_jobs.by_whom, 1), inputs={"device": "NVIDIA H200"})
    with pytest.raises(distributed.Reschedule):
        worker.do(job, sending.pack(cluster_jobs.data(tmp_path)), "token", "key")
    assert told and house.unfit == "the notebooks compute on NVIDIA H200, and here is cpu: bits would differ"


def test_a_job_that_nobody_waits_for_any_more_is_not_begun_and_its_worker_stays(house, tmp_path):
    house, told = house
    worker._StopsWithItsTask().transition("key", "ready", "released")
    parcel = sending.pack(cluster_jobs.data(tmp_path))
    with pytest.raises(distributed.Reschedule):
        worker.do(cluster_jobs.job("a", cluster_jobs.by_whom, 1), parcel, "gone", "key")
    assert told == [] and not house.ending.is_set() and not (tmp_path / "once").exists()


@pytest.mark.parametrize("mode", [0o777, 0o750, 0o701])
def test_a_folder_that_somebody_else_may_have_made_is_not_believed(tmp_path, mode):
    meeting.open_(tmp_path)
    meeting.announce(tmp_path, "tcp://127.0.0.1:9")
    (tmp_path / meeting.FOLDER).chmod(mode)
    with pytest.raises(meeting.ClusterError, match="is not a folder that you alone may enter"):
        meeting.address(tmp_path)


def test_a_scheduler_that_has_been_killed_is_replaced_and_no_other(tmp_path, monkeypatch):
    begin = functools.partial(scheduler._refuse_a_second, tmp_path)
    meeting.open_(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        meeting.announce(tmp_path, f"tls://127.0.0.1:{listening.getsockname()[1]}")
        monkeypatch.setattr(meeting, "code", lambda: "of another commit")
        with pytest.raises(meeting.ClusterError, match="runs already, at tls://127.0.0.1:"):
            asyncio.run(begin())
    asyncio.run(begin())  # nobody listens there
    monkeypatch.setattr(platform, "node", lambda: "another-host")
    with pytest.raises(meeting.ClusterError, match=r"runs on .*: stop it first, or .* remove"):
        asyncio.run(begin())
    meeting.close(tmp_path)
    assert meeting.is_there(tmp_path), "it is not that host's"


def test_an_address_that_this_machine_has_not_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(meeting.ClusterError, match=r"--listen 203.0.113.1: nobody can listen there"):
        asyncio.run(scheduler.run(tmp_path, "203.0.113.1", True))
    assert not (tmp_path / meeting.FOLDER).exists()


@slow
def test_without_a_certificate_only_who_asks_for_it(tmp_path):
    open_to_all = cluster_process(tmp_path, "scheduler", "tiny", "--unencrypted")
    try:
        wait_for(lambda: meeting.is_there(tmp_path / "tiny"))
        assert meeting.address(tmp_path / "tiny").startswith("tcp://127.0.0.1:")
        assert not connection.security(tmp_path / "tiny").require_encryption
    finally:
        open_to_all.terminate()
        assert open_to_all.wait(SOON) == 0
    assert not (tmp_path / "tiny" / meeting.FOLDER).exists()
