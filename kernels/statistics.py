"""Statistics of normalizations as ``torch.nn.BatchNorm2d`` keeps them, for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Running", "stacked", "update"]


class Running(NamedTuple):
    """Running means and variances, one pair of ``[C]`` tensors for each normalization."""

    means: Sequence[Tensor]
    variances: Sequence[Tensor]


# Functions and not methods: a compiled caller may build the pair itself, and could not call those.
def stacked(running: Running) -> tuple[Tensor, Tensor]:
    """Both as ``[normalizations, C]``."""
    return torch.stack(list(running.means)), torch.stack(list(running.variances))


def update(
    running: Running, mean: Tensor, variance: Tensor, momentum: float, elements: int
) -> None:
    """Move towards the statistics of a batch, in place.

    Args:
        running: what is moved.
        mean: ``[normalizations, C]``.
        variance: the biased variances, of the same shape; the unbiased ones are kept.
        momentum: weight of the batch.
        elements: values of one channel in the batch, more than one.
    """
    with torch.no_grad():
        unbiased = variance * (elements / (elements - 1))
        torch._foreach_lerp_(list(running.means), list(mean.unbind()), momentum)
        torch._foreach_lerp_(list(running.variances), list(unbiased.unbind()), momentum)
