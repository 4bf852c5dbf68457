"""What an edge's mixed operation is made of on a GPU: filters, and terms of a sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..mix.gpu import Statistics, Term, Terms
from ..mix.terms import AVERAGE_POOL, INPUT, KEPT, MAX_POOL
from ..separable.launch import Bank, Filter
from ..separable.tiles import NORMED
from ..tiles import Units, settle_moments
from .layout import LAST, by_edge
from .spec import Edge, kernel_side


class Plan:
    """An edge's filters and terms, where each finds its weights, images and statistics.

    Args:
        edge: candidates and stride.
        x: ``[N, C, H, W]``.
        alpha: ``[K]`` or ``[N, K]``.
        weights: as the operator takes them.
        kept: outputs of pointwise convolutions ``[kept, N, H, W, padded C]``.
        statistics: of all normalizations.
    """

    def __init__(
        self,
        edge: Edge,
        x: Tensor,
        alpha: Tensor,
        weights: Sequence[Tensor],
        kept: Tensor,
        statistics: Statistics,
    ) -> None:
        x, weights = x.contiguous(memory_format=LAST), [w.contiguous() for w in weights]
        self.edge, self.x, self.statistics = edge, x, statistics
        self.alpha, self.weights = alpha.contiguous(), weights
        self.pitch = kept.shape[-1] if kept.numel() else x.shape[1]
        self.whole: list[Filter] = []
        self.half: list[Filter] = []
        self.places: dict[int, list[int]] = {0: [], 1: []}  # of the filters' weights
        self.pools: dict[str, Term] = {}
        terms: list[Term] = []
        norm = stage = place = 0
        for row, name in enumerate(edge.candidates):
            if name == "none":
                continue
            own = weights[place : place + len(edge.shapes_of(name, x.shape[1]))]
            count = edge.norms_of(name)
            last = norm + count - 1 if count else -1
            if "conv" in name:
                image = self._convolution(name, own, kept, norm, stage, place, row)
                terms.append(Term(image, int(KEPT), last, row, pitch=self.pitch))
            elif name == "skip_connect" and edge.stride == 2:
                image = self._halved(own, kept, norm, stage, place, row)
                terms.append(Term(image, int(KEPT), last, row, pitch=self.pitch))
            elif name == "skip_connect":
                terms.append(Term(x, int(INPUT), last, row))
            else:
                form = MAX_POOL if name.startswith("max") else AVERAGE_POOL
                self.pools[name] = Term(x, int(form), last, row, edge.stride)
                terms.append(self.pools[name])
            norm, place = norm + count, place + len(own)
            stage += 0 if "pool" in name else count
        n, c, h, w = x.shape
        size = (edge.output(h), edge.output(w))
        self.size, self.pixels = size, n * size[0] * size[1]
        self.terms = Terms(tuple(terms), (n, c, *size), edge.norms)
        self.first = Bank(
            tuple(self.whole), (n, c, h, w), size, edge.stride, statistics, out_pitch=self.pitch
        )
        self.second = Bank(
            tuple(self.half), (n, c, *size), size, 1, statistics, int(NORMED),
            pitch=self.pitch, out_pitch=self.pitch,
        )  # fmt: skip

    def _convolution(
        self,
        name: str,
        own: Sequence[Tensor],
        kept: Tensor,
        norm: int,
        stage: int,
        place: int,
        row: int,
    ) -> Tensor:
        """Filters of a candidate; what its last one writes."""
        dilation = 2 if name.startswith("dil") else 1
        shift = -dilation * (kernel_side(name) // 2)
        first = Filter(self.x, own[0], own[1], kept[stage], norm, dilation, shift)
        self.places[0] += [place, place + 1]
        if len(own) == 2:
            self.whole.append(replace(first, row=row))
            return kept[stage]
        self.whole.append(first)
        second = Filter(kept[stage], own[2], own[3], kept[stage + 1], norm + 1, 1, shift)
        self.half.append(replace(second, before=norm, row=row))
        self.places[1] += [place + 2, place + 3]
        return kept[stage + 1]

    def _halved(
        self, own: Sequence[Tensor], kept: Tensor, norm: int, stage: int, place: int, row: int
    ) -> Tensor:
        """The skipped input of stride 2: filters of one tap, for one part of the channels each."""
        even = Filter(self.x, None, own[0], kept[stage], norm, row=row)
        self.whole += [even, replace(even, pointwise=own[1], shift=1, first=own[0].shape[0])]
        self.places[0] += [place, place + 1]
        return kept[stage]

    def fill(self, training: bool) -> None:
        """Write the kept images and, in training, the statistics."""
        about, c = self.statistics, self.x.shape[1]
        units = Units.of(self.pixels)
        parts = None
        if training and self.edge.norms:
            shape = (2, units.count, self.edge.norms, c)
            parts = torch.zeros(shape, dtype=torch.float64, device=self.x.device)
        if parts is not None and self.pools:
            self.terms.moments(parts, only_pools=True)
        for bank in (self.first, self.second):
            if bank.filters:
                bank.forward(parts)
            if parts is not None and (bank.filters or bank is self.first):
                settle_moments(parts, about.mean, about.variance, units)


def plans(
    xs: Sequence[Tensor],
    alphas: Sequence[Tensor],
    weights: Sequence[Tensor],
    kept: Tensor,
    mean: Tensor,
    variance: Tensor,
    edges: Sequence[Edge],
    epsilon: float,
) -> list[Plan]:
    """Of edges, all of whose weights, kept images and statistics come in turn."""
    norms = [edge.norms for edge in edges]
    return [
        Plan(edge, x, alpha, own, images, Statistics(about, spread, epsilon))
        for edge, x, alpha, own, images, about, spread in zip(
            edges,
            xs,
            alphas,
            by_edge(weights, edges, xs[0].shape[1]),
            torch.split(kept, [edge.kept for edge in edges]),
            torch.split(mean, norms),
            torch.split(variance, norms),
            strict=True,
        )
    ]
