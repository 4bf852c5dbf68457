"""The record of a search and the only loop that runs one.

Names are loaded when they are used: worker processes import from here, and need no database.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasturtium.study.records import Event, RunEvent, Trial, TrialRecord
    from nasturtium.study.store import Store
    from nasturtium.study.study import Study

__all__ = ["Event", "RunEvent", "Store", "Study", "Trial", "TrialRecord"]

_HOMES = {"Store": "store", "Study": "study"} | dict.fromkeys(
    ("Event", "RunEvent", "Trial", "TrialRecord"), "records"
)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return vars(importlib.import_module(f"{__name__}.{_HOMES[name]}"))[name]
