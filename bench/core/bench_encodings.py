"""Times encodings, moves, distances and kernels from Python: results first, then the best of seven.

    python bench/core/bench_encodings.py [--out bench/results/encodings.csv]

Prints one line an operation and size: time, rate, the exponent with which time grows between the
smallest and the largest of three sizes, the bar, and peers measured in the same run where they are
installed (scipy; grakel and POT are optional). Seconds are CPU seconds of the calling thread, so
that other processes of the machine disturb them little.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.util
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium import distances
from nasturtium.bench.timing import best
from nasturtium.encodings import (
    GraphArrays,
    GraphBatch,
    PathEncoder,
    WeisfeilerLehman,
    categorical,
    conditional_tree,
    one_hot,
    one_hot_bits,
    operation_counts,
)
from nasturtium.machine import measured_with
from nasturtium.spaces import Choice, Graph, Space, nb201

SIZES = (10_000, 100_000, 1_000_000)
PAIRS = (250, 500, 1_000)
OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
BATCHES = 2_000  # transport problems of one size in a call

Row = dict[str, str | int | float]
Work = Callable[[], object]


def own_nb201() -> Space:
    """NAS-Bench-201 as a user declares it."""
    graph = Graph(zero="none", identity=("skip_connect", "sum"), weightless="avg_pool_3x3")
    for node in range(4):
        graph.node(f"n{node}", "sum")
    edges = [Choice(f"e{s}{d}", OPS) for s, d in ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))]
    for choice in edges:
        graph.edge(f"n{choice.name[1]}", f"n{choice.name[2]}", choice)
    return Space("own", edges, graph)


def batches(space: Space) -> Iterator[tuple[str, float, Callable[[int], Work]]]:
    """Operation, bar in rows a second, and how to make the work of one size."""
    largest = space.sample(SIZES[-1], seed=1)
    others = largest[::-1].copy()
    packed = space.pack(largest)
    paths, arrays = PathEncoder(space), GraphArrays(space)
    codes_out = np.empty_like(largest)
    small = np.empty((len(largest), int(space.options.sum())), np.uint8)
    floats = np.empty((len(largest) // 10, small.shape[1]), np.float32)
    words = np.empty((len(largest), 3), np.uint64)
    one = np.empty((len(largest), 1), np.uint64)
    marks = np.empty((len(largest), paths.columns), np.uint8)

    def tensors(n: int) -> GraphBatch:
        v = arrays.vertices
        return GraphBatch(
            np.empty((n, v, v), np.uint8),
            np.empty((n, v), np.int16),
            np.empty((n, v, v), np.int16),
            np.empty((n, v), np.bool_),
        )

    batch = tensors(SIZES[1])

    def some(n: int) -> GraphBatch:
        return GraphBatch(batch.adjacency[:n], batch.nodes[:n], batch.edges[:n], batch.mask[:n])

    def on(function: Callable[..., object], out: NDArray[Any] | None) -> Callable[[int], Work]:
        if out is None:
            return lambda n: lambda: function(space, largest[:n])
        return lambda n: lambda: function(space, largest[:n], out=out[:n])

    yield "sample", 5e7, lambda n: lambda: space.sample(n, seed=1, out=codes_out[:n])
    yield "mutate", 5e7, lambda n: lambda: space.mutate(largest[:n], seed=2, out=codes_out[:n])
    yield (
        "mutate at a rate",
        0,
        lambda n: lambda: space.mutate(largest[:n], seed=2, rate=0.2, out=codes_out[:n]),
    )
    yield (
        "crossover, uniform",
        0,
        lambda n: lambda: space.crossover(largest[:n], others[:n], seed=3, out=codes_out[:n]),
    )
    yield (
        "crossover, one point",
        0,
        lambda n: (
            lambda: space.crossover(
                largest[:n], others[:n], seed=3, kind="one_point", out=codes_out[:n]
            )
        ),
    )
    yield "one-hot, uint8", 5e7, on(one_hot, small)
    yield "one-hot, bits", 0, on(one_hot_bits, one)
    yield "categorical", 0, on(categorical, None)
    yield "conditional tree", 0, on(conditional_tree, None)
    yield "pack", 0, lambda n: lambda: space.pack(largest[:n], out=one[:n, 0])
    yield "unpack", 0, lambda n: lambda: space.unpack(packed[:n], out=codes_out[:n])
    yield "paths, bits", 0, lambda n: lambda: paths.bits(largest[:n], out=words[:n])
    yield "paths, uint8", 0, lambda n: lambda: paths.one_hot(largest[:n], out=marks[:n])
    yield "operation counts", 0, on(operation_counts, None)
    yield (
        "graph arrays, uint8",
        0,
        lambda n: lambda: arrays(largest[: n // 10], out=some(n // 10)),
    )
    yield (
        "one-hot, float32",
        0,
        lambda n: lambda: one_hot(space, largest[: n // 10], out=floats[: n // 10]),
    )


def dictionary_features(codes: NDArray[np.uint8], rounds: int) -> list[Counter[Any]]:
    """Weisfeiler-Lehman features of NAS-Bench-201 cells as one writes them in Python."""
    ends = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    found = []
    for code in codes.tolist():
        into: list[list[Any]] = [[], [], [], []]
        for (s, d), op in zip(ends, code, strict=True):
            into[d].append((s, OPS[op]))
        out = found_in(into, rounds)
        found.append(out)
    return found


def found_in(into: list[list[Any]], rounds: int) -> Counter[Any]:
    alive = {0}
    for d in (1, 2, 3):
        alive |= {d for s, op in into[d] if op != "none" and s in alive}
    useful = {3}
    for d in (3, 2, 1):
        useful |= {s for s, op in into[d] if op != "none" and d in useful}
    labels: dict[Any, Any] = {"in": "input"}
    arcs: list[tuple[Any, Any]] = []
    gives: dict[int, list[Any]] = {0: ["in"]}
    for d in (1, 2, 3):
        gives[d] = []
        for s, op in into[d]:
            if op == "none" or not {s, d} <= alive & useful:
                continue
            if op == "skip_connect":
                gives[d] += gives[s]
                continue
            labels[s, d] = op
            arcs += [(giver, (s, d)) for giver in gives[s]]
            gives[d].append((s, d))
    labels["out"] = "output"
    arcs += [(giver, "out") for giver in gives[3]]
    counts: Counter[Any] = Counter()
    for r in range(rounds + 1):
        counts.update((r, label) for label in labels.values())
        entering: dict[Any, list[Any]] = {v: [] for v in labels}
        leaving: dict[Any, list[Any]] = {v: [] for v in labels}
        for s, d in arcs:
            entering[d].append(labels[s])
            leaving[s].append(labels[d])
        labels = {
            v: hash(
                (label, tuple(sorted(map(hash, entering[v]))), 1, *sorted(map(hash, leaving[v])))
            )
            for v, label in labels.items()
        }
    return counts


def dictionary_gram(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The peer: a dictionary of features and a sparse product."""
    number: dict[Any, int] = {}
    starts, columns, values = [0], [], []
    for counts in dictionary_features(codes, 2):
        for feature, count in counts.items():
            columns.append(number.setdefault(feature, len(number)))
            values.append(count)
        starts.append(len(columns))
    csr_array = importlib.import_module("scipy.sparse").csr_array
    matrix = csr_array((values, columns, starts), shape=(len(codes), len(number)))
    return np.asarray((matrix @ matrix.T).toarray(), np.float64)


def grakel_gram(space: Space, codes: NDArray[np.uint8]) -> Work | None:
    """The peer: grakel with the building of its graphs; undirected, so that values differ."""
    if importlib.util.find_spec("grakel") is None:
        return None
    grakel = importlib.import_module("grakel")
    arrays = GraphArrays(space)

    def work() -> object:
        batch = arrays(codes)
        graphs = []
        for adjacency, labels in zip(batch.adjacency, batch.nodes, strict=True):
            keep = np.flatnonzero(labels)
            both = adjacency[np.ix_(keep, keep)]
            named = dict(enumerate(labels[keep].tolist()))
            graphs.append(grakel.Graph(both + both.T, node_labels=named))
        return grakel.WeisfeilerLehman(n_iter=2).fit_transform(graphs)

    return work


def new_index(space: Space, codes: NDArray[np.uint8]) -> WeisfeilerLehman:
    wl = WeisfeilerLehman(space)
    wl.add(codes)
    return wl


def kernel_rows(space: Space) -> Iterator[Row]:
    codes = space.sample(PAIRS[-1], seed=1)
    out = np.empty((PAIRS[-1],) * 2, np.float32)
    assert np.array_equal(
        new_index(space, codes).gram(normalize=False), dictionary_gram(codes).astype(np.float32)
    )
    for kernel, bar in (("subtree", 2.5e-3), ("assignment", 0.0)):
        seconds = [
            best(
                lambda n=n, kernel=kernel: new_index(space, codes[:n]).gram(  # type: ignore[misc]
                    kernel=kernel, out=out.ravel()[: n * n].reshape(n, n)
                )
            )
            for n in PAIRS
        ]
        yield from measured(f"WL {kernel} Gram, h = 2, from codes", PAIRS, seconds, bar)
    peers: dict[str, Work] = {"a dictionary and scipy": lambda: dictionary_gram(codes)}
    if grakel := grakel_gram(space, codes):
        peers["grakel"] = grakel
    for name, work in peers.items():
        yield from measured(f"peer of WL Gram: {name}", PAIRS[-1:], [best(work, runs=3)], 0)
    many = space.sample(4_000, seed=2)
    seconds = []
    for n in (1_000, 2_000, 4_000):
        wl = new_index(space, many[:n])
        row = np.empty((1, n), np.float32)
        seconds.append(best(lambda wl=wl, row=row: wl.cross(many[:1], out=row)))  # type: ignore[misc]
    yield from measured("WL kernel, one further cell", (1_000, 2_000, 4_000), seconds, 0)
    for name, distance, kind in (
        ("Hamming", distances.hamming, np.uint16),
        ("tree-Wasserstein", distances.tree_wasserstein, np.float64),
        ("OTMANN", distances.otmann, np.float64),
    ):
        sizes = PAIRS if name != "OTMANN" else (50, 100, 200)
        seconds = [
            best(
                lambda n=n, d=distance, t=kind: d(space, codes[:n], out=np.empty((n, n), t)),  # type: ignore[misc]
                runs=3,
            )
            for n in sizes
        ]
        yield from measured(f"{name}, all pairs", sizes, seconds, 0)


def transport_rows() -> Iterator[Row]:
    """One problem a call, and many in one call beside POT's compiled solver."""
    rng = np.random.default_rng(0)
    there = importlib.util.find_spec("ot") is not None
    ot: Any = importlib.import_module("ot") if there else None
    compiled: Any = importlib.import_module("ot.lp.emd_wrap").emd_c if there else None
    bars = {8: (50e-6 / 8, 7.4e-6), 32: (0.0, 77e-6)}
    for n in (8, 16, 32):
        supply, demand = rng.dirichlet(np.ones(n), BATCHES), rng.dirichlet(np.ones(n), BATCHES)
        costs = rng.random((BATCHES, n, n))
        many = distances.transport_values(supply, demand, costs)
        a, b, c = supply[0], demand[0], costs[0]
        call = best(lambda: [distances.transport(a, b, c) for _ in range(200)]) / 200  # noqa: B023
        batch = best(lambda: distances.transport_values(supply, demand, costs)) / BATCHES  # noqa: B023
        in_call, in_batch = bars.get(n, (0.0, 0.0))
        yield from measured(f"transport {n} x {n}, a call", (1,), [call], in_call)
        yield from measured(f"transport {n} x {n}, of a batch", (1,), [batch], in_batch)
        if ot is None or compiled is None:
            continue
        assert np.allclose(many[:50], [ot.emd2(*p) for p in zip(supply[:50], demand[:50], costs[:50], strict=True)])  # fmt: skip  # noqa: E501
        peer = best(lambda: [ot.emd(a, b, c) for _ in range(200)], runs=3) / 200  # noqa: B023
        yield from measured(f"peer of transport {n} x {n}: ot.emd", (1,), [peer], 0)
        problems = list(zip(supply, demand, costs, strict=True))[:500]
        peer = best(lambda: [compiled(*p, 100_000, 1) for p in problems], runs=3) / 500  # noqa: B023
        yield from measured(f"peer of transport {n} x {n}: ot's emd_c", (1,), [peer], 0)


def measured(
    operation: str, sizes: tuple[int, ...], seconds: list[float], bar: float
) -> Iterator[Row]:
    """Rows of one operation; `bar` is in seconds, for the largest size, 0 for none."""
    exponent = math.nan
    if len(sizes) > 1:
        exponent = math.log(seconds[-1] / seconds[0]) / math.log(sizes[-1] / sizes[0])
    for n, s in zip(sizes, seconds, strict=True):
        last = n == sizes[-1]
        yield {
            "operation": operation,
            "n": n,
            "seconds": float(f"{s:.4g}"),
            "per_second": float(f"{n / s:.4g}"),
            "exponent": round(exponent, 2) if last else "",
            "bar_seconds": float(f"{bar:.4g}") if last and bar else "",
            "met": str(s <= bar) if last and bar else "",
        }


def check(space: Space) -> None:
    codes = space.sample(20_000, seed=1)
    hot = one_hot(space, codes)
    assert np.array_equal(hot, np.eye(5, dtype=np.float32)[codes].reshape(len(codes), -1))
    bits = np.unpackbits(one_hot_bits(space, codes).view(np.uint8), axis=1, bitorder="little")
    assert np.array_equal(bits[:, :30], hot)
    assert np.array_equal(space.unpack(space.pack(codes)), codes)
    ends = ((3,), (0, 4), (1, 5), (0, 2, 5))
    paths = PathEncoder(space)
    listed = [paths.sequence(c) for c in range(paths.columns)]
    for code, row in zip(codes[:300].tolist(), paths.one_hot(codes[:300]), strict=True):
        expected = {tuple(OPS[code[e]] for e in path) for path in ends}
        assert {listed[c] for c in np.flatnonzero(row)} == expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out: Path | None = parser.parse_args().out
    rows: list[Row] = []
    rates: dict[str, list[float]] = {}
    for space in (nb201(), own_nb201()):
        check(space)
        for operation, rate, make in batches(space):
            shrink = 10 if operation in ("graph arrays, uint8", "one-hot, float32") else 1
            sizes = tuple(n // shrink for n in SIZES)
            seconds = [best(make(n)) for n in SIZES]
            bar = sizes[-1] / rate * (1 if space.name == "nb201" else 1 / 0.8) if rate else 0
            rows += measured(f"{space.name}: {operation}", sizes, seconds, bar)
            rates.setdefault(operation, []).append(sizes[-1] / seconds[-1])
    rows += itertools.chain(kernel_rows(nb201()), transport_rows())
    for row in rows:
        print(",".join(str(value) for value in row.values()))
    for operation, (ours, own) in rates.items():
        print(f"declared again, {operation}: {own / ours:.2f} of the built-in space's rate")
    if out is not None:
        about = measured_with(("numpy", "scipy", "nasturtium"), checkout=Path(__file__).parent)
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0], *about])
            writer.writeheader()
            writer.writerows({**row, **about} for row in rows)


if __name__ == "__main__":
    main()
