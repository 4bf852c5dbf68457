"""What a search method knows: every proposal that it made and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nasturtium.errors import MethodError
from nasturtium.search.base import Codes, Observation, usable

__all__ = ["WORST", "Draft", "History", "Trial"]

WORST = -math.inf


@dataclass(frozen=True)
class Draft:
    """A proposal before it has its number: `code` uint8[d], `key` names its function."""

    code: Codes
    key: str
    rung: int
    origin: str
    parent: int | None = None


@dataclass
class Trial:
    """Proposal `number` at fidelity `rung`; `score` is None until it is told, WORST if it failed.

    `params` is the number of parameters where the result says it (else 0), `stopped` whether its
    training was ended early.
    """

    number: int
    code: Codes
    key: str
    rung: int
    parent: int | None
    score: float | None = None
    params: float = 0.0
    stopped: bool = False
    curve: tuple[float, ...] = ()

    @property
    def done(self) -> bool:
        return self.score is not None


@dataclass
class History:
    """Trials by number, pending ones included; `told` holds the numbers as results came."""

    trials: list[Trial] = field(default_factory=list)
    told: list[int] = field(default_factory=list)

    def add(self, draft: Draft) -> Trial:
        """Number a draft and remember it as pending."""
        number = len(self.trials)
        trial = Trial(number, draft.code, draft.key, draft.rung, draft.parent)
        self.trials.append(trial)
        return trial

    def finish(self, observation: Observation) -> Trial:
        """Record a result; raises MethodError for an unknown number or a second result."""
        number = observation.number
        if not 0 <= number < len(self.trials):
            raise MethodError(f"a result for proposal {number}; {len(self.trials)} were asked for")
        trial = self.trials[number]
        if trial.done:
            raise MethodError(f"proposal {number} has its result already")
        score = usable(observation)
        trial.score = WORST if score is None else score
        trial.params = _finite(observation.values.get("params"))
        trial.stopped = observation.status == "stopped"
        trial.curve = tuple(float(v) for v in observation.curve)
        self.told.append(number)
        return trial

    def in_order_told(self) -> list[Trial]:
        """The finished trials in the order in which their results came."""
        return [self.trials[n] for n in self.told]

    def state(self) -> list[dict[str, Any]]:
        """The trials as JSON; numbers that JSON lacks (NaN, infinities) are texts."""
        return [
            {
                "code": t.code.tolist(),
                "key": t.key,
                "rung": t.rung,
                "parent": t.parent,
                "score": None if t.score is None else _to_json(t.score),
                "params": t.params,
                "stopped": t.stopped,
                "curve": [_to_json(v) for v in t.curve],
            }
            for t in self.trials
        ]

    @classmethod
    def from_state(cls, rows: Sequence[Mapping[str, Any]], told: Sequence[int]) -> History:
        """The inverse of `state`."""
        return cls(
            [
                Trial(
                    number,
                    np.asarray(row["code"], dtype=np.uint8),
                    row["key"],
                    row["rung"],
                    row["parent"],
                    None if row["score"] is None else float(row["score"]),
                    float(row["params"]),
                    bool(row["stopped"]),
                    tuple(float(v) for v in row["curve"]),
                )
                for number, row in enumerate(rows)
            ],
            list(told),
        )


def _finite(value: float | None) -> float:
    return float(value) if value is not None and math.isfinite(value) else 0.0


def _to_json(value: float) -> float | str:
    return value if math.isfinite(value) else repr(value)
