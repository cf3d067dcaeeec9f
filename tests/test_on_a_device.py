"""What is computed on another device: nothing meets a tensor of the wrong one, and the results are those of the CPU.

`pretended_device` takes the device's place, so that this runs where there is none.
"""

import dataclasses

import pretended_device as pretended
import pytest
import torch

from dcpriv_lib.condensation import condense, defaults, gradient_matching
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


def matching(network, images, synthetic, augmented=False):
    """Return what `matching_step` does in two classes of ten images and more."""
    draw, classes = generator(5), len(synthetic)
    labels = torch.arange(len(images)).remainder(classes).to(images.device)
    return gradient_matching.matching_step(
        network,
        images,
        labels,
        synthetic,
        lambda label: torch.arange(label, len(images), classes),
        (lambda: augmentation.siamese(draw)) if augmented else None,
    )


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("name", ["ConvNet", "PaperCNN"])
def test_all_classes_at_once_are_the_classes_one_by_one(name, augmented, monkeypatch):
    network = networks.build(name, (1, 16, 5), 6, True).double()
    images, synthetic = pictures(35, 1, 16, 16).double(), pictures(5, 2, 1, 16, 16).double()
    one_by_one, loss = matching(network, images, synthetic, augmented)
    monkeypatch.setattr(gradient_matching, "_class_by_class", gradient_matching._classes_at_once)
    at_once, same_loss = matching(network, images, synthetic, augmented)
    assert one_by_one.abs().max() > 1e-4
    torch.testing.assert_close(at_once, one_by_one, rtol=1e-9, atol=1e-12)
    assert same_loss == pytest.approx(loss, rel=1e-12)


def test_an_update_of_gradient_matching_is_a_few_hundred_launches_and_one_wait(there):
    network = networks.build("ConvNet", (1, 28, 10), 8, True).to(pretended.DEVICE)
    images, synthetic = (one.to(pretended.DEVICE) for one in (pictures(80, 1, 28, 28), pictures(10, 2, 1, 28, 28)))
    there.counts.clear()
    matching(network, images, synthetic)
    assert there.counts["launches"] <= 600 and there.counts["waits"] == 1


def test_classes_of_unequal_sizes_are_matched_there_one_by_one(request):
    network = networks.build("ConvNet", (1, 16, 3), 4, True)
    images, synthetic = pictures(8, 1, 16, 16), pictures(3, 1, 1, 16, 16)
    here, loss = matching(network, images, synthetic)
    request.getfixturevalue("there")
    found, same_loss = matching(
        network.to(pretended.DEVICE), images.to(pretended.DEVICE), synthetic.to(pretended.DEVICE)
    )
    torch.testing.assert_close(found.cpu(), here, rtol=1e-4, atol=1e-6)
    assert same_loss == pytest.approx(loss, rel=1e-4)
