"""Unmixing: the peer's solution, planted mixtures found, and nobody else accused."""

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from dcpriv_lib.attacks.released import unmixing


@pytest.mark.parametrize(("pixels", "people"), [(30, 12), (30, 200), (5, 40), (64, 1)])
def test_weights_are_those_of_scipy(pixels, people):
    draw = torch.Generator().manual_seed(people)
    candidates = torch.rand(people, pixels, generator=draw)
    images = torch.rand(7, pixels, generator=draw) - 0.2  # some nearest to no combination at all
    found = unmixing.unmix(images, candidates).double().numpy()
    for image, weights in zip(images.double().numpy(), found):
        _, residual = nnls(candidates.T.double().numpy(), image)
        assert (weights >= 0).all()
        assert np.linalg.norm(candidates.T.double().numpy() @ weights - image) == pytest.approx(residual, abs=1e-4)


def test_the_weights_themselves_are_those_of_scipy_where_there_is_one_solution():
    draw = torch.Generator().manual_seed(0)
    candidates, images = torch.rand(20, 50, generator=draw), torch.rand(6, 50, generator=draw)
    expected = np.stack([nnls(candidates.T.double().numpy(), image)[0] for image in images.double().numpy()])
    assert np.allclose(unmixing.unmix(images, candidates), expected, atol=1e-4)


@pytest.mark.parametrize("mixed", [1, 4, 16])
def test_planted_mixtures_are_taken_apart(mixed):
    draw = torch.Generator().manual_seed(mixed)
    candidates = torch.rand(200, 100, generator=draw)
    images = torch.stack([candidates[mixed * i : mixed * (i + 1)].mean(0) for i in range(3)])
    images += 0.001 * torch.randn(images.shape, generator=draw)
    largest = unmixing.unmix(images, candidates).amax(0)
    inside = torch.arange(200) < 3 * mixed
    assert largest[inside].min() > 0.5 / mixed and largest[~inside].max() < 0.2 / mixed


def test_the_order_of_candidates_and_copies_of_one_do_no_harm():
    draw = torch.Generator().manual_seed(1)
    candidates, images = torch.rand(60, 40, generator=draw), torch.rand(5, 40, generator=draw)
    order = torch.randperm(60, generator=draw)
    there = unmixing.unmix(images, candidates)
    assert torch.allclose(unmixing.unmix(images, candidates[order]), there[:, order], atol=1e-3)
    doubled = unmixing.unmix(images, torch.cat([candidates, candidates[:5]]))
    assert torch.allclose(doubled @ torch.cat([candidates, candidates[:5]]), there @ candidates, atol=1e-3)


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="expected rows of as many pixels"):
        unmixing.unmix(torch.rand(3, 10), torch.rand(4, 11))
    with pytest.raises(ValueError, match="expected rows of as many pixels"):
        unmixing.unmix(torch.rand(3, 10), torch.rand(0, 10))
