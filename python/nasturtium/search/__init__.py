"""Search methods and the parts that they are composed of.

The package can be called like the function `nasturtium.job.search`, which has the same name.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

from nasturtium.search.base import Observation, Optimizer, Proposal, usable
from nasturtium.search.curves import CurveStop
from nasturtium.search.engine import Composition, Proposer
from nasturtium.search.history import Draft, History, Trial
from nasturtium.search.limits import Limit, Limits
from nasturtium.search.methods import halving_evolution, random_search, regularized_evolution
from nasturtium.search.plan import Plan
from nasturtium.search.proposers import KNOWN, Ageing, Halving, Random
from nasturtium.search.sampling import Fresh, Mutation, RandomCodes

__all__ = [
    "KNOWN",
    "Ageing",
    "Composition",
    "CurveStop",
    "Draft",
    "Fresh",
    "Halving",
    "History",
    "Limit",
    "Limits",
    "Mutation",
    "Observation",
    "Optimizer",
    "Plan",
    "Proposal",
    "Proposer",
    "Random",
    "RandomCodes",
    "Trial",
    "halving_evolution",
    "random_search",
    "regularized_evolution",
    "usable",
]


class _CallablePackage(ModuleType):
    """Lets `nasturtium.search(x, y)` run a search whether or not this package was imported."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return vars(importlib.import_module("nasturtium.job"))["search"](*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
