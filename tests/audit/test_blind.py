"""Who differs by looks is noticed without the set, and a random choice is not."""

from types import SimpleNamespace

import numpy as np
import torch

from dcpriv_lib.attacks.released.released_set import Labelled
from dcpriv_lib.audit import blind


def people(rng, n=600, shift=0.0):
    """Two classes with means of their own; members are brighter by a part of a pixel's spread, in a few pixels."""
    classes, is_member = rng.integers(0, 2, n), rng.random(n) < 0.5
    pixels = rng.normal(size=(n, 1, 8, 8)) + 3 * classes[:, None, None, None]
    pixels[:, :, :2] += shift * is_member[:, None, None, None]
    images = Labelled(torch.as_tensor(pixels, dtype=torch.float32), torch.as_tensor(classes))
    return SimpleNamespace(candidates=images, classes=classes, is_member=is_member)


def test_a_random_choice_is_told_apart_in_one_of_a_hundred():
    found = [blind.told_apart(people(np.random.default_rng(seed)), seed) for seed in range(60)]
    assert sum(not one["holds"] for one in found) <= 3
    assert abs(np.mean([one["auc"][0] for one in found]) - 0.5) < 0.01


def test_another_kind_of_people_is_noticed():
    found = blind.told_apart(people(np.random.default_rng(0), shift=0.4), 0)
    assert not found["holds"] and found["auc"][1] > 0.55


def test_of_too_few_people_nothing_is_learned():
    assert blind.told_apart(people(np.random.default_rng(0), n=30), 0) == {"auc": None, "p": 1.0, "holds": True}
