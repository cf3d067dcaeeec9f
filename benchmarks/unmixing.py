"""Taking released images apart: scipy's non-negative least squares, image by image, against the library's, all at once.

    OMP_NUM_THREADS=1 python benchmarks/unmixing.py [--data mnist digits] [--images 100] [--people 3000] [--repeats 3]

The released images are means of four people of one class each, with noise on the pixels of so much of the range from
black to white: without any, as a start leaves them, and with some, as updates do. The candidates are people of that
class, as many as there are up to --people. Seconds are those that the processor worked, on one core on both sides.
Real MNIST: DCPRIV_DATA, or downloaded; the digits come with scikit-learn.
"""

import dcpriv_lib  # noqa: F401  before anything imports numpy: it sets the switches

# isort: split
import argparse
import time

import numpy as np
import torch
from scipy.optimize import nnls
from side_by_side import HEADER, alternate, hardware, row

from dcpriv_lib.attacks.released import unmixing
from dcpriv_lib.data import catalogue
from dcpriv_lib.engine.seeding import generator

MIXED = 4  # people in a released image


def mixtures(data: str, images: int, people: int, noise: float, label: int = 0):
    """Return released images [m, d] and candidates [n, d] in grey levels, 0 to 1, and who was mixed, int64 [m, 4]."""
    loaded = catalogue.load(data)
    own = torch.nonzero(torch.as_tensor(loaded.labels) == label).flatten()[:people]
    candidates, draw = loaded.images[own].flatten(1).float() / 255, generator(0, "benchmark", data)
    mixed = torch.stack([torch.randperm(len(own), generator=draw)[:MIXED] for _ in range(images)])
    made = candidates[mixed].mean(1)
    return made + noise * torch.randn(made.shape, generator=draw), candidates, mixed


def plain(images: torch.Tensor, candidates: torch.Tensor) -> np.ndarray:
    """Return the weights [m, n] of scipy, one image after the other."""
    matrix = np.ascontiguousarray(candidates.double().numpy().T)
    return np.stack([nnls(matrix, image)[0] for image in images.double().numpy()])


def fast(images: torch.Tensor, candidates: torch.Tensor) -> np.ndarray:
    """Return the weights of the library."""
    return unmixing.unmix(images, candidates).numpy()


def agreement(images, candidates, mixed, found: dict) -> str:
    """Return how far the two answers are from each other, and from what was mixed."""
    distances = {
        side: np.linalg.norm(weights @ candidates.double().numpy() - images.double().numpy(), axis=1)
        for side, weights in found.items()
    }
    worse = (distances["fast"] - distances["plain"]) / images.double().norm(dim=1).numpy()
    named = {
        side: np.mean([np.isin(np.argsort(-one)[:MIXED], own).mean() for one, own in zip(weights, mixed.numpy())])
        for side, weights in found.items()
    }
    apart = np.abs(found["fast"] - found["plain"]).max()
    return f"{worse.max():.1e} | {apart:.1e} | {named['plain']:.1%} | {named['fast']:.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["mnist", "digits"])
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--people", type=int, default=3000)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.02])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    times, answers = [], []
    for data in arguments.data:
        for noise in arguments.noise:
            images, candidates, mixed = mixtures(data, arguments.images, arguments.people, noise)
            name, found = f"{data}, {len(images)} images x {len(candidates):,} people, noise {noise:g}", {}
            spent = alternate(
                lambda: found.update(plain=plain(images, candidates)),
                lambda: found.update(fast=fast(images, candidates)),
                arguments.repeats,
                time.process_time,
            )
            times.append(row(name, *spent))
            answers.append(f"| {name} | {agreement(images, candidates, mixed, found)}")
    print(HEADER, *times, sep="\n")
    print(
        "\n| what | distance to the image, more than plain's, of its length, at most | a weight differs by at most | "
        f"of the {MIXED} largest weights, of people who were mixed: plain | fast |\n|---|---|---|---|---|",
        *answers,
        sep="\n",
    )
    print(f"\n{hardware()}")


if __name__ == "__main__":
    main()
