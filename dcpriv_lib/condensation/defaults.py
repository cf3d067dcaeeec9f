"""How long a method works, in which steps and from which start: as the notebooks ask for it, and where methods are
compared.

A method is only as good as its step size, and losses differ by orders of magnitude. So every method has a usual
step (`METHODS`), and who compares them tries multiples of it first, on images of their own that nobody asks about.
"""

import torch

from ..engine.errors import as_list, check_known, per_ipc
from .condense import METHODS, check_names
from .coresets import CORESETS
from .method import Settings, check_ipc


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
    method : key of `METHODS` or of `CORESETS`.
    effort : multiple of the method's usual number of iterations, of which there is at least one.
    factor : multiple of its usual step size.
    start : in place of its usual start.
    width, real_batch, network : as in `method.Settings`.

    Raises
    ------
    ValueError
        If there is no such method.
    """
    known = CORESETS | METHODS
    check_known("method", method, known)
    usual = known[method].usual
    return Settings(
        ipc,
        max(1, round(effort * usual.iterations)) if usual.iterations else 0,
        usual.outer,
        usual.inner,
        width,
        real_batch,
        usual.image_lr * factor * (ipc / 10 if usual.ipc_matters else 1),
        start or usual.start,
        CORESETS[method].decoded_by if method in CORESETS else method,
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
