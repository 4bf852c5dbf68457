"""Times the bookkeeping of a search: checks the results first, then the best of seven runs.

    python bench/core/bench_bookkeeping.py [--quick] [--out bench/results/bookkeeping.csv]

Seconds are CPU seconds of the calling thread, but for the rows on two threads, which are wall
clock. moocore is timed in the same run where it is installed (`pip install moocore`; it is no part
of the library); `ratio` is its time over ours. Each operation runs at three sizes; `exponent` is
the slope of log(seconds) over log(size).
"""

from __future__ import annotations

import argparse
import csv
import functools
import importlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timing import RUNS, best

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
from nasturtium.machine import measured_with
from nasturtium.spaces import nb201

Row = dict[str, Any]
Floats = NDArray[np.float64]


def peer() -> Any:
    try:
        return importlib.import_module("moocore")
    except ImportError:
        return None


def row(name: str, items: int, ours: float, theirs: float | None = None, **more: Any) -> Row:
    return {
        "operation": name, "items": items, "seconds": round(ours, 7),
        "nanoseconds_per_item": round(1e9 * ours / items, 2),
        "peer": "moocore" if theirs else "", "peer_seconds": round(theirs, 7) if theirs else "",
        "ratio": round(theirs / ours, 2) if theirs else "", "exponent": "", "bytes_per_item": "",
        **more,
    }  # fmt: skip


def with_exponents(rows: list[Row]) -> list[Row]:
    """Rows of one operation at growing sizes, the slope between the first and the last noted."""
    first, last = rows[0], rows[-1]
    slope = math.log(last["seconds"] / first["seconds"]) / math.log(last["items"] / first["items"])
    return [{**r, "exponent": round(slope, 2)} for r in rows]


def spread(n: int, m: int) -> Floats:
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


def time_ranks(runs: int) -> list[Row]:
    rows, other = [], peer()
    for m in (2, 3, 4):
        some = []
        for n in (1_000, 10_000, 100_000) if m < 4 else (1_000, 3_000, 10_000):
            points = spread(n, m)
            got = ranks(points)
            assert is_longest_chain(points, got)
            theirs = None
            if other:
                assert np.array_equal(other.pareto_rank(points), got)
                theirs = best(lambda points=points: other.pareto_rank(points), runs)  # type: ignore[misc]
            ours = best(lambda points=points: ranks(points), runs)  # type: ignore[misc]
            some.append(row(f"ranks, {m} objectives", n, ours, theirs))
        rows += with_exponents(some)
    some = []
    for n in (1_000, 10_000, 100_000):
        points = spread(n, 2)
        by = ranks(points)
        seconds = best(functools.partial(crowding, points, by), runs)
        some.append(row("crowding, 2 objectives", n, seconds))
    return rows + with_exponents(some)


def time_volumes(runs: int) -> list[Row]:
    sizes = {2: (1_000, 10_000, 100_000), 3: (1_000, 10_000, 100_000), 4: (250, 1_000, 4_000),
             5: (250, 500, 1_000), 6: (100, 300, 1_000)}  # fmt: skip
    rows, other = [], peer()
    for m, counts in sizes.items():
        some = []
        for n in counts:
            points, reference = sphere(n, m), np.full(m, 1.1)
            volume = hypervolume(points, reference)
            theirs = None
            if other:
                assert abs(other.hypervolume(points, ref=reference) - volume) < 1e-9 * volume
                theirs = best(lambda p=points, r=reference: other.hypervolume(p, ref=r), runs)  # type: ignore[misc]
            ours = best(lambda p=points, r=reference: hypervolume(p, r), runs)  # type: ignore[misc]
            some.append(row(f"hypervolume, {m} objectives", n, ours, theirs))
        rows += with_exponents(some)
    for m in (2, 3, 4):
        some = []
        for n in (250, 500, 1_000):
            points, reference = sphere(n, m), np.full(m, 1.1)
            own = contributions(points, reference)
            rest = hypervolume(np.delete(points, 7, 0), reference)
            assert abs(hypervolume(points, reference) - rest - own[7]) < 1e-12
            ours = best(lambda p=points, r=reference: contributions(p, r), runs)  # type: ignore[misc]
            some.append(row(f"contributions, {m} objectives", n, ours))
        rows += with_exponents(some)
    return rows


def table_of_six() -> Floats:
    """A stand-in for a table of NAS-Bench-201: each decision has its effect, and some noise."""
    rng = np.random.default_rng(0)
    effects = rng.random((6, 5))
    grid = np.ix_(*[np.arange(5)] * 6)
    whole = sum(effects[i][grid[i]] for i in range(6))
    return np.asarray(whole / 6 + 0.02 * rng.random((5,) * 6))


def time_trees(runs: int) -> list[Row]:
    table, rule = table_of_six(), TreeRule(c=1.0)

    def grown(n: int) -> Tree:
        tree = Tree(table.shape, rule, seed=1)
        tree.run(table, n)
        return tree

    for n in (10_000, 1_000_000):
        assert int(grown(n).visits().sum()) == n
    best_leaf = np.unravel_index(table.argmax(), table.shape)
    assert table[tuple(grown(1_000_000).best_path())] >= table[best_leaf] - 0.02
    some = []
    for n in (10_000, 100_000, 1_000_000):
        tree = grown(n)
        some.append(row("UCT simulations, six steps of five", n,
                        best(lambda n=n: grown(n), runs),  # type: ignore[misc]
                        bytes_per_item=round(tree.bytes / tree.nodes, 1)))  # fmt: skip
    rows = with_exponents(some)
    n = 500_000
    merged = [root_parallel(table, n, rule, trees=2, seed=1, threads=t) for t in (1, 2)]
    assert np.array_equal(merged[0].means(), merged[1].means())
    for threads in (1, 2):
        seconds = best(lambda t=threads: root_parallel(table, n, rule, trees=2, seed=1, threads=t),  # type: ignore[misc]
                       runs, time.perf_counter)  # fmt: skip
        rows.append(row(f"UCT simulations, two trees on {threads} threads", 2 * n, seconds))
    deep = Tree((5,) * 11, TreeRule(c=2.0), seed=1)
    rng = np.random.default_rng(1)
    begin = time.thread_time()
    while deep.nodes < 1_000_000:
        leaves = deep.select(10_000)
        deep.backup(leaves.tickets, rng.random(10_000))
    seconds = time.thread_time() - begin
    rows.append(row("leaves selected and backed up until a million nodes", deep.simulations,
                    seconds, bytes_per_item=round(deep.bytes / deep.nodes, 1)))  # fmt: skip
    return rows


def time_selection(runs: int) -> list[Row]:
    scores, n = np.random.default_rng(2).random(100), 1_000_000
    rows = []
    drawn = functools.partial(tournament, scores, n, size=10, seed=1)
    works: dict[str, Callable[[], Any]] = {
        "tournaments of 10 of 100, with replacement": drawn,
        "tournaments of 10 of 100, without replacement": functools.partial(drawn, replace=False),
        "roulette over 100": functools.partial(roulette, scores, n, seed=1),
    }
    for name, work in works.items():
        assert len(np.unique(work())) > 10
        rows.append(row(name, n, best(work, runs)))
    codes = nb201().sample(n, seed=1)
    packed = np.zeros(n, np.uint64)
    for column in codes.T:
        packed = packed * np.uint64(5) + column
    points = np.column_stack([np.arange(n), -np.arange(n)]).astype(np.float64)

    def archive() -> ParetoArchive:
        kept = ParetoArchive(2)
        assert kept.add(points, packed).all()
        return kept

    rows.append(row("archive of a million packed cells, two objectives", n, best(archive, runs),
                    bytes_per_item=archive().bytes / n))  # fmt: skip
    some = []
    for n in (1_000, 10_000, 100_000):
        values = np.random.default_rng(n).random(n).tolist()

        def asha(values: list[float] = values) -> int:
            rungs, rises = Rungs([3, 3, 3]), 0
            for number, value in enumerate(values):
                rungs.add(0, number, (value,))
                while (rising := rungs.next()) is not None:
                    rungs.promote(*rising)
                    rungs.add(rising[1] + 1, rising[0], (value,))
                    rises += 1
            return rises

        assert asha() > n // 3
        some.append(row("ASHA promotions, from Python", n, best(asha, runs)))
    return rows + with_exponents(some)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parents[1] / "results" / "bookkeeping.csv"
    parser.add_argument("--out", type=Path, default=default)
    parser.add_argument("--quick", action="store_true", help="one run of each")
    arguments = parser.parse_args()
    out, runs = arguments.out, 1 if arguments.quick else RUNS
    rows = []
    for part in (time_ranks, time_volumes, time_trees, time_selection):
        for found in part(runs):
            rows.append(found)
            print(f"{found['operation']:52} {found['items']:8} {found['seconds']:11.6f} s "
                  f"{found['nanoseconds_per_item']:10.1f} ns {found['ratio']!s:>6} "
                  f"{found['exponent']!s:>5} {found['bytes_per_item']!s:>5}")  # fmt: skip
    packages = ("numpy", "nasturtium", "moocore")
    about = measured_with(packages, checkout=Path(__file__).parent)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *about])
        writer.writeheader()
        writer.writerows({**found, **about} for found in rows)


if __name__ == "__main__":
    main()
