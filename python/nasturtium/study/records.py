"""What the record holds, as values: trials, events, and what `on_event` is called with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nasturtium.evaluators.base import Result
from nasturtium.search.base import Proposal

__all__ = ["Event", "RunEvent", "Trial", "TrialRecord"]


@dataclass(frozen=True)
class Trial:
    """A proposal to evaluate with `seed`; `attempt` counts from 1 how often it was given out."""

    number: int
    seed: int
    proposal: Proposal
    attempt: int


@dataclass(frozen=True)
class TrialRecord:
    """One row of the record.

    `arch` is the architecture's text (`space.parse` reads it). `state` is running, released, cut
    or told; `owner` holds the trial until `lease` while it runs. Times are seconds since the
    epoch. `proposal_text` is the stored proposal, letter by letter.
    """

    number: int
    seed: int
    state: str
    attempt: int
    arch: str
    fidelity: Mapping[str, int]
    origin: str
    parent: int | None
    stop: Mapping[int, float]
    asked_at: float
    told_at: float | None
    result: Result | None
    owner: str
    lease: float
    proposal_text: str

    @property
    def status(self) -> str:
        """The result's status, or the state where there is no result."""
        return self.state if self.result is None else self.result.status

    @property
    def score(self) -> float | None:
        """The result's score, None where there is none."""
        return None if self.result is None else self.result.score

    @property
    def values(self) -> Mapping[str, float]:
        """What else was measured."""
        return {} if self.result is None else self.result.values

    @property
    def curve(self) -> tuple[float, ...]:
        """The score after each epoch."""
        return () if self.result is None else tuple(self.result.curve)

    @property
    def seconds(self) -> float:
        """How long the evaluation took."""
        return 0.0 if self.result is None else self.result.seconds

    @property
    def detail(self) -> str:
        """The end of the traceback, or another reason why there is no score."""
        return "" if self.result is None else self.result.detail


@dataclass(frozen=True)
class Event:
    """Something that was decided or happened: `at` is in seconds since the epoch."""

    kind: str
    payload: Any
    at: float


@dataclass(frozen=True)
class RunEvent:
    """What happens in a run: `kind` is asked, told, crash, released or cut.

    `result` is there when `kind` is told.
    """

    kind: str
    number: int
    attempt: int
    proposal: Proposal
    result: Result | None = None
