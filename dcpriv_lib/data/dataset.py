"""Images in memory, wherever they come from."""

from dataclasses import dataclass

import torch

from ..engine.foreign_text import distinct, plain
from ..engine.store import digest

AGAIN = "correct it and save the file again"


class DataError(RuntimeError):
    """A data set, or a file made elsewhere, is missing, damaged, or not usable for the protocol."""

    def __init__(self, sentence: str):
        super().__init__(plain(sentence, 1000))  # it may quote names of files, classes and arrays


@dataclass(frozen=True)
class Dataset:
    """Images in memory.

    Attributes
    ----------
    name : the value of the notebooks' ``dataset`` parameter.
    images : uint8 [N, C, H, W], 0 to 255, square; the paper's protocol divides these.
    labels : int64 [N], 0 to the number of classes - 1.
    test_images, test_labels : the data set's own test file; 0 rows where it has none.
    classes : the class names, as `foreign_text.distinct` makes them.
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


def in_memory(name, images, labels, test_images=None, test_labels=(), classes=()) -> Dataset:
    """Return a data set of images uint8 [N, C, H, W], their labels, and, if it has one, its own test file."""
    test_images = images[:0] if test_images is None else test_images
    return Dataset(
        name,
        images.contiguous(),
        torch.as_tensor(labels, dtype=torch.int64),
        test_images.contiguous(),
        torch.as_tensor(test_labels, dtype=torch.int64),
        tuple(distinct(classes)),
    )
