"""The one implementation of the `Optimizer` protocol: bookkeeping around a proposer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from nasturtium.errors import MethodError, SpaceExhausted
from nasturtium.search.base import Fidelity, Observation, Proposal, Space
from nasturtium.search.curves import CurveStop
from nasturtium.search.history import Draft, History, Trial
from nasturtium.search.plan import Plan, core_part

__all__ = ["Composition", "Proposer"]


class Proposer(Protocol):
    """Decides what to propose next.

    What it knows follows from the history and from the counters of its random draws: `rewind`
    sets the counters back, `restore` rebuilds everything.
    """

    def propose(self, history: History) -> Draft: ...

    def asked(self, trial: Trial) -> None: ...

    def told(self, trial: Trial) -> None: ...

    def counters(self) -> dict[str, int]: ...

    def rewind(self, counters: Mapping[str, int]) -> None: ...

    def restore(self, counters: Mapping[str, int], history: History) -> None: ...


class Composition:
    """An optimizer made of a proposer and, optionally, an early stopping rule.

    `fidelities` are the rungs, low to high; a draft's rung picks one.
    """

    def __init__(
        self,
        space: Space,
        proposer: Proposer,
        *,
        name: str,
        fidelities: Sequence[Fidelity],
        stop: CurveStop | None = None,
    ) -> None:
        self.space = space
        self.proposer = proposer
        self.name = name
        self.fidelities = [dict(f) for f in fidelities]
        self.stop = stop
        self.history = History()

    def ask(self, n: int = 1) -> list[Proposal]:
        """The next `n` proposals, or fewer when the space runs out.

        Raises SpaceExhausted when there is none; results that are still missing may change that.
        """
        made: list[Proposal] = []
        for _ in range(n):
            before = self.proposer.counters()
            try:
                draft = self.proposer.propose(self.history)
            except SpaceExhausted:
                # A refused ask leaves no trace: a replay that does not repeat it stays in step.
                self.proposer.rewind(before)
                if not made:
                    raise
                break
            trial = self.history.add(draft)
            self.proposer.asked(trial)
            made.append(self._proposal(trial, draft.origin))
        return made

    def tell(self, observations: Sequence[Observation]) -> None:
        """Take results. Raises MethodError for an unknown number or a second result."""
        for observation in observations:
            self.proposer.told(self.history.finish(observation))

    def state(self) -> dict[str, Any]:
        """Everything that the next proposals depend on, as JSON."""
        return {
            "version": 2,
            "method": self.name,
            "space": self.space.fingerprint,
            "fidelities": self.fidelities,
            "counters": self.proposer.counters(),
            "trials": self.history.state(),
            "told": self.history.told,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of an optimizer made with the same arguments.

        Raises MethodError when it belongs to another method, space or ladder of fidelities.
        """
        for key, own in (
            ("version", 2),
            ("method", self.name),
            ("space", self.space.fingerprint),
            ("fidelities", self.fidelities),
        ):
            if state.get(key) != own:
                raise MethodError(
                    f"the stored state belongs to another {key}: {json.dumps(state.get(key))}, "
                    f"not {json.dumps(own)}"
                )
        self.history = History.from_state(state["trials"], state["told"])
        self.proposer.restore(state["counters"], self.history)

    def plan(self) -> Plan:
        """The method from its beginning, as the core executes it.

        Raises MethodError that names the first part that is no part of the core.
        """
        core_part(self, Composition)
        if self.stop is not None:
            raise MethodError(f"{type(self.stop).__name__} is no part of the core")
        described = getattr(self.proposer, "plan", None)
        if described is None:
            raise MethodError(f"{type(self.proposer).__name__} is no part of the core")
        return Plan(tuple(self.fidelities), **described())

    def _proposal(self, trial: Trial, origin: str) -> Proposal:
        fidelity = self.fidelities[trial.rung]
        stop: dict[int, float] = {}
        if self.stop is not None and "epochs" in fidelity:
            stop = self.stop.thresholds(
                self.history.trials, rung=trial.rung, epochs=fidelity["epochs"]
            )
        arch = self.space.architecture(trial.code)
        return Proposal(arch, dict(fidelity), origin, trial.parent, stop)
