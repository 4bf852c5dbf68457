"""Times the NAS-Bench-101 cell and KeyMap from Python: results first, then the best of seven runs.

    python bench/core/bench_nb101.py [--out bench/results/nb101.csv]

Prints operation, rate and unit as CSV. Seconds are CPU seconds of the calling thread, so that other
processes of the machine disturb them little.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from timing import best

from nasturtium.keymap import KeyMap
from nasturtium.machine import measured_with
from nasturtium.spaces import nb101

N = 1_000_000
FEW = 10_000

Row = dict[str, str | float]


def first_uses() -> list[Row]:
    """Once a process: the unlabeled cells with the enumeration, then the lookup table."""
    begin = time.thread_time()
    cells = nb101.enumerate_cells()
    seconds = time.thread_time() - begin
    assert len(cells) == 423_624
    return [
        {"operation": "enumeration, first use", "rate": seconds * 1e3, "unit": "ms"},
        {"operation": "lookup table, first use", "rate": nb101.table_seconds() * 1e3, "unit": "ms"},
    ]


def check() -> None:
    cells = nb101.sample(N, seed=1)
    few = cells[:FEW]
    children = nb101.mutate(cells, seed=2)
    assert nb101.valid(cells).all() and nb101.valid(children).all()
    assert np.array_equal(nb101.sample(N, seed=1, threads=2), cells)
    assert np.array_equal(nb101.canonical(cells), nb101.canonical_by_search(cells))
    assert np.isin(nb101.canonical(few), nb101.enumerate_cells()).all()
    assert len(np.unique(nb101.hashes(few), axis=0)) == len(np.unique(nb101.canonical(few)))
    assert nb101.hash_texts(nb101.enumerate_cells(2)) == ["043721b9c7fe8c5fad811d47d83132ec"]
    bits = np.unpackbits(nb101.path_bits(few).view(np.uint8), axis=1, bitorder="little")
    assert np.array_equal(bits[:, :364], nb101.path_one_hot(few))
    keys = nb101.keys(cells)
    _, fresh = KeyMap().insert(keys)
    assert fresh.sum() == len(np.unique(nb101.canonical(cells)))


def cells_rows() -> list[tuple[str, int, Callable[[], object]]]:
    cells = nb101.sample(N, seed=1)
    few, known = cells[:FEW], nb101.enumerate_cells()
    out, pairs = np.empty(N, np.uint64), np.empty((N, 2), np.uint64)
    words, marks = np.empty((N, 6), np.uint64), np.empty((FEW, 364), np.uint8)
    floats, adjacency = np.empty((FEW, 364), np.float32), np.empty((N, 36), np.uint8)
    return [
        ("canonical, drawn cells", N, lambda: nb101.canonical(cells, out=out)),
        ("canonical, batches of 10^4", FEW, lambda: nb101.canonical(few, out=out[:FEW])),
        ("canonical, all 423,624 cells", len(known), lambda: nb101.canonical(known)),
        ("canonical by search", FEW, lambda: nb101.canonical_by_search(few)),
        ("keys", N, lambda: nb101.keys(cells, out=pairs)),
        ("MD5 hash", FEW, lambda: nb101.hashes(few)),
        ("enumeration", 1, nb101.enumerate_cells),
        ("prune", N, lambda: nb101.prune(cells, out=out)),
        ("valid", N, lambda: nb101.valid(cells)),
        ("sample", N, lambda: nb101.sample(N, seed=1, out=out)),
        ("mutate", N, lambda: nb101.mutate(cells, seed=2, out=out)),
        ("paths, packed", N, lambda: nb101.path_bits(cells, out=words)),
        ("paths, uint8", FEW, lambda: nb101.path_one_hot(few, out=marks)),
        ("paths, float32", FEW, lambda: nb101.path_one_hot(few, out=floats)),
        ("adjacency, uint8", N, lambda: nb101.adjacency_one_hot(cells, out=adjacency)),
    ]


def insert_all(
    keys: NDArray[np.uint64], numbers: NDArray[np.int64], fresh: NDArray[np.bool_]
) -> None:
    KeyMap().insert(keys, numbers=numbers, fresh=fresh)


def map_rows() -> list[tuple[str, int, Callable[[], object]]]:
    rng = np.random.default_rng(1)
    rows: list[tuple[str, int, Callable[[], object]]] = []
    for n in (FEW, 100_000, N):
        keys = rng.integers(0, 1 << 63, (n, 2), dtype=np.uint64)
        others = rng.integers(0, 1 << 63, (n, 2), dtype=np.uint64)
        full, moved = KeyMap(keys), keys[rng.permutation(n)]
        numbers, fresh = np.empty(n, np.int64), np.empty(n, np.bool_)
        rows += [
            (f"KeyMap insert, {n} new", n, partial(insert_all, keys, numbers, fresh)),
            (f"KeyMap insert, {n} known", n,
             partial(full.insert, moved, numbers=numbers, fresh=fresh)),
            (f"KeyMap find, {n} known", n, partial(full.find, moved, out=numbers)),
            (f"KeyMap find, {n} absent", n, partial(full.find, others, out=numbers)),
        ]  # fmt: skip
    return rows


def memory() -> Row:
    keys = np.random.default_rng(2).integers(0, 1 << 63, (N, 2), dtype=np.uint64)
    return {"operation": f"KeyMap memory, {N} keys", "rate": KeyMap(keys).nbytes / N,
            "unit": "bytes/key"}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out: Path | None = parser.parse_args().out
    rows = first_uses()
    check()
    for operation, n, work in [*cells_rows(), *map_rows()]:
        seconds = best(work)
        if operation == "enumeration":
            rows.append({"operation": operation, "rate": seconds * 1e3, "unit": "ms"})
        else:
            rows.append({"operation": operation, "rate": n / seconds, "unit": "rows/s"})
    rows.append(memory())
    for row in rows:
        row["rate"] = float(f"{row['rate']:.4g}")
    shown = csv.DictWriter(sys.stdout, list(rows[0]))
    shown.writeheader()
    shown.writerows(rows)
    if out is not None:
        about = measured_with(("numpy", "nasturtium"), checkout=Path(__file__).parent)
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0], *about])
            writer.writeheader()
            writer.writerows({**row, **about} for row in rows)


if __name__ == "__main__":
    main()
