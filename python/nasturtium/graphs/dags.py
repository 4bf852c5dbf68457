"""One graph of each isomorphism class of a family of directed acyclic graphs, generated in order.

Orderly generation (McKay, Isomorph-free exhaustive generation, Journal of Algorithms, 1998): every
graph grows, by one sink, from the one graph that it is without its canonical sink. So each class
comes once, without a list of what was there, and the work can be cut into branches that need
nothing of each other: to share out over threads or machines, and to go on from.

Spaces whose graphs are such a family count and list their classes with it (`spaces.orderly`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium import _core
from nasturtium.errors import SpaceError
from nasturtium.graphs.batch import GraphBatch
from nasturtium.shards import next_part

__all__ = ["DagClasses", "DagFamily"]

_ANY = (1 << 32) - 1


@dataclass(frozen=True)
class DagFamily:
    """Which directed acyclic graphs are wanted.

    Args:
        vertices: how many at most, 1 to 16; with `terminals` these two count, and it is 2 to 16.
        least: how many at least; None for as many as at most.
        labels: vertices carry 0 to `labels - 1`.
        edge_labels: edges carry 0 to `edge_labels - 1`, at most 256 of them.
        edges: at most so many; None for any number, as for the next two.
        entering: edges at most that enter one vertex.
        leaving: edges at most that leave one vertex.
        terminals: there is an input and an output, labeled `labels` and `labels + 1`, and every
            vertex lies on a path from one to the other.
    """

    vertices: int
    least: int | None = None
    labels: int = 1
    edge_labels: int = 1
    edges: int | None = None
    entering: int | None = None
    leaving: int | None = None
    terminals: bool = False


class DagClasses:
    """The classes of a family, each as one graph, numbered from 0.

    Vertices stand in a topological order, with terminals the input first and the output last. The
    numbering depends on the family only: neither on threads nor on the machine.

    Args:
        family: which graphs.
        threads: for the calls of this object; no result depends on it.

    Raises:
        SpaceError: the family's numbers are out of range.

    Example:
        >>> from nasturtium.graphs import DagClasses, DagFamily
        >>> [len(DagClasses(DagFamily(n))) for n in (1, 2, 3, 4, 5)]
        [1, 2, 6, 31, 302]
        >>> cells = DagClasses(DagFamily(6, least=2, labels=3, edges=9, terminals=True))
        >>> len(cells), len(cells.sample(100, seed=1))
        (64542, 100)
    """

    def __init__(self, family: DagFamily, *, threads: int = 1) -> None:
        self.family, self.threads = family, threads
        least = family.vertices if family.least is None else family.least
        limits = (family.edges, family.entering, family.leaving)
        numbers = [
            least,
            family.vertices,
            family.labels,
            family.edge_labels,
            *(_ANY if limit is None else limit for limit in limits),
        ]
        if not all(0 <= number <= _ANY for number in numbers):
            raise SpaceError("the numbers of a family are not negative, and below 2^32")
        self._made = _core.DagClasses(numbers, family.terminals)

    @property
    def branches(self) -> int:
        """How many pieces the search has; each holds any number of classes."""
        return self._made.branches

    @cached_property
    def counts(self) -> NDArray[np.uint64]:
        """The number of classes in each branch, uint64[branches]; searched once."""
        return self._made.count(0, self.branches, self.threads)

    @cached_property
    def _total(self) -> int:
        return sum(self.counts.tolist())

    def __len__(self) -> int:
        return self._total

    def all(self) -> GraphBatch:
        """All classes in their order."""
        return GraphBatch(*self._made.list(0, self.branches, self.threads))

    def part(
        self, start: int | None = None, *, shard: tuple[int, int] = (0, 1), most: int = 16
    ) -> tuple[GraphBatch, int | None]:
        """The classes of the next `most` branches of a shard, and the branch to go on with.

        Shard `(i, n)` holds a range of the branches: shards share no class, hold all of them
        together, and come in the order of the numbers. `start` is what the call before returned,
        None for the first; it is None behind the last. Nothing is counted beforehand.
        """
        begin, end, following = next_part(self.branches, start, shard=shard, most=most)
        return GraphBatch(*self._made.list(begin, end, self.threads)), following

    def take(self, numbers: ArrayLike) -> GraphBatch:
        """The classes of these numbers, in this order; a number may come twice.

        Only the branches that hold them are searched again.

        Raises:
            SpaceError: a number is that of no class.
        """
        wanted = np.asarray(numbers)
        if wanted.ndim != 1 or (
            len(wanted) and (wanted.min() < 0 or wanted.dtype.kind not in "iu")
        ):
            raise SpaceError("numbers of classes are whole numbers from 0 on, int[n]")
        counts = self.counts.tolist()
        return GraphBatch(*self._made.take(counts, wanted.astype(np.uint64), self.threads))

    def sample(self, n: int, *, seed: int, stream: int = 0, start: int = 0) -> GraphBatch:
        """`n` graphs: each class is as likely as any other.

        Graph `i` is a function of `(seed, stream, start + i)`. Raises `SpaceError` where there is
        no class.
        """
        if n < 0:
            raise SpaceError(f"n = {n} is negative")
        numbers = np.empty(n, np.uint64)
        _core.draw_numbers(numbers, self._total, seed, stream, start, self.threads)
        return self.take(numbers)
