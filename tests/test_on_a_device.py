"""What is computed on another device: nothing meets a tensor of the wrong one, and the results are those of the CPU.

`pretended_device` takes the device's place, so that this runs where there is none.
"""

import dataclasses

import pretended_device as pretended
import pytest
import torch

from dcpriv_lib.condensation import (
    condense,
    defaults,
    distribution_matching,
    gradient_matching,
    method,
    multi_formation,
)
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.models import augmentation, networks

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


@pytest.mark.parametrize(
    "name, most", [("DC", 600), ("DSA", 800), ("IDC", 800), ("DM", 150), ("DM-DSA", 250)]
)
def test_an_update_is_a_few_hundred_launches_and_one_wait_for_any_number_of_classes(name, most, there):
    launches = []
    for classes in (5, 10, 15):
        there.counts.clear()
        one_update(name, [9] * classes, size=28, device=pretended.DEVICE, dtype=torch.float32)
        launches.append(there.counts["launches"])
        assert there.counts["waits"] == 1
    print(launches)
    assert launches[1] <= most
