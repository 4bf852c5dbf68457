"""What yields a number for an architecture. Importing this package does not import torch."""

from nasturtium.evaluators.base import STATUSES, Evaluator, Result
from nasturtium.evaluators.function import FunctionEvaluator
from nasturtium.evaluators.recipe import Recipe
from nasturtium.evaluators.table import Table
from nasturtium.evaluators.training import TrainingEvaluator

__all__ = [
    "STATUSES",
    "Evaluator",
    "FunctionEvaluator",
    "Recipe",
    "Result",
    "Table",
    "TrainingEvaluator",
]
