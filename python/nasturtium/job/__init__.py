"""The main job: from data to a network. Importing this package does not import torch."""

from nasturtium.job.api import export_run, run_search, search, search_arrays
from nasturtium.job.config import SearchConfig
from nasturtium.job.functional import Found, search_function
from nasturtium.job.outcome import Run

__all__ = [
    "Found",
    "Run",
    "SearchConfig",
    "export_run",
    "run_search",
    "search",
    "search_arrays",
    "search_function",
]
