"""What the depthwise convolution computes, where, how exactly, and what is measured."""

from __future__ import annotations

from dataclasses import dataclass

KERNELS = (3, 5)
STRIDES = (1, 2)
DILATIONS = (1, 2)

# Largest difference from a float64 computation, relative to the largest value of that result.
TOLERANCE = 1e-5

# (batch, channels, side): the stages of image networks of a size that searches train.
BENCH_SIZES = ((64, 16, 32), (64, 32, 16), (64, 64, 8), (64, 16, 8))
# (kernel, stride, dilation)
BENCH_FILTERS = ((3, 1, 1), (5, 1, 1), (3, 1, 2), (5, 1, 2), (3, 2, 1), (5, 2, 1))


@dataclass(frozen=True)
class Filter:
    """Kernel side, stride and dilation, the same in both directions."""

    kernel: int
    stride: int
    dilation: int

    @property
    def padding(self) -> int:
        """Zeros on each side, so that the output has ``ceil(side / stride)`` rows and columns."""
        return self.dilation * (self.kernel - 1) // 2

    @property
    def supported(self) -> bool:
        """Whether the CPU kernel computes it."""
        return self.kernel in KERNELS and self.stride in STRIDES and self.dilation in DILATIONS

    def output(self, side: int) -> int:
        """Rows (or columns) of the output for ``side`` rows of the input."""
        return (side - 1) // self.stride + 1
