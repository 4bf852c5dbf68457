"""Verbs on units against the probabilities of every result, and units of relabeled vertices."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import graph_twin as twin
import numpy as np
import pytest
from scipy import stats

from nasturtium.errors import SpaceError
from nasturtium.graphs import (
    NASBOT,
    NASBOT_STEPS,
    NASBOT_UNITS,
    UNIT_VERBS,
    VERBS,
    GraphBatch,
    Limits,
    Units,
    mutate,
    prune,
    with_units,
)

CONV3, CONV5, POOL = 3, 5, 7
RULE = Units((CONV3, CONV5), least=8, most=40)
EDGES = [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5), (5, 6), (1, 6)]
# A pooling between convolutions, one of them at either limit.
OPERATIONS = [0, CONV3, POOL, CONV5, CONV3, CONV3, 1]
UNITS = [0, 8, 0, 40, 17, 30, 0]


def network(units: list[int] = UNITS) -> GraphBatch:
    return GraphBatch.from_edges([with_units(OPERATIONS, units)], [EDGES])


def step(units: int) -> int:
    """An eighth, halves rounded up, at least 1."""
    return max(1, (Fraction(units, 8) + Fraction(1, 2)).__floor__())


def resized(units: int, verb: str) -> int | None:
    new = units + step(units) if verb.startswith("widen") else units - step(units)
    return new if RULE.least <= new <= RULE.most else None


def results(units: list[int], verb: str) -> dict[tuple[int, ...], Fraction]:
    """Every result of a verb with its probability."""
    sized = [v for v in range(1, len(units) - 1) if OPERATIONS[v] in RULE.operations]
    if verb.endswith("many"):
        share = 8 if len(sized) > 8 else 4 if len(sized) > 4 else 2
        run = max(1, len(sized) // share)
        groups = [sized[i : i + run] for i in range(len(sized) - run + 1)]
    else:
        groups = [[v] for v in sized]
    groups = [g for g in groups if all(resized(units[v], verb) is not None for v in g)]
    made = [tuple(resized(u, verb) if v in g else u for v, u in enumerate(units)) for g in groups]
    return {key: Fraction(1, len(made)) for key in made}  # type: ignore[misc]


@pytest.mark.parametrize("verb", UNIT_VERBS)
@pytest.mark.parametrize("units", [UNITS, [0, 20, 0, 21, 22, 23, 0]])
def test_each_verb_against_all_its_results(verb: str, units: list[int]) -> None:
    n = 4000
    many = network(units).take([0] * n)
    made = mutate(many, labels=[CONV3], verbs={verb: 1}, seed=1, units=RULE, threads=2)
    assert np.array_equal(made.rows, many.rows)
    labels = made.labels.reshape(n, -1)
    assert (labels & 0xFFFFFFFF == OPERATIONS).all()
    found = Counter(map(tuple, (labels >> np.uint64(32)).tolist()))
    chances = results(units, verb)
    assert chances and set(found) == set(chances)
    seen = [found[key] for key in chances]
    assert (
        len(seen) == 1
        or stats.chisquare(seen, [float(p * n) for p in chances.values()]).pvalue > 1e-4
    )


def test_how_many_layers_go_together() -> None:
    """1 of up to 3 layers, 2 of 4, 1 of 5 to 7, 2 of 8, 1 of 9 to 15, 2 of 16."""
    for layers, run in [(1, 1), (3, 1), (4, 2), (5, 1), (7, 1), (8, 2), (9, 1), (15, 1), (16, 2)]:
        labels = with_units([0, *[CONV3] * layers, 1], [0, *[16] * layers, 0])
        chain = GraphBatch.from_edges([labels], [[(v, v + 1) for v in range(layers + 1)]])
        made = mutate(chain, labels=[CONV3], verbs={"widen_many": 1}, seed=2, units=RULE)
        changed = np.flatnonzero(made.labels != chain.labels)
        assert len(changed) == run and (np.diff(changed) == 1).all()
        assert (made.labels[changed] == with_units(CONV3, 18)).all()


def units_by_operation(batch: GraphBatch, at: int) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for i in range(len(batch)):
        label = int(batch.labels_of(i)[at])
        found.setdefault(label & 0xFFFFFFFF, set()).add(label >> 32)
    return found


def test_relabeled_and_inserted_vertices_have_units() -> None:
    labels = [CONV3, CONV5, POOL]
    many = network().take([0] * 3000)
    made = mutate(many, labels=labels, verbs={"relabel": 1}, seed=3, units=RULE)
    # The pooling is between units 8 and 17: 12.5, rounded up; the others keep theirs or have none.
    assert units_by_operation(made, 2) == {POOL: {0}, CONV3: {13}, CONV5: {13}}
    assert units_by_operation(made, 4) == {CONV3: {17}, CONV5: {17}, POOL: {0}}
    grown = mutate(many, labels=labels, verbs={"insert": 1}, seed=4, units=RULE)
    new = Counter()
    for i in range(len(grown)):
        pairs, _ = grown.edges(i)
        own = grown.labels_of(i)
        before = [tuple(p) for p in pairs.tolist()]
        # The new vertex is the one without which the old labels are left.
        at = next(v for v in range(8) if np.array_equal(np.delete(own, v), many.labels_of(0))
                  and sum(b == v for _, b in before) == 1)  # fmt: skip
        ends = [own[a] for a, b in before if b == at] + [own[b] for a, b in before if a == at]
        have = [int(x) >> 32 for x in ends if int(x) >> 32]
        mean = (Fraction(sum(have), len(have)) + Fraction(1, 2)).__floor__() if have else 8
        operation, units = int(own[at]) & 0xFFFFFFFF, int(own[at]) >> 32
        if sum(np.array_equal(np.delete(own, v), many.labels_of(0)) for v in range(8)) == 1:
            assert units == (0 if operation == POOL else min(40, max(8, mean)))
            new[operation] += 1
    assert set(new) == set(labels)
    alone = GraphBatch.from_edges([[0, 1]], [[(0, 1)]])
    first = mutate(alone, labels=[CONV3], verbs={"insert": 1}, seed=1, units=RULE)
    assert first.labels.tolist() == [0, int(with_units(CONV3, 8)), 1]


def test_chains_of_all_verbs_stay_networks() -> None:
    """500 walks of 20 edits of the paper's verbs: one input, one output, caps and units kept."""
    batch = network().take([0] * 500)
    limits = Limits(vertices=25, edges=60, entering=5, leaving=6)
    rule = Units((CONV3, CONV5), least=8, most=1024)
    for number in range(20):
        batch = mutate(batch, labels=[CONV3, CONV5, POOL], verbs=NASBOT_UNITS, seed=number,
                       steps=NASBOT_STEPS, limits=limits, units=rule)  # fmt: skip
        inner = np.ones(len(batch.labels), bool)
        inner[batch.offsets[:-1]] = inner[batch.offsets[1:] - 1] = False
        operations, units = batch.labels & 0xFFFFFFFF, batch.labels >> np.uint64(32)
        sized = np.isin(operations, [CONV3, CONV5]) & inner
        assert ((units[sized] >= 8) & (units[sized] <= 1024)).all()
        assert not units[~sized].any()
        assert np.array_equal(prune(batch).offsets, batch.offsets)
        assert (batch.sizes <= 25).all() and (batch.edge_counts <= 60).all()
    assert len(np.unique(units[sized])) > 30
    assert all(twin.is_network(twin.plain(batch, i)) for i in range(0, 500, 10))
    assert sum(NASBOT_UNITS.values()) == pytest.approx(1.2) and set(NASBOT) < set(NASBOT_UNITS)


def test_without_units_nothing_changes() -> None:
    plain = GraphBatch.from_edges([OPERATIONS], [EDGES]).take([0] * 300)
    verbs = dict.fromkeys(VERBS, 1.0)
    made = mutate(plain, labels=[3, 5, 7], verbs=verbs, seed=8)
    other = mutate(plain, labels=[3, 5, 7], verbs=verbs, seed=8, units=Units((9,)))
    assert np.array_equal(made.labels, other.labels) and np.array_equal(made.rows, other.rows)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mutate(network(), labels=[3], verbs={"widen": 1}, seed=1), "needs to know"),
        (lambda: mutate(network(), labels=[3], verbs={"wider": 1}, seed=1, units=RULE),
         'did you mean "widen'),
        (lambda: mutate(network(), labels=[3], verbs=NASBOT, seed=1, units=Units(())), "leave"),
        (lambda: mutate(network(), labels=[2**32], verbs=NASBOT, seed=1, units=RULE), "below 2.32"),
        (lambda: mutate(network(), labels=[3], verbs=NASBOT, seed=1, units=Units((3,), 9, 8)),
         "1 or more"),
        (lambda: mutate(network(), labels=[3], verbs=NASBOT, seed=1, units=Units((3,), 0)),
         "1 or more"),
        (lambda: mutate(network(), labels=[3], verbs=NASBOT, seed=1, units=Units((3,), -1)),
         "1 to 2.32"),
        (lambda: mutate(network([0, 8, 1, 40, 17, 30, 0]), labels=[3], verbs=NASBOT, seed=1,
                        units=RULE), "row 0: units stand where"),
        (lambda: mutate(network([0, 0, 0, 40, 17, 30, 0]), labels=[3], verbs=NASBOT, seed=1,
                        units=RULE), "row 0: units stand where"),
        (lambda: mutate(network([0, 40, 0, 40, 40, 40, 0]), labels=[3], verbs={"widen": 1}, seed=1,
                        units=RULE), "row 0: no verb can edit"),
        (lambda: with_units([1], [-1]), "whole numbers"),
        (lambda: with_units([0.5], [1]), "whole numbers"),
    ],
)  # fmt: skip
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()
