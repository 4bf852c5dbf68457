"""A bank of separable convolutions as a torch operator with a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from .. import dispatch
from ..dispatch import Choice, choose
from ..gpu import register_cuda, register_triton
from . import reference
from .spec import Bank

NAME = "separable_bank"
# Values of x below which a second thread costs more than it brings.
_WORK_PER_THREAD = 4_000
_LAST = torch.channels_last


def _bank(weights: Sequence[Tensor], dilations: Sequence[int], stride: int) -> Bank:
    return Bank(tuple(int(w.shape[-1]) for w in weights[::2]), tuple(dilations), stride)


def _sizes(x: Tensor, weights: list[Tensor], dilations: list[int], stride: int) -> dict[str, Any]:
    batch, channels, height, width = x.shape
    return {
        "batch": batch,
        "channels": channels,
        "height": height,
        "width": width,
        "stride": stride,
        "kernels": [w.shape[-1] for w in weights[::2]],
        "dilations": dilations,
        "threads": max(1, min(torch.get_num_threads(), x.numel() // _WORK_PER_THREAD)),
    }


def _address(t: Tensor) -> int:
    """Of the first value; 0 for an empty tensor, which stands for none."""
    return t.data_ptr() if t.numel() else 0


@torch.library.custom_op("nasturtium::separable_bank", mutates_args=())
def _forward(
    x: Tensor, affine: Tensor, weights: list[Tensor], dilations: list[int], stride: int
) -> list[Tensor]:
    """Mean and variance ``[filters, C]``, then the outputs; ``affine`` is ``[2, C]`` or empty."""
    found: list[Tensor] = dispatch.forward(
        NAME, x.device.type, x, affine, weights, dilations, stride
    )
    return found


def _cpu_forward(
    x: Tensor, affine: Tensor, weights: list[Tensor], dilations: list[int], stride: int
) -> list[Tensor]:
    from .. import _cpu

    x, weights = x.contiguous(memory_format=_LAST), [w.contiguous() for w in weights]
    affine = affine.contiguous()
    found = outputs(x, weights, dilations, stride)
    _cpu.bank_forward(
        x.data_ptr(),
        _address(affine[:1]),
        _address(affine[1:]),
        [w.data_ptr() for w in weights],
        [z.data_ptr() for z in found[2:]],
        found[0].data_ptr(),
        found[1].data_ptr(),
        **_sizes(x, weights, dilations, stride),
    )
    return found


def outputs(
    x: Tensor, weights: Sequence[Tensor], dilations: Sequence[int], stride: int
) -> list[Tensor]:
    bank = _bank(weights, dilations, stride)
    n, c, h, w = x.shape
    shape = (n, c, bank.output(h), bank.output(w))
    outs = [
        torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=_LAST) for _ in dilations
    ]
    return [x.new_empty(len(dilations), c), x.new_empty(len(dilations), c), *outs]


@_forward.register_fake
def _(
    x: Tensor, affine: Tensor, weights: list[Tensor], dilations: list[int], stride: int
) -> list[Tensor]:
    return outputs(x, weights, dilations, stride)


@torch.library.custom_op("nasturtium::separable_bank_backward", mutates_args=())
def _backward(
    grads: list[Tensor],
    x: Tensor,
    affine: Tensor,
    weights: list[Tensor],
    dilations: list[int],
    stride: int,
    needs: int,
) -> list[Tensor]:
    """Gradients of x (``needs`` & 1), affine (2) and all weights (4); the others are empty.

    An empty gradient of an output is zero.
    """
    settings = (dilations, stride, needs)
    found: list[Tensor] = dispatch.backward(
        NAME, x.device.type, grads, x, affine, weights, *settings
    )
    return found


def _cpu_backward(
    grads: list[Tensor],
    x: Tensor,
    affine: Tensor,
    weights: list[Tensor],
    dilations: list[int],
    stride: int,
    needs: int,
) -> list[Tensor]:
    from .. import _cpu

    x, weights = x.contiguous(memory_format=_LAST), [w.contiguous() for w in weights]
    grads = [g.contiguous(memory_format=_LAST) if g.numel() else g for g in grads]
    affine = affine.contiguous()
    found = gradients(x, affine, weights, needs)
    _cpu.bank_backward(
        [_address(g) for g in grads],
        x.data_ptr(),
        _address(affine[:1]),
        _address(affine[1:]),
        [w.data_ptr() for w in weights],
        _address(found[0]),
        _address(found[1]),
        [w.data_ptr() for w in found[2:]] if needs & 4 else [],
        **_sizes(x, weights, dilations, stride),
    )
    return found


def gradients(x: Tensor, affine: Tensor, weights: Sequence[Tensor], needs: int) -> list[Tensor]:
    def like(t: Tensor, form: torch.memory_format, wanted: int) -> Tensor:
        if not wanted:
            return t.new_empty(0)
        return torch.empty(t.shape, dtype=t.dtype, device=t.device, memory_format=form)

    plain = torch.contiguous_format
    return [
        like(x, _LAST, needs & 1),
        like(affine, plain, needs & 2),
        *(like(w, plain, needs & 4) for w in weights),
    ]


@_backward.register_fake
def _(
    grads: list[Tensor],
    x: Tensor,
    affine: Tensor,
    weights: list[Tensor],
    dilations: list[int],
    stride: int,
    needs: int,
) -> list[Tensor]:
    return gradients(x, affine, weights, needs)


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    x, affine, weights, ctx.dilations, ctx.stride = inputs
    ctx.mark_non_differentiable(*output[:2])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, affine, *weights)


def _gradient(ctx: Any, found: list[Tensor | None]) -> tuple[Any, ...]:
    x, affine, *weights = ctx.saved_tensors
    grads = [x.new_empty(0) if g is None else g for g in found[2:]]
    of_x, of_affine, of_weights = ctx.needs_input_grad[:3]
    wanted = [of_x, of_affine, *of_weights]
    if torch.is_grad_enabled():
        asked = [x, affine, *weights]
        results = _differentiable(grads, asked, ctx.dilations, ctx.stride, wanted)
    else:
        needs = of_x + 2 * of_affine + 4 * any(of_weights)
        tensors = _backward(grads, x, affine, weights, ctx.dilations, ctx.stride, needs)
        results = [t if want else None for t, want in zip(tensors, wanted, strict=True)]
    return results[0], results[1], results[2:], None, None


def _differentiable(
    grads: list[Tensor],
    inputs: list[Tensor],
    dilations: list[int],
    stride: int,
    wanted: list[bool],
) -> list[Tensor | None]:
    """The same gradients by the reference, to be differentiated again."""
    x, affine, *weights = inputs
    dispatch.ran[f"{NAME}_backward", "reference"] += 1
    with torch.enable_grad():
        pair = (affine[0], affine[1]) if affine.numel() else None
        outs = reference.separable_bank(x, weights, pair, _bank(weights, dilations, stride))
        kept = [(z, g) for z, g in zip(outs, grads, strict=True) if g.numel()]
        asked = [t for t, want in zip(inputs, wanted, strict=True) if want]
        found = iter(
            torch.autograd.grad(
                [z for z, _ in kept], asked, [g for _, g in kept],
                create_graph=True, allow_unused=True,
            )
        )  # fmt: skip
    return [next(found) if want else None for want in wanted]


_forward.register_autograd(_gradient, setup_context=_save)
dispatch.register_cpu(NAME, lambda: SimpleNamespace(forward=_cpu_forward, backward=_cpu_backward))
register_triton(NAME, f"{__package__}.gpu")
register_cuda(NAME, f"{__package__}.gpu")


def _unsupported(x: Tensor, others: Sequence[Tensor], bank: Bank) -> str:
    if not bank.supported:
        return f"no kernel for {bank}"
    if any(t.dtype != x.dtype or t.device != x.device for t in others):
        return "input and weights differ in dtype or device"
    if x.numel() == 0:
        return "the batch is empty"
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        return "autocast is on"
    return ""


def explain(
    x: Tensor, weights: Sequence[Tensor], *, dilations: Sequence[int], stride: int = 1
) -> Choice:
    """Which implementation ``separable_bank`` takes for these arguments, and why."""
    unsupported = _unsupported(x, weights, _bank(weights, dilations, stride))
    return choose(NAME, device=x.device.type, dtype=str(x.dtype), unsupported=unsupported)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _chosen(device: str, dtype: str, unsupported: str) -> str:
    choice = choose(NAME, device=device, dtype=dtype, unsupported=unsupported)
    dispatch.warn_of_fallback(NAME, choice)
    return choice.name


def separable_bank(
    x: Tensor,
    weights: Sequence[Tensor],
    *,
    dilations: Sequence[int],
    stride: int = 1,
    affine: tuple[Tensor, Tensor] | None = None,
) -> tuple[list[Tensor], Tensor, Tensor]:
    """``pointwise[k](depthwise[k](relu(scale x + shift)))`` for all k from one read of x.

    Neither the rectified input nor what is between the convolutions is stored.

    Args:
        x: ``[N, C, H, W]``.
        weights: depthwise ``[C, 1, k, k]`` and pointwise ``[C, C, 1, 1]`` in turn, k odd.
        dilations: of each depthwise convolution, whose padding is ``dilation (k - 1) / 2``.
        stride: of the depthwise convolutions.
        affine: scale and shift, each ``[C]``, as a normalization before has them; none is x itself.

    Returns:
        The outputs ``[N, C, ceil(H / stride), ceil(W / stride)]``, and the means and biased
        variances of their channels ``[filters, C]``, which have no gradient.

    Raises:
        ValueError: shapes do not fit together.

    Example:
        >>> x, weights = torch.randn(2, 4, 8, 8), [torch.randn(4, 1, 3, 3), torch.randn(4, 4, 1, 1)]
        >>> outputs, mean, variance = separable_bank(x, weights, dilations=[2])
        >>> outputs[0].shape, mean.shape
        (torch.Size([2, 4, 8, 8]), torch.Size([1, 4]))
    """
    _check(x, weights, dilations, affine)
    bank = _bank(weights, dilations, stride)
    unsupported = _unsupported(x, [*weights, *(affine or ())], bank)
    if _chosen(x.device.type, str(x.dtype), unsupported) == "reference":
        if not torch.compiler.is_compiling():
            dispatch.ran[NAME, "reference"] += 1
        outs = reference.separable_bank(x, weights, affine, bank)
        return outs, *reference.moments(outs)
    both = torch.stack(affine) if affine is not None else x.new_empty(0)
    mean, variance, *outs = _forward(x, both, list(weights), list(dilations), stride)
    return outs, mean, variance


def _check(
    x: Tensor,
    weights: Sequence[Tensor],
    dilations: Sequence[int],
    affine: tuple[Tensor, Tensor] | None,
) -> None:
    if x.dim() != 4 or not dilations:
        raise ValueError(f"need x [N, C, H, W] and at least one filter, not {tuple(x.shape)}")
    c = x.shape[1]
    sides = [w.shape[-1] for w in weights[::2]]
    wanted = [shape for k in sides for shape in ((c, 1, k, k), (c, c, 1, 1))]
    if [tuple(w.shape) for w in weights] != wanted or len(sides) != len(dilations):
        raise ValueError(
            f"need {len(dilations)} pairs of weights [C, 1, k, k] and [C, C, 1, 1], C = {c}, not"
            f" {[tuple(w.shape) for w in weights]}"
        )
    if any(k % 2 == 0 for k in sides):
        raise ValueError(f"filters need an odd side, not {sides}")
    if affine is not None and [tuple(t.shape) for t in affine] != [(c,), (c,)]:
        raise ValueError(f"need scale and shift [C], C = {c}")
