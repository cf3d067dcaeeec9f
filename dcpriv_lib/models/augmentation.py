"""Differentiable siamese augmentation (DSA; Zhao & Bilen, ICML 2021).

Synthetic images that are matched under augmentations can be trained on with augmentations. A call draws one of
five operations; the siamese one draws its strength once, for the real and the synthetic images alike, and
changes all of them in the same way. Ranges are those of the authors' code for digits, which leaves mirror
images out. What comes in from outside an image is 0, the mean grey level of standardised pixels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F

BRIGHTNESS, SATURATION, CONTRAST = 1.0, 2.0, 0.5
SHIFT, HOLE = 0.125, 0.5  # shares of the side of an image
SCALE, DEGREES = 1.2, 15
PARAMETERS = 3  # uniform numbers that an operation takes

# Every operation maps images, float [B, C, H, W], and uniform numbers from 0 to 1, float [B or 1, PARAMETERS] on the
# CPU, to images of the same shape; with one row of numbers all images change alike. What depends on the numbers alone
# is computed where they are, and then sent: each operation on a GPU is a launch, however small.


def color(images: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Change the brightness, then the saturation, then the contrast."""
    brightness, saturation, contrast = u.T
    changes = torch.stack([(brightness - 0.5) * BRIGHTNESS, saturation * SATURATION, contrast + CONTRAST])
    added, times, last = changes.to(images)[:, :, None, None, None]
    images = images + added
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * times
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * last


def crop(images: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Shift by up to an eighth of the side, in whole pixels, up or down and left or right."""
    size = images.shape[2]
    most = int(size * SHIFT + 0.5)
    shifts = (u[:, :2] * (2 * most + 1)).floor() - most
    pixel = torch.arange(size)
    # [n, 1, size, size], 1 where the column is the row's source; products are faster to differentiate than indices
    down, right = ((pixel == pixel[:, None] + shift[:, None, None, None]).to(images) for shift in shifts.T)
    return down @ images @ right.transpose(2, 3)


def cutout(images: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Set a square of half the side to 0; its centre is anywhere in the image."""
    size = images.shape[2]
    hole = int(size * HOLE + 0.5)
    first = (u[:, :2] * (size + 1 - hole % 2)).floor() - hole // 2
    pixel = torch.arange(size)
    rows, columns = ((pixel >= begin[:, None]) & (pixel < begin[:, None] + hole) for begin in first.T)
    return images * (~(rows[:, None, :, None] & columns[:, None, None, :])).to(images.device)


def scale(images: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Shrink or enlarge by up to a fifth, the width and the height each on its own."""
    factors = u * (SCALE - 1 / SCALE) + 1 / SCALE
    zero = torch.zeros_like(u[:, 0])
    return _transformed(images, [[factors[:, 0], zero, zero], [zero, factors[:, 1], zero]])


def rotate(images: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Rotate by up to 15 degrees either way."""
    angle = (u[:, 0] - 0.5) * 2 * math.radians(DEGREES)
    zero = torch.zeros_like(angle)
    return _transformed(images, [[angle.cos(), -angle.sin(), zero], [angle.sin(), angle.cos(), zero]])


def _transformed(images: torch.Tensor, matrix: list[list[torch.Tensor]]) -> torch.Tensor:
    """Return what an affine map of the coordinates, 2x3 tensors [n], makes of the images, bilinearly."""
    maps = torch.stack([torch.stack(row, 1) for row in matrix], 1).to(images.dtype)
    grid = F.affine_grid(maps.expand(len(images), -1, -1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid.to(images.device), align_corners=False)


OPERATIONS = {"color": color, "crop": crop, "cutout": cutout, "scale": scale, "rotate": rotate}


@dataclass(frozen=True)
class Siamese:
    """One of the operations with one strength: a function of images, however often it is called.

    Attributes
    ----------
    operation : one of `OPERATIONS`.
    u : float [1, PARAMETERS], on the CPU.
    """

    operation: Callable
    u: torch.Tensor

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return images [B, C, H, W], all changed alike."""
        return self.operation(images, self.u)


def siamese(draw: torch.Generator, among: tuple[str, ...] = tuple(OPERATIONS)) -> Siamese:
    """Return one of the operations with one strength, drawn here."""
    return Siamese(*_drawn(draw, among, 1))


def of_classes(changes: list[Siamese], images: torch.Tensor) -> torch.Tensor:
    """Return ``torch.stack([change(own) for change, own in zip(changes, images)])``, operation by operation.

    Parameters
    ----------
    changes : one a class.
    images : float [classes, n, C, H, W].
    """
    operations = [operation for operation in OPERATIONS.values() if any(one.operation is operation for one in changes)]
    of = torch.tensor([operations.index(change.operation) for change in changes])
    # a product with 0 and 1 puts classes of one operation side by side: exact, and faster to differentiate than indices
    places = of.argsort(stable=True)
    order = torch.eye(len(changes))[places].to(images)
    strengths = torch.cat([change.u for change in changes])[places].split(of.bincount().tolist())
    parts = (order @ images.flatten(1)).unflatten(1, images.shape[1:]).split(of.bincount().tolist())
    found = [
        operation(part.flatten(0, 1), u.repeat_interleave(images.shape[1], 0))
        for operation, part, u in zip(operations, parts, strengths)
    ]
    return (order.T @ torch.cat(found).view(len(images), -1)).view(images.shape)


def each(images: torch.Tensor, draw: torch.Generator, among: tuple[str, ...] = tuple(OPERATIONS)) -> torch.Tensor:
    """Return images [B, C, H, W] after one of the operations, with a strength of its own for each image."""
    operation, u = _drawn(draw, among, len(images))
    return operation(images, u)


def _drawn(draw: torch.Generator, among: tuple[str, ...], number: int) -> tuple[Callable, torch.Tensor]:
    name = among[int(torch.randint(len(among), (), generator=draw))]
    return OPERATIONS[name], torch.rand(number, PARAMETERS, generator=draw)
