"""KeyMap against a dictionary, with keys that collide, in threads, and its memory."""

from __future__ import annotations

import doctest
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nasturtium import keymap
from nasturtium.errors import SpaceError
from nasturtium.keymap import KeyMap
from nasturtium.spaces import nb101

MASK = (1 << 64) - 1
Keys = NDArray[np.uint64]


def array(keys: list[tuple[int, int]]) -> Keys:
    return np.array(keys, np.uint64).reshape(-1, 2)


def random_keys(n: int, distinct: int, seed: int) -> Keys:
    rng = np.random.default_rng(seed)
    pool = rng.integers(0, MASK, (distinct, 2), dtype=np.uint64)
    return pool[rng.integers(0, distinct, n)]


def colliding(n: int) -> Keys:
    """Different keys with one hash: the first word undoes the second's product."""
    factor = 0x9E3779B97F4A7C15
    return array([(i * factor & MASK, i) for i in range(n)])


def check_against_dict(batches: list[Keys]) -> KeyMap:
    known: dict[tuple[int, int], int] = {}
    seen = KeyMap()
    for batch in batches:
        rows = [(int(a), int(b)) for a, b in batch.tolist()]
        assert seen.find(batch).tolist() == [known.get(key, -1) for key in rows]
        fresh = []
        for key in rows:
            fresh.append(key not in known)
            known.setdefault(key, len(known))
        numbers, is_new = seen.insert(batch)
        assert numbers.tolist() == [known[key] for key in rows]
        assert is_new.tolist() == fresh
    assert len(seen) == len(known)
    assert list(map(tuple, seen.keys().tolist())) == list(known)
    return seen


small = st.tuples(st.integers(0, 3), st.integers(0, 3))
large = st.tuples(st.integers(0, MASK), st.integers(0, MASK))


@given(st.lists(st.lists(small | large, max_size=80).map(array), max_size=8))
def test_batches_against_a_dictionary(batches: list[Keys]) -> None:
    check_against_dict(batches)


@pytest.mark.parametrize("distinct", [10, 3_000, 200_000])
def test_growing_maps_against_a_dictionary(distinct: int) -> None:
    keys = random_keys(60_000, distinct, distinct)
    check_against_dict([keys[:1], keys[1:33], keys[33:1000], keys[1000:], keys[:500]])


def test_keys_with_one_hash_are_told_apart() -> None:
    keys = colliding(300)
    check_against_dict([keys[:100], keys[50:], keys])


def test_long_runs_of_slots_pass_the_end() -> None:
    """Sixty runs of forty keys with one hash each, in tables from 64 to 4,096 slots."""
    keys = np.concatenate([colliding(40) ^ np.array([[x, 0]], np.uint64) for x in range(60)])
    check_against_dict([keys, keys])


def test_the_keys_of_all_cells() -> None:
    cells = nb101.enumerate_cells(6)
    keys = nb101.keys(cells)
    seen = KeyMap(keys)
    assert len(seen) == len(cells)
    moved = np.random.default_rng(1).permutation(len(cells))
    assert np.array_equal(seen.find(keys[moved], threads=2), moved)
    assert not seen.insert(keys)[1].any()
    # What is drawn and not among the cells of six vertices is new.
    drawn = nb101.sample(20_000, seed=2)
    found = seen.find(nb101.keys(drawn)) >= 0
    assert np.array_equal(found, nb101.prune(drawn) >> np.uint64(31) < 7)


def test_hashes_are_keys() -> None:
    hashes = nb101.hashes(nb101.enumerate_cells(5))
    assert len(KeyMap(hashes.view(np.uint64))) == len(hashes)


def test_given_arrays_are_written_to() -> None:
    keys = random_keys(1000, 300, 1)
    numbers, fresh = np.empty(1000, np.int64), np.empty(1000, np.bool_)
    seen = KeyMap()
    a, b = seen.insert(keys, numbers=numbers, fresh=fresh)
    assert a is numbers and b is fresh
    out = np.empty(1000, np.int64)
    assert seen.find(keys, out=out) is out
    assert np.array_equal(out, numbers)


def test_threads_share_a_map() -> None:
    """Each thread inserts all keys, in its own order, and finds meanwhile what it has inserted."""
    keys = np.unique(random_keys(40_000, 30_000, 2), axis=0)
    seen = KeyMap()
    wrong: list[str] = []

    def work(seed: int) -> None:
        mine = keys[np.random.default_rng(seed).permutation(len(keys))]
        for begin in range(0, len(mine), 500):
            part = mine[begin : begin + 500]
            numbers, _ = seen.insert(part)
            if not np.array_equal(seen.find(part), numbers):
                wrong.append(f"thread {seed}, row {begin}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(seen) == len(keys)
    numbers = seen.find(keys)
    assert np.array_equal(np.sort(numbers), np.arange(len(keys)))
    assert np.array_equal(seen.keys()[numbers], keys)


def test_memory() -> None:
    seen = KeyMap()
    keys = np.random.default_rng(3).integers(0, MASK, (400_000, 2), dtype=np.uint64)
    for begin in range(0, len(keys), 1000):
        seen.insert(keys[begin : begin + 1000])
        if begin >= 10_000:
            assert 28 < seen.nbytes / len(seen) < 51
    exact = KeyMap()
    exact.reserve(len(keys))
    before = exact.nbytes
    assert len(exact) == 0
    exact.insert(keys)
    assert exact.nbytes == before


def test_a_map_survives_pickling() -> None:
    seen = KeyMap(random_keys(1000, 700, 4))
    again = pickle.loads(pickle.dumps(seen))  # noqa: S301
    assert np.array_equal(again.keys(), seen.keys())
    assert repr(seen).startswith(f"KeyMap({len(seen)} keys")


def test_empty_maps_and_batches() -> None:
    seen = KeyMap()
    assert seen.find(array([(1, 2)])).tolist() == [-1]
    assert [a.tolist() for a in seen.insert(array([]))] == [[], []]
    assert len(seen) == 0 and seen.keys().shape == (0, 2)


def test_arrays_are_checked() -> None:
    seen = KeyMap()
    with pytest.raises(SpaceError, match="uint64"):
        seen.insert(np.zeros((3, 2), np.int64))  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="uint64"):
        seen.find(np.zeros(4, np.uint64))
    with pytest.raises(SpaceError, match="int64"):
        seen.find(array([(1, 2)]), out=np.zeros(1, np.int32))  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="1 and 2 rows"):
        seen.find(array([(1, 2)]), out=np.zeros(2, np.int64))
    with pytest.raises(SpaceError, match="at most 2684354560 keys"):
        seen.reserve(2**40)
    assert len(seen) == 0


def test_the_example_of_the_text() -> None:
    result = doctest.testmod(keymap)
    assert result.failed == 0 and result.attempted > 3
