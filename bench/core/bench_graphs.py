"""Times batches of graphs beside pynauty, networkx and igraph: results first, then best of seven.

    python bench/core/bench_graphs.py [--out bench/results/graphs.csv]

Seconds are CPU seconds of the calling thread. `ratio` is against the quickest peer that does the
same on the same graphs in the same run; networkx's Weisfeiler-Lehman hash is not exact. The
exponent is that of time over vertices, between the sizes of one kind.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.util
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from nasturtium.bench.timing import best
from nasturtium.graphs import (
    LIU_2018,
    NASBOT,
    DagClasses,
    DagFamily,
    GraphBatch,
    barabasi_albert,
    canonical_keys,
    edit_bounds,
    edit_distances,
    erdos_renyi,
    mutate,
    prune,
    watts_strogatz,
)
from nasturtium.machine import measured_with
from nasturtium.testing.graphs import darts_cells, hard_graphs, random_dags, shuffled

N = 10_000
PEER_GRAPHS = 300

Row = dict[str, str | float | None]
Plain = tuple[list[int], NDArray[np.int64]]


def plain(batch: GraphBatch, count: int) -> list[Plain]:
    return [([int(label) for label in batch.labels_of(i)], batch.edges(i)[0]) for i in range(count)]


def by_pynauty(pynauty: Any, graphs: list[Plain]) -> list[object]:
    found: list[object] = []
    for labels, edges in graphs:
        neighbors: dict[int, list[int]] = {v: [] for v in range(len(labels))}
        for a, b in edges.tolist():
            neighbors[a].append(b)
        colors = [{v for v, own in enumerate(labels) if own == c} for c in sorted(set(labels))]
        graph = pynauty.Graph(len(labels), True, neighbors, colors)
        found.append((tuple(sorted(labels)), pynauty.certificate(graph)))
    return found


def by_networkx(graphs: list[Plain]) -> list[object]:
    found: list[object] = []
    for labels, edges in graphs:
        graph = nx.DiGraph()
        graph.add_nodes_from((v, {"label": str(label)}) for v, label in enumerate(labels))
        graph.add_edges_from(edges.tolist())
        found.append(nx.weisfeiler_lehman_graph_hash(graph, node_attr="label"))
    return found


def by_igraph(igraph: Any, graphs: list[Plain]) -> list[object]:
    """Its canonical form is for undirected graphs: each edge becomes two vertices of own colors."""
    found: list[object] = []
    for labels, edges in graphs:
        n, m = len(labels), len(edges)
        pairs = []
        for i, (a, b) in enumerate(edges.tolist()):
            tail, head = n + 2 * i, n + 2 * i + 1
            pairs += [(a, tail), (tail, head), (head, b)]
        graph = igraph.Graph(n + 2 * m, pairs)
        most = max(labels) + 1
        colors = labels + [most, most + 1] * m
        order = graph.canonical_permutation(color=colors)  # igraph 1.0: the vertex at each place
        place = [0] * len(order)
        for i, v in enumerate(order):
            place[v] = i
        placed = [colors[v] for v in order]
        moved = sorted(tuple(sorted((place[a], place[b]))) for a, b in pairs)
        found.append((tuple(placed), tuple(moved)))
    return found


def peers() -> dict[str, Callable[[list[Plain]], list[object]]]:
    found: dict[str, Callable[[list[Plain]], list[object]]] = {"networkx WL": by_networkx}
    for name, work in (("pynauty", by_pynauty), ("igraph", by_igraph)):
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed: left out", file=sys.stderr)
        else:
            found[name] = partial(work, importlib.import_module(name))
    return found


def classes(found: list[object]) -> list[int]:
    numbers: dict[object, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in found]


def check(name: str, batch: GraphBatch, others: dict[str, Callable[..., list[object]]]) -> None:
    """Exact peers find the same classes among drawn graphs and relabeled copies."""
    few = batch.take(range(100))
    both = GraphBatch.concatenate([few, shuffled(few, seed=1)])
    ours = classes([tuple(key) for key in canonical_keys(both).tolist()])
    assert ours[:100] == ours[100:], name
    for peer, work in others.items():
        if peer != "networkx WL":
            assert classes(work(plain(both, len(both)))) == ours, (name, peer)


def key_rows() -> list[Row]:
    kinds: list[tuple[str, float, list[tuple[int, GraphBatch]]]] = [
        ("DARTS cell", 1.8e6, [(15, darts_cells(N, seed=1))]),
        ("random DAG, degree 3", 5e5,
         [(n, random_dags(N, n, degree=3, labels=5, seed=n)) for n in (16, 32, 64)]),
        ("random DAG, degree 6", 5e5,
         [(n, random_dags(N, n, degree=6, labels=5, seed=n)) for n in (16, 32, 64)]),
        ("random DAG, degree 6, large", 0,
         [(n, random_dags(200, n, degree=6, labels=5, seed=n)) for n in (128, 512, 2048)]),
    ]  # fmt: skip
    others = peers()
    rows: list[Row] = []
    for kind, bar, batches in kinds:
        before: tuple[int, float] | None = None
        for n, batch in batches:
            if n <= 64:
                check(kind, batch, others)
            out = np.empty((len(batch), 2), np.uint64)
            seconds = best(partial(canonical_keys, batch, out=out)) / len(batch)
            row: Row = {"operation": f"canonical keys, {kind}, {n} vertices", "rate": 1 / seconds,
                        "unit": "graphs/s"}  # fmt: skip
            if n <= 64:
                some = plain(batch, PEER_GRAPHS)
                rates = {peer: PEER_GRAPHS / best(partial(work, some), runs=3)
                         for peer, work in others.items()}  # fmt: skip
                row["peers"] = "; ".join(f"{peer} {rate:.4g}" for peer, rate in rates.items())
                row["ratio"] = 1 / seconds / max(rates.values())
            if n in (15, 32, 64):
                row["bar"] = 2.2e5 if n == 64 else bar
            if before is not None:
                row["exponent"] = math.log(seconds / before[1]) / math.log(n / before[0])
            before = n, seconds
            rows.append(row)
    return rows


def hard_rows() -> list[Row]:
    rows: list[Row] = []
    for name, batch in hard_graphs().items():
        moved = shuffled(batch.take([0] * 100), seed=2)
        keys = canonical_keys(moved)
        assert (keys == keys[0]).all(), name
        worst = max(best(partial(canonical_keys, moved.take([i])), runs=2) for i in range(20))
        rows.append({"operation": f"canonical key, {name}, worst of 20 relabelings",
                     "rate": worst * 1e3, "unit": "ms", "bar": 50.0})  # fmt: skip
    return rows


def other_rows() -> list[Row]:
    dags = random_dags(N, 32, degree=4, labels=5, seed=1)
    networks = prune(dags)
    networks = networks.take(np.flatnonzero(networks.edge_counts > 0))
    a, b = (random_dags(500, 7, degree=3, labels=3, seed=seed) for seed in (1, 2))
    large = [random_dags(50, 64, degree=3, labels=3, seed=seed) for seed in (1, 2)]
    exact, (lower, upper) = edit_distances(a, b), edit_bounds(a, b)
    assert (lower <= exact).all() and (exact <= upper).all()
    labels = (5, 6, 7)
    works: list[tuple[str, int, Callable[[], object]]] = [
        ("prune, 32 vertices", N, partial(prune, dags)),
        ("mutate, NASBOT's verbs", len(networks),
         partial(mutate, networks, labels=labels, verbs=NASBOT, seed=1)),
        ("Erdős-Rényi, 32 nodes", N, partial(erdos_renyi, N, nodes=32, chance=0.2, seed=1)),
        ("Watts-Strogatz, 32 nodes", N,
         partial(watts_strogatz, N, nodes=32, neighbors=4, chance=0.75, seed=1)),
        ("Barabási-Albert, 32 nodes", N,
         partial(barabasi_albert, N, nodes=32, neighbors=5, seed=1)),
        ("edit distance, 7 vertices", len(a), partial(edit_distances, a, b)),
        ("edit bounds, 64 vertices", len(large[0]), partial(edit_bounds, *large)),
    ]  # fmt: skip
    return [{"operation": name, "rate": n / best(work), "unit": "graphs/s"}
            for name, n, work in works]  # fmt: skip


def count(family: DagFamily) -> int:
    return len(DagClasses(family))


def class_rows() -> list[Row]:
    """Orderly generation: graphs listed, and only counted, by published numbers of classes."""
    cells = DagFamily(7, least=2, labels=3, edges=9, terminals=True)
    families = [
        ("acyclic digraphs of 6 vertices", DagFamily(6), 5984),
        ("acyclic digraphs of 7 vertices", DagFamily(7), 243_668),
        ("cells of NAS-Bench-101", cells, 423_624),
    ]
    rows: list[Row] = []
    for name, family, expected in families:
        classes = DagClasses(family)
        assert len(classes) == expected == len(classes.all())
        counted = best(partial(count, family), runs=3)
        listed = best(classes.all, runs=3)
        rows.append({"operation": f"{name}, counted", "rate": expected / counted,
                     "unit": "classes/s"})  # fmt: skip
        rows.append({"operation": f"{name}, listed", "rate": expected / listed,
                     "unit": "classes/s"})  # fmt: skip
    codes = LIU_2018.initial(N, seed=1)
    works: list[tuple[str, Callable[[], object]]] = [
        ("hierarchical genotypes, one edge re-labeled", partial(LIU_2018.mutate, codes, seed=2)),
        ("hierarchical genotypes, flattened", partial(LIU_2018.flatten, codes)),
    ]
    rows += [{"operation": name, "rate": N / best(work), "unit": "graphs/s"}
             for name, work in works]  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out: Path | None = parser.parse_args().out
    columns = ["operation", "rate", "unit", "peers", "ratio", "bar", "exponent"]
    rows = [{name: row.get(name) for name in columns}
            for row in (*key_rows(), *hard_rows(), *other_rows(), *class_rows())]  # fmt: skip
    for row in rows:
        for name in ("rate", "ratio", "exponent"):
            value = row[name]
            row[name] = float(f"{value:.4g}") if isinstance(value, float) else value
    shown = csv.DictWriter(sys.stdout, columns)
    shown.writeheader()
    shown.writerows(rows)
    if out is not None:
        about = measured_with(("numpy", "nasturtium", "networkx"), checkout=Path(__file__).parent)
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", newline="") as file:
            writer = csv.DictWriter(file, [*columns, *about])
            writer.writeheader()
            writer.writerows({**row, **about} for row in rows)


if __name__ == "__main__":
    main()
