"""Everything on another device than the CPU: nothing meets a tensor of the wrong one, and the results are the same."""

import dataclasses

import pretended_device as pretended
import pytest
import torch

from dcpriv_lib.condensation import condense, defaults
from dcpriv_lib.condensation.starts import STARTS
from dcpriv_lib.models import networks, training

LABELS = torch.arange(24) % 3


def pictures(size=14):
    return torch.randn(24, 1, size, size, generator=torch.Generator().manual_seed(1))


def condensed(name, images, labels, **changes):
    usual = defaults.settings_of(name, 2, width=4, real_batch=4)
    changes = {"iterations": 2, "outer": min(2, usual.outer), "inner": min(2, usual.inner)} | changes
    settings = dataclasses.replace(usual, **changes)
    made = lambda: networks.build(settings.network, (1, 14, 3), 4, True)  # noqa: E731
    return condense.condense(images, labels, settings, seed=3, make_network=made)


@pytest.mark.parametrize("name", condense.METHODS)
def test_every_method_condenses_there_as_here(name):
    here = condensed(name, pictures(), LABELS)
    with pretended.entered():
        there = condensed(name, pictures().to(pretended.DEVICE), LABELS.to(pretended.DEVICE))
    for part in here:
        torch.testing.assert_close(there[part].cpu(), here[part], rtol=1e-4, atol=1e-5)
