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
class Term:
    """One image of a sum, in memory as N, H, W, C.

    Attributes:
        image: ``[N, C, H, W]``, or ``[N, H, W, pitch]`` where it is a kept one.
        kind: how it is read, as ``terms`` names it.
        norm: row of the statistics, or -1.
        row: place in alpha.
        stride: of a pool.
        pitch: values from pixel to pixel of a kept image; 0 for the channels.
    """

    image: Tensor
    kind: int = int(KEPT)
    norm: int = -1
    row: int = 0
    stride: int = 1
    pitch: int = 0

    @property
    def source(self) -> tuple[int, int]:
        """Height and width of what is pooled; of others nobody asks."""
        pools = (int(MAX_POOL), int(AVERAGE_POOL))
        return (self.image.shape[2], self.image.shape[3]) if self.kind in pools else (1, 1)


@dataclass(frozen=True)
class Statistics:
    """Of normalizations: ``[rows, C]`` each, and what is added to variances."""

    mean: Tensor
    variance: Tensor
    epsilon: float


def _columns(alpha: Tensor) -> int:
    """Of alphas ``[N, K]`` of each image; 0 where there is one row ``[K]`` for all."""
    return alpha.shape[1] if alpha.dim() == 2 else 0


@dataclass(frozen=True)
class Terms:
    """What is summed.

    Attributes:
        terms: in the order of the sum.
        shape: (N, C, H, W) of the sum.
        count: rows of the statistics.
    """

    terms: tuple[Term, ...]
    shape: tuple[int, ...]
    count: int

    @property
    def pixels(self) -> int:
        """Of the sum."""
        n, _, h, w = self.shape
        return n * h * w

    @property
    def channels(self) -> int:
        """Of every term."""
        return self.shape[1]

    def grid(self, programs: int) -> tuple[int, int]:
        """For so many programs along the pixels."""
        return programs, triton.cdiv(self.channels, block(self.channels))

    def _of(self, own: Sequence[Term]) -> dict[str, Any]:
        """Arguments that all passes over terms take."""
        return {
            "images": tuple(t.image for t in own),
            "heights": tuple(t.source[0] for t in own),
            "widths": tuple(t.source[1] for t in own),
            "out_height": self.shape[2],
            "out_width": self.shape[3],
            "KINDS": tuple(t.kind for t in own),
            "NORMS": tuple(t.norm for t in own),
            "STRIDES": tuple(t.stride for t in own),
            "PITCHES": tuple(t.pitch or self.channels for t in own),
            "C": self.channels,
            "BLOCK": block(self.channels),
        }

    def moments(self, parts: Tensor, *, only_pools: bool = False) -> None:
        """Means and sums of squares of normalized terms into ``parts`` ``[2, units, norms, C]``."""
        units, kept = Units.of(self.pixels), int(KEPT)
        own = [t for t in self.terms if t.norm >= 0 and not (only_pools and t.kind == kept)]
        tiles.moments(
            self.grid(units.count), parts=parts, pixels=self.pixels, run=units.run,
            units=units.count, COUNT=self.count, **self._of(own),
        )  # fmt: skip

    def mix(self, alphas: Sequence[Tensor], statistics: Statistics, out: Tensor) -> None:
        """The weighted sum of normalized terms; every term has its alpha."""
        for first in range(0, len(self.terms), tiles.MOST_MIXED):
            some = slice(first, first + tiles.MOST_MIXED)
            own, weights = self.terms[some], alphas[some]
            tiles.mix_forward(
                self.grid(triton.cdiv(self.pixels, RUN)), alphas=tuple(weights),
                mean=statistics.mean, variance=statistics.variance, epsilon=statistics.epsilon,
                out=out, pixels=self.pixels, zero=0, ROWS=tuple(t.row for t in own),
                COLUMNS=tuple(map(_columns, weights)), ADDED=first > 0, **self._of(own),
            )  # fmt: skip

    def slopes(self, grad: Tensor, alpha: Tensor, statistics: Statistics, grad_alpha: Tensor,
               training: bool) -> Tensor:  # fmt: skip
        """Coefficients ``[3, norms, C]`` of the terms' gradients, and the gradient of alpha."""
        units = Units.of(self.pixels, len(alpha) if alpha.dim() == 2 else 1)
        many = len(self.terms)
        parts = grad.new_empty(units.count, many + 1, self.channels)
        for first in range(0, many, tiles.MOST_SUMMED):
            tiles.mix_reduce(
                self.grid(units.count), grad=grad, mean=statistics.mean, parts=parts,
                span=units.span, each=units.each, run=units.run, FIRST=first, TERMS=many,
                **self._of(self.terms[first : first + tiles.MOST_SUMMED]),
            )  # fmt: skip
        slopes = grad.new_empty(3, self.count, self.channels)
        settle_slopes(parts, units, self.terms, slopes, statistics, training, alpha, grad_alpha)
        return slopes

    def gradients(
        self,
        grad: Tensor,
        alpha: Tensor,
        statistics: Statistics,
        slopes: Tensor,
        own: Sequence[Term],
        targets: Sequence[Tensor],
        training: bool,
    ) -> None:
        """Write the gradients of some kept terms, which have these terms' pitches."""
        for first in range(0, len(own), tiles.MOST_SUMMED):
            some = own[first : first + tiles.MOST_SUMMED]
            tiles.mix_backward(
                self.grid(triton.cdiv(self.pixels, RUN)), grad=grad,
                images=tuple(t.image for t in some), alpha=alpha, mean=statistics.mean,
                slopes=slopes, targets=tuple(targets[first : first + tiles.MOST_SUMMED]),
                pixels=self.pixels, NORMS=tuple(t.norm for t in some),
                ROWS=tuple(t.row for t in some), COUNT=self.count, TRAINING=training,
                C=self.channels, PITCHES=tuple(t.pitch or self.channels for t in some),
                BLOCK=block(self.channels),
            )  # fmt: skip


def settle_slopes(
    parts: Tensor,
    units: Units,
    terms: Sequence[Term],
    slopes: Tensor,
    statistics: Statistics,
    training: bool,
    alpha: Tensor | None = None,
    grad_alpha: Tensor | None = None,
) -> None:
    """Write some terms' coefficients ``[3, norms, C]``, from sums ``[units, terms + 1, C]``.

    Without alpha, which is 1 then, there is no gradient of it.
    """
    channels = parts.shape[2]
    weighed = alpha is not None and grad_alpha is not None
    tiles.settle_slopes(
        (len(terms), units.images), parts=parts, alpha=parts if alpha is None else alpha,
        variance=statistics.variance, slopes=slopes,
        grad_alpha=parts if grad_alpha is None else grad_alpha, epsilon=statistics.epsilon,
        pixels=units.pixels, units=units.count, each=units.each,
        NORMS=tuple(t.norm for t in terms), ROWS=tuple(t.row for t in terms),
        COLUMNS=0 if alpha is None else _columns(alpha), COUNT=slopes.shape[1],
        TRAINING=training, WEIGHED=weighed, C=channels, BLOCK=block(channels),
    )  # fmt: skip


def _terms(branches: Sequence[Tensor], normalized: Sequence[bool]) -> Terms:
    images = [branch.contiguous(memory_format=_LAST) for branch in branches]
    terms = tuple(
        Term(image, norm=k if flag else -1, row=k)
        for k, (image, flag) in enumerate(zip(images, normalized, strict=True))
    )
    return Terms(terms, tuple(images[0].shape), len(terms))


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
    out, mean, variance = outputs(branches, mean, variance, training)
    if training and any(normalized):
        units = Units.of(terms.pixels)
        shape = (2, units.count, terms.count, terms.channels)
        parts = torch.zeros(shape, dtype=torch.float64, device=out.device)
        terms.moments(parts)
        settle_moments(parts, mean, variance, units)
    alphas = [alpha.contiguous()] * terms.count
    terms.mix(alphas, Statistics(mean, variance, epsilon), out)
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
    found = gradients(branches, alpha, needs)
    of_alpha = found[0] if needs[0] else torch.empty_like(alpha)
    statistics = Statistics(mean, variance, epsilon)
    slopes = terms.slopes(grad, alpha, statistics, of_alpha, training)
    asked = [k for k, wanted in enumerate(needs[1:]) if wanted]
    own = [terms.terms[k] for k in asked]
    terms.gradients(grad, alpha, statistics, slopes, own, [found[k + 1] for k in asked], training)
    return found
