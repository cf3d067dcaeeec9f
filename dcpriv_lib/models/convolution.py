"""Convolutions as matrix products, for CPUs.

Images are held with the batch last: every step then runs over contiguous memory, and a small
convolution becomes a few large matrix products. The results are those of
torch's own layers up to the rounding of the sums (tested in float64).
"""

import functools
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .products import multiply, product


class _Convolution(torch.autograd.Function):
    """A valid convolution without its bias, as one matrix product for each row of the output.

    Only the shifts along a row are copied: with the rows first, those that a window covers lie beside
    each other, and the windows of neighbouring rows share their memory. The even columns of the
    output come before the odd ones, so that 2x2 pooling is a maximum of whole blocks. An odd last
    row or column is not pooled, so left out.
    """

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        # [H, C, W, B], [O, C, k, k] -> [rows, O, 2, columns / 2 * B]
        (height, channels, width, batch), (outputs, _, k, _) = images.shape, weight.shape
        rows, half = (height - k + 1) // 2 * 2, (width - k + 1) // 2
        row = width * batch
        shifted = (
            images.contiguous()
            .as_strided((height, channels, k, 2, half, batch), (channels * row, row, batch, batch, 2 * batch, 1))
            .reshape(height, channels * k, -1)
        )
        n = shifted.shape[2]
        windows = shifted.as_strided((rows, k * channels * k, n), (channels * k * n, n, 1))
        ctx.save_for_backward(windows, weight)
        ctx.shape = images.shape
        products = product(weight.transpose(1, 2).reshape(outputs, -1).expand(rows, -1, -1), windows)
        return products.view(rows, outputs, 2, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        (height, channels, _, batch), (windows, weight) = ctx.shape, ctx.saved_tensors
        (outputs, _, k, _), (rows, _, n) = weight.shape, windows.shape
        gradient = gradient.reshape(rows, outputs, n)
        by_weight = None
        if ctx.needs_input_grad[1]:
            by_weight = product(gradient, windows.transpose(1, 2)).sum(0).view(outputs, k, channels, k).transpose(1, 2)
        if not ctx.needs_input_grad[0]:
            return None, by_weight
        padded = gradient.new_zeros(height + k - 1, outputs, n)
        padded[k - 1 : k - 1 + rows] = gradient
        windows = padded.as_strided((height, k * outputs, n), (outputs * n, n, 1))
        flipped = weight.flip(2).permute(1, 3, 2, 0).reshape(channels * k, -1)
        by_shift = product(flipped.expand(height, -1, -1), windows).view(height, channels, k, 2, -1, batch)
        total = gradient.new_zeros(ctx.shape)
        for j in range(k):
            total[:, :, j : j + n // batch].unflatten(2, (-1, 2)).add_(by_shift[:, :, j].transpose(2, 3))
        return total, by_weight


class _BlockMaximum(torch.autograd.Function):
    """The maximum over dimensions 1 and 3; ties share the gradient, as in ``torch.amax``, but in half the time."""

    @staticmethod
    def forward(ctx: Any, blocks: torch.Tensor) -> torch.Tensor:
        # [rows, 2, O, 2, n] -> [rows, O, n]
        largest = functools.reduce(torch.maximum, _each_of_four(blocks))
        ctx.save_for_backward(blocks, largest)
        return largest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        blocks, largest = ctx.saved_tensors
        mask = torch.eq(blocks, largest[:, None, :, None], out=torch.empty_like(blocks))
        return mask.mul_((gradient / sum(_each_of_four(mask)))[:, None, :, None])


def _each_of_four(blocks: torch.Tensor) -> list[torch.Tensor]:
    return [blocks[:, i, :, j] for i in (0, 1) for j in (0, 1)]


def pooled(images: torch.Tensor, layer: torch.nn.Conv2d) -> torch.Tensor:
    """Return 2x2 maximum pooling of a valid convolution; its gradient cannot be differentiated again.

    Parameters
    ----------
    images : float [H, C, W, B], the rows first.
    layer : square kernel k, stride 1, no padding.

    Returns
    -------
    float [(H - k + 1) // 2, outputs, (W - k + 1) // 2, B]
    """
    products = _Convolution.apply(images, layer.weight)
    largest = _BlockMaximum.apply(products.unflatten(0, (-1, 2))) + layer.get_parameter("bias")[:, None]
    return largest.unflatten(2, (-1, images.shape[-1]))


def winograd(images: torch.Tensor, layer: torch.nn.Conv2d) -> torch.Tensor:
    """Return a 3x3 convolution with padding 1, by a quarter of the multiplications.

    Winograd's F(4x4, 3x3) (Lavin & Gray, CVPR 2016): output tiles Y = A^T [U * (B^T d B)] A with
    U = G w G^T, where the product over all channels is one matrix product for each of the 36
    places of a tile. Can be differentiated twice.

    Parameters
    ----------
    images : float [B, C, H, W]; H and W multiples of 4.
    layer : 3x3, stride 1, padding 1.

    Returns
    -------
    float [B, outputs, H, W]
    """
    batch, channels, height, width = images.shape
    input_map, filter_map, output_map = _maps(images.dtype)
    filters = multiply(filter_map, layer.weight.flatten(2).permute(2, 0, 1).reshape(9, -1))
    tiles = multiply(input_map, _Tiles.apply(images.permute(1, 2, 3, 0)))
    products = multiply(filters.view(36, -1, channels), tiles.view(36, channels, -1))
    result = multiply(output_map, products.view(36, -1))
    result = result.view(4, 4, -1, height // 4, width // 4, batch).permute(2, 3, 0, 4, 1, 5)
    return (
        result.reshape(-1, height, width, batch).permute(3, 0, 1, 2).contiguous()
        + layer.get_parameter("bias")[:, None, None]
    )


def halved(images: torch.Tensor) -> torch.Tensor:
    """Return 2x2 average pooling of images [B, C, H, W]; an odd last row or column is left out, as `torch` does."""
    height, width = images.shape[2] // 2 * 2, images.shape[3] // 2 * 2
    if images.shape[2:] != (height, width):
        images = images[:, :, :height, :width]
    columns = images.unflatten(2, (-1, 2)).sum(3)
    return columns @ _halving(width, images.dtype)


@functools.cache
def _halving(width: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.eye(width // 2, dtype=dtype).repeat_interleave(2, 0) / 4


@functools.cache
def _maps(dtype: torch.dtype) -> list[torch.Tensor]:
    """The linear maps of F(4x4, 3x3) on flattened tiles: input [36, 36], filter [36, 9], output [16, 36]."""
    input_map = [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
    filter_map = [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
    output_map = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
    one_dimensional = (torch.tensor(rows, dtype=torch.float64) for rows in (input_map, filter_map, output_map))
    return [torch.kron(rows, rows).to(dtype) for rows in one_dimensional]


class _Tiles(torch.autograd.Function):
    """The overlapping 6x6 tiles, 4 apart, of zero-padded images [C, H, W, B], as [36, C * tiles * B]."""

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor) -> torch.Tensor:
        ctx.shape = channels, height, width, batch = images.shape
        padded = F.pad(images.contiguous(), (0, 0, 1, 1, 1, 1))
        row = (width + 2) * batch
        view = padded.as_strided(
            (6, 6, channels, height // 4, width // 4, batch), (row, batch, (height + 2) * row, 4 * row, 4 * batch, 1)
        )
        return view.reshape(36, -1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _Untile.apply(gradient, ctx.shape)


class _Untile(torch.autograd.Function):
    """The transpose of `_Tiles`: the sum of the tiles' values at each pixel."""

    @staticmethod
    def forward(ctx: Any, tiles: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        channels, height, width, batch = shape
        tiles = tiles.view(6, 6, channels, height // 4, width // 4, batch)
        total = tiles.new_zeros(channels, height + 6, width + 6, batch)  # room for the last tile's steps of 4
        for i in range(6):
            for j in range(6):
                total[:, i : i + height : 4, j : j + width : 4].add_(tiles[i, j])
        return total[:, 1 : height + 1, 1 : width + 1]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _Tiles.apply(gradient), None
