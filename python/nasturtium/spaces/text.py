"""The line-based text form of a space: what the core compiles and the fingerprint covers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nasturtium.errors import SpaceError, nearest
from nasturtium.spaces.declare import (
    Choice,
    Conditions,
    Connected,
    Constraint,
    Count,
    Forbid,
    Graph,
    Label,
    Live,
    Option,
    option_text,
)

HEADER = "nasturtium-space 1"


def token(value: Option) -> str:
    """A value as the text form writes it: strings quoted, numbers and booleans bare."""
    return f'"{value}"' if isinstance(value, str) else option_text(value)


def _known(name: str, decisions: Mapping[str, Choice], owner: str) -> Choice:
    if name not in decisions:
        raise SpaceError(f"{owner}: unknown decision {name!r}; {nearest(name, tuple(decisions))}")
    return decisions[name]


def _values(
    name: str, values: Iterable[Option], decisions: Mapping[str, Choice], owner: str
) -> str:
    choice = _known(name, decisions, owner)
    return " ".join([name, *(token(choice.options[choice.index(value)]) for value in values)])


def _when(listed: Conditions, decisions: Mapping[str, Choice], owner: str) -> str:
    return "".join(f" when {_values(name, v, decisions, owner)}" for name, v in listed)


def _label(label: Label, decisions: Mapping[str, Choice], owner: str) -> str:
    parts = []
    for part in label:
        if isinstance(part, Choice):
            if _known(part.name, decisions, owner) != part:
                raise SpaceError(f"{owner}: another decision is named {part.name!r} too")
            parts.append(f"${part.name}")
        else:
            parts.append(token(part))
    return " ".join(parts)


def _graph_lines(graph: Graph, decisions: Mapping[str, Choice]) -> list[str]:
    lines = []
    kinds = {
        "zero": graph.zero,
        "identity": graph.identity,
        "weightless": graph.weightless,
        "concat": graph.concat,
    }
    for kind, names in kinds.items():
        if names:
            lines.append(" ".join([kind, *(token(name) for name in names)]))
    for node in graph.nodes:
        owner = f"node {node.name!r}"
        label = _label(node.label, decisions, owner)
        lines.append(f"node {node.name} {label}{_when(node.when, decisions, owner)}")
    for edge in graph.edges:
        owner = f"edge {edge.src!r} -> {edge.dst!r}"
        label = _label(edge.label, decisions, owner)
        when = _when(edge.when, decisions, owner)
        lines.append(f"edge {edge.src} {edge.dst} {label}{when}")
    return lines


def _constraint_line(constraint: Constraint, decisions: Mapping[str, Choice]) -> str:
    match constraint:
        case Connected():
            return "connected"
        case Forbid():
            return "forbid" + _when(constraint.conditions, decisions, "forbid")
        case Count():
            for name in constraint.names:
                _known(name, decisions, constraint.kind).index(constraint.value)
            value = token(constraint.value)
            return " ".join([constraint.kind, str(constraint.k), value, *constraint.names])
        case Live():
            operations = (token(value) for value in constraint.operations)
            return " ".join([constraint.kind, str(constraint.k), constraint.what, *operations])
    raise SpaceError(
        f"{constraint!r} is no constraint: use forbid, at_most, at_least, connected, "
        "live_at_most, live_at_least"
    )


def space_text(
    name: str,
    decisions: Sequence[Choice],
    graph: Graph | None,
    constraints: Sequence[Constraint],
    rules: Mapping[str, str],
) -> str:
    """Write the text form; names that do not exist raise `SpaceError` with the nearest one."""
    lines = [HEADER, f"space {name}"]
    seen: dict[str, Choice] = {}
    for choice in decisions:
        if choice.name in seen:
            raise SpaceError(f"decision {choice.name!r} is declared twice")
        options = " ".join(token(option) for option in choice.options)
        owner = f"decision {choice.name!r} (its conditions name earlier decisions)"
        lines.append(f"decision {choice.name} {options}{_when(choice.when, seen, owner)}")
        seen[choice.name] = choice
    if graph is not None:
        lines += _graph_lines(graph, seen)
    lines += [_constraint_line(constraint, seen) for constraint in constraints]
    lines += [f"convention {convention} {rule}" for convention, rule in rules.items()]
    return "\n".join([*lines, "end", ""])
