"""What the aggregated kernel computes, where, how exactly, and what is measured.

Weights are float32 ``[O, I, k]`` or ``[O, I, k, k]``, k odd, the same O, I and dimensions for all;
they are read in place where contiguous and copied otherwise. The kernel is contiguous ``[O, I, S]``
or ``[O, I, S, S]``, S odd. Images are as torch's convolutions take them, channels-last ones in
place. On a GPU torch aggregates: there is no kernel for it.
"""

from __future__ import annotations

from collections.abc import Sequence

# Of a searched convolution on images, if nothing else is asked for.
KERNELS = (3, 5, 7, 9)
DILATIONS = (1, 3, 7, 15)

# Kernels of one call; more run in plain torch.
MOST_KERNELS = 64

# Largest error against float64 over the largest value: so many times plain torch's own error on the
# same tensors, or so many times the spacing of floats at 1, whichever is more.
TIMES_EAGER = 4.0
EPSILONS = 16
# The same of the convolution, whose sums over large kernels are torch's own.
CONVOLUTION_EPSILONS = 64

# Candidates that are timed, dense and depthwise, and (batch, channels, side).
BENCH_KERNELS, BENCH_DILATIONS = (3, 5, 7), (1, 2)
BENCH_SIZES = ((64, 16, 32), (16, 16, 32), (64, 64, 8))

# By dimensions, the side from which the Fourier transform was measured to be quicker on a CPU.
FOURIER_SIDES = {1: 41, 2: 15}


def extent(kernel: int, dilation: int) -> int:
    """Side of the square that the taps of a dilated kernel lie in."""
    return dilation * (kernel - 1) + 1


def side(kernels: Sequence[int], dilations: Sequence[int], image: Sequence[int]) -> int:
    """Side of the sum of kernels, without taps that meet no pixel of an image of this size."""
    largest = max(map(extent, kernels, dilations))
    return min(largest, 2 * max(image) - 1)


def by_fourier(side: int, dims: int) -> bool:
    """Whether a kernel of this side is applied by way of the Fourier transform."""
    return side >= FOURIER_SIDES[dims]
