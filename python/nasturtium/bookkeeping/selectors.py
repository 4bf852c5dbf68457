"""Selection by scores. Scores are maximized; a pick is a function of (seed, stream, start + i)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium import _core
from nasturtium.bookkeeping.arrays import array, check_draw
from nasturtium.errors import UserError

__all__ = ["best_rows", "linear_rank", "roulette", "tournament", "truncation"]


def tournament(
    scores: ArrayLike,
    count: int,
    *,
    size: int,
    replace: bool = True,
    seed: int,
    stream: int = 0,
    start: int = 0,
    threads: int = 1,
) -> NDArray[np.int64]:
    """`count` rows of float64[n], each the best of `size` that are drawn uniformly: int64[count].

    Of equal ones the first drawn wins. With replacement the row of rank r (0 the worst) wins with
    probability ((r + 1)^size - r^size) / n^size, without with C(r, size - 1) / C(n, size).
    O(size) a pick with replacement, O(size²) without.

    Raises:
        UserError: a score is NaN, or there are fewer rows than a tournament takes.

    Reference:
        Goldberg, Deb, A comparative analysis of selection schemes, FOGA 1991.

    Example:
        >>> from nasturtium.bookkeeping import tournament
        >>> tournament([0.1, 0.7, 0.4], 2, size=3, replace=False, seed=1).tolist()
        [1, 1]
    """
    if size < 1:
        raise UserError("a tournament takes at least 1 row")
    values, out = _prepared(scores, count, seed, stream, start)
    _core.tournament(values, out, size, replace, seed, stream, start, threads)
    return out


def roulette(
    weights: ArrayLike, count: int, *, seed: int, stream: int = 0, start: int = 0, threads: int = 1
) -> NDArray[np.int64]:
    """`count` rows of float64[n], row i with probability weights[i] / sum: int64[count].

    Raises:
        UserError: a weight is negative, infinite or NaN, or all are 0.
    """
    values, out = _prepared(weights, count, seed, stream, start)
    _core.roulette(values, out, seed, stream, start, threads)
    return out


def linear_rank(
    scores: ArrayLike,
    count: int,
    *,
    pressure: float = 2.0,
    seed: int,
    stream: int = 0,
    start: int = 0,
    threads: int = 1,
) -> NDArray[np.int64]:
    """`count` rows of float64[n] by their ranks r (0 the worst): int64[count].

    The probability is ((2 - pressure) + 2 (pressure - 1) r / (n - 1)) / n with 1 <= pressure <= 2;
    equal scores share their mean rank.

    Raises:
        UserError: a score is NaN, or the pressure is out of range.

    Reference:
        Baker, Adaptive selection methods for genetic algorithms, ICGA 1985.
    """
    values, out = _prepared(scores, count, seed, stream, start)
    _core.linear_rank(values, out, pressure, seed, stream, start, threads)
    return out


def truncation(
    scores: ArrayLike,
    count: int,
    *,
    keep: int,
    seed: int,
    stream: int = 0,
    start: int = 0,
    threads: int = 1,
) -> NDArray[np.int64]:
    """`count` rows, each uniformly one of the `keep` best of float64[n]: int64[count].

    Raises:
        UserError: a score is NaN, or there are fewer than `keep` rows.
    """
    if keep < 1:
        raise UserError("truncation keeps at least one row")
    values, out = _prepared(scores, count, seed, stream, start)
    _core.truncation(values, out, keep, seed, stream, start, threads)
    return out


def best_rows(scores: ArrayLike, keep: int) -> NDArray[np.int64]:
    """The `keep` best rows of float64[n], the best first, equal ones in their order: int64[keep].

    Raises:
        UserError: a score is NaN, or there are fewer than `keep` rows.
    """
    values = array(scores, np.float64, 1, "scores")
    if not 0 <= keep <= len(values):
        raise UserError(f"{keep} of {len(values)} rows are to be kept")
    out = np.empty(keep, np.int64)
    _core.best_rows(values, out)
    return out


def _prepared(
    scores: ArrayLike, count: int, seed: int, stream: int, start: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    check_draw(seed, stream, start)
    return array(scores, np.float64, 1, "scores"), np.empty(count, np.int64)
