"""The sum of normalized branches by Triton kernels; arguments and results are the operator's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor

from ..tiles import RUN, Units, block, settle_moments
from . import tiles
from .ops import gradients, outputs
from .terms import AVERAGE_POOL, KEPT, MAX_POOL

_LAST = torch.channels_last


@dataclass(frozen=True)
class Terms:
    """What is summed: images ``[N, C, H, W]`` in memory as N, H, W, C, and how they are read.

    Attributes:
        images: one for each term.
        kinds: of each, as ``terms`` names them.
        norms: rows of the statistics, or -1.
        count: rows of the statistics.
        shape: (N, C, H, W) of the sum.
        source: height and width of the image that is pooled.
        stride: of pools.
        pitch: floats from pixel to pixel of kept images; 0 for the channels.
        rows: places in alpha; in turn where there are none.
    """

    images: tuple[Tensor, ...]
    kinds: tuple[int, ...]
    norms: tuple[int, ...]
    count: int
    shape: tuple[int, ...]
    source: tuple[int, int]
    stride: int = 1
    pitch: int = 0
    rows: tuple[int, ...] = ()

    @property
    def pixels(self) -> int:
        """Of the sum."""
        n, _, h, w = self.shape
        return n * h * w

    @property
    def channels(self) -> int:
        """Of every term."""
        return self.shape[1]

    def _common(self) -> dict[str, Any]:
        """Arguments that all passes over terms take."""
        return {
            "pixels": self.pixels,
            "height": self.source[0],
            "width": self.source[1],
            "out_height": self.shape[2],
            "out_width": self.shape[3],
            "STRIDE": self.stride,
            "C": self.channels,
            "PITCH": self.pitch or self.channels,
            "BLOCK": block(self.channels),
        }

    def grid(self, programs: int) -> tuple[int, int]:
        """For so many programs along the pixels."""
        return programs, triton.cdiv(self.channels, block(self.channels))

    @property
    def places(self) -> tuple[int, ...]:
        """In alpha."""
        return self.rows or tuple(range(len(self.images)))

    def moments(self, parts: Tensor, *, only_pools: bool = False) -> None:
        """Means and sums of squares of normalized terms into ``parts`` ``[2, units, norms, C]``."""
        units = Units.of(self.pixels)
        pools = (int(MAX_POOL), int(AVERAGE_POOL))
        own = [
            k
            for k, (kind, norm) in enumerate(zip(self.kinds, self.norms, strict=True))
            if norm >= 0 and (kind in pools or not only_pools)
        ]
        tiles.moments(
            self.grid(units.count), images=tuple(self.images[k] for k in own), parts=parts,
            run=units.run, units=units.count, KINDS=tuple(self.kinds[k] for k in own),
            NORMS=tuple(self.norms[k] for k in own), COUNT=self.count, **self._common(),
        )  # fmt: skip

    def mix(self, alpha: Tensor, mean: Tensor, variance: Tensor, epsilon: float,
            out: Tensor) -> None:  # fmt: skip
        """The weighted sum of normalized terms."""
        tiles.mix_forward(
            self.grid(triton.cdiv(self.pixels, RUN)),
            images=self.images, alpha=alpha, mean=mean, variance=variance, out=out,
            epsilon=epsilon, KINDS=self.kinds, NORMS=self.norms, ROWS=self.places, **self._common(),
        )  # fmt: skip

    def slopes(self, grad: Tensor, alpha: Tensor, mean: Tensor, variance: Tensor, epsilon: float,
               grad_alpha: Tensor, training: bool) -> Tensor:  # fmt: skip
        """Coefficients ``[3, norms, C]`` of the terms' gradients, and the gradient of alpha."""
        units, many = Units.of(self.pixels), len(self.images)
        parts = grad.new_empty(units.count, many + 1, self.channels)
        for first in range(0, many, tiles.MOST_SUMMED):
            some = slice(first, first + tiles.MOST_SUMMED)
            tiles.mix_reduce(
                self.grid(units.count), grad=grad, images=self.images[some], mean=mean,
                parts=parts, run=units.run, KINDS=self.kinds[some], NORMS=self.norms[some],
                FIRST=first, TERMS=many, **self._common(),
            )  # fmt: skip
        return settle_slopes(
            parts, alpha, variance, grad_alpha, self.norms, self.count, epsilon, self.pixels,
            training=training, rows=self.places,
        )  # fmt: skip


def settle_slopes(
    parts: Tensor,
    alpha: Tensor | None,
    variance: Tensor,
    grad_alpha: Tensor,
    norms: Sequence[int],
    count: int,
    epsilon: float,
    pixels: int,
    *,
    training: bool,
    slopes: Tensor | None = None,
    rows: Sequence[int] = (),
) -> Tensor:
    """Coefficients ``[3, count, C]`` from sums ``[units, terms + 1, C]``, those of norms only."""
    units, _, channels = parts.shape
    slopes = parts.new_empty(3, count, channels) if slopes is None else slopes
    tiles.settle_slopes(
        (len(norms),), parts=parts, alpha=parts if alpha is None else alpha, variance=variance,
        slopes=slopes, grad_alpha=grad_alpha, epsilon=epsilon, pixels=pixels, units=units,
        NORMS=tuple(norms), ROWS=tuple(rows or norms), COUNT=count, TRAINING=training,
        WEIGHED=alpha is not None, C=channels, BLOCK=block(channels),
    )  # fmt: skip
    return slopes


def _terms(branches: Sequence[Tensor], normalized: Sequence[bool]) -> Terms:
    images = tuple(branch.contiguous(memory_format=_LAST) for branch in branches)
    n, c, h, w = images[0].shape
    return Terms(
        images,
        (int(KEPT),) * len(images),
        tuple(k if flag else -1 for k, flag in enumerate(normalized)),
        len(images),
        (n, c, h, w),
        (h, w),
    )


def forward(
    branches: list[Tensor],
    alpha: Tensor,
    mean: Tensor,
    variance: Tensor,
    normalized: list[bool],
    training: bool,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """As ``nasturtium::normalize_and_mix``."""
    terms = _terms(branches, normalized)
    out, mean, variance = outputs(terms.images, mean, variance, training)
    if training and any(normalized):
        units = Units.of(terms.pixels)
        shape = (2, units.count, terms.count, terms.channels)
        parts = torch.zeros(shape, dtype=torch.float64, device=out.device)
        terms.moments(parts)
        settle_moments(parts, mean, variance, units)
    terms.mix(alpha.contiguous(), mean, variance, epsilon, out)
    return out, mean, variance


def backward(
    grad: Tensor,
    branches: list[Tensor],
    alpha: Tensor,
    mean: Tensor,
    variance: Tensor,
    normalized: list[bool],
    training: bool,
    epsilon: float,
    needs: list[bool],
) -> list[Tensor]:
    """As ``nasturtium::normalize_and_mix_backward``."""
    terms = _terms(branches, normalized)
    grad, alpha = grad.contiguous(memory_format=_LAST), alpha.contiguous()
    found = gradients(terms.images, alpha, needs)
    of_alpha = found[0] if needs[0] else torch.empty_like(alpha)
    slopes = terms.slopes(grad, alpha, mean, variance, epsilon, of_alpha, training)
    asked = [k for k, wanted in enumerate(needs[1:]) if wanted]
    for first in range(0, len(asked), tiles.MOST_SUMMED):
        some = asked[first : first + tiles.MOST_SUMMED]
        tiles.mix_backward(
            terms.grid(triton.cdiv(terms.pixels, RUN)),
            grad=grad, images=tuple(terms.images[k] for k in some), alpha=alpha, mean=mean,
            slopes=slopes, targets=tuple(found[k + 1] for k in some), pixels=terms.pixels,
            NORMS=tuple(terms.norms[k] for k in some), ROWS=tuple(some), COUNT=terms.count,
            TRAINING=training, C=terms.channels, BLOCK=block(terms.channels),
        )  # fmt: skip
    return found
