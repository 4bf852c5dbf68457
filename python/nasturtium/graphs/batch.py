"""The one form in which graphs that grow travel: a ragged batch of numpy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium import _core
from nasturtium.errors import SpaceError

__all__ = ["MAX_VERTICES", "Arrays", "GraphBatch"]

MAX_VERTICES = 4096

Words: TypeAlias = NDArray[np.uint64]
Offsets: TypeAlias = NDArray[np.int64]
Arrays: TypeAlias = tuple[Offsets, Words, Words, Words | None]


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """`n` directed graphs with numbers on their vertices and, where wanted, on their edges.

    Graph `g` has the vertices `offsets[g]` to `offsets[g + 1]` of the batch, 0 to 4,096 of them. An
    undirected graph holds each edge in both directions. Labels are any 64-bit numbers, such as
    operations' numbers or hashes of several attributes.

    Args:
        offsets: int64[n + 1], ascending from 0 to the number `N` of vertices.
        rows: uint64[N, W], the adjacency matrices: bit `w % 64` of `rows[v, w // 64]` is the edge
            from vertex `v` of the batch to vertex `w` of its graph. `W` is 1 up to 64 vertices, and
            serves the largest graph of the batch.
        labels: uint64[N].
        edge_labels: uint64[E] in the order of the bits, or None where all are 0.

    Raises:
        SpaceError: an array has another type or shape, offsets that do not fit, or bits behind a
            graph's last vertex.

    Example:
        >>> from nasturtium.graphs import GraphBatch, canonical_keys
        >>> diamond = [(0, 1), (0, 2), (1, 3), (2, 3)]
        >>> batch = GraphBatch.from_edges([[0, 5, 6, 1], [0, 6, 5, 1]], [diamond, diamond])
        >>> keys = canonical_keys(batch)
        >>> bool((keys[0] == keys[1]).all()), batch.sizes.tolist()
        (True, [4, 4])
    """

    offsets: Offsets
    rows: Words
    labels: Words
    edge_labels: Words | None = None

    def __post_init__(self) -> None:
        _check("offsets", self.offsets, np.int64, 1)
        _check("rows", self.rows, np.uint64, 2)
        _check("labels", self.labels, np.uint64, 1)
        if self.edge_labels is not None:
            _check("edge_labels", self.edge_labels, np.uint64, 1)
        _core.graph_check(self.arrays, False, 1)

    @classmethod
    def from_edges(
        cls,
        labels: Sequence[ArrayLike],
        edges: Sequence[ArrayLike],
        edge_labels: Sequence[ArrayLike] | None = None,
        *,
        undirected: bool = False,
    ) -> GraphBatch:
        """A batch from lists of edges.

        Args:
            labels: for each graph its vertices' labels.
            edges: for each graph its edges, [m, 2] of source and destination, in any order.
            edge_labels: for each graph its edges' labels, [m].
            undirected: every edge stands for both directions and is given once.

        Raises:
            SpaceError: an edge that names no vertex, or comes twice.
        """
        if {len(labels)} != {len(edges), len(labels if edge_labels is None else edge_labels)}:
            raise SpaceError("there is one list of labels, of edges and of edge labels for a graph")
        nodes = [np.asarray(part, np.uint64).reshape(-1) for part in labels]
        sizes = np.array([len(part) for part in nodes], np.int64)
        offsets = _offsets(sizes)
        pairs = [np.asarray(part, np.int64).reshape(-1, 2) for part in edges]
        counts = np.array([len(part) for part in pairs], np.int64)
        ends = np.concatenate([*pairs, np.empty((0, 2), np.int64)])
        marks = None
        if edge_labels is not None:
            marks = np.concatenate(
                [*(np.asarray(part, np.uint64).reshape(-1) for part in edge_labels),
                 np.empty(0, np.uint64)]
            )  # fmt: skip
            if len(marks) != len(ends):
                raise SpaceError(f"there are {len(ends)} edges and {len(marks)} edge labels")
        owner = np.repeat(np.arange(len(sizes)), counts)
        wrong = ((ends < 0) | (ends >= sizes[owner, None])).any(axis=1)
        if wrong.any():
            at = int(wrong.argmax())
            raise SpaceError(
                f"row {owner[at]}: the edge {tuple(ends[at].tolist())} names a vertex that the "
                f"graph of {sizes[owner[at]]} vertices lacks"
            )
        source, sink = offsets[owner] + ends[:, 0], ends[:, 1]
        if undirected:
            loops = ends[:, 0] == ends[:, 1]
            source = np.concatenate([source, (offsets[owner] + ends[:, 1])[~loops]])
            sink = np.concatenate([sink, ends[~loops, 0]])
            owner = np.concatenate([owner, owner[~loops]])
            marks = None if marks is None else np.concatenate([marks, marks[~loops]])
        order = np.lexsort((sink, source))
        source, sink, owner = source[order], sink[order], owner[order]
        twice = (source[1:] == source[:-1]) & (sink[1:] == sink[:-1])
        if twice.any():
            raise SpaceError(f"row {owner[int(twice.argmax())]}: an edge comes twice")
        rows = np.zeros((int(offsets[-1]), _words(sizes)), np.uint64)
        bits = np.uint64(1) << (sink % 64).astype(np.uint64)
        np.bitwise_or.at(rows, (source, sink // 64), bits)
        all_nodes = np.concatenate([*nodes, np.empty(0, np.uint64)])
        return cls(offsets, rows, all_nodes, None if marks is None else marks[order])

    @classmethod
    def from_dense(cls, matrices: ArrayLike, labels: ArrayLike) -> GraphBatch:
        """A batch of graphs of one size.

        Args:
            matrices: [n, v, v], not 0 at [g, a, b] where graph `g` has an edge from `a` to `b`; the
                numbers are the edges' labels where they are not all 0 and 1.
            labels: [n, v].
        """
        dense = np.asarray(matrices)
        if dense.ndim != 3 or dense.shape[1] != dense.shape[2]:
            raise SpaceError(f"matrices are [n, v, v], not {list(dense.shape)}")
        n, v = dense.shape[:2]
        nodes = np.array(labels, np.uint64)
        if nodes.shape != (n, v):
            raise SpaceError(f"labels are [{n}, {v}], not {list(nodes.shape)}")
        there = dense != 0
        packed = np.packbits(there.reshape(n * v, v), axis=1, bitorder="little")
        padded = np.zeros((n * v, 8 * _words(np.array([v]))), np.uint8)
        padded[:, : packed.shape[1]] = packed
        rows = padded.view("<u8").astype(np.uint64)
        found = dense[there]
        marks = None if (found == 1).all() else found.astype(np.uint64)
        offsets = np.arange(n + 1, dtype=np.int64) * v
        return cls(offsets, rows, nodes.reshape(-1), marks)

    @property
    def arrays(self) -> Arrays:
        """The four arrays."""
        return self.offsets, self.rows, self.labels, self.edge_labels

    @property
    def sizes(self) -> Offsets:
        """Vertices of each graph, int64[n]."""
        return np.diff(self.offsets)

    @cached_property
    def edge_offsets(self) -> Offsets:
        """Where each graph's edges begin among all, int64[n + 1]; counted once."""
        degrees = np.bitwise_count(self.rows).sum(axis=1, dtype=np.int64)
        return _offsets(degrees)[self.offsets]

    @property
    def edge_counts(self) -> Offsets:
        """Edges of each graph, int64[n]."""
        return np.diff(self.edge_offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[GraphBatch]:
        return (self.take([i]) for i in range(len(self)))

    def __repr__(self) -> str:
        return f"GraphBatch({len(self)} graphs, {len(self.labels)} vertices)"

    def edges(self, graph: int) -> tuple[Offsets, Words]:
        """One graph's edges, int64[m, 2] in the order of the bits, and their labels, uint64[m]."""
        dense = self.dense(graph)
        pairs = np.argwhere(dense).astype(np.int64)
        if self.edge_labels is None:
            return pairs, np.zeros(len(pairs), np.uint64)
        before = int(self.edge_offsets[graph % len(self)])
        return pairs, self.edge_labels[before : before + len(pairs)].copy()

    def dense(self, graph: int) -> NDArray[np.bool_]:
        """One graph's adjacency matrix, bool[v, v]."""
        begin, end = self._span(graph)
        rows = self.rows[begin:end]
        bits = rows.astype("<u8").view(np.uint8).reshape(end - begin, 8 * rows.shape[1])
        return np.unpackbits(bits, axis=1, bitorder="little")[:, : end - begin].astype(np.bool_)

    def labels_of(self, graph: int) -> Words:
        """One graph's labels, uint64[v]."""
        begin, end = self._span(graph)
        return self.labels[begin:end].copy()

    def take(self, graphs: ArrayLike) -> GraphBatch:
        """The graphs of these numbers, in this order; a number may come twice."""
        chosen = np.asarray(graphs, np.int64).reshape(-1)
        if ((chosen < -len(self)) | (chosen >= len(self))).any():
            raise SpaceError(f"a number is none of {len(self)} graphs")
        chosen = chosen % max(len(self), 1)
        nodes = _spans(self.offsets[chosen], self.sizes[chosen])
        marks = self.edge_labels
        if marks is not None:
            marks = marks[_spans(self.edge_offsets[chosen], self.edge_counts[chosen])]
        rows = np.ascontiguousarray(self.rows[nodes, : _words(self.sizes[chosen])])
        return GraphBatch(_offsets(self.sizes[chosen]), rows, self.labels[nodes], marks)

    @staticmethod
    def concatenate(batches: Iterable[GraphBatch]) -> GraphBatch:
        """The graphs of several batches, one after the other."""
        parts = list(batches)
        sizes = np.concatenate([*(p.sizes for p in parts), np.empty(0, np.int64)])
        words = _words(sizes)
        rows = np.zeros((int(sizes.sum()), words), np.uint64)
        begin = 0
        for part in parts:
            width = min(words, part.rows.shape[1])
            rows[begin : begin + len(part.rows), :width] = part.rows[:, :width]
            begin += len(part.rows)
        marks = None
        if any(p.edge_labels is not None for p in parts):
            marks = np.concatenate(
                [np.zeros(int(p.edge_counts.sum()), np.uint64) if p.edge_labels is None
                 else p.edge_labels for p in parts]
            )  # fmt: skip
        labels = np.concatenate([*(p.labels for p in parts), np.empty(0, np.uint64)])
        return GraphBatch(_offsets(sizes), rows, labels, marks)

    def _span(self, graph: int) -> tuple[int, int]:
        if not -len(self) <= graph < len(self):
            raise SpaceError(f"{graph} is none of {len(self)} graphs")
        graph %= len(self)
        return int(self.offsets[graph]), int(self.offsets[graph + 1])


def _check(name: str, array: NDArray[Any], dtype: type, axes: int) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != axes:
        raise SpaceError(f"{name} is an array of {dtype.__name__} with {axes} axes")
    if not array.flags.c_contiguous:
        raise SpaceError(f"{name} must be contiguous")


def _offsets(sizes: Offsets) -> Offsets:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])


def _words(sizes: Offsets) -> int:
    return max(1, (int(sizes.max(initial=0)) + 63) // 64)


def _spans(begins: Offsets, lengths: Offsets) -> Offsets:
    """The numbers from each begin on, as many as its length, one span after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    out: Offsets = np.arange(total) + np.repeat(begins - (ends - lengths), lengths)
    return out
