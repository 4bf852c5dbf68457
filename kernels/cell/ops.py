"""The searched cell as a torch operator with a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from .. import dispatch
from ..dispatch import Choice, choose
from ..gpu import register_triton
from ..mixed_op.layout import gradients
from ..statistics import Running, stacked, update
from . import reference
from .layout import outputs, part, whole, whole_weights, without_padding
from .spec import CANDIDATES, MOST_NODES, pairs

NAME = "searched_cell"
# Values of x, times edges, below which a second thread costs more than it brings.
_WORK_PER_THREAD = 5_000


def _sizes(x: Tensor, nodes: int, training: bool, epsilon: float) -> dict[str, Any]:
    batch, channels, height, width = x.shape
    work = x.numel() * len(pairs(nodes))
    return {
        "batch": batch,
        "channels": channels,
        "height": height,
        "width": width,
        "nodes": nodes,
        "training": training,
        "epsilon": epsilon,
        "threads": max(1, min(torch.get_num_threads(), work // _WORK_PER_THREAD)),
    }


@torch.library.custom_op("nasturtium::searched_cell", mutates_args=())
def _forward(
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
    """The last node; what the backward pass needs (if ``keep``); statistics ``[norms, C]``.

    Kept are the nodes between, the outputs of the convolutions of side 3, and the means and
    covariances of activated nodes. ``mean`` and ``variance`` are read when not training. All but
    the output have channels up to a multiple of eight.
    """
    settings = (nodes, training, epsilon, keep)
    found: tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor] = dispatch.forward(
        NAME, x.device.type, x, alpha, weights, mean, variance, *settings
    )
    return found


def _cpu_forward(
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
    from .. import _cpu

    channels = x.shape[1]
    x, weights = whole(x), whole_weights(weights)
    found = outputs(x, mean, variance, nodes, training, keep)
    nodes_at, dense_at, moments_at = (t.data_ptr() if keep else 0 for t in found[1:4])
    _cpu.cell_forward(
        x.data_ptr(),
        alpha.contiguous().data_ptr(),
        [w.data_ptr() for w in weights],
        found[0].data_ptr(),
        (nodes_at, dense_at, moments_at),
        found[4].data_ptr(),
        found[5].data_ptr(),
        **_sizes(x, nodes, training, epsilon),
    )
    return part(found[0], channels), *found[1:]


@_forward.register_fake
def _(
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
    return outputs(x, mean, variance, nodes, training, keep)


@torch.library.custom_op("nasturtium::searched_cell_backward", mutates_args=())
def _backward(
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
    """Gradients of x (``needs`` & 1), of alpha (2) and of all weights (4); the others are empty."""
    settings = (nodes, training, epsilon, needs)
    found: list[Tensor] = dispatch.backward(
        NAME, x.device.type, grad, x, alpha, weights, kept, mean, variance, *settings
    )
    return found


def _cpu_backward(
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
    from .. import _cpu

    channels = x.shape[1]
    x, grad, weights = whole(x), whole(grad), whole_weights(weights)
    found = gradients(x, alpha, weights, needs)
    _cpu.cell_backward(
        grad.data_ptr(),
        x.data_ptr(),
        alpha.contiguous().data_ptr(),
        [w.data_ptr() for w in weights],
        (kept[0].data_ptr(), kept[1].data_ptr(), kept[2].data_ptr()),
        mean.data_ptr(),
        variance.data_ptr(),
        found[0].data_ptr() if needs & 1 else 0,
        found[1].data_ptr() if needs & 2 else 0,
        [w.data_ptr() for w in found[2:]] if needs & 4 else [],
        **_sizes(x, nodes, training, epsilon),
    )
    return without_padding(found, channels, needs)


@_backward.register_fake
def _(
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
    return gradients(x, alpha, weights, needs)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, alpha, weights, _, _, *settings, _ = inputs
    _, *kept, mean, variance = output
    ctx.settings = settings
    ctx.mark_non_differentiable(*kept, mean, variance)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, alpha, *kept, mean, variance, *weights)


def _gradient(ctx: Any, grad: Tensor | None, *_: Tensor | None) -> tuple[Any, ...]:
    x, alpha, *kept, mean, variance = ctx.saved_tensors[:7]
    weights = list(ctx.saved_tensors[7:])
    of_x, of_alpha, of_weights = ctx.needs_input_grad[:3]
    rest = (None,) * 6
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
    nodes, training, epsilon = settings
    c = inputs[0].shape[1]
    running = None
    if not training:
        running = Running(mean[:, :c].unbind(), variance[:, :c].unbind())
    dispatch.ran[f"{NAME}_backward", "reference"] += 1
    with torch.enable_grad():
        y = reference.searched_cell(
            inputs[0],
            inputs[1],
            inputs[2:],
            nodes,
            running,
            training=training,
            momentum=0.0,
            epsilon=epsilon,
        )
        asked = [t for t, want in zip(inputs, wanted, strict=True) if want]
        found = iter(torch.autograd.grad(y, asked, grad, create_graph=True))
    return [next(found) if want else None for want in wanted]


_forward.register_autograd(_gradient, setup_context=_save)
dispatch.register_cpu(NAME, lambda: SimpleNamespace(forward=_cpu_forward, backward=_cpu_backward))
register_triton(NAME, f"{__package__}.gpu")


def _unsupported(
    x: Tensor, alpha: Tensor, weights: Sequence[Tensor], nodes: int, training: bool
) -> str:
    if nodes > MOST_NODES:
        return f"no kernel for more than {MOST_NODES} nodes"
    if any(t.dtype != x.dtype or t.device != x.device for t in (alpha, *weights)):
        return "input, alpha and weights differ in dtype or device"
    if x.numel() == 0:
        return "the batch is empty"
    if training and x.numel() == x.shape[1]:
        return "one pixel has no variance"
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        return "autocast is on"
    return ""


def explain(
    x: Tensor,
    alpha: Tensor,
    weights: Sequence[Tensor],
    *,
    nodes: int = 4,
    training: bool = True,
) -> Choice:
    """Which implementation ``searched_cell`` takes for these arguments, and why."""
    unsupported = _unsupported(x, alpha, weights, nodes, training)
    return choose(NAME, device=x.device.type, dtype=str(x.dtype), unsupported=unsupported)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _chosen(device: str, dtype: str, unsupported: str) -> str:
    choice = choose(NAME, device=device, dtype=dtype, unsupported=unsupported)
    dispatch.warn_of_fallback(NAME, choice)
    return choice.name


def searched_cell(
    x: Tensor,
    alpha: Tensor,
    weights: Sequence[Tensor],
    *,
    nodes: int = 4,
    running: Running | None = None,
    training: bool = True,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
) -> Tensor:
    """The search cell of NAS-Bench-201: node j is the sum over i < j of edge (i, j) of node i.

    An edge is ``sum over k of alpha[k] candidate[k](v)``: zero, v itself, ReLU and a convolution of
    side 1 and one of side 3, each normalized, and the average of 3 x 3 values (which counts no
    padding). A normalization is ``batch_norm`` without affine parameters.

    For the backward pass x, the nodes between, the outputs of the convolutions of side 3 and the
    statistics are kept, and all else is computed again.

    Args:
        x: ``[N, C, H, W]``, the first node.
        alpha: ``[nodes (nodes - 1) / 2, 5]``, edges by target and then by source.
        weights: of the convolutions of side 1 by edge, ``[C, C, 1, 1]``, then of side 3.
        nodes: at least 2; with 2 the cell is a single edge.
        running: a pair of ``[C]`` for both convolutions of each edge in turn, as
            ``torch.nn.BatchNorm2d`` keeps them: updated in training, read otherwise.
        training: whether mean and (biased) variance are those of the batch.
        momentum: weight of the batch in the running statistics.
        epsilon: added to the variances.

    Returns:
        The last node, ``[N, C, H, W]``, channels-last where the kernel ran.

    Raises:
        ValueError: shapes do not fit together, or running statistics are needed and missing.

    Reference:
        Dong and Yang, NAS-Bench-201, ICLR 2020.

    Example:
        >>> x, alpha = torch.randn(2, 4, 6, 6), torch.full((1, 5), 0.2)
        >>> weights = [torch.randn(4, 4, 1, 1), torch.randn(4, 4, 3, 3)]
        >>> searched_cell(x, alpha, weights, nodes=2).shape
        torch.Size([2, 4, 6, 6])
    """
    _check(x, alpha, weights, nodes, running, training)
    unsupported = _unsupported(x, alpha, weights, nodes, training)
    if _chosen(x.device.type, str(x.dtype), unsupported) == "reference":
        if not torch.compiler.is_compiling():
            dispatch.ran[NAME, "reference"] += 1
        return reference.searched_cell(
            x, alpha, weights, nodes, running, training=training, momentum=momentum, epsilon=epsilon
        )
    mean = variance = x.new_empty(0)
    if not training and running is not None:
        mean, variance = stacked(running)
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (x, alpha, *weights))
    out: Tensor
    out, *_, mean, variance = _forward(
        x, alpha, list(weights), mean, variance, nodes, training, epsilon, keep
    )
    if training and running is not None:
        c = x.shape[1]
        update(running, mean[:, :c], variance[:, :c], momentum, x.numel() // c)
    return out


def _check(
    x: Tensor,
    alpha: Tensor,
    weights: Sequence[Tensor],
    nodes: int,
    running: Running | None,
    training: bool,
) -> None:
    if x.dim() != 4:
        raise ValueError(f"need x [N, C, H, W], not {tuple(x.shape)}")
    if nodes < 2:
        raise ValueError(f"a cell has two nodes or more, not {nodes}")
    edges, c = len(pairs(nodes)), x.shape[1]
    if alpha.shape != (edges, len(CANDIDATES)):
        raise ValueError(f"need alpha [{edges}, {len(CANDIDATES)}], not {tuple(alpha.shape)}")
    wanted = [(c, c, 1, 1)] * edges + [(c, c, 3, 3)] * edges
    if [tuple(w.shape) for w in weights] != wanted:
        raise ValueError(f"need weights {wanted}, not {[tuple(w.shape) for w in weights]}")
    if running is not None and not len(running.means) == len(running.variances) == 2 * edges:
        raise ValueError(f"need {2 * edges} running means and variances")
    if not training and running is None:
        raise ValueError("running statistics are needed when not training")
