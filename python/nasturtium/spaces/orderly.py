"""Classes of cells under the convention `graph`, generated in order instead of filtered by key.

It serves spaces whose graph is a whole cell: every pair of nodes has an edge with a decision of its
own, some option of which is a zero; the inner nodes have one label, or decisions of their own with
equal options; edges into the output, out of the input and between inner nodes each have equal
options; nothing has a condition; and the constraints are `connected()`, `live_at_most` and, of
nodes, `live_at_least`, none of them of certain operations, and `at_least` so many zeros among all
edges. NAS-Bench-101 and NAS-Bench-201 are such spaces. All others, and all other conventions, are
filtered: `distinct.classes`. (What a cell computes is a function of its class, so that `Space.size`
filters whole cells by `function` among the classes instead of among the codes.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium import _core
from nasturtium.errors import SpaceError
from nasturtium.shards import next_part
from nasturtium.spaces.declare import Choice, Connected, Count, Graph, Label, Live, Option
from nasturtium.spaces.size import Declared, mentioned
from nasturtium.spaces.space import Codes, Space

__all__ = ["OrderlyClasses"]

_ANY = (1 << 32) - 1
_MOST_NODES = 16


@dataclass(frozen=True)
class _Cell:
    """A whole cell: which decision is what, and the family that its live graphs are."""

    nodes: int
    edges: dict[tuple[int, int], Choice]
    operations: tuple[Choice, ...]  # of the inner nodes, or none
    zero: tuple[str, ...]
    numbers: tuple[int, ...]  # what `_core.DagClasses` takes
    without_path: bool  # codes without a path are valid too: one class more

    def family(self) -> _core.DagClasses | None:
        """The search; None where no graph has as many nodes as it must."""
        return _core.DagClasses(self.numbers, True) if self.numbers[0] <= self.numbers[1] else None


def count(space: Declared, convention: str) -> int | None:
    """The number of classes under `graph` or `function` of a space that is a whole cell.

    None for other spaces.
    """
    if _cell(space) is None:
        return None
    found = OrderlyClasses(space)
    if convention == "graph":
        return len(found)
    program, known = _core.Program(space.text), _core.KeyMap()
    start: int | None = None
    while True:
        codes, start = found.part(start)
        keys = program.keys(codes, convention, None, 1)
        known.insert(keys, np.empty(len(codes), np.uint64), np.empty(len(codes), np.bool_))
        if start is None:
            return known.size


class OrderlyClasses:
    """One code for each class of a whole cell under the convention `graph`.

    The classes are numbered from 0; the numbering depends on the space only. A graph of fewer
    nodes than the cell has stands on the first ones and the output.

    Args:
        space: a whole cell (see the module's text) without other decisions.
        threads: for the calls of this object; no result depends on it.

    Raises:
        SpaceError: the space is no such cell.

    Example:
        >>> from nasturtium.spaces import OrderlyClasses, nb101_space, nb201
        >>> len(OrderlyClasses(nb201())), nb201().size("graph")
        (8765, 8765)
        >>> cells = OrderlyClasses(nb101_space(), threads=2)
        >>> codes = cells.sample(1000, seed=1)
        >>> len(cells), bool(nb101_space().valid(codes).all())
        (423624, True)
    """

    def __init__(self, space: Space | Declared, *, threads: int = 1) -> None:
        cell = _cell(Declared(space.name, space.decisions, space.graph, space.constraints))
        if cell is None:
            raise SpaceError(f"space {space.name!r} is not a whole cell: use classes() for it")
        self.space, self.threads, self._cell = space, threads, cell
        self._family = cell.family()
        branches = 0 if self._family is None else self._family.branches
        # The class without a path is a branch of its own, the first.
        self._first = int(cell.without_path)
        self.branches = branches + self._first
        self._counts: NDArray[np.uint64] | None = None

    @property
    def counts(self) -> NDArray[np.uint64]:
        """The number of classes in each branch, uint64[branches]; searched once."""
        if self._counts is None:
            own = np.ones(self._first, np.uint64)
            found = [own]
            if self._family is not None:
                found.append(self._family.count(0, self._family.branches, self.threads))
            self._counts = np.concatenate(found)
        return self._counts

    def __len__(self) -> int:
        return sum(self.counts.tolist())

    def all(self) -> Codes:
        """One code for each class, uint8[k, d], in the order of the numbers."""
        return self._listed(0, self.branches)

    def part(
        self, start: int | None = None, *, shard: tuple[int, int] = (0, 1), most: int = 16
    ) -> tuple[Codes, int | None]:
        """The codes of the next `most` branches of a shard, and the branch to go on with, or None.

        Shard `(i, n)` holds a range of the branches: shards share no class, hold all of them
        together, and come in the order of the numbers. Nothing is counted beforehand.
        """
        begin, end, following = next_part(self.branches, start, shard=shard, most=most)
        return self._listed(begin, end), following

    def take(self, numbers: NDArray[np.uint64]) -> Codes:
        """The codes of these classes, uint8[n, d]; only the branches that hold them are searched.

        Raises `SpaceError` for a number that is that of no class.
        """
        wanted = np.asarray(numbers, np.uint64)
        codes = np.tile(self._empty(), (len(wanted), 1))
        inside = wanted >= np.uint64(self._first)
        if self._family is not None:
            counts = self.counts[self._first :].tolist()
            below = wanted[inside] - np.uint64(self._first)
            codes[inside] = self._coded(self._family.take(counts, below, self.threads))
        elif inside.any():
            raise SpaceError("a number is that of no class")
        return codes

    def sample(self, n: int, *, seed: int, stream: int = 0, start: int = 0) -> Codes:
        """`n` codes, uint8[n, d]: each class is as likely as any other.

        Row `i` is a function of `(seed, stream, start + i)`. Raises `SpaceError` where there is no
        class.
        """
        if n < 0:
            raise SpaceError(f"n = {n} is negative")
        numbers = np.empty(n, np.uint64)
        _core.draw_numbers(numbers, len(self), seed, stream, start, self.threads)
        return self.take(numbers)

    def _listed(self, begin: int, end: int) -> Codes:
        codes = self._empty()[None][: int(begin < self._first <= end)]
        if self._family is None:
            return codes
        first, last = (max(0, branch - self._first) for branch in (begin, end))
        listed = self._coded(self._family.list(first, last, self.threads))
        return np.concatenate([codes, listed])

    def _empty(self) -> Codes:
        """The code without edges."""
        code = np.zeros(len(self.space.decisions), np.uint8)
        for choice in self._cell.edges.values():
            code[self._place(choice)] = _zeros(choice, self._cell.zero)[0]
        return code

    def _place(self, choice: Choice) -> int:
        return self.space.decisions.index(choice)

    def _coded(self, graphs: tuple[Any, ...]) -> Codes:
        """The codes of graphs as `_core` lists them, by their number of vertices."""
        offsets, rows, labels, marks = graphs
        sizes = np.diff(offsets)
        codes = np.tile(self._empty(), (len(sizes), 1))
        degrees = np.bitwise_count(rows[:, 0]).astype(np.int64)
        owner = np.repeat(np.repeat(np.arange(len(sizes)), sizes), degrees)
        for size in np.unique(sizes).tolist():
            chosen = np.flatnonzero(sizes == size)
            vertices = offsets[chosen, None] + np.arange(size)
            bits = (rows[vertices, 0][:, :, None] >> np.arange(size, dtype=np.uint64)) & np.uint64(
                1
            )
            there = bits.astype(np.bool_)
            which = np.zeros(there.shape, np.int64)
            if marks is not None:
                which[there] = marks[sizes[owner] == size]
            self._write(codes, chosen, there, which, labels[vertices].astype(np.int64))
        return codes

    def _write(
        self,
        codes: Codes,
        chosen: NDArray[np.int64],
        there: NDArray[np.bool_],
        which: NDArray[np.int64],
        labels: NDArray[np.int64],
    ) -> None:
        """Write graphs of one size, on the first nodes and the output, into the chosen rows."""
        size = there.shape[1]
        node = [*range(size - 1), self._cell.nodes - 1]
        for u in range(size):
            for v in range(u + 1, size):
                choice = self._cell.edges[node[u], node[v]]
                values = np.array(_others(choice, self._cell.zero), np.uint8)
                held = there[:, u, v]
                codes[chosen[held], self._place(choice)] = values[which[held, u, v]]
        if self._cell.operations:
            first = self._cell.operations[0]
            for v in range(1, size - 1):
                choice = self._cell.operations[v - 1]
                values = np.array([choice.index(option) for option in first.options], np.uint8)
                codes[chosen, self._place(choice)] = values[labels[:, v]]


def _cell(space: Declared) -> _Cell | None:
    """The space as a whole cell, or None where it is not one."""
    graph = space.graph
    if graph is None or not 2 <= len(graph.nodes) <= _MOST_NODES:
        return None
    if any(part.when for part in (*graph.parts, *space.decisions)):
        return None
    edges = _edges(graph)
    operations = _operations(graph)
    if edges is None or operations is None:
        return None
    used = [*edges.values(), *operations]
    names = {choice.name for choice in used}
    if len(names) < len(used) or names != {choice.name for choice in space.decisions}:
        return None
    if mentioned(graph) != names or any(node.label[0] in graph.zero for node in graph.nodes):
        return None
    limits = _limits(space, len(graph.nodes), edges)
    if limits is None:
        return None
    least, most, most_edges, without_path = limits
    labels = len(operations[0].options) if operations else 1
    marks = len(_others(next(iter(edges.values())), graph.zero))
    numbers = (least, most, labels, marks, most_edges, _ANY, _ANY)
    return _Cell(len(graph.nodes), edges, operations, graph.zero, numbers, without_path)


def _zeros(choice: Choice, zero: Sequence[str]) -> list[int]:
    return [i for i, option in enumerate(choice.options) if option in zero]


def _others(choice: Choice, zero: Sequence[str]) -> list[int]:
    return [i for i, option in enumerate(choice.options) if option not in zero]


def _edges(graph: Graph) -> dict[tuple[int, int], Choice] | None:
    """The decision on each pair of nodes, where these are all there and alike enough."""
    order = {node.name: i for i, node in enumerate(graph.nodes)}
    last = len(order) - 1
    found: dict[tuple[int, int], Choice] = {}
    kinds: dict[tuple[bool, bool], list[Option]] = {}
    for edge in graph.edges:
        pair, choice = (order[edge.src], order[edge.dst]), edge.label[0]
        if len(edge.label) != 1 or not isinstance(choice, Choice) or not _zeros(choice, graph.zero):
            return None
        options = [choice.options[i] for i in _others(choice, graph.zero)]
        if options != kinds.setdefault((pair[0] == 0, pair[1] == last), options):
            return None
        found[pair] = choice
    same = {len(options) for options in kinds.values()}
    whole = len(found) == (last + 1) * last // 2 and len(same) == 1 and same != {0}
    return found if whole else None


def _counts_zeros(
    constraint: Count, graph: Graph | None, edges: dict[tuple[int, int], Choice]
) -> bool:
    """Whether a constraint asks for so many edges that are not there, of all and in one way."""
    names = {choice.name for choice in edges.values()}
    return (
        graph is not None
        and constraint.kind == "at_least"
        and constraint.value in graph.zero
        and len(constraint.names) == len(names)
        and set(constraint.names) == names
        and all(len(_zeros(choice, graph.zero)) == 1 for choice in edges.values())
    )


def _operations(graph: Graph) -> tuple[Choice, ...] | None:
    """The decisions on the inner nodes, none where they have one label; None where neither."""
    ends = [graph.nodes[0].label, graph.nodes[-1].label]
    if any(isinstance(part, Choice) for label in ends for part in label):
        return None
    labels: list[Label] = [node.label for node in graph.nodes[1:-1]]
    if len(set(labels)) <= 1 and not any(isinstance(p, Choice) for label in labels for p in label):
        return ()
    found = []
    for label in labels:
        choice = label[0]
        if len(label) != 1 or not isinstance(choice, Choice) or _zeros(choice, graph.zero):
            return None
        found.append(choice)
    alike = {frozenset((type(o), o) for o in choice.options) for choice in found}
    return tuple(found) if len(alike) == 1 else None


def _limits(
    space: Declared, nodes: int, edges: dict[tuple[int, int], Choice]
) -> tuple[int, int, int, bool] | None:
    """Least and most vertices, most edges, whether codes without a path are valid too."""
    least, most, most_edges, without_path = 2, nodes, _ANY, True
    for constraint in space.constraints:
        if isinstance(constraint, Connected):
            without_path = False
        elif isinstance(constraint, Count) and _counts_zeros(constraint, space.graph, edges):
            # What is dead can be left out, so that it limits what lives.
            most_edges = min(most_edges, len(edges) - constraint.k)
        elif not isinstance(constraint, Live) or constraint.operations:
            return None
        elif constraint.kind == "live_at_most":
            most = min(most, constraint.k) if constraint.what == "nodes" else most
            most_edges = min(most_edges, constraint.k) if constraint.what == "edges" else most_edges
        elif constraint.what == "nodes":
            least = max(least, constraint.k)
            without_path = without_path and constraint.k == 0
        else:
            return None
    # With no edge allowed there is no path.
    return (least, most, most_edges, without_path) if most_edges else (2, 1, 0, without_path)
