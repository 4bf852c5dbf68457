"""Edit distances against brute force, networkx, and the properties of a metric."""

from __future__ import annotations

import graph_twin as twin
import networkx as nx
import numpy as np
import pytest

from nasturtium.errors import GraphBudget, SpaceError
from nasturtium.graphs import EditCosts, GraphBatch, canonical_keys, edit_bounds, edit_distances
from nasturtium.testing.graphs import hard_graphs, random_dags, shuffled

COSTS = [
    (1.0, 1.0, 1.0, 1.0),
    (2.0, 0.5, 1.0, 0.25),
    (1.0, 5.0, 0.5, 4.0),  # other labels cost more than deleting and inserting
    (0.0, 1.0, 1.0, 1.0),
]


@pytest.mark.parametrize("costs", COSTS)
def test_small_graphs_against_brute_force(costs: tuple[float, float, float, float]) -> None:
    a = twin.random_batch(120, (0, 5), seed=1, marks=2)
    b = twin.random_batch(120, (0, 5), seed=2, marks=2)
    own = EditCosts(*costs)
    got = edit_distances(a, b, costs=own)
    expected = [twin.edit_distance(twin.plain(a, i), twin.plain(b, i), costs) for i in range(120)]
    assert got.tolist() == expected
    lower, upper = edit_bounds(a, b, costs=own, threads=2)
    assert (lower <= got).all() and (got <= upper).all()
    assert np.array_equal(edit_distances(b, a, costs=own, threads=3), got)


def test_six_vertices_against_brute_force() -> None:
    a = twin.random_batch(8, (6, 6), seed=3, degree=1.5, marks=1)
    b = twin.random_batch(8, (6, 6), seed=4, degree=1.5, marks=1)
    expected = [twin.edit_distance(twin.plain(a, i), twin.plain(b, i), COSTS[0]) for i in range(8)]
    assert edit_distances(a, b).tolist() == expected


def test_networkx_agrees() -> None:
    a = random_dags(12, 5, degree=2.5, labels=2, seed=1)
    b = random_dags(12, 6, degree=2.5, labels=2, seed=2)
    found = edit_distances(a, b)

    def graph(batch: GraphBatch, i: int) -> nx.DiGraph:
        made = nx.DiGraph()
        labels, edges = twin.plain(batch, i)
        made.add_nodes_from((v, {"label": label}) for v, label in enumerate(labels))
        made.add_edges_from((s, d) for s, d, _ in edges)
        return made

    for i in range(12):
        theirs = nx.graph_edit_distance(
            graph(a, i), graph(b, i), node_match=lambda v, w: v["label"] == w["label"]
        )
        assert found[i] == theirs


def test_properties_of_a_metric() -> None:
    first, second, third = (random_dags(60, 8, degree=3, labels=3, seed=seed) for seed in (1, 2, 3))
    ab, bc, ac = (
        edit_distances(x, y) for x, y in ((first, second), (second, third), (first, third))
    )
    assert (ac <= ab + bc).all() and (ab > 0).all()
    assert (edit_distances(first, shuffled(first, seed=4)) == 0).all()
    keys = (canonical_keys(first) == canonical_keys(second)).all(axis=1)
    assert np.array_equal(ab == 0, keys)


def test_known_edits_bound_the_distance() -> None:
    """One vertex gets another label and one edge goes: at most two edits, of graphs of any size."""
    batch = random_dags(12, 20, degree=3, labels=3, seed=5)
    labels = batch.labels.copy()
    labels[batch.offsets[:-1]] += np.uint64(7)
    matrices = np.stack([batch.dense(i) for i in range(12)])
    for matrix in matrices:
        s, d = np.argwhere(matrix)[0]
        matrix[s, d] = False
    other = GraphBatch.from_dense(matrices, labels.reshape(12, 20))
    assert (edit_distances(batch, shuffled(other, seed=1)) == 2).all()


def test_bounds_of_large_graphs() -> None:
    a = random_dags(3, 150, degree=3, labels=4, seed=6)
    b = random_dags(3, 170, degree=3, labels=4, seed=7)
    lower, upper = edit_bounds(a, b)
    assert (lower >= 20).all() and (lower < upper).all()
    assert (upper <= 320 + a.edge_counts + b.edge_counts).all()
    zero = edit_bounds(a, a)
    assert (zero[0] == 0).all() and (zero[1] >= 0).all()
    relabeled = edit_bounds(a, shuffled(b, seed=1))[0]
    assert np.array_equal(relabeled, lower)


def test_errors() -> None:
    pairs = hard_graphs()
    batch = random_dags(1, 4, degree=2, labels=1, seed=1)
    with pytest.raises(GraphBudget, match=r"row 1: .* more than 10 search nodes"):
        edit_distances(
            GraphBatch.concatenate([batch, pairs["rook 4x4"]]),
            GraphBatch.concatenate([batch, pairs["Shrikhande"]]),
            budget=10,
        )
    with pytest.raises(SpaceError, match="1 and 2 graphs"):
        edit_distances(batch, batch.take([0, 0]))
    with pytest.raises(SpaceError, match="row 0: graphs have at most 64"):
        edit_distances(random_dags(1, 65, degree=2, labels=1, seed=1), batch)
    with pytest.raises(SpaceError, match="finite and not negative"):
        edit_bounds(batch, batch, costs=EditCosts(vertex=-1.0))
    with pytest.raises(SpaceError, match="finite and not negative"):
        edit_distances(batch, batch, costs=EditCosts(edge=float("nan")))
    with pytest.raises(SpaceError, match="budget is at least 1"):
        edit_distances(batch, batch, budget=0)
