"""Sets that the auditor makes as the owner did, of random halves of the candidates, for comparison.

Every set is a file of its own, written when it is complete, so that a run that is killed goes on where it was.
"""

import hashlib
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from ..attacks import shadow_models
from ..attacks.released.released_set import Labelled
from ..condensation import condense, defaults
from ..data import foreign
from ..data.dataset import DataError
from ..engine import store
from ..engine.errors import ParameterError, check_known
from ..engine.foreign_text import plain
from ..engine.seeding import derive
from ..external import files
from ..models import networks
from .people import People

LEAST = 4  # sets: a Bayesian ratio needs two with everybody and two without
MOST = 64  # if no number is given; more tell hardly more
WIDTH, REAL_BATCH = 32, 256  # of the network with which methods work, and of real images a class in an update
LAST_LINES = 15  # of a command's output, shown if it fails
ODD_SCALE = 3.0  # times the spread of the released images, or a third of it: made on another scale, or in another way


class Maker(Protocol):
    """What makes sets as the owner did."""

    inputs: dict

    def make(self, images: torch.Tensor, labels: torch.Tensor, seed: int) -> dict[str, np.ndarray]:
        """Return "images" float32 [n, C, H, W], on the scale of `People`, and "labels" of a set made of bytes."""
        ...


@dataclass(frozen=True)
class ByMethod:
    """One of the methods of this project.

    Attributes
    ----------
    people : of the audit.
    name : key of `condense.METHODS`.
    start, effort, factor : as in `defaults.settings_of`.
    """

    people: People
    name: str
    start: str | None = None
    effort: float = 1.0
    factor: float = 1.0

    def __post_init__(self):
        check_known("METHOD", self.name, condense.METHODS)
        condense.check_names(self.settings.start, self.settings.method, self.settings.network)
        for option in ("effort", "factor"):
            if not getattr(self, option) > 0:
                raise ParameterError(f"{option} = {getattr(self, option)}: expected a number above 0")

    @property
    def settings(self):
        """The settings, with as many images a class as the released set has."""
        images, classes = len(self.people.released), self.people.split.shape[2]
        times = 4 if condense.METHODS[self.name].decode else 1
        if images % (classes * times):
            raise ParameterError(
                f"METHOD = {self.name}: it makes a multiple of {times} images a class, and SET has "
                f"{images // classes}: choose the method by which SET was made"
            )
        return defaults.settings_of(
            self.name,
            images // classes // times,
            width=WIDTH,
            real_batch=REAL_BATCH,
            effort=self.effort,
            factor=self.factor,
            start=self.start,
        )

    @property
    def inputs(self) -> dict:
        """What identifies a set, beside its people."""
        return self.settings.inputs() | {"method": self.name, "pixels": self.people.split.inputs["pixels"]}

    def make(self, images: torch.Tensor, labels: torch.Tensor, seed: int) -> dict[str, np.ndarray]:
        """Return the set that the method makes, see `Maker`."""
        settings = self.settings
        made = condense.condense(
            self.people.split.pixels(images),
            labels,
            settings,
            make_network=lambda: networks.build(settings.network, self.people.split.shape, settings.width, True),
            seed=seed,
        )
        return {name: made[name].numpy() for name in ("images", "labels")}


@dataclass(frozen=True)
class ByCommand:
    """A program of the owner's.

    Attributes
    ----------
    people : of the audit.
    command : with {data}, {out} and, if it takes one, {seed}. It reads the arrays train_images, uint8 in the layout of
        DATA, and train_labels, int64 [n], of the npz {data}, and writes a set like SET to {out}.
    flat : whether images of one channel have no axis for it.
    """

    people: People
    command: str
    flat: bool = True

    def __post_init__(self):
        missing = [field for field in ("{data}", "{out}") if field not in self.command]
        if missing:
            raise ParameterError(
                f"COMMAND = {self.command!r} lacks {' and '.join(missing)}: expected for instance "
                "'python mine.py {data} {out} {seed}'"
            )
        try:
            words = self._words("data.npz", "out.npz", 0)
        except (ValueError, KeyError, IndexError) as error:
            raise ParameterError(
                f"COMMAND = {self.command!r} cannot be read ({error}): expected for instance "
                "'python mine.py {data} {out} {seed}', quotes closed and no other braces"
            ) from error
        if not words:
            raise ParameterError("COMMAND is empty: expected for instance 'python mine.py {data} {out} {seed}'")

    def _words(self, data: str, out: str, seed: int) -> list[str]:
        return [word.format(data=data, out=out, seed=seed) for word in shlex.split(self.command)]

    @property
    def inputs(self) -> dict:
        """What identifies a set, beside its people: the command, and the files that it names."""
        named = [Path(word) for word in self._words("", "", 0) if word]
        programs = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in named if path.is_file()}
        return {"command": self.command, "programs": programs, "pixels": self.people.split.inputs["pixels"]}

    def make(self, images: torch.Tensor, labels: torch.Tensor, seed: int) -> dict[str, np.ndarray]:
        """Return the set that the command writes, see `Maker`.

        Raises
        ------
        DataError
            If the command fails, writes nothing, or a set of another number, shape or scale than SET.
        """
        with tempfile.TemporaryDirectory() as folder:
            data, out = Path(folder) / "data.npz", Path(folder) / "set.npz"
            pixels = images.numpy()
            pixels = pixels[:, 0] if self.flat and pixels.shape[1] == 1 else pixels.transpose(0, 2, 3, 1)
            np.savez(data, train_images=pixels, train_labels=labels.numpy())
            words = self._words(str(data), str(out), seed % 2**31)  # numpy's and most others' seeds have 32 bits
            try:
                ended = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            except OSError as error:
                raise DataError(f"COMMAND: {words[0]} cannot be started ({error.strerror}): correct it") from error
            said = plain(" / ".join(ended.stdout.strip().splitlines()[-LAST_LINES:]), 1000) or "nothing"
            if ended.returncode or not out.is_file():
                what = (
                    f"ended with status {ended.returncode}" if ended.returncode else f"wrote no {out.name} to {{out}}"
                )
                raise DataError(f"COMMAND = {self.command!r} {what}: correct it; it said last: {said}")
            found = files.synthetic_set(out, self.people.split)
        self._check(found, said)
        return {name: found[name] for name in ("images", "labels")}

    def _check(self, found: dict[str, np.ndarray], said: str) -> None:
        """Raise DataError unless the set has number, labels and scale of the released one."""
        expected = self.people.released
        for what, one, other in (
            ("images of shape", list(found["images"].shape), list(expected.images.shape)),
            ("labels of shape", list(found["labels"].shape), list(expected.labels.shape)),
        ):
            if one != other:
                raise DataError(
                    f"COMMAND = {self.command!r} made {what} {one}, and those of SET have {other}: expected the same "
                    f"number of the same kind, since sets are compared: correct it; it said last: {said}"
                )
        times = float(found["images"].std() / expected.images.std().clamp(min=1e-9))
        if not 1 / ODD_SCALE < times < ODD_SCALE:
            raise DataError(
                f"COMMAND = {self.command!r} made images that spread {times:.2g} times as much as those of SET: "
                f"expected the same scale: correct what it states as pixels; it said last: {said}"
            )


def halves(classes: np.ndarray, pair: int, seed: int) -> np.ndarray:
    """Return who is in the two sets of a pair, bool [2, n]: a random half of every class, and the others."""
    rng = np.random.default_rng(derive(seed, "halves", pair))
    found = np.zeros((2, len(classes)), bool)
    for label in np.unique(classes):
        rows = np.flatnonzero(classes == label)
        if len(rows) > 1:
            both = shadow_models.membership_matrix(len(rows), 2, rng)
            found[:, rows] = both[:: rng.choice([-1, 1])]  # of an odd class, the larger half too is drawn
        else:
            found[rng.integers(2), rows] = True
    return found


def judged(
    people: People,
    maker: Maker,
    folder: Path,
    judge: Callable[[Labelled, int], np.ndarray],
    *,
    seed: int,
    number: int | None,
    minutes: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return who is in which set for comparison, bool [sets, n], and what is judged of each, stacked.

    Parameters
    ----------
    people : of the audit; its candidates are divided.
    maker : makes a set of images.
    folder : where the sets are kept, each as soon as it is made.
    judge : ``judge(set, its number)``, an array of the same shape for all.
    seed : of halves and sets.
    number : of sets, even and at least `LEAST`; None for as many pairs as fit into the time, from `LEAST` to `MOST`.
    minutes : for all sets together, made and judged, if no number is given; what was kept before takes hardly any.

    Raises
    ------
    ParameterError
        If the number is odd or too small.
    DataError
        If the maker fails.
    """
    check_number(number, minutes)
    masks: list[np.ndarray] = []
    found: list[np.ndarray] = []
    begun = last = time.monotonic()
    while len(found) < (number or MOST):
        now = time.monotonic()
        if number is None and len(found) >= LEAST and 2 * now - last - begun > 60 * minutes:
            break  # another pair as slow as the last one would not be ready in time
        last = now
        for mask in halves(people.classes, len(found) // 2, seed):
            made = _one(people, maker, folder, mask, derive(seed, "set", len(found)), len(found))
            masks.append(mask)
            found.append(judge(made, len(found)))
    return np.stack(masks), np.stack(found)


def check_number(number: int | None, minutes: float) -> None:
    """Raise ParameterError unless so many sets, or so many minutes of them, can be made."""
    if number is not None and (number < LEAST or number % 2):
        raise ParameterError(f"references = {number}: expected an even number from {LEAST} up")
    if not minutes > 0:
        raise ParameterError(f"minutes = {minutes}: expected a number above 0")


def _one(people: People, maker: Maker, folder: Path, mask: np.ndarray, seed: int, number: int) -> Labelled:
    inputs = maker.inputs | {
        "data": people.checksums["DATA"],
        "people": store.digest(people.rows, people.is_member),
        "half": store.digest(mask),
        "seed": seed,
        "like": [list(people.released.images.shape), list(people.released.labels.shape)],
    }
    images, labels = (torch.from_numpy(part[mask]) for part in (people.grey, people.candidates.labels.numpy()))
    found = store.cached(folder / f"set-{number:03d}", inputs, lambda _: maker.make(images, labels, seed))
    return Labelled(torch.from_numpy(found["images"]), torch.from_numpy(found["labels"]))


def flat_layout(data_file: Path) -> bool:
    """Return whether the images of a file have no axis of channels."""
    return foreign.npz_arrays(data_file, "DATA", "save numbers only", ("train_images",))["train_images"].ndim == 3
