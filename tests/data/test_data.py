"""Who holds what: the paper's indices, disjoint parts, pixels."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from dcpriv_lib import study
from dcpriv_lib.attacks.shadow_models import shadow_split
from dcpriv_lib.data import catalogue, dataset, own
from dcpriv_lib.data.split import ArtefactError, Split, load_split, make_split, some_images, split_indices
from dcpriv_lib.engine import errors, store
from dcpriv_lib.results import report


def fake_mnist(count=60_000):
    """A data set with MNIST's name and size, blank images, and all ten classes everywhere."""
    images = torch.zeros(count, 1, 1, 1, dtype=torch.uint8)
    return dataset.Dataset(
        "mnist", images, torch.arange(count) % 10, images[:0], torch.zeros(0, dtype=int), tuple("0123456789")
    )


def test_mnist_split_is_the_papers():
    parts = split_indices(fake_mnist(), seed=0)
    # scikit-learn's train_test_split, written out: a permutation seeded with 42, its first half is the test set
    order = np.random.RandomState(42).permutation(30_000)
    assert np.array_equal(parts["non_members"], order[:15_000])
    assert np.array_equal(parts["members"], order[15_000:])
    assert np.array_equal(parts["attacker"], np.arange(30_000, 60_000))


def test_another_seed_gives_another_split():
    first, second = (split_indices(fake_mnist(), seed)["members"] for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_shadow_split_is_the_papers():
    attacker = np.arange(30_000, 60_000)
    members, non_members = shadow_split(attacker, 15_000, number=3)
    shuffled = np.random.RandomState(3).permutation(attacker)
    assert np.array_equal(np.concatenate([members, non_members]), shuffled)
    assert not np.array_equal(shadow_split(attacker, 15_000, 3, seed=1)[0], members)


def test_digits_parts_are_disjoint_balanced_and_have_fifty_members_a_class(digits):
    parts = digits.indices
    together = np.concatenate(list(parts.values()))
    assert len(np.unique(together)) == len(together) == 1797
    assert len(parts["members"]) == len(parts["non_members"]) == 599
    assert torch.bincount(digits.part("members")[1]).min() >= 50


@pytest.mark.parametrize(
    ("pixels", "mean", "deviation"), [("standard", 0, 1), ("unit", None, None), ("raw", None, None)]
)
def test_pixels_and_back(digits, pixels, mean, deviation):
    split = Split(digits.dataset, digits.indices, {"pixels": pixels})
    seen = split.pixels(split.dataset.images)
    if mean is not None:
        assert seen.mean().item() == pytest.approx(mean, abs=1e-4)
        assert seen.std().item() == pytest.approx(deviation, abs=1e-3)
    else:
        assert seen.max().item() == {"unit": 1, "raw": 255}[pixels]
    assert torch.allclose(split.grey_levels(seen), split.dataset.images / 255, atol=1e-6)


def test_a_changed_pixel_changes_the_digest(digits):
    images = digits.dataset.images.clone()
    images[7, 0, 3, 3] ^= 1
    assert store.digest(images) != store.digest(digits.dataset.images)


def test_a_data_set_that_changed_after_the_split_is_noticed(tmp_path, monkeypatch):
    make_split(tmp_path, profile="p", dataset="digits", seed=0, pixels="unit")
    changed = catalogue.load("digits")
    changed.images[0, 0, 0, 0] ^= 1
    monkeypatch.setattr(catalogue, "load", lambda name, keep: changed)
    with pytest.raises(ArtefactError, match="changed since; re-run notebooks/01_data_split"):
        load_split(tmp_path, profile="p", dataset="digits", seed=0)


# ---------------------------------------------------------------- a folder of images


@pytest.fixture
def pets(tmp_path):
    """A folder with 24 JPEG files of noise in each of two classes, all of one size."""
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "data/pets" / label).mkdir(parents=True)
        for number in range(24):
            noise = rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)
            file = tmp_path / f"data/pets/{label}/{number:02}.jpg"
            Image.fromarray(noise).save(file)
            file.write_bytes(file.read_bytes().ljust(4000, b"\0"))  # what follows the end of a JPEG is no picture
    return tmp_path / "data/pets"


def undecodable(file):
    raise AssertionError(f"{file} is decoded")


def test_an_image_folder_is_decoded_once_and_to_the_same_bits(pets, tmp_path, monkeypatch):
    direct, kept = catalogue.load(str(pets)), catalogue.load(str(pets), tmp_path / "kept")
    monkeypatch.setattr(own, "_image", undecodable)
    again = catalogue.load(str(pets), tmp_path / "kept")
    files = [file for label in ("cat", "dog") for file in sorted((pets / label).iterdir())]
    pixels = np.stack([np.asarray(Image.open(file)).transpose(2, 0, 1) for file in files])
    for found in (direct, kept, again):
        assert np.array_equal(found.images, pixels) and found.labels.tolist() == [0] * 24 + [1] * 24
    assert direct.digest() == kept.digest() == again.digest() and direct.classes == again.classes
    with pytest.raises(AssertionError, match="cat/00.jpg is decoded"):  # the planted error is live
        catalogue.load(str(pets))
    assert not list(pets.rglob("*.npz"))


def overwritten(folder):
    """Another picture in a file of the same size: only the time tells."""
    (folder / "cat/00.jpg").write_bytes((folder / "dog/00.jpg").read_bytes())


@pytest.mark.parametrize(
    "change",
    [
        overwritten,
        lambda folder: (folder / "cat/00.jpg").unlink(),
        lambda folder: (folder / "cat/00.jpg").rename(folder / "cat/99.jpg"),
        lambda folder: Image.new("RGB", (14, 14)).save(folder / "dog/more.png"),
    ],
    ids=["changed", "removed", "renamed", "added"],
)
def test_a_changed_image_folder_is_decoded_again(change, pets, tmp_path):
    before = catalogue.load(str(pets), tmp_path / "kept")
    change(pets)
    after = catalogue.load(str(pets), tmp_path / "kept")
    assert after.digest() == catalogue.load(str(pets)).digest() != before.digest()


def test_another_pillow_decodes_again(pets, tmp_path, monkeypatch):
    catalogue.load(str(pets), tmp_path / "kept")
    monkeypatch.setattr("PIL.__version__", "1.0")
    monkeypatch.setattr(own, "_image", undecodable)
    with pytest.raises(AssertionError, match="is decoded"):
        catalogue.load(str(pets), tmp_path / "kept")


def test_damaged_pixels_are_decoded_again(pets, tmp_path, capsys):
    whole = catalogue.load(str(pets), tmp_path / "kept").digest()
    (kept,) = (tmp_path / "kept").glob("decoded-*.npz")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    assert catalogue.load(str(pets), tmp_path / "kept").digest() == whole
    assert "is truncated, was changed" in capsys.readouterr().err and kept.read_bytes() != bytes(content)


@pytest.mark.parametrize("moment", ["while it decodes", "between its record and its pixels"])
def test_another_process_that_decodes_at_the_same_time_does_no_harm(moment, pets, tmp_path, monkeypatch):
    """Here the other one begins and ends at the worst moments of the first."""
    keep, others, place = tmp_path / "kept", [], (own, "_image") if moment.startswith("while") else (os, "replace")
    usual = getattr(*place)

    def interrupted(*arguments):
        if len(others) < 1 + (place[1] == "replace"):  # of the two renamings of the first, before each
            others.append(None)
            monkeypatch.setattr(*place, usual)
            others[-1] = catalogue.load(str(pets), keep).digest()
            monkeypatch.setattr(*place, interrupted)
        return usual(*arguments)

    monkeypatch.setattr(*place, interrupted)
    found = catalogue.load(str(pets), keep).digest()
    assert {found, *others} == {catalogue.load(str(pets)).digest()}
    (kept,) = keep.glob("decoded-*.npz")
    assert store.load_arrays(kept, {}, "")["images"].shape == (48, 3, 14, 14)
    assert len(list(keep.iterdir())) == 2  # the pixels and their record: nothing half written


def test_the_endings_of_images_are_torchvisions_and_one_more():
    from torchvision.datasets.folder import IMG_EXTENSIONS

    assert own.IMAGE_ENDINGS == (*IMG_EXTENSIONS, ".jfif")


def test_a_relative_path_is_looked_for_here_and_then_among_the_data_sets(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_DATA", str(tmp_path / "data"))
    (tmp_path / "here/pets").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert len(catalogue.load("pets").images) == 48
    monkeypatch.chdir(tmp_path / "here")  # where a folder of that name is, though without images
    with pytest.raises(dataset.DataError, match="^pets is not an image folder"):
        catalogue.load("pets")


@pytest.mark.parametrize("name", ["gone/pets", "gone.npz"])
def test_both_places_of_a_path_that_is_nowhere_are_named(name, tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    places = f"looked for {tmp_path}/{name} and {tmp_path}/data/{name}: correct the path"
    with pytest.raises(dataset.DataError, match=places):
        catalogue.load(name)


def test_some_images_of_a_data_set(pets, tmp_path):
    """They are drawn once, in file order, and every later notebook finds the same ones."""
    which = {"profile": "p", "dataset": str(pets), "seed": 1}
    split = make_split(tmp_path / "some", **which, pixels="unit", n_images=40)
    whole = catalogue.load(str(pets))
    assert [len(rows) for rows in split.indices.values()] == [10, 10, 20]
    place = {image.numpy().tobytes(): row for row, image in enumerate(whole.images)}
    rows = [place[image.numpy().tobytes()] for image in split.dataset.images]
    assert rows == sorted(set(rows)) and split.dataset.labels.tolist() == whole.labels[rows].tolist()
    again = load_split(tmp_path / "some", **which)
    assert again.dataset.digest() == split.dataset.digest() and again.inputs == split.inputs
    another = some_images(whole, 40, seed=2)
    assert another.digest() != split.dataset.digest()
    with pytest.raises(errors.ParameterError, match="n_images = 49: there are 48 images in .*pets"):
        make_split(tmp_path / "some", **which, pixels="unit", n_images=49)


def test_all_images_are_identified_as_before_there_was_a_choice(tmp_path):
    """Whatever was computed of a whole data set is found again, by splits of today and of before."""
    which = {"profile": "p", "dataset": "digits", "seed": 0}
    made = make_split(tmp_path, **which, pixels="standard")
    assert store.fingerprint(made.inputs) == "72ab1e42b9"
    assert store.fingerprint(load_split(tmp_path, **which).inputs) == "72ab1e42b9"
    record = store.read_record(tmp_path / "split.npz")["inputs"]
    del record["n_images"]
    store.save_arrays(tmp_path / "split.npz", made.indices, record)
    assert store.fingerprint(load_split(tmp_path, **which).inputs) == "72ab1e42b9"


def test_the_jpeg_copy_is_called_so_on_the_front_page(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("DCPRIV_DATA", str(tmp_path))
    (tmp_path / "CIFAR-10-images").mkdir()
    pets.rename(tmp_path / "CIFAR-10-images/train")
    ours = study.Study.divide("mine", "CIFAR-10-images/train", 1, "unit")
    ours.table(study.pd.DataFrame({"a": [1]}), "a")
    assert report.run(ours.folder / "tables").startswith("Profile mine on CIFAR-10, JPEG copy, run on ")


@pytest.mark.mnist
def test_real_mnist_splits_as_in_the_paper():
    mnist = catalogue.load("mnist")
    assert mnist.images.shape == (60_000, 1, 28, 28) and mnist.test_images.shape == (10_000, 1, 28, 28)
    assert mnist.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    parts = split_indices(mnist)
    assert [len(indices) for indices in parts.values()] == [15_000, 15_000, 30_000]
    split = Split(mnist, parts, {"pixels": "standard"})
    mean, deviation = split.scale  # the constants everybody uses for MNIST
    assert mean.item() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert deviation.item() / 255 == pytest.approx(0.3081, abs=1e-4)


@pytest.mark.mnist
def test_real_mnist_members_train_the_papers_network():
    """300 steps on 2,000 members reach well over 80 % on non-members: real images, right labels."""
    from dcpriv_lib.engine.seeding import generator
    from dcpriv_lib.models import networks, training

    mnist = catalogue.load("mnist")
    split = Split(mnist, split_indices(mnist), {"pixels": "standard"})
    images, labels = split.rows(split.indices["members"][:2000])
    network = networks.initialise(networks.PaperCNN(*split.shape), generator(0))
    training.train(network, images, labels, epochs=3, generator=generator(1))
    others, truth = split.rows(split.indices["non_members"][:2000])
    assert training.accuracy(training.predict(network, others), truth) > 0.8
