"""Which graphs are the same but for the order of their vertices, and their symmetries."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium import _core
from nasturtium.errors import SpaceError
from nasturtium.graphs.batch import GraphBatch

__all__ = [
    "automorphism_counts",
    "canonical_forms",
    "canonical_keys",
    "canonical_orders",
    "prune",
    "reorder",
]

BUDGET = 100_000


def canonical_keys(
    batch: GraphBatch,
    *,
    directed: bool = True,
    budget: int = BUDGET,
    threads: int = 1,
    out: NDArray[np.uint64] | None = None,
) -> NDArray[np.uint64]:
    """128 bits of each graph's exact canonical form, uint64[n, 2].

    Equal for isomorphic graphs, labels of vertices and edges included, and different for all others
    but for a collision of MurmurHash3_x64_128. A graph has one key in every batch, version and on
    every platform; edges without labels count as labeled 0. `nasturtium.keymap.KeyMap` takes them.
    By color refinement, individualization, and pruning with the automorphisms that are found:
    McKay and Piperno, Practical graph isomorphism, II, Journal of Symbolic Computation, 2014.

    Args:
        batch: the graphs.
        directed: False for undirected graphs; then each edge must be there in both directions.
        budget: search nodes that a graph may take; nearly all take one.
        threads: the result does not depend on it.
        out: uint64[n, 2] that is written to.

    Raises:
        GraphBudget: a graph takes more search nodes; its number is said.
        SpaceError: `directed` is False and a graph is not symmetric.
    """
    out = np.empty((len(batch), 2), np.uint64) if out is None else out
    _core.graph_keys(batch.arrays, out, directed, _checked(budget), threads)
    return out


def canonical_orders(
    batch: GraphBatch,
    *,
    directed: bool = True,
    budget: int = BUDGET,
    threads: int = 1,
    out: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """The vertex of its graph at each place of the canonical form, int64[N].

    Two graphs are isomorphic exactly when they are the same once reordered so. Arguments and errors
    are those of `canonical_keys`.
    """
    out = np.empty(len(batch.labels), np.int64) if out is None else out
    _core.graph_orders(batch.arrays, out, directed, _checked(budget), threads)
    return out


def canonical_forms(
    batch: GraphBatch, *, directed: bool = True, budget: int = BUDGET, threads: int = 1
) -> GraphBatch:
    """The graphs with their vertices in the canonical order: equal exactly where isomorphic.

    Arguments and errors are those of `canonical_keys`.
    """
    order = canonical_orders(batch, directed=directed, budget=budget, threads=threads)
    return reorder(batch, order, threads=threads)


def reorder(batch: GraphBatch, order: NDArray[np.int64], *, threads: int = 1) -> GraphBatch:
    """The graphs with their vertices in another order.

    Args:
        batch: the graphs.
        order: int64[N], for each graph a permutation of its vertices from 0 on: place `i` takes
            vertex `order[i]`.
        threads: the result does not depend on it.
    """
    return GraphBatch(*_core.graph_reorder(batch.arrays, order, threads))


def automorphism_counts(
    batch: GraphBatch, *, directed: bool = True, budget: int = BUDGET, threads: int = 1
) -> list[int]:
    """In how many ways each graph's vertices can be permuted so that it stays the same; exact.

    The product of the orbits along the search's path, by the orbit-stabilizer theorem. Arguments
    and errors are those of `canonical_keys`.
    """
    counts, factors = _core.graph_automorphisms(batch.arrays, directed, _checked(budget), threads)
    ends = np.cumsum(counts).tolist()
    numbers = factors.tolist()
    return [
        math.prod(numbers[end - count : end])
        for end, count in zip(ends, counts.tolist(), strict=True)
    ]


def prune(
    batch: GraphBatch, *, source: ArrayLike = 0, sink: ArrayLike = -1, threads: int = 1
) -> GraphBatch:
    """The graphs without vertices that lie on no path from the source to the sink.

    The others keep their order, and the source and the sink always stay.

    Args:
        batch: the graphs, each of one vertex or more.
        source: the vertex of each graph where paths begin, one number or int[n]; a number below 0
            counts from the end.
        sink: the vertex where they end, likewise.
        threads: the result does not depend on it.
    """
    sources, sinks = (
        np.array(np.broadcast_to(np.asarray(part, np.int64), len(batch))) for part in (source, sink)
    )
    return GraphBatch(*_core.graph_prune(batch.arrays, sources, sinks, threads))


def _checked(budget: int) -> int:
    if budget < 1:
        raise SpaceError(f"the budget is at least 1 search node, not {budget}")
    return budget
