"""How accurate a method's images are after how many seconds of one core: the methods side by side, on real MNIST.

    python benchmarks/methods.py [IDM:tiles DM:real DC:noise ...] [--ipc 10] [--factor 1] [--loops OUTER INNER]
                                 [--seconds 60] [--models 5]

Every method condenses the same 15,000 images of the attacker (seed 0), by a ConvNet-3-32 and the usual schedule, with
`factor` times its usual step and perhaps other loops, until its time is up; models of the paper's CNN, 100 epochs each,
are examined on the attacker's other 15,000. Seconds are those that the processor worked, so that other work beside it
matters little.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from side_by_side import hardware

from dcpriv_lib.condensation import condense, defaults
from dcpriv_lib.condensation.method import Settings
from dcpriv_lib.data import catalogue
from dcpriv_lib.data.split import Split, split_indices
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.models import networks, training
from dcpriv_lib.results import literature

WIDTH, REAL_BATCH = 32, 64


def stages(usual: Settings, seconds: float, images, labels):
    """Yield updates, seconds and what was condensed, after 1, 2, 4, 8 ... iterations, until the time is up."""
    spent, iterations = 0.0, 1
    with tempfile.TemporaryDirectory() as folder:
        while spent < seconds:
            how = dataclasses.replace(usual, iterations=iterations)
            begun = time.process_time()
            made = condense.condense(
                images,
                labels,
                how,
                seed=0,
                checkpoint=Path(folder) / "state.npz",
                make_network=lambda: networks.build("ConvNet", SHAPE, WIDTH, True),
            )
            spent += time.process_time() - begun  # it went on from the stage before
            yield how.updates, spent, made
            iterations *= 2


def accuracy(made: dict, exam, truth, models: int) -> list[float]:
    """Return the accuracy of some models of the paper's CNN."""
    found = []
    for run in range(models):
        network = networks.initialise(networks.PaperCNN(*SHAPE), generator(run))
        training.train(network, made["images"], made["labels"], epochs=100, generator=generator(run, "order"))
        found.append(training.accuracy(training.predict(network, exam), truth))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "methods", nargs="*", default=["KIP:real", "IDM:tiles", "DM:real", "DC:real", "KIP:noise", "DC:noise"]
    )
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--factor", type=float, default=1)
    parser.add_argument("--loops", type=int, nargs=2, default=(), metavar=("OUTER", "INNER"))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--models", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    mnist = catalogue.load("mnist")
    split = Split(mnist, split_indices(mnist), {"pixels": "standard"})
    SHAPE, pixels = split.shape, split.pixels(mnist.images)
    own, other = np.array_split(np.random.default_rng(0).permutation(split.indices["attacker"]), 2)
    reached = literature.RESULT_FILES.get(f"condensed-{arguments.ipc}")
    print(f"the authors' own images, by their result files: {reached[1]:.1%}" if reached else "not in the paper")
    print("| method | start | updates | seconds | accuracy of the paper's CNN |\n|---|---|---|---|---|")
    for name in arguments.methods:
        method, start = name.split(":")
        usual = defaults.settings_of(
            method, arguments.ipc, width=WIDTH, real_batch=REAL_BATCH, factor=arguments.factor, start=start
        )
        usual = dataclasses.replace(usual, **dict(zip(("outer", "inner"), arguments.loops)))
        for updates, spent, made in stages(usual, arguments.seconds, pixels[own], mnist.labels[own]):
            found = accuracy(made, pixels[other], mnist.labels[other], arguments.models)
            print(
                f"| {method} | {start} | {updates} | {spent:.0f} "
                f"| {100 * mean(found):.1f} ± {100 * stdev(found):.1f} |",
                flush=True,
            )
    print(hardware())
