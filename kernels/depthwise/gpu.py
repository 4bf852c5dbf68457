"""The depthwise convolution by the Triton kernels of banks, without ReLU and pointwise products."""

from __future__ import annotations

import torch
from torch import Tensor

from ..mix.gpu import Statistics
from ..separable.launch import Bank, add_shares
from ..separable.launch import Filter as Taps
from ..separable.tiles import PLAIN
from .ops import gradients, output
from .spec import Filter

_LAST = torch.channels_last


def _bank(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Bank:
    f = Filter(weight.shape[-1], stride, dilation)
    x, weight = x.contiguous(memory_format=_LAST), weight.contiguous()
    taps = Taps(x, weight, weight, x, 0, dilation, -f.padding)
    size = (f.output(x.shape[2]), f.output(x.shape[3]))
    return Bank((taps,), tuple(x.shape), size, stride, Statistics(x, x, 0.0), int(PLAIN))


def forward(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """As ``nasturtium::depthwise_conv2d``."""
    y = output(x, weight, stride, dilation)
    own = torch.empty_like(y, memory_format=_LAST)
    _bank(x, weight, stride, dilation).convolve(own)
    return own if own.stride() == y.stride() else y.copy_(own)


def backward(
    grad_y: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int, needs: int
) -> tuple[Tensor, Tensor]:
    """As ``nasturtium::depthwise_conv2d_backward``."""
    bank = _bank(x, weight, stride, dilation)
    grad_y = grad_y.contiguous(memory_format=_LAST)
    grad_x, grad_weight = gradients(x, weight, needs)
    if needs & 1:
        own = torch.empty_like(x, memory_format=_LAST)
        bank.input([grad_y], own)
        grad_x = own if own.stride() == grad_x.stride() else grad_x.copy_(own)
    if needs & 2:
        shares = x.new_empty(bank.units.count, weight.numel())
        bank.depthwise_weights([grad_y], shares, [0])
        add_shares(shares, [grad_weight])
    return grad_x, grad_weight
