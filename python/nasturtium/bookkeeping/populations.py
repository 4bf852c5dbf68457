"""Populations of numbers: the ageing queue and the archive of what nothing dominates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium import _core
from nasturtium.bookkeeping.arrays import array
from nasturtium.bookkeeping.state import Held
from nasturtium.errors import UserError

__all__ = ["AgeingQueue", "ParetoArchive"]


class AgeingQueue(Held[_core.AgeingQueue], loads=_core.AgeingQueue.load):
    """A population in which the oldest dies: after `size` further births an individual is gone.

    Individuals are numbers below 2**64. A birth is O(1).

    Reference:
        Real, Aggarwal, Huang, Le, Regularized evolution for image classifier architecture search,
        AAAI 2019.

    Example:
        >>> from nasturtium.bookkeeping import AgeingQueue
        >>> queue = AgeingQueue(2)
        >>> [queue.born(i) for i in (7, 8, 9)]
        [None, None, 7]
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise UserError("a population holds at least one individual")
        self.size = size
        self._held = _core.AgeingQueue(size)

    def _describe(self) -> None:
        self.size = self._held.capacity

    def __len__(self) -> int:
        return len(self._held)

    def born(self, individual: int) -> int | None:
        """Add the youngest; returns the one that dies for it, or None while there is room."""
        return self._held.born(individual)

    @property
    def members(self) -> NDArray[np.uint64]:
        """The living, oldest first, uint64[k]."""
        return self._held.members()


class ParetoArchive(Held[_core.ParetoArchive], loads=_core.ParetoArchive.load):
    """Individuals of which none dominates another; all objectives are minimized.

    One that has the objectives of a member, or larger ones, is refused: of equal ones the first
    stays. With two objectives an individual takes O(log s) comparisons and a move of what lies
    behind it; with others O(m s). A member takes 8 (m + 1) bytes, the spare room aside.

    Args:
        objectives: their number m.

    Example:
        >>> from nasturtium.bookkeeping import ParetoArchive
        >>> archive = ParetoArchive(2)
        >>> archive.add([[2, 2], [3, 3], [1, 1]], [10, 11, 12]).tolist()
        [True, False, True]
        >>> archive.ids.tolist()
        [12]
    """

    def __init__(self, objectives: int) -> None:
        if objectives < 1:
            raise UserError("an archive takes at least one objective")
        self.objectives = objectives
        self._held = _core.ParetoArchive(objectives)

    def _describe(self) -> None:
        self.objectives = self._held.objectives

    def __len__(self) -> int:
        return len(self._held)

    def add(self, points: ArrayLike, ids: ArrayLike) -> NDArray[np.bool_]:
        """Offer individuals one after the other; returns which of them joined at their time.

        Args:
            points: float64[n, m].
            ids: uint64[n], what the archive knows them by, such as packed codes.

        Raises:
            UserError: a coordinate is NaN; nothing has changed then.
        """
        rows = array(points, np.float64, 2, "points")
        kept = np.empty(len(rows), np.bool_)
        self._held.add(rows, array(ids, np.uint64, 1, "ids"), kept)
        return kept

    @property
    def ids(self) -> NDArray[np.uint64]:
        """The members, uint64[k]: two objectives by the first one, else as they came."""
        return self._held.members()[0]

    @property
    def points(self) -> NDArray[np.float64]:
        """The members' objectives, float64[k, m], in the order of `ids`."""
        return self._held.members()[1]

    @property
    def bytes(self) -> int:
        """Memory of the members as allocated."""
        return self._held.bytes
