"""Adversarial images: how little a picture must change before a model errs.

All attacks work on pixels from 0 to 1, so that an epsilon means the same for every model: 8/255 is eight grey levels.
What standardises the pixels is inside the network (`OnPixels`). They know the weights, and look for one image each that
is no longer of its true class; images that are wrong already need no attack.

FGSM, PGD and DeepFool are written here, because they must run on any device, draw from a generator that is passed to
them, and stay within epsilon to the last bit; the tests compare them with foolbox. AutoAttack is its authors' own code,
as pyautoattack.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .. import metrics

BATCH = 256
MASKED = 0.01  # share of right images without a gradient, or right at the largest epsilon, that is suspicious
BEYOND = 1e-4  # how much farther than to a boundary DeepFool walks, lest it creep up to it for ever
SQUARE_WINS = 0.05  # share of images that the attack without gradients flips and PGD does not: likewise


# ---------------------------------------------------------------- the attacks


def fgsm(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return adversarial images by the fast gradient sign method (Goodfellow, Shlens & Szegedy, ICLR 2015, section 4).

        x' = x + epsilon sign(grad_x loss(x, y)),   cut to 0..1

    Parameters
    ----------
    network : returns logits of pixels from 0 to 1.
    images, labels : float32 [n, C, H, W] from 0 to 1, int64 [n].
    epsilon : 0 to 1, how far each pixel may move.

    Returns
    -------
    float32 [n, C, H, W], no pixel farther than `epsilon` from where it was.

    Raises
    ------
    ValueError
        If `epsilon`, a pixel or a label is out of range.
    """
    check(network, images, labels, epsilon)
    low, high = _box(images, epsilon)
    gradient = loss_gradient(network, images, labels)
    return torch.where(gradient > 0, high, torch.where(gradient < 0, low, images))


def pgd(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    epsilon: float,
    *,
    steps: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """Return adversarial images by projected gradient descent from a random start (Madry et al., ICLR 2018, section
    2.1).

        x_0 uniform in the box of all images within epsilon,   x_{t+1} = projection of x_t + alpha sign(grad_x loss(x_t,
        y))

    with alpha = 2.5 epsilon / steps, so that every image of the box can be reached from every other (their section 5).

    Parameters
    ----------
    steps : gradient steps, 1 or more.
    generator : CPU generator of the start.

    The other parameters, the result and the errors are those of `fgsm`.
    """
    check(network, images, labels, epsilon)
    low, high = _box(images, epsilon)
    start = torch.rand(images.shape, generator=generator, dtype=images.dtype).to(images.device)
    moved = torch.clamp(low + start * (high - low), low, high)
    for _ in range(steps):
        moved = torch.clamp(moved + 2.5 * epsilon / steps * loss_gradient(network, moved, labels).sign(), low, high)
    return moved


def deepfool(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, *, steps: int = 50, overshoot: float = 0.02
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return adversarial images as near as DeepFool finds them, and their distances (Moosavi-Dezfooli et al., CVPR
    2016).

    The network is taken for linear where the image is. Then the nearest boundary, that to class k, is at the distance
    |f_k| / ||w_k|| with f_k = z_k - z_y and w_k = grad f_k, and the image moves there (their algorithm 2). This is
    repeated until the image has crossed a boundary; the whole way is made longer by `overshoot`, and then cut to 0..1.
    All images walk side by side.

    Parameters
    ----------
    images, labels : as in `fgsm`.
    steps : most steps of an image.
    overshoot : 0 or more.

    Returns
    -------
    moved : float32 [n, C, H, W] from 0 to 1.
    distances : float32 [n], Euclidean: 0 for images that are wrong already, infinite where no step led over a boundary.

    Raises
    ------
    ValueError
        If a pixel or a label is out of range.
    """
    check(network, images, labels)
    moved, way = images.clone(), torch.zeros_like(images)
    right = is_right(network, images, labels)
    for _ in range(steps):
        rows = right.nonzero().flatten()
        if not len(rows):
            break
        way[rows] += _to_the_boundary(network, moved[rows], labels[rows])
        moved[rows] = (images[rows] + (1 + overshoot) * way[rows]).clamp(0, 1)
        right[rows] = is_right(network, moved[rows], labels[rows])
    distances = (moved - images).flatten(1).norm(dim=1)
    return moved, distances.masked_fill(right, torch.inf)


def _to_the_boundary(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the step to the nearest boundary of the linearised network; zero where no gradient leads to one."""
    points = images.clone().requires_grad_()
    logits = network(points)
    gradients = torch.stack(
        [torch.autograd.grad(one.sum(), points, retain_graph=True)[0] for one in logits.unbind(1)], 1
    )
    own = torch.arange(len(images), device=images.device)
    f, w = logits.detach() - logits.detach()[own, labels, None], gradients - gradients[own, labels, None]
    norm = w.flatten(2).norm(dim=2)
    distance = torch.where(norm > 0, f.abs() / norm, torch.inf)
    distance[own, labels] = torch.inf
    k = distance.argmin(1)
    length = torch.where(distance[own, k].isfinite(), (distance[own, k] + BEYOND) / norm[own, k], 0.0)
    return length.view(-1, 1, 1, 1) * w[own, k]


def autoattack(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    epsilon: float,
    *,
    attacks: list[str],
    queries: int,
    rivals: int,
    seed: int,
) -> torch.Tensor:
    """Return adversarial images by AutoAttack (Croce & Hein, ICML 2020), as its authors wrote it; `images` where it
    found none.

    Parameters
    ----------
    attacks : some of "apgd-ce", "apgd-t", "fab-t" and "square" (the one that needs no gradient), in the order in which
        they try.
    queries : questions that "square" may ask about an image; AutoAttack's standard is 5,000.
    rivals : the most likely wrong classes that "apgd-t" and "fab-t" aim at; AutoAttack's standard is 9.
    seed : of torch's random numbers, which are afterwards as they were.

    The other parameters and the errors are those of `fgsm`.
    """
    from pyautoattack import AutoAttack  # here, because only one notebook needs it

    check(network, images, labels, epsilon)
    if not len(images) or epsilon == 0:
        return images
    cuda = [images.device] if images.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        suite = AutoAttack(
            network, attacks=attacks, eps=epsilon, seed=seed % 2**32, version="custom", device=images.device
        )
        rivals = min(rivals, network(images[:1]).shape[1] - 1)
        suite.apgd.n_restarts = suite.fab.n_restarts = 1
        suite.square.n_queries, suite.apgd_targeted.n_target_classes, suite.fab.n_target_classes = (
            queries,
            rivals,
            rivals,
        )
        moved, _ = suite.run_standard_evaluation(images, labels, batch_size=BATCH)
    return moved.clamp(*_box(images, epsilon))


# ---------------------------------------------------------------- an examination


def examine(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    epsilons: list[float],
    steps: int,
    generator: torch.Generator,
) -> dict[str, np.ndarray]:
    """Attack one network by FGSM, PGD and DeepFool.

    Parameters
    ----------
    network, images, labels : as in `fgsm`.
    epsilons : ascending, each from 0 to 1.
    steps : of PGD.
    generator : CPU generator of PGD's starts.

    Returns
    -------
    "clean" bool [n], which images the network has right; "FGSM" and "PGD" bool [epsilons, n], which of them it still
    has right (see `curve`); "DeepFool" float32 [n], the distances; "gradient" float32 [n], the largest entry of the
    gradient of the loss.

    Raises
    ------
    ValueError
        As `fgsm`, and if the epsilons do not ascend.
    """
    if list(epsilons) != sorted(set(epsilons)):
        raise ValueError(f"epsilons = {list(epsilons)}: expected each larger than the one before: sort them")
    by_pgd = partial(pgd, steps=steps, generator=generator)
    parts = [
        {
            "clean": is_right(network, some, own),
            "FGSM": curve(fgsm, network, some, own, epsilons),
            "PGD": curve(by_pgd, network, some, own, epsilons),
            "DeepFool": deepfool(network, some, own)[1],
            "gradient": loss_gradient(network, some, own).flatten(1).abs().amax(1),
        }
        for some, own in zip(images.split(BATCH), labels.split(BATCH))
    ]
    return {name: torch.cat([part[name] for part in parts], -1).cpu().numpy() for name in parts[0]}


def curve(
    attack: Callable, network: nn.Module, images: torch.Tensor, labels: torch.Tensor, epsilons: list[float]
) -> torch.Tensor:
    """Return which images survive an attack at each epsilon, bool [epsilons, n].

    Who may move a pixel far may also move it less, so an image that was flipped stays flipped at every larger epsilon.
    """
    right, survived = is_right(network, images, labels), []
    for epsilon in epsilons:
        rows = right.nonzero().flatten()
        right = right.clone()
        right[rows] = is_right(network, attack(network, images[rows], labels[rows], epsilon), labels[rows])
        survived.append(right)
    return torch.stack(survived)


def strongest(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    epsilon: float,
    steps: int,
    queries: int,
    rivals: int,
    generator: torch.Generator,
) -> dict[str, np.ndarray]:
    """Attack one network at one epsilon by PGD, then by the attack without gradients, then by the rest of AutoAttack.

    Each attacks the images that those before it left right. Square needs no gradient, so what it flips and PGD did not
    is a sign of gradients that hide something.

    Returns
    -------
    "clean", "PGD", "Square" and "AutoAttack", bool [n], the images that are right still.

    The parameters and the errors are those of `examine`; `queries` and `rivals` are those of `autoattack`.
    """
    right = is_right(network, images, labels)
    seed = int(torch.randint(2**31, (1,), generator=generator))
    suite = {
        "PGD": partial(pgd, steps=steps, generator=generator),
        "Square": partial(autoattack, attacks=["square"], queries=queries, rivals=rivals, seed=seed),
        "AutoAttack": partial(
            autoattack, attacks=suite_for(network, images), queries=queries, rivals=rivals, seed=seed
        ),
    }
    found = {"clean": right}
    for name, attack in suite.items():
        rows, right = right.nonzero().flatten(), right.clone()
        right[rows] = is_right(network, attack(network, images[rows], labels[rows], epsilon), labels[rows])
        found[name] = right
    return {name: value.cpu().numpy() for name, value in found.items()}


def suite_for(network: nn.Module, images: torch.Tensor) -> list[str]:
    """Return the attacks of AutoAttack with gradients; "apgd-t" compares four logits, so it needs as many classes."""
    if len(images) and network(images[:1]).shape[1] < 4:
        return ["apgd-ce", "fab-t"]
    return ["apgd-ce", "apgd-t", "fab-t"]


def gradients(examined: dict[str, np.ndarray], strong: dict[str, np.ndarray]) -> str:
    """Return "sound", or by which sign the robustness of a network is only apparent: its gradients are masked.

    Where a gradient is zero, FGSM and PGD stand still and say nothing. Three signs of it, after Athalye, Carlini &
    Wagner (ICML 2018, section 3.1): right images without any gradient; images that are right still at the largest
    epsilon; an attack without gradients that flips what PGD cannot (by more than luck: the low end of the interval of
    their share counts).

    Parameters
    ----------
    examined, strong : what `examine` and `strongest` return for the network; the last epsilon of `examine` should allow
        anything.
    """
    right = examined["clean"]
    without = np.mean(examined["gradient"][right] == 0) if right.any() else 0.0
    if without > MASKED:
        return f"masked: {without:.0%} of the right images have no gradient"
    if examined["PGD"][-1].mean() > MASKED:
        return f"masked: {examined['PGD'][-1].mean():.0%} are right at the largest epsilon"
    flipped = strong["PGD"] & ~strong["Square"]
    if metrics.rate(int(flipped.sum()), len(flipped))[1] > SQUARE_WINS:
        return f"masked: without gradients {flipped.sum()} of {len(flipped)} more are flipped"
    return "sound"


# ---------------------------------------------------------------- their parts


def is_right(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return which images have the largest logit at their label, bool [n]."""
    if not len(images):
        return torch.zeros(0, dtype=torch.bool, device=images.device)
    with torch.no_grad():
        return torch.cat([network(some).argmax(1) for some in images.split(BATCH)]) == labels


def loss_gradient(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the gradient of each image's cross-entropy by its pixels, [n, C, H, W]."""
    if not len(images):
        return torch.zeros_like(images)
    points = images.detach().clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(network(points), labels, reduction="sum"), points)[0]


def _box(images: torch.Tensor, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the least and the largest value of every pixel within epsilon and 0..1, rounded inwards, never
    outwards."""
    wide = images.double()
    low, high = ((wide + side * epsilon).to(images.dtype) for side in (-1, 1))
    low = torch.where(low.double() < wide - epsilon, torch.nextafter(low, images), low)
    high = torch.where(high.double() > wide + epsilon, torch.nextafter(high, images), high)
    return low.clamp(min=0), high.clamp(max=1)


def check(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, epsilon: float = 0.0) -> None:
    """Raise ValueError if an attack on these images would mean nothing: see the errors of `fgsm`."""
    if not 0 <= epsilon <= 1:
        raise ValueError(
            f"epsilon = {epsilon}: expected a number from 0 to 1, how far a pixel may move; write 8/255 for "
            "eight grey levels"
        )
    if not len(images):
        return
    if not (images.min() >= 0 and images.max() <= 1):  # so that NaN is refused too
        raise ValueError(
            f"the pixels run from {images.min():.3g} to {images.max():.3g}: expected 0 to 1, because an epsilon means "
            "nothing on another scale: put the standardisation into the network, as OnPixels does"
        )
    with torch.no_grad():
        classes = network(images[:1]).shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"the labels run from {labels.min()} to {labels.max()}: expected 0 to {classes - 1}, the classes that "
            "the network knows: leave the other images out"
        )
