"""The searched cell on a GPU; arguments and results are the operator's.

For each node one convolution of each side computes all edges that leave it, which is torch's to do
well. What is around them is Triton's: statistics of their outputs, and the sum over all edges that
enter a node, skipped inputs and averages among them, written once. Kept are the outputs of the
convolutions of side 3, node by node; those of side 1 are computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from ..mix.gpu import Statistics, Term, Terms
from ..mix.terms import AVERAGE_POOL, INPUT
from ..mixed_op.layout import gradients
from ..separable.launch import Bank, Extras, Filter
from ..tiles import Units, settle_moments
from .layout import LAST, outputs, part, whole, whole_weights, without_padding
from .spec import CANDIDATES, pairs

_SKIP, _ONE, _THREE, _AVERAGE = range(1, len(CANDIDATES))
_SIDES = (1, 3)


@dataclass(frozen=True)
class _Source:
    """A node with the edges that leave it: their numbers, targets, and weights of each side."""

    value: Tensor
    edges: list[int]
    targets: list[int]
    weights: tuple[Tensor, Tensor]

    @staticmethod
    def of(number: int, value: Tensor, weights: Sequence[Tensor], nodes: int) -> _Source:
        own = [(e, t) for e, (s, t) in enumerate(pairs(nodes)) if s == number]
        ones, threes = weights[: len(pairs(nodes))], weights[len(pairs(nodes)) :]
        wide = tuple(torch.cat([some[e] for e, _ in own]) for some in (ones, threes))
        return _Source(value, [e for e, _ in own], [t for _, t in own], (wide[0], wide[1]))

    def convolved(self, active: Tensor, side: int) -> Tensor:
        """``[N, edges * C, H, W]``."""
        z = conv2d(active, self.weights[_SIDES.index(side)], padding=side // 2)
        return z.contiguous(memory_format=LAST)

    def terms(self, dense: Sequence[Tensor]) -> list[list[Term]]:
        """Of each edge, from the outputs of both convolutions of all edges."""
        c = self.value.shape[1]
        found = []
        for place, edge in enumerate(self.edges):
            ones, threes = (z[:, place * c : (place + 1) * c] for z in dense)
            row, pitch = edge * len(CANDIDATES), c * len(self.edges)
            found.append(
                [
                    Term(self.value, int(INPUT), row=row + _SKIP),
                    Term(ones, norm=2 * edge, row=row + _ONE, pitch=pitch),
                    Term(threes, norm=2 * edge + 1, row=row + _THREE, pitch=pitch),
                    Term(self.value, int(AVERAGE_POOL), row=row + _AVERAGE),
                ]
            )
        return found


def _places(dense: Tensor, nodes: int) -> list[Tensor]:
    """Of ``[edges, N, H, W, C]`` the part of each node's edges, as wide images."""
    _, n, h, w, c = dense.shape
    counts = [nodes - 1 - source for source in range(nodes - 1)]
    return [
        own.view(n, h, w, count * c).permute(0, 3, 1, 2)
        for own, count in zip(torch.split(dense, counts), counts, strict=True)
    ]


def forward(
    x: Tensor,
    alpha: Tensor,
    weights: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    nodes: int,
    training: bool,
    epsilon: float,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """As ``nasturtium::searched_cell``."""
    channels, alpha = x.shape[1], alpha.flatten()
    x, weights = whole(x), whole_weights(weights)
    out, between, dense, moments, mean, variance = outputs(x, mean, variance, nodes, training, keep)
    statistics, count = Statistics(mean, variance, epsilon), 2 * len(pairs(nodes))
    shape = tuple(x.shape)
    units = Units.of(x.numel() // x.shape[1])
    parts = x.new_zeros((2, units.count, count, x.shape[1]), dtype=torch.float64)
    places = _places(dense, nodes) if keep else []
    into: list[list[Term]] = [[] for _ in range(nodes)]
    value = x
    for number in range(nodes - 1):
        source = _Source.of(number, value, weights, nodes)
        active = value.relu()
        ones, threes = (source.convolved(active, side) for side in _SIDES)
        if keep:
            threes = places[number].copy_(threes)
        own = source.terms((ones, threes))
        if training:
            Terms(tuple(t for some in own for t in some), shape, count).moments(parts)
            settle_moments(parts, mean, variance, units)  # of later nodes' edges again later
        for target, some in zip(source.targets, own, strict=True):
            into[target] += some
        value = _node(number, out, between, nodes)
        terms = into[number + 1]
        Terms(tuple(terms), shape, count).mix([alpha] * len(terms), statistics, value)
        into[number + 1] = []
    return part(out, channels), between, dense, moments, mean, variance


def _node(number: int, out: Tensor, between: Tensor, nodes: int) -> Tensor:
    """Memory for the node after this one."""
    if number == nodes - 2:
        return out
    if between.numel():
        return between[number].permute(0, 3, 1, 2)
    return torch.empty_like(out)


def backward(
    grad: Tensor,
    x: Tensor,
    alpha: Tensor,
    weights: list[Tensor],
    kept: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    nodes: int,
    training: bool,
    epsilon: float,
    needs: int,
) -> list[Tensor]:
    """As ``nasturtium::searched_cell_backward``."""
    channels = x.shape[1]
    x, grad, weights = whole(x), whole(grad), whole_weights(weights)
    found = gradients(x, alpha, weights, needs)
    alpha = alpha.flatten()
    of_alpha = torch.zeros_like(alpha)
    statistics, edges = Statistics(mean, variance, epsilon), len(pairs(nodes))
    places = _places(kept[1], nodes)
    grads = [torch.empty(0)] * (nodes - 1) + [grad]
    for number in reversed(range(nodes - 1)):
        value = kept[0][number - 1].permute(0, 3, 1, 2) if number else x
        source = _Source.of(number, value, weights, nodes)
        own = [grads[target] for target in source.targets]
        of_x = number > 0 or bool(needs & 1)
        active = value.relu()
        dense = (source.convolved(active, 1), places[number])
        wide = [torch.empty_like(z) for z in dense]
        for terms, g, *to in zip(
            source.terms(dense), own, *(torch.split(w, x.shape[1], 1) for w in wide), strict=True
        ):
            some = Terms(tuple(terms), tuple(x.shape), 2 * edges)
            slopes = some.slopes(g, alpha, statistics, of_alpha, training)
            some.gradients(g, alpha, statistics, slopes, terms[1:3], to, training)
        middles = []
        if not of_x and not needs & 4:
            break
        for k, (w, g) in enumerate(zip(source.weights, wide, strict=True)):
            middle, of_w, _ = torch.ops.aten.convolution_backward(
                g, active, w, None, [1, 1], [w.shape[2] // 2] * 2, [1, 1], False, [0, 0], 1,
                [of_x, bool(needs & 4), False],
            )  # fmt: skip
            if of_x:
                middles.append(middle.contiguous(memory_format=LAST))
            if needs & 4:
                for edge, each in zip(source.edges, torch.split(of_w, x.shape[1]), strict=True):
                    found[2 + k * edges + edge].copy_(each)
        if of_x:
            target = torch.empty_like(value) if number else found[0]
            grads[number] = _of_source(source, own, alpha, middles, statistics, target)
    if needs & 2:
        found[1].copy_(of_alpha.view_as(found[1]))
    return without_padding(found, channels, needs)


def _of_source(
    source: _Source,
    grads: list[Tensor],
    alpha: Tensor,
    middles: list[Tensor],
    statistics: Statistics,
    target: Tensor,
) -> Tensor:
    """Write the gradient of a node: behind ReLU, and of it itself and its averages."""
    value, shape = source.value, tuple(source.value.shape)
    rows = [edge * len(CANDIDATES) for edge in source.edges]
    alphas = [alpha] * len(rows)
    averaged = torch.empty_like(target)
    pooled = [Term(g, row=row + _AVERAGE) for g, row in zip(grads, rows, strict=True)]
    Terms(tuple(pooled), shape, 0).mix(alphas, statistics, averaged)
    averaged = torch.ops.aten.avg_pool2d_backward(
        averaged, value, [3, 3], [1, 1], [1, 1], False, False, None
    ).contiguous(memory_format=LAST)
    one = alpha.new_ones(1)
    skipped = [Term(g, row=row + _SKIP) for g, row in zip(grads, rows, strict=True)]
    rest = torch.empty_like(target)
    Terms((*skipped, Term(averaged)), shape, 0).mix([*alphas, one], statistics, rest)
    filters = tuple(Filter(value, None, w, value, 0) for w in source.weights)
    size = (shape[2], shape[3])
    Bank(filters, shape, size, 1, statistics).input(middles, target, more=Extras(rest, one, 0))
    return target
