"""The record of a search and the only loop that runs one."""

from nasturtium.study.records import Event, RunEvent, Trial, TrialRecord
from nasturtium.study.store import Store
from nasturtium.study.study import Study

__all__ = ["Event", "RunEvent", "Store", "Study", "Trial", "TrialRecord"]
