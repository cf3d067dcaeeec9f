"""People who were made up to be noticed: what a released set would betray, if it betrays anybody.

A wrong label (`Study.with_canaries`) is made for models, which can know it only by heart. Whoever holds images can look
for other things: a mark that nobody else has, or a person who was condensed many times over.
"""

import torch


def patched(images: torch.Tensor, side: int, low: float, high: float, draw: torch.Generator) -> torch.Tensor:
    """Return images with a small square of random black and white pixels each, at a random place.

    Parameters
    ----------
    images : float32 [n, C, H, W].
    side : of the square, in pixels, at most H and W.
    low, high : black and white, in the units of `images`.
    draw : of the places and the patterns, which differ from image to image.
    """
    n, channels, height, width = images.shape
    changed = images.clone()
    top = torch.randint(height - side + 1, (n,), generator=draw)
    left = torch.randint(width - side + 1, (n,), generator=draw)
    white = torch.rand((n, channels, side, side), generator=draw) < 0.5
    for image, y, x, pattern in zip(changed, top.tolist(), left.tolist(), white):
        image[:, y : y + side, x : x + side] = torch.where(pattern, high, low)
    return changed


def near_duplicates(images: torch.Tensor, number: int, noise: float, draw: torch.Generator) -> torch.Tensor:
    """Return so many copies of every image, each with some noise on its pixels, float32 [n, number, C, H, W].

    Parameters
    ----------
    images : float32 [n, C, H, W].
    noise : standard deviation of a pixel's, in the units of `images`; 0 for exact copies.
    """
    copies = images[:, None].expand(-1, number, -1, -1, -1)
    return copies + noise * torch.randn(copies.shape, generator=draw)
