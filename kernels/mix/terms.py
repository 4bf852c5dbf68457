"""What a sum mixes, tile by tile: images as they are, and pools of an image that nobody stores."""

from __future__ import annotations

import triton
import triton.language as tl

# Kinds of terms. A kept image has its own pitch; x has that of its channels.
KEPT, INPUT, MAX_POOL, AVERAGE_POOL = (tl.constexpr(k) for k in range(4))


@triton.jit
def flat(image, pixel, c, inside, PITCH: tl.constexpr):
    """A tile of an image: some of its pixels by number, and channels."""
    at = pixel.to(tl.int64)[:, None] * PITCH + c[None, :]
    return tl.load(image + at, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def place(pixel, height, width):
    """Image, row and column of a pixel."""
    row = pixel // width
    image = row // height
    return image, row - image * height, pixel - row * width


@triton.jit
def weight_of(alpha, image, valid, ROW: tl.constexpr, COLUMNS: tl.constexpr):
    """What weighs a tile: one number, or with COLUMNS one for each pixel, that of its image."""
    if COLUMNS:
        at = alpha + image.to(tl.int64) * COLUMNS + ROW
        found = tl.load(at, mask=valid, other=0.0)[:, None]
    else:
        found = tl.load(alpha + ROW)
    return found


@triton.jit
def pooled(
    image, pixel, c, inside, height, width, out_height, out_width,
    STRIDE: tl.constexpr, C: tl.constexpr, MAX: tl.constexpr,
):  # fmt: skip
    """Maximum (and which of nine it is) or average (and of how many) of 3 x 3 pixels.

    As in torch, the first of equal values is the maximum, and a missing value beats all others.
    """
    n, y, x = place(pixel, out_height, out_width)
    top, left = y * STRIDE - 1, x * STRIDE - 1
    first = n.to(tl.int64) * height
    found = tl.zeros(inside.shape, tl.float32)
    which = tl.zeros(inside.shape, tl.int32) - 1
    for tap in range(9):
        row, column = top + tap // 3, left + tap % 3
        valid = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        here = inside & valid[:, None]
        at = ((first + row) * width + column)[:, None] * C + c[None, :]
        value = tl.load(image + at, mask=here, other=0.0)
        if MAX:
            better = here & ((which < 0) | (value > found) | (value != value))
            found = tl.where(better, value, found)
            which = tl.where(better, tap, which)
        else:
            found += value
    if MAX:
        return found, which
    rows = tl.minimum(top + 3, height) - tl.maximum(top, 0)
    columns = tl.minimum(left + 3, width) - tl.maximum(left, 0)
    many = tl.maximum(rows * columns, 1)
    # The nearest quotient: an error that all pixels share would remain next to a large mean.
    mean = tl.div_rn(found, tl.zeros(inside.shape, tl.float32) + many.to(tl.float32)[:, None])
    return mean, tl.zeros(inside.shape, tl.int32) + many[:, None]


@triton.jit
def term(
    image, pixel, c, inside, height, width, out_height, out_width,
    KIND: tl.constexpr, STRIDE: tl.constexpr, C: tl.constexpr, PITCH: tl.constexpr,
):  # fmt: skip
    """A tile of one term of the sum."""
    if KIND == KEPT:
        value = flat(image, pixel, c, inside, PITCH)
    elif KIND == INPUT:
        value = flat(image, pixel, c, inside, C)
    else:
        value, _ = pooled(
            image, pixel, c, inside, height, width, out_height, out_width,
            STRIDE, C, KIND == MAX_POOL,
        )  # fmt: skip
    return value
