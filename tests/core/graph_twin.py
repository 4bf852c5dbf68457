"""Slow twins of what `nasturtium.graphs` does, and batches to try it with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from nasturtium.graphs import GraphBatch

Bools = NDArray[np.bool_]
Plain = tuple[list[int], list[tuple[int, int, int]]]  # labels; source, destination, label


def plain(batch: GraphBatch, graph: int) -> Plain:
    pairs, marks = batch.edges(graph)
    edges = [(int(a), int(b), int(m)) for (a, b), m in zip(pairs, marks, strict=True)]
    return [int(label) for label in batch.labels_of(graph)], edges


def images(graph: Plain) -> Iterator[tuple[tuple[int, ...], tuple[tuple[int, int, int], ...]]]:
    """The graph under every order of its vertices."""
    labels, edges = graph
    n = len(labels)
    for p in itertools.permutations(range(n)):
        moved = tuple(labels[v] for v in sorted(range(n), key=p.__getitem__))
        yield moved, tuple(sorted((p[a], p[b], m) for a, b, m in edges))


def least_image(graph: Plain) -> object:
    return min(images(graph))


def automorphisms(graph: Plain) -> int:
    labels, edges = graph
    return sum(image == (tuple(labels), tuple(sorted(edges))) for image in images(graph))


def live(graph: Plain, source: int, sink: int) -> list[int]:
    """The vertices on a path from source to sink, and these two, in ascending order."""
    _, edges = graph

    def reached(start: int, pairs: set[tuple[int, int]]) -> set[int]:
        seen = {start}
        while True:
            more = {b for a, b in pairs if a in seen} - seen
            if not more:
                return seen
            seen |= more

    ahead = reached(source, {(a, b) for a, b, _ in edges})
    behind = reached(sink, {(b, a) for a, b, _ in edges})
    return sorted((ahead & behind) | {source, sink})


def induced(graph: Plain, kept: list[int]) -> Plain:
    labels, edges = graph
    place = {v: i for i, v in enumerate(kept)}
    inside = [(place[a], place[b], m) for a, b, m in edges if a in place and b in place]
    return [labels[v] for v in kept], sorted(inside)


def all_digraphs(n: int) -> GraphBatch:
    """Every set of edges between n unlabeled vertices, without loops."""
    slots = list(itertools.permutations(range(n), 2))
    return _all_sets(n, slots)


def all_dags(n: int) -> GraphBatch:
    return _all_sets(n, list(itertools.combinations(range(n), 2)))


def all_undirected(n: int) -> GraphBatch:
    upper = all_dags(n)
    dense = _dense(upper, n)
    return GraphBatch.from_dense(dense | dense.transpose(0, 2, 1), np.zeros((len(upper), n)))


def _dense(batch: GraphBatch, n: int) -> Bools:
    bits = batch.rows.reshape(len(batch), n, 1) >> np.arange(n, dtype=np.uint64)
    return (bits & np.uint64(1)).astype(np.bool_)


def _all_sets(n: int, slots: list[tuple[int, int]]) -> GraphBatch:
    bits = np.arange(1 << len(slots))
    dense = np.zeros((len(bits), n, n), np.bool_)
    for i, (a, b) in enumerate(slots):
        dense[:, a, b] = bits >> i & 1
    return GraphBatch.from_dense(dense, np.zeros((len(bits), n)))


def random_batch(
    count: int, sizes: tuple[int, int], *, seed: int, degree: float = 2.0, labels: int = 3,
    marks: int = 3, loops: bool = True,
) -> GraphBatch:  # fmt: skip
    """Directed graphs of sizes drawn from a range, with labels on vertices and edges."""
    rng = np.random.default_rng(seed)
    nodes, edges, edge_labels = [], [], []
    for _ in range(count):
        n = int(rng.integers(sizes[0], sizes[1] + 1))
        dense = rng.random((n, n)) < degree / max(n, 1)
        if not loops:
            np.fill_diagonal(dense, val=False)
        nodes.append(rng.integers(0, labels, n))
        edges.append(np.argwhere(dense))
        edge_labels.append(rng.integers(0, marks, len(edges[-1])))
    return GraphBatch.from_edges(nodes, edges, edge_labels)


def edit_distance(a: Plain, b: Plain, costs: tuple[float, float, float, float]) -> float:
    """The least cost over all injective partial maps of a's vertices."""
    vertex, vertex_label, edge, edge_label = costs
    edge_label = min(edge_label, 2 * edge)
    marks_a = {(s, d): m for s, d, m in a[1]}
    marks_b = {(s, d): m for s, d, m in b[1]}
    best = float("inf")
    n, m = len(a[0]), len(b[0])
    for count in range(min(n, m) + 1):
        for kept in itertools.combinations(range(n), count):
            for images_of in itertools.permutations(range(m), count):
                image = dict(zip(kept, images_of, strict=True))
                cost = vertex * (n + m - 2 * count)
                cost += vertex_label * sum(a[0][v] != b[0][w] for v, w in image.items())
                met = 0
                for (s, d), mark in marks_a.items():
                    other = marks_b.get((image[s], image[d])) if s in image and d in image else None
                    met += other is not None
                    cost += edge if other is None else edge_label * (other != mark)
                cost += edge * (len(marks_b) - met)
                best = min(best, cost)
    return best


Frozen = tuple[tuple[int, ...], tuple[tuple[int, int, int], ...]]
Chances = dict[Frozen, Fraction]


def frozen(graph: Plain) -> Frozen:
    return tuple(graph[0]), tuple(sorted(graph[1]))


def is_network(graph: Plain) -> bool:
    n = len(graph[0])
    if n < 2 or any(a >= b for a, b, _ in graph[1]):
        return False
    return bool(graph[1]) and live(graph, 0, n - 1) == list(range(n))


def edited(graph: Plain, verb: str, labels: list[int]) -> Chances:
    """Each result of a verb with its probability, without limits; empty where it has no place."""
    own, edges = graph
    n = len(own)
    inner = range(1, n - 1)
    joined = {(a, b) for a, b, _ in edges}
    results: list[tuple[Plain, Fraction]] = []

    def even(options: list[Plain]) -> None:
        results.extend((option, Fraction(1, len(options))) for option in options)

    if verb == "relabel":
        movable = [v for v in inner if set(labels) - {own[v]}]
        for v in movable:
            others = [label for label in labels if label != own[v]]
            for label in others:
                changed = [*own[:v], label, *own[v + 1 :]]
                results.append(((changed, edges), Fraction(1, len(movable) * len(others))))
    elif verb == "insert":
        for a, b, m in edges:
            up = [(x + (x >= b), y + (y >= b), k) for x, y, k in edges if (x, y) != (a, b)]
            for label in labels:
                made = [*own[:b], label, *own[b:]], [*up, (a, b, m), (b, b + 1, 0)]
                results.append((made, Fraction(1, len(edges) * len(labels))))
    elif verb == "remove":
        even([
            induced(
                (own, edges + [
                    (a, d, m) for a, v, m in edges for w, d, _ in edges
                    if v == w == gone and (a, d) not in joined
                ]),
                [v for v in range(n) if v != gone],
            )
            for gone in inner
        ])  # fmt: skip
    elif verb == "add_skip":
        pairs = [p for p in itertools.combinations(range(n), 2) if p not in joined]
        even([(own, [*edges, (*p, 0)]) for p in pairs])
    elif verb == "remove_skip":
        fewer = [(own, [e for e in edges if e != gone]) for gone in edges]
        even([graph for graph in fewer if is_network(graph)])
    else:
        starts = [e for e in edges if e[1] < n - 1]
        for first in starts:
            _walk(graph, [first], Fraction(1, len(starts)), results)
    chances: Chances = {}
    for made, chance in results:
        chances[frozen(made)] = chances.get(frozen(made), Fraction(0)) + chance
    return chances


def _walk(
    graph: Plain, path: list[tuple[int, int, int]], chance: Fraction,
    results: list[tuple[Plain, Fraction]],
) -> None:  # fmt: skip
    own, edges = graph
    ahead = [e for e in edges if e[0] == path[-1][1]]
    for edge in ahead:
        walked = [*path, edge]
        here = chance / len(ahead)
        if edge[1] < len(own) - 1:
            here /= 2
            _walk(graph, walked, here, results)
        end, count = edge[1], len(path)
        up = [(a + count * (a >= end), b + count * (b >= end), m) for a, b, m in edges]
        stops = [path[0][0], *range(end, end + count + 1)]
        copy = [(*pair, e[2]) for pair, e in zip(itertools.pairwise(stops), walked, strict=True)]
        made = own[:end] + [own[e[1]] for e in path] + own[end:], up + copy
        results.append((made, here))


def oriented(n: int, pairs: set[tuple[int, int]]) -> Frozen:
    """An undirected graph between an input and an output, labels 0, 1 and 2."""
    edges = [(min(p) + 1, max(p) + 1, 0) for p in pairs]
    entered, left = {b for _, b, _ in edges}, {a for a, _, _ in edges}
    edges += [(0, v, 0) for v in range(1, n + 1) if v not in entered]
    edges += [(v, n + 1, 0) for v in range(1, n + 1) if v not in left]
    return (1, *([0] * n), 2), tuple(sorted(edges))


def wired(kind: str, n: int, neighbors: int, chance: Fraction) -> Chances:
    """Each network of a wiring rule with its probability, by following every choice."""
    graphs: dict[frozenset[frozenset[int]], Fraction] = {frozenset(): Fraction(1)}

    def step(rule: Callable[[frozenset[frozenset[int]]], list[tuple[object, Fraction]]]) -> None:
        nonlocal graphs
        after: dict[frozenset[frozenset[int]], Fraction] = {}
        for graph, p in graphs.items():
            for made, q in rule(graph):
                assert isinstance(made, frozenset)
                after[made] = after.get(made, Fraction(0)) + p * q
        graphs = after

    if kind == "erdos_renyi":
        for pair in map(frozenset, itertools.combinations(range(n), 2)):
            step(lambda g, e=pair: [(g | {e}, chance), (g, 1 - chance)])  # type: ignore[misc]
    elif kind == "watts_strogatz":
        laps = range(1, neighbors // 2 + 1)
        ring = frozenset(frozenset((v, (v + lap) % n)) for lap in laps for v in range(n))
        graphs = {ring: Fraction(1)}
        for lap in laps:
            for v in range(n):
                step(lambda g, v=v, lap=lap: _rewire(g, n, v, lap, chance))  # type: ignore[misc]
    else:
        star = frozenset(frozenset((v, neighbors)) for v in range(neighbors))
        graphs = {star: Fraction(1)}
        for v in range(neighbors + 1, n):
            step(lambda g, v=v: _attach(g, v, neighbors))  # type: ignore[misc]
    chances: Chances = {}
    for graph, p in graphs.items():
        made = oriented(n, {(min(e), max(e)) for e in graph})
        chances[made] = chances.get(made, Fraction(0)) + p
    return chances


def _rewire(
    graph: frozenset[frozenset[int]], n: int, v: int, lap: int, chance: Fraction
) -> list[tuple[object, Fraction]]:
    own = frozenset((v, (v + lap) % n))
    others = [w for w in range(n) if w != v and frozenset((v, w)) not in graph]
    if not others:
        return [(graph, Fraction(1))]
    moved = [(graph - {own} | {frozenset((v, w))}, chance / len(others)) for w in others]
    return [(graph, 1 - chance), *moved]


def _attach(
    graph: frozenset[frozenset[int]], v: int, neighbors: int
) -> list[tuple[object, Fraction]]:
    degree = {w: sum(w in e for e in graph) for w in range(v)}
    results: dict[object, Fraction] = {}

    def choose(chosen: frozenset[int], p: Fraction) -> None:
        if len(chosen) == neighbors:
            made = graph | {frozenset((v, w)) for w in chosen}
            results[made] = results.get(made, Fraction(0)) + p
            return
        left = {w: d for w, d in degree.items() if w not in chosen and d}
        for w, d in left.items():
            choose(chosen | {w}, p * Fraction(d, sum(left.values())))

    choose(frozenset(), Fraction(1))
    return list(results.items())
