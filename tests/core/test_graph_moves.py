"""Edits of networks and random wirings against the probabilities of every result."""

from __future__ import annotations

import doctest
from collections import Counter
from fractions import Fraction

import graph_twin as twin
import networkx as nx
import numpy as np
import pytest
from scipy import stats

from nasturtium.errors import SpaceError
from nasturtium.graphs import (
    NASBOT,
    NASBOT_STEPS,
    REAL_2017,
    VERBS,
    GraphBatch,
    Limits,
    barabasi_albert,
    canonical_keys,
    erdos_renyi,
    moves,
    mutate,
    prune,
    watts_strogatz,
)
from nasturtium.testing.graphs import random_dags

LABELS = [2, 3, 9]


def check_chances(batch: GraphBatch, chances: twin.Chances) -> None:
    """Pearson's test of what was drawn against exact probabilities; no result beside these."""
    assert sum(chances.values()) == 1
    found = Counter(twin.frozen(twin.plain(batch, i)) for i in range(len(batch)))
    assert set(found) <= set(chances)
    n = len(batch)
    rare = [key for key, p in chances.items() if p * n < 5]
    often = [key for key in chances if chances[key] * n >= 5]
    seen, expected = [found[k] for k in often], [float(chances[k] * n) for k in often]
    if rare:
        seen.append(sum(found[k] for k in rare))
        expected.append(float(sum((chances[k] for k in rare), Fraction(0)) * n))
    if len(seen) > 1:
        assert stats.chisquare(seen, expected).pvalue > 1e-4


def network(kind: int) -> GraphBatch:
    if kind == 0:
        return GraphBatch.from_edges([[0, 1]], [[(0, 1)]])
    if kind == 1:
        edges = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (0, 3)]
        return GraphBatch.from_edges([[0, 2, 7, 1]], [edges], [[4, 0, 5, 0, 6, 0]])
    edges = [(0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 5), (4, 5), (0, 5)]
    return GraphBatch.from_edges([[0, 2, 3, 9, 2, 1]], [edges], [list(range(8))])


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", [0, 1, 2])
def test_each_verb_against_all_its_results(verb: str, kind: int) -> None:
    one = network(kind)
    chances = twin.edited(twin.plain(one, 0), verb, LABELS)
    many = one.take([0] * 6000)
    if not chances:
        with pytest.raises(SpaceError, match="row 0: no verb can edit"):
            mutate(many, labels=LABELS, verbs={verb: 1}, seed=kind)
        return
    check_chances(mutate(many, labels=LABELS, verbs={verb: 1}, seed=kind, threads=2), chances)
    assert all(twin.is_network((list(labels), list(edges))) for labels, edges in chances)


@pytest.mark.parametrize("weights", [REAL_2017, NASBOT, {"remove": 1.0, "insert": 3.0}])
def test_verbs_come_by_their_weights(weights: dict[str, float]) -> None:
    for kind in (0, 2):
        one = network(kind)
        graph = twin.plain(one, 0)
        open_verbs = {verb: w for verb, w in weights.items() if twin.edited(graph, verb, LABELS)}
        total = sum(Fraction(w) for w in open_verbs.values())
        chances: twin.Chances = {}
        for verb, weight in open_verbs.items():
            for made, p in twin.edited(graph, verb, LABELS).items():
                chances[made] = chances.get(made, Fraction(0)) + p * Fraction(weight) / total
        check_chances(mutate(one.take([0] * 6000), labels=LABELS, verbs=weights, seed=5), chances)


def test_two_steps() -> None:
    one = network(1)
    first = twin.edited(twin.plain(one, 0), "remove_skip", LABELS)
    chances = {made: p / 4 for made, p in first.items()}
    for (labels, edges), p in first.items():
        then = twin.edited((list(labels), list(edges)), "remove_skip", LABELS)
        for made, q in then.items():
            chances[made] = chances.get(made, Fraction(0)) + p * q * Fraction(3, 4)
    verbs = {"remove_skip": 1.0}
    batch = mutate(one.take([0] * 6000), labels=[], verbs=verbs, seed=1, steps=(1, 3))
    check_chances(batch, chances)


def test_ten_thousand_chains_of_edits_stay_networks() -> None:
    """From the trivial network on, within limits, by the verbs of both papers."""
    limits = Limits(vertices=20, edges=30, entering=4, leaving=5)
    verbs = dict.fromkeys(VERBS, 1.0)
    batch = network(0).take([0] * 10_000)
    largest = 0
    for step in range(25):
        batch = mutate(
            batch, labels=LABELS, verbs=verbs, seed=step, steps=NASBOT_STEPS, limits=limits
        )
        assert (batch.sizes <= 20).all() and (batch.edge_counts <= 30).all()
        assert np.array_equal(prune(batch).offsets, batch.offsets)
        assert np.bitwise_count(batch.rows).max() <= 5
        largest = max(largest, int(batch.sizes.max()))
    for i in range(0, 10_000, 50):
        graph = twin.plain(batch, i)
        assert twin.is_network(graph)
        assert batch.dense(i).sum(axis=0).max() <= 4
        assert set(graph[0][1:-1]) <= set(LABELS) and graph[0][0] == 0 and graph[0][-1] == 1
    assert largest == 20
    assert len(np.unique(canonical_keys(batch), axis=0)) > 5000


def test_all_small_networks_are_reached() -> None:
    """Insert and remove undo each other's growth: every network of up to 4 vertices comes up."""
    verbs = dict.fromkeys(VERBS, 1.0)
    batch, seen = network(0).take([0] * 400), set()
    for step in range(60):
        batch = mutate(batch, labels=[0], verbs=verbs, seed=step, limits=Limits(vertices=4))
        seen |= {twin.frozen(twin.plain(batch, i))[1] for i in range(len(batch))}
    every = {
        twin.frozen(twin.plain(dags, i))[1]
        for n in (2, 3, 4)
        for dags in [twin.all_dags(n)]
        for i in range(len(dags))
        if twin.is_network(twin.plain(dags, i))
    }
    assert seen == every


def test_rows_do_not_depend_on_batch_or_threads() -> None:
    batch = prune(random_dags(700, 30, degree=4, labels=3, seed=1))
    verbs = dict.fromkeys(VERBS, 1.0)
    full = {verb: w for verb, w in verbs.items() if verb != "relabel"}

    def made(part: GraphBatch, **more: int) -> GraphBatch:
        return mutate(part, labels=LABELS, verbs=full, seed=9, stream=2, **more)

    kept = batch.take(np.flatnonzero(batch.sizes > 2))
    whole = made(kept, start=5)
    for threads in (2, 5):
        again = made(kept, start=5, threads=threads)
        assert np.array_equal(again.rows, whole.rows)
        assert np.array_equal(again.labels, whole.labels)
    tail = made(kept.take(range(100, len(kept))), start=105)
    assert np.array_equal(canonical_keys(tail), canonical_keys(whole)[100:])
    other = mutate(kept, labels=LABELS, verbs=full, seed=9, stream=3, start=5)
    assert (canonical_keys(other) != canonical_keys(whole)).any(axis=1).mean() > 0.5


def test_growth_beyond_a_word() -> None:
    n = 64
    chain = GraphBatch.from_edges([[0] * n], [[(v, v + 1) for v in range(n - 1)]])
    grown = mutate(chain, labels=[5], verbs={"insert": 1}, seed=1)
    assert grown.sizes.tolist() == [65] and grown.rows.shape[1] == 2
    assert twin.is_network(twin.plain(grown, 0))
    full = GraphBatch.from_edges([[0] * 4096], [[(v, v + 1) for v in range(4095)]])
    with pytest.raises(SpaceError, match="no verb can edit"):
        mutate(full, labels=[5], verbs={"insert": 1, "duplicate": 1}, seed=1)


def test_errors_of_mutate() -> None:
    fine = network(1)
    for edges in ([(0, 1), (1, 3)], [(0, 2), (2, 1), (1, 3)], [(0, 1), (1, 3), (2, 3)]):
        batch = GraphBatch.concatenate([fine, GraphBatch.from_edges([[0] * 4], [edges])])
        with pytest.raises(SpaceError, match="row 1: no network"):
            mutate(batch, labels=LABELS, verbs=NASBOT, seed=1)
    with pytest.raises(SpaceError, match=r"did you mean .remove"):
        mutate(fine, labels=LABELS, verbs={"removes": 1}, seed=1)
    with pytest.raises(SpaceError, match="not all 0"):
        mutate(fine, labels=LABELS, verbs={}, seed=1)
    with pytest.raises(SpaceError, match="not all 0"):
        mutate(fine, labels=LABELS, verbs=NASBOT, steps=(), seed=1)
    with pytest.raises(SpaceError, match="weights are finite"):
        mutate(fine, labels=LABELS, verbs={"insert": float("inf")}, seed=1)
    with pytest.raises(SpaceError, match="a label comes twice"):
        mutate(fine, labels=[1, 1], verbs=NASBOT, seed=1)
    with pytest.raises(SpaceError, match="at most 4096"):
        mutate(fine, labels=[1], verbs=NASBOT, seed=1, limits=Limits(vertices=5000))
    with pytest.raises(SpaceError, match="not negative"):
        mutate(fine, labels=[-1], verbs=NASBOT, seed=1)


QUARTER = Fraction(1, 4)


def test_wirings_against_every_choice() -> None:
    n = 8000
    check_chances(
        erdos_renyi(n, nodes=4, chance=0.25, seed=1), twin.wired("erdos_renyi", 4, 0, QUARTER)
    )
    for nodes, neighbors in ((5, 2), (5, 3), (6, 4)):
        check_chances(
            watts_strogatz(n, nodes=nodes, neighbors=neighbors, chance=0.25, seed=2, threads=2),
            twin.wired("watts_strogatz", nodes, neighbors, QUARTER),
        )
    for nodes, neighbors in ((5, 1), (5, 2), (6, 3), (3, 2)):
        check_chances(
            barabasi_albert(n, nodes=nodes, neighbors=neighbors, seed=3),
            twin.wired("barabasi_albert", nodes, neighbors, QUARTER),
        )


def inner(batch: GraphBatch, i: int) -> np.ndarray:
    return batch.dense(i)[1:-1, 1:-1]


def test_edges_of_larger_wirings() -> None:
    n, count = 32, 3000
    pairs = n * (n - 1) // 2
    random = erdos_renyi(count, nodes=n, chance=0.2, seed=1)
    edges = np.array([inner(random, i).sum() for i in range(count)])
    cuts = stats.binom.ppf(np.linspace(0, 1, 11)[1:-1], pairs, 0.2)
    seen = np.bincount(np.searchsorted(cuts, edges), minlength=10)
    below = np.concatenate([[0], stats.binom.cdf(cuts, pairs, 0.2), [1]])
    assert stats.chisquare(seen, np.diff(below) * count).pvalue > 1e-4
    ring = watts_strogatz(50, nodes=n, neighbors=4, chance=0.75, seed=2)
    assert all(inner(ring, i).sum() == 2 * n for i in range(50))
    grown = barabasi_albert(50, nodes=n, neighbors=5, seed=3)
    assert all(inner(grown, i).sum() == 5 * (n - 5) for i in range(50))
    for batch in (random, ring, grown):
        assert all(twin.is_network(twin.plain(batch, i)) for i in range(20))
        assert (batch.labels.reshape(-1, n + 2)[:, [0, -1]] == [1, 2]).all()


def test_degrees_are_those_of_networkx() -> None:
    """Small worlds of both: two samples of one distribution of degrees."""
    n, count = 24, 600
    ours = watts_strogatz(count, nodes=n, neighbors=4, chance=0.5, seed=4)
    own = Counter(int(d) for i in range(count) for d in (inner(ours, i) + inner(ours, i).T).sum(0))
    theirs: Counter[int] = Counter()
    for i in range(count):
        theirs.update(d for _, d in nx.watts_strogatz_graph(n, 4, 0.5, seed=i).degree)
    kinds = [d for d in range(n) if own[d] + theirs[d] >= 20]
    table = [[own[d] for d in kinds], [theirs[d] for d in kinds]]
    # Degrees within a graph depend on each other a little: hence the low bar.
    assert stats.chi2_contingency(table).pvalue > 1e-6


def test_wirings_are_functions_of_seed_stream_and_row() -> None:
    whole = erdos_renyi(200, nodes=20, chance=0.3, seed=1, stream=4)
    again = erdos_renyi(150, nodes=20, chance=0.3, seed=1, stream=4, start=50, threads=3)
    assert np.array_equal(whole.rows[50 * 22 :], again.rows)
    assert len(np.unique(canonical_keys(whole), axis=0)) == 200
    labeled = erdos_renyi(1, nodes=3, chance=1, seed=1, labels=(7, 8, 9))
    assert labeled.labels.tolist() == [8, 7, 7, 7, 9]
    assert erdos_renyi(1, nodes=1, chance=0, seed=1).dense(0).sum() == 2


def test_errors_of_wirings() -> None:
    with pytest.raises(SpaceError, match="1 to 4094 nodes"):
        erdos_renyi(1, nodes=0, chance=0.5, seed=1)
    with pytest.raises(SpaceError, match="between 0 and 1"):
        erdos_renyi(1, nodes=3, chance=float("nan"), seed=1)
    with pytest.raises(SpaceError, match="more nodes than neighbors"):
        watts_strogatz(1, nodes=4, neighbors=4, chance=0.5, seed=1)
    with pytest.raises(SpaceError, match="fewer than there are nodes"):
        barabasi_albert(1, nodes=4, neighbors=4, seed=1)
    with pytest.raises(SpaceError, match="not negative"):
        erdos_renyi(-1, nodes=4, chance=0.5, seed=1)


def test_the_examples_of_the_text() -> None:
    result = doctest.testmod(moves)
    assert result.failed == 0 and result.attempted > 2
