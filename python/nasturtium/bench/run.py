"""Runs suites and collects what they measured."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nasturtium import machine
from nasturtium.bench.rows import Row
from nasturtium.bench.timing import RUNS, yardstick
from nasturtium.errors import UserError, nearest

__all__ = ["SUITES", "run_suites"]

SUITES = ("spaces", "nb101", "bookkeeping", "simulation", "calls")
_PACKAGES = ("nasturtium", "numpy", "moocore", "deap", "pyglove")


def run_suites(
    names: Iterable[str] = SUITES,
    *,
    runs: int = RUNS,
    on_row: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """The rows of the named suites as JSON, each with the yardstick's milliseconds beside it.

    Raises UserError for an unknown suite, and AssertionError where a result is wrong.
    """
    found = []
    for name in names:
        if name not in SUITES:
            raise UserError(f'unknown suite "{name}"; {nearest(name, SUITES)}')
        measure: Callable[[int], list[Row]] = importlib.import_module(
            f"nasturtium.bench.{name}"
        ).measure
        before = yardstick(runs)
        rows = measure(runs)
        quick = min(before, yardstick(runs))
        for row in rows:
            line = {"suite": name, **row.as_dict(), "yardstick_ms": float(f"{1e3 * quick:.4g}")}
            found.append(line)
            if on_row is not None:
                on_row(line)
    return found


def about() -> dict[str, str]:
    """The machine and the versions that the rows were measured with."""
    return machine.measured_with(_PACKAGES, checkout=Path(__file__).parent)
