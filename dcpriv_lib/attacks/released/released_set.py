"""What somebody holds who was handed a synthetic set: its images and labels, people to ask about, and own images."""

import functools
from dataclasses import dataclass

import torch
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images and their labels: a released set, the candidates whom an attacker asks about, or the attacker's own.

    Attributes
    ----------
    images : float32 [n, C, H, W], as networks see them; those of one attack are all on the same scale.
    labels : int64 [n], from 0; of a released set also float [n, classes], soft labels that sum to one.
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self):
        if self.images.ndim != 4 or len(self.images) != len(self.labels):
            raise ValueError(
                f"images have the shape {tuple(self.images.shape)} and labels {tuple(self.labels.shape)}: expected "
                "[n, channels, height, width] and as many labels"
            )

    def __len__(self) -> int:
        return len(self.images)

    @functools.cached_property
    def pixels(self) -> torch.Tensor:
        """The images as rows, float32 [n, C * H * W]."""
        return self.images.flatten(1)

    @property
    def classes(self) -> torch.Tensor:
        """The label of every image, int64 [n]; of a soft one the class that it gives most."""
        return self.labels if self.labels.ndim == 1 else self.labels.argmax(1)

    def one_hot(self, classes: int) -> torch.Tensor:
        """Return the labels as probabilities, float32 [n, classes]."""
        return F.one_hot(self.labels, classes).float() if self.labels.ndim == 1 else self.labels.float()

    def of_class(self, label: int) -> "Labelled":
        """Return the images of one class."""
        return _of_class(self, label)


# Many sets are asked about the same people by the same attacker. What does not depend on a set is computed once; caches
# know images by their identity, so that the images of a class have to be the same object every time.
REMEMBERED = 512


@functools.lru_cache(maxsize=REMEMBERED)
def _of_class(part: Labelled, label: int) -> Labelled:
    rows = part.classes == label
    return Labelled(part.images[rows], part.labels[rows])


@dataclass(frozen=True, eq=False)
class Known:
    """What an attacker knows beside the released set.

    Attributes
    ----------
    own : images of the same kind that were not condensed, the attacker's own.
    mean, deviation : float32 [1, C, 1, 1], by which grey levels became what networks see.
    seed : of the attacker's random networks.
    start : the images that the condensation started from, where the attacker knows them, in the order of the released
        ones; None where they do not.
    """

    own: Labelled
    mean: torch.Tensor
    deviation: torch.Tensor
    seed: int = 0
    start: torch.Tensor | None = None

    def grey(self, images: torch.Tensor) -> torch.Tensor:
        """Return images as rows of grey levels, in the units of `mean`, float32 [n, C * H * W]."""
        return (images * self.deviation + self.mean).flatten(1)


def number_of_classes(*parts: Labelled) -> int:
    """Return how many classes there are, from the labels and the length of soft ones."""
    return max(int(part.classes.max()) + 1 if part.labels.ndim == 1 else part.labels.shape[1] for part in parts)


def by_class(score, released: Labelled, people: Labelled, own: Labelled) -> torch.Tensor:
    """Return ``score(released, people, own)`` of every class, put together, float64 [n].

    People of a class of which nothing was released get the lowest score of all others: nothing is said of them.
    """
    found = torch.full((len(people),), torch.nan, dtype=torch.float64)
    for label in people.classes.unique().tolist():
        shown = released.of_class(label)
        if len(shown):
            found[people.classes == label] = score(shown, people.of_class(label), own.of_class(label)).double().cpu()
    lowest = found[~found.isnan()].min() if (~found.isnan()).any() else torch.zeros((), dtype=torch.float64)
    return torch.where(found.isnan(), lowest, found)
