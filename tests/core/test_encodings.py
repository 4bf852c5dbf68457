"""Encodings and packed codes against the slow twins, on random spaces, and published counts."""

from __future__ import annotations

from typing import Any

import encoding_twin as slow
import numpy as np
import pytest
import space_twin as twin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasturtium.encodings import (
    GraphArrays,
    GraphBatch,
    PathEncoder,
    condition_levels,
    conditional_tree,
    decode_scores,
    graph_labels,
    one_hot,
    one_hot_bits,
    operation_counts,
)
from nasturtium.errors import SpaceError
from nasturtium.spaces import Choice, Graph, Space, image_cell, nb101, nb201, residual_mlp

some = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def unpacked(bits: Any, columns: int) -> Any:
    return np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little")[:, :columns]


def nb101_space() -> Space:
    """NAS-Bench-101's cell as decisions: an edge is there or not, a vertex has an operation."""
    graph = Graph(identity=("is", "end"))
    operations = [Choice(f"op{v}", nb101.OPERATIONS) for v in range(1, 6)]
    graph.node("v0", "end")
    for v, choice in enumerate(operations, start=1):
        graph.node(f"v{v}", choice)
    graph.node("v6", "end")
    edges = [Choice(f"e{i}{j}", (False, True)) for j in range(1, 7) for i in range(j)]
    for choice in edges:
        graph.edge(f"v{choice.name[1]}", f"v{choice.name[2]}", "is", when={choice.name: True})
    return Space("cell101", [*operations, *edges], graph)


def nb101_codes(space: Space, cells: Any) -> Any:
    rows = []
    for cell in cells:
        matrix, operations = nb101.unpack(cell)
        last = len(operations) - 1
        places = [*range(last), 6]
        values: dict[str, Any] = {
            f"op{v}": operations[v] if v < last else nb101.OPERATIONS[0] for v in range(1, 6)
        }
        for i, j in zip(*np.nonzero(matrix), strict=True):
            values[f"e{places[i]}{places[j]}"] = True
        rows.append(space.encode(values))
    return np.array(rows)


@some
@given(twin.spaces(), st.floats(-2, 2, width=32))
def test_columns_of_decisions(space: Space, fill: float) -> None:
    codes = space.enumerate()[:200]
    hot = one_hot(space, codes)
    small = one_hot(space, codes, out=np.full(hot.shape, 7, np.uint8))
    assert np.array_equal(small, hot)
    assert np.array_equal(unpacked(one_hot_bits(space, codes), hot.shape[1]), hot)
    tree = conditional_tree(space, codes, fill=fill).reshape(len(codes), len(space.decisions), 2)
    for code, row in zip(codes.tolist(), tree.tolist(), strict=True):
        for value, on, choice, columns in zip(
            code, twin.active(space, code), space.decisions, row, strict=True
        ):
            scaled = np.float32(value) / np.float32(max(len(choice.options) - 1, 1))
            assert columns == [float(on), float(scaled) if on else fill]
    assert np.array_equal(decode_scores(space, hot), codes)


@some
@given(twin.spaces(), st.integers(0, 2**32 - 1))
def test_scores_decode_to_the_greatest_options(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 3, (5, int(space.options.sum()))).astype(np.float32)
    ends = np.cumsum(space.options)
    got = decode_scores(space, scores)
    for row, code in zip(scores, got.tolist(), strict=True):
        expected = [0] * len(code)
        for i, (end, count) in enumerate(zip(ends, space.options, strict=True)):
            if twin.active(space, expected)[i]:
                expected[i] = int(row[end - count : end].argmax())
        assert code == expected
    scores[2, 0] = np.nan
    with pytest.raises(SpaceError, match="row 2: a score is not a number"):
        decode_scores(space, scores)


def test_levels_of_conditions() -> None:
    a, b = Choice("a", (1, 2)), Choice("b", (1, 2), when={"a": 2})
    c, d = Choice("c", (1, 2), when={"b": 1, "a": 2}), Choice("d", (1, 2), when={"a": 1})
    assert condition_levels(Space("levels", [a, b, c, d])).tolist() == [0, 1, 2, 1]


@some
@given(twin.spaces())
def test_packed_codes(space: Space) -> None:
    codes = space.enumerate()[:300]
    counts = space.options.tolist()
    expected = []
    for code in codes.tolist():
        number = 0
        for value, count in zip(code, counts, strict=True):
            number = number * count + value
        expected.append(number)
    packed = space.pack(codes)
    assert packed.tolist() == expected == sorted(expected)
    assert np.array_equal(space.unpack(packed), codes)
    assert space.packed_range == int(np.prod(counts))
    everything = range(min(space.packed_range, 300))
    known = {number for number in everything if number in set(expected) or space.constraints}
    for number in set(everything) - known:
        with pytest.raises(SpaceError, match="inactive"):
            space.unpack(np.array([number], np.uint64))


def test_packed_codes_at_the_limits() -> None:
    wide = Space("wide", [Choice(f"d{i}", range(255)) for i in range(8)])
    codes = wide.sample(3000, seed=1)
    packed = wide.pack(codes)
    weights = [255**k for k in range(7, -1, -1)]
    assert packed.tolist() == [
        sum(w * v for w, v in zip(weights, code, strict=True)) for code in codes.tolist()
    ]
    assert np.array_equal(wide.unpack(packed, threads=2), codes)
    last = np.array([255**8 - 1], np.uint64)
    assert wide.unpack(last).tolist() == [[254] * 8]
    with pytest.raises(SpaceError, match="row 0: packed codes of 'wide' are below"):
        wide.unpack(last + np.uint64(1))
    with pytest.raises(SpaceError, match="2\\^64"):
        Space("wider", [Choice(f"d{i}", range(256)) for i in range(8)]).pack(
            np.zeros((1, 8), np.uint8)
        )
    bad = codes[:5].copy()
    bad[3, 2] = 255
    with pytest.raises(SpaceError, match="row 3: decision 'd2' has 255 options"):
        wide.pack(bad)
    with pytest.raises(SpaceError, match="uint64"):
        wide.unpack(np.zeros(2, np.int64))  # type: ignore[arg-type]
    mixed = Space("mixed", [Choice(f"d{i}", range(1 + (7 * i) % 23)) for i in range(14)])
    codes = mixed.sample(5000, seed=2)
    assert np.array_equal(mixed.unpack(mixed.pack(codes)), codes)


@some
@given(twin.spaces(), st.booleans())
def test_paths(space: Space, zeros: bool) -> None:
    columns = slow.all_sequences(space, zeros=zeros)
    if not columns:
        with pytest.raises(SpaceError, match="path"):
            PathEncoder(space, zeros=zeros)
        return
    encoder = PathEncoder(space, zeros=zeros)
    number = {label.text: i for i, label in enumerate(graph_labels(space))}
    ordered = sorted(columns, key=lambda seq: (len(seq), [number[label] for label in seq]))
    assert [encoder.sequence(c) for c in range(encoder.columns)] == ordered
    codes = space.enumerate()[:60]
    hot = encoder.one_hot(codes)
    listed = encoder.categorical(codes, most=7)
    for code, row, numbers in zip(codes.tolist(), hot, listed, strict=True):
        paths = slow.sequences(space, code, zeros=zeros)
        expected = [ordered.index(path) for path in ordered if path in paths]
        assert np.flatnonzero(row).tolist() == expected
        assert numbers.tolist() == (expected + [-1] * 7)[:7]
    assert set(np.unique(hot)) <= {0, 1}
    assert np.array_equal(unpacked(encoder.bits(codes), encoder.columns), hot)
    few = (encoder.columns + 1) // 2
    assert np.array_equal(encoder.one_hot(codes, columns=few), hot[:, :few])
    with pytest.raises(SpaceError, match="columns"):
        encoder.one_hot(codes, columns=encoder.columns + 1)


def test_published_path_dimensions() -> None:
    space = nb201()
    assert PathEncoder(space).columns == 155
    assert PathEncoder(space, zeros=False).columns == 4 + 16 + 64
    codes = space.sample(20_000, seed=1)
    hot = PathEncoder(space).one_hot(codes, out=np.empty((len(codes), 155), np.uint8))
    # Four declared paths, of which the two of two edges can have the same labels.
    assert set(hot.sum(axis=1)) == {3, 4}
    assert np.array_equal(PathEncoder(space).one_hot(codes, threads=2), hot)


def test_paths_of_nas_bench_101() -> None:
    space = nb101_space()
    encoder = PathEncoder(space)
    assert encoder.columns == 364
    cells = nb101.sample(3000, seed=5)
    assert np.array_equal(encoder.one_hot(nb101_codes(space, cells)), nb101.path_one_hot(cells))
    # Published: so many path sets of all cells of at most 4 and 5 vertices.
    for vertices, sets in ((4, 73), (5, 1317)):
        known = encoder.bits(nb101_codes(space, nb101.enumerate_cells(vertices)))
        assert len(np.unique(known, axis=0)) == sets


def numbered(space: Space, label: Any) -> int:
    """A label's number plus 1."""
    return [x.text for x in graph_labels(space)].index(slow.text_of(label)) + 1


@some
@given(twin.spaces(), st.booleans())
def test_graph_arrays(space: Space, pruned: bool) -> None:
    assert space.graph is not None
    codes = space.enumerate()[:40]
    names = [n.name for n in space.graph.nodes]
    by_node = GraphArrays(space, view="nodes", pruned=pruned)
    by_operation = GraphArrays(space, pruned=pruned)
    assert by_node.names == tuple(names)
    batch, operations = by_node(codes), by_operation(codes)
    counts = operation_counts(space, codes, pruned=pruned)
    places = {
        (tuple(name.split("->")) if "->" in name else name): i
        for i, name in enumerate(by_operation.names)
    }
    for i, code in enumerate(codes.tolist()):
        nodes, edges = (twin.live if pruned else slow.drawn)(space, code)
        assert batch.mask[i].tolist() == [name in nodes for name in names]
        assert batch.nodes[i].tolist() == [
            numbered(space, nodes[name]) if name in nodes else 0 for name in names
        ]
        for a, s in enumerate(names):
            for b, d in enumerate(names):
                assert batch.adjacency[i, a, b] == ((s, d) in edges)
                label = edges.get((s, d))
                assert batch.edges[i, a, b] == (numbered(space, label) if label else 0)
        net = slow.Operations(space, code, contract=False, pruned=pruned)
        at = {v: places[v] for v in net.labels if v not in ("input", "output")}
        at |= {"input": 0, "output": by_operation.vertices - 1}
        mask = np.zeros(by_operation.vertices, bool)
        mask[list(at.values())] = True
        assert np.array_equal(operations.mask[i], mask)
        adjacency = np.zeros((by_operation.vertices,) * 2)
        for s, d in net.arcs:
            adjacency[at[s], at[d]] = 1
        assert np.array_equal(operations.adjacency[i], adjacency)
        labels = {v: label for v, label in net.labels.items() if v not in ("input", "output")}
        for vertex, label in labels.items():
            assert operations.nodes[i, at[vertex]] == numbered(space, label)
        expected = np.zeros(len(graph_labels(space)), int)
        np.add.at(expected, [numbered(space, label) - 1 for label in labels.values()], 1)
        assert np.array_equal(counts[i], expected)
    assert not np.tril(operations.adjacency).any()


@pytest.mark.parametrize("make", [nb201, image_cell])
def test_graph_arrays_of_the_spaces(make: Any) -> None:
    space: Space = make()
    codes = space.sample(3000, seed=3)
    arrays = GraphArrays(space)
    batch = arrays(codes)
    n, v = len(codes), arrays.vertices
    out = GraphBatch(
        np.full((n, v, v), 9, np.uint8),
        np.full((n, v), 9, np.int16),
        np.full((n, v, v), 9, np.int16),
        np.ones((n, v), np.bool_),
    )
    assert arrays(codes, out=out, threads=2) is out
    for a, b in zip(vars(batch).values(), vars(out).values(), strict=True):
        assert np.array_equal(a, b)
    counts = operation_counts(space, codes)
    assert np.array_equal(operation_counts(space, codes, threads=2), counts)
    assert np.array_equal(counts.sum(axis=1), batch.mask[:, 1:-1].sum(axis=1))
    with pytest.raises(SpaceError, match="adjacency"):
        arrays(codes[:-1], out=out)


def test_spaces_without_a_graph_are_told() -> None:
    space = residual_mlp()
    assert space.graph is None
    codes = space.sample(2, seed=1)
    for work in (PathEncoder, GraphArrays, graph_labels):
        with pytest.raises(SpaceError, match="no graph"):
            work(space)
    with pytest.raises(SpaceError, match="no graph"):
        operation_counts(space, codes)
    many = [Choice(f"d{i}", range(256)) for i in range(3)]
    graph = Graph().node("a", "sum").node("b", "sum").edge("a", "b", tuple(many))
    with pytest.raises(SpaceError, match="too many different labels"):
        graph_labels(Space("many", many, graph))


def test_bad_rows_are_named() -> None:
    space = nb201()
    codes = space.sample(9, seed=1)
    codes[7, 2] = 5
    for work in (
        lambda: one_hot(space, codes),
        lambda: one_hot_bits(space, codes),
        lambda: conditional_tree(space, codes),
        lambda: space.pack(codes),
        lambda: PathEncoder(space).bits(codes),
        lambda: GraphArrays(space)(codes),
        lambda: operation_counts(space, codes),
    ):
        with pytest.raises(SpaceError, match="row 7: decision 'edge_2_1' has 5 options"):
            work()


def test_threads_change_nothing() -> None:
    space = image_cell()
    codes = space.sample(50_000, seed=4)
    assert np.array_equal(one_hot_bits(space, codes, threads=3), one_hot_bits(space, codes))
    assert np.array_equal(conditional_tree(space, codes, threads=3), conditional_tree(space, codes))
    packed = space.pack(codes)
    assert np.array_equal(space.pack(codes, threads=3), packed)
    assert np.array_equal(space.unpack(packed, threads=3), codes)
    paths = PathEncoder(space)
    assert np.array_equal(paths.bits(codes, threads=3), paths.bits(codes))
    assert np.array_equal(paths.categorical(codes, threads=3), paths.categorical(codes))


def test_forms_of_nas_bench_101() -> None:
    cells = np.concatenate([nb101.sample(2000, seed=8), nb101.enumerate_cells(5)])
    numbers = nb101.adjacency_categorical(cells)
    rows = nb101.adjacency_continuous(cells)
    hot = nb101.adjacency_one_hot(cells)
    paths, bits = nb101.path_categorical(cells, most=9), nb101.path_one_hot(cells)
    for i in range(0, len(cells), 3):
        edges = np.flatnonzero(hot[i, :21]).tolist()
        assert numbers[i, :21].tolist() == edges + [-1] * (21 - len(edges))
        operations = hot[i, 21:].reshape(5, 3)
        assert numbers[i, 21:].tolist() == [int(x.argmax()) if x.any() else -1 for x in operations]
        found = np.flatnonzero(bits[i]).tolist()
        assert paths[i].tolist() == (found + [-1] * 9)[:9]
    assert np.array_equal(rows[:, :21], hot[:, :21])
    assert np.array_equal(rows[:, 21], hot[:, :21].sum(axis=1))
    assert np.array_equal(rows[:, 22:], numbers[:, 21:])
    assert np.array_equal(nb101.decode_continuous(rows, threads=2), cells)
    # Any scores in the same order, and numbers that round to the same, are the same cell.
    rng = np.random.default_rng(0)
    noisy = rows + rng.uniform(-0.49, 0.49, rows.shape).astype(np.float32)
    noisy[:, :21] *= 7
    assert np.array_equal(nb101.decode_continuous(noisy), cells)
    few = np.zeros((1, 27), np.float32)
    few[0, :3], few[0, 21], few[0, 22:] = (3, 1, 2), 2, -1
    few[0, 15] = 4
    with pytest.raises(SpaceError, match="row 0: an edge is at a missing vertex"):
        nb101.decode_continuous(few)
    few[0, 21] = 1
    matrix, _ = nb101.unpack(nb101.decode_continuous(few)[0])
    assert matrix.tolist() == [[0, 1], [0, 0]]
    for column, value, match in (
        (0, np.nan, "score"),
        (21, np.nan, "number of edges"),
        (21, 22, "number of edges"),
        (22, 3, "operation is not"),
        (24, 1, "behind a missing vertex"),
    ):
        wrong = few.copy()
        wrong[0, column] = value
        with pytest.raises(SpaceError, match=f"row 0: .*{match}"):
            nb101.decode_continuous(wrong)
