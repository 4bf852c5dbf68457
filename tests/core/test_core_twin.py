"""Every batch operation of the core against the slow twin, on random spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import space_twin as twin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasturtium.encodings import (
    categorical,
    decode_categorical,
    decode_one_hot,
    one_hot,
)
from nasturtium.errors import SpaceError
from nasturtium.spaces import Choice, Graph, Space
from nasturtium.spaces.declare import Live

some = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
seeds = st.integers(0, 2**64 - 1)


def codes_of(space: Space) -> list[list[int]]:
    return [list(map(int, code)) for code in space.enumerate()]


@some
@given(twin.spaces())
def test_enumeration_validity_and_size(space: Space) -> None:
    expected = twin.enumerate_codes(space)
    assert codes_of(space) == expected
    assert space.size() == len(expected)
    if not any(isinstance(constraint, Live) for constraint in space.constraints):
        assert space.size(limit=0) == len(expected)  # nothing is listed
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 6, (50, len(space.decisions)), dtype=np.uint8)
    assert space.valid(noise).tolist() == [twin.valid(space, list(map(int, c))) for c in noise]


@some
@given(twin.spaces(), seeds, st.integers(0, 2**32 - 1), st.integers(0, 2**63))
def test_sample(space: Space, seed: int, stream: int, start: int) -> None:
    if not twin.enumerate_codes(space):
        with pytest.raises(SpaceError, match="constraints"):
            space.sample(1, seed=seed)
        return
    got = space.sample(4, seed=seed, stream=stream, start=start)
    assert got.tolist() == [twin.sample(space, seed, stream, start + i) for i in range(4)]


@some
@given(twin.spaces(), seeds, st.integers(0, 2**32 - 1), st.integers(0, 2**63))
def test_mutate_and_neighbors(space: Space, seed: int, stream: int, start: int) -> None:
    for i, code in enumerate(space.enumerate()[:6]):
        plain = list(map(int, code))
        assert space.neighbors(code).tolist() == twin.neighbors(space, plain)
        try:
            expected = twin.mutate(space, plain, seed, stream, start + i)
        except SpaceError:
            with pytest.raises(SpaceError, match="row 0: the architecture has no valid neighbor"):
                space.mutate(code[None], seed=seed, stream=stream, start=start + i)
            continue
        got = space.mutate(code[None], seed=seed, stream=stream, start=start + i)
        assert got[0].tolist() == expected
        assert got[0].tolist() != plain


@some
@given(twin.spaces(), seeds)
def test_crossover(space: Space, seed: int) -> None:
    codes = space.enumerate()
    a, b = codes[:5], codes[::-1][:5]
    got = space.crossover(a, b, seed=seed, stream=3)
    for i, child in enumerate(got.tolist()):
        assert child == twin.crossover(space, a[i].tolist(), b[i].tolist(), seed, 3, i)
    assert space.valid(got).all()


@some
@given(twin.spaces())
def test_activity_and_encodings(space: Space) -> None:
    codes = space.enumerate()[:200]
    on = np.array([twin.active(space, c.tolist()) for c in codes], bool).reshape(codes.shape)
    assert np.array_equal(space.active(codes), on)
    assert np.array_equal(categorical(space, codes), np.where(on, codes.astype(int), -1))
    columns = [
        [float(a and v == o) for v, a, c in zip(code, row, space.decisions, strict=True)
         for o in range(len(c.options))]
        for code, row in zip(codes, on, strict=True)
    ]  # fmt: skip
    hot = one_hot(space, codes)
    assert hot.tolist() == columns
    if len(codes):
        assert np.array_equal(decode_one_hot(space, hot), codes)
        assert np.array_equal(decode_categorical(space, categorical(space, codes)), codes)
        with pytest.raises(SpaceError):
            decode_one_hot(space, hot * 2)


@some
@given(twin.spaces())
def test_live_parts(space: Space) -> None:
    assert space.graph is not None
    codes = space.enumerate()[:100]
    nodes, edges = space.live(codes)
    for code, live_nodes, live_edges in zip(codes, nodes, edges, strict=True):
        twin_nodes, twin_edges = twin.live(space, code.tolist())
        assert live_nodes.tolist() == [n.name in twin_nodes for n in space.graph.nodes]
        assert live_edges.tolist() == [(e.src, e.dst) in twin_edges for e in space.graph.edges]


def partition(items: list[Any]) -> list[int]:
    first: dict[Any, int] = {}
    return [first.setdefault(item, i) for i, item in enumerate(items)]


def compare_keys(space: Space, codes: Any) -> None:
    assert space.graph is not None
    forms: dict[str, list[Any]] = {"genotype": [], "pruned": [], "graph": [], "function": []}
    for code in codes.tolist():
        own = twin.attributes(space, code)
        nodes, edges = twin.live(space, code)
        order = list(nodes)
        names = [(nodes[v], v == space.graph.nodes[0].name, v == space.graph.nodes[-1].name)
                 for v in order]  # fmt: skip
        numbered = {(order.index(s), order.index(d)): op for (s, d), op in edges.items()}
        forms["genotype"].append(repr(code))
        forms["pruned"].append(repr((own, sorted(nodes.items()), sorted(edges.items()))))
        forms["graph"].append(repr((own, twin.least_form(names, numbered))))
        forms["function"].append(repr((own, twin.least_form(*twin.function(space, code)))))
    for convention, expected in forms.items():
        got = [tuple(key) for key in space.keys(codes, convention).tolist()]
        assert partition(got) == partition(expected), convention


@settings(some, max_examples=30)
@given(twin.spaces(max_decisions=5))
def test_keys_give_the_partition_of_the_twin(space: Space) -> None:
    compare_keys(space, space.enumerate()[:60])


@settings(some, max_examples=25)
@given(twin.cells(), seeds)
def test_keys_of_cells_give_the_partition_of_the_twin(space: Space, seed: int) -> None:
    compare_keys(space, space.sample(120, seed=seed))


def test_a_concatenated_sum_is_one_value() -> None:
    """Two concatenations of the same values are one value, also where an entering one is a sum."""
    graph = Graph(identity=("skip", "sum"), concat="cat")
    for name, label in zip(
        "imscdpqo", ("sum", "sum", "sum", "cat", "cat", *["sum"] * 3), strict=True
    ):
        graph.node(name, label)
    own, second = Choice("own", ("skip", "none")), Choice("second", ("none", "conv"))
    other = Choice("other", ("none", "conv"))
    for src, dst in ("im", "is"):
        graph.edge(src, dst, "conv")
    for src, dst in ("ms", "sc", "ic", "sd", "po", "qo"):
        graph.edge(src, dst, "skip")
    graph.edge("i", "d", own).edge("c", "p", "conv").edge("c", "q", second).edge("d", "q", other)
    space = Space("cat", [own, second, other], graph)

    def key(text: str) -> str:
        return space.parse(f"cat:{text}").key()

    once = key("own=skip,second=conv,other=none")
    assert key("own=skip,second=none,other=conv") == once
    assert key("own=none,second=none,other=conv") != once
