"""Counter-based randomness: a draw is a function of (seed, stream, counter) and nothing else.

The generator is Philox-4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
as 1, 2, 3", SC 2011), the same as in the core, with the same numbers. There is no global state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Stream", "derive", "philox", "words"]

T = TypeVar("T")

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox(counters: NDArray[np.uint64], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Philox-4x32-10 of many counters.

    Args:
        counters: uint64[n, 4], each below 2**32.
        key: two integers below 2**32.

    Returns:
        uint64[n, 4], each below 2**32.
    """
    c0, c1, c2, c3 = (counters[:, i].astype(np.uint64) for i in range(4))
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (p1 >> _HALF) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _HALF) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1)


def words(seed: int, stream: int, counter: int, n: int, *, tag: int = 0) -> NDArray[np.uint64]:
    """`n` words of 64 bits from the blocks `counter`, `counter + 1`, ...: two words a block.

    Block `i` is Philox of the counter `(i mod 2**32, i div 2**32, tag * 2**24, stream)` under the
    key `(seed mod 2**32, seed div 2**32)`. The core uses tags above 0.
    """
    _check(seed, stream)
    blocks = np.arange((n + 1) // 2, dtype=np.uint64) + np.uint64(counter)
    counters = np.empty((len(blocks), 4), np.uint64)
    counters[:, 0], counters[:, 1] = blocks & _LOW, blocks >> _HALF
    counters[:, 2], counters[:, 3] = tag << 24, stream
    out = philox(counters, (seed & 0xFFFFFFFF, seed >> 32))
    pairs = np.stack([out[:, 0] | out[:, 1] << _HALF, out[:, 2] | out[:, 3] << _HALF], axis=1)
    return pairs.reshape(-1)[:n]


def derive(seed: int, *path: int | str) -> int:
    """A seed of 63 bits for the use that `path` names, e.g. `derive(seed, "trial", 7)`.

    Equal on every platform and in every version; different paths give unrelated seeds. A path is
    told apart by types as well: `1` and `"1"` differ.
    """
    text = "\x00".join(
        [str(int(seed)), *(f"{type(part).__name__[0]}{len(str(part))}:{part}" for part in path)]
    )
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=b"nasturtium").digest()
    return int.from_bytes(digest, "little") >> 1


@dataclass
class Stream:
    """A sequence of draws whose whole state is `(seed, stream, counter)`.

    Args:
        seed: 0 to 2**64 - 1.
        stream: 0 to 2**32 - 1; streams of one seed are independent.
        counter: number of the next block of 128 bits; every call moves it forward by what it used.

    Example:
        >>> stream = Stream(7)
        >>> draws = stream.integers(3, 0, 10)
        >>> stream.counter
        2
        >>> bool((Stream(7).integers(3, 0, 10) == draws).all())
        True
    """

    seed: int
    stream: int = 0
    counter: int = 0

    def __post_init__(self) -> None:
        _check(self.seed, self.stream)

    def words(self, n: int) -> NDArray[np.uint64]:
        """`n` words of 64 random bits."""
        out = words(self.seed, self.stream, self.counter, n)
        self.counter += (n + 1) // 2
        return out

    def integers(self, n: int, low: int, high: int) -> NDArray[np.int64]:
        """`n` integers with `low <= value < high`; the range is at most 2**32 wide."""
        width = high - low
        if not 0 < width <= 1 << 32:
            raise ValueError(f"integers from {low} to {high}: the width must be 1 to 2**32")
        drawn = self.words(n)
        size = np.uint64(width)
        scaled = (drawn >> _HALF) * size + ((drawn & _LOW) * size >> _HALF)
        return (scaled >> _HALF).astype(np.int64) + low

    def uniform(self, n: int) -> NDArray[np.float64]:
        """`n` numbers in [0, 1), multiples of 2**-53."""
        return (self.words(n) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def choice(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return items[int(self.integers(1, 0, len(items))[0])]

    def permutation(self, n: int) -> NDArray[np.int64]:
        """The numbers below `n` in random order; its first `k` are a sample without replacement."""
        return np.argsort(self.words(n), kind="stable").astype(np.int64)

    def state(self) -> tuple[int, int, int]:
        """`(seed, stream, counter)`; `Stream(*state)` goes on from there."""
        return self.seed, self.stream, self.counter


def _check(seed: int, stream: int) -> None:
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"seed {seed} is not between 0 and 2**64 - 1")
    if not 0 <= stream < 1 << 32:
        raise ValueError(f"stream {stream} is not between 0 and 2**32 - 1")
