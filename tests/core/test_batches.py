"""Batches: threads and splits change nothing, the GIL is released, arrays are checked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import space_twin as twin

from nasturtium import _core
from nasturtium.encodings import categorical, one_hot
from nasturtium.errors import SpaceError
from nasturtium.spaces import Choice, Space, image_cell, nb201, residual_mlp

SPACES = {"nb201": nb201, "image_cell": image_cell, "residual_mlp": residual_mlp}
N = 70_001


@pytest.fixture(params=list(SPACES))
def space(request: pytest.FixtureRequest) -> Space:
    made: Space = SPACES[request.param]()
    return made


def test_threads_and_splits_change_nothing(space: Space) -> None:
    key: dict[str, Any] = {"seed": 9, "stream": 2, "start": 2**40}
    codes = space.sample(N, **key)
    mutants = space.mutate(codes, **key)
    children = space.crossover(codes, mutants, **key)
    for threads in (2, 5):
        assert np.array_equal(space.sample(N, threads=threads, **key), codes)
        assert np.array_equal(space.mutate(codes, threads=threads, **key), mutants)
        crossed = space.crossover(codes, mutants, threads=threads, **key)
        assert np.array_equal(crossed, children)
    cut = 12_345
    tail = {**key, "start": key["start"] + cut}
    assert np.array_equal(space.sample(N - cut, **tail), codes[cut:])
    assert np.array_equal(space.mutate(codes[cut:], **tail), mutants[cut:])
    assert np.array_equal(space.crossover(codes[cut:], mutants[cut:], **tail), children[cut:])
    some = codes[:3000]
    for convention in space.conventions:
        alone = space.keys(some, convention)
        assert np.array_equal(space.keys(some, convention, threads=2), alone)
    assert np.array_equal(one_hot(space, codes, threads=2), one_hot(space, codes))
    assert np.array_equal(categorical(space, codes, threads=2), categorical(space, codes))
    assert space.valid(codes).all() and space.valid(mutants).all() and space.valid(children).all()


def test_keys_do_not_depend_on_what_came_before(space: Space) -> None:
    codes = space.sample(9_000, seed=3)
    codes = np.concatenate([codes, codes[::-1], space.mutate(codes, seed=4)])
    whole = space.keys(codes)
    # Batches of fewer than 256 rows remember nothing.
    parts = [space.keys(codes[i : i + 250]) for i in range(0, len(codes), 250)]
    assert np.array_equal(whole, np.concatenate(parts))


def test_one_key_is_a_row_of_many(space: Space) -> None:
    codes = space.sample(20, seed=5)
    for convention in space.conventions:
        words = space.keys(codes, convention).tolist()
        assert [space.architecture(code).key(convention) for code in codes] == [
            f"{high:016x}{low:016x}" for high, low in words
        ]
    with pytest.raises(SpaceError, match="unknown convention 'functions'"):
        space.architecture(codes[0]).key("functions")


def test_few_keys_are_rows_of_many_also_after_a_failure(space: Space) -> None:
    codes = space.sample(12, seed=6)
    wrong = np.array([codes[0], np.full(codes.shape[1], 255, np.uint8)])
    for convention in space.conventions:
        words = space.keys(codes, convention)
        for i in range(10):
            out = np.empty((2, 2), np.uint64)
            assert np.array_equal(space.keys(codes[i : i + 3], convention), words[i : i + 3])
            with pytest.raises(SpaceError, match="row 1"):
                space.keys(wrong, convention)
            assert space.keys(codes[i : i + 2], convention, out=out) is out
            assert np.array_equal(out, words[i : i + 2])


def test_a_program_says_which_arrays_it_takes_as_they_are() -> None:
    space = nb201()
    codes = space.sample(4, seed=7)
    assert space.program.takes(codes) and space.checked(codes) is codes
    others: list[Any] = [
        codes[:, ::-1],
        codes[0],
        codes[:, 1:],
        codes.astype(np.int64),
        codes.tolist(),
    ]
    assert not any(space.program.takes(other) for other in [*others, None, "codes"])
    assert np.array_equal(space.keys(codes[:, ::-1]), space.keys(codes[:, ::-1].copy()))


def test_a_loop_in_the_core_refuses_what_a_call_refuses() -> None:
    space = nb201()
    codes = space.sample(3, seed=1)
    for operation in ("sample", "mutate", "keys"):
        _core.repeat_move(space.program, operation, codes, 2)
    wrong = codes.copy()
    wrong[1, 2] = 5
    with pytest.raises(SpaceError, match="row 1"):
        _core.repeat_move(space.program, "mutate", wrong, 2)
    with pytest.raises(SpaceError, match="none of"):
        _core.repeat_move(space.program, "draw", codes, 2)
    _core.repeat_ranks(np.zeros((3, 2)), 2)
    with pytest.raises(SpaceError, match="row 0"):
        _core.repeat_ranks(np.full((3, 2), np.nan), 2)


def test_streams_and_purposes_are_independent() -> None:
    space = nb201()
    first = space.sample(20_000, seed=1)
    for other in (space.sample(20_000, seed=1, stream=1), space.sample(20_000, seed=2)):
        agree = float((first == other).mean())
        assert abs(agree - 0.2) < 5 * np.sqrt(0.2 * 0.8 / first.size)
    place = (space.mutate(first, seed=1) != first).argmax(axis=1)
    table = np.zeros((6, 5))
    np.add.at(table, (place, first[:, 0]), 1)
    expected = len(first) / 30
    assert float(((table - expected) ** 2 / expected).sum()) < 60  # 29 degrees: p = 0.0006


def test_wide_spaces_agree_with_the_twin() -> None:
    """Rows that take several random words and several Philox blocks."""
    counts = [(7 * i) % 23 + 1 for i in range(60)] + [256, 255, 1, 2]
    space = Space("wide", [Choice(f"d{i}", range(c)) for i, c in enumerate(counts)])
    codes = space.sample(20, seed=2**64 - 1, stream=2**32 - 1, start=2**32 - 5)
    expected = [twin.draw(space, twin.RowRandom(2**64 - 1, 2**32 - 1, 2**32 - 5 + i, twin.SAMPLE))
                for i in range(20)]  # fmt: skip
    assert codes.tolist() == expected
    assert space.size() == int(np.prod(np.array(counts, dtype=object)))


def ticks(work: Callable[[], object]) -> tuple[int, float]:
    """How often another thread gets to run while `work` runs, and for how long that was."""
    stop = threading.Event()
    count = 0

    def tick() -> None:
        nonlocal count
        while not stop.is_set():
            count += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    before, begin = count, time.perf_counter()
    work()
    seen, seconds = count - before, time.perf_counter() - begin
    stop.set()
    thread.join()
    return seen, seconds


def test_other_threads_run_meanwhile() -> None:
    space = nb201()
    codes = space.sample(1_500_000, seed=1)
    seen, seconds = ticks(lambda: space.keys(codes))
    assert seconds > 0.05
    # With the GIL held not one tick would fall into the call.
    assert seen >= 5


def test_arrays_are_checked() -> None:
    space = nb201()
    codes = space.sample(10, seed=1)
    with pytest.raises(SpaceError, match="uint8"):
        space.mutate(codes.astype(np.int64), seed=1)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="10 and 9 rows"):
        space.mutate(codes, seed=1, out=np.empty((9, 6), np.uint8))
    with pytest.raises(SpaceError, match="overlaps"):
        space.mutate(codes, seed=1, out=codes)
    with pytest.raises(TypeError):
        space.sample(10, seed=1, out=np.empty((10, 6), np.int64))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _core.Program(space.text).sample(np.empty((10, 12), np.uint8)[:, ::2], 1, 0, 0, 1)
    locked = np.empty((10, 6), np.uint8)
    locked.setflags(write=False)
    with pytest.raises(ValueError, match="writeable"):
        space.sample(10, seed=1, out=locked)
    assert len(space.sample(0, seed=1)) == len(space.keys(codes[:0])) == 0
    out = np.empty((10, 6), np.uint8)
    assert space.sample(10, seed=1, out=out) is out
    assert np.array_equal(out, codes)
    strided = np.repeat(codes, 2, axis=1)[:, ::2]
    assert np.array_equal(space.keys(strided), space.keys(codes))
