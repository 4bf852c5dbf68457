"""Which trial a search has found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nasturtium.study import TrialRecord


def budget_of(fidelity: Mapping[str, int]) -> int:
    """What a fidelity costs, in its own unit: epochs or ms."""
    return math.prod(fidelity.values())


def spent_on(trial: TrialRecord) -> float:
    """What a trial did cost: less than its fidelity where the training was ended early."""
    if "epochs" in trial.fidelity:
        return trial.values.get("epochs", trial.fidelity["epochs"])
    return budget_of(trial.fidelity)


def ranked(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that have a score, best first: by fidelity, then by score, then the earlier."""
    sound = [
        t for t in trials if t.status == "ok" and t.score is not None and math.isfinite(t.score)
    ]
    return sorted(sound, key=lambda t: (-budget_of(t.fidelity), -(t.score or 0.0), t.number))


def best_trial(trials: Sequence[TrialRecord]) -> TrialRecord | None:
    """The best score among the trials of the highest fidelity that has any; None without trials."""
    return next(iter(ranked(trials)), None)


def expected_best(scores: Sequence[float], draws: float) -> float:
    """The expected maximum of `draws` scores drawn from those given, with replacement.

    With the scores sorted, `x_1 <= ... <= x_m`: the sum of `x_i ((i / m)^n - ((i - 1) / m)^n)`.
    """
    ordered = sorted(scores)
    m = len(ordered)
    return math.fsum(x * (((i + 1) / m) ** draws - (i / m) ** draws) for i, x in enumerate(ordered))
