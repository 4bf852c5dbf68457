"""What a bank of separable convolutions computes, where, how exactly, and what is measured.

Images are ``[N, C, H, W]``, float32, of any size; channels-last ones are read in place and others
are copied. Inside, an image has its channels rounded up to a multiple of eight. Outputs and
gradients of images are channels-last. Weights are ``[C, 1, k, k]`` and ``[C, C, 1, 1]``.
"""

from __future__ import annotations

from dataclasses import dataclass

KERNELS = (3, 5)
DILATIONS = (1, 2)
STRIDES = (1, 2)
# Filters of one call; more run in plain torch.
MOST_FILTERS = 16

# Largest error against float64 over the largest value: so many times plain torch's own error on the
# same tensors, or so many times the spacing of floats at 1, whichever is more.
TIMES_EAGER = 4.0
EPSILONS = 16

# (batch, channels, side), with the four first filters of a DARTS edge.
BENCH_SIZES = ((64, 16, 32), (16, 16, 32), (64, 32, 16), (64, 64, 8))


@dataclass(frozen=True)
class Bank:
    """Sides and dilations of the filters, and the stride of all of them."""

    kernels: tuple[int, ...]
    dilations: tuple[int, ...]
    stride: int = 1

    @property
    def supported(self) -> bool:
        """Whether the CPU kernel computes it."""
        return (
            all(k in KERNELS for k in self.kernels)
            and all(d in DILATIONS for d in self.dilations)
            and self.stride in STRIDES
            and len(self.kernels) <= MOST_FILTERS
        )

    def output(self, side: int) -> int:
        """Rows (or columns) of the outputs for ``side`` rows of the input."""
        return (side - 1) // self.stride + 1
