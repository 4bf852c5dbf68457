"""The mixed operation by Triton kernels; arguments and results are the operator's.

Passes meet only at statistics: filters that read x and pools, second filters, sum; sums of the
gradient, second filters, all that reads x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import triton
from torch import Tensor

from ..mix import terms as kinds
from ..mix.gpu import Terms, settle_slopes
from ..separable.gradient_tiles import SLOPED, WEIGHED
from ..separable.launch import Bank, Extras, Filter, Statistics
from ..separable.tiles import NORMED
from ..tiles import RUN, Units, block, settle_moments
from . import tiles
from .layout import LAST, by_edge, edges_of, gradients, in_turn, lengthen, outputs, shorten
from .spec import Edge, kernel_side


class Plan:
    """An edge's filters and terms, where each finds its weights, images and statistics.

    Args:
        edge: candidates and stride.
        x: ``[N, C, H, W]``, channels-last.
        weights: as the operator takes them.
        kept: outputs of pointwise convolutions ``[kept, N, H, W, padded C]``.
        statistics: of all normalizations.
    """

    def __init__(
        self, edge: Edge, x: Tensor, weights: Sequence[Tensor], kept: Tensor, statistics: Statistics
    ) -> None:
        self.edge, self.x, self.statistics = edge, x, statistics
        self.pitch = kept.shape[-1] if kept.numel() else x.shape[1]
        self.whole: list[Filter] = []
        self.half: list[Filter] = []
        self.places: dict[int, list[int]] = {0: [], 1: []}  # of the filters' weights
        self.rows: list[int] = []  # of the terms, in alpha
        self.pools: dict[str, int] = {}
        images: list[Tensor] = []
        forms: list[int] = []
        norms: list[int] = []
        norm = stage = place = 0
        for row, name in enumerate(edge.candidates):
            if name == "none":
                continue
            own = weights[place : place + len(edge.shapes_of(name, x.shape[1]))]
            if "conv" in name:
                image, form = self._convolution(name, own, kept, norm, stage, place)
            elif name == "skip_connect" and edge.stride == 2:
                image, form = self._halved(own, kept, norm, stage, place)
            elif name == "skip_connect":
                image, form = x, int(kinds.INPUT)
            else:
                image = x
                form = int(kinds.MAX_POOL if name.startswith("max") else kinds.AVERAGE_POOL)
                self.pools[name] = norm
            count = edge.norms_of(name)
            images.append(image)
            forms.append(form)
            norms.append(norm + count - 1 if count else -1)
            self.rows.append(row)
            norm, place = norm + count, place + len(own)
            stage += 0 if "pool" in name else count
        n, c, h, w = x.shape
        size = (edge.output(h), edge.output(w))
        self.size, self.pixels = size, n * size[0] * size[1]
        self.terms = Terms(
            tuple(images), tuple(forms), tuple(norms), edge.norms, (n, c, *size), (h, w),
            edge.stride, self.pitch, tuple(self.rows),
        )  # fmt: skip
        self.first = Bank(
            tuple(self.whole), (n, c, h, w), size, edge.stride, statistics, out_pitch=self.pitch
        )
        self.second = Bank(
            tuple(self.half), (n, c, *size), size, 1, statistics, int(NORMED),
            pitch=self.pitch, out_pitch=self.pitch,
        )  # fmt: skip

    def _convolution(
        self, name: str, own: Sequence[Tensor], kept: Tensor, norm: int, stage: int, place: int
    ) -> tuple[Tensor, int]:
        dilation = 2 if name.startswith("dil") else 1
        shift = -dilation * (kernel_side(name) // 2)
        self.whole.append(Filter(self.x, own[0], own[1], kept[stage], norm, dilation, shift))
        self.places[0] += [place, place + 1]
        if len(own) == 4:
            second = Filter(kept[stage], own[2], own[3], kept[stage + 1], norm + 1, 1, shift)
            self.half.append(replace(second, before=norm))
            self.places[1] += [place + 2, place + 3]
        return self.half[-1].out if len(own) == 4 else kept[stage], int(kinds.KEPT)

    def _halved(
        self, own: Sequence[Tensor], kept: Tensor, norm: int, stage: int, place: int
    ) -> tuple[Tensor, int]:
        """The skipped input of stride 2: filters of one tap, for one part of the channels each."""
        even = Filter(self.x, None, own[0], kept[stage], norm)
        self.whole += [even, replace(even, pointwise=own[1], shift=1, first=own[0].shape[0])]
        self.places[0] += [place, place + 1]
        return kept[stage], int(kinds.KEPT)


def _prepared(x: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    return x.contiguous(memory_format=LAST), [w.contiguous() for w in weights]


def forward(
    xs: list[Tensor],
    alphas: list[Tensor],
    weights: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    strides: list[int],
    training: bool,
    epsilon: float,
    keep: torch.dtype | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As ``nasturtium::mixed_operation``."""
    edges = edges_of(candidates, strides)
    found = [
        _forward_edge(x, alpha, own, about, spread, edge, candidates, training, epsilon)
        for x, alpha, own, about, spread, edge in zip(
            xs,
            alphas,
            by_edge(weights, edges, xs[0].shape[1]),
            _norms_by_edge(mean, edges),
            _norms_by_edge(variance, edges),
            edges,
            strict=True,
        )
    ]
    out, *others = (own[0] for own in found)
    for other in others:
        out += other
    mean, variance = (_joined([own[i] for own in found]) for i in (2, 3))
    if keep is None:
        return out, out.new_empty(0), mean, variance
    kept = [own[1] for own in found]
    if keep == torch.bfloat16:
        kept = [shorten(own[1], own[2], edge) for own, edge in zip(found, edges, strict=True)]
    return out, _joined(kept), mean, variance


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _norms_by_edge(statistics: Tensor, edges: list[Edge]) -> list[Tensor]:
    """Each edge's part, or nothing for each where nothing is given."""
    if not statistics.numel():
        return [statistics] * len(edges)
    return list(torch.split(statistics, [edge.norms for edge in edges]))


def backward(
    grad: Tensor,
    xs: list[Tensor],
    alphas: list[Tensor],
    weights: list[Tensor],
    kept: Tensor,
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    strides: list[int],
    training: bool,
    epsilon: float,
    needs: list[int],
) -> list[Tensor]:
    """As ``nasturtium::mixed_operation_backward``."""
    edges = edges_of(candidates, strides)
    parts = zip(
        xs,
        alphas,
        by_edge(weights, edges, xs[0].shape[1]),
        torch.split(kept, [edge.kept for edge in edges]),
        _norms_by_edge(mean, edges),
        _norms_by_edge(variance, edges),
        edges,
        needs,
        strict=True,
    )
    return in_turn(
        [
            _backward_edge(
                grad, x, alpha, own, images, about, spread, edge, training, epsilon, need
            )
            for x, alpha, own, images, about, spread, edge, need in parts
        ]
    )


def _forward_edge(
    x: Tensor,
    alpha: Tensor,
    weights: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    edge: Edge,
    candidates: list[int],
    training: bool,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The output, what may be kept, and the statistics."""
    x, weights = _prepared(x, weights)
    out, kept, mean, variance = outputs(
        [x], mean, variance, candidates, [edge.stride], training, torch.float32
    )
    if kept.shape[-1] != x.shape[1]:
        kept.zero_()  # also what is between channels and their padded number is an output
    plan = Plan(edge, x, weights, kept, Statistics(mean, variance, epsilon))
    units = Units.of(plan.pixels)
    parts = None
    if training and edge.norms:
        shape = (2, units.count, edge.norms, x.shape[1])
        parts = torch.zeros(shape, dtype=torch.float64, device=x.device)
    if parts is not None and plan.pools:
        plan.terms.moments(parts, only_pools=True)
    for bank in (plan.first, plan.second):
        if bank.filters:
            bank.forward(parts)
        if parts is not None and (bank.filters or bank is plan.first):
            settle_moments(parts, mean, variance, units)
    plan.terms.mix(alpha.contiguous(), mean, variance, epsilon, out)
    return out, kept, mean, variance


def _backward_edge(
    grad: Tensor,
    x: Tensor,
    alpha: Tensor,
    weights: list[Tensor],
    kept: Tensor,
    mean: Tensor,
    variance: Tensor,
    edge: Edge,
    training: bool,
    epsilon: float,
    needs: int,
) -> list[Tensor]:
    """The gradients of x, alpha and the weights."""
    x, weights = _prepared(x, weights)
    kept = lengthen(kept, mean, edge)
    grad, alpha = grad.contiguous(memory_format=LAST), alpha.contiguous()
    found = gradients(x, alpha, weights, needs)
    plan = Plan(edge, x, weights, kept, Statistics(mean, variance, epsilon))
    of_alpha = torch.zeros_like(alpha)
    if not plan.rows:
        return [t.zero_() for t in found]
    slopes = plan.terms.slopes(grad, alpha, mean, variance, epsilon, of_alpha, training)
    if needs & 2:
        found[1].copy_(of_alpha)
    if not needs & 5:
        return found
    source = int(SLOPED if training else WEIGHED)
    grads = {f.out.data_ptr(): grad for f in plan.whole}
    second = plan.second
    if second.filters:
        own = [grad] * len(second.filters)
        middles = second.spread(own, slopes, source)
        if needs & 4:
            targets = [found[2 + place] for place in plan.places[1]]
            second.weights(own, middles, slopes, source, targets)
        for f, middle in zip(second.filters, middles, strict=True):
            target = torch.empty_like(grad)
            one = replace(second, filters=(f,))
            parts = one.input([middle], target, totals=True)
            settle_slopes(
                parts, None, variance, of_alpha, [f.before], plan.terms.count, epsilon,
                plan.pixels, training=training, slopes=slopes,
            )  # fmt: skip
            grads[f.image.data_ptr()] = target
    own = [grads[f.out.data_ptr()] for f in plan.whole]
    middles = plan.first.spread(own, slopes, source) if plan.whole else []
    if needs & 4 and plan.whole:
        targets = [found[2 + place] for place in plan.places[0]]
        plan.first.weights(own, middles, slopes, source, targets)
    if needs & 1:
        plan.first.input(middles, found[0], more=_extras(plan, grad, alpha, slopes, training))
    return found


def _extras(plan: Plan, grad: Tensor, alpha: Tensor, slopes: Tensor, training: bool) -> Extras:
    """What the skipped input and pools have to say to the gradient of x."""
    edge, c = plan.edge, plan.x.shape[1]
    skip = -1
    if edge.stride == 1 and "skip_connect" in edge.candidates:
        skip = edge.candidates.index("skip_connect")
    peaks = averages = which = None
    if plan.pools:
        if "max_pool_3x3" in plan.pools:
            peaks = grad.new_empty(plan.pixels, c)
            which = torch.empty(plan.pixels, c, dtype=torch.uint8, device=grad.device)
        if "avg_pool_3x3" in plan.pools:
            averages = grad.new_empty(plan.pixels, c)
        tiles.pool_gradients(
            (triton.cdiv(plan.pixels, RUN), triton.cdiv(c, block(c))),
            image=plan.x, grad=grad, mean=plan.statistics.mean, slopes=slopes,
            peaks=grad if peaks is None else peaks, which=grad if which is None else which,
            averages=grad if averages is None else averages, pixels=plan.pixels,
            height=plan.x.shape[2], width=plan.x.shape[3],
            out_height=plan.size[0], out_width=plan.size[1],
            MAXIMA=plan.pools.get("max_pool_3x3", -1), AVERAGES=plan.pools.get("avg_pool_3x3", -1),
            COUNT=plan.terms.count, TRAINING=training, STRIDE=edge.stride, C=c, BLOCK=block(c),
        )  # fmt: skip
    return Extras(grad, alpha, skip, peaks, which, averages)
