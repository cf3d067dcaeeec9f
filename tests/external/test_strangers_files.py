"""Files that are no files, links to others, and files that announce more than they hold: one sentence, no memory."""

import io
import os
import pickle
import signal
import tracemalloc
import warnings
import zipfile
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from safetensors.numpy import save_file

from dcpriv_lib.data import dataset, foreign
from dcpriv_lib.engine import store
from dcpriv_lib.external import authors, early, files
from dcpriv_lib.models import networks
from support import Bomb

CPU, MOST = torch.device("cpu"), 40 * 2**20  # bytes that a refusal may take at its peak
SHAPE = (1, 20, 3)


@contextmanager
def refused(*words, error=dataset.DataError):
    """Check for one plain sentence of at most 300 characters with all words, soon and without memory."""

    def late(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    tracemalloc.start()
    try:
        with pytest.raises(error) as caught:
            yield
        message, peak = str(caught.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert message.isprintable() and len(message) <= 300 and all(word in message for word in words), message
    assert peak < MOST


def plain(call, *arguments) -> bool:
    """Return whether a call ends well, or in one plain sentence of at most 300 characters."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call(*arguments)
    except (dataset.DataError, authors.AuthorsError) as error:
        return str(error).isprintable() and len(str(error)) <= 300
    return True


def header(shape, descr="<f8") -> bytes:
    """Return the beginning of an npy file that announces an array."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def archive(path, entries: dict, how=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", how) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


DOORS = {
    "answers": lambda path, about: files.targets(str(path), about, CPU),
    "set": lambda path, about: files.synthetic_sets(str(path), about),
}


# ---------------------------------------------------------------- no regular file


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", ["pipe", "device", "folder", "loop", "long", "nothing"])
def test_what_is_no_file_is_refused_and_never_waited_for(door, what, digits, tmp_path):
    path = tmp_path / "a.npz"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what != "nothing":
        path.symlink_to({"device": "/dev/zero", "loop": "a.npz", "long": "x" * 255}[what])
    with refused("there is no file", "correct the path"):
        DOORS[door](path if what != "long" else tmp_path / ("y" * 5000), digits)


def test_a_model_of_the_authors_that_is_a_pipe_is_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.h5")
    with refused("a.h5 does not exist, or is no regular file", error=authors.AuthorsError):
        authors.read_weights(tmp_path / "a.h5", SHAPE)
    os.mkfifo(tmp_path / "a.npy")
    with refused("a.npy is missing or damaged", error=authors.AuthorsError):
        authors._npy(tmp_path / "a.npy")


# ---------------------------------------------------------------- more than there is


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_sparse_file_of_a_terabyte_is_not_read(suffix, digits, tmp_path):
    path = tmp_path / f"a.{suffix}"
    path.touch()
    os.truncate(path, 2**40)
    for door in DOORS.values():
        with refused("has 1,099,511,627,776 bytes: expected at most"):
            door(path, digits)


BOMBS = {  # what lies in the archive, and words of the message
    "a header of 50 GB": ({"members.npy": header((2**30, 50))}, ["damaged", "announces"]),
    "a header of more than there are": ({"members.npy": header((10**400,))}, ["damaged"]),
    "a negative length": ({"members.npy": header((-4, -2)) + bytes(64)}, ["damaged"]),
    "zeros": ({"images.npy": header((2**20,)) + bytes(2**23)}, ["bytes and would unpack to 8,388,608"]),
    "a text of a gigabyte": ({"kind.npy": header((), "<U268435456")}, ["announces"]),
    "objects": ({"members.npy": header((3,), "|O")}, ["holds objects", "never loaded"]),
    "fields": ({"members.npy": b"\x93NUMPY\3\0" + bytes(9)}, ["damaged"]),
    "no array": ({"members.npy": b"hello"}, ["damaged"]),
    "many": ({f"{n}.npy": b"" for n in range(1001)}, ["holds 1,001 arrays: expected at most 1,000"]),
    "torch's": ({"a/data.pkl": b"", "a/version": b"3"}, ["torch's own format", "never loaded", "numpy.savez"]),
}


@pytest.mark.parametrize("case", BOMBS)
def test_bombs_are_refused_before_memory_is_taken(case, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "SMALL", 2**20)
    entries, words = BOMBS[case]
    path = archive(tmp_path / "a.npz", entries)
    for door in DOORS.values():
        with refused("a.npz", *words):
            door(path, digits)


def test_arrays_of_more_than_half_of_the_memory_are_not_read(digits, tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", x=np.zeros(10_000), y=np.zeros(10))
    monkeypatch.setattr(foreign, "most_bytes", lambda: 81_000)
    assert list(foreign.npz_arrays(tmp_path / "a.npz", "DATA", "", ("y",))) == ["y"]
    monkeypatch.setattr(foreign, "most_bytes", lambda: 70_000)
    with refused("has 8", "bytes: expected at most 70,000"):
        foreign.npz_arrays(tmp_path / "a.npz", "DATA", "")
    np.savez_compressed(tmp_path / "b.npz", x=np.arange(10_000.0))
    with refused("announces arrays of 80,000 bytes: expected at most 70,000"):
        foreign.npz_arrays(tmp_path / "b.npz", "DATA", "")


def test_a_packing_that_numpy_never_uses_and_one_name_twice_are_refused(digits, tmp_path):
    path = archive(tmp_path / "a.npz", {"members.npy": header((4,)) + bytes(32)}, zipfile.ZIP_LZMA)
    with refused("packed as numpy never does"):
        files.targets(str(path), digits, CPU)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("members.npy", header((4,)) + bytes(32))
            file.writestr("members.npy", header((4,)) + bytes(32))
    with refused("holds two arrays of one name"):
        files.targets(str(path), digits, CPU)


def test_a_network_is_compared_before_it_is_built(digits, tmp_path):
    weights = {"features.0.weight": np.zeros((300_000, 1, 3, 3), np.float32), "features.0.bias": np.zeros(300_000)}
    np.savez(tmp_path / "w.npz", pixels="unit", **{name: value.astype(np.float32) for name, value in weights.items()})
    tracemalloc_limit = 200 * 2**20
    tracemalloc.start()
    with pytest.raises(dataset.DataError, match="w.npz: .* is not there: expected finite floats of shape"):
        files.targets(str(tmp_path / "w.npz"), digits, CPU)
    assert tracemalloc.get_traced_memory()[1] < tracemalloc_limit
    tracemalloc.stop()


def test_numbers_beyond_float32_are_refused(digits, tmp_path):
    path, labels = tmp_path / "a.npz", np.arange(10)
    for most, pixels in ((1e38, "unit"), (1e300, "raw"), (1e300, "standard")):
        np.savez(path, images=np.full((10, 16, 16), most), labels=labels, pixels=pixels)
        with refused(f"images of up to {most:.3g} are beyond all numbers"):
            files.synthetic_set(path, digits)
    weights = {
        name: value.numpy().astype(float) for name, value in networks.PaperCNN(*digits.shape).state_dict().items()
    }
    weights["classifier.3.bias"][0] = 1e300
    np.savez(path, pixels="unit", **weights)
    with refused("classifier.3.bias holds numbers beyond"):
        files.answers(path, digits, CPU)


# ---------------------------------------------------------------- other formats, odd names


def test_files_of_torch_and_pickles_are_recognised_and_not_opened(digits, tmp_path):
    marker = tmp_path / "marker"
    torch.save({"images": torch.zeros(2)}, tmp_path / "new.pt")
    torch.save({"images": torch.zeros(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Bomb(marker)))
    np.save(tmp_path / "a.npy", np.zeros(3))
    for name in ("new.pt", "old.pth", "a.pkl", "a.npy"):
        words = (
            ["one array", "numpy.save writes"]
            if name == "a.npy"
            else ["torch's own format or a pickle", "never loaded"]
        )
        for door in DOORS.values():
            with refused(name, "numpy.savez", *words):
                door(tmp_path / name, digits)
    assert not marker.exists()


def test_names_of_arrays_are_shortened_and_made_plain(digits, tmp_path):
    odd = {"\x1b[2J\n" + "x" * 90 + str(n): np.zeros(1) for n in range(300)}
    np.savez(tmp_path / "a.npz", **odd)
    save_file(odd, tmp_path / "a.safetensors")
    for suffix in ("npz", "safetensors"):
        for door in DOORS.values():
            with refused(f"a.{suffix}", "and 297 more"):
                door(tmp_path / f"a.{suffix}", digits)


KEYS = st.sampled_from(["kind", "members", "non_members", "attacker", "images", "labels", "pixels", "mean", "std"])
VALUES = st.one_of(
    st.sampled_from(["softmax", "logits", "unit", "\x1b[31m\n", "x" * 5000]).map(np.array),
    st.tuples(
        st.sampled_from([(), (0,), (10,), (10, 10), (599, 10), (10, 16, 16), (10, 1, 16, 16), (1, 1, 1, 1, 1)]),
        st.sampled_from(["f2", "f4", ">f8", "g", "u1", "i8", "?", "c8", "U3", "S2", "M8[s]", "i4,f4"]),
        st.sampled_from([0, 1]),
    ).map(lambda drawn: np.full(drawn[0], drawn[2], drawn[1]) if drawn[1] != "i4,f4" else np.zeros(drawn[0], drawn[1])),
)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(KEYS | st.text(max_size=20), VALUES, max_size=6))
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_sentence(digits, tmp_path, arrays):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as file:
        for name, value in arrays.items():
            content = io.BytesIO()
            np.save(content, value)
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())
    for door in DOORS.values():
        assert plain(door, path, digits)


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=300), st.integers(0, 400), st.sampled_from([b"", b"PK\3\4", b"\x93NUMPY\1\0", b"\x80\2"]))
def test_any_bytes_are_refused_in_one_sentence(digits, tmp_path, content, cut, start):
    whole = io.BytesIO()
    np.savez(whole, kind="logits", members=np.zeros((2, 2)))
    for name, found in (
        ("a.npz", whole.getvalue()[:cut] + content),
        ("b.npz", start + content),
        ("c.safetensors", content),
    ):
        (tmp_path / name).write_bytes(found)
        assert plain(files.answers, tmp_path / name, digits, CPU)


# ---------------------------------------------------------------- records


def test_a_file_of_this_report_that_states_no_pixels_or_was_exchanged_is_refused(digits, tmp_path):
    about = {"data": "0123456789abcdef", "seed": 0}
    digits.inputs.update(about)
    try:
        images = {"images": np.zeros((10, 1, 16, 16), np.float32), "labels": np.arange(10)}
        for number, inputs in enumerate((about, about | {"pixels": "odd"})):
            store.save_arrays(tmp_path / f"{number}.npz", images, inputs)
            with refused(f"{number}.npz: its record does not say pixels"):
                files.synthetic_set(tmp_path / f"{number}.npz", digits)
        paths = []
        for run in range(2):
            paths.append(store.cached_path(tmp_path / "set", about | {"pixels": "standard", "run": run}))
            store.save_arrays(paths[-1], images, about | {"pixels": "standard", "run": run})
        contents = [path.read_bytes() for path in paths]
        assert "images" in files.synthetic_set(paths[0], digits)
        for path, content in zip(paths, contents[::-1]):
            path.write_bytes(content)
            with refused(path.name, "is another result under this name", error=store.DamagedError):
                files.synthetic_set(path, digits)
    finally:
        for name in about:
            del digits.inputs[name]


# ---------------------------------------------------------------- numbers of few digits


def test_a_softmax_of_float16_has_finite_logarithms(digits, tmp_path):
    p = np.zeros((599, 10), np.float16)
    p[np.arange(599), np.arange(599) % 10] = 1
    p[0, :2] = (1, 6e-8)  # the smallest number above 0
    np.savez(tmp_path / "a.npz", kind="softmax", members=p, non_members=p)
    with pytest.warns(UserWarning, match="taken for 3e-08"):
        found = files.answers(tmp_path / "a.npz", digits, CPU)
    assert np.isfinite(found.logits).all() and found.logits.min() == pytest.approx(np.log(2.0**-25))


def test_no_advice_to_call_sums_of_probabilities_logits(digits, tmp_path):
    p = np.random.default_rng(0).dirichlet(np.ones(10), 599)
    p[:40] *= 4
    np.savez(tmp_path / "a.npz", kind="softmax", members=p.clip(0, 1), non_members=p.clip(0, 1))
    with refused("rows add up to", "save what the softmax gives") as caught:
        files.answers(tmp_path / "a.npz", digits, CPU)
    assert caught is None
    with pytest.raises(dataset.DataError) as told:
        files.answers(tmp_path / "a.npz", digits, CPU)
    assert "logits" not in str(told.value)
    np.savez(tmp_path / "a.npz", kind="logits", members=p.clip(0, 1), non_members=p.clip(0, 1))
    with pytest.warns(UserWarning, match="every number lies between 0 and 1"):
        files.answers(tmp_path / "a.npz", digits, CPU)


def test_files_of_models_are_read_before_anything_is_trained(digits, tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / "a.npz", kind="softmax", members=np.zeros((2, 10)), non_members=np.zeros((2, 10)))
    chosen = {
        "01_data_split": {"dataset": "digits", "seed": 0},
        "04_attack": {"extra_targets": str(tmp_path / "a.npz")},
    }
    monkeypatch.setattr(early.profiles, "read", lambda name: chosen)
    monkeypatch.setattr(early, "load_split", lambda *_, **__: digits)
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path / "results"))
    assert early.main("mine") == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "a.npz: members is float64 of shape (2, 10): expected finite floats" in told
    chosen["04_attack"]["extra_targets"] = []
    assert early.main("mine") == 0


# ---------------------------------------------------------------- HDF5


@pytest.fixture
def keras(tmp_path):
    """A model as Keras saves it, with made-up weights."""
    from test_authors import save_keras  # the same folder

    network, rng = networks.PaperCNN(*SHAPE), np.random.default_rng(1)
    found = {}
    for ours, name in zip(authors.OURS, ("conv2d_4", "conv2d_5", "dense_4", "dense_5")):
        layer = network.get_submodule(ours)
        found[name] = (
            rng.normal(size=authors._keras_shape(layer)).astype(np.float32),
            rng.normal(size=layer.bias.shape).astype(np.float32),
        )
    return save_keras(tmp_path / "model.h5", found)


def test_weights_that_lie_in_another_file_are_refused(keras, tmp_path):
    assert authors.read_weights(keras, SHAPE)
    place, secret = "model_weights/dense_5/dense_5/bias:0", tmp_path / "secret.bin"
    secret.write_bytes(np.full(3, 5, np.float32).tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.full(3, 5, np.float32)
    os.mkfifo(tmp_path / "pipe.h5")
    layout = h5py.VirtualLayout((3,), np.float32)
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (3,))

    def external(file):
        space, listed = h5py.h5s.create_simple((3,)), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        listed.set_external(str(secret).encode(), 0, 12)
        h5py.h5d.create(file.id, place.encode(), h5py.h5t.IEEE_F32LE, space, listed)

    changes = {
        "link": lambda file: file.__setitem__(place, h5py.ExternalLink(str(tmp_path / "other.h5"), "x")),
        "link to a pipe": lambda file: file.__setitem__(place, h5py.ExternalLink(str(tmp_path / "pipe.h5"), "x")),
        "loop": lambda file: file.__setitem__(place, h5py.SoftLink("/" + place)),
        "virtual": lambda file: file.create_virtual_dataset(place, layout),
        "external": external,
        "group": lambda file: file.create_group(place),
        "type": lambda file: file.__setitem__(place, np.dtype("f4")),
        "other chunks": lambda file: file.create_dataset(place, (3,), "f4", chunks=(2**20,), maxshape=(None,)),
        "nothing": lambda file: None,
    }
    words = {"virtual": "does not lie in this file", "external": "does not lie in this file", "group": "holds no array"}
    words |= dict.fromkeys(("link", "link to a pipe", "loop"), "is a link, which may lead to another file")
    for name, change in changes.items():
        with h5py.File(keras, "r+") as file:
            del file[place]
            change(file)
        with refused("model.h5", words.get(name, ""), error=authors.AuthorsError):
            authors.read_weights(keras, SHAPE)
        with h5py.File(keras, "r+") as file:
            if name != "nothing":
                del file[place]
            file[place] = np.zeros(3, np.float32)
    with h5py.File(keras, "r+") as file:
        del file["model_weights"]
        file["model_weights"] = np.zeros(3)
    with refused("lacks the weights", error=authors.AuthorsError):
        authors.read_weights(keras, SHAPE)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 6000), st.integers(1, 255))
def test_a_changed_byte_of_a_model_is_read_or_refused_in_one_sentence(keras, place, change):
    content = bytearray(keras.read_bytes())
    content[place] ^= change
    other = keras.with_name("changed.h5")
    other.write_bytes(content)
    assert plain(authors.read_weights, other, SHAPE)


def test_an_npy_of_the_authors_takes_no_memory_before_its_shape_is_checked(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(header((2**30, 50)))
    with refused("a.npy is missing or damaged", error=authors.AuthorsError):
        authors._npy(path)
    os.truncate(path, 2**30 * 400 + 128)
    found = np.array([0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = authors._npy(path)
    assert isinstance(found, np.memmap)
    np.savez(tmp_path / "b.npz", x=np.zeros(2))
    os.rename(tmp_path / "b.npz", path)
    with refused("an npz file", error=authors.AuthorsError):
        authors._npy(path)
