"""What the searched cell computes, where, how exactly, and what is measured.

Images are ``[N, C, H, W]``, float32, of any size; channels-last ones are read in place and others
are copied, as are those whose channels are no multiple of eight. The output and the gradient of x
are channels-last. Weights are contiguous ``[C, C, 1, 1]`` and ``[C, C, 3, 3]``.
"""

from __future__ import annotations

# Of every edge, in the order of alpha's columns.
CANDIDATES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
MOST_NODES = 8

# Largest error against float64 over the largest value: so many times plain torch's own error on the
# same tensors, or so many times the spacing of floats at 1, whichever is more.
TIMES_EAGER = 4.0
EPSILONS = 16

# Bytes kept for the backward pass over those that plain torch keeps, x and parameters left out.
MOST_KEPT = 0.25


def pairs(nodes: int) -> list[tuple[int, int]]:
    """(source, target) of each edge, in the order of alpha's rows."""
    return [(source, target) for target in range(1, nodes) for source in range(target)]


def padded_channels(channels: int) -> int:
    """Channels of an image inside the kernel."""
    return (channels + 7) // 8 * 8
