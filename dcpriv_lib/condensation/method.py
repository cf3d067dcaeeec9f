"""What every method of condensation is given: the real images by class, and the settings."""

from dataclasses import asdict, dataclass

import torch

REAL_BATCH = 256  # real images a class and update
IMAGE_LR = 0.1
FIRST_ONES = (("method", "DC"), ("network", "ConvNet"))


@dataclass(frozen=True)
class Settings:
    """How one synthetic set is made.

    Attributes
    ----------
    ipc : synthetic images a class; at most the size of the smallest class.
    iterations, outer, inner : the loops of `condense`: networks, updates of the images with each, and how long the
        network is trained between two of them, in the units that the method names; DM and KIP train none.
    width : filters of the network, if it is a ConvNet.
    real_batch : real images a class in each update (all, if the class has fewer); MTT has batches of its own.
    image_lr : step size on the pixels; 0.1 in the condensation paper's code. Losses differ, and so do good steps.
    start : what the synthetic images are at first, see `starting_images`.
    method : how they are updated, one of `METHODS`.
    network : what kind of network the method works with, one of `networks.NETWORKS`.
    """

    ipc: int
    iterations: int
    outer: int
    inner: int
    width: int = 128
    real_batch: int = REAL_BATCH
    image_lr: float = IMAGE_LR
    start: str = "noise"
    method: str = "DC"
    network: str = "ConvNet"

    def inputs(self) -> dict:
        """Return the settings as inputs of an artefact.

        The method and the network are left out if they are those that once were the only ones: sets made then are
        found.
        """
        return {name: value for name, value in asdict(self).items() if (name, value) not in FIRST_ONES}

    @property
    def updates(self) -> int:
        """Matching steps that the images are given."""
        return self.iterations * self.outer


def check_ipc(labels: torch.Tensor, ipc: int) -> None:
    """Raise ValueError unless every class has an image, and `ipc` is from 1 to the size of the smallest.

    Parameters
    ----------
    labels : int64 [N], 0 to the number of classes - 1, of the images to be condensed.
    ipc : synthetic images a class.
    """
    sizes = torch.bincount(labels)
    if not sizes.min():
        raise ValueError(
            f"ipc = {ipc}: class {int(sizes.argmin())} has only 0 members: add images of it, or "
            "number the classes without gaps"
        )
    if not 1 <= ipc <= sizes.min():
        raise ValueError(
            f"ipc = {ipc}: class {int(sizes.argmin())} has only {int(sizes.min())} members, "
            f"choose ipc between 1 and {int(sizes.min())}"
        )


@dataclass(frozen=True)
class Real:
    """The real images that are condensed.

    Attributes
    ----------
    images, labels : float32 [N, C, H, W], int64 [N].
    by_class : the rows of each class, int64.
    """

    images: torch.Tensor
    labels: torch.Tensor
    by_class: list[torch.Tensor]

    @classmethod
    def of(cls, images: torch.Tensor, labels: torch.Tensor) -> "Real":
        """Return the images, sorted by their labels."""
        return cls(images, labels, [torch.nonzero(labels == label).flatten() for label in range(int(labels.max()) + 1)])

    def some(self, label: int, size: int, draw: torch.Generator) -> torch.Tensor:
        """Return `size` rows of one class, chosen at random; all if there are fewer."""
        rows = self.by_class[label]
        return rows[torch.randperm(len(rows), generator=draw)[:size].to(rows.device)]
