"""The classes of a space: one code for each architecture that differs under a convention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasturtium import _core
from nasturtium.errors import SpaceError
from nasturtium.spaces.space import Codes, Space

__all__ = ["Classes", "classes", "merge_classes"]


@dataclass(frozen=True)
class Classes:
    """All classes of a space, or of a shard of it, in the order of their first codes.

    Attributes:
        codes: uint8[k, d], the lexicographically first code of each class.
        keys: uint64[k, 2], its key.
        sizes: int64[k], how many valid codes belong to it.
    """

    codes: Codes
    keys: NDArray[np.uint64]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.codes)

    def sample(self, n: int, *, seed: int, stream: int = 0, start: int = 0) -> Codes:
        """`n` codes, uint8[n, d]: each class is as likely as any other.

        Row i is a function of (seed, stream, start + i). Raises SpaceError where there is no class.
        """
        if not len(self):
            raise SpaceError("there is no class to draw from")
        rows = np.empty(n, np.int64)
        _core.tournament(np.zeros(len(self)), rows, 1, True, seed, stream, start, 1)
        drawn: Codes = self.codes[rows]
        return drawn


def classes(
    space: Space,
    convention: str = "function",
    *,
    shard: tuple[int, int] = (0, 1),
    most: int = 65536,
    threads: int = 1,
) -> Classes:
    """The classes of a shard of a space under a convention of `Space.keys`.

    Every valid code is listed and its key looked up, for any space and convention: memory is that
    of the classes and of `most` codes; shards are merged by `merge_classes`. The classes of whole
    cells under `graph` can be generated without listing codes: `OrderlyClasses`.

    Raises:
        SpaceError: as `Space.enumerate_part` and `Space.keys`.

    Example:
        >>> from nasturtium.spaces import classes, nb201
        >>> len(classes(nb201())), len(classes(nb201(), "nb201_string"))
        (5260, 6466)
    """
    known = _core.KeyMap()
    first: list[Codes] = []
    sizes = np.zeros(0, np.int64)
    token: bytes | None = None
    while True:
        codes, token = space.enumerate_part(token, shard=shard, most=most)
        numbers, fresh = np.empty(len(codes), np.uint64), np.empty(len(codes), np.bool_)
        known.insert(space.keys(codes, convention, threads=threads), numbers, fresh)
        first.append(codes[fresh])
        counts = np.bincount(numbers.astype(np.int64), minlength=known.size)
        counts[: len(sizes)] += sizes
        sizes = counts
        if token is None:
            return Classes(np.concatenate(first), known.keys(), sizes)


def merge_classes(shards: Sequence[Classes]) -> Classes:
    """The classes of several shards together, given in the order of the shards."""
    known = _core.KeyMap()
    first: list[Codes] = []
    sizes = np.zeros(0, np.int64)
    for shard in shards:
        numbers, fresh = np.empty(len(shard), np.uint64), np.empty(len(shard), np.bool_)
        known.insert(shard.keys, numbers, fresh)
        first.append(shard.codes[fresh])
        total = np.zeros(known.size, np.int64)
        total[: len(sizes)] = sizes
        total[numbers.astype(np.int64)] += shard.sizes
        sizes = total
    if not first:
        raise SpaceError("there is no shard to merge")
    return Classes(np.concatenate(first), known.keys(), sizes)
