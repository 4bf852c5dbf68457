"""A slow, plainly written second implementation of the NAS-Bench-101 cell."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import space_twin

MASK = (1 << 64) - 1
SAMPLE, MUTATE = 1, 2
SEQUENCES = [s for length in range(6) for s in itertools.product(range(3), repeat=length)]
PLACE_OF = {sequence: place for place, sequence in enumerate(SEQUENCES)}


@dataclass(frozen=True)
class Cell:
    """`v` vertices, edges from smaller to larger ones, and the inner vertices' operations."""

    v: int
    edges: frozenset[tuple[int, int]]
    ops: tuple[int, ...]

    @property
    def triangle(self) -> int:
        return sum(1 << (j * (j - 1) // 2 + i) for i, j in self.edges)

    @property
    def word(self) -> int:
        ops = sum(op << (2 * i) for i, op in enumerate(self.ops))
        return self.triangle | ops << 21 | self.v << 31


def cell(word: int) -> Cell | None:
    """The cell of a word, or None where the word is no cell."""
    v = word >> 31
    if not 2 <= v <= 7:
        return None
    ops = tuple(word >> (21 + 2 * i) & 3 for i in range(v - 2))
    edges = frozenset(
        (i, j) for i, j in itertools.combinations(range(v), 2) if word >> (j * (j - 1) // 2 + i) & 1
    )
    found = Cell(v, edges, ops)
    return found if 3 not in ops and found.word == word else None


def reached(cell: Cell, start: int, *, forward: bool) -> set[int]:
    seen = {start}
    todo = [start]
    while todo:
        here = todo.pop()
        for i, j in cell.edges:
            a, b = (i, j) if forward else (j, i)
            if a == here and b not in seen:
                seen.add(b)
                todo.append(b)
    return seen


def prune(cell: Cell) -> Cell | None:
    """Without what lies on no path from input to output; None where there is no path."""
    last = cell.v - 1
    keep = reached(cell, 0, forward=True) & reached(cell, last, forward=False)
    if not {0, last} <= keep:
        return None
    place = {v: i for i, v in enumerate(sorted(keep))}
    return Cell(
        len(keep),
        frozenset((place[i], place[j]) for i, j in cell.edges if i in keep and j in keep),
        tuple(op for i, op in enumerate(cell.ops) if i + 1 in keep),
    )


def valid(word: int) -> bool:
    found = cell(word)
    pruned = prune(found) if found else None
    return pruned is not None and len(pruned.edges) <= 9


def orders(cell: Cell) -> Iterator[Cell]:
    """The cell with its inner vertices in every order in which edges go to later vertices."""
    inner = range(1, cell.v - 1)
    for order in itertools.permutations(inner):
        place = {0: 0, cell.v - 1: cell.v - 1, **dict(zip(order, inner, strict=True))}
        edges = frozenset((place[i], place[j]) for i, j in cell.edges)
        if all(i < j for i, j in edges):
            yield Cell(cell.v, edges, tuple(cell.ops[v - 1] for v in order))


def canonical(cell: Cell) -> Cell:
    pruned = prune(cell)
    assert pruned is not None
    return min(orders(pruned), key=lambda c: (c.triangle, c.word))


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def module_hash(pruned: Cell) -> str:
    """The published hash, as nasbench's `hash_module` computes it from matrix and labels."""
    v = pruned.v
    matrix = [[int((i, j) in pruned.edges) for j in range(v)] for i in range(v)]
    labels = [-1, *pruned.ops, -2]
    into = [sum(row[j] for row in matrix) for j in range(v)]
    out = [sum(row) for row in matrix]
    hashes = [md5(str(parts)) for parts in zip(out, into, labels, strict=True)]
    for _ in range(v):
        hashes = [
            md5(
                "".join(sorted(hashes[w] for w in range(v) if matrix[w][u]))
                + "|"
                + "".join(sorted(hashes[w] for w in range(v) if matrix[u][w]))
                + "|"
                + hashes[u]
            )
            for u in range(v)
        ]
    return md5(str(sorted(hashes)))


def paths(cell: Cell) -> set[int]:
    """The numbers of the operation sequences of all paths from input to output."""
    found = set()

    def walk(here: int, sequence: tuple[int, ...]) -> None:
        for i, j in cell.edges:
            if i == here and j == cell.v - 1:
                found.add(PLACE_OF[sequence])
            elif i == here:
                walk(j, (*sequence, cell.ops[j - 1]))

    walk(0, ())
    return found


def adjacency(cell: Cell) -> list[int]:
    edges = {(i, 6 if j == cell.v - 1 else j) for i, j in cell.edges}
    slots = [int((i, j) in edges) for j in range(1, 7) for i in range(j)]
    ops = [int(v < len(cell.ops) and cell.ops[v] == op) for v in range(5) for op in range(3)]
    return slots + ops


def words(seed: int, stream: int, row: int, purpose: int) -> Iterator[int]:
    """The 64-bit words of a row's random draws."""
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for block in itertools.count():
        counter = [row & 0xFFFFFFFF, row >> 32, (purpose << 24) + block, stream]
        v = space_twin.philox(counter, key)
        yield v[0] | v[1] << 32
        yield v[2] | v[3] << 32


def sample(seed: int, stream: int, row: int) -> int:
    for word in words(seed, stream, row, SAMPLE):
        number = (word >> 21) * 243 >> 43
        ops = sum((number // 3**v % 3) << (2 * v) for v in range(5))
        drawn = (word & (1 << 21) - 1) | ops << 21 | 7 << 31
        if valid(drawn):
            return drawn
    raise AssertionError


def changes(word: int) -> list[int]:
    """Two words for each decision: a slot twice, an operation's two others in ascending order."""
    old = cell(word)
    assert old is not None
    slots = old.v * (old.v - 1) // 2
    flipped = [word ^ 1 << slot for slot in range(slots) for _ in range(2)]
    others = [
        word ^ (op ^ other) << (21 + 2 * i)
        for i, op in enumerate(old.ops)
        for other in range(3)
        if other != op
    ]
    return flipped + others


def mutate(word: int, seed: int, stream: int, row: int) -> int | None:
    """One change, or None where none is valid."""
    every = changes(word)
    decisions = len(every) // 2
    draws = words(seed, stream, row, MUTATE)
    for fraction in itertools.islice(draws, 64):
        at, rest = fraction * decisions >> 64, fraction * decisions & MASK
        changed = every[2 * at + (rest * 2 >> 64)]
        if valid(changed):
            return changed
    left = [changed for changed in every if valid(changed)]
    if len(left) < 2:
        return left[0] if left else None
    return left[next(draws) * len(left) >> 64]


def mix(x: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ x >> 33) * factor & MASK
    return x ^ x >> 33


def rotated(x: int, by: int) -> int:
    return (x << by | x >> (64 - by)) & MASK


def murmur(data: bytes, seed: int) -> tuple[int, int]:
    """MurmurHash3_x64_128 of at most 8 bytes, which are all tail."""
    tail = int.from_bytes(data, "little")
    h1 = seed ^ rotated(tail * 0x87C37B91114253D5 & MASK, 31) * 0x4CF5AD432745937F & MASK
    h1, h2 = h1 ^ len(data), seed ^ len(data)
    h1 = h1 + h2 & MASK
    h2 = h1 + h2 & MASK
    h1, h2 = mix(h1), mix(h2)
    h1 = h1 + h2 & MASK
    return h1, h1 + h2 & MASK


def text_hash(text: str, seed: int) -> int:
    h = mix(seed ^ 0xCBF29CE484222325)
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 & MASK
    return mix(h ^ len(text))


def key(cell: Cell) -> tuple[int, int]:
    return murmur(canonical(cell).word.to_bytes(8, "little"), text_hash("nb101", 3))
