"""Selected paths in plain torch: the definition that the operator must agree with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..mixed_op import reference
from ..mixed_op.spec import Edge
from ..statistics import Running
from .spec import chosen


def path_select(
    x: Tensor,
    index: Tensor,
    gates: Tensor,
    weights: Sequence[Tensor],
    edge: Edge,
    running: Running | None,
    *,
    training: bool,
    momentum: float,
    epsilon: float,
) -> Tensor:
    """``sum over p of gates[p] candidate[index[p]](x)``; nothing of the others is touched."""
    paths = chosen(edge, index.tolist(), x.shape[1])
    return reference.mixed_operation(
        x,
        gates,
        [weights[place] for place in paths.weights],
        paths.edge,
        statistics_of(running, paths.norms),
        training=training,
        momentum=momentum,
        epsilon=epsilon,
    )


def statistics_of(running: Running | None, norms: Sequence[int]) -> Running | None:
    """Those of some normalizations, not copied."""
    if running is None:
        return None
    return Running([running.means[i] for i in norms], [running.variances[i] for i in norms])
