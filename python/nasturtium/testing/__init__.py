"""Checks for optimizers, of this library and of others."""

from nasturtium.testing.optimizers import OPTIMIZER_CHECKS, Factory, check_optimizer
from nasturtium.testing.toy import Problem, Toy, drive, sign_test

__all__ = ["OPTIMIZER_CHECKS", "Factory", "Problem", "Toy", "check_optimizer", "drive", "sign_test"]
