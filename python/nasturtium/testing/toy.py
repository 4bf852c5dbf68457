"""A problem with a known answer for any search space, and a loop that runs an optimizer on it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nasturtium import rng
from nasturtium.errors import SpaceExhausted
from nasturtium.search.base import Codes, Observation, Optimizer, Proposal, Space

__all__ = ["Problem", "Toy", "drive", "sign_test"]


@dataclass(frozen=True)
class Toy:
    """A score for every architecture of a space, at any number of epochs.

    The true score is a sum over active decisions of a random weight of the option taken; after e
    epochs it is seen with an error of size `noise` / sqrt(e) that is a function of the
    architecture and e. Neighbors have similar scores, so that a local search can profit.
    """

    space: Space
    seed: int = 0
    noise: float = 0.5
    weights: npt.NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        shape = (len(self.space.decisions), max(len(c.options) for c in self.space.decisions))
        drawn = rng.Stream(rng.derive(self.seed, "toy")).uniform(shape[0] * shape[1])
        object.__setattr__(self, "weights", drawn.reshape(shape))

    def true(self, codes: Codes) -> npt.NDArray[np.float64]:
        """The score without error of uint8[n, d], as float64[n]."""
        taken = self.weights[np.arange(codes.shape[1])[None], codes]
        total: npt.NDArray[np.float64] = np.where(self.space.active(codes), taken, 0.0).sum(axis=1)
        return total

    def scores(self, code: Codes, epochs: int) -> list[float]:
        """What an evaluation of one code uint8[d] sees after 1, 2, … `epochs` epochs."""
        true = float(self.true(code[None])[0])
        name = code.tobytes().hex()
        seen = []
        for epoch in range(1, epochs + 1):
            error = rng.derive(self.seed, "error", name, epoch) / 2**63 - 0.5
            seen.append(true + self.noise * error / math.sqrt(epoch))
        return seen

    def observe(self, number: int, proposal: Proposal) -> Observation:
        """The result of a proposal, with its learning curve; obeys the proposal's `stop`."""
        code = np.asarray(proposal.arch.code)
        scores = self.scores(code, proposal.fidelity.get("epochs", 1))
        curve: list[float] = []
        for epoch, score in enumerate(scores, start=1):
            curve.append(score - 1.0 / epoch)
            if epoch < len(scores) and curve[-1] < proposal.stop.get(epoch, -math.inf):
                return Observation(number, proposal, "stopped", curve[-1], {}, tuple(curve))
        params = float(code.astype(np.int64).sum())
        return Observation(number, proposal, "ok", scores[-1], {"params": params}, tuple(curve))


class Problem(Protocol):
    """Something that can be asked for the result of a proposal."""

    def observe(self, number: int, proposal: Proposal) -> Observation: ...


def drive(
    optimizer: Optimizer, problem: Problem, *, trials: int, lag: int = 1, budget: float = math.inf
) -> Iterator[Observation]:
    """Ask, evaluate and tell, proposal n being asked when results 0 … n - lag were told.

    Ends after `trials` results, when the next evaluation would exceed `budget` epochs, or when
    the space runs out.
    """
    pending: deque[Observation] = deque()
    spent = 0.0
    number = 0
    while number < trials:
        while len(pending) >= lag:
            optimizer.tell([pending[0]])
            yield pending.popleft()
        try:
            (proposal,) = optimizer.ask()
        except SpaceExhausted:
            if not pending:
                return
            optimizer.tell([pending[0]])
            yield pending.popleft()
            continue
        spent += math.prod(proposal.fidelity.values())
        if spent > budget:
            break
        pending.append(problem.observe(number, proposal))
        number += 1
    yield from pending


def sign_test(first: Sequence[float], second: Sequence[float]) -> float:
    """One-sided p-value that `first` is larger than `second`, pair by pair; ties are left out."""
    wins = sum(bool(a > b) for a, b in zip(first, second, strict=True))
    losses = sum(bool(a < b) for a, b in zip(first, second, strict=True))
    n = wins + losses
    return float(sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n)
