"""Orderly generation: published counts, orbit counting, brute force, and its order."""

from __future__ import annotations

import doctest
import itertools
import math
from typing import Any

import graph_twin as twin
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasturtium.errors import SpaceError
from nasturtium.graphs import (
    DagClasses,
    DagFamily,
    GraphBatch,
    automorphism_counts,
    canonical_keys,
    dags,
)
from nasturtium.keymap import KeyMap
from nasturtium.spaces import (
    Choice,
    Graph,
    OrderlyClasses,
    Space,
    at_least,
    connected,
    forbid,
    image_cell,
    live_at_least,
    live_at_most,
    nb101,
    nb101_space,
    nb201,
    orderly,
)
from nasturtium.spaces.nb101_space import cells_of

some = settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def same(a: GraphBatch, b: GraphBatch) -> bool:
    pairs = zip(a.arrays, b.arrays, strict=True)
    return all(
        np.array_equal(x, y) if x is not None and y is not None else x is y for x, y in pairs
    )


# Acyclic digraphs up to isomorphism, OEIS A003087.
@pytest.mark.parametrize(
    ("n", "count"), [(1, 1), (2, 2), (3, 6), (4, 31), (5, 302), (6, 5984), (7, 243_668)]
)
def test_number_of_acyclic_digraphs(n: int, count: int) -> None:
    assert len(DagClasses(DagFamily(n), threads=2)) == count


# The cells of NAS-Bench-101 of at most so many vertices, Ying et al. 2019.
@pytest.mark.parametrize(
    ("vertices", "count"), [(2, 1), (3, 7), (4, 91), (5, 2532), (6, 64_542), (7, 423_624)]
)
def test_number_of_cells(vertices: int, count: int) -> None:
    family = DagFamily(vertices, least=2, labels=3, edges=9, terminals=True)
    assert len(DagClasses(family, threads=2)) == count


# A class has n! / (number of automorphisms) labeled graphs. In all: acyclic digraphs OEIS A003024,
# those with one source and one sink A165950.
@pytest.mark.parametrize(
    ("terminals", "n", "labeled"),
    [(False, 2, 3), (False, 3, 25), (False, 4, 543), (False, 5, 29_281), (False, 6, 3_781_503),
     (True, 2, 2), (True, 3, 12), (True, 4, 216), (True, 5, 10_600), (True, 6, 1_306_620)],
)  # fmt: skip
def test_labeled_graphs_are_counted_by_orbits(terminals: bool, n: int, labeled: int) -> None:
    every = DagClasses(DagFamily(n, terminals=terminals)).all()
    if terminals:  # source and sink need no label of their own: there is one of each
        every = GraphBatch(every.offsets, every.rows, np.zeros_like(every.labels))
    assert len(KeyMap(canonical_keys(every))) == len(every)
    counts = automorphism_counts(every)
    assert sum(math.factorial(n) // count for count in counts) == labeled


@st.composite
def families(draw: st.DrawFn) -> DagFamily:
    terminals = draw(st.booleans())
    most = draw(st.integers(2, 4))
    limit = st.none() | st.integers(0, 5)
    return DagFamily(
        most,
        least=draw(st.none() | st.integers(2 if terminals else 1, most)),
        labels=draw(st.integers(1, 2)),
        edge_labels=draw(st.integers(1, 2)) if most < 4 or terminals else 1,
        edges=draw(limit),
        entering=draw(limit),
        leaving=draw(limit),
        terminals=terminals,
    )


def brute(family: DagFamily) -> set[object]:
    """The least image of every graph whose edges go to later vertices, where it belongs."""
    found = set()
    least = family.vertices if family.least is None else family.least
    for n in range(least, family.vertices + 1):
        pairs = list(itertools.combinations(range(n), 2))
        inner = n - 2 if family.terminals else n
        for marks in itertools.product(range(-1, family.edge_labels), repeat=len(pairs)):
            edges = [(a, b, m) for (a, b), m in zip(pairs, marks, strict=True) if m >= 0]
            if not belongs(family, n, edges):
                continue
            for labels in itertools.product(range(family.labels), repeat=inner):
                own = list(labels)
                if family.terminals:
                    own = [family.labels, *own, family.labels + 1]
                found.add(twin.least_image((own, edges)))
    return found


def belongs(family: DagFamily, n: int, edges: list[tuple[int, int, int]]) -> bool:
    into, out = [0] * n, [0] * n
    for a, b, _ in edges:
        out[a] += 1
        into[b] += 1
    limits = [(len(edges), family.edges), *((d, family.entering) for d in into),
              *((d, family.leaving) for d in out)]  # fmt: skip
    if any(limit is not None and value > limit for value, limit in limits):
        return False
    return not family.terminals or (all(into[1:]) and all(out[:-1]))


@some
@given(families())
def test_the_classes_are_those_of_brute_force(family: DagFamily) -> None:
    every = DagClasses(family).all()
    images = [twin.least_image(twin.plain(every, g)) for g in range(len(every))]
    assert len(set(images)) == len(images)
    assert set(images) == brute(family)
    for g in range(len(every)):
        assert all(a < b for a, b in every.edges(g)[0].tolist())


def test_numbers_branches_and_shards() -> None:
    family = DagFamily(6, least=2, labels=3, edges=9, terminals=True)
    classes = DagClasses(family)
    every = classes.all()
    assert len(every) == len(classes) == int(classes.counts.sum())
    assert same(DagClasses(family, threads=3).all(), every)
    for shards, most in ((1, 7), (3, 100), (5, 10_000)):
        parts = []
        for number in range(shards):
            start: int | None = None
            while True:
                graphs, start = classes.part(start, shard=(number, shards), most=most)
                parts.append(graphs)
                if start is None:
                    break
        assert same(GraphBatch.concatenate(parts), every)
    numbers = np.random.default_rng(0).integers(0, len(every), 500)
    assert same(classes.take(numbers), every.take(numbers))
    assert same(DagClasses(family, threads=2).take(numbers), every.take(numbers))
    assert len(classes.take([])) == 0


def test_draws_are_uniform() -> None:
    classes = DagClasses(DagFamily(4))
    drawn = classes.sample(31_000, seed=5)
    counts = np.bincount(KeyMap(canonical_keys(classes.all())).find(canonical_keys(drawn)))
    chi = float(((counts - 1000.0) ** 2 / 1000).sum())
    assert len(counts) == 31 and chi < 59.7  # the 0.999 quantile for 30 degrees of freedom
    assert same(classes.sample(3, seed=5, start=100), drawn.take([100, 101, 102]))
    assert not same(classes.sample(100, seed=5, stream=1), drawn.take(np.arange(100)))


def test_sparse_graphs_with_many_symmetries() -> None:
    """Of 16 vertices: no edge, one, two apart, a path, and two that share a head or a tail."""
    assert [len(DagClasses(DagFamily(16, edges=edges))) for edges in range(3)] == [1, 2, 6]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DagClasses(DagFamily(17)), "1 to 16 vertices"),
        (lambda: DagClasses(DagFamily(0)), "1 to 16 vertices"),
        (lambda: DagClasses(DagFamily(1, terminals=True)), "2 to 16"),
        (lambda: DagClasses(DagFamily(3, least=4)), "1 to 16 vertices"),
        (lambda: DagClasses(DagFamily(3, labels=0)), "1 to 65,536 labels"),
        (lambda: DagClasses(DagFamily(3, edge_labels=257)), "1 to 256 of edges"),
        (lambda: DagClasses(DagFamily(3, edges=-1)), "not negative"),
        (lambda: DagClasses(DagFamily(3)).take([6]), "row 0: there is no graph of number 6"),
        (lambda: DagClasses(DagFamily(3)).take([-1]), "whole numbers"),
        (lambda: DagClasses(DagFamily(3)).take([0.5]), "whole numbers"),
        (lambda: DagClasses(DagFamily(3)).sample(-1, seed=0), "negative"),
        (lambda: DagClasses(DagFamily(3, least=3, edges=1, terminals=True)).sample(1, seed=0),
         "nothing to draw from"),
        (lambda: DagClasses(DagFamily(3)).part(shard=(1, 1)), "numbered from 0"),
        (lambda: DagClasses(DagFamily(3)).part(most=0), "not positive"),
        (lambda: DagClasses(DagFamily(3)).part(9999), "not in shard"),
        (lambda: OrderlyClasses(image_cell()), "not a whole cell"),
        (lambda: OrderlyClasses(nb201()).part(9999), "not in shard"),
        (lambda: OrderlyClasses(nb201()).sample(-1, seed=0), "negative"),
    ],
)  # fmt: skip
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()


@st.composite
def whole_cells(draw: st.DrawFn) -> Space:
    """Cells of up to five nodes with labels on nodes, on edges or on both, and limits."""
    nodes = draw(st.integers(2, 5))
    marks = draw(st.integers(1, 3 if nodes < 5 else 1))
    labels = draw(st.integers(0, 2 if nodes < 5 else 1))
    zeros = ("none", "zero")[: draw(st.integers(1, 2 if nodes < 4 else 1))]
    ops = [Choice(f"op{v}", [f"op{i}" for i in draw(st.permutations(range(labels)))])
           for v in range(1, nodes - 1)] if labels else []  # fmt: skip
    graph = Graph(zero=("none", "zero")).node("n0", "in")
    for v in range(1, nodes - 1):
        graph.node(f"n{v}", ops[v - 1] if ops else "sum")
    graph.node(f"n{nodes - 1}", "out")
    edges = []
    for a, b in itertools.combinations(range(nodes), 2):
        kind = f"{a == 0}{b == nodes - 1}"
        options = [*zeros, *(f"{kind}{m}" for m in range(marks))]
        edges.append(Choice(f"e{a}{b}", options[1:] + options[:1]))
        graph.edge(f"n{a}", f"n{b}", edges[-1])
    limits: list[Any] = [connected()] if draw(st.booleans()) else []
    if draw(st.booleans()):
        limits.append(live_at_most(draw(st.integers(0, 6))))
    if draw(st.booleans()):
        kind = draw(st.sampled_from([live_at_most, live_at_least]))
        limits.append(kind(draw(st.integers(0, 5)), "nodes"))
    if len(zeros) == 1 and draw(st.booleans()):
        limits.append(at_least(edges, "none", draw(st.integers(0, len(edges)))))
    return Space("cell", [*edges, *ops], graph, limits)


@some
@given(whole_cells())
def test_whole_cells_have_the_classes_that_their_keys_have(space: Space) -> None:
    found = OrderlyClasses(space)
    codes = found.all()
    assert len(found) == len(codes) == space.size("graph")
    every = space.enumerate()
    expected = {tuple(key) for key in space.keys(every, "graph").tolist()}
    keys = [tuple(key) for key in space.keys(codes, "graph").tolist()]
    assert space.valid(codes).all()
    assert len(keys) == len(set(keys)) and set(keys) == expected
    assert space.size("function") == len(np.unique(space.keys(every, "function"), axis=0))
    if len(codes):
        numbers = np.arange(len(codes))[::-1]
        assert np.array_equal(found.take(numbers), codes[::-1])
        assert space.valid(found.sample(20, seed=1)).all()
    parts = []
    for shard in ((0, 2), (1, 2)):
        start: int | None = None
        while True:
            part, start = found.part(start, shard=shard, most=3)
            parts.append(part)
            if start is None:
                break
    assert np.array_equal(np.concatenate(parts), codes)


def test_spaces_that_are_no_whole_cells_are_filtered() -> None:
    a, b, c = (Choice(name, ("none", "conv")) for name in "abc")

    def cell(*limits: Any, extra: Any = (), label: Any = "sum") -> Space:
        graph = Graph().node("i", "in").node("m", label).node("o", "out")
        graph = graph.edge("i", "m", a).edge("i", "o", b).edge("m", "o", c)
        return Space("s", [a, b, c, *extra], graph, limits)

    assert len(OrderlyClasses(cell())) == 4 == cell().size("graph")
    depth = Choice("depth", (1, 2))
    for space in (
        cell(forbid({"a": "none"})),
        cell(live_at_least(1)),
        cell(at_least([a, b], "none", 1)),
        cell(at_least([a, b, c], "conv", 1)),
        cell(live_at_most(1, "edges", "conv")),
        cell(extra=[depth], label=("sum", depth)),
        cell(extra=[depth]),
    ):
        with pytest.raises(SpaceError, match="not a whole cell"):
            OrderlyClasses(space)
        keys = space.keys(space.enumerate(), "graph")
        assert space.size("graph") == len(np.unique(keys, axis=0))


def test_classes_of_nas_bench_101_are_the_canonical_cells() -> None:
    found = OrderlyClasses(nb101_space(), threads=2)
    cells = nb101.canonical(cells_of(found.all()))
    assert np.array_equal(np.sort(cells), np.sort(nb101.enumerate_cells()))
    assert nb101_space().size("graph") == 423_624
    assert nb101_space().size("function") == 419_052
    drawn = nb101.canonical(cells_of(found.sample(20_000, seed=3)))
    # Of n draws from N classes N (1 - (1 - 1/N)^n) are distinct: 19,535; sd below 22.
    assert abs(len(np.unique(drawn)) - 423_624 * (1 - (1 - 1 / 423_624) ** 20_000)) < 110


def test_the_examples_run() -> None:
    for module in (dags, orderly):
        done = doctest.testmod(module)
        assert done.attempted >= 4 and done.failed == 0
