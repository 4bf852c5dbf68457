"""Enumeration in parts and classes, against lists and counts that are published."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import space_twin as twin
from hypothesis import given, settings
from hypothesis import strategies as st

from nasturtium.errors import SpaceError
from nasturtium.spaces import Choice, Space, classes, distinct, image_cell, merge_classes, nb201

many = settings(max_examples=120, deadline=None, derandomize=True)


@many
@given(twin.spaces(), st.integers(1, 9), st.integers(1, 40))
def test_shards_in_parts_are_the_whole_list(space: Space, shards: int, most: int) -> None:
    if space.genotypes > 3000:
        return
    found = []
    for number in range(shards):
        token = None
        while True:
            codes, token = space.enumerate_part(token, shard=(number, shards), most=most)
            assert len(codes) <= most
            found.extend(codes.tolist())
            if token is None:
                break
    assert found == space.enumerate().tolist()


def test_shards_of_a_space_that_is_too_large_to_list() -> None:
    space = image_cell()
    codes, token = space.enumerate_part(shard=(12345, 10**9), most=500)
    again, _ = space.enumerate_part(token, shard=(12345, 10**9), most=500)
    assert space.valid(codes).all()
    whole = [c.tobytes() for c in (*codes, *again)]
    assert whole == sorted(set(whole))
    first, _ = space.enumerate_part(most=5000)
    assert [c.tobytes() for c in first] == sorted({c.tobytes() for c in first})


def test_classes_of_nb201_have_the_published_count() -> None:
    space = nb201()
    assert len(classes(space, "nb201_string")) == 6466
    found = classes(space, "function")
    keys = space.keys(space.enumerate(), "function")
    distinct, first, counts = np.unique(keys, axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    assert np.array_equal(found.keys, distinct[order])
    assert np.array_equal(found.codes, space.enumerate()[first[order]])
    assert found.sizes.tolist() == counts[order].tolist() and found.sizes.sum() == 15625
    for shards, most, threads in ((1, 100, 2), (3, 1000, 1), (7, 65536, 2)):
        parts = [classes(space, shard=(i, shards), most=most, threads=threads)
                 for i in range(shards)]  # fmt: skip
        merged = merge_classes(parts)
        for name in ("codes", "keys", "sizes"):
            assert np.array_equal(getattr(merged, name), getattr(found, name))


def test_draws_of_classes_are_uniform() -> None:
    space = Space("bits", [Choice(name, ("x", "y")) for name in "abc"])
    found = classes(space, "genotype")
    n = 40_000
    codes = found.sample(n, seed=3)
    counts = np.unique(codes, axis=0, return_counts=True)[1]
    chi = float(((counts - n / 8) ** 2 / (n / 8)).sum())
    assert len(counts) == 8 and chi < 24.3  # the 0.999 quantile for 7 degrees of freedom
    assert np.array_equal(found.sample(1, seed=3, start=77)[0], codes[77])


def test_what_is_refused() -> None:
    space = nb201()
    for shard in ((0, 0), (2, 2), (-1, 2)):
        with pytest.raises(SpaceError, match="shard"):
            space.enumerate_part(shard=shard)
    with pytest.raises(SpaceError, match="most"):
        space.enumerate_part(most=0)
    with pytest.raises(SpaceError, match="a token of 'nb201' has 6 bytes"):
        space.enumerate_part(b"123")
    with pytest.raises(SpaceError, match="convention"):
        classes(space, "functions")
    with pytest.raises(SpaceError, match="no shard"):
        merge_classes([])


def test_the_example_runs() -> None:
    done = doctest.testmod(distinct)
    assert done.attempted == 2 and done.failed == 0
