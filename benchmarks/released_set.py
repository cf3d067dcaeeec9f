"""What it takes to ask one released set about many people: every score of the suite, on one core.

    OMP_NUM_THREADS=1 python benchmarks/released_set.py [--released 1000] [--people 30000] [--own 30000]

Real MNIST: DCPRIV_DATA, or downloaded. The released images are means of four of the people each, with a little
noise, as a condensation leaves them. Seconds are those that the processor worked for this process, so that other work
on the machine counts little. The memory is that of the whole process, the data included. Scores that need to know a
start are left out.
"""

import dcpriv_lib  # noqa: F401  before anything imports numpy: it sets the switches

# isort: split
import argparse
import resource
import time

import numpy as np
import torch
from side_by_side import hardware

from dcpriv_lib.attacks.released import suite
from dcpriv_lib.attacks.released.released_set import Known, Labelled
from dcpriv_lib.data import catalogue, split
from dcpriv_lib.engine.seeding import generator

MIXED = 4  # people in a released image
NOISE = 0.1  # of a pixel, in units of the deviation of pixels


def parts(released: int, people: int, own: int) -> tuple[Labelled, Labelled, Known]:
    """Return a released set of means, the people asked about, of whom they are means, and what an attacker knows."""
    mnist = catalogue.load("mnist")
    labels = torch.as_tensor(mnist.labels)
    mean, deviation = split.pixel_scale(mnist.images, "standard")
    images = (mnist.images[: people + own].float() - mean) / deviation
    draw, classes = generator(0, "benchmark"), torch.arange(released) % 10
    by_class = [torch.nonzero(labels[:people] == label).flatten() for label in range(10)]
    rows = torch.stack(
        [by_class[label][torch.randperm(len(by_class[label]), generator=draw)[:MIXED]] for label in classes]
    )
    made = images[rows].mean(1)
    made += NOISE * torch.randn(made.shape, generator=draw)
    asked, attackers = (
        Labelled(images[part], labels[: people + own][part]) for part in (slice(people), slice(people, None))
    )
    return Labelled(made, classes), asked, Known(attackers, mean / 255, deviation / 255)


def memory() -> float:
    """Return the most memory that this process has had so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--released", type=int, default=1000)
    parser.add_argument("--people", type=int, default=30_000)
    parser.add_argument("--own", type=int, default=30_000)
    parser.add_argument(
        "--attacks", nargs="+", default=[name for name in suite.SCORES if name not in suite.NEEDS_START]
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    given = parts(arguments.released, arguments.people, arguments.own)
    print(f"before any score: {memory():.2f} GiB\n")
    print("| score | one core, s | most memory so far, GiB |\n|---|---|---|", flush=True)
    total = 0.0
    for name in arguments.attacks:
        start = time.process_time()
        found = suite.SCORES[name](*given)
        spent = time.process_time() - start
        total += spent
        assert np.isfinite(found).all(), name
        print(f"| {name} | {spent:.1f} | {memory():.2f} |", flush=True)
    print(f"| all | {total:.0f} | {memory():.2f} |\n")
    print(hardware())


if __name__ == "__main__":
    main()
