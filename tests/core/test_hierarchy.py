"""Hierarchical genotypes: exact chances of re-labeling, and graphs that compute what is nested."""

from __future__ import annotations

import doctest
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nasturtium.errors import SpaceError
from nasturtium.graphs import LIU_2018, GraphBatch, Hierarchy, hierarchy, prune

SMALL = Hierarchy(("a", "identity", "c"), ((2, 3), (1, 3)))
some = settings(max_examples=60, deadline=None, derandomize=True)


def test_sizes() -> None:
    """7^6 a motif of the second level, 7^10 the cell."""
    assert Hierarchy(LIU_2018.primitives, ((1, 4),)).size() == 7**6
    assert LIU_2018.size() == 7**36 * 7**10
    assert SMALL.width == 2 * 3 + 3 and SMALL.size() == 4**6 * 3**3
    places = [
        SMALL.column(level, motif, source, target)
        for level, motif in ((0, 0), (0, 1), (1, 0))
        for source, target in ((0, 1), (0, 2), (1, 2))
    ]
    assert places == list(range(9))


def relabeled(code: tuple[int, ...], distinct: bool) -> dict[tuple[int, ...], Fraction]:
    """Every result of one re-labeling of a code of `SMALL`, with its chance."""
    chances: dict[tuple[int, ...], Fraction] = {}
    for level, motifs, most in ((0, 2, 3), (1, 1, 2)):
        for motif in range(motifs):
            for i in (1, 2):
                for j in range(i):
                    at = SMALL.column(level, motif, j, i)
                    values = [v for v in range(most + 1) if not (distinct and v == code[at])]
                    for value in values:
                        made = (*code[:at], value, *code[at + 1 :])
                        p = Fraction(1, 2 * motifs * 2 * i * len(values))
                        chances[made] = chances.get(made, Fraction(0)) + p
    assert sum(chances.values()) == 1
    return chances


@pytest.mark.parametrize("distinct", [False, True])
def test_chances_of_every_result(distinct: bool) -> None:
    code = (1, 0, 3, 2, 2, 0, 1, 2, 0)
    n = 20_000
    made = SMALL.mutate(np.tile(np.array(code, np.uint8), (n, 1)), seed=3, distinct=distinct)
    found = Counter(map(tuple, made.tolist()))
    chances = relabeled(code, distinct)
    assert set(found) <= set(chances)
    seen = [found[key] for key in chances]
    assert stats.chisquare(seen, [float(p * n) for p in chances.values()]).pvalue > 1e-4


def test_two_steps_are_one_after_the_other() -> None:
    code = (1, 0, 3, 2, 2, 0, 1, 2, 0)
    twice: Counter[int] = Counter()
    for made, p in relabeled(code, True).items():
        for again, q in relabeled(made, True).items():
            twice[sum(a != b for a, b in zip(again, code, strict=True))] += float(p * q)
    n = 20_000
    rows = SMALL.mutate(np.tile(np.array(code, np.uint8), (n, 1)), seed=4, distinct=True, steps=2)
    seen = np.bincount((rows != np.array(code, np.uint8)).sum(axis=1), minlength=3)
    assert stats.chisquare(seen, [twice[k] * n for k in range(3)]).pvalue > 1e-4


@st.composite
def coded(draw: st.DrawFn) -> tuple[Hierarchy, np.ndarray[Any, np.dtype[np.uint8]]]:
    levels = [(draw(st.integers(1, 3)), draw(st.integers(2, 4)))
              for _ in range(draw(st.integers(0, 2)))]  # fmt: skip
    levels.append((1, draw(st.integers(2, 4))))
    names = ("identity", *"abcd"[: draw(st.integers(0, 3))])
    made = Hierarchy(names, tuple(levels))
    row = []
    for level, (motifs, nodes) in enumerate(levels):
        edges = motifs * nodes * (nodes - 1) // 2
        row += draw(st.lists(st.integers(0, made.operations(level)), min_size=edges,
                             max_size=edges))  # fmt: skip
    return made, np.array([row], np.uint8)


def nested(made: Hierarchy, code: list[int], level: int, motif: int, value: Any) -> Any:
    """What a motif gives for a value: nodes are sorted lists of what enters, edges calls."""
    values = [value]
    for i in range(1, made.levels[level][1]):
        entering = []
        for j in range(i):
            operation = code[made.column(level, motif, j, i)]
            if operation and level == 0:
                entering.append((operation, values[j]))
            elif operation:
                entering.append((0, nested(made, code, level - 1, operation - 1, values[j])))
        values.append(sorted(entering, key=repr))
    return values[-1]


def flat(graph: GraphBatch, value: Any) -> Any:
    """The same along the edges of a graph; its vertices stand in a topological order."""
    pairs, marks = graph.edges(0)
    values = [value]
    for v in range(1, len(graph.labels)):
        entering = [(int(m), values[a]) for (a, b), m in zip(pairs.tolist(), marks, strict=True)
                    if b == v]  # fmt: skip
        values.append(sorted(entering, key=repr))
    return values[-1]


@some
@given(coded())
def test_flat_graphs_compute_what_is_nested(
    given_code: tuple[Hierarchy, np.ndarray[Any, np.dtype[np.uint8]]],
) -> None:
    made, code = given_code
    graph = made.flatten(code)
    assert flat(graph, "x") == nested(made, code[0].tolist(), len(made.levels) - 1, 0, "x")
    pairs, _ = graph.edges(0)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    labels = graph.labels.tolist()
    assert labels[0] == 1 and labels[-1] == 2 and not any(labels[1:-1])


def test_trivial_codes_are_chains_of_identities() -> None:
    graph = LIU_2018.flatten(LIU_2018.trivial())
    identity = LIU_2018.primitives.index("identity") + 1
    pairs, marks = graph.edges(0)
    # Four motifs in a row, each of three identities and the step to the next node.
    assert pairs.tolist() == [[i, i + 1] for i in range(16)]
    assert marks.tolist() == [identity, identity, identity, 0] * 4
    assert len(prune(graph).labels) == 17


def test_a_full_code_has_a_copy_of_each_motif_for_each_edge() -> None:
    """Ten edges with three new vertices each beside the five nodes; 6 edges a copy, and a step."""
    code = np.ones((1, 46), np.uint8)
    graph = LIU_2018.flatten(code)
    assert graph.sizes.tolist() == [5 + 10 * 3] and graph.edge_counts.tolist() == [10 * (6 + 1)]
    code[0, LIU_2018.column(1, 0, 0, 4)] = 0
    assert LIU_2018.flatten(code).sizes.tolist() == [5 + 9 * 3]
    changed = code.copy()
    changed[0, LIU_2018.column(0, 0, 0, 3)] = 4
    marks = [LIU_2018.flatten(row).edge_labels for row in (code, changed)]
    assert int((marks[0] != marks[1]).sum()) == 9  # in each of the nine occurrences


def test_rows_threads_and_starts() -> None:
    codes = LIU_2018.initial(5000, seed=1)
    assert len(np.unique(codes, axis=0)) == 5000
    again = LIU_2018.initial(100, seed=1, start=4900, threads=3)
    assert np.array_equal(codes[4900:], again)
    children = LIU_2018.mutate(codes, seed=2, threads=3)
    assert np.array_equal(children, LIU_2018.mutate(codes, seed=2))
    inside = codes.copy()
    assert LIU_2018.mutate(inside, seed=2, out=inside) is inside
    assert np.array_equal(inside, children)
    changed = (LIU_2018.mutate(codes, seed=2, distinct=True) != codes).sum(axis=1)
    assert (changed == 1).all()
    many, one = LIU_2018.flatten(codes[:300], threads=3), LIU_2018.flatten(codes[:300])
    assert np.array_equal(many.rows, one.rows)
    assert np.array_equal(many.edge_labels, one.edge_labels)  # type: ignore[arg-type]
    # After a thousand draws nothing is left of the start: operations are uniform.
    counts = np.bincount(codes.ravel(), minlength=7)
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hierarchy(("a",), ((1, 2),)), "the identity is one of them"),
        (lambda: Hierarchy(("identity", "identity"), ((1, 2),)), "primitives differ"),
        (lambda: Hierarchy(("identity",), ()), "a hierarchy has levels"),
        (lambda: Hierarchy(("identity",), ((2, 3),)), "the last of 1"),
        (lambda: Hierarchy(("identity",), ((1, 1),)), "2 to 64 nodes"),
        (lambda: Hierarchy(("identity",), ((256, 2), (1, 2))), "1 to 255 motifs"),
        (lambda: Hierarchy(("identity",), ((-1, 2), (1, 2))), "not negative"),
        (lambda: Hierarchy(("identity",), ((3, 64), (1, 2))), "more than 4,096 bytes"),
        (lambda: SMALL.column(0, 0, 1, 1), "no edge 1 -> 1"),
        (lambda: SMALL.column(2, 0, 0, 1), "of level 2"),
        (lambda: SMALL.mutate(np.zeros((1, 8), np.uint8), seed=0), r"uint8\[n, 9\]"),
        (lambda: SMALL.mutate(np.full((1, 9), 3, np.uint8), seed=0), "row 0: byte 6 is no"),
        (lambda: SMALL.flatten(np.full((1, 9), 4, np.uint8)), "row 0: byte 0 is no"),
        (lambda: SMALL.mutate(np.zeros((1, 9), np.uint8), seed=0, steps=-1), "steps = -1"),
        (lambda: SMALL.trivial(-1), "negative"),
        (lambda: Hierarchy(("identity",), ((1, 64), (1, 64))).flatten(np.ones((1, 4032), np.uint8)),
         "more than 4096 vertices"),
    ],
)  # fmt: skip
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()


def test_the_example_runs() -> None:
    done = doctest.testmod(hierarchy)
    assert done.attempted == 6 and done.failed == 0
