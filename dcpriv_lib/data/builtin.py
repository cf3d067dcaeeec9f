"""The data sets that have a name: scikit-learn's digits, and those of torchvision, whose files are checked.

torchvision and scikit-learn are imported where they are used: they take seconds to load, and most processes of a
run need neither.
"""

import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import torch

from ..engine import paths
from . import foreign
from .dataset import DataError, Dataset, in_memory

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
MOST_BYTES = 2**30  # of an idx file; the largest has 47 MB
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def digits() -> Dataset:
    """Return the digits, 8x8 with values 0 to 16, enlarged to 16x16 with values 0 to 255.

    The paper's network needs at least 14x14 pixels.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    small = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16 * 255
    large = torch.nn.functional.interpolate(small, scale_factor=2, mode="bilinear")
    return in_memory("digits", large.round().byte(), labels, classes=[str(d) for d in range(10)])


def of_torchvision(name: str) -> Dataset:
    """Return "mnist", "fashion_mnist" or "cifar10", downloaded by torchvision unless its files are there.

    Raises
    ------
    DataError
        If the folder of the data sets is not there, the files cannot be downloaded, or are not what they should be.
    """
    from torchvision import datasets

    loader = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "cifar10": datasets.CIFAR10}[name]
    root = paths.data()
    if os.environ.get("DCPRIV_DATA") and not root.is_dir():  # a slip of the pen is not to become a download
        raise DataError(
            f"DCPRIV_DATA is {str(root)!r}, which is not a folder: expected the folder of the "
            "data sets: correct it, or create that folder for a download"
        )
    if name != "cifar10":  # torchvision verifies CIFAR-10's own checksums before unpickling it
        old = root / loader.__name__ / "processed"
        if old.exists():  # torchvision would read these before the idx files that are checked here
            raise DataError(
                f"{old} holds files of an old torchvision, which are not checked: delete it, "
                "and the idx files beside it are used"
            )
        check_idx_files(root / loader.__name__ / "raw", MNIST_MD5 if name == "mnist" else {})
    try:
        train, test = loader(root, train=True, download=True), loader(root, train=False)
    except Exception as error:  # torchvision raises many kinds: URLError, RuntimeError, OSError...
        folder = "cifar-10-batches-py" if name == "cifar10" else loader.__name__
        raise DataError(
            f"{name} is not in {paths.shown(root)} and could not be downloaded "
            f"({' '.join(str(error).split())}): connect to the network, or set DCPRIV_DATA "
            f"to the folder that holds torchvision's {folder} folder"
        ) from error

    def channels_first(images):
        images = torch.as_tensor(images)
        return images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)

    return in_memory(
        name, channels_first(train.data), train.targets, channels_first(test.data), test.targets, train.classes
    )


def check_idx_files(folder: Path, md5: dict) -> None:
    """Check every idx file in `folder` against its own header and its known MD5.

    Files that are not there yet are left to torchvision's download.

    Raises
    ------
    DataError
        Naming the file that is truncated or damaged, or that lacks labels.
    """
    counts = {}
    for name in IDX_FILES:
        path = folder / name
        if not path.exists():
            continue
        foreign.check_file(path, "DCPRIV_DATA", MOST_BYTES)
        content, advice = path.read_bytes(), "delete it, and it is downloaded again"
        dimensions = 3 if "idx3" in name else 1
        if len(content) < 4 + 4 * dimensions or content[:4] != bytes([0, 0, 8, dimensions]):
            raise DataError(f"{path} is not an idx file of {dimensions}-dimensional bytes: {advice}")
        shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
        expected = 4 + 4 * dimensions + int(np.prod(shape, dtype=np.int64))
        if len(content) != expected:
            raise DataError(
                f"{path} is truncated or too long: its header announces {expected:,} bytes, "
                f"it has {len(content):,}: {advice}"
            )
        if name in md5 and hashlib.md5(content).hexdigest() != md5[name]:
            raise DataError(f"{path} is corrupted: its MD5 is not {md5[name]}: {advice}")
        counts[name] = shape[0]
    for images, labels in zip(IDX_FILES[::2], IDX_FILES[1::2]):
        if {images, labels} <= counts.keys() and counts[images] != counts[labels]:
            raise DataError(
                f"{folder / images} holds {counts[images]:,} images, but {labels} beside it "
                f"{counts[labels]:,} labels: delete both, and they are downloaded again"
            )
