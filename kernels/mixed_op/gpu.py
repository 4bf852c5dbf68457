"""The mixed operation by Triton kernels; arguments and results are the operator's.

Passes meet only at statistics: filters that read x and pools, second filters, the sum over all
edges; sums of the gradient, second filters, all that reads x.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import triton
from torch import Tensor

from ..mix.gpu import Statistics, Term, Terms, settle_slopes
from ..separable.gradient_tiles import SLOPED, WEIGHED
from ..separable.launch import Extras, Gradients
from ..tiles import RUN, Units, block
from . import tiles
from .layout import LAST, edges_of, gradients, in_turn, kept_norms, outputs, shorten
from .plan import Plan, plans


def forward(
    xs: list[Tensor],
    alphas: list[Tensor],
    weights: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    strides: list[int],
    parts: int,
    training: bool,
    epsilon: float,
    keep: torch.dtype | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As ``nasturtium::mixed_operation``, of whole images: ``partial_mix`` asks for no others."""
    edges = edges_of(candidates, strides)
    out, kept, mean, variance = outputs(
        xs, mean, variance, candidates, strides, parts, training, torch.float32
    )
    if kept.shape[-1] != xs[0].shape[1]:
        kept.zero_()  # also what is between channels and their padded number is an output
    own = plans(xs, alphas, weights, kept, mean, variance, edges, epsilon)
    for plan in own:
        plan.fill(training)
    _sum_of(own, Statistics(mean, variance, epsilon), out)
    if keep is None:
        kept = kept.new_empty(0)
    elif keep == torch.bfloat16:
        kept = shorten(kept, mean, edges)
    return out, kept, mean, variance


def _sum_of(own: list[Plan], statistics: Statistics, out: Tensor) -> None:
    """Write what all terms of all edges add up to."""
    terms: list[Term] = []
    alphas: list[Tensor] = []
    norms = 0
    for plan in own:
        for term in plan.terms.terms:
            terms.append(replace(term, norm=term.norm + norms) if term.norm >= 0 else term)
            alphas.append(plan.alpha)
        norms += plan.edge.norms
    if terms:
        Terms(tuple(terms), tuple(out.shape), norms).mix(alphas, statistics, out)
    else:
        out.zero_()


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
    parts: int,
    training: bool,
    epsilon: float,
    needs: list[int],
) -> list[Tensor]:
    """As ``nasturtium::mixed_operation_backward``."""
    edges = edges_of(candidates, strides)
    if kept.dtype == torch.bfloat16:  # it is less its means already
        rows = torch.tensor(kept_norms(edges), dtype=torch.long, device=mean.device)
        mean = mean.index_fill(0, rows, 0.0)
    own = plans(xs, alphas, weights, kept, mean, variance, edges, epsilon)
    grad = grad.contiguous(memory_format=LAST)
    return in_turn([_of_edge(grad, *part, training) for part in zip(own, needs, strict=True)])


def _of_edge(grad: Tensor, plan: Plan, needs: int, training: bool) -> list[Tensor]:
    """The gradients of x, alpha and the weights."""
    alpha = plan.alpha
    found = gradients(plan.x, alpha, plan.weights, needs)
    if not plan.terms.terms:
        return [t.zero_() for t in found]
    of_alpha = torch.zeros_like(alpha)
    slopes = plan.terms.slopes(grad, alpha, plan.statistics, of_alpha, training)
    if needs & 2:
        found[1].copy_(of_alpha)
    if not needs & 5:
        return found
    form = int(SLOPED if training else WEIGHED)
    made = Gradients([grad], form, slopes, alpha if alpha.dim() == 2 else None)
    of_kept = _second_filters(plan, made, found, needs, training)
    if plan.whole:
        first = replace(made, images=[of_kept.get(f.norm, grad) for f in plan.whole])
        middles = plan.first.spread(first)
        if needs & 4:
            plan.first.weights(first, middles, [found[2 + k] for k in plan.places[0]])
    if needs & 1:
        more = _extras(plan, grad, slopes, training)
        plan.first.input(middles if plan.whole else [], found[0], more=more)
    return found


def _second_filters(
    plan: Plan, made: Gradients, found: list[Tensor], needs: int, training: bool
) -> dict[int, Tensor]:
    """Gradients of what second filters read, by its norm; those of their weights are written."""
    second, grad = plan.second, made.images[0]
    if not second.filters:
        return {}
    made = replace(made, images=[grad] * len(second.filters))
    middles = second.spread(made)
    if needs & 4:
        second.weights(made, middles, [found[2 + place] for place in plan.places[1]])
    of_kept = {}
    for f, middle in zip(second.filters, middles, strict=True):
        one = replace(second, filters=(f,))
        target = torch.empty_like(grad)
        parts = one.input([middle], target, totals=True)
        assert made.slopes is not None
        settle_slopes(
            parts, Units.of(plan.pixels), [Term(f.image, norm=f.before)], made.slopes,
            plan.statistics, training,
        )  # fmt: skip
        of_kept[f.before] = target
    return of_kept


def _extras(plan: Plan, grad: Tensor, slopes: Tensor, training: bool) -> Extras:
    """What the skipped input and pools have to say to the gradient of x."""
    edge, c, alpha = plan.edge, plan.x.shape[1], plan.alpha
    skip = -1
    if edge.stride == 1 and "skip_connect" in edge.candidates:
        skip = edge.candidates.index("skip_connect")
    if not plan.pools:
        return Extras(grad, alpha, skip)
    peaks = averages = which = None
    none = Term(plan.x)
    maximum, average = (plan.pools.get(f"{name}_pool_3x3", none) for name in ("max", "avg"))
    if maximum is not none:
        peaks = grad.new_empty(plan.pixels, c)
        which = torch.empty(plan.pixels, c, dtype=torch.uint8, device=grad.device)
    if average is not none:
        averages = grad.new_empty(plan.pixels, c)
    tiles.pool_gradients(
        (triton.cdiv(plan.pixels, RUN), triton.cdiv(c, block(c))),
        image=plan.x, grad=grad, alpha=alpha, mean=plan.statistics.mean, slopes=slopes,
        peaks=grad if peaks is None else peaks, which=grad if which is None else which,
        averages=grad if averages is None else averages, pixels=plan.pixels,
        height=plan.x.shape[2], width=plan.x.shape[3],
        out_height=plan.size[0], out_width=plan.size[1],
        MAXIMA=maximum.norm, AVERAGES=average.norm, ROWS=(maximum.row, average.row),
        COLUMNS=alpha.shape[1] if alpha.dim() == 2 else 0, COUNT=plan.terms.count,
        TRAINING=training, STRIDE=edge.stride, C=c, BLOCK=block(c),
    )  # fmt: skip
    return Extras(grad, alpha, skip, peaks, which, averages)
