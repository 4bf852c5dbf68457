"""Numbers for 128-bit keys: what tells a batch, a history or a table which cells it has seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium import _core
from nasturtium.errors import SpaceError

__all__ = ["KeyMap"]

_WORD = np.dtype(np.uint64)  # compared with at half the cost of np.uint64


class KeyMap:
    """Numbers keys 0, 1, 2, ... in the order in which they first come.

    Keys are uint64[n, 2] as `Space.keys` and `spaces.nb101.keys` give them, compared as a whole.
    A key costs expected constant time and 29 to 50 bytes, or up to four times as many after a batch
    that began with new keys and then repeated them. Threads may share a map: one inserts at a
    time, any number find, and neither holds the GIL.

    Args:
        keys: the first keys, uint64[n, 2].

    Raises:
        SpaceError: keys that are not uint64[n, 2], or more than memory holds.

    Example:
        >>> import numpy as np
        >>> from nasturtium.keymap import KeyMap
        >>> seen = KeyMap()
        >>> numbers, fresh = seen.insert(np.array([[7, 0], [8, 0], [7, 0]], np.uint64))
        >>> numbers.tolist(), fresh.tolist()
        ([0, 1, 0], [True, True, False])
        >>> seen.find(np.array([[9, 0], [8, 0]], np.uint64)).tolist()
        [-1, 1]
    """

    def __init__(self, keys: NDArray[np.uint64] | None = None) -> None:
        self._map = _core.KeyMap()
        if keys is not None:
            self.insert(keys)

    def insert(
        self,
        keys: NDArray[np.uint64],
        *,
        numbers: NDArray[np.int64] | None = None,
        fresh: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Add what is new; returns each key's number, int64[n], and whether it was new, bool[n].

        Equal keys of a batch get one number, and the first of them is the new one. `numbers` and
        `fresh` are written to where they are given. Raises `SpaceError` where memory is lacking;
        the rows before that are then in the map.
        """
        keys = _checked(keys)
        numbers = np.empty(len(keys), np.int64) if numbers is None else _numbers(numbers)
        fresh = np.empty(len(keys), np.bool_) if fresh is None else fresh
        self._map.insert(keys, numbers.view(np.uint64), fresh)
        return numbers, fresh

    def find(
        self,
        keys: NDArray[np.uint64],
        *,
        out: NDArray[np.int64] | None = None,
        threads: int = 1,
    ) -> NDArray[np.int64]:
        """Each key's number, int64[n]; -1 where it is not in the map."""
        keys = _checked(keys)
        out = np.empty(len(keys), np.int64) if out is None else _numbers(out)
        self._map.find(keys, out.view(np.uint64), threads)
        return out

    def reserve(self, keys: int) -> None:
        """Make room for so many keys in all, so that inserting them does not move the others."""
        self._map.reserve(keys)

    def keys(self) -> NDArray[np.uint64]:
        """All keys in the order of their numbers, uint64[len, 2]; a copy."""
        return self._map.keys()

    @property
    def nbytes(self) -> int:
        """Memory in use, in bytes, with what is held in reserve."""
        return self._map.bytes

    def __len__(self) -> int:
        return self._map.size

    def __repr__(self) -> str:
        return f"KeyMap({len(self)} keys, {self.nbytes} bytes)"

    def state(self) -> bytes:
        """The state (state.hpp): versioned, checksummed bytes, the same on every platform."""
        return self._map.state()

    @classmethod
    def from_state(cls, state: bytes) -> KeyMap:
        """The map that `state` was taken from; SpaceError where the bytes are damaged."""
        made = cls()
        made._map.load(state)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return KeyMap, (self.keys(),)


def _checked(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    array = np.asarray(keys)
    if array.dtype != _WORD or array.ndim != 2 or array.shape[1] != 2:
        raise SpaceError(f"keys are uint64[n, 2], not {array.dtype}{list(array.shape)}")
    return np.ascontiguousarray(array)


def _numbers(array: NDArray[np.int64]) -> NDArray[np.int64]:
    if array.dtype != np.int64:
        raise SpaceError(f"numbers are int64[n], not {array.dtype}{list(array.shape)}")
    return array
