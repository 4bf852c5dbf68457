"""A table of the results of all evaluations of a space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium import _core
from nasturtium.errors import UserError
from nasturtium.evaluators.base import Result
from nasturtium.keymap import KeyMap
from nasturtium.spaces import Architecture, Space

__all__ = ["Table"]

_MOST_CODES = 1 << 24
Codes = NDArray[np.uint8]


class Table:
    """A result for every valid code of a space: what a tabular benchmark is, and an `Evaluator`.

    An evaluation has a fidelity and one of several runs, which differ by their noise; evaluation
    with `seed` looks up run `seed % runs`. A score that is not finite is a failed evaluation.

    Args:
        space: whose options multiply to at most 2**24.
        codes: uint8[n, d], every valid code once, in any order.
        scores: float64 of shape [n], [n, fidelities] or [n, fidelities, runs]; maximized.
        costs: of an evaluation, in any unit: one number, or float64 [fidelities] or
            [n, fidelities].
        fidelities: what each column stands for, low to high, e.g. `({"epochs": 12}, ...)`.
        params: float64[n], the number of parameters, given as `values["params"]` of a result.

    Raises:
        UserError: shapes that do not fit, codes that are missing, a negative cost.

    Example:
        >>> from nasturtium.evaluators import Table
        >>> from nasturtium.spaces import nb201
        >>> codes = nb201().enumerate()
        >>> table = Table(nb201(), codes, codes.sum(axis=1))
        >>> table.evaluate(nb201().architecture(codes[-1]), {}, 0).score
        24.0
    """

    def __init__(
        self,
        space: Space,
        codes: Codes,
        scores: ArrayLike,
        costs: ArrayLike = 1.0,
        *,
        fidelities: Sequence[Mapping[str, int]] = ({},),
        params: ArrayLike | None = None,
    ) -> None:
        self.space = space
        self.fidelities = tuple(dict(f) for f in fidelities)
        order, self._places = _order_of(space, space.checked(codes))
        self.codes: Codes = space.checked(codes)[order]
        n, k = len(order), len(self.fidelities)
        given = np.asarray(scores, np.float64)
        given = given.reshape(given.shape + (1,) * (3 - given.ndim)) if given.ndim < 3 else given
        if k < 1 or given.ndim != 3 or given.shape[:2] != (n, k) or not given.shape[2]:
            raise UserError(
                f"scores of shape {list(np.shape(scores))} for {n} codes and {k} fidelities"
            )
        self.scores: NDArray[np.float64] = np.ascontiguousarray(given[order])
        self.costs = _costs(costs, n, k)[order]
        self.params: NDArray[np.float64] | None = None
        if params is not None:
            self.params = np.asarray(params, np.float64)
            if self.params.shape != (n,):
                raise UserError(f"params of shape {list(self.params.shape)} for {n} codes")
            self.params = np.ascontiguousarray(self.params[order])

    @classmethod
    def by_key(
        cls,
        space: Space,
        keys: NDArray[np.uint64],
        scores: ArrayLike,
        costs: ArrayLike = 1.0,
        *,
        convention: str = "function",
        fidelities: Sequence[Mapping[str, int]] = ({},),
        params: ArrayLike | None = None,
    ) -> Table:
        """A table with one row for each key, uint64[m, 2] as `space.keys` gives them.

        The other arguments have m rows where `Table` has n. Raises UserError as `Table`, and where
        a valid code's key is missing or a key comes twice.
        """
        known = KeyMap()
        _, fresh = known.insert(keys)
        if not fresh.all():
            raise UserError(f"key {int(np.argmin(fresh))} of the table comes twice")
        codes = space.enumerate(limit=_MOST_CODES)
        rows = known.find(space.keys(codes, convention))
        if (rows < 0).any():
            missing = space.architecture(codes[int(np.argmin(rows))])
            raise UserError(f"the table has no row for {missing}")
        prices = np.asarray(costs, np.float64)
        return cls(
            space,
            codes,
            np.asarray(scores, np.float64)[rows],
            prices[rows] if prices.ndim == 2 else prices,
            fidelities=fidelities,
            params=None if params is None else np.asarray(params, np.float64)[rows],
        )

    @property
    def runs(self) -> int:
        """How many runs each evaluation has."""
        return int(self.scores.shape[2])

    def __len__(self) -> int:
        return len(self.codes)

    def rows(self, codes: Codes) -> NDArray[np.int64]:
        """The row of each valid code, uint8[n, d], in `codes`, `scores`, `costs` and `params`."""
        codes = self.space.checked(codes)
        if not self.space.valid(codes).all():
            raise UserError(f"a code is not valid in {self.space.name!r}")
        return self._places[_numbers(self.space, codes)]

    def level(self, fidelity: Mapping[str, int]) -> int:
        """Which of the fidelities this is; UserError where it is none of them."""
        for i, known in enumerate(self.fidelities):
            if known == fidelity:
                return i
        raise UserError(
            f"the table has no fidelity {dict(fidelity)}; it has "
            + ", ".join(str(f) for f in self.fidelities)
        )

    def query(self, code: Codes, fidelity: Mapping[str, int], run: int = 0) -> tuple[float, float]:
        """The score (NaN or infinite: a failure) and the cost of one evaluation."""
        (row,), level = self.rows(code[None]), self.level(fidelity)
        return float(self.scores[row, level, run]), float(self.costs[row, level])

    def evaluate(
        self,
        arch: Architecture,
        fidelity: Mapping[str, int],
        seed: int,
        *,
        stop: Mapping[int, float] | None = None,
    ) -> Result:
        """What the table holds, run `seed % runs`; `stop` needs a curve, which there is not."""
        score, cost = self.query(arch.code, fidelity, seed % self.runs)
        values = {"cost": cost}
        if self.params is not None:
            values["params"] = float(self.params[self.rows(arch.code[None])[0]])
        if not math.isfinite(score):
            return Result("failed", None, values, detail="the table holds no score")
        return Result("ok", score, values)

    @cached_property
    def compiled(self) -> _core.ResultTable:
        """The table as the core takes it; classes are those of the function keys."""
        keys = self.space.keys(self.codes, "function")
        numbers, _ = KeyMap().insert(keys)
        return _core.ResultTable(
            self.space.text, numbers.astype(np.uint32), self.scores, self.costs, self.params
        )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "compiled"}


def _numbers(space: Space, codes: Codes) -> NDArray[np.int64]:
    """Codes as numbers in mixed radix, the first decision the most significant."""
    strides = np.ones(len(space.options), np.int64)
    strides[:-1] = np.cumprod(space.options[:0:-1])[::-1]
    numbers: NDArray[np.int64] = codes.astype(np.int64) @ strides
    return numbers


def _order_of(space: Space, codes: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows in lexicographic order, and the place there of each mixed-radix number."""
    product = math.prod(int(n) for n in space.options)
    if product > _MOST_CODES:
        raise UserError(
            f"the options of {space.name!r} multiply to {product:,}; a table takes {_MOST_CODES:,}"
        )
    if not space.valid(codes).all():
        raise UserError(f"row {int(np.argmin(space.valid(codes)))} is no valid code")
    every = space.enumerate(limit=_MOST_CODES)
    numbers = _numbers(space, codes)
    order = np.argsort(numbers, kind="stable")
    if not np.array_equal(numbers[order], _numbers(space, every)):
        raise UserError(
            f"the table has {len(codes):,} codes; it takes each of the {len(every):,} of "
            f"{space.name!r} once"
        )
    places = np.full(product, -1, np.int64)
    places[numbers[order]] = np.arange(len(order))
    return order, places


def _costs(costs: ArrayLike, n: int, k: int) -> NDArray[np.float64]:
    given = np.asarray(costs, np.float64)
    if given.shape not in ((), (k,), (n, k)):
        raise UserError(f"costs of shape {list(given.shape)} for {n} codes and {k} fidelities")
    if not (np.isfinite(given).all() and (given >= 0).all()):
        raise UserError("a cost is negative or not finite")
    return np.ascontiguousarray(np.broadcast_to(given, (n, k)))
