"""Slow, plainly written second implementations of the encodings and distances of graphs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import space_twin as twin
from scipy.optimize import linprog

from nasturtium.spaces import Choice, Graph, Space
from nasturtium.spaces.declare import option_text

Vertex = Any  # "input", "output", a node's name, or the two names of an edge


def text_of(label: tuple[Any, ...]) -> str:
    return ",".join("-" if part is None else option_text(part) for part in label)


def constant(parts: Any) -> bool:
    return not any(isinstance(part, Choice) for part in parts)


def silent(space: Space, parts: Any) -> bool:
    assert space.graph is not None
    return constant(parts) and parts[0] in space.graph.identity


def drawn(space: Space, code: list[int]) -> tuple[dict[str, Any], dict[tuple[str, str], Any]]:
    """`twin.live` without the pruning."""
    graph = space.graph
    assert graph is not None
    on, value = twin.situation(space, code)

    def label(part: Any) -> Any:
        found = twin.label(part.label, on, value)
        there = found is not None and found[0] not in graph.zero
        return found if there and twin.holds(part.when, on, value) else None

    nodes = {n.name: label(n) for n in graph.nodes if label(n)}
    edges = {(e.src, e.dst): label(e) for e in graph.edges if label(e)}
    return nodes, {e: op for e, op in edges.items() if e[0] in nodes and e[1] in nodes}


class Operations:
    """The operation graph: labels of vertices, and how often one's value enters another."""

    def __init__(
        self, space: Space, code: list[int], *, contract: bool = True, pruned: bool = True
    ) -> None:
        graph = space.graph
        assert graph is not None
        self.graph = graph
        self.nodes, self.edges = (twin.live if pruned else drawn)(space, code)
        declared_nodes = {n.name: n.label for n in graph.nodes}
        declared_edges = {(e.src, e.dst): e.label for e in graph.edges}
        self.first, self.last = graph.nodes[0].name, graph.nodes[-1].name

        def passes(label: Any, declared: Any) -> bool:
            return label[0] in graph.identity and (contract or constant(declared))

        self.passing: set[Vertex] = {
            v for v, op in self.nodes.items() if passes(op, declared_nodes[v])
        }
        self.passing |= {e for e, op in self.edges.items() if passes(op, declared_edges[e])}
        ends = {"input": self.first, "output": self.last}
        self.labels: dict[Vertex, Any] = {
            name: self.nodes[node] if self.nodes[node][0] not in graph.identity else None
            for name, node in ends.items()
        }
        inner = {v: op for v, op in self.nodes.items() if v not in (self.first, self.last)}
        for vertex, op in [*inner.items(), *self.edges.items()]:
            if vertex not in self.passing:
                self.labels[vertex] = op
        self.arcs: Counter[tuple[Vertex, Vertex]] = Counter()
        for vertex in self.labels:
            if vertex == "input":
                continue
            if isinstance(vertex, tuple):
                entering = self.value(vertex[0])
            else:
                entering = self.entering(self.last if vertex == "output" else vertex)
            for source, times in entering.items():
                self.arcs[source, vertex] += times

    def entering(self, node: str) -> Counter[Vertex]:
        found: Counter[Vertex] = Counter()
        for edge in self.edges:
            if edge[1] == node:
                found += self.value(edge[0]) if edge in self.passing else Counter([edge])
        return found

    def value(self, node: str) -> Counter[Vertex]:
        if node == self.first:
            return Counter(["input"])
        return self.entering(node) if node in self.passing else Counter([node])

    def name(self, vertex: Vertex) -> str:
        label = self.labels[vertex]
        if vertex in ("input", "output"):
            return vertex if label is None else f"{vertex}:{text_of(label)}"
        return text_of(label)

    def kind(self, vertex: Vertex) -> str:
        head = self.labels[vertex][0]
        for kind in ("weightless", "concat"):
            if head in getattr(self.graph, kind):
                return kind
        return "identity" if head in self.graph.identity else "weighted"

    def around(self, vertex: Vertex) -> tuple[Counter[Vertex], Counter[Vertex]]:
        entering: Counter[Vertex] = Counter()
        leaving: Counter[Vertex] = Counter()
        for (s, d), times in self.arcs.items():
            if d == vertex:
                entering[s] += times
            if s == vertex:
                leaving[d] += times
        return entering, leaving

    def color(self, vertex: Vertex, rounds: int) -> Any:
        if rounds == 0:
            return (vertex in ("input", "output") and vertex, self.labels[vertex])
        sides = [
            tuple(sorted(repr(self.color(v, rounds - 1)) for v in side.elements()))
            for side in self.around(vertex)
        ]
        return (self.color(vertex, rounds - 1), *sides)

    def motif(self, vertex: Vertex, rounds: int) -> str:
        parts = []
        for word, side in zip(("from", "to"), self.around(vertex), strict=True):
            texts = Counter(self.motif(v, rounds - 1) for v in side.elements()) if rounds else {}
            terms = [f"{n} {t}" if n > 1 else t for t, n in sorted(texts.items())]
            parts += [f"{word} {' + '.join(terms)}"] if terms else []
        return self.name(vertex) + (f"({'; '.join(parts)})" if parts else "")

    def histogram(self, rounds: int) -> Counter[Any]:
        return Counter((r, repr(self.color(v, r))) for r in range(rounds + 1) for v in self.labels)

    def motifs(self, rounds: int) -> Counter[Any]:
        return Counter((r, self.motif(v, r)) for r in range(rounds + 1) for v in self.labels)

    def paths(self, start: Vertex, *, forward: bool) -> Iterator[tuple[float, list[Vertex]]]:
        """All ways from a vertex to an end, each with its probability in a random walk."""
        side = self.around(start)[1 if forward else 0]
        if not side:
            yield 1.0, [start]
        for vertex, times in side.items():
            for chance, rest in self.paths(vertex, forward=forward):
                yield chance * times / side.total(), [start, *rest]


def possible(parts: Any) -> list[tuple[Any, ...]]:
    """The labels that a part can have; None stands for an inactive decision."""
    decisions = list(dict.fromkeys(p for p in parts if isinstance(p, Choice)))
    found = []
    for values in itertools.product(*([*d.options, None] for d in decisions)):
        chosen = dict(zip(decisions, values, strict=True))
        label = tuple(chosen[p] if isinstance(p, Choice) else p for p in parts)
        if label[0] is not None:
            found.append(label)
    return found


def declared_paths(graph: Graph) -> Iterator[list[Any]]:
    """Every path of the declared graph as the parts between input and output."""
    first, last = graph.nodes[0].name, graph.nodes[-1].name
    nodes = {n.name: n for n in graph.nodes}

    def go(at: str, parts: list[Any]) -> Iterator[list[Any]]:
        for edge in graph.edges:
            if edge.src == at and edge.dst == last:
                yield [*parts, edge]
            elif edge.src == at:
                yield from go(edge.dst, [*parts, edge, nodes[edge.dst]])

    return go(first, [])


def all_sequences(space: Space, *, zeros: bool) -> set[tuple[str, ...]]:
    assert space.graph is not None
    found = set()
    for path in declared_paths(space.graph):
        parts = [part.label for part in path if not silent(space, part.label)]
        for labels in itertools.product(*map(possible, parts)):
            if zeros or all(label[0] not in space.graph.zero for label in labels):
                found.add(tuple(map(text_of, labels)))
    return found


def sequences(space: Space, code: list[int], *, zeros: bool) -> set[tuple[str, ...]]:
    """The sequences of labels of a code's own paths."""
    assert space.graph is not None
    on, value = twin.situation(space, code)
    found = set()
    for path in declared_paths(space.graph):
        labels = [twin.label(part.label, on, value) for part in path]
        there = all(
            label is not None
            and twin.holds(part.when, on, value)
            and (zeros or label[0] not in space.graph.zero)
            for part, label in zip(path, labels, strict=True)
        )
        if there:
            found.add(
                tuple(
                    text_of(label)
                    for part, label in zip(path, labels, strict=True)
                    if label is not None and not silent(space, part.label)
                )
            )
    return found


def least_cost(supply: Any, demand: Any, costs: Any) -> float:
    """Optimal transport as a linear program."""
    n, m = np.shape(costs)
    rows = np.zeros((n + m, n * m))
    for i, j in itertools.product(range(n), range(m)):
        rows[i, i * m + j] = rows[n + j, i * m + j] = 1
    solved = linprog(np.ravel(costs), A_eq=rows, b_eq=[*supply, *demand], method="highs")
    assert solved.status == 0
    return float(solved.fun)


def otmann(space: Space, x: list[int], y: list[int], *, structure: float = 0.5) -> float:
    """The distance with the default masses and mismatches, by enumerating paths."""
    nets = [Operations(space, code) for code in (x, y)]
    layers = []
    for net in nets:
        masses = {
            v: 1.0 if net.kind(v) == "weighted" else 0.1
            for v in net.labels
            if v not in ("input", "output")
        }
        end = max(0.1 * sum(masses.values()), 0.1)
        layers.append({**masses, "input": end, "output": end})

    def lengths(net: Operations, vertex: Vertex) -> list[float]:
        def count(kind: str, path: list[Vertex]) -> int:
            inner = [v for v in path if v not in ("input", "output")]
            return {
                "all": len(path),
                "weighted": sum(net.kind(v) == "weighted" for v in inner),
                "other": sum(net.kind(v) != "weighted" for v in inner),
            }[kind]

        out: list[float] = []
        for forward in (False, True):
            ways = list(net.paths(vertex, forward=forward))
            for kind in ("all", "weighted", "other"):
                # The vertex itself counts on the way from the input, and on that to the output
                # does not; the input itself does not count, whatever its operation.
                own = count(kind, [vertex]) if forward else count(kind, ["input"])
                numbers = [count(kind, way) - own for _, way in ways]
                mean = sum(c * k for (c, _), k in zip(ways, numbers, strict=True))
                out += [min(numbers), max(numbers), mean]
        return out

    def cost(a: Vertex, b: Vertex) -> float:
        ends = {"input", "output"} & {a, b}
        if ends and a != b:
            return 100.0
        if ends or nets[0].labels[a] == nets[1].labels[b]:
            mismatch = 0.0
        elif (nets[0].kind(a) == "weighted") != (nets[1].kind(b) == "weighted"):
            return 100.0
        else:
            mismatch = 0.2 if nets[0].kind(a) == "weighted" else 0.25
        pairs = zip(lengths(nets[0], a), lengths(nets[1], b), strict=True)
        return mismatch + structure * sum(abs(p - q) for p, q in pairs) / 18

    costs = [[*(cost(a, b) for b in layers[1]), 1.0] for a in layers[0]]
    costs.append([1.0] * len(layers[1]) + [0.0])
    totals = [sum(masses.values()) for masses in layers]
    return least_cost([*layers[0].values(), totals[1]], [*layers[1].values(), totals[0]], costs)
