"""Adversarial images: against closed forms on linear models, against foolbox, and what must not be mistaken for
robustness."""

import itertools
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from dcpriv_lib import parameters, profiles
from dcpriv_lib.data.split import pixel_scale
from dcpriv_lib.engine import errors
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.evaluation import robustness
from dcpriv_lib.external import files
from dcpriv_lib.jobs import Training, each
from dcpriv_lib.models import networks
from dcpriv_lib.models.trained import Models
from dcpriv_lib.models.training import predict, train
from dcpriv_lib.results import plots
from dcpriv_lib.study import Study

SHAPE = (1, 8, 8)
EPSILONS = [0.0, 0.01, 8 / 255, 0.1, 0.3, 1.0]


class Linear(nn.Module):
    """Logits W x + b; the images stay in the middle of 0..1, so that no edge is met."""

    def __init__(self, classes=3, scale=1.0, dtype=torch.float32):
        super().__init__()
        self.w = nn.Parameter(
            torch.randn(classes, 64, generator=generator(1), dtype=dtype) * scale, requires_grad=False
        )
        self.b = -(self.w * 0.5).sum(1)

    def forward(self, pixels):
        return pixels.flatten(1) @ self.w.T + self.b


def middle(n=40, dtype=torch.float32):
    """Images [n, 1, 8, 8] from 0.45 to 0.55."""
    return 0.45 + 0.1 * torch.rand(n, *SHAPE, generator=generator(2), dtype=dtype)


def own_labels(network, images):
    return network(images).argmax(1)


@pytest.fixture(scope="module")
def trained():
    """A network of the report that tells three classes of noisy patches apart, and 60 images of them."""
    labels = torch.arange(3).repeat(40)
    images = 0.3 * torch.rand(120, 1, 16, 16, generator=generator(3))
    for label in range(3):
        images[labels == label, :, 4 * label : 4 * label + 6, 4 * label : 4 * label + 6] += 0.35
    network = networks.initialise(networks.PaperCNN(1, 16, 3), generator(4))
    mean, deviation = torch.full((1, 1, 1, 1), 60.0), torch.full((1, 1, 1, 1), 50.0)
    train(network, (255 * images - mean) / deviation, labels, epochs=12, generator=generator(5))
    return networks.OnPixels(network, mean, deviation), images[:60], labels[:60]


# ---------------------------------------------------------------- closed forms


def margins(network, images):
    """For every image the other classes' z_y - z_k [n, k], and the rows w_y - w_k [n, k, 64], in float64."""
    logits, y = network(images).double(), own_labels(network, images)
    others = torch.stack([torch.tensor([k for k in range(logits.shape[1]) if k != label]) for label in y])
    w = network.w.double()
    return logits.gather(1, y[:, None]) - logits.gather(1, others), w[y][:, None] - w[others]


def test_fgsm_flips_two_classes_exactly_where_epsilon_reaches_margin_by_l1_norm():
    network, images = Linear(classes=2), middle()
    labels, (margin, w) = own_labels(network, images), margins(network, images)
    limit = (margin / w.abs().sum(2))[:, 0]
    assert 0 < limit.min() < limit.max() < 0.4
    for factor, flipped in ((0.999, False), (1.001, True)):
        for image, label, one in zip(images, labels, limit):
            moved = robustness.fgsm(network, image[None], label[None], factor * float(one))
            assert (own_labels(network, moved) != label).item() == flipped


def test_deepfool_goes_as_far_as_the_nearest_boundary():
    network, images = Linear(dtype=torch.float64), middle(dtype=torch.float64)
    labels, (margin, w) = own_labels(network, images), margins(network, images)
    expected = (margin / w.norm(dim=2)).amin(1)
    for overshoot in (1e-6, 0.02):
        moved, distances = robustness.deepfool(network, images, labels, overshoot=overshoot)
        assert torch.allclose(distances, (1 + overshoot) * (expected + robustness.BEYOND), rtol=1e-9)
        assert (
            torch.allclose((moved - images).flatten(1).norm(dim=1), distances)
            and (own_labels(network, moved) != labels).all()
        )


def test_pgd_is_as_good_as_fgsm_on_a_linear_model_where_no_attack_can_be_better():
    network, images = Linear(classes=2), middle()
    labels, (margin, w) = own_labels(network, images), margins(network, images)
    limit = (margin / w.abs().sum(2))[:, 0]
    for epsilon in limit.quantile(torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)).tolist():
        moved = robustness.pgd(network, images, labels, epsilon, steps=5, generator=generator(6))
        assert torch.equal(own_labels(network, moved) != labels, limit < epsilon)


def test_an_image_that_is_wrong_already_is_at_distance_zero():
    network, images = Linear(), middle(6)
    labels = own_labels(network, images)
    wrong = (labels + torch.tensor([0, 1, 0, 1, 0, 1])) % 3
    assert (robustness.deepfool(network, images, wrong)[1] == 0).tolist() == [False, True] * 3


# ---------------------------------------------------------------- within epsilon, to the last bit


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("attack", ["FGSM", "PGD", "Square"])
def test_no_pixel_leaves_epsilon_or_0_to_1_by_a_bit(attack, epsilon, trained):
    network, images, labels = trained
    images = images.clone()
    images[0, 0, 0, :4] = torch.tensor([0.0, 1.0, 1 / 255, 1e-30])
    attacks = {
        "FGSM": lambda: robustness.fgsm(network, images, labels, epsilon),
        "PGD": lambda: robustness.pgd(network, images, labels, epsilon, steps=3, generator=generator(7)),
        "Square": lambda: robustness.autoattack(
            network, images, labels, epsilon, attacks=["square"], queries=5, rivals=1, seed=8
        ),
    }
    moved = attacks[attack]()
    pairs = {(Fraction(a), Fraction(b)) for a, b in zip(images.flatten().tolist(), moved.flatten().tolist())}
    # the limit is the number as it is written, to a bit of a double
    assert max(abs(a - b) for a, b in pairs) <= Fraction(epsilon) + Fraction(1, 2**53)
    assert 0 <= moved.min() and moved.max() <= 1 and moved.dtype == images.dtype
    assert attack == "Square" or torch.equal(moved, images) == (epsilon == 0)  # Square keeps what it did not flip


def test_the_same_generator_gives_the_same_images_and_another_others(trained):
    network, images, labels = trained
    one, again, other = (
        robustness.pgd(network, images, labels, 0.1, steps=1, generator=generator(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, again) and not torch.equal(one, other)
    before = torch.random.get_rng_state()
    robustness.autoattack(network, images, labels, 0.1, attacks=["square"], queries=3, rivals=1, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())


# ---------------------------------------------------------------- against foolbox


@pytest.fixture
def foolbox_model(trained):
    foolbox = pytest.importorskip("foolbox")
    return foolbox, foolbox.PyTorchModel(trained[0].eval(), bounds=(0, 1), device="cpu")


def test_fgsm_and_pgd_make_the_images_that_foolbox_makes(foolbox_model, trained):
    foolbox, model = foolbox_model
    network, images, labels = trained
    flipped = set()
    for epsilon in (0.02, 0.05, 0.1, 0.15):
        _, theirs, success = foolbox.attacks.LinfFastGradientAttack(random_start=False)(
            model, images, labels, epsilons=epsilon
        )
        ours = robustness.fgsm(network, images, labels, epsilon)
        assert torch.allclose(ours, theirs, atol=1e-6)
        assert torch.equal(own_labels(network, ours) != labels, success)

        low, high = robustness._box(images, epsilon)
        start = low + torch.rand(images.shape, generator=generator(9)) * (
            high - low
        )  # a random one of theirs would be another
        pgd = foolbox.attacks.LinfPGD(rel_stepsize=0.25, steps=10, random_start=True)
        pgd.get_random_start = lambda x0, epsilon: foolbox_tensor(start)
        _, theirs, success = pgd(model, images, labels, epsilons=epsilon)
        ours = robustness.pgd(network, images, labels, epsilon, steps=10, generator=generator(9))
        assert (~torch.isclose(ours, theirs, atol=1e-6)).float().mean() < 0.002, (
            "where a gradient is zero but for rounding"
        )
        assert torch.equal(own_labels(network, ours) != labels, success)
        flipped.add(int(success.sum()))
    assert len(flipped) > 2, "some images survive and some do not"


def foolbox_tensor(tensor):
    return pytest.importorskip("eagerpy").astensor(tensor)


def test_deepfool_goes_where_foolbox_goes(foolbox_model, trained):
    foolbox, model = foolbox_model
    network, images, _ = trained
    by_foolbox = foolbox.attacks.L2DeepFoolAttack(steps=50, candidates=3, overshoot=0.02)
    for lighter in (0.0, 0.3):  # pixels that are cut at 0, and at both ends
        some = images + lighter
        labels = own_labels(network, some)
        _, theirs, success = by_foolbox(model, some, labels, epsilons=None)
        moved, ours = robustness.deepfool(network, some, labels)
        assert success.all() and (own_labels(network, moved) != labels).all()
        assert torch.allclose(moved, theirs, atol=1e-3) and torch.allclose(
            ours, (theirs - some).flatten(1).norm(dim=1), rtol=1e-3
        )


# ---------------------------------------------------------------- an examination


def test_no_attack_is_better_than_none_and_each_finds_more_with_a_larger_epsilon(trained):
    network, images, labels = trained
    found = robustness.examine(network, images, labels, epsilons=EPSILONS, steps=10, generator=generator(10))
    for name in ("FGSM", "PGD"):
        assert np.array_equal(found[name][0], found["clean"]), "epsilon 0 changes nothing"
        assert (found[name][1:] <= found[name][:-1]).all()
    assert (found["PGD"].sum(1) <= found["FGSM"].sum(1)).all() and not found["PGD"][-1].any()
    assert found["FGSM"][1:-1].sum() > found["PGD"][1:-1].sum()
    assert np.isfinite(found["DeepFool"]).all() and ((found["DeepFool"] == 0) == ~found["clean"]).all()


def test_what_the_strongest_leave_right_was_right_before_and_pgd_left_it(trained):
    network, images, labels = trained
    found = robustness.strongest(
        network, images[:12], labels[:12], epsilon=0.09, steps=10, queries=30, rivals=2, generator=generator(11)
    )
    kept = [found[name] for name in ("clean", "PGD", "Square", "AutoAttack")]
    assert all((b <= a).all() for a, b in itertools.pairwise(kept)) and 0 < kept[1].sum() < 12
    gone = robustness.strongest(
        network, images[:12], labels[:12], epsilon=1.0, steps=10, queries=30, rivals=2, generator=generator(11)
    )
    assert not gone["AutoAttack"].any()


class Rounded(nn.Module):
    """The same answers from rounded pixels: where a staircase is flat, there is no gradient."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pixels):
        return self.network((255 * pixels).round() / 255 + 0 * pixels)


class Saturated(nn.Module):
    """A linear model that is sure beyond what a float can say: every probability rounds to 0 or 1."""

    def __init__(self):
        super().__init__()
        self.linear = Linear(scale=1.0)

    def forward(self, pixels):
        return 1e5 * self.linear(pixels)


@pytest.mark.parametrize("hide", [lambda network: Rounded(network), lambda network: Saturated()])
def test_a_model_without_gradients_is_called_masked_and_not_robust(hide, trained):
    network = hide(trained[0])
    images, labels = (middle(), None) if isinstance(network, Saturated) else trained[1:]
    labels = own_labels(network, images) if labels is None else labels
    examined = robustness.examine(network, images, labels, epsilons=[0.05, 1.0], steps=5, generator=generator(12))
    strong = robustness.strongest(
        network, images[:2], labels[:2], epsilon=0.05, steps=5, queries=2, rivals=1, generator=generator(12)
    )
    assert examined["FGSM"][0][examined["clean"]].all(), "it looks robust"
    assert robustness.gradients(examined, strong).startswith("masked: 100% of the right images have no gradient")


def test_each_sign_of_masking_is_found_and_an_honest_model_has_none(trained):
    network, images, labels = trained
    examined = robustness.examine(network, images, labels, epsilons=[0.05, 1.0], steps=10, generator=generator(13))
    strong = {"PGD": np.ones(20, bool), "Square": np.ones(20, bool)}
    assert robustness.gradients(examined, strong) == "sound"
    one_lucky = strong | {"Square": np.arange(20) > 0}
    assert robustness.gradients(examined, one_lucky) == "sound"
    square = strong | {"Square": np.arange(20) > 7}
    assert robustness.gradients(examined, square) == "masked: without gradients 8 of 20 more are flipped"
    left = examined | {"PGD": np.ones((2, 60), bool)}
    assert robustness.gradients(left, strong) == "masked: 100% are right at the largest epsilon"


# ---------------------------------------------------------------- the scale of the pixels


@pytest.mark.parametrize("pixels", ["standard", "raw", "unit"])
def test_the_standardisation_is_inside_the_network_to_the_last_bit(pixels):
    grey = torch.randint(0, 256, (32, 3, 16, 16), generator=generator(14)).byte()
    grey.view(-1)[:256] = torch.arange(256)
    mean, deviation = pixel_scale(grey, pixels)
    network = networks.initialise(networks.PaperCNN(3, 16, 5), generator(15))
    ours = networks.OnPixels(network, mean, deviation)
    assert torch.equal(predict(ours, grey.float() / 255), predict(network, (grey.float() - mean) / deviation))
    assert torch.equal(255 * (torch.arange(256).float() / 255), torch.arange(256).float())


def test_the_gradient_by_the_pixels_is_that_of_differences(trained):
    network, images, labels = trained
    double = networks.OnPixels(networks.PaperCNN(1, 16, 3).double(), network.mean.double(), network.deviation.double())
    double.network.load_state_dict(network.network.state_dict())
    image, label = images[:1].double(), labels[:1]
    found = robustness.loss_gradient(double, image, label)
    for row, column in ((5, 5), (9, 3), (0, 0)):
        move = torch.zeros_like(image)
        move[0, 0, row, column] = 1e-6
        up, down = (nn.functional.cross_entropy(double(image + sign * move), label) for sign in (1, -1))
        assert found[0, 0, row, column].item() == pytest.approx((up - down).item() / 2e-6, rel=1e-4, abs=1e-9)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("epsilon", [-0.1, 1.5, float("nan")])
def test_an_epsilon_out_of_range_is_named(epsilon, trained):
    for attack in (
        robustness.fgsm,
        lambda *given: robustness.pgd(*given, steps=1, generator=generator(0)),
        lambda *given: robustness.autoattack(*given, attacks=["square"], queries=1, rivals=1, seed=0),
    ):
        with pytest.raises(ValueError, match=f"^epsilon = {epsilon}: expected a number from 0 to 1.*8/255"):
            attack(*trained, epsilon)


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_outside_the_classes_are_named(label, trained):
    network, images, labels = trained
    labels = labels.clone()
    labels[5] = label
    for attack in (lambda *given: robustness.fgsm(*given, 0.1), robustness.deepfool):
        with pytest.raises(
            ValueError, match="^the labels run from .*: expected 0 to 2, the classes that the network knows"
        ):
            attack(network, images, labels)


def test_standardised_images_are_refused_as_an_epsilon_would_mean_nothing(trained):
    network, images, labels = trained
    with pytest.raises(ValueError, match="^the pixels run from -.* expected 0 to 1, because an epsilon means nothing"):
        robustness.fgsm(network, (images - 0.3) / 0.2, labels, 0.1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"epsilon": 0.3, "epsilons": [0.1, 0.2]}, "epsilon = 0.3: expected one of epsilons = "),
        ({"epsilons": [0.1, 1.2]}, "epsilons = .* a list of numbers from 0 to 1, each larger"),
        ({"epsilons": [0.2, 0.1]}, "epsilons = .* each larger than the one before"),
        ({"epsilon": -0.1}, "a number from 0 to 1"),
    ],
)
def test_the_notebooks_epsilons_are_checked(given, words):
    model, defaults = parameters.RobustnessAndFairness, profiles.parameters("10_robustness_and_fairness")
    with pytest.raises(errors.ParameterError, match=words):
        parameters.validate(model, defaults | given)
    parameters.validate(model, defaults | {"epsilon": 0.1, "epsilons": [0.1, 1.0]})


def test_epsilons_that_do_not_ascend_are_named(trained):
    with pytest.raises(ValueError, match=r"^epsilons = \[0.1, 0.05\]: expected each larger"):
        robustness.examine(*trained, epsilons=[0.1, 0.05], steps=1, generator=generator(0))


# ---------------------------------------------------------------- in a study


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path))
    return Study.divide("mine", "digits", 0, "standard")


def test_models_of_a_study_are_attacked_as_they_were_trained_and_only_once(study, monkeypatch):
    models = study.models("test", each({("a", 0): study.members[:60], ("a", 1): study.members[60:120]}, Training(3)))
    rows, everybody = study.non_members[:8], np.arange(len(study.labels))
    for network, logits in zip(study.on_pixels(models), models.logits):  # of all: fewer rows round otherwise
        assert torch.equal(predict(network, study.grey_pixels(everybody)), torch.as_tensor(logits))
    how = {"epsilons": [0.1], "steps": 2}
    found = study.attacked(models, rows, robustness.examine, **how)
    assert found["PGD"].shape == (2, 1, 8) and found["clean"].shape == found["DeepFool"].shape == (2, 8)
    network = study.on_pixels(models)[1]
    draw = study.generator("attacked", "examine", models.table["file"][1])
    alone = robustness.examine(network, study.grey_pixels(rows), study.labels[rows], generator=draw, **how)
    assert all(np.array_equal(alone[name], found[name][1]) for name in alone)
    monkeypatch.setattr(robustness, "pgd", None)  # would fail
    again = study.attacked(models, rows, robustness.examine, **how)
    assert all(np.array_equal(again[name], found[name]) for name in found)


def test_a_target_without_weights_is_named_and_one_with_weights_is_attacked(study, tmp_path):
    answers = {
        part: np.random.default_rng(0).normal(size=(len(getattr(study, part)), 10))
        for part in ("members", "non_members")
    }
    np.savez(tmp_path / "answers.npz", kind="logits", **answers)
    network = networks.initialise(networks.PaperCNN(1, 16, 10), generator(16))
    np.savez(tmp_path / "weights.npz", pixels="unit", **{name: w.numpy() for name, w in network.state_dict().items()})
    found = files.networks_on_pixels(
        [str(tmp_path / f"{name}.npz") for name in ("answers", "weights")], study.split, study.device
    )[0]
    unlearned = "(no better than chance)"  # which is true of both
    assert found[f"answers.npz {unlearned}"] is None
    pixels = study.grey_pixels(np.arange(len(study.labels)))  # in the same batches: a row's last digit depends on them
    targets = files.targets(str(tmp_path / "weights.npz"), study.split, study.device)[0]
    logits = targets[f"weights.npz {unlearned}", 0].logits[:, 0]
    assert np.array_equal(predict(found[f"weights.npz {unlearned}"], pixels)[study.pool], logits)
    alone = Models(pd.DataFrame({"target": ["answers.npz"], "run": [0]}), logits[None], logits[None, :0])
    with pytest.raises(
        ValueError, match="^answers.npz has answers and no weights: .* leave it out here, or name a file of its weights"
    ):
        study.attacked(alone, study.pool[:2], robustness.examine, epsilons=[0.1], steps=1)


# ---------------------------------------------------------------- who is who in a picture


def test_every_point_has_its_name_and_no_name_covers_another_or_a_point():
    figure, ax = plots.plt.subplots(figsize=(9, 5.5))
    points = np.random.default_rng(0).normal([85, 40], [6, 9], (23, 2))
    points[5:9] = points[4] + [[0.1, 0], [0, 0.1], [0.2, 0.3], [0.3, 0.1]]  # nearly on top of each other
    names = [f"method-{number}" for number in range(23)]
    ax.plot(*points.T, "o")
    ax.set(xlim=ax.get_xlim(), ylim=ax.get_ylim())
    plots.name_points(ax, points, names, 23 * ["k"])
    figure.draw_without_rendering()
    texts = list(ax.texts)
    boxes = [plots.Text.get_window_extent(text) for text in texts]
    assert [text.get_text() for text in texts] == names and np.allclose([text.xy for text in texts], points)
    assert not any(a.overlaps(b) for number, a in enumerate(boxes) for b in boxes[:number])
    assert not any(box.contains(*place) for box in boxes for place in ax.transData.transform(points))
    assert all(ax.bbox.contains(*corner) for box in boxes for corner in (box.min, box.max))
    plots.plt.close(figure)


# ---------------------------------------------------------------- on an accelerator


class Chip(TorchFunctionMode):
    """An accelerator that is none: what is put there is marked, and nothing takes marked tensors together with others.

    Where tensors meet that a GPU would refuse to bring together, or numpy is to read one from there, it raises what
    torch raises.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name, leaves = getattr(func, "__name__", ""), tree_leaves([args, kwargs])
        if func == torch.Tensor.device.__get__:
            return torch.device("cuda" if on_chip(args[0]) else "cpu")
        if func == torch.Tensor.data.__set__:
            args[0].on_chip = on_chip(args[1])
        if func == torch.Tensor.data.__set__ or name in (
            "copy_",
            "_has_compatible_shallow_copy_type",
        ):  # between devices, as they should
            return func(*args, **kwargs)
        if func in (torch.Tensor.to, torch.Tensor.cpu):
            places = [one for one in leaves if isinstance(one, torch.device | str)] + ["cpu"] * (
                func is torch.Tensor.cpu
            )
            there = torch.device(places[0]).type == "cuda" if places else on_chip(args[0])
            return self.moved(args[0], there, [one for one in leaves if isinstance(one, torch.dtype)])
        if name in ("numpy", "__array__") and on_chip(args[0]):
            raise TypeError(
                "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to "
                "copy the tensor to host memory first."
            )
        made_there = torch.device(kwargs.pop("device", None) or "cpu").type == "cuda"
        tensors = [one for one in leaves if isinstance(one, torch.Tensor) and (one.ndim or on_chip(one))]
        if name == "__getitem__":
            tensors = tensors[:1] if on_chip(args[0]) else tensors  # numbers of rows may lie anywhere
        if func is not torch.autograd.grad and len({on_chip(one) for one in tensors}) == 2:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, in {name}"
            )
        result = func(*args, **kwargs)
        if func is torch.autograd.grad:
            inputs = tree_leaves(args[1] if len(args) > 1 else kwargs["inputs"])
            for gradient, of in zip(result, inputs):
                gradient.on_chip = on_chip(of)
        elif made_there or any(map(on_chip, tensors)):
            for one in tree_leaves(result):
                if isinstance(one, torch.Tensor):
                    one.on_chip = True
        return result

    @staticmethod
    def moved(tensor, there, dtypes):
        moved = tensor if there == on_chip(tensor) else tensor.clone()
        moved = moved.to(*dtypes) if dtypes else moved
        moved.on_chip = there
        return moved


def on_chip(tensor):
    return getattr(tensor, "on_chip", False)


def test_the_accelerator_of_these_tests_refuses_what_a_real_one_refuses():
    with Chip():
        here, there = torch.ones(2, 3), torch.ones(2, 3).to("cuda")
        assert {there.device.type, (2 * there)[torch.tensor([0])].device.type} == {"cuda"} and here.device.type == "cpu"
        assert nn.Linear(3, 1).to("cuda")(there).device.type == "cuda" and there.cpu().numpy().sum() == 6
        for wrong in (
            lambda: here + there,
            lambda: nn.Linear(3, 1).to("cuda")(here),
            lambda: here[torch.zeros(1, dtype=int).to("cuda")],
        ):
            with pytest.raises(RuntimeError, match="same device"):
                wrong()
        with pytest.raises(TypeError, match="cuda:0 device type tensor to numpy"):
            np.asarray(there)


def test_pictures_that_are_here_are_attacked_on_a_network_that_is_elsewhere(trained):
    network, images, labels = trained
    how = dict(epsilons=[0.05, 1.0], steps=3)
    here = robustness.examine(network, images[:8], labels[:8], generator=generator(0), **how)
    with Chip():
        far = networks.OnPixels(networks.PaperCNN(1, 16, 3).to("cuda"), network.mean, network.deviation)
        far.network.load_state_dict(network.network.state_dict())
        found = robustness.examine(far, images[:8], labels[:8], generator=generator(0), **how)
        assert far(images[:1]).device.type == "cpu" and far(images[:1].to("cuda")).device.type == "cuda"
        assert robustness.loss_gradient(far, images[:2], labels[:2]).device.type == "cpu"
    assert all(np.allclose(found[name], here[name], rtol=1e-4, atol=1e-6) for name in here), "but for rounding"
