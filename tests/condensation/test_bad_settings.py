"""Settings that no condensation can have are refused before the first one."""

import pytest
import torch

from bad_input import never
from dcpriv_lib.condensation import condense, defaults, method


@pytest.mark.parametrize("ipc", [0, 4])
def test_ipc_beyond_the_smallest_class_is_refused_before_condensing(ipc, refused):
    sizes = torch.tensor([0] * 9 + [1] * 3)
    words = [f"ipc = {ipc}", "class 1 has only 3 members", "choose ipc between 1 and 3"]
    with refused(ValueError, *words):
        method.check_ipc(sizes, ipc)
    with refused(ValueError, *words):
        condense.condense(torch.zeros(12, 1, 14, 14), sizes, method.Settings(ipc, 1, 1, 1), make_network=never, seed=0)


def test_loops_of_the_paper_are_refused_for_an_ipc_without_them(refused):
    with refused(ValueError, "outer = 0", "exist for ipc = 1, 10, 50, not 20", "set outer and inner"):
        defaults.loops(20, 0, 0)


def test_negative_loops_are_refused(refused):
    with refused(ValueError, "outer = 5, inner = -1", "expected 0 or more"):
        defaults.loops(10, 5, -1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ipc": [2, 0]}, ["ipc = 0", "between 1 and 5"]),
        ({"ipc": [2, 6]}, ["ipc = 6", "has only 5 members"]),
        ({"ipc": [1, 3], "outer": 0}, ["outer = 0", "not 3", "set outer and inner yourself"]),
        ({"outer": -1}, ["outer = -1", "expected 0 or more"]),
        ({"iterations": [1, 2, 3]}, ["iterations = [1, 2, 3]", "one for each of ipc = [1, 2]"]),
    ],
)
def test_all_settings_of_a_condensation_are_checked_before_the_first(changes, words, refused):
    run = {
        "ipc": [1, 2],
        "iterations": 1,
        "outer": 1,
        "inner": 1,
        "width": 4,
        "real_batch": 8,
        "image_lr": 1,
        "start": "noise",
    }
    with refused(ValueError, *words):
        defaults.settings(torch.arange(3).repeat(5), **run | changes)


def test_an_empty_condensation_is_refused(refused):
    with refused(ValueError, "outer = 0", "at least 1"):
        condense.condense(
            torch.zeros(4, 1, 16, 16),
            torch.tensor([0, 0, 1, 1]),
            method.Settings(1, 1, 0, 0),
            make_network=never,
            seed=0,
        )
