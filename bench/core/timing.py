"""The clock of this folder's scripts."""

from nasturtium.bench.timing import RUNS, best

__all__ = ["RUNS", "best"]
