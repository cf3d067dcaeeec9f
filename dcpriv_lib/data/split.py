"""The split into who holds what: members, non-members and the attacker's own images."""

import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from ..engine import errors, paths, store
from ..engine.seeding import derive
from ..engine.store import ArtefactError
from . import catalogue
from .dataset import DataError, Dataset
from .own import MIN_SIZE

PARTS = ("members", "non_members", "attacker")
PAPER_SPLIT_SEED = 42  # random_state of the paper's train_test_split
SCALES = {"unit": 255.0, "raw": 1.0}  # grey levels that the pixels are divided by, where not standardised
MANY_COPIES = 0.01  # share of non-members that are copies of members from which on a split warns


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
        raise DataError(
            f"{dataset.name} has {count} images, too few for members, non-members and the attacker: give it more images"
        )
    if dataset.labels.min() < 0 or dataset.labels.max() >= len(dataset.classes):
        raise DataError(
            f"{dataset.name}: the labels run from {dataset.labels.min()} to "
            f"{dataset.labels.max()}, but there are {len(dataset.classes)} classes: "
            "replace the data set's damaged label file"
        )
    order, size = file_order(dataset, seed)
    target, attacker = order[:size], order[size:]
    members, non_members = train_test_split(target, test_size=0.5, random_state=PAPER_SPLIT_SEED + seed)
    parts = {"members": members, "non_members": non_members, "attacker": attacker}
    for part, indices in parts.items():
        for label, name in enumerate(dataset.classes):
            if not (dataset.labels[indices] == label).any():
                raise DataError(
                    f"{dataset.name}: class {label} ({name}) has no image among the "
                    f"{len(indices)} {part.replace('_', '-')}: give it more images, or "
                    "number the classes 0, 1, 2 ... without gaps"
                )
    return parts


def file_order(dataset: Dataset, seed: int) -> tuple[np.ndarray, int]:
    """Return the order in which `split_indices` deals out the images, int64 [N], and how many are the target's."""
    count = len(dataset.images)
    if dataset.name in catalogue.IN_FILE_ORDER:
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
        mean, deviation = torch.zeros(channels), torch.full((channels,), SCALES[pixels])
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
    errors.check_at_most("n_images", number, count, f"images in {dataset.name}")
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
    DataError, ParameterError, ValueError
        As `load`, `some_images` and `split_indices`, and for images too small for the paper's network; for
        other `pixels`.

    Warns
    -----
    UserWarning
        If many non-members are copies of members.
    """
    inputs = {"profile": profile, "dataset": dataset, "seed": seed, "pixels": pixels}
    errors.check_known("pixels", pixels, ("standard", *SCALES))
    loaded = some_images(catalogue.load(dataset, folder), n_images, seed)
    size = loaded.images.shape[-1]
    if size < MIN_SIZE:  # here, because condensation would take its hours before the network refuses
        raise DataError(
            f"{dataset}: the images are {size}x{size}: expected at least {MIN_SIZE}x{MIN_SIZE} "
            "pixels, which the paper's network needs: enlarge them first"
        )
    indices = split_indices(loaded, seed)
    _warn_of_copies(loaded, indices)
    inputs["data"] = loaded.digest()  # which tells the images: n_images is recorded, but identifies nothing
    store.save_arrays(folder / "split.npz", indices, inputs | {"n_images": n_images})
    return Split(loaded, indices, inputs)


def _warn_of_copies(dataset: Dataset, indices: dict[str, np.ndarray]) -> None:
    """Warn if many non-members are copies of members, for whom the question has no answer."""
    images = dataset.images.numpy()
    members = {images[index].tobytes() for index in indices["members"]}
    copies = sum(images[index].tobytes() in members for index in indices["non_members"])
    if copies >= MANY_COPIES * len(indices["non_members"]):
        warnings.warn(
            f"{dataset.name}: {copies:,} of {len(indices['non_members']):,} non-members are copies "
            "of members, and no attack can tell these apart: delete the copies",
            stacklevel=3,
        )


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
    indices = store.load_arrays(folder / "split.npz", expect, made_by)
    inputs = store.read_record(folder / "split.npz")["inputs"]
    loaded = some_images(catalogue.load(dataset, folder), inputs.pop("n_images", 0), seed)
    if loaded.digest() != inputs["data"]:
        raise ArtefactError(
            f"the data set {dataset} is not the one that {paths.shown(folder)}/split.npz "
            f"divides: it has changed since; re-run {made_by}"
        )
    return Split(loaded, indices, inputs)
