"""Dataset condensation: a few synthetic images a class in place of many real ones.

What all methods share is here: the settings, the images to start from, the loop that stops and goes on.
So is the first of them, gradient matching (DC; Zhao, Mopuri & Bilen, ICLR 2021), by which the synthetic
images are pushed until a network's gradient on them points where its gradient on the real images points;
the others have modules of their own and are named in `METHODS`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from . import augmentation, coresets, distribution_matching, kernel, multi_formation, trajectory_matching
from .checkpoint import Checkpoint
from .networks import NETWORKS, initialise
from .parameters import check_known
from .profiles import as_list, per_ipc
from .seeding import generator
from .training import momentum_step

# (outer, inner) loops that the condensation paper gives a synthetic set of each size
PAPER_LOOPS = {1: (1, 1), 10: (10, 50), 50: (50, 10)}
REAL_BATCH = 256   # real images a class and update
IMAGE_LR = 0.1
# real images of which each synthetic one is made at the start; 0 also for the mean of a class, which is made of everybody
STARTS = {"noise": 0, "real": 1, "means": 4, "mean noise": 0, "tiles": multi_formation.FACTOR ** 2, "herding": 1,
          "k-center": 1}
FIRST_ONES = (("method", "DC"), ("network", "ConvNet"))
NETWORK_LR = 0.01
NETWORK_BATCH = 256  # synthetic images a step of the inner training
SNAPSHOTS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # iterations whose images are kept
CPU_CHUNK = 2**21  # activations of the first layer in one pass on CPUs, 8 MiB: what stays in the cache


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

        The method and the network are left out if they are those that once were the only ones: sets made then are found.
        """
        return {name: value for name, value in asdict(self).items() if (name, value) not in FIRST_ONES}

    @property
    def updates(self) -> int:
        """Matching steps that the images are given."""
        return self.iterations * self.outer


def settings(labels: torch.Tensor, ipc: int | list[int], iterations: int | list[int], outer: int, inner: int,
             width: int, real_batch: int, image_lr: float, start: str, method: str = "DC",
             network: str = "ConvNet") -> dict[int, Settings]:
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
    _check_names(start, method, network)
    ipcs = as_list(ipc)
    for n in ipcs:
        check_ipc(labels, n)
    return {n: Settings(n, steps, *loops(n, outer, inner), width, real_batch, image_lr, start, method, network)
            for n, steps in per_ipc("iterations", iterations, ipcs).items()}


def check_ipc(labels: torch.Tensor, ipc: int) -> None:
    """Raise ValueError unless every class has an image, and `ipc` is from 1 to the size of the smallest.

    Parameters
    ----------
    labels : int64 [N], 0 to the number of classes - 1, of the images to be condensed.
    ipc : synthetic images a class.
    """
    sizes = torch.bincount(labels)
    if not sizes.min():
        raise ValueError(f"ipc = {ipc}: class {int(sizes.argmin())} has only 0 members: add images of it, or "
                         "number the classes without gaps")
    if not 1 <= ipc <= sizes.min():
        raise ValueError(f"ipc = {ipc}: class {int(sizes.argmin())} has only {int(sizes.min())} members, "
                         f"choose ipc between 1 and {int(sizes.min())}")


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
        raise ValueError(f"outer = 0 takes the paper's loops, which exist for ipc = "
                         f"{', '.join(map(str, PAPER_LOOPS))}, not {ipc}: set outer and inner yourself")
    return (outer, inner) if outer else PAPER_LOOPS[ipc]


def weight_gradients(network: nn.Module, images: torch.Tensor, labels: torch.Tensor,
                     create_graph: bool = False) -> list[torch.Tensor]:
    """Return the gradients of the mean cross-entropy for every weight tensor of `network`.

    Biases and normalisation parameters (one-dimensional) play no part in the distance.

    Parameters
    ----------
    images : float32 [B, C, H, W].
    labels : int64 [B].
    create_graph : keep the graph, to differentiate the gradients by the images.
    """
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    if not create_graph:
        return _gradients(network, weights, images, labels)
    loss = F.cross_entropy(network(images), labels)
    return list(torch.autograd.grad(loss, weights, create_graph=True))


def _gradients(network, weights, images, labels) -> list[torch.Tensor]:
    """Return the gradients of the mean cross-entropy for `weights`, on CPUs summed over small chunks."""
    per_image = weights[0].shape[0] * images[0, 0].numel()
    chunk = max(1, CPU_CHUNK // per_image) if images.device.type == "cpu" else len(images)
    total = None
    for some, their_labels in zip(images.split(chunk), labels.split(chunk)):
        loss = F.cross_entropy(network(some), their_labels, reduction="sum") / len(images)
        part = torch.autograd.grad(loss, weights)
        total = list(part) if total is None else [a.add_(b) for a, b in zip(total, part)]
    return total


def matching_distance(real: list[torch.Tensor], synthetic: list[torch.Tensor]) -> torch.Tensor:
    """Return the distance of two gradients (Zhao et al. 2021, eq. 10).

    For every weight tensor and every output row i of it, 1 - cos(real_i, synthetic_i),
    summed: 0 for parallel gradients, 2 for each opposite row. A row that is zero on
    either side counts 1.

    Parameters
    ----------
    real, synthetic : one tensor [outputs, ...] a weight tensor, in the same order.
    """
    total = 0.0
    for a, b in zip(real, synthetic, strict=True):
        a, b = a.flatten(1), b.flatten(1)
        cosine = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-6)
        total = total + (1 - cosine).sum()
    return total


def matching_step(network: nn.Module, images: torch.Tensor, labels: torch.Tensor,
                  synthetic: torch.Tensor, batch: Callable,
                  augmentations: Callable | None = None) -> tuple[torch.Tensor, float]:
    """Return the gradient of the matching loss for the synthetic images, and the loss.

    The loss is the sum of `matching_distance` over the classes; each class's distance
    depends on its own synthetic images only, so they are differentiated one by one.

    Parameters
    ----------
    network : the network whose gradients are matched.
    images, labels : the real data, float32 [N, C, H, W] and int64 [N].
    synthetic : float32 [classes, ipc, C, H, W].
    batch : maps a class to the indices of its real images in this step.
    augmentations : called once a class, returns a function of images that changes the real and the
        synthetic ones alike; None leaves them as they are.
    """
    gradient, loss = torch.empty_like(synthetic), 0.0
    for label, own in enumerate(synthetic):
        chosen = batch(label)
        augmented = augmentations() if augmentations else lambda same: same
        real = weight_gradients(network, augmented(images[chosen]), labels[chosen])
        own = own.detach().requires_grad_()
        target = torch.full((len(own),), label, device=own.device)
        distance = matching_distance(real, weight_gradients(network, augmented(own), target, create_graph=True))
        gradient[label], = torch.autograd.grad(distance, own)
        loss += distance.item()
    return gradient, loss


def match_gradients(state: dict, real: "Real", settings: Settings, draw: torch.Generator, network: nn.Module,
                    augmented: bool = False) -> tuple[dict[str, torch.Tensor], float]:
    """Make one iteration of gradient matching (DC; Zhao et al. 2021, algorithm 1).

    `outer` times the synthetic images make one step along the gradient of `matching_step` (SGD on the
    pixels, momentum 0.5) and, between two of them, the network is trained on them for `inner` epochs
    (SGD, rate 0.01). The arguments and what is returned are those of every method, see `METHODS`.

    With `augmented` it is DSA (Zhao & Bilen 2021): `augmentation.siamese` changes the real and the synthetic
    images of a class alike before their gradients are matched, and `augmentation.each` those that the network
    is trained on.
    """
    synthetic, velocity = state["images"], state["velocity"]
    labels = torch.arange(len(synthetic), device=synthetic.device).repeat_interleave(synthetic.shape[1])
    total = 0.0
    for update in range(settings.outer):
        gradient, loss = matching_step(
            network, real.images, real.labels, synthetic, lambda label: real.some(label, settings.real_batch, draw),
            (lambda: augmentation.siamese(draw)) if augmented else None)
        synthetic, velocity = momentum_step(synthetic, velocity, gradient, settings.image_lr)
        total += loss
        if update < settings.outer - 1:
            _train_inner(network, synthetic.flatten(0, 1), labels, settings.inner, draw, augmented)
    return {"images": synthetic, "velocity": velocity}, total / (settings.outer * len(synthetic))


def _train_inner(network, images, labels, epochs: int, draw: torch.Generator, augmented: bool = False) -> None:
    """Train `network` on the synthetic images with plain SGD, so that later gradients differ."""
    weights = list(network.parameters())
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=draw).to(images.device)
        for batch in order.split(NETWORK_BATCH):
            some = augmentation.each(images[batch], draw) if augmented else images[batch]
            gradients = _gradients(network, weights, some, labels[batch])
            with torch.no_grad():
                for weight, gradient in zip(weights, gradients):
                    weight -= NETWORK_LR * gradient


# A method makes one iteration: ``method(state, real, settings, draw, network)`` returns what has changed of the
# state and the loss, the mean of a class and update. It is given
#   state : dict of tensors: "images" float32 [classes, ipc, C, H, W], "velocity" of the same shape, zero at first, and
#       whatever the method itself returned before;
#   real : the `Real` images;
#   settings : the `Settings`;
#   draw : the generator of all that is random in this iteration;
#   network : a network freshly drawn from it, to be used or changed at will.
METHODS = {"DC": match_gradients, "DSA": partial(match_gradients, augmented=True),
           "DM": distribution_matching.match_distributions,
           "DM-DSA": partial(distribution_matching.match_distributions, augmented=True),
           "MTT": trajectory_matching.match_trajectories, "IDC": multi_formation.match_formations,
           "IDM": multi_formation.match_expanded, "KIP": kernel.induce_points,
           "KIP-labels": partial(kernel.induce_points, learn_labels=True)}


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


def starting_images(real: Real, ipc: int, start: str, seed: int,
                    make_network: Callable) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images that a condensation starts from, and the real images that they were made of.

    Parameters
    ----------
    real : the real images.
    ipc : synthetic images a class.
    start : "noise", standard normal; "real", a different real image each; "means", the mean of four; "mean
        noise", the mean of the class plus standard normal noise; "tiles", four real images of half the size
        side by side, where IDC and IDM begin; "herding" and "k-center", real images chosen as in
        `coresets`, by the features of a network that was trained on the real ones.
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
    _check_names(start)
    draw, classes = generator(seed, "noise" if start == "noise" else "start"), len(real.by_class)
    if STARTS[start] == 0:
        noise = torch.randn((classes, ipc, *real.images.shape[1:]), generator=draw)
        if start == "mean noise":
            noise += torch.stack([real.images[own].mean(0).cpu() for own in real.by_class])[:, None]
        return noise, torch.empty((classes * ipc, 0), dtype=torch.int64)
    if start in coresets.CHOICES:
        features = coresets.features(real.images, real.labels, make_network, draw)
        rows = torch.cat([own[coresets.CHOICES[start](features[own], ipc)] for own in real.by_class])[:, None]
    elif start == "real":
        rows = torch.cat([real.some(label, ipc, draw) for label in range(classes)])[:, None]
    else:
        size = min(STARTS[start], *map(len, real.by_class))
        rows = torch.stack([real.some(label, size, draw) for label in range(classes) for _ in range(ipc)])
    made = multi_formation.encode(real.images[rows]) if start == "tiles" else real.images[rows].mean(1)
    return made.unflatten(0, (classes, ipc)).cpu(), rows.cpu()


def chosen(settings: Settings) -> tuple[Callable, ...]:
    """Return the functions of other modules to which `condense` leaves the start and the method, for the record."""
    starts = coresets.CHOICES | {"tiles": multi_formation.encode}
    return METHODS[settings.method], *(starts[name] for name in (settings.start,) if name in starts)


def _check_names(start: str, method: str = "DC", network: str = "ConvNet") -> None:
    for name, value, known in (("start", start, STARTS), ("method", method, METHODS), ("network", network, NETWORKS)):
        check_known(name, value, known)
    if (method, network) == ("IDC", "linear"):
        raise ValueError("network = 'linear': IDC matches the gradients of convolutions, and it has none: choose "
                         "ConvNet or PaperCNN, or another method")


def condense(images: torch.Tensor, labels: torch.Tensor, settings: Settings, *, make_network: Callable, seed: int,
             checkpoint: Path | None = None, progress: Callable = iter) -> dict[str, torch.Tensor]:
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
    _check_names(settings.start, settings.method, settings.network)
    if settings.outer < 1 or settings.iterations < 0:
        raise ValueError(f"outer = {settings.outer}, iterations = {settings.iterations}: expected at least 1 and 0")
    real = Real.of(images, labels)
    first, started_from = starting_images(real, settings.ipc, settings.start, seed, make_network)
    state = _iterate_all(real, first, settings, make_network, seed, checkpoint, progress)
    formed = _formed(state["images"], settings.method)
    return {"images": formed, "loss": state["loss"], "started_from": started_from,
            "labels": _labels(state, len(formed) // len(first), settings.method),
            "snapshots": torch.stack([_formed(images, settings.method) for images in state["snapshots"]])}


def _formed(images: torch.Tensor, method: str) -> torch.Tensor:
    """Return the training images [n, C, H, W] of synthetic ones [classes, ipc, C, H, W]."""
    return multi_formation.decode(images).flatten(0, 2) if method in ("IDC", "IDM") else images.flatten(0, 1)


def _labels(state: dict, size: int, method: str) -> torch.Tensor:
    """Return the labels of the training images, `size` of each class."""
    classes = len(state["images"])
    hard = torch.arange(classes).repeat_interleave(size)
    return kernel.soft_labels(state, hard, classes) if method == "KIP-labels" else hard


def _iterate_all(real: Real, first, settings: Settings, make_network, seed, checkpoint,
                 progress) -> dict[str, torch.Tensor]:
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
                real, settings, draw, network)
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
    return {"images": images, "velocity": torch.zeros_like(images), "loss": torch.zeros(0, dtype=torch.float64),
            "snapshots": images[None]}
