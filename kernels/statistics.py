"""Statistics of normalizations as ``torch.nn.BatchNorm2d`` keeps them, for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Running", "count_batch", "running_of", "stacked", "update"]


class Running(NamedTuple):
    """Running means and variances, one pair of ``[C]`` tensors for each normalization."""

    means: Sequence[Tensor]
    variances: Sequence[Tensor]


def running_of(norms: Sequence[nn.BatchNorm2d]) -> Running:
    """What normalizations that track it keep; updates reach them."""
    means: list[Tensor] = []
    variances: list[Tensor] = []
    for norm in norms:
        assert norm.running_mean is not None and norm.running_var is not None
        means.append(norm.running_mean)
        variances.append(norm.running_var)
    return Running(means, variances)


def count_batch(norms: Sequence[nn.BatchNorm2d], used: Tensor | None = None) -> None:
    """Let normalizations know of one more batch: all, or those that ``used``, bool, names."""
    counts: list[Tensor] = []
    for norm in norms:
        assert norm.num_batches_tracked is not None
        counts.append(norm.num_batches_tracked)
    if used is None:
        torch._foreach_add_(counts, 1)
        return
    for count, own in zip(counts, used, strict=True):
        count.add_(own)


# Functions and not methods: a compiled caller may build the pair itself, and could not call those.
def stacked(running: Running) -> tuple[Tensor, Tensor]:
    """Both as ``[normalizations, C]``."""
    return torch.stack(list(running.means)), torch.stack(list(running.variances))


def update(
    running: Running,
    mean: Tensor,
    variance: Tensor,
    momentum: float,
    elements: int,
    used: Tensor | None = None,
) -> None:
    """Move towards the statistics of a batch, in place.

    Args:
        running: what is moved.
        mean: ``[normalizations, C]``.
        variance: the biased variances, of the same shape; the unbiased ones are kept.
        momentum: weight of the batch.
        elements: values of one channel in the batch, more than one.
        used: bool ``[normalizations]``, those that are moved; all if not given.
    """
    with torch.no_grad():
        unbiased = variance * (elements / (elements - 1))
        for kept, found in ((running.means, mean), (running.variances, unbiased)):
            if used is None:
                torch._foreach_lerp_(list(kept), list(found.unbind()), momentum)
                continue
            factors = (momentum * used).to(mean.device)
            for own, new, factor in zip(kept, found, factors, strict=True):
                own.lerp_(new, factor)
