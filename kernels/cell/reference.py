"""The searched cell in plain torch: the definition that the kernel must agree with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, relu

from ..statistics import Running
from .spec import pairs


def searched_cell(
    x: Tensor,
    alpha: Tensor,
    weights: Sequence[Tensor],
    nodes: int,
    running: Running | None,
    *,
    training: bool,
    momentum: float,
    epsilon: float,
) -> Tensor:
    """Each node the sum over earlier ones, and over candidates, of alpha times the candidate."""

    def norm(z: Tensor, number: int) -> Tensor:
        mean = running.means[number] if running else None
        variance = running.variances[number] if running else None
        return batch_norm(z, mean, variance, training=training, momentum=momentum, eps=epsilon)

    values = [x]
    edges = pairs(nodes)
    for target in range(1, nodes):
        total: Tensor | None = None
        for number, (source, of) in enumerate(edges):
            if of != target:
                continue
            value, own = values[source], alpha[number]
            active = relu(value)
            terms = (
                own[1] * value,
                own[2] * norm(conv2d(active, weights[number]), 2 * number),
                own[3]
                * norm(conv2d(active, weights[len(edges) + number], padding=1), 2 * number + 1),
                own[4] * avg_pool2d(value, 3, 1, 1, count_include_pad=False),
            )
            for term in terms:
                total = term if total is None else total + term
        assert total is not None
        values.append(total)
    return values[-1]
