"""Encodings of a space's decisions, one after the other; inactive ones are told apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium import _core
from nasturtium.errors import SpaceError
from nasturtium.spaces import Space


def one_hot_width(space: Space) -> int:
    """Number of columns of `one_hot`: the options of all decisions."""
    return int(space.options.sum())


def one_hot(
    space: Space,
    codes: NDArray[np.uint8],
    *,
    out: NDArray[Any] | None = None,
    threads: int = 1,
) -> NDArray[Any]:
    """One column per option, float32[n, w] of 0 and 1, or into `out`, float32 or uint8[n, w].

    An inactive decision is all 0. Raises `SpaceError` for rows that hold option numbers out of
    range.
    """
    codes = space.checked(codes)
    if out is None:
        out = np.empty((len(codes), one_hot_width(space)), np.float32)
    space.program.one_hot(codes, out, threads)
    return out


def one_hot_bits(
    space: Space,
    codes: NDArray[np.uint8],
    *,
    out: NDArray[np.uint64] | None = None,
    threads: int = 1,
) -> NDArray[np.uint64]:
    """The columns of `one_hot` as bits, uint64[n, ceil(w / 64)].

    Column `c` is bit `c % 64` of word `c // 64`. Raises `SpaceError` as `one_hot` does.
    """
    codes = space.checked(codes)
    if out is None:
        out = np.empty((len(codes), -(-one_hot_width(space) // 64)), np.uint64)
    _core.one_hot_bits(space.program, codes, out, threads)
    return out


def categorical(
    space: Space,
    codes: NDArray[np.uint8],
    *,
    out: NDArray[np.int16] | None = None,
    threads: int = 1,
) -> NDArray[np.int16]:
    """The option numbers, int16[n, d]; -1 where a decision is inactive.

    Raises `SpaceError` for rows that hold option numbers out of range.
    """
    codes = space.checked(codes)
    if out is None:
        out = np.empty(codes.shape, np.int16)
    space.program.categorical(codes, out, threads)
    return out


def conditional_tree(
    space: Space,
    codes: NDArray[np.uint8],
    *,
    fill: float = 0.0,
    out: NDArray[np.float32] | None = None,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Two columns a decision, float32[n, 2 d]: whether it is active, and its option scaled to 0..1.

    The option's number is divided by that of the last one; an inactive decision has `fill`. So a
    model sees that a decision is missing, and no value that it does not have. Raises `SpaceError`
    as `one_hot` does.
    """
    codes = space.checked(codes)
    if out is None:
        out = np.empty((len(codes), 2 * len(space.decisions)), np.float32)
    _core.conditional_tree(space.program, codes, fill, out, threads)
    return out


def condition_levels(space: Space) -> NDArray[np.int64]:
    """How deep each decision stands in the tree of conditions, int64[d]; 0 without a condition."""
    levels: dict[str, int] = {}
    for choice in space.decisions:
        levels[choice.name] = max((levels[name] + 1 for name, _ in choice.when), default=0)
    return np.array(list(levels.values()), np.int64)


def decode_scores(
    space: Space,
    scores: NDArray[np.float32],
    *,
    out: NDArray[np.uint8] | None = None,
    threads: int = 1,
) -> NDArray[np.uint8]:
    """The codes, uint8[n, d], of the continuous encoding: one real score per option.

    In the order of the decisions, each that is active takes the option with the greatest score,
    of equal ones the first. `one_hot` rows are scores of their own code. Constraints are not looked
    at: see `Space.valid`. Raises `SpaceError` where a score is not a number.

    Reference: White, Neiswanger, Nolen and Savani, A study on encodings for neural architecture
    search, NeurIPS 2020; there one score per edge.
    """
    scores = np.ascontiguousarray(scores)
    if scores.dtype != np.float32:
        raise SpaceError(f"scores are float32[n, {one_hot_width(space)}], not {scores.dtype}")
    if out is None:
        out = np.empty((len(scores), len(space.decisions)), np.uint8)
    _core.decode_scores(space.program, scores, out, threads)
    return out


def decode_one_hot(space: Space, array: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The codes, uint8[n, d], of one-hot rows: the inverse of `one_hot`.

    Raises `SpaceError` where the rows are not the one-hot form of any codes.
    """
    array = np.asarray(array)
    if array.ndim != 2 or array.shape[1] != one_hot_width(space):
        raise SpaceError(
            f"one-hot rows of {space.name!r} have {one_hot_width(space)} columns, "
            f"not {list(array.shape)}"
        )
    ends = np.cumsum(space.options)
    parts = [
        array[:, end - width : end].argmax(axis=1)
        for end, width in zip(ends, space.options, strict=True)
    ]
    codes = np.stack(parts, axis=1).astype(np.uint8)
    if not np.array_equal(one_hot(space, codes), array):
        raise SpaceError(f"the rows are no one-hot form of codes of {space.name!r}")
    return codes


def decode_categorical(space: Space, array: NDArray[np.int16]) -> NDArray[np.uint8]:
    """The codes, uint8[n, d], of categorical rows: the inverse of `categorical`.

    Raises `SpaceError` where the rows are not the categorical form of any codes.
    """
    array = np.asarray(array)
    if array.ndim != 2 or array.shape[1] != len(space.decisions):
        raise SpaceError(
            f"categorical rows of {space.name!r} have {len(space.decisions)} columns, "
            f"not {list(array.shape)}"
        )
    in_range = bool(((array >= -1) & (array < space.options)).all())
    codes = np.where(in_range & (array > 0), array, 0).astype(np.uint8)
    if not in_range or not np.array_equal(categorical(space, codes), array):
        raise SpaceError(f"the rows are no categorical form of codes of {space.name!r}")
    return codes
