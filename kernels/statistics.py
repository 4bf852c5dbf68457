"""Statistics of normalizations as ``torch.nn.BatchNorm2d`` keeps them, for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Running"]


class Running(NamedTuple):
    """Running means and variances, one pair of ``[C]`` tensors for each normalization."""

    means: Sequence[Tensor]
    variances: Sequence[Tensor]

    def stacked(self) -> tuple[Tensor, Tensor]:
        """Both as ``[normalizations, C]``."""
        return torch.stack(list(self.means)), torch.stack(list(self.variances))

    @torch.no_grad()
    def update(self, mean: Tensor, variance: Tensor, momentum: float, elements: int) -> None:
        """Move towards the statistics of a batch, in place.

        Args:
            mean: ``[normalizations, C]``.
            variance: the biased variances, of the same shape; the unbiased ones are kept.
            momentum: weight of the batch.
            elements: values of one channel in the batch, more than one.
        """
        unbiased = variance * (elements / (elements - 1))
        torch._foreach_lerp_(list(self.means), list(mean.unbind()), momentum)
        torch._foreach_lerp_(list(self.variances), list(unbiased.unbind()), momentum)
