"""Dataset condensation: a few synthetic images a class in place of many real ones.

What all methods share is here: the loop that stops and goes on, and `METHODS`, where each is named. What a method is
and what it is given are in `method`, the images that it starts from in `starts`; each has a module of its own.
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
from .method import Method, Real, Schedule, Settings, State, check_ipc
from .starts import STARTS, starting_images

SNAPSHOTS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # iterations whose images are kept


# Whoever adds a method writes its step (see `method.Step`) and names it here: the notebooks' parameters, the tables and
# the tests then have it. The usual loops are of about equal cost: on MNIST with a network of width 32, ten images a
# class take some twenty seconds of one core.
METHODS = {
    "DC": Method(match_gradients, Schedule(10, 5, 5, 1.0)),
    "DSA": Method(partial(match_gradients, augmented=True), Schedule(8, 5, 5, 1.0)),
    "DM": Method(distribution_matching.match_distributions, Schedule(60, 1, 0, 30.0)),
    "DM-DSA": Method(partial(distribution_matching.match_distributions, augmented=True), Schedule(60, 1, 0, 30.0)),
    "MTT": Method(trajectory_matching.match_trajectories, Schedule(2, 10, 10, 30.0)),
    "IDC": Method(
        multi_formation.match_formations,
        Schedule(2, 10, 8, 0.01, "tiles"),
        decode=multi_formation.decode,
        refuses={"linear": "IDC matches the gradients of convolutions, and it has none"},
    ),
    "IDM": Method(multi_formation.match_expanded, Schedule(14, 4, 5, 10.0, "tiles"), decode=multi_formation.decode),
    "KIP": Method(
        kernel_inducing_points.induce_points, Schedule(20, 20, 0, 0.01, ipc_matters=False), uses_network=False
    ),
    "KIP-labels": Method(
        partial(kernel_inducing_points.induce_points, learn_labels=True),
        Schedule(20, 20, 0, 0.01, ipc_matters=False),
        labels=kernel_inducing_points.soft_labels,
        uses_network=False,
    ),
}


def chosen(settings: Settings) -> tuple[Callable, ...]:
    """Return the functions of other modules to which `condense` leaves the start and the method, for the record."""
    starts = coresets.CHOICES | {"tiles": multi_formation.encode}
    return *METHODS[settings.method].functions, *(starts[name] for name in (settings.start,) if name in starts)


def check_names(start: str, method: str = "DC", network: str = "ConvNet") -> None:
    """Raise ValueError unless there are such a start, method and network, and the two last fit each other."""
    for name, value, known in (("start", start, STARTS), ("method", method, METHODS), ("network", network, NETWORKS)):
        check_known(name, value, known)
    refused = METHODS[method].refuses
    if network in refused:
        raise ValueError(
            f"network = {network!r}: {refused[network]}: choose "
            f"{' or '.join(name for name in NETWORKS if name not in refused)}, or another method"
        )


def condense(
    images: torch.Tensor,
    labels: torch.Tensor,
    settings: Settings,
    *,
    make_network: Callable,
    seed: int,
    start_images: torch.Tensor | None = None,
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
    start_images : float32 [classes, ipc, C, H, W], of people who are not to be protected, to start from in place of
        what `settings.start` names; "started_from" then names nobody.
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
    if start_images is None:
        first, started_from = starting_images(real, settings.ipc, settings.start, seed, make_network)
    else:
        first, started_from = start_images.cpu(), torch.empty((settings.ipc * len(real.by_class), 0), dtype=torch.int64)
    state = _iterate_all(real, first, settings, make_network, seed, checkpoint, progress)
    method = METHODS[settings.method]
    formed = method.training_images(state["images"])
    return {
        "images": formed,
        "loss": state["loss"],
        "started_from": started_from,
        "labels": method.training_labels(state, len(formed) // len(first)),
        "snapshots": torch.stack([method.training_images(images) for images in state["snapshots"]]),
    }


def _iterate_all(
    real: Real,
    first: torch.Tensor,
    settings: Settings,
    make_network: Callable,
    seed: int,
    checkpoint,
    progress: Callable,
) -> State:
    """Return the state after the last iteration, from the start or from where an earlier run ended."""
    device, network = real.images.device, make_network().to(real.images.device)
    inputs = settings.inputs_of_state() | {"seed": seed, "shape": list(first.shape)}
    with Checkpoint(checkpoint, inputs, keep_last=True) as saved:
        state = saved.load() or _at_first(first)
        if len(state["loss"]) > settings.iterations:  # of a longer run, whose state is to stay
            saved.path, state = None, _at_first(first)
        state = {name: torch.as_tensor(value) for name, value in state.items()}
        for iteration in progress(range(len(state["loss"]), settings.iterations)):
            # one stream an iteration: a resumed run draws what the unbroken one would have
            draw = generator(seed, "iteration", iteration)
            initialise(network, draw)
            changed, loss = METHODS[settings.method].step(
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
