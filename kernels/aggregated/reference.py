"""The aggregated kernel in plain torch, and the mixture of convolutions that it stands for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv2d, pad


def spread(weight: Tensor, dilation: int, side: int) -> Tensor:
    """``[O, I, k, ...]`` with zeros between its taps, in the middle of ``[O, I, side, ...]``."""
    dims = weight.dim() - 2
    extent = dilation * (weight.shape[-1] - 1) + 1
    wide = weight.new_zeros(*weight.shape[:2], *[extent] * dims)
    taps = wide[..., ::dilation]
    (taps if dims == 1 else taps[..., ::dilation, :]).copy_(weight)
    return pad(wide, [(side - extent) // 2] * 2 * dims)


def aggregated_kernel(
    weights: Sequence[Tensor], alpha: Tensor, dilations: Sequence[int], side: int
) -> Tensor:
    """``sum over k of alpha[k] spread(weights[k])``."""
    wide = [spread(w, d, side) for w, d in zip(weights, dilations, strict=True)]
    return torch.stack([a * w for a, w in zip(alpha, wide, strict=True)]).sum(0)


def mixture(
    x: Tensor,
    weights: Sequence[Tensor],
    alpha: Tensor,
    dilations: Sequence[int],
    *,
    stride: int,
    groups: int,
) -> Tensor:
    """``sum over k of alpha[k] (x convolved with weights[k])``, each with zeros around."""
    convolve = conv1d if x.dim() == 3 else conv2d
    total: Tensor = sum(
        a * convolve(x, w, None, stride, d * (w.shape[-1] - 1) // 2, d, groups)
        for w, a, d in zip(weights, alpha, dilations, strict=True)
    )
    return total
