"""Convolution with a large kernel by way of the Fourier transform, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor


def convolve(x: Tensor, kernel: Tensor, *, stride: int, groups: int) -> Tensor:
    """As ``torch.nn.functional.conv1d`` or ``conv2d`` with zeros of half the kernel's side around.

    Args:
        x: ``[N, C, ...]``.
        kernel: ``[O, C / groups, S, ...]``, S odd.
        stride: step in all directions.
        groups: of channels, whose outputs read them alone.

    Returns:
        ``[N, O, ...]``, every side ``ceil(side / stride)``.
    """
    dims, half = tuple(range(2, x.dim())), kernel.shape[-1] // 2
    # A period with as many zeros behind the image as the kernel reaches beyond it.
    periods = [_smooth(n + half) for n in x.shape[2:]]
    of_x = torch.fft.rfftn(x, periods, dims)
    of_kernel = torch.fft.rfftn(kernel, periods, dims).conj()
    if kernel.shape[1] == 1 and kernel.shape[0] == groups:
        product = of_x * of_kernel[:, 0]
    else:
        parts = of_x.unflatten(1, (groups, -1)), of_kernel.unflatten(0, (groups, -1))
        product = torch.einsum("ngi...,goi...->ngo...", *parts).flatten(1, 2)
    whole = torch.fft.irfftn(product, periods, dims).roll([half] * len(dims), dims)
    inside = [slice(0, n, stride) for n in x.shape[2:]]
    out: Tensor = whole[(..., *inside)].contiguous()
    return out


def _smooth(n: int) -> int:
    """The least number from n on with no prime factor above 5, which is quick to transform."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1
