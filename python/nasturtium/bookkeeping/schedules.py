"""Successive halving and its relatives as state machines over numbers; values are maximized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nasturtium import _core
from nasturtium.bookkeeping.state import Held
from nasturtium.errors import UserError

__all__ = [
    "Bracket",
    "Halving",
    "Hyperband",
    "HyperbandJob",
    "Rungs",
    "StoppingRungs",
    "hyperband_brackets",
]


class Rungs(Held[_core.Rungs], loads=_core.Rungs.load):
    """ASHA by promotion: which entry rises next, for len(etas) + 1 rungs.

    An entry of rung k may rise to k + 1 iff it is among the best floor(n_k / etas[k]) of the n_k
    entries that rung k holds, and has not risen before; so a small rung promotes nothing. Rungs
    are searched from the top. An entry without a rank counts in n_k, but never rises. For a rung of
    s in O(log s) comparisons and a move of at most 256 entries to add one, O(s / 256) steps a rung
    to ask.

    Args:
        etas: one for each rung below the last.
        width: how many numbers a rank has (at most 4); they are compared one after the other,
            larger is better, equal ranks: the smaller number first.

    Reference:
        Li et al., A system for massively parallel hyperparameter tuning, MLSys 2020, Algorithm 2.

    Example:
        >>> from nasturtium.bookkeeping import Rungs
        >>> rungs = Rungs([2])
        >>> rungs.add(0, 0, (0.3,)), rungs.next()
        (None, None)
        >>> rungs.add(0, 1, (0.8,)), rungs.next()
        (None, (1, 0))
    """

    def __init__(self, etas: Sequence[int], *, width: int = 1) -> None:
        if any(eta < 1 for eta in etas):
            raise UserError("an eta is at least 1")
        self._held = _core.Rungs(etas, width)

    def add(self, rung: int, number: int, rank: Sequence[float] | None) -> None:
        """Entry `number` was evaluated at `rung`; `rank` is None where that failed.

        Raises:
            UserError: the rung holds the entry, or the rank holds NaN or has another width.
        """
        self._held.add(rung, number, rank)

    def next(self, *, every: bool = False) -> tuple[int, int] | None:
        """(number, rung it stands on) of the entry to promote, or None; changes nothing.

        With `every` any entry may rise, the best first: for when nothing new can come.
        """
        return self._held.next(every)

    def promote(self, number: int, rung: int) -> None:
        """Entry `number` of `rung` rises; raises UserError the second time."""
        self._held.promote(number, rung)

    @property
    def counts(self) -> list[int]:
        """How many entries each rung holds, failed ones included."""
        return self._held.counts()


class StoppingRungs(Held[_core.StoppingRungs], loads=_core.StoppingRungs.load):
    """ASHA by stopping: nothing waits, and an entry goes on or ends when it reports.

    An entry that reports at rung k goes on iff its value is not below the
    max(1, floor(n_k / etas[k]))-th best of the n_k values reported there, its own included. NaN
    counts in n_k and stops.

    Reference:
        Akiba et al., Optuna, KDD 2019 (`SuccessiveHalvingPruner`), after Li et al., MLSys 2020.
    """

    def __init__(self, etas: Sequence[int]) -> None:
        if any(eta < 1 for eta in etas):
            raise UserError("an eta is at least 1")
        self._held = _core.StoppingRungs(etas)

    def report(self, rung: int, value: float) -> bool:
        """Whether the entry that reached `rung` with this value goes on."""
        return self._held.report(rung, value)


class Halving(Held[_core.Halving], loads=_core.Halving.load):
    """Synchronous successive halving of the entries 0 ... sizes[0] - 1.

    When all entries of rung k have their values, the best sizes[k + 1] go on to rung k + 1; equal
    values: the smaller number first; NaN is a failure and never rises.

    Args:
        sizes: entries of each rung; none is larger than the one before.

    Reference:
        Jamieson, Talwalkar, Non-stochastic best arm identification, AISTATS 2016.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        if any(size < 1 for size in sizes):
            raise UserError("each rung takes at least one entry")
        self._held = _core.Halving(sizes)

    def next(self) -> tuple[int, int] | None:
        """(number, rung) to evaluate next; None where values are missing or all is done."""
        return self._held.next()

    def tell(self, number: int, value: float) -> None:
        """The value of an entry that was given out; raises UserError for any other."""
        self._held.tell(number, value)

    @property
    def done(self) -> bool:
        """Whether the last rung is complete, or nothing is left."""
        return self._held.done

    @property
    def best(self) -> tuple[int, float] | None:
        """(number, value) of the best entry of the highest complete rung."""
        return self._held.best()


class Bracket(NamedTuple):
    """One bracket of Hyperband: entries of each rung, and what each of them gets there in all."""

    sizes: list[int]
    resources: list[float]


def hyperband_brackets(resource: int, eta: int = 3) -> list[Bracket]:
    """The brackets for a largest resource R, the most exploring first.

    For s = floor(log_eta R) ... 0: n = ceil((s_max + 1) eta^s / (s + 1)) entries, of which
    floor(n / eta^i) get R eta^(i - s) on rung i.

    Raises:
        UserError: a resource below 1 or an eta below 2.

    Reference:
        Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar, Hyperband, JMLR 18(185), 2018, Algorithm 1.

    Example:
        >>> from nasturtium.bookkeeping import hyperband_brackets
        >>> [b.sizes for b in hyperband_brackets(9)]
        [[9, 3, 1], [5, 1], [3]]
    """
    _check_hyperband(resource, eta)
    return [Bracket(*bracket) for bracket in _core.hyperband_brackets(resource, eta)]


class HyperbandJob(NamedTuple):
    """An entry to evaluate: `resource` is what it gets in all, earlier rungs included."""

    number: int
    bracket: int
    rung: int
    resource: float


class Hyperband(Held[_core.Hyperband], loads=_core.Hyperband.load):
    """All brackets of Hyperband; numbers go on from bracket to bracket.

    An entry comes from the first bracket that has one to evaluate, so that the next bracket begins
    while values are missing.
    """

    def __init__(self, resource: int, eta: int = 3) -> None:
        self.brackets = hyperband_brackets(resource, eta)
        self._held = _core.Hyperband(resource, eta)

    def _describe(self) -> None:
        self.brackets = hyperband_brackets(*self._held.resource)

    def next(self) -> HyperbandJob | None:
        """What to evaluate next; None where values are missing or all is done."""
        job = self._held.next()
        return None if job is None else HyperbandJob(*job)

    def tell(self, number: int, value: float) -> None:
        """The value (NaN: it failed) of an entry that was given out; UserError for any other."""
        self._held.tell(number, value)

    @property
    def done(self) -> bool:
        """Whether every bracket is done."""
        return self._held.done


def _check_hyperband(resource: int, eta: int) -> None:
    if resource < 1 or eta < 2:
        raise UserError("Hyperband takes a resource of at least 1 and an eta of at least 2")
