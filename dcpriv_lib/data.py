"""Data sets, and the split into who holds what.

torchvision and scikit-learn are imported where they are used: they take seconds to load,
and most processes of a run need neither.
"""

import functools
import hashlib
import os
import struct
import warnings
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from . import artefacts, parameters, paths
from .artefacts import ArtefactError
from .seeding import derive

NAMES = ("digits", "mnist", "fashion_mnist", "cifar10")
PARTS = ("members", "non_members", "attacker")
PAPER_SPLIT_SEED = 42  # random_state of the paper's train_test_split
MIN_SIZE = 14          # pixels that the paper's network needs
MANY_COPIES = 0.01     # share of non-members that are copies of members from which on a split warns

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
             "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
MNIST_MD5 = {"train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
             "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
             "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
             "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637"}
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # torchvision's
AGAIN = "correct it and save the file again"


class DataError(RuntimeError):
    """A data set, or a file made elsewhere, is missing, damaged, or not usable for the protocol."""


@dataclass(frozen=True)
class Dataset:
    """Images in memory.

    Attributes
    ----------
    name : the value of the notebooks' ``dataset`` parameter.
    images : uint8 [N, C, H, W], 0 to 255, square; the paper's protocol divides these.
    labels : int64 [N], 0 to the number of classes - 1.
    test_images, test_labels : the data set's own test file; 0 rows where it has none.
    classes : the class names.
    """

    name: str
    images: torch.Tensor
    labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    classes: tuple[str, ...]

    def digest(self) -> str:
        """Return the `digest` of all images and labels."""
        return digest(self.images, self.labels, self.test_images, self.test_labels)


def digest(*arrays) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of arrays or tensors, shapes included."""
    state = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        state.update(f"{array.dtype} {array.shape}".encode())
        state.update(array.data)
    return state.hexdigest()[:16]


def load(name: str, keep: Path | None = None) -> Dataset:
    """Load a data set into memory.

    Parameters
    ----------
    name : "digits" (scikit-learn's 1,797 scans, no download), "mnist", "fashion_mnist",
        "cifar10" (found under ``DCPRIV_DATA`` or downloaded by torchvision), the path of
        an ``.npz`` in MedMNIST's layout, or the path of a folder with one subfolder of
        images a class (see `_image_folder`). A relative path that does not exist here is one
        below the folder of the data sets.
    keep : folder for the pixels of an image folder, which are decoded once (see `_decoded`);
        without it they are decoded every time.

    Raises
    ------
    DataError
        If the data cannot be found or downloaded, or are not what they should be.
    """
    if name == "digits":
        return _digits()
    if name in NAMES:
        return _torchvision(name)
    path = _own(name)
    if name.endswith(".npz"):
        own = _npz(path)
    elif name.strip() and path.is_dir():
        own = _image_folder(path, keep)
    else:
        raise DataError(f"dataset = {name!r} is neither one of {', '.join(NAMES)} nor the path of an "
                        f".npz file or of a folder with one subfolder of images a class{_places(name)}")
    if len(own.classes) < 2:
        raise DataError(f"{name} has one class only ({own.classes[0]}): expected two or more, which networks "
                        "learn to tell apart: add images of another class")
    return own


def _own(name: str) -> Path:
    """Return where somebody's own data lie: at the path itself, else below the folder of the data sets."""
    path, below = Path(name), paths.data() / name
    return below if below.exists() and not path.exists() else path


def _places(name: str) -> str:
    """Return the end of an error message: where `_own` looked for a relative path."""
    relative = name.strip() and not Path(name).is_absolute()
    return f": looked for {Path(name).absolute()} and {paths.data() / name}: correct the path" if relative else ""


def _digits() -> Dataset:
    """Return the digits, 8x8 with values 0 to 16, enlarged to 16x16 with values 0 to 255.

    The paper's network needs at least 14x14 pixels.
    """
    from sklearn.datasets import load_digits
    images, labels = load_digits(return_X_y=True)
    small = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16 * 255
    large = torch.nn.functional.interpolate(small, scale_factor=2, mode="bilinear")
    return _dataset("digits", large.round().byte(), labels, classes=[str(d) for d in range(10)])


def _torchvision(name: str) -> Dataset:
    from torchvision import datasets
    loader = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST,
              "cifar10": datasets.CIFAR10}[name]
    root = paths.data()
    if os.environ.get("DCPRIV_DATA") and not root.is_dir():  # a slip of the pen is not to become a download
        raise DataError(f"DCPRIV_DATA is {str(root)!r}, which is not a folder: expected the folder of the "
                        "data sets: correct it, or create that folder for a download")
    if name != "cifar10":  # torchvision verifies CIFAR-10's own checksums before unpickling it
        old = root / loader.__name__ / "processed"
        if old.exists():  # torchvision would read these before the idx files that are checked here
            raise DataError(f"{old} holds files of an old torchvision, which are not checked: delete it, "
                            "and the idx files beside it are used")
        check_idx_files(root / loader.__name__ / "raw", MNIST_MD5 if name == "mnist" else {})
    try:
        train, test = loader(root, train=True, download=True), loader(root, train=False)
    except Exception as error:  # torchvision raises many kinds: URLError, RuntimeError, OSError...
        folder = "cifar-10-batches-py" if name == "cifar10" else loader.__name__
        raise DataError(f"{name} is not in {paths.shown(root)} and could not be downloaded "
                        f"({' '.join(str(error).split())}): connect to the network, or set DCPRIV_DATA "
                        f"to the folder that holds torchvision's {folder} folder") from error

    def channels_first(images):
        images = torch.as_tensor(images)
        return images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    return _dataset(name, channels_first(train.data), train.targets, channels_first(test.data),
                    test.targets, train.classes)


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
        content, advice = path.read_bytes(), "delete it, and it is downloaded again"
        dimensions = 3 if "idx3" in name else 1
        if len(content) < 4 + 4 * dimensions or content[:4] != bytes([0, 0, 8, dimensions]):
            raise DataError(f"{path} is not an idx file of {dimensions}-dimensional bytes: {advice}")
        shape = struct.unpack(f">{dimensions}I", content[4:4 + 4 * dimensions])
        expected = 4 + 4 * dimensions + int(np.prod(shape, dtype=np.int64))
        if len(content) != expected:
            raise DataError(f"{path} is truncated or too long: its header announces {expected:,} bytes, "
                            f"it has {len(content):,}: {advice}")
        if name in md5 and hashlib.md5(content).hexdigest() != md5[name]:
            raise DataError(f"{path} is corrupted: its MD5 is not {md5[name]}: {advice}")
        counts[name] = shape[0]
    for images, labels in zip(IDX_FILES[::2], IDX_FILES[1::2]):
        if {images, labels} <= counts.keys() and counts[images] != counts[labels]:
            raise DataError(f"{folder / images} holds {counts[images]:,} images, but {labels} beside it "
                            f"{counts[labels]:,} labels: delete both, and they are downloaded again")


def _npz(path: Path) -> Dataset:
    """Return a person's own data: train_images, train_labels, test_images, test_labels."""
    if not path.is_file():
        raise DataError(f"dataset = {str(path)!r}: there is no file {path.absolute()}"
                        f"{_places(str(path)) or ': correct the path'}")
    arrays = npz_arrays(path, "dataset", "save the images as uint8 and the labels as integers",
                        ("train_images", "train_labels", "test_images", "test_labels"))
    tensors = []
    for part in ("train", "test"):
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        tensors += [_checked_images(path, f"{part}_images", images),
                    _checked_labels(path, f"{part}_labels", labels, len(images))]
    classes = int(max(tensors[1].max(), tensors[3].max())) + 1
    if tensors[0].shape[1:] != tensors[2].shape[1:]:
        raise DataError(f"{path}: train_images have shape {tuple(tensors[0].shape[1:])} and test_images "
                        f"{tuple(tensors[2].shape[1:])}: expected the same: {AGAIN}")
    if classes > len(tensors[0]):  # one name a class is made below: not for labels like 20,260,101
        raise DataError(f"{path}: the largest label is {classes - 1:,}, with {len(tensors[0]):,} training "
                        f"images: expected classes numbered 0, 1, 2 ... without gaps: {AGAIN}")
    return _dataset(str(path), *tensors, classes=[str(label) for label in range(classes)])


def npz_arrays(path: Path, parameter: str, advice: str, wanted: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Return the arrays of a stranger's ``.npz``, which cannot run code.

    Parameters
    ----------
    path : of the file.
    parameter : the notebooks' parameter that names it, for the message if it is not there.
    advice : how the arrays should have been saved, for the message about arrays of objects.
    wanted : the arrays to be read; all of them if none is named.

    Raises
    ------
    DataError
        If the file is missing, unreadable, damaged, lacks a wanted array or holds arrays of objects.
    """
    if not path.is_file():
        raise DataError(f"{parameter} = {str(path)!r}: there is no file {path.absolute()}: correct the path")
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): correct its permissions") from error
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is not an .npz file, or is truncated: save it again with numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in wanted if key not in file.files]
            if missing:
                raise DataError(f"{path} lacks {', '.join(missing)}: it holds {', '.join(file.files)}, "
                                f"expected {', '.join(wanted)}: {AGAIN}")
            return {key: np.asarray(file[key]) for key in wanted or file.files}
    except DataError:
        raise
    except Exception as error:  # zipfile and numpy raise many kinds on a damaged file
        raise DataError(f"{path} is damaged or holds arrays of objects, which could run code and are never "
                        f"loaded ({error}): {advice}") from error


def _checked_images(path, key: str, images: np.ndarray) -> torch.Tensor:
    if images.ndim not in (3, 4) or images.ndim == 4 and images.shape[3] not in (1, 3):
        raise DataError(f"{path}: {key} has shape {images.shape}: expected (N, H, W) or (N, H, W, 3): "
                        f"{AGAIN}")
    if not len(images) or images.shape[1] != images.shape[2]:
        raise DataError(f"{path}: {key} has shape {images.shape}: expected at least one square image: "
                        f"{AGAIN}")
    if images.dtype != np.uint8:
        extra = " and holds NaN" if images.dtype.kind == "f" and np.isnan(images).any() else ""
        raise DataError(f"{path}: {key} is {images.dtype}{extra}: expected uint8, 0 to 255: {AGAIN}")
    tensor = torch.from_numpy(images)
    return tensor.unsqueeze(1) if images.ndim == 3 else tensor.permute(0, 3, 1, 2)


def _checked_labels(path, key: str, labels: np.ndarray, count: int) -> torch.Tensor:
    if labels.shape not in ((count,), (count, 1)):
        raise DataError(f"{path}: {key} has shape {labels.shape}: expected ({count},) or ({count}, 1), "
                        f"one label an image: {AGAIN}")
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        extra = f" with {labels.min()}" if labels.dtype.kind == "i" else ""
        raise DataError(f"{path}: {key} is {labels.dtype}{extra}: expected integers from 0 up, no NaN: "
                        f"{AGAIN}")
    return torch.from_numpy(labels.reshape(-1).astype(np.int64))


def _image_folder(path: Path, keep: Path | None) -> Dataset:
    """Return the images of a folder with one subfolder a class, which may hold folders of its own.

    Files and folders with a hidden name (a leading dot) are no data, nor are files without the ending
    of an image. A class may be a link to a folder; links to folders inside a class are refused.
    """
    labels, files = zip(*_image_files(path))
    classes = sorted(set(labels))
    images = _decoded(path, files, keep) if keep else _pixels(files)
    return _dataset(str(path), images, [classes.index(label) for label in labels], classes=classes)


def _decoded(path: Path, files: tuple[Path, ...], keep: Path) -> torch.Tensor:
    """Return the pixels of image files, uint8 [N, 3, H, W]; decoded once and kept below `keep`.

    To decode tens of thousands of small files takes minutes, and every notebook loads them. They are decoded
    again once a file was added, removed or renamed, or has another size or time of modification, and by
    another version of Pillow, since decoders of JPEG may differ in the last bit.
    """
    import PIL
    listing = hashlib.sha256()
    for file in files:
        try:
            found = file.stat()
        except OSError as error:  # a link to nowhere
            raise DataError(f"{file} is not a readable image ({error}): replace or delete it") from error
        listing.update(repr((file.relative_to(path).as_posix(), found.st_size, found.st_mtime_ns)).encode())
    inputs = {"files": listing.hexdigest(), "pillow": PIL.__version__}
    return torch.from_numpy(artefacts.cached(keep / "decoded", inputs, lambda _: {"images": _pixels(files)})["images"])


def _pixels(files: tuple[Path, ...]) -> torch.Tensor:
    """Return the pixels of image files, uint8 [N, 3, H, W]."""
    images = []
    for file in tqdm(files, desc="reading images", delay=2):
        image = _image(file)
        if image.shape != images[0].shape if images else image.shape[1] != image.shape[2]:
            expected = tuple(images[0].shape) if images else "a square image"
            raise DataError(f"{file} has shape {tuple(image.shape)}: expected {expected}, "
                            "so that all images fit one tensor: crop or pad the images")
        images.append(image)
    return torch.stack(images)


def _image_files(path: Path) -> list[tuple[str, Path]]:
    """Return class and path of every image of an image folder, in the order of the names."""
    labels = sorted(folder.name for folder in path.iterdir() if folder.is_dir() and not _hidden(folder.name))
    files = [(label, file) for label in labels for file in _class_files(path / label)]
    if not files:
        raise DataError(f"{path} is not an image folder (it has no subfolders): expected one subfolder of "
                        "images a class")
    places, folder = {}, functools.cache(os.path.realpath)  # to ask for every file takes seconds
    for _, file in files:
        place = os.path.realpath(file) if file.is_symlink() else os.path.join(folder(file.parent), file.name)
        first = places.setdefault(place, file)
        if first is not file:
            raise DataError(f"{file} is the same file as {first}: expected one image once: delete the link")
    return files


def _class_files(folder: Path) -> list[Path]:
    below = [file for file in folder.rglob("*") if not any(map(_hidden, file.relative_to(folder).parts))]
    for file in below:
        if file.is_symlink() and file.is_dir():
            raise DataError(f"{file} is a link to a folder, inside a class: replace it by its images")
    files = [file for file in below if file.name.lower().endswith(IMAGE_ENDINGS) and not file.is_dir()]
    if not files:
        raise DataError(f"{folder.parent} is not an image folder ({folder.name} holds no image): expected "
                        f"one subfolder of images a class, ending in {', '.join(IMAGE_ENDINGS)}")
    return sorted(files, key=lambda file: (str(file.parent), file.name))


def _hidden(name: str) -> bool:
    return name.startswith(".")


def _image(file: Path) -> torch.Tensor:
    """Return an image as RGB, uint8 [3, H, W].

    Grey levels are repeated three times, colours of a palette looked up, CMYK converted; of several
    frames the first is taken; alpha is dropped if it is opaque everywhere.

    Raises
    ------
    DataError
        If the file is no image, has more than 8 bits a grey level (which PIL would clip), or is
        transparent somewhere (what is behind it would be invented).
    """
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor
    try:
        with Image.open(file) as image:
            image.load()
    except Exception as error:  # PIL raises many kinds on a damaged file
        raise DataError(f"{file} is not a readable image ({error}): replace or delete it") from error
    if image.mode[0] in "IF":
        raise DataError(f"{file} has more than 8 bits a pixel (PIL's mode {image.mode}): expected grey "
                        "levels from 0 to 255: convert it to 8 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getextrema()[3][0] < 255:
            raise DataError(f"{file} is transparent in places: expected opaque images: give it a background")
    return pil_to_tensor(image.convert("RGB"))


def _dataset(name, images, labels, test_images=None, test_labels=(), classes=()) -> Dataset:
    test_images = images[:0] if test_images is None else test_images
    return Dataset(name, images.contiguous(), torch.as_tensor(labels, dtype=torch.int64),
                   test_images.contiguous(), torch.as_tensor(test_labels, dtype=torch.int64),
                   tuple(classes))


def split_indices(dataset: Dataset, seed: int = 0) -> dict[str, np.ndarray]:
    """Divide a data set into members, non-members and the attacker's data.

    MNIST, Fashion-MNIST and CIFAR-10 are cut in file order, as in the paper: the first
    half is the target's, the second half the attacker's. The target's half is divided by
    ``train_test_split(test_size=0.5, random_state=42 + seed)``; with ``seed = 0`` these
    are the paper's own indices on MNIST.

    Other data are shuffled first, since a folder is ordered by class and scikit-learn's
    digits by writer. The small digits set gives the target two thirds, so that each class
    has at least 50 members.

    Returns
    -------
    dict of part ("members", "non_members", "attacker") to int64 indices; disjoint.

    Raises
    ------
    DataError
        If a class is missing from one of the parts, or a label has no class.
    """
    from sklearn.model_selection import train_test_split
    count = len(dataset.images)
    if count < 4:
        raise DataError(f"{dataset.name} has {count} images, too few for members, non-members and the "
                        "attacker: give it more images")
    if dataset.labels.min() < 0 or dataset.labels.max() >= len(dataset.classes):
        raise DataError(f"{dataset.name}: the labels run from {dataset.labels.min()} to "
                        f"{dataset.labels.max()}, but there are {len(dataset.classes)} classes: "
                        "replace the data set's damaged label file")
    order, size = file_order(dataset, seed)
    target, attacker = order[:size], order[size:]
    members, non_members = train_test_split(target, test_size=0.5, random_state=PAPER_SPLIT_SEED + seed)
    parts = {"members": members, "non_members": non_members, "attacker": attacker}
    for part, indices in parts.items():
        for label, name in enumerate(dataset.classes):
            if not (dataset.labels[indices] == label).any():
                raise DataError(f"{dataset.name}: class {label} ({name}) has no image among the "
                                f"{len(indices)} {part.replace('_', '-')}: give it more images, or "
                                "number the classes 0, 1, 2 ... without gaps")
    return parts


def file_order(dataset: Dataset, seed: int) -> tuple[np.ndarray, int]:
    """Return the order in which `split_indices` deals out the images, int64 [N], and how many are the target's."""
    count = len(dataset.images)
    if dataset.name in NAMES and dataset.name != "digits":
        order = np.arange(count)
    else:
        order = np.random.default_rng(derive(seed, "order")).permutation(count)
    size = count * 2 // 3 if dataset.name == "digits" else count // 2
    return order, size - size % 2


@dataclass
class Split:
    """Who holds what, with the pixels as the networks see them.

    Attributes
    ----------
    dataset : the images, as bytes.
    indices : part ("members", "non_members", "attacker") to int64 indices.
    inputs : what identifies this split; part of every later artefact's inputs.
    scale : mean and deviation that `pixels` subtracts and divides by (see `pixel_scale`).
    """

    dataset: Dataset
    indices: dict[str, np.ndarray]
    inputs: dict
    scale: tuple = field(init=False, repr=False)

    def __post_init__(self):
        self.scale = pixel_scale(self.dataset.images, self.inputs["pixels"])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, image size in pixels, number of classes: the arguments of a network."""
        return (*self.dataset.images.shape[1:3], len(self.dataset.classes))

    @property
    def order(self) -> np.ndarray:
        """All images in the order in which they were dealt out, int64 [N]: the target's first."""
        return file_order(self.dataset, self.inputs["seed"])[0]

    @property
    def target_size(self) -> int:
        """How many images are the target's, members and non-members together."""
        return file_order(self.dataset, self.inputs["seed"])[1]

    def part(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return float32 images [n, C, H, W] and int64 labels [n] of a part, or of "test"."""
        if name == "test":
            return self.pixels(self.dataset.test_images), self.dataset.test_labels
        return self.rows(self.indices[name])

    def rows(self, indices) -> tuple[torch.Tensor, torch.Tensor]:
        """Return float32 images and int64 labels of rows of the data set."""
        indices = torch.as_tensor(indices)
        return self.pixels(self.dataset.images[indices]), self.dataset.labels[indices]

    def pixels(self, images: torch.Tensor) -> torch.Tensor:
        """Map bytes [n, C, H, W] to what the networks are fed (float32, see `make_split`)."""
        mean, deviation = self.scale
        return (images.float() - mean) / deviation

    def grey_levels(self, images) -> torch.Tensor:
        """Map network inputs [n, C, H, W], a tensor or an array, back to 0..1, clipped, to be looked at."""
        mean, deviation = self.scale
        return ((torch.as_tensor(images) * deviation + mean) / 255).clamp(0, 1)


def pixel_scale(images: torch.Tensor, pixels: str) -> tuple:
    """Return mean and deviation, in grey levels, float32 [1, C, 1, 1] each, that `pixels` subtracts and divides by.

    Parameters
    ----------
    images : uint8 [N, C, H, W], of the data set; only "standard" looks at them.
    pixels : as in `make_split`.
    """
    channels = images.shape[1]
    if pixels == "standard":
        bytes_ = images.double()
        mean, deviation = bytes_.mean((0, 2, 3)), bytes_.std((0, 2, 3), correction=0)
    else:
        scale = {"unit": 255.0, "raw": 1.0}[pixels]
        mean, deviation = torch.zeros(channels), torch.full((channels,), scale)
    return mean.float().view(1, -1, 1, 1), deviation.float().clamp(min=1e-6).view(1, -1, 1, 1)


def some_images(dataset: Dataset, number: int, seed: int) -> Dataset:
    """Return a data set of `number` of the images, chosen at random, in their order; of all if it is 0.

    The test file stays whole.

    Raises
    ------
    ParameterError
        If there are fewer.
    """
    count = len(dataset.images)
    parameters.check_at_most("n_images", number, count, f"images in {dataset.name}")
    if number == 0:
        return dataset
    chosen = np.sort(np.random.default_rng(derive(seed, "images")).permutation(count)[:number])
    return replace(dataset, images=dataset.images[chosen], labels=dataset.labels[chosen])


def make_split(folder: Path, *, profile: str, dataset: str, seed: int, pixels: str, n_images: int = 0) -> Split:
    """Split a data set and save who holds what to ``folder/split.npz``.

    Parameters
    ----------
    folder : the profile's results folder.
    profile, dataset, seed : the notebooks' parameters of these names.
    pixels : "standard" (mean 0, deviation 1 a channel over the whole training file, the
        field's published constants), "unit" (0 to 1), or "raw" (0 to 255, as the paper's
        code feeds them).
    n_images : how many images there are to be, see `some_images`.

    Raises
    ------
    DataError, ParameterError
        As `load`, `some_images` and `split_indices`, and for images too small for the paper's network; for
        a parameter that `parameters.check` refuses.

    Warns
    -----
    UserWarning
        If many non-members are copies of members.
    """
    inputs = {"profile": profile, "dataset": dataset, "seed": seed, "pixels": pixels}
    parameters.check(inputs | {"n_images": n_images})
    loaded = some_images(load(dataset, folder), n_images, seed)
    size = loaded.images.shape[-1]
    if size < MIN_SIZE:  # here, because condensation would take its hours before the network refuses
        raise DataError(f"{dataset}: the images are {size}x{size}: expected at least {MIN_SIZE}x{MIN_SIZE} "
                        "pixels, which the paper's network needs: enlarge them first")
    indices = split_indices(loaded, seed)
    _warn_of_copies(loaded, indices)
    inputs["data"] = loaded.digest()  # which tells the images: n_images is recorded, but identifies nothing
    artefacts.save_arrays(folder / "split.npz", indices, inputs | {"n_images": n_images})
    return Split(loaded, indices, inputs)


def _warn_of_copies(dataset: Dataset, indices: dict[str, np.ndarray]) -> None:
    """Warn if many non-members are copies of members, for whom the question has no answer."""
    images = dataset.images.numpy()
    members = {images[index].tobytes() for index in indices["members"]}
    copies = sum(images[index].tobytes() in members for index in indices["non_members"])
    if copies >= MANY_COPIES * len(indices["non_members"]):
        warnings.warn(f"{dataset.name}: {copies:,} of {len(indices['non_members']):,} non-members are copies "
                      "of members, and no attack can tell these apart: delete the copies", stacklevel=3)


def load_split(folder: Path, *, profile: str, dataset: str, seed: int) -> Split:
    """Load what `make_split` saved, and the data set itself.

    Raises
    ------
    ArtefactError
        If the split is missing, damaged, or of another profile, data set or seed, or if
        the data set is no longer the one that was split.
    """
    made_by = "notebooks/01_data_split.ipynb"
    expect = {"profile": profile, "dataset": dataset, "seed": seed}
    indices = artefacts.load_arrays(folder / "split.npz", expect, made_by)
    inputs = artefacts.read_sidecar(folder / "split.npz")["inputs"]
    loaded = some_images(load(dataset, folder), inputs.pop("n_images", 0), seed)
    if loaded.digest() != inputs["data"]:
        raise ArtefactError(f"the data set {dataset} is not the one that {paths.shown(folder)}/split.npz "
                            f"divides: it has changed since; re-run {made_by}")
    return Split(loaded, indices, inputs)
