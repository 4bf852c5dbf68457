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
        """Whether the kernels compute it."""
        return self.kernel in KERNELS and self.stride in STRIDES and self.dilation in DILATIONS

    def output(self, side: int) -> int:
        """Rows (or columns) of the output for ``side`` rows of the input."""
        return (side - 1) // self.stride + 1

    def slower(self, *, pixels: int, channels_last: bool, gradient: bool) -> str:
        """Why torch on a CPU was measured to be as fast on such images; empty where it is not."""
        easy = self.kernel == 3 and self.dilation == 1
        if not gradient:
            return "torch's forward pass alone is as fast"
        if channels_last and easy:
            return "torch is as fast for kernel 3 on channels-last images"
        if easy and self.stride == 2 and pixels <= 64:
            return "torch is as fast for kernel 3 and stride 2 on images of up to 64 pixels"
        return ""
