"""Dataset condensation: a few synthetic images a class in place of many real ones.

What all methods share is here: the loop that stops and goes on, and their names in `METHODS`. Each method has a module
of its own; the real images and the settings they are given are in `method`, the images they start from in `starts`.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from ..engine.checkpoint import Checkpoint
from ..engine.errors import check_known
from ..engine.seeding import generator
from ..models.networks import NETWORKS, initialise
from . import coresets, distribution_matching, kernel_inducing_points, multi_formation, trajectory_matching
from .gradient_matching import match_gradients
from .method import Real, Settings, check_ipc
from .starts import STARTS, starting_images

SNAPSHOTS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # iterations whose images are kept


# A method makes one iteration: ``method(state, real, settings, draw, network)`` returns what has changed of the
# state and the loss, the mean of a class and update. It is given
#   state : dict of tensors: "images" float32 [classes, ipc, C, H, W], "velocity" of the same shape, zero at first, and
#       whatever the method itself returned before;
#   real : the `Real` images;
#   settings : the `Settings`;
#   draw : the generator of all that is random in this iteration;
#   network : a network freshly drawn from it, to be used or changed at will.
METHODS = {
    "DC": match_gradients,
    "DSA": partial(match_gradients, augmented=True),
    "DM": distribution_matching.match_distributions,
    "DM-DSA": partial(distribution_matching.match_distributions, augmented=True),
    "MTT": trajectory_matching.match_trajectories,
    "IDC": multi_formation.match_formations,
    "IDM": multi_formation.match_expanded,
    "KIP": kernel_inducing_points.induce_points,
    "KIP-labels": partial(kernel_inducing_points.induce_points, learn_labels=True),
}


def chosen(settings: Settings) -> tuple[Callable, ...]:
    """Return the functions of other modules to which `condense` leaves the start and the method, for the record."""
    starts = coresets.CHOICES | {"tiles": multi_formation.encode}
    return METHODS[settings.method], *(starts[name] for name in (settings.start,) if name in starts)


def check_names(start: str, method: str = "DC", network: str = "ConvNet") -> None:
    """Raise ValueError unless there are such a start, method and network, and the two last fit each other."""
    for name, value, known in (("start", start, STARTS), ("method", method, METHODS), ("network", network, NETWORKS)):
        check_known(name, value, known)
    if (method, network) == ("IDC", "linear"):
        raise ValueError(
            "network = 'linear': IDC matches the gradients of convolutions, and it has none: choose "
            "ConvNet or PaperCNN, or another method"
        )


def condense(
    images: torch.Tensor,
    labels: torch.Tensor,
    settings: Settings,
    *,
    make_network: Callable,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable = iter,
) -> dict[str, torch.Tensor]:
    """Condense real images into `ipc` synthetic images a class.

    Every iteration draws a new network and makes `outer` updates of the synthetic images by the
    method, one of `METHODS`. Without an iteration the start itself is returned: with the starts "real",
    "herding" and "k-center", and with "tiles" by IDC or IDM, which decode them, that is a coreset.

    Parameters
    ----------
    images, labels : the real data, float32 [N, C, H, W] and int64 [N], on the device
        that is to do the work. Nothing else of the data set is seen.
    settings : see `Settings`; its `width` and `network` are up to `make_network`.
    make_network : builds the network that the method works with.
    seed : seed of the start, the networks and the batches.
    checkpoint : file of the state after the last iteration. If it exists, the work goes on
        from there, to the same result as an unbroken run. It is kept at the end: asked
        for more iterations, the work goes on from it too.
    progress : wraps the iterations, for instance ``tqdm``.

    Returns
    -------
    dict with "images" float32 [n, C, H, W] (in the units of `images`), n = classes * ipc, of IDC and IDM four
    times as many, decoded; "labels" int64 [n], of KIP-labels soft, float32 [n, classes]; "loss" float64 [iterations]
    (mean loss a class and update); "started_from" int64 [classes * ipc, k], the real images that each was made
    of; "snapshots" float32 [k, n, C, H, W], the images after the iterations `snapshot_iterations`, 0
    being the start.

    Raises
    ------
    ValueError
        If `ipc` is below 1 or above the size of the smallest class, a loop is empty, there is no
        such start, method or network, or these do not fit each other.
    """
    check_ipc(labels, settings.ipc)
    check_names(settings.start, settings.method, settings.network)
    if settings.outer < 1 or settings.iterations < 0:
        raise ValueError(f"outer = {settings.outer}, iterations = {settings.iterations}: expected at least 1 and 0")
    real = Real.of(images, labels)
    first, started_from = starting_images(real, settings.ipc, settings.start, seed, make_network)
    state = _iterate_all(real, first, settings, make_network, seed, checkpoint, progress)
    formed = _formed(state["images"], settings.method)
    return {
        "images": formed,
        "loss": state["loss"],
        "started_from": started_from,
        "labels": _labels(state, len(formed) // len(first), settings.method),
        "snapshots": torch.stack([_formed(images, settings.method) for images in state["snapshots"]]),
    }


def _formed(images: torch.Tensor, method: str) -> torch.Tensor:
    """Return the training images [n, C, H, W] of synthetic ones [classes, ipc, C, H, W]."""
    return multi_formation.decode(images).flatten(0, 2) if method in ("IDC", "IDM") else images.flatten(0, 1)


def _labels(state: dict, size: int, method: str) -> torch.Tensor:
    """Return the labels of the training images, `size` of each class."""
    classes = len(state["images"])
    hard = torch.arange(classes).repeat_interleave(size)
    return kernel_inducing_points.soft_labels(state, hard, classes) if method == "KIP-labels" else hard


def _iterate_all(
    real: Real, first, settings: Settings, make_network, seed, checkpoint, progress
) -> dict[str, torch.Tensor]:
    """Return the state after the last iteration, from the start or from where an earlier run ended."""
    device, network = real.images.device, make_network().to(real.images.device)
    # DC is None, what a state has that was made before there were other methods
    inputs = {"method": None} | settings.inputs() | {"seed": seed, "shape": list(first.shape)}
    del inputs["iterations"]  # the state of fewer is on the way to more
    with Checkpoint(checkpoint, inputs, keep_last=True) as saved:
        state = saved.load() or _at_first(first)
        if len(state["loss"]) > settings.iterations:  # of a longer run, whose state is to stay
            saved.path, state = None, _at_first(first)
        state = {name: torch.as_tensor(value) for name, value in state.items()}
        for iteration in progress(range(len(state["loss"]), settings.iterations)):
            # one stream an iteration: a resumed run draws what the unbroken one would have
            draw = generator(seed, "iteration", iteration)
            initialise(network, draw)
            changed, loss = METHODS[settings.method](
                {name: value.to(device) for name, value in state.items() if name not in ("loss", "snapshots")},
                real,
                settings,
                draw,
                network,
            )
            state |= {name: value.cpu() for name, value in changed.items()}
            state["loss"] = torch.cat([state["loss"], torch.tensor([loss], dtype=torch.float64)])
            if iteration + 1 in SNAPSHOTS:
                state["snapshots"] = torch.cat([state["snapshots"], state["images"][None]])
            saved.keep(dict(state))
    return state


def snapshot_iterations(iterations: int) -> list[int]:
    """Return after which iterations `condense` keeps a copy of the images."""
    return [snapshot for snapshot in SNAPSHOTS if snapshot <= iterations]


def stages(condensed: dict, iterations: int) -> dict[int, torch.Tensor]:
    """Return the images float32 [classes * ipc, C, H, W] that `condense` kept, by iteration, the last one included."""
    before = [step for step in snapshot_iterations(iterations) if step < iterations]
    kept = torch.as_tensor(condensed["snapshots"])
    return dict(zip(before, kept)) | {iterations: torch.as_tensor(condensed["images"])}


def _at_first(images: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        "images": images,
        "velocity": torch.zeros_like(images),
        "loss": torch.zeros(0, dtype=torch.float64),
        "snapshots": images[None],
    }
