"""How long each method works, in which steps and from which start: as the notebooks ask for it, and where methods are
compared.

A method is only as good as its step size, and losses differ by orders of magnitude. So every method has a usual
step here, and who compares them tries multiples of it first, on images of their own that nobody asks about.
"""

from dataclasses import dataclass

import torch

from ..engine.errors import as_list, check_known, per_ipc
from .condense import METHODS, check_names
from .method import Settings, check_ipc


@dataclass(frozen=True)
class Schedule:
    """One method's loops, step and start; the attributes are those of `method.Settings`.

    `image_lr` is for ten images a class. `ipc_matters`: whether the gradient for one image is the smaller the
    more images of its class there are, because the loss takes their mean; the step then grows with their number.
    `method`: whose loop a coreset goes through without an iteration, one of `METHODS`.
    """

    iterations: int
    outer: int
    inner: int
    image_lr: float
    start: str = "real"
    ipc_matters: bool = True
    method: str = "DC"


# Loops of about equal cost: on MNIST with a network of width 32, ten images a class take some twenty seconds of one
# core.
SCHEDULES = {
    "random": Schedule(0, 1, 0, 1.0),  # real images as they are: the coresets, which condensed sets have to beat
    "herding": Schedule(0, 1, 0, 1.0, "herding"),
    "k-center": Schedule(0, 1, 0, 1.0, "k-center"),
    "tiles": Schedule(
        0, 1, 0, 1.0, "tiles", method="IDM"
    ),  # four real ones an image, cut small: where IDC and IDM begin
    "DC": Schedule(10, 5, 5, 1.0),
    "DSA": Schedule(8, 5, 5, 1.0),
    "DM": Schedule(60, 1, 0, 30.0),
    "DM-DSA": Schedule(60, 1, 0, 30.0),
    "MTT": Schedule(2, 10, 10, 30.0),
    "IDC": Schedule(2, 10, 8, 0.01, "tiles"),
    "IDM": Schedule(14, 4, 5, 10.0, "tiles"),
    "KIP": Schedule(20, 20, 0, 0.01, ipc_matters=False),
    "KIP-labels": Schedule(20, 20, 0, 0.01, ipc_matters=False),
}
CONDENSING = tuple(name for name, schedule in SCHEDULES.items() if schedule.iterations)
CORESETS = tuple(name for name in SCHEDULES if name not in CONDENSING)


def settings_of(
    method: str,
    ipc: int,
    *,
    width: int,
    real_batch: int,
    effort: float = 1.0,
    factor: float = 1.0,
    start: str | None = None,
    network: str = "ConvNet",
) -> Settings:
    """Return the settings by which a method, or a choice of real images, makes `ipc` images a class.

    Parameters
    ----------
    method : key of `SCHEDULES`.
    effort : multiple of the method's usual number of iterations, of which there is at least one.
    factor : multiple of its usual step size.
    start : in place of its usual start.
    width, real_batch, network : as in `method.Settings`.

    Raises
    ------
    ValueError
        If there is no such method.
    """
    check_known("method", method, SCHEDULES)
    usual = SCHEDULES[method]
    return Settings(
        ipc,
        max(1, round(effort * usual.iterations)) if usual.iterations else 0,
        usual.outer,
        usual.inner,
        width,
        real_batch,
        usual.image_lr * factor * (ipc / 10 if usual.ipc_matters else 1),
        start or usual.start,
        method if method in METHODS else usual.method,
        network,
    )


# (outer, inner) loops that the condensation paper gives a synthetic set of each size
PAPER_LOOPS = {1: (1, 1), 10: (10, 50), 50: (50, 10)}


def settings(
    labels: torch.Tensor,
    ipc: int | list[int],
    iterations: int | list[int],
    outer: int,
    inner: int,
    width: int,
    real_batch: int,
    image_lr: float,
    start: str,
    method: str = "DC",
    network: str = "ConvNet",
) -> dict[int, Settings]:
    """Return the settings of every ipc, checked before anything is computed.

    Parameters
    ----------
    labels : int64 [N], of the images to be condensed.
    ipc : synthetic images a class, one number or several.
    iterations : for all ipc, or one for each.
    outer, inner : as in `condense`; ``outer = 0`` takes the loops of the condensation paper's code.
    width, real_batch, image_lr, start, method, network : as in `Settings`.

    Raises
    ------
    ValueError
        As `check_ipc` and `loops` for one of the `ipc`; if `iterations` do not fit; if there is no such
        start, method or network, or these do not fit each other.
    """
    check_names(start, method, network)
    ipcs = as_list(ipc)
    for n in ipcs:
        check_ipc(labels, n)
    return {
        n: Settings(n, steps, *loops(n, outer, inner), width, real_batch, image_lr, start, method, network)
        for n, steps in per_ipc("iterations", iterations, ipcs).items()
    }


def loops(ipc: int, outer: int, inner: int) -> tuple[int, int]:
    """Return (outer, inner), taken from the condensation paper where `outer` is 0.

    Raises
    ------
    ValueError
        If the paper has no loops for this `ipc`, or a loop is negative.
    """
    if outer < 0 or inner < 0:
        raise ValueError(f"outer = {outer}, inner = {inner}: expected 0 or more")
    if outer == 0 and ipc not in PAPER_LOOPS:
        raise ValueError(
            f"outer = 0 takes the paper's loops, which exist for ipc = "
            f"{', '.join(map(str, PAPER_LOOPS))}, not {ipc}: set outer and inner yourself"
        )
    return (outer, inner) if outer else PAPER_LOOPS[ipc]
