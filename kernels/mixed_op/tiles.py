"""The Triton kernel that the mixed operation adds to those of its parts: gradients of pools."""

from __future__ import annotations

import triton
import triton.language as tl

from ..mix.terms import flat, pooled, weight_of
from ..mix.tiles import branch_gradient
from ..tiles import LIGHT, tile_pixels, tuned


@triton.jit
def _of_pool(
    g, value, mean, slopes, c, NORM: tl.constexpr, COUNT: tl.constexpr, TRAINING: tl.constexpr,
    C: tl.constexpr,
):  # fmt: skip
    """The gradient of a pool from that of the sum."""
    if TRAINING:
        own = branch_gradient(g, value, mean, slopes, c, NORM, COUNT, C)
    else:
        own = g * tl.load(slopes + NORM * C + c, mask=c < C, other=0.0)[None, :]
    return own


@tuned(*LIGHT, key=["pixels", "C"])
@triton.jit
def pool_gradients(
    image, grad, alpha, mean, slopes, peaks, which, averages, pixels, height, width, out_height,
    out_width, MAXIMA: tl.constexpr, AVERAGES: tl.constexpr, ROWS: tl.constexpr,
    COLUMNS: tl.constexpr, COUNT: tl.constexpr, TRAINING: tl.constexpr, STRIDE: tl.constexpr,
    C: tl.constexpr, BLOCK: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Gradients of maxima and the taps that they are, and of averages over their numbers of pixels.

    MAXIMA and AVERAGES are rows of the statistics, or -1. With COLUMNS ROWS are their places in
    alpha ``[images, COLUMNS]``.
    """
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    MANY: tl.constexpr = tile_pixels(LANES, BLOCK)
    for part in range(128 // MANY):
        start = tl.program_id(0).to(tl.int64) * 128 + part * MANY
        pixel = start + tl.arange(0, MANY)
        valid = pixel < pixels
        inside = valid[:, None] & (c < C)[None, :]
        at = pixel[:, None] * C + c[None, :]
        pixel = pixel.to(tl.int32)
        of_image = pixel // (out_height * out_width)
        g = flat(grad, pixel, c, inside, C)
        if MAXIMA >= 0:
            value, tap = pooled(
                image, pixel, c, inside, height, width, out_height, out_width, STRIDE, C, True
            )
            weighed = g
            if COLUMNS:
                weighed = g * weight_of(alpha, of_image, valid, ROWS[0], COLUMNS)
            own = _of_pool(weighed, value, mean, slopes, c, MAXIMA, COUNT, TRAINING, C)
            tl.store(peaks + at, own, mask=inside)
            tl.store(which + at, tap.to(tl.uint8), mask=inside)
        if AVERAGES >= 0:
            value, many = pooled(
                image, pixel, c, inside, height, width, out_height, out_width, STRIDE, C, False
            )
            weighed = g
            if COLUMNS:
                weighed = g * weight_of(alpha, of_image, valid, ROWS[1], COLUMNS)
            own = _of_pool(weighed, value, mean, slopes, c, AVERAGES, COUNT, TRAINING, C)
            tl.store(averages + at, own / many.to(tl.float32), mask=inside)
