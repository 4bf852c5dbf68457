"""The promotion rule of asynchronous successive halving, as a state machine over numbers."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence

__all__ = ["Rank", "Rungs"]

Rank = tuple[float, ...]


class Rungs:
    """Which entry rises next, for len(etas) + 1 rungs.

    An entry of rung k may rise to k + 1 iff it is among the best floor(n_k / etas[k]) of the n_k
    entries that rung k holds, and has not risen before; so a small rung promotes nothing. Rungs
    are searched from the top. Entries are numbers with ranks (larger is better; equal ranks: the
    smaller number first); an entry without a rank counts in n_k, but never rises.

    Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, Algorithm 2.
    """

    def __init__(self, etas: Sequence[int]) -> None:
        self.etas = tuple(etas)
        self.clear()

    def clear(self) -> None:
        self.count = [0] * (len(self.etas) + 1)
        self.held: list[list[tuple[Rank, int]]] = [[] for _ in self.count]
        self.risen: list[set[int]] = [set() for _ in self.count]

    def add(self, rung: int, number: int, rank: Rank | None) -> None:
        """Entry `number` was evaluated at `rung`; `rank` is None where that failed."""
        self.count[rung] += 1
        if rank is not None:
            insort(self.held[rung], (tuple(-r for r in rank), number))

    def next(self, *, every: bool = False) -> tuple[int, int] | None:
        """(number, rung it stands on) of the entry to promote, or None; changes nothing.

        With `every` any entry may rise, the best first: for when nothing new can come.
        """
        for rung in range(len(self.etas) - 1, -1, -1):
            places = self.count[rung] // (1 if every else self.etas[rung])
            for _, number in self.held[rung][:places]:
                if number not in self.risen[rung]:
                    return number, rung
        return None

    def promote(self, number: int, rung: int) -> None:
        """Entry `number` of `rung` rises; raises ValueError the second time."""
        if number in self.risen[rung]:
            raise ValueError(f"entry {number} of rung {rung} has risen before")
        self.risen[rung].add(number)
