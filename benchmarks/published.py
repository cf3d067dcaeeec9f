"""Do the methods reach what their authors published? Their protocol, as far as two cores go with it.

    python benchmarks/published.py        # make published; stopped and started again, it goes on

The whole training file of MNIST is condensed, new ConvNet-3-128 are trained on the synthetic images as the authors of
DC, DSA and DM did, and the test file is asked. What is cut is the condensing: fewer updates, by a network of half
the width, with a quarter of the real images in a batch (KIP, which has no network, sees all of its 5,000). So notebook
9 shows the accuracy over the updates, with the published one as a line. Step sizes are those that notebook 9 chose on
other images, not on the test file.
"""

import functools
import itertools
from dataclasses import dataclass, replace

import pandas as pd
import torch
from scipy import stats
from side_by_side import one_per_core

from dcpriv_lib.condensation import condense, defaults, kernel_inducing_points
from dcpriv_lib.condensation.method import Settings
from dcpriv_lib.data import catalogue
from dcpriv_lib.data.split import Split, split_indices
from dcpriv_lib.engine import paths, store
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.models import networks, published_protocol, training
from dcpriv_lib.results import tables
from dcpriv_lib.results.literature import PUBLISHED

WIDTH, REAL_BATCH = 64, 64  # of condensing; the authors: 128 and 256
EPOCHS = 1000  # of the networks that are examined


@dataclass(frozen=True)
class Row:
    """One method: after which iterations its images are examined, and by how many networks each time."""

    method: str
    iterations: tuple[int, ...]
    examined: tuple[int, ...]
    factor: float = 1.0  # of the usual step size, as chosen in notebook 9
    inner: int | None = None
    real_batch: int = REAL_BATCH
    by: str = "ConvNet"


ROWS = {
    "random": Row("random", (0,), (3,)),
    "DM": Row("DM-DSA", (100, 300, 1000), (1, 1, 5), 0.3),
    "DSA": Row("DSA", (6, 20, 60), (1, 1, 5), 0.3, inner=10),
    "KIP": Row("KIP", (20, 100, 500), (1, 1, 3), 3.0, real_batch=500, by="kernel"),
}
IPCS = (1, 10)


@functools.cache
def mnist() -> tuple[torch.Tensor, ...]:
    """Return the images of the training file, standardised, their labels, and the same of the test file."""
    whole = catalogue.load("mnist")
    split = Split(whole, split_indices(whole), {"pixels": "standard"})
    return split.pixels(whole.images), whole.labels, split.pixels(whole.test_images), whole.test_labels


def settings(row: Row, ipc: int, iterations: int) -> Settings:
    """Return how `row` condenses."""
    usual = defaults.settings_of(row.method, ipc, width=WIDTH, real_batch=row.real_batch, factor=row.factor)
    return replace(usual, iterations=iterations, inner=usual.inner if row.inner is None else row.inner)


def condensed(name: str, ipc: int, iterations: int, run: int) -> dict:
    """Return what a method makes of the training file."""
    how = settings(ROWS[name], ipc, iterations)
    images, labels, *_ = mnist()
    folder = paths.results("published")
    goes_on = (
        folder / "states" / f"{name}-{ipc}-{run}.npz"
    )  # one chain: the state of fewer iterations is on the way to more
    goes_on.parent.mkdir(exist_ok=True)
    return store.cached(
        folder / "sets" / f"{name}-{ipc}",
        how.inputs() | {"run": run},
        lambda _: condense.condense(
            images,
            labels,
            how,
            seed=run,
            checkpoint=goes_on,
            make_network=lambda: networks.ConvNet(*images.shape[1:3], 10, width=WIDTH),
        ),
    )


def examined(name: str, ipc: int, iterations: int, run: int) -> float:
    """Return the accuracy on the test file of one network that is trained on the images, or of the kernel with them.

    A new run of random images and of KIP, which are cheap, has images of its own; the others have one set.
    """
    torch.set_num_threads(1)
    row = ROWS[name]
    made = condensed(name, ipc, iterations, run if name in ("random", "KIP") else 0)
    images, labels, (_, _, test, truth) = torch.as_tensor(made["images"]), torch.as_tensor(made["labels"]), mnist()

    def right(_):
        if row.by == "kernel":
            return {
                "accuracy": training.accuracy(
                    kernel_inducing_points.predictions(test, images, kernel_inducing_points.centred(labels, 10)), truth
                )
            }
        network = networks.initialise(networks.ConvNet(*test.shape[1:3], 10), generator(run))
        published_protocol.train(network, images, labels, EPOCHS, generator(run, "order"))
        return {"accuracy": training.accuracy(training.predict(network, test, published_protocol.CHUNK), truth)}

    inputs = settings(row, ipc, iterations).inputs() | {"run": run, "epochs": EPOCHS, "images": store.digest(images)}
    accuracy = float(
        store.cached(paths.results("published") / "accuracies" / f"{name}-{ipc}", inputs, right)["accuracy"]
    )
    print(f"{name}, {ipc} per class, {iterations} iterations, {row.by} {run}: {accuracy:.1%}", flush=True)
    return accuracy


def chain(name: str, ipc: int, run: int) -> None:
    """Condense as long as the longest of a row, keeping the images on the way."""
    torch.set_num_threads(1)
    for iterations in ROWS[name].iterations:
        condensed(name, ipc, iterations, run)
        print(
            f"{name}, {ipc} per class, set {run}: {settings(ROWS[name], ipc, iterations).updates} updates", flush=True
        )


def table(found: pd.DataFrame) -> pd.DataFrame:
    """Return accuracies at the end of each method beside the published ones, with 95 % intervals over networks or
    sets."""
    rows = []
    for (name, ipc), own in found.groupby(["method", "ipc"], sort=False):
        last = own[own["updates"] == own["updates"].max()]["accuracy"]
        published, (low, high) = (
            PUBLISHED[name, ipc],
            stats.t.interval(0.95, len(last) - 1, last.mean(), stats.sem(last)),
        )
        rows.append(
            {
                "method": name,
                "images per class": ipc,
                "judged by": ROWS[name].by,
                "updates": own["updates"].max(),
                "accuracy": tables.percent(last.mean(), low, high),
                "published": tables.plain(published, "{:.1%}"),
                "difference": tables.plain(last.mean() - published, "{:+.1 points}"),
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    runs = {name: max(row.examined) if name in ("random", "KIP") else 1 for name, row in ROWS.items()}
    wanted = [
        (name, ipc, iterations, run)
        for ipc, (name, row) in itertools.product(reversed(IPCS), ROWS.items())
        for iterations, count in zip(row.iterations, row.examined)
        for run in range(count)
    ]
    with one_per_core() as pool:
        pool(
            chain, [(name, ipc, run) for ipc in reversed(IPCS) for name in reversed(ROWS) for run in range(runs[name])]
        )
        accuracies = pool(examined, wanted)
    found = pd.DataFrame(wanted, columns=["method", "ipc", "iterations", "run"]).assign(accuracy=accuracies)
    found["updates"] = [settings(ROWS[name], ipc, iterations).updates for name, ipc, iterations, _ in wanted]
    folder = paths.results("published")
    inputs = {
        "profile": "published",
        "dataset": "mnist",
        "epochs": EPOCHS,
        "width": WIDTH,
        "real_batch": {name: row.real_batch for name, row in ROWS.items()},
    }
    store.export_table(folder / "tables" / "published.csv", found, inputs)
    shown = table(found)
    tables.keep(folder / "tables" / "published_protocol.csv", shown, inputs)
    print(tables.markdown(shown))
