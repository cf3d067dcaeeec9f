"""Training the paper's CNN: a plain DataLoader loop against dcpriv_lib, per model on all cores.

    python benchmarks/training.py [--images 5120] [--epochs 2] [--repeats 5]

The plain side trains one model with every core as a thread; the fast side one model per core,
as the engine does. Real MNIST: DCPRIV_DATA, or downloaded.
"""

import argparse
import os
from statistics import mean, stdev

import torch
from side_by_side import HEADER, alternate, hardware, matmul_rate, one_per_core, row
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from dcpriv_lib.data import catalogue
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.models import networks, training

# multiply-adds of one 28x28 image: two convolutions, two dense layers; forward and both gradients, none by the pixels
CONV1, CONV2, DENSE = 24 * 24 * 25 * 28, 10 * 10 * 252 * 28, 700 * 128 + 128 * 10
FLOP = 2 * (2 * CONV1 + 3 * CONV2 + 3 * DENSE)


def plain(images, labels, epochs: int, seed: int) -> nn.Module:
    """Train the network as published: loader, autograd, torch.optim."""
    network = networks.initialise(
        nn.Sequential(
            nn.Conv2d(1, 28, 5),
            nn.Tanh(),
            nn.MaxPool2d(2),
            nn.Conv2d(28, 28, 3),
            nn.Tanh(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(700, 128),
            nn.Tanh(),
            nn.Linear(128, 10),
        ),
        generator(seed),
    )
    loader = DataLoader(TensorDataset(images, labels), batch_size=128, shuffle=True, generator=generator(seed, "order"))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(epochs):
        for batch, their_labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(network(batch), their_labels).backward()
            optimizer.step()
    return network


def fast(images, labels, epochs: int, seed: int) -> nn.Module:
    """Train the same network by the library."""
    network = networks.initialise(networks.PaperCNN(1, 28, 10), generator(seed))
    training.train(network, images, labels, epochs=epochs, generator=generator(seed, "order"))
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5120)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    mnist = catalogue.load("mnist")
    pixels, labels = mnist.images[: arguments.images + 5000].float().div(127.5).sub(1), torch.as_tensor(mnist.labels)
    train = pixels[: arguments.images], labels[: arguments.images], arguments.epochs
    exam, truth = pixels[arguments.images :], labels[arguments.images : arguments.images + 5000]
    cores, trained, seeds = os.cpu_count(), {"plain": [], "fast": []}, iter(range(10**6))
    floor = FLOP * arguments.images * arguments.epochs / matmul_rate(cores)
    with one_per_core() as pool:

        def per_core(side, call):
            trained[side] += pool(call, [(*train, next(seeds)) for _ in range(cores)])

        def threaded():
            trained["plain"].append(plain(*train, next(seeds)))

        for warm in (threaded, lambda: per_core("plain", plain), lambda: per_core("fast", fast)):
            warm()
        print(HEADER)
        for name, models, side in (
            ("one model, a thread per core", 1, threaded),
            ("one model per core", cores, lambda: per_core("plain", plain)),
        ):
            slow, quick = alternate(side, lambda: per_core("fast", fast), arguments.repeats)
            print(
                row(
                    f"{arguments.epochs} epochs of {arguments.images:,} images; plain: {name}",
                    [t / models for t in slow],
                    [t / cores for t in quick],
                    floor,
                )
            )
    for side, models in trained.items():
        values = [training.accuracy(training.predict(network, exam), truth) for network in models]
        print(
            f"accuracy on 5,000 other images, {side}: {mean(values):.4f} ± {stdev(values):.4f} ({len(values)} models)"
        )
    print(hardware())


if __name__ == "__main__":
    main()
