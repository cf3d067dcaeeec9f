"""The authors' files: read as Keras would, refused when they are not what they should be, and what follows from
them."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import t as student

from dcpriv_lib.attacks import shadow_models
from dcpriv_lib.data import catalogue, dataset
from dcpriv_lib.data.split import Split, split_indices
from dcpriv_lib.external import authors
from dcpriv_lib.models import networks, training
from dcpriv_lib.results import against_the_authors, comparison
from dcpriv_lib.results.literature import RESULT_FILES

SHAPE = 1, 20, 3  # small, and yet the first dense layer flattens more than one pixel
KINDS = ("Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D", "Flatten", "Dense", "Dense")
NAMES = ("conv2d_4", "max_pooling2d_4", "conv2d_5", "max_pooling2d_5", "flatten_2", "dense_4", "dense_5")
ACTIVATIONS = ("tanh", None, "tanh", None, None, "tanh", "softmax")
SHAPES = {"conv2d_4": (5, 5, 1, 28), "conv2d_5": (3, 3, 28, 28), "dense_4": (252, 128), "dense_5": (128, 3)}


def save_keras(path, weights, kinds=KINDS, data_format="channels_last"):
    """Write a model as Keras 2 does: its architecture as JSON, its weights as groups in groups."""
    layers = [
        {"class_name": kind, "config": {"name": name, "activation": activation, "data_format": data_format}}
        for kind, name, activation in zip(kinds, NAMES, ACTIVATIONS)
    ]
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(
            {"config": {"layers": [{"class_name": "InputLayer", "config": {}}, *layers]}}
        )
        for name, (kernel, bias) in weights.items():
            file[f"model_weights/{name}/{name}/kernel:0"] = kernel
            file[f"model_weights/{name}/{name}/bias:0"] = bias
    return path


@pytest.fixture
def weights():
    rng = np.random.default_rng(1)
    return {
        name: (rng.normal(0, 0.2, shape).astype(np.float32), rng.normal(0, 0.2, shape[-1]).astype(np.float32))
        for name, shape in SHAPES.items()
    }


def keras_forward(weights, images):
    """The logits of float64 images [n, H, W, C] as Keras computes them, written out."""
    values = images
    for name in ("conv2d_4", "conv2d_5"):
        kernel, bias = (array.astype(np.float64) for array in weights[name])
        windows = np.lib.stride_tricks.sliding_window_view(values, kernel.shape[:2], axis=(1, 2))
        values = np.tanh(np.einsum("nyxcij,ijco->nyxo", windows, kernel) + bias)
        n, height, width, channels = values.shape
        height, width = height // 2, width // 2
        values = values[:, : 2 * height, : 2 * width].reshape(n, height, 2, width, 2, channels).max((2, 4))
    values = values.reshape(len(values), -1)
    kernel, bias = (array.astype(np.float64) for array in weights["dense_4"])
    hidden = np.tanh(values @ kernel + bias)
    kernel, bias = (array.astype(np.float64) for array in weights["dense_5"])
    return hidden @ kernel + bias


def test_a_keras_model_answers_as_keras_would(tmp_path, weights):
    network = networks.PaperCNN(*SHAPE)
    found = authors.read_weights(save_keras(tmp_path / "model.h5", weights), SHAPE)
    network.load_state_dict({name: torch.as_tensor(value) for name, value in found.items()})
    images = np.random.default_rng(2).normal(size=(7, 20, 20, 1))
    answers = training.predict(network, torch.tensor(images, dtype=torch.float32).permute(0, 3, 1, 2))
    assert np.abs(answers.numpy() - keras_forward(weights, images)).max() < 1e-5


def test_published_models_are_asked_about_every_image_and_their_answers_kept_by_name(tmp_path, weights):
    images = np.random.default_rng(2).integers(0, 256, (7, 20, 20, 1))
    pixels = torch.tensor(images, dtype=torch.uint8).permute(0, 3, 1, 2)
    split = Split(dataset.in_memory("seven", pixels, [0] * 7, classes="abc"), {}, {"pixels": "raw"})
    save_keras(tmp_path / "a.h5", weights)
    asked = []

    def computed_once(name, function, *arguments):
        asked.append((name, len(arguments)))
        return {key: value.numpy() for key, value in function(*arguments).items()}

    found = authors.models(split, torch.device("cpu"), computed_once, tmp_path, {"a": "a.h5", "again": "a.h5"})
    expected = keras_forward(weights, images.astype(np.float64))
    assert asked == [("authors-a", 8), ("authors-again", 8)] and found.test_logits.shape == (2, 0, 3)
    assert found.table.to_dict("list") == {"target": ["a", "again"], "run": [0, 0]}
    assert np.abs(found.logits - expected).max() < 1e-4 * np.abs(expected).max()


def transposed(weights):
    return weights | {"dense_5": (weights["dense_5"][0].T.copy(), weights["dense_5"][1])}


def renamed(weights):
    return {name.replace("dense_5", "dense_9"): pair for name, pair in weights.items()}


def with_nan(weights):
    kernel, bias = weights["conv2d_5"]
    kernel[0, 0, 3, 3] = np.nan
    return weights | {"conv2d_5": (kernel, bias)}


def float64(weights):
    return weights | {"dense_4": (weights["dense_4"][0].astype(np.float64), weights["dense_4"][1])}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (transposed, r"layer dense_5 holds float32 \[3, 128\]: expected float32 \[128, 3\]"),
        (renamed, "lacks the weights of a layer that it names.*dense_5"),
        (with_nan, "layer conv2d_5 holds NaN"),
        (float64, r"layer dense_4 holds float64 \[252, 128\]: expected float32"),
    ],
)
def test_a_wrong_layer_is_refused(tmp_path, weights, damage, message):
    path = save_keras(tmp_path / "model.h5", damage(weights))
    with pytest.raises(authors.AuthorsError, match=f"model.h5.*{message}.*git clone https://github.com/eshan-rg/"):
        authors.read_weights(path, SHAPE)


def test_a_truncated_or_foreign_file_is_refused(tmp_path, weights):
    path = save_keras(tmp_path / "model.h5", weights)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(authors.AuthorsError, match="model.h5 is truncated or no HDF5 file.*git clone"):
        authors.read_weights(path, SHAPE)
    path.write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(authors.AuthorsError, match="model.h5 is truncated or no HDF5 file"):
        authors.read_weights(path, SHAPE)
    with pytest.raises(authors.AuthorsError, match="absent.h5 does not exist"):
        authors.read_weights(tmp_path / "absent.h5", SHAPE)


def test_another_architecture_is_refused(tmp_path, weights):
    exchanged = (*KINDS[:4], "Dense", "Flatten", "Dense")
    with pytest.raises(authors.AuthorsError, match="has the layers Conv2D.*not those of the paper's network"):
        authors.read_weights(save_keras(tmp_path / "a.h5", weights, exchanged), SHAPE)
    with pytest.raises(authors.AuthorsError, match="channels last"):
        authors.read_weights(save_keras(tmp_path / "b.h5", weights, data_format="channels_first"), SHAPE)
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["weights"] = np.zeros(3)
    with pytest.raises(authors.AuthorsError, match="does not say which layers it has"):
        authors.read_weights(tmp_path / "c.h5", SHAPE)


# ---------------------------------------------------------------- the clone


@pytest.fixture
def clone(tmp_path):
    """A folder with the files of a clone, their content made up."""
    for file in authors.FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    rng = np.random.default_rng(3)
    for ipc, (images, labels) in authors.CONDENSED.items():
        np.save(tmp_path / images, rng.normal(size=(10 * ipc, 28, 28)).astype(np.float32))
        np.save(tmp_path / labels, rng.permutation(np.repeat(np.arange(10), ipc)))
    return tmp_path


def test_a_missing_clone_or_file_names_the_command_that_gets_it(clone, tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_DATA", str(tmp_path / "data"))
    with pytest.raises(
        authors.AuthorsError, match="is not a folder: run git clone https://.*data/Dataset-Condensation"
    ):
        authors.find()
    assert authors.find(str(clone)) == clone
    (clone / authors.SHADOWS["shadow-7"]).unlink()
    with pytest.raises(authors.AuthorsError, match="mnist_shadow_15000_7.h5 is missing.*git clone"):
        authors.find(str(clone))


def test_condensed_images_are_read(clone):
    found = authors.condensed(clone, 10)
    assert found["images"].shape == (100, 1, 28, 28) and found["images"].dtype == np.float32
    assert np.array_equal(found["images"][:, 0], np.load(clone / authors.CONDENSED[10][0]))
    assert np.bincount(found["labels"]).tolist() == [10] * 10


def test_objects_are_never_unpickled(clone, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path / "exploded").touch, ()

    for file in authors.CONDENSED[10]:
        kept = (clone / file).read_bytes()
        np.save(clone / file, np.array([Bomb()], dtype=object), allow_pickle=True)
        with pytest.raises(authors.AuthorsError, match="condensed.npy .*holds objects, which could run code"):
            authors.condensed(clone, 10)
        (clone / file).write_bytes(kept)
    assert not (tmp_path / "exploded").exists()


def test_exchanged_or_damaged_condensed_images_are_refused(clone):
    ten, fifty = (clone / authors.CONDENSED[ipc][0] for ipc in (10, 50))
    images, labels = np.load(ten), clone / authors.CONDENSED[10][1]
    ten.write_bytes(fifty.read_bytes())
    with pytest.raises(authors.AuthorsError, match=r"float32 \[500, 28, 28\]: expected float32 \[100, 28, 28\]"):
        authors.condensed(clone, 10)
    images[5, 5, 5] = np.inf
    np.save(ten, images)
    with pytest.raises(authors.AuthorsError, match="holds NaN or infinity"):
        authors.condensed(clone, 10)
    images[5, 5, 5] = 0
    np.save(ten, images)
    np.save(labels, np.zeros(100, int))
    with pytest.raises(authors.AuthorsError, match="expected each of the labels 0 to 9 10 times"):
        authors.condensed(clone, 10)
    labels.write_bytes(labels.read_bytes()[:300])
    with pytest.raises(authors.AuthorsError, match="y_target_condensed.npy is missing or damaged"):
        authors.condensed(clone, 10)


@pytest.fixture(scope="module")
def published():
    """The real clone, and MNIST as the authors fed it."""
    mnist = catalogue.load("mnist")
    return authors.find(), mnist, split_indices(mnist)


def right(path, mnist, rows):
    """Which of some rows of MNIST a published model gets right."""
    network = networks.PaperCNN(1, 28, 10)
    network.load_state_dict(
        {name: torch.as_tensor(value) for name, value in authors.read_weights(path, (1, 28, 10)).items()}
    )
    return training.predict(network, mnist.images[rows].float()).argmax(1) == mnist.labels[rows]


@pytest.mark.mnist
@pytest.mark.authors
@pytest.mark.parametrize("target", ["condensed-10", "condensed-50"])
def test_the_condensed_models_are_as_accurate_as_their_result_files_say(published, target):
    clone, mnist, split = published
    found = [
        right(clone / authors.TARGETS[target], mnist, split[part]).double().mean().item()
        for part in ("members", "non_members")
    ]
    assert [round(one, 4) for one in found] == list(RESULT_FILES[target])


@pytest.mark.mnist
@pytest.mark.authors
def test_a_shadow_model_knows_exactly_the_images_of_its_split(published):
    clone, mnist, split = published
    attacker = split["attacker"]
    known = right(clone / authors.SHADOWS["shadow-3"], mnist, attacker).numpy()
    for seed, expected in ((0, 1.0), (1, 0.992)):
        inside, outside = (
            np.isin(attacker, rows) for rows in shadow_models.shadow_split(attacker, authors.DS, 3, seed)
        )
        assert known[inside].mean() == pytest.approx(expected, abs=1e-3 if seed else 0)
        assert known[outside].mean() < 0.995


# ---------------------------------------------------------------- the verdicts


@pytest.mark.parametrize(
    ("low", "high", "limit", "verdict"),
    [
        (0.1, 0.2, 0.0, "supported"),
        (-0.2, -0.1, 0.0, "contradicted"),
        (-0.1, 0.1, 0.0, "no difference detected"),
        (0.51, 0.52, 0.5, "supported"),
        (0.5, 0.52, 0.5, "no difference detected"),
        (np.nan, np.nan, 0.0, "no difference detected"),
    ],
)
def test_an_interval_supports_a_claim_only_above_the_limit(low, high, limit, verdict):
    assert comparison.supports(low, high, limit) == verdict


def test_the_difference_of_means_is_welchs():
    a, b = pd.Series([0.90, 0.92, 0.91, 0.95]), pd.Series([0.80, 0.86, 0.81])
    mean, low, high = comparison.difference(a, b)
    va, vb = a.var() / 4, b.var() / 3
    freedom = (va + vb) ** 2 / (va**2 / 3 + vb**2 / 2)
    reach = student.ppf(0.975, freedom) * np.sqrt(va + vb)
    expected = a.mean() - b.mean()
    assert (mean, low, high) == pytest.approx((expected, expected - reach, expected + reach))


def judged_models(condensed=(0.503, 0.497, 0.509), subset=(0.502, 0.496, 0.508), lira_tpr=(0.014, 0.009, 0.017)):
    """Numbers of the kind that notebook 8 finds, with the AUC of LiRA on few-image models as given."""

    def row(auc, tpr=(0.001, 0.0005, 0.002), accuracy=np.nan, recall=np.nan):
        return (
            dict(zip(("auc", "auc_low", "auc_high"), auc))
            | dict(zip(("tpr_at_0.001", "tpr_at_0.001_low", "tpr_at_0.001_high"), tpr))
            | {"accuracy": accuracy, "recall": recall}
        )

    rows = {
        ("original", "logistic regression"): row((0.52, 0.515, 0.53), accuracy=0.518, recall=0.885),
        ("original", "SVM"): row((0.517, 0.511, 0.523), accuracy=0.512, recall=0.885),
        ("original", "LiRA"): row((0.55, 0.545, 0.557), lira_tpr),
    }
    for target, few in (
        ("condensed-10", condensed),
        ("condensed-50", condensed),
        ("subset-10", subset),
        ("subset-50", subset),
    ):
        rows |= {
            (target, "logistic regression"): row((0.502, 0.496, 0.509), accuracy=0.501, recall=0.28),
            (target, "SVM"): row((0.503, 0.497, 0.509), accuracy=0.502, recall=0.56),
            (target, "LiRA, few"): row(few),
        }
    return pd.DataFrame(rows).T


@pytest.mark.parametrize(
    ("condensed", "subset", "answer"),
    [
        (
            (0.503, 0.497, 0.509),
            (0.502, 0.496, 0.508),
            "supported against this attack; no difference from a random subset detected",
        ),
        ((0.503, 0.497, 0.509), (0.530, 0.524, 0.536), "supported against this attack; safer than a random subset"),
        ((0.520, 0.514, 0.526), (0.502, 0.496, 0.508), "contradicted: members are recognised"),
        ((0.545, 0.499, 0.590), (0.502, 0.496, 0.508), "no difference detected"),
    ],
)
def test_safer_means_safer_than_the_original_and_is_compared_with_a_subset(condensed, subset, answer):
    evidence, found = against_the_authors.safer(judged_models(condensed, subset), "condensed-10")
    assert found == answer and f"{100 * subset[0]:.1f} %" in str(evidence)


def test_recall_is_read_together_with_false_alarms():
    evidence, found = against_the_authors.low_recall(judged_models().loc["condensed-10"])
    assert "28.0% of the members and 27.8% of the non-members (logistic regression)" in str(evidence)
    assert "56.0% of the members and 55.6% of the non-members (SVM)" in str(evidence)
    assert found == "recall is no evidence: both attacks are blind"
    seeing = judged_models()
    seeing.loc[("condensed-10", "SVM"), "auc_low"] = 0.51
    assert against_the_authors.low_recall(seeing.loc["condensed-10"])[1] == "see the AUC instead"


def test_a_weak_attack_is_one_that_lira_beats():
    assert against_the_authors.weak_attack(judged_models().loc["original"])[1] == "supported: a stronger one finds more"
    assert (
        against_the_authors.weak_attack(judged_models(lira_tpr=(0.002, 0.001, 0.003)).loc["original"])[1]
        == "no difference detected"
    )


def test_the_table_of_claims_follows_from_its_rules():
    accuracies = pd.DataFrame(
        {
            "members": [1.0, 0.885, 0.899],
            "non_members": [0.984, 0.882, 0.893],
            "non_members_low": [0.982, 0.877, 0.888],
            "non_members_high": [0.986, 0.887, 0.898],
        },
        index=["original", "condensed-10", "condensed-50"],
    )
    rng = np.random.default_rng(5)
    retrained = pd.DataFrame(
        [
            {"ipc": ipc, "trained on": kind, "non_members": mean + rng.normal(0, 0.003)}
            for ipc, means in ((10, (0.89, 0.81, 0.84)), (50, (0.91, 0.93, 0.93)))
            for kind, mean in zip(("condensed", "random", "balanced"), means)
            for _ in range(5)
        ]
    )
    found = against_the_authors.authors_claims(judged_models(), accuracies, retrained)
    verdicts = found.groupby("the paper concludes", sort=False)["verdict"].agg(list)
    assert verdicts["A condensed data set loses some accuracy"] == ["supported"] * 2
    assert verdicts["It performs better than a subset of the data"] == ["supported", "contradicted"]
    assert "+10.2 points [9.5, 10.9]" in str(found["its own models say"][0]), "the outer ends of both intervals"


def test_tables_three_ways_keep_the_papers_digits():
    accuracies = pd.DataFrame(
        {"members": [1.0, 0.88462], "non_members": [0.9836, 0.88151]}, index=["original", "condensed-10"]
    )
    table = against_the_authors.authors_table_1(accuracies, 15_000).set_index("target")
    assert table["to four digits"].tolist() == ["another model", "the same"]
    assert str(table.loc["condensed-10", "the paper prints"]) == "~90%"
    assert str(table.loc["condensed-10", "its files say, members / non-members"]) == "88.46 / 88.15"
