"""What was made elsewhere, by any framework: a model's answers, a network's weights, a condensed set.

A target is only its answers, so a model is judged without being here. Every file is an ``.npz`` or a ``.safetensors``,
neither of which can run code. A safetensors file says `kind` and `pixels` in its metadata, an npz file in arrays beside
the others:

    np.savez("answers.npz", kind="softmax", members=..., non_members=..., attacker=...)     see `answers`
    np.savez("weights.npz", pixels="unit", **{name: w.numpy() for name, w in network.state_dict().items()})
    np.savez("set.npz", pixels="unit", images=..., labels=...)                              see `synthetic_set`

Whose images are whose says ``results/<profile>/split.npz`` of notebook 1: the arrays members, non_members and attacker
are rows of the data set's training file. `pixels` says what the numbers of images mean: "unit" is 0 to 1, "raw" 0 to
255, "standard" mean 0 and deviation 1 over the training file. The models and condensed sets that this report keeps in
``results/<profile>`` can be named as they are; their record says the same.
"""

import hashlib
import re
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from ..data.dataset import AGAIN, DataError
from ..data.own import npz_arrays
from ..data.split import PARTS, Split, pixel_scale
from ..engine import foreign_text, paths, store
from ..engine.errors import as_list
from ..models import networks, training
from ..parameters import PIXELS

KINDS = ("logits", "softmax")
WEIGHT = re.compile(r"(features|classifier)\.\d+\.(weight|bias)")
NUMBERS = "save arrays of numbers and text only, with numpy.savez"
ROUNDED = 0.01  # by which probabilities may miss the sum of one
ODD_SPREAD = 10  # times the spread of real images, or a tenth of it: probably not the scale that was stated


def targets(files: str | list[str], split: Split, device: torch.device) -> tuple[dict, dict[str, str]]:
    """Return what the models of some files answer, by the name of the file and run 0, and the files' checksums.

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
    return {(_shown(path), 0): answers(path, split, device) for path in checksums}, _by_name(checksums)


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
        do not add up to one, logits that are probabilities, layers of other names or shapes.
    ArtefactError
        If the file is one of this report and was made from other data or another seed, or is damaged.

    Warns
    -----
    UserWarning
        If probabilities are zero, as after rounding.
    """
    from ..attacks import attack  # here, because notebook 2 would wait for scikit-learn

    arrays = _arrays(path, "extra_targets")
    if "members" in arrays or "non_members" in arrays:
        found = _answered(path, arrays, split)
    else:
        network, mean, deviation = _weighted(path, arrays, split, device)
        logits = training.predict(network, (split.dataset.images.float() - mean) / deviation).numpy()
        found = {part: logits[split.indices[part]] for part in PARTS}
    labels = {part: split.dataset.labels[rows].numpy() for part, rows in split.indices.items()}
    pool, of_pool = (np.concatenate([one["members"], one["non_members"]]) for one in (found, labels))
    if "attacker" not in found:
        return attack.Answers(pool[:, None], of_pool)
    return attack.Answers(pool[:, None], of_pool, found["attacker"][:, None], labels["attacker"])


def networks_on_pixels(files: str | list[str], split: Split, device: torch.device) -> tuple[dict, dict[str, str]]:
    """Return the networks whose weights are in some files, each taking pixels from 0 to 1; None for a file of answers.

    Parameters
    ----------
    files, split, device : as in `targets`.

    Returns
    -------
    dict of the name of the file to `networks.OnPixels`, or None; and of name to SHA-256.

    Raises
    ------
    DataError, ArtefactError
        As `answers`.
    """
    found, checksums = {}, _checksums("extra_targets", files)
    for path in checksums:
        arrays = _arrays(path, "extra_targets")
        answered = "members" in arrays or "non_members" in arrays
        found[_shown(path)] = None if answered else networks.OnPixels(*_weighted(path, arrays, split, device))
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
    dict of (ipc, number of the set among those of this ipc) to `synthetic_set`, and of name to SHA-256.

    Raises
    ------
    DataError, ArtefactError
        As `synthetic_set`, and if two files have one name.
    """
    found, seen, checksums = {}, Counter(), _checksums("synthetic_sets", files)
    for path in checksums:
        made = synthetic_set(path, split)
        ipc = len(made["images"]) // len(split.dataset.classes)
        found[ipc, seen[ipc]] = made
        seen[ipc] += 1
    return found, _by_name(checksums)


def synthetic_set(path: Path, split: Split) -> dict[str, np.ndarray]:
    """Return a condensed set as `condense.condense` returns its own, sorted by class, with no history.

    Parameters
    ----------
    path : a file with "images", [n, H, W], [n, C, H, W] or [n, H, W, C], of any numbers; "labels", int [n], or
        float [n, classes], soft labels that add up to one; and "pixels", the scale of the images. Every class has as
        many images as the others; an image with soft labels is of the class with the largest.
    split : as in `targets`.

    Returns
    -------
    dict with "images" float32 [n, C, H, W] on the scale that networks see; "labels" int64 [n], or float32
    [n, classes]; "loss" float64 [0], "snapshots" float32 [1, n, C, H, W] and "started_from" int64 [n, 0].

    Raises
    ------
    DataError, ArtefactError
        If the file is not as said above.

    Warns
    -----
    UserWarning
        If the images spread ten times as much as real ones or more, or a tenth or less: another scale was probably
        meant.
    """
    arrays = _arrays(path, "synthetic_sets")
    if missing := [key for key in ("images", "labels") if key not in arrays]:
        raise DataError(
            f"{path} lacks {', '.join(missing)}: it holds {', '.join(arrays)}, expected images, labels and "
            f"pixels: {AGAIN}"
        )
    pixels = _pixels(path, arrays, split)
    images, labels = _images(path, arrays["images"], pixels, split), _labels(path, arrays, len(split.dataset.classes))
    own = labels if labels.ndim == 1 else labels.argmax(1)
    sizes = np.bincount(own, minlength=len(split.dataset.classes))
    if sizes.min() != sizes.max() or not len(own):
        raise DataError(
            f"{path}: class {sizes.argmin()} has {sizes.min()} images and class {sizes.argmax()} has "
            f"{sizes.max()}: expected as many of every class: {AGAIN}"
        )
    order = np.argsort(own, kind="stable")
    return {
        "images": images[order],
        "labels": labels[order],
        "loss": np.empty(0),
        "snapshots": images[order][None],
        "started_from": np.empty((len(own), 0), np.int64),
    }


# ---------------------------------------------------------------- answers


def _answered(path: Path, arrays: dict, split: Split) -> dict[str, np.ndarray]:
    """Return the logits of every part that a file of answers holds."""
    kind = _word(path, arrays, "kind", KINDS)
    found = {part: arrays.get(part) for part in PARTS if part in arrays or part != "attacker"}
    for part, values in found.items():
        expected = (len(split.indices[part]), len(split.dataset.classes))
        if not _floats(values, expected):
            raise DataError(
                f"{path}: {part} is {_described(values)}: expected finite floats of shape {expected}, a row for "
                f"each of these images of split.npz, in its order: {AGAIN}"
            )
    if kind == "softmax":
        return _logarithms(path, found)
    if all(map(_add_up, found.values())):
        raise DataError(
            f"{path}: every row is probabilities that add up to one, but kind is 'logits': say kind='softmax'"
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
            raise DataError(
                f"{path}: {part} hold {p.min():.3g} to {p.max():.3g}, and rows add up to {sums.min():.3g} to "
                f"{sums.max():.3g}: expected probabilities that add up to one: say kind='logits' if they are "
                "logits, or save what the softmax gives"
            )
    smallest = min(p[p > 0].min() for p in found.values())
    if smallest >= 1 - ROUNDED:
        raise DataError(
            f"{path}: every probability is 0 or 1, which is a label and no confidence: expected what the "
            "softmax gives, not rounded"
        )
    zeros = np.mean(np.concatenate([(p == 0).ravel() for p in found.values()]))
    if zeros:
        warnings.warn(
            f"{path}: {zeros:.1%} of the probabilities are 0, as after rounding; they are taken for "
            f"{smallest / 2:.1g}, and attacks cannot see what lies below: save logits if there are any",
            stacklevel=4,
        )
    return {part: np.log(np.maximum(p.astype(np.float64), smallest / 2)) for part, p in found.items()}


# ---------------------------------------------------------------- weights


def _weighted(
    path: Path, arrays: dict, split: Split, device: torch.device
) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    """Return the network whose weights are in a file, and mean and deviation of the pixels that it takes."""
    own = {name.removeprefix("weights."): value for name, value in arrays.items() if name.startswith("weights.")}
    weights = own or {name: value for name, value in arrays.items() if value.ndim}
    if not weights or not all(map(WEIGHT.fullmatch, weights)):
        raise DataError(
            f"{path} holds {', '.join(arrays) or 'nothing'}: expected kind, members and non_members, or the "
            f"weights of {networks.PaperCNN.__name__} or {networks.ConvNet.__name__} of this report: {AGAIN}"
        )
    network = _network(weights, split.shape)
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    for name in [*expected, *weights]:
        if name not in expected or not _floats(weights.get(name), expected[name]):
            wanted = f"finite floats of shape {expected[name]}" if name in expected else "no such layer"
            raise DataError(
                f"{path}: {name} is {_described(weights.get(name))}: expected {wanted} in a "
                f"{type(network).__name__} for these images: {AGAIN}"
            )
    network.load_state_dict({name: torch.as_tensor(value, dtype=torch.float32) for name, value in weights.items()})
    return network.to(device), *pixel_scale(split.dataset.images, _pixels(path, arrays, split))


def _network(weights: dict[str, np.ndarray], shape: tuple[int, int, int]) -> torch.nn.Module:
    """Return the network that has layers of these names: `PaperCNN`, or `ConvNet` of the width of its first layer."""
    if "classifier.3.weight" in weights:
        return networks.PaperCNN(*shape)
    first = weights.get("features.0.weight", np.empty(1))
    return networks.ConvNet(*shape, width=max(1, len(first)) if first.ndim else 1)


# ---------------------------------------------------------------- condensed sets


def _images(path: Path, images: np.ndarray, pixels: str, split: Split) -> np.ndarray:
    """Return images as float32 [n, C, H, W] on the scale that networks see."""
    channels, size, _ = split.shape
    expected = (channels, size, size)
    one = images.shape[1:]
    if one == (size, size) and channels == 1:
        images = images[:, None]
    elif one == (size, size, channels) and one != expected:
        images = images.transpose(0, 3, 1, 2)
    elif one != expected:
        raise DataError(
            f"{path}: images has shape {images.shape}: expected (n, {channels}, {size}, {size}) or "
            f"(n, {size}, {size}, {channels}), as the images of {split.dataset.name} are: {AGAIN}"
        )
    if images.dtype.kind not in "fiu" or not np.isfinite(images).all():
        raise DataError(f"{path}: images are {_described(images)}: expected finite numbers: {AGAIN}")
    if images.dtype == np.uint8 and pixels != "raw":
        raise DataError(f"{path}: images are uint8, 0 to 255, but pixels is {pixels!r}: say pixels='raw'")
    tensor = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))
    mean, deviation = pixel_scale(split.dataset.images, pixels)
    _warn_of_the_scale(path, (tensor * deviation).std().item(), pixels, split)
    if pixels == split.inputs["pixels"]:
        return tensor.numpy()
    return split.pixels(tensor * deviation + mean).numpy()


def _warn_of_the_scale(path: Path, spread: float, pixels: str, split: Split) -> None:
    """Warn if images spread far more or far less, in grey levels, than the real ones."""
    times = spread / split.dataset.images.float().std().item()
    if not 1 / ODD_SPREAD < times < ODD_SPREAD:
        warnings.warn(
            f"{path}: with pixels={pixels!r} its images spread {times:.2g} times as much as the real ones: was "
            f"another scale meant, one of {', '.join(PIXELS)}?",
            stacklevel=5,
        )


def _labels(path: Path, arrays: dict, classes: int) -> np.ndarray:
    """Return labels as int64 [n], or as float32 [n, classes] if they are soft."""
    labels, n = arrays["labels"], len(arrays["images"])
    if labels.shape == (n, classes) and labels.dtype.kind in "fiu":
        if not np.isfinite(labels).all() or not _add_up(labels):
            raise DataError(
                f"{path}: labels of shape {labels.shape} are soft labels, and not all rows are probabilities that "
                f"add up to one: {AGAIN}"
            )
        hard = np.isin(labels, (0, 1)).all()
        return labels.argmax(1) if hard else labels.astype(np.float32)
    if labels.shape not in ((n,), (n, 1)) or labels.dtype.kind not in "iu":
        raise DataError(
            f"{path}: labels is {_described(labels)}: expected integers of shape ({n},), or probabilities of "
            f"shape ({n}, {classes}): {AGAIN}"
        )
    if labels.min(initial=0) < 0 or labels.max(initial=0) >= classes:
        raise DataError(
            f"{path}: labels run from {labels.min()} to {labels.max()}: expected 0 to {classes - 1}, the "
            f"classes of the data set: {AGAIN}"
        )
    return labels.reshape(-1).astype(np.int64)


# ---------------------------------------------------------------- arrays and files


def _arrays(path: Path, parameter: str) -> dict[str, np.ndarray]:
    """Return the arrays of a file, and the words of a safetensors file's metadata."""
    if path.suffix != ".safetensors":
        return npz_arrays(path, parameter, NUMBERS)
    try:
        with safe_open(path, "numpy") as file:
            words = {key: np.array(word) for key, word in (file.metadata() or {}).items()}
            return words | {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, TypeError) as error:
        raise DataError(
            f"{path} is not a safetensors file of numbers that numpy knows, or is truncated ({error}): {AGAIN}"
        ) from error


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
    found = [paths.REPOSITORY / file for file in as_list(files)]
    twice = [name for name, times in Counter(map(_shown, found)).items() if times > 1]
    if twice:
        raise DataError(f"{parameter}: two files are called {twice[0]}, and the tables name them so: rename one")
    for path in found:
        if not path.is_file():
            raise DataError(
                f"{parameter} = {str(path)!r}: there is no file {path}: correct the path, which is absolute or "
                f"begins in {paths.REPOSITORY}"
            )
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def _by_name(checksums: dict[Path, str]) -> dict[str, str]:
    return {_shown(path): checksum for path, checksum in checksums.items()}


def _shown(path: Path) -> str:
    """Return what the tables call a file."""
    return foreign_text.plain(path.name)


def _pixels(path: Path, arrays: dict, split: Split) -> str:
    """Return the scale of the pixels that a file states, or that the record of a file of this report does."""
    if made_from := store.inputs_of(path):
        same = {name: split.inputs[name] for name in ("data", "seed")}
        store.load_arrays(path, same, "the notebook that made it", may_be_renamed=True)
        return made_from["pixels"]
    return _word(path, arrays, "pixels", PIXELS)


def _word(path: Path, arrays: dict, key: str, allowed: tuple[str, ...]) -> str:
    """Return one of some words that a file has to state."""
    word = arrays.get(key)
    if word is None or str(word) not in allowed:
        stated = f"does not say {key}" if word is None else f"says {key} = {str(word)[:50]!r}"
        how = (
            f"metadata={{{key!r}: {allowed[1]!r}}}"
            if path.suffix == ".safetensors"
            else f"numpy.savez(..., {key}={allowed[1]!r})"
        )
        raise DataError(f"{path} {stated}: expected one of {', '.join(allowed)}: add it, {how}")
    return str(word)
