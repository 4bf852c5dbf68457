"""Mutation at a rate and the kinds of crossover: against the slow twin, and closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import space_twin as twin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from nasturtium.errors import SpaceError
from nasturtium.spaces import Choice, Space, at_most, image_cell, nb201

some = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
seeds = st.integers(0, 2**64 - 1)
N = 200_000


def fits(counts: Any, expected: Any) -> bool:
    """Chi-square at 0.1 %, with as many degrees of freedom as there are classes but one."""
    counts, expected = np.ravel(counts), np.ravel(expected)
    assert counts.sum() == pytest.approx(expected.sum())
    value = float(((counts - expected) ** 2 / expected).sum())
    return value < chi2.ppf(0.999, len(counts) - 1)


def chain() -> Space:
    """A chain of one to four units, each a type and a size."""
    depth = Choice("depth", (1, 2, 3, 4))
    decisions = [depth]
    for i in range(1, 5):
        there = {"depth": tuple(range(i, 5))}
        decisions.append(Choice(f"type{i}", ("conv", "pool", "fc"), when=there))
        decisions.append(Choice(f"size{i}", (3, 5, 7), when=there))
    return Space("chain", decisions)


UNITS = [[f"type{i}", f"size{i}"] for i in range(1, 5)]


@some
@given(twin.spaces(), seeds, st.integers(0, 2**63), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_mutation_at_a_rate(space: Space, seed: int, start: int, rate: float) -> None:
    codes = space.enumerate()[:8]
    got = space.mutate(codes, seed=seed, rate=rate, stream=3, start=start)
    for i, (code, child) in enumerate(zip(codes.tolist(), got.tolist(), strict=True)):
        assert child == twin.mutate_at_rate(space, code, rate, seed, 3, start + i)
    assert space.valid(got).all()
    if rate == 0:
        assert np.array_equal(got, codes)


@some
@given(twin.spaces(), seeds, st.randoms(use_true_random=False))
def test_one_point_and_stages(space: Space, seed: int, random: Any) -> None:
    codes = space.enumerate()
    a, b = codes[:6], codes[::-1][:6]
    order = random.sample(range(len(space.decisions)), len(space.decisions))
    groups = [order[: len(order) // 2 + 1]]
    named = [[space.decisions[i].name for i in group] for group in groups]
    for kind in ("one_point", "stages"):
        own = named if kind == "stages" else []
        got = space.crossover(a, b, seed=seed, kind=kind, groups=own, stream=1, start=7)  # type: ignore[arg-type]
        for i, child in enumerate(got.tolist()):
            expected = twin.crossover_by(
                space, kind, groups, a[i].tolist(), b[i].tolist(), seed, 1, 7 + i
            )
            assert child == expected
        assert space.valid(got).all()


@pytest.mark.parametrize(
    "constraints", [(), (at_most([f"type{i}" for i in range(1, 5)], "fc", 1),)]
)
def test_aligned_crossover(constraints: Any) -> None:
    space = Space("chain", chain().decisions, constraints=constraints)
    a, b = space.sample(2000, seed=1), space.sample(2000, seed=2)
    groups = [[space._position(name) for name in unit] for unit in UNITS]
    got = space.crossover(a, b, seed=3, kind="aligned", groups=UNITS)
    for i in range(0, len(got), 7):
        expected = twin.crossover_by(
            space, "aligned", groups, a[i].tolist(), b[i].tolist(), 3, 0, i
        )
        assert got[i].tolist() == expected
    # The chain keeps its length and the types of its units; sizes come from units of equal type.
    types = [space._position(f"type{i}") for i in range(1, 5)]
    assert np.array_equal(got[:, [0, *types]], a[:, [0, *types]])
    assert (got != a).any() and space.valid(got).all()


def test_aligned_units_are_those_of_one_type() -> None:
    space = chain()
    a = space.parse("chain:depth=3,type1=conv,size1=3,type2=pool,size2=3,type3=conv,size3=3").code
    b = space.parse(
        "chain:depth=4,type1=fc,size1=7,type2=conv,size2=5,type3=conv,size3=7,type4=pool,size4=7"
    ).code
    n = 40_000
    got = space.crossover(
        np.tile(a, (n, 1)), np.tile(b, (n, 1)), seed=1, kind="aligned", groups=UNITS
    )
    sizes = got[:, [space._position(f"size{i}") for i in (1, 2, 3)]]
    # First conv with first conv, pool with pool, second conv with second conv.
    assert {tuple(np.unique(column).tolist()) for column in sizes.T} == {(0, 1), (0, 2)}
    _, counts = np.unique(sizes, axis=0, return_counts=True)
    assert len(counts) == 8 and fits(counts, np.full(8, n / 8))


def test_the_number_of_changes_is_binomial() -> None:
    space = nb201()
    codes = space.sample(N, seed=1)
    for rate in (0.05, 1 / 6, 0.7):
        changes = (space.mutate(codes, seed=2, rate=rate) != codes).sum(axis=1)
        expected = [math.comb(6, k) * rate**k * (1 - rate) ** (6 - k) * N for k in range(7)]
        # Rare numbers of changes go into one class with the next.
        usual = [k for k in range(7) if expected[k] >= 10]
        low, high = usual[0], usual[-1]
        counts = np.bincount(np.clip(changes, low, high), minlength=high + 1)[low:]
        merged = expected[low : high + 1]
        merged[0] += sum(expected[:low])
        merged[-1] += sum(expected[high + 1 :])
        assert fits(counts, merged)
    # Where a decision changes, its other options are alike.
    mutants = space.mutate(codes, seed=3, rate=1.0)
    assert (mutants != codes).all()
    table = np.zeros((6, 4))
    step = (mutants.astype(int) - codes) % 5 - 1
    for i in range(6):
        table[i] = np.bincount(step[:, i], minlength=4)
    assert fits(table, np.full((6, 4), N / 4))


def test_rates_of_rows_scale_with_a_temperature() -> None:
    space = nb201()
    codes = space.sample(N, seed=1)
    temperature = np.repeat([0.0, 0.25, 0.5, 1.0], N // 4)
    mutants = space.mutate(codes, seed=2, rate=0.4 * temperature)
    changed = (mutants != codes).mean(axis=1).reshape(4, -1).mean(axis=1)
    deviation = np.sqrt(0.25 / (6 * N / 4))
    assert changed[0] == 0
    assert (abs(changed - 0.4 * np.array([0, 0.25, 0.5, 1.0])) < 5 * deviation).all()


def test_one_point_cuts_are_uniform() -> None:
    space = Space("bits", [Choice(f"d{i}", (0, 1)) for i in range(9)])
    zero, one = np.zeros((N, 9), np.uint8), np.ones((N, 9), np.uint8)
    got = space.crossover(zero, one, seed=5, kind="one_point")
    assert (np.diff(got.astype(int), axis=1) >= 0).all()
    counts = np.bincount(9 - got.sum(axis=1), minlength=9)
    assert counts[0] == 0 and fits(counts[1:], np.full(8, N / 8))


def test_stages_are_swapped_as_a_whole() -> None:
    space = Space("bits", [Choice(f"d{i}", (0, 1)) for i in range(8)])
    zero, one = np.zeros((N, 8), np.uint8), np.ones((N, 8), np.uint8)
    groups = [["d0", "d3", "d4"], ["d7", "d1"]]
    got = space.crossover(zero, one, seed=5, kind="stages", groups=groups)
    assert np.array_equal(got[:, 0], got[:, 3]) and np.array_equal(got[:, 3], got[:, 4])
    assert np.array_equal(got[:, 1], got[:, 7])
    free = got[:, [0, 1, 2, 5, 6]]
    counts = np.bincount(free @ (1 << np.arange(5)), minlength=32)
    assert fits(counts, np.full(32, N / 32))


def test_moves_refuse() -> None:
    space, codes = chain(), chain().sample(4, seed=1)

    def cross(**arguments: Any) -> Any:
        return space.crossover(codes, codes, seed=1, **arguments)

    for rate in (-0.1, 1.5, math.nan, np.array([0.1, 0.2, 2.0, 0.1])):
        with pytest.raises(SpaceError, match=r"row [02]: a rate is from 0 to 1"):
            space.mutate(codes, seed=1, rate=rate)
    with pytest.raises(ValueError, match="broadcast"):
        space.mutate(codes, seed=1, rate=np.ones(3))
    with pytest.raises(SpaceError, match='did you mean "stages"'):
        cross(kind="stage")
    with pytest.raises(SpaceError, match="takes groups"):
        cross(kind="aligned")
    with pytest.raises(SpaceError, match="takes no groups"):
        cross(groups=UNITS)
    with pytest.raises(SpaceError, match="no decision 'typ1'"):
        cross(kind="stages", groups=[["typ1"]])
    with pytest.raises(SpaceError, match="'type1' is in two groups"):
        cross(kind="stages", groups=[["type1"], ["size1", "type1"]])
    with pytest.raises(SpaceError, match="other decisions or options"):
        cross(kind="aligned", groups=[["type1", "size1"], ["type2"]])
    with pytest.raises(SpaceError, match="other decisions or options"):
        cross(kind="aligned", groups=[["type1"], ["size2"]])
    with pytest.raises(SpaceError, match="group of decisions is empty"):
        cross(kind="stages", groups=[[]])
    codes[2, 0] = 9
    for work in (lambda: space.mutate(codes, seed=1, rate=0.5), lambda: cross(kind="one_point")):
        with pytest.raises(SpaceError, match="row 2: decision 'depth'"):
            work()


def test_threads_and_splits_change_nothing() -> None:
    space = image_cell()
    a, b = space.sample(40_000, seed=1), space.sample(40_000, seed=2)
    groups = [["depth_1", "depth_2"], ["edge_1_0", "edge_2_0", "edge_2_1"]]
    rate = np.linspace(0, 1, len(a))
    whole = space.mutate(a, seed=3, rate=rate)
    assert np.array_equal(space.mutate(a, seed=3, rate=rate, threads=3), whole)
    tail = space.mutate(a[17:], seed=3, rate=rate[17:], start=17)
    assert np.array_equal(tail, whole[17:])
    for kind, own in (("one_point", []), ("stages", groups)):
        children = space.crossover(a, b, seed=4, kind=kind, groups=own)  # type: ignore[arg-type]
        again = space.crossover(a, b, seed=4, kind=kind, groups=own, threads=3)  # type: ignore[arg-type]
        assert np.array_equal(again, children) and space.valid(children).all()


@pytest.mark.parametrize("n", [1, 7, 8, 9, 70_001])
def test_rows_taken_eight_at_a_time_are_the_rows_one_by_one(n: int) -> None:
    spaces = [
        nb201(),
        Space("one", [Choice("d", range(256))]),
        Space("mixed", [Choice(f"d{i}", range(1 + i % 5)) for i in range(17)]),
    ]
    for space in spaces:
        codes = space.sample(n, seed=2**63 + 1, start=2**64 - 5)
        mutants = space.mutate(codes, seed=6, stream=2, start=2**32 - 3)
        for i in {0, n // 2, n - 1, min(n - 1, 8)}:
            row = (2**64 - 5 + i) % 2**64
            assert codes[i].tolist() == twin.sample(space, 2**63 + 1, 0, row)
            expected = twin.mutate(space, codes[i].tolist(), 6, 2, 2**32 - 3 + i)
            assert mutants[i].tolist() == expected
        if n > 8:
            bad = codes.copy()
            bad[n - 2, -1] = 255 if space.name != "one" else 0
            if space.name != "one":
                with pytest.raises(SpaceError, match=f"row {n - 2}: decision"):
                    space.mutate(bad, seed=1)
