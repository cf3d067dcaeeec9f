"""How accurate a method's images are after how many seconds of one core: the methods side by side, on real MNIST.

    python benchmarks/methods.py [IDM:tiles DM:real DC:noise ...] [--ipc 10] [--seconds 60] [--models 5]

Every method condenses the same 15,000 images of the attacker (seed 0), by a ConvNet-3-32 and the usual schedule,
until its time is up; models of the paper's CNN, 100 epochs each, are examined on the attacker's other 15,000. Seconds are
those that the processor worked, so that other work beside it matters little.
"""

import argparse
import time
from statistics import mean, stdev

import numpy as np
import torch
from side_by_side import hardware

from dcpriv_lib import condensation, data, networks, schedules, training
from dcpriv_lib.seeding import generator

PAPER = {10: 0.882, 50: 0.893}  # the authors' own full-scale sets (their result files): what is to be reached
WIDTH, REAL_BATCH, MARKS = 32, 64, (0.1, 0.25, 0.5, 1.0)  # shares of the time after which the images are examined


class UntilTimeIsUp:
    """Iterations until the seconds are over; at the marks it notes how far the work is."""

    def __init__(self, seconds: float):
        self.seconds, self.marks = seconds, {}

    def __call__(self, iterations):
        begun, todo = time.process_time(), [share * self.seconds for share in MARKS]
        for iteration in iterations:
            yield iteration
            spent = time.process_time() - begun
            if todo and spent >= todo[0]:
                self.marks[iteration + 1] = spent
                todo = [mark for mark in todo if mark > spent]
            if not todo:
                return


def curve(method: str, start: str, ipc: int, seconds: float, images, labels) -> dict[int, tuple[float, torch.Tensor]]:
    """Return the seconds and the training images after some numbers of iterations."""
    clock = UntilTimeIsUp(seconds)
    how = schedules.settings_of(method, ipc, width=WIDTH, real_batch=REAL_BATCH, start=start, effort=1000)
    others = dict(make_network=lambda: networks.build("ConvNet", SHAPE, WIDTH, True), seed=0)
    condensation.condense(images, labels, how, progress=clock, **others)
    # the same once more, to the marks: what is kept of a condensation does not depend on its length
    found = {}
    for iterations, spent in clock.marks.items():
        stopped = condensation.condense(images, labels, how, progress=lambda all_, n=iterations: list(all_)[:n], **others)
        found[iterations] = spent, stopped
    return found


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
    parser.add_argument("methods", nargs="*", default=["IDM:tiles", "DM:real", "DC:real", "DM:mean noise", "DC:noise"])
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--models", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    mnist = data.load("mnist")
    split = data.Split(mnist, data.split_indices(mnist), {"pixels": "standard"})
    SHAPE, pixels = split.shape, split.pixels(mnist.images)
    own, other = np.array_split(np.random.default_rng(0).permutation(split.indices["attacker"]), 2)
    print(f"to be reached: {PAPER.get(arguments.ipc, float('nan')):.1%} (the authors' images)")
    print("| method | start | updates | seconds | accuracy of the paper's CNN |\n|---|---|---|---|---|")
    for name in arguments.methods:
        method, start = name.split(":")
        outer = schedules.SCHEDULES[method].outer
        for iterations, (spent, made) in curve(method, start, arguments.ipc, arguments.seconds, pixels[own],
                                               mnist.labels[own]).items():
            found = accuracy(made, pixels[other], mnist.labels[other], arguments.models)
            print(f"| {method} | {start} | {iterations * outer} | {spent:.0f} | "
                  f"{100 * mean(found):.1f} ± {100 * stdev(found):.1f} |", flush=True)
    print(hardware())
