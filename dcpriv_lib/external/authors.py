"""What the authors of the paper published, read from a clone of their repository.

Beside the paper lie the weights of its target and shadow models and its condensed images, without a licence: so nothing
of it is part of this project, and whoever wants to judge it gets it with `GET`. Weights are read from HDF5, images
from npy without pickle; neither can run code, and links of HDF5 to other files are not followed. What lies there as a
pickle (attack models, saved softmaxes) is never opened: answers are computed again from the weights.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ..data.foreign import shown
from ..data.split import Split
from ..engine import paths
from ..engine.foreign_text import plain
from ..models import networks, training
from ..models.trained import Models

NAME = "Dataset-Condensation-for-Data-Privacy"
GET = f"git clone https://github.com/eshan-rg/{NAME}"
TARGETS = {
    "original": "models/mnist_target.h5",
    "condensed-10": "models/10/mnist_target_condensed.h5",
    "condensed-50": "models/50mnist_target_condensed.h5",
}
DS, N_SHADOWS = 15_000, 10  # of the shadow models behind the paper's tables
SHADOWS = {f"shadow-{j}": f"models/shadow_models/mnist_shadow_{DS}_{j}.h5" for j in range(N_SHADOWS)}
CONDENSED = {ipc: (f"data/{ipc}/X_target_condensed.npy", f"data/{ipc}/y_target_condensed.npy") for ipc in (10, 50)}
FILES = (*TARGETS.values(), *SHADOWS.values(), *(file for pair in CONDENSED.values() for file in pair))

LAYERS = [
    ("Conv2D", "tanh"),
    ("MaxPooling2D", None),
    ("Conv2D", "tanh"),
    ("MaxPooling2D", None),
    ("Flatten", None),
    ("Dense", "tanh"),
    ("Dense", "softmax"),
]
OURS = ("features.0", "features.3", "classifier.1", "classifier.3")  # those with weights, in `networks.PaperCNN`
AGAIN = f"delete the clone and get it again: {GET}"
LONGEST = 2**20  # bytes that the description of a network may have


class AuthorsError(RuntimeError):
    """Something that the authors published is missing, damaged, or not what it should be."""


def find(clone: str = "") -> Path:
    """Return the folder of a clone of the authors' repository in which every file of `FILES` exists.

    Parameters
    ----------
    clone : its path; empty for the folder `NAME` among the data sets (`paths.data`).

    Raises
    ------
    AuthorsError
        If the folder or a file in it is missing, with the command that gets it.
    """
    folder = paths.of_user(clone) if clone else paths.data() / NAME
    if not folder.is_dir():
        raise AuthorsError(
            f"the authors' models are needed and {paths.shown(folder)} is not a folder: run {GET} {paths.shown(folder)}"
        )
    for file in FILES:
        if not (folder / file).is_file():
            raise AuthorsError(
                f"{paths.shown(folder / file)} is missing, which a clone of the authors' repository has: {AGAIN}"
            )
    return folder


def models(
    split: Split, device: torch.device, computed_once: Callable[..., dict], clone: Path, files: dict[str, str]
) -> Models:
    """Return what published models answer for every image; computed once and kept.

    Parameters
    ----------
    split : the data set, with raw pixels, as the authors fed them.
    device : on which networks answer.
    computed_once : ``computed_once(name, function, *arrays)`` returns what the function does, a dict of arrays, and
        keeps it (`Study.computed_once`).
    clone : from `find`.
    files : name to file, `TARGETS` or `SHADOWS`. All are read and checked before anything is computed.

    Raises
    ------
    AuthorsError
        As `read_weights`.
    """
    all_weights = {name: read_weights(clone / file, split.shape) for name, file in files.items()}

    def answers(*weights: np.ndarray) -> dict:
        network = networks.PaperCNN(*split.shape)
        network.load_state_dict({name: torch.as_tensor(value) for name, value in zip(names, weights)})
        return {"logits": training.predict(network.to(device), split.pixels(split.dataset.images))}

    logits = []
    for name, found in tqdm(all_weights.items(), desc="asking the authors' models", delay=2):
        names = list(found)
        logits.append(computed_once(f"authors-{name}", answers, *found.values())["logits"])
    table = pd.DataFrame({"target": list(files), "run": 0})
    return Models(table, np.stack(logits), np.empty((len(files), 0, len(split.dataset.classes)), np.float32))


def read_weights(path: Path, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """Return the weights of the paper's network from a Keras model, by their names in `networks.PaperCNN`.

    Keras keeps the kernels of a convolution as [height, width, in, out] and of a dense layer as [in, out], and flattens
    images with the channels last; torch wants [out, in, height, width], [out, in], and the channels first.

    Parameters
    ----------
    path : of the HDF5 file. Of what it holds, only the architecture (JSON) and the weights (float32) are read.
    shape : channels, image size in pixels, number of classes.

    Returns
    -------
    dict of name to float32 array, finite, of the shapes in `networks.PaperCNN`.

    Raises
    ------
    AuthorsError
        If the file is missing, truncated, of another architecture, or lacks a layer, if a layer has a wrong
        shape or type or holds NaN, or if it lies in another file. (Two axes of the same length that were exchanged have
        no wrong shape: only the model's accuracy tells.)
    """
    network = networks.PaperCNN(*shape)
    if not os.path.isfile(path):  # to open a named pipe would never end
        raise AuthorsError(f"{shown(path)} does not exist, or is no regular file: {AGAIN}")
    try:
        with h5py.File(path, "r") as file:
            found = {}
            for ours, theirs in zip(OURS, _layers(path, file), strict=True):
                layer = network.get_submodule(ours)
                kernel = _array(path, file, theirs, "kernel:0", _keras_shape(layer))
                found[f"{ours}.weight"] = _torch_layout(kernel, network.features[3].out_channels, ours)
                found[f"{ours}.bias"] = _array(path, file, theirs, "bias:0", tuple(layer.bias.shape))
            return found
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError) as error:  # h5py raises many kinds
        if isinstance(error, AuthorsError):
            raise
        raise AuthorsError(f"{shown(path)} is truncated or no HDF5 file ({plain(error, 40)}): {AGAIN}") from error


def condensed(clone: Path, ipc: int) -> dict[str, np.ndarray]:
    """Return the published condensed images: "images", float32 [10 ipc, 1, 28, 28], and "labels", int64.

    Their values are those of the networks' inputs and not grey levels: from about -5 to 10.

    Raises
    ------
    AuthorsError
        If a file is damaged, holds objects, or has not `ipc` finite images of each of ten classes.
    """
    images, labels = (_npy(clone / file) for file in CONDENSED[ipc])
    for file, array, dtype, shape in zip(
        CONDENSED[ipc], (images, labels), ("float32", "int64"), ((10 * ipc, 28, 28), (10 * ipc,))
    ):
        if array.dtype != dtype or array.shape != shape:
            raise AuthorsError(
                f"{shown(clone / file)} holds {plain(array.dtype, 40)} {list(array.shape)}: expected {dtype} "
                f"{list(shape)}, {ipc} images of each class: {AGAIN}"
            )
    if not np.isfinite(images).all():
        raise AuthorsError(f"{shown(clone / CONDENSED[ipc][0])} holds NaN or infinity: {AGAIN}")
    if not np.array_equal(np.sort(labels), np.repeat(np.arange(10), ipc)):
        raise AuthorsError(
            f"{shown(clone / CONDENSED[ipc][1])}: expected each of the labels 0 to 9 {ipc} times: {AGAIN}"
        )
    return {"images": np.array(images)[:, None], "labels": np.array(labels)}


def _layers(path: Path, file: h5py.File) -> list[str]:
    """Return the names of the layers with weights, in order; AuthorsError unless the architecture is the paper's."""
    try:
        stored = file.attrs.get_id("model_config")
        if stored.shape or stored.dtype.itemsize > LONGEST or stored.get_storage_size() > LONGEST:
            raise ValueError("no text of a usual length")
        layers = [
            layer
            for layer in json.loads(file.attrs["model_config"])["config"]["layers"]
            if layer["class_name"] != "InputLayer"
        ]
        kinds = [(layer["class_name"], layer["config"].get("activation")) for layer in layers]
        last = all(layer["config"].get("data_format", "channels_last") == "channels_last" for layer in layers)
        names = [str(layer["config"]["name"]) for layer in layers if layer["class_name"] in ("Conv2D", "Dense")]
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise AuthorsError(
            f"{shown(path)} does not say which layers it has: expected a model saved by Keras: {AGAIN}"
        ) from error
    if kinds != LAYERS or not last:
        raise AuthorsError(
            f"{shown(path)} has the layers {plain(', '.join(str(kind) for kind, _ in kinds), 60)}, not those of "
            f"the paper's network ({', '.join(kind for kind, _ in LAYERS)}, channels last): {AGAIN}"
        )
    return names


def _array(path: Path, file: h5py.File, layer: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of a layer, after checking what it is and that it lies in this file; else nothing is read.

    HDF5 can link to other files, put an array together from them (virtual), or call any file's bytes one (external).
    """
    inside: h5py.Group | h5py.Dataset = file
    for step in ("model_weights", layer, layer, name):
        named = isinstance(inside, h5py.Group) and "/" not in step  # of a/b only b would be looked at
        link = inside.get(step, getlink=True) if named else None
        if link is None:
            raise AuthorsError(
                f"{shown(path)} lacks the weights of a layer that it names, or their name was changed "
                f"({plain(layer, 40)}): {AGAIN}"
            )
        if not isinstance(link, h5py.HardLink):
            raise AuthorsError(
                f"{shown(path)}: {plain(layer, 40)} is a link, which may lead to another file: expected weights "
                f"in this one: {AGAIN}"
            )
        inside = inside[step]
    if not isinstance(inside, h5py.Dataset) or inside.dtype != np.float32 or inside.shape != shape:
        found = f"{inside.dtype} {list(inside.shape or ())}" if isinstance(inside, h5py.Dataset) else "no array"
        raise AuthorsError(
            f"{shown(path)}: layer {plain(layer, 40)} holds {plain(found, 40)}: expected float32 {list(shape)}, "
            f"as Keras orders the axes: {AGAIN}"
        )
    if inside.is_virtual or inside.external or np.prod(inside.chunks or ()) > inside.size:
        raise AuthorsError(
            f"{shown(path)}: layer {plain(layer, 40)} does not lie in this file, or not as Keras lays it: {AGAIN}"
        )
    values = inside[()]
    if not np.isfinite(values).all():
        raise AuthorsError(f"{shown(path)}: layer {plain(layer, 40)} holds NaN or infinity: {AGAIN}")
    return values


def _keras_shape(layer: torch.nn.Module) -> tuple[int, ...]:
    """Return the shape in which Keras keeps the kernel of a layer."""
    out, into, *size = layer.weight.shape
    return (*size, into, out)


def _torch_layout(kernel: np.ndarray, channels: int, layer: str) -> np.ndarray:
    """Return a kernel of Keras as torch orders it; `channels` are those that the first dense layer flattens."""
    if layer == "classifier.1":
        side = int(np.sqrt(len(kernel) // channels))
        kernel = kernel.reshape(side, side, channels, -1)  # [y, x, channel, unit]
    if kernel.ndim == 2:
        return np.ascontiguousarray(kernel.T)
    kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))  # [out, in, y, x]
    return kernel.reshape(len(kernel), -1) if layer == "classifier.1" else kernel


def _npy(path: Path) -> np.ndarray:
    """Return the array of an npy file as a map of it: no memory is taken before its type and shape are checked."""
    try:
        if not os.path.isfile(path):
            raise ValueError("no regular file")
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise ValueError("an npz file")
        return found
    except (OSError, ValueError, EOFError, OverflowError, MemoryError) as error:
        raise AuthorsError(
            f"{shown(path)} is missing or damaged, or holds objects, which could run code ({plain(error, 30)}): {AGAIN}"
        ) from error
