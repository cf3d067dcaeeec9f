"""The images that a condensation starts from."""

from collections.abc import Callable

import torch

from ..engine.errors import check_known
from ..engine.seeding import generator
from . import coresets, multi_formation
from .method import Real

# real images of which each synthetic one is made at the start; 0 also for the mean of a class, which is made of
# everybody
STARTS = {
    "noise": 0,
    "real": 1,
    "means": 4,
    "mean noise": 0,
    "tiles": multi_formation.FACTOR**2,
    "herding": 1,
    "k-center": 1,
}


def starting_images(
    real: Real, ipc: int, start: str, seed: int, make_network: Callable
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images that a condensation starts from, and the real images that they were made of.

    Parameters
    ----------
    real : the real images.
    ipc : synthetic images a class.
    start : "noise", standard normal; "real", a different real image each; "means", the mean of four; "mean
        noise", the mean of the class plus standard normal noise; "tiles", four real images of half the size
        side by side, where IDC and IDM begin (if the smallest class has fewer, some stand there twice); "herding" and
        "k-center", real images chosen as in `coresets`, by the features of a network that was trained on the real ones.
    seed : seed of the noise or the choice.
    make_network : builds the network of the coresets.

    Returns
    -------
    float32 [classes, ipc, C, H, W], and int64 [classes * ipc, k], rows of `real.images`, k of `STARTS`.

    Raises
    ------
    ValueError
        If there is no such start.
    """
    check_known("start", start, STARTS)
    draw, classes = generator(seed, "noise" if start == "noise" else "start"), len(real.by_class)
    if STARTS[start] == 0:
        noise = torch.randn((classes, ipc, *real.images.shape[1:]), generator=draw)
        if start == "mean noise":
            noise += torch.stack([real.images[own].mean(0).cpu() for own in real.by_class])[:, None]
        return noise, torch.empty((classes * ipc, 0), dtype=torch.int64)
    if start in coresets.CHOICES:
        features = coresets.features(real.images, real.labels, make_network, draw)
        rows = torch.cat([own[coresets.CHOICES[start](features[own], ipc).cpu()] for own in real.by_class])[:, None]
    elif start == "real":
        rows = torch.cat([real.some(label, ipc, draw) for label in range(classes)])[:, None]
    else:
        size = min(STARTS[start], *map(len, real.by_class))
        rows = torch.stack([real.some(label, size, draw) for label in range(classes) for _ in range(ipc)])
        if start == "tiles":  # there are four places
            rows = rows[:, [place % size for place in range(STARTS[start])]]
    made = multi_formation.encode(real.images[rows]) if start == "tiles" else real.images[rows].mean(1)
    return made.unflatten(0, (classes, ipc)).cpu(), rows.cpu()
