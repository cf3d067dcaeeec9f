"""Every data set by its name or path."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..engine.foreign_text import plain
from . import builtin
from .dataset import DataError, Dataset
from .foreign import shown
from .own import image_folder, npz, places, where

LOADERS: dict[str, Callable[[], Dataset]] = {
    "digits": builtin.digits,
    "mnist": partial(builtin.of_torchvision, "mnist"),
    "fashion_mnist": partial(builtin.of_torchvision, "fashion_mnist"),
    "cifar10": partial(builtin.of_torchvision, "cifar10"),
}
IN_FILE_ORDER = ("mnist", "fashion_mnist", "cifar10")  # which the split cuts in the order of their files, as the paper


def load(name: str, keep: Path | None = None) -> Dataset:
    """Load a data set into memory.

    Parameters
    ----------
    name : "digits" (scikit-learn's 1,797 scans, no download), "mnist", "fashion_mnist",
        "cifar10" (found under ``DCPRIV_DATA`` or downloaded by torchvision), the path of
        an ``.npz`` in MedMNIST's layout, or the path of a folder with one subfolder of
        images a class (see `image_folder`). A relative path that does not exist here is one
        below the folder of the data sets.
    keep : folder for the pixels of an image folder, which are decoded once (see `_decoded`);
        without it they are decoded every time.

    Raises
    ------
    DataError
        If the data cannot be found or downloaded, or are not what they should be.
    """
    if name in LOADERS:
        return LOADERS[name]()
    path = where(name)
    if name.endswith(".npz"):
        own = npz(path)
    elif name.strip() and os.path.isdir(path):
        own = image_folder(path, keep)
    else:
        raise DataError(
            f"dataset = {plain(name, 60)!r} is neither one of {', '.join(LOADERS)} nor the path of an "
            f".npz file or of a folder with one subfolder of images a class{places(name)}"
        )
    if len(own.classes) < 2:
        raise DataError(
            f"{shown(name)} has one class only ({plain(own.classes[0], 40)}): expected two or more, which networks "
            "learn to tell apart: add images of another class"
        )
    return own
