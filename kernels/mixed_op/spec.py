"""What the mixed operation computes, where, how exactly, and what is measured.

Images are ``[N, C, H, W]``, float32, of any size; channels-last ones are read in place and others
are copied. Inside, an image has its channels rounded up to a multiple of eight. The output, all
gradients of images and what is kept for the backward pass are channels-last. Weights are contiguous
``[C, 1, k, k]`` and ``[C, C, 1, 1]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# In the order of the kernel's numbers.
CANDIDATES = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
STRIDES = (1, 2)
MOST_EDGES = 16  # that one call sums

# Largest error against float64 over the largest value: so many times plain torch's own error on the
# same tensors, or so many times the spacing of floats at 1, whichever is more.
TIMES_EAGER = 4.0
EPSILONS = 16

# (batch, channels, side), with all candidates.
BENCH_SIZES = ((64, 16, 32), (16, 16, 32), (64, 32, 16), (64, 64, 8))
# Formats of what is kept for the backward pass, and most bytes kept over those of plain torch,
# x and parameters left out.
STORAGE = {"float32": 0.21, "bfloat16": 0.11}
# Of gradients from values kept in bfloat16: the error over the gradient, as lengths of vectors.
# It is some 0.003 or less, but for sums of few values.
BFLOAT16_ERROR = 0.02
# Times plain torch at the first size, with two threads of a processor with AVX2.
LEAST_SPEEDUP = 10.0


def kernel_side(candidate: str) -> int:
    """Side of a convolution's filters."""
    return 5 if candidate.endswith("5x5") else 3


@dataclass(frozen=True)
class Edge:
    """Candidates, none of them twice, and the stride of an edge."""

    candidates: tuple[str, ...]
    stride: int = 1

    def __post_init__(self) -> None:
        unknown = [name for name in self.candidates if name not in CANDIDATES]
        if unknown:
            raise ValueError(f"unknown candidate {unknown[0]!r}; use {', '.join(CANDIDATES)}")
        if not self.candidates or len(set(self.candidates)) < len(self.candidates):
            raise ValueError("need at least one candidate, and none twice")
        if self.stride not in STRIDES:
            raise ValueError(f"stride is {self.stride}; use 1 or 2")

    @property
    def numbers(self) -> list[int]:
        """The candidates as the kernel knows them."""
        return [CANDIDATES.index(name) for name in self.candidates]

    def output(self, side: int) -> int:
        """Rows (or columns) of the output for ``side`` rows of the input."""
        return (side - 1) // self.stride + 1

    def norms_of(self, candidate: str) -> int:
        """How often a candidate normalizes."""
        if candidate == "none":
            return 0
        if candidate == "skip_connect":
            return self.stride - 1
        return 2 if candidate.startswith("sep") else 1

    def shapes_of(self, candidate: str, channels: int) -> list[tuple[int, ...]]:
        """Shapes of a candidate's weights, in the order in which they are used."""
        if candidate == "skip_connect" and self.stride == 2:
            if channels < 2:
                raise ValueError("a skipped input with stride 2 needs two channels or more")
            half = channels // 2
            return [(half, channels, 1, 1), (channels - half, channels, 1, 1)]
        if "conv" not in candidate:
            return []
        side = kernel_side(candidate)
        pair: list[tuple[int, ...]] = [(channels, 1, side, side), (channels, channels, 1, 1)]
        return pair * self.norms_of(candidate)

    @property
    def norms(self) -> int:
        """Normalizations of all candidates."""
        return sum(self.norms_of(name) for name in self.candidates)

    @property
    def kept_norms(self) -> list[int]:
        """Which normalizations follow a pointwise convolution."""
        found: list[int] = []
        norm = 0
        for name in self.candidates:
            count = self.norms_of(name)
            if "pool" not in name:
                found += range(norm, norm + count)
            norm += count
        return found

    @property
    def kept(self) -> int:
        """Images that the backward pass reads: the outputs of all pointwise convolutions."""
        return len(self.kept_norms)

    def shapes(self, channels: int) -> list[tuple[int, ...]]:
        """Shapes of all weights."""
        return [shape for name in self.candidates for shape in self.shapes_of(name, channels)]


def padded_channels(channels: int) -> int:
    """Channels of an image inside the kernel."""
    return (channels + 7) // 8 * 8


def check_storage(storage: str) -> None:
    """Refuse a format in which nothing is kept.

    Raises:
        ValueError: it is none of ``STORAGE``.
    """
    if storage not in STORAGE:
        raise ValueError(f"storage is {storage!r}; use {' or '.join(STORAGE)}")


def as_edge(candidates: Sequence[str], stride: int) -> Edge:
    """The edge of these candidates."""
    return Edge(tuple(candidates), stride)
