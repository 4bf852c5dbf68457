"""One-hot and categorical encodings of a space's decisions; inactive ones are told apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nasturtium.errors import SpaceError
from nasturtium.spaces import Space


def one_hot_width(space: Space) -> int:
    """Number of columns of `one_hot`: the options of all decisions."""
    return int(space.options.sum())


def one_hot(
    space: Space,
    codes: NDArray[np.uint8],
    *,
    out: NDArray[np.float32] | None = None,
    threads: int = 1,
) -> NDArray[np.float32]:
    """One column per option, float32[n, w] of 0 and 1; an inactive decision is all 0.

    Raises `SpaceError` for rows that hold option numbers out of range.
    """
    codes = space.checked(codes)
    if out is None:
        out = np.empty((len(codes), one_hot_width(space)), np.float32)
    space.program.one_hot(codes, out, threads)
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
