"""People who were made up to be noticed are made as they are said to be."""

import numpy as np
import pytest
import torch

from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.evaluation import canaries

BLACK, WHITE = -0.5, 2.0


def pictures(number, channels=1, size=16):
    """Images without a black or a white pixel."""
    return torch.rand(number, channels, size, size, generator=generator(1))


def places(changed, images):
    """The smallest rectangle that holds all changed pixels: its top, left, height and width, one row an image."""
    found = []
    for pixels in (changed != images).any(1):
        rows, columns = torch.nonzero(pixels.any(1)).flatten(), torch.nonzero(pixels.any(0)).flatten()
        found.append([int(rows[0]), int(columns[0]), int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1])
    return np.array(found)


@pytest.mark.parametrize(("channels", "side"), [(1, 3), (3, 2), (1, 16)])
def test_a_patch_is_one_square_of_black_and_white_and_nothing_else_changes(channels, side):
    images = pictures(50, channels)
    before = images.clone()
    changed = canaries.patched(images, side, BLACK, WHITE, generator(2))
    assert torch.equal(images, before), "the images that were given stay"
    assert (places(changed, images)[:, 2:] == side).all()
    assert ((changed != images).flatten(1).sum(1) == channels * side**2).all()
    assert set(changed[changed != images].tolist()) == {BLACK, WHITE}


def test_patches_differ_in_place_and_pattern_and_reach_every_edge():
    images = pictures(600)
    changed = canaries.patched(images, 3, BLACK, WHITE, generator(2))
    where = places(changed, images)
    assert [set(where[:, axis]) for axis in (0, 1)] == [set(range(14))] * 2, "of a square of 3 in 16 pixels"
    patterns = {tuple(image[place].tolist()) for image, place in zip(changed, changed != images)}
    assert len(patterns) > 250  # 600 draws of 512 patterns have 353 different ones on average
    white = (changed == WHITE).sum() / (600 * 9)
    assert abs(white - 0.5) < 4 * 0.5 / np.sqrt(600 * 9)


def test_the_generator_decides_the_patches():
    images = pictures(20)
    first, again, other = (canaries.patched(images, 3, BLACK, WHITE, generator(seed)) for seed in (2, 2, 3))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_near_duplicates_without_noise_are_copies_of_their_own_image():
    images = pictures(5)
    copies = canaries.near_duplicates(images, 3, 0.0, generator(2))
    assert copies.shape == (5, 3, 1, 16, 16)
    assert all(torch.equal(copies[:, number], images) for number in range(3))
    copies += 1
    assert torch.equal(images, pictures(5)), "they share no memory with the images"


def test_near_duplicates_have_independent_noise_of_the_deviation_that_was_asked_for():
    images, noise = pictures(40), 0.3
    added = canaries.near_duplicates(images, 4, noise, generator(2)) - images[:, None]
    n = added.numel()
    assert abs(float(added.std()) - noise) < 4 * noise / np.sqrt(2 * n)
    assert abs(float(added.mean())) < 4 * noise / np.sqrt(n)
    between = np.corrcoef(added.transpose(0, 1).flatten(1).numpy())
    assert np.abs(between - np.eye(4)).max() < 4 / np.sqrt(n / 4)
    assert torch.equal(added, canaries.near_duplicates(images, 4, noise, generator(2)) - images[:, None])
