"""The depthwise convolution as torch operators with gradients of any order.

The map is bilinear in ``x`` and ``weight``, so every derivative of every order is again a forward
or a backward call of the same kernel.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, TypedDict

import torch
from torch import Tensor

from .. import dispatch
from ..dispatch import Choice, choose
from ..gpu import register_triton
from . import reference
from .spec import Filter

NAME = "depthwise_conv2d"
# Multiply-adds below which a second thread costs more than it brings.
_WORK_PER_THREAD = 200_000


class _Sizes(TypedDict):
    batch: int
    channels: int
    height: int
    width: int
    kernel: int
    stride: int
    dilation: int
    channels_last: bool
    threads: int


def _threads(multiply_adds: int) -> int:
    return max(1, min(torch.get_num_threads(), multiply_adds // _WORK_PER_THREAD))


def _format(x: Tensor) -> torch.memory_format:
    """The format of the images; a tensor that is contiguous both ways counts as N, C, H, W."""
    last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _sizes(x: Tensor, weight: Tensor, stride: int, dilation: int) -> _Sizes:
    batch, channels, height, width = x.shape
    kernel = weight.shape[-1]
    return {
        "batch": batch,
        "channels": channels,
        "height": height,
        "width": width,
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "channels_last": _format(x) == torch.channels_last,
        "threads": _threads(x.numel() // stride**2 * kernel**2),
    }


def output(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """Memory for the output, in the format of the images."""
    f = Filter(weight.shape[-1], stride, dilation)
    shape = (x.shape[0], x.shape[1], f.output(x.shape[2]), f.output(x.shape[3]))
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=_format(x))


@torch.library.custom_op("nasturtium::depthwise_conv2d", mutates_args=())
def _forward(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """The output, in the memory format of x."""
    y: Tensor = dispatch.forward(NAME, x.device.type, x, weight, stride, dilation)
    return y


def _cpu_forward(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    from .. import _cpu

    x, weight = x.contiguous(memory_format=_format(x)), weight.contiguous()
    y = output(x, weight, stride, dilation)
    _cpu.depthwise_forward(
        x.data_ptr(), weight.data_ptr(), y.data_ptr(), **_sizes(x, weight, stride, dilation)
    )
    return y


@_forward.register_fake
def _(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    return output(x, weight, stride, dilation)


@torch.library.custom_op("nasturtium::depthwise_conv2d_backward", mutates_args=())
def _backward(
    grad_y: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int, needs: int
) -> tuple[Tensor, Tensor]:
    """Both gradients; ``needs`` is 1 (of x), 2 (of weight) or 3, and the other one is empty."""
    found: tuple[Tensor, Tensor] = dispatch.backward(
        NAME, x.device.type, grad_y, x, weight, stride, dilation, needs
    )
    return found


def _cpu_backward(
    grad_y: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int, needs: int
) -> tuple[Tensor, Tensor]:
    from .. import _cpu

    layout = _format(x)
    x, weight = x.contiguous(memory_format=layout), weight.contiguous()
    grad_y = grad_y.contiguous(memory_format=layout)
    grad_x, grad_weight = gradients(x, weight, needs)
    _cpu.depthwise_backward(
        grad_y.data_ptr(),
        x.data_ptr(),
        weight.data_ptr(),
        grad_x.data_ptr() if needs & 1 else 0,
        grad_weight.data_ptr() if needs & 2 else 0,
        **_sizes(x, weight, stride, dilation),
    )
    return grad_x, grad_weight


def gradients(x: Tensor, weight: Tensor, needs: int) -> tuple[Tensor, Tensor]:
    """Memory for the gradients of x (1) and of the weight (2)."""
    plain = torch.contiguous_format
    return (
        torch.empty_like(x, memory_format=_format(x)) if needs & 1 else x.new_empty(0),
        torch.empty_like(weight, memory_format=plain) if needs & 2 else weight.new_empty(0),
    )


@_backward.register_fake
def _(
    grad_y: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int, needs: int
) -> tuple[Tensor, Tensor]:
    return gradients(x, weight, needs)


def _save_forward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, ctx.stride, ctx.dilation = inputs
    ctx.save_for_backward(x, weight)


def _forward_gradient(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
    x, weight = ctx.saved_tensors
    of_x, of_weight = ctx.needs_input_grad[:2]
    needs = of_x + 2 * of_weight
    grad_x, grad_weight = _backward(grad_y, x, weight, ctx.stride, ctx.dilation, needs)
    return grad_x if of_x else None, grad_weight if of_weight else None, None, None


def _save_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    grad_y, x, weight, ctx.stride, ctx.dilation, ctx.needs = inputs
    ctx.save_for_backward(grad_y, x, weight)
    ctx.set_materialize_grads(False)


def _backward_gradient(
    ctx: Any, along_x: Tensor | None, along_weight: Tensor | None
) -> tuple[Tensor | None, ...]:
    """The gradient of ``<along_x, grad_x> + <along_weight, grad_weight>``.

    By bilinearity this is ``<grad_y, f(along_x, weight) + f(x, along_weight)>``.
    """
    grad_y, x, weight = ctx.saved_tensors
    settings = (ctx.stride, ctx.dilation)
    of_y: Tensor | None = None
    of_x: Tensor | None = None
    of_weight: Tensor | None = None
    if along_x is not None and ctx.needs & 1:
        of_y = _forward(along_x, weight, *settings)
        of_weight = _backward(grad_y, along_x, weight, *settings, 2)[1]
    if along_weight is not None and ctx.needs & 2:
        term = _forward(x, along_weight, *settings)
        of_y = term if of_y is None else of_y + term
        of_x = _backward(grad_y, x, along_weight, *settings, 1)[0]
    return of_y, of_x, of_weight, None, None, None


_forward.register_autograd(_forward_gradient, setup_context=_save_forward)
_backward.register_autograd(_backward_gradient, setup_context=_save_backward)
dispatch.register_cpu(NAME, lambda: SimpleNamespace(forward=_cpu_forward, backward=_cpu_backward))
register_triton(NAME, f"{__package__}.gpu")
dispatch.leave_to_torch(
    NAME, "cuda", f"torch moves no more bytes than the kernel; {dispatch.VARIABLE}=triton takes it"
)


def explain(x: Tensor, weight: Tensor, *, stride: int = 1, dilation: int = 1) -> Choice:
    """Which implementation ``depthwise_conv2d`` takes for these arguments, and why."""
    f = Filter(weight.shape[-1], stride, dilation)
    unsupported = ""
    if not f.supported:
        unsupported = f"no kernel for {f}"
    elif not x.is_contiguous(memory_format=_format(x)):
        unsupported = "the input is contiguous in neither memory format"
    elif weight.dtype != x.dtype or weight.device != x.device:
        unsupported = "input and weight differ in dtype or device"
    elif x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        unsupported = "autocast is on"
    gradient = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    slower = f.slower(
        pixels=x.shape[2] * x.shape[3],
        channels_last=_format(x) == torch.channels_last,
        gradient=gradient,
    )
    return choose(
        NAME,
        device=x.device.type,
        dtype=str(x.dtype),
        unsupported=unsupported,
        slower=slower,
    )


def depthwise_conv2d(x: Tensor, weight: Tensor, *, stride: int = 1, dilation: int = 1) -> Tensor:
    """Convolve every channel with its own filter, with zeros around: same padding.

    Args:
        x: ``[N, C, H, W]``.
        weight: ``[C, 1, k, k]``, k odd.
        stride: step in both directions.
        dilation: distance of the filter's taps in both directions.

    Returns:
        ``[N, C, ceil(H / stride), ceil(W / stride)]``.

    Raises:
        ValueError: the shapes do not fit together.
    """
    if x.dim() != 4 or weight.shape[:2] != (x.shape[1], 1) or weight.shape[2] != weight.shape[3]:
        raise ValueError(
            f"need x [N, C, H, W] and weight [C, 1, k, k], not {tuple(x.shape)} and"
            f" {tuple(weight.shape)}"
        )
    if explain(x, weight, stride=stride, dilation=dilation).name != "reference":
        y: Tensor = _forward(x, weight, stride, dilation)
        return y
    return reference.forward(x, weight, Filter(weight.shape[-1], stride, dilation))
