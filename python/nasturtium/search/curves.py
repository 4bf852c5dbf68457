"""Early stopping from the learning curves of earlier trials."""

from __future__ import annotations

import math
from collections.abc import Iterable

from nasturtium.search.history import WORST, Trial

__all__ = ["CurveStop"]


class CurveStop:
    """Ends a training whose score lies below most of what others had at the same epoch.

    The threshold of epoch e is the `quantile` (rounded down to an observed value) of the scores at
    e of all trials at the same rung or above; one that was stopped before e counts there as worst,
    so that over all trials no more than about that share is ever stopped. A threshold needs
    `least` trials that ran at this rung, lies at an epoch of at least `start` of the length, and
    never at the last epoch. The quantile is a parameter below 1 / 2 so that what is stopped could
    not have been promoted by a rung that keeps a third.
    """

    def __init__(self, *, quantile: float = 0.25, least: int = 6, start: float = 0.3) -> None:
        self.quantile = quantile
        self.least = least
        self.start = start

    def thresholds(self, trials: Iterable[Trial], *, rung: int, epochs: int) -> dict[int, float]:
        """The score to reach at each epoch of a training of `epochs`, where there is one."""
        told = [t for t in trials if t.done and t.rung >= rung and (t.curve or t.stopped)]
        if sum(t.rung == rung for t in told) < self.least:
            return {}
        found: dict[int, float] = {}
        for epoch in range(max(1, math.ceil(self.start * epochs)), epochs):
            seen = sorted(v for t in told if (v := _at(t, epoch)) is not None)
            if len(seen) >= self.least:
                value = seen[math.floor(self.quantile * (len(seen) - 1))]
                if math.isfinite(value):
                    found[epoch] = value
        return found


def _at(trial: Trial, epoch: int) -> float | None:
    if epoch <= len(trial.curve):
        value = trial.curve[epoch - 1]
        return value if math.isfinite(value) else WORST
    return WORST if trial.stopped else None
