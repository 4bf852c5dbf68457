"""What the sum of normalized branches computes, where, how exactly, and what is measured.

Branches are ``[N, C, H, W]``, float32, all of one shape; channels-last ones are read in place and
others are copied. Any number of channels and pixels; one pixel alone has no variance. Outputs and
gradients are channels-last.
"""

from __future__ import annotations

# Branches of one call; more run in plain torch.
MOST_BRANCHES = 32

# Largest error against float64 over the largest value: so many times plain torch's own error on the
# same tensors, or so many times the spacing of floats at 1, whichever is more.
TIMES_EAGER = 4.0
EPSILONS = 16

# (batch, channels, side), with eight branches.
BENCH_SIZES = ((64, 16, 32), (16, 16, 32), (64, 32, 16), (64, 64, 8))
