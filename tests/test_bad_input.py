"""Bad input is refused: the right error, in one sentence, before compute, and nothing is lost.

The fixture `refused` checks the error's class, that its message is a single line with the words
that name the file or parameter, what was expected and what to do, and that no file in the test's
folder was changed, added or removed. `never` stands for the compute that must not start.
"""

import errno
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import jupytext
import numpy as np
import pandas as pd
import papermill.cli
import pytest
import torch
import yaml
from click.testing import CliRunner
from PIL import Image
from sklearn.linear_model import LogisticRegression

from dcpriv_lib import metrics, parameters, profiles
from dcpriv_lib.attacks import shadow_models, suites, svm
from dcpriv_lib.condensation import condense, defaults, method
from dcpriv_lib.data import builtin, catalogue, dataset, split
from dcpriv_lib.engine import errors, paths, store
from dcpriv_lib.models import networks, training
from dcpriv_lib.stages import STAGES
from support import Bomb

NOTEBOOK = "notebooks/01_data_split.ipynb"
INPUTS = {"profile": "quick", "seed": 0}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.fixture
def refused(tmp_path):
    @contextmanager
    def expect(error: type, *words: str):
        before = contents(tmp_path)
        # "." matches no line break, so this also fails for a message of several lines
        pattern = "^" + "".join(f"(?=.*{re.escape(word)})" for word in words) + r".+\Z"
        with pytest.raises(error, match=pattern):
            yield
        assert contents(tmp_path) == before

    return expect


@pytest.fixture
def no_network(monkeypatch):
    def fail(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", fail)


def never(*_, **__):
    pytest.fail("compute was started")


# ---------------------------------------------------------------- downloaded data sets


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx_files(folder: Path) -> dict[str, str]:
    """Write small idx files, 20 training and 10 test images, and return their MD5."""
    folder.mkdir(parents=True)
    for name in builtin.IDX_FILES:
        count = 20 if name.startswith("train") else 10
        shape = (count, 28, 28) if "images" in name else (count,)
        (folder / name).write_bytes(idx(np.arange(np.prod(shape), dtype=np.uint8).reshape(shape) % 10))
    return {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in builtin.IDX_FILES}


def test_unchecked_files_of_an_old_torchvision_are_not_read(tmp_path, monkeypatch, refused):
    monkeypatch.setenv("DCPRIV_DATA", str(tmp_path))
    (tmp_path / "MNIST/processed").mkdir(parents=True)
    (tmp_path / "MNIST/processed/training.pt").write_bytes(b"could run code")
    with refused(dataset.DataError, "processed", "not checked", "delete it"):
        catalogue.load("mnist")


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_wrong_folder_of_data_sets_is_refused_and_not_created(name, refused, no_network, tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_DATA", str(tmp_path / "dta"))
    with refused(dataset.DataError, "DCPRIV_DATA", f"{tmp_path}/dta", "not a folder", "correct it, or create"):
        catalogue.load(name)


IDX_DAMAGE = {  # name: (file, what happens to its bytes, words of the message)
    "truncated": ("train-images-idx3-ubyte", lambda b: b[:-5], ["truncated", "15,696 bytes", "15,691"]),
    "truncated in the header": ("train-images-idx3-ubyte", lambda b: b[:9], ["is not an idx file"]),
    "empty": ("t10k-labels-idx1-ubyte", lambda b: b"", ["is not an idx file"]),
    "too long": ("t10k-labels-idx1-ubyte", lambda b: b + b"\0", ["too long"]),
    "wrong magic": ("train-images-idx3-ubyte", lambda b: b"\0\0\x0d\3" + b[4:], ["is not an idx file"]),
    "images as labels": (
        "train-labels-idx1-ubyte",
        lambda b: idx(np.zeros((20, 1, 1), np.uint8)),
        ["is not an idx file of 1-dimensional bytes"],
    ),
    "fewer labels": ("train-labels-idx1-ubyte", lambda b: idx(np.zeros(19, np.uint8)), ["20 images", "19 labels"]),
}


@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST"), ("cifar10", "cifar-10-batches-py")]
)
def test_missing_data_set_without_network_names_the_folder(name, folder, refused, no_network, tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_DATA", str(tmp_path))
    with refused(
        dataset.DataError,
        f"{name} is not in {tmp_path}",
        "could not be downloaded",
        "connect to the network",
        "set DCPRIV_DATA to the folder",
        folder,
    ):
        catalogue.load(name)


def test_failed_download_keeps_the_files_that_are_there(refused, no_network, tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_DATA", str(tmp_path))
    write_idx_files(tmp_path / "FashionMNIST" / "raw")
    (tmp_path / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with refused(dataset.DataError, "could not be downloaded", "DCPRIV_DATA"):
        catalogue.load("fashion_mnist")


@pytest.mark.parametrize("damage", IDX_DAMAGE)
def test_damaged_idx_file_is_named(damage, refused, no_network, tmp_path, monkeypatch):
    name, change, words = IDX_DAMAGE[damage]
    folder = tmp_path / "FashionMNIST" / "raw"
    write_idx_files(folder)
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    with refused(dataset.DataError, name, "delete", "downloaded again", *words):
        builtin.check_idx_files(folder, {})
    monkeypatch.setenv("DCPRIV_DATA", str(tmp_path))
    with refused(dataset.DataError, name, *words):
        catalogue.load("fashion_mnist")


def test_one_flipped_byte_in_an_idx_file_is_found_by_its_md5(refused, tmp_path):
    folder, name = tmp_path / "raw", "t10k-images-idx3-ubyte"
    md5 = write_idx_files(folder)
    builtin.check_idx_files(folder, md5)
    content = bytearray((folder / name).read_bytes())
    content[100] ^= 1
    (folder / name).write_bytes(content)
    with refused(dataset.DataError, str(folder / name), "corrupted", md5[name], "delete it", "downloaded again"):
        builtin.check_idx_files(folder, md5)


def test_other_data_under_the_name_of_mnist_are_refused(refused, no_network, tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_DATA", str(tmp_path))
    write_idx_files(tmp_path / "MNIST" / "raw")
    with refused(dataset.DataError, "train-images-idx3-ubyte is corrupted: its MD5 is not 6bbc9ace"):
        catalogue.load("mnist")


def test_good_idx_files_load(no_network, tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_DATA", str(tmp_path))
    write_idx_files(tmp_path / "FashionMNIST" / "raw")
    loaded = catalogue.load("fashion_mnist")
    assert loaded.images.shape == (20, 1, 28, 28) and loaded.test_labels.shape == (10,)


# ---------------------------------------------------------------- a person's own data


def npz(path: Path, **changes) -> str:
    """Write 12 training and 6 test images of two classes in MedMNIST's layout; None leaves a key out."""
    arrays = {
        "train_images": np.arange(12 * 14 * 14, dtype=np.uint8).reshape(12, 14, 14),
        "train_labels": np.arange(12).reshape(-1, 1) % 2,
        "test_images": np.zeros((6, 14, 14), np.uint8),
        "test_labels": np.arange(6).reshape(-1, 1) % 2,
    }
    np.savez(path, **{key: value for key, value in (arrays | changes).items() if value is not None})
    return str(path)


def images(*shape: int, dtype=np.uint8) -> dict:
    return {"train_images": np.zeros(shape, dtype)}


def labels(values, dtype=int) -> dict:
    return {"train_labels": np.array(values, dtype)}


BAD_ARRAYS = {  # name: (what is changed, words of the message)
    "missing key": ({"test_labels": None}, ["lacks test_labels", "expected train_images"]),
    "images not square": (images(12, 14, 15), ["train_images has shape (12, 14, 15)", "square"]),
    "images 2-d": (images(12, 196), ["train_images has shape (12, 196)", "expected (N, H, W)"]),
    "images 5-d": (images(12, 1, 14, 14, 3), ["(12, 1, 14, 14, 3)", "expected (N, H, W)"]),
    "channels first": (images(12, 3, 14, 14), ["(12, 3, 14, 14)", "expected (N, H, W) or (N, H, W, 3)"]),
    "no images": (images(0, 14, 14), ["at least one"]),
    "other test size": (images(12, 28, 28), ["(1, 28, 28)", "(1, 14, 14)", "expected the same"]),
    "float images": (images(12, 14, 14, dtype=np.float32), ["train_images is float32:", "expected uint8"]),
    "NaN images": ({"train_images": np.full((12, 14, 14), np.nan)}, ["holds NaN", "expected uint8"]),
    "too few labels": (labels([0] * 11), ["train_labels has shape (11,)", "expected (12,) or (12, 1)"]),
    "two labels an image": (labels([[0, 1]] * 12), ["has shape (12, 2)", "expected (12,) or (12, 1)"]),
    "NaN label": (labels([0] * 11 + [np.nan], float), ["train_labels is float64", "expected integers"]),
    "negative label": (labels([0] * 11 + [-1]), ["train_labels is int64 with -1", "integers from 0 up"]),
    "dates as labels": (labels([0] * 11 + [20260101]), ["largest label is 20,260,101", "without gaps"]),
}

BAD_FILES = {  # name: (what happens to the bytes of a good file, words of the message)
    "text": (lambda b: b"label,image\n0,1\n", ["not an .npz file"]),
    "empty": (lambda b: b"", ["not an .npz file"]),
    "truncated": (lambda b: b[: len(b) // 2], ["not an .npz file, or is truncated", "save it again"]),
    "flipped byte": (lambda b: b[:400] + bytes([b[400] ^ 1]) + b[401:], ["damaged", "train_images"]),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_npz_with_unusable_arrays_says_what_was_expected(case, refused, tmp_path):
    changes, words = BAD_ARRAYS[case]
    path = npz(tmp_path / "own.npz", **changes)
    with refused(dataset.DataError, path, "correct it and save the file again", *words):
        catalogue.load(path)


@pytest.mark.parametrize("case", BAD_FILES)
def test_damaged_npz_is_named(case, refused, tmp_path):
    change, words = BAD_FILES[case]
    path = Path(npz(tmp_path / "own.npz"))
    path.write_bytes(change(path.read_bytes()))
    with refused(dataset.DataError, str(path), *words):
        catalogue.load(str(path))


def test_missing_npz_is_named(refused, tmp_path):
    with refused(dataset.DataError, "dataset = ", f"there is no file {tmp_path}/absent.npz", "correct the path"):
        catalogue.load(f"{tmp_path}/absent.npz")


def test_unreadable_npz_is_called_unreadable(refused, tmp_path):
    (tmp_path / "own.npz").symlink_to("/proc/self/mem")  # root may read any file, but not this one at 0
    with refused(dataset.DataError, f"{tmp_path}/own.npz cannot be read (Input/output error)", "permissions"):
        catalogue.load(f"{tmp_path}/own.npz")


def test_npz_of_objects_is_never_unpickled(refused, tmp_path):
    marker = tmp_path / "marker"
    path = npz(tmp_path / "own.npz", train_images=np.array([Bomb(marker)] * 12, dtype=object))
    with refused(dataset.DataError, path, "arrays of objects", "never loaded", "save the images as uint8"):
        catalogue.load(path)
    assert not marker.exists()
    with np.load(path, allow_pickle=True) as file:  # the bomb is live: a careless reader sets it off
        file["train_images"]
    assert marker.exists()


@pytest.mark.parametrize(("shape", "channels"), [((12, 14, 14), 1), ((12, 14, 14, 1), 1), ((12, 14, 14, 3), 3)])
def test_good_npz_loads(shape, channels, tmp_path):
    path = npz(
        tmp_path / "own.npz", train_images=np.zeros(shape, np.uint8), test_images=np.zeros((6, *shape[1:]), np.uint8)
    )
    loaded = catalogue.load(path)
    assert loaded.images.shape == (12, channels, 14, 14) and loaded.images.dtype == torch.uint8
    assert loaded.labels.tolist() == [0, 1] * 6 and loaded.classes == ("0", "1")
    assert loaded.test_images.shape == (6, channels, 14, 14) and loaded.test_labels.shape == (6,)


def image_folder(folder: Path, *sizes: tuple[int, int]) -> str:
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number, size in enumerate(sizes):
            Image.new("RGB", size, (number, 0, 200)).save(folder / label / f"{number}.png")
    return str(folder)


def test_image_folder_with_images_of_different_sizes_names_the_odd_one(refused, tmp_path):
    path = image_folder(tmp_path / "pets", (14, 14), (14, 14), (16, 16))
    with refused(dataset.DataError, f"{path}/cat/2.png has shape (3, 16, 16)", "expected (3, 14, 14)", "crop"):
        catalogue.load(path)


def test_image_folder_with_oblong_images_is_refused(refused, tmp_path):
    path = image_folder(tmp_path / "pets", (16, 14))
    with refused(dataset.DataError, f"{path}/cat/0.png has shape (3, 14, 16)", "expected a square", "crop"):
        catalogue.load(path)


def test_image_folder_with_a_damaged_image_names_it(refused, tmp_path):
    path = image_folder(tmp_path / "pets", (64, 64))
    file = Path(path, "dog", "0.png")
    file.write_bytes(file.read_bytes()[:60])
    with refused(dataset.DataError, f"{file} is not a readable image", "replace or delete it"):
        catalogue.load(path)


@pytest.mark.parametrize("subfolders", [[], ["cat", "dog"]])
def test_empty_image_folder_is_refused(subfolders, refused, tmp_path):
    for name in subfolders:
        (tmp_path / name).mkdir()
    with refused(dataset.DataError, f"{tmp_path} is not an image folder", "expected one subfolder of images"):
        catalogue.load(str(tmp_path))


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_image_of_more_than_8_bits_is_refused_and_not_clipped(mode, refused, tmp_path):
    path = image_folder(tmp_path / "pets", (14, 14))
    grey = np.full((14, 14), 40_000, {"I;16": "u2", "I": "i4", "F": "f4"}[mode])
    Image.fromarray(grey).save(f"{path}/dog/1.tif")
    with refused(dataset.DataError, f"{path}/dog/1.tif has more than 8 bits a pixel", mode, "convert it"):
        catalogue.load(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_image_is_refused_and_an_opaque_one_keeps_its_colours(mode, refused, tmp_path):
    path = image_folder(tmp_path / "pets", (14, 14))
    Image.new("RGBA", (14, 14), (9, 9, 9, 255)).convert(mode).save(f"{path}/cat/0.png")
    assert catalogue.load(path).images[0].unique().tolist() == [9]
    see_through = {"transparency": 0} if mode == "P" else {}
    Image.new("RGBA", (14, 14), (9, 9, 9, 200)).convert(mode).save(f"{path}/cat/0.png", **see_through)
    with refused(dataset.DataError, f"{path}/cat/0.png is transparent in places", "give it a background"):
        catalogue.load(path)


def test_one_class_only_is_refused(refused, tmp_path):
    path = image_folder(tmp_path / "pets", (14, 14))
    shutil.rmtree(f"{path}/dog")
    with refused(dataset.DataError, f"{path} has one class only (cat)", "two or more", "add images"):
        catalogue.load(path)
    path = npz(tmp_path / "own.npz", train_labels=np.zeros(12, int), test_labels=np.zeros(6, int))
    with refused(dataset.DataError, f"{path} has one class only (0)", "two or more", "add images"):
        catalogue.load(path)


@pytest.mark.parametrize(
    ("link", "to", "words"),
    [
        ("cat/loop", "..", ["pets/cat/loop is a link to a folder", "replace it by its images"]),
        ("loop", ".", ["pets/loop/loop is a link to a folder", "replace it by its images"]),
        ("lion", "cat", ["pets/lion/0.png is the same file as", "pets/cat/0.png", "delete the link"]),
        ("cat/again.png", "0.png", ["pets/cat/again.png is the same file as", "pets/cat/0.png"]),
        ("cat/gone.png", "nowhere.png", ["pets/cat/gone.png is not a readable image"]),
        ("cat/self.png", "self.png", ["pets/cat/self.png is not a readable image"]),
    ],
)
def test_links_that_repeat_or_lack_images_are_refused(link, to, words, refused, tmp_path):
    path = image_folder(tmp_path / "pets", (14, 14))
    Path(path, link).symlink_to(to)
    with refused(dataset.DataError, *words):
        catalogue.load(path)


def test_hidden_files_and_folders_are_no_data_and_a_class_may_be_a_link(tmp_path):
    path = image_folder(tmp_path / "pets", (14, 14))
    for hidden in (".ipynb_checkpoints", "cat/.ipynb_checkpoints"):
        shutil.copytree(f"{path}/dog", f"{path}/{hidden}")
    Path(path, "cat/._0.png").write_text("macOS leaves such files")
    shutil.move(f"{path}/dog", tmp_path / "elsewhere")
    Path(path, "dog").symlink_to(tmp_path / "elsewhere")
    Path(path, "cat/more").mkdir()
    Image.new("RGB", (14, 14)).save(f"{path}/cat/more/1.PNG")
    loaded = catalogue.load(path)
    assert loaded.classes == ("cat", "dog") and loaded.labels.tolist() == [0, 0, 1]


def test_good_image_folder_loads(tmp_path):
    loaded = catalogue.load(image_folder(tmp_path / "pets", (14, 14), (14, 14), (14, 14)))
    assert loaded.images.shape == (6, 3, 14, 14) and loaded.images.dtype == torch.uint8
    assert loaded.images[5, :, 0, 0].tolist() == [2, 0, 200]
    assert loaded.labels.tolist() == [0, 0, 0, 1, 1, 1] and loaded.classes == ("cat", "dog")


# ---------------------------------------------------------------- the split


def dataset(own_labels, classes: int) -> dataset.Dataset:
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
        split.split_indices(dataset(own_labels, 3))


def test_label_without_class_is_refused(refused):
    with refused(dataset.DataError, "own: the labels run from 0 to 7", "there are 2 classes", "replace"):
        split.split_indices(dataset([0, 1] * 20 + [7], 2))


def test_fewer_images_than_parties_are_refused(refused):
    with refused(dataset.DataError, "own has 3 images", "too few", "more images"):
        split.split_indices(dataset([0, 0, 0], 1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pixels": "typo"}, ["pixels = 'typo'", "expected one of standard, unit, raw"]),
        ({"seed": -1}, ["seed = -1", "from 0 to 4,000,000"]),
        ({"seed": 10**9}, ["seed = 1000000000", "from 0 to 4,000,000"]),
        ({"dataset": ""}, ["dataset = ''", "a data set, or a path"]),
    ],
)
def test_bad_parameter_of_the_split_is_refused_before_loading(changes, words, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "load", never)
    arguments = {"profile": "quick", "dataset": "digits", "seed": 0, "pixels": "unit"} | changes
    with refused(errors.ParameterError, *words):
        split.make_split(tmp_path, **arguments)


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


# ---------------------------------------------------------------- condensation, shadows, attacks


@pytest.mark.parametrize("ipc", [0, 4])
def test_ipc_beyond_the_smallest_class_is_refused_before_condensing(ipc, refused):
    sizes = torch.tensor([0] * 9 + [1] * 3)
    words = [f"ipc = {ipc}", "class 1 has only 3 members", "choose ipc between 1 and 3"]
    with refused(ValueError, *words):
        method.check_ipc(sizes, ipc)
    with refused(ValueError, *words):
        condense.condense(torch.zeros(12, 1, 14, 14), sizes, method.Settings(ipc, 1, 1, 1), make_network=never, seed=0)


def test_loops_of_the_paper_are_refused_for_an_ipc_without_them(refused):
    with refused(ValueError, "outer = 0", "exist for ipc = 1, 10, 50, not 20", "set outer and inner"):
        defaults.loops(20, 0, 0)


def test_negative_loops_are_refused(refused):
    with refused(ValueError, "outer = 5, inner = -1", "expected 0 or more"):
        defaults.loops(10, 5, -1)


@pytest.mark.parametrize("ds", [0, 51])
def test_ds_beyond_half_of_the_attackers_data_is_refused(ds, refused):
    with refused(ValueError, f"ds = {ds}", "the attacker has 101 images", "choose ds between 1 and 50"):
        shadow_models.shadow_split(np.arange(101), ds, number=0)


def test_images_too_small_for_the_network_are_refused_by_the_network(refused):
    with refused(ValueError, "PaperCNN", "at least 14x14 pixels", "these are 8x8", "enlarge them first"):
        networks.PaperCNN(1, 8, 10)


@pytest.mark.parametrize("name", ["tpu", "cuda"])
def test_absent_device_is_refused(name, refused):
    if name == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with refused(ValueError, f"device = '{name}'", "not available on this machine", "choose auto, ", "cpu"):
        training.device(name)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_of_a_diverged_model_are_refused(value, refused):
    with refused(ValueError, "1 of 2 rows of logits hold NaN or infinity", "smaller learning rate"):
        suites.losses(np.array([[0.0, value], [0.0, 1.0]]), np.array([0, 1]))


def test_attack_scores_of_nan_are_refused(refused):
    with refused(ValueError, "1 attack scores are NaN"):
        metrics.auc(np.array([0.1, np.nan]), np.array([True, False]), np.random.default_rng(0))


@pytest.mark.parametrize(("inside", "words"), [(False, "got only non-members"), (True, "got only members")])
def test_roc_of_one_kind_of_people_is_refused(inside, words, refused):
    with refused(ValueError, "needs members and non-members", words):
        metrics.auc(np.array([0.1, 0.2]), np.array([inside] * 2), np.random.default_rng(0))


def test_attack_model_for_a_class_of_members_only_is_refused(refused):
    with refused(ValueError, "class 1 has only members among the shadow models' rows", "choose a larger ds"):
        suites.fit_per_class(
            LogisticRegression(), np.eye(4), np.array([0, 0, 1, 1]), np.array([True, False, True, True])
        )


@pytest.mark.parametrize(
    ("members", "folds", "words"),
    [
        (3, 5, ("folds = 5", "only 3 rows of members", "choose fewer folds, a larger ds or a larger n_shadows")),
        (0, 2, ("folds = 2", "only 0 rows of members", "larger ds")),
        (9, 5, ("folds = 5", "only 1 rows of non-members", "larger ds")),
        (5, 1, ("folds = 1", "choose 2 or more")),
    ],
)
def test_grid_search_with_too_few_rows_or_folds_is_refused(members, folds, words, refused):
    with refused(ValueError, *words):
        svm.grid_search(np.eye(10), np.arange(10) < members, [1], [0.1], folds)


def test_merging_by_a_negative_step_is_refused(refused):
    with refused(ValueError, "step = -1", "choose 0", "or more"):
        svm.merge_rows(np.eye(2), np.array([True, False]), -1)


def test_merging_rows_of_nan_is_refused(refused):
    with refused(ValueError, "NaN or infinity", "smaller learning rate"):
        svm.merge_rows(np.full((2, 2), np.nan), np.array([True, False]), 1e-4)


def test_grid_of_impossible_C_is_refused(refused):
    with refused(ValueError, "C = -1", "choose a number above 0"):
        svm.grid_search(np.eye(4), np.arange(4) % 2 == 0, [-1], [0.1], 2)


# ---------------------------------------------------------------- profiles


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """Write profiles/mine.yaml with the given text, in a folder of the test's own."""

    def write(text: str) -> Path:
        monkeypatch.setattr(paths, "PROFILES", tmp_path)
        (tmp_path / "mine.yaml").write_text(text)
        return tmp_path / "mine.yaml"

    return write


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("iteratoins: 3", ["'iteratoins'", "did you mean 'iterations'?"]),
        ("datset: mnist", ["'datset'", "did you mean 'dataset'?"]),
        ("qqq: 3", ["no notebook declares a parameter 'qqq'", "choose from profile, dataset, seed"]),
        ("profile: other", ["profile is the name of the file", "delete this line"]),
        ("jobs: {runs: 1}", ["no notebook declares a parameter 'jobs'"]),  # of older profiles
        ("epochs: '60'", ["epochs = '60'", "expected a whole number from 1"]),
        ("epochs: true", ["epochs = True", "expected a whole number from 1"]),
        ("epochs: [5, 60]", ["epochs = [5, 60]", "expected one int here, not a list"]),
        ("seed: 0.5", ["seed = 0.5", "expected a whole number from 0"]),
        ("image_lr: 1e-1", ["image_lr = '1e-1'", "this is text, write {image_lr: 0.1}"]),  # YAML 1.1 wants 1.0e-1
        ("image_lr: .inf", ["image_lr = inf", "expected a number from 1e-09 to 10000"]),
        ("dataset: 5", ["dataset = 5", "expected the name of a data set"]),
        ("iterations: [3, 4, 5]", ["iterations = [3, 4, 5]", "one number, or 2, one for each of ipc = [10, 50]"]),
        ("condensed_sets: 0", ["condensed_sets = 0", "expected a whole number from 1"]),
        ("ipc: [ten]", ["ipc = ['ten']", "expected a whole number from 1 to 10,000, or a list"]),
        ("ipc: [20]", ["control_ipc = 10", "expected one of ipc = [20]"]),
        ("n_models: 5", ["n_models = 5", "expected an even whole number from 6"]),
        ("synthetic_sets: [a.npz, a.npz]", ["synthetic_sets = ['a.npz', 'a.npz']", "none of them twice"]),
        ("starts: [mean]", ["starts = ['mean']", "one of noise, real, means"]),
        ("training_sets: 3", ["training_sets = 3", "one of original, subset, condensed"]),
        ("seed: 1\nepochs: 2\nseed: 3", ["seed a second time", "line 3"]),
        ("start: {a: 1, a: 2}", ["a a second time"]),
        ("ipc: " + "[" * 3000, ["is not YAML", "recursion"]),
        ("- [epochs, 3]", ["is not YAML with a parameter and its value a line", "correct it"]),
        ("ipc: [10", ["is not YAML", "line 1", "correct it"]),
    ],
)
def test_bad_profile_is_refused(text, words, refused, profile):
    path = profile(text)
    with refused(profiles.ProfileError, str(path), *words):
        profiles.read("mine")


@pytest.mark.parametrize(
    "name", ["../profiles/tiny", "/etc/tiny", "", ".", "..", "a/b", "a{ipc}", "a b", "a\n", None, 5]
)
def test_names_of_profiles_stay_in_their_folder(name, refused, tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path / "results"))
    with refused(profiles.ProfileError, f"profile = {name!r}", "letters, digits"):
        profiles.read(name)
    with refused(ValueError, f"profile = {name!r}", "letters, digits"):
        paths.results(name)


def test_unknown_profile_names_the_nearest(refused, profile):
    profile("")
    with refused(profiles.ProfileError, "there is no profile 'mnie' in", "did you mean 'mine'?"):
        profiles.read("mnie")


def test_good_profile_changes_what_it_names_and_nothing_else(profile):
    profile("ipc: 10\nimage_lr: 1\ngrid_C: [1]")
    read = profiles.read("mine")
    assert read["02_condensation"] == profiles.parameters("02_condensation") | {
        "profile": "mine",
        "ipc": 10,
        "image_lr": 1,
    }
    assert read["04_attack"]["grid_C"] == [1] and read.keys() == {stage.name for stage in STAGES}


def received(text: str) -> dict:
    """Return the parameters that papermill's command passes to a notebook for its option -y."""
    got = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(papermill.cli, "execute_notebook", lambda parameters, **_: got.update(parameters))
        done = CliRunner().invoke(papermill.cli.papermill, ["in.ipynb", "out.ipynb", "-y", text])
    assert done.exit_code == 0, done.output
    return got


@pytest.mark.parametrize(
    "text",
    [
        "image_lr: 0.00001",
        "image_lr: 1.0e-05",
        "merge_step: 0",
        "merge_step: 0.00001",
        "ipc: [10]",
        "grid_gamma: [0.00001, 1]",
        "grid_C: [1.0e-06, 1.0e+06, 0.3333333333333333]",
        "dataset: '1e-5'",
        "dataset: 'no'",
        "dataset: 'ü: {a}'",
    ],
)
def test_a_value_of_a_profile_arrives_in_the_notebook_as_it_was_written(text, profile):
    profile(text)
    read, got = profiles.read("mine"), {}
    for stage in read:
        line = profiles.arguments(stage, read[stage])
        assert "\n" not in line
        arrived = profiles.parameters(stage) | received(line)
        assert arrived == read[stage] and repr(arrived) == repr(read[stage])
        got |= arrived
    name, written = next(iter(yaml.safe_load(text).items()))
    assert got[name] == written and type(got[name]) is type(written)


def test_defaults_of_notebooks_are_read_as_python():
    assert profiles.parameters("04_attack")["merge_step"] == 1e-4


# ---------------------------------------------------------------- parameters

NOTEBOOKS = sorted(paths.NOTEBOOKS.rglob("[0-9]*.py"))


def declared(path: Path) -> dict:
    """Run a notebook's parameters cell and return its globals."""
    found = {}
    for cell in jupytext.read(path).cells:
        if "parameters" in cell.metadata.get("tags", []):
            exec(cell.source, found)
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_parameter_of_a_notebook_is_known_and_its_default_allowed(path):
    found = declared(path)
    assert parameters.check(found).keys() == found["__annotations__"].keys()


NUMBERS = [
    True,
    False,
    None,
    "",
    "5",
    "1e-4",
    "ten",
    {},
    (1,),
    {1},
    b"1",
    1j,
    -5,
    -0.5,
    float("nan"),
    float("inf"),
    -float("inf"),
    1e300,
    10**12,
]
LISTS = [[], [None], [True], ["5"], [[1]], [float("nan")], [float("inf")], [-1], [10**12], ["original", 1]]
WORDS = [True, None, "", " ", 5, 0.5, float("nan"), ["auto"], {}, b"auto"]


def senseless(name: str) -> list:
    """Return values that no parameter of this name may have."""
    if name in ("profile", "dataset", "pixels", "device"):
        extra = {"profile": ["../x", "/x", ".", "-x", "a b", "a{b}", "a\n", "x" * 101], "dataset": []}
        return WORDS + extra.get(name, ["Auto", "standard\n", "gpu"])
    if name in ("synthetic_sets", "extra_targets"):
        return [value for value in WORDS if value != ["auto"]] + [[""], [5], [None], [["a"]], ["a", "a"], ("a",), b"a"]
    if name == "clone":
        return [value for value in WORDS if value != ""]
    fits_half, fits_zero = (parameters.TABLE[name].fits(value) for value in (0.5, 0))
    many = {
        "ipc": [[3, 3], [0], [0.5]],
        "iterations": [[0]],
        "condensed_sets": [[0]],
        "epochs": [[0]],
        "training_sets": [["subset"] * 2, ["subste"]],
        "grid_C": [[1, 1], [0]],
        "grid_gamma": [[1, 1.0], [0]],
        "factors": [[1, 1.0], [0]],
        "other_ipc": [[3, 3], [0], [0.5]],
        "epsilons": [[0.2, 0.1], [0.1, 0.1], [-0.1], [1.5]],
        "dp_epsilons": [[1, 1], [0]],
        "dp_steps": [[3, 3], [0], [0.5]],
        "releases": [[3, 3], [0], [0.5]],
        "psg_networks": [[3, 3], [0], [0.5]],
    }
    return (
        NUMBERS
        + LISTS[name == "doses" :]
        + many.get(name, [[1]])
        + [0.5] * (not fits_half)
        + [1.0] * (not fits_half)
        + [0] * (not fits_zero)
    )


@pytest.mark.parametrize("name", parameters.TABLE)
def test_senseless_values_are_refused_by_name(name, refused):
    for value in senseless(name):
        with refused(errors.ParameterError, f"{name} = ", "expected "):
            parameters.check({name: value})


def test_only_these_parameters_may_be_zero_or_no_whole_number_or_an_empty_list():
    zero, half, empty = (
        {name for name, rule in parameters.TABLE.items() if rule.fits(value)} for value in (0, 0.5, [])
    )
    assert empty == {"doses", "synthetic_sets", "extra_targets"}
    assert zero == {"seed", "outer", "inner", "merge_step", "shift", "epsilon", "n_images"}
    assert half == {"image_lr", "effort", "epsilon"}


@pytest.mark.parametrize("name", parameters.TABLE)
def test_a_misspelt_parameter_is_refused_with_the_nearest(name, refused):
    with refused(errors.ParameterError, f"there is no parameter '{name}_'", f"did you mean '{name}'?"):
        parameters.check({f"{name}_": 3})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ipc": [10, 50], "iterations": [1, 2, 3]}, ["iterations = [1, 2, 3]", "each of ipc = [10, 50]"]),
        ({"ipc": 10, "condensed_sets": [1, 2]}, ["condensed_sets = [1, 2]", "one for each of ipc = [10]"]),
        ({"ipc": [10, 3], "outer": 0}, ["outer = 0", "1, 10, 50, not 3", "set outer and inner yourself"]),
        ({"ipc": 10, "control_ipc": 50}, ["control_ipc = 50", "expected one of ipc = [10]"]),
        ({"extra_targets": "a.npz", "shift": 1}, ["shift = 1", "set shift to 0, or extra_targets to []"]),
        ({"n_references": 7}, ["n_references = 7", "even"]),
        ({"n_models": 5}, ["n_models = 5", "even"]),
        ({"start": "zeros"}, ["start = 'zeros'", "one of noise, real, means"]),
        ({"folds": 1}, ["folds = 1", "from 2"]),
        ({"shift": 14}, ["shift = 14", "from 0 to 13"]),
        ({"epsilons": [0.1, 0.05]}, ["epsilons = [0.1, 0.05]", "each larger than the one before"]),
        ({"epsilons": [0.1], "epsilon": 0.2}, ["epsilon = 0.2", "expected one of epsilons = [0.1]"]),
        ({"merge_step": 10}, ["merge_step = 10", "from 0 to 0.1"]),
        ({"n_shadows": 1001}, ["n_shadows = 1001", "to 1,000"]),
        ({"ipc": "[10, 50]"}, ["ipc = '[10, 50]'", "this is text, write {ipc: [10, 50]}"]),
        ({"epochs": [5], "__annotations__": {"epochs": int}}, ["epochs = [5]", "expected one int here"]),
    ],
)
def test_parameters_that_do_not_fit_are_refused(given, words, refused):
    with refused(errors.ParameterError, *words):
        parameters.check(given)


def test_what_is_no_plain_data_or_ipythons_own_is_no_parameter():
    given = {"seed": 3, "In": [""], "Out": {}, "_": 3, "_i1": "", "np": np, "open": open, "Path": Path}
    assert parameters.check(given) == {"seed": 3}


def test_parameters_of_other_notebooks_are_checked_but_not_returned(refused):
    given = {"__annotations__": {"seed": int}, "seed": 3, "ipc": [3], "outer": 0}  # papermill -f PROFILE
    assert parameters.check(given) == {"seed": 3}
    with refused(errors.ParameterError, "ipc = 0"):
        parameters.check(given | {"ipc": 0})


def test_a_notebook_that_has_been_run_may_check_again_with_its_own_variables():
    given = {"seed": 3}
    parameters.check(given)
    assert parameters.check(given | {"number": 3, "seed": 4}) == {"seed": 4}


def test_a_value_above_what_the_data_allow_is_refused(refused):
    errors.check_at_most("n_canaries", 299, 299, "images")
    with refused(errors.ParameterError, "n_canaries = 300", "299 images", "at most"):
        errors.check_at_most("n_canaries", 300, 299, "images")


# ---------------------------------------------------------------- folders and artefacts


@pytest.mark.parametrize("below", ["", "deeper"])
def test_unwritable_results_folder_is_refused(below, refused, tmp_path, monkeypatch):
    (tmp_path / "quick").write_text("a file, where a folder is needed")
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path / "quick" / below if below else tmp_path))
    with refused(PermissionError, f"write to the results folder {tmp_path}/quick", "set DCPRIV_RESULTS"):
        paths.results("quick")


def save(path: Path):
    """Save an artefact and return its reader."""
    if path.suffix == ".csv":
        store.save_table(path, pd.DataFrame({"run": range(50)}), INPUTS)
        return store.load_table
    store.save_arrays(path, {"members": np.arange(50)}, INPUTS)
    return store.load_arrays


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


ARTEFACT_DAMAGE = {  # name: (what happens to the file, words of the message)
    "missing": (Path.unlink, ["does not exist yet", f"run {NOTEBOOK} first"]),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-9]), ["truncated", f"re-run {NOTEBOOK}"]),
    "one byte changed": (flip, ["was changed after it was written", f"re-run {NOTEBOOK}, which replaces it"]),
    "without record": (
        lambda path: store.sidecar(path).unlink(),
        [".json", "missing or damaged", f"re-run {NOTEBOOK}, which replaces it"],
    ),
    "record not JSON": (lambda path: store.sidecar(path).write_bytes(b"\xff{"), ["missing or damaged"]),
    "record without inputs": (lambda path: store.sidecar(path).write_text('{"sha256": ""}'), ["missing or damaged"]),
    "record with odd inputs": (
        lambda path: store.sidecar(path).write_text('{"sha256": "", "inputs": 3}'),
        ["missing or damaged"],
    ),
}


@pytest.mark.parametrize("name", ["split.npz", "targets.csv"])
@pytest.mark.parametrize("damage", ARTEFACT_DAMAGE)
def test_damaged_artefact_names_the_file_and_its_notebook(name, damage, refused, tmp_path):
    load = save(tmp_path / name)
    change, words = ARTEFACT_DAMAGE[damage]
    change(tmp_path / name)
    with refused(store.ArtefactError, str(tmp_path / name), *words):
        load(tmp_path / name, INPUTS, NOTEBOOK)


@pytest.mark.parametrize("name", ["split.npz", "targets.csv"])
@pytest.mark.parametrize(("key", "wanted"), [("seed", 1), ("profile", "paper")])
def test_artefact_of_other_inputs_says_which(name, key, wanted, refused, tmp_path):
    load = save(tmp_path / name)
    with refused(
        store.ArtefactError,
        str(tmp_path / name),
        f"was made with {key} = {INPUTS[key]!r}",
        f"{key} = {wanted!r} is asked for",
        f"re-run {NOTEBOOK} with {key} = {wanted!r}",
    ):
        load(tmp_path / name, INPUTS | {key: wanted}, NOTEBOOK)


@pytest.mark.parametrize("kind", ["objects", "text"])
def test_artefact_forged_with_a_matching_hash_is_never_unpickled(kind, refused, tmp_path):
    path, marker = tmp_path / "split.npz", tmp_path / "marker"
    save(path)
    if kind == "text":
        path.write_text("not an archive")
    else:
        np.savez(path, members=np.array([Bomb(marker)], dtype=object))
    record = store.sidecar(path).read_text()
    right = store.read_sidecar(path)["sha256"]
    store.sidecar(path).write_text(record.replace(right, hashlib.sha256(path.read_bytes()).hexdigest()))
    with refused(store.DamagedError, str(path), "not an .npz of plain arrays", f"re-run {NOTEBOOK}"):
        store.load_arrays(path, INPUTS, NOTEBOOK)
    assert not marker.exists()


def test_unreadable_artefact_is_called_unreadable_and_not_made_again(refused, tmp_path):
    path = store.cached_path(tmp_path / "a", INPUTS)
    save(path)
    path.unlink()
    path.symlink_to("/proc/self/mem")
    for load in (
        lambda: store.load_arrays(path, INPUTS, NOTEBOOK),
        lambda: store.cached(tmp_path / "a", INPUTS, never),
    ):
        with refused(store.ArtefactError, str(path), "cannot be read (Input/output error)", "correct"):
            load()


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), KeyboardInterrupt("broken")])
def test_interrupted_write_keeps_the_old_file_and_leaves_no_other(error, refused, tmp_path, monkeypatch):
    def fail(*_):
        raise error

    path = tmp_path / "split.npz"
    save(path)
    monkeypatch.setattr(os, "replace", fail)
    for write in (lambda: store.write(path, b"new"), lambda: save(path)):
        with refused(type(error), "broken"):
            write()


@pytest.mark.parametrize("files_that_fit", [0, 1, 2])
def test_full_disk_names_the_file_and_leaves_the_old_one(files_that_fit, refused, tmp_path, monkeypatch):
    load, calls = save(tmp_path / "split.npz"), []

    def fail_when_full(_):
        calls.append(1)
        if len(calls) > files_that_fit:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail_when_full)
    with refused(OSError, f"cannot write {tmp_path}/split.npz", "No space left on device", "make room"):
        store.save_arrays(tmp_path / "split.npz", {"members": np.arange(60)}, INPUTS | {"seed": 1})
    with refused(OSError, f"cannot write {tmp_path}/new.svg", "No space left on device"):
        store.write(tmp_path / "new.svg", b"new")
    assert len(load(tmp_path / "split.npz", INPUTS, NOTEBOOK)["members"]) == 50


def test_changed_inputs_make_a_second_file_and_keep_the_first(tmp_path):
    def of(seed):
        return store.cached(tmp_path / "a", {"seed": seed}, lambda _: {"x": np.array(seed)})["x"]

    assert of(0) == 0
    before = contents(tmp_path)
    assert of(1) == 1 and len(list(tmp_path.glob("a-*.npz"))) == 2
    assert before.items() <= contents(tmp_path).items()
    assert store.cached(tmp_path / "a", {"seed": 0}, never)["x"] == 0


def test_interrupted_computation_leaves_nothing_in_the_cache(refused, tmp_path):
    def stop(_):
        raise KeyboardInterrupt("stopped")

    with refused(KeyboardInterrupt, "stopped"):
        store.cached(tmp_path / "a", INPUTS, stop)


@pytest.mark.slow
def test_notebook_without_its_input_names_the_notebook_to_run_and_leaves_no_artefact(tmp_path):
    command = [
        sys.executable,
        "-m",
        "papermill",
        "--no-progress-bar",
        paths.NOTEBOOKS / "02_condensation.ipynb",
        tmp_path / "out.ipynb",
    ]
    done = subprocess.run(
        command,
        env=os.environ | {"DCPRIV_RESULTS": str(tmp_path / "results")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode != 0
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith(f"ArtefactError: {tmp_path}/results/quick/split.npz does not exist yet: run {NOTEBOOK} first")
    )
    assert list(contents(tmp_path)) == [tmp_path / "out.ipynb"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ipc": [2, 0]}, ["ipc = 0", "between 1 and 5"]),
        ({"ipc": [2, 6]}, ["ipc = 6", "has only 5 members"]),
        ({"ipc": [1, 3], "outer": 0}, ["outer = 0", "not 3", "set outer and inner yourself"]),
        ({"outer": -1}, ["outer = -1", "expected 0 or more"]),
        ({"iterations": [1, 2, 3]}, ["iterations = [1, 2, 3]", "one for each of ipc = [1, 2]"]),
    ],
)
def test_all_settings_of_a_condensation_are_checked_before_the_first(changes, words, refused):
    run = {
        "ipc": [1, 2],
        "iterations": 1,
        "outer": 1,
        "inner": 1,
        "width": 4,
        "real_batch": 8,
        "image_lr": 1,
        "start": "noise",
    }
    with refused(ValueError, *words):
        defaults.settings(torch.arange(3).repeat(5), **run | changes)


def test_an_empty_condensation_is_refused(refused):
    with refused(ValueError, "outer = 0", "at least 1"):
        condense.condense(
            torch.zeros(4, 1, 16, 16),
            torch.tensor([0, 0, 1, 1]),
            method.Settings(1, 1, 0, 0),
            make_network=never,
            seed=0,
        )
