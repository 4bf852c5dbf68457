"""Whole searches against a table of results, inside the core: many seeds, on threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasturtium import _core, registry, rng
from nasturtium.errors import MethodError, UserError
from nasturtium.evaluators.table import Table
from nasturtium.search import Composition, Plan

__all__ = ["History", "Simulation", "simulate", "trial_seed"]

Method: TypeAlias = str | Callable[..., Any]

_Array: TypeAlias = NDArray[Any]
_Five: TypeAlias = tuple[_Array, _Array, _Array, _Array, _Array]

_KEYS = ("sample", "mutate", "select", "explore", "order", "evaluate")
_MOST_TRIALS = (1 << 31) - 1


@dataclass(frozen=True)
class History:
    """The trials of each seed, by their number; arrays are [seeds, budget].

    Entries behind a seed's last trial are -1 in `rows`, `parents` and `order`, NaN in the others.

    Attributes:
        rows: int32, the row of the table's codes that was evaluated.
        parents: int32, the number of the trial that it was made from, -1 where there is none.
        rungs: uint8, the position of its fidelity in `Simulation.fidelities`.
        finished: float64, when its result came, in units of the table's costs.
        order: int32, the trials' numbers in the order in which their results were told.
    """

    rows: NDArray[np.int32]
    parents: NDArray[np.int32]
    rungs: NDArray[np.uint8]
    finished: NDArray[np.float64]
    order: NDArray[np.int32]
    _table: Table = field(repr=False)
    _levels: NDArray[np.int64] = field(repr=False)
    _keys: NDArray[np.uint64] = field(repr=False)

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """float64, NaN where the evaluation failed."""
        budget = self.rows.shape[1]
        run = np.zeros((1, budget), np.int64)
        if self._table.runs > 1:
            drawn = [rng.words(int(key), 0, 0, 2 * budget)[::2] for key in self._keys]
            run = (np.stack(drawn) % np.uint64(self._table.runs)).astype(np.int64)
        found = self._table.scores[self.rows, self._levels[self.rungs], run]
        found[(self.rows < 0) | ~np.isfinite(found)] = np.nan
        return found


@dataclass(frozen=True)
class Simulation:
    """What came of each seed; arrays are [seeds].

    Attributes:
        seeds: uint64.
        fidelities: the rungs of the method, low to high.
        trials: int64, how many were told: the budget, or fewer where the space ran out.
        clock: float64, when the last result came, in units of the table's costs.
        best: int64, the number of the best trial: of the highest rung that has a score, the
            largest, the first told; -1 where all failed.
        best_rows: int64, its row of the table, or -1.
        best_scores: float64, its score, or NaN.
        history: every trial, where it was asked for.
    """

    seeds: NDArray[np.uint64]
    fidelities: tuple[dict[str, int], ...]
    trials: NDArray[np.int64]
    clock: NDArray[np.float64]
    best: NDArray[np.int64]
    best_rows: NDArray[np.int64]
    best_scores: NDArray[np.float64]
    history: History | None


def simulate(
    method: Method,
    table: Table,
    *,
    seeds: Iterable[int],
    budget: int,
    workers: int = 1,
    lag: int | None = None,
    threads: int = 1,
    history: bool = False,
) -> Simulation:
    """Run a method against a table, once for each seed, inside the core.

    The trials are exactly those that `ask` and `tell` give with the same seed, where trial n is
    evaluated with `trial_seed(seed, n)` and its result comes after its cost: a worker asks as soon
    as it is free, results that come at the same time are told by the workers' numbers, and a worker
    that is refused because the space ran out asks again after the next result. With `lag` results
    are told in the order of trials instead, and trial n is asked for when those of the trials up
    to n - lag have been told, as `Study` does it.

    Args:
        method: a text such as "regularized_evolution(population=50)", or a factory that takes
            `(space, *, seed, fidelities)`. It is given all fidelities of the table.
        seeds: of the searches.
        budget: trials of each search, below 2**31.
        workers: that evaluate at the same time.
        threads: the results do not depend on their number.
        history: whether to keep every trial (21 bytes each).

    Raises:
        MethodError: the method has a part that is none of the core's; the message names it.
        UserError: an argument is out of range, or a fidelity is not in the table.

    Example:
        >>> from nasturtium.evaluators import Table
        >>> from nasturtium.simulate import simulate
        >>> from nasturtium.spaces import nb201
        >>> codes = nb201().enumerate()
        >>> table = Table(nb201(), codes, codes.sum(axis=1))
        >>> found = simulate("regularized_evolution", table, seeds=range(3), budget=500)
        >>> found.best_scores.tolist()
        [24.0, 24.0, 24.0]
    """
    _check(budget, workers, lag, threads)
    listed = [int(seed) for seed in seeds]
    plans = [_plan(method, table, seed) for seed in listed]
    if any(plan != plans[0] for plan in plans[1:]):
        raise MethodError("the method's parts depend on the seed")
    keys = _keys_of(plans, listed)
    summary = _summary(len(listed))
    kept = _trials((len(listed), budget)) if history else None
    fidelities: tuple[dict[str, int], ...] = ()
    levels = np.zeros(1, np.int64)
    if plans:
        fidelities = tuple(dict(f) for f in plans[0].fidelities)
        levels = np.array([table.level(fidelity) for fidelity in fidelities])
        _core.simulate(
            _compiled(plans[0], table), table.compiled, keys, budget, workers, lag or 0, threads,
            summary, kept,
        )  # fmt: skip
    trials, clock, best, rows, scores = summary
    failed = best < 0
    return Simulation(
        seeds=np.array(listed, np.uint64),
        fidelities=fidelities,
        trials=trials.astype(np.int64),
        clock=clock,
        best=best,
        best_rows=np.where(failed, -1, rows.astype(np.int64)),
        best_scores=np.where(failed, np.nan, scores),
        history=None if kept is None else History(*kept, table, levels, keys[:, -1]),
    )


def trial_seed(seed: int, number: int) -> int:
    """The seed, below 2**64, that trial `number` of a simulated search is evaluated with."""
    return int(rng.words(_evaluate_key(seed), 0, number, 1)[0])


def _evaluate_key(seed: int) -> int:
    return rng.derive(seed, "evaluate")


def _check(budget: int, workers: int, lag: int | None, threads: int) -> None:
    for name, value, most in (
        ("budget", budget, _MOST_TRIALS),
        ("workers", workers, 65536),
        ("lag", 1 if lag is None else lag, _MOST_TRIALS),
        ("threads", threads, 65536),
    ):
        if not 1 <= value <= most:
            raise UserError(f"{name} = {value} is not between 1 and {most:,}")


def _plan(method: Method, table: Table, seed: int) -> Plan:
    space, fidelities = table.space, table.fidelities
    if isinstance(method, str):
        made = registry.create(method, "method", space=space, seed=seed, fidelities=fidelities)
    else:
        made = method(space, seed=seed, fidelities=fidelities)
    if not isinstance(made, Composition):
        raise MethodError(f"{type(made).__name__} is no part of the core")
    return made.plan()


def _keys_of(plans: Sequence[Plan], seeds: Sequence[int]) -> NDArray[np.uint64]:
    """The keys of each search's draws, uint64[seeds, uses]; 0 for what its plan does not draw."""
    keys = np.zeros((len(seeds), len(_KEYS)), np.uint64)
    for row, seed, plan in zip(keys, seeds, plans, strict=True):
        known = {**plan.keys, "evaluate": _evaluate_key(seed)}
        row[:] = [known.get(name, 0) for name in _KEYS]
    return keys


def _summary(n: int) -> _Five:
    """Where the core writes what came of `n` searches: as it is where none has a trial."""
    return (
        np.zeros(n, np.uint64), np.zeros(n), np.full(n, -1, np.int64), np.zeros(n, np.uint32),
        np.zeros(n),
    )  # fmt: skip


def _trials(shape: tuple[int, int]) -> _Five:
    """Where the core writes every trial: the first fields of `History`, in their order."""
    return (
        np.empty(shape, np.int32), np.empty(shape, np.int32), np.empty(shape, np.uint8),
        np.empty(shape), np.empty(shape, np.int32),
    )  # fmt: skip


def _compiled(plan: Plan, table: Table) -> _core.SearchPlan:
    made = _core.SearchPlan()
    made.levels = [table.level(fidelity) for fidelity in plan.fidelities]
    starts = np.frombuffer(b"".join(plan.starts), np.uint8)
    made.starts = table.rows(starts.reshape(-1, len(table.space.decisions))).tolist()
    for name in ("rung", "repeats", "tries", "small", "population", "sample", "initial", "mutants",
                 "explore", "by_rung", "halving"):  # fmt: skip
        setattr(made, name, getattr(plan, name))
    made.etas = list(plan.etas)
    return made
