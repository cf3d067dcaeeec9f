"""Convolutions as matrix products, for CPUs.

Images are held with the batch last, [C, H, W, B]: every step then runs over contiguous
memory, and a small convolution becomes one large matrix product. The results are those of
torch's own layers up to the rounding of the sums (tested in float64).
"""

import functools

import torch
from torch.nn import functional as F


class _Windows(torch.autograd.Function):
    """Every `k` x `k` window of a picture, as the columns of a matrix.

    The columns are grouped by the window's place (0 to 3) in its 2x2 pooling field, so that
    pooling is a maximum over whole blocks. An odd last row or column is not pooled, so left out.
    """

    @staticmethod
    def forward(ctx, images, k):  # [C, H, W, B] -> [C * k * k, 4 * (oh/2) * (ow/2) * B]
        ctx.k, ctx.shape = k, images.shape
        channels, height, width, batch = images.shape
        oh, ow = (height - k + 1) // 2, (width - k + 1) // 2
        row = width * batch
        view = images.contiguous().as_strided(
            (channels, k, k, 2, 2, oh, ow, batch),
            (height * row, row, batch, row, batch, 2 * row, 2 * batch, 1))
        return view.reshape(channels * k * k, 4 * oh * ow * batch)

    @staticmethod
    def backward(ctx, gradient):
        k, (channels, height, width, batch) = ctx.k, ctx.shape
        oh, ow = (height - k + 1) // 2, (width - k + 1) // 2
        gradient = gradient.view(channels, k, k, 2, 2, oh, ow, batch).permute(0, 1, 2, 5, 3, 6, 4, 7)
        total = gradient.new_zeros(ctx.shape)
        for i in range(k):
            for j in range(k):
                part = total[:, i:i + 2 * oh, j:j + 2 * ow]
                part.unflatten(2, (ow, 2)).unflatten(1, (oh, 2)).add_(gradient[:, i, j])
        return total, None


class _BlockMaximum(torch.autograd.Function):
    """The maximum over dimension 1; ties share the gradient, as in ``torch.amax``, but in half the time."""

    @staticmethod
    def forward(ctx, blocks):  # [C, 4, n] -> [C, n]
        largest = blocks.amax(1, keepdim=True)
        ctx.save_for_backward(blocks, largest)
        return largest.squeeze(1)

    @staticmethod
    def backward(ctx, gradient):
        blocks, largest = (saved.detach() for saved in ctx.saved_tensors)
        mask = torch.eq(blocks, largest, out=torch.empty_like(blocks))
        return mask.mul_((gradient / mask.sum(1)).unsqueeze(1))


def pooled(images: torch.Tensor, layer: torch.nn.Conv2d) -> torch.Tensor:
    """Return 2x2 maximum pooling of a valid convolution.

    Parameters
    ----------
    images : float [C, H, W, B].
    layer : square kernel k, stride 1, no padding.

    Returns
    -------
    float [outputs, (H - k + 1) // 2, (W - k + 1) // 2, B]
    """
    k, batch = layer.kernel_size[0], images.shape[-1]
    oh, ow = (images.shape[1] - k + 1) // 2, (images.shape[2] - k + 1) // 2
    products = layer.weight.flatten(1) @ _Windows.apply(images, k)
    largest = _BlockMaximum.apply(products.view(-1, 4, oh * ow * batch))
    return (largest + layer.bias[:, None]).view(-1, oh, ow, batch)


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
    filters = _Product.apply(filter_map, layer.weight.flatten(2).permute(2, 0, 1).reshape(9, -1))
    tiles = _Product.apply(input_map, _Tiles.apply(images.permute(1, 2, 3, 0)))
    products = filters.view(36, -1, channels) @ tiles.view(36, channels, -1)
    result = _Product.apply(output_map, products.view(36, -1))
    result = result.view(4, 4, -1, height // 4, width // 4, batch).permute(2, 3, 0, 4, 1, 5)
    return result.reshape(-1, height, width, batch).permute(3, 0, 1, 2).contiguous() + layer.bias[:, None, None]


def halved(images: torch.Tensor) -> torch.Tensor:
    """Return 2x2 average pooling of images [B, C, H, W]; H and W even."""
    columns = images.unflatten(2, (-1, 2)).sum(3)
    return columns @ _halving(images.shape[3], images.dtype)


@functools.cache
def _halving(width: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.eye(width // 2, dtype=dtype).repeat_interleave(2, 0) / 4


@functools.cache
def _maps(dtype: torch.dtype) -> list[torch.Tensor]:
    """The linear maps of F(4x4, 3x3) on flattened tiles: input [36, 36], filter [36, 9], output [16, 36]."""
    input_map = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
                 [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
    filter_map = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
                  [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]
    output_map = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
    one_dimensional = (torch.tensor(rows, dtype=torch.float64) for rows in (input_map, filter_map, output_map))
    return [torch.kron(rows, rows).to(dtype) for rows in one_dimensional]


class _Product(torch.autograd.Function):
    """constant @ x, whose gradient is computed as constant^T @ gradient (torch takes a slower order)."""

    @staticmethod
    def forward(ctx, constant, x):
        ctx.constant = constant
        return constant @ x

    @staticmethod
    def backward(ctx, gradient):
        return None, _Product.apply(ctx.constant.t(), gradient.contiguous())


class _Tiles(torch.autograd.Function):
    """The overlapping 6x6 tiles, 4 apart, of zero-padded images [C, H, W, B], as [36, C * tiles * B]."""

    @staticmethod
    def forward(ctx, images):
        ctx.shape = channels, height, width, batch = images.shape
        padded = F.pad(images.contiguous(), (0, 0, 1, 1, 1, 1))
        row = (width + 2) * batch
        view = padded.as_strided((6, 6, channels, height // 4, width // 4, batch),
                                 (row, batch, (height + 2) * row, 4 * row, 4 * batch, 1))
        return view.reshape(36, -1)

    @staticmethod
    def backward(ctx, gradient):
        return _Untile.apply(gradient, ctx.shape)


class _Untile(torch.autograd.Function):
    """The transpose of `_Tiles`: the sum of the tiles' values at each pixel."""

    @staticmethod
    def forward(ctx, tiles, shape):
        channels, height, width, batch = shape
        tiles = tiles.view(6, 6, channels, height // 4, width // 4, batch)
        total = tiles.new_zeros(channels, height + 6, width + 6, batch)  # room for the last tile's steps of 4
        for i in range(6):
            for j in range(6):
                total[:, i:i + height:4, j:j + width:4].add_(tiles[i, j])
        return total[:, 1:height + 1, 1:width + 1]

    @staticmethod
    def backward(ctx, gradient):
        return _Tiles.apply(gradient), None
