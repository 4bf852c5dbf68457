"""Exact number of genotypes of a space, as a Python integer, without listing them."""

from __future__ import annotations

from collections.abc import Sequence

from nasturtium.errors import SpaceError
from nasturtium.spaces.declare import Choice, Connected, Constraint, Forbid, Option

_STATE_LIMIT = 200_000
_State = tuple[int, ...]
_NEVER = -1  # the state of a forbidden combination that cannot come about any more


class _Rule:
    """A constraint as a counter of its terms that hold, up to the last decision that it names."""

    def __init__(self, constraint: Constraint, positions: dict[str, int]) -> None:
        assert not isinstance(constraint, Connected)
        if isinstance(constraint, Forbid):
            self.kind, self.k = "forbid", len(constraint.conditions)
            self.terms = list(constraint.conditions)
        else:
            self.kind, self.k = constraint.kind, constraint.k
            self.terms = [(name, (constraint.value,)) for name in constraint.names]
        self.last = max(positions[name] for name, _ in self.terms)

    def matches(self, choice: Choice, option: Option) -> int:
        """How many terms hold where the decision has this option."""
        return sum(name == choice.name and _among(option, values) for name, values in self.terms)

    def after(self, choice: Choice, state: int, matches: int) -> int | None:
        """The state behind a decision, so many of whose terms hold; None where that is broken."""
        own = sum(name == choice.name for name, _ in self.terms)
        if not own:
            return state
        if self.kind == "forbid":
            if state == _NEVER or matches < own:
                return _NEVER
            return state + own if state + own < self.k else None
        if self.kind == "at_most":
            return state + matches if state + matches <= self.k else None
        return min(self.k, state + matches)


def _among(option: Option, values: Sequence[Option]) -> bool:
    return any(type(v) is type(option) and v == option for v in values)


def _classes(
    choice: Choice, tests: Sequence[tuple[Option, ...]], rules: Sequence[_Rule]
) -> dict[tuple[_State, _State], int]:
    """How many options give each pattern of answers to later conditions and to the rules."""
    counts: dict[tuple[_State, _State], int] = {}
    for option in choice.options:
        pattern = (
            tuple(int(_among(option, values)) for values in tests),
            tuple(rule.matches(choice, option) for rule in rules),
        )
        counts[pattern] = counts.get(pattern, 0) + 1
    return counts


def _advance(
    rules: Sequence[_Rule], choice: Choice, i: int, state: _State, matches: _State
) -> _State | None:
    """The rules' counters behind decision i; those of rules that are done with are 0."""
    after = []
    for rule, old, new in zip(rules, state, matches, strict=True):
        now = rule.after(choice, old, new)
        if now is None or (rule.last == i and rule.kind == "at_least" and now < rule.k):
            return None
        after.append(0 if rule.last == i else now)
    return tuple(after)


def count_genotypes(decisions: Sequence[Choice], constraints: Sequence[Constraint] = ()) -> int:
    """Number of codes, by dynamic programming over what later conditions and constraints ask.

    The state after a decision is the truth of each test `(other, values)` that a later decision
    still makes, and for each constraint how many of its terms hold so far; equal states are merged,
    so chains, depths and limits cost little. Raises `SpaceError` where conditions are so entangled
    that more than 200,000 states arise, and for `connected()`, which is no count of terms.
    """
    if any(isinstance(constraint, Connected) for constraint in constraints):
        raise SpaceError("connected() is counted by listing the architectures only")
    positions = {choice.name: i for i, choice in enumerate(decisions)}
    rules = [_Rule(constraint, positions) for constraint in constraints]
    last: dict[tuple[str, tuple[Option, ...]], int] = {}
    for i, choice in enumerate(decisions):
        for condition in choice.when:
            last[condition] = i
    open_tests: list[tuple[str, tuple[Option, ...]]] = []
    states: dict[tuple[_State, _State], int] = {((), (0,) * len(rules)): 1}
    for i, choice in enumerate(decisions):
        asked = [open_tests.index(condition) for condition in choice.when]
        own = [test for test in last if test[0] == choice.name]
        kept = [k for k, test in enumerate(open_tests) if last[test] > i]
        classes = _classes(choice, [values for _, values in own], rules)
        inactive = {((0,) * len(own), (0,) * len(rules)): 1}
        following: dict[tuple[_State, _State], int] = {}
        for (tests, counters), count in states.items():
            active = all(tests[k] for k in asked)
            rest = tuple(tests[k] for k in kept)
            for (pattern, matches), ways in (classes if active else inactive).items():
                after = _advance(rules, choice, i, counters, matches)
                if after is not None:
                    key = (rest + pattern, after)
                    following[key] = following.get(key, 0) + count * ways
        if len(following) > _STATE_LIMIT:
            raise SpaceError("the conditions and constraints are too entangled to count genotypes")
        open_tests = [open_tests[k] for k in kept] + own
        states = following
    return sum(states.values())
