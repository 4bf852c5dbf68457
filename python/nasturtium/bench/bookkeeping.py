"""Fronts, volumes, trees, selectors and schedulers; moocore beside them where it is installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium.bench.rows import Row, grown, measured
from nasturtium.bench.timing import best
from nasturtium.bookkeeping import (
    ParetoArchive,
    Rungs,
    Tree,
    TreeRule,
    contributions,
    crowding,
    hypervolume,
    ranks,
    root_parallel,
    roulette,
    tournament,
)
from nasturtium.spaces import nb201

Floats = NDArray[np.float64]


def peer() -> Any:
    """The module moocore, or None."""
    there = importlib.util.find_spec("moocore") is not None
    return importlib.import_module("moocore") if there else None


def spread(n: int, m: int) -> Floats:
    """Uniform points."""
    return np.random.default_rng(n + m).random((n, m))


def sphere(n: int, m: int) -> Floats:
    """A front: directions of the positive orthant, all of length 1."""
    points = np.abs(np.random.default_rng(n + m).normal(size=(n, m)))
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))


def is_longest_chain(points: Floats, got: NDArray[np.int64]) -> bool:
    """Each of the first points has one rank more than the last of what dominates it."""
    for p, rank in zip(points[:50], got, strict=False):
        above = (points <= p).all(axis=1) & (points < p).any(axis=1)
        if rank != (got[above].max() + 1 if above.any() else 0):
            return False
    return True


def _on_spread(work: Callable[[Floats], object], m: int, n: int) -> Callable[[], object]:
    return functools.partial(work, spread(n, m))


def _on_sphere(work: Callable[[Floats, Floats], object], m: int, n: int) -> Callable[[], object]:
    return functools.partial(work, sphere(n, m), np.full(m, 1.1))


def _by_name(volume: Callable[..., object]) -> Callable[[Floats, Floats], object]:
    """The peer's function takes the reference by its name."""
    return lambda points, reference: volume(points, ref=reference)


def fronts(runs: int) -> list[Row]:
    """Non-dominated ranks and crowding distances."""
    rows, other = [], peer()
    for m, bar in ((2, 1.7), (3, 2.0), (4, None)):
        sizes = (1_000, 3_000, 10_000)
        for n in sizes:
            points = spread(n, m)
            got = ranks(points)
            assert is_longest_chain(points, got)
            assert other is None or np.array_equal(other.pareto_rank(points), got)
        theirs = other and functools.partial(_on_spread, other.pareto_rank, m)
        rows.append(
            grown(f"ranks, {m} objectives", sizes, functools.partial(_on_spread, ranks, m),
                  peers={"moocore": theirs}, runs=runs, bar=bar, relative=bar is not None)
        )  # fmt: skip

    def crowded(n: int) -> Callable[[], object]:
        points = spread(n, 2)
        return functools.partial(crowding, points, ranks(points))

    rows.append(grown("crowding, 2 objectives", (1_000, 10_000, 100_000), crowded, runs=runs))
    return rows


def volumes(runs: int) -> list[Row]:
    """Hypervolumes and what each point adds."""
    cases = {
        2: ((1_000, 10_000, 100_000), None),
        3: ((100, 300, 1_000), 2.0),
        4: ((250, 500, 1_000), 1.0),
        5: ((100, 250, 500), 1.0),
        6: ((50, 100, 300), 1.0),
    }
    rows, other = [], peer()
    for m, (sizes, bar) in cases.items():
        reference = np.full(m, 1.1)
        for n in sizes:
            volume = hypervolume(sphere(n, m), reference)
            assert other is None or abs(
                other.hypervolume(sphere(n, m), ref=reference) - volume
            ) < 1e-9 * abs(volume)
        theirs = other and functools.partial(_on_sphere, _by_name(other.hypervolume), m)
        rows.append(
            grown(f"hypervolume, {m} objectives", sizes,
                  functools.partial(_on_sphere, hypervolume, m),
                  peers={"moocore": theirs}, runs=runs, bar=bar, relative=bar is not None)
        )  # fmt: skip
    for m in (2, 3, 4):
        points, reference = sphere(250, m), np.full(m, 1.1)
        rest = hypervolume(np.delete(points, 7, 0), reference)
        whole = hypervolume(points, reference)
        assert abs(whole - rest - contributions(points, reference)[7]) < 1e-12
        rows.append(
            grown(f"contributions, {m} objectives", (250, 500, 1_000),
                  functools.partial(_on_sphere, contributions, m), runs=runs)
        )  # fmt: skip
    return rows


def table_of_six() -> Floats:
    """A stand-in for a table of NAS-Bench-201: each decision has its effect, and some noise."""
    rng = np.random.default_rng(0)
    effects = rng.random((6, 5))
    grid = np.ix_(*[np.arange(5)] * 6)
    whole = sum(effects[i][grid[i]] for i in range(6))
    return np.asarray(whole / 6 + 0.02 * rng.random((5,) * 6))


def trees(runs: int) -> list[Row]:
    """Simulations of UCT on six steps of five, and the memory of a million nodes."""
    table, rule = table_of_six(), TreeRule(c=1.0)

    def grow(n: int) -> Tree:
        tree = Tree(table.shape, rule, seed=1)
        tree.run(table, n)
        return tree

    assert int(grow(10_000).visits().sum()) == 10_000
    best_leaf = np.unravel_index(table.argmax(), table.shape)
    assert table[tuple(grow(1_000_000).best_path())] >= table[best_leaf] - 0.02
    rows = [
        grown("UCT simulations, six steps of five", (10_000, 100_000, 1_000_000),
              lambda n: functools.partial(grow, n), runs=runs, bar=5e6)
    ]  # fmt: skip
    n = 500_000
    merged = [root_parallel(table, n, rule, trees=2, seed=1, threads=t) for t in (1, 2)]
    assert np.array_equal(merged[0].means(), merged[1].means())
    one, two = (
        best(functools.partial(root_parallel, table, n, rule, trees=2, seed=1, threads=t), runs,
             time.perf_counter)
        for t in (1, 2)
    )  # fmt: skip
    rows.append(Row("UCT, two trees on two threads against one", one / two, "x", bar=1.8))
    deep = Tree((5,) * 11, TreeRule(c=2.0), seed=1)
    rng = np.random.default_rng(1)
    while deep.nodes < 1_000_000:
        leaves = deep.select(10_000)
        deep.backup(leaves.tickets, rng.random(10_000))
    size = deep.bytes / deep.nodes
    rows.append(Row("UCT, memory of a million nodes", size, "bytes/node", bar=64.0))
    return rows


def promoted(values: list[float]) -> int:
    """ASHA, from Python one value at a time."""
    rungs, rises = Rungs([3, 3, 3]), 0
    for number, value in enumerate(values):
        rungs.add(0, number, (value,))
        while (rising := rungs.next()) is not None:
            rungs.promote(*rising)
            rungs.add(rising[1] + 1, rising[0], (value,))
            rises += 1
    return rises


def selection(runs: int) -> list[Row]:
    """Selectors, the archive and ASHA."""
    scores = np.random.default_rng(2).random(100)
    sizes = (10_000, 100_000, 1_000_000)
    drawn = functools.partial(tournament, scores, size=10, seed=1)
    works: dict[str, Callable[[int], Callable[[], object]]] = {
        "tournaments of 10 of 100, with replacement": lambda n: lambda: drawn(n),
        "tournaments of 10 of 100, without replacement": lambda n: lambda: drawn(n, replace=False),
        "roulette over 100": lambda n: lambda: roulette(scores, n, seed=1),
    }
    rows = []
    for name, make in works.items():
        assert len(np.unique(np.asarray(make(1_000)()))) > 10
        rows.append(grown(name, sizes, make, runs=runs))
    n = sizes[-1]
    packed = np.zeros(n, np.uint64)
    for column in nb201().sample(n, seed=1).T:
        packed = packed * np.uint64(5) + column
    points = np.column_stack([np.arange(n), -np.arange(n)]).astype(np.float64)

    def archive(k: int) -> ParetoArchive:
        kept = ParetoArchive(2)
        assert kept.add(points[:k], packed[:k]).all()
        return kept

    rows.append(grown("archive of packed cells, two objectives", sizes,
                      lambda k: functools.partial(archive, k), runs=runs))  # fmt: skip
    rows.append(Row("archive, memory of a million packed cells", archive(n).bytes / n,
                    "bytes/cell", bar=48.0))  # fmt: skip

    def asha(k: int) -> Callable[[], object]:
        values = np.random.default_rng(k).random(k).tolist()
        assert promoted(values) > k // 3
        return functools.partial(promoted, values)

    rows.append(grown("ASHA promotions, from Python", (1_000, 10_000, 100_000), asha, runs=runs))
    calls = functools.partial(_many_ranks, np.zeros(1))
    rows.append(
        measured("a thousand calls with an array of one number", 1, calls, unit="ms", runs=runs)
    )
    return rows


def _many_ranks(row: Floats) -> None:
    for _ in range(1_000):
        ranks(row[None])


def measure(runs: int) -> list[Row]:
    """All rows of this suite."""
    return [*fronts(runs), *volumes(runs), *trees(runs), *selection(runs)]
