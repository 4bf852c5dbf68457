"""What mixed operations refuse, and what only plain torch computes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..statistics import Running
from .spec import MOST_EDGES, Edge


def unsupported(
    xs: Sequence[Tensor], others: Sequence[Tensor], edges: Sequence[Edge], training: bool
) -> str:
    """Why no kernel can compute the sum of these edges; empty if one can."""
    x, edge = xs[0], edges[0]
    if any(t.dtype != x.dtype or t.device != x.device for t in (*xs, *others)):
        return "input, alpha and weights differ in dtype or device"
    if len(xs) > MOST_EDGES:
        return f"there are more than {MOST_EDGES} edges"
    if x.numel() == 0:
        return "the batch is empty"
    if training and x.shape[0] * edge.output(x.shape[2]) * edge.output(x.shape[3]) == 1:
        return "one pixel has no variance"
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        return "autocast is on"
    return ""


def check(
    xs: Sequence[Tensor],
    alphas: Sequence[Tensor],
    weights: Sequence[Sequence[Tensor]],
    edges: Sequence[Edge],
    running: Running | None,
    training: bool,
) -> None:
    """Raise ``ValueError`` where the arguments of ``node_sum`` do not fit together."""
    if not xs or not len(xs) == len(alphas) == len(weights) == len(edges):
        raise ValueError("need an input, alphas, weights and a stride for each edge")
    sizes = set()
    for x, alpha, own, edge in zip(xs, alphas, weights, edges, strict=True):
        check_edge(x, own, edge)
        count = len(edge.candidates)
        if alpha.shape not in ((count,), (x.shape[0], count)):
            raise ValueError(
                f"need {count} alphas, or as many for each image, not {tuple(alpha.shape)}"
            )
        sizes.add((*x.shape[:2], *map(edge.output, x.shape[2:])))
    if len(sizes) > 1:
        raise ValueError(f"edges of one node have one output size, not {sorted(sizes)}")
    check_statistics(running, edges, training)


def check_edge(x: Tensor, weights: Sequence[Tensor], edge: Edge) -> None:
    """Raise ``ValueError`` where x is no image or the weights are not those of the edge."""
    if x.dim() != 4:
        raise ValueError(f"need x [N, C, H, W], not {tuple(x.shape)}")
    wanted = edge.shapes(x.shape[1])
    if [tuple(w.shape) for w in weights] != wanted:
        raise ValueError(f"need weights {wanted}, not {[tuple(w.shape) for w in weights]}")


def check_statistics(running: Running | None, edges: Sequence[Edge], training: bool) -> None:
    """Raise ``ValueError`` where running statistics are missing, or those of other edges."""
    norms = sum(edge.norms for edge in edges)
    if running is not None and not len(running.means) == len(running.variances) == norms:
        raise ValueError(f"need {norms} running means and variances")
    if not training and running is None and norms:
        raise ValueError("running statistics are needed when not training")
