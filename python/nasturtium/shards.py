"""Shards of numbered work: ranges that share nothing and hold everything together."""

from __future__ import annotations

from nasturtium.errors import SpaceError

__all__ = ["check_shard", "next_part"]


def check_shard(shard: tuple[int, int], most: int) -> None:
    """Raises `SpaceError` where `(i, n)` is no shard of n, or `most` items are none."""
    number, shards = shard
    if not 0 <= number < shards:
        raise SpaceError(f"shard {number} of {shards}: shards are numbered from 0")
    if most < 1:
        raise SpaceError(f"most = {most} is not positive")


def next_part(
    branches: int, start: int | None, *, shard: tuple[int, int], most: int
) -> tuple[int, int, int | None]:
    """The next `most` branches of a shard: the first, the one behind the last, and where to go on.

    `start` is where the call before said to go on, None for the first; nothing is left where that
    is None again. Raises `SpaceError` for what is no shard, or a start outside it.
    """
    check_shard(shard, most)
    number, shards = shard
    first, last = (branches * i // shards for i in (number, number + 1))
    begin = first if start is None else start
    if not first <= begin <= last:
        raise SpaceError(f"branch {begin} is not in shard {number} of {shards}")
    end = min(last, begin + most)
    return begin, end, end if end < last else None
