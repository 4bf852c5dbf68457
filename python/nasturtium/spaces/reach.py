"""Which nodes of a graph are reached, while its decisions are made one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from nasturtium.spaces.declare import Choice, Graph, Option

__all__ = ["Reach", "Reached", "parts_of"]

# A vertex is the entrance of a node, 2 v, or its exit, 2 v + 1. A part is a link between two: a
# node from its entrance to its exit, an edge from an exit to an entrance.
Link: TypeAlias = tuple[int, int]
# The vertices that are reached, as bits, and the links, or paths of them, that are there but not
# reached yet.
Reached: TypeAlias = tuple[int, tuple[Link, ...]]
Terms: TypeAlias = list[tuple[str, tuple[Option, ...]]]


def parts_of(graph: Graph, decisions: Sequence[Choice]) -> list[tuple[Link, Terms]]:
    """The graph's parts that can be there, each with the terms under which it is."""
    options = {choice.name: choice.options for choice in decisions}
    order = {node.name: v for v, node in enumerate(graph.nodes)}
    links = [(2 * v, 2 * v + 1) for v in range(len(order))]
    links += [(2 * order[edge.src] + 1, 2 * order[edge.dst]) for edge in graph.edges]
    found = []
    for link, part in zip(links, graph.parts, strict=True):
        head, terms = part.label[0], list(part.when)
        if isinstance(head, Choice):
            terms.append((head.name, tuple(o for o in options[head.name] if o not in graph.zero)))
        elif head in graph.zero:
            continue
        found.append((link, terms))
    return found


class Reach:
    """The states of reachability behind each decision, without what cannot matter any more.

    Args:
        graph: whose input and output these are.
        parts: of `parts_of`; those without terms are there from the start.
        last: for each part with terms, the last decision that it depends on.
    """

    def __init__(
        self, graph: Graph, parts: Sequence[tuple[Link, Terms]], last: Sequence[int]
    ) -> None:
        self._output = 2 * len(graph.nodes) - 1
        self._links = [link for link, terms in parts if terms]
        self._last = last
        self._always = [link for link, terms in parts if not terms]
        self.start = self._settled(-1, self._with((1, ()), self._always))

    def done(self, state: Reached) -> bool:
        """Whether the output is reached."""
        return bool(state[0] >> self._output & 1)

    def after(self, i: int, state: Reached, there: Sequence[int]) -> Reached:
        """The state behind decision i, with which these parts turned out to be there."""
        if self.done(state):
            return state
        return self._settled(i, self._with(state, [self._links[part] for part in there]))

    def _with(self, state: Reached, links: Iterable[Link]) -> Reached:
        reached, pending = state
        waiting = {*pending, *links}
        while True:
            now = {(a, b) for a, b in waiting if reached >> a & 1}
            if not now:
                return reached, tuple(sorted(waiting))
            waiting -= now
            for _, b in now:
                reached |= 1 << b

    def _settled(self, i: int, state: Reached) -> Reached:
        """What matters behind decision i: which vertices that links may leave later are reached.

        And from which vertices that links may enter later these are reached, in one step or more.
        """
        reached, pending = state
        if self.done(state):
            return 1 << self._output, ()
        later = [link for link, last in zip(self._links, self._last, strict=True) if last > i]
        entered, left = {b for _, b in later}, {a for a, _ in later}
        wanted = {b for b in (*left, self._output) if not reached >> b & 1}
        # Links lead to greater vertices.
        ahead: dict[int, set[int]] = {}
        for a, b in sorted(pending, reverse=True):
            ahead.setdefault(a, set()).update((b, *ahead.get(b, ())))
        kept = [(a, b) for a in sorted(entered) for b in sorted(ahead.get(a, ())) if b in wanted]
        return reached & sum(1 << a for a in left), tuple(kept)
