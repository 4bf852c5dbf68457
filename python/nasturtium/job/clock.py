"""Time that a run has used, over all its sessions."""

from __future__ import annotations

import time
from pathlib import Path

from nasturtium.study import Store

SESSION = "session"  # the event that begins each session, in the run's first study


class Clock:
    """Seconds of a run that may have been stopped and resumed; `limit` is None without one."""

    def __init__(self, limit: float | None, *, used: float = 0.0) -> None:
        self.limit = limit
        self._used = used
        self._begun = time.monotonic()

    def elapsed(self) -> float:
        """Seconds that the run has worked, earlier sessions included."""
        return self._used + time.monotonic() - self._begun

    def left(self) -> float | None:
        """Seconds left, at least 0; None without a limit."""
        return None if self.limit is None else max(0.0, self.limit - self.elapsed())


def seconds_used(record: Path) -> float:
    """Seconds of all sessions in a record: each lasted until the last thing written in it."""
    begun: list[float] = []
    stamps: list[float] = []
    for name in Store.studies(record):
        with Store.open(record, name) as store:
            events = store.events()
            begun += [event.at for event in events if event.kind == SESSION]
            stamps += [event.at for event in events]
            stamps += [trial.told_at for trial in store.trials() if trial.told_at is not None]
    begun.sort()
    used = 0.0
    for first, following in zip(begun, [*begun[1:], float("inf")], strict=True):
        used += max(t for t in stamps if first <= t < following) - first
    return used
