"""Convolutions of all sizes and dilations of a search space, mixed in one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

from . import reference, spec
from .ops import aggregated_convolution

__all__ = ["AggregatedConv"]


class AggregatedConv(nn.Module):
    """The searched convolution of DASH: every size with every dilation, mixed by their weights.

    ``plain`` convolves with each and sums; ``forward`` sums the kernels and convolves once.

    Args:
        channels: C, in.
        out: channels, out; C if not given.
        kernels: odd sides k.
        dilations: distances d of the taps.
        stride: step in all directions.
        groups: as of ``torch.nn.Conv2d``.
        dims: 1 for sequences, 2 for images.

    Raises:
        ValueError: a side is even, or the groups divide no number of channels.

    Reference:
        Shen, Khodak and Talwalkar, Efficient Architecture Search for Diverse Tasks, NeurIPS 2022.

    Example:
        >>> conv = AggregatedConv(4, kernels=(3, 5), dilations=(1, 3))
        >>> conv(torch.randn(2, 4, 8, 8), torch.full((4,), 0.25)).shape
        torch.Size([2, 4, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        out: int | None = None,
        *,
        kernels: Sequence[int] = spec.KERNELS,
        dilations: Sequence[int] = spec.DILATIONS,
        stride: int = 1,
        groups: int = 1,
        dims: int = 2,
    ) -> None:
        super().__init__()
        out = channels if out is None else out
        if channels % groups or out % groups or any(k % 2 == 0 for k in kernels):
            raise ValueError(f"need odd sides, and channels that {groups} groups divide")
        self.candidates = tuple(product(kernels, dilations))
        self.stride, self.groups = stride, groups
        self.weights = nn.ParameterList(
            torch.empty(out, channels // groups, *[k] * dims) for k, _ in self.candidates
        )
        for weight in self.weights:
            nn.init.kaiming_uniform_(weight, math.sqrt(5))  # as torch's own convolutions

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        """Convolve ``[N, C, H, W]`` or ``[N, C, L]``; alpha ``[K]`` by size and then dilation."""
        return aggregated_convolution(
            x,
            list(self.weights),
            alpha,
            dilations=[d for _, d in self.candidates],
            stride=self.stride,
            groups=self.groups,
        )

    def plain(self, x: Tensor, alpha: Tensor) -> Tensor:
        """The sum over convolutions, one by one."""
        return reference.mixture(
            x,
            list(self.weights),
            alpha,
            [d for _, d in self.candidates],
            stride=self.stride,
            groups=self.groups,
        )
