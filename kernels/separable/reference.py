"""A bank of separable convolutions in plain torch: what the kernel must agree with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, relu

from .spec import Bank


def separable(
    x: Tensor, depthwise: Tensor, pointwise: Tensor, stride: int, dilation: int
) -> Tensor:
    """ReLU, a depthwise convolution with same padding, and a pointwise one."""
    padding = dilation * (depthwise.shape[-1] - 1) // 2
    middle = conv2d(relu(x), depthwise, None, stride, padding, dilation, groups=depthwise.shape[0])
    return conv2d(middle, pointwise)


def separable_bank(
    x: Tensor,
    weights: Sequence[Tensor],
    affine: tuple[Tensor, Tensor] | None,
    bank: Bank,
) -> list[Tensor]:
    """For each filter ``pointwise(depthwise(relu(scale x + shift)))``.

    ``weights`` are depthwise and pointwise ones in turn, ``affine`` is (scale, shift).
    """
    if affine is not None:
        scale, shift = affine
        x = x * scale[:, None, None] + shift[:, None, None]
    pairs = zip(weights[::2], weights[1::2], bank.dilations, strict=True)
    return [separable(x, a, b, bank.stride, dilation) for a, b, dilation in pairs]


def moments(outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each output's channels, ``[filters, C]``."""
    flat = torch.stack([z.detach().transpose(0, 1).flatten(1) for z in outputs])
    return flat.mean(2), flat.var(2, correction=0)
