"""Dataset condensation with synthetic images that hold four training images each, of a quarter of the pixels.

So do IDC (Kim et al., ICML 2022), which matches gradients, and IDM (Zhao et al., CVPR 2023), which matches
features. The networks learn from the real images between two updates, not from the synthetic ones.

Both are written after the papers and are not the authors' programs; `match_formations` and `match_expanded` say where
they differ.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F

from ..models import augmentation
from ..models.training import momentum_step
from . import distribution_matching, side_by_side
from .method import Real, Settings, State

FACTOR = 2  # a synthetic image is FACTOR x FACTOR training images
AUGMENTED_BY = ("color", "crop", "cutout")  # one of these, drawn for each class and update
BATCH = 64  # real images, whatever their class, of a step of the network
NETWORK_LR, NETWORK_MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 5e-4


def decode(images: torch.Tensor) -> torch.Tensor:
    """Return the training images that synthetic images hold (Kim et al., the multi-formation function).

    Every image is cut into FACTOR x FACTOR patches, row by row, and each of them enlarged to the full size,
    bilinearly. An image whose side is no multiple of FACTOR is first padded with 0 on the right and below.

    Parameters
    ----------
    images : float [..., C, H, W].

    Returns
    -------
    float [..., FACTOR * FACTOR, C, H, W].
    """
    *many, channels, size, _ = images.shape
    missing = -size % FACTOR
    padded = F.pad(images.reshape(-1, channels, size, size), (0, missing, 0, missing))
    patches = padded.unflatten(3, (FACTOR, -1)).unflatten(2, (FACTOR, -1)).permute(0, 2, 4, 1, 3, 5)
    enlarge = _enlarging(patches.shape[-1], size, images.dtype).to(images.device)
    return (enlarge @ patches @ enlarge.T).reshape(*many, FACTOR**2, channels, size, size)


@functools.cache
def _enlarging(small: int, size: int, dtype: torch.dtype) -> torch.Tensor:
    """The matrix [size, small] by which a column is enlarged bilinearly; faster than ``F.interpolate`` and its
    gradient."""
    return F.interpolate(torch.eye(small, dtype=dtype)[None, None], size=(size, small), mode="bilinear")[0, 0]


def encode(images: torch.Tensor) -> torch.Tensor:
    """Return one image [..., C, H, W] that holds FACTOR x FACTOR images [..., FACTOR * FACTOR, C, H, W].

    They are reduced by the means of FACTOR x FACTOR pixels; IDC's authors take every second pixel.
    """
    *many, _, channels, size, _ = images.shape
    small = -(-size // FACTOR)
    patches = F.interpolate(images.reshape(-1, channels, size, size), size=(small, small), mode="area")
    patches = patches.view(-1, FACTOR, FACTOR, channels, small, small).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(*many, channels, FACTOR * small, FACTOR * small)[..., :size, :size]


def convolution_gradients(
    network: nn.Module, images: torch.Tensor, label: int, create_graph: bool = False
) -> list[torch.Tensor]:
    """Return the gradients of the mean cross-entropy of images [B, C, H, W] of one class for every convolution."""
    weights = [layer.weight for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    target = torch.full((len(images),), label, device=images.device)
    loss = F.cross_entropy(network(images), target)
    return list(torch.autograd.grad(loss, weights, create_graph=create_graph))


def matching_gradient(
    network: nn.Module, real: Real, rows: list[torch.Tensor], synthetic: torch.Tensor, draw: torch.Generator
) -> tuple[torch.Tensor, float]:
    """Return the gradient of the matching loss for the synthetic images, and the loss.

    L = sum_c sum_layers | g(real class c) - g(decoded synthetic class c) |_1 with the gradients g of
    `convolution_gradients`, both sides under one siamese augmentation.

    Parameters
    ----------
    real, rows : the real images, and which of each class are matched.
    synthetic : float [classes, ipc, C, H, W].
    draw : generator of the augmentations.
    """
    changes = [augmentation.siamese(draw, AUGMENTED_BY) for _ in synthetic]
    if synthetic.device.type != "cpu":
        layers = [name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)]
        names, matched = [f"{name}.weight" for name in layers], side_by_side.chosen(real.images, rows)
        return side_by_side.matching_gradient(network, names, _apart, matched, synthetic, changes, decode)
    gradient, loss = torch.empty_like(synthetic), 0.0
    for label, (own_rows, own, augmented) in enumerate(zip(rows, synthetic, changes)):
        pixels = own.detach().requires_grad_()
        theirs = convolution_gradients(network, augmented(real.images[own_rows]), label)
        ours = convolution_gradients(network, augmented(decode(pixels).flatten(0, 1)), label, create_graph=True)
        distance = _apart(theirs, ours)
        (gradient[label],) = torch.autograd.grad(distance, pixels)
        loss += distance.item()
    return gradient, loss


def _apart(real: list[torch.Tensor], synthetic: list[torch.Tensor]) -> torch.Tensor:
    return functools.reduce(torch.add, [(a - b).abs().sum() for a, b in zip(real, synthetic)])


def match_formations(
    state: State, real: Real, settings: Settings, draw: torch.Generator, network: nn.Module
) -> tuple[State, float]:
    """Make one iteration of IDC (Kim et al., algorithm 1).

    `outer` times the synthetic images make one step along the gradient of `matching_gradient` (SGD on the
    pixels, momentum 0.5) and are kept within the grey levels of the real ones. Between two steps the network
    is trained on batches of 64 real images, `inner` of them (SGD, rate 0.01, momentum 0.9, weight decay 5e-4);
    the authors take 8, and leave CutMix out for MNIST, as is done here. The arguments and what is returned are
    those of every `method.Step`.

    The authors' program differs in four things. It changes every matched batch by colour *and* crop, and by cutout too
    except on MNIST with FACTOR 2, where one of the three is drawn here. Its networks learn from augmented real images,
    here from plain ones. It makes a step of the pixels after each class, here after all. It starts from nearest pixels,
    see `encode`.
    """
    synthetic, velocity, total = state["images"], state["velocity"], 0.0
    momenta = [torch.zeros_like(weight) for weight in network.parameters()]
    lowest, highest = real.images.aminmax()
    for update in range(settings.outer):
        rows = [real.some(label, settings.real_batch, draw) for label in range(len(synthetic))]
        gradient, loss = matching_gradient(network, real, rows, synthetic, draw)
        synthetic, velocity = momentum_step(synthetic, velocity, gradient, settings.image_lr)
        synthetic = synthetic.clamp(lowest, highest)
        total += loss
        if update < settings.outer - 1:
            train_on_real(network, momenta, real, settings.inner, draw)
    return {"images": synthetic, "velocity": velocity}, total / (settings.outer * len(synthetic))


def train_on_real(
    network: nn.Module, momenta: list[torch.Tensor], real: Real, steps: int, draw: torch.Generator
) -> None:
    """Train `network` in place by some steps of SGD on real images; `momenta` are what its weights still move by."""
    weights = list(network.parameters())
    for _ in range(steps):
        batch = torch.randint(len(real.images), (BATCH,), generator=draw).to(real.images.device)
        loss = F.cross_entropy(network(real.images[batch]), real.labels[batch])
        for weight, momentum, gradient in zip(weights, momenta, torch.autograd.grad(loss, weights)):
            with torch.no_grad():
                momentum.mul_(NETWORK_MOMENTUM).add_(gradient + WEIGHT_DECAY * weight)
                weight -= NETWORK_LR * momentum


def match_expanded(
    state: State, real: Real, settings: Settings, draw: torch.Generator, network: nn.Module
) -> tuple[State, float]:
    """Make one iteration of IDM: distribution matching on the decoded images (Zhao et al. 2023).

    As `match_formations`, but each step is along the gradient of `distribution_matching.matching_gradient`, of
    the network as it was drawn at first and then after every `inner` steps on real images.

    The authors' program differs in five things. It keeps a pool of networks and adds a cross-entropy term, where every
    iteration has a new network here and no such term. It always augments what is matched (DSA), here nothing is
    augmented. It makes a step of the pixels after each class, here after all. And it does not cut the pixels to the
    grey levels of the real images.
    """
    synthetic, velocity, total = state["images"], state["velocity"], 0.0
    momenta = [torch.zeros_like(weight) for weight in network.parameters()]
    lowest, highest = real.images.aminmax()
    for update in range(settings.outer):
        network.requires_grad_(False)
        means = distribution_matching.class_means(network, real, settings.real_batch, draw)
        gradient, loss = distribution_matching.matching_gradient(network, means, synthetic, decode)
        synthetic, velocity = momentum_step(synthetic, velocity, gradient, settings.image_lr)
        synthetic = synthetic.clamp(lowest, highest)
        total += loss
        if update < settings.outer - 1:
            train_on_real(network.requires_grad_(), momenta, real, settings.inner, draw)
    return {"images": synthetic, "velocity": velocity}, total / (settings.outer * len(synthetic))
