"""The parts of a space's declaration: typed decisions, how they become a graph, constraints."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from nasturtium.errors import SpaceError

Option: TypeAlias = str | int | float | bool
When: TypeAlias = "Mapping[Any, Any]"  # {str | Choice: Option | Sequence[Option]}
Conditions: TypeAlias = tuple[tuple[str, tuple[Option, ...]], ...]
LabelPart: TypeAlias = "str | Choice"
Label: TypeAlias = "tuple[LabelPart, ...]"

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}")
_OPTION = re.compile(r'[^\s,=|"\\\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]{1,64}')
_MAX_OPTIONS = 256
_MAX_EDGES = 2016


def check_name(name: str, what: str) -> str:
    """Return `name`, or raise `SpaceError` where it is not a plain identifier."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SpaceError(
            f"{what} {name!r} is not a name: use 1 to 64 letters, digits, '_', '.' or '-', "
            "with a letter, digit or '_' first"
        )
    return name


def option_text(value: Option) -> str:
    """The one text form of an option, e.g. `skip`, `3`, `0.5`, `true`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def check_option(value: Option, owner: str) -> Option:
    """Return the option, or raise `SpaceError` where it has no unambiguous text form."""
    if isinstance(value, str):
        if not _OPTION.fullmatch(value):
            raise SpaceError(
                f"option {value!r} of {owner!r}: use 1 to 64 characters other than spaces, "
                "commas, '=', '|', quotes and backslashes"
            )
    elif not isinstance(value, (bool, int, float)):
        raise SpaceError(f"option {value!r} of {owner!r} is not a str, int, float or bool")
    elif isinstance(value, float) and not math.isfinite(value):
        raise SpaceError(f"option {value!r} of {owner!r} is not finite")
    elif abs(value) >= 2**63:
        raise SpaceError(f"option of {owner!r} is too large: use numbers below 2**63")
    return value


def conditions(when: When | None) -> Conditions:
    """Normal form of a `when` mapping: ((decision, (value, ...)), ...), a conjunction."""
    result = []
    for other, values in (when or {}).items():
        name = other.name if isinstance(other, Choice) else other
        listed = (values,) if isinstance(values, (str, int, float, bool)) else tuple(values)
        if not listed:
            raise SpaceError(f"the condition on {name!r} lists no value, so it can never hold")
        result.append((name, listed))
    return tuple(result)


@dataclass(frozen=True, init=False)
class Choice:
    """A typed decision: one of `options`, made where all of `when` holds.

    Args:
        name: unique in the space.
        options: 1 to 256 distinct values, each str, int, float or bool.
        when: `{other: (values, ...)}`; the decision is active where every `other` is active and
            has one of its values. `other` is an earlier decision or its name.

    Raises:
        SpaceError: no or too many options, equal ones, or a value without a plain text form.
    """

    name: str
    options: tuple[Option, ...]
    when: Conditions

    def __init__(self, name: str, options: Iterable[Option], when: When | None = None) -> None:
        listed = tuple(options)
        check_name(name, "decision")
        if not 1 <= len(listed) <= _MAX_OPTIONS:
            raise SpaceError(f"decision {name!r} has {len(listed)} options: give 1 to 256")
        texts = [option_text(check_option(value, name)) for value in listed]
        if len(set(texts)) < len(texts):
            double = next(text for text in texts if texts.count(text) > 1)
            raise SpaceError(f"decision {name!r} has option {double!r} twice")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "options", listed)
        object.__setattr__(self, "when", conditions(when))

    def index(self, value: Option) -> int:
        """Position of `value` among the options; `SpaceError` where it is none of them."""
        for i, option in enumerate(self.options):
            if type(option) is type(value) and option == value:
                return i
        known = ", ".join(option_text(option) for option in self.options[:8])
        raise SpaceError(f"decision {self.name!r} has no option {value!r}: it has {known}")


@dataclass(frozen=True)
class Node:
    """A node of the graph; its value is its label's operation on the sum of what enters."""

    name: str
    label: Label
    when: Conditions


@dataclass(frozen=True)
class Edge:
    """An edge of the graph; it carries its label's operation on the source's value."""

    src: str
    dst: str
    label: Label
    when: Conditions


def _names(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _label(label: LabelPart | Sequence[LabelPart], owner: str) -> Label:
    parts = (label,) if isinstance(label, (str, Choice)) else tuple(label)
    if not parts:
        raise SpaceError(f"{owner} has an empty label")
    for part in parts:
        if isinstance(part, str):
            check_option(part, owner)
    return parts


@dataclass(init=False)
class Graph:
    """How the decisions become a labeled directed acyclic graph of at most 64 nodes.

    Nodes are added in topological order: the first is the input, the last the output. A label is
    a constant, a `Choice`, or a tuple of these whose first part is the operation and whose other
    parts (a width, a kernel size) belong to it.

    Args:
        zero: operations that give zero: such an edge or node does not exist.
        identity: operations that pass on (the sum of) what enters.
        weightless: operations without weights: two of them on one value give one value.
        concat: node labels that keep what enters apart instead of adding it; order is ignored.

    Each of the four is one name or several.
    """

    zero: tuple[str, ...]
    identity: tuple[str, ...]
    weightless: tuple[str, ...]
    concat: tuple[str, ...]
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def __init__(
        self,
        *,
        zero: str | Iterable[str] = "none",
        identity: str | Iterable[str] = "skip",
        weightless: str | Iterable[str] = (),
        concat: str | Iterable[str] = (),
    ) -> None:
        self.zero, self.identity = _names(zero), _names(identity)
        self.weightless, self.concat = _names(weightless), _names(concat)
        self.nodes, self.edges = [], []

    @property
    def parts(self) -> list[Node | Edge]:
        """The nodes, then the edges."""
        return [*self.nodes, *self.edges]

    def node(
        self, name: str, label: LabelPart | Sequence[LabelPart], when: When | None = None
    ) -> Self:
        """Add a node, present where all of `when` holds; returns the graph."""
        check_name(name, "node")
        if any(node.name == name for node in self.nodes):
            raise SpaceError(f"node {name!r} is declared twice")
        self.nodes.append(Node(name, _label(label, f"node {name!r}"), conditions(when)))
        return self

    def edge(
        self,
        src: str,
        dst: str,
        label: LabelPart | Sequence[LabelPart],
        when: When | None = None,
    ) -> Self:
        """Add an edge between declared nodes, `src` before `dst`; returns the graph."""
        order = [node.name for node in self.nodes]
        for end in (src, dst):
            if end not in order:
                raise SpaceError(f"edge {src!r} -> {dst!r}: declare node {end!r} first")
        if order.index(src) >= order.index(dst):
            raise SpaceError(f"edge {src!r} -> {dst!r}: the source must be declared first")
        if any(edge.src == src and edge.dst == dst for edge in self.edges):
            raise SpaceError(f"edge {src!r} -> {dst!r} is declared twice")
        owner = f"edge {src!r} -> {dst!r}"
        self.edges.append(Edge(src, dst, _label(label, owner), conditions(when)))
        return self


@dataclass(frozen=True)
class Forbid:
    """No architecture where all these decisions are active with one of these values."""

    conditions: Conditions


@dataclass(frozen=True)
class Count:
    """At most or at least `k` of the named decisions are active with `value`."""

    kind: str
    names: tuple[str, ...]
    value: Option
    k: int


@dataclass(frozen=True)
class Connected:
    """The output is reachable from the input."""


@dataclass(frozen=True)
class Live:
    """At most or at least `k` nodes or edges, of these operations, lie between input and output."""

    kind: str
    what: str
    k: int
    operations: tuple[Option, ...]


Constraint: TypeAlias = Forbid | Count | Connected | Live


def forbid(when: When) -> Forbid:
    """No architecture satisfies all of `when`, e.g. `forbid({"op": "pool", "kernel": (5, 7)})`."""
    listed = conditions(when)
    if not listed:
        raise SpaceError("forbid needs at least one decision: forbid({'name': value})")
    return Forbid(listed)


def _count(kind: str, names: Iterable[str | Choice], value: Option, k: int) -> Count:
    listed = tuple(name.name if isinstance(name, Choice) else name for name in names)
    if not listed or isinstance(k, bool) or not isinstance(k, int) or not 0 <= k <= len(listed):
        raise SpaceError(f"{kind}: k = {k!r} is not between 0 and the {len(listed)} names given")
    return Count(kind, listed, value, k)


def at_most(names: Iterable[str | Choice], value: Option, k: int) -> Count:
    """At most `k` of the named decisions are active with `value`."""
    return _count("at_most", names, value, k)


def at_least(names: Iterable[str | Choice], value: Option, k: int) -> Count:
    """At least `k` of the named decisions are active with `value`."""
    return _count("at_least", names, value, k)


def connected() -> Connected:
    """The output of the graph is reachable from its input through edges that are not zero."""
    return Connected()


def _live(kind: str, k: int, what: str, operations: Option | Iterable[Option]) -> Live:
    if what not in ("nodes", "edges"):
        raise SpaceError(f"{kind} counts 'nodes' or 'edges', not {what!r}")
    if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k <= _MAX_EDGES:
        raise SpaceError(f"{kind}: k = {k!r} is not between 0 and {_MAX_EDGES:,}")
    listed = (operations,) if isinstance(operations, (str, int, float, bool)) else operations
    return Live(kind, what, k, tuple(check_option(value, kind) for value in listed))


def live_at_most(k: int, what: str = "edges", operations: Option | Iterable[Option] = ()) -> Live:
    """At most `k` of the graph's edges or nodes lie on a path from its input to its output.

    What is dead does not count, so that a limit on size is one of what is built. Input and output
    count as nodes where there is a path.

    Args:
        k: 0 to 2,016.
        what: "edges" or "nodes".
        operations: only those whose label begins with one of these count; without any, all do.
    """
    return _live("live_at_most", k, what, operations)


def live_at_least(k: int, what: str = "edges", operations: Option | Iterable[Option] = ()) -> Live:
    """At least `k` of them lie on such a path; arguments as of `live_at_most`.

    For example `live_at_least(1, "edges", ("conv_1x1", "conv_3x3"))`: no network without weights.
    """
    return _live("live_at_least", k, what, operations)
