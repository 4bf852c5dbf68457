"""Moves and keys of declared spaces, from Python on batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasturtium.bench.rows import Row, grown, measured
from nasturtium.encodings import one_hot
from nasturtium.spaces import Choice, Graph, Space, classes, image_cell, nb201, residual_mlp

Codes: TypeAlias = NDArray[np.uint8]
Work: TypeAlias = Callable[[], object]

N = 1_000_000
SIZES = (10_000, 100_000, N)
FEW = (1_000, 10_000, 50_000)


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


def declared_nb201() -> Space:
    """NAS-Bench-201 once more, declared as a user would."""
    ops = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    graph = Graph(zero="none", identity=("skip_connect", "sum"), weightless="avg_pool_3x3")
    for node in range(4):
        graph = graph.node(f"n{node}", "sum")
    choices = []
    for dst in range(1, 4):
        for src in range(dst):
            choices.append(Choice(f"e{dst}{src}", ops))
            graph = graph.edge(f"n{src}", f"n{dst}", choices[-1])
    return Space("declared", choices, graph)


def check(space: Space) -> None:
    """The results are those of single rows, of two threads, and valid."""
    n = 50_000
    codes = space.sample(n, seed=1)
    mutants = space.mutate(codes, seed=2)
    assert space.valid(codes).all() and space.valid(mutants).all()
    assert (codes != mutants).any(axis=1).all()
    assert np.array_equal(space.sample(n, seed=1, threads=2), codes)
    assert np.array_equal(space.mutate(codes, seed=2, threads=2), mutants)
    for i in (0, 1, n // 2, n - 1):
        assert np.array_equal(space.sample(1, seed=1, start=i)[0], codes[i])
        assert np.array_equal(space.mutate(codes[i : i + 1], seed=2, start=i)[0], mutants[i])


def moves(space: Space, runs: int, bar: float | None) -> list[Row]:
    """Sampling and mutation into a given array."""
    out = np.empty((N, len(space.decisions)), np.uint8)
    codes = space.sample(N, seed=1)
    rows = [
        grown(f"{space.name}: sample", SIZES,
              lambda n: partial(space.sample, n, seed=1, out=out[:n]), runs=runs, bar=bar),
        grown(f"{space.name}: mutate", SIZES,
              lambda n: partial(space.mutate, codes[:n], seed=2, out=out[:n]), runs=runs, bar=bar),
        grown(f"{space.name}: crossover", SIZES,
              lambda n: partial(space.crossover, codes[:n], codes[-n:], seed=3, out=out[:n]),
              runs=runs),
        grown(f"{space.name}: one-hot, float32", FEW,
              lambda n: partial(one_hot, space, codes[:n]), runs=runs),
    ]  # fmt: skip
    for convention in space.conventions:
        keys = partial(_keys, space, codes, convention)
        rows.append(grown(f"{space.name}: keys, {convention}", FEW, keys, runs=runs))
    return rows


def _keys(space: Space, codes: Codes, convention: str, n: int) -> Work:
    return partial(space.keys, codes[:n], convention)


def measure(runs: int) -> list[Row]:
    """All rows of this suite."""
    rows = []
    for space, bar in ((nb201(), 5e7), (own_space(), None), (image_cell(), None),
                       (residual_mlp(), None)):  # fmt: skip
        check(space)
        rows += moves(space, runs, bar)
    again = declared_nb201()
    assert again.size("function") == 5260
    ours = {row.operation.split(": ")[1]: row.ours for row in rows if row.operation[:5] == "nb201"}
    for row in moves(again, runs, None):
        operation = row.operation.split(": ")[1]
        if operation in ours:
            share = row.ours / ours[operation]
            rows.append(Row(f"NAS-Bench-201 as a user declares it: {operation}, share of the "
                            "built-in's rate", share, "x", bar=0.8))  # fmt: skip
    space = own_space()
    share = space.active(space.sample(10_000, seed=1)).mean() * len(space.decisions)
    drawn = next(row for row in rows if row.operation == "own: sample")
    rows.append(Row("own: decisions drawn, with an activity condition", drawn.ours * float(share),
                    "/s", bar=3e7))  # fmt: skip
    built_in = nb201()
    assert [built_in.size(c) for c in ("nb201_string", "function")] == [6466, 5260]
    for convention in ("nb201_string", "function"):
        rows.append(
            measured(f"classes of NAS-Bench-201, {convention}", 15625,
                     partial(classes, built_in, convention), unit="ms", runs=runs, bar=5.0)
        )  # fmt: skip
    return rows
