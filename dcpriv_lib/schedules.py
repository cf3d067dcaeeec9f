"""How long each method works, in which steps and from which start, where methods are compared.

A method is only as good as its step size, and losses differ by orders of magnitude. So every method has a usual
step here, and who compares them tries multiples of it first, on images of their own that nobody asks about.
"""

from dataclasses import dataclass

from .condensation import METHODS, Settings
from .parameters import check_known


@dataclass(frozen=True)
class Schedule:
    """One method's loops, step and start; the attributes are those of `condensation.Settings`.

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


# Loops of about equal cost: on MNIST with a network of width 32, ten images a class take some twenty seconds of one core.
SCHEDULES = {
    "random": Schedule(0, 1, 0, 1.0),  # real images as they are: the coresets, which condensed sets have to beat
    "herding": Schedule(0, 1, 0, 1.0, "herding"),
    "k-center": Schedule(0, 1, 0, 1.0, "k-center"),
    "tiles": Schedule(0, 1, 0, 1.0, "tiles", method="IDM"),  # four real ones an image, cut small: where IDC and IDM begin
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


def settings_of(method: str, ipc: int, *, width: int, real_batch: int, effort: float = 1.0, factor: float = 1.0,
                start: str | None = None, network: str = "ConvNet") -> Settings:
    """Return the settings by which a method, or a choice of real images, makes `ipc` images a class.

    Parameters
    ----------
    method : key of `SCHEDULES`.
    effort : multiple of the method's usual number of iterations, of which there is at least one.
    factor : multiple of its usual step size.
    start : in place of its usual start.
    width, real_batch, network : as in `condensation.Settings`.

    Raises
    ------
    ValueError
        If there is no such method.
    """
    check_known("method", method, SCHEDULES)
    usual = SCHEDULES[method]
    return Settings(ipc, max(1, round(effort * usual.iterations)) if usual.iterations else 0, usual.outer, usual.inner,
                    width, real_batch, usual.image_lr * factor * (ipc / 10 if usual.ipc_matters else 1),
                    start or usual.start, method if method in METHODS else usual.method, network)
