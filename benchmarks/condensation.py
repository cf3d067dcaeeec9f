"""Gradient matching: a plain implementation against dcpriv_lib, per condensed set on all cores.

    python benchmarks/condensation.py [--width 128] [--real-batch 256] [--repeats 3]

Plain: one set with every core as a thread, class by class in eager float32, a DataLoader
for the inner epochs. Fast: one set per core, as the engine does. Then both condense real
MNIST from the same noise, and networks trained on the results are compared.
"""

import argparse
import os
from statistics import mean, stdev

import torch
from side_by_side import HEADER, alternate, hardware, matmul_rate, one_per_core, row
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from dcpriv_lib.condensation import condense, gradient_matching, method
from dcpriv_lib.data import catalogue
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.models import networks, training

IPC, CLASSES = 10, 10


def plain_network(width: int) -> nn.Module:
    """The matching network by torch's own layers alone."""
    network = networks.ConvNet(1, 28, CLASSES, width=width)
    return networks.initialise(nn.Sequential(network.features, network.classifier), generator(0))


def plain_update(network, images, labels, synthetic, draw):
    """Return the gradient of the matching loss for the synthetic images [classes, ipc, C, H, W]."""
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    pixels, loss = synthetic.clone().requires_grad_(), 0.0
    for label in range(CLASSES):
        rows = torch.nonzero(labels == label).flatten()
        rows = rows[torch.randperm(len(rows), generator=draw)[:BATCH]]
        real = torch.autograd.grad(F.cross_entropy(network(images[rows]), labels[rows]), weights)
        own = F.cross_entropy(network(pixels[label]), torch.full((len(pixels[label]),), label))
        loss = loss + gradient_matching.matching_distance(real, torch.autograd.grad(own, weights, create_graph=True))
    loss.backward()
    return pixels.grad


def plain_inner(network, synthetic, epochs: int, draw):
    """Train the network on the synthetic images for some epochs."""
    labels = torch.arange(CLASSES).repeat_interleave(synthetic.shape[1])
    pairs, optimizer = TensorDataset(synthetic.flatten(0, 1), labels), torch.optim.SGD(network.parameters(), lr=0.01)
    for _ in range(epochs):
        order = torch.randperm(len(pairs), generator=draw)  # the library's draws, so that both see the same
        for images, their_labels in DataLoader(pairs, batch_size=256, sampler=order.tolist()):
            optimizer.zero_grad()
            F.cross_entropy(network(images), their_labels).backward()
            optimizer.step()


def plain_condense(images, labels, width: int, iterations: int, outer: int, inner: int, image_lr: float, seed: int):
    """Condense by the functions above; return float32 [classes * ipc, 1, 28, 28]."""
    synthetic = torch.randn(CLASSES, IPC, *images.shape[1:], generator=generator(seed, "noise"))
    velocity, network = torch.zeros_like(synthetic), plain_network(width)
    for iteration in range(iterations):
        draw = generator(seed, "iteration", iteration)
        networks.initialise(network, draw)
        for update in range(outer):
            velocity = 0.5 * velocity + plain_update(network, images, labels, synthetic, draw)
            synthetic = synthetic - image_lr * velocity
            if update < outer - 1:
                plain_inner(network, synthetic, inner, draw)
    return synthetic.flatten(0, 1)


def fast_update(images, labels, synthetic, width: int, batch: int):
    """The library's update, with a network and a draw of its own."""
    network, draw = networks.initialise(networks.ConvNet(1, 28, CLASSES, width=width), generator(0)), generator(1)
    by_class = [torch.nonzero(labels == label).flatten() for label in range(CLASSES)]

    def choose(label):
        return by_class[label][torch.randperm(len(by_class[label]), generator=draw)[:batch]]

    return gradient_matching.matching_step(network, images, labels, synthetic, choose)[0]


def fast_inner(synthetic, width: int, epochs: int):
    """The library's inner training."""
    network = networks.initialise(networks.ConvNet(1, 28, CLASSES, width=width), generator(0))
    labels = torch.arange(CLASSES).repeat_interleave(synthetic.shape[1])
    gradient_matching._train_inner(network, synthetic.flatten(0, 1), labels, epochs, generator(1))


def speed(images, labels, width: int, repeats: int) -> None:
    cores, rate = os.cpu_count(), matmul_rate(os.cpu_count())
    synthetic = torch.randn(CLASSES, IPC, 1, 28, 28, generator=generator(2))
    network = plain_network(width)
    # multiply-adds of one image padded to 32x32; forward and both gradients
    flop = 3 * 2 * (32 * 32 * 9 * width + (16 * 16 + 8 * 8) * 9 * width**2 + 16 * width * CLASSES)
    print(HEADER)
    with one_per_core() as pool:
        for name, slow, quick, call, count in (
            (
                f"one update, {BATCH} real images a class",
                lambda: plain_update(network, images, labels, synthetic, generator(1)),
                fast_update,
                (images, labels, synthetic, width, BATCH),
                CLASSES * BATCH,
            ),
            (
                "10 inner epochs",
                lambda: plain_inner(network, synthetic, 10, generator(1)),
                fast_inner,
                (synthetic, width, 10),
                10 * CLASSES * IPC,
            ),
        ):
            plain_times, fast_times = alternate(slow, lambda: pool(quick, [call] * cores), repeats)
            print(
                row(
                    f"ConvNet-3-{width}, ipc {IPC}: {name}",
                    plain_times,
                    [t / cores for t in fast_times],
                    flop * count / rate,
                )
            )


def quality(images, labels, exam, truth, runs: int) -> None:
    settings = dict(iterations=2, outer=10, inner=5, image_lr=5.0, seed=0)
    by_plain = plain_condense(images, labels, 32, **settings)
    how = method.Settings(IPC, 2, 10, 5, width=32, real_batch=BATCH, image_lr=5.0)
    by_library = condense.condense(
        images, labels, how, seed=0, make_network=lambda: networks.ConvNet(1, 28, CLASSES, width=32)
    )["images"]
    own_labels = torch.arange(CLASSES).repeat_interleave(IPC)
    for name, synthetic in (("plain", by_plain), ("library", by_library)):
        found = []
        for run in range(runs):
            network = networks.initialise(networks.PaperCNN(1, 28, CLASSES), generator(run))
            training.train(network, synthetic, own_labels, epochs=100, generator=generator(run, "order"))
            found.append(training.accuracy(training.predict(network, exam), truth))
        print(
            f"accuracy of {runs} networks trained on 10 images a class condensed by the {name} implementation "
            f"(20 updates, ConvNet-3-32): {mean(found):.4f} ± {stdev(found):.4f}"
        )
    print(
        f"largest difference of the two condensed sets: {(by_plain - by_library).abs().max():.2g}, "
        f"pixel deviation {by_plain.std():.2g}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--real-batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    BATCH = arguments.real_batch
    mnist = catalogue.load("mnist")
    pixels, targets = mnist.images[:8000].float().div(127.5).sub(1), torch.as_tensor(mnist.labels[:8000])
    speed(pixels[:5000], targets[:5000], arguments.width, arguments.repeats)
    quality(pixels[:5000], targets[:5000], pixels[5000:], targets[5000:], runs=20)
    print(hardware())
