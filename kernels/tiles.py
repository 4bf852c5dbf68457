"""What all Triton kernels here are made of: how work is divided, launched and compiled ahead.

An image is a matrix of pixels, each a row of channels. A program takes a run of pixels, tile by
tile; one pixel and channel of a tile is a lane. Sums go lane by lane, then over a program's lanes,
then over the programs in double: no atomics, and no number of processors that changes a bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import triton
import triton.language as tl
from torch import Tensor

# Triton decides at a kernel's definition whether it is interpreted.
INTERPRETED: bool = bool(triton.knobs.runtime.interpret)

# Every tile's pixels divide this, and a run is a multiple of it.
RUN = 128
MOST_UNITS = 1024
MOST_CHANNELS = 64  # of a tile
# Two programs of four warps and more have room on a multiprocessor at the same time.
MOST_REGISTERS = 128
STAGES = 1  # loops that multiply once have nothing to prefetch


@dataclass(frozen=True)
class Units:
    """Pixels in runs, each of one program.

    Attributes:
        pixels: all of them.
        run: pixels of one program.
        count: programs.
        images: that no run goes beyond; 1 where all pixels are one.
    """

    pixels: int
    run: int
    count: int
    images: int = 1

    @staticmethod
    def of(pixels: int, images: int = 1) -> Units:
        """A division that depends on the number of pixels, and of images to keep apart, alone."""
        if pixels >= 2**31:
            raise ValueError(f"{pixels} pixels are more than a kernel can number")
        span = pixels // images
        run = RUN * triton.cdiv(span, RUN * max(MOST_UNITS // images, 1))
        return Units(pixels, run, images * triton.cdiv(span, run), images)

    @property
    def span(self) -> int:
        """Pixels of an image."""
        return self.pixels // self.images

    @property
    def each(self) -> int:
        """Programs of an image."""
        return self.count // self.images


def block(channels: int, least: int = 1) -> int:
    """Channels of a tile: a power of two."""
    return max(least, min(MOST_CHANNELS, int(triton.next_power_of_2(channels))))


@dataclass(frozen=True)
class Launch:
    """One kernel with the arguments of one call; constants are among them, by name."""

    kernel: Tuned
    grid: tuple[int, ...]
    arguments: dict[str, Any]


_recorded: list[Launch] | None = None


@contextmanager
def recorded() -> Iterator[list[Launch]]:
    """Collect launches instead of running them, as compiling ahead needs it."""
    global _recorded
    before, _recorded = _recorded, []
    try:
        yield _recorded
    finally:
        _recorded = before


class Tuned:
    """A kernel with the few forms of which the quickest is found on first use and kept on disk.

    Under the interpreter, where nothing can be timed, the first form is taken.

    Args:
        function: a ``triton.jit`` function.
        forms: values of its tunable constants, with ``num_warps``.
        key: names of arguments with whose values the choice is made anew.
    """

    def __init__(self, function: Any, forms: Sequence[dict[str, int]], key: Sequence[str]) -> None:
        self.function, self.forms, self.name = function, tuple(forms), function.__name__
        self._run = function
        if not INTERPRETED and len(forms) > 1:
            configs = [self.config(form) for form in forms]
            tune: Any = triton.autotune(configs, key=list(key), cache_results=True)
            self._run = tune(function)

    @staticmethod
    def config(form: dict[str, int]) -> Any:
        """A form as Triton has it."""
        constants = {name: value for name, value in form.items() if name != "num_warps"}
        return triton.Config(
            constants, num_warps=form["num_warps"], num_stages=STAGES, maxnreg=MOST_REGISTERS
        )

    def __call__(self, grid: tuple[int, ...], **arguments: Any) -> None:
        """Run ``grid`` programs."""
        if _recorded is not None:
            _recorded.append(Launch(self, grid, arguments))
        elif INTERPRETED or len(self.forms) == 1:
            form = {**self.forms[0], "num_stages": STAGES, "maxnreg": MOST_REGISTERS}
            self.function[grid](**arguments, **form)
        else:
            self._run[grid](**arguments)


def tuned(*forms: dict[str, int], key: Sequence[str] = ()) -> Callable[[Any], Tuned]:
    """Make a ``triton.jit`` function a ``Tuned`` one."""
    return lambda function: Tuned(function, forms, key)


# Forms of kernels that keep nothing between tiles, and of those that keep sums in every lane: one
# warp alone needs no barriers to add its lanes.
LANES = ({"LANES": 1024, "num_warps": 4}, {"LANES": 2048, "num_warps": 4})
SUMS = ({"LANES": 1024, "num_warps": 4}, {"LANES": 256, "num_warps": 1})
LIGHT = ({"LANES": 512, "num_warps": 4}, {"LANES": 256, "num_warps": 2})


@triton.jit
def tile_pixels(LANES: tl.constexpr, BLOCK: tl.constexpr) -> tl.constexpr:
    """Pixels of a tile; they divide every run."""
    return tl.constexpr(min(LANES // BLOCK, 128))


@triton.jit
def lane_moments(value, inside, fresh, step, pivot, mean, square):
    """Take one more value in each lane: Welford's update of values from which the first is taken.

    ``step`` counts the tiles from 1, and ``fresh`` is true in the first one. A lane's first value
    is its pivot, so that a large mean costs no digits.
    """
    pivot = tl.where(fresh, value, pivot)
    centered = value - pivot
    before = centered - mean
    after = mean + before / step
    square = tl.where(inside, square + before * (centered - after), square)
    return pivot, tl.where(inside, after, mean), square


@triton.jit
def join_lanes(pivot, mean, square, count):
    """Mean and sum of squared distances from it, in double, of lanes with ``count`` values each."""
    own = pivot.to(tl.float64) + mean.to(tl.float64)
    number = count.to(tl.float64)[:, None]
    total = tl.maximum(tl.sum(number, axis=0), 1.0)
    center = tl.sum(number * own, axis=0) / total
    apart = own - center[None, :]
    return center, tl.sum(square.to(tl.float64) + number * apart * apart, axis=0)


@triton.jit
def unit_total(
    parts, units, column, inside, alpha, each, WIDTH: tl.constexpr, COLUMNS: tl.constexpr,
    BLOCK: tl.constexpr, MANY: tl.constexpr,
):  # fmt: skip
    """The sum over units, in double, of some columns of ``[units, WIDTH]``.

    With COLUMNS a unit has a weight, that of its image in ``alpha`` ``[images, COLUMNS]``; the
    units of an image are ``each`` in number.
    """
    total = tl.zeros((BLOCK,), tl.float64)
    for start in range(0, units, MANY):
        unit = start + tl.arange(0, MANY)
        here = (unit < units)[:, None] & inside[None, :]
        at = unit.to(tl.int64)[:, None] * WIDTH + column[None, :]
        value = tl.load(parts + at, mask=here, other=0.0).to(tl.float64)
        if COLUMNS:
            weight = tl.load(alpha + unit // each * COLUMNS, mask=unit < units, other=0.0)
            value = value * weight.to(tl.float64)[:, None]
        total += tl.sum(value, axis=0)
    return total


@triton.jit
def _settle_moments(
    parts, mean, variance, pixels, run, units,
    NORMS: tl.constexpr, C: tl.constexpr, BLOCK: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Means and biased variances ``[NORMS, C]`` from those of all units; a program is a norm."""
    norm = tl.program_id(0)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    MANY: tl.constexpr = tile_pixels(LANES, BLOCK)
    width = NORMS * C
    column = norm * C + c
    total = tl.zeros((BLOCK,), tl.float64)
    for start in range(0, units, MANY):
        unit = start + tl.arange(0, MANY)
        inside = (unit < units)[:, None] & (c < C)[None, :]
        count = tl.minimum(pixels - unit.to(tl.int64) * run, run).to(tl.float64)
        at = unit[:, None] * width + column[None, :]
        own = tl.load(parts + at, mask=inside, other=0.0)
        total += tl.sum(tl.where(inside, count[:, None] * own, 0.0), axis=0)
    center = total / pixels
    square = tl.zeros((BLOCK,), tl.float64)
    for start in range(0, units, MANY):
        unit = start + tl.arange(0, MANY)
        inside = (unit < units)[:, None] & (c < C)[None, :]
        count = tl.minimum(pixels - unit.to(tl.int64) * run, run).to(tl.float64)
        at = unit[:, None] * width + column[None, :]
        own = tl.load(parts + at, mask=inside, other=0.0)
        more = tl.load(parts + units * width + at, mask=inside, other=0.0)
        apart = own - center[None, :]
        square += tl.sum(tl.where(inside, more + count[:, None] * apart * apart, 0.0), axis=0)
    tl.store(mean + column, center.to(tl.float32), mask=c < C)
    tl.store(variance + column, (square / pixels).to(tl.float32), mask=c < C)


_settle_moments_tuned = Tuned(_settle_moments, [{"LANES": 512, "num_warps": 4}], ())


def settle_moments(parts: Tensor, mean: Tensor, variance: Tensor, units: Units) -> None:
    """Write means and biased variances ``[norms, C]`` from ``parts`` ``[2, units, norms, C]``."""
    norms, channels = mean.shape
    own = block(channels)
    _settle_moments_tuned(
        (norms, triton.cdiv(channels, own)),
        parts=parts, mean=mean, variance=variance,
        pixels=units.pixels, run=units.run, units=units.count,
        NORMS=norms, C=channels, BLOCK=own,
    )  # fmt: skip
