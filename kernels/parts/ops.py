"""Splitting channels into the first part and the others, and joining them, as torch operators.

Each operator's gradient is the other one.
"""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from .. import dispatch
from ..dispatch import choose
from ..gpu import register_triton
from . import reference

SPLIT, JOIN = "split_channels", "join_channels"
_WORK_PER_THREAD = 50_000
_LAST = torch.channels_last


def _call(function: Any, shuffled: bool, parts: int, first: Tensor, *tensors: Tensor) -> None:
    n, own, h, w = first.shape
    function(
        *(t.data_ptr() for t in tensors),
        pixels=n * h * w,
        own=own,
        parts=parts,
        shuffled=shuffled,
        threads=max(1, min(torch.get_num_threads(), parts * first.numel() // _WORK_PER_THREAD)),
    )


def image(x: Tensor, channels: int) -> Tensor:
    """Memory for a channels-last image of so many channels, otherwise like x."""
    n, _, h, w = x.shape
    shape = (n, channels, h, w)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=_LAST)


@torch.library.custom_op("nasturtium::split_channels", mutates_args=())
def _split(x: Tensor, parts: int, shuffled: bool) -> tuple[Tensor, Tensor]:
    """The first part and the others."""
    found: tuple[Tensor, Tensor] = dispatch.forward(SPLIT, x.device.type, x, parts, shuffled)
    return found


def _cpu_split(x: Tensor, parts: int, shuffled: bool) -> tuple[Tensor, Tensor]:
    from .. import _cpu

    x = x.contiguous(memory_format=_LAST)
    own = x.shape[1] // parts
    first, rest = image(x, own), image(x, x.shape[1] - own)
    _call(_cpu.parts_split, shuffled, parts, first, x, first, rest)
    return first, rest


@_split.register_fake
def _(x: Tensor, parts: int, shuffled: bool) -> tuple[Tensor, Tensor]:
    own = x.shape[1] // parts
    return image(x, own), image(x, x.shape[1] - own)


@torch.library.custom_op("nasturtium::join_channels", mutates_args=())
def _join(first: Tensor, rest: Tensor, shuffled: bool) -> Tensor:
    """Both together again."""
    out: Tensor = dispatch.forward(JOIN, first.device.type, first, rest, shuffled)
    return out


def _cpu_join(first: Tensor, rest: Tensor, shuffled: bool) -> Tensor:
    from .. import _cpu

    first, rest = (t.contiguous(memory_format=_LAST) for t in (first, rest))
    out = image(first, first.shape[1] + rest.shape[1])
    _call(_cpu.parts_join, shuffled, out.shape[1] // first.shape[1], first, first, rest, out)
    return out


@_join.register_fake
def _(first: Tensor, rest: Tensor, shuffled: bool) -> Tensor:
    return image(first, first.shape[1] + rest.shape[1])


def _save_split(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    _, _, ctx.shuffled = inputs


def _save_join(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    first, rest, ctx.shuffled = inputs
    ctx.parts = 1 + rest.shape[1] // first.shape[1]


def _gradient_of_split(ctx: Any, first: Tensor, rest: Tensor) -> tuple[Any, ...]:
    return _join(first, rest, ctx.shuffled), None, None


def _gradient_of_join(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return *_split(grad, ctx.parts, ctx.shuffled), None


_split.register_autograd(_gradient_of_split, setup_context=_save_split)
_join.register_autograd(_gradient_of_join, setup_context=_save_join)
dispatch.register_cpu(SPLIT, lambda: SimpleNamespace(forward=_cpu_split))
dispatch.register_cpu(JOIN, lambda: SimpleNamespace(forward=_cpu_join))
_GPU = f"{__package__}.gpu"
register_triton(SPLIT, lambda: SimpleNamespace(forward=import_module(_GPU).split))
register_triton(JOIN, lambda: SimpleNamespace(forward=import_module(_GPU).join))


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _runs(operator: str, device: str, dtype: str) -> bool:
    return choose(operator, device=device, dtype=dtype).name != "reference"


def split_channels(x: Tensor, parts: int, *, shuffled: bool = False) -> tuple[Tensor, Tensor]:
    """The first of ``parts`` equal parts of the channels, and the others, each on its own.

    Args:
        x: ``[N, C, H, W]``.
        parts: at least 2, a divisor of C.
        shuffled: whether channel i of part k is number ``i parts + k`` of x, and not
            ``k C / parts + i``.

    Returns:
        ``[N, C / parts, H, W]`` and ``[N, C - C / parts, H, W]``.

    Raises:
        ValueError: the channels have no such parts.
    """
    if x.dim() != 4 or parts < 2 or x.shape[1] % parts:
        raise ValueError(f"x of shape {tuple(x.shape)} has no {parts} parts of channels")
    if x.numel() and _runs(SPLIT, x.device.type, str(x.dtype)):
        first, rest = _split(x, parts, shuffled)
        return first, rest
    if not torch.compiler.is_compiling():
        dispatch.ran[SPLIT, "reference"] += 1
    return reference.split(x, parts, shuffled)


def join_channels(first: Tensor, rest: Tensor, *, shuffled: bool = False) -> Tensor:
    """The inverse of ``split_channels``; shuffled it is the channel shuffle of PC-DARTS.

    Args:
        first: ``[N, c, H, W]``.
        rest: ``[N, (parts - 1) c, H, W]``.
        shuffled: as in ``split_channels``.

    Returns:
        ``[N, parts c, H, W]``.

    Raises:
        ValueError: shapes do not fit together.
    """
    (n, c, *side), (m, d, *other) = first.shape, rest.shape
    if (n, side) != (m, other) or len(side) != 2 or d < c or d % c:
        raise ValueError(f"{tuple(first.shape)} and {tuple(rest.shape)} are no parts of an image")
    same = first.dtype == rest.dtype and first.device == rest.device
    if same and first.numel() and _runs(JOIN, first.device.type, str(first.dtype)):
        out: Tensor = _join(first, rest, shuffled)
        return out
    if not torch.compiler.is_compiling():
        dispatch.ran[JOIN, "reference"] += 1
    return reference.join(first, rest, shuffled)
