"""Selection and survival: the parts that evolutionary methods are composed of."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

__all__ = ["AgeingQueue", "Integers", "tournament"]

T = TypeVar("T")


class Integers(Protocol):
    """A source of random integers in [low, high), such as `rng.Stream`."""

    def integers(self, n: int, low: int, high: int) -> Iterable[int]: ...


class AgeingQueue:
    """A population in which the oldest dies: after `size` further births an individual is gone."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._members: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._members)

    @property
    def members(self) -> tuple[int, ...]:
        """The living, oldest first."""
        return tuple(self._members)

    def born(self, individual: int) -> int | None:
        """Add the youngest; returns the one that dies for it, or None while there is room."""
        self._members.append(individual)
        return self._members.popleft() if len(self._members) > self.size else None


def tournament(
    individuals: Sequence[T], sample: int, *, by: Callable[[T], object], stream: Integers
) -> T:
    """The best by `by` among `sample` individuals drawn with replacement; ties go to the first."""
    drawn = [individuals[int(i)] for i in stream.integers(sample, 0, len(individuals))]
    return max(drawn, key=by)  # type: ignore[arg-type]
