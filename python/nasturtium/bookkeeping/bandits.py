"""Bandits: which of several arms to pull next."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium import _core
from nasturtium.bookkeeping.arrays import array, check_draw
from nasturtium.bookkeeping.state import Held
from nasturtium.errors import UserError

__all__ = ["Bandit", "Pulls"]

_FORMULAS = ("ucb1", "thompson", "exp3")


class Pulls(NamedTuple):
    """What a bandit knows of its arms: pulls, pending ones included; rewards; their sums."""

    pulls: NDArray[np.uint64]
    known: NDArray[np.uint64]
    sums: NDArray[np.float64]


class Bandit(Held[_core.Bandit], loads=_core.Bandit.load):
    """A state machine that chooses among arms; rewards may come late, in any order and number.

        ucb1:      the largest mean + c sqrt(2 log(N) / n), n of N pulls, pending ones included;
                   arms without a result come first, those with the fewest pulls before others
        thompson:  the largest of draws from Beta(1 + s, 1 + k - s), s the sum of k rewards
        exp3:      arm i with p = (1 - gamma) w_i / sum(w) + gamma / K; its reward r multiplies
                   w_i by exp(gamma r / (p K))

    Ties go to the first arm. Choice k draws from row k of (seed, stream).

    Args:
        arms: their number K, at most 2**20.
        formula: "ucb1", "thompson" or "exp3".
        c: of ucb1, in units of the rewards.
        gamma: of exp3, above 0 and at most 1.

    Raises:
        UserError: an argument is out of range.

    References:
        Auer, Cesa-Bianchi, Fischer, Machine Learning 47, 2002 (UCB1). Thompson, Biometrika 25,
        1933; Chapelle, Li, NIPS 2011. Auer, Cesa-Bianchi, Freund, Schapire, SIAM J. Comput. 32(1),
        2002 (EXP3).

    Example:
        >>> from nasturtium.bookkeeping import Bandit
        >>> bandit = Bandit(3, seed=1)
        >>> arms, p = bandit.choose(3)
        >>> bandit.reward(arms, p, [0.0, 1.0, 0.5])
        >>> arms.tolist(), bandit.choose()[0].tolist()
        ([0, 1, 2], [1])
    """

    def __init__(
        self,
        arms: int,
        formula: Literal["ucb1", "thompson", "exp3"] = "ucb1",
        *,
        c: float = 1.0,
        gamma: float = 0.1,
        seed: int,
        stream: int = 0,
    ) -> None:
        check_draw(seed, stream)
        if formula not in _FORMULAS:
            raise UserError(f'formula "{formula}" is none of {", ".join(_FORMULAS)}')
        if not 1 <= arms <= 1 << 20:
            raise UserError(f"arms = {arms} is not between 1 and 2**20")
        self.formula: str = formula
        self._held = _core.Bandit(arms, _FORMULAS.index(formula), c, gamma, seed, stream)

    def _describe(self) -> None:
        self.formula = _FORMULAS[self._held.rule[0]]

    def choose(self, n: int = 1) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
        """The next n arms, uint32[n], pending from now on, and each one's probability, float64[n].

        The probability is 1 but for exp3.
        """
        arms, probabilities = np.empty(n, np.uint32), np.empty(n)
        self._held.choose(arms, probabilities)
        return arms, probabilities

    def reward(self, arms: ArrayLike, probabilities: ArrayLike, values: ArrayLike) -> None:
        """The rewards, float64[n], of pending choices, with the probabilities of `choose`.

        Raises:
            UserError: a reward is not finite, or for thompson and exp3 not between 0 and 1, or no
                such choice is pending; nothing has changed then.
        """
        self._held.reward(
            array(arms, np.uint32, 1, "arms"),
            array(probabilities, np.float64, 1, "probabilities"),
            array(values, np.float64, 1, "values"),
        )

    def forget(self, arms: ArrayLike) -> None:
        """Take pending choices back, such as those whose evaluation failed."""
        self._held.forget(array(arms, np.uint32, 1, "arms"))

    @property
    def pulls(self) -> Pulls:
        """What is known of each arm."""
        return Pulls(*self._held.read())

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Those of exp3's next choice, float64[arms]."""
        if self.formula != "exp3":
            raise UserError(f"{self.formula} chooses without probabilities")
        return self._held.probabilities()
