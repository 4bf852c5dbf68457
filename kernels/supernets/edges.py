"""Edges of supernets that are made of the fused operators."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..cell.ops import searched_cell
from ..cell.spec import CANDIDATES as CELL_CANDIDATES
from ..mixed_op.module import MixedEdge, count_batches, settings_of
from ..mixed_op.spec import CANDIDATES
from ..parts.mix import partial_mix
from ..parts.ops import join_channels, split_channels
from ..statistics import count_batch, running_of

__all__ = ["CELL_CANDIDATES", "CellEdge", "PartialEdge", "norm_of"]


def norm_of(channels: int) -> nn.BatchNorm2d:
    """The normalization of a search network: nothing of it is learned."""
    return nn.BatchNorm2d(channels, affine=False)


class PartialEdge(nn.Module):
    """The edge of PC-DARTS: the first ``1 / part`` of the channels are mixed, the others pass by.

    Args:
        channels: C, in and out, a multiple of ``part``.
        part: K; 1 mixes all channels.
        candidates: names, none of them twice.
        stride: 1 or 2; with 2 the others are pooled.
        storage: format of what is kept for the backward pass, see ``mixed_operation``.

    Raises:
        ValueError: ``channels`` is no multiple of ``part``, or as ``MixedEdge``.

    Reference:
        Xu et al., PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search,
        ICLR 2020, section 3.2.
    """

    def __init__(
        self,
        channels: int,
        part: int = 4,
        *,
        candidates: Sequence[str] = CANDIDATES,
        stride: int = 1,
        storage: str = "float32",
    ) -> None:
        super().__init__()
        if part < 1 or channels % part:
            raise ValueError(f"{channels} channels have no {part}th part")
        self.part = part
        self.mixed = MixedEdge(
            channels // part, candidates=candidates, stride=stride, storage=storage
        )
        self.bypass: nn.Module = (
            nn.MaxPool2d(2, 2, ceil_mode=True) if stride == 2 else nn.Identity()
        )

    def forward(self, x: Tensor, alpha: Tensor, index: Tensor | None = None) -> Tensor:
        """``[N, C, H, W]`` mixed by alpha ``[K]``, or of paths ``[P]``; see ``MixedEdge``."""
        if self.part == 1:
            whole: Tensor = self.mixed(x, alpha, index)
            return whole
        if index is None:
            weights, edge = list(self.mixed.branches.parameters()), [self.mixed]
            stride = self.mixed.edge.stride
            out = partial_mix(
                x, alpha, weights, parts=self.part, stride=stride, **settings_of(edge)
            )
            count_batches(edge)
            return out
        own, rest = split_channels(x, self.part)
        return join_channels(self.mixed(own, alpha, index), self.bypass(rest), shuffled=True)

    def plain(self, x: Tensor, alpha: Tensor, index: Tensor | None = None) -> Tensor:
        """The same by the candidates' own modules."""
        n, c, *_ = x.shape
        own = c // self.part
        if self.part == 1:
            return self.mixed.plain(x, alpha, index)
        out = torch.cat([self.mixed.plain(x[:, :own], alpha, index), self.bypass(x[:, own:])], 1)
        h, w = out.shape[2:]
        # The shuffle: the channel with number i in part k becomes number k of group i.
        return out.view(n, self.part, own, h, w).transpose(1, 2).reshape(n, c, h, w)


class CellEdge(nn.Module):
    """The edge of a NAS-Bench-201 search cell: ``sum over k of alpha[k] candidate[k](x)``.

    The candidates are those of ``CELL_CANDIDATES``: zero, identity, two convolutions of activation,
    convolution and normalization, and average pooling.

    Args:
        channels: C, in and out.

    Reference:
        Dong and Yang, NAS-Bench-201, ICLR 2020.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_1x1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv_3x3 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm_1x1, self.norm_3x3 = norm_of(channels), norm_of(channels)
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)

    def norms(self) -> list[nn.BatchNorm2d]:
        """Of both convolutions."""
        return [self.norm_1x1, self.norm_3x3]

    def plain(self, x: Tensor, alpha: Tensor) -> Tensor:
        """The sum over the candidates' own modules; ``alpha`` is ``[5]``."""
        active = x.relu()
        total: Tensor = (
            alpha[0] * torch.zeros_like(x)
            + alpha[1] * x
            + alpha[2] * self.norm_1x1(self.conv_1x1(active))
            + alpha[3] * self.norm_3x3(self.conv_3x3(active))
            + alpha[4] * self.pool(x)
        )
        return total

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        """``[N, C, H, W]`` mixed by alpha ``[5]``."""
        return mix_cell([self], x, alpha[None])


def mix_cell(edges: Sequence[CellEdge], x: Tensor, alpha: Tensor) -> Tensor:
    """The last node of a cell in one operator.

    Args:
        edges: of all pairs of nodes, by target and then by source.
        x: ``[N, C, H, W]``, the first node.
        alpha: ``[edges, 5]``.
    """
    norms = [norm for edge in edges for norm in edge.norms()]
    first = norms[0]
    weights = [edge.conv_1x1.weight for edge in edges] + [edge.conv_3x3.weight for edge in edges]
    out = searched_cell(
        x,
        alpha,
        weights,
        nodes=next(n for n in range(2, len(edges) + 2) if n * (n - 1) // 2 == len(edges)),
        running=running_of(norms),
        training=first.training,
        momentum=0.1 if first.momentum is None else first.momentum,
        epsilon=first.eps,
    )
    if first.training:
        count_batch(norms)
    return out
