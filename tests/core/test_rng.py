"""Philox against its published vectors, the numpy twin against the core, streams and seeds."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasturtium import _core
from nasturtium.rng import Stream, derive, philox, words

# Known answers of philox4x32-10 in Random123's kat_vectors: counter, key, output.
VECTORS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


@pytest.mark.parametrize("vector", VECTORS)
def test_published_vectors(vector: tuple[str, str, str]) -> None:
    counter, key, expected = ([int(w, 16) for w in part.split()] for part in vector)
    assert list(_core.philox(tuple(counter), tuple(key))) == expected  # type: ignore[arg-type]
    twin = philox(np.array([counter], np.uint64), (key[0], key[1]))
    assert twin[0].tolist() == expected


@settings(deadline=None, derandomize=True)
@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 200),
    st.integers(0, 100),
)
def test_core_and_numpy_draw_the_same_words(seed: int, stream: int, counter: int, n: int) -> None:
    out = np.empty(n, np.uint64)
    _core.random_words(out, seed, stream, counter)
    assert np.array_equal(words(seed, stream, counter, n), out)


def test_a_stream_goes_on_from_its_state() -> None:
    whole = Stream(3, 4).words(20)
    first = Stream(3, 4)
    head = first.words(8)
    tail = Stream(*first.state()).words(12)
    assert np.array_equal(np.concatenate([head, tail]), whole)


def test_integers_equal_exact_arithmetic_and_fill_the_range() -> None:
    raw = Stream(1).words(5000).tolist()
    for width in (1, 2, 7, 1000, 2**31 + 11, 2**32):
        got = Stream(1).integers(5000, -3, width - 3)
        assert got.tolist() == [(word * width >> 64) - 3 for word in raw]
    counts = np.bincount(Stream(2).integers(70_000, 0, 7), minlength=7)
    chi = float(((counts - 10_000) ** 2 / 10_000).sum())
    assert chi < 22.5  # 0.1 % of chi-squared with 6 degrees of freedom
    with pytest.raises(ValueError, match="width"):
        Stream(1).integers(1, 0, 2**32 + 1)


def test_uniform_and_permutation() -> None:
    drawn = Stream(5).uniform(20_000)
    assert drawn.min() >= 0 and drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 4 / np.sqrt(12 * 20_000)
    assert sorted(Stream(5).permutation(100).tolist()) == list(range(100))
    places = [Stream(s).permutation(5).tolist().index(0) for s in range(1000)]
    assert (np.bincount(places, minlength=5) > 140).all()
    assert {Stream(s).choice("abc") for s in range(30)} == set("abc")


def test_derived_seeds_are_pinned_and_distinct() -> None:
    # Pinned: stores keep them, so they must never change.
    assert derive(0) == 773884380576787151
    assert derive(7, "trial", 3) == 5816652949074733791
    made = {derive(s, *path) for s in range(50) for path in [(), (1,), ("1",), (1, 1), (11,)]}
    assert len(made) == 250
    assert all(0 <= seed < 2**63 for seed in made)


def test_bad_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="seed"):
        Stream(-1)
    with pytest.raises(ValueError, match="stream"):
        words(0, 2**32, 0, 1)


DRAWN = """
import hashlib
import numpy as np
from nasturtium import _core
from nasturtium.evaluators import Table
from nasturtium.simulate import simulate
from nasturtium.spaces import nb201
words = np.empty(1000, np.uint64)
_core.random_words(words, 2**63 + 5, 7, 2**32 - 3)
space = nb201()
codes = space.enumerate()
table = Table(space, codes, codes.sum(axis=1) % 7)
parts = [words, space.sample(1000, seed=1), space.mutate(codes[:1000], seed=2)]
for sample in (3, 10, 25):
    method = f"regularized_evolution(sample={sample})"
    parts.append(simulate(method, table, seeds=range(3), budget=400, history=True).history.rows)
digest = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts))
print(digest.hexdigest())
"""


def test_all_instruction_sets_draw_the_same() -> None:
    drawn = set()
    for isa in ("v2", "v3", "v4"):
        done = subprocess.run(
            [sys.executable, "-c", DRAWN],
            env={**os.environ, "NASTURTIUM_ISA": isa},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        drawn.add(done.stdout)
    assert len(drawn) == 1
