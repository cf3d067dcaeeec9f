"""Missing, damaged and unusable data sets are refused: the downloaded ones, .npz files and folders of images."""

import hashlib
import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bad_input import image_folder, npz
from dcpriv_lib.data import builtin, catalogue, dataset, foreign
from support import Bomb


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


def test_an_idx_file_that_is_a_pipe_or_a_terabyte_is_not_read(tmp_path):
    folder, name = tmp_path / "raw", "t10k-images-idx3-ubyte"
    write_idx_files(folder)
    os.truncate(folder / name, 2**40)
    with pytest.raises(dataset.DataError, match=f"{name} has 1,099,511,627,776 bytes: expected at most"):
        builtin.check_idx_files(folder, {})
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(dataset.DataError, match=f"there is no file {folder / name}"):
        builtin.check_idx_files(folder, {})


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


# ---------------------------------------------------------------- folders of strangers


def picture(file: Path, **how):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (14, 14), (9, 99, 200)).save(file, **how)


@pytest.mark.parametrize("parts", [("train", "test"), ("TRAIN", "val"), ("fold 1", "fold 2"), ("a", "b")])
def test_parts_of_a_data_set_are_no_classes(parts, refused, tmp_path):
    for part in parts:
        for label in ("0", "1"):
            picture(tmp_path / "D" / part / label / "x.png")
    with refused(dataset.DataError, "look like the parts of a data set", "0, 1 in each", f"name {tmp_path}/D/"):
        catalogue.load(str(tmp_path / "D"))
    assert catalogue.load(str(tmp_path / "D" / parts[0])).classes == ("0", "1")


def test_flat_parts_are_no_classes_either_and_folders_in_one_class_are_none(refused, tmp_path):
    for part in ("train", "test"):
        picture(tmp_path / "D" / part / "x.png")
    with refused(dataset.DataError, "look like the parts", "name "):
        catalogue.load(str(tmp_path / "D"))
    for file in ("cat/1/x.png", "cat/2/x.png", "dog/x.png", "test/y.png"):
        picture(tmp_path / "E" / file)
    assert catalogue.load(str(tmp_path / "E")).labels.tolist() == [0, 0, 1, 2]


def test_files_of_other_endings_are_told_in_one_line(tmp_path):
    path = Path(image_folder(tmp_path / "pets", (14, 14)))
    for name in ("cat/a.heic", "dog/b.HEIC", "dog/notes.txt", "dog/more/c", "cat/Thumbs.db", "cat/._x.png"):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text("x")
    with pytest.warns(UserWarning, match="left out") as caught:
        loaded = catalogue.load(str(path))
    (told,) = [str(one.message) for one in caught]
    assert len(loaded.images) == 2 and "\n" not in told and len(told) <= 300
    assert "4 files are left out" in told and "(2 .heic, 1 .txt, 1 without ending): 2 images are read" in told


def test_jfif_is_jpeg(tmp_path, recwarn):
    path = Path(image_folder(tmp_path / "pets", (14, 14)))
    picture(path / "cat/x.jfif", format="JPEG")
    assert catalogue.load(str(path)).labels.tolist() == [0, 0, 1] and not recwarn.list


def png_of_16_bits(colour: int, channels: int) -> bytes:
    """Return a PNG of 14x14 pixels of 16 bits a channel, which PIL cannot write; every value is 300."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = (b"\0" + np.full(14 * channels, 300, ">u2").tobytes()) * 14
    header = struct.pack(">IIBBBBB", 14, 14, 16, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


DEEP = {  # name: content of a file of 16 bits a channel
    "grey.png": png_of_16_bits(0, 1),
    "colour.png": png_of_16_bits(2, 3),
    "alpha.png": png_of_16_bits(6, 4),
    "colour.ppm": b"P6 14 14 65535\n" + np.full(14 * 14 * 3, 300, ">u2").tobytes(),
}


@pytest.mark.parametrize("name", DEEP)
def test_16_bits_a_channel_are_refused_in_grey_and_in_colour(name, refused, tmp_path):
    path = Path(image_folder(tmp_path / "pets", (14, 14)))
    (path / "cat" / name).write_bytes(DEEP[name])
    with refused(dataset.DataError, f"{name} has more than 8 bits a pixel", "convert it to 8 bits"):
        catalogue.load(str(path))


def test_an_image_is_read_as_its_pixels_lie_and_classes_are_in_the_order_of_text(tmp_path):
    for label in range(12):
        picture(tmp_path / "D" / str(label) / "x.png")
    image, note = Image.fromarray(np.arange(196 * 3, dtype=np.uint8).reshape(14, 14, 3)), Image.Exif()
    image.save(tmp_path / "D/0/a.png")
    note[274] = 6  # turn by 90 degrees
    image.save(tmp_path / "D/0/b.png", exif=note)
    loaded = catalogue.load(str(tmp_path / "D"))
    assert torch.equal(loaded.images[0], loaded.images[1])
    assert loaded.classes == ("0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9")


def test_a_small_file_that_announces_a_large_image_is_refused(refused, tmp_path, monkeypatch):
    path = Path(image_folder(tmp_path / "pets", (14, 14)))
    for side in (2049, 20_000, 60_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
        (path / "cat/big.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT")
        with refused(dataset.DataError, f"{path}/cat/big.png"):
            catalogue.load(str(path))
    (path / "cat/big.png").unlink()
    monkeypatch.setattr(foreign, "most_bytes", lambda: 1000)
    with refused(dataset.DataError, "2 images of shape (3, 14, 14)", "more than half of the memory"):
        catalogue.load(str(path))


def test_pipes_and_programs_are_no_images(refused, tmp_path):
    path = Path(image_folder(tmp_path / "pets", (14, 14)))
    os.mkfifo(path / "cat/pipe.png")
    with refused(dataset.DataError, "pipe.png is not a readable image (it is no regular file)"):
        catalogue.load(str(path))
    (path / "cat/pipe.png").unlink()
    (path / "cat/x.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 14 14\n"
    )  # PIL would start Ghostscript
    with refused(dataset.DataError, "x.png is not a readable image", "none of the formats"):
        catalogue.load(str(path))


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\nb", r"a\nb"), ("\x1b[2J", r"\x1b[2J"), (b"\xff\xfe".decode("utf-8", "surrogateescape"), r"\udcff\udcfe")],
)
def test_the_name_of_a_class_is_made_one_that_can_be_printed(name, shown, tmp_path):
    path = Path(image_folder(tmp_path / "pets", (14, 14)))
    shutil.copytree(path / "cat", path / name)
    (path / name / "0.png").rename(path / name / "7.png")
    assert shown in catalogue.load(str(path)).classes


def test_a_path_that_is_too_long_is_not_there(refused):
    for name in ("x" * 5000, "x" * 5000 + ".npz"):
        with refused(dataset.DataError, "dataset = 'xxx", "correct the path"):
            catalogue.load(name)
