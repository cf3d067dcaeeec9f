"""What cannot be divided into members, non-members and the attacker's images is refused."""

import numpy as np
import pytest
import torch

from bad_input import NOTEBOOK, never, npz
from dcpriv_lib import parameters
from dcpriv_lib.data import catalogue, dataset, split
from dcpriv_lib.engine import errors, store
from dcpriv_lib.study import Study


def images_of(own_labels, classes: int) -> dataset.Dataset:
    pictures = torch.zeros(len(own_labels), 1, 14, 14, dtype=torch.uint8)
    return dataset.Dataset(
        "own",
        pictures,
        torch.tensor(own_labels),
        pictures[:0],
        torch.zeros(0, dtype=int),
        tuple("abcdefghij"[:classes]),
    )


@pytest.mark.parametrize(
    ("own_labels", "words"),
    [
        ([0, 2] * 20, ["class 1 (b) has no image among the 10 members"]),  # a gap
        ([0, 1] * 20 + [2], ["class 2 (c) has no image among the"]),
    ],
)  # one image cannot be in all parts
def test_class_that_a_part_lacks_is_named(own_labels, words, refused):
    with refused(dataset.DataError, "own: ", "give it more images", "without gaps", *words):
        split.split_indices(images_of(own_labels, 3))


def test_label_without_class_is_refused(refused):
    with refused(dataset.DataError, "own: the labels run from 0 to 7", "there are 2 classes", "replace"):
        split.split_indices(images_of([0, 1] * 20 + [7], 2))


def test_fewer_images_than_parties_are_refused(refused):
    with refused(dataset.DataError, "own has 3 images", "too few", "more images"):
        split.split_indices(images_of([0, 0, 0], 1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pixels": "typo"}, ["pixels = 'typo'", "expected one of standard, unit, raw"]),
        ({"seed": -1}, ["seed = -1", "from 0 to 4,000,000"]),
        ({"seed": 10**9}, ["seed = 1000000000", "from 0 to 4,000,000"]),
        ({"dataset": ""}, ["dataset = ''", "a data set, or a path"]),
    ],
)
def test_bad_parameter_of_the_split_is_refused_before_loading(changes, words, refused, monkeypatch):
    monkeypatch.setattr(catalogue, "load", never)
    arguments = {"profile": "quick", "dataset": "digits", "seed": 0, "pixels": "unit"} | changes
    with refused(errors.ParameterError, *words):
        Study.divide(**parameters.check(arguments))  # as notebook 1 does


def test_pixels_that_nobody_knows_are_refused_before_loading(refused, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "load", never)
    with refused(ValueError, "pixels = 'units'", "did you mean 'unit'?"):
        split.make_split(tmp_path, profile="quick", dataset="digits", seed=0, pixels="units")


def test_the_empty_path_is_not_the_current_folder(refused):
    with refused(dataset.DataError, "dataset = ''", "neither one of digits"):
        catalogue.load("")


def test_copies_of_members_among_the_non_members_are_counted(tmp_path):
    pictures = np.repeat(np.arange(4, dtype=np.uint8), 100)[:, None, None] * np.ones((14, 14), np.uint8)
    path = npz(tmp_path / "own.npz", train_images=pictures, train_labels=np.arange(400) % 2)
    with pytest.warns(UserWarning, match="own.npz: 100 of 100 non-members are copies of members.*delete"):
        split.make_split(tmp_path, profile="mine", dataset=path, seed=0, pixels="unit")


def test_unknown_data_set_is_refused(refused, tmp_path):
    with refused(
        dataset.DataError,
        "dataset = 'typo'",
        "neither one of digits, mnist, fashion_mnist, cifar10",
        ".npz file",
        "folder with one subfolder of images a class",
    ):
        split.make_split(tmp_path, profile="quick", dataset="typo", seed=0, pixels="unit")


def test_images_too_small_for_the_network_are_refused_by_the_split(refused, tmp_path):
    path = npz(
        tmp_path / "own.npz", train_images=np.zeros((12, 8, 8), np.uint8), test_images=np.zeros((6, 8, 8), np.uint8)
    )
    with refused(dataset.DataError, path, "the images are 8x8", "expected at least 14x14", "enlarge them"):
        split.make_split(tmp_path, profile="quick", dataset=path, seed=0, pixels="unit")


def test_split_of_data_that_changed_since_is_refused(refused, tmp_path):
    path, which = npz(tmp_path / "own.npz"), {"profile": "quick", "seed": 1}  # a seed that serves 12 images
    split.make_split(tmp_path, dataset=path, pixels="unit", **which)
    npz(tmp_path / "own.npz", test_images=np.ones((6, 14, 14), np.uint8))
    with refused(store.ArtefactError, path, "split.npz", "has changed since", f"re-run {NOTEBOOK}"):
        split.load_split(tmp_path, dataset=path, **which)
