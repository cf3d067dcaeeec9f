"""A person's own data: an ``.npz`` in MedMNIST's layout, or a folder with one subfolder of images a class."""

import functools
import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..engine import paths, store
from .dataset import AGAIN, DataError, Dataset, in_memory

MIN_SIZE = 14  # pixels that the paper's network needs
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # torchvision's


def npz(path: Path) -> Dataset:
    """Return a person's own data: train_images, train_labels, test_images, test_labels."""
    if not path.is_file():
        raise DataError(
            f"dataset = {str(path)!r}: there is no file {path.absolute()}{places(str(path)) or ': correct the path'}"
        )
    arrays = npz_arrays(
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
            f"{path}: train_images have shape {tuple(tensors[0].shape[1:])} and test_images "
            f"{tuple(tensors[2].shape[1:])}: expected the same: {AGAIN}"
        )
    if classes > len(tensors[0]):  # one name a class is made below: not for labels like 20,260,101
        raise DataError(
            f"{path}: the largest label is {classes - 1:,}, with {len(tensors[0]):,} training "
            f"images: expected classes numbered 0, 1, 2 ... without gaps: {AGAIN}"
        )
    names = [str(label) for label in range(classes)]
    return in_memory(str(path), tensors[0], tensors[1], tensors[2], tensors[3], names)


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
                raise DataError(
                    f"{path} lacks {', '.join(missing)}: it holds {', '.join(file.files)}, "
                    f"expected {', '.join(wanted)}: {AGAIN}"
                )
            return {key: np.asarray(file[key]) for key in wanted or file.files}
    except DataError:
        raise
    except Exception as error:  # zipfile and numpy raise many kinds on a damaged file
        raise DataError(
            f"{path} is damaged or holds arrays of objects, which could run code and are never "
            f"loaded ({error}): {advice}"
        ) from error


def _checked_images(path, key: str, images: np.ndarray) -> torch.Tensor:
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise DataError(f"{path}: {key} has shape {images.shape}: expected (N, H, W) or (N, H, W, 3): {AGAIN}")
    if not len(images) or images.shape[1] != images.shape[2]:
        raise DataError(f"{path}: {key} has shape {images.shape}: expected at least one square image: {AGAIN}")
    if images.dtype != np.uint8:
        extra = " and holds NaN" if images.dtype.kind == "f" and np.isnan(images).any() else ""
        raise DataError(f"{path}: {key} is {images.dtype}{extra}: expected uint8, 0 to 255: {AGAIN}")
    tensor = torch.from_numpy(images)
    return tensor.unsqueeze(1) if images.ndim == 3 else tensor.permute(0, 3, 1, 2)


def _checked_labels(path, key: str, labels: np.ndarray, count: int) -> torch.Tensor:
    if labels.shape not in ((count,), (count, 1)):
        raise DataError(
            f"{path}: {key} has shape {labels.shape}: expected ({count},) or ({count}, 1), one label an image: {AGAIN}"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        extra = f" with {labels.min()}" if labels.dtype.kind == "i" else ""
        raise DataError(f"{path}: {key} is {labels.dtype}{extra}: expected integers from 0 up, no NaN: {AGAIN}")
    return torch.from_numpy(labels.reshape(-1).astype(np.int64))


def image_folder(path: Path, keep: Path | None) -> Dataset:
    """Return the images of a folder with one subfolder a class, which may hold folders of its own.

    Files and folders with a hidden name (a leading dot) are no data, nor are files without the ending
    of an image. A class may be a link to a folder; links to folders inside a class are refused.
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
            raise DataError(f"{file} is not a readable image ({error}): replace or delete it") from error
        listing.update(repr((file.relative_to(path).as_posix(), found.st_size, found.st_mtime_ns)).encode())
    inputs = {"files": listing.hexdigest(), "pillow": PIL.__version__}
    return torch.from_numpy(store.cached(keep / "decoded", inputs, lambda _: {"images": _pixels(files)})["images"])


def _pixels(files: tuple[Path, ...]) -> torch.Tensor:
    """Return the pixels of image files, uint8 [N, 3, H, W]."""
    images: list[torch.Tensor] = []
    for file in tqdm(files, desc="reading images", delay=2):
        image = _image(file)
        if image.shape != images[0].shape if images else image.shape[1] != image.shape[2]:
            expected = tuple(images[0].shape) if images else "a square image"
            raise DataError(
                f"{file} has shape {tuple(image.shape)}: expected {expected}, "
                "so that all images fit one tensor: crop or pad the images"
            )
        images.append(image)
    return torch.stack(images)


def _image_files(path: Path) -> list[tuple[str, Path]]:
    """Return class and path of every image of an image folder, in the order of the names."""
    labels = sorted(folder.name for folder in path.iterdir() if folder.is_dir() and not _hidden(folder.name))
    files = [(label, file) for label in labels for file in _class_files(path / label)]
    if not files:
        raise DataError(
            f"{path} is not an image folder (it has no subfolders): expected one subfolder of images a class"
        )
    places: dict = {}
    folder = functools.cache(os.path.realpath)  # to ask for every file takes seconds
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
        raise DataError(
            f"{folder.parent} is not an image folder ({folder.name} holds no image): expected "
            f"one subfolder of images a class, ending in {', '.join(IMAGE_ENDINGS)}"
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
        raise DataError(
            f"{file} has more than 8 bits a pixel (PIL's mode {image.mode}): expected grey "
            "levels from 0 to 255: convert it to 8 bits"
        )
    whole = image.convert("RGBA") if image.has_transparency_data else image
    if image.has_transparency_data and np.asarray(whole)[..., 3].min() < 255:
        raise DataError(f"{file} is transparent in places: expected opaque images: give it a background")
    return pil_to_tensor(whole.convert("RGB"))


def where(name: str) -> Path:
    """Return where somebody's own data lie: at the path itself, else below the folder of the data sets."""
    path, below = paths.of_user(name), paths.data() / name
    return below if below.exists() and not path.exists() else path


def places(name: str) -> str:
    """Return the end of an error message: where `where` looked for a relative path."""
    relative = name.strip() and not paths.of_user(name).is_absolute()
    return f": looked for {Path(name).absolute()} and {paths.data() / name}: correct the path" if relative else ""
