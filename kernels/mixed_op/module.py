"""The edge of a DARTS search cell as a module: plain torch, or fused where a kernel runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..paths.ops import path_select, used
from ..statistics import count_batch, running_of
from .ops import node_sum
from .reference import weights_of
from .spec import CANDIDATES, Edge, as_edge, check_storage, kernel_side

__all__ = ["FactorizedReduce", "MixedEdge"]


def _separable(channels: int, side: int, stride: int, dilation: int) -> list[nn.Module]:
    padding = dilation * (side - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, side, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
    ]


class FactorizedReduce(nn.Module):
    """Halves the resolution: two pointwise convolutions of every second pixel, one pixel apart.

    The pixels are taken first. Given the stride itself, torch 2.13 (oneDNN 3.12) on a CPU with AVX2
    writes outside its buffers in the backward pass of channels-last images.

    Args:
        channels: C, in and, without ``out``, out.
        out: channels, at least 2.
    """

    def __init__(self, channels: int, out: int | None = None) -> None:
        super().__init__()
        out = channels if out is None else out
        self.even = nn.Conv2d(channels, out // 2, 1, bias=False)
        self.odd = nn.Conv2d(channels, out - out // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, out, ceil(H / 2), ceil(W / 2)]``."""
        v = x.relu()
        shifted = nn.functional.pad(v, (0, 1, 0, 1))[:, :, 1::2, 1::2]
        return torch.cat([self.even(v[:, :, ::2, ::2]), self.odd(shifted)], 1)


class Zero(nn.Module):
    """The candidate that is no edge.

    Args:
        stride: step in both directions.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Zeros of the output's shape."""
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


class MixedEdge(nn.Module):
    """``sum over k of alpha[k] candidate[k](x)``: every candidate of an edge at once, or a few.

    ``plain`` is the definition in modules that anybody can read; ``forward`` computes the same with
    the parameters and statistics of those modules, in one operator where a kernel runs.

    Args:
        channels: C, in and out.
        candidates: names, none of them twice.
        stride: 1 or 2.
        momentum: weight of a batch in the running statistics.
        epsilon: added to the variances.
        track_running_stats: keep running statistics, and use them in evaluation mode.
        storage: format of what is kept for the backward pass, see ``mixed_operation``.

    Raises:
        ValueError: a candidate is unknown or named twice, the stride is neither 1 nor 2, or the
            storage is unknown.

    Reference:
        Liu, Simonyan and Yang, DARTS: Differentiable Architecture Search, ICLR 2019.

    Example:
        >>> edge = MixedEdge(4, candidates=("none", "skip_connect", "sep_conv_3x3"))
        >>> edge(torch.randn(2, 4, 8, 8), torch.full((3,), 1 / 3)).shape
        torch.Size([2, 4, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        candidates: Sequence[str] = CANDIDATES,
        stride: int = 1,
        momentum: float = 0.1,
        epsilon: float = 1e-5,
        track_running_stats: bool = True,
        storage: str = "float32",
    ) -> None:
        super().__init__()
        self.edge: Edge = as_edge(candidates, stride)
        self.channels, self.momentum, self.epsilon = channels, momentum, epsilon
        self.track_running_stats = track_running_stats
        check_storage(storage)
        self.storage = storage
        self.branches = nn.ModuleDict({name: self._branch(name) for name in self.edge.candidates})

    def _norm(self) -> nn.BatchNorm2d:
        return nn.BatchNorm2d(
            self.channels,
            self.epsilon,
            self.momentum,
            affine=False,
            track_running_stats=self.track_running_stats,
        )

    def _branch(self, name: str) -> nn.Module:
        channels, stride = self.channels, self.edge.stride
        if name == "none":
            return Zero(stride)
        if name == "max_pool_3x3":
            return nn.Sequential(nn.MaxPool2d(3, stride, 1), self._norm())
        if name == "avg_pool_3x3":
            pool = nn.AvgPool2d(3, stride, 1, count_include_pad=False)
            return nn.Sequential(pool, self._norm())
        if name == "skip_connect":
            if stride == 1:
                return nn.Identity()
            return nn.Sequential(FactorizedReduce(channels), self._norm())
        side = kernel_side(name)
        if name.startswith("dil"):
            return nn.Sequential(*_separable(channels, side, stride, 2), self._norm())
        first, second = _separable(channels, side, stride, 1), _separable(channels, side, 1, 1)
        return nn.Sequential(*first, self._norm(), *second, self._norm())

    def plain(self, x: Tensor, alpha: Tensor, index: Tensor | None = None) -> Tensor:
        """The sum over the candidates' own modules, or over those that ``index`` names."""
        branches = list(self.branches.values())
        if index is not None:
            branches = [branches[k] for k in index.tolist()]
        total: Tensor = sum(
            weight * branch(x) for weight, branch in zip(weights_of(alpha), branches, strict=True)
        )
        return total

    def forward(self, x: Tensor, alpha: Tensor, index: Tensor | None = None) -> Tensor:
        """Mix the candidates of ``x`` by ``alpha``, all of them or those that ``index`` names.

        Args:
            x: ``[N, C, H, W]``.
            alpha: ``[K]`` or, with a row for each image, ``[N, K]``; with an index P, not K.
            index: int64 ``[P]``, one or two sampled paths: see ``path_select``.

        Returns:
            ``[N, C, ceil(H / stride), ceil(W / stride)]``.
        """
        if index is None:
            return mix_edges([self], [x], [alpha])
        out = path_select(
            x,
            index,
            alpha,
            list(self.branches.parameters()),
            stride=self.edge.stride,
            **settings_of([self]),
        )
        count_batches([self], used(self.edge, index))
        return out

    def norms(self) -> list[nn.BatchNorm2d]:
        """All normalizations, in the order of the candidates."""
        parts = (m for branch in self.branches.children() for m in branch.children())
        return [m for m in parts if isinstance(m, nn.BatchNorm2d)]


def mix_edges(edges: Sequence[MixedEdge], xs: Sequence[Tensor], alphas: Sequence[Tensor]) -> Tensor:
    """The sum of edges of one node, which differ in stride alone, in one operator.

    Args:
        edges: of one node.
        xs: ``[N, C, H, W]``, the source of each.
        alphas: ``[K]`` or ``[N, K]``, of each.

    Returns:
        ``[N, C, ceil(H / stride), ceil(W / stride)]``.
    """
    out = node_sum(
        xs,
        alphas,
        [list(edge.branches.parameters()) for edge in edges],
        strides=[edge.edge.stride for edge in edges],
        **settings_of(edges),
    )
    count_batches(edges)
    return out


def settings_of(edges: Sequence[MixedEdge]) -> dict[str, Any]:
    """What the operators take from edges of one node beside tensors and strides."""
    first = edges[0]
    tracked = first.track_running_stats
    norms = [norm for edge in edges for norm in edge.norms()]
    return {
        "candidates": first.edge.candidates,
        "running": running_of(norms) if tracked else None,
        "training": first.training or not tracked,
        "momentum": first.momentum,
        "epsilon": first.epsilon,
        "storage": first.storage,
    }


def count_batches(edges: Sequence[MixedEdge], which: Tensor | None = None) -> None:
    """Count a batch that the operators have taken into the running statistics."""
    norms = [norm for edge in edges for norm in edge.norms()]
    if edges[0].training and edges[0].track_running_stats and norms:
        count_batch(norms, which)
