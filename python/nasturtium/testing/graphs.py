"""Graphs to try a canonical form with: symmetric ones that are hard, and ones that users have."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nasturtium.graphs import GraphBatch, reorder

__all__ = ["darts_cells", "edge_swapped", "hard_graphs", "random_dags", "shuffled"]

Pairs = list[tuple[int, int]]


def _branches(n: int = 62) -> tuple[int, Pairs]:
    """An input, `n` parallel equal branches, an output."""
    pairs = [(0, v) for v in range(1, n + 1)] + [(v, n + 1) for v in range(1, n + 1)]
    return n + 2, pairs


def _chains(count: int = 20, length: int = 3) -> tuple[int, Pairs]:
    return count * length, [
        (length * c + i, length * c + i + 1) for c in range(count) for i in range(length - 1)
    ]


def _diamonds(count: int = 16) -> tuple[int, Pairs]:
    own = ((0, 1), (0, 2), (1, 3), (2, 3))
    return 4 * count, [(4 * c + s, 4 * c + d) for c in range(count) for s, d in own]


def _both(n: int, pairs: Pairs) -> tuple[int, Pairs]:
    return n, [*pairs, *((b, a) for a, b in pairs)]


def _paley(q: int = 61) -> tuple[int, Pairs]:
    """Joined where the difference is a square modulo the prime q, 1 modulo 4."""
    pairs = itertools.combinations(range(q), 2)
    return _both(q, [(a, b) for a, b in pairs if pow(b - a, (q - 1) // 2, q) == 1])


def _rook() -> tuple[int, Pairs]:
    """Squares of a 4 by 4 board that a rook's move joins: strongly regular (16, 6, 2, 2)."""
    pairs = itertools.combinations(range(16), 2)
    return _both(16, [(a, b) for a, b in pairs if a // 4 == b // 4 or a % 4 == b % 4])


def _shrikhande() -> tuple[int, Pairs]:
    """The other strongly regular graph (16, 6, 2, 2): a Cayley graph of Z4 x Z4."""
    steps = ((1, 0), (0, 1), (1, 1))
    pairs = [(4 * x + y, 4 * ((x + a) % 4) + (y + b) % 4)
             for x in range(4) for y in range(4) for a, b in steps]  # fmt: skip
    return _both(16, pairs)


def _hadamard(order: int = 16) -> tuple[int, Pairs]:
    """Rows and columns of Sylvester's Hadamard matrix, each with both signs: 4 `order` vertices."""
    sign = [[(i & j).bit_count() & 1 for j in range(order)] for i in range(order)]
    pairs = [
        (2 * i + s, 2 * order + 2 * j + (s ^ sign[i][j]))
        for i in range(order) for j in range(order) for s in (0, 1)
    ]  # fmt: skip
    return _both(4 * order, pairs)


def _plane(q: int = 5) -> tuple[int, Pairs]:
    """Points and lines of the projective plane over the integers modulo the prime q."""
    points = [(1, y, z) for y in range(q) for z in range(q)]
    points += [(0, 1, z) for z in range(q)] + [(0, 0, 1)]
    n = len(points)
    pairs = [(i, n + j) for i, p in enumerate(points) for j, line in enumerate(points)
             if sum(a * b for a, b in zip(p, line, strict=True)) % q == 0]  # fmt: skip
    return _both(2 * n, pairs)


def _twisted(twist: bool = False) -> tuple[int, Pairs]:
    """Cai, Fürer and Immerman's graph over the complete graph of 4, one edge twisted or none.

    A vertex of it becomes two ends for each of its three edges and a middle for each even set of
    these; an edge joins like ends, a twisted one unlike ends.
    """
    ends: dict[tuple[int, int, int], int] = {}
    for v, w, side in itertools.product(range(4), range(4), (0, 1)):
        if v != w:
            ends[v, w, side] = len(ends)
    n, pairs = len(ends), []
    for v in range(4):
        others = [w for w in range(4) if w != v]
        for sides in itertools.product((0, 1), repeat=3):
            if sum(sides) % 2 == 0:
                pairs += [(n, ends[v, w, s]) for w, s in zip(others, sides, strict=True)]
                n += 1
    for v, w in itertools.combinations(range(4), 2):
        flip = int(twist and (v, w) == (0, 1))
        pairs += [(ends[v, w, s], ends[w, v, s ^ flip]) for s in (0, 1)]
    return _both(n, pairs)


def _cube(d: int = 6) -> tuple[int, Pairs]:
    return _both(
        1 << d, [(v, v ^ 1 << i) for v in range(1 << d) for i in range(d) if not v >> i & 1]
    )


_HARD: dict[str, Callable[[], tuple[int, Pairs]]] = {
    "62 branches": _branches,
    "64 isolated": lambda: (64, []),
    "20 chains": _chains,
    "16 diamonds": _diamonds,
    "Paley 61": _paley,
    "rook 4x4": _rook,
    "Shrikhande": _shrikhande,
    "Hadamard 16": _hadamard,
    "PG(2,5)": _plane,
    "CFI(K4)": _twisted,
    "CFI(K4) twisted": lambda: _twisted(twist=True),
    "hypercube 6": _cube,
}


def hard_graphs() -> dict[str, GraphBatch]:
    """Symmetric graphs of up to 64 vertices by name, unlabeled, each a batch of one."""
    made = {name: make() for name, make in _HARD.items()}
    return {name: GraphBatch.from_edges([[0] * n], [pairs]) for name, (n, pairs) in made.items()}


def shuffled(batch: GraphBatch, *, seed: int) -> GraphBatch:
    """The graphs with their vertices in a random order each."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(batch)), batch.sizes)
    moved = np.lexsort((rng.random(len(owner)), owner))
    return reorder(batch, moved - batch.offsets[owner])


def random_dags(count: int, vertices: int, *, degree: float, labels: int, seed: int) -> GraphBatch:
    """Acyclic graphs with each edge from an earlier to a later vertex as likely as the others.

    Args:
        count: graphs.
        vertices: of each.
        degree: of a vertex on average, edges in and out; `degree / 2` edges a vertex.
        labels: vertices carry one of so many, evenly.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    chance = min(1.0, degree / max(vertices - 1, 1))
    upper = np.triu(np.ones((vertices, vertices), np.bool_), 1)
    dense = (rng.random((count, vertices, vertices)) < chance) & upper
    return GraphBatch.from_dense(dense, rng.integers(0, labels, (count, vertices)))


def darts_cells(count: int, *, operations: int = 7, seed: int) -> GraphBatch:
    """Random cells of DARTS with operations as vertices, 15 of them.

    Two inputs, four sums of two operations each on different earlier states, an output of all four
    sums. Labels: 0 and 1 the inputs, 2 a sum, 3 the output, from 4 on the operations.
    """
    rng = np.random.default_rng(seed)
    dense = np.zeros((count, 15, 15), np.bool_)
    labels: NDArray[np.int64] = np.full((count, 15), 2)
    labels[:, 0], labels[:, 1], labels[:, 14] = 0, 1, 3
    states = np.array([0, 1, 4, 7, 10, 13])
    rows = np.arange(count)
    for i in range(4):
        own = states[2 + i]
        before = rng.random((count, 2 + i)).argsort(axis=1)[:, :2]
        for k in range(2):
            operation = own - 2 + k
            dense[rows, states[before[:, k]], operation] = True
            dense[:, operation, own] = True
            labels[:, operation] = 4 + rng.integers(0, operations, count)
        dense[:, own, 14] = True
    return GraphBatch.from_dense(dense, labels)


def edge_swapped(
    dense: NDArray[np.bool_], rng: np.random.Generator, tries: int = 50
) -> NDArray[np.bool_] | None:
    """The matrix with two edges a -> b, c -> d made a -> d, c -> b: all degrees stay.

    None where no swap was found that makes neither a loop nor an edge that is there.
    """
    pairs = np.argwhere(dense)
    for _ in range(tries if len(pairs) > 1 else 0):
        (a, b), (c, d) = pairs[rng.choice(len(pairs), 2, replace=False)]
        if a != d and c != b and not dense[a, d] and not dense[c, b]:
            swapped = dense.copy()
            swapped[[a, c], [b, d]] = False
            swapped[[a, c], [d, b]] = True
            return swapped
    return None
