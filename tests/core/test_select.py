"""Selectors against closed forms and plain twins; schedulers against their rules."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import space_twin as twin
from bookkeeping_twin import PlainQueue, PlainRungs
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nasturtium.bookkeeping import (
    AgeingQueue,
    Halving,
    Hyperband,
    Rungs,
    StoppingRungs,
    best_rows,
    hyperband_brackets,
    linear_rank,
    roulette,
    tournament,
    truncation,
)
from nasturtium.errors import UserError

SELECT = 17
DRAWS = 200_000
many = settings(max_examples=100, deadline=None, derandomize=True)
seeds = st.integers(0, 2**64 - 1)
scores = st.lists(st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0, math.inf]) | st.floats(-9, 9),
                  min_size=1, max_size=12)  # fmt: skip


def fits(picks: NDArray[np.int64], probabilities: Any) -> None:
    """Chi-square of the picks against the closed form, at 0.1 %."""
    p = np.asarray(probabilities, dtype=np.float64)
    assert p.sum() == pytest.approx(1)
    expected = p * len(picks)
    counts = np.bincount(picks, minlength=len(p))
    assert (counts[p == 0] == 0).all()
    some = p > 0
    chi = float(((counts - expected)[some] ** 2 / expected[some]).sum())
    free = int(some.sum()) - 1
    # Wilson and Hilferty's approximation of the 99.9 % point.
    assert chi < free * (1 - 2 / (9 * free) + 3.09 * math.sqrt(2 / (9 * free))) ** 3


order_of_rows = np.random.default_rng(3).permutation(11)  # the rank of each row, 0 the worst
VALUES = np.sort(np.random.default_rng(4).normal(size=11))[order_of_rows]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 11])
def test_tournaments_are_won_with_the_known_probabilities(size: int) -> None:
    n = len(order_of_rows)
    again = [((r + 1) ** size - r**size) / n**size for r in order_of_rows]
    fits(tournament(VALUES, DRAWS, size=size, seed=size), again)
    once = [math.comb(int(r), size - 1) / math.comb(n, size) for r in order_of_rows]
    picks = tournament(VALUES, DRAWS, size=size, replace=False, seed=100 + size)
    if size == n:
        assert (picks == VALUES.argmax()).all()
    else:
        fits(picks, once)


def test_equal_scores_win_equally_often() -> None:
    for replace in (True, False):
        picks = tournament([1.0, 1.0, 0.0, 1.0], DRAWS, size=2, replace=replace, seed=6)
        none = 1 / 16 if replace else 0.0
        fits(picks, [(1 - none) / 3, (1 - none) / 3, none, (1 - none) / 3])


def test_roulette_truncation_and_ranks_have_the_known_probabilities() -> None:
    weights = np.array([0.0, 1.0, 2.5, 0.0, 0.001, 6.0, 0.0])
    fits(roulette(weights, DRAWS, seed=1), weights / weights.sum())
    n = len(order_of_rows)
    for pressure in (1.0, 1.3, 2.0):
        p = [((2 - pressure) + 2 * (pressure - 1) * r / (n - 1)) / n for r in order_of_rows]
        fits(linear_rank(VALUES, DRAWS, pressure=pressure, seed=2), p)
    # Ranks 0, 1.5, 1.5, 3: equal scores share theirs.
    fits(linear_rank([5.0, 7.0, 9.0, 7.0], DRAWS, seed=3), [0, 0.25, 0.5, 0.25])
    fits(truncation(VALUES, DRAWS, keep=4, seed=4), np.where(order_of_rows >= n - 4, 0.25, 0))
    assert linear_rank([3.0], 5, seed=1).tolist() == [0] * 5


def draw(seed: int, row: int) -> twin.RowRandom:
    return twin.RowRandom(seed, 9, row, SELECT)


@many
@given(scores, st.integers(1, 20), seeds, st.integers(0, 2**63), st.booleans())
def test_tournaments_equal_the_plain_ones(
    values: list[float], size: int, seed: int, start: int, replace: bool
) -> None:
    n = len(values)
    if not replace:
        size = min(size, n)
    got = tournament(values, 5, size=size, replace=replace, seed=seed, stream=9, start=start)
    expected = []
    for i in range(5):
        random = draw(seed, start + i)
        left = list(range(n))
        drawn = []
        for _ in range(size):
            row = left[random.below(len(left))]
            drawn.append(row)
            if not replace:
                left.remove(row)
        expected.append(max(drawn, key=lambda row: values[row]))
    assert got.tolist() == expected


def word(random: twin.RowRandom) -> int:
    c = [random.row & 0xFFFFFFFF, random.row >> 32, SELECT << 24, random.stream]
    v = twin.philox(c, [random.seed & 0xFFFFFFFF, random.seed >> 32])
    return v[0] | v[1] << 32


@many
@given(st.lists(st.sampled_from([0.0, 1e-9, 0.3, 2.0, 1e9]), min_size=1, max_size=9), seeds)
def test_roulette_equals_the_plain_one(weights: list[float], seed: int) -> None:
    if not sum(weights):
        with pytest.raises(UserError, match="sum is not positive"):
            roulette(weights, 1, seed=seed)
        return
    got = roulette(weights, 20, seed=seed, stream=9, start=3).tolist()
    for i, row in enumerate(got):
        x = (word(draw(seed, 3 + i)) >> 11) * 2.0**-53 * sum(weights)
        assert weights[row] > 0
        assert sum(weights[:row]) <= x <= sum(weights[: row + 1])


@many
@given(scores, st.integers(0, 12), seeds)
def test_the_best_rows_and_truncation(values: list[float], keep: int, seed: int) -> None:
    keep = min(keep, len(values))
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    assert best_rows(values, keep).tolist() == order[:keep]
    if keep:
        got = truncation(values, 6, keep=keep, seed=seed, stream=9, start=5)
        assert got.tolist() == [order[draw(seed, 5 + i).below(keep)] for i in range(6)]


def test_threads_and_splits_change_nothing() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(1000)
    picks: list[Callable[..., NDArray[np.int64]]] = [
        lambda n, **k: tournament(values, n, size=5, **k),
        lambda n, **k: tournament(values, n, size=5, replace=False, **k),
        lambda n, **k: roulette(values, n, **k),
        lambda n, **k: linear_rank(values, n, pressure=1.5, **k),
        lambda n, **k: truncation(values, n, keep=100, **k),
    ]
    seen = set()
    for pick in picks:
        whole = pick(50_001, seed=7, stream=2, start=2**40)
        assert np.array_equal(pick(50_001, seed=7, stream=2, start=2**40, threads=3), whole)
        assert np.array_equal(pick(1, seed=7, stream=2, start=2**40 + 777), whole[777:778])
        assert not np.array_equal(pick(50_001, seed=7, stream=3, start=2**40), whole)
        seen.add(whole.tobytes())
        assert pick(0, seed=1).tolist() == []
    assert len(seen) == 5


def test_what_selectors_refuse() -> None:
    bad = [1.0, math.nan]
    for work in (lambda: tournament(bad, 1, size=1, seed=0), lambda: roulette(bad, 1, seed=0),
                 lambda: linear_rank(bad, 1, seed=0), lambda: best_rows(bad, 1),
                 lambda: truncation(bad, 1, keep=1, seed=0)):  # fmt: skip
        with pytest.raises(UserError, match="row 1: the score is NaN"):
            work()
    with pytest.raises(UserError, match="nothing to select"):
        roulette([], 1, seed=0)
    with pytest.raises(UserError, match="row 0: the weight"):
        roulette([-1.0, 2.0], 1, seed=0)
    with pytest.raises(UserError, match="row 1: the weight"):
        roulette([1.0, math.inf], 1, seed=0)
    with pytest.raises(UserError, match="tournament"):
        tournament([1.0, 2.0], 1, size=3, replace=False, seed=0)
    with pytest.raises(UserError, match="tournament"):
        tournament([1.0], 1, size=0, seed=0)
    with pytest.raises(UserError, match="pressure"):
        linear_rank([1.0, 2.0], 1, pressure=2.5, seed=0)
    for keep in (0, 3):
        with pytest.raises(UserError):
            truncation([1.0, 2.0], 1, keep=keep, seed=0)
    with pytest.raises(UserError, match="kept"):
        best_rows([1.0], 2)
    with pytest.raises(UserError, match="stream"):
        roulette([1.0], 1, seed=0, stream=2**32)


@many
@given(st.integers(1, 5), st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_the_ageing_queue_equals_the_plain_one(size: int, births: list[int]) -> None:
    queue, plain = AgeingQueue(size), PlainQueue(size)
    last: deque[int] = deque(maxlen=size)
    for individual in births:
        assert queue.born(individual) == plain.born(individual)
        last.append(individual)
        assert queue.members.tolist() == list(plain.members) == list(last)
        assert len(queue) == len(plain)
    with pytest.raises(UserError):
        AgeingQueue(0)


@many
@given(
    st.lists(st.integers(1, 4), max_size=3),
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 9), st.booleans()),
        max_size=80,
    ),
)
def test_rungs_equal_those_of_the_search(
    etas: list[int], arrivals: list[tuple[int, int, int, bool]]
) -> None:
    rungs, plain = Rungs(etas, width=2), PlainRungs(etas)
    standing: list[set[int]] = [set() for _ in range(len(etas) + 1)]
    for number, (first, second, kind, every) in enumerate(arrivals):
        rising = plain.next(every=every)
        assert rungs.next(every=every) == rising
        rung = 0
        if rising is not None and kind < 7:
            plain.promote(*rising)
            rungs.promote(*rising)
            with pytest.raises(ValueError, match="risen before"):
                plain.promote(*rising)
            with pytest.raises(UserError, match="risen before"):
                rungs.promote(*rising)
            entry, rung = rising[0], rising[1] + 1
        else:
            entry = number
        rank = None if kind % 4 == 3 else (float(first), -float(second))
        plain.add(rung, entry, rank)
        rungs.add(rung, entry, rank)
        if rank is not None:
            standing[rung].add(entry)
            with pytest.raises(UserError, match="holds this entry"):
                rungs.add(rung, entry, rank)
        assert rungs.counts == plain.count
        for every in (False, True):
            assert rungs.next(every=every) == plain.next(every=every)
    # Any entry may be told to rise, also from the middle.
    for k in range(len(etas)):
        for entry in sorted(standing[k] - plain.risen[k])[::2]:
            plain.promote(entry, k)
            rungs.promote(entry, k)
            assert rungs.next(every=True) == plain.next(every=True)


def test_rungs_of_thousands_of_entries_equal_those_of_the_search() -> None:
    rungs, plain = Rungs([3, 2]), PlainRungs([3, 2])
    ranks = np.random.default_rng(1).integers(0, 500, 4000).astype(float)
    ranks[1000:2000].sort()  # each of these is the best so far, or nearly
    for number, rank in enumerate(ranks):
        rungs.add(0, number, (rank,))
        plain.add(0, number, (rank,))
        while (rising := plain.next()) is not None and number % 7:
            assert rungs.next() == rising
            plain.promote(*rising)
            rungs.promote(*rising)
            again = (float(hash((rising[0], 5)) % 100),)
            plain.add(rising[1] + 1, rising[0], again)
            rungs.add(rising[1] + 1, rising[0], again)
        assert rungs.next() == plain.next()
        assert rungs.next(every=True) == plain.next(every=True)
    assert rungs.counts == plain.count and min(plain.count) > 300


@many
@given(
    st.integers(1, 4),
    st.lists(st.sampled_from([math.nan, -1.0, 0.0, 1.0, 2.0]) | st.floats(-5, 5), max_size=60),
)
def test_stopping_follows_its_rule(eta: int, values: list[float]) -> None:
    rungs = StoppingRungs([7, eta])
    for i, value in enumerate(values):
        told = sorted((v for v in values[: i + 1] if not math.isnan(v)), reverse=True)
        places = max(1, (i + 1) // eta)
        expected = not math.isnan(value) and value >= told[:places][-1]
        assert rungs.report(1, value) == expected
    with pytest.raises(UserError, match="rung"):
        rungs.report(2, 1.0)


@many
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(1, 5), st.data())
def test_halving_equals_sorting(sizes: list[int], workers: int, data: st.DataObject) -> None:
    sizes = sorted(sizes, reverse=True)
    value = st.sampled_from([math.nan, 0.0, 1.0, 2.0])
    table = [[data.draw(value) for _ in range(sizes[0])] for _ in sizes]
    stands, survivors = [], list(range(sizes[0]))
    for rung, size in enumerate(sizes):
        survivors = survivors[:size]
        stands.append(survivors)
        alive = [i for i in survivors if not math.isnan(table[rung][i])]
        survivors = sorted(alive, key=lambda i: (-table[rung][i], i))
        if not alive:
            break
    halving = Halving(sizes)
    out: list[tuple[int, int]] = []
    seen: list[list[int]] = [[] for _ in sizes]
    while not halving.done:
        while len(out) < workers and (job := halving.next()) is not None:
            out.append(job)
            seen[job[1]].append(job[0])
        number, rung = out.pop(data.draw(st.integers(0, len(out) - 1)))
        halving.tell(number, table[rung][number])
        with pytest.raises(UserError, match="not being evaluated"):
            halving.tell(number, 0.0)
    assert halving.next() is None and not out
    assert seen[: len(stands)] == stands and not any(seen[len(stands) :])
    best = None
    for rung, stand in enumerate(stands):
        told = [(table[rung][i], -i) for i in stand if not math.isnan(table[rung][i])]
        best = (-max(told)[1], max(told)[0]) if told else best
    assert halving.best == best


def test_hyperband_has_the_published_brackets() -> None:
    brackets = hyperband_brackets(81, 3)
    assert [b.sizes for b in brackets] == [[81, 27, 9, 3, 1], [34, 11, 3, 1], [15, 5, 1], [8, 2],
                                           [5]]  # fmt: skip
    assert [b.resources for b in brackets] == [[1, 3, 9, 27, 81][s:] for s in range(5)]
    assert hyperband_brackets(100, 10)[0].resources == [1.0, 10.0, 100.0]
    assert hyperband_brackets(1, 2) == [([1], [1.0])]
    for resource in (1, 2, 26, 27, 28, 1000):
        for eta in (2, 3, 4):
            s = max(k for k in range(20) if eta**k <= resource)
            for bracket, i in zip(hyperband_brackets(resource, eta), range(s, -1, -1), strict=True):
                n = -(-(s + 1) * eta**i // (i + 1))
                assert bracket.sizes == [n // eta**k for k in range(i + 1)]
                assert bracket.resources == pytest.approx(
                    [resource * eta ** (k - i) for k in range(i + 1)]
                )


@pytest.mark.parametrize("workers", [1, 3, 200])
def test_hyperband_runs_all_brackets(workers: int) -> None:
    plan = hyperband_brackets(27, 3)
    hyperband = Hyperband(27, 3)
    firsts = np.cumsum([0, *[b.sizes[0] for b in plan]])
    counts = [[0] * len(b.sizes) for b in plan]
    out = []
    while not hyperband.done:
        while len(out) < workers and (job := hyperband.next()) is not None:
            assert job.resource == plan[job.bracket].resources[job.rung]
            assert firsts[job.bracket] <= job.number < firsts[job.bracket + 1]
            counts[job.bracket][job.rung] += 1
            out.append(job)
            if workers == 1:
                # Without anything missing the brackets come one after the other.
                assert all(counts[b] == plan[b].sizes for b in range(job.bracket))
        job = out.pop(0)
        hyperband.tell(job.number, math.sin(job.number))
    assert counts == [b.sizes for b in plan]
    with pytest.raises(UserError):
        hyperband.tell(0, 1.0)


def test_what_schedulers_refuse() -> None:
    rungs = Rungs([2])
    for work in (lambda: rungs.add(2, 0, (1.0,)), lambda: rungs.add(0, 0, (math.nan,)),
                 lambda: rungs.add(0, 0, (1.0, 2.0)), lambda: rungs.promote(5, 0),
                 lambda: rungs.promote(0, 1), lambda: Rungs([0]), lambda: Rungs([2], width=5),
                 lambda: Halving([]), lambda: Halving([2, 3]), lambda: Halving([1, 0]),
                 lambda: Halving([3]).tell(0, 1.0), lambda: hyperband_brackets(0),
                 lambda: hyperband_brackets(9, 1), lambda: hyperband_brackets(2**60, 2),
                 lambda: StoppingRungs([0])):  # fmt: skip
        with pytest.raises(UserError):
            work()
    assert rungs.counts == [0, 0]
