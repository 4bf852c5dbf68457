"""The cell of NAS-Bench-101, packed into one word: what batches, tables and histories hold.

A cell is a graph of at most 7 vertices and 9 edges from an input to an output, with one of three
operations on each vertex between. As a number, bit `j * (j - 1) / 2 + i` is the edge from vertex
`i` to vertex `j`, bits `21 + 2 * (v - 1)` and the next are the operation of inner vertex `v`, and
bits 31 to 33 the number of vertices. A batch is uint64[n]; all functions run in C++ without the
GIL, give the same for any number of `threads`, and raise `SpaceError` that names the first row that
is no cell, or has no path from input to output where one is needed.

`valid`, `canonical`, `keys`, `sample` and `mutate` look things up in a table of 2 MiB that the
first of them to be called builds; `table_seconds()` says how long that took.

Reference: Ying, Klein, Real, Christiansen, Murphy and Hutter, NAS-Bench-101: Towards Reproducible
Neural Architecture Search, ICML 2019.

    >>> from nasturtium.spaces import nb101
    >>> cells = nb101.sample(1000, seed=1)
    >>> children = nb101.mutate(cells, seed=2)
    >>> bool(nb101.valid(children).all()), nb101.count()
    (True, 423624)
    >>> matrix, operations = nb101.unpack(nb101.enumerate_cells(3)[1])
    >>> matrix.tolist(), operations
    ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ('input', 'conv3x3-bn-relu', 'output'))
    >>> nb101.hash_texts(nb101.enumerate_cells(2))
    ['043721b9c7fe8c5fad811d47d83132ec']
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium import _core
from nasturtium.errors import SpaceError, nearest

__all__ = [
    "ADJACENCY",
    "OPERATIONS",
    "PATHS",
    "VERTICES",
    "adjacency_categorical",
    "adjacency_continuous",
    "adjacency_one_hot",
    "canonical",
    "canonical_by_search",
    "count",
    "decode_continuous",
    "enumerate_cells",
    "hash_texts",
    "hashes",
    "keys",
    "mutate",
    "pack",
    "path_bits",
    "path_categorical",
    "path_one_hot",
    "prune",
    "sample",
    "table_seconds",
    "unpack",
    "valid",
]

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
VERTICES = 7
PATHS = 364
ADJACENCY = 36

Cells: TypeAlias = NDArray[np.uint64]
_WORD = np.dtype(np.uint64)  # compared with at half the cost of np.uint64


def pack(matrix: ArrayLike, operations: Sequence[str]) -> int:
    """The number of a cell that is given as the published table gives it; not pruned.

    Args:
        matrix: 0 or 1 [v, v], strictly upper triangular: 1 at [i, j] is the edge from i to j.
        operations: v names, "input" first, "output" last, of `OPERATIONS` between.

    Raises:
        SpaceError: what does not hold.
    """
    array = np.asarray(matrix)
    v = len(array) if array.ndim == 2 else 0
    if not 2 <= v <= VERTICES or array.shape != (v, v):
        raise SpaceError(f"a cell's matrix is [v, v] with v from 2 to 7, not {list(array.shape)}")
    if not np.isin(array, (0, 1)).all() or np.tril(array).any():
        raise SpaceError("a cell's matrix holds 0 and 1, and these only above the diagonal")
    if len(operations) != v or operations[0] != "input" or operations[-1] != "output":
        raise SpaceError(f"a cell of {v} vertices has {v} operations, from 'input' to 'output'")
    cell = v << 31
    for j in range(1, v):
        for i in range(j):
            cell |= int(array[i, j]) << (j * (j - 1) // 2 + i)
    for i, name in enumerate(operations[1:-1]):
        if name not in OPERATIONS:
            raise SpaceError(f"unknown operation {name!r}; {nearest(name, OPERATIONS)}")
        cell |= OPERATIONS.index(name) << (21 + 2 * i)
    return cell


def unpack(cell: int | np.uint64) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    """The matrix, int8[v, v], and the operations' names of one cell: the inverse of `pack`."""
    number = int(cell)
    v = number >> 31 & 7
    codes = [number >> (21 + 2 * i) & 3 for i in range(max(0, v - 2))]
    matrix = np.zeros((v, v), np.int8)
    for j in range(1, v):
        for i in range(j):
            matrix[i, j] = number >> (j * (j - 1) // 2 + i) & 1
    if v >= 2 and max(codes, default=0) < len(OPERATIONS):
        operations = ("input", *(OPERATIONS[c] for c in codes), "output")
        if pack(matrix, operations) == number:
            return matrix, operations
    raise SpaceError(f"{number} is no packed cell")


def valid(cells: Cells, *, threads: int = 1) -> NDArray[np.bool_]:
    """Which numbers are cells of the table once pruned, bool[n].

    True for a cell with a path from input to output and at most 9 edges on such paths. Raises
    nothing for numbers that are no cells.
    """
    cells = _checked(cells)
    out = np.empty(len(cells), np.bool_)
    _core.nb101_valid(cells, out, threads)
    return out


def prune(cells: Cells, *, out: Cells | None = None, threads: int = 1) -> Cells:
    """The cells without what lies on no path from input to output, uint64[n].

    The vertices that are left keep their order. `out` may be `cells`.
    """
    cells = _checked(cells)
    out = np.empty_like(cells) if out is None else out
    _core.nb101_prune(cells, out, threads)
    return out


def canonical(cells: Cells, *, out: Cells | None = None, threads: int = 1) -> Cells:
    """The canonical cells, uint64[n]: equal exactly where the pruned cells are isomorphic.

    Of all orders of the inner vertices in which edges go to later vertices, the one with the least
    triangle and then the least operations, read as numbers. Also for more than 9 edges, which take
    longer. `out` may be `cells`.
    """
    cells = _checked(cells)
    out = np.empty_like(cells) if out is None else out
    _core.nb101_canonical(cells, out, threads)
    return out


def canonical_by_search(cells: Cells, *, out: Cells | None = None, threads: int = 1) -> Cells:
    """`canonical` without the table, by trying all orders: slower, to check it with."""
    cells = _checked(cells)
    out = np.empty_like(cells) if out is None else out
    _core.nb101_canonical_by_search(cells, out, threads)
    return out


def keys(cells: Cells, *, out: Cells | None = None, threads: int = 1) -> Cells:
    """128 bits of the canonical cell, uint64[n, 2]: MurmurHash3_x64_128 of its number.

    They never change between versions or platforms. `nasturtium.keymap.KeyMap` takes them.
    """
    cells = _checked(cells)
    out = np.empty((len(cells), 2), np.uint64) if out is None else out
    _core.nb101_keys(cells, out, threads)
    return out


def hashes(
    cells: Cells, *, out: NDArray[np.uint8] | None = None, threads: int = 1
) -> NDArray[np.uint8]:
    """The hashes that name cells in the published table, uint8[n, 16].

    h_v = MD5("(out-degree, in-degree, label)"), then as often as there are vertices
    h_v = MD5(sorted in-neighbors' h + "|" + sorted out-neighbors' h + "|" + h_v), and the cell's is
    MD5(str(sorted(h))), all in hexadecimal. Of the pruned cell; equal for isomorphic ones, and
    among the 423,624 cells for no others. `out.view(np.uint64)` are keys for a `KeyMap`.
    """
    cells = _checked(cells)
    out = np.empty((len(cells), 16), np.uint8) if out is None else out
    _core.nb101_hashes(cells, out, threads)
    return out


def hash_texts(cells: Cells, *, threads: int = 1) -> list[str]:
    """`hashes` as the table writes them: 32 hexadecimal digits each."""
    text = hashes(cells, threads=threads).tobytes().hex()
    return [text[i : i + 32] for i in range(0, len(text), 32)]


def sample(
    n: int,
    *,
    seed: int,
    stream: int = 0,
    start: int = 0,
    threads: int = 1,
    out: Cells | None = None,
) -> Cells:
    """Draw `n` valid cells of 7 vertices, uint64[n]; not pruned.

    A fair coin for each of the 21 edges and a uniform operation for each of the 5 vertices, drawn
    again until valid, as the table's authors do. Far from uniform over distinct cells; for that
    index `enumerate_cells()`. Row `i` is a function of `(seed, stream, start + i)`.
    """
    if n < 0:
        raise SpaceError(f"n = {n} is negative")
    out = np.empty(n, np.uint64) if out is None else out
    _core.nb101_sample(out, seed, stream, start, threads)
    return out


def mutate(
    cells: Cells,
    *,
    seed: int,
    stream: int = 0,
    start: int = 0,
    threads: int = 1,
    out: Cells | None = None,
) -> Cells:
    """Change one edge or one operation of each cell as it is, not pruned, uint64[n].

    The decision is uniform among the cell's edges and inner vertices, an operation becomes one of
    the two others, and it is drawn again until the result is valid. What changes may lie on no
    path, so that the pruned cell can stay the same. Row `i` is a function of
    `(seed, stream, start + i)` and of its cell. `out` may be `cells`.

    Raises:
        SpaceError: a cell that no single change makes valid, as the one of two vertices: mutate
            cells of 7 vertices as `sample` draws them, not pruned ones.
    """
    cells = _checked(cells)
    out = np.empty_like(cells) if out is None else out
    _core.nb101_mutate(cells, out, seed, stream, start, threads)
    return out


def count(vertices: int = VERTICES) -> int:
    """Number of distinct valid cells of at most so many vertices: 423,624 for all 7."""
    return _core.nb101_count(_checked_vertices(vertices))


def enumerate_cells(vertices: int = VERTICES) -> Cells:
    """All canonical valid cells of at most so many vertices, uint64[count(vertices)].

    By number of vertices, then triangle, then operations. Made from the unlabeled graphs and the
    orbits of operations under their automorphisms, without the table.
    """
    return _core.nb101_enumerate(_checked_vertices(vertices))


def path_bits(cells: Cells, *, out: Cells | None = None, threads: int = 1) -> Cells:
    """Which sequences of operations lie on a path from input to output, uint64[n, 6].

    Bit `p % 64` of word `p // 64` is sequence `p` of `PATHS`; sequences are ordered by length, then
    lexicographically. A cell without a path has none.
    """
    cells = _checked(cells)
    out = np.empty((len(cells), 6), np.uint64) if out is None else out
    _core.nb101_path_bits(cells, out, threads)
    return out


def path_one_hot(
    cells: Cells,
    *,
    columns: int = PATHS,
    out: NDArray[Any] | None = None,
    threads: int = 1,
) -> NDArray[Any]:
    """`path_bits` as 0 and 1, float32[n, columns], or into `out`, float32 or uint8[n, columns].

    Fewer than all columns are the truncated encoding: the shortest sequences.

    Reference: White, Neiswanger and Savani, BANANAS, AAAI 2021.
    """
    cells = _checked(cells)
    out = np.empty((len(cells), columns), np.float32) if out is None else out
    _core.nb101_paths(cells, out, threads)
    return out


def adjacency_one_hot(
    cells: Cells, *, out: NDArray[Any] | None = None, threads: int = 1
) -> NDArray[Any]:
    """The cells as they are, not pruned, float32[n, 36], or into `out`, float32 or uint8[n, 36].

    21 columns for the edges in the order of the bits, where a smaller cell's output stands at
    vertex 6, then 3 for each inner vertex's operation, all 0 for a vertex that the cell lacks.
    """
    cells = _checked(cells)
    out = np.empty((len(cells), ADJACENCY), np.float32) if out is None else out
    _core.nb101_adjacency(cells, out, threads)
    return out


def path_categorical(
    cells: Cells, *, most: int = 20, out: NDArray[np.int16] | None = None, threads: int = 1
) -> NDArray[np.int16]:
    """The numbers of the sequences of `path_bits`, ascending, int16[n, most]; -1 behind the last.

    Sequences beyond the first `most` are left out.
    """
    cells = _checked(cells)
    out = np.empty((len(cells), most), np.int16) if out is None else out
    _core.nb101_path_categorical(cells, out, threads)
    return out


def adjacency_categorical(
    cells: Cells, *, out: NDArray[np.int16] | None = None, threads: int = 1
) -> NDArray[np.int16]:
    """The cells as they are, int16[n, 26]: the numbers of their edges, then their operations.

    Edges are numbered as in `adjacency_one_hot`, ascending, -1 behind the last of 21; operations as
    in `OPERATIONS`, -1 for a vertex that the cell lacks.
    """
    cells = _checked(cells)
    out = np.empty((len(cells), 26), np.int16) if out is None else out
    _core.nb101_adjacency_categorical(cells, out, threads)
    return out


def adjacency_continuous(
    cells: Cells, *, out: NDArray[np.float32] | None = None, threads: int = 1
) -> NDArray[np.float32]:
    """The cells as they are, float32[n, 27]: 21 scores, the number of edges k, 5 operations.

    A score is 1 where there is the edge and else 0; operations are as in `adjacency_categorical`.

    Reference: White, Neiswanger, Nolen and Savani, A study on encodings for neural architecture
    search, NeurIPS 2020.
    """
    cells = _checked(cells)
    out = np.empty((len(cells), 27), np.float32) if out is None else out
    _core.nb101_adjacency_continuous(cells, out, threads)
    return out


def decode_continuous(
    rows: NDArray[np.float32], *, out: Cells | None = None, threads: int = 1
) -> Cells:
    """The cells of `adjacency_continuous` rows, uint64[n], for any scores.

    The edges are the k with the greatest scores, of equal ones the first; k and the operations are
    rounded. The cells need not be valid. Raises `SpaceError` for numbers out of range, an operation
    behind a missing vertex, and an edge at one.
    """
    array = np.ascontiguousarray(rows)
    if array.dtype != np.float32 or array.ndim != 2:
        raise SpaceError(f"rows are float32[n, 27], not {array.dtype}{list(array.shape)}")
    out = np.empty(len(array), np.uint64) if out is None else out
    _core.nb101_decode_continuous(array, out, threads)
    return out


def table_seconds() -> float:
    """How long the lookup table took to build, in seconds; builds it where it is not there."""
    return _core.nb101_table_seconds()


def _checked(cells: Cells) -> Cells:
    array = np.asarray(cells)
    if array.dtype != _WORD or array.ndim != 1:
        raise SpaceError(f"cells are uint64[n], not {array.dtype}{list(array.shape)}")
    return np.ascontiguousarray(array)


def _checked_vertices(vertices: int) -> int:
    if not 2 <= vertices <= VERTICES:
        raise SpaceError(f"cells of NAS-Bench-101 have 2 to 7 vertices, not {vertices}")
    return vertices
