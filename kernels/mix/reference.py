"""The sum of normalized branches in plain torch: the definition that the kernel must agree with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import batch_norm

from ..statistics import Running


def normalize_and_mix(
    branches: Sequence[Tensor],
    alpha: Tensor,
    normalized: Sequence[bool],
    running: Running | None,
    *,
    training: bool,
    momentum: float,
    epsilon: float,
) -> Tensor:
    """``sum over k of alpha[k] batch_norm(branch[k])``, without the norm where ``normalized`` says.

    ``running`` has a pair for each normalized branch, in their order.
    """
    terms: list[Tensor] = []
    norm = 0
    for branch, weight, flag in zip(branches, alpha, normalized, strict=True):
        value = branch
        if flag:
            mean = running.means[norm] if running else None
            variance = running.variances[norm] if running else None
            value = batch_norm(
                branch, mean, variance, training=training, momentum=momentum, eps=epsilon
            )
            norm += 1
        terms.append(weight * value)
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
