"""Benchmarks of the core: results checked first, peers in the same run, growth at three sizes.

A suite is a module of this package with a function `measure(runs) -> list[Row]`; `SUITES` names
them in the order in which they run.
"""

from nasturtium.bench.rows import Row, as_markdown
from nasturtium.bench.run import SUITES, run_suites
from nasturtium.bench.timing import RUNS, best, yardstick

__all__ = ["RUNS", "SUITES", "Row", "as_markdown", "best", "run_suites", "yardstick"]
