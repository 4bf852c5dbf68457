"""Mixed operations, alone and summed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .. import dispatch
from ..dispatch import Choice, choose
from ..statistics import Running, stacked, update
from . import reference
from .checks import check, unsupported
from .operator import NAME, forward
from .spec import CANDIDATES, Edge, as_edge, check_storage

__all__ = ["NAME", "chosen", "explain", "mixed_operation", "node_sum"]


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
    return choose(NAME, device=x.device.type, dtype=str(x.dtype), unsupported=reason)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def chosen(device: str, dtype: str, unsupported: str) -> str:
    """Name of the implementation that runs; a fallback is told of once."""
    choice = choose(NAME, device=device, dtype=dtype, unsupported=unsupported)
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
    check(xs, alphas, weights, edges, running, training)
    x, flat = xs[0], [w for own in weights for w in own]
    reason = unsupported(xs, [*alphas, *flat], edges, training)
    if chosen(x.device.type, str(x.dtype), reason) == "reference":
        if not torch.compiler.is_compiling():
            dispatch.ran[NAME, "reference"] += 1
        return reference.node_sum(
            xs, alphas, weights, edges, running,
            training=training, momentum=momentum, epsilon=epsilon,
        )  # fmt: skip
    return run(
        xs, alphas, flat, edges, running,
        training=training, momentum=momentum, epsilon=epsilon, storage=storage,
    )  # fmt: skip


def run(
    xs: Sequence[Tensor],
    alphas: Sequence[Tensor],
    weights: Sequence[Tensor],
    edges: Sequence[Edge],
    running: Running | None,
    *,
    training: bool,
    momentum: float,
    epsilon: float,
    storage: str,
    parts: int = 1,
) -> Tensor:
    """The sum by a kernel, of arguments that were checked; keeps the statistics."""
    mean = variance = xs[0].new_empty(0)
    norms = sum(edge.norms for edge in edges)
    if not training and running is not None and norms:
        mean, variance = stacked(running)
    wanted = torch.is_grad_enabled() and any(t.requires_grad for t in (*xs, *alphas, *weights))
    keep = getattr(torch, storage) if wanted else None
    out: Tensor
    out, _, mean, variance = forward(
        list(xs), list(alphas), list(weights), mean, variance,
        edges[0].numbers, [edge.stride for edge in edges], parts, training, epsilon, keep,
    )  # fmt: skip
    if training and running is not None and norms:
        update(running, mean, variance, momentum, out.numel() // out.shape[1])
    return out
