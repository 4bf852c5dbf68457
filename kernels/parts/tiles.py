"""The Triton kernel that moves channels between an image and its parts."""

from __future__ import annotations

import triton
import triton.language as tl

from ..tiles import LANES, tile_pixels, tuned


@tuned(*LANES, key=["pixels", "C"])
@triton.jit
def move_channels(
    whole, first, rest, pixels,
    PARTS: tl.constexpr, SHUFFLED: tl.constexpr, SPLIT: tl.constexpr, C: tl.constexpr,
    BLOCK: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """From ``whole`` ``[pixels, C]`` to the first part and the others, or without SPLIT back."""
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    OWN: tl.constexpr = C // PARTS
    MANY: tl.constexpr = tile_pixels(LANES, BLOCK)
    to = c % PARTS * OWN + c // PARTS if SHUFFLED else c
    for part in range(tl.cdiv(128, MANY)):
        start = tl.program_id(0).to(tl.int64) * 128 + part * MANY
        pixel = start + tl.arange(0, MANY)
        inside = (pixel < pixels)[:, None] & (c < C)[None, :]
        own = inside & (to < OWN)[None, :]
        other = inside & (to >= OWN)[None, :]
        at = whole + pixel[:, None] * C + c[None, :]
        at_first = first + pixel[:, None] * OWN + to[None, :]
        at_rest = rest + pixel[:, None] * (C - OWN) + (to - OWN)[None, :]
        if SPLIT:
            value = tl.load(at, mask=inside)
            tl.store(at_first, value, mask=own)
            tl.store(at_rest, value, mask=other)
        else:
            value = tl.where(own, tl.load(at_first, mask=own), tl.load(at_rest, mask=other))
            tl.store(at, value, mask=inside)
