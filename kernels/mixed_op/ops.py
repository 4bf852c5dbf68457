"""Mixed operations, alone and summed, as a torch operator with a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .. import dispatch
from ..dispatch import Choice, choose
from ..gpu import register_cuda, register_triton
from ..statistics import Running, stacked, update
from . import reference
from .layout import by_edge, edges_of, gradients, in_turn, outputs
from .spec import CANDIDATES, MOST_EDGES, Edge, as_edge, check_storage

NAME = "mixed_operation"


@torch.library.custom_op("nasturtium::mixed_operation", mutates_args=())
def _forward(
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
    """The sum, what the backward pass needs, and the statistics ``[norms, C]``.

    ``keep`` is the format of the second, float32 or bfloat16 (see ``layout.shorten``), or None
    where nothing is needed. ``weights``, ``mean`` and ``variance`` are those of all edges in turn;
    the latter two are read when not training.
    """
    settings = (candidates, strides, training, epsilon, keep)
    found: tuple[Tensor, Tensor, Tensor, Tensor] = dispatch.forward(
        NAME, xs[0].device.type, xs, alphas, weights, mean, variance, *settings
    )
    return found


@_forward.register_fake
def _(
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
    return outputs(xs, mean, variance, candidates, strides, training, keep)


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
    training: bool,
    epsilon: float,
    needs: list[int],
) -> list[Tensor]:
    """Gradients of every x, every alpha and all weights; what is not needed is empty.

    ``needs`` says it for each edge: of x (1), of alpha (2) and of its weights (4).
    """
    settings = (candidates, strides, training, epsilon, needs)
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
    training: bool,
    epsilon: float,
    needs: list[int],
) -> list[Tensor]:
    own = by_edge(weights, edges_of(candidates, strides), xs[0].shape[1])
    parts = zip(xs, alphas, own, needs, strict=True)
    return in_turn([gradients(*part) for part in parts])


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
        candidates, strides, *_ = ctx.settings
        own = by_edge(ctx.needs_input_grad[2], edges_of(candidates, strides), xs[0].shape[1])
        needs = [
            x + 2 * alpha + 4 * any(some)
            for x, alpha, some in zip(*ctx.needs_input_grad[:2], own, strict=True)
        ]
        tensors = _backward(grad, xs, alphas, weights, kept, mean, variance, *ctx.settings, needs)
        found = [t if want else None for t, want in zip(tensors, wanted, strict=True)]
    return *_kinds(found, ctx.edges), *(None,) * 7


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
    candidates, strides, training, epsilon = settings
    running = None if training else Running(mean.unbind(), variance.unbind())
    dispatch.ran[f"{NAME}_backward", "reference"] += 1
    xs, alphas, weights = _kinds(inputs, edges)
    own = edges_of(candidates, strides)
    with torch.enable_grad():
        y = reference.node_sum(
            xs,
            alphas,
            by_edge(weights, own, xs[0].shape[1]),
            own,
            running,
            training=training,
            momentum=0.0,
            epsilon=epsilon,
        )
        asked = [t for t, want in zip(inputs, wanted, strict=True) if want]
        found = iter(torch.autograd.grad(y, asked, grad, create_graph=True, allow_unused=True))
    return [next(found) if want else None for want in wanted]


_forward.register_autograd(_gradient, setup_context=_save)
dispatch.register_cpu(NAME, f"{__package__}.cpu")
register_triton(NAME, f"{__package__}.gpu")
register_cuda(NAME, f"{__package__}.gpu")


def unsupported(
    xs: Sequence[Tensor], others: Sequence[Tensor], edges: Sequence[Edge], training: bool
) -> str:
    """Why no kernel can compute the sum of these edges; empty if one can."""
    x, edge = xs[0], edges[0]
    if any(t.dtype != x.dtype or t.device != x.device for t in (*xs, *others)):
        return "input, alpha and weights differ in dtype or device"
    if len(xs) > MOST_EDGES:
        return f"there are more than {MOST_EDGES} edges"
    if x.numel() == 0:
        return "the batch is empty"
    if training and x.shape[0] * edge.output(x.shape[2]) * edge.output(x.shape[3]) == 1:
        return "one pixel has no variance"
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        return "autocast is on"
    return ""


def explain(
    x: Tensor,
    alpha: Tensor,
    weights: Sequence[Tensor],
    *,
    candidates: Sequence[str] = CANDIDATES,
    stride: int = 1,
    training: bool = True,
) -> Choice:
    """Which implementation ``mixed_operation`` takes for these arguments, and why."""
    reason = unsupported([x], [alpha, *weights], [as_edge(candidates, stride)], training)
    return _choice(x.device.type, str(x.dtype), reason, alpha.dim() == 2)


def _choice(device: str, dtype: str, unsupported: str, each: bool) -> Choice:
    lack = "it has no alphas of each image" if each else ""
    lacking = {"triton": lack, "cuda": lack}
    return choose(NAME, device=device, dtype=dtype, unsupported=unsupported, lacking=lacking)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def chosen(device: str, dtype: str, unsupported: str, each: bool) -> str:
    """Name of the implementation that runs; a fallback is told of once."""
    choice = _choice(device, dtype, unsupported, each)
    dispatch.warn_of_fallback(NAME, choice)
    return choice.name


def mixed_operation(
    x: Tensor,
    alpha: Tensor,
    weights: Sequence[Tensor],
    *,
    candidates: Sequence[str] = CANDIDATES,
    stride: int = 1,
    running: Running | None = None,
    training: bool = True,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
    storage: str = "float32",
) -> Tensor:
    """``sum over k of alpha[k] candidate[k](x)``: all candidates of a DARTS edge.

    The candidates: ``none`` is zero; ``max_pool_3x3`` and ``avg_pool_3x3`` (which counts no
    padding), each normalized; ``skip_connect`` is x, or with stride 2 two pointwise convolutions of
    every second pixel of ReLU(x), from the first and from one further down and right (beyond the
    image are zeros), side by side and normalized; ``dil_conv_kxk`` is ReLU, a depthwise convolution
    of dilation 2, a pointwise one, normalized; ``sep_conv_kxk`` does so twice without dilation, the
    second time with stride 1. A normalization is ``batch_norm`` without affine parameters.

    For the backward pass x, the outputs of the pointwise convolutions and the statistics are kept,
    and all else is computed again.

    Args:
        x: ``[N, C, H, W]``.
        alpha: ``[K]``, one for each candidate, or ``[N, K]`` with a row for each image, as dropped
            paths need it.
        weights: of the convolutions by candidate, depthwise ``[C, 1, k, k]`` and pointwise
            ``[C, C, 1, 1]`` in turn.
        candidates: names, none of them twice.
        stride: 1 or 2.
        running: a pair of ``[C]`` for each normalization in the order of the candidates, as
            ``torch.nn.BatchNorm2d`` keeps them: updated in training, read otherwise.
        training: whether mean and (biased) variance are those of the batch.
        momentum: weight of the batch in the running statistics.
        epsilon: added to the variances.
        storage: format of what is kept, ``float32`` or ``bfloat16``. The latter takes half the
            memory. The output stays the same, bit for bit; gradients differ by some 0.2 % of their
            length (at most ``spec.BFLOAT16_ERROR``), as values are rounded to eight bits once they
            are less their mean. Plain torch keeps what it needs in float32.

    Returns:
        ``[N, C, ceil(H / stride), ceil(W / stride)]``, channels-last where the kernel ran.

    Raises:
        ValueError: a candidate or a storage is unknown, shapes do not fit together, or running
            statistics are needed and missing.

    Reference:
        Liu, Simonyan and Yang, DARTS: Differentiable Architecture Search, ICLR 2019.

    Example:
        >>> x, alpha = torch.randn(2, 4, 6, 6), torch.tensor([0.25, 0.75])
        >>> mixed_operation(x, alpha, [], candidates=("max_pool_3x3", "skip_connect")).shape
        torch.Size([2, 4, 6, 6])
    """
    return node_sum(
        [x],
        [alpha],
        [weights],
        candidates=candidates,
        strides=[stride],
        running=running,
        training=training,
        momentum=momentum,
        epsilon=epsilon,
        storage=storage,
    )


def node_sum(
    xs: Sequence[Tensor],
    alphas: Sequence[Tensor],
    weights: Sequence[Sequence[Tensor]],
    *,
    candidates: Sequence[str] = CANDIDATES,
    strides: Sequence[int] | None = None,
    running: Running | None = None,
    training: bool = True,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
    storage: str = "float32",
) -> Tensor:
    """The node that several edges enter: the sum of their mixed operations, written once.

    Args:
        xs: the source of each edge, ``[N, C, H, W]``; with stride 2 it may be larger.
        alphas: of each edge, as in ``mixed_operation``.
        weights: of each edge.
        candidates: of every edge.
        strides: of each edge; all 1 if not given.
        running: as in ``mixed_operation``, those of all edges in turn.
        training: whether mean and variance are those of the batch.
        momentum: weight of the batch in the running statistics.
        epsilon: added to the variances.
        storage: as in ``mixed_operation``.

    Returns:
        ``[N, C, H, W]``, channels-last where the kernel ran.

    Raises:
        ValueError: as ``mixed_operation``, and where edges differ in batch, channels or the size of
            their output.
    """
    strides = [1] * len(xs) if strides is None else list(strides)
    edges = [as_edge(candidates, stride) for stride in strides]
    check_storage(storage)
    _check(xs, alphas, weights, edges, running, training)
    x, flat = xs[0], [w for own in weights for w in own]
    reason = unsupported(xs, [*alphas, *flat], edges, training)
    each = any(alpha.dim() == 2 for alpha in alphas)
    if chosen(x.device.type, str(x.dtype), reason, each) == "reference":
        if not torch.compiler.is_compiling():
            dispatch.ran[NAME, "reference"] += 1
        return reference.node_sum(
            xs, alphas, weights, edges, running,
            training=training, momentum=momentum, epsilon=epsilon,
        )  # fmt: skip
    mean = variance = x.new_empty(0)
    norms = sum(edge.norms for edge in edges)
    if not training and running is not None and norms:
        mean, variance = stacked(running)
    inputs = (*xs, *alphas, *flat)
    wanted = torch.is_grad_enabled() and any(t.requires_grad for t in inputs)
    keep = getattr(torch, storage) if wanted else None
    out: Tensor
    out, _, mean, variance = _forward(
        list(xs), list(alphas), flat, mean, variance,
        edges[0].numbers, strides, training, epsilon, keep,
    )  # fmt: skip
    if training and running is not None and norms:
        update(running, mean, variance, momentum, out.numel() // out.shape[1])
    return out


def _check(
    xs: Sequence[Tensor],
    alphas: Sequence[Tensor],
    weights: Sequence[Sequence[Tensor]],
    edges: Sequence[Edge],
    running: Running | None,
    training: bool,
) -> None:
    if not xs or not len(xs) == len(alphas) == len(weights) == len(edges):
        raise ValueError("need an input, alphas, weights and a stride for each edge")
    sizes = set()
    for x, alpha, own, edge in zip(xs, alphas, weights, edges, strict=True):
        check_edge(x, own, edge)
        count = len(edge.candidates)
        if alpha.shape not in ((count,), (x.shape[0], count)):
            raise ValueError(
                f"need {count} alphas, or as many for each image, not {tuple(alpha.shape)}"
            )
        sizes.add((*x.shape[:2], *map(edge.output, x.shape[2:])))
    if len(sizes) > 1:
        raise ValueError(f"edges of one node have one output size, not {sorted(sizes)}")
    check_statistics(running, edges, training)


def check_edge(x: Tensor, weights: Sequence[Tensor], edge: Edge) -> None:
    """Raise ``ValueError`` where x is no image or the weights are not those of the edge."""
    if x.dim() != 4:
        raise ValueError(f"need x [N, C, H, W], not {tuple(x.shape)}")
    wanted = edge.shapes(x.shape[1])
    if [tuple(w.shape) for w in weights] != wanted:
        raise ValueError(f"need weights {wanted}, not {[tuple(w.shape) for w in weights]}")


def check_statistics(running: Running | None, edges: Sequence[Edge], training: bool) -> None:
    """Raise ``ValueError`` where running statistics are missing, or those of other edges."""
    norms = sum(edge.norms for edge in edges)
    if running is not None and not len(running.means) == len(running.variances) == norms:
        raise ValueError(f"need {norms} running means and variances")
    if not training and running is None and norms:
        raise ValueError("running statistics are needed when not training")
