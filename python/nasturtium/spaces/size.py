"""Exact numbers of genotypes and of classes, without listing what only multiplies them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasturtium.errors import SpaceError
from nasturtium.spaces.count import among, count_genotypes
from nasturtium.spaces.declare import (
    Choice,
    Conditions,
    Connected,
    Constraint,
    Count,
    Forbid,
    Graph,
    Live,
    Option,
)
from nasturtium.spaces.text import space_text

if TYPE_CHECKING:
    from nasturtium import _core

__all__ = ["Declared", "count_classes", "count_valid", "mentioned", "split"]

_MOST = 65536
_Test = tuple[str, tuple[Option, ...]]


@dataclass(frozen=True)
class Declared:
    """What counting needs of a space: decisions, the graph that they become, constraints."""

    name: str
    decisions: tuple[Choice, ...]
    graph: Graph | None
    constraints: tuple[Constraint, ...]

    @property
    def text(self) -> str:
        return space_text(self.name, self.decisions, self.graph, self.constraints, {})


def count_valid(space: Declared, *, limit: int) -> int:
    """Number of valid codes.

    Decisions that no constraint on the graph depends on are counted by `count_genotypes`. Of the
    others, options that no condition, no constraint and no existence of a node or edge tells apart
    are one option that counts several times; what is left is listed, or, where more than `limit`
    codes would be and the constraint is `connected()`, counted over what is reached.

    Raises:
        SpaceError: neither is possible, or as `count_genotypes`.
    """
    if not any(isinstance(c, (Connected, Live)) for c in space.constraints):
        return count_genotypes(space.decisions, space.constraints)
    core, rest = split(space, {name for name, _ in _graph_tests(space)})
    merged, weights = _merged(core)
    codes = count_genotypes(merged.decisions)
    factor = count_genotypes(rest.decisions, rest.constraints)
    if codes > limit and not any(isinstance(c, Live) for c in core.constraints):
        counted = [c for c in core.constraints if not isinstance(c, Connected)]
        return factor * count_genotypes(core.decisions, counted, core.graph)
    _check_limit(space, codes, limit)
    return factor * _weighted(merged, weights)


def count_classes(space: Declared, convention: str, *, rule: bool, limit: int) -> int:
    """Number of classes under a convention of keys that is not `genotype`.

    Decisions without any tie to those that the graph mentions are part of the keys, and multiply
    the classes of the others, which are listed; under a `rule` on strings they are no part. The
    classes of whole cells under `graph` and `function` are generated instead (`orderly`).

    Raises:
        SpaceError: as `count_valid`.
    """
    from nasturtium import _core
    from nasturtium.spaces import orderly

    core, rest = split(space, mentioned(space.graph))
    factor = count_genotypes(rest.decisions, rest.constraints)
    if factor == 0:
        return 0
    if convention in ("graph", "function"):
        found = orderly.count(core, convention)
        if found is not None:
            return factor * found
    _check_limit(space, count_genotypes(core.decisions), limit)
    program, known = _core.Program(core.text), _core.KeyMap()
    for codes in _listed(program):
        keys = program.keys(codes, convention, None, 1)
        known.insert(keys, np.empty(len(codes), np.uint64), np.empty(len(codes), np.bool_))
    return known.size * (1 if rule else factor)


def mentioned(graph: Graph | None) -> set[str]:
    """The names of the decisions that a graph's labels and conditions mention."""
    names: set[str] = set()
    for part in graph.parts if graph else []:
        names |= {choice.name for choice in part.label if isinstance(choice, Choice)}
        names |= {name for name, _ in part.when}
    return names


def split(space: Declared, joined: Iterable[str]) -> tuple[Declared, Declared]:
    """The decisions that conditions and constraints tie to those in `joined`, and the others.

    The first part has the graph and at least one decision.
    """
    group = {choice.name: choice.name for choice in space.decisions}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    ties = [[choice.name, *(name for name, _ in choice.when)] for choice in space.decisions]
    ties += [_names(constraint) for constraint in space.constraints]
    ties.append(list(joined))
    for tie in ties:
        for name in tie[1:]:
            group[root(name)] = root(tie[0])
    first = root(ties[-1][0] if ties[-1] else space.decisions[0].name)
    inside = [root(choice.name) == first for choice in space.decisions]
    held = [not (names := _names(c)) or root(names[0]) == first for c in space.constraints]
    parts = []
    for wanted in (True, False):
        decisions = [c for c, is_in in zip(space.decisions, inside, strict=True) if is_in == wanted]
        constraints = [c for c, is_in in zip(space.constraints, held, strict=True)
                       if is_in == wanted]  # fmt: skip
        graph = space.graph if wanted else None
        parts.append(Declared(space.name, tuple(decisions), graph, tuple(constraints)))
    return parts[0], parts[1]


def _names(constraint: Constraint) -> list[str]:
    if isinstance(constraint, Forbid):
        return [name for name, _ in constraint.conditions]
    return list(constraint.names) if isinstance(constraint, Count) else []


def _graph_tests(space: Declared) -> list[_Test]:
    """What decides which nodes and edges exist, and which of them a constraint counts."""
    if space.graph is None:
        return []
    counted = [c.operations for c in space.constraints if isinstance(c, Live) and c.operations]
    tests: list[_Test] = []
    for part in space.graph.parts:
        tests += part.when
        head = part.label[0]
        if isinstance(head, Choice):
            tests += [(head.name, values) for values in (space.graph.zero, *counted)]
    return tests


def _merged(space: Declared) -> tuple[Declared, list[list[int]]]:
    """The space with one option for all that nothing tells apart, and how many each stands for."""
    tests = _graph_tests(space)
    for choice in space.decisions:
        tests += choice.when
    for constraint in space.constraints:
        if isinstance(constraint, Forbid):
            tests += constraint.conditions
        elif isinstance(constraint, Count):
            tests += [(name, (constraint.value,)) for name in constraint.names]
    kept: dict[str, list[Option]] = {}
    weights = []
    for choice in space.decisions:
        asked = [values for name, values in tests if name == choice.name]
        patterns = [tuple(among(option, values) for values in asked) for option in choice.options]
        first = list(dict.fromkeys(patterns))
        kept[choice.name] = [choice.options[patterns.index(pattern)] for pattern in first]
        weights.append([patterns.count(pattern) for pattern in first])

    def when(conditions: Conditions) -> dict[str, tuple[Option, ...]]:
        return {name: tuple(option for option in kept[name] if among(option, values))
                for name, values in conditions}  # fmt: skip

    made = {c.name: Choice(c.name, kept[c.name], when(c.when)) for c in space.decisions}
    constraints = [Forbid(tuple(when(c.conditions).items())) if isinstance(c, Forbid) else c
                   for c in space.constraints]  # fmt: skip
    graph = None
    if space.graph is not None:
        graph = Graph(zero=space.graph.zero, identity=())
        for node in space.graph.nodes:
            graph.node(node.name, _head(node.label[0], made), when(node.when))
        for edge in space.graph.edges:
            graph.edge(edge.src, edge.dst, _head(edge.label[0], made), when(edge.when))
    return Declared(space.name, tuple(made.values()), graph, tuple(constraints)), weights


def _head(head: str | Choice, made: dict[str, Choice]) -> str | Choice:
    return made[head.name] if isinstance(head, Choice) else head


def _weighted(space: Declared, weights: Sequence[Sequence[int]]) -> int:
    """The sum over the valid codes of the product of their active options' weights."""
    from nasturtium import _core

    columns = [i for i, row in enumerate(weights) if max(row) > 1]
    bound = math.prod(max(weights[i]) for i in columns) * _MOST
    table = np.ones((len(columns), max(map(len, weights))), np.int64 if bound < 2**63 else object)
    for at, i in enumerate(columns):
        table[at, : len(weights[i])] = weights[i]
    program = _core.Program(space.text)
    total = 0
    for codes in _listed(program):
        active = np.empty(codes.shape, np.bool_)
        program.active(codes, active, 1)
        chosen = table[np.arange(len(columns)), codes[:, columns]]
        total += int(np.where(active[:, columns], chosen, 1).prod(axis=1).sum())
    return total


def _listed(program: _core.Program) -> Iterator[NDArray[np.uint8]]:
    """The valid codes of a compiled space in batches."""
    start: NDArray[np.uint8] | None = None
    while True:
        codes, start = program.enumerate_range(start, None, _MOST)
        yield codes
        if start is None:
            return


def _check_limit(space: Declared, codes: int, limit: int) -> None:
    if codes > limit:
        raise SpaceError(
            f"space {space.name!r} has {codes:,} genotypes that differ for this, too many to "
            f"enumerate (limit {limit:,})"
        )
