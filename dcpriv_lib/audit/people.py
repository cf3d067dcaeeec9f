"""Who was condensed, who was held out, and the released set: read from two files and checked before anything else.

The people held out stand for whoever was not condensed. They have to be of the same kind as the members, chosen by
chance. That cannot be proved from the images, but some of its opposites can be seen, and are said.
"""

import hashlib
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import chi2_contingency

from ..attacks.released import kernel_regression
from ..attacks.released.released_set import Known, Labelled
from ..attacks.released.without_references import LEAST_PAIRS
from ..data import foreign, own, split
from ..data.dataset import AGAIN, DataError, Dataset
from ..engine import store
from ..engine.errors import ParameterError
from ..engine.seeding import derive
from ..external import files

OWN_SHARE, MOST_OWN = 3, 2000  # one of so many people held out is the attacker's own image; of a class at most so many
LEAST_OWN = 4  # images of a class, with which anything can be said about its spread
UNLIKELY = 1e-3  # a difference between members and people held out that chance makes so rarely is said
CLEAR = 0.1  # if it is also so large, in standard deviations of grey levels, or half of it in shares of classes

TRIED, ONE_SIDED = 200, 1.64  # people of a class whom the set's labels are tried on, and the normal quantile of 95 %


@dataclass(frozen=True, eq=False)
class People:
    """What the attacks are given.

    Attributes
    ----------
    released : the set, on the scale that networks see.
    candidates : members and people held out about whom the attacker asks.
    is_member : bool [candidates].
    known : the attacker's own images and the scale.
    grey : uint8 [candidates, C, H, W], to be looked at.
    rows : int64 [candidates], the row in train_images or, of people held out where there is no `member`, in
        test_images.
    split : of the images as they are read; its `pixels` maps bytes to the scale.
    notes : name to number: what was left out and copied.
    warned : sentences about what may be wrong with the input.
    checksums : "SET", "DATA" to SHA-256.
    """

    released: Labelled
    candidates: Labelled
    is_member: np.ndarray
    known: Known
    grey: np.ndarray
    rows: np.ndarray
    split: split.Split
    notes: dict[str, int]
    warned: list[str]
    checksums: dict[str, str] = field(default_factory=dict)

    @property
    def classes(self) -> np.ndarray:
        """The class of every candidate, int64 [candidates]."""
        return self.candidates.labels.numpy()

    @property
    def pairs(self) -> int:
        """How many pairs of a member and a person held out, both of one class, there are."""
        return sum(
            min(self.is_member[self.classes == label].sum(), (~self.is_member)[self.classes == label].sum())
            for label in np.unique(self.classes)
        )

    @property
    def enough(self) -> bool:
        """Whether there are so many pairs that anything can be tested."""
        return self.pairs >= LEAST_PAIRS

    def released_grey(self) -> np.ndarray:
        """Return the released images as grey levels from 0 to 1, clipped, float32 [n, C, H, W]."""
        return self.split.grey_levels(self.released.images).numpy()


def read(set_file: Path, data_file: Path, *, people: int, seed: int, equal: bool) -> People:
    """Read and check both files, and deal out who is what.

    Parameters
    ----------
    set_file : the released set, see `external.files.synthetic_set`, or a condensed set that this report kept.
    data_file : see `dcpriv_lib.audit.audit.examine`.
    people : members at most, and as many people held out at most.
    seed : of all choices by chance.
    equal : whether there should be no more people held out than members, class by class, as sets for comparison need.

    Raises
    ------
    DataError, ParameterError
        If a file is missing, damaged, or not what was said; before anything is computed.
    """
    for name, path in (("SET", set_file), ("DATA", data_file)):
        foreign.check_file(path, name)
    if people < 1:
        raise ParameterError(f"people = {people}: expected 1 or more")
    dataset = own.npz(data_file)
    if dataset.images.shape[-1] < own.MIN_SIZE:
        raise DataError(
            f"{foreign.shown(data_file)}: the images are {dataset.images.shape[-1]} pixels wide: expected "
            f"{own.MIN_SIZE} or more, which the attacker's networks need: enlarge them, and the released ones, first"
        )
    mask = _mask(data_file, len(dataset.images))
    images, labels, is_member, rows = _sides(dataset, mask)
    if not len(images[is_member]) or not len(images[~is_member]):
        raise DataError(
            f"{foreign.shown(data_file)}: nobody is {'held out' if is_member.all() else 'a member'}: expected some of "
            f"both: {AGAIN}"
        )
    record = store.inputs_of(set_file)
    about = split.Split(dataset, {}, {"pixels": record.get("pixels", "standard")} | _same(record))
    released, warned = _released(set_file, about)
    warned += _of_the_record(record, dataset) + _of_the_labels(released, images, labels, about)
    warned += _of_the_looks(images, labels, is_member, len(dataset.classes))
    copies, notes = _copies(images, is_member, about.grey_levels(released.images))
    chosen = _dealt(labels, is_member, ~copies, people, seed, equal)
    notes |= _counts(is_member, chosen)
    asked, mine = np.flatnonzero(chosen == ASKED), np.flatnonzero(chosen == OWN)
    mean, deviation = (torch.as_tensor(value) / 255 for value in about.scale)
    seen = Labelled(about.pixels(images[mine]), labels[mine])
    return People(
        released,
        Labelled(about.pixels(images[asked]), labels[asked]),
        is_member[asked],
        Known(seen, mean, deviation, seed=derive(seed, "attacker")),
        images[asked].numpy(),
        rows[asked],
        about,
        notes,
        warned,
        {name: _sha256(path) for name, path in (("SET", set_file), ("DATA", data_file))},
    )


def _released(set_file: Path, about: split.Split) -> tuple[Labelled, list[str]]:
    """Return the released set as the networks see it, and what its reader warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = files.synthetic_set(set_file, about)
    released = Labelled(torch.from_numpy(made["images"]), torch.from_numpy(made["labels"]))
    return released, [f"{one.message}." for one in caught if issubclass(one.category, UserWarning)]


def _counts(is_member: np.ndarray, chosen: np.ndarray) -> dict[str, int]:
    """Return how many there are of each side, and how many of them are asked about; `chosen` is of `_dealt`."""
    return {
        "members": int(is_member.sum()),
        "held out": int((~is_member).sum()),
        "own": int((chosen == OWN).sum()),
        "members examined": int((chosen[is_member] == ASKED).sum()),
        "held out examined": int((chosen[~is_member] == ASKED).sum()),
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mask(path: Path, count: int) -> np.ndarray | None:
    """Return who of the training images was condensed, bool [N]; None if the file does not say."""
    member = foreign.npz_arrays(path, "DATA", "save numbers only", optional=("member",)).get("member")
    if member is None:
        return None
    if member.dtype != bool or member.shape != (count,):
        raise DataError(
            f"{foreign.shown(path)}: member is {member.dtype.name} of shape {member.shape}: expected bool of "
            f"shape ({count},), True for whoever was condensed, a value for each of train_images: {AGAIN}"
        )
    return member


def _sides(dataset: Dataset, mask: np.ndarray | None) -> tuple[torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]:
    """Return images, labels, who of them is a member, and the rows in the file."""
    if mask is not None:
        return dataset.images, dataset.labels, mask, np.arange(len(mask))
    images = torch.cat([dataset.images, dataset.test_images])
    labels = torch.cat([dataset.labels, dataset.test_labels])
    train, test = len(dataset.labels), len(dataset.test_labels)
    return images, labels, np.arange(train + test) < train, np.concatenate([np.arange(train), np.arange(test)])


def _same(record: dict) -> dict:
    """Return what a kept set's record says of its data: whose people they are says DATA, and `_of_the_record` warns."""
    return {name: record.get(name) for name in ("data", "seed")}


# ---------------------------------------------------------------- who is what

LEFT, ASKED, OWN = 0, 1, 2


def _dealt(labels: torch.Tensor, is_member: np.ndarray, kept: np.ndarray, people: int, seed: int, equal: bool):
    """Return what everybody is: `LEFT` out, `ASKED` about, or the attacker's `OWN` image; int [n].

    Classes of which the attacker would have too few own images are left out.
    """
    rng = np.random.default_rng(derive(seed, "people"))
    chosen = np.full(len(labels), LEFT)
    order = rng.permutation(len(labels))
    order = order[kept[order]]
    of_order = labels.numpy()[order]
    for label in np.unique(of_order):
        held_out = order[(of_order == label) & ~is_member[order]]
        mine = min(len(held_out) // OWN_SHARE, MOST_OWN)
        members = order[(of_order == label) & is_member[order]]
        if mine >= LEAST_OWN and len(members):
            if equal:
                about = min(len(held_out) - mine, len(members))
                mine = min(len(held_out) - about, MOST_OWN)
                held_out = held_out[: mine + about]
            chosen[held_out[:mine]], chosen[held_out[mine:]], chosen[members] = OWN, ASKED, ASKED
    for side in (is_member, ~is_member):
        asked = order[side[order] & (chosen[order] == ASKED)]
        chosen[asked[people:]] = LEFT
    return chosen


def _copies(images: torch.Tensor, is_member: np.ndarray, released: torch.Tensor) -> tuple[np.ndarray, dict[str, int]]:
    """Return who is left out as a copy, bool [n], and numbers of copies for the card.

    An image on both sides is left out on both: it was condensed, and its owner held out. Of copies on one side the
    first stays.
    """
    keys = [image.tobytes() for image in images.numpy()]
    sides: tuple[set, set] = ({key for key, member in zip(keys, is_member) if not member}, set())
    sides[1].update(key for key, member in zip(keys, is_member) if member)
    seen: set = set()
    out, twice = np.zeros(len(keys), bool), np.zeros(len(keys), bool)
    for number, key in enumerate(keys):
        out[number] = key in sides[0] and key in sides[1]
        twice[number] = key in seen and not out[number]
        seen.add(key)
    shown = [image.tobytes() for image in (released * 255).round().to(torch.uint8).numpy()]
    return out | twice, {
        "on both sides": int(out.sum()),
        "twice on one side": int(twice.sum()),
        "verbatim of a member": sum(key in sides[1] and key not in sides[0] for key in shown),
        "verbatim of somebody held out": sum(key in sides[0] for key in shown),
    }


# ---------------------------------------------------------------- what may be wrong


def _of_the_record(record: dict, dataset: Dataset) -> list[str]:
    """Warn if a kept set was made of other data than these, on a scale that depends on them."""
    if record.get("pixels") == "standard" and record.get("data") not in (None, dataset.digest()):
        return [
            "The record of SET names other data than DATA. Its pixels are standardised by the mean and deviation of "
            "all training images; those of DATA are used, which is right if both files have the same training images."
        ]
    return []


def _of_the_labels(released: Labelled, images: torch.Tensor, labels: torch.Tensor, about: split.Split) -> list[str]:
    """Warn if what is trained on the released set, kernel regression, names classes no better than chance, or much
    better after a permutation of them."""
    classes = about.shape[2]
    rng = np.random.default_rng(0)
    rows = [rng.permutation(np.flatnonzero(labels.numpy() == label))[:TRIED] for label in range(classes)]
    present = [label for label in range(classes) if len(rows[label])]
    some = torch.from_numpy(np.concatenate(rows))
    answered, _ = kernel_regression.answers(released, Labelled(about.pixels(images[some]), labels[some]))
    named = answered.argmax(1).numpy()
    truth = labels[some].numpy()
    table = np.array([np.bincount(named[truth == label], minlength=classes) / len(rows[label]) for label in present])
    right, best = table[range(len(present)), present].mean(), table[linear_sum_assignment(-table)].mean()
    chance = 1 / classes + ONE_SIDED * np.sqrt((classes - 1) / classes**2 / len(some))
    if classes == 1 or (right > chance and best - right < CLEAR):
        return []
    return [
        "The labels of SET may be in another order than those of DATA: kernel regression on SET names the class of "
        f"{right:.0%} of the people, where guessing names {1 / classes:.0%}, and {best:.0%} if the classes are "
        "renamed. If the order is another, all that follows is wrong."
    ]


def _of_the_looks(images: torch.Tensor, labels: torch.Tensor, is_member: np.ndarray, classes: int) -> list[str]:
    """Warn if members and people held out differ in classes or grey levels by more than chance makes likely."""
    found = []
    counts = np.stack([np.bincount(labels.numpy()[side], minlength=classes) for side in (is_member, ~is_member)])
    counts = counts[:, counts.sum(0) > 0]
    shares = counts / counts.sum(1, keepdims=True)
    apart = float(np.abs(shares[0] - shares[1]).sum() / 2)
    if counts.shape[1] > 1 and apart > CLEAR / 2 and chi2_contingency(counts).pvalue < UNLIKELY:
        found.append(
            f"Members and people held out have different classes: {apart:.0%} of one side would have to change class "
            "for the shares to agree. People held out should be chosen by chance among the same people."
        )
    for name, values in (("mean", images.float().mean((1, 2, 3))), ("contrast", images.float().std((1, 2, 3)))):
        shift, error = _shift(values.double().numpy(), labels.numpy(), is_member)
        if abs(shift) > max(CLEAR, 3.3 * error):
            found.append(
                f"Within the classes, the {name} of the grey levels is {abs(shift):.2f} standard deviations "
                f"{'higher' if shift > 0 else 'lower'} for members than for people held out. They can be told apart "
                "by looks, without the released set, and what the attacks find may be no more than that."
            )
    return found


def _shift(values: np.ndarray, labels: np.ndarray, is_member: np.ndarray) -> tuple[float, float]:
    """Return by how much members' values exceed the others', classes apart, in deviations, and its standard error."""
    parts = [(values[is_member & (labels == c)], values[~is_member & (labels == c)]) for c in np.unique(labels)]
    parts = [(a, b) for a, b in parts if len(a) > 1 and len(b) > 1]
    weights = np.array([len(a) * len(b) / (len(a) + len(b)) for a, b in parts])
    if not len(weights):
        return 0.0, 1.0
    spread = [max(np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2), 1e-9) for a, b in parts]
    shifts = [(a.mean() - b.mean()) / s for (a, b), s in zip(parts, spread)]
    return float(np.average(shifts, weights=weights)), float(1 / np.sqrt(weights.sum()))
