"""Exact number of genotypes of a space, as a Python integer, without listing them."""

from __future__ import annotations

from collections.abc import Sequence

from nasturtium.errors import SpaceError
from nasturtium.spaces.declare import Choice, Connected, Constraint, Forbid, Graph, Live, Option
from nasturtium.spaces.reach import Reach, Reached, parts_of

_STATE_LIMIT = 200_000
_State = tuple[int, ...]
_NEVER = -1  # the state of a combination that cannot come about any more


class _Rule:
    """A constraint, or a part of the graph, as a counter of its terms that hold.

    Up to the last decision that it names; a part is there where all its terms hold.
    """

    def __init__(
        self,
        kind: str,
        k: int,
        terms: Sequence[tuple[str, tuple[Option, ...]]],
        positions: dict[str, int],
    ) -> None:
        self.kind, self.k, self.terms = kind, k, terms
        self.last = max(positions[name] for name, _ in terms)

    def matches(self, choice: Choice, option: Option) -> int:
        """How many terms hold where the decision has this option."""
        return sum(name == choice.name and among(option, values) for name, values in self.terms)

    def after(self, choice: Choice, state: int, matches: int) -> int | None:
        """The state behind a decision, so many of whose terms hold; None where that is broken."""
        if self.kind == "at_most":
            return state + matches if state + matches <= self.k else None
        if self.kind == "at_least":
            return min(self.k, state + matches)
        own = sum(name == choice.name for name, _ in self.terms)
        if state == _NEVER or matches < own:
            return _NEVER
        return state + own if self.kind == "part" or state + own < self.k else None


def among(option: Option, values: Sequence[Option]) -> bool:
    """Whether an option is one of the values, `1`, `1.0` and `True` told apart."""
    return any(type(v) is type(option) and v == option for v in values)


def _rule(constraint: Constraint, positions: dict[str, int]) -> _Rule:
    assert not isinstance(constraint, (Connected, Live))
    if isinstance(constraint, Forbid):
        return _Rule("forbid", len(constraint.conditions), constraint.conditions, positions)
    terms = [(name, (constraint.value,)) for name in constraint.names]
    return _Rule(constraint.kind, constraint.k, terms, positions)


def _classes(
    choice: Choice, tests: Sequence[tuple[Option, ...]], rules: Sequence[_Rule]
) -> dict[tuple[_State, _State], int]:
    """How many options give each pattern of answers to later conditions and to the rules."""
    counts: dict[tuple[_State, _State], int] = {}
    for option in choice.options:
        pattern = (
            tuple(int(among(option, values)) for values in tests),
            tuple(rule.matches(choice, option) for rule in rules),
        )
        counts[pattern] = counts.get(pattern, 0) + 1
    return counts


def _advance(
    rules: Sequence[_Rule], own: Sequence[int], choice: Choice, i: int, state: _State, new: _State
) -> tuple[_State, list[int]] | None:
    """The counters behind decision i, those that are done with 0, and the parts that are there.

    `own` are the rules that name the decision, `new` how many of their terms hold.
    """
    after = list(state)
    there = []
    for number, matches in zip(own, new, strict=True):
        rule = rules[number]
        now = rule.after(choice, state[number], matches)
        if now is None or (rule.last == i and rule.kind == "at_least" and now < rule.k):
            return None
        if rule.last == i and rule.kind == "part" and now == rule.k:
            there.append(number)
        after[number] = 0 if rule.last == i else now
    return tuple(after), there


def count_genotypes(
    decisions: Sequence[Choice],
    constraints: Sequence[Constraint] = (),
    connected: Graph | None = None,
) -> int:
    """Number of codes, by dynamic programming over what later conditions and constraints ask.

    The state after a decision is the truth of each test `(other, values)` that a later decision
    still makes, and for each constraint how many of its terms hold so far; where the output of a
    graph must be `connected`, also which of its nodes are reached (`Reach`). Equal states are
    merged, so chains, depths and limits cost little. Constraints on the graph are no counts of
    terms, and not taken. Raises `SpaceError` where all that is so entangled that more than 200,000
    states arise.
    """
    positions = {choice.name: i for i, choice in enumerate(decisions)}
    rules = [_rule(constraint, positions) for constraint in constraints]
    parts = parts_of(connected, decisions) if connected else []
    first = len(rules)
    rules += [_Rule("part", len(terms), terms, positions) for _, terms in parts if terms]
    reach = Reach(connected, parts, [rule.last for rule in rules[first:]]) if connected else None
    last: dict[tuple[str, tuple[Option, ...]], int] = {}
    for i, choice in enumerate(decisions):
        for condition in choice.when:
            last[condition] = i
    open_tests: list[tuple[str, tuple[Option, ...]]] = []
    begin: Reached = reach.start if reach else (0, ())
    states: dict[tuple[_State, _State, Reached], int] = {((), (0,) * len(rules), begin): 1}
    for i, choice in enumerate(decisions):
        asked = [open_tests.index(condition) for condition in choice.when]
        own = [test for test in last if test[0] == choice.name]
        kept = [k for k, test in enumerate(open_tests) if last[test] > i]
        named = [r for r, rule in enumerate(rules) if any(n == choice.name for n, _ in rule.terms)]
        classes = _classes(choice, [values for _, values in own], [rules[r] for r in named])
        inactive = {((0,) * len(own), (0,) * len(named)): 1}
        following: dict[tuple[_State, _State, Reached], int] = {}
        for (tests, counters, reached), count in states.items():
            active = all(tests[k] for k in asked)
            rest = tuple(tests[k] for k in kept)
            for (pattern, matches), ways in (classes if active else inactive).items():
                after = _advance(rules, named, choice, i, counters, matches)
                if after is None:
                    continue
                seen = reach.after(i, reached, [r - first for r in after[1]]) if reach else begin
                key = (rest + pattern, after[0], seen)
                following[key] = following.get(key, 0) + count * ways
        if len(following) > _STATE_LIMIT:
            raise SpaceError("the conditions and constraints are too entangled to count genotypes")
        open_tests = [open_tests[k] for k in kept] + own
        states = following
    return sum(
        count for (_, _, reached), count in states.items() if not reach or reach.done(reached)
    )
