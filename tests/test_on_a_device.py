"""What is computed on another device: nothing meets a tensor of the wrong one, and the results are those of the CPU.

`pretended_device` takes the device's place, so that this runs where there is none.
"""

import dataclasses

import numpy as np
import pretended_device as pretended
import pytest
import torch

from dcpriv_lib import jobs
from dcpriv_lib.condensation import (
    condense,
    defaults,
    distribution_matching,
    gradient_matching,
    method,
    multi_formation,
    starts,
)
from dcpriv_lib.engine import devices, origin, provenance, store
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.evaluation import robustness
from dcpriv_lib.models import augmentation, networks, published_protocol, training
from dcpriv_lib.privacy import dp_sgd, gan, noisy_embeddings, psg
from dcpriv_lib.study import Study

LABELS = torch.arange(24) % 3


@pytest.fixture
def there():
    with pretended.entered() as device:
        yield device


def pictures(*shape):
    return torch.randn(*shape, generator=generator(1))


# ---------------------------------------------------------------- the pretence itself


def test_tensors_of_two_devices_do_not_meet_but_for_single_numbers(there):
    own, other = pictures(3, 4).to(pretended.DEVICE), pictures(3, 4)
    for operation in (torch.add, torch.dot, lambda a, b: torch.where(a > 0, a, b), lambda a, b: b[a.argmax(1)]):
        with pytest.raises(pretended.MixedDevices, match="expected all tensors to be on the same device"):
            operation(own, other)
    assert torch.equal((own * torch.tensor(2.0)).cpu(), 2 * other)
    assert torch.equal(own[torch.tensor([2, 0])].cpu(), other[[2, 0]]), "an index may come from the CPU"
    assert torch.equal(torch.tensor([1.0, 2.0], device=pretended.DEVICE).cpu(), torch.tensor([1.0, 2.0]))


def test_what_a_device_refuses_is_refused(there):
    with pytest.raises(pretended.MixedDevices, match="generator"):
        torch.randn(3, device=pretended.DEVICE, generator=torch.Generator())
    with pytest.raises((RuntimeError, TypeError), match="numpy"):
        pictures(3).to(pretended.DEVICE).numpy()


def test_gradients_of_gradients_are_those_of_the_cpu_and_launches_are_counted(there):
    x, w = pictures(5, 4), pictures(4, 2)

    def second(x, w):
        w = w.detach().requires_grad_()
        (first,) = torch.autograd.grad((x @ w).tanh().pow(2).sum(), w, create_graph=True)
        return torch.autograd.grad(first.pow(2).sum(), w)[0]

    expected = second(x, w)
    assert not there.counts["launches"]
    found = second(x.to(pretended.DEVICE), w.to(pretended.DEVICE))
    assert isinstance(found, pretended.There)
    assert there.counts["launches"] > 10 and not there.counts["waits"]
    torch.testing.assert_close(found.cpu(), expected)
    before = there.counts["launches"]
    assert found.flatten().view(2, 4).T[0].shape == (2,) and there.counts["launches"] == before, "views cost nothing"
    assert (
        found.sum().item() == pytest.approx(expected.sum().item()) and there.counts["waits"] == 2
    )  # with that of cpu()


# ---------------------------------------------------------------- condensation


def condensed(name, images, labels, **changes):
    usual = defaults.settings_of(name, 2, width=4, real_batch=4)
    short = {"iterations": 2, "outer": min(2, usual.outer), "inner": min(2, usual.inner)}
    settings = dataclasses.replace(usual, **short | changes)
    return condense.condense(
        images, labels, settings, seed=3, make_network=lambda: networks.build(settings.network, (1, 14, 3), 4, True)
    )


@pytest.mark.parametrize("name", condense.METHODS)
def test_every_method_condenses_there_as_here(name, request):
    here = condensed(name, pictures(24, 1, 14, 14), LABELS)
    request.getfixturevalue("there")
    found = condensed(name, pictures(24, 1, 14, 14).to(pretended.DEVICE), LABELS.to(pretended.DEVICE))
    for part in here:
        torch.testing.assert_close(found[part].cpu(), here[part], rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- all classes at once


def one_update(name, sizes, size=16, ipc=2, width=6, kind="ConvNet", device="cpu", dtype=torch.float64):
    """Return the gradient of the synthetic images and the loss of one update, of classes with so many images."""
    network = networks.build(kind, (1, size, len(sizes)), width, True)
    network = networks.initialise(network, generator(4)).to(dtype).to(device)
    images, synthetic = pictures(sum(sizes), 1, size, size), pictures(len(sizes), ipc, 1, size, size)
    images, synthetic = (one.to(dtype).to(device) for one in (images, synthetic))
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    real, draw = method.Real.of(images, labels), generator(5)
    rows = [real.some(label, 8, draw) for label in range(len(sizes))]
    if name == "IDC":
        return multi_formation.matching_gradient(network, real, rows, synthetic, draw)
    if name in ("DC", "DSA"):
        change = (lambda: augmentation.siamese(draw)) if name == "DSA" else None
        return gradient_matching.matching_step(network, images, labels, synthetic, rows.__getitem__, change)
    changes = [augmentation.siamese(draw) for _ in sizes] if name == "DM-DSA" else None
    means = distribution_matching.class_means(network.requires_grad_(False), real, 8, draw, changes)
    return distribution_matching.matching_gradient(network, means, synthetic)


UPDATES = "DC", "DSA", "IDC", "DM", "DM-DSA"


@pytest.mark.parametrize("kind", ["ConvNet", "PaperCNN"])
@pytest.mark.parametrize("sizes", [[9] * 7, [9, 3, 8, 1, 5]], ids=["equal classes", "unequal classes"])
@pytest.mark.parametrize("name", UPDATES)
def test_all_classes_at_once_are_the_classes_one_by_one(name, sizes, kind, request):
    one_by_one, loss = one_update(name, sizes, kind=kind)
    request.getfixturevalue("there")
    at_once, same_loss = one_update(name, sizes, kind=kind, device=pretended.DEVICE)
    assert one_by_one.abs().max() > 1e-5
    torch.testing.assert_close(at_once.cpu(), one_by_one, rtol=1e-6, atol=1e-6 * one_by_one.abs().max().item())
    assert same_loss == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize(("name", "most"), [("DC", 600), ("DSA", 600), ("IDC", 600), ("DM", 150), ("DM-DSA", 200)])
def test_an_update_is_a_few_hundred_launches_and_one_wait_for_any_number_of_classes(name, most, there):
    launches = []
    for classes in (5, 10, 15):
        there.counts.clear()
        one_update(name, [9] * classes, size=28, device=pretended.DEVICE, dtype=torch.float32)
        launches.append(there.counts["launches"])
        assert there.counts["waits"] == 1
    assert launches[1] <= most and (max(launches) == launches[0] or "DSA" in name), "it draws of five operations"


# ---------------------------------------------------------------- a population


def population(number, device, dtype=torch.float64, kind="PaperCNN", soft=False):
    """Return networks, the arguments of their training, and the generators of their orders."""
    made = [networks.initialise(networks.build(kind, (1, 14, 3), 4), generator(6, k)) for k in range(number)]
    images = torch.stack([torch.randn(25, 1, 14, 14, generator=generator(7, k)) for k in range(number)])
    labels = torch.stack([torch.randint(3, (25,), generator=generator(8, k)) for k in range(number)])
    if soft:
        labels = torch.nn.functional.one_hot(labels, 3) * 0.9 + 0.1 / 3
    draws = [generator(9, k) for k in range(number)]
    labels = labels.to(dtype) if soft else labels
    return [one.to(dtype).to(device) for one in made], images.to(dtype).to(device), labels.to(device), draws


def weights_of(one):
    return torch.nn.utils.parameters_to_vector(one.parameters()).detach().cpu()


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("kind", networks.NETWORKS)
def test_a_population_is_trained_there_as_one_by_one_here(kind, soft, request):
    one_by_one, images, labels, draws = population(3, "cpu", kind=kind, soft=soft)
    lost = [
        training.train(one, *of, epochs=2, generator=draw, batch_size=10)
        for one, draw, *of in zip(one_by_one, draws, images, labels)
    ]
    request.getfixturevalue("there")
    together, *of, draws = population(3, pretended.DEVICE, kind=kind, soft=soft)
    found = training.train_together(together, *of, epochs=2, generators=draws, batch_size=10)
    np.testing.assert_allclose(found, lost, rtol=1e-6)
    for ours, theirs in zip(together, one_by_one):
        torch.testing.assert_close(weights_of(ours), weights_of(theirs), rtol=1e-6, atol=1e-8)


def test_the_launches_of_a_training_do_not_grow_with_the_population(there):
    launches = []
    for number in (2, 3, 9):
        together, *of, draws = population(number, pretended.DEVICE, torch.float32)
        there.counts.clear()
        training.train_together(together, *of, epochs=4, generators=draws, batch_size=5)
        launches.append(there.counts["launches"] - number)  # the weights of each are taken apart once, at the end
    assert len(set(launches)) == 1 and launches[0] < 20 * 160, "twenty steps"


def test_a_stopped_population_goes_on_to_the_same_bits(tmp_path, there):
    def stop(epochs):
        for epoch in epochs:
            if epoch == 2:
                raise KeyboardInterrupt
            yield epoch

    def trained(**more):
        together, *of, draws = population(2, pretended.DEVICE, torch.float32)
        history = training.train_together(together, *of, epochs=4, generators=draws, batch_size=10, **more)
        return history.tolist(), [weights_of(one).tolist() for one in together]

    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=tmp_path / "state.npz", progress=stop)
    begun = []
    resumed = trained(checkpoint=tmp_path / "state.npz", progress=lambda epochs: begun.append(epochs) or epochs)
    assert begun == [range(2, 4)] and resumed == trained()


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The digits, divided, with results in a folder of the test's own."""
    monkeypatch.setenv("DCPRIV_RESULTS", str(tmp_path))
    return Study.divide("mine", "digits", 0, "standard", device="cpu")


def test_models_of_a_study_are_trained_there_together_and_kept_apart_from_those_of_the_cpu(study, there, monkeypatch):
    wanted = {number: (study.choose(study.members, 40, number), jobs.Training(2)) for number in range(3)}
    wanted |= {"more": (study.choose(study.members, 50, "more"), jobs.Training(2))}
    here = study.models("population", wanted)
    monkeypatch.setattr(jobs, "TOGETHER", 2)
    study.device = pretended.DEVICE
    groups = jobs.populations(study.data, study._jobs(jobs.model_job, "population", wanted))
    assert [len(group) for group in groups] == [2, 1, 1], "two and one of equal size, and the larger one"
    found = study.models("population", wanted)
    assert not set(here.table["file"]) & set(found.table["file"])
    np.testing.assert_allclose(found.logits, here.logits, rtol=1e-3, atol=1e-4)
    assert not list((study.folder / "models").glob("state-*")), "all are kept, and so the state is not"
    second = study.folder / "models" / found.table["file"][1]
    before = second.read_bytes()
    second.unlink()
    study.models("population", wanted)
    assert second.read_bytes() == before, "trained again with the same others"


# ---------------------------------------------------------------- other trainings, private sets, attacks


def new(kind="PaperCNN", device="cpu"):
    return networks.initialise(networks.build(kind, (1, 14, 3), 4), generator(2)).to(device)


def people(device):
    return pictures(24, 1, 14, 14).to(device), LABELS.to(device)


COINS = torch.tensor([True, False, True])
QUERY = {name: noisy_embeddings.ReleaseSettings(2, 0.5, 1.0, name, 6) for name in noisy_embeddings.EMBEDDINGS}
GAN = gan.Settings(drawn=1, updates=2, lr=1e-3, batch=6, width=8)
FIT = noisy_embeddings.FitSettings(ipc=1, updates=3, lr=0.1)


def sums_of(query):
    length = noisy_embeddings.embedding((1, 14, 3), query, 5, 0)(pictures(1, 1, 14, 14)).shape[1]
    return torch.randn(2, 3, length, generator=generator(3))


def trained(device):
    network = new(device=device)
    return {"loss": training.train(network, *people(device), epochs=2, generator=generator(4), batch_size=8)} | {
        "weights": weights_of(network),
        "logits": training.predict(network, pictures(5, 1, 14, 14)),
    }


def trained_as_published(device):
    network = new("ConvNet", device)
    published_protocol.train(network, *people(device), 1, generator(5))
    return {"weights": weights_of(network)}


def trained_privately(device):
    network, settings = new(device=device), dp_sgd.Settings(steps=2, batch=8, clip=0.5, sigma=1.0, lr=0.1)
    scores = dp_sgd.train(network, *people(device), settings, seed=7, is_member=COINS)
    return {"scores": scores, "weights": weights_of(network)}


def condensed_privately(device):
    settings = psg.Settings(1, 2, 2, batch=8, clip=0.5, sigma=1.0, image_lr=0.5, size=4, network_steps=1)
    return psg.condense(*people(device), 3, settings, seed=7, is_member=COINS)


def attacked(device):
    network = networks.OnPixels(new(device=device), torch.full((1, 1, 1, 1), 120.0), torch.full((1, 1, 1, 1), 60.0))
    images, labels = torch.rand(9, 1, 14, 14, generator=generator(8)).to(device), LABELS[:9].to(device)
    found = robustness.examine(network, images, labels, epsilons=[0.05, 0.3], steps=2, generator=generator(9))
    how = {"epsilon": 0.05, "steps": 2, "queries": 3, "rivals": 1, "generator": generator(9)}
    return found | {
        f"strongest {name}": of for name, of in robustness.strongest(network, images, labels, **how).items()
    }


PIECES = {
    "training": trained,
    "published protocol": trained_as_published,
    "DP-SGD": trained_privately,
    "PSG": condensed_privately,
    "GAN": lambda device: gan.train(*people(device), 3, GAN, seed=3),
    "adversarial images": attacked,
}
for _name, _query in QUERY.items():
    PIECES |= {
        f"release of {_name}": lambda device, query=_query: noisy_embeddings.release(
            *people(device), 3, query, seed=5, is_member=COINS
        ),
        f"fit to {_name}": lambda device, query=_query: noisy_embeddings.fit(
            sums_of(query).to(device), (1, 14, 3), 8.0, query, FIT, seed=5
        ),
        f"generator network of {_name}": lambda device, query=_query: gan.fit(
            sums_of(query).to(device), (1, 14, 3), 8.0, query, GAN, seed=5
        ),
    }


@pytest.mark.parametrize("name", PIECES)
def test_what_else_computes_does_so_there_as_here(name, request):
    here = PIECES[name]("cpu")
    device = request.getfixturevalue("there")
    found = PIECES[name](pretended.DEVICE)
    assert device.counts["launches"] > 50, "it computed on the CPU"
    for part, expected in here.items():
        ours, theirs = (torch.as_tensor(one).cpu().double() for one in (found[part], expected))
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("start", starts.STARTS)
def test_every_start_is_made_there_as_here(start, request):
    real, make = method.Real.of(*people("cpu")), lambda: networks.build("ConvNet", (1, 14, 3), 4, True)
    here = starts.starting_images(real, 2, start, 3, make)
    request.getfixturevalue("there")
    found = starts.starting_images(method.Real.of(*people(pretended.DEVICE)), 2, start, 3, make)
    torch.testing.assert_close(found[0], here[0])
    assert torch.equal(found[1], here[1])


def test_pictures_of_the_cpu_meet_a_network_there(there):
    """As notebook 10 and its solutions show them."""
    network = networks.OnPixels(new(device=pretended.DEVICE), torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1))
    shown, labels = torch.rand(4, 1, 14, 14, generator=generator(8)), LABELS[:4]
    assert not isinstance(network(shown), pretended.There)
    moved = robustness.pgd(network, shown, labels, 0.1, steps=2, generator=generator(1))
    assert not isinstance(moved, pretended.There) and (moved - shown).abs().max() == pytest.approx(0.1)


# ---------------------------------------------------------------- settings and records


def test_a_device_is_on_record_with_its_settings_and_the_cpu_as_it_always_was(there):
    devices.use(torch.device("cpu"))
    of_cpu = provenance.of_this_process()
    assert "device" not in of_cpu and devices.key(torch.device("cpu")) == {}
    torch.backends.cuda.matmul.fp32_precision = torch.backends.cudnn.conv.fp32_precision = "tf32"
    devices.use(pretended.DEVICE)
    of_device = provenance.of_this_process()["device"]
    assert (of_device["device"], devices.key(pretended.DEVICE)) == ("meta", {"device": "meta"})
    assert of_device["precision of products"] == of_device["precision of convolutions"] == "ieee"
    assert of_device["deterministic"] and of_device["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    torch.backends.cuda.matmul.fp32_precision = "tf32"  # by somebody's own cell
    torch.use_deterministic_algorithms(False)
    of_device = provenance.of_this_process()["device"]
    assert of_device["precision of products"] == "tf32" and not of_device["deterministic"], "as they are, not as set"


def test_what_mixes_devices_says_so(tmp_path, there, capsys, monkeypatch):
    for name, fresh in (("_under_way", [{}]), ("_elsewhere", [set()]), ("_told", set())):
        monkeypatch.setattr(origin, name, fresh)  # what other tests read in this process is not on record here

    def save(name, device, **inputs):
        devices.use(device)
        store.save_arrays(tmp_path / name / "a.npz", {"x": np.zeros(1)}, inputs)
        return tmp_path / name / "a.npz"

    cpu, recorded = torch.device("cpu"), {"parameters": {"device": "auto"}}
    split, here = save("split", cpu, profile="mine"), save("here", cpu, profile="mine", **recorded)
    elsewhere = save("there", pretended.DEVICE, profile="mine", **recorded)
    for path, said in ((split, ""), (elsewhere, ""), (here, "some of this was computed on cpu, and this notebook")):
        store.load_arrays(path, {}, "")
        assert said in (told := capsys.readouterr().err) and bool(said) == bool(told)
    with origin.computing(population):
        store.load_arrays(here, {}, "")
        mixed = save("mixed", pretended.DEVICE, **recorded)
    records = [store.read_record(path) for path in (split, here, elsewhere, mixed)]
    assert [one.get("other_devices") for one in records] == [None, None, None, ["cpu"]]
    assert origin.devices_of(records[0]) == set() and origin.devices_of(records[3]) == {"cpu", "meta"}
    same = [one | {"code": {}} for one in records]
    assert origin.mixture(same[:2]) == origin.mixture(same[2:3]) == ""
    assert origin.mixture(same[:3]) == origin.mixture(same[3:]) == "It mixes devices: cpu and meta."
