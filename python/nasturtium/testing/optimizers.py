"""What every optimizer must hold to, whatever it does: one function for each promise."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from nasturtium.errors import MethodError, SpaceExhausted, UserError
from nasturtium.search.base import (
    Allowed,
    Codes,
    Fidelity,
    Mask,
    Observation,
    Optimizer,
    Proposal,
    Space,
)
from nasturtium.testing.toy import Toy, drive

__all__ = ["OPTIMIZER_CHECKS", "Factory", "check_optimizer"]

LADDER: tuple[Fidelity, ...] = ({"epochs": 2}, {"epochs": 8})


class Factory(Protocol):
    """Makes an optimizer, as a registered method does."""

    def __call__(
        self,
        space: Space,
        *,
        seed: int,
        allowed: Allowed | None = None,
        fidelities: Sequence[Fidelity] | None = None,
    ) -> Optimizer: ...


def check_optimizer(factory: Factory, space: Space) -> None:
    """Run every check of OPTIMIZER_CHECKS; the first broken promise raises AssertionError.

    The space must be small enough to be enumerated (100,000 codes) and have at least 300 functions.
    """
    for check in OPTIMIZER_CHECKS.values():
        check(factory, space)


def proposals_are_valid(factory: Factory, space: Space) -> None:
    """Each proposal is a valid, allowed architecture at a fidelity of the ladder."""
    even = _Even()
    search = factory(space, seed=1, allowed=even, fidelities=LADDER)
    for number, seen in enumerate(drive(search, Toy(space), trials=80, lag=4)):
        _check_proposal(space, seen.proposal, number)
        assert even(np.asarray(seen.proposal.arch.code)[None])[0], "a limit is not kept"
    assert number == 79, f"only {number + 1} of 80 proposals were made"


def one_seed_one_run(factory: Factory, space: Space) -> None:
    """The same seed gives the same proposals, another seed gives others."""
    first, again, other = (
        [seen.proposal for seen in drive(_new(factory, space, s), Toy(space), trials=40, lag=3)]
        for s in (5, 5, 6)
    )
    assert first == again, "two runs with one seed differ"
    assert first != other, "two seeds give one run"


def asking_in_batches_changes_nothing(factory: Factory, space: Space) -> None:
    """`ask(6)` equals six times `ask()`, and leaves what was told as it was."""
    toy = Toy(space)
    one, six = _new(factory, space, 2), _new(factory, space, 2)
    for start in range(0, 60, 6):
        singly = [one.ask()[0] for _ in range(6)]
        batch = six.ask(6)
        assert singly == batch, "ask(6) differs from six times ask()"
        told = [toy.observe(start + i, p) for i, p in enumerate(batch)]
        copy = [replace(o, values=dict(o.values)) for o in told]
        one.tell(told)
        six.tell(told)
        assert told == copy, "tell changed an observation"


def pending_proposals_are_known(factory: Factory, space: Space) -> None:
    """No function is proposed while it is being evaluated."""
    search = _new(factory, space, 3)
    toy = Toy(space)
    number = 0
    for waiting in (48, 24, 24):
        batch = search.ask(waiting)
        keys = [p.arch.key("function") for p in batch]
        assert len(set(keys)) == len(keys), "a pending function was proposed again"
        search.tell([toy.observe(number + i, p) for i, p in enumerate(batch)])
        number += len(batch)


def state_round_trip(factory: Factory, space: Space) -> None:
    """An optimizer loaded from a state, as JSON, goes on like the one that wrote it."""
    toy = Toy(space)
    for trials in (0, 3, 30, 70):
        search = _new(factory, space, 4)
        number = sum(1 for _ in drive(search, toy, trials=trials))
        waiting = [toy.observe(number + i, p) for i, p in enumerate(search.ask(3))]
        text = json.dumps(search.state(), allow_nan=False)
        loaded = _new(factory, space, 4)
        loaded.load(json.loads(text))
        assert json.dumps(loaded.state(), allow_nan=False) == text, "load, state changes the state"
        for observation in waiting:
            search.tell([observation])
            loaded.tell([observation])
            for _ in range(4):
                ours, theirs = search.ask(), loaded.ask()
                assert ours == theirs, f"after {trials} trials the loaded one goes another way"


def replay_gives_the_same_proposals(factory: Factory, space: Space) -> None:
    """Killed after any number of trials and rebuilt by replay, it makes the same proposals."""
    toy = Toy(space)
    whole = list(drive(_new(factory, space, 7), toy, trials=50, lag=4))
    for killed in (1, 13, 37):
        search = _new(factory, space, 7)
        for number in range(50):
            if number >= 4:
                search.tell([whole[number - 4]])
            assert search.ask() == [whole[number].proposal], "a replay differs"
            if number == killed:
                state = json.loads(json.dumps(search.state()))
                search = _new(factory, space, 7)
                search.load(state)


def results_come_in_any_order(factory: Factory, space: Space) -> None:
    """Batches told backwards, and the oldest result last of all, are fine."""
    toy = Toy(space)
    search = _new(factory, space, 8)
    (first,) = search.ask()
    number = 1
    for _ in range(10):
        batch = [toy.observe(number + i, p) for i, p in enumerate(search.ask(5))]
        number += 5
        search.tell(batch[::-1])
        for observation in batch:
            _check_proposal(space, observation.proposal, observation.number)
    search.tell([toy.observe(0, first)])
    _check_proposal(space, search.ask()[0], number)


def failures_break_nothing(factory: Factory, space: Space) -> None:
    """Failed, diverged, NaN and infinite results are taken; a state with them is JSON."""
    search = _new(factory, space, 9)
    toy = Toy(space)
    broken: list[dict[str, Any]] = [
        {"status": "failed", "score": None, "curve": ()},
        {"score": math.nan, "curve": (math.nan, math.inf)},
        {"status": "diverged", "score": -math.inf},
        {"score": math.inf},
        {"status": "timeout", "score": None, "values": {"params": math.nan}},
    ]
    for number in range(90):
        (proposal,) = search.ask()
        _check_proposal(space, proposal, number)
        seen = toy.observe(number, proposal)
        search.tell([replace(seen, **broken[number % 5]) if number % 3 else seen])
    json.dumps(search.state(), allow_nan=False)


def all_trials_may_fail(factory: Factory, space: Space) -> None:
    """A hundred failures in a row, and still a valid proposal."""
    search = _new(factory, space, 10)
    for number in range(100):
        (proposal,) = search.ask()
        _check_proposal(space, proposal, number)
        search.tell([Observation(number, proposal, "crashed", None)])


def a_space_runs_out(factory: Factory, space: Space) -> None:
    """Every allowed function is proposed; then SpaceExhausted, or a repetition of a told one."""
    few = _Few(space, 12)
    search = factory(space, seed=11, allowed=few, fidelities=LADDER)
    waiting = search.ask(12)
    assert {p.arch.key("function") for p in waiting} == few.keys, "an allowed function is missing"
    for _ in range(2):
        try:
            more = search.ask()
        except SpaceExhausted:
            continue
        raise AssertionError(f"{more[0].arch} is proposed a second time while it is evaluated")
    toy = Toy(space)
    search.tell([toy.observe(i, p) for i, p in enumerate(waiting)])
    for seen in drive(_Shifted(search, 12), toy, trials=60):
        assert seen.proposal.arch.key("function") in few.keys, "a limit is not kept"


def impossible_limits_are_refused(factory: Factory, space: Space) -> None:
    """Limits that no architecture meets give a UserError, not an endless loop."""
    search = factory(space, seed=12, allowed=lambda codes: np.zeros(len(codes), dtype=np.bool_))
    try:
        search.ask()
    except SpaceExhausted:
        raise AssertionError("impossible limits look like a space that ran out") from None
    except UserError as error:
        assert "limits" in str(error) and "\n" not in str(error), str(error)
    else:
        raise AssertionError("a proposal outside the limits")


def wrong_results_are_refused(factory: Factory, space: Space) -> None:
    """A result for an unknown proposal, and a second one, raise and change nothing."""
    search = _new(factory, space, 13)
    (proposal,) = search.ask()
    seen = Toy(space).observe(0, proposal)
    search.tell([seen])
    before = json.dumps(search.state())
    for wrong in (seen, replace(seen, number=1), replace(seen, number=-1)):
        try:
            search.tell([wrong])
        except MethodError:
            assert json.dumps(search.state()) == before, "a refused result left a trace"
        else:
            raise AssertionError(f"result {wrong.number} was taken")


OPTIMIZER_CHECKS: dict[str, Callable[[Factory, Space], None]] = {
    check.__name__: check
    for check in (
        proposals_are_valid,
        one_seed_one_run,
        asking_in_batches_changes_nothing,
        pending_proposals_are_known,
        state_round_trip,
        replay_gives_the_same_proposals,
        results_come_in_any_order,
        failures_break_nothing,
        all_trials_may_fail,
        a_space_runs_out,
        impossible_limits_are_refused,
        wrong_results_are_refused,
    )
}


class _Even:
    """Allows codes whose decisions add up to an even number."""

    def __call__(self, codes: Codes) -> Mask:
        even: Mask = codes.astype(np.int64).sum(axis=1) % 2 == 0
        return even


class _Few:
    """Allows the first `count` functions of a space only."""

    def __init__(self, space: Space, count: int) -> None:
        self.space = space
        keys = [space.architecture(c).key("function") for c in space.enumerate()[:4096]]
        self.keys = set(list(dict.fromkeys(keys))[:count])
        assert len(self.keys) == count, f"the space has fewer than {count} functions"

    def __call__(self, codes: Codes) -> Mask:
        keys = (self.space.architecture(c).key("function") for c in codes)
        return np.fromiter((k in self.keys for k in keys), np.bool_, len(codes))


class _Shifted:
    """An optimizer that has made `made` proposals, seen by a loop that counts from 0."""

    def __init__(self, search: Optimizer, made: int) -> None:
        self.search, self.made = search, made
        self.ask, self.state, self.load = search.ask, search.state, search.load

    def tell(self, observations: Sequence[Observation]) -> None:
        self.search.tell([replace(o, number=o.number + self.made) for o in observations])


def _new(factory: Factory, space: Space, seed: int) -> Optimizer:
    return factory(space, seed=seed, fidelities=LADDER)


def _check_proposal(space: Space, proposal: Proposal, number: int) -> None:
    code = np.asarray(proposal.arch.code)
    assert proposal.arch.space == space, "an architecture of another space"
    assert bool(space.valid(code[None])[0]), f"{proposal.arch} is not valid"
    assert proposal.fidelity in LADDER, f"fidelity {proposal.fidelity} is not on the ladder"
    assert proposal.origin, "a proposal without an origin"
    assert proposal.parent is None or 0 <= proposal.parent < number, "a parent from the future"
    epochs = proposal.fidelity["epochs"]
    assert all(0 < e < epochs and math.isfinite(v) for e, v in proposal.stop.items()), "bad stop"
