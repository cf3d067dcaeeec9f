"""Products by OpenBLAS are those of torch, in float64, whatever the strides, and so are their derivatives."""

import subprocess
import sys

import pytest
import torch

from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.models import products


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed, "products"), dtype=torch.float64)


def windows():
    """Return overlapping windows of one row of numbers, as a convolution reads them: [3, 4, 5], no copy."""
    return normal(40).as_strided((3, 4, 5), (10, 5, 1))


STRIDED = {
    "plain": lambda: (normal(4, 5), normal(5, 3, seed=1)),
    "both transposed": lambda: (normal(5, 4).t(), normal(3, 5, seed=1).t()),
    "one weight for all": lambda: (normal(6, 4).expand(3, -1, -1), windows()),
    "transposed windows": lambda: (normal(3, 6, 5), windows().transpose(1, 2)),
    "every other column": lambda: (normal(4, 10)[:, ::2], normal(5, 6, seed=1)[:, ::2]),
    "one number for all": lambda: (normal(1, 1).expand(4, 5), normal(5, 3, seed=1)),
    "a column and a row": lambda: (normal(4, 1), normal(1, 3, seed=1)),
    "nobody": lambda: (normal(0, 5), normal(5, 3, seed=1)),
}


@pytest.mark.parametrize("name", STRIDED)
def test_a_product_is_torchs_whatever_the_strides(name):
    a, b = STRIDED[name]()
    torch.testing.assert_close(products.product(a, b), a @ b, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_two_derivatives_are_those_of_finite_differences(shape):
    a, b = normal(*shape, 2, 4).requires_grad_(), normal(*shape, 4, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(products.multiply, (a, b))
    assert torch.autograd.gradgradcheck(products.multiply, (a, b))


def test_only_the_derivatives_that_are_asked_for_are_made():
    a, b = normal(2, 4).requires_grad_(), normal(4, 3, seed=1)
    (by_a,) = torch.autograd.grad(products.multiply(a, b).sum(), a)
    torch.testing.assert_close(by_a, b.sum(1).expand(2, 4), rtol=1e-13, atol=1e-13)


def test_a_dense_layer_is_torchs():
    ours, theirs = products.Linear(5, 3).double(), torch.nn.Linear(5, 3).double()
    theirs.load_state_dict(ours.state_dict())
    x = normal(7, 5).requires_grad_()
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-12, atol=1e-13)
    found, expected = (torch.autograd.grad(one(x).square().sum(), [x, *one.parameters()]) for one in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)


def test_a_product_imports_nothing_more():
    """Every process that trains would: torch's own broadcasting of shapes imports an algebra package."""
    code = (
        "import sys, torch\nfrom dcpriv_lib.models import products\nbefore = set(sys.modules)\n"
        "products.product(torch.ones(2, 3, 4), torch.ones(2, 4, 5))\nprint(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
