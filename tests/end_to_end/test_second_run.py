"""A second run of the tiny profile, killed twice and helped by a cluster in between, ends in the same bytes."""

import contextlib

import psutil
import pytest

from dcpriv_lib.engine import store
from support import artefacts_in, cluster, engine, wait_for

pytestmark = pytest.mark.slow


def killed(folder, pattern):
    """Start the engine and kill -9 it and all that it started once there is a file of that pattern; return what is then
    finished of sets and models, and when each was written."""
    process = engine(folder)
    wait_for(lambda: list(folder.glob(pattern)) or process.poll() is not None, seconds=600)
    started = psutil.Process(process.pid).children(recursive=True)  # kernels, too, which are in groups of their own
    for one in [process, *started]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.communicate()
    stored = [*folder.glob("tiny/condensed/*.npz"), *folder.glob("tiny/models/*.npz")]
    return {path: path.stat().st_mtime_ns for path in stored if store.sidecar(path).exists()}  # no states


def test_a_run_that_is_killed_goes_on_with_and_without_a_cluster_and_ends_in_identical_artefacts(tiny, tmp_path):
    """kill -9, then the same command: the same bytes, finished models untouched.

    The comparison with the session's first run is also the check that a seed gives the same bits twice.
    """
    results = tmp_path / "tiny"
    before = killed(tmp_path, "tiny/models/target-*.npz")
    assert any(path.name.startswith("target-") for path in before), "killed in notebook 2"
    assert not (results / "targets.npz").exists()

    with cluster(tmp_path, 2) as (_, (scheduler, *workers)):  # it goes on up to the reference models
        output, _ = engine(tmp_path, targets=[results / "notebooks/06_stronger_attacks.ipynb"]).communicate()
        assert (results / "notebooks/06_stronger_attacks.ipynb").exists(), output[-3000:]
        for worker in workers:
            worker.terminate()
            assert "models/reference-" in worker.communicate()[0]
        scheduler.terminate()  # and says that it ended: one that is killed would be waited for
        scheduler.communicate()
    there, first = artefacts_in(results), artefacts_in(tiny)
    assert {"references.npz", "targets.npz"} < there.keys() < first.keys()
    assert [name for name in there if there[name] != first[name]] == []
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())

    before = killed(tmp_path, "tiny/models/all-*.npz")
    assert any(path.name.startswith("all-") for path in before), "killed in notebook 7"
    assert not (results / "controls.npz").exists()

    output, _ = engine(tmp_path).communicate()
    assert (results / "report/index.html").exists(), output[-3000:]
    again, first = artefacts_in(results), artefacts_in(tiny)
    assert again.keys() == first.keys()
    assert [name for name in first if again[name] != first[name]] == []
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
