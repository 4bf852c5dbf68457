"""Populations that replace the worst or themselves as a whole, and species with sharing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium import _core
from nasturtium.bookkeeping.arrays import array
from nasturtium.bookkeeping.state import Held
from nasturtium.errors import UserError

__all__ = ["Generational", "Species", "SteadyState", "apportion", "share_scores"]


class SteadyState(Held[_core.SteadyState], loads=_core.SteadyState.load):
    """A population in which the worst dies, of equal ones the oldest.

    Individuals are numbers below 2**64; scores are maximized, NaN counts as minus infinity. A birth
    is O(log n).

    Reference:
        Whitley, The GENITOR algorithm and selection pressure, ICGA 1989.

    Example:
        >>> from nasturtium.bookkeeping import SteadyState
        >>> population = SteadyState(2)
        >>> [population.born(i, s) for i, s in ((7, 0.3), (8, 0.9), (9, 0.5), (10, 0.1))]
        [None, None, 7, 10]
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise UserError("a population holds at least one individual")
        self.size = size
        self._held = _core.SteadyState(size)

    def _describe(self) -> None:
        self.size = self._held.capacity

    def __len__(self) -> int:
        return len(self.members)

    def born(self, individual: int, score: float) -> int | None:
        """Add one; returns the one that dies for it, which may be itself, or None."""
        return self._held.born(individual, score)

    @property
    def members(self) -> NDArray[np.uint64]:
        """The living, oldest first, uint64[k]."""
        return self._held.members()[0]

    @property
    def scores(self) -> NDArray[np.float64]:
        """Their scores, float64[k]."""
        return self._held.members()[1]


class Generational(Held[_core.Generational], loads=_core.Generational.load):
    """A population that is replaced as a whole by its offspring and its elites.

    When `size - elites` individuals are born (`size` of the first generation), they and the
    `elites` best of the present generation are the next one: the elites first, then the others in
    the order of their birth. Scores are maximized, NaN counts as minus infinity.

    Reference:
        De Jong, An analysis of the behavior of a class of genetic adaptive systems, 1975.

    Example:
        >>> from nasturtium.bookkeeping import Generational
        >>> population = Generational(2, elites=1)
        >>> [population.born(i, s) for i, s in ((7, 0.3), (8, 0.9), (9, 0.1))]
        [False, True, True]
        >>> population.members.tolist()
        [8, 9]
    """

    def __init__(self, size: int, *, elites: int = 1) -> None:
        if not 0 <= elites < size:
            raise UserError("the elites are at least 0 and fewer than the population")
        self.size, self.elites = size, elites
        self._held = _core.Generational(size, elites)

    def _describe(self) -> None:
        self.size, self.elites = self._held.size, self._held.elites

    def born(self, individual: int, score: float) -> bool:
        """Add one to the next generation; returns whether that is now the present one."""
        return self._held.born(individual, score)

    @property
    def generation(self) -> int:
        """How many generations are complete."""
        return self._held.generation

    @property
    def members(self) -> NDArray[np.uint64]:
        """The present generation, uint64[size]; empty before the first is complete."""
        return self._held.members()[0]

    @property
    def scores(self) -> NDArray[np.float64]:
        """Their scores, float64[size]."""
        return self._held.members()[1]


class Species(Held[_core.Species], loads=_core.Species.load):
    """Codes grouped by likeness.

    A code joins the first species to whose founder it has a Hamming distance of at most `radius`,
    or founds one. O(species * width) each.

    Reference:
        Stanley, Miikkulainen, Evolving neural networks through augmenting topologies, Evolutionary
        Computation 10(2), 2002; there a random member represents a species, here its founder.

    Example:
        >>> import numpy as np
        >>> from nasturtium.bookkeeping import Species
        >>> codes = np.array([[0, 0, 0], [0, 0, 1], [2, 2, 1]], np.uint8)
        >>> Species(3, radius=1).assign(codes).tolist()
        [0, 0, 1]
    """

    def __init__(self, width: int, *, radius: int) -> None:
        if width < 1 or radius < 0:
            raise UserError("codes have at least one decision, and the radius is not negative")
        self.radius = radius
        self._held = _core.Species(width, radius)

    def _describe(self) -> None:
        self.radius = self._held.radius

    def __len__(self) -> int:
        return len(self.founders)

    def assign(self, codes: ArrayLike) -> NDArray[np.uint32]:
        """The species of each row of uint8[n, width], one row after the other: uint32[n]."""
        rows = array(codes, np.uint8, 2, "codes")
        out = np.empty(len(rows), np.uint32)
        self._held.assign(rows, out)
        return out

    @property
    def founders(self) -> NDArray[np.uint8]:
        """The code of each species' founder, uint8[species, width]."""
        return self._held.founders()


def share_scores(scores: ArrayLike, species: ArrayLike) -> NDArray[np.float64]:
    """Each score of float64[n], not negative, over the size of its species: float64[n].

    Args:
        species: uint32[n], below n.

    Raises:
        UserError: a score is negative or not finite.

    Reference:
        Goldberg, Richardson, Genetic algorithms with sharing for multimodal function optimization,
        ICGA 1987.

    Example:
        >>> from nasturtium.bookkeeping import share_scores
        >>> share_scores([1.0, 3.0, 4.0], [0, 1, 1]).tolist()
        [1.0, 1.5, 2.0]
    """
    values = array(scores, np.float64, 1, "scores")
    out = np.empty(len(values))
    _core.share_scores(values, array(species, np.uint32, 1, "species"), out)
    return out


def apportion(weights: ArrayLike, total: int) -> NDArray[np.uint64]:
    """`total` places in proportion to float64[k], not negative: uint64[k].

    The whole parts, then one each by the largest remainder (Hamilton's method), equal ones in their
    order. Where all weights are 0 they count as equal.

    Raises:
        UserError: a weight is negative or not finite.

    Example:
        >>> from nasturtium.bookkeeping import apportion
        >>> apportion([5.0, 3.0, 1.0], 10).tolist()
        [6, 3, 1]
    """
    if not 0 <= total <= 1 << 52:
        raise UserError(f"total = {total} is not between 0 and 2**52")
    values = array(weights, np.float64, 1, "weights")
    out = np.empty(len(values), np.uint64)
    _core.apportion(values, total, out)
    return out
