"""The sum of kernels as a torch operator with a gradient, and the convolution with it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv2d

from .. import dispatch
from ..depthwise.ops import depthwise_conv2d
from ..dispatch import Choice, choose
from . import fourier, reference, spec

NAME = "aggregated_kernel"
# Values of the sum below which a second thread costs more than it brings.
_WORK_PER_THREAD = 20_000


@torch.library.custom_op("nasturtium::aggregated_kernel", mutates_args=())
def _forward(weights: list[Tensor], alpha: Tensor, dilations: list[int], side: int) -> Tensor:
    """The sum ``[O, I, side, ...]``."""
    out: Tensor = dispatch.forward(NAME, alpha.device.type, weights, alpha, dilations, side)
    return out


@_forward.register_fake
def _(weights: list[Tensor], alpha: Tensor, dilations: list[int], side: int) -> Tensor:
    return _sum_of(weights[0], side)


@torch.library.custom_op("nasturtium::aggregated_kernel_backward", mutates_args=())
def _backward(
    grad: Tensor, weights: list[Tensor], alpha: Tensor, dilations: list[int], needs: int
) -> list[Tensor]:
    """Gradients of alpha (1) and of all weights (2); what ``needs`` lacks is empty."""
    found: list[Tensor] = dispatch.backward(
        NAME, alpha.device.type, grad, weights, alpha, dilations, needs
    )
    return found


@_backward.register_fake
def _(
    grad: Tensor, weights: list[Tensor], alpha: Tensor, dilations: list[int], needs: int
) -> list[Tensor]:
    return _gradients(weights, alpha, needs)


def _sum_of(weight: Tensor, side: int) -> Tensor:
    """Memory for the sum."""
    return torch.empty(
        (*weight.shape[:2], *[side] * (weight.dim() - 2)), dtype=weight.dtype, device=weight.device
    )


def _gradients(weights: Sequence[Tensor], alpha: Tensor, needs: int) -> list[Tensor]:
    """Memory for what ``backward`` returns."""
    own = [torch.empty(w.shape, dtype=w.dtype, device=w.device) for w in weights if needs & 2]
    return [torch.empty_like(alpha) if needs & 1 else alpha.new_empty(0), *own] + [
        w.new_empty(0) for w in weights if not needs & 2
    ]


def _settings(weights: Sequence[Tensor], dilations: Sequence[int], total: Tensor) -> dict[str, Any]:
    """What both functions of the kernel are told; one dimension is a column of height 1."""
    heights = [w.shape[2] if w.dim() == 4 else 1 for w in weights]
    work = total.numel() // _WORK_PER_THREAD
    return {
        "rows": total.shape[0] * total.shape[1],
        "height": total.shape[2] if total.dim() == 4 else 1,
        "width": total.shape[-1],
        "kernels": [(h, w.shape[-1]) for h, w in zip(heights, weights, strict=True)],
        "dilations": list(dilations),
        "threads": max(1, min(torch.get_num_threads(), work)),
    }


def _cpu_forward(weights: list[Tensor], alpha: Tensor, dilations: list[int], side: int) -> Tensor:
    from .. import _cpu

    weights, alpha = [w.contiguous() for w in weights], alpha.contiguous()
    out = _sum_of(weights[0], side)
    _cpu.aggregate_forward(
        [w.data_ptr() for w in weights],
        alpha.data_ptr(),
        out.data_ptr(),
        **_settings(weights, dilations, out),
    )
    return out


def _cpu_backward(
    grad: Tensor, weights: list[Tensor], alpha: Tensor, dilations: list[int], needs: int
) -> list[Tensor]:
    from .. import _cpu

    grad, alpha = grad.contiguous(), alpha.contiguous()
    weights = [w.contiguous() for w in weights]
    found = _gradients(weights, alpha, needs)
    _cpu.aggregate_backward(
        grad.data_ptr(),
        [w.data_ptr() for w in weights],
        alpha.data_ptr(),
        [w.data_ptr() for w in found[1:]] if needs & 2 else [],
        found[0].data_ptr() if needs & 1 else 0,
        **_settings(weights, dilations, grad),
    )
    return found


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    weights, alpha, ctx.dilations, ctx.side = inputs
    ctx.save_for_backward(alpha, *weights)


def _gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    alpha, *weights = ctx.saved_tensors
    of_weights, of_alpha, *_ = ctx.needs_input_grad
    wanted = [of_alpha, *of_weights]
    found: list[Tensor | None]
    if torch.is_grad_enabled():
        found = _differentiable(grad, alpha, weights, ctx.dilations, ctx.side, wanted)
    else:
        needs = of_alpha + 2 * any(of_weights)
        tensors = _backward(grad, weights, alpha, ctx.dilations, needs)
        found = [t if want else None for t, want in zip(tensors, wanted, strict=True)]
    return found[1:], found[0], None, None


def _differentiable(
    grad: Tensor,
    alpha: Tensor,
    weights: list[Tensor],
    dilations: list[int],
    side: int,
    wanted: list[bool],
) -> list[Tensor | None]:
    """The same gradients by the reference, to be differentiated again."""
    dispatch.ran[f"{NAME}_backward", "reference"] += 1
    with torch.enable_grad():
        total = reference.aggregated_kernel(weights, alpha, dilations, side)
        asked = [t for t, want in zip([alpha, *weights], wanted, strict=True) if want]
        found = iter(torch.autograd.grad(total, asked, grad, create_graph=True))
    return [next(found) if want else None for want in wanted]


_forward.register_autograd(_gradient, setup_context=_save)
dispatch.register_cpu(NAME, lambda: SimpleNamespace(forward=_cpu_forward, backward=_cpu_backward))
dispatch.leave_to_torch(
    NAME, "cuda", "torch adds up the kernels, small beside images, for its own convolution"
)


def explain(weights: Sequence[Tensor], alpha: Tensor) -> Choice:
    """Which implementation ``aggregated_kernel`` takes for these arguments, and why."""
    return _choice(alpha.device.type, str(alpha.dtype), _unsupported(weights, alpha))


def _unsupported(weights: Sequence[Tensor], alpha: Tensor) -> str:
    if any(w.dtype != alpha.dtype or w.device != alpha.device for w in weights):
        return "alpha and weights differ in dtype or device"
    if len(weights) > spec.MOST_KERNELS:
        return f"there are more than {spec.MOST_KERNELS} kernels"
    return ""


def _choice(device: str, dtype: str, unsupported: str) -> Choice:
    return choose(NAME, device=device, dtype=dtype, unsupported=unsupported)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _chosen(device: str, dtype: str, unsupported: str) -> str:
    choice = _choice(device, dtype, unsupported)
    dispatch.warn_of_fallback(NAME, choice)
    return choice.name


def aggregated_kernel(
    weights: Sequence[Tensor], alpha: Tensor, *, dilations: Sequence[int], side: int | None = None
) -> Tensor:
    """``sum over k of alpha[k] w[k]``, each w with zeros between its taps and around.

    Args:
        weights: ``[O, I, k]`` or ``[O, I, k, k]``, k odd; k may differ.
        alpha: ``[K]``, one for each.
        dilations: distance of the taps of each.
        side: S, odd; taps further out are left out. Without it, room for all.

    Returns:
        ``[O, I, S]`` or ``[O, I, S, S]``.

    Raises:
        ValueError: shapes do not fit together, or a side is even.

    Reference:
        Shen, Khodak and Talwalkar, Efficient Architecture Search for Diverse Tasks, NeurIPS 2022.

    Example:
        >>> one, three = torch.ones(1, 1, 1), torch.ones(1, 1, 3)
        >>> aggregated_kernel([one, three], torch.tensor([1.0, 2.0]), dilations=[1, 2])
        tensor([[[2., 0., 3., 0., 2.]]])
    """
    _check(weights, alpha, dilations)
    if side is None:
        side = max(spec.extent(w.shape[-1], d) for w, d in zip(weights, dilations, strict=True))
    if side < 1 or side % 2 == 0:
        raise ValueError(f"side is {side}; use an odd one")
    unsupported = _unsupported(weights, alpha)
    if _chosen(alpha.device.type, str(alpha.dtype), unsupported) == "reference":
        if not torch.compiler.is_compiling():
            dispatch.ran[NAME, "reference"] += 1
        return reference.aggregated_kernel(weights, alpha, dilations, side)
    out: Tensor = _forward(list(weights), alpha, list(dilations), side)
    return out


def aggregated_convolution(
    x: Tensor,
    weights: Sequence[Tensor],
    alpha: Tensor,
    *,
    dilations: Sequence[int],
    stride: int = 1,
    groups: int = 1,
) -> Tensor:
    """``sum over k of alpha[k] (x convolved with w[k])`` by one convolution with their sum.

    All have same padding. A sum with many taps is applied by way of the Fourier transform.

    Args:
        x: ``[N, C, L]`` or ``[N, C, H, W]``.
        weights: ``[O, C / groups, k]`` or ``[O, C / groups, k, k]``, k odd; k may differ.
        alpha: ``[K]``, one for each.
        dilations: distance of the taps of each.
        stride: step in all directions.
        groups: as of ``torch.nn.functional.conv2d``.

    Returns:
        ``[N, O, ceil(L / stride)]`` or ``[N, O, ceil(H / stride), ceil(W / stride)]``.

    Raises:
        ValueError: shapes do not fit together.

    Reference:
        Shen, Khodak and Talwalkar, Efficient Architecture Search for Diverse Tasks, NeurIPS 2022,
        section 3.

    Example:
        >>> x, weights = torch.randn(2, 4, 9, 9), [torch.randn(6, 4, k, k) for k in (3, 5)]
        >>> aggregated_convolution(x, weights, torch.rand(2), dilations=[1, 2]).shape
        torch.Size([2, 6, 9, 9])
    """
    _check(weights, alpha, dilations)
    own, size = weights[0], x.shape[2:]
    if x.dim() != own.dim() or x.shape[1] != own.shape[1] * groups or own.shape[0] % groups:
        raise ValueError(
            f"x {tuple(x.shape)} and weights {tuple(own.shape)} do not fit with {groups} groups"
        )
    side = spec.side([w.shape[-1] for w in weights], dilations, size)
    kernel = aggregated_kernel(weights, alpha, dilations=dilations, side=side)
    if spec.by_fourier(side, len(size)):
        return fourier.convolve(x, kernel, stride=stride, groups=groups)
    if x.dim() == 3:
        return conv1d(x, kernel, None, stride, side // 2, 1, groups)
    depthwise = groups == x.shape[1] == own.shape[0]
    if depthwise and not torch.compiler.is_compiling():
        return depthwise_conv2d(x, kernel, stride=stride)
    return conv2d(x, kernel, None, stride, side // 2, 1, groups)


def _check(weights: Sequence[Tensor], alpha: Tensor, dilations: Sequence[int]) -> None:
    if not weights or alpha.shape != (len(weights),) or len(dilations) != len(weights):
        raise ValueError(
            f"need an alpha and a dilation for each of {len(weights)} weights, not"
            f" {tuple(alpha.shape)} and {len(dilations)}"
        )
    first = weights[0]
    for w, dilation in zip(weights, dilations, strict=True):
        same = w.dim() == first.dim() in (3, 4) and w.shape[:2] == first.shape[:2]
        if not same or len(set(w.shape[2:])) > 1 or w.shape[-1] % 2 == 0 or dilation < 1:
            raise ValueError(
                f"need weights {[*first.shape[:2]]} with odd sides, not {tuple(w.shape)}"
                f" with dilation {dilation}"
            )
