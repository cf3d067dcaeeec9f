"""Every method of condensation: alike in what they promise, and each against its definition in float64."""

import dataclasses
import signal

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dcpriv_lib import parameters
from dcpriv_lib.condensation import (
    condense,
    coresets,
    defaults,
    distribution_matching,
    gradient_matching,
    kernel_inducing_points,
    multi_formation,
    starts,
    trajectory_matching,
)
from dcpriv_lib.condensation.method import Method, Real, Schedule, Settings
from dcpriv_lib.engine import errors
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.models import augmentation, networks, published_protocol

SHAPE = (1, 16, 3)  # channels, size, classes
LABELS = torch.arange(3).repeat(10)
every_method = pytest.mark.parametrize("method", condense.METHODS)
every_start = pytest.mark.parametrize("start", starts.STARTS)


@pytest.fixture(autouse=True)
def short_experts(monkeypatch):
    monkeypatch.setattr(trajectory_matching, "STAGE_STEPS", 2)
    monkeypatch.setattr(trajectory_matching, "EXPERT_BATCH", 16)


def pictures(number=30, dtype=torch.float32):
    return torch.randn(number, 1, 16, 16, generator=generator(3), dtype=dtype)


def network(purpose="network", width=4, dtype=torch.float64):
    return networks.initialise(networks.ConvNet(*SHAPE, width=width), generator(0, purpose)).to(dtype)


def condensed(images=None, labels=LABELS, seed=5, checkpoint=None, progress=iter, start_images=None, **changes):
    """A very small condensation."""
    how = dict(ipc=2, iterations=3, outer=2, inner=2, width=4, real_batch=4, image_lr=0.01, start="real")
    return condense.condense(
        pictures(len(labels)) if images is None else images,
        labels,
        Settings(**how | changes),
        seed=seed,
        make_network=lambda: networks.ConvNet(1, 16, int(labels.max()) + 1, width=4),
        start_images=start_images,
        checkpoint=checkpoint,
        progress=progress,
    )


def finite_differences(function, at, positions, step=1e-6):
    """The derivatives of a function of a tensor `at` some positions."""
    found = []
    for position in positions:
        move = torch.zeros_like(at)
        move[position] = step
        found.append(float(torch.as_tensor(function(at + move) - function(at - move)).detach()) / (2 * step))
    return found


POSITIONS = [(0, 0, 0, 3, 4), (1, 1, 0, 8, 8), (2, 0, 0, 15, 2)]  # of synthetic images [3, 2, 1, 16, 16]


# ---------------------------------------------------------------- what all promise


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("method", condense.METHODS),
        ("start", starts.STARTS),
        ("network", networks.NETWORKS),
        ("methods", coresets.CORESETS | condense.METHODS),
        ("starts", starts.STARTS),
    ],
)
def test_notebooks_may_name_all_that_there_are_and_nothing_else(name, table):
    for known in table:
        value = [known] if name.endswith("s") else known
        assert parameters.check({name: value}) == {name: value}
    with pytest.raises(errors.ParameterError, match="expected"):
        parameters.check({name: ["tiles and more"] if name.endswith("s") else "tiles and more"})


def to_the_mean(state, real, settings, draw, network):
    """Move the images towards the mean of their class, counting the steps in the state."""
    means = torch.stack([real.images[own].mean(0) for own in real.by_class])[:, None]
    moved = state["images"] + settings.image_lr * torch.rand((), generator=draw) * (means - state["images"])
    steps = state.get("steps", torch.tensor(0)) + 1
    return {"images": moved, "steps": steps}, float((means - moved).square().mean())


def test_all_that_is_known_of_a_method_is_in_its_record(monkeypatch, tmp_path):
    """One function and one line: the loop condenses, resumes, decodes and labels as the record says."""
    record = Method(
        to_the_mean,
        Schedule(4, 1, 0, 0.5, "means"),
        decode=multi_formation.decode,
        labels=lambda state, hard, classes: hard + 10 * state["steps"],
        refuses={"PaperCNN": "a toy knows no grown-up networks"},
    )
    monkeypatch.setitem(condense.METHODS, "toy", record)
    made = condensed(method="toy", iterations=3, checkpoint=tmp_path / "state.npz")
    assert made["images"].shape == (24, 1, 16, 16) and made["snapshots"].shape == (3, 24, 1, 16, 16)
    assert made["labels"].tolist() == [30 + label for label in (0, 1, 2) for _ in range(8)]
    more = condensed(method="toy", iterations=4, checkpoint=tmp_path / "state.npz")
    unbroken = condensed(method="toy", iterations=4)
    assert all(torch.equal(more[name], unbroken[name]) for name in more) and len(more["loss"]) == 4
    usual = defaults.settings_of("toy", 20, width=4, real_batch=8)
    assert (usual.iterations, usual.image_lr, usual.start, usual.method) == (4, 1.0, "means", "toy")
    assert condense.chosen(usual) == (to_the_mean, multi_formation.decode, record.labels)
    with pytest.raises(ValueError, match="network = 'PaperCNN': a toy knows .* networks: choose ConvNet or linear, or"):
        condense.check_names("noise", "toy", "PaperCNN")


def test_the_keys_of_sets_and_states_are_what_they_once_were():
    """Sets of the first method and network are found by keys that do not name these, and states by a method of None."""
    rest = {"ipc": 1, "outer": 3, "inner": 4, "width": 5, "real_batch": 6, "image_lr": 0.5, "start": "real"}
    first, other = Settings(iterations=2, **rest), Settings(iterations=2, **rest, method="DM", network="linear")
    assert first.inputs() == rest | {"iterations": 2} and first.inputs_of_state() == rest | {"method": None}
    assert other.inputs_of_state() == rest | {"method": "DM", "network": "linear"}
    assert other.inputs() == other.inputs_of_state() | {"iterations": 2}


@every_method
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(method):
    first, again, other = condensed(method=method), condensed(method=method), condensed(method=method, seed=6)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["images"], other["images"])
    assert len(first["loss"]) == 3 and first["loss"].isfinite().all() and first["images"].isfinite().all()
    assert not torch.equal(first["images"], first["snapshots"][0]), "the images moved"


@every_method
def test_a_stopped_condensation_goes_on_to_the_same_bits(method, tmp_path):
    def stopped_before_the_third(iterations):
        yield from list(iterations)[:2]
        signal.raise_signal(signal.SIGTERM)

    checkpoint = tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        condensed(method=method, checkpoint=checkpoint, progress=stopped_before_the_third)
    done = []
    resumed = condensed(method=method, checkpoint=checkpoint, progress=lambda rest: (done.append(len(rest)), rest)[1])
    unbroken = condensed(method=method)
    assert done == [1] and all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)


@every_method
@pytest.mark.parametrize("ipc", [1, 10])
def test_one_image_a_class_and_as_many_as_there_are(method, ipc):
    made = condensed(method=method, ipc=ipc, iterations=1)
    assert made["images"].isfinite().all() and len(made["images"]) == len(made["labels"])
    assert len(made["images"]) % (3 * ipc) == 0


@every_method
def test_two_classes_are_enough(method):
    made = condensed(method=method, labels=torch.arange(2).repeat(10), iterations=1)
    labels = made["labels"].argmax(1) if made["labels"].ndim == 2 else made["labels"]
    assert made["images"].isfinite().all() and labels.bincount().tolist() == 2 * [len(labels) // 2]


@every_method
@pytest.mark.parametrize("name", ["PaperCNN", "linear"])
def test_every_method_works_in_every_network(method, name):
    how = Settings(2, 2, 2, 1, 4, 4, 0.01, "real", method, name)
    others = dict(make_network=lambda: networks.build(name, SHAPE, 4, True), seed=5)
    if (method, name) == ("IDC", "linear"):
        with pytest.raises(ValueError, match="IDC matches the gradients of convolutions, and it has none: choose"):
            condense.condense(pictures(), LABELS, how, **others)
        return
    made = condense.condense(pictures(), LABELS, how, **others)
    assert made["images"].isfinite().all() and not torch.equal(made["images"], made["snapshots"][0])
    assert how.inputs() == Settings(2, 2, 2, 1, 4, 4, 0.01, "real", method).inputs() | {"network": name}


@every_method
def test_a_missing_class_is_named(method):
    with pytest.raises(ValueError, match="class 1 has only 0 members: add images of it, or number the classes"):
        condensed(method=method, labels=torch.tensor([0, 2]).repeat(10))


@every_method
def test_without_an_iteration_the_start_is_returned(method):
    made = condensed(method=method, iterations=0)
    assert torch.equal(made["images"], made["snapshots"][0]) and len(made["loss"]) == 0
    assert condense.snapshot_iterations(0) == [0]


@every_start
def test_every_start_has_the_shape_of_the_set_and_names_its_members(start):
    made = condensed(start=start, iterations=0)
    assert made["images"].shape == (6, 1, 16, 16) and made["started_from"].shape == (6, starts.STARTS[start])
    rows = made["started_from"]
    assert torch.equal(LABELS[rows], made["labels"][:, None].expand_as(rows))
    assert torch.equal(made["images"], condensed(start=start, iterations=0)["images"])


def test_mean_noise_is_the_mean_of_the_class_plus_noise():
    made = condensed(start="mean noise", iterations=0, ipc=10)["images"].unflatten(0, (3, 10))
    noise = made - torch.stack([pictures()[LABELS == label].mean(0) for label in range(3)])[:, None]
    assert abs(noise.mean()) < 0.05 and abs(noise.std() - 1) < 0.05


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(ValueError, match="method = 'DN': there is no such method: did you mean 'DM'"):
        condensed(method="DN")
    with pytest.raises(ValueError, match="start = 'k-centre': there is no such start: did you mean 'k-center'"):
        defaults.settings(LABELS, 1, 1, 1, 1, 4, 4, 1.0, "k-centre")
    with pytest.raises(errors.ParameterError, match="method = 'DMM': expected one of DC, .*; did you mean 'DM'"):
        parameters.check({"method": "DMM"})


def test_a_state_of_another_method_is_refused(tmp_path):
    checkpoint = tmp_path / "state.npz"
    condensed(method="DM", checkpoint=checkpoint)
    with pytest.raises(RuntimeError, match="method = 'DM'"):
        condensed(checkpoint=checkpoint)


def test_the_inputs_of_gradient_matching_are_those_from_before_there_were_methods():
    assert "method" not in Settings(1, 1, 1, 1).inputs()
    assert Settings(1, 1, 1, 1, method="DM").inputs()["method"] == "DM"


# ---------------------------------------------------------------- coresets


def clouds():
    return torch.randn(12, 3, generator=generator(7), dtype=torch.float64)


def test_herding_takes_what_brings_the_mean_nearest():
    points, chosen = clouds().numpy(), []
    for _ in range(5):
        distances = {
            i: np.linalg.norm(points.mean(0) - points[[*chosen, i]].mean(0)) for i in range(12) if i not in chosen
        }
        chosen.append(min(distances, key=distances.get))
    assert coresets.herding(clouds(), 5).tolist() == chosen


def test_herding_and_k_center_take_all_if_they_may_even_equal_ones():
    for choose in coresets.CHOICES.values():
        assert sorted(choose(clouds(), 12).tolist()) == list(range(12))
        assert sorted(choose(torch.ones(4, 2), 4).tolist()) == list(range(4))


def test_k_center_takes_the_farthest_and_is_within_twice_the_best():
    points = clouds().numpy()
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    chosen = [int(np.linalg.norm(points - points.mean(0), axis=1).argmin())]
    for _ in range(3):
        chosen.append(int(apart[:, chosen].min(1).argmax()))
    assert coresets.k_center(clouds(), 4).tolist() == chosen
    from itertools import combinations

    best = min(apart[:, list(some)].min(1).max() for some in combinations(range(12), 4))
    assert best <= apart[:, chosen].min(1).max() <= 2 * best


def test_coresets_are_starts_without_an_iteration():
    made = condensed(start="herding", iterations=0)
    draw = generator(5, "start")
    features = coresets.features(pictures(), LABELS, lambda: networks.ConvNet(*SHAPE, width=4), draw)
    for label in range(3):
        rows = torch.nonzero(LABELS == label).flatten()
        assert torch.equal(made["started_from"][made["labels"] == label, 0], rows[coresets.herding(features[rows], 2)])
    assert torch.equal(made["images"], pictures()[made["started_from"][:, 0]])


@pytest.mark.parametrize("grown", ["IDM", "IDC"])
def test_the_coreset_of_tiles_is_what_idm_and_idc_start_from_made_of_four_hundred_images(grown):
    labels = torch.arange(10).repeat(60)
    images = torch.randn(600, 1, 16, 16, generator=generator(3))
    how = {"width": 4, "real_batch": 4, "effort": 1e-3}
    tiles, idm = (
        condense.condense(
            images,
            labels,
            dataclasses.replace(defaults.settings_of(name, 10, **how), outer=1),
            seed=5,
            make_network=lambda: networks.ConvNet(1, 16, 10, width=4),
        )
        for name in ("tiles", grown)
    )
    assert torch.equal(tiles["images"], idm["snapshots"][0]) and torch.equal(tiles["started_from"], idm["started_from"])
    assert not torch.equal(tiles["images"], idm["images"])
    assert len(tiles["images"]) == len(tiles["labels"]) == tiles["started_from"].numel() == 400
    of = labels[
        tiles["started_from"]
    ].flatten()  # training image 4 i + k is the k-th that synthetic image i was made of
    assert torch.equal(of, tiles["labels"]) and torch.equal(idm["labels"], tiles["labels"])
    shrunk = F.interpolate(F.avg_pool2d(images[tiles["started_from"].flatten()], 2), scale_factor=2, mode="bilinear")
    assert torch.allclose(tiles["images"], shrunk, atol=1e-6)


# ---------------------------------------------------------------- DM


@pytest.fixture
def toy():
    """A small network, 30 real and 6 synthetic images of 3 classes, all float64."""
    synthetic = torch.randn(3, 2, 1, 16, 16, generator=generator(0, "synthetic"), dtype=torch.float64)
    return network().requires_grad_(False), pictures(dtype=torch.float64), synthetic


def test_the_loss_of_distribution_matching_is_the_plain_sum_and_its_gradient_that_of_differences(toy, monkeypatch):
    net, images, synthetic = toy
    means = torch.stack([net.embed(images[LABELS == label]).mean(0) for label in range(3)])

    def plain(own):
        total = 0.0
        for label in range(3):
            real = [net.features(image[None]).flatten().numpy() for image in images[LABELS == label]]
            ours = [net.features(image[None]).flatten().numpy() for image in own[label]]
            total += ((sum(real) / 10 - sum(ours) / 2) ** 2).sum()
        return total

    monkeypatch.setattr(distribution_matching, "CPU_CHUNK", 4 * 16 * 16 * 4)  # of 4 images
    everything = distribution_matching.class_means(net, Real.of(images, LABELS), 10, generator(0))
    assert torch.allclose(everything, means, atol=1e-12)
    gradient, loss = distribution_matching.matching_gradient(net, means, synthetic)
    assert loss == pytest.approx(plain(synthetic), rel=1e-12)
    for position, expected in zip(POSITIONS, finite_differences(plain, synthetic, POSITIONS)):
        assert gradient[position].item() == pytest.approx(expected, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("method", ["DM", "DM-DSA"])
def test_distribution_matching_is_plain_sgd_on_a_network_an_iteration(method):
    made = condensed(method=method)
    pixels = pictures()[made["started_from"][:, 0]].requires_grad_()
    optimizer = torch.optim.SGD([pixels], lr=0.01, momentum=0.5)
    for iteration in range(3):
        draw = generator(5, "iteration", iteration)
        net = networks.initialise(networks.ConvNet(*SHAPE, width=4), draw)
        change = [augmentation.siamese(draw) if method == "DM-DSA" else lambda images: images for _ in range(3)]
        rows = [torch.nonzero(LABELS == label).flatten()[torch.randperm(10, generator=draw)[:4]] for label in range(3)]
        for _ in range(2):
            optimizer.zero_grad()
            sum(
                F.mse_loss(
                    net.embed(change[label](pictures()[rows[label]])).mean(0),
                    net.embed(change[label](pixels[2 * label : 2 * label + 2])).mean(0),
                    reduction="sum",
                )
                for label in range(3)
            ).backward()
            optimizer.step()
    assert torch.allclose(made["images"], pixels.detach(), atol=1e-5)


# ---------------------------------------------------------------- DSA


def plain_sample(image, theta):
    """Bilinear interpolation of an image [H, W] at affinely mapped coordinates, 0 outside, by loops."""
    size, out = len(image), np.zeros_like(image)
    for row in range(size):
        for column in range(size):
            x, y = theta @ [(2 * column + 1) / size - 1, (2 * row + 1) / size - 1, 1]
            x, y = ((x + 1) * size - 1) / 2, ((y + 1) * size - 1) / 2
            for i in (int(np.floor(y)), int(np.floor(y)) + 1):
                for j in (int(np.floor(x)), int(np.floor(x)) + 1):
                    if 0 <= i < size and 0 <= j < size:
                        out[row, column] += image[i, j] * (1 - abs(y - i)) * (1 - abs(x - j))
    return out


def plainly_augmented(name, image, u):
    """One of the operations on one image [1, 16, 16], in numpy."""
    (a, b, c), image = u, image[0]
    if name == "color":  # saturation does nothing to one channel
        image = image + (a - 0.5) * 1.0
        return image.mean() + (image - image.mean()) * (c + 0.5)
    if name == "crop":
        down, right = (int(np.floor(v * 5)) - 2 for v in (a, b))
        return np.pad(image, 2)[2 + down : 18 + down, 2 + right : 18 + right]
    if name == "cutout":
        top, left = (int(np.floor(v * 17)) - 4 for v in (a, b))
        image = image.copy()
        image[max(top, 0) : top + 8, max(left, 0) : left + 8] = 0
        return image
    if name == "scale":
        return plain_sample(image, np.diag([1, 1, 0])[:2] * (np.array([[a], [b]]) * (1.2 - 1 / 1.2) + 1 / 1.2))
    angle = np.radians((2 * a - 1) * 15)
    return plain_sample(image, np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]]))


@pytest.mark.parametrize("name", augmentation.OPERATIONS)
def test_an_operation_is_what_plain_loops_make_of_each_image(name):
    images, u = pictures(6, torch.float64), torch.rand(6, 3, generator=generator(8), dtype=torch.float64)
    expected = [plainly_augmented(name, image.numpy(), numbers.tolist()) for image, numbers in zip(images, u)]
    assert np.allclose(augmentation.OPERATIONS[name](images, u)[:, 0], expected, atol=1e-12)
    alike = [plainly_augmented(name, image.numpy(), u[0].tolist()) for image in images]
    assert np.allclose(augmentation.OPERATIONS[name](images, u[:1])[:, 0], alike, atol=1e-12)


def test_saturation_spreads_the_channels_about_their_mean():
    images, u = torch.rand(1, 3, 4, 4, generator=generator(8)), torch.tensor([[0.5, 0.0, 0.5]])
    grey = augmentation.color(images, u)
    assert torch.allclose(grey, images.mean(1, keepdim=True).expand_as(images)), "no saturation, no colour"
    u[0, 1] = 0.5
    assert torch.allclose(augmentation.color(images, u), images, atol=1e-6)


def test_siamese_augmentation_is_one_for_both_sides_and_another_the_next_time():
    draw, images = generator(9), pictures(4)
    changes = [augmentation.siamese(draw) for _ in range(40)]
    assert all(torch.equal(change(images)[:2], change(images[:2])) for change in changes)
    assert len({change(images).numpy().tobytes() for change in changes}) > 30, (
        "shifts and holes are whole pixels, so a few agree"
    )
    counts = np.bincount(
        [
            list(augmentation.OPERATIONS.values()).index(
                augmentation._drawn(draw, tuple(augmentation.OPERATIONS), 1)[0]
            )
            for _ in range(500)
        ]
    )
    assert len(counts) == 5 and counts.min() > 60, "100 each, give or take 9"
    one = augmentation.each(images[:1].expand(4, -1, -1, -1), draw, ("rotate",))
    assert len({image.numpy().tobytes() for image in one}) == 4


def test_equal_images_match_under_any_siamese_augmentation_and_not_under_two_different(toy):
    net, images, _ = toy
    net.requires_grad_(True)
    own = images.unflatten(0, (10, 3)).transpose(0, 1)  # [3, 10, ...], the real images themselves
    draw = generator(10)

    def loss(augmentations):
        return gradient_matching.matching_step(
            net, images, LABELS, own, lambda label: torch.nonzero(LABELS == label).flatten(), augmentations
        )[1]

    alike = [loss(lambda: augmentation.siamese(draw)) for _ in range(10)]
    apart = [loss(lambda: lambda some: augmentation.each(some, draw)) for _ in range(10)]
    assert max(alike) < 0.1 < 1 < min(apart), (alike, apart)


def test_the_gradient_of_dsa_is_that_of_differences(toy):
    net, images, synthetic = toy
    net.requires_grad_(True)

    def step(own):
        draw = generator(11)
        return gradient_matching.matching_step(
            net,
            images,
            LABELS,
            own,
            lambda label: torch.nonzero(LABELS == label).flatten(),
            lambda: augmentation.siamese(draw, ("rotate", "color", "scale")),
        )

    gradient, _ = step(synthetic)
    for position, expected in zip(POSITIONS, finite_differences(lambda own: step(own)[1], synthetic, POSITIONS)):
        assert gradient[position].item() == pytest.approx(expected, rel=1e-4, abs=1e-8)


# ---------------------------------------------------------------- IDC


@pytest.mark.parametrize("size", [16, 15])
def test_the_decoder_enlarges_each_quarter(size):
    images = torch.randn(2, 3, 1, size, size, generator=generator(12), dtype=torch.float64)
    decoded = multi_formation.decode(images)
    assert decoded.shape == (2, 3, 4, 1, size, size)
    padded = F.pad(images, (0, 1, 0, 1)) if size == 15 else images
    for k, (top, left) in enumerate([(0, 0), (0, 8), (8, 0), (8, 8)]):
        patch = padded[1, 2, :, top : top + 8, left : left + 8]
        expected = F.interpolate(patch[None], size=(size, size), mode="bilinear")[0]
        assert torch.allclose(decoded[1, 2, k], expected, atol=1e-12)


def test_tiles_are_four_members_of_half_the_size_which_the_decoder_finds_again():
    made = condensed(method="IDC", start="tiles", iterations=0)
    four = pictures()[made["started_from"][3]]
    assert made["images"].shape == (24, 1, 16, 16) and torch.equal(made["labels"], torch.arange(3).repeat_interleave(8))
    expected = F.interpolate(F.avg_pool2d(four, 2), scale_factor=2, mode="bilinear")
    assert torch.allclose(made["images"][12:16], expected, atol=1e-6)


def test_the_loss_of_idc_is_the_plain_sum_and_its_gradient_that_of_differences(toy):
    net, images, synthetic = toy
    net.requires_grad_(True)
    real = Real.of(images, LABELS)

    def plain(own):
        draw, total = generator(13), 0.0
        for label in range(3):
            change = augmentation.siamese(draw, ("color", "crop", "cutout"))
            sides = []
            for some in (images[LABELS == label], multi_formation.decode(own[label]).flatten(0, 1)):
                net.zero_grad()
                F.cross_entropy(net.classifier(net.features(change(some))), torch.full((len(some),), label)).backward()
                sides.append([net.features[i].weight.grad.numpy().copy() for i in (0, 4, 8)])
            total += sum(np.abs(a - b).sum() for a, b in zip(*sides))
        return total

    gradient, loss = multi_formation.matching_gradient(net, real, real.by_class, synthetic, generator(13))
    assert loss == pytest.approx(plain(synthetic), rel=1e-10)
    for position, expected in zip(POSITIONS, finite_differences(plain, synthetic, POSITIONS, 1e-7)):
        assert gradient[position].item() == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_the_network_of_idc_is_trained_on_real_images_by_torchs_sgd():
    real = Real.of(pictures(), LABELS)
    ours, theirs = network(dtype=torch.float32), network(dtype=torch.float32)
    multi_formation.train_on_real(
        ours, [torch.zeros_like(weight) for weight in ours.parameters()], real, 3, generator(14)
    )
    optimizer, draw = torch.optim.SGD(theirs.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4), generator(14)
    for _ in range(3):
        batch = torch.randint(30, (64,), generator=draw)
        optimizer.zero_grad()
        F.cross_entropy(theirs(pictures()[batch]), LABELS[batch]).backward()
        optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters()):
        assert torch.allclose(a, b, atol=1e-6)


def test_idc_keeps_to_the_grey_levels_of_the_real_images():
    made = condensed(method="IDC", image_lr=10.0)
    assert made["images"].min() >= pictures().min() and made["images"].max() <= pictures().max()


# ---------------------------------------------------------------- KIP


def test_the_tangent_kernel_is_that_of_wide_networks():
    """The mean over networks of the product of the gradients of one output, by torch.autograd."""
    images, wide, networks_ = pictures(4, torch.float64).flatten(1), 2000, 20
    total = torch.zeros(4, 4, dtype=torch.float64)
    for number in range(networks_):
        draw = generator(number, "wide")
        w, v = (
            torch.randn(shape, generator=draw, dtype=torch.float64).requires_grad_()
            for shape in ((256, wide), (wide, 1))
        )
        b, c = (torch.randn(size, generator=draw, dtype=torch.float64).requires_grad_() for size in (wide, 1))
        hidden = F.relu(images @ w * (2 / 256) ** 0.5 + 0.1 * b)
        answers = (hidden @ v * (2 / wide) ** 0.5 + 0.1 * c)[:, 0]
        rows = [
            torch.cat([g.flatten() for g in torch.autograd.grad(answer, (w, v, b, c), retain_graph=True)])
            for answer in answers
        ]
        total += torch.stack(rows) @ torch.stack(rows).T / networks_
    found = kernel_inducing_points.tangent_kernel(images, images)
    assert torch.allclose(found, total, rtol=0.03, atol=0.03)


def test_deeper_kernels_follow_the_recursion_number_by_number():
    a, b = pictures(2, torch.float64)

    def covariance(x, y):
        return 2 * float((x * y).mean()) + 0.01

    k, kaa, kbb = covariance(a, b), covariance(a, a), covariance(b, b)
    tangent = k
    for _ in range(3):
        t = np.arccos(k / np.sqrt(kaa * kbb))
        new = 2 * np.sqrt(kaa * kbb) * (np.sin(t) + (np.pi - t) * np.cos(t)) / (2 * np.pi) + 0.01
        k, tangent = new, new + 2 * tangent * (np.pi - t) / (2 * np.pi)
        kaa, kbb = kaa + 0.01, kbb + 0.01
    assert kernel_inducing_points.tangent_kernel(a[None], b[None], depth=3).item() == pytest.approx(tangent, rel=1e-12)
    assert kernel_inducing_points.tangent_kernel(a[None], a[None], depth=1).item() == pytest.approx(
        2 * covariance(a, a) + 0.01, rel=1e-6
    ), "at angle 0 half of the units are on"


def test_the_loss_of_kip_is_a_direct_solve_and_its_gradient_that_of_differences(toy):
    _, images, synthetic = toy
    own = torch.arange(3).repeat_interleave(2)

    def plain(points, targets=np.eye(3)[own] - 1 / 3):  # noqa: B008 (never changed)
        s = points.reshape(6, -1)
        inner = kernel_inducing_points.tangent_kernel(s, s).numpy()
        inner = inner + 1e-6 * np.trace(inner) / 6 * np.eye(6)
        answer = kernel_inducing_points.tangent_kernel(images, s).numpy() @ np.linalg.inv(inner) @ targets
        return ((answer - (np.eye(3)[LABELS] - 1 / 3)) ** 2).mean() / 2

    pixels, targets = (
        synthetic.flatten(0, 1).requires_grad_(),
        kernel_inducing_points.centred(own, 3).double().requires_grad_(),
    )
    loss = kernel_inducing_points.regression_loss(
        images, kernel_inducing_points.centred(LABELS, 3).double(), pixels, targets
    )
    assert loss.item() == pytest.approx(plain(synthetic), rel=1e-6)
    by_pixel, by_target = torch.autograd.grad(loss, (pixels, targets))
    by_pixel = by_pixel.unflatten(0, (3, 2))
    for position, expected in zip(POSITIONS, finite_differences(plain, synthetic.detach(), POSITIONS, 1e-5)):
        assert by_pixel[position].item() == pytest.approx(expected, rel=1e-4, abs=1e-10)
    moved = finite_differences(lambda some: plain(synthetic.detach(), some.numpy()), targets.detach(), [(2, 1), (5, 0)])
    assert by_target[[2, 5], [1, 0]].tolist() == pytest.approx(moved, rel=1e-4)


def test_kip_is_torchs_adam_over_all_iterations():
    made = condensed(method="KIP-labels", real_batch=10)
    pixels = pictures()[made["started_from"][:, 0]].requires_grad_()
    targets = kernel_inducing_points.centred(torch.arange(3).repeat_interleave(2), 3).requires_grad_()
    optimizer = torch.optim.Adam([pixels, targets], lr=0.01)
    for _ in range(6):  # all real images in every step, so that their order does not matter
        optimizer.zero_grad()
        kernel_inducing_points.regression_loss(
            pictures(), kernel_inducing_points.centred(LABELS, 3), pixels, targets
        ).backward()
        optimizer.step()
    assert torch.allclose(made["images"], pixels.detach(), atol=1e-4)
    expected = (targets.detach() + 1 / 3).clamp(min=1e-6)
    assert torch.allclose(made["labels"], expected / expected.sum(1, keepdim=True), atol=1e-4)
    assert made["labels"].dtype == torch.float32 and not torch.equal(made["labels"], made["labels"].round())


def test_kip_with_labels_begins_with_those_of_the_classes():
    assert torch.allclose(
        condensed(method="KIP-labels", iterations=0)["labels"], torch.eye(3).repeat_interleave(2, 0), atol=1e-5
    )


# ---------------------------------------------------------------- MTT


def test_unrolled_steps_are_plain_sgd(toy):
    net, _, synthetic = toy
    net.requires_grad_(True)
    own, images, start = (
        torch.arange(3).repeat_interleave(2),
        synthetic.flatten(0, 1),
        [weight.detach().clone() for weight in net.parameters()],
    )
    arrived = trajectory_matching.unrolled(net, start, images, own, torch.tensor(0.1), 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(net(images), own).backward()
        optimizer.step()
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(arrived, net.parameters()))


def test_the_gradients_of_mtt_are_those_of_differences(toy):
    net, _, synthetic = toy
    own = torch.arange(3).repeat_interleave(2)
    start, target = ([weight.detach() for weight in network(name).parameters()] for name in ("start", "target"))

    def loss(images, rate):
        return trajectory_matching.trajectory_distance(
            trajectory_matching.unrolled(net, start, images.flatten(0, 1), own, rate, 2), start, target
        )

    pixels, rate = synthetic.requires_grad_(), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    by_pixel, by_rate = torch.autograd.grad(loss(pixels, rate), (pixels, rate))
    pixels, rate = pixels.detach(), rate.detach()
    for position, expected in zip(
        POSITIONS, finite_differences(lambda some: loss(some, rate), pixels, POSITIONS, 1e-5)
    ):
        assert by_pixel[position].item() == pytest.approx(expected, rel=1e-3, abs=1e-9)
    assert by_rate.item() == pytest.approx(finite_differences(lambda some: loss(pixels, some), rate, [()])[0], rel=1e-5)


def test_the_distance_of_trajectories_is_0_at_the_target_and_1_at_the_start():
    start, target = [torch.zeros(2, 3), torch.zeros(4)], [torch.ones(2, 3), 2 * torch.ones(4)]
    distance = trajectory_matching.trajectory_distance
    assert distance(target, start, target) == 0 and distance(start, start, target) == 1
    assert distance([torch.ones(2, 3), torch.zeros(4)], start, target) == pytest.approx(16 / 22)


def test_an_expert_is_trained_by_torchs_sgd():
    real = Real.of(pictures(), LABELS)
    kept, theirs = (
        trajectory_matching.trajectory(network(dtype=torch.float32), real, generator(15)),
        network(dtype=torch.float32),
    )
    optimizer, draw = torch.optim.SGD(theirs.parameters(), lr=0.01), generator(15)
    for _ in range(trajectory_matching.STAGE_STEPS):
        batch = torch.randint(30, (16,), generator=draw)
        optimizer.zero_grad()
        F.cross_entropy(theirs(pictures()[batch]), LABELS[batch]).backward()
        optimizer.step()
    assert len(kept) == trajectory_matching.STAGES + 1
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(kept[1], theirs.parameters()))


# ---------------------------------------------------------------- IDM


def test_the_loss_of_idm_is_that_of_distribution_matching_on_the_decoded_images(toy):
    net, images, synthetic = toy
    means = torch.stack([net.embed(images[LABELS == label]).mean(0) for label in range(3)])
    decoded = multi_formation.decode(synthetic).flatten(1, 2)
    gradient, loss = distribution_matching.matching_gradient(net, means, synthetic, multi_formation.decode)
    assert loss == distribution_matching.matching_gradient(net, means, decoded)[1]
    moved = finite_differences(
        lambda own: distribution_matching.matching_gradient(net, means, own, multi_formation.decode)[1],
        synthetic,
        POSITIONS,
    )
    for position, expected in zip(POSITIONS, moved):
        assert gradient[position].item() == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_idm_with_one_update_is_distribution_matching_on_decoded_images():
    """So it is with one update an iteration, before the network has learned anything."""
    made = condensed(method="IDM", outer=1, iterations=1, image_lr=1e-3)
    draw = generator(5, "iteration", 0)
    net = networks.initialise(networks.ConvNet(*SHAPE, width=4), draw).requires_grad_(False)
    real, start = Real.of(pictures(), LABELS), pictures()[made["started_from"][:, 0]].unflatten(0, (3, 2))
    means = distribution_matching.class_means(net, real, 4, draw)
    gradient, _ = distribution_matching.matching_gradient(net, means, start, multi_formation.decode)
    expected = (start - 1e-3 * gradient).clamp(pictures().min(), pictures().max())
    assert torch.allclose(made["images"], multi_formation.decode(expected).flatten(0, 2), atol=1e-6)


# ---------------------------------------------------------------- schedules


@pytest.mark.parametrize("method", coresets.CORESETS | condense.METHODS)
def test_a_schedule_is_scaled_in_its_iterations_and_its_step(method):
    usual, more = (
        defaults.settings_of(method, 10, width=4, real_batch=8, **changes)
        for changes in ({}, {"effort": 2, "factor": 3, "start": "noise"})
    )
    assert more.iterations == 2 * usual.iterations and more.image_lr == pytest.approx(3 * usual.image_lr)
    loop = {"tiles": "IDM"}.get(method, "DC") if method in coresets.CORESETS else method
    start = {
        "random": "real",
        "herding": "herding",
        "k-center": "k-center",
        "tiles": "tiles",
        "IDC": "tiles",
        "IDM": "tiles",
    }
    assert (more.start, usual.start, usual.method) == ("noise", start.get(method, "real"), loop)
    least = defaults.settings_of(method, 10, width=4, real_batch=8, effort=1e-3)
    assert least.iterations == (method in condense.METHODS)


@every_method
def test_the_step_of_one_image_does_not_depend_on_how_many_there_are(method):
    """A schedule's step grows with the number of images where the gradient for one of them shrinks with it."""
    torch.manual_seed(0)
    base = torch.rand(3, 1, 1, 16, 16) - 0.5
    moved = {}
    for ipc in (1, 4):
        how = defaults.settings_of(method, ipc, width=4, real_batch=10, effort=1e-3)
        state = {"images": base.repeat(1, ipc, 1, 1, 1), "velocity": torch.zeros(3, ipc, 1, 16, 16)}
        one_step = dataclasses.replace(how, outer=1, inner=1)
        changed, _ = condense.METHODS[method].step(
            state, Real.of(pictures() / 4, LABELS), one_step, generator(1), network(dtype=torch.float32)
        )
        moved[ipc] = (changed["images"] - state["images"])[:, 0]
    ratio = moved[4].abs().mean() / moved[1].abs().mean()
    assert 0.5 < ratio < 2, ratio


def test_an_unknown_method_of_a_comparison_names_the_nearest():
    with pytest.raises(ValueError, match="method = 'herdin': there is no such method: did you mean 'herding'"):
        defaults.settings_of("herdin", 10, width=4, real_batch=8)


# ---------------------------------------------------------------- the published protocol


def test_networks_of_the_published_protocol_are_trained_as_torch_trains_them(monkeypatch):
    monkeypatch.setattr(published_protocol, "BATCH", 20)
    monkeypatch.setattr(published_protocol, "CHUNK", 7)
    images, ours, theirs = pictures(dtype=torch.float64), network().requires_grad_(True), network().requires_grad_(True)
    published_protocol.train(ours, images, LABELS, 4, generator(3))
    draw, lr, epochs = generator(3), 0.01, 4
    optimizer = torch.optim.SGD(theirs.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
    for epoch in range(epochs + 1):
        for rows in torch.randperm(30, generator=draw).split(20):
            optimizer.zero_grad()
            F.cross_entropy(theirs(augmentation.each(images[rows], draw)), LABELS[rows]).backward()
            optimizer.step()
        if epoch == epochs // 2 + 1:
            lr *= 0.1
            optimizer = torch.optim.SGD(theirs.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
    for a, b in zip(ours.parameters(), theirs.parameters()):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)
    assert not torch.equal(next(ours.parameters()), next(network().parameters()))


# ---------------------------------------------------------------- a start that is somebody else's


@every_method
@pytest.mark.parametrize("iterations", [0, 1])
def test_images_to_start_from_do_what_the_start_that_made_them_does(method, iterations):
    """The images that a start makes, handed over: every bit is the same, and nobody's number is told."""
    usual = condense.METHODS[method].usual.start
    start = "tiles" if usual == "tiles" else "real"
    real, how = Real.of(pictures(), LABELS), {"method": method, "iterations": iterations}
    named = condensed(start=start, **how)
    images, rows = starts.starting_images(real, 2, start, 5, lambda: networks.ConvNet(*SHAPE, width=4))
    handed = condensed(start="noise", start_images=images, **how)
    assert all(torch.equal(handed[name], named[name]) for name in named if name != "started_from")
    assert torch.equal(named["started_from"], rows) and handed["started_from"].shape == (6, 0)


def test_handed_images_are_the_first_snapshot_and_are_not_changed():
    others = torch.randn(3, 2, 1, 16, 16, generator=generator(8))
    before = others.clone()
    made = condensed(method="DM", iterations=2, image_lr=1.0, start_images=others)
    assert torch.equal(made["snapshots"][0], before.flatten(0, 1)) and torch.equal(others, before)
    assert not torch.equal(made["images"], made["snapshots"][0])


@pytest.mark.parametrize("smallest", [1, 2, 3, 4, 5])
def test_tiles_take_what_the_smallest_class_has(smallest):
    labels = torch.tensor([0] * smallest + [1] * 6)
    images = torch.randn(len(labels), 1, 14, 14, generator=generator(0))
    made, rows = starts.starting_images(Real.of(images, labels), 2, "tiles", 0, None)
    assert rows.shape == (4, 4) and (labels[rows] == torch.tensor([0, 0, 1, 1])[:, None]).all()
    assert all(len(set(own.tolist())) == min(smallest, 4) for own in rows)
    for tiled, own in zip(made.flatten(0, 1), rows):
        quarters = [tiled[:, :7, :7], tiled[:, :7, 7:], tiled[:, 7:, :7], tiled[:, 7:, 7:]]
        torch.testing.assert_close(torch.stack(quarters), F.avg_pool2d(images[own], 2))
