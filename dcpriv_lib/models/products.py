"""Matrix products on CPUs by numpy's library (OpenBLAS) in place of torch's (MKL).

Of MKL's instructions only the oldest give the same bits on all x86-64 processors, and they take about three times as
long (`switches`); OpenBLAS gives the same bits at full speed. Where a network spends its time on products, they are
made here. The results are those of torch up to the rounding of the sums (tested in float64).
"""

from typing import Any

import numpy as np
import torch
from torch import nn


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return a @ b of tensors on the CPU, float [..., n, k] and [..., k, m], without a gradient."""
    a, b = (x.detach() if 1 in x.stride()[-2:] else x.detach().contiguous() for x in (a, b))  # else it takes no library
    result = a.new_empty(*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    np.matmul(a.numpy(), b.numpy(), out=result.numpy())
    return result


class _Product(torch.autograd.Function):
    """`product` of tensors with equal leading dimensions, to be differentiated as often as one likes."""

    @staticmethod
    def forward(ctx: Any, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(a, b)
        return product(a, b)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        a, b = ctx.saved_tensors
        by_a, by_b = ctx.needs_input_grad
        return (
            _Product.apply(gradient, b.transpose(-1, -2)) if by_a else None,
            _Product.apply(a.transpose(-1, -2), gradient) if by_b else None,
        )


def multiply(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return a @ b, float [..., n, k] and [..., k, m] with equal leading dimensions, on any device.

    Can be differentiated twice; on the CPU, not inside ``torch.func``'s transforms.
    """
    return _Product.apply(a, b) if a.device.type == "cpu" else a @ b


class Linear(nn.Linear):
    """``nn.Linear`` of inputs [B, n] by `multiply`; the parameters are the same."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map float [B, n] to [B, outputs]."""
        return multiply(inputs, self.weight.t()) + self.bias
