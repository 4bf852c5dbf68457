"""Fronts and volumes of several objectives. All objectives are minimized: negate what is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium import _core
from nasturtium.bookkeeping.arrays import array

__all__ = ["contributions", "crowding", "hypervolume", "ranks"]


def ranks(points: ArrayLike) -> NDArray[np.int64]:
    """The non-dominated rank of each row of float64[n, m]: int64[n], 0 the best.

    A point dominates another one where it is nowhere larger and somewhere smaller, so equal points
    share their rank; rank `k` is dominated by ranks below `k` only. Infinite coordinates are
    ordered like others. O(n log n) for one or two objectives, O(n log² n) on average for three,
    O(m n²) at worst for more.

    Raises:
        UserError: a coordinate is NaN; the message names the row.

    Reference:
        Deb, Pratap, Agarwal, Meyarivan, NSGA-II, IEEE TEC 6(2), 2002; for more than three
        objectives Zhang, Tian, Cheng, Jin, IEEE TEC 19(2), 2015.

    Example:
        >>> from nasturtium.bookkeeping import ranks
        >>> ranks([[1, 4], [2, 2], [3, 3], [1, 4]]).tolist()
        [0, 0, 1, 0]
    """
    rows = array(points, np.float64, 2, "points")
    out = np.empty(len(rows), np.int64)
    _core.pareto_ranks(rows, out)
    return out


def crowding(points: ArrayLike, by: ArrayLike | None = None) -> NDArray[np.float64]:
    """The crowding distance of each row of float64[n, m] within its rank: float64[n].

    For each objective the gap between the two neighbors on the front over the front's range,
    summed; the ends of each objective get infinity. Equal values stand in the order of rows. An
    objective that is constant on a front counts nothing there, ends included; fronts of one or two
    points are infinite. A gap that reaches an infinite value is infinite (0 between equal ones);
    the range is that of the finite values.

    Args:
        points: float64[n, m].
        by: the ranks, int64[n] below n; without them `ranks(points)`.

    Raises:
        UserError: a coordinate is NaN, or a rank is out of range.

    Reference:
        Deb, Pratap, Agarwal, Meyarivan, NSGA-II, IEEE TEC 6(2), 2002, section III B.

    Example:
        >>> from nasturtium.bookkeeping import crowding
        >>> crowding([[0, 4], [1, 2], [4, 0]]).tolist()
        [inf, 2.0, inf]
    """
    rows = array(points, np.float64, 2, "points")
    levels = ranks(rows) if by is None else array(by, np.int64, 1, "by")
    out = np.empty(len(rows), np.float64)
    _core.crowding_distance(rows, levels, out)
    return out


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """The volume that the rows of float64[n, m] dominate up to the reference, 2 <= m <= 6.

    Exact but for rounding. Points that are not below `reference`, float64[m], in every objective
    count nothing. O(n log n) for two and three objectives, O(n^(m-2)) at worst for more.

    Raises:
        UserError: NaN or minus infinity among the points, or a reference that is not finite.

    Reference:
        Beume et al., IEEE TEC 13(5), 2009 (three objectives); While, Bradstreet, Barone, WFG, IEEE
        TEC 16(1), 2012 (more; here the points before one are its limiting set, and three
        objectives are the base of the recursion).

    Example:
        >>> from nasturtium.bookkeeping import hypervolume
        >>> hypervolume([[1, 2], [2, 1]], [3, 3])
        3.0
    """
    return _core.hypervolume(
        array(points, np.float64, 2, "points"), array(reference, np.float64, 1, "reference")
    )


def contributions(
    points: ArrayLike, reference: ArrayLike, *, threads: int = 1
) -> NDArray[np.float64]:
    """What each row of float64[n, m] adds to the hypervolume of all others: float64[n].

    Dominated points count among the others; they and repeated ones add 0. The result is the same
    for any number of threads.

    Raises:
        UserError: as `hypervolume`.

    Example:
        >>> from nasturtium.bookkeeping import contributions
        >>> contributions([[1, 2], [2, 1], [2, 2]], [3, 3]).tolist()
        [1.0, 1.0, 0.0]
    """
    rows = array(points, np.float64, 2, "points")
    out = np.empty(len(rows), np.float64)
    _core.hypervolume_contributions(
        rows, array(reference, np.float64, 1, "reference"), out, threads
    )
    return out
