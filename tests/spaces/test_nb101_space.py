"""The declared NAS-Bench-101 cell against the packed one, whose counts are the published ones."""

from __future__ import annotations

import doctest
import itertools
import sys
from typing import Any

import numpy as np
import pytest

from nasturtium.errors import SpaceError
from nasturtium.spaces import Space, nb101
from nasturtium.spaces import nb101_space as factory
from nasturtium.spaces.nb101_space import EDGES, cells_of, codes_of

SPACE: Space = factory()


def triangles() -> np.ndarray[Any, np.dtype[np.uint64]]:
    """All 2^21 matrices of 7 vertices as packed cells whose operations are all the first."""
    return np.arange(1 << 21, dtype=np.uint64) | np.uint64(7 << 31)


def test_published_counts() -> None:
    """423,624 classes; of the 2^21 3^5 codes those that the packed cells call valid."""
    assert SPACE.genotypes == 2**21 * 3**5
    assert SPACE.size() == 3**5 * int(nb101.valid(triangles()).sum())
    every = codes_of(nb101.enumerate_cells())
    assert SPACE.valid(every).all()
    assert len(np.unique(SPACE.keys(every, "graph"), axis=0)) == len(every) == 423_624


def random_codes(n: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    rng = np.random.default_rng(3)
    chance = rng.uniform(0.1, 0.9, (n, 1))
    edges = rng.random((n, 21)) < chance
    return np.concatenate([edges, rng.integers(0, 3, (n, 5))], axis=1).astype(np.uint8)


def test_validity_and_pruning_are_those_of_packed_cells() -> None:
    codes = random_codes(100_000)
    cells = cells_of(codes)
    valid = nb101.valid(cells)
    assert 0.1 < valid.mean() < 0.9
    assert np.array_equal(SPACE.valid(codes), valid)
    nodes, edges = SPACE.live(codes[valid])
    pruned = nb101.prune(cells[valid])
    assert np.array_equal(nodes.sum(axis=1), pruned >> np.uint64(31))
    assert np.array_equal(edges.sum(axis=1), np.bitwise_count(pruned & np.uint64((1 << 21) - 1)))


def test_graph_keys_are_the_partition_by_canonical_cells() -> None:
    codes = SPACE.sample(30_000, seed=5)
    forms = nb101.canonical(cells_of(codes)).tolist()
    keys = [tuple(key) for key in SPACE.keys(codes, "graph").tolist()]
    assert len(set(zip(forms, keys, strict=True))) == len(set(forms)) == len(set(keys)) > 5000


def test_draws_and_mutants_are_those_of_packed_cells_in_distribution() -> None:
    """Both draw fair coins and uniform operations until valid: the same frequencies of pairs."""
    n = 200_000
    drawn, packed = SPACE.sample(n, seed=1), nb101.sample(n, seed=2)
    assert nb101.valid(cells_of(drawn)).all()
    mutants = cells_of(SPACE.mutate(drawn, seed=3)), nb101.mutate(packed, seed=4)
    for cells in ((cells_of(drawn), packed), mutants):
        counts = []
        for part in cells:
            live = nb101.prune(part)
            edges = np.bitwise_count(live & np.uint64((1 << 21) - 1)).astype(int)
            counts.append(
                np.bincount(edges * 8 + (live >> np.uint64(31)).astype(int), minlength=80)
            )
        used = sum(counts) > 20
        a, b = (count[used].astype(float) for count in counts)
        chi = float(((a - b) ** 2 / (a + b)).sum())
        # As many degrees of freedom as there are kinds less one: mean + 5 standard deviations.
        kinds = int(used.sum()) - 1
        assert kinds > 12 and chi < kinds + 5 * (2 * kinds) ** 0.5
    changed = (SPACE.mutate(drawn, seed=3) != drawn).sum(axis=1)
    assert (changed == 1).all()


def test_conversions_are_inverse() -> None:
    codes = SPACE.sample(2000, seed=9)
    assert np.array_equal(codes_of(cells_of(codes)), codes)
    every = nb101.enumerate_cells(5)
    again = cells_of(codes_of(every))
    assert np.array_equal(nb101.canonical(again), every)
    assert (again >> np.uint64(31) == 7).all()
    for source, target in itertools.combinations(range(7), 2):
        place = EDGES.index((source, target))
        assert cells_of(np.eye(26, dtype=np.uint8)[place : place + 1])[0] == (
            7 << 31 | 1 << (target * (target - 1) // 2 + source)
        )
    with pytest.raises(SpaceError, match=r"row 1: .* no valid cell"):
        codes_of(np.array([every[3], 5], np.uint64))
    with pytest.raises(SpaceError, match="codes are"):
        cells_of(np.zeros((2, 3), np.uint8))


def test_text_forms() -> None:
    ops = "conv3x3-bn-relu,maxpool3x3,conv1x1-bn-relu,conv3x3-bn-relu,maxpool3x3"
    text = f"nb101:110000/01000/0010/001/00/1:{ops}"
    arch = SPACE.parse(text)
    assert str(arch) == text
    matrix, names = nb101.unpack(cells_of(arch.code[None])[0])
    ends = [(0, 1), (0, 2), (1, 3), (2, 5), (3, 6), (5, 6)]
    assert [tuple(edge) for edge in np.argwhere(matrix).tolist()] == ends
    rows = [row[i + 1 :] for i, row in enumerate(matrix.tolist())]
    assert "/".join("".join(map(str, row)) for row in rows[:-1]) == "110000/01000/0010/001/00/1"
    assert ",".join(names[1:-1]) == ops
    for code in SPACE.sample(300, seed=5):
        architecture = SPACE.architecture(code)
        assert SPACE.parse(str(architecture)) == architecture
    for wrong, message in [
        ("nb101:110000/01000/0010/001/00:x", "position 6: not 6 rows"),
        (text.replace("/0010/", "/001/"), "position 19: row 2 is 4 digits"),
        (text.replace("110000", "120000"), "position 6: row 0 is 6 digits"),
        (text.replace("maxpool3x3,", "maxpool,"), 'position 49: .*did you mean "maxpool3x3'),
        ("nb101:000000/00000/0000/000/00/0:" + ops, "no path leads"),
        ("nb101:111111/11111/1111/111/11/1:" + ops, "live_at_most 9 edges"),
    ]:
        with pytest.raises(SpaceError, match=message):
            SPACE.parse(wrong)


def test_the_example_runs() -> None:
    done = doctest.testmod(sys.modules[factory.__module__])
    assert done.attempted == 4 and done.failed == 0
