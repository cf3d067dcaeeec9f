"""The networks of the report; all return logits, and what their last layer sees."""

import math
from collections.abc import Callable

import torch
from torch import nn

from ..engine.errors import check_known
from . import convolution
from .products import multiply

WINOGRAD_CHANNELS = 128  # On CPUs Winograd's algorithm was measured to be faster from so many channels on.


class PaperCNN(nn.Module):
    """The target and shadow network of Gujarathi & Gandhi (their published code).

    Two valid convolutions with 28 filters (5x5, 3x3), each with tanh and 2x2 maximum
    pooling, a dense layer of 128 tanh units, and the output layer.

    Parameters
    ----------
    channels : colour channels of the images.
    size : height and width of the images in pixels, at least 14.
    classes : number of classes.
    twice_differentiable : whether gradients are to be differentiated again, which takes twice the time on CPUs.
    """

    def __init__(self, channels: int, size: int, classes: int, twice_differentiable: bool = False):
        super().__init__()
        self.twice_differentiable = twice_differentiable
        if size < 14:
            raise ValueError(
                f"PaperCNN needs images of at least 14x14 pixels, these are {size}x{size}: enlarge them first"
            )
        side = ((size - 4) // 2 - 2) // 2
        self.features = nn.Sequential(
            # tanh is monotone, so that pooling first is the same function with a quarter of the tanh.
            nn.Conv2d(channels, 28, 5),
            nn.MaxPool2d(2),
            nn.Tanh(),
            nn.Conv2d(28, 28, 3),
            nn.MaxPool2d(2),
            nn.Tanh(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(28 * side * side, 128), nn.Tanh(), nn.Linear(128, classes)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map float32 images [B, C, H, W] to logits [B, classes]."""
        return self.classifier[-1](self.embed(images))

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Map float32 images [B, C, H, W] to the 128 features that the last layer sees, [B, 128]."""
        if self.twice_differentiable or images.device.type != "cpu":
            return self.classifier[:-1](self.features(images))
        features = images.permute(2, 1, 3, 0)  # The same function follows, which takes half the time on CPUs.
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                features = torch.tanh(convolution.pooled(features, layer))
        dense, features = self.classifier[1], features.permute(3, 1, 0, 2).flatten(1)
        return torch.tanh(multiply(features, dense.get_parameter("weight").t()) + dense.get_parameter("bias"))


class ConvNet(nn.Module):
    """The network of the condensation paper (Zhao, Mopuri & Bilen 2021), ConvNet-3-128.

    `depth` blocks of 3x3 convolution, instance normalisation, ReLU and 2x2 average
    pooling, then one linear layer. The first convolution pads the image to the next
    multiple of 2^depth (28 -> 32 pixels, as in the authors' code). An odd size is padded to one pixel more (31 -> 33),
    and the first pooling leaves the last row and column out.

    Parameters
    ----------
    channels, size, classes : as in `PaperCNN`.
    width : filters of every convolution.
    depth : number of blocks.
    """

    def __init__(self, channels: int, size: int, classes: int, width: int = 128, depth: int = 3):
        super().__init__()
        block = 2**depth
        padded = math.ceil(size / block) * block
        blocks = []
        for level in range(depth):
            padding = 1 + math.ceil((padded - size) / 2) if level == 0 else 1
            blocks += [
                nn.Conv2d(channels if level == 0 else width, width, 3, padding=padding),
                nn.GroupNorm(width, width),
                nn.ReLU(),
                nn.AvgPool2d(2),
            ]
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(width * (padded // block) ** 2, classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map float32 images [B, C, H, W] to logits [B, classes]."""
        return self.classifier(self.embed(images))

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Map float32 images [B, C, H, W] to the features [B, n] that the linear layer sees."""
        if images.device.type != "cpu":
            return self.features(images).flatten(1)
        features = images  # The same function follows, which takes half the time on CPUs.
        for conv, norm, relu, _ in zip(*[iter(self.features)] * 4):
            features = convolution.halved(relu(norm(_convolved(features, conv))))
        return features.flatten(1)


class LinearModel(nn.Module):
    """Multinomial logistic regression on the pixels; the parameters are those of `PaperCNN`."""

    def __init__(self, channels: int, size: int, classes: int):
        super().__init__()
        self.classifier = nn.Linear(channels * size**2, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map float32 images [B, C, H, W] to logits [B, classes]."""
        return self.classifier(self.embed(images))

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Return the pixels of images [B, C, H, W] as they are, [B, C * H * W]."""
        return images.flatten(1)


def build(name: str, shape: tuple[int, int, int], width: int = 128, twice_differentiable: bool = False) -> nn.Module:
    """Return a network of one of the `NETWORKS`.

    Parameters
    ----------
    name : key of `NETWORKS`.
    shape : channels, size and classes, as in `PaperCNN`.
    width : of a ConvNet.
    twice_differentiable : as in `PaperCNN`; the others always are.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    check_known("network", name, NETWORKS)
    return NETWORKS[name](shape, width, twice_differentiable)


NETWORKS: dict[str, Callable[[tuple[int, int, int], int, bool], nn.Module]] = {
    "ConvNet": lambda shape, width, _: ConvNet(*shape, width=width),
    "PaperCNN": lambda shape, _, twice: PaperCNN(*shape, twice_differentiable=twice),
    "linear": lambda shape, _, __: LinearModel(*shape),
}


def _convolved(images: torch.Tensor, layer: nn.Conv2d) -> torch.Tensor:
    """Apply a 3x3 convolution, by Winograd's algorithm where it is faster and the tiles fit."""
    tiled = layer.padding == (1, 1) and images.shape[2] % 4 == 0 and images.shape[3] % 4 == 0
    return convolution.winograd(images, layer) if tiled and layer.in_channels >= WINOGRAD_CHANNELS else layer(images)


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw new weights from `generator`, with torch's default distributions; return `network`.

    torch's own initialisation uses the global random state; this one is reproducible
    wherever it is called. The drawing happens on the CPU, whatever the device.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for tensor in layer.parameters():  # The weight, and then the bias.
                tensor.copy_(torch.empty(tensor.shape).uniform_(-bound, bound, generator=generator))
        elif isinstance(layer, nn.GroupNorm):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
    return network


class OnPixels(nn.Module):
    """A trained network that takes pixels from 0 to 1, on any device; its weights no longer learn.

    Pixels are moved to the device of the weights, and answers and gradients come back to the device of the pixels. So
    the pictures of a notebook may stay on the CPU while the network is on an accelerator. An attack on many images
    moves them there once (`Study.attacked`).

    Parameters
    ----------
    network : takes images on a scale of its own, and returns logits.
    mean, deviation : float32 [1, C, 1, 1], in grey levels, what that scale subtracts and divides by
        (`split.pixel_scale`).
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, network: nn.Module, mean: torch.Tensor, deviation: torch.Tensor):
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        device = next(network.parameters()).device
        self.register_buffer("mean", mean.to(device))
        self.register_buffer("deviation", deviation.to(device))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map float32 pixels [B, C, H, W] to logits [B, classes].

        Pixels of whole grey levels become the same bits as in training.
        """
        moved = pixels.to(self.mean.device)
        return self.network((255 * moved - self.mean) / self.deviation).to(pixels.device)
