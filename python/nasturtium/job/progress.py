"""What a run says while it works, for whoever shows it."""

from __future__ import annotations

import dataclasses
from typing import Protocol


@dataclasses.dataclass(frozen=True)
class TrialSeen:
    """A trial that has just been told: `best` is the best score so far of its study."""

    study: str
    number: int
    status: str
    score: float | None
    best: float | None
    fidelity: str
    total: int | None


class Progress(Protocol):
    """Receives every step of a run; what it does with them is its own matter."""

    def phase(self, name: str, seconds: float | None) -> None:
        """Phase `name` begins; `seconds` are planned for it, None without a limit."""

    def trial(self, seen: TrialSeen, left: float | None) -> None:
        """A trial was told; `left` is the time left of the whole run in seconds."""

    def note(self, text: str) -> None:
        """Something that the user should know, one line."""


class Silent:
    """Shows nothing."""

    def phase(self, name: str, seconds: float | None) -> None:
        pass

    def trial(self, seen: TrialSeen, left: float | None) -> None:
        pass

    def note(self, text: str) -> None:
        pass
