"""Fixtures shared by the tests."""

import os
import signal
import subprocess
import sys

import pytest

from dcpriv_lib import authors, data, paths


def pytest_collection_modifyitems(items):
    """Skip the tests of real MNIST and of the authors' models, by name, where DCPRIV_DATA does not point to them."""
    given = bool(os.environ.get("DCPRIV_DATA"))
    needs = {"mnist": (paths.data() / "MNIST" / "raw", "needs DCPRIV_DATA with the MNIST files"),
             "authors": (paths.data() / authors.NAME, f"needs, beside MNIST in DCPRIV_DATA: {authors.GET}")}
    for marker, (folder, reason) in needs.items():
        for item in items if not (given and folder.is_dir()) else ():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def engine(folder, profile="tiny", targets=(), **popen):
    """Start the engine with its results in `folder`; its own state stays in `folder` too. Without targets: all of it."""
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"DCPRIV_RESULTS": str(folder), "PATH": os.pathsep.join(
        [os.path.dirname(sys.executable), os.environ["PATH"]])}
    return subprocess.Popen(
        ["snakemake", "--cores", "2", "--nolock", "--rerun-incomplete", "--quiet", "all", "--directory",
         str(folder), "--snakefile", str(paths.REPOSITORY / "Snakefile"), "--config", f"profile={profile}", "--",
         *map(str, targets)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **popen)


def artefacts_in(folder):
    """Return every artefact below `folder` as relative path -> bytes (provenance left out, and the table of seconds)."""
    files = sorted(folder.rglob("*.npz")) + sorted(set(folder.rglob("*.csv")) - set(folder.rglob("methods_seconds.csv")))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The results folder of one complete run of the tiny profile."""
    folder = tmp_path_factory.mktemp("first")
    process = engine(folder)
    output, _ = process.communicate()
    assert process.returncode == 0, output[-3000:]  # the report alone would be there after a failure too
    return folder / "tiny"


@pytest.fixture(scope="session")
def digits():
    """The digits, split as the notebooks split them."""
    loaded = data.load("digits")
    return data.Split(loaded, data.split_indices(loaded), {"pixels": "standard"})


@pytest.fixture
def interruptible():
    """Let SIGINT raise KeyboardInterrupt: a shell's background jobs, as CI's may be, ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
