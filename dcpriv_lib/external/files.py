"""What was made elsewhere, by any framework: a model's answers, a network's weights, a condensed set.

A target is only its answers, so a model is judged without being here. Every file is an ``.npz`` or a ``.safetensors``,
neither of which can run code. A safetensors file says `kind` and `pixels` in its metadata, an npz file in arrays beside
the others:

    np.savez("answers.npz", kind="softmax", members=..., non_members=..., attacker=...)     see `answers`
    np.savez("weights.npz", pixels="unit", **{name: w.numpy() for name, w in network.state_dict().items()})
    np.savez("set.npz", pixels="unit", images=..., labels=...)                              see `synthetic_set`

Whose images are whose says ``results/<profile>/split.npz`` of notebook 1: the arrays members, non_members and attacker
are rows of the data set's training file. `pixels` says what the numbers of images mean: "unit" is 0 to 1, "raw" 0 to
255, "standard" mean 0 and deviation 1 over the training file. Or `mean` and `std` say it instead, a number for each
channel, for pixels from 0 to 1 as torchvision's Normalize takes them: 0.5 and 0.5 for images from -1 to 1. Classes are
in the order of the data set's, columns and labels alike. The models and condensed sets that this report keeps in
``results/<profile>`` can be named as they are; their record says the same.

What is well-formed can still be mistaken: `plausible` doubts answers in another order and images on another scale. A
doubt is a warning, and stands beside the name of the model in every table; where it is certain, the file is refused.
"""

import hashlib
import os
import re
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from ..data import foreign
from ..data.dataset import AGAIN, DataError
from ..data.foreign import shown
from ..data.split import PARTS, Split, pixel_scale
from ..engine import paths, store
from ..engine.errors import as_list
from ..engine.foreign_text import plain, several
from ..models import networks, training
from ..parameters import PIXELS
from . import plausible

KINDS = ("logits", "softmax")
WEIGHT = re.compile(r"(features|classifier)\.\d+\.(weight|bias)")
NUMBERS = "save arrays of numbers and text only, with numpy.savez"
ROUNDED = 0.01  # by which probabilities may miss the sum of one
BYTES, WEIGHTS = 8, 2**28  # of a number at most; that files of weights may have, beside what a data set's pixels take
OTHER_SCALES = {"mean and std of 0.5 (-1 to 1)": (0.5, 0.5), "MNIST's mean and std": (0.1307, 0.3081)}


def targets(files: str | list[str], split: Split, device: torch.device) -> tuple[dict, dict[str, str]]:
    """Return what the models of some files answer, by the name of the file and run 0, and the files' checksums.

    A model that is doubted has the doubt in its name, in brackets, so that it stands beside its numbers everywhere.

    Parameters
    ----------
    files : paths, absolute or relative to the repository, as in the notebooks' parameter ``extra_targets``.
    split : whose images are whose, and how networks see them.
    device : on which networks answer.

    Returns
    -------
    dict of (name, 0) to `attack.Answers`, and of name to SHA-256.

    Raises
    ------
    DataError, ArtefactError
        As `answers`, and if two files have one name.
    """
    checksums = _checksums("extra_targets", files)
    read = {path: _read(path, split, device) for path in checksums}
    for path, (_, doubt) in read.items():
        _tell(path, doubt)
    return {(_named(path, doubt), 0): given for path, (given, doubt) in read.items()}, _by_name(checksums)


def answers(path: Path, split: Split, device: torch.device):
    """Return what one model answers for the pool and the attacker's images.

    Parameters
    ----------
    path : a file of answers, or of the weights of one of this report's networks. Answers are "members" and
        "non_members", float [n, classes], the rows in the order of the split, and "kind", "logits" or "softmax".
        "attacker", the same for the attacker's images, is optional; attacks that need it are left out without
        it. Weights are named as in torch's ``state_dict``, and "pixels" says for which images.
    split, device : as in `targets`.

    Returns
    -------
    attacks.Answers with one query an image. A softmax p becomes the logits log p, of which every attack reads the same.
    A probability of zero is taken for half of the smallest one that is not zero.

    Raises
    ------
    DataError
        If the file is missing or damaged, or its arrays are not what was said: other lengths, NaN, probabilities that
        do not add up to one, logits that are probabilities, layers of other names or shapes; or if its rows are
        certainly in another order.
    ArtefactError
        If the file is one of this report and was made from other data or another seed, or is damaged.

    Warns
    -----
    UserWarning
        If probabilities are zero, as after rounding, or if `plausible.of_answers` doubts the order of rows or classes.
    """
    given, doubt = _read(path, split, device)
    _tell(path, doubt)
    return given


def _read(path: Path, split: Split, device: torch.device):
    """Return `answers`, and what is doubted of them."""
    from ..attacks import attack  # here, because notebook 2 would wait for scikit-learn

    arrays = _arrays(path, "extra_targets", split)
    answered = "members" in arrays or "non_members" in arrays
    if answered:
        found = _answered(path, arrays, split)
    else:
        network, mean, deviation = _weighted(path, arrays, split, device)
        logits = training.predict(network, (split.dataset.images.float() - mean) / deviation).numpy()
        found = {part: logits[split.indices[part]] for part in PARTS}
    labels = {part: split.dataset.labels[rows].numpy() for part, rows in split.indices.items()}
    doubt = plausible.of_answers(
        {part: values.argmax(1) for part, values in found.items()},
        {part: labels[part] for part in found},
        _other_orders(split, labels, found) if answered else {},
    )
    pool, of_pool = (np.concatenate([one["members"], one["non_members"]]) for one in (found, labels))
    if "attacker" not in found:
        return attack.Answers(pool[:, None], of_pool), doubt
    return attack.Answers(pool[:, None], of_pool, found["attacker"][:, None], labels["attacker"]), doubt


def _other_orders(split: Split, labels: dict[str, np.ndarray], found: dict) -> dict[str, dict[str, np.ndarray]]:
    """Return orders that rows may be in by mistake: name to parts and their classes in that order."""
    file = {part: split.dataset.labels[np.sort(split.indices[part])].numpy() for part in found}
    pool = ("members", "non_members")
    orders = {"the order of the file": {part: file[part] for part in pool}}
    orders |= {f"the order of the file, {part}": {part: file[part]} for part in found}
    if len(labels["members"]) == len(labels["non_members"]):
        exchanged = dict(zip(pool, reversed(pool)))
        for name, classes in (("the other part's place", labels), ("the other part's place, in file order", file)):
            orders[name] = {part: classes[exchanged[part]] for part in pool}
    return orders


def _named(path: Path, doubt: plausible.Doubt | None) -> str:
    """Return the name of a model in tables: its file's, and what is doubted."""
    return f"{_shown(path)} ({doubt.short})" if doubt else _shown(path)


def _tell(path: Path, doubt: plausible.Doubt | None) -> None:
    """Warn of a doubt; raise DataError if it is certain."""
    if doubt and doubt.certain:
        raise DataError(f"{shown(path)}: {doubt.sentence}")
    if doubt:
        warnings.warn(f"{shown(path)}: {doubt.sentence}", stacklevel=3)


def networks_on_pixels(files: str | list[str], split: Split, device: torch.device) -> tuple[dict, dict[str, str]]:
    """Return the networks whose weights are in some files, each taking pixels from 0 to 1; None for a file of answers.

    Parameters
    ----------
    files, split, device : as in `targets`.

    Returns
    -------
    dict of the name in `targets` to `networks.OnPixels`, or None; and of the file's name to SHA-256.

    Raises
    ------
    DataError, ArtefactError
        As `answers`.
    """
    found, checksums = {}, _checksums("extra_targets", files)
    for path in checksums:
        arrays = _arrays(path, "extra_targets", split)
        answered = "members" in arrays or "non_members" in arrays
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `targets` has told it
            name = _named(path, _read(path, split, device)[1])
        found[name] = None if answered else networks.OnPixels(*_weighted(path, arrays, split, device))
    return found, _by_name(checksums)


def synthetic_sets(
    files: str | list[str], split: Split
) -> tuple[dict[tuple[int, int], dict[str, np.ndarray]], dict[str, str]]:
    """Return the condensed sets of some files, and the files' checksums.

    Parameters
    ----------
    files : as in `targets`, of the notebooks' parameter ``synthetic_sets``.
    split : as in `targets`.

    Returns
    -------
    dict of (ipc, number of the set among those of this ipc) to `synthetic_set`, and of name to SHA-256, both in the
    order of the files. A set that is doubted has the doubt in its name, in brackets.

    Raises
    ------
    DataError, ArtefactError
        As `synthetic_set`, and if two files have one name.
    """
    found, seen, names, checksums = {}, Counter(), {}, _checksums("synthetic_sets", files)
    for path, checksum in checksums.items():
        made, doubt = _set(path, split)
        _tell(path, doubt)
        names[_named(path, doubt)] = checksum
        ipc = len(made["images"]) // len(split.dataset.classes)
        found[ipc, seen[ipc]] = made
        seen[ipc] += 1
    return found, names


def synthetic_set(path: Path, split: Split) -> dict[str, np.ndarray]:
    """Return a condensed set as `condense.condense` returns its own, sorted by class, with no history.

    Parameters
    ----------
    path : a file with "images", [n, H, W], [n, C, H, W] or [n, H, W, C], of any numbers; "labels", int [n], or
        float [n, classes], soft labels that add up to one; and "pixels", the scale of the images, or "mean" and "std"
        instead. Every class has as many images as the others; an image with soft labels is of the class with the
        largest.
    split : as in `targets`.

    Returns
    -------
    dict with "images" float32 [n, C, H, W] on the scale that networks see; "labels" int64 [n], or float32
    [n, classes]; "loss" float64 [0], "snapshots" float32 [1, n, C, H, W] and "started_from" int64 [n, 0].

    Raises
    ------
    DataError, ArtefactError
        If the file is not as said above, or certainly on another scale.

    Warns
    -----
    UserWarning
        If `plausible.of_scale` doubts the scale.
    """
    made, doubt = _set(path, split)
    _tell(path, doubt)
    return made


def _set(path: Path, split: Split) -> tuple[dict[str, np.ndarray], plausible.Doubt | None]:
    """Return `synthetic_set`, and what is doubted of it."""
    arrays = _arrays(path, "synthetic_sets", split)
    if missing := [key for key in ("images", "labels") if key not in arrays]:
        raise DataError(
            f"{shown(path)} lacks {', '.join(missing)}: it holds {several(arrays, 3, 20)}, expected images, labels and "
            f"pixels: {AGAIN}"
        )
    images, doubt = _images(path, arrays, split)
    labels = _labels(path, arrays, len(split.dataset.classes))
    own = labels if labels.ndim == 1 else labels.argmax(1)
    sizes = np.bincount(own, minlength=len(split.dataset.classes))
    if sizes.min() != sizes.max() or not len(own):
        raise DataError(
            f"{shown(path)}: class {sizes.argmin()} has {sizes.min()} images and class {sizes.argmax()} has "
            f"{sizes.max()}: expected as many of every class: {AGAIN}"
        )
    order = np.argsort(own, kind="stable")
    return {
        "images": images[order],
        "labels": labels[order],
        "loss": np.empty(0),
        "snapshots": images[order][None],
        "started_from": np.empty((len(own), 0), np.int64),
    }, doubt


# ---------------------------------------------------------------- answers


def _answered(path: Path, arrays: dict, split: Split) -> dict[str, np.ndarray]:
    """Return the logits of every part that a file of answers holds."""
    kind = _word(path, arrays, "kind", KINDS)
    found = {part: arrays.get(part) for part in PARTS if part in arrays or part != "attacker"}
    for part, values in found.items():
        expected = (len(split.indices[part]), len(split.dataset.classes))
        if not _floats(values, expected):
            raise DataError(
                f"{shown(path)}: {part} is {_described(values)}: expected finite floats of shape {expected}, a row for "
                f"each of these images of split.npz, in its order: {AGAIN}"
            )
    if kind == "softmax":
        return _logarithms(path, found)
    if all(map(_add_up, found.values())):
        raise DataError(
            f"{shown(path)}: every row is probabilities that add up to one, but kind is 'logits': say kind='softmax'"
        )
    if all(values.min() >= 0 and values.max() <= 1 for values in found.values()):
        warnings.warn(
            f"{shown(path)}: every number lies between 0 and 1, as those of probabilities do and logits hardly ever: "
            "are they what the network gives before its softmax?",
            stacklevel=5,
        )
    return {part: values.astype(np.result_type(values, np.float32)) for part, values in found.items()}


def _add_up(values: np.ndarray) -> bool:
    """Return whether all rows are probabilities."""
    return values.min() >= 0 and bool((np.abs(values.sum(1, dtype=np.float64) - 1) <= ROUNDED).all())


def _logarithms(path: Path, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return log p, float64, of the probabilities of every part."""
    for part, p in found.items():
        if not _add_up(p):
            sums = p.sum(1, dtype=np.float64)
            advice = "say kind='logits' if they are logits, or save what the softmax gives"
            raise DataError(
                f"{shown(path)}: {part} hold {p.min():.3g} to {p.max():.3g}, and rows add up to {sums.min():.3g} to "
                f"{sums.max():.3g}: expected probabilities that add up to one: "
                f"{advice if p.min() < 0 else 'save what the softmax gives, each row as it is'}"
            )
    smallest = min(float(p[p > 0].min()) for p in found.values())  # of Python: half of float16's smallest would be 0
    if smallest >= 1 - ROUNDED:
        raise DataError(
            f"{shown(path)}: every probability is 0 or 1, which is a label and no confidence: expected what the "
            "softmax gives, not rounded"
        )
    zeros = np.mean(np.concatenate([(p == 0).ravel() for p in found.values()]))
    if zeros:
        warnings.warn(
            f"{shown(path)}: {zeros:.1%} of the probabilities are 0, as after rounding; they are taken for "
            f"{smallest / 2:.1g}, and attacks cannot see what lies below: save logits if there are any",
            stacklevel=5,
        )
    return {part: np.log(np.maximum(p.astype(np.float64), smallest / 2)) for part, p in found.items()}


# ---------------------------------------------------------------- weights


def _weighted(
    path: Path, arrays: dict, split: Split, device: torch.device
) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    """Return the network whose weights are in a file, and mean and deviation of the pixels that it takes."""
    own = {name.removeprefix("weights."): value for name, value in arrays.items() if name.startswith("weights.")}
    weights = own or {name: value for name, value in arrays.items() if value.ndim and name not in ("mean", "std")}
    if not weights or not all(map(WEIGHT.fullmatch, weights)):
        raise DataError(
            f"{shown(path)} holds {several(arrays, 3, 20)}: expected kind, members and non_members, or the "
            f"weights of {networks.PaperCNN.__name__} or {networks.ConvNet.__name__} of this report: {AGAIN}"
        )
    with torch.device("meta"):  # takes no memory, however many filters are announced
        network = _network(weights, split.shape)
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    for name in [*expected, *weights]:
        if name not in expected or not _floats(weights.get(name), expected[name]):
            wanted = f"finite floats of shape {expected[name]}" if name in expected else "no such layer"
            raise DataError(
                f"{shown(path)}: {plain(name, 40)} is {_described(weights.get(name))}: expected {wanted} in a "
                f"{type(network).__name__} for these images: {AGAIN}"
            )
    with np.errstate(over="ignore"):
        numbers = {name: np.asarray(value, np.float32) for name, value in weights.items()}
    if beyond := [name for name, value in numbers.items() if not np.isfinite(value).all()]:
        raise DataError(f"{shown(path)}: {beyond[0]} holds numbers beyond those of float32: {AGAIN}")
    network = _network(weights, split.shape)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in numbers.items()})
    return network.to(device), *_scale(path, arrays, split)[1]


def _network(weights: dict[str, np.ndarray], shape: tuple[int, int, int]) -> torch.nn.Module:
    """Return the network that has layers of these names: `PaperCNN`, or `ConvNet` of the width of its first layer."""
    if "classifier.3.weight" in weights:
        return networks.PaperCNN(*shape)
    first = weights.get("features.0.weight", np.empty(1))
    return networks.ConvNet(*shape, width=max(1, len(first)) if first.ndim else 1)


# ---------------------------------------------------------------- condensed sets


def _images(path: Path, arrays: dict[str, np.ndarray], split: Split) -> tuple[np.ndarray, plausible.Doubt | None]:
    """Return images as float32 [n, C, H, W] on the scale that networks see, and what is doubted of the scale stated."""
    images, (pixels, (mean, deviation)) = arrays["images"], _scale(path, arrays, split)
    channels, size, _ = split.shape
    expected = (channels, size, size)
    one = images.shape[1:]
    if one == (size, size) and channels == 1:
        images = images[:, None]
    elif one == (size, size, channels) and one != expected:
        images = images.transpose(0, 3, 1, 2)
    elif one != expected:
        raise DataError(
            f"{shown(path)}: images has shape {images.shape}: expected (n, {channels}, {size}, {size}) or "
            f"(n, {size}, {size}, {channels}), as the images of {shown(split.dataset.name)} are: {AGAIN}"
        )
    if images.dtype.kind not in "fiu" or not np.isfinite(images).all():
        raise DataError(f"{shown(path)}: images are {_described(images)}: expected finite numbers: {AGAIN}")
    if images.dtype == np.uint8 and pixels != "raw":
        raise DataError(f"{shown(path)}: images are uint8, 0 to 255, but pixels is {pixels!r}: say pixels='raw'")
    with np.errstate(over="ignore"):
        tensor = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))
    seen = tensor if pixels == split.inputs["pixels"] else split.pixels(tensor * deviation + mean)
    if not torch.isfinite(seen).all() or not torch.isfinite(tensor * deviation).all():
        most = float(np.abs(images.astype(np.float64)).max())
        raise DataError(
            f"{shown(path)}: images of up to {most:.3g} are beyond all numbers on the scale that networks see: {AGAIN}"
        )
    return seen.numpy(), _doubt_of_scale(tensor.double().numpy(), pixels, (mean, deviation), split)


def _doubt_of_scale(images: np.ndarray, pixels: str, stated: tuple, split: Split) -> plausible.Doubt | None:
    """Return `plausible.of_scale` of images, among all scales that are known."""
    if not len(images):
        return None
    real = split.dataset.images.float()
    name = f"pixels={pixels!r}" if pixels in PIXELS else "its mean and std"
    scales = {name: stated}
    if pixels in PIXELS:  # who writes down numbers of their own has thought about them
        scales |= {f"pixels={one!r}": pixel_scale(split.dataset.images, one) for one in PIXELS}
        scales |= {
            one: tuple(torch.full((1, 1, 1, 1), 255 * part) for part in two) for one, two in OTHER_SCALES.items()
        }
    numbers = {one: tuple(part.double().numpy() for part in two) for one, two in scales.items()}
    return plausible.of_scale(images, name, numbers, real.mean().item(), real.std().item())


def _labels(path: Path, arrays: dict, classes: int) -> np.ndarray:
    """Return labels as int64 [n], or as float32 [n, classes] if they are soft."""
    labels, n = arrays["labels"], len(arrays["images"])
    if labels.shape == (n, classes) and labels.dtype.kind in "fiu":
        if not np.isfinite(labels).all() or not _add_up(labels):
            raise DataError(
                f"{shown(path)}: labels of shape {labels.shape} are soft labels, and not all rows are probabilities "
                f"that add up to one: {AGAIN}"
            )
        hard = np.isin(labels, (0, 1)).all()
        return labels.argmax(1) if hard else labels.astype(np.float32)
    if labels.shape not in ((n,), (n, 1)) or labels.dtype.kind not in "iu":
        raise DataError(
            f"{shown(path)}: labels is {_described(labels)}: expected integers of shape ({n},), or probabilities of "
            f"shape ({n}, {classes}): {AGAIN}"
        )
    if labels.min(initial=0) < 0 or labels.max(initial=0) >= classes:
        raise DataError(
            f"{shown(path)}: labels run from {labels.min()} to {labels.max()}: expected 0 to {classes - 1}, the "
            f"classes of the data set: {AGAIN}"
        )
    return labels.reshape(-1).astype(np.int64)


# ---------------------------------------------------------------- arrays and files


def _arrays(path: Path, parameter: str, split: Split) -> dict[str, np.ndarray]:
    """Return the arrays of a file, and the words of a safetensors file's metadata."""
    most = WEIGHTS + BYTES * (split.dataset.images.numel() + len(split.dataset.labels) * split.shape[2])
    if path.suffix == ".safetensors":
        return foreign.safetensors_arrays(path, parameter, most)
    arrays = foreign.npz_arrays(path, parameter, NUMBERS, most=most)
    if path.suffix.lower() != ".npz":  # "original" would be one of our own models in every table
        raise DataError(f"{shown(path)}: tables call it by its name: expected one that ends in .npz: rename it")
    return arrays


def _floats(value: np.ndarray | None, shape: tuple[int, ...]) -> bool:
    return value is not None and value.shape == shape and value.dtype.kind == "f" and bool(np.isfinite(value).all())


def _described(value: np.ndarray | None) -> str:
    """Return what an array is, for a message."""
    if value is None:
        return "not there"
    bad = np.sum(~np.isfinite(value)) if value.dtype.kind == "f" else 0
    return f"{value.dtype} of shape {value.shape}" + (f" with {bad:,} NaN or infinite" if bad else "")


def _checksums(parameter: str, files: str | list[str]) -> dict[Path, str]:
    """Return the paths of files, in order, each with its SHA-256."""
    found = [paths.REPOSITORY / paths.of_user(file) for file in as_list(files)]
    twice = [name for name, times in Counter(map(_shown, found)).items() if times > 1]
    if twice:
        raise DataError(f"{parameter}: two files are called {twice[0]}, and the tables name them so: rename one")
    for path in found:
        if not os.path.isfile(path):
            raise DataError(
                f"{parameter} = {plain(path, 60)!r}: there is no file {shown(path)}: correct the path, which is full "
                "or begins in the repository"
            )
        foreign.check_file(path, parameter)
    return {path: _sha256(path) for path in found}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _by_name(checksums: dict[Path, str]) -> dict[str, str]:
    return {_shown(path): checksum for path, checksum in checksums.items()}


def _shown(path: Path) -> str:
    """Return what the tables call a file."""
    return plain(path.name)


def _scale(path: Path, arrays: dict, split: Split) -> tuple[str, tuple]:
    """Return the scale of the pixels that a file states, or that the record of a file of this report does.

    It is one of `PIXELS`, or "" for a mean and a deviation of the file's own; with what `pixel_scale` returns of it.
    """
    if made_from := store.inputs_of(path):
        same = {name: split.inputs[name] for name in ("data", "seed")}
        store.load_arrays(path, same, "the notebook that made it", may_be_renamed=True)
        if made_from.get("pixels") not in PIXELS:
            raise DataError(
                f"{shown(path)}: its record does not say pixels, one of {', '.join(PIXELS)}: name a model or a "
                "condensed set"
            )
        return made_from["pixels"], pixel_scale(split.dataset.images, made_from["pixels"])
    own = {key: arrays[key] for key in ("mean", "std") if key in arrays}
    if not own:
        pixels = _word(path, arrays, "pixels", PIXELS)
        return pixels, pixel_scale(split.dataset.images, pixels)
    if len(own) < 2 or "pixels" in arrays:
        raise DataError(
            f"{shown(path)} says {' and '.join(key for key in (*own, 'pixels') if key in arrays)}: expected "
            f"mean and std, or pixels instead: {AGAIN}"
        )
    mean, deviation = (_of_channels(path, key, value, split.shape[0]) for key, value in own.items())
    return "", (255 * mean, 255 * deviation)


def _of_channels(path: Path, key: str, value: np.ndarray, channels: int) -> torch.Tensor:
    """Return a number for each channel, float32 [1, C, 1, 1]; a safetensors file may have it as words: "0.5, 0.5"."""
    try:
        numbers = np.array(str(value).split(","), float) if value.dtype.kind == "U" else np.asarray(value, float)
        numbers = np.broadcast_to(numbers.reshape(-1), (channels,))
        low = 1e-6 if key == "std" else 0
        if not ((low <= numbers) & (numbers <= 1)).all():
            raise ValueError
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{shown(path)}: {key} is {plain(value, 40)}: expected {channels} numbers between 0 and 1, one for each "
            f"channel, of pixels from 0 to 1: {AGAIN}"
        ) from error
    return torch.tensor(numbers, dtype=torch.float32).view(1, -1, 1, 1)


def _word(path: Path, arrays: dict, key: str, allowed: tuple[str, ...]) -> str:
    """Return one of some words that a file has to state."""
    word = arrays.get(key)
    if word is None or str(word) not in allowed:
        stated = f"does not say {key}" if word is None else f"says {key} = {plain(word, 40)!r}"
        how = (
            f"metadata={{{key!r}: {allowed[1]!r}}}"
            if path.suffix == ".safetensors"
            else f"numpy.savez(..., {key}={allowed[1]!r})"
        )
        raise DataError(f"{shown(path)} {stated}: expected one of {', '.join(allowed)}: add it, {how}")
    return str(word)
