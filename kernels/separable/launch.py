"""Launches of the Triton kernels of separable convolutions, for whoever has filters to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import triton
from torch import Tensor

from ..mix.gpu import Statistics
from ..tiles import RUN, Units, block
from . import cuda, gradient_tiles, tiles

LEAST = 16  # channels of a tile that is multiplied
MOST_INPUTS = 32  # of which the convolved tile and the product are both in registers


@dataclass(frozen=True)
class Filter:
    """One separable convolution.

    Attributes:
        image: what it reads, ``[N, C, H, W]`` in memory as N, H, W, C.
        depthwise: ``[C, 1, side, side]``; None where it only picks pixels.
        pointwise: ``[outs, C, 1, 1]``.
        out: its output, or what the output's channels are some of.
        norm: row of the statistics of the output; 0 where they are nobody's.
        dilation: of the depthwise convolution.
        shift: of its first tap from the output's place in the input.
        first: its first channel of ``out``.
        before: row of the statistics of the image.
        row: place in alpha of what weighs its output, or -1.
    """

    image: Tensor
    depthwise: Tensor | None
    pointwise: Tensor
    out: Tensor
    norm: int
    dilation: int = 1
    shift: int = 0
    first: int = 0
    before: int = 0
    row: int = -1

    @property
    def side(self) -> int:
        """Of the depthwise convolution."""
        return 1 if self.depthwise is None else int(self.depthwise.shape[-1])


@dataclass(frozen=True)
class Gradients:
    """Of the outputs of a bank, formed where they are used.

    Attributes:
        images: what they are made of, one for each filter.
        form: GIVEN as they are; SLOPED or WEIGHED, gradients of a sum of normalized outputs.
        slopes: ``[3, rows, C]``, of the latter.
        alpha: ``[N, K]``, which weighs the latter, image by image, where the slopes do not.
    """

    images: Sequence[Tensor]
    form: int = int(gradient_tiles.GIVEN)
    slopes: Tensor | None = None
    alpha: Tensor | None = None

    def arguments(self, bank: Bank) -> dict[str, Any]:
        """As kernels take them; any pointer stands for what is not there."""
        none = bank.statistics.mean
        return {
            "grads": tuple(self.images),
            "slopes": none if self.slopes is None else self.slopes,
            "alpha": none if self.alpha is None else self.alpha,
            "span": bank.size[0] * bank.size[1],
            "ROWS": tuple(f.row for f in bank.filters),
            "COLUMNS": 0 if self.alpha is None else self.alpha.shape[1],
            "FROM": self.form,
        }


@dataclass(frozen=True)
class Bank:
    """Filters that are run together.

    Attributes:
        filters: one or more.
        shape: (N, C, H, W) of their images.
        size: rows and columns of their outputs.
        stride: of the depthwise convolutions.
        statistics: of outputs and, where ``form`` is NORMED, of images.
        form: what is rectified.
        affine: ``[2, C]`` where ``form`` is SCALED.
        pitch: floats from pixel to pixel of images; C.
        out_pitch: of outputs; C.
    """

    filters: tuple[Filter, ...]
    shape: tuple[int, ...]
    size: tuple[int, int]
    stride: int
    statistics: Statistics
    form: int = int(tiles.RAW)
    affine: Tensor | None = None
    pitch: int = 0
    out_pitch: int = 0

    @property
    def channels(self) -> int:
        """Of images."""
        return self.shape[1]

    @property
    def pixels(self) -> int:
        """Of outputs."""
        return self.shape[0] * self.size[0] * self.size[1]

    @property
    def units(self) -> Units:
        """In which outputs are run through."""
        return Units.of(self.pixels)

    def _each(self, name: str) -> tuple[Any, ...]:
        return tuple(getattr(f, name) for f in self.filters)

    def _depthwise(self) -> tuple[Tensor, ...]:
        """Weights; any pointer where there are none."""
        return tuple(f.pointwise if f.depthwise is None else f.depthwise for f in self.filters)

    def _geometry(self) -> dict[str, Any]:
        return {
            "affine": self.statistics.mean if self.affine is None else self.affine,
            "mean": self.statistics.mean,
            "variance": self.statistics.variance,
            "epsilon": self.statistics.epsilon,
            "height": self.shape[2],
            "width": self.shape[3],
            "out_height": self.size[0],
            "out_width": self.size[1],
            "SIDES": self._each("side"),
            "DILATIONS": self._each("dilation"),
            "SHIFTS": self._each("shift"),
            "FORM": self.form,
            "STRIDE": self.stride,
            "C": self.channels,
            "PITCH": self.pitch or self.channels,
        }

    def _outputs(self) -> dict[str, Any]:
        return {
            "FIRSTS": self._each("first"),
            "OUTS": tuple(int(f.pointwise.shape[0]) for f in self.filters),
            "NORMS": self._each("norm"),
            "COUNT": self.statistics.mean.shape[0],
            "OUT_PITCH": self.out_pitch or self.channels,
            "IN": self._inputs,
            "OUT": block(self.channels, LEAST),
        }

    @property
    def _inputs(self) -> int:
        return min(block(self.channels, LEAST), MOST_INPUTS)

    @property
    def _blocks(self) -> tuple[int, int]:
        """Of inputs and of outputs."""
        c = self.channels
        return int(triton.cdiv(c, self._inputs)), int(triton.cdiv(c, block(c, LEAST)))

    def forward(self, parts: Tensor | None) -> None:
        """Write the outputs, and their moments into ``parts`` ``[2, units, rows, C]``."""
        tiles.bank_forward(
            (self.units.count, self._blocks[1], len(self.filters)),
            images=self._each("image"), depthwise=self._depthwise(),
            pointwise=self._each("pointwise"), outs=self._each("out"),
            parts=self.statistics.mean if parts is None else parts,
            pixels=self.pixels, run=self.units.run, units=self.units.count,
            zero=0, BEFORE=self._each("before"), MOMENTS=parts is not None,
            **self._geometry(), **self._outputs(),
        )  # fmt: skip

    def convolve(self, out: Tensor) -> None:
        """Write what is between the convolutions of the one filter, ``[pixels, C]``."""
        own = block(self.channels)
        tiles.bank_convolve(
            (triton.cdiv(self.pixels, RUN), triton.cdiv(self.channels, own)),
            images=self._each("image"), depthwise=self._depthwise(), out=out, pixels=self.pixels,
            zero=0, BLOCK=own, **self._geometry(),
        )  # fmt: skip

    def spread(self, grads: Gradients) -> list[Tensor]:
        """Gradients of what is between the convolutions, ``[pixels, C]`` each."""
        middles = [grads.images[0].new_empty(self.pixels, self.channels) for _ in self.filters]
        settings = self._outputs()
        settings["IN"], settings["OUT"] = settings["OUT"], settings["IN"]  # outputs are summed up
        gradient_tiles.bank_spread(
            (triton.cdiv(self.pixels, RUN), self._blocks[1]),
            outs=self._each("out"), pointwise=self._each("pointwise"), middles=tuple(middles),
            mean=self.statistics.mean, pixels=self.pixels, SIDES=self._each("side"),
            C=self.channels, **settings, **grads.arguments(self),
        )  # fmt: skip
        return middles

    def weights(
        self, grads: Gradients, middles: Sequence[Tensor], targets: Sequence[Tensor]
    ) -> None:
        """Write the gradients of all weights: of each filter the depthwise ones, if any, first."""
        sizes = tuple(t.numel() for t in targets)
        starts = [sum(sizes[:k]) for k in range(len(sizes))]
        share = sum(sizes)
        depthwise, pointwise = [], []
        for f in self.filters:
            depthwise.append(0 if f.depthwise is None else starts.pop(0))
            pointwise.append(starts.pop(0))
        shares = middles[0].new_empty(self.units.count, share)
        gradient_tiles.bank_pointwise_weights(
            (self.units.count, self._blocks[0] ** 2, len(self.filters)),
            images=self._each("image"), depthwise=self._depthwise(), outs=self._each("out"),
            shares=shares, pixels=self.pixels, run=self.units.run, blocks=self._blocks[0], zero=0,
            BEFORE=self._each("before"), PLACES=tuple(pointwise), SHARE=share,
            **self._geometry(), **grads.arguments(self),
            **{**self._outputs(), "OUT": self._inputs},
        )  # fmt: skip
        self.depthwise_weights(middles, shares, depthwise)
        add_shares(shares, targets)

    def depthwise_weights(
        self, middles: Sequence[Tensor], shares: Tensor, places: Sequence[int]
    ) -> None:
        """Write each unit's share of the depthwise weights' gradients, from these places on."""
        sides, own = self._each("side"), block(self.channels)
        if cuda.in_use():
            cuda.depthwise_weights(self, list(middles), shares, list(places))
        elif max(sides) > 1:
            gradient_tiles.bank_depthwise_weights(
                (self.units.count, max(sides) * triton.cdiv(self.channels, own), len(sides)),
                images=self._each("image"), middles=tuple(middles), shares=shares,
                pixels=self.pixels, run=self.units.run, BEFORE=self._each("before"),
                PLACES=tuple(places), SHARE=shares.shape[1], ROWS=max(sides), BLOCK=own,
                **self._geometry(),
            )  # fmt: skip

    def input(
        self,
        middles: Sequence[Tensor],
        target: Tensor,
        *,
        totals: bool = False,
        more: Extras | None = None,
    ) -> Tensor:
        """Write the gradient of the image that all filters share.

        Returns:
            With ``totals`` sums ``[units, 2, C]`` of it, before its scale, times the image less its
            mean, and of it.
        """
        n, c, h, w = self.shape
        units, own = Units.of(n * h * w), block(c)
        parts = target.new_empty(units.count, 2, c) if totals else target
        image = self.filters[0].image if self.filters else target
        input_gradient(
            (units.count, triton.cdiv(c, own)), more or Extras(target, target), image=image,
            middles=tuple(middles), depthwise=self._depthwise(), target=target, parts=parts,
            pixels=units.pixels, run=units.run, zero=0, TOTALS=totals, BLOCK=own,
            BEFORE=self.filters[0].before if self.filters else 0, **self._geometry(),
        )  # fmt: skip
        return parts


@dataclass(frozen=True)
class Extras:
    """What else has a part in the gradient of an image: it itself, and pools of it.

    Attributes:
        grad: of the sum.
        alpha: ``[K]`` or ``[N, K]``.
        skip: place of the image itself in alpha, or -1.
        peaks: gradients of maxima, ``[pixels, C]``, or None.
        which: taps that the maxima were taken from, uint8 of the same shape.
        averages: gradients of averages over their numbers of pixels, or None.
    """

    grad: Tensor
    alpha: Tensor
    skip: int = -1
    peaks: Tensor | None = None
    which: Tensor | None = None
    averages: Tensor | None = None


def input_gradient(grid: tuple[int, ...], more: Extras, **arguments: Any) -> None:
    """Launch ``bank_input``; there may be no filters."""
    gradient_tiles.bank_input(
        grid, grad=more.grad, alpha=more.alpha, SKIP=more.skip,
        COLUMNS=more.alpha.shape[1] if more.alpha.dim() == 2 else 0,
        peaks=more.grad if more.peaks is None else more.peaks,
        which=more.grad if more.which is None else more.which,
        averages=more.grad if more.averages is None else more.averages,
        MAXIMA=more.peaks is not None, AVERAGES=more.averages is not None, **arguments,
    )  # fmt: skip


def add_shares(shares: Tensor, targets: Sequence[Tensor]) -> None:
    """Add what all units have; the columns of ``shares`` are the targets' values in turn."""
    sizes = tuple(t.numel() for t in targets)
    own = min(64, triton.next_power_of_2(max(sizes)))
    gradient_tiles.add_shares(
        (triton.cdiv(max(sizes), own),), shares=shares, targets=tuple(targets),
        units=shares.shape[0], SIZES=sizes, SHARE=sum(sizes), BLOCK=own,
    )  # fmt: skip
