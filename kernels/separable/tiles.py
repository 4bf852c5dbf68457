"""The Triton kernel of banks of separable convolutions, and what their gradients share with it.

A filter rectifies its image, convolves each channel (a side of 1 only picks a pixel) and mixes
channels. Filters come as tuples, one entry each: images, weights, and the constants SIDES,
DILATIONS, SHIFTS (of the first tap from the output's place in the input), FIRSTS and OUTS (its
output's channels). FORM says what is rectified: ``RAW`` the image, ``SCALED`` scale and shift of
it, ``NORMED`` its normalized values, whose statistics are rows BEFORE; ``PLAIN`` is the image as it
is. ``zero`` is 0, which the compiler does not know: a loop over rows of taps that it unrolled would
need registers for all of them at once.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ..mix.terms import place
from ..tiles import LIGHT, join_lanes, lane_moments, tile_pixels, tuned

RAW, SCALED, NORMED, PLAIN = (tl.constexpr(k) for k in range(4))

# The pointwise product keeps what single precision holds.
EXACT = tl.constexpr("tf32x3")
# Smaller tiles, or fewer warps, run out of registers with 64 channels.
PRODUCTS = {"LANES": 2048, "num_warps": 8}


@triton.jit
def product_pixels(LANES: tl.constexpr, BLOCK: tl.constexpr) -> tl.constexpr:
    """Pixels of a tile that is multiplied, of which there must be sixteen."""
    return tl.constexpr(max(min(LANES // BLOCK, 128), 16))


@triton.jit
def rectifier(
    affine, mean, variance, epsilon, c, BEFORE: tl.constexpr, FORM: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """What is taken off, what is multiplied and what is added before ReLU, by channel."""
    inside = c < C
    about = tl.zeros(c.shape, tl.float32)
    shift = tl.zeros(c.shape, tl.float32)
    scale = about + 1.0
    if FORM == SCALED:
        scale = tl.load(affine + c, mask=inside, other=0.0)
        shift = tl.load(affine + C + c, mask=inside, other=0.0)
    if FORM == NORMED:
        about = tl.load(mean + BEFORE * C + c, mask=inside, other=0.0)
        value = tl.load(variance + BEFORE * C + c, mask=inside, other=1.0)
        scale = tl.div_rn(1.0, tl.sqrt_rn(value + epsilon))
    return about, scale, shift


@triton.jit
def rectified(
    image, first, row, column, valid, c, about, scale, shift, height, width,
    FORM: tl.constexpr, C: tl.constexpr, PITCH: tl.constexpr,
):  # fmt: skip
    """One tap of a tile, behind ReLU; zero outside the image."""
    within = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    here = (valid & within)[:, None] & (c < C)[None, :]
    at = ((first + row) * width + column)[:, None] * PITCH + c[None, :]
    value = tl.load(image + at, mask=here, other=0.0).to(tl.float32)
    if FORM != RAW and FORM != PLAIN:
        value = (value - about[None, :]) * scale[None, :] + shift[None, :]
        value = tl.where(here, value, 0.0)
    if FORM != PLAIN:
        value = tl.where(value < 0.0, 0.0, value)
    return value


@triton.jit
def middle(
    image, weight, pixel, valid, c, about, scale, shift, zero, height, width, out_height, out_width,
    SIDE: tl.constexpr, DILATION: tl.constexpr, SHIFT: tl.constexpr, STRIDE: tl.constexpr,
    FORM: tl.constexpr, C: tl.constexpr, PITCH: tl.constexpr,
):  # fmt: skip
    """A tile of what is between the two convolutions."""
    n, y, x = place(pixel, out_height, out_width)
    first = n.to(tl.int64) * height
    top, left = y * STRIDE + SHIFT, x * STRIDE + SHIFT
    if SIDE == 1:
        total = rectified(
            image, first, top, left, valid, c, about, scale, shift, height, width, FORM, C, PITCH
        )
    else:
        total = tl.zeros((pixel.shape[0], c.shape[0]), tl.float32)
        for row in range(SIDE + zero):
            for column in tl.static_range(SIDE):
                value = rectified(
                    image, first, top + row * DILATION, left + column * DILATION, valid, c,
                    about, scale, shift, height, width, FORM, C, PITCH,
                )  # fmt: skip
                tap = weight + c * (SIDE * SIDE) + row * SIDE + column
                total += value * tl.load(tap, mask=c < C, other=0.0)[None, :]
    return total


@triton.jit
def _filtered(
    image, depthwise, pointwise, out, part, apart, affine, mean, variance, epsilon,
    start, left, o, zero, height, width, out_height, out_width,
    SIDE: tl.constexpr, DILATION: tl.constexpr, SHIFT: tl.constexpr, FIRST: tl.constexpr,
    OUTS: tl.constexpr, BEFORE: tl.constexpr, FORM: tl.constexpr, STRIDE: tl.constexpr,
    MOMENTS: tl.constexpr, C: tl.constexpr, PITCH: tl.constexpr, OUT_PITCH: tl.constexpr,
    IN: tl.constexpr, OUT: tl.constexpr, MANY: tl.constexpr,
):  # fmt: skip
    """A unit of one filter's output; the moments go to ``part`` and, so much further, behind it."""
    lane = tl.arange(0, MANY)
    pivot = tl.zeros((MANY, OUT), tl.float32)
    average = tl.zeros((MANY, OUT), tl.float32)
    square = tl.zeros((MANY, OUT), tl.float32)
    step = tl.full((), 0.0, tl.float32)
    for at in range(0, left, MANY):
        step += 1.0
        valid = at + lane < left
        pixel = (start + at + lane).to(tl.int32)
        value = tl.zeros((MANY, OUT), tl.float32)
        for begin in range(0, C, IN):
            c = begin + tl.arange(0, IN)
            about, scale, shift = rectifier(affine, mean, variance, epsilon, c, BEFORE, FORM, C)
            own = middle(
                image, depthwise, pixel, valid, c, about, scale, shift, zero, height, width,
                out_height, out_width, SIDE, DILATION, SHIFT, STRIDE, FORM, C, PITCH,
            )  # fmt: skip
            weight = tl.load(
                pointwise + o[None, :] * C + c[:, None],
                mask=(o < OUTS)[None, :] & (c < C)[:, None], other=0.0,
            )  # fmt: skip
            value = tl.dot(own, weight, value, input_precision=EXACT)
        inside = valid[:, None] & (o < OUTS)[None, :]
        to = pixel.to(tl.int64)[:, None] * OUT_PITCH + (FIRST + o)[None, :]
        tl.store(out + to, value, mask=inside)
        if MOMENTS:
            fresh = inside & (at + lane < MANY)[:, None]
            pivot, average, square = lane_moments(
                value, inside, fresh, step, pivot, average, square
            )
    if MOMENTS:
        count = tl.maximum((left - lane + MANY - 1) // MANY, 0)
        center, total = join_lanes(pivot, average, square, count)
        tl.store(part + FIRST + o, center, mask=o < OUTS)
        tl.store(part + apart + FIRST + o, total, mask=o < OUTS)


@tuned(PRODUCTS)
@triton.jit
def bank_forward(
    images, depthwise, pointwise, outs, parts, affine, mean, variance, epsilon,
    pixels, run, units, zero, height, width, out_height, out_width,
    SIDES: tl.constexpr, DILATIONS: tl.constexpr, SHIFTS: tl.constexpr, FIRSTS: tl.constexpr,
    OUTS: tl.constexpr, BEFORE: tl.constexpr, NORMS: tl.constexpr, COUNT: tl.constexpr,
    FORM: tl.constexpr, STRIDE: tl.constexpr, MOMENTS: tl.constexpr, C: tl.constexpr,
    PITCH: tl.constexpr, OUT_PITCH: tl.constexpr, IN: tl.constexpr, OUT: tl.constexpr,
    LANES: tl.constexpr,
):  # fmt: skip
    """The outputs, and with MOMENTS their moments ``[2, units, COUNT, C]``."""
    unit = tl.program_id(0)
    o = tl.program_id(1) * OUT + tl.arange(0, OUT)
    MANY: tl.constexpr = product_pixels(LANES, OUT)
    start = unit.to(tl.int64) * run
    left = tl.minimum(pixels - start, run).to(tl.int32)
    for f in tl.static_range(len(SIDES)):
        if tl.program_id(2) == f:
            _filtered(
                images[f], depthwise[f], pointwise[f], outs[f],
                parts + (unit * COUNT + NORMS[f]) * C, units * (COUNT * C),
                affine, mean, variance, epsilon, start, left, o, zero,
                height, width, out_height, out_width,
                SIDES[f], DILATIONS[f], SHIFTS[f], FIRSTS[f], OUTS[f], BEFORE[f], FORM, STRIDE,
                MOMENTS, C, PITCH, OUT_PITCH, IN, OUT, MANY,
            )  # fmt: skip


@tuned(*LIGHT, key=["pixels", "C", "SIDES"])
@triton.jit
def bank_convolve(
    images, depthwise, out, affine, mean, variance, epsilon,
    pixels, zero, height, width, out_height, out_width,
    SIDES: tl.constexpr, DILATIONS: tl.constexpr, SHIFTS: tl.constexpr, FORM: tl.constexpr,
    STRIDE: tl.constexpr, C: tl.constexpr, PITCH: tl.constexpr, BLOCK: tl.constexpr,
    LANES: tl.constexpr,
):  # fmt: skip
    """What is between the convolutions of one filter, ``[pixels, C]``."""
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    MANY: tl.constexpr = tile_pixels(LANES, BLOCK)
    about, scale, shift = rectifier(affine, mean, variance, epsilon, c, 0, FORM, C)
    for part in range(128 // MANY):
        start = tl.program_id(0).to(tl.int64) * 128 + part * MANY
        pixel = start + tl.arange(0, MANY)
        valid = pixel < pixels
        value = middle(
            images[0], depthwise[0], pixel.to(tl.int32), valid, c, about, scale, shift, zero,
            height, width, out_height, out_width,
            SIDES[0], DILATIONS[0], SHIFTS[0], STRIDE, FORM, C, PITCH,
        )  # fmt: skip
        to = out + pixel[:, None] * C + c[None, :]
        tl.store(to, value, mask=valid[:, None] & (c < C)[None, :])
