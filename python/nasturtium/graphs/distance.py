"""How many edits lie between two graphs: exact for small ones, bounds for large ones."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from nasturtium import _core
from nasturtium.errors import SpaceError
from nasturtium.graphs.batch import GraphBatch
from nasturtium.graphs.canonical import BUDGET

__all__ = ["EditCosts", "edit_bounds", "edit_distances"]


@dataclass(frozen=True)
class EditCosts:
    """What one edit costs, finite and not negative.

    Args:
        vertex: a vertex is inserted or deleted.
        vertex_label: a vertex gets another label.
        edge: an edge is inserted or deleted; those of a deleted vertex are deleted first.
        edge_label: an edge gets another label.
    """

    vertex: float = 1.0
    vertex_label: float = 1.0
    edge: float = 1.0
    edge_label: float = 1.0


def edit_distances(
    a: GraphBatch,
    b: GraphBatch,
    *,
    costs: EditCosts | None = None,
    budget: int = BUDGET,
    threads: int = 1,
    out: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """The least cost of edits that make graph `i` of `a` isomorphic to `i` of `b`, float64[n].

    Exact, by branch and bound: d(a, b) = min over injective partial maps of the costs of what is
    not mapped and of the labels that differ. For directed graphs; in an undirected one an edge is
    two, so halve the costs of edges. A metric where costs are above 0 and
    `vertex_label <= 2 * vertex`.

    Args:
        a: n graphs of at most 64 vertices; ten or so are quick.
        b: n graphs.
        costs: of the edits, all 1 where not given.
        budget: search nodes that a pair may take.
        threads: the result does not depend on it.
        out: float64[n] that is written to.

    Raises:
        GraphBudget: a pair takes more search nodes; its number is said.
        SpaceError: a graph is too large, or the batches differ in length.
    """
    _same(a, b)
    if budget < 1:
        raise SpaceError(f"the budget is at least 1 search node, not {budget}")
    out = np.empty(len(a)) if out is None else out
    _core.graph_edit_distances(a.arrays, b.arrays, out, _tuple(costs), budget, threads)
    return out


def edit_bounds(
    a: GraphBatch, b: GraphBatch, *, costs: EditCosts | None = None, threads: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A lower and an upper bound of `edit_distances`, float64[n] each, by one assignment.

    Each vertex is assigned with half of what the labels of its edges must cost, which no map can
    undercut; what the assignment costs as a whole is the upper bound. Cubic in the vertices, of
    which there are at most 1,024.

    Reference: Riesen and Bunke, Approximate graph edit distance computation by means of bipartite
    graph matching, Image and Vision Computing, 2009; they count edges in full, so that only their
    upper bound is one.

    Raises:
        SpaceError: a graph is too large, or the batches differ in length.
    """
    _same(a, b)
    lower, upper = np.empty(len(a)), np.empty(len(a))
    _core.graph_edit_bounds(a.arrays, b.arrays, lower, upper, _tuple(costs), threads)
    return lower, upper


def _same(a: GraphBatch, b: GraphBatch) -> None:
    if len(a) != len(b):
        raise SpaceError(f"the batches have {len(a)} and {len(b)} graphs")


def _tuple(costs: EditCosts | None) -> tuple[float, float, float, float]:
    vertex, vertex_label, edge, edge_label = astuple(costs or EditCosts())
    return vertex, vertex_label, edge, edge_label
