"""The NAS-Bench-101 cell and the map of keys, from Python on batches."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nasturtium.bench.rows import Row, grown, measured
from nasturtium.keymap import KeyMap
from nasturtium.spaces import nb101

N = 1_000_000
SIZES = (10_000, 100_000, N)
FEW = (1_000, 3_000, 10_000)


def first_uses() -> list[Row]:
    """Once a process: the unlabeled cells with the enumeration, then the lookup table."""
    begin = time.thread_time()
    cells = nb101.enumerate_cells()
    seconds = time.thread_time() - begin
    assert len(cells) == 423_624
    return [
        Row("NB101: enumeration, first use", 1e3 * seconds, "ms"),
        Row("NB101: lookup table, first use", 1e3 * nb101.table_seconds(), "ms", bar=30.0),
    ]


def check() -> None:
    """Every operation against another way to its result."""
    cells = nb101.sample(N, seed=1)
    few = cells[: FEW[-1]]
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


def cells(runs: int) -> list[Row]:
    """Operations on packed cells, into given arrays."""
    drawn = nb101.sample(N, seed=1)
    out, pairs = np.empty(N, np.uint64), np.empty((N, 2), np.uint64)
    words, marks = np.empty((N, 6), np.uint64), np.empty((FEW[-1], 364), np.uint8)
    floats, adjacency = np.empty((FEW[-1], 364), np.float32), np.empty((N, 36), np.uint8)
    rows = [
        grown("NB101: canonical form", SIZES,
              lambda n: partial(nb101.canonical, drawn[:n], out=out[:n]), runs=runs, bar=8e7),
        grown("NB101: keys", SIZES,
              lambda n: partial(nb101.keys, drawn[:n], out=pairs[:n]), runs=runs),
        grown("NB101: sample", SIZES,
              lambda n: partial(nb101.sample, n, seed=1, out=out[:n]), runs=runs, bar=1.2e7),
        grown("NB101: mutate", SIZES,
              lambda n: partial(nb101.mutate, drawn[:n], seed=2, out=out[:n]), runs=runs,
              bar=1.6e7),
        grown("NB101: prune", SIZES,
              lambda n: partial(nb101.prune, drawn[:n], out=out[:n]), runs=runs),
        grown("NB101: valid", SIZES, lambda n: partial(nb101.valid, drawn[:n]), runs=runs),
        grown("NB101: paths, packed", SIZES,
              lambda n: partial(nb101.path_bits, drawn[:n], out=words[:n]), runs=runs, bar=1e7),
        grown("NB101: adjacency, uint8", SIZES,
              lambda n: partial(nb101.adjacency_one_hot, drawn[:n], out=adjacency[:n]),
              runs=runs),
        grown("NB101: paths, uint8", FEW,
              lambda n: partial(nb101.path_one_hot, drawn[:n], out=marks[:n]), runs=runs),
        grown("NB101: paths, float32", FEW,
              lambda n: partial(nb101.path_one_hot, drawn[:n], out=floats[:n]), runs=runs,
              bar=4e6),
        grown("NB101: MD5 hash", FEW, lambda n: partial(nb101.hashes, drawn[:n]), runs=runs,
              bar=1.5e5),
        grown("NB101: canonical form by search", FEW,
              lambda n: partial(nb101.canonical_by_search, drawn[:n]), runs=runs),
        measured("NB101: all 423,624 cells", 423_624, nb101.enumerate_cells, unit="ms", runs=runs,
                 bar=15.0),
    ]  # fmt: skip
    known = nb101.enumerate_cells()
    rows.append(measured("NB101: canonical form of all cells", len(known),
                         partial(nb101.canonical, known), runs=runs))  # fmt: skip
    return rows


def maps(runs: int) -> list[Row]:
    """Insertion into a new map, and what a map that has keys knows of others."""
    rng = np.random.default_rng(1)
    keys = rng.integers(0, 1 << 63, (N, 2), dtype=np.uint64)
    others = rng.integers(0, 1 << 63, (N, 2), dtype=np.uint64)
    numbers, fresh = np.empty(N, np.int64), np.empty(N, np.bool_)
    order = {n: keys[rng.permutation(n)] for n in SIZES}
    full = {n: KeyMap(keys[:n]) for n in SIZES}

    def insert(some: NDArray[np.uint64]) -> None:
        KeyMap().insert(some, numbers=numbers[: len(some)], fresh=fresh[: len(some)])

    assert np.array_equal(full[N].find(keys), np.arange(N)) and (full[N].find(others) < 0).all()
    return [
        grown("KeyMap: insert new keys", SIZES, lambda n: partial(insert, keys[:n]), runs=runs,
              bar=2e7),
        grown("KeyMap: insert known keys", SIZES,
              lambda n: partial(full[n].insert, order[n], numbers=numbers[:n], fresh=fresh[:n]),
              runs=runs),
        grown("KeyMap: find known keys", SIZES,
              lambda n: partial(full[n].find, order[n], out=numbers[:n]), runs=runs, bar=2e7),
        grown("KeyMap: find absent keys", SIZES,
              lambda n: partial(full[n].find, others[:n], out=numbers[:n]), runs=runs),
        Row("KeyMap: memory of a million keys", full[N].nbytes / N, "bytes/key"),
    ]  # fmt: skip


def measure(runs: int) -> list[Row]:
    """All rows of this suite."""
    rows = first_uses()
    check()
    return [*rows, *cells(runs), *maps(runs)]
