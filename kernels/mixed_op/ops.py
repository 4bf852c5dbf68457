"""The mixed operation as a torch operator with a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from .. import dispatch
from ..dispatch import Choice, choose
from ..gpu import register_cuda, register_triton
from ..statistics import Running, stacked, update
from . import reference
from .spec import CANDIDATES, Edge, as_edge, padded_channels

NAME = "mixed_operation"
# Values of x below which a second thread costs more than it brings.
_WORK_PER_THREAD = 2_000
_LAST = torch.channels_last


def edge_of(candidates: Sequence[int], stride: int) -> Edge:
    return Edge(tuple(CANDIDATES[k] for k in candidates), stride)


def _sizes(
    x: Tensor, candidates: list[int], stride: int, training: bool, epsilon: float
) -> dict[str, Any]:
    batch, channels, height, width = x.shape
    return {
        "batch": batch,
        "channels": channels,
        "height": height,
        "width": width,
        "stride": stride,
        "candidates": candidates,
        "training": training,
        "epsilon": epsilon,
        "threads": max(1, min(torch.get_num_threads(), x.numel() // _WORK_PER_THREAD)),
    }


@torch.library.custom_op("nasturtium::mixed_operation", mutates_args=())
def _forward(
    x: Tensor,
    alpha: Tensor,
    weights: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    stride: int,
    training: bool,
    epsilon: float,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The sum, what the backward pass needs (if ``keep``), and the statistics ``[norms, C]``.

    ``mean`` and ``variance`` are read when not training.
    """
    settings = (candidates, stride, training, epsilon, keep)
    found: tuple[Tensor, Tensor, Tensor, Tensor] = dispatch.forward(
        NAME, x.device.type, x, alpha, weights, mean, variance, *settings
    )
    return found


def _cpu_forward(
    x: Tensor,
    alpha: Tensor,
    weights: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    stride: int,
    training: bool,
    epsilon: float,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from .. import _cpu

    x, weights = x.contiguous(memory_format=_LAST), [w.contiguous() for w in weights]
    out, kept, mean, variance = outputs(x, mean, variance, candidates, stride, training, keep)
    _cpu.mixed_forward(
        x.data_ptr(),
        alpha.contiguous().data_ptr(),
        [w.data_ptr() for w in weights],
        out.data_ptr(),
        kept.data_ptr() if keep else 0,
        mean.data_ptr(),
        variance.data_ptr(),
        **_sizes(x, candidates, stride, training, epsilon),
    )
    return out, kept, mean, variance


def outputs(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    stride: int,
    training: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    edge = edge_of(candidates, stride)
    n, c = x.shape[:2]
    h, w = edge.output(x.shape[2]), edge.output(x.shape[3])
    out = torch.empty((n, c, h, w), dtype=x.dtype, device=x.device, memory_format=_LAST)
    kept = x.new_empty((edge.kept, n, h, w, padded_channels(c)) if keep else 0)
    if not training:
        return out, kept, mean.clone(), variance.clone()
    return out, kept, x.new_empty(edge.norms, c), x.new_empty(edge.norms, c)


@_forward.register_fake
def _(
    x: Tensor,
    alpha: Tensor,
    weights: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    stride: int,
    training: bool,
    epsilon: float,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return outputs(x, mean, variance, candidates, stride, training, keep)


@torch.library.custom_op("nasturtium::mixed_operation_backward", mutates_args=())
def _backward(
    grad: Tensor,
    x: Tensor,
    alpha: Tensor,
    weights: list[Tensor],
    kept: Tensor,
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    stride: int,
    training: bool,
    epsilon: float,
    needs: int,
) -> list[Tensor]:
    """Gradients of x (``needs`` & 1), of alpha (2) and of all weights (4); the others are empty."""
    settings = (candidates, stride, training, epsilon, needs)
    found: list[Tensor] = dispatch.backward(
        NAME, x.device.type, grad, x, alpha, weights, kept, mean, variance, *settings
    )
    return found


def _cpu_backward(
    grad: Tensor,
    x: Tensor,
    alpha: Tensor,
    weights: list[Tensor],
    kept: Tensor,
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    stride: int,
    training: bool,
    epsilon: float,
    needs: int,
) -> list[Tensor]:
    from .. import _cpu

    x, grad = x.contiguous(memory_format=_LAST), grad.contiguous(memory_format=_LAST)
    weights = [w.contiguous() for w in weights]
    found = gradients(x, alpha, weights, needs)
    _cpu.mixed_backward(
        grad.data_ptr(),
        x.data_ptr(),
        alpha.contiguous().data_ptr(),
        [w.data_ptr() for w in weights],
        kept.data_ptr(),
        mean.data_ptr(),
        variance.data_ptr(),
        found[0].data_ptr() if needs & 1 else 0,
        found[1].data_ptr() if needs & 2 else 0,
        [w.data_ptr() for w in found[2:]] if needs & 4 else [],
        **_sizes(x, candidates, stride, training, epsilon),
    )
    return found


def gradients(x: Tensor, alpha: Tensor, weights: Sequence[Tensor], needs: int) -> list[Tensor]:
    def like(t: Tensor, form: torch.memory_format, wanted: int) -> Tensor:
        if not wanted:
            return t.new_empty(0)
        return torch.empty(t.shape, dtype=t.dtype, device=t.device, memory_format=form)

    plain = torch.contiguous_format
    return [
        like(x, _LAST, needs & 1),
        like(alpha, plain, needs & 2),
        *(like(w, plain, needs & 4) for w in weights),
    ]


@_backward.register_fake
def _(
    grad: Tensor,
    x: Tensor,
    alpha: Tensor,
    weights: list[Tensor],
    kept: Tensor,
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    stride: int,
    training: bool,
    epsilon: float,
    needs: int,
) -> list[Tensor]:
    return gradients(x, alpha, weights, needs)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, alpha, weights, _, _, *settings, _ = inputs
    _, kept, mean, variance = output
    ctx.settings = settings
    ctx.mark_non_differentiable(kept, mean, variance)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, alpha, kept, mean, variance, *weights)


def _gradient(ctx: Any, grad: Tensor | None, *_: Tensor | None) -> tuple[Any, ...]:
    x, alpha, kept, mean, variance, *weights = ctx.saved_tensors
    of_x, of_alpha, of_weights = ctx.needs_input_grad[:3]
    rest = (None,) * 7
    if grad is None:
        return None, None, [None] * len(weights), *rest
    wanted = [of_x, of_alpha, *of_weights]
    if torch.is_grad_enabled():
        inputs = [x, alpha, *weights]
        found = _differentiable(grad, inputs, mean, variance, ctx.settings, wanted)
    else:
        needs = of_x + 2 * of_alpha + 4 * any(of_weights)
        tensors = _backward(grad, x, alpha, weights, kept, mean, variance, *ctx.settings, needs)
        found = [t if want else None for t, want in zip(tensors, wanted, strict=True)]
    return found[0], found[1], found[2:], *rest


def _differentiable(
    grad: Tensor,
    inputs: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    settings: list[Any],
    wanted: list[bool],
) -> list[Tensor | None]:
    """The same gradients by the reference, to be differentiated again."""
    candidates, stride, training, epsilon = settings
    running = None if training else Running(mean.unbind(), variance.unbind())
    dispatch.ran[f"{NAME}_backward", "reference"] += 1
    with torch.enable_grad():
        y = reference.mixed_operation(
            inputs[0],
            inputs[1],
            inputs[2:],
            edge_of(candidates, stride),
            running,
            training=training,
            momentum=0.0,
            epsilon=epsilon,
        )
        asked = [t for t, want in zip(inputs, wanted, strict=True) if want]
        found = iter(torch.autograd.grad(y, asked, grad, create_graph=True, allow_unused=True))
    return [next(found) if want else None for want in wanted]


_forward.register_autograd(_gradient, setup_context=_save)
dispatch.register_cpu(NAME, lambda: SimpleNamespace(forward=_cpu_forward, backward=_cpu_backward))
register_triton(NAME, f"{__package__}.gpu")
register_cuda(NAME, f"{__package__}.gpu")


def _unsupported(
    x: Tensor, alpha: Tensor, weights: Sequence[Tensor], edge: Edge, training: bool
) -> str:
    if any(t.dtype != x.dtype or t.device != x.device for t in (alpha, *weights)):
        return "input, alpha and weights differ in dtype or device"
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
    unsupported = _unsupported(x, alpha, weights, as_edge(candidates, stride), training)
    return choose(NAME, device=x.device.type, dtype=str(x.dtype), unsupported=unsupported)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _chosen(device: str, dtype: str, unsupported: str) -> str:
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
        alpha: ``[K]``, one for each candidate.
        weights: of the convolutions by candidate, depthwise ``[C, 1, k, k]`` and pointwise
            ``[C, C, 1, 1]`` in turn.
        candidates: names, none of them twice.
        stride: 1 or 2.
        running: a pair of ``[C]`` for each normalization in the order of the candidates, as
            ``torch.nn.BatchNorm2d`` keeps them: updated in training, read otherwise.
        training: whether mean and (biased) variance are those of the batch.
        momentum: weight of the batch in the running statistics.
        epsilon: added to the variances.

    Returns:
        ``[N, C, ceil(H / stride), ceil(W / stride)]``, channels-last where the kernel ran.

    Raises:
        ValueError: a candidate is unknown, shapes do not fit together, or running statistics are
            needed and missing.

    Reference:
        Liu, Simonyan and Yang, DARTS: Differentiable Architecture Search, ICLR 2019.

    Example:
        >>> x, alpha = torch.randn(2, 4, 6, 6), torch.tensor([0.25, 0.75])
        >>> mixed_operation(x, alpha, [], candidates=("max_pool_3x3", "skip_connect")).shape
        torch.Size([2, 4, 6, 6])
    """
    edge = as_edge(candidates, stride)
    _check(x, alpha, weights, edge, running, training)
    unsupported = _unsupported(x, alpha, weights, edge, training)
    if _chosen(x.device.type, str(x.dtype), unsupported) == "reference":
        if not torch.compiler.is_compiling():
            dispatch.ran[NAME, "reference"] += 1
        return reference.mixed_operation(
            x, alpha, weights, edge, running, training=training, momentum=momentum, epsilon=epsilon
        )
    mean = variance = x.new_empty(0)
    if not training and running is not None and edge.norms:
        mean, variance = stacked(running)
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (x, alpha, *weights))
    out: Tensor
    out, _, mean, variance = _forward(
        x, alpha, list(weights), mean, variance, edge.numbers, stride, training, epsilon, keep
    )
    if training and running is not None and edge.norms:
        update(running, mean, variance, momentum, out.numel() // out.shape[1])
    return out


def _check(
    x: Tensor,
    alpha: Tensor,
    weights: Sequence[Tensor],
    edge: Edge,
    running: Running | None,
    training: bool,
) -> None:
    if x.dim() != 4:
        raise ValueError(f"need x [N, C, H, W], not {tuple(x.shape)}")
    if alpha.shape != (len(edge.candidates),):
        raise ValueError(f"need {len(edge.candidates)} alphas, not {tuple(alpha.shape)}")
    wanted = edge.shapes(x.shape[1])
    if [tuple(w.shape) for w in weights] != wanted:
        raise ValueError(f"need weights {wanted}, not {[tuple(w.shape) for w in weights]}")
    if running is not None and not len(running.means) == len(running.variances) == edge.norms:
        raise ValueError(f"need {edge.norms} running means and variances")
    if not training and running is None and edge.norms:
        raise ValueError("running statistics are needed when not training")
