"""Times the core from Python: checks the results first, then the best of seven runs.

    python bench/core/bench_core.py [--out bench/results/core.csv]

Seconds are CPU seconds of the calling thread, so that other processes of the machine disturb them
little. That two threads give the same results is checked, not timed.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from timing import best

from nasturtium.encodings import one_hot
from nasturtium.machine import measured_with
from nasturtium.spaces import Choice, Graph, Space, image_cell, nb201, residual_mlp

N = 1_000_000
LIMIT = 0.1  # seconds for a million NAS-Bench-201 codes

Row = dict[str, str | int | float]


def own_space() -> Space:
    """A space as a user writes it, with an activity condition and a graph."""
    ops = ("none", "skip", "conv3", "conv5", "pool")
    width, depth = Choice("width", (16, 32, 64)), Choice("depth", (1, 2))
    a, b, c = Choice("a", ops), Choice("b", ops), Choice("c", ops, when={"depth": 2})
    graph = Graph(zero="none", identity=("skip", "sum"), weightless="pool")
    graph = graph.node("in", "input").node("mid", "sum").node("out", "sum")
    graph = graph.edge("in", "mid", a).edge("mid", "out", b)
    graph = graph.edge("in", "out", c, when={"depth": 2})
    return Space("own", [width, depth, a, b, c], graph)


def check(space: Space) -> None:
    """The results are those of single rows, of two threads, and valid."""
    codes = space.sample(N, seed=1)
    mutants = space.mutate(codes, seed=2)
    assert space.valid(codes).all() and space.valid(mutants).all()
    assert (codes != mutants).any(axis=1).all()
    assert np.array_equal(space.sample(N, seed=1, threads=2), codes)
    assert np.array_equal(space.mutate(codes, seed=2, threads=2), mutants)
    for i in (0, 1, N // 2, N - 1):
        assert np.array_equal(space.sample(1, seed=1, start=i)[0], codes[i])
        assert np.array_equal(space.mutate(codes[i : i + 1], seed=2, start=i)[0], mutants[i])


def time_space(space: Space) -> list[Row]:
    check(space)
    out = np.empty((N, len(space.decisions)), np.uint8)
    codes = space.sample(N, seed=1)
    few = codes[: N // 20]
    times = {
        "sample": (N, best(lambda: space.sample(N, seed=1, out=out))),
        "mutate": (N, best(lambda: space.mutate(codes, seed=2, out=out))),
        "crossover": (N, best(lambda: space.crossover(codes, codes[::-1].copy(), seed=3))),
        "one-hot": (len(few), best(lambda: one_hot(space, few))),
    }
    for convention in space.conventions:
        times[f"keys, {convention}"] = (
            len(few),
            best(lambda convention=convention: space.keys(few, convention)),  # type: ignore[misc]
        )
    return [
        {"space": space.name, "operation": name, "rows": n, "seconds": round(s, 5),
         "rows_per_second": round(n / s)}
        for name, (n, s) in times.items()
    ]  # fmt: skip


def time_counts() -> Row:
    """From the space's text to the 5,260 distinct functions of NAS-Bench-201."""
    space = nb201()
    assert [space.size(c) for c in ("nb201_string", "function")] == [6466, 5260]
    seconds = best(lambda: space.size("function"))
    return {"space": "nb201", "operation": "all functions counted", "rows": 15625,
            "seconds": round(seconds, 5), "rows_per_second": round(15625 / seconds)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parents[1] / "results" / "core.csv"
    parser.add_argument("--out", type=Path, default=default)
    out: Path = parser.parse_args().out
    rows = [
        row for make in (nb201, own_space, image_cell, residual_mlp) for row in time_space(make())
    ]
    rows.append(time_counts())
    about = measured_with(("numpy", "nasturtium"), checkout=Path(__file__).parent)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *about])
        writer.writeheader()
        writer.writerows({**row, **about} for row in rows)
    for row in rows:
        rate = float(row["rows_per_second"]) / 1e6
        print(f"{row['space']:13} {row['operation']:24} {row['seconds']:9.5f} s {rate:8.2f} M/s")
    slow = [
        row for row in rows
        if row["space"] == "nb201" and row["rows"] == N
        and row["operation"] in ("sample", "mutate") and float(row["seconds"]) >= LIMIT
    ]  # fmt: skip
    if slow:
        raise SystemExit(f"slower than {LIMIT} s a million: {slow}")


if __name__ == "__main__":
    main()
