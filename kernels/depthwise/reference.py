"""The depthwise convolution in plain torch: the definition that the kernel must agree with."""

from __future__ import annotations

import torch
from torch import Tensor

from .spec import Filter


def forward(x: Tensor, weight: Tensor, filter: Filter) -> Tensor:
    """``y[n, c, i, j] = sum over a, b of w[c, 0, a, b] x[n, c, i s + a d - p, j s + b d - p]``.

    Args:
        x: ``[N, C, H, W]``.
        weight: w, ``[C, 1, k, k]``.
        filter: k, the stride s, the dilation d and with them the padding p.
    """
    return torch.nn.functional.conv2d(
        x,
        weight,
        stride=filter.stride,
        padding=filter.padding,
        dilation=filter.dilation,
        groups=weight.shape[0],
    )


def backward(grad_y: Tensor, x: Tensor, weight: Tensor, filter: Filter) -> tuple[Tensor, Tensor]:
    """Gradients of a scalar with respect to ``x`` and ``weight``, given the one for ``y``."""
    grad_x, grad_weight, _ = torch.ops.aten.convolution_backward(
        grad_y,
        x,
        weight,
        None,
        [filter.stride] * 2,
        [filter.padding] * 2,
        [filter.dilation] * 2,
        False,
        [0, 0],
        weight.shape[0],
        [True, True, False],
    )
    return grad_x, grad_weight
