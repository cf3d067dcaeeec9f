"""Every notebook and its solutions compute on another device than the CPU, a pretended one, and no tensors mix."""

import os
import re
import subprocess
import sys
from pathlib import Path

import on_a_device
import pytest

from dcpriv_lib.engine import paths
from dcpriv_lib.external import authors

TRAIN = "02_condensation", "03_shadow_training", "06_stronger_attacks", "07_controls", "09_methods", "11_formal_privacy"


@pytest.fixture(scope="session")
def told(tmp_path_factory):
    """What `on_a_device` says of each notebook; all run one after the other in one process, for many
    minutes."""
    names = on_a_device.NOTEBOOKS + on_a_device.SOLUTIONS
    there = (paths.data() / authors.NAME).is_dir()
    names = [name for name in names if there or not name.startswith(on_a_device.OF_THE_AUTHORS)]
    done = subprocess.run(
        [sys.executable, on_a_device.__file__, *names],
        env=os.environ | {"DCPRIV_RESULTS": str(tmp_path_factory.mktemp("device"))},
        cwd=Path(on_a_device.__file__).parents[2],
        capture_output=True,
        text=True,
    )
    found = re.split(r"^(\w+) (ok|FAILED) ", done.stdout, flags=re.MULTILINE)[1:]
    assert found, done.stderr[-3000:]
    return {name: (how, text) for name, how, text in zip(found[::3], found[1::3], found[2::3])}


@pytest.mark.slow
@pytest.mark.parametrize("name", on_a_device.NOTEBOOKS + on_a_device.SOLUTIONS)
def test_a_notebook_runs_on_a_device(name, told):
    if name not in told and name.startswith(on_a_device.OF_THE_AUTHORS):
        pytest.skip(f"needs, beside MNIST in DCPRIV_DATA: {authors.GET}")
    how, text = told[name]
    assert how == "ok", text
    if name in TRAIN:
        assert int(re.search(r"'launches': (\d+)", text)[1]) > 100, "it computed on the CPU"
