"""The clock of the benchmarks, and a yardstick of the machine beside it."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["RUNS", "best", "yardstick"]

RUNS = 7
_STEPS = 100_000


def best(
    work: Callable[[], object], runs: int = RUNS, clock: Callable[[], float] = time.thread_time
) -> float:
    """Seconds of the quickest of `runs` calls: CPU time of this thread, or of another clock."""
    seconds = []
    for _ in range(runs):
        begin = clock()
        work()
        seconds.append(clock() - begin)
    return min(seconds)


def yardstick(runs: int = RUNS) -> float:
    """Seconds of a fixed piece of work of the interpreter: how fast the machine is just now.

    100,000 steps of a linear congruential generator in plain Python. A rate times this number
    compares between machines, and between moments of a busy one, better than the rate alone.
    """
    return best(_steps, runs)


def _steps() -> int:
    state = 1
    for _ in range(_STEPS):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    return state
