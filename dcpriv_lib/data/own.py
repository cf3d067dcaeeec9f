"""A person's own data: an ``.npz`` in MedMNIST's layout, or a folder with one subfolder of images a class."""

import functools
import hashlib
import os
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..engine import paths, store
from ..engine.foreign_text import plain, several
from . import foreign
from .dataset import AGAIN, DataError, Dataset, in_memory
from .foreign import shown

MIN_SIZE = 14  # pixels that the paper's network needs
MOST_SIZE = 2048  # pixels a side; a small file can announce billions
# torchvision's endings, and one more of JPEG's. Other formats that PIL knows start programs or are no images.
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".jfif")
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")
NO_DATA = ("thumbs.db", "desktop.ini")  # that Windows leaves in folders of images
PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev"}  # of a data set, never classes


def npz(path: Path) -> Dataset:
    """Return a person's own data: train_images, train_labels, test_images, test_labels."""
    if not os.path.isfile(path):
        raise DataError(
            f"dataset = {plain(path, 60)!r}: there is no file {shown(path.absolute())}"
            f"{places(str(path)) or ': correct the path'}"
        )
    arrays = foreign.npz_arrays(
        path,
        "dataset",
        "save the images as uint8 and the labels as integers",
        ("train_images", "train_labels", "test_images", "test_labels"),
    )
    tensors = []
    for part in ("train", "test"):
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        tensors += [
            _checked_images(path, f"{part}_images", images),
            _checked_labels(path, f"{part}_labels", labels, len(images)),
        ]
    classes = int(max(tensors[1].max(), tensors[3].max())) + 1
    if tensors[0].shape[1:] != tensors[2].shape[1:]:
        raise DataError(
            f"{shown(path)}: train_images have shape {tuple(tensors[0].shape[1:])} and test_images "
            f"{tuple(tensors[2].shape[1:])}: expected the same: {AGAIN}"
        )
    if classes > len(tensors[0]):  # one name a class is made below: not for labels like 20,260,101
        raise DataError(
            f"{shown(path)}: the largest label is {classes - 1:,}, with {len(tensors[0]):,} training "
            f"images: expected classes numbered 0, 1, 2 ... without gaps: {AGAIN}"
        )
    names = [str(label) for label in range(classes)]
    return in_memory(str(path), tensors[0], tensors[1], tensors[2], tensors[3], names)


def _checked_images(path, key: str, images: np.ndarray) -> torch.Tensor:
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise DataError(f"{shown(path)}: {key} has shape {images.shape}: expected (N, H, W) or (N, H, W, 3): {AGAIN}")
    if not len(images) or images.shape[1] != images.shape[2]:
        raise DataError(f"{shown(path)}: {key} has shape {images.shape}: expected at least one square image: {AGAIN}")
    if images.dtype != np.uint8:
        extra = " and holds NaN" if images.dtype.kind == "f" and np.isnan(images).any() else ""
        raise DataError(f"{shown(path)}: {key} is {images.dtype}{extra}: expected uint8, 0 to 255: {AGAIN}")
    tensor = torch.from_numpy(images)
    return tensor.unsqueeze(1) if images.ndim == 3 else tensor.permute(0, 3, 1, 2)


def _checked_labels(path, key: str, labels: np.ndarray, count: int) -> torch.Tensor:
    if labels.shape not in ((count,), (count, 1)):
        raise DataError(
            f"{shown(path)}: {key} has shape {labels.shape}: expected ({count},) or ({count}, 1), one label an image: "
            f"{AGAIN}"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        extra = f" with {labels.min()}" if labels.dtype.kind == "i" else ""
        raise DataError(f"{shown(path)}: {key} is {labels.dtype}{extra}: expected integers from 0 up, no NaN: {AGAIN}")
    return torch.from_numpy(labels.reshape(-1).astype(np.int64))


def image_folder(path: Path, keep: Path | None) -> Dataset:
    """Return the images of a folder with one subfolder a class, which may hold folders of its own.

    Files and folders with a hidden name (a leading dot) are no data, nor are files without the ending
    of an image. A class may be a link to a folder; links to folders inside a class are refused.

    As in torchvision, classes are numbered in the order of their names as text (0, 1, 10, 11, 2), and an image is read
    as its pixels lie in the file: a camera's note in the EXIF data that it has to be turned is not followed.

    Raises
    ------
    DataError
        If there are no classes or no images, if the classes look like parts of a data set (train, test), if files are
        no images or images of other sizes, or if all would not fit into memory.

    Warns
    -----
    UserWarning
        If files are left out, with their endings.
    """
    labels, files = zip(*_image_files(path))
    classes = sorted(set(labels))
    images = _decoded(path, files, keep) if keep else _pixels(files)
    return in_memory(str(path), images, [classes.index(label) for label in labels], classes=classes)


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
            raise DataError(
                f"{shown(file)} is not a readable image ({error.strerror}): replace or delete it"
            ) from error
        listing.update(repr((file.relative_to(path).as_posix(), found.st_size, found.st_mtime_ns)).encode())
    inputs = {"files": listing.hexdigest(), "pillow": PIL.__version__}
    return torch.from_numpy(store.cached(keep / "decoded", inputs, lambda _: {"images": _pixels(files)})["images"])


def _pixels(files: tuple[Path, ...]) -> torch.Tensor:
    """Return the pixels of image files, uint8 [N, 3, H, W]."""
    images: list[torch.Tensor] = []
    for file in tqdm(files, desc="reading images", delay=2):
        image = _image(file)
        if not images and len(files) * image.numel() > foreign.most_bytes():
            raise DataError(
                f"{len(files):,} images of shape {tuple(image.shape)}, as {shown(file)} is, take more than half of the "
                "memory: make them smaller, or leave some out"
            )
        if image.shape != images[0].shape if images else image.shape[1] != image.shape[2]:
            expected = tuple(images[0].shape) if images else "a square image"
            raise DataError(
                f"{shown(file)} has shape {tuple(image.shape)}: expected {expected}, "
                "so that all images fit one tensor: crop or pad the images"
            )
        images.append(image)
    return torch.stack(images)


def _image_files(path: Path) -> list[tuple[str, Path]]:
    """Return class and path of every image of an image folder, in the order of the names."""
    labels = sorted(folder.name for folder in path.iterdir() if folder.is_dir() and not _hidden(folder.name))
    left: Counter = Counter()
    files = [(label, file) for label in labels for file in _class_files(path / label, left)]
    if not files:
        raise DataError(
            f"{shown(path)} is not an image folder (it has no subfolders): expected one subfolder of images a class"
        )
    _check_classes(path, files)
    places: dict = {}
    folder = functools.cache(os.path.realpath)  # to ask for every file takes seconds
    for _, file in files:
        place = os.path.realpath(file) if file.is_symlink() else os.path.join(folder(file.parent), file.name)
        first = places.setdefault(place, file)
        if first is not file:
            raise DataError(
                f"{shown(file)} is the same file as {shown(first)}: expected one image once: delete the link"
            )
    if left:
        endings = ", ".join(f"{number:,} {plain(ending, 16)}" for ending, number in left.most_common(5))
        warnings.warn(
            f"{shown(path)}: {left.total():,} files are left out, since they have not the ending of an image "
            f"({endings}): {len(files):,} images are read",
            stacklevel=4,
        )
    return files


def _check_classes(path: Path, files: list[tuple[str, Path]]) -> None:
    """Raise DataError if what should be classes are parts of a data set, each with the classes in it."""
    inside: dict[str, set[str]] = {}
    for label, file in files:
        below = file.relative_to(path / label).parts
        inside.setdefault(label, set()).add(below[0] if len(below) > 1 else "")
    named = [label for label in inside if label.lower() in PARTS]
    held = Counter(folder for folders in inside.values() if "" not in folders for folder in folders)
    alike = [label for label in inside if "" not in inside[label] and max(held[one] for one in inside[label]) > 1]
    if parts := named if len(named) > 1 else alike:
        which = several(parts, 3, 20)
        what = several(sorted(inside[parts[0]]), 3, 20) if alike else "images"
        raise DataError(
            f"{shown(path)}: subfolders {which}, with {what} in each, look like the parts of a data set "
            f"and not like classes: name {shown(path / parts[0])}, or put the images of a class into one folder"
        )


def _class_files(folder: Path, left: Counter) -> list[Path]:
    """Return the images of a class; files of other endings are counted in `left`."""
    below = [file for file in folder.rglob("*") if not any(map(_hidden, file.relative_to(folder).parts))]
    for file in below:
        if file.is_symlink() and file.is_dir():
            raise DataError(f"{shown(file)} is a link to a folder, inside a class: replace it by its images")
    whole = [file for file in below if not file.is_dir()]
    files = [file for file in whole if file.name.lower().endswith(IMAGE_ENDINGS)]
    if not files:
        raise DataError(
            f"{shown(folder.parent)} is not an image folder ({plain(folder.name, 40)} holds no image): expected "
            f"one subfolder of images a class, ending in {', '.join(IMAGE_ENDINGS)}"
        )
    left.update(
        file.suffix.lower() or "without ending"
        for file in whole
        if not file.name.lower().endswith((*IMAGE_ENDINGS, *NO_DATA))
    )
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
        If the file is no image or no regular file (a named pipe would never end), has more than `MOST_SIZE` pixels a
        side, more than 8 bits a grey level or colour (which PIL would clip), or is transparent somewhere (what is
        behind it would be invented).
    """
    from PIL import Image, UnidentifiedImageError
    from torchvision.transforms.functional import pil_to_tensor

    if not os.path.isfile(file):
        raise DataError(f"{shown(file)} is not a readable image (it is no regular file): replace or delete it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused below
            image = Image.open(file, formats=FORMATS)
        with image:
            deep = image.mode[0] in "IF" or any(_is_deep(one.args) for one in image.tile)
            if max(image.size) <= MOST_SIZE and not deep:
                image.load()
    except Exception as error:  # PIL raises many kinds on a damaged file
        why = (
            "it is in none of the formats of its ending"
            if isinstance(error, UnidentifiedImageError)
            else plain(error, 60)
        )
        raise DataError(f"{shown(file)} is not a readable image ({why}): replace or delete it") from error
    _check_size_and_depth(file, image, deep)
    whole = image.convert("RGBA") if image.has_transparency_data else image
    if image.has_transparency_data and np.asarray(whole)[..., 3].min() < 255:
        raise DataError(f"{shown(file)} is transparent in places: expected opaque images: give it a background")
    return pil_to_tensor(whole.convert("RGB"))


def _check_size_and_depth(file: Path, image, deep: bool) -> None:
    if max(image.size) > MOST_SIZE:
        raise DataError(
            f"{shown(file)} has {image.size[0]:,}x{image.size[1]:,} pixels: expected at most {MOST_SIZE:,} "
            "a side: make it smaller"
        )
    if deep:
        raise DataError(
            f"{shown(file)} has more than 8 bits a pixel (PIL's mode {image.mode}), or a colour of it: expected "
            "levels from 0 to 255: convert it to 8 bits"
        )


def _is_deep(arguments) -> bool:
    """Return whether what PIL gives its decoder names 16 bits a colour: "RGB;16B", or of PPM the largest number."""
    several = arguments if isinstance(arguments, tuple) else (arguments,)
    return any(";16" in one if isinstance(one, str) else False for one in several) or (
        len(several) == 2 and several[0] in ("RGB", "L") and isinstance(several[1], int) and several[1] > 255
    )


def where(name: str) -> Path:
    """Return where somebody's own data lie: at the path itself, else below the folder of the data sets."""
    path, below = paths.of_user(name), paths.data() / name
    return below if os.path.exists(below) and not os.path.exists(path) else path


def places(name: str) -> str:
    """Return the end of an error message: where `where` looked for a relative path."""
    if not name.strip() or paths.of_user(name).is_absolute():
        return ""
    return f": looked for {shown(Path(name).absolute())} and {shown(paths.data() / name)}: correct the path"
