"""The bookkeeping of a search in the core: fronts, trees, selectors, populations, rungs."""

from nasturtium.bookkeeping.pareto import contributions, crowding, hypervolume, ranks
from nasturtium.bookkeeping.populations import AgeingQueue, ParetoArchive
from nasturtium.bookkeeping.schedules import (
    Bracket,
    Halving,
    Hyperband,
    HyperbandJob,
    Rungs,
    StoppingRungs,
    hyperband_brackets,
)
from nasturtium.bookkeeping.selectors import (
    best_rows,
    linear_rank,
    roulette,
    tournament,
    truncation,
)
from nasturtium.bookkeeping.tree import Leaves, Tree, TreeRule, root_parallel

__all__ = [
    "AgeingQueue",
    "Bracket",
    "Halving",
    "Hyperband",
    "HyperbandJob",
    "Leaves",
    "ParetoArchive",
    "Rungs",
    "StoppingRungs",
    "Tree",
    "TreeRule",
    "best_rows",
    "contributions",
    "crowding",
    "hyperband_brackets",
    "hypervolume",
    "linear_rank",
    "ranks",
    "root_parallel",
    "roulette",
    "tournament",
    "truncation",
]
