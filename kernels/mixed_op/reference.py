"""The mixed operation in plain torch: the definition that the kernel must agree with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, max_pool2d, pad, relu

from ..separable.reference import separable
from ..statistics import Running
from .spec import Edge

Norm = Callable[[Tensor], Tensor]


def _reduced(x: Tensor, weights: Iterator[Tensor]) -> Tensor:
    """Every second pixel, and every second one from one further down and right, side by side."""
    v = relu(x)
    shifted = pad(v, (0, 1, 0, 1))[:, :, 1::2, 1::2]
    # The stride is not the convolution's: see FactorizedReduce.
    return torch.cat([conv2d(v[:, :, ::2, ::2], next(weights)), conv2d(shifted, next(weights))], 1)


def candidate(
    name: str, x: Tensor, weights: Iterator[Tensor], stride: int, norm: Norm
) -> Tensor | None:
    """The output of one candidate; None for the one that is zero."""
    if name == "none":
        return None
    if name == "max_pool_3x3":
        return norm(max_pool2d(x, 3, stride, 1))
    if name == "avg_pool_3x3":
        return norm(avg_pool2d(x, 3, stride, 1, count_include_pad=False))
    if name == "skip_connect":
        return x if stride == 1 else norm(_reduced(x, weights))
    if name.startswith("dil"):
        return norm(separable(x, next(weights), next(weights), stride, 2))
    middle = norm(separable(x, next(weights), next(weights), stride, 1))
    return norm(separable(middle, next(weights), next(weights), 1, 1))


def weights_of(alpha: Tensor) -> list[Tensor]:
    """One factor for each candidate from alpha ``[K]`` or ``[N, K]``, made to meet images."""
    return list(alpha.unbind() if alpha.dim() == 1 else alpha[..., None, None, None].unbind(1))


def mixed_operation(
    x: Tensor,
    alpha: Tensor,
    weights: Sequence[Tensor],
    edge: Edge,
    running: Running | None,
    *,
    training: bool,
    momentum: float,
    epsilon: float,
) -> Tensor:
    """``sum over k of alpha[k] candidate[k](x)``, each with ``batch_norm`` where it normalizes."""
    rest = iter(weights)
    number = 0

    def norm(z: Tensor) -> Tensor:
        nonlocal number
        mean = running.means[number] if running else None
        variance = running.variances[number] if running else None
        number += 1
        return batch_norm(z, mean, variance, training=training, momentum=momentum, eps=epsilon)

    shape = (*x.shape[:2], edge.output(x.shape[2]), edge.output(x.shape[3]))
    total: Tensor | None = None
    for name, weight in zip(edge.candidates, weights_of(alpha), strict=True):
        value = candidate(name, x, rest, edge.stride, norm)
        if value is not None:
            total = weight * value if total is None else total + weight * value
    return x.new_zeros(shape) + 0 * alpha.sum() if total is None else total


def node_sum(
    xs: Sequence[Tensor],
    alphas: Sequence[Tensor],
    weights: Sequence[Sequence[Tensor]],
    edges: Sequence[Edge],
    running: Running | None,
    *,
    training: bool,
    momentum: float,
    epsilon: float,
) -> Tensor:
    """The sum of the mixed operations of all edges; ``running`` has those of all edges in turn."""
    total: Tensor | None = None
    first = 0
    for x, alpha, own, edge in zip(xs, alphas, weights, edges, strict=True):
        part = slice(first, first := first + edge.norms)
        kept = running and Running(running.means[part], running.variances[part])
        term = mixed_operation(
            x, alpha, own, edge, kept, training=training, momentum=momentum, epsilon=epsilon
        )
        total = term if total is None else total + term
    assert total is not None
    return total
