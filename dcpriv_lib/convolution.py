"""Convolutions as matrix products, for CPUs.

Images are held with the batch last, [C, H, W, B]: every step then runs over contiguous
memory, and a small convolution becomes one large matrix product. The results are those of
torch's own layers up to the rounding of the sums (tested in float64).
"""

import torch


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
