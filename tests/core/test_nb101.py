"""The packed NAS-Bench-101 cell: the slow twin, published counts and hashes, closed forms."""

from __future__ import annotations

import csv
import doctest
import gzip
import hashlib
import itertools
import os
import random
from pathlib import Path
from typing import Any

import nb101_twin as twin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nasturtium.errors import SpaceError
from nasturtium.spaces import nb101

DATA = Path(os.environ.get("NASTURTIUM_DATA", Path(__file__).parents[2] / "../shared/data"))
CUMULATIVE = {2: 1, 3: 7, 4: 91, 5: 2532, 6: 64542, 7: 423624}
N = 70_001
KEYS = [
    [0xF5214664D7C5B345, 0x68077AF61C25E66C],
    [0xE6C896D3B04C55DC, 0x729E387C61AF3292],
    [0x817BCD92DC258797, 0x6E4085151E02F884],
    [0x1559E51A91F4BA0E, 0x9FE5DA45802DDA77],
]
Words = NDArray[np.uint64]

some = settings(max_examples=150, deadline=None, derandomize=True)
seeds = st.integers(0, 2**64 - 1)
streams = st.integers(0, 2**32 - 1)


@st.composite
def raw_cells(draw: st.DrawFn, smallest: int = 2) -> int:
    v = draw(st.integers(smallest, 7))
    triangle = draw(st.integers(0, (1 << v * (v - 1) // 2) - 1))
    ops = draw(st.lists(st.integers(0, 2), min_size=v - 2, max_size=v - 2))
    return triangle | sum(op << (21 + 2 * i) for i, op in enumerate(ops)) | v << 31


def packed(words: list[int]) -> Words:
    return np.array(words, np.uint64)


def cell_of(word: int) -> twin.Cell:
    found = twin.cell(word)
    assert found is not None
    return found


def all_triangles(v: int) -> Words:
    """Every cell of `v` vertices with the first operation everywhere."""
    return np.arange(1 << v * (v - 1) // 2, dtype=np.uint64) | np.uint64(v << 31)


def random_raw_cells(n: int, seed: int) -> Words:
    """Cells of 7 vertices with fair coins for edges, valid or not."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 1 << 21, n, dtype=np.uint64) | np.uint64(7 << 31)
    for v in range(5):
        cells |= rng.integers(0, 3, n, dtype=np.uint64) << np.uint64(21 + 2 * v)
    return cells


def connected(cells: Words) -> Words:
    """Those with a path from input to output: whose encoding has a path."""
    return cells[nb101.path_bits(cells).any(axis=1)]


@pytest.mark.parametrize(("vertices", "count"), CUMULATIVE.items())
def test_published_counts(vertices: int, count: int) -> None:
    cells = nb101.enumerate_cells(vertices)
    assert nb101.count(vertices) == len(cells) == count
    assert len(np.unique(cells)) == count
    assert nb101.valid(cells).all()
    assert np.array_equal(nb101.canonical(cells), cells)
    assert (np.diff((cells >> np.uint64(31)).astype(np.int64)) >= 0).all()
    assert len(np.unique(nb101.keys(cells), axis=0)) == count


def test_number_of_labeled_cells() -> None:
    """Pruned valid graphs with the vertices in an order along the edges: 1,293,208."""
    total = 0
    for v in range(2, 8):
        cells = all_triangles(v)
        cells = cells[nb101.valid(cells)]
        total += int((nb101.prune(cells) == cells).sum()) * 3 ** (v - 2)
    assert total == 1_293_208


def test_enumeration_holds_every_cell() -> None:
    cells = random_raw_cells(300_000, 1)
    cells = cells[nb101.valid(cells)]
    assert np.isin(nb101.canonical(cells), nb101.enumerate_cells()).all()


# Numbers of distinct path encodings, and of all encodings' columns.
@pytest.mark.parametrize(("vertices", "count"), [(4, 73), (5, 1317), (6, 25977)])
def test_distinct_path_sets(vertices: int, count: int) -> None:
    bits = nb101.path_bits(nb101.enumerate_cells(vertices))
    assert len(np.unique(bits, axis=0)) == count


@some
@given(st.lists(raw_cells() | st.integers(0, 2**36), min_size=1, max_size=30))
def test_validity(words: list[int]) -> None:
    assert nb101.valid(packed(words)).tolist() == [twin.valid(word) for word in words]


@some
@given(st.lists(raw_cells(), min_size=1, max_size=20))
def test_prune_canonical_keys_and_hashes(words: list[int]) -> None:
    words = [word for word in words if twin.prune(cell_of(word))]
    cells = packed(words)
    pruned = [twin.prune(cell_of(word)) for word in words]
    assert nb101.prune(cells).tolist() == [p.word for p in pruned if p]
    least = [twin.canonical(cell_of(word)).word for word in words]
    assert nb101.canonical(cells).tolist() == least
    assert nb101.canonical_by_search(cells).tolist() == least
    assert nb101.keys(cells).tolist() == [list(twin.key(cell_of(word))) for word in words]
    assert nb101.hash_texts(cells) == [twin.module_hash(p) for p in pruned if p]


@some
@given(st.lists(raw_cells(), min_size=1, max_size=30))
def test_encodings(words: list[int]) -> None:
    cells = packed(words)
    expected = np.zeros((len(words), 364), np.float32)
    for row, word in zip(expected, words, strict=True):
        row[list(twin.paths(cell_of(word)))] = 1
    assert np.array_equal(nb101.path_one_hot(cells), expected)
    small = np.full((len(words), 364), 7, np.uint8)
    assert np.array_equal(nb101.path_one_hot(cells, out=small), expected)
    assert np.array_equal(nb101.path_one_hot(cells, columns=40), expected[:, :40])
    bits = nb101.path_bits(cells).view(np.uint8)
    unpacked = np.unpackbits(bits, axis=1, bitorder="little")
    assert np.array_equal(unpacked[:, :364], expected) and not unpacked[:, 364:].any()
    adjacency = np.array([twin.adjacency(cell_of(word)) for word in words])
    assert np.array_equal(nb101.adjacency_one_hot(cells), adjacency)
    tight = np.full((len(words), 36), 7, np.uint8)
    assert np.array_equal(nb101.adjacency_one_hot(cells, out=tight), adjacency)


@some
@given(seeds, streams, st.integers(0, 2**63))
def test_sample(seed: int, stream: int, start: int) -> None:
    got = nb101.sample(5, seed=seed, stream=stream, start=start)
    assert got.tolist() == [twin.sample(seed, stream, start + i) for i in range(5)]


@settings(some, max_examples=400)
@given(raw_cells(), seeds, streams, st.integers(0, 2**63))
def test_mutate(word: int, seed: int, stream: int, start: int) -> None:
    """Also of cells that are not valid, for which few changes or none may be."""
    expected = twin.mutate(word, seed, stream, start)
    if expected is None:
        with pytest.raises(SpaceError, match="row 0: no single change"):
            nb101.mutate(packed([word]), seed=seed, stream=stream, start=start)
        return
    got = nb101.mutate(packed([word]), seed=seed, stream=stream, start=start)
    assert got.tolist() == [expected]
    assert nb101.valid(got).all()
    assert expected in twin.changes(word)


@some
@given(raw_cells())
def test_pack_and_unpack(word: int) -> None:
    matrix, operations = nb101.unpack(word)
    expected = cell_of(word)
    edges = {(int(i), int(j)) for i, j in zip(*np.nonzero(matrix), strict=True)}
    assert edges == expected.edges
    names = tuple(nb101.OPERATIONS[op] for op in expected.ops)
    assert operations == ("input", *names, "output")
    assert nb101.pack(matrix, operations) == nb101.pack(matrix.tolist(), operations) == word


def test_canonical_form_of_all_small_cells_against_brute_force() -> None:
    words = [
        triangle | sum(op << (21 + 2 * i) for i, op in enumerate(ops)) | v << 31
        for v in range(2, 6)
        for triangle in range(1 << v * (v - 1) // 2)
        for ops in itertools.product(range(3), repeat=v - 2)
    ]
    words = [word for word in words if twin.prune(cell_of(word))]
    expected = [twin.canonical(cell_of(word)).word for word in words]
    assert nb101.canonical(packed(words)).tolist() == expected


def test_table_and_search_agree_on_large_cells() -> None:
    raw = random_raw_cells(300_000, 2)
    cells = connected(raw)
    too_many = ~nb101.valid(cells)
    assert too_many.any() and not nb101.valid(np.setdiff1d(raw, cells)).any()
    assert np.array_equal(nb101.canonical(cells), nb101.canonical_by_search(cells))
    triangles = connected(all_triangles(7))
    assert np.array_equal(nb101.canonical(triangles), nb101.canonical_by_search(triangles))


def relabeled(cell: twin.Cell, rng: random.Random) -> int:
    """The inner vertices in a random order in which edges go to later vertices."""
    place = {0: 0, cell.v - 1: cell.v - 1}
    while len(place) < cell.v:
        ready = [
            v
            for v in range(1, cell.v - 1)
            if v not in place and all(i in place for i, j in cell.edges if j == v)
        ]
        place[rng.choice(ready)] = len(place) - 1
    edges = frozenset((place[i], place[j]) for i, j in cell.edges)
    ops = [0] * (cell.v - 2)
    for v, op in enumerate(cell.ops, start=1):
        ops[place[v] - 1] = op
    return twin.Cell(cell.v, edges, tuple(ops)).word


def test_relabeling_changes_neither_canonical_cell_nor_key_nor_hash() -> None:
    rng = random.Random(3)
    times = 10
    cells = nb101.prune(nb101.sample(10_000, seed=4))
    plain = [cell_of(word) for word in cells.tolist()]
    moved = packed([relabeled(cell, rng) for cell in plain for _ in range(times)])
    again = np.repeat(cells, times)
    assert (moved != again).mean() > 0.1
    assert np.array_equal(nb101.canonical(moved), nb101.canonical(again))
    assert np.array_equal(nb101.keys(moved), nb101.keys(again))
    assert np.array_equal(nb101.path_bits(moved), nb101.path_bits(again))
    few = slice(0, 20_000)
    assert np.array_equal(nb101.hashes(moved[few]), nb101.hashes(again[few]))


def test_hash_against_the_published_table() -> None:
    path = DATA / "nb101" / "nb101_sample10000.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent; set NASTURTIUM_DATA")
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    cells = []
    for row in rows:
        v = int(row["n_vertices"])
        matrix = np.zeros((v, v), np.int64)
        matrix[np.triu_indices(v, 1)] = [int(bit) for bit in row["adj_upper"]]
        names = [nb101.OPERATIONS[int(op)] for op in row["ops"]]
        cells.append(nb101.pack(matrix, ["input", *names, "output"]))
    assert len(rows) == 10_000
    assert nb101.hash_texts(packed(cells)) == [row["hash"] for row in rows]
    assert len(np.unique(nb101.keys(packed(cells)), axis=0)) == len(rows)


def test_hashes_of_all_cells() -> None:
    """The digest of all 423,624 published hashes, sorted, one a line."""
    texts = sorted(nb101.hash_texts(nb101.enumerate_cells(), threads=2))
    assert len(set(texts)) == 423_624
    digest = hashlib.sha256("".join(f"{text}\n" for text in texts).encode()).hexdigest()
    assert digest == "53e1438d11675d9eb3899166c29ca07fe0c4b81af9d99d5aec3ecd31bd5bca7f"


def chi_square(counts: NDArray[Any], expected: NDArray[Any]) -> float:
    return float(((counts - expected) ** 2 / expected).sum())


def test_draws_have_the_frequencies_of_fair_coins() -> None:
    """Each valid triangle is as likely as every other, whatever its operations."""
    every = all_triangles(7)
    every = every[nb101.valid(every)]
    shares = np.bincount((nb101.prune(every) >> np.uint64(31)).astype(int), minlength=8)[2:]
    assert round(len(every) / 2**21, 3) == 0.733
    drawn = nb101.sample(400_000, seed=5)
    sizes = np.bincount((nb101.prune(drawn) >> np.uint64(31)).astype(int), minlength=8)[2:]
    assert chi_square(sizes, shares / len(every) * len(drawn)) < 22  # 5 degrees: p = 0.0005
    operations = (drawn >> np.uint64(21)).astype(int) & 1023
    counts = np.bincount(operations, minlength=1024)
    counts = counts[counts > 0]
    assert len(counts) == 243
    assert chi_square(counts, np.full(243, len(drawn) / 243)) < 320  # 242 degrees: p = 0.0005
    for slot in range(21):
        share = float((every >> np.uint64(slot) & np.uint64(1)).mean())
        got = float((drawn >> np.uint64(slot) & np.uint64(1)).mean())
        assert abs(got - share) < 4.5 * (share * (1 - share) / len(drawn)) ** 0.5


def test_changes_have_the_frequencies_of_uniform_decisions() -> None:
    for word in nb101.sample(4, seed=6).tolist():
        expected: dict[int, float] = {}
        every = [changed for changed in twin.changes(word) if twin.valid(changed)]
        for changed in every:
            expected[changed] = expected.get(changed, 0) + 60_000 / len(every)
        got = nb101.mutate(np.full(60_000, word, np.uint64), seed=7)
        values, counts = np.unique(got, return_counts=True)
        assert values.tolist() == sorted(expected)
        # At most 30 degrees: p = 0.0005.
        assert chi_square(counts, np.array([expected[v] for v in values.tolist()])) < 63


def test_threads_and_splits_change_nothing() -> None:
    key: dict[str, Any] = {"seed": 9, "stream": 2, "start": 2**40}
    cells = nb101.sample(N, **key)
    children = nb101.mutate(cells, **key)
    for threads in (2, 5):
        assert np.array_equal(nb101.sample(N, threads=threads, **key), cells)
        assert np.array_equal(nb101.mutate(cells, threads=threads, **key), children)
    cut = 12_345
    tail = {**key, "start": key["start"] + cut}
    assert np.array_equal(nb101.sample(N - cut, **tail), cells[cut:])
    assert np.array_equal(nb101.mutate(cells[cut:], **tail), children[cut:])
    for work in (
        nb101.valid, nb101.prune, nb101.canonical, nb101.canonical_by_search, nb101.keys,
        nb101.hashes, nb101.path_bits, nb101.path_one_hot, nb101.adjacency_one_hot,
    ):  # fmt: skip
        few = cells[: 10_000 if work is nb101.hashes else N]
        assert np.array_equal(work(few, threads=2), work(few))


def test_results_in_place() -> None:
    cells = nb101.sample(5000, seed=1)
    for work in (nb101.prune, nb101.canonical, nb101.canonical_by_search):
        same = cells.copy()
        assert np.array_equal(work(same, out=same), work(cells))
    same = cells.copy()
    assert np.array_equal(nb101.mutate(same, seed=3, out=same), nb101.mutate(cells, seed=3))
    with pytest.raises(SpaceError, match="overlaps"):
        nb101.prune(same[:-1], out=same[1:])
    with pytest.raises(SpaceError, match="overlaps"):
        nb101.keys(same[:2500], out=same.reshape(-1, 2))


def test_empty_batches() -> None:
    none = np.empty(0, np.uint64)
    assert len(nb101.canonical(none)) == len(nb101.sample(0, seed=1)) == 0
    assert nb101.hash_texts(none) == []
    assert nb101.path_one_hot(none).shape == (0, 364)


def test_keys_never_change() -> None:
    """Tables keep keys: these are of the first cell, and of cells of 3, 5 and 7 vertices."""
    cells = nb101.enumerate_cells()[[0, 6, 2531, 423_623]]
    assert nb101.keys(cells).tolist() == KEYS


def test_the_table_says_how_long_it_took() -> None:
    assert 0 < nb101.table_seconds() < 1
    assert nb101.table_seconds() == nb101.table_seconds()


def test_the_examples_of_the_text() -> None:
    assert doctest.testmod(nb101) == doctest.TestResults(failed=0, attempted=7)


NO_CELLS = {
    "no vertices": 0,
    "one vertex": 1 << 31,
    "a column too many": 2 << 31 | 0b11,
    "operation 3": 3 << 31 | 3 << 21 | 0b111,
    "an operation too many": 3 << 31 | 1 << 23 | 0b111,
    "a high bit": 1 << 34 | 7 << 31 | 1 << 15,
}


@pytest.mark.parametrize("word", NO_CELLS.values(), ids=NO_CELLS)
def test_words_that_are_no_cells(word: int) -> None:
    cells = np.append(nb101.sample(3, seed=1), np.uint64(word))
    assert nb101.valid(cells).tolist() == [True] * 3 + [False]
    for work in (
        nb101.prune, nb101.canonical, nb101.canonical_by_search, nb101.keys, nb101.hashes,
        nb101.path_bits, nb101.path_one_hot, nb101.adjacency_one_hot,
    ):  # fmt: skip
        with pytest.raises(SpaceError, match="row 3: the word is no packed cell"):
            work(cells)
    with pytest.raises(SpaceError, match="row 3: the word is no packed cell"):
        nb101.mutate(cells, seed=1)
    with pytest.raises(SpaceError, match="no packed cell"):
        nb101.unpack(word)


def test_cells_without_a_path() -> None:
    cells = packed([2 << 31 | 1, 3 << 31 | 1])
    for work in (
        nb101.prune, nb101.canonical, nb101.canonical_by_search, nb101.keys, nb101.hashes
    ):  # fmt: skip
        with pytest.raises(SpaceError, match="row 1: no path leads"):
            work(cells)
    assert nb101.path_bits(cells)[1].tolist() == [0] * 6
    with pytest.raises(SpaceError, match="row 0: no single change"):
        nb101.mutate(cells, seed=1)


def test_arrays_are_checked() -> None:
    cells = nb101.sample(10, seed=1)
    with pytest.raises(SpaceError, match="cells are uint64"):
        nb101.canonical(cells.astype(np.int64))  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="10 and 9 rows"):
        nb101.canonical(cells, out=np.empty(9, np.uint64))
    with pytest.raises(SpaceError, match="length 2"):
        nb101.keys(cells, out=np.empty((10, 3), np.uint64))
    with pytest.raises(SpaceError, match="1 to 364 columns"):
        nb101.path_one_hot(cells, columns=365)
    with pytest.raises(SpaceError, match="2 to 7 vertices"):
        nb101.enumerate_cells(8)
    with pytest.raises(SpaceError, match="negative"):
        nb101.sample(-1, seed=1)
    with pytest.raises(TypeError):
        nb101.path_one_hot(cells, out=np.empty((10, 364), np.float64))


@pytest.mark.parametrize(
    ("matrix", "operations", "part"),
    [
        ([[0, 1]], ["input", "output"], "from 2 to 7"),
        ([[0, 2], [0, 0]], ["input", "output"], "0 and 1"),
        ([[0, 1], [1, 0]], ["input", "output"], "above the diagonal"),
        ([[0, 1], [0, 0]], ["output", "input"], "from 'input' to 'output'"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", "output"], "3 operations"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", "conv3x3", "output"], "conv3x3-bn-relu"),
    ],
)
def test_cells_that_cannot_be_packed(matrix: Any, operations: list[str], part: str) -> None:
    with pytest.raises(SpaceError, match=part):
        nb101.pack(matrix, operations)
