"""Dataset condensation by gradient matching (Zhao, Mopuri & Bilen, ICLR 2021).

The synthetic images are pushed until a network's gradient on them points where its
gradient on the real images points.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from . import artefacts
from .networks import initialise
from .seeding import generator

# (outer, inner) loops that the condensation paper gives a synthetic set of each size
PAPER_LOOPS = {1: (1, 1), 10: (10, 50), 50: (50, 10)}
TRAINING_SETS = ("original", "subset", "condensed")  # what a target model may be trained on
REAL_BATCH = 256   # real images a class and update
IMAGE_LR, IMAGE_MOMENTUM = 0.1, 0.5
NETWORK_LR = 0.01
NETWORK_BATCH = 256  # synthetic images a step of the inner training


def check(labels: torch.Tensor, ipcs: list[int], training_sets: list[str], outer: int, inner: int) -> None:
    """Check the parameters of a whole run before any of it is computed.

    Raises
    ------
    ValueError
        As `check_ipc` and `loops` for one of the `ipcs`; for an unknown training set.
    """
    for ipc in ipcs:
        check_ipc(labels, ipc)
        loops(ipc, outer, inner)
    unknown = [name for name in training_sets if name not in TRAINING_SETS]
    if unknown:
        raise ValueError(f"training_sets holds {unknown[0]!r}: expected some of {', '.join(TRAINING_SETS)}")


def check_ipc(labels: torch.Tensor, ipc: int) -> None:
    """Raise ValueError unless `ipc` is between 1 and the size of the smallest class.

    Parameters
    ----------
    labels : int64 [N], 0 to the number of classes - 1, of the images to be condensed.
    ipc : synthetic images a class.
    """
    sizes = torch.bincount(labels)
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
    loss = F.cross_entropy(network(images), labels)
    return list(torch.autograd.grad(loss, weights, create_graph=create_graph))


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
                  synthetic: torch.Tensor, batch: Callable) -> tuple[torch.Tensor, float]:
    """Return the gradient of the matching loss for the synthetic images, and the loss.

    The loss is the sum of `matching_distance` over the classes; each class's distance
    depends on its own synthetic images only, so they are differentiated one by one.

    Parameters
    ----------
    network : the network whose gradients are matched.
    images, labels : the real data, float32 [N, C, H, W] and int64 [N].
    synthetic : float32 [classes, ipc, C, H, W].
    batch : maps a class to the indices of its real images in this step.
    """
    gradient, loss = torch.empty_like(synthetic), 0.0
    for label, own in enumerate(synthetic):
        chosen = batch(label)
        real = weight_gradients(network, images[chosen], labels[chosen])
        own = own.detach().requires_grad_()
        target = torch.full((len(own),), label, device=own.device)
        distance = matching_distance(real, weight_gradients(network, own, target, create_graph=True))
        gradient[label], = torch.autograd.grad(distance, own)
        loss += distance.item()
    return gradient, loss


def condense(images: torch.Tensor, labels: torch.Tensor, *, ipc: int, make_network: Callable,
             iterations: int, outer: int, inner: int, seed: int, real_batch: int = REAL_BATCH,
             image_lr: float = IMAGE_LR,
             snapshots: tuple[int, ...] = (), checkpoint: Path | None = None,
             progress: Callable = iter) -> dict[str, torch.Tensor]:
    """Condense real images into `ipc` synthetic images a class.

    Every iteration draws a new network. `outer` times it updates the synthetic images by
    one matching step over all classes (SGD on the pixels, rate 0.1, momentum 0.5) and,
    between two updates, trains the network on them for `inner` epochs (SGD, rate 0.01).

    Parameters
    ----------
    images, labels : the real data, float32 [N, C, H, W] and int64 [N], on the device
        that is to do the work. Nothing else of the data set is seen.
    ipc : synthetic images a class; at most the size of the smallest class.
    make_network : builds the network whose gradients are matched.
    iterations, outer, inner : the loops above.
    seed : seed of the noise, the networks and the batches.
    real_batch : real images a class in each update (all, if the class has fewer).
    image_lr : step size on the pixels.
    snapshots : iterations after which to keep a copy of the images; 0 is the noise.
    checkpoint : file that holds the state after each iteration. If it exists, the work
        goes on from there, to the same result as an unbroken run. Deleted at the end.
    progress : wraps the iterations, for instance ``tqdm``.

    Returns
    -------
    dict with "images" float32 [classes * ipc, C, H, W] (in the units of `images`),
    "labels" int64, "loss" float64 [iterations] (mean matching loss a class and update),
    "snapshots" float32 [len(snapshots), classes * ipc, C, H, W].

    Raises
    ------
    ValueError
        If `ipc` is below 1 or above the size of the smallest class, or a loop is empty.
    """
    check_ipc(labels, ipc)
    if outer < 1 or iterations < 1:
        raise ValueError(f"outer = {outer}, iterations = {iterations}: expected at least 1")
    by_class = [torch.nonzero(labels == label).flatten() for label in range(int(labels.max()) + 1)]
    device, network = images.device, make_network().to(images.device)
    shape = (len(by_class), ipc, *images.shape[1:])
    state = {"images": torch.randn(shape, generator=generator(seed, "noise")),
             "velocity": torch.zeros(shape), "loss": torch.zeros(0, dtype=torch.float64)}
    state["snapshots"] = state["images"].expand(len(snapshots), *shape).clone()
    inputs = {"ipc": ipc, "outer": outer, "inner": inner, "seed": seed, "real_batch": real_batch,
              "image_lr": image_lr, "snapshots": list(snapshots), "shape": list(shape)}
    if checkpoint is not None and checkpoint.exists():
        state = {name: torch.from_numpy(value) for name, value in
                 artefacts.load_arrays(checkpoint, inputs, "the same notebook").items()}
    synthetic, velocity = state["images"].to(device), state["velocity"].to(device)
    own_labels = torch.arange(len(by_class), device=device).repeat_interleave(ipc)

    for iteration in progress(range(len(state["loss"]), iterations)):
        # one stream an iteration: a resumed run draws what the unbroken one would have
        draw = generator(seed, "iteration", iteration)
        initialise(network, draw)
        total = 0.0
        for update in range(outer):
            def batch(label):
                members = by_class[label]
                return members[torch.randperm(len(members), generator=draw)[:real_batch].to(device)]
            gradient, loss = matching_step(network, images, labels, synthetic, batch)
            velocity = IMAGE_MOMENTUM * velocity + gradient
            synthetic = synthetic - image_lr * velocity
            total += loss
            if update < outer - 1:
                _train_inner(network, synthetic.flatten(0, 1), own_labels, inner, draw)
        loss = torch.tensor([total / (outer * len(by_class))], dtype=torch.float64)
        state.update(images=synthetic.cpu(), velocity=velocity.cpu(), loss=torch.cat([state["loss"], loss]))
        for position, after in enumerate(snapshots):
            if after == iteration + 1:
                state["snapshots"][position] = state["images"]
        if checkpoint is not None:
            artefacts.save_arrays(checkpoint, state, inputs)
    if checkpoint is not None:
        for path in (checkpoint, artefacts.sidecar(checkpoint)):
            path.unlink(missing_ok=True)
    return {"images": state["images"].flatten(0, 1), "labels": own_labels.cpu(),
            "loss": state["loss"], "snapshots": state["snapshots"].flatten(1, 2)}


def _train_inner(network, images, labels, epochs: int, draw: torch.Generator) -> None:
    """Train `network` on the synthetic images with plain SGD, so that later gradients differ."""
    weights = list(network.parameters())
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=draw).to(images.device)
        for batch in order.split(NETWORK_BATCH):
            loss = F.cross_entropy(network(images[batch]), labels[batch])
            with torch.no_grad():
                for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
                    weight -= NETWORK_LR * gradient
