"""Channels split and joined by a Triton kernel; arguments and results are the operators'."""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from ..tiles import RUN, block
from .ops import image
from .tiles import move_channels

_LAST = torch.channels_last


def _move(whole: Tensor, first: Tensor, rest: Tensor, shuffled: bool, *, split: bool) -> None:
    n, c, h, w = whole.shape
    pixels, own = n * h * w, block(c)
    move_channels(
        (triton.cdiv(pixels, RUN), triton.cdiv(c, own)), whole=whole, first=first, rest=rest,
        pixels=pixels, PARTS=c // first.shape[1], SHUFFLED=shuffled, SPLIT=split, C=c, BLOCK=own,
    )  # fmt: skip


def split(x: Tensor, parts: int, shuffled: bool) -> tuple[Tensor, Tensor]:
    """As ``nasturtium::split_channels``."""
    x = x.contiguous(memory_format=_LAST)
    own = x.shape[1] // parts
    first, rest = image(x, own), image(x, x.shape[1] - own)
    _move(x, first, rest, shuffled, split=True)
    return first, rest


def join(first: Tensor, rest: Tensor, shuffled: bool) -> Tensor:
    """As ``nasturtium::join_channels``."""
    first, rest = (t.contiguous(memory_format=_LAST) for t in (first, rest))
    out = image(first, first.shape[1] + rest.shape[1])
    _move(out, first, rest, shuffled, split=False)
    return out
