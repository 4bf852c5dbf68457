"""Hierarchical genotypes: graphs whose edges carry smaller graphs, and their re-labeling.

Reference: Liu, Simonyan, Vinyals, Fernando and Kavukcuoglu, Hierarchical Representations for
Efficient Architecture Search, ICLR 2018.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasturtium import _core
from nasturtium.errors import SpaceError
from nasturtium.graphs.batch import GraphBatch

__all__ = ["LIU_2018", "Hierarchy"]

Codes: TypeAlias = NDArray[np.uint8]
_MOST_STEPS = (1 << 32) - 1


@dataclass(frozen=True)
class Hierarchy:
    """Motifs of motifs of primitive operations.

    A motif is a graph of a few nodes; its first node is its input, its last its output, a node
    merges what enters. An edge carries an operation, 0 for none: on the lowest level a primitive,
    numbered from 1, on every other one a motif of the level below. The last level has one motif,
    the cell. A motif's occurrences do not share weights, but a change of it is one in all of them.

    A code, uint8[d], holds one operation for each pair of nodes: level by level from the lowest,
    motif by motif, and in a motif the edge from node `j` to node `i > j` at `i * (i - 1) / 2 + j`.

    Args:
        primitives: 1 to 255 names.
        levels: for each level its number of motifs, 1 to 255, and their number of nodes, 2 to 64.
        identity: the primitive that passes on what enters.

    Raises:
        SpaceError: these numbers are exceeded, the last level has more than one motif, a code would
            have more than 4,096 bytes, or the identity is no primitive.

    Example:
        >>> from nasturtium.graphs import LIU_2018
        >>> LIU_2018.width, LIU_2018.size() == 7 ** (6 * 6 + 10)
        (46, True)
        >>> codes = LIU_2018.initial(200, seed=1)
        >>> children = LIU_2018.mutate(codes, seed=2)
        >>> graphs = LIU_2018.flatten(children)
        >>> int((codes != children).sum(axis=1).max())
        1
    """

    primitives: tuple[str, ...]
    levels: tuple[tuple[int, int], ...]
    identity: str = "identity"

    def __post_init__(self) -> None:
        if self.identity not in self.primitives or len(set(self.primitives)) < len(self.primitives):
            raise SpaceError("primitives differ, and the identity is one of them")
        if any(min(level) < 0 for level in self.levels):
            raise SpaceError("numbers of motifs and nodes are not negative")
        _core.hierarchy_width(*self._numbers)

    @property
    def _numbers(self) -> tuple[int, int, tuple[tuple[int, int], ...]]:
        return len(self.primitives), self.primitives.index(self.identity) + 1, self.levels

    @property
    def width(self) -> int:
        """The bytes of a code."""
        return _core.hierarchy_width(*self._numbers)

    def operations(self, level: int) -> int:
        """How many operations an edge of a level can carry besides none; levels count from 0."""
        return len(self.primitives) if level == 0 else self.levels[level - 1][0]

    def size(self) -> int:
        """Number of codes: `(K + 1)^(n (n - 1) / 2)` a motif of `n` nodes and `K` operations."""
        return math.prod(
            (self.operations(i) + 1) ** (motifs * nodes * (nodes - 1) // 2)
            for i, (motifs, nodes) in enumerate(self.levels)
        )

    def column(self, level: int, motif: int, source: int, target: int) -> int:
        """Where a code holds the edge from node `source` to node `target`; all count from 0.

        Raises:
            SpaceError: there is no such edge.
        """
        sizes = [motifs * nodes * (nodes - 1) // 2 for motifs, nodes in self.levels]
        if 0 <= level < len(sizes):
            motifs, nodes = self.levels[level]
            if 0 <= motif < motifs and 0 <= source < target < nodes:
                at = target * (target - 1) // 2 + source
                return sum(sizes[:level]) + motif * nodes * (nodes - 1) // 2 + at
        raise SpaceError(f"no edge {source} -> {target} in motif {motif} of level {level}")

    def trivial(self, n: int = 1) -> Codes:
        """`n` equal codes, uint8[n, d], that pass on their input.

        Every motif is a chain of identities, or of the first motif of the level below.
        """
        if n < 0:
            raise SpaceError(f"n = {n} is negative")
        out = np.empty((n, self.width), np.uint8)
        _core.hierarchy_trivial(*self._numbers, out)
        return out

    def initial(
        self,
        n: int,
        *,
        seed: int,
        mutations: int = 1000,
        stream: int = 0,
        start: int = 0,
        threads: int = 1,
    ) -> Codes:
        """A diverse population, uint8[n, d]: trivial codes, each mutated so many times.

        Row `i` is a function of `(seed, stream, start + i)`.
        """
        return self.mutate(
            self.trivial(n), seed=seed, steps=mutations, stream=stream, start=start, threads=threads
        )

    def mutate(
        self,
        codes: Codes,
        *,
        seed: int,
        steps: int = 1,
        distinct: bool = False,
        stream: int = 0,
        start: int = 0,
        threads: int = 1,
        out: Codes | None = None,
    ) -> Codes:
        """Re-label `steps` edges of each code, one after the other, uint8[n, d].

        A level, a motif of it, a node but the first, a node before it, and the operation of the
        edge between them, each uniform: an edge is added, removed, altered, or, unless `distinct`,
        stays as it is. Row `i` is a function of `(seed, stream, start + i)` and of its code. `out`
        may be `codes`.

        Raises:
            SpaceError: a row is no code; its number is said.
        """
        codes = self._checked(codes)
        if not 0 <= steps <= _MOST_STEPS:
            raise SpaceError(f"steps = {steps} is not between 0 and 2^32 - 1")
        out = np.empty_like(codes) if out is None else out
        _core.hierarchy_relabel(
            *self._numbers, codes, out, steps, distinct, seed, stream, start, threads
        )
        return out

    def flatten(self, codes: Codes, *, threads: int = 1) -> GraphBatch:
        """The graphs that the cells are, with primitives only on their edges.

        An edge that carries a motif becomes the motif: from the edge's tail to a vertex of its own,
        the motif's last node, and from there an edge labeled 0, which passes on, to the head. Other
        edges are labeled with their primitive's number. The input is labeled 1, the output 2, other
        vertices 0; edges go to later vertices. What lies on no path is kept: `graphs.prune`.

        Raises:
            SpaceError: a row is no code, or its graph has more than 4,096 vertices.
        """
        return GraphBatch(*_core.hierarchy_flatten(*self._numbers, self._checked(codes), threads))

    def _checked(self, codes: Codes) -> Codes:
        array = np.asarray(codes)
        if array.dtype != np.uint8 or array.ndim != 2 or array.shape[1] != self.width:
            raise SpaceError(
                f"codes are uint8[n, {self.width}], not {array.dtype}{list(array.shape)}"
            )
        return np.ascontiguousarray(array)


# The paper's: six motifs of four nodes, a cell of five.
LIU_2018 = Hierarchy(
    (
        "conv_1x1",
        "depthwise_conv_3x3",
        "separable_conv_3x3",
        "max_pool_3x3",
        "avg_pool_3x3",
        "identity",
    ),
    ((6, 4), (1, 5)),
)
