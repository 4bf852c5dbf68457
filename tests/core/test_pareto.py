"""Ranks, crowding and volumes against pairwise comparison and inclusion-exclusion."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nasturtium import _core
from nasturtium.bookkeeping import ParetoArchive, contributions, crowding, hypervolume, ranks
from nasturtium.errors import UserError

Points = NDArray[np.float64]
many = settings(max_examples=150, deadline=None, derandomize=True)
special = st.sampled_from([-math.inf, -1.5, -0.0, 0.0, 1e-300, 1.0, 1e300, math.inf])


def grid(n: int, m: int, levels: int, seed: int) -> Points:
    """Points with many ties in each objective, and some of them equal."""
    return np.random.default_rng(seed).integers(0, levels, (n, m)).astype(np.float64)


def dominates(p: Any, q: Any) -> bool:
    pairs = list(zip(p, q, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def peeled(points: Any) -> list[int]:
    """Ranks by taking away what nothing dominates, again and again."""
    rows = [list(map(float, p)) for p in points]
    rank = [-1] * len(rows)
    left, level = set(range(len(rows))), 0
    while left:
        front = {i for i in left if not any(dominates(rows[j], rows[i]) for j in left)}
        for i in front:
            rank[i] = level
        left, level = left - front, level + 1
    return rank


def inclusion_exclusion(points: Any, reference: Any) -> float:
    """The volume of a union of boxes; exact on small integers."""
    total = 0.0
    rows = [list(map(float, p)) for p in points]
    for k in range(1, len(rows) + 1):
        for some in itertools.combinations(rows, k):
            sides = [r - max(c) for r, c in zip(reference, zip(*some, strict=True), strict=True)]
            if min(sides) > 0:
                total -= (-1) ** k * math.prod(sides)
    return total


def crowding_twin(points: Points, by: list[int]) -> list[float]:
    out = [0.0] * len(points)
    for level in set(by):
        front = [i for i in range(len(points)) if by[i] == level]
        for column in points.T.tolist():
            order = sorted(front, key=lambda i: (column[i], i))
            values = [column[i] for i in order]
            finite = [v for v in values if math.isfinite(v)]
            if len(front) <= 2:
                out[order[0]] = out[order[-1]] = math.inf
                continue
            if values[0] == values[-1]:
                continue
            out[order[0]] = out[order[-1]] = math.inf
            for i, low, high in zip(order[1:-1], values, values[2:], strict=False):
                if low == high:
                    continue
                if math.isinf(low) or math.isinf(high):
                    out[i] = math.inf
                else:
                    out[i] += (0.5 * high - 0.5 * low) / (0.5 * max(finite) - 0.5 * min(finite))
    return out


@many
@given(st.integers(0, 60), st.integers(1, 8), st.integers(1, 9), st.integers(0, 2**32))
def test_ranks_equal_peeling(n: int, m: int, levels: int, seed: int) -> None:
    points = grid(n, m, levels, seed)
    assert ranks(points).tolist() == peeled(points)


@many
@given(st.integers(1, 4), st.data())
def test_ranks_of_zeros_infinities_and_tiny_numbers(m: int, data: st.DataObject) -> None:
    points = data.draw(st.lists(st.tuples(*[special] * m), min_size=1, max_size=20))
    assert ranks(np.array(points)).tolist() == peeled(points)


def chain(points: Points, got: NDArray[np.int64]) -> None:
    """Necessary and sufficient in O(n^2) of numpy: the rank is the longest chain of dominators."""
    for p, rank in zip(points, got, strict=True):
        above = (points <= p).all(axis=1) & (points < p).any(axis=1)
        assert rank == (got[above].max() + 1 if above.any() else 0)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("levels", [3, 40, 10**9])
def test_ranks_of_sizes_that_take_the_radix_sort(m: int, levels: int) -> None:
    points = grid(400, m, levels, 100 * m + levels % 97)
    points[::7] = points[0]
    points[:, 0] += 1e9  # equal leading bits: the order is left to comparisons
    chain(points, ranks(points))


@pytest.mark.parametrize("m", [3, 4])
def test_ranks_of_long_fronts_and_many_fronts(m: int) -> None:
    """Fronts of thousands of points, in an order that fills and splits the staircases' blocks."""
    rng = np.random.default_rng(m)
    n = 2000
    front = rng.permutation(n).astype(np.float64)
    points = np.column_stack([np.arange(n) % 7, front, -front, *[np.zeros(n)] * (m - 3)])
    points = np.concatenate([points, points[::3] + 1, rng.random((600, m)) * n - n / 2])
    got = ranks(points)
    chain(points, got)
    assert np.array_equal(ranks(points[::-1])[::-1], got)


@many
@given(st.integers(0, 40), st.integers(1, 5), st.integers(1, 12), st.integers(0, 2**32))
def test_crowding_equals_its_twin(n: int, m: int, levels: int, seed: int) -> None:
    points = grid(n, m, levels, seed)
    assert crowding(points).tolist() == crowding_twin(points, peeled(points))
    one = np.zeros(n, np.int64)
    assert crowding(points, one).tolist() == crowding_twin(points, [0] * n)


@many
@given(st.integers(1, 3), st.data())
def test_crowding_with_infinite_values(m: int, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(*[special] * m), min_size=1, max_size=20))
    points = np.array(rows)
    got = crowding(points, np.zeros(len(points), np.int64))
    assert not np.isnan(got).any()
    assert got.tolist() == crowding_twin(points, [0] * len(points))


def test_crowding_of_a_known_front() -> None:
    points = [[0, 10], [1, 5], [2, 4], [10, 0], [3, 11]]
    # Neighbors (0, 10) and (2, 4): 2/10 + 6/10; then (1, 5) and (10, 0): 9/10 + 5/10.
    expected = [math.inf, 0.8, 1.4, math.inf, math.inf]
    assert crowding(points).tolist() == pytest.approx(expected)


@many
@given(st.integers(0, 8), st.integers(2, 6), st.integers(2, 7), st.integers(0, 2**32))
def test_volume_and_contributions_equal_inclusion_exclusion(
    n: int, m: int, levels: int, seed: int
) -> None:
    points = grid(n, m, levels, seed)
    reference = [float(levels - seed % 2)] * m
    whole = inclusion_exclusion(points, reference)
    assert hypervolume(points, reference) == whole
    # Integers: the differences are exact.
    own = [whole - inclusion_exclusion(np.delete(points, i, 0), reference) for i in range(n)]
    assert contributions(points, reference).tolist() == own


def covered(points: Points, side: int) -> NDArray[np.bool_]:
    """Which unit cells of the cube from 0 to `side` are dominated."""
    m = points.shape[1]
    cells = np.zeros((side,) * m, np.bool_)
    for p in points.astype(int):
        cells[tuple(slice(max(int(c), 0), side) for c in p)] = True
    return cells


@settings(many, max_examples=60)
@given(st.integers(2, 6), st.integers(0, 60), st.integers(0, 2**32))
def test_volume_of_many_points_equals_counted_cells(m: int, n: int, seed: int) -> None:
    side = {2: 30, 3: 14, 4: 8, 5: 6, 6: 5}[m]
    points = grid(n, m, side + 2, seed)
    counts = np.zeros((side,) * m, np.int64)
    for p in points:
        counts += covered(p[None], side)
    assert hypervolume(points, [side] * m) == np.count_nonzero(counts)
    own = [np.count_nonzero(covered(p[None], side) & (counts == 1)) for p in points]
    assert contributions(points, [side] * m).tolist() == own


@pytest.mark.parametrize("m", [2, 3, 4, 5, 6])
def test_volume_of_real_numbers_by_monte_carlo_and_by_symmetry(m: int) -> None:
    rng = np.random.default_rng(m)
    points = np.abs(rng.normal(size=(60, m)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    whole = hypervolume(points, [1.0] * m)
    drawn = rng.random((40_000, m))
    inside = (drawn[:, None] >= points).all(axis=2).any(axis=1).mean()
    assert abs(whole - inside) < 5 * math.sqrt(0.25 / len(drawn))
    for _ in range(3):
        axes, rows = rng.permutation(m), rng.permutation(len(points))
        assert hypervolume(points[rows][:, axes], [1.0] * m) == pytest.approx(whole, rel=1e-12)
    own = contributions(points, [1.0] * m)
    for i in range(0, 60, 7):
        rest = hypervolume(np.delete(points, i, 0), [1.0] * m)
        assert own[i] == pytest.approx(whole - rest, abs=1e-12)
    for threads in (2, 5):
        assert np.array_equal(contributions(points, [1.0] * m, threads=threads), own)


@pytest.mark.parametrize("m", [2, 3])
def test_volume_of_ten_thousand_points(m: int) -> None:
    """Against a sum over slices: in two objectives steps, in three a plane for each level."""
    rng = np.random.default_rng(5)
    points = rng.integers(0, 60, (10_000, m)).astype(np.float64)
    points[:9_000] += rng.integers(0, 900, (9_000, 1))
    side = 200
    cells = covered(points, side)
    assert hypervolume(points, [side] * m) == np.count_nonzero(cells)


def test_points_outside_and_empty_sets() -> None:
    assert hypervolume(np.empty((0, 3)), [1, 1, 1]) == 0
    assert contributions(np.empty((0, 3)), [1, 1, 1]).tolist() == []
    assert ranks(np.empty((0, 3))).tolist() == crowding(np.empty((0, 3))).tolist() == []
    points = [[0, 3], [3, 0], [math.inf, -5], [1, 1]]
    assert hypervolume(points, [3, 3]) == 4
    assert contributions(points, [3, 3]).tolist() == [0, 0, 0, 4]


def test_what_is_refused() -> None:
    bad = np.zeros((4, 3))
    bad[2, 1] = np.nan
    for work in (ranks, crowding, lambda p: hypervolume(p, [1] * 3)):
        with pytest.raises(UserError, match="row 2: a coordinate is NaN"):
            work(bad)
    with pytest.raises(UserError, match="2 to 6 objectives"):
        hypervolume(np.zeros((2, 7)), [1] * 7)
    with pytest.raises(UserError, match="2 to 6 objectives"):
        contributions(np.zeros((2, 1)), [1])
    with pytest.raises(UserError, match="not finite"):
        hypervolume(np.zeros((2, 2)), [1, math.inf])
    with pytest.raises(UserError, match="row 1: a coordinate is minus infinity"):
        hypervolume([[0, 0], [0, -math.inf]], [1, 1])
    with pytest.raises(UserError, match="one coordinate for each objective"):
        hypervolume(np.zeros((2, 2)), [1])
    with pytest.raises(UserError, match="row 1: a rank"):
        crowding(np.zeros((2, 2)), [0, 2])
    with pytest.raises(UserError, match="2 axes"):
        ranks([1.0, 2.0])
    with pytest.raises(UserError, match="float64"):
        ranks([["a"]])
    with pytest.raises(UserError, match="at least one objective"):
        ranks(np.empty((3, 0)))
    with pytest.raises(TypeError):
        _core.pareto_ranks(np.zeros((3, 2), np.float32), np.empty(3, np.int64))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="3 and 2 rows"):
        _core.pareto_ranks(np.zeros((3, 2)), np.empty(2, np.int64))


def archived(points: Any, ids: list[int]) -> tuple[list[bool], set[int]]:
    members: dict[int, Any] = {}
    joined = []
    for p, i in zip(points, ids, strict=True):
        rows = members.values()
        fits = not any(all(a <= b for a, b in zip(q, p, strict=True)) for q in rows)
        if fits:
            members = {k: q for k, q in members.items() if not dominates(p, q)}
            members[i] = p
        joined.append(fits)
    return joined, set(members)


@many
@given(st.integers(0, 60), st.integers(1, 4), st.integers(1, 9), st.integers(0, 2**32))
def test_an_archive_keeps_what_nothing_dominates(n: int, m: int, levels: int, seed: int) -> None:
    points = grid(n, m, levels, seed)
    ids = [2**63 + 3 * i for i in range(n)]
    archive = ParetoArchive(m)
    half = n // 2
    joined = archive.add(points[:half], np.array(ids[:half], np.uint64)).tolist()
    joined += archive.add(points[half:], np.array(ids[half:], np.uint64)).tolist()
    expected, members = archived(points.tolist(), ids)
    assert joined == expected
    assert set(archive.ids.tolist()) == members and len(archive) == len(members)
    at = dict(zip(ids, points.tolist(), strict=True))
    assert archive.points.tolist() == [at[i] for i in archive.ids.tolist()]
    if m == 2:
        assert archive.points[:, 0].tolist() == sorted(archive.points[:, 0].tolist())


def test_an_archive_of_a_million_members_takes_few_bytes() -> None:
    n = 1_000_000
    x = np.arange(n, dtype=np.float64)
    archive = ParetoArchive(2)
    assert archive.add(np.column_stack([x, -x]), np.arange(n, dtype=np.uint64)).all()
    assert len(archive) == n
    assert archive.bytes <= 48 * n
    assert not archive.add([[5.0, 0.0]], [7]).any()
    assert archive.add([[-1.0, -2e6]], [9]).all() and archive.ids.tolist() == [9]


def test_an_archive_refuses_nan_and_stays() -> None:
    archive = ParetoArchive(2)
    archive.add([[1, 1]], [1])
    with pytest.raises(UserError, match="row 1"):
        archive.add([[0, 0], [math.nan, 0]], [2, 3])
    assert archive.ids.tolist() == [1]
    with pytest.raises(UserError):
        archive.add([[0, 0, 0]], [2])
    with pytest.raises(UserError, match="uint64"):
        archive.add([[0, 0]], [-1])
