"""The lecture: it stands alone, its functions compute what they say, and its sentences say what its numbers do."""

import ast
import itertools
import re
from html import unescape

import jupytext
import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from nbconvert import SlidesExporter
from scipy import stats
from sklearn import metrics as sklearn_metrics

from dcpriv_lib import metrics, stages
from dcpriv_lib.engine import paths
from dcpriv_lib.evaluation import examination

PATH = paths.NOTEBOOKS / f"{stages.ALONE.name}.ipynb"
CELLS = [cell for cell in jupytext.read(PATH.with_suffix(".py")).cells if cell.cell_type == "code"]
PARAMETERS, SET_UP, CHECK = [cell.source for cell in CELLS[:3]]
SMALLEST = {"n_models": 8, "steps": 3, "width": 2, "ipc": 1, "updates": 2, "fpr": 0.005}


def begun(**changes) -> dict:
    """Return the names that a kernel has after the first two cells, with other parameters."""
    names: dict = {}
    exec(PARAMETERS, names)
    names |= changes
    exec(SET_UP, names)
    return names


@pytest.fixture(scope="module")
def lecture() -> dict:
    """The people, their memberships in eight networks, and all functions."""
    names = begun(n_models=8, width=5)
    for cell in CELLS:
        tree = ast.parse(cell.source)
        if not re.match(r"digits =|coins =", cell.source):
            tree.body = [
                one
                for one in tree.body
                if isinstance(one, ast.FunctionDef)
                or (isinstance(one, ast.Assign) and ast.unparse(one)[:9] == "classes =")
            ]
        exec(compile(tree, "a cell", "exec"), names)
    return names


# ---------------------------------------------------------------- it stands alone


def test_it_imports_what_every_notebook_service_has_and_reads_no_file():
    trees = [ast.parse(cell.source) for cell in CELLS]
    found, called = set(), set()
    for node in itertools.chain.from_iterable(map(ast.walk, trees)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
        if isinstance(node, ast.Call):
            called.add(ast.unparse(node.func))
    assert found == {"IPython", "matplotlib", "numpy", "scipy", "sklearn", "torch"}
    assert not {name for name in called if re.search(r"open|load(?!_digits)|save|fetch|urlopen|Path", name)}


def test_its_cells_are_short():
    long = [cell.source for cell in CELLS if len(cell.source.splitlines()) > 12]
    assert not long, long


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_models", 9),
        ("n_models", 6),
        ("ipc", 0),
        ("ipc", 51),
        ("width", "wide"),
        ("steps", 2.5),
        ("updates", True),
        ("seed", -1),
        ("fpr", 0.6),
        ("fpr", 0.001),
    ],
)
def test_a_value_that_it_cannot_use_is_refused_by_its_name(name, value):
    with pytest.raises(ValueError, match=f"^{name} = {value!r}: expected "):
        exec(CHECK, begun(**{name: value}))


@pytest.mark.parametrize("changes", [{}, SMALLEST])
def test_its_own_values_are_allowed(changes):
    assert exec(CHECK, begun(**changes)) is None


# ---------------------------------------------------------------- as it is committed


def test_every_figure_has_its_sentence_as_text_and_below_it():
    figures = 0
    for cell in nbformat.read(PATH, 4).cells:
        outputs = cell.get("outputs", [])
        for figure, caption in itertools.zip_longest(outputs, outputs[1:]):
            if "image/png" in figure.get("data", {}):
                figures += 1
                assert caption["data"]["text/markdown"] == f"*{figure.metadata['image/png']['alt']}*"
    assert figures >= 8


def test_its_slides_are_the_lecture_without_its_plumbing_and_its_solutions():
    notebook = nbformat.read(PATH, 4)
    kinds = {"slide", "subslide", "fragment", "skip", "notes"}
    assert {cell.metadata.slideshow.slide_type for cell in notebook.cells} == kinds
    deck, _ = SlidesExporter(exclude_input=True).from_notebook_node(notebook)
    shown = re.sub(r'<aside class="notes">.*?</aside>', "", deck, flags=re.S)
    for title in ("Whom does the attack accuse first?", "A ROC curve with a pencil", "What we found", "Exercises"):
        assert title in shown
    for skipped in ("Solution of exercise", "For the teacher", "def train(", "References"):
        assert skipped not in shown
    text = re.sub(r"\s+", " ", unescape(re.sub("<[^>]+>", "", shown)))
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    captions = [one.metadata["image/png"]["alt"] for one in outputs if "image/png" in one.get("data", {})]
    assert shown.count("<img") == len(captions) >= 8
    for caption in captions:
        assert " ".join(caption.split()) in text


# ---------------------------------------------------------------- its functions


@pytest.mark.parametrize("ties", [False, True])
def test_the_roc_curve_and_its_area_are_those_of_scikit_learn(lecture, ties):
    draw = np.random.default_rng(5)
    who = draw.random(60) < 0.4
    score = draw.normal(size=60) + who
    score = score.round() if ties else score
    assert lecture["auc"](score, who) == pytest.approx(sklearn_metrics.roc_auc_score(who, score))
    if not ties:
        wrong, found = lecture["roc"](score, who)
        ours, theirs = set(zip(wrong, found)), sklearn_metrics.roc_curve(who, score, drop_intermediate=False)
        assert ours == set(zip(*theirs[:2]))
    _, low, high = lecture["bootstrapped"](score, who)
    assert low < lecture["auc"](score, who) < high


def test_members_found_is_by_counting(lecture):
    who = np.repeat([False, True], [400, 5])
    score = np.append(np.arange(400.0), [395.5, 396.5, 395, 400, 10])
    # 1 % of 400 may be accused, 396 to 399; who is above 395 is found
    assert lecture["tpr"](score, who) == 3 / 5


def test_the_intervals_are_those_of_the_report(lecture):
    values = np.random.default_rng(3).normal(0.55, 0.02, 12)
    mean, low, high, detectable = lecture["over_pairs"](values)
    assert (mean, low, high) == pytest.approx(examination.over_pairs(values))
    # an effect of this size: an interval around it, 80 % of the time, does not reach back to chance
    error = (high - mean) / stats.t.ppf(0.975, 5)
    assert stats.t.cdf((detectable - (high - mean)) / error, 5) == pytest.approx(0.8)
    assert lecture["share"](7, 10) == pytest.approx(metrics.rate(7, 10))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ((0.6, 0.55, 0.65, 0.07), "more than chance"),
        ((0.4, 0.35, 0.45, 0.07), "less than chance"),
        ((0.52, 0.49, 0.55, 0.04), "no leak detected (detectable: 54.0 %)"),
    ],
)
def test_a_verdict_is_what_the_interval_allows(lecture, found, words):
    assert lecture["verdict"](found, 0.5) == words


def test_phi_and_the_loss_are_those_of_the_softmax(lecture):
    z = torch.randn(2, lecture["n"], 10, generator=torch.Generator().manual_seed(0)) * 3
    names = lecture | {"z": z}
    exec(next(cell.source for cell in CELLS if cell.source.startswith("own_z =")), names)
    p = z.double().softmax(2)[:, np.arange(lecture["n"]), lecture["y"]].numpy()
    np.testing.assert_allclose(names["phi"], np.log(p / (1 - p)), atol=1e-4)
    np.testing.assert_allclose(names["loss"], -np.log(p), atol=1e-5)


def test_lira_is_the_ratio_of_two_bells_written_out(lecture):
    draw = np.random.default_rng(1)
    member = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 0]], bool)
    phi, target = draw.normal(size=(6, 3)), draw.normal(size=3)
    wanted = []
    for i in range(3):
        inside, outside = phi[member[:, i], i], phi[~member[:, i], i]
        squares = ((inside - inside.mean()) ** 2).sum() + ((outside - outside.mean()) ** 2).sum()
        spread = (squares / 4) ** 0.5
        wanted.append(
            np.log(stats.norm(inside.mean(), spread).pdf(target[i]) / stats.norm(outside.mean(), spread).pdf(target[i]))
        )
    np.testing.assert_allclose(lecture["lira"](phi, member, target), wanted)


@pytest.mark.parametrize("leak", [0.0, 1.5])
def test_every_target_finds_a_planted_leak_and_nothing_where_there_is_none(lecture, leak):
    draw, member = np.random.default_rng(2), lecture["member"]
    phi = draw.normal(size=member.shape) + draw.normal(0, 3, member.shape[1]) + leak * member
    (_, low, high, _), _ = lecture["examined"](lecture["every_target"](phi))
    assert low > 0.6 if leak else low < 0.5 < high


def test_many_networks_and_gradients_at_once_are_each_by_itself(lecture):
    draw = torch.Generator().manual_seed(0)
    theta = lecture["new_weights"](3, draw)
    images = torch.rand(3, 10, 4, 64, generator=draw)
    for_each = [one[:, None].expand(-1, 10, -1, -1).clone().requires_grad_() for one in theta]
    at_once = lecture["gradients"](for_each, images)
    for j, c in ((0, 0), (2, 7)):
        W, b, V, d = (one[j].clone().requires_grad_() for one in theta)
        z = torch.relu(images[j, c] @ W + b) @ V + d
        loss = torch.nn.functional.cross_entropy(z, torch.full((4,), c))
        for all_, alone in zip(at_once, torch.autograd.grad(loss, (W, b, V, d))):
            torch.testing.assert_close(all_[j, c], alone)


def test_the_distance_is_one_minus_the_cosine_of_every_unit(lecture):
    draw = np.random.default_rng(4)
    one, two = draw.normal(size=(2, 3, 2, 6, 5))
    units = [(a[:, k], b[:, k]) for a, b in zip(one.reshape(-1, 6, 5), two.reshape(-1, 6, 5)) for k in range(5)]
    wanted = sum(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in units)
    found = lecture["distance"]([torch.tensor(one)], [torch.tensor(two)])
    assert float(found) == pytest.approx(wanted)


def test_unmixing_finds_who_was_mixed(lecture):
    x, y = lecture["x"], lecture["y"].numpy()
    first, second = np.flatnonzero(y == 3)[[5, 40]]
    images = torch.zeros(10, 1, 64)
    images[3, 0] = 0.7 * x[first] + 0.3 * x[second]
    weights = lecture["unmixed"](images)
    assert weights[[first, second]] == pytest.approx([0.7, 0.3], abs=1e-6)
    assert np.delete(weights, [first, second]) == pytest.approx(0, abs=1e-6)


# ---------------------------------------------------------------- its sentences


def sentences(lecture, by_lira, by_loss, made, by_images):
    """Return what the last cells before the summary say of made-up results, each (mean, low, high, detectable)."""
    rate = (0.05, 0.04, 0.06, 0.02)
    names = lecture | {
        "by_lira": [by_lira, rate],
        "by_loss": [by_loss, rate],
        "by_images": [by_images, rate],
        "made": "100 synthetic images",
        "real": "100 real images",
        "leak": {"100 synthetic images": [made, rate], "100 real images": [made, rate]},
        "accuracy": dict.fromkeys(("all members", "100 synthetic images", "100 real images"), rate),
        "said": "no difference detected",
        "door": "The images say more than a model of them",
        "display": lambda shown: None,
    }
    begin = next(i for i, cell in enumerate(CELLS) if "def sentence(" in cell.source)
    for cell in CELLS[begin : begin + 3]:
        exec(cell.source, names)
    return names["lines"]


LEAK, LITTLE, NONE = (0.6, 0.59, 0.61, 0.01), (0.52, 0.51, 0.53, 0.01), (0.5, 0.48, 0.52, 0.03)


def test_where_a_leak_is_found_the_sentences_say_so(lecture):
    lines = sentences(lecture, LEAK, LITTLE, LITTLE, LEAK)
    assert lines[0] == "A model that was trained as usual tells its members from others: AUC 60.0 % [59.0, 61.0]."
    assert lines[1].startswith("Comparing a person with themselves finds more")
    assert "AUC 52.0 % [51.0, 53.0], more than chance" in lines[3]


def test_where_none_is_found_they_say_what_would_have_been(lecture):
    lines = sentences(lecture, NONE, NONE, NONE, NONE)
    assert lines[0].startswith("Of a model that was trained as usual we cannot say that it tells its members")
    assert "no leak detected (detectable: 53.0 %)" in lines[0]
    assert lines[1].startswith("We cannot say that comparing")
    assert "no leak detected (detectable: 53.0 %)" in lines[3]


@pytest.mark.slow
def test_at_the_smallest_scale_every_sentence_still_agrees_with_its_numbers():
    mpl.use("Agg")
    shown: list = []
    names = begun(**SMALLEST) | {"display": lambda *what, **how: shown.extend(what)}
    with mpl.rc_context():
        for cell in CELLS[2:]:
            exec(cell.source, names)
            assert not plt.get_fignums(), "a figure that nobody closed"
    found = names["by_lira"][0]
    assert names["lines"][0].startswith("A model that" if found[1] > 0.5 else "Of a model")
    mean, low, high = names["cell"](found).replace("% [", "").replace(",", "").replace("]", "").split()
    assert [float(mean), float(low), float(high)] == pytest.approx(100 * np.array(found[:3]), abs=0.05)
    change = names["change"]
    assert ("no difference detected" in names["said"]) == (change[1] <= 0 <= change[2])
    more = names["more"]
    assert names["door"].startswith("No difference") == (more[1] <= 0 <= more[2])
    assert len(names["people"]["people"]) == 12
    assert [one["member"] for one in names["people"]["people"]].count(True) not in (0, 12)
    text = "\n".join(one.data for one in shown if hasattr(one, "data"))
    assert "nan" not in text.lower().split() and "10 real images" in text
