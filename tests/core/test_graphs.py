"""Batches of graphs: their form, keys, symmetries and pruning, against twins and closed forms."""

from __future__ import annotations

import doctest
import itertools
import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import graph_twin as twin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nasturtium import graphs
from nasturtium.errors import GraphBudget, SpaceError
from nasturtium.graphs import (
    GraphBatch,
    automorphism_counts,
    canonical_forms,
    canonical_keys,
    canonical_orders,
    prune,
    reorder,
)
from nasturtium.graphs import batch as batch_module
from nasturtium.keymap import KeyMap
from nasturtium.testing.graphs import (
    darts_cells,
    edge_swapped,
    hard_graphs,
    random_dags,
    shuffled,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "graph_keys.json"
HARD = hard_graphs()
Keys = NDArray[np.uint64]


def distinct(keys: Keys) -> int:
    return len(KeyMap(keys))


def texts(keys: Keys) -> list[str]:
    return [f"{a:016x}{b:016x}" for a, b in keys.tolist()]


def same(a: GraphBatch, b: GraphBatch) -> bool:
    def marks(batch: GraphBatch) -> Keys:
        zeros = np.zeros(int(batch.edge_counts.sum()), np.uint64)
        return zeros if batch.edge_labels is None else batch.edge_labels

    return (
        np.array_equal(a.offsets, b.offsets)
        and np.array_equal(a.rows, b.rows)
        and np.array_equal(a.labels, b.labels)
        and np.array_equal(marks(a), marks(b))
    )


# Acyclic digraphs OEIS A003087, digraphs A000273, graphs A000088, all up to isomorphism. That many
# keys, and one for all copies of a graph, is that no two different graphs share one.
@pytest.mark.parametrize(("n", "count"), [(1, 1), (2, 2), (3, 6), (4, 31), (5, 302), (6, 5984)])
def test_number_of_acyclic_digraphs(n: int, count: int) -> None:
    assert distinct(canonical_keys(twin.all_dags(n))) == count


@pytest.mark.parametrize(("n", "count"), [(1, 1), (2, 3), (3, 16), (4, 218), (5, 9608)])
def test_number_of_digraphs(n: int, count: int) -> None:
    every = twin.all_digraphs(n)
    keys = canonical_keys(every, threads=2)
    assert distinct(keys) == count
    assert np.array_equal(canonical_keys(shuffled(every, seed=n)), keys)


@pytest.mark.parametrize(("n", "count"), [(2, 2), (3, 4), (4, 11), (5, 34), (6, 156)])
def test_number_of_undirected_graphs(n: int, count: int) -> None:
    assert distinct(canonical_keys(twin.all_undirected(n), directed=False)) == count


def test_small_labeled_graphs_against_brute_force() -> None:
    batch = twin.random_batch(2500, (0, 5), seed=1, labels=2, marks=2)
    classes: dict[object, str] = {}
    orders = automorphism_counts(batch)
    for i, key in enumerate(texts(canonical_keys(batch))):
        graph = twin.plain(batch, i)
        assert classes.setdefault(twin.least_image(graph), key) == key
        assert orders[i] == twin.automorphisms(graph)
    assert len(set(classes.values())) == len(classes)


def test_a_hundred_thousand_relabelings() -> None:
    """Of 1,000 graphs with labels on vertices and edges, 1 to 90 vertices."""
    batch = twin.random_batch(1000, (1, 90), seed=2)
    keys = canonical_keys(batch)
    forms = canonical_forms(batch)
    for seed in range(100):
        moved = shuffled(batch, seed=seed)
        assert np.array_equal(canonical_keys(moved), keys)
        if seed < 5:
            assert same(canonical_forms(moved), forms)


@pytest.mark.parametrize("n", [3, 16, 64, 65, 200])
def test_a_changed_label_changes_the_key(n: int) -> None:
    batch = twin.random_batch(50, (n, n), seed=n, degree=3.0)
    keys = canonical_keys(batch)
    labels, marks = batch.labels.copy(), batch.edge_labels
    labels[batch.offsets[:-1]] += np.uint64(3)
    other = GraphBatch(batch.offsets, batch.rows, labels, marks)
    assert (canonical_keys(other) != keys).any(axis=1).all()
    assert marks is not None
    changed = marks.copy()
    first = np.concatenate([[0], np.cumsum(batch.edge_counts)[:-1]])
    full = batch.edge_counts > 0
    changed[first[full]] += np.uint64(3)
    other = GraphBatch(batch.offsets, batch.rows, batch.labels, changed)
    assert np.array_equal((canonical_keys(other) != keys).any(axis=1), full)


def test_a_key_depends_on_the_graph_alone() -> None:
    small = random_dags(20, 30, degree=3, labels=4, seed=1)
    keys = canonical_keys(small)
    wide = GraphBatch.concatenate([small, random_dags(1, 300, degree=3, labels=2, seed=2)])
    assert wide.rows.shape[1] == 5
    assert np.array_equal(canonical_keys(wide)[:20], keys)
    zeros = np.zeros(int(small.edge_counts.sum()), np.uint64)
    marked = GraphBatch(small.offsets, small.rows, small.labels, zeros)
    assert np.array_equal(canonical_keys(marked), keys)
    out = np.empty((20, 2), np.uint64)
    assert canonical_keys(small, out=out, threads=3) is out
    assert np.array_equal(out, keys)


def test_large_graphs() -> None:
    """Several words a row: relabeled copies are equal, with one edge swapped they are not."""
    rng = np.random.default_rng(5)
    for n in (65, 128, 500):
        batch = random_dags(6, n, degree=4, labels=3, seed=n)
        keys = canonical_keys(batch)
        assert np.array_equal(canonical_keys(shuffled(batch, seed=n)), keys)
        other = edge_swapped(batch.dense(0), rng)
        assert other is not None
        swapped = GraphBatch.from_dense(other[None], batch.labels_of(0)[None])
        assert not np.array_equal(canonical_keys(swapped)[0], keys[0])
    full = random_dags(1, 4096, degree=6, labels=5, seed=9)
    assert np.array_equal(canonical_keys(full), canonical_keys(shuffled(full, seed=1)))


def test_thousands_of_equal_branches() -> None:
    n = 1500
    pairs = [(0, v) for v in range(1, n)] + [(v, n) for v in range(1, n)]
    batch = GraphBatch.from_edges([[0] * (n + 1)], [pairs])
    assert np.array_equal(canonical_keys(batch), canonical_keys(shuffled(batch, seed=1)))
    assert automorphism_counts(batch) == [math.factorial(n - 1)]


ORDERS = {
    "62 branches": math.factorial(62),
    "64 isolated": math.factorial(64),
    "20 chains": math.factorial(20),
    "16 diamonds": math.factorial(16) * 2**16,
    "Paley 61": 61 * 30,
    "rook 4x4": 2 * math.factorial(4) ** 2,
    "Shrikhande": 192,
    # PGL(3, 5) and the dualities; 5 is prime, so that the plane has no other symmetries.
    "PG(2,5)": 2 * 372_000,
    "hypercube 6": 2**6 * math.factorial(6),
}


@pytest.mark.parametrize("name", list(HARD))
def test_hard_graphs_under_a_hundred_relabelings(name: str) -> None:
    batch = HARD[name].take([0] * 100)
    moved = shuffled(batch, seed=3)
    begin = time.thread_time()
    keys = canonical_keys(moved)
    # The bar is 50 ms each; twice that where the machine has other work.
    assert time.thread_time() - begin < 100 * 0.1
    assert distinct(keys) == 1
    assert np.array_equal(keys[0], canonical_keys(HARD[name])[0])
    counts = set(automorphism_counts(moved.take(range(10))))
    assert len(counts) == 1
    if name in ORDERS:
        assert counts == {ORDERS[name]}


def test_hard_pairs_are_told_apart() -> None:
    keys = {name: texts(canonical_keys(batch))[0] for name, batch in HARD.items()}
    assert len(set(keys.values())) == len(keys)
    degrees = [np.sort(HARD[n].dense(0).sum(axis=0)) for n in ("CFI(K4)", "CFI(K4) twisted")]
    assert np.array_equal(degrees[0], degrees[1])


def test_the_budget_is_a_typed_error() -> None:
    easy = random_dags(3, 20, degree=3, labels=5, seed=1)
    batch = GraphBatch.concatenate([easy, HARD["PG(2,5)"], HARD["62 branches"]])
    for threads in (1, 3):
        with pytest.raises(GraphBudget, match=r"row 3: .* more than 10 search nodes"):
            canonical_keys(batch, budget=10, threads=threads)
    with pytest.raises(GraphBudget, match="row 0"):
        automorphism_counts(HARD["62 branches"], budget=10)
    with pytest.raises(SpaceError, match="at least 1"):
        canonical_orders(easy, budget=0)
    assert canonical_keys(easy, budget=10).shape == (3, 2)


def test_orders_and_forms() -> None:
    batch = twin.random_batch(200, (0, 40), seed=4)
    order = canonical_orders(batch)
    form = canonical_forms(batch)
    for i in range(len(batch)):
        span = slice(batch.offsets[i], batch.offsets[i + 1])
        place = {int(v): at for at, v in enumerate(order[span])}
        labels, edges = twin.plain(batch, i)
        expected = sorted((place[a], place[b], m) for a, b, m in edges)
        assert twin.plain(form, i) == ([labels[v] for v in order[span]], expected)
    back = np.empty_like(order)
    for begin, end in itertools.pairwise(batch.offsets.tolist()):
        back[begin:end][order[begin:end]] = np.arange(end - begin)
    assert same(reorder(form, back, threads=2), batch)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_pruning_against_the_twin(seed: int, n: int) -> None:
    batch = twin.random_batch(20, (n, n), seed=seed, degree=1.3)
    rng = np.random.default_rng(seed)
    source, sink = rng.integers(0, n, (2, 20))
    got = prune(batch, source=source, sink=sink - n, threads=2)
    for i in range(20):
        graph = twin.plain(batch, i)
        kept = twin.live(graph, int(source[i]), int(sink[i]))
        assert twin.plain(got, i) == twin.induced(graph, kept)


def test_pruning_large_graphs_in_any_order() -> None:
    batch = random_dags(4, 150, degree=2, labels=2, seed=6)
    pruned = prune(batch)
    moved = shuffled(batch, seed=1)
    order = [batch.labels_of(i) for i in range(4)]
    assert [len(part) for part in order] == [150] * 4
    rng = np.random.default_rng(2)
    place = np.concatenate([rng.permutation(150) for _ in range(4)])
    moved = reorder(batch, place)
    ends = [np.array([int(np.flatnonzero(place[150 * i : 150 * i + 150] == v)[0])
                      for i in range(4)]) for v in (0, 149)]  # fmt: skip
    again = prune(moved, source=ends[0], sink=ends[1])
    assert np.array_equal(canonical_keys(again), canonical_keys(pruned))
    assert (pruned.sizes < 150).all()


def test_undirected_graphs_are_checked() -> None:
    lone = GraphBatch.from_edges([[0, 0], [0, 0]], [[(0, 1), (1, 0)], [(0, 1)]])
    with pytest.raises(SpaceError, match=r"row 1: .*both directions"):
        canonical_keys(lone, directed=False)
    uneven = GraphBatch.from_edges([[0, 0]], [[(0, 1), (1, 0)]], [[1, 2]])
    with pytest.raises(SpaceError, match="row 0"):
        canonical_keys(uneven, directed=False)
    fine = GraphBatch.from_edges([[0, 0]], [[(0, 1), (1, 1)]], [[1, 2]], undirected=True)
    assert twin.plain(fine, 0) == ([0, 0], [(0, 1, 1), (1, 0, 1), (1, 1, 2)])
    assert np.array_equal(canonical_keys(fine, directed=False), canonical_keys(fine))


def test_batches_and_their_parts() -> None:
    batch = twin.random_batch(30, (0, 70), seed=8)
    assert len(batch) == 30 and batch.rows.shape[1] == 2
    again = GraphBatch.from_edges(
        [batch.labels_of(i) for i in range(30)],
        [batch.edges(i)[0][::-1] for i in range(30)],
        [batch.edges(i)[1][::-1] for i in range(30)],
    )
    assert same(batch, again)
    assert same(GraphBatch.concatenate(batch), batch)
    chosen = batch.take([3, -1, 3])
    assert [twin.plain(chosen, i) for i in range(3)] == [twin.plain(batch, i) for i in (3, 29, 3)]
    dense = batch.dense(4)
    assert [tuple(e) for e in np.argwhere(dense).tolist()] == [
        (a, b) for a, b, _ in twin.plain(batch, 4)[1]
    ]
    matrix = np.array([[[0, 5], [0, 0]], [[0, 0], [1, 0]]])
    made = GraphBatch.from_dense(matrix, [[1, 2], [3, 4]])
    assert [twin.plain(made, i) for i in range(2)] == [([1, 2], [(0, 1, 5)]), ([3, 4], [(1, 0, 1)])]
    empty = GraphBatch.from_edges([], [])
    assert canonical_keys(empty).shape == (0, 2) and len(empty.take([])) == 0
    assert automorphism_counts(empty) == [] and "0 graphs" in repr(empty)
    assert canonical_keys(GraphBatch.from_edges([[]], [[]])).shape == (1, 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"offsets": np.array([1, 3])}, "begin with 0"),
        ({"offsets": np.array([0, 4])}, "end with the number"),
        ({"offsets": np.array([0, 3, 2, 3])}, "row 1: offsets ascend"),
        ({"offsets": np.array([0, 1 << 60])}, "row 0: offsets ascend"),
        ({"offsets": np.array([], np.int64)}, "at least one entry"),
        ({"offsets": np.array([0, 3], np.int32)}, "offsets is an array of int64"),
        ({"rows": np.array([[2], [4], [8]], np.uint64)}, "row 0: a row has bits behind"),
        ({"rows": np.array([[2], [4]], np.uint64)}, "3 and 2 rows"),
        ({"rows": np.zeros((3, 0), np.uint64)}, "1 to 64 words"),
        ({"rows": np.zeros((3, 65), np.uint64)}, "1 to 64 words"),
        ({"rows": np.zeros(3, np.uint64)}, "rows is an array of uint64 with 2 axes"),
        ({"rows": np.zeros((3, 2), np.uint64)[:, :1]}, "contiguous"),
        ({"labels": np.zeros(3, np.int64)}, "labels is an array of uint64"),
        ({"edge_labels": np.zeros(3, np.uint64)}, "2 edges and 3 edge labels"),
    ],
)
def test_arrays_are_checked(change: dict[str, NDArray[np.int64]], reason: str) -> None:
    fine = {
        "offsets": np.array([0, 3]),
        "rows": np.array([[2], [4], [0]], np.uint64),
        "labels": np.zeros(3, np.uint64),
    }
    GraphBatch(**fine)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match=reason):
        GraphBatch(**(fine | change))  # type: ignore[arg-type]


def test_what_changes_after_the_check_is_checked_again() -> None:
    batch = random_dags(2, 5, degree=2, labels=2, seed=1)
    batch.offsets[1] = 1 << 40
    with pytest.raises(SpaceError, match="row 0: offsets"):
        canonical_keys(batch)


def test_arguments_are_checked() -> None:
    batch = random_dags(2, 5, degree=2, labels=2, seed=1)
    with pytest.raises(SpaceError, match="names a vertex"):
        GraphBatch.from_edges([[0], [0]], [[], [(0, 1)]])
    with pytest.raises(SpaceError, match="row 1: an edge comes twice"):
        GraphBatch.from_edges([[0], [0, 0]], [[], [(0, 1), (0, 1)]])
    with pytest.raises(SpaceError, match="row 0: the order is no permutation"):
        reorder(batch, np.zeros(10, np.int64))
    with pytest.raises(SpaceError, match=r"row 1: .* none of 5 vertices"):
        prune(batch, sink=[0, 5])
    with pytest.raises(SpaceError, match="2 and 3 rows"):
        canonical_keys(batch, out=np.empty((3, 2), np.uint64))
    with pytest.raises(SpaceError, match="none of 2 graphs"):
        batch.take([2])


def test_threads_share_a_batch() -> None:
    batch = random_dags(3000, 24, degree=3, labels=3, seed=7)
    keys = canonical_keys(batch)
    got: list[Keys] = []
    threads = [
        threading.Thread(target=lambda: got.append(canonical_keys(batch, threads=2)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 3 and all(np.array_equal(part, keys) for part in got)


def pairs_for_nauty(count: int, seed: int) -> tuple[GraphBatch, GraphBatch]:
    """Half of the pairs copies, a quarter with two edges swapped, a quarter not related.

    All second graphs are relabeled. 5 to 12 vertices of two labels.
    """
    rng = np.random.default_rng(seed)
    first, second = [], []
    for n in range(5, 13):
        dense = rng.random((count // 8, n, n)) < rng.uniform(1.5, 3) / n
        dense[:, range(n), range(n)] = False
        labels = np.sort(rng.integers(0, 2, (len(dense), n)), axis=1)
        other = dense.copy()
        for i in range(len(dense) // 2, 3 * len(dense) // 4):
            swapped = edge_swapped(dense[i], rng)
            other[i] = dense[i] if swapped is None else swapped
        other[3 * len(dense) // 4 :] = np.roll(other[3 * len(dense) // 4 :], 1, axis=0)
        first.append(GraphBatch.from_dense(dense, labels))
        second.append(GraphBatch.from_dense(other, labels))
    return GraphBatch.concatenate(first), shuffled(GraphBatch.concatenate(second), seed=seed)


NAUTY = """
import sys
import numpy as np
import pynauty

data = np.load(sys.argv[1])
offsets, labels = data["offsets"].tolist(), data["labels"].tolist()
rows = data["rows"][:, 0].tolist()
found = []
for begin, end in zip(offsets, offsets[1:]):
    n, own = end - begin, labels[begin:end]
    neighbors = {v: [w for w in range(n) if rows[begin + v] >> w & 1] for v in range(n)}
    colors = [{v for v in range(n) if own[v] == c} for c in sorted(set(own))]
    graph = pynauty.Graph(n, True, neighbors, colors)
    found.append(hash((n, tuple(sorted(own)), pynauty.certificate(graph))))
np.save(sys.argv[2], np.array(found, np.int64))
"""


def test_pynauty_agrees_on_a_hundred_thousand_pairs(tmp_path: Path) -> None:
    pytest.importorskip("pynauty")
    first, second = pairs_for_nauty(100_000, seed=1)
    both = GraphBatch.concatenate([first, second])
    np.savez(tmp_path / "in.npz", offsets=both.offsets, rows=both.rows, labels=both.labels)
    subprocess.run(
        [sys.executable, "-c", NAUTY, str(tmp_path / "in.npz"), str(tmp_path / "out.npy")],
        check=True, timeout=200, env=os.environ | {"PYTHONHASHSEED": "0"},
    )  # fmt: skip
    theirs = np.load(tmp_path / "out.npy").reshape(2, -1)
    ours = canonical_keys(both).reshape(2, -1, 2)
    isomorphic = (ours[0] == ours[1]).all(axis=1)
    assert len(isomorphic) == 100_000 and 0.5 < isomorphic.mean() < 0.6
    assert np.array_equal(isomorphic, theirs[0] == theirs[1])


def test_golden_keys() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert len(golden) >= 40
    for entry in golden:
        batch = GraphBatch.from_edges(
            [entry["labels"]], [entry["edges"]], entry["edge_labels"] and [entry["edge_labels"]]
        )
        moved = shuffled(batch, seed=1)
        assert texts(canonical_keys(moved)) == [entry["key"]], entry["name"]
        assert automorphism_counts(moved) == [int(entry["automorphisms"])]


def test_cells_of_darts() -> None:
    batch = darts_cells(2000, seed=1)
    assert (batch.edge_counts == 20).all()
    assert same(prune(batch, source=0), prune(batch, source=[0] * 2000))
    keys = canonical_keys(batch)
    assert np.array_equal(canonical_keys(shuffled(batch, seed=2)), keys)
    assert distinct(keys) > 1900


def test_the_examples_of_the_texts() -> None:
    for module in (batch_module, graphs):
        result = doctest.testmod(module)
        assert result.failed == 0
    assert doctest.testmod(batch_module).attempted > 3
