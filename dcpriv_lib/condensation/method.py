"""What a method of condensation is, and what it is given: the real images by class, and the settings."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import torch
from torch import nn

REAL_BATCH = 256  # real images a class and update
IMAGE_LR = 0.1

# There once were one method and one network, and nobody named them. So that the sets made then are found, their keys
# are still what they were: of a set, the two are left out; of the state of unfinished work, the method is None.
UNNAMED = (("method", "DC"), ("network", "ConvNet"))


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
        """Return the settings as inputs of an artefact, without what is `UNNAMED`."""
        return {name: value for name, value in asdict(self).items() if (name, value) not in UNNAMED}

    def inputs_of_state(self) -> dict:
        """Return the settings as inputs of a state; the iterations are left out, as a state is on the way to more."""
        named = {"method": None} | self.inputs()
        return {name: value for name, value in named.items() if name != "iterations"}

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
    by_class : the rows of each class, int64, on the CPU, where they are drawn.
    """

    images: torch.Tensor
    labels: torch.Tensor
    by_class: list[torch.Tensor]

    @classmethod
    def of(cls, images: torch.Tensor, labels: torch.Tensor) -> "Real":
        """Return the images, sorted by their labels."""
        own = labels.cpu()
        return cls(images, labels, [torch.nonzero(own == label).flatten() for label in range(int(own.max()) + 1)])

    def some(self, label: int, size: int, draw: torch.Generator) -> torch.Tensor:
        """Return `size` rows of one class, chosen at random, on the CPU; all if there are fewer."""
        rows = self.by_class[label]
        return rows[torch.randperm(len(rows), generator=draw)[:size]]


State = dict[str, torch.Tensor]
# One iteration of a method: ``step(state, real, settings, draw, network)`` returns what has changed of the state, and
# the loss, the mean of a class and update. It is given
#   state : "images" float32 [classes, ipc, C, H, W], "velocity" of the same shape, zero at first, and whatever the
#       step itself returned before;
#   real : the `Real` images;
#   settings : the `Settings`;
#   draw : the generator of all that is random in this iteration;
#   network : a network freshly drawn from it, to be used or changed at will.
Step = Callable[[State, Real, Settings, torch.Generator, nn.Module], tuple[State, float]]


@dataclass(frozen=True)
class Schedule:
    """How long a method usually works, in which steps and from which start; the attributes are those of `Settings`.

    `image_lr` is for ten images a class. `ipc_matters`: whether the gradient for one image is the smaller the
    more images of its class there are, because the loss takes their mean; the step then grows with their number.
    """

    iterations: int
    outer: int
    inner: int
    image_lr: float
    start: str = "real"
    ipc_matters: bool = True


@dataclass(frozen=True)
class Method:
    """A method of condensation: all that the loop, the notebooks and the comparison of methods know of it.

    Attributes
    ----------
    step : one iteration.
    usual : its usual loops, step size and start.
    decode : makes the training images [classes, ipc, k, C, H, W] of the synthetic ones [classes, ipc, C, H, W]; None
        if these are the training images.
    labels : makes the labels of the training images, ``labels(state, hard, classes)``, from the last state and the hard
        labels int64 [n]; None if they are the hard ones.
    refuses : networks that it cannot work with, and why, to end "network = 'linear': ...".
    uses_network : whether `step` looks at the network at all.
    """

    step: Step
    usual: Schedule
    decode: Callable[[torch.Tensor], torch.Tensor] | None = None
    labels: Callable[[State, torch.Tensor, int], torch.Tensor] | None = None
    refuses: Mapping[str, str] = field(default_factory=dict)
    uses_network: bool = True

    @property
    def functions(self) -> tuple[Callable, ...]:
        """The functions that the loop leaves the work to."""
        return tuple(function for function in (self.step, self.decode, self.labels) if function)

    def training_images(self, images: torch.Tensor) -> torch.Tensor:
        """Return the training images [n, C, H, W] of synthetic ones [classes, ipc, C, H, W]."""
        return self.decode(images).flatten(0, 2) if self.decode else images.flatten(0, 1)

    def training_labels(self, state: State, size: int) -> torch.Tensor:
        """Return the labels of the training images, `size` of each class."""
        classes = len(state["images"])
        hard = torch.arange(classes).repeat_interleave(size)
        return self.labels(state, hard, classes) if self.labels else hard
