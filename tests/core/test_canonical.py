"""The canonical form against brute force, published counts, relabelings and hard graphs."""

from __future__ import annotations

import itertools
import random
import time

import numpy as np
import pytest

from nasturtium import _core
from nasturtium.errors import SpaceError

Edges = list[tuple[int, int, int]]


def form(labels: list[int], edges: Edges, budget: int = 100_000) -> tuple[int, ...]:
    array = np.array(edges, np.uint64).reshape(-1, 3)
    return tuple(_core.canonical_graph(np.array(labels, np.uint64), array, budget)[1].tolist())


def relabel(labels: list[int], edges: Edges, rng: random.Random) -> tuple[list[int], Edges]:
    order = list(range(len(labels)))
    rng.shuffle(order)
    moved = [0] * len(labels)
    for v, place in enumerate(order):
        moved[place] = labels[v]
    changed = [(order[s], order[d], m) for s, d, m in edges]
    rng.shuffle(changed)
    return moved, changed


def brute(labels: list[int], edges: Edges) -> tuple[object, ...]:
    n = len(labels)
    return min(
        (
            tuple(labels[v] for v in sorted(range(n), key=lambda v: p[v])),
            tuple(sorted((p[s], p[d], m) for s, d, m in edges)),
        )
        for p in itertools.permutations(range(n))
    )


def dags(n: int) -> list[Edges]:
    slots = list(itertools.combinations(range(n), 2))
    return [
        [(*slot, 1) for i, slot in enumerate(slots) if bits >> i & 1]
        for bits in range(1 << len(slots))
    ]


# Acyclic digraphs up to isomorphism, OEIS A003087; all digraphs, OEIS A000273.
@pytest.mark.parametrize(("n", "count"), [(1, 1), (2, 2), (3, 6), (4, 31), (5, 302), (6, 5984)])
def test_number_of_acyclic_digraphs(n: int, count: int) -> None:
    assert len({form([0] * n, edges) for edges in dags(n)}) == count


@pytest.mark.parametrize(("n", "count"), [(2, 3), (3, 16), (4, 218)])
def test_number_of_digraphs(n: int, count: int) -> None:
    slots = list(itertools.permutations(range(n), 2))
    graphs = (
        [(*slot, 1) for i, slot in enumerate(slots) if bits >> i & 1]
        for bits in range(1 << len(slots))
    )
    assert len({form([0] * n, edges) for edges in graphs}) == count


def test_labeled_graphs_of_up_to_five_vertices_against_brute_force() -> None:
    rng = random.Random(1)
    seen: dict[tuple[object, ...], tuple[int, ...]] = {}
    for _ in range(2500):
        n = rng.randint(1, 5)
        labels = [rng.randint(0, 1) for _ in range(n)]
        edges = [
            (s, d, rng.randint(1, 2))
            for s, d in itertools.permutations(range(n), 2)
            if rng.random() < 0.4
        ]
        got = form(labels, edges)
        assert seen.setdefault(brute(labels, edges), got) == got
    assert len(set(seen.values())) == len(seen)


@pytest.mark.parametrize("n", [8, 16, 33, 64])
def test_relabeling_changes_nothing_and_one_edge_changes_it(n: int) -> None:
    rng = random.Random(n)
    for degree in (0.7, 3):
        for _ in range(15):
            labels = [rng.randint(0, 2) for _ in range(n)]
            edges = [
                (s, d, rng.randint(1, 2))
                for s, d in itertools.combinations(range(n), 2)
                if rng.random() < degree / n
            ]
            own = form(labels, edges)
            for _ in range(3):
                assert form(*relabel(labels, edges, rng)) == own
            if edges:
                assert form(labels, edges[1:]) != own
                s, d, m = edges[0]
                assert form(labels, [(s, d, m + 2), *edges[1:]]) != own


def both(pairs: list[tuple[int, int]]) -> Edges:
    return [(s, d, 1) for a, b in pairs for s, d in ((a, b), (b, a))]


def plane(q: int) -> tuple[int, Edges]:
    """The incidence graph of the projective plane over the integers modulo the prime q."""
    points = [(1, y, z) for y in range(q) for z in range(q)]
    points += [(0, 1, z) for z in range(q)] + [(0, 0, 1)]
    n = len(points)
    incident = [
        (i, n + j)
        for i, p in enumerate(points)
        for j, line in enumerate(points)
        if sum(a * b for a, b in zip(p, line, strict=True)) % q == 0
    ]
    return 2 * n, both(incident)


def hard() -> dict[str, tuple[int, Edges]]:
    branches = [(0, v, 1) for v in range(1, 63)] + [(v, 63, 1) for v in range(1, 63)]
    chains = [(3 * c + i, 3 * c + i + 1, 1) for c in range(20) for i in range(2)]
    diamonds = [
        (4 * c + s, 4 * c + d, 1) for c in range(16) for s, d in ((0, 1), (0, 2), (1, 3), (2, 3))
    ]
    cube = [(v, v ^ 1 << i) for v in range(64) for i in range(6) if v < v ^ 1 << i]
    rook = [
        (a, b)
        for a, b in itertools.combinations(range(16), 2)
        if a // 4 == b // 4 or a % 4 == b % 4
    ]
    paley = [(a, b) for a, b in itertools.combinations(range(61), 2) if pow(b - a, 30, 61) == 1]
    return {
        "branches": (64, branches),
        "isolated": (64, []),
        "chains": (60, chains),
        "diamonds": (64, diamonds),
        "hypercube": (64, both(cube)),
        "rook": (16, both(rook)),
        "paley": (61, both(paley)),
        "plane 3": plane(3),
        "plane 5": plane(5),
    }


@pytest.mark.parametrize("name", list(hard()))
def test_symmetric_graphs_stay_within_the_budget(name: str) -> None:
    n, edges = hard()[name]
    rng = random.Random(3)
    begin = time.process_time()
    own = form([0] * n, edges)
    for _ in range(2):
        assert form(*relabel([0] * n, edges, rng)) == own
    assert time.process_time() - begin < 10


def test_regular_graphs_that_refinement_cannot_separate() -> None:
    # The rook's and the Shrikhande graph have the same parameters (16, 6, 2, 2).
    steps = [(1, 0), (0, 1), (1, 1)]
    shrikhande = {
        tuple(sorted((4 * x + y, 4 * ((x + a) % 4) + (y + b) % 4)))
        for x in range(4) for y in range(4) for a, b in steps
    }  # fmt: skip
    other = both([(a, b) for a, b in shrikhande])
    _, rook = hard()["rook"]
    assert len(other) == len(rook) == 96
    assert form([0] * 16, other) != form([0] * 16, rook)


def test_the_budget_is_a_typed_error() -> None:
    n, edges = plane(5)
    with pytest.raises(SpaceError, match="more than 20 search nodes"):
        form([0] * n, edges, budget=20)


def test_order_maps_the_graph_to_its_form() -> None:
    rng = random.Random(9)
    labels = [rng.randint(0, 3) for _ in range(12)]
    edges = [(s, d, rng.randint(1, 9)) for s, d in itertools.combinations(range(12), 2)
             if rng.random() < 0.3]  # fmt: skip
    array = np.array(edges, np.uint64).reshape(-1, 3)
    order, words, _ = _core.canonical_graph(np.array(labels, np.uint64), array, 1000)
    place = {int(v): i for i, v in enumerate(order)}
    rows = [0] * 12
    for s, d, _ in edges:
        rows[place[s]] |= 1 << place[d]
    own = {(place[s], place[d]): m for s, d, m in edges}
    expected = [12, *(labels[v] for v in order), *rows, *(own[e] for e in sorted(own))]
    assert words.tolist() == expected
