"""What a call from Python costs over the core's own time, which a loop inside the core gives."""

from __future__ import annotations

import time
import timeit
from functools import partial
from typing import Any

import numpy as np

from nasturtium import _core
from nasturtium.bench.rows import Row
from nasturtium.bench.timing import best
from nasturtium.bookkeeping import ranks
from nasturtium.spaces import nb201

CALLS = 2_000
BATCH = 10_000
# From 10,000 rows on, Python may add a tenth.
SHARE = 1 / 1.1


def in_python(statement: str, names: dict[str, Any], calls: int, runs: int) -> float:
    """Seconds of one call, written as it is."""
    timer = timeit.Timer(statement, globals=names, timer=time.thread_time)
    return min(timer.repeat(runs, calls)) / calls


def in_core(function: str, arguments: tuple[Any, ...], calls: int, runs: int) -> float:
    """Seconds of one of `calls` equal calls inside the core."""
    return best(partial(getattr(_core, function), *arguments, calls), runs) / calls


def measure(runs: int) -> list[Row]:
    """All rows of this suite."""
    space = nb201()
    many = space.sample(BATCH, seed=1)
    one, points = many[:1], np.random.default_rng(1).random((BATCH, 2))
    names: dict[str, Any] = {
        "space": space, "one": one, "many": many, "ranks": ranks, "point": points[:1],
        "points": points, "cell": space.architecture(many[0]),
    }  # fmt: skip
    single, row = names["cell"].key(), space.keys(one)[0]
    assert single == f"{int(row[0]):016x}{int(row[1]):016x}"
    moves = {
        "sample": ("space.sample(1, seed=1)", f"space.sample({BATCH}, seed=1)"),
        "mutate": ("space.mutate(one, seed=1)", "space.mutate(many, seed=1)"),
        "keys": ("space.keys(one)", "space.keys(many)"),
    }
    cases: dict[str, tuple[str, str, str, tuple[Any, ...], tuple[Any, ...]]] = {
        name: (few, lot, "repeat_move", (space.program, name, one), (space.program, name, many))
        for name, (few, lot) in moves.items()
    }
    cases["ranks"] = ("ranks(point)", "ranks(points)", "repeat_ranks", (points[:1],), (points,))
    rows = []
    for name, (few, lot, function, small, large) in cases.items():
        call, core = in_python(few, names, CALLS, runs), in_core(function, small, CALLS, runs)
        rows.append(Row(f"a call with an array of one row over the core's time: {name}",
                        1e6 * (call - core), "us", bar=1.0))  # fmt: skip
        share = in_core(function, large, 10, runs) / in_python(lot, names, 10, runs)
        rows.append(Row(f"a call with {BATCH:,} rows, share of the core's rate: {name}", share,
                        "x", bar=SHARE))  # fmt: skip
    call = in_python("cell.key()", names, CALLS, runs)
    core = in_core("repeat_move", (space.program, "keys", one), CALLS, runs)
    rows.append(Row("a call with one architecture over the core's time: key", 1e6 * (call - core),
                    "us", bar=0.3))  # fmt: skip
    return rows
