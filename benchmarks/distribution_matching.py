"""Distribution matching: one update by a plain implementation against dcpriv_lib, per condensed set on all cores.

    python benchmarks/distribution_matching.py [--width 64] [--real-batch 64] [--ipc 10] [--repeats 5]

Plain: as the authors wrote it, class by class by torch's own layers, one set with every core as a thread. Fast: one
set per core, as the engine does. Both see the same network and the same real MNIST images.
"""

import argparse
import os

import torch
from side_by_side import HEADER, alternate, hardware, matmul_rate, one_per_core, row

from dcpriv_lib.condensation import distribution_matching, method
from dcpriv_lib.data import catalogue
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.models import networks

CLASSES = 10


def plain_gradient(network, images, by_class, synthetic, batch: int):
    """Return the gradient of the matching loss for the synthetic images [classes, ipc, C, H, W]."""
    draw, pixels, loss = generator(1), synthetic.clone().requires_grad_(), 0.0
    for rows, own in zip(by_class, pixels):
        real = network.features(images[rows[torch.randperm(len(rows), generator=draw)[:batch]]]).flatten(1).detach()
        loss = loss + (real.mean(0) - network.features(own).flatten(1).mean(0)).square().sum()
    return torch.autograd.grad(loss, pixels)[0]


def fast_gradient(network, images, labels, synthetic, batch: int):
    """The library's."""
    means = distribution_matching.class_means(network, method.Real.of(images, labels), batch, generator(1))
    return distribution_matching.matching_gradient(network, means, synthetic)[0]


def main(arguments) -> None:
    mnist, cores = catalogue.load("mnist"), os.cpu_count()
    images, labels = mnist.images[:5000].float().div(127.5).sub(1), torch.as_tensor(mnist.labels[:5000])
    width, batch, ipc = arguments.width, arguments.real_batch, arguments.ipc
    network = networks.initialise(networks.ConvNet(1, 28, CLASSES, width=width), generator(0)).requires_grad_(False)
    synthetic, by_class = (
        torch.randn(CLASSES, ipc, 1, 28, 28, generator=generator(2)),
        method.Real.of(images, labels).by_class,
    )
    call = (network, images, labels, synthetic, batch)
    plain, fast = plain_gradient(network, images, by_class, synthetic, batch), fast_gradient(*call)
    print(
        f"largest difference of the two gradients: {(plain - fast).abs().max() / plain.abs().max():.1g} of the largest"
    )
    # multiply-adds of one image padded to 32x32; the synthetic ones are differentiated by the pixels too
    flop = 2 * (32 * 32 * 9 * width + (16 * 16 + 8 * 8) * 9 * width**2) * CLASSES * (batch + 2 * ipc)
    print(HEADER)
    with one_per_core() as pool:
        plain_times, fast_times = alternate(
            lambda: plain_gradient(network, images, by_class, synthetic, batch),
            lambda: pool(fast_gradient, [call] * cores),
            arguments.repeats,
        )
    print(
        row(
            f"ConvNet-3-{width}, ipc {ipc}: one update, {batch} real images a class",
            plain_times,
            [t / cores for t in fast_times],
            flop / matmul_rate(cores),
        )
    )
    print(hardware())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("width", 64), ("real-batch", 64), ("ipc", 10), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    main(parser.parse_args())
