"""The books of a search in the core: fronts, trees, bandits, selectors, populations, rungs."""

from nasturtium.bookkeeping.bandits import Bandit, Pulls
from nasturtium.bookkeeping.generations import (
    Generational,
    Species,
    SteadyState,
    apportion,
    share_scores,
)
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
    "Bandit",
    "Bracket",
    "Generational",
    "Halving",
    "Hyperband",
    "HyperbandJob",
    "Leaves",
    "ParetoArchive",
    "Pulls",
    "Rungs",
    "Species",
    "SteadyState",
    "StoppingRungs",
    "Tree",
    "TreeRule",
    "apportion",
    "best_rows",
    "contributions",
    "crowding",
    "hyperband_brackets",
    "hypervolume",
    "linear_rank",
    "ranks",
    "root_parallel",
    "roulette",
    "share_scores",
    "tournament",
    "truncation",
]
