"""The Triton kernels of sums of normalized terms, forward and backward.

A term is a branch as it is stored, an image itself, or a pool of it. Terms come as tuples: images,
heights and widths, KINDS, STRIDES of pools and PITCHES of kept images. NORMS says for each which
row of the statistics is its own, or -1; ROWS which place in alpha, which is ``[images, COLUMNS]``,
or one row for all images where COLUMNS is 0.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ..tiles import LANES, LIGHT, join_lanes, lane_moments, tile_pixels, tuned, unit_total
from .terms import flat, term, weight_of

# Terms that one launch sums up: each holds registers in every lane.
MOST_SUMMED = 7
# Terms that one launch adds up: more take long to compile.
MOST_MIXED = 40


@tuned(*LIGHT, key=["pixels", "C", "KINDS"])
@triton.jit
def moments(
    images, parts, pixels, run, units, heights, widths, out_height, out_width,
    KINDS: tl.constexpr, NORMS: tl.constexpr, COUNT: tl.constexpr, STRIDES: tl.constexpr,
    C: tl.constexpr, PITCHES: tl.constexpr, BLOCK: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Mean and sum of squares ``[2, units, COUNT, C]`` of each unit of each normalized term."""
    unit = tl.program_id(0)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    MANY: tl.constexpr = tile_pixels(LANES, BLOCK)
    lane = tl.arange(0, MANY)
    start = unit.to(tl.int64) * run
    left = tl.minimum(pixels - start, run).to(tl.int32)
    for k in tl.static_range(len(KINDS)):
        pivot = tl.zeros((MANY, BLOCK), tl.float32)
        mean = tl.zeros((MANY, BLOCK), tl.float32)
        square = tl.zeros((MANY, BLOCK), tl.float32)
        step = tl.full((), 0.0, tl.float32)
        for at in range(0, left, MANY):
            step += 1.0
            inside = (at + lane < left)[:, None] & (c < C)[None, :]
            value = term(
                images[k], (start + at + lane).to(tl.int32), c, inside, heights[k], widths[k],
                out_height, out_width, KINDS[k], STRIDES[k], C, PITCHES[k],
            )  # fmt: skip
            fresh = inside & (at + lane < MANY)[:, None]
            pivot, mean, square = lane_moments(value, inside, fresh, step, pivot, mean, square)
        count = tl.maximum((left - lane + MANY - 1) // MANY, 0)
        center, total = join_lanes(pivot, mean, square, count)
        own = (unit * COUNT + NORMS[k]) * C + c
        tl.store(parts + own, center, mask=c < C)
        tl.store(parts + units * (COUNT * C) + own, total, mask=c < C)


@triton.jit
def _inverse(variance, norm: tl.constexpr, c, epsilon, C: tl.constexpr):
    value = tl.load(variance + norm * C + c, mask=c < C, other=0.0)
    return tl.div_rn(1.0, tl.sqrt_rn(value + epsilon))


@tuned(*LIGHT, key=["pixels", "C", "KINDS"])
@triton.jit
def mix_forward(
    images, alphas, mean, variance, out, epsilon, pixels, zero, heights, widths,
    out_height, out_width,
    KINDS: tl.constexpr, NORMS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    STRIDES: tl.constexpr, ADDED: tl.constexpr, C: tl.constexpr, PITCHES: tl.constexpr,
    BLOCK: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """The sum over all terms, from one read of each; with ADDED to what ``out`` holds.

    Every term has its alpha, and COLUMNS of its own. ``zero`` is 0, which the compiler does not
    know: it reads four terms at a time, as all of them at once would need too many registers.
    """
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    MANY: tl.constexpr = tile_pixels(LANES, BLOCK)
    for part in range(tl.cdiv(128, MANY)):
        start = tl.program_id(0).to(tl.int64) * 128 + part * MANY
        pixel = start + tl.arange(0, MANY)
        valid = pixel < pixels
        inside = valid[:, None] & (c < C)[None, :]
        pixel = pixel.to(tl.int32)
        image = pixel // (out_height * out_width)
        to = out + pixel.to(tl.int64)[:, None] * C + c[None, :]
        total = tl.zeros((MANY, BLOCK), tl.float32)
        if ADDED:
            total = tl.load(to, mask=inside, other=0.0)
        for first in tl.static_range(0, len(KINDS), 4):
            for again in range(1 + zero):
                own = pixel + again
                for k in tl.static_range(first, first + 4):
                    if k < len(KINDS):
                        weight = weight_of(alphas[k], image + again, valid, ROWS[k], COLUMNS[k])
                        value = term(
                            images[k], own, c, inside, heights[k], widths[k],
                            out_height, out_width, KINDS[k], STRIDES[k], C, PITCHES[k],
                        )  # fmt: skip
                        if NORMS[k] >= 0:
                            inverse = _inverse(variance, NORMS[k], c, epsilon, C)
                            about = tl.load(mean + NORMS[k] * C + c, mask=c < C, other=0.0)
                            value = (value - about[None, :]) * inverse[None, :]
                        total += weight * value
        tl.store(to, total, mask=inside)


@tuned(*LIGHT, key=["pixels", "C", "KINDS"])
@triton.jit
def mix_reduce(
    grad, images, mean, parts, span, each, run, heights, widths, out_height, out_width,
    KINDS: tl.constexpr, NORMS: tl.constexpr, FIRST: tl.constexpr, TERMS: tl.constexpr,
    STRIDES: tl.constexpr, C: tl.constexpr, PITCHES: tl.constexpr, BLOCK: tl.constexpr,
    LANES: tl.constexpr,
):  # fmt: skip
    """From one read of the gradient its sum and those of it times each centered term.

    ``parts`` is ``[units, TERMS + 1, C]``, where ``each`` units are of the same ``span`` pixels.
    The images are terms FIRST and on, and with the first ones goes the gradient's own sum, behind
    all terms.
    """
    unit = tl.program_id(0)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    MANY: tl.constexpr = tile_pixels(LANES, BLOCK)
    lane = tl.arange(0, MANY)
    begin = (unit % each).to(tl.int64) * run
    start = (unit // each).to(tl.int64) * span + begin
    left = tl.minimum(span - begin, run).to(tl.int32)
    sums = ()
    for k in tl.static_range(len(KINDS)):
        sums = sums + (tl.zeros((MANY, BLOCK), tl.float32),)
    whole = tl.zeros((MANY, BLOCK), tl.float32)
    for at in range(0, left, MANY):
        inside = (at + lane < left)[:, None] & (c < C)[None, :]
        pixel = (start + at + lane).to(tl.int32)
        g = flat(grad, pixel, c, inside, C)
        whole += g
        more = ()
        for k in tl.static_range(len(KINDS)):
            value = term(
                images[k], pixel, c, inside, heights[k], widths[k], out_height, out_width,
                KINDS[k], STRIDES[k], C, PITCHES[k],
            )  # fmt: skip
            if NORMS[k] >= 0:
                about = tl.load(mean + NORMS[k] * C + c, mask=c < C, other=0.0)
                value = value - about[None, :]
            more = more + (sums[k] + tl.where(inside, g * value, 0.0),)
        sums = more
    row = parts + (unit.to(tl.int64) * (TERMS + 1) + FIRST) * C + c
    for k in tl.static_range(len(KINDS)):
        tl.store(row + k * C, tl.sum(sums[k], axis=0), mask=c < C)
    if FIRST == 0:
        tl.store(row + TERMS * C, tl.sum(whole, axis=0), mask=c < C)


@tuned({"LANES": 512, "num_warps": 4})
@triton.jit
def settle_slopes(
    parts, alpha, variance, slopes, grad_alpha, epsilon, pixels, units, each,
    NORMS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, COUNT: tl.constexpr,
    TRAINING: tl.constexpr, WEIGHED: tl.constexpr, C: tl.constexpr, BLOCK: tl.constexpr,
    LANES: tl.constexpr,
):  # fmt: skip
    """What the gradients of normalized terms are made of, and the gradient of alpha.

    A program is a term, with COLUMNS in one image, whose units are ``each`` in number. ``slopes``
    is ``[3, COUNT, C]``, and the gradient of a term is ``slopes[0] (g - slopes[1]) + slopes[2]
    (z - mean)``; alpha is part of the slopes, but with COLUMNS of g. Without WEIGHED alpha is 1 and
    is asked for no gradient.
    """
    MANY: tl.constexpr = tile_pixels(LANES, BLOCK)
    TERMS: tl.constexpr = len(NORMS)
    WIDTH: tl.constexpr = (TERMS + 1) * C
    k = tl.program_id(0)
    image = tl.program_id(1)
    norm = tl.full((), -1, tl.int32)
    row_of_alpha = tl.full((), 0, tl.int32)
    for other in tl.static_range(TERMS):
        if k == other:
            norm = tl.full((), NORMS[other], tl.int32)
            row_of_alpha = tl.full((), ROWS[other], tl.int32)
    weight = 1.0
    if WEIGHED and COLUMNS == 0:
        weight = tl.load(alpha + row_of_alpha)
    of_image = parts + image.to(tl.int64) * each * WIDTH
    of_alpha = tl.zeros((BLOCK,), tl.float64)
    for first in range(0, C, BLOCK):
        c = first + tl.arange(0, BLOCK)
        inside = c < C
        product = unit_total(
            of_image, each, k * C + c, inside, alpha, each, WIDTH, 0, BLOCK, MANY
        )  # fmt: skip
        if norm >= 0:
            row = norm * C + c
            value = tl.load(variance + row, mask=inside, other=1.0).to(tl.float64) + epsilon
            scale = 1.0 / tl.sqrt(value)
            of_alpha += tl.where(inside, product * scale, 0.0)
            if image == 0:
                scale = scale * weight
                tl.store(slopes + row, scale.to(tl.float32), mask=inside)
                center = tl.zeros((BLOCK,), tl.float64)
                slope = tl.zeros((BLOCK,), tl.float64)
                if TRAINING:
                    if COLUMNS:
                        product = unit_total(
                            parts, units, k * C + c, inside, alpha + row_of_alpha, each,
                            WIDTH, COLUMNS, BLOCK, MANY,
                        )  # fmt: skip
                    whole = unit_total(
                        parts, units, TERMS * C + c, inside, alpha + row_of_alpha, each,
                        WIDTH, COLUMNS, BLOCK, MANY,
                    )  # fmt: skip
                    center = whole / pixels
                    slope = -scale * product / (value * pixels)
                tl.store(slopes + COUNT * C + row, center.to(tl.float32), mask=inside)
                tl.store(slopes + 2 * COUNT * C + row, slope.to(tl.float32), mask=inside)
        else:
            of_alpha += tl.where(inside, product, 0.0)
    if WEIGHED:
        to = grad_alpha + image * COLUMNS + row_of_alpha
        tl.store(to, tl.sum(of_alpha, axis=0).to(tl.float32))


@triton.jit
def branch_gradient(
    g, z, mean, slopes, c, NORM: tl.constexpr, COUNT: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """The gradient of a normalized branch from that of the sum."""
    inside = c < C
    row = NORM * C + c
    scale = tl.load(slopes + row, mask=inside, other=0.0)
    center = tl.load(slopes + COUNT * C + row, mask=inside, other=0.0)
    slope = tl.load(slopes + 2 * COUNT * C + row, mask=inside, other=0.0)
    about = tl.load(mean + row, mask=inside, other=0.0)
    return scale[None, :] * (g - center[None, :]) + slope[None, :] * (z - about[None, :])


@tuned(*LANES, key=["pixels", "C", "NORMS"])
@triton.jit
def mix_backward(
    grad, images, alpha, mean, slopes, targets, pixels,
    NORMS: tl.constexpr, ROWS: tl.constexpr, COUNT: tl.constexpr, TRAINING: tl.constexpr,
    C: tl.constexpr, PITCHES: tl.constexpr, BLOCK: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Gradients of branches, with the pitches of these, from one read of the sum's."""
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    MANY: tl.constexpr = tile_pixels(LANES, BLOCK)
    for part in range(tl.cdiv(128, MANY)):
        start = tl.program_id(0).to(tl.int64) * 128 + part * MANY
        pixel = start + tl.arange(0, MANY)
        inside = (pixel < pixels)[:, None] & (c < C)[None, :]
        g = tl.load(grad + pixel[:, None] * C + c[None, :], mask=inside, other=0.0)
        for k in tl.static_range(len(NORMS)):
            at = pixel[:, None] * PITCHES[k] + c[None, :]
            if NORMS[k] >= 0:
                if TRAINING:
                    z = tl.load(images[k] + at, mask=inside, other=0.0)
                    own = branch_gradient(g, z, mean, slopes, c, NORMS[k], COUNT, C)
                else:
                    scale = tl.load(slopes + NORMS[k] * C + c, mask=c < C, other=0.0)
                    own = g * scale[None, :]
            else:
                own = g * tl.load(alpha + ROWS[k])
            tl.store(targets[k] + at, own, mask=inside)
