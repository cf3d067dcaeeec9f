"""What the switches of `dcpriv_lib.switches` cost: the same work with and without them, in two processes that take
turns.

    python benchmarks/switches.py [--repeats 7] [--set MKL_CBWR=AVX2]

"Plain" is what the libraries choose for this processor, with --set the switches with that change; "fast" are the
switches. A ratio below 1 is what they cost. It needs no data set: noise in the shapes of MNIST and of the quick run.
"""

import argparse
import os
import subprocess
import sys
import time

from dcpriv_lib.engine import switches  # before torch, as everywhere

WORKS = (
    "training of PaperCNN, 28x28",
    "training of PaperCNN, 16x16",
    "condensation, ConvNet-3-32, 16x16",
    "condensation, ConvNet-3-128, 28x28",
    "gradients of every example, PaperCNN",
)


def worker() -> None:
    """Do the work that a line on stdin names, and answer with its seconds; a switch that is empty is none."""
    for name in switches.SWITCHES:
        if not os.environ.get(name):
            os.environ.pop(name, None)
    import torch

    from dcpriv_lib.condensation import condense, method
    from dcpriv_lib.engine.seeding import generator
    from dcpriv_lib.models import networks, training
    from dcpriv_lib.privacy import dp_sgd

    torch.set_num_threads(1)
    images, labels = torch.randn(1280, 1, 28, 28, generator=generator(0)), torch.arange(1280) % 10
    small = images[:600, :, 6:22, 6:22]
    narrow = method.Settings(ipc=10, iterations=1, outer=2, inner=2, real_batch=60)

    wide = method.Settings(ipc=1, iterations=1, outer=1, inner=1, real_batch=16)

    def network(size=28):
        return networks.initialise(networks.PaperCNN(1, size, 10), generator(1))

    works = dict(
        zip(
            WORKS,
            (
                lambda: training.train(network(), images, labels, epochs=2, generator=generator(2)),
                lambda: training.train(network(16), small, labels[:600], epochs=10, generator=generator(2)),
                lambda: condense.condense(
                    small, labels[:600], narrow, seed=0, make_network=lambda: networks.ConvNet(1, 16, 10, 32)
                ),
                lambda: condense.condense(
                    images, labels, wide, seed=0, make_network=lambda: networks.ConvNet(1, 28, 10)
                ),
                lambda: dp_sgd.gradients(network(), images[:64], labels[:64]),
            ),
        )
    )
    for line in sys.stdin:
        start = time.perf_counter()
        works[line.strip()]()
        print(time.perf_counter() - start, flush=True)


def start(changes: dict):
    """Return a function that has one process with the switches changed do a work, and returns its seconds."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | switches.SWITCHES | {"OMP_NUM_THREADS": "1"} | changes,
    )

    def seconds(work: str) -> float:
        process.stdin.write(f"{work}\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--set", action="append", default=[], metavar="SWITCH=VALUE")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker()
    from side_by_side import HEADER, hardware, row

    plain = start(dict(change.split("=") for change in arguments.set) or dict.fromkeys(switches.SWITCHES, ""))
    fast = start({})
    print(HEADER)
    for work in WORKS:
        pairs = [(plain(work), fast(work)) for _ in range(1 + arguments.repeats)][1:]  # the first warms up
        print(row(work, *zip(*pairs)), flush=True)
    print(hardware())


if __name__ == "__main__":
    main()
