"""The bank of separable convolutions by Triton kernels, called as the operator is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..mix.gpu import Statistics
from ..tiles import settle_moments
from .launch import Bank, Filter, Gradients, add_shares
from .ops import gradients, outputs
from .tiles import RAW, SCALED

_LAST = torch.channels_last


def _bank(
    x: Tensor,
    affine: Tensor,
    weights: Sequence[Tensor],
    dilations: Sequence[int],
    stride: int,
    outs: Sequence[Tensor],
    statistics: Statistics,
) -> Bank:
    x, weights = x.contiguous(memory_format=_LAST), [w.contiguous() for w in weights]
    filters = tuple(
        Filter(x, a, b, z, k, d, -d * (a.shape[-1] // 2))
        for k, (a, b, d, z) in enumerate(
            zip(weights[::2], weights[1::2], dilations, outs, strict=True)
        )
    )
    size = ((x.shape[2] - 1) // stride + 1, (x.shape[3] - 1) // stride + 1)
    form = int(SCALED if affine.numel() else RAW)
    whole = affine.contiguous() if affine.numel() else None
    return Bank(filters, tuple(x.shape), size, stride, statistics, form, whole)


def forward(
    x: Tensor, affine: Tensor, weights: list[Tensor], dilations: list[int], stride: int
) -> list[Tensor]:
    """As ``nasturtium::separable_bank``."""
    mean, variance, *outs = found = outputs(x, weights, dilations, stride)
    bank = _bank(x, affine, weights, dilations, stride, outs, Statistics(mean, variance, 0.0))
    shape = (2, bank.units.count, *mean.shape)
    parts = torch.empty(shape, dtype=torch.float64, device=x.device)
    bank.forward(parts)
    settle_moments(parts, mean, variance, bank.units)
    return found


def backward(
    grads: list[Tensor],
    x: Tensor,
    affine: Tensor,
    weights: list[Tensor],
    dilations: list[int],
    stride: int,
    needs: int,
) -> list[Tensor]:
    """As ``nasturtium::separable_bank_backward``."""
    found = gradients(x, affine, weights, needs)
    used = [k for k, g in enumerate(grads) if g.numel()]
    for k in set(range(len(grads))) - set(used):
        for weight in found[2 + 2 * k : 4 + 2 * k]:
            weight.zero_()
    if not used:
        return [t.zero_() for t in found]
    dense = [grads[k].contiguous(memory_format=_LAST) for k in used]
    pairs = [w for k in used for w in weights[2 * k : 2 * k + 2]]
    none = Statistics(x.new_empty(len(used), x.shape[1]), x, 0.0)
    bank = _bank(x, affine, pairs, [dilations[k] for k in used], stride, dense, none)
    middles = bank.spread(Gradients(dense))
    if needs & 4:
        targets = [found[2 + 2 * k + side] for k in used for side in (0, 1)]
        bank.weights(Gradients(dense), middles, targets)
    if needs & 3:
        target = found[0] if needs & 1 else torch.empty_like(bank.filters[0].image)
        parts = bank.input(middles, target, totals=bool(needs & 2))
        if needs & 2:
            add_shares(parts.flatten(1), [found[1]])
    return found
