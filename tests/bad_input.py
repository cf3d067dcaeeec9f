"""Bad input is refused: the right error, in one sentence, before compute, and nothing is lost. What its tests share.

The fixture `refused` checks the error's class, that its message is a single line with the words
that name the file or parameter, what was expected and what to do, and that no file in the test's
folder was changed, added or removed. `never` stands for the compute that must not start.
"""

import re
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NOTEBOOK = "notebooks/01_data_split.ipynb"


INPUTS = {"profile": "quick", "seed": 0}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.fixture
def refused(tmp_path):
    @contextmanager
    def expect(error: type, *words: str):
        before = contents(tmp_path)
        # "." matches no line break, so this also fails for a message of several lines
        pattern = "^" + "".join(f"(?=.*{re.escape(word)})" for word in words) + r".+\Z"
        with pytest.raises(error, match=pattern):
            yield
        assert contents(tmp_path) == before

    return expect


@pytest.fixture
def no_network(monkeypatch):
    def fail(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", fail)


def never(*_, **__):
    pytest.fail("compute was started")


def npz(path: Path, **changes) -> str:
    """Write 12 training and 6 test images of two classes in MedMNIST's layout; None leaves a key out."""
    arrays = {
        "train_images": np.arange(12 * 14 * 14, dtype=np.uint8).reshape(12, 14, 14),
        "train_labels": np.arange(12).reshape(-1, 1) % 2,
        "test_images": np.zeros((6, 14, 14), np.uint8),
        "test_labels": np.arange(6).reshape(-1, 1) % 2,
    }
    np.savez(path, **{key: value for key, value in (arrays | changes).items() if value is not None})
    return str(path)


def image_folder(folder: Path, *sizes: tuple[int, int]) -> str:
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number, size in enumerate(sizes):
            Image.new("RGB", size, (number, 0, 200)).save(folder / label / f"{number}.png")
    return str(folder)
