"""A method that is made of parts of the core, described so that the core can execute it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nasturtium.errors import MethodError
from nasturtium.search.base import Fidelity

__all__ = ["Plan", "core_part"]


@dataclass(frozen=True)
class Plan:
    """What a composition does, without its code; `SearchPlan` of simulate.hpp says it in C++.

    Attributes:
        fidelities: of the rungs, low to high.
        keys: the seeds of the draws, by what they are for; no part of a comparison.
        repeats, tries, small: of `Fresh`; `small`: what is left of the space may be listed.
        rung, starts: of `Random`; each start the bytes of a code.
        population, sample, initial, mutants, explore, by_rung: of `Ageing`; population 0: all
            proposals are drawn.
        halving, etas: of `Halving`.
    """

    fidelities: tuple[Fidelity, ...]
    keys: Mapping[str, int] = field(compare=False)
    repeats: bool
    tries: int
    small: bool
    rung: int
    starts: tuple[bytes, ...]
    population: int = 0
    sample: int = 0
    initial: int = 0
    mutants: int = 0
    explore: float = 0.0
    by_rung: bool = False
    halving: bool = False
    etas: tuple[int, ...] = ()


def core_part(part: object, expected: type) -> None:
    """Raises MethodError where a part is not exactly the one that the core has.

    A subclass may do anything else, so it is another part.
    """
    if type(part) is not expected:
        raise MethodError(f"{type(part).__name__} is no part of the core")
