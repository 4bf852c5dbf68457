"""Plain twins of populations and schedulers."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Sequence

Rank = tuple[float, ...]


class PlainQueue:
    """The oldest of more than `size` members dies."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._members: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._members)

    @property
    def members(self) -> tuple[int, ...]:
        return tuple(self._members)

    def born(self, individual: int) -> int | None:
        self._members.append(individual)
        return self._members.popleft() if len(self._members) > self.size else None


class PlainRungs:
    """Promotion by sorting: the best floor(n / eta) of a rung may rise, the top rung first."""

    def __init__(self, etas: Sequence[int]) -> None:
        self.etas = tuple(etas)
        self.count = [0] * (len(self.etas) + 1)
        self.held: list[list[tuple[Rank, int]]] = [[] for _ in self.count]
        self.risen: list[set[int]] = [set() for _ in self.count]

    def add(self, rung: int, number: int, rank: Rank | None) -> None:
        self.count[rung] += 1
        if rank is not None:
            insort(self.held[rung], (tuple(-r for r in rank), number))

    def next(self, *, every: bool = False) -> tuple[int, int] | None:
        for rung in range(len(self.etas) - 1, -1, -1):
            places = self.count[rung] // (1 if every else self.etas[rung])
            for _, number in self.held[rung][:places]:
                if number not in self.risen[rung]:
                    return number, rung
        return None

    def promote(self, number: int, rung: int) -> None:
        if number in self.risen[rung]:
            raise ValueError(f"entry {number} of rung {rung} has risen before")
        self.risen[rung].add(number)
