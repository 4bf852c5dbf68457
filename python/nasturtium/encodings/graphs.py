"""Graphs as arrays of one shape, ready for graph networks, and counts of their operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nasturtium import _core
from nasturtium.spaces import Space


@dataclass(frozen=True)
class Label:
    """A label that nodes and edges can have: its text, and its kind as `Graph` declares it."""

    text: str
    kind: str


def graph_labels(space: Space) -> tuple[Label, ...]:
    """The labels of a space's nodes and edges, in the order of their numbers.

    Raises `SpaceError` where the space has no graph, or more than 32,767 labels.
    """
    return tuple(Label(text, kind) for text, kind in _core.labels(space.program))


@dataclass(frozen=True)
class GraphBatch:
    """Graphs of V vertices each.

    Attributes:
        adjacency: [n, V, V], 1 for an edge from the vertex of the row to that of the column.
        nodes: int16[n, V], number of the vertex's label plus 1; 0 where it is absent.
        edges: int16[n, V, V], the same of the edges; all 0 in the view of operations.
        mask: bool[n, V], which vertices are present.
    """

    adjacency: NDArray[Any]
    nodes: NDArray[np.int16]
    edges: NDArray[np.int16]
    mask: NDArray[np.bool_]


class GraphArrays:
    """Padded adjacency, labels and masks of a space's graphs.

    Two views. `nodes`: a vertex for each declared node, and labels on edges. `operations`: the
    first vertex is the input, the last the output, and between them, in a topological order, stand
    the nodes and edges that can carry an operation, so that graph networks that read labels of
    nodes take spaces with labels on edges too; nodes and edges that are always an identity are
    passed through.

    Args:
        space: with a graph.
        view: `"operations"` or `"nodes"`.
        pruned: leave out what lies on no path from input to output.

    Raises:
        SpaceError: the space has no graph, or too many labels.

    Example:
        >>> from nasturtium.encodings import GraphArrays, graph_labels
        >>> from nasturtium.spaces import nb201
        >>> space = nb201()
        >>> batch = GraphArrays(space)(space.sample(5, seed=1))
        >>> batch.adjacency.shape, batch.nodes.shape
        ((5, 8, 8), (5, 8))
        >>> [label.text for label in graph_labels(space)][:3]
        ['sum', 'none', 'skip_connect']
    """

    def __init__(
        self,
        space: Space,
        *,
        view: Literal["operations", "nodes"] = "operations",
        pruned: bool = True,
    ) -> None:
        self.space = space
        self._arrays = _core.GraphArrays(space.program, view == "operations", pruned)

    @property
    def vertices(self) -> int:
        """V, the number of vertices of every graph."""
        return self._arrays.vertices

    @property
    def names(self) -> tuple[str, ...]:
        """What each vertex is in the declaration: `node`, or `source->target` for an edge."""
        graph = self.space.graph
        assert graph is not None
        names = [node.name for node in graph.nodes]
        names += [f"{edge.src}->{edge.dst}" for edge in graph.edges]
        return tuple(names[part] for part in self._arrays.parts())

    def __call__(
        self,
        codes: NDArray[np.uint8],
        *,
        out: GraphBatch | None = None,
        threads: int = 1,
    ) -> GraphBatch:
        """The graphs of the codes; adjacency is float32, or as in `out` float32 or uint8."""
        codes = self.space.checked(codes)
        n, v = len(codes), self.vertices
        if out is None:
            out = GraphBatch(
                np.empty((n, v, v), np.float32),
                np.empty((n, v), np.int16),
                np.empty((n, v, v), np.int16),
                np.empty((n, v), np.bool_),
            )
        self._arrays.fill(codes, out.adjacency, out.nodes, out.edges, out.mask, threads)
        return out


def operation_counts(
    space: Space,
    codes: NDArray[np.uint8],
    *,
    pruned: bool = True,
    out: NDArray[np.int32] | None = None,
    threads: int = 1,
) -> NDArray[np.int32]:
    """How often each of `graph_labels` occurs in the graphs, int32[n, labels].

    Input, output, and nodes and edges that are always an identity do not count; with `pruned`, nor
    does what lies on no path from input to output. Raises `SpaceError` where the space has no
    graph.
    """
    codes = space.checked(codes)
    if out is None:
        out = np.empty((len(codes), len(graph_labels(space))), np.int32)
    _core.GraphArrays(space.program, True, pruned).counts(codes, out, threads)
    return out
