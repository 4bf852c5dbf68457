"""The protocol that every search method follows, and the two records that cross it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nasturtium.spaces import Architecture, Space

__all__ = [
    "Allowed",
    "Codes",
    "Fidelity",
    "Mask",
    "Observation",
    "Optimizer",
    "Proposal",
    "Space",
    "usable",
]

Codes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Allowed = Callable[[Codes], Mask]
Fidelity = Mapping[str, int]


@dataclass(frozen=True)
class Proposal:
    """An architecture to evaluate.

    `fidelity` says how thoroughly, e.g. `{"epochs": 9}`; `origin` in words where it comes from;
    `parent` is the number of the proposal that it was made from; `stop` maps an epoch (from 1) to
    the score below which the training ends there.
    """

    arch: Architecture
    fidelity: Fidelity
    origin: str
    parent: int | None = None
    stop: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation:
    """What came of proposal `number`.

    `status` is "ok" or why there is no full result (failed, diverged, stopped, timeout, crashed);
    `score` is maximized, and None or NaN where there is none; `values` holds what else was
    measured (params, macs, …); `curve` the score after each epoch.
    """

    number: int
    proposal: Proposal
    status: str
    score: float | None
    values: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[float, ...] = ()


@runtime_checkable
class Optimizer(Protocol):
    """Proposes architectures and learns from what came of them; never evaluates anything.

    Proposals are numbered 0, 1, … in the order in which they are asked. Results may come late, in
    any order, in batches, failed or NaN; each proposal is told once. `ask` raises SpaceExhausted
    when nothing is left to propose.
    """

    def ask(self, n: int = 1) -> list[Proposal]: ...

    def tell(self, observations: Sequence[Observation]) -> None: ...

    def state(self) -> dict[str, Any]: ...

    def load(self, state: Mapping[str, Any]) -> None: ...


def usable(observation: Observation) -> float | None:
    """The score of a finished evaluation, or None where it failed, was cut or is not finite."""
    score = observation.score
    if observation.status != "ok" or score is None or not math.isfinite(score):
        return None
    return float(score)
