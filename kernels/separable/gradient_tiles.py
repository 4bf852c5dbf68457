"""The Triton kernels of the gradients of banks of separable convolutions.

Arguments are those of the forward kernel. What is between the two convolutions is computed again;
its gradient is stored once, since every tap reads it. With COLUMNS the gradient of an output is
weighed by ``alpha`` ``[images, COLUMNS]``, an image being ``span`` pixels of outputs; ROWS are the
outputs' places in it, or -1.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ..mix.terms import flat, place, weight_of
from ..mix.tiles import branch_gradient
from ..tiles import LIGHT, SUMS, tile_pixels, tuned, unit_total
from .tiles import EXACT, PLAIN, PRODUCTS, SCALED, middle, product_pixels, rectified, rectifier

# Of an output: given as it is, or made of the sum's gradient, with or without a batch's statistics.
GIVEN, SLOPED, WEIGHED = (tl.constexpr(k) for k in range(3))


@triton.jit
def output_gradient(
    grad, output, alpha, mean, slopes, pixel, span, valid, o, NORM: tl.constexpr,
    COUNT: tl.constexpr, ROW: tl.constexpr, COLUMNS: tl.constexpr, FIRST: tl.constexpr,
    OUTS: tl.constexpr, FROM: tl.constexpr, C: tl.constexpr, OUT_PITCH: tl.constexpr,
):  # fmt: skip
    """A tile of the gradient of a filter's output, formed where it is used."""
    channel = FIRST + o
    inside = valid[:, None] & (o < OUTS)[None, :]
    at = pixel.to(tl.int64)[:, None]
    g = tl.load(grad + at * C + channel[None, :], mask=inside, other=0.0)
    if COLUMNS and ROW >= 0:
        g = g * weight_of(alpha, pixel // span, valid, ROW, COLUMNS)
    if FROM == SLOPED:
        z = flat(output, pixel, channel, inside, OUT_PITCH)
        g = branch_gradient(g, z, mean, slopes, channel, NORM, COUNT, C)
        g = tl.where(inside, g, 0.0)
    if FROM == WEIGHED:
        g = g * tl.load(slopes + NORM * C + channel, mask=channel < C, other=0.0)[None, :]
    return g


@tuned(PRODUCTS)
@triton.jit
def bank_spread(
    grads, outs, pointwise, middles, alpha, mean, slopes, pixels, span,
    FIRSTS: tl.constexpr, OUTS: tl.constexpr, NORMS: tl.constexpr, COUNT: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, FROM: tl.constexpr, SIDES: tl.constexpr,
    C: tl.constexpr, OUT_PITCH: tl.constexpr, IN: tl.constexpr, OUT: tl.constexpr,
    LANES: tl.constexpr,
):  # fmt: skip
    """Gradients of what is between the convolutions, ``[pixels, C]`` for each filter."""
    c = tl.program_id(1) * IN + tl.arange(0, IN)
    MANY: tl.constexpr = product_pixels(LANES, IN)
    for part in range(128 // MANY):
        start = tl.program_id(0).to(tl.int64) * 128 + part * MANY
        pixel = start + tl.arange(0, MANY)
        valid = pixel < pixels
        pixel = pixel.to(tl.int32)
        for f in tl.static_range(len(SIDES)):
            value = tl.zeros((MANY, IN), tl.float32)
            for begin in range(0, OUTS[f], OUT):
                o = begin + tl.arange(0, OUT)
                g = output_gradient(
                    grads[f], outs[f], alpha, mean, slopes, pixel, span, valid, o, NORMS[f], COUNT,
                    ROWS[f], COLUMNS, FIRSTS[f], OUTS[f], FROM, C, OUT_PITCH,
                )  # fmt: skip
                weight = tl.load(
                    pointwise[f] + o[:, None] * C + c[None, :],
                    mask=(o < OUTS[f])[:, None] & (c < C)[None, :], other=0.0,
                )  # fmt: skip
                value = tl.dot(g, weight, value, input_precision=EXACT)
            to = pixel.to(tl.int64)[:, None] * C + c[None, :]
            tl.store(middles[f] + to, value, mask=valid[:, None] & (c < C)[None, :])


@triton.jit
def _product(
    image, depthwise, grad, out, to, alpha, affine, mean, variance, slopes, epsilon, start, left,
    span, c, o, zero, height, width, out_height, out_width,
    SIDE: tl.constexpr, DILATION: tl.constexpr, SHIFT: tl.constexpr, FIRST: tl.constexpr,
    OUTS: tl.constexpr, BEFORE: tl.constexpr, NORM: tl.constexpr, COUNT: tl.constexpr,
    ROW: tl.constexpr, COLUMNS: tl.constexpr, FORM: tl.constexpr, FROM: tl.constexpr,
    STRIDE: tl.constexpr, C: tl.constexpr, PITCH: tl.constexpr, OUT_PITCH: tl.constexpr,
    IN: tl.constexpr, OUT: tl.constexpr, MANY: tl.constexpr,
):  # fmt: skip
    """A unit's share of one filter's pointwise gradient."""
    lane = tl.arange(0, MANY)
    about, scale, shift = rectifier(affine, mean, variance, epsilon, c, BEFORE, FORM, C)
    total = tl.zeros((OUT, IN), tl.float32)
    for at in range(0, left, MANY):
        valid = at + lane < left
        pixel = (start + at + lane).to(tl.int32)
        own = middle(
            image, depthwise, pixel, valid, c, about, scale, shift, zero, height, width,
            out_height, out_width, SIDE, DILATION, SHIFT, STRIDE, FORM, C, PITCH,
        )  # fmt: skip
        g = output_gradient(
            grad, out, alpha, mean, slopes, pixel, span, valid, o, NORM, COUNT, ROW, COLUMNS,
            FIRST, OUTS, FROM, C, OUT_PITCH,
        )  # fmt: skip
        total = tl.dot(tl.trans(g), own, total, input_precision=EXACT)
    tl.store(to + o[:, None] * C + c[None, :], total, mask=(o < OUTS)[:, None] & (c < C)[None, :])


@tuned({"LANES": 512, "num_warps": 4})
@triton.jit
def bank_pointwise_weights(
    images, depthwise, grads, outs, shares, alpha, affine, mean, variance, slopes, epsilon,
    pixels, run, span, blocks, zero, height, width, out_height, out_width,
    SIDES: tl.constexpr, DILATIONS: tl.constexpr, SHIFTS: tl.constexpr, FIRSTS: tl.constexpr,
    OUTS: tl.constexpr, BEFORE: tl.constexpr, NORMS: tl.constexpr, PLACES: tl.constexpr,
    SHARE: tl.constexpr, COUNT: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    FORM: tl.constexpr, FROM: tl.constexpr, STRIDE: tl.constexpr, C: tl.constexpr,
    PITCH: tl.constexpr, OUT_PITCH: tl.constexpr, IN: tl.constexpr, OUT: tl.constexpr,
    LANES: tl.constexpr,
):  # fmt: skip
    """Each unit's share of the pointwise weights' gradients, at PLACES of ``[units, SHARE]``.

    The second number of a program is that of one of ``blocks`` of inputs and one of as many of
    outputs.
    """
    unit = tl.program_id(0).to(tl.int64)
    c = (tl.program_id(1) % blocks) * IN + tl.arange(0, IN)
    o = (tl.program_id(1) // blocks) * OUT + tl.arange(0, OUT)
    MANY: tl.constexpr = product_pixels(LANES, IN)
    start = unit * run
    left = tl.minimum(pixels - start, run).to(tl.int32)
    for f in tl.static_range(len(SIDES)):
        if tl.program_id(2) == f:
            _product(
                images[f], depthwise[f], grads[f], outs[f], shares + unit * SHARE + PLACES[f],
                alpha, affine, mean, variance, slopes, epsilon, start, left, span, c, o, zero,
                height, width, out_height, out_width,
                SIDES[f], DILATIONS[f], SHIFTS[f], FIRSTS[f], OUTS[f], BEFORE[f], NORMS[f], COUNT,
                ROWS[f], COLUMNS, FORM, FROM, STRIDE, C, PITCH, OUT_PITCH, IN, OUT, MANY,
            )  # fmt: skip


@triton.jit
def _row_of_taps(
    image, middle, to, row, start, left, c, about, scale, shift,
    height, width, out_height, out_width,
    SIDE: tl.constexpr, DILATION: tl.constexpr, SHIFT: tl.constexpr, STRIDE: tl.constexpr,
    FORM: tl.constexpr, C: tl.constexpr, PITCH: tl.constexpr, MANY: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """A unit's sums for one row of one filter's taps."""
    lane = tl.arange(0, MANY)
    sums = ()
    for column in tl.static_range(SIDE):
        sums = sums + (tl.zeros((MANY, BLOCK), tl.float32),)
    for at in range(0, left, MANY):
        valid = at + lane < left
        pixel = (start + at + lane).to(tl.int32)
        n, y, x = place(pixel, out_height, out_width)
        first = n.to(tl.int64) * height
        top = y * STRIDE + SHIFT + row * DILATION
        inside = valid[:, None] & (c < C)[None, :]
        own = pixel.to(tl.int64)[:, None] * C + c[None, :]
        g = tl.load(middle + own, mask=inside, other=0.0)
        more = ()
        for column in tl.static_range(SIDE):
            value = rectified(
                image, first, top, x * STRIDE + SHIFT + column * DILATION, valid, c,
                about, scale, shift, height, width, FORM, C, PITCH,
            )  # fmt: skip
            more = more + (sums[column] + g * value,)
        sums = more
    for column in tl.static_range(SIDE):
        tl.store(to + (c * SIDE + row) * SIDE + column, tl.sum(sums[column], axis=0), mask=c < C)


@tuned(*SUMS, key=["pixels", "C", "SIDES"])
@triton.jit
def bank_depthwise_weights(
    images, middles, shares, affine, mean, variance, epsilon,
    pixels, run, height, width, out_height, out_width,
    SIDES: tl.constexpr, DILATIONS: tl.constexpr, SHIFTS: tl.constexpr, BEFORE: tl.constexpr,
    PLACES: tl.constexpr, SHARE: tl.constexpr, FORM: tl.constexpr, STRIDE: tl.constexpr,
    ROWS: tl.constexpr, C: tl.constexpr, PITCH: tl.constexpr, BLOCK: tl.constexpr,
    LANES: tl.constexpr,
):  # fmt: skip
    """Each unit's share of the depthwise weights' gradients; a program walks one row of taps."""
    unit = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) % ROWS
    c = (tl.program_id(1) // ROWS) * BLOCK + tl.arange(0, BLOCK)
    MANY: tl.constexpr = tile_pixels(LANES, BLOCK)
    start = unit * run
    left = tl.minimum(pixels - start, run).to(tl.int32)
    for f in tl.static_range(len(SIDES)):
        if SIDES[f] > 1:
            if (tl.program_id(2) == f) & (row < SIDES[f]):
                about, scale, shift = rectifier(
                    affine, mean, variance, epsilon, c, BEFORE[f], FORM, C
                )
                _row_of_taps(
                    images[f], middles[f], shares + unit * SHARE + PLACES[f], row, start, left, c,
                    about, scale, shift, height, width, out_height, out_width,
                    SIDES[f], DILATIONS[f], SHIFTS[f], STRIDE, FORM, C, PITCH, MANY, BLOCK,
                )  # fmt: skip


@triton.jit
def gathered(
    middle, weight, image, y, x, valid, c, total, zero, out_height, out_width,
    SIDE: tl.constexpr, DILATION: tl.constexpr, SHIFT: tl.constexpr, STRIDE: tl.constexpr,
    C: tl.constexpr,
):  # fmt: skip
    """``total`` and what a filter's taps give back to a tile of input pixels."""
    first = image.to(tl.int64) * out_height
    for row in range(SIDE + zero):
        down = y - SHIFT - row * DILATION
        here = valid & (down >= 0) & (down % STRIDE == 0) & (down // STRIDE < out_height)
        for column in tl.static_range(SIDE):
            right = x - SHIFT - column * DILATION
            hit = here & (right >= 0) & (right % STRIDE == 0) & (right // STRIDE < out_width)
            pixel = (first + down // STRIDE) * out_width + right // STRIDE
            at = pixel[:, None] * C + c[None, :]
            value = tl.load(middle + at, mask=hit[:, None] & (c < C)[None, :], other=0.0)
            if SIDE > 1:
                tap = weight + c * (SIDE * SIDE) + row * SIDE + column
                value = value * tl.load(tap, mask=c < C, other=0.0)[None, :]
            total += value
    return total


@tuned(*LIGHT, key=["pixels", "C", "SIDES"])
@triton.jit
def bank_input(
    image, middles, depthwise, target, parts, affine, mean, variance, epsilon,
    grad, alpha, peaks, which, averages,
    pixels, run, zero, height, width, out_height, out_width,
    SIDES: tl.constexpr, DILATIONS: tl.constexpr, SHIFTS: tl.constexpr, BEFORE: tl.constexpr,
    FORM: tl.constexpr, STRIDE: tl.constexpr, TOTALS: tl.constexpr, SKIP: tl.constexpr,
    COLUMNS: tl.constexpr, MAXIMA: tl.constexpr, AVERAGES: tl.constexpr, C: tl.constexpr,
    PITCH: tl.constexpr, BLOCK: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """The gradient of the image that all these filters read, before its scale.

    With TOTALS ``parts`` ``[units, 2, C]`` are sums of it times the image less its mean, and of it.
    SKIP is the place in alpha of the image itself, or -1; with MAXIMA and AVERAGES the gradients of
    its pools are added: of maxima with the tap that each was taken from, of averages divided by
    their number of pixels.
    """
    unit = tl.program_id(0)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    MANY: tl.constexpr = tile_pixels(LANES, BLOCK)
    lane = tl.arange(0, MANY)
    start = unit.to(tl.int64) * run
    left = tl.minimum(pixels - start, run).to(tl.int32)
    about, scale, shift = rectifier(affine, mean, variance, epsilon, c, BEFORE, FORM, C)
    products = tl.zeros((MANY, BLOCK), tl.float32)
    whole = tl.zeros((MANY, BLOCK), tl.float32)
    for tile in range(0, left, MANY):
        valid = tile + lane < left
        inside = valid[:, None] & (c < C)[None, :]
        pixel = (start + tile + lane).to(tl.int32)
        n, y, x = place(pixel, height, width)
        total = tl.zeros((MANY, BLOCK), tl.float32)
        for f in tl.static_range(len(SIDES)):
            total = gathered(
                middles[f], depthwise[f], n, y, x, valid, c, total, zero, out_height, out_width,
                SIDES[f], DILATIONS[f], SHIFTS[f], STRIDE, C,
            )  # fmt: skip
        at = pixel.to(tl.int64)[:, None]
        if len(SIDES) > 0 and FORM != PLAIN:
            own = flat(image, pixel, c, inside, PITCH)
            centered = own - about[None, :]
            total = tl.where(centered * scale[None, :] + shift[None, :] <= 0.0, 0.0, total)
            if TOTALS:
                products += total * centered
                whole += total
        if FORM == SCALED:
            total = total * scale[None, :]
        if SKIP >= 0:
            g = flat(grad, pixel, c, inside, C)
            total += g * weight_of(alpha, n, valid, SKIP, COLUMNS)
        if MAXIMA or AVERAGES:
            first = n.to(tl.int64) * out_height
            for tap in range(9):
                down, right = y + 1 - tap // 3, x + 1 - tap % 3
                hit = valid & (down >= 0) & (down % STRIDE == 0) & (down // STRIDE < out_height)
                hit = hit & (right >= 0) & (right % STRIDE == 0) & (right // STRIDE < out_width)
                window = (first + down // STRIDE) * out_width + right // STRIDE
                there = window[:, None] * C + c[None, :]
                mask = hit[:, None] & (c < C)[None, :]
                if AVERAGES:
                    total += tl.load(averages + there, mask=mask, other=0.0)
                if MAXIMA:
                    taken = tl.load(which + there, mask=mask, other=255).to(tl.int32) == tap
                    total += tl.where(taken, tl.load(peaks + there, mask=mask, other=0.0), 0.0)
        tl.store(target + at * C + c[None, :], total, mask=inside)
    if TOTALS:
        row = parts + unit.to(tl.int64) * 2 * C + c
        tl.store(row, tl.sum(products, axis=0), mask=c < C)
        tl.store(row + C, tl.sum(whole, axis=0), mask=c < C)


@tuned({"LANES": 1024, "num_warps": 4})
@triton.jit
def add_shares(
    shares, targets, units, SIZES: tl.constexpr, SHARE: tl.constexpr, BLOCK: tl.constexpr,
    LANES: tl.constexpr,
):  # fmt: skip
    """Sums over units of ``[units, SHARE]``, whose columns are those of the targets in turn."""
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    MANY: tl.constexpr = tile_pixels(LANES, BLOCK)
    place = 0
    for t in tl.static_range(len(SIZES)):
        inside = column < SIZES[t]
        if tl.program_id(0) * BLOCK < SIZES[t]:
            total = unit_total(
                shares, units, place + column, inside, shares, units, SHARE, 0, BLOCK, MANY
            )  # fmt: skip
            tl.store(targets[t] + column, total.to(tl.float32), mask=inside)
        place += SIZES[t]
