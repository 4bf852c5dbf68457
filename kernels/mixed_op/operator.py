"""Mixed operations, alone and summed, as a torch operator with a gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import dispatch
from ..gpu import register_cuda, register_triton
from ..parts.reference import join
from ..statistics import Running
from . import reference
from .layout import by_edge, edges_of, gradients, in_turn, outputs

NAME = "mixed_operation"


@torch.library.custom_op("nasturtium::mixed_operation", mutates_args=())
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
    """The sum, what the backward pass needs, and the statistics ``[norms, C]``.

    ``keep`` is the format of the second, float32 or bfloat16 (see ``layout.shorten``), or None
    where nothing is needed. ``weights``, ``mean`` and ``variance`` are those of all edges in turn;
    the latter two are read when not training. With several parts there is one edge of stride 1,
    and x is mixed in part: see ``partial_mix``.
    """
    settings = (candidates, strides, parts, training, epsilon, keep)
    found: tuple[Tensor, Tensor, Tensor, Tensor] = dispatch.forward(
        NAME, xs[0].device.type, xs, alphas, weights, mean, variance, *settings
    )
    return found


@forward.register_fake
def _(
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
    return outputs(xs, mean, variance, candidates, strides, parts, training, keep)


@torch.library.custom_op("nasturtium::mixed_operation_backward", mutates_args=())
def _backward(
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
    """Gradients of every x, every alpha and all weights; what is not needed is empty.

    ``needs`` says it for each edge: of x (1), of alpha (2) and of its weights (4).
    """
    settings = (candidates, strides, parts, training, epsilon, needs)
    found: list[Tensor] = dispatch.backward(
        NAME, grad.device.type, grad, xs, alphas, weights, kept, mean, variance, *settings
    )
    return found


@_backward.register_fake
def _(
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
    own = by_edge(weights, edges_of(candidates, strides), xs[0].shape[1] // parts)
    return in_turn([gradients(*edge) for edge in zip(xs, alphas, own, needs, strict=True)])


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    xs, alphas, weights, _, _, *settings, _ = inputs
    _, kept, mean, variance = output
    ctx.settings, ctx.edges = settings, len(xs)
    ctx.mark_non_differentiable(kept, mean, variance)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(kept, mean, variance, *xs, *alphas, *weights)


def _gradient(ctx: Any, grad: Tensor | None, *_: Tensor | None) -> tuple[Any, ...]:
    kept, mean, variance, *inputs = ctx.saved_tensors
    wanted = [flag for flags in ctx.needs_input_grad[:3] for flag in flags]
    found: list[Tensor | None]
    if grad is None:
        found = [None] * len(inputs)
    elif torch.is_grad_enabled():
        found = _differentiable(grad, inputs, mean, variance, ctx.edges, ctx.settings, wanted)
    else:
        xs, alphas, weights = _kinds(inputs, ctx.edges)
        candidates, strides, parts, *_ = ctx.settings
        edges = edges_of(candidates, strides)
        own = by_edge(ctx.needs_input_grad[2], edges, xs[0].shape[1] // parts)
        needs = [
            x + 2 * alpha + 4 * any(some)
            for x, alpha, some in zip(*ctx.needs_input_grad[:2], own, strict=True)
        ]
        tensors = _backward(grad, xs, alphas, weights, kept, mean, variance, *ctx.settings, needs)
        found = [t if want else None for t, want in zip(tensors, wanted, strict=True)]
    return *_kinds(found, ctx.edges), *(None,) * 8


def _kinds(of_all: list[Any], edges: int) -> tuple[list[Any], list[Any], list[Any]]:
    """What belongs to every x, to every alpha and to all weights."""
    return of_all[:edges], of_all[edges : 2 * edges], of_all[2 * edges :]


def _differentiable(
    grad: Tensor,
    inputs: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    edges: int,
    settings: list[Any],
    wanted: list[bool],
) -> list[Tensor | None]:
    """The same gradients by the reference, to be differentiated again."""
    candidates, strides, parts, training, epsilon = settings
    running = None if training else Running(mean.unbind(), variance.unbind())
    dispatch.ran[f"{NAME}_backward", "reference"] += 1
    xs, alphas, weights = _kinds(inputs, edges)
    own = edges_of(candidates, strides)
    with torch.enable_grad():
        mixed = [x[:, : x.shape[1] // parts] for x in xs]
        y = reference.node_sum(
            mixed,
            alphas,
            by_edge(weights, own, mixed[0].shape[1]),
            own,
            running,
            training=training,
            momentum=0.0,
            epsilon=epsilon,
        )
        if parts > 1:
            y = join(y, xs[0][:, y.shape[1] :], shuffled=True)
        asked = [t for t, want in zip(inputs, wanted, strict=True) if want]
        found = iter(torch.autograd.grad(y, asked, grad, create_graph=True, allow_unused=True))
    return [next(found) if want else None for want in wanted]


forward.register_autograd(_gradient, setup_context=_save)
dispatch.register_cpu(NAME, f"{__package__}.cpu")
register_triton(NAME, f"{__package__}.gpu")
register_cuda(NAME, f"{__package__}.gpu")
