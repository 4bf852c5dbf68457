"""Exact number of genotypes of a space without constraints, as a Python integer."""

from __future__ import annotations

from collections.abc import Sequence

from nasturtium.errors import SpaceError
from nasturtium.spaces.declare import Choice, Option

_STATE_LIMIT = 200_000
_State = tuple[int, ...]


def _classes(choice: Choice, tests: Sequence[tuple[Option, ...]]) -> dict[_State, int]:
    """How many options give each pattern of answers to the tests that later decisions make."""
    counts: dict[_State, int] = {}
    for option in choice.options:
        pattern = tuple(
            int(any(type(v) is type(option) and v == option for v in values)) for values in tests
        )
        counts[pattern] = counts.get(pattern, 0) + 1
    return counts


def count_genotypes(decisions: Sequence[Choice]) -> int:
    """Number of codes, by dynamic programming over what later conditions ask.

    The state after a decision is the truth of each test `(other, values)` that a later decision
    still makes; equal states are merged, so chains and depth conditions cost little. Raises
    `SpaceError` where conditions are so entangled that more than 200,000 states arise.
    """
    last: dict[tuple[str, tuple[Option, ...]], int] = {}
    for i, choice in enumerate(decisions):
        for condition in choice.when:
            last[condition] = i
    open_tests: list[tuple[str, tuple[Option, ...]]] = []
    states: dict[_State, int] = {(): 1}
    for i, choice in enumerate(decisions):
        asked = [open_tests.index(condition) for condition in choice.when]
        own = [test for test in last if test[0] == choice.name]
        kept = [k for k, test in enumerate(open_tests) if last[test] > i]
        classes = _classes(choice, [values for _, values in own])
        inactive = {(0,) * len(own): 1}
        following: dict[_State, int] = {}
        for state, count in states.items():
            active = all(state[k] for k in asked)
            rest = tuple(state[k] for k in kept)
            for pattern, ways in (classes if active else inactive).items():
                following[rest + pattern] = following.get(rest + pattern, 0) + count * ways
        if len(following) > _STATE_LIMIT:
            raise SpaceError("the activity conditions are too entangled to count the genotypes")
        open_tests = [open_tests[k] for k in kept] + own
        states = following
    return sum(states.values())
