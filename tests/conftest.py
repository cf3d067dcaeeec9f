"""Fixtures shared by the tests."""

import dcpriv_lib  # noqa: F401  before anything imports numpy: it sets the switches

# isort: split
import fcntl
import os
import signal
from unittest import mock

import matplotlib.pyplot as plt
import pytest

from bad_input import no_network, refused  # noqa: F401  fixtures
from dcpriv_lib.data import catalogue, split
from dcpriv_lib.engine import paths
from dcpriv_lib.external import authors
from support import engine

LONGEST = "test_notebooks_on_a_device.py"

# A shell that starts this in the background lets it ignore Ctrl-C, and so do all whom the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Skip the tests of real MNIST and of the authors' models, by name, where DCPRIV_DATA does not point to them; begin
    with the longest file, and then with those that have slow ones."""
    given = bool(os.environ.get("DCPRIV_DATA"))
    needs = {
        "mnist": (paths.data() / "MNIST" / "raw", "needs DCPRIV_DATA with the MNIST files"),
        "authors": (paths.data() / authors.NAME, f"needs, beside MNIST in DCPRIV_DATA: {authors.GET}"),
    }
    for marker, (folder, reason) in needs.items():
        for item in items if not (given and folder.is_dir()) else ():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.name != LONGEST, item.path not in long))  # or one would be the last to end


@pytest.fixture(autouse=True)
def nothing_left():
    """What a test sets in the environment or draws, the next test in its process does not find."""
    with mock.patch.dict(os.environ):
        yield
    plt.close("all")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, worker_id):
    """The results folder of one complete run of the tiny profile: to be read; whoever changes it copies it.

    Of pytest-xdist's processes the first that asks for it makes it for all.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "first"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            process = engine(folder)
            output, _ = process.communicate()
            assert process.returncode == 0, output[-3000:]  # the report alone would be there after a failure too
    return folder / "tiny"


@pytest.fixture(scope="session")
def digits():
    """The digits, split as the notebooks split them."""
    loaded = catalogue.load("digits")
    return split.Split(loaded, split.split_indices(loaded), {"pixels": "standard"})
