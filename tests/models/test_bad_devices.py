"""Images and devices that no network can work with are refused."""

import pytest
import torch

from dcpriv_lib.models import networks, training


def test_images_too_small_for_the_network_are_refused_by_the_network(refused):
    with refused(ValueError, "PaperCNN", "at least 14x14 pixels", "these are 8x8", "enlarge them first"):
        networks.PaperCNN(1, 8, 10)


@pytest.mark.parametrize("name", ["tpu", "cuda"])
def test_absent_device_is_refused(name, refused):
    if name == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with refused(ValueError, f"device = '{name}'", "not available on this machine", "choose auto, ", "cpu"):
        training.device(name)
