"""Every registered method against the public suite, and the suite against broken methods."""

from __future__ import annotations

import numpy as np
import pytest

from nasturtium import registry
from nasturtium.search import Composition, random_search
from nasturtium.spaces import Choice, Space, nb201
from nasturtium.testing import OPTIMIZER_CHECKS, Toy, check_optimizer, drive, sign_test

METHODS = [info.id for info in registry.infos("method")]
BASELINES = {"random-search"}


def conditional_space():
    kind = Choice("kind", ("conv", "pool", "none"))
    kernel = Choice("kernel", (1, 3, 5, 7, 9), when={kind: ("conv",)})
    depth = Choice("depth", (1, 2, 3, 4, 5, 6))
    width = Choice("width", tuple(range(8, 104, 8)))
    return Space("conditional", [kind, kernel, depth, width])


@pytest.mark.parametrize("check", OPTIMIZER_CHECKS)
@pytest.mark.parametrize("method", METHODS)
def test_method(method, check):
    OPTIMIZER_CHECKS[check](registry.factory(method, "method"), nb201())


@pytest.mark.parametrize("method", METHODS)
def test_method_on_a_space_with_conditions(method):
    check_optimizer(registry.factory(method, "method"), conditional_space())


@pytest.mark.parametrize("method", [m for m in METHODS if m not in BASELINES])
def test_better_than_random_search_at_equal_cost(method):
    space, ladder = nb201(), ({"epochs": 2}, {"epochs": 8})
    make = registry.factory(method, "method")
    options = {"population": 12, "sample": 6} if method == "regularized-evolution" else {}
    found = {name: [] for name in ("method", "random")}
    for seed in range(20):
        toy = Toy(space, seed=seed)
        for name, search in (
            ("method", make(space, seed=seed, fidelities=ladder, **options)),
            ("random", random_search(space, seed=seed, fidelities=ladder)),
        ):
            seen = list(drive(search, toy, trials=2000, lag=4, budget=60 * 8))
            top = [o for o in seen if o.status == "ok" and o.proposal.fidelity["epochs"] == 8]
            best = max(top, key=lambda o: o.score)
            found[name].append(float(toy.true(np.asarray(best.proposal.arch.code)[None])[0]))
    assert sign_test(found["method"], found["random"]) < 0.01


class _Wrapped:
    """Random search with one promise broken."""

    def __init__(self, space, **context):
        self.inner: Composition = random_search(space, **context)
        self.ask, self.tell = self.inner.ask, self.inner.tell
        self.state, self.load = self.inner.state, self.inner.load


class ForgetsItsState(_Wrapped):
    def __init__(self, space, **context):
        super().__init__(space, **context)
        self.load = lambda state: None


class IgnoresLimits(_Wrapped):
    def __init__(self, space, *, allowed=None, **context):
        super().__init__(space, **context)


class TakesAnything(_Wrapped):
    def __init__(self, space, **context):
        super().__init__(space, **context)
        self.tell = lambda observations: None


class UsesAGlobalGenerator(_Wrapped):
    count = 0

    def __init__(self, space, *, seed, **context):
        UsesAGlobalGenerator.count += 1
        super().__init__(space, seed=seed + UsesAGlobalGenerator.count, **context)


class RepeatsPendingOnes(_Wrapped):
    def __init__(self, space, **context):
        super().__init__(space, **context)
        self.ask = lambda n=1: self.inner.ask(1) * n


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (ForgetsItsState, "state_round_trip"),
        (ForgetsItsState, "replay_gives_the_same_proposals"),
        (IgnoresLimits, "proposals_are_valid"),
        (IgnoresLimits, "a_space_runs_out"),
        (IgnoresLimits, "impossible_limits_are_refused"),
        (TakesAnything, "wrong_results_are_refused"),
        (UsesAGlobalGenerator, "one_seed_one_run"),
        (RepeatsPendingOnes, "pending_proposals_are_known"),
        (RepeatsPendingOnes, "asking_in_batches_changes_nothing"),
    ],
)
def test_the_suite_finds_broken_methods(broken, check):
    with pytest.raises(AssertionError):
        OPTIMIZER_CHECKS[check](broken, nb201())
