"""The list of everything that has a name: methods, spaces, proxies, benchmarks.

A factory is put on the list by a decorator and made from text by `create`, so that the command
line, a configuration and a stored study name a method in the same way:

    create("regularized_evolution(population=50)", "method", space=space, seed=0)

The text is read by a literal-only parser (`parse_spec`); no name in it is ever looked up in Python.
"""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from nasturtium.errors import MethodError, nearest
from nasturtium.spec import parse_spec

__all__ = [
    "KINDS",
    "MethodInfo",
    "as_dict",
    "create",
    "factory",
    "find",
    "infos",
    "load_all",
    "markdown",
    "parse_spec",
    "register",
    "register_space",
]

KINDS = ("method", "space", "proxy", "benchmark")
# What the caller of a factory supplies; a text may not. A factory need not take the optional ones.
_OPTIONAL = frozenset({"proxy", "starts"})
_CONTEXT = frozenset({"space", "seed", "allowed", "fidelities"}) | _OPTIONAL
_MODULES = ("nasturtium.spaces", "nasturtium.search")

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class MethodInfo:
    """What is known about an entry.

    `id` is its name (`-` and `_` compare equal), `family` the group of compositions it belongs to,
    `reference` the source, `differs` what is done differently from the source, `proof` the pytest
    node id that shows that it works, `needs` the capabilities asked of a space, `objectives` how
    many values it optimizes at once.
    """

    id: str
    area: str
    kind: str
    family: str
    title: str
    year: int
    reference: str
    differs: str
    proof: str
    aliases: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    objectives: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise MethodError(f'kind "{self.kind}" of "{self.id}": {nearest(self.kind, KINDS)}')


_entries: dict[str, tuple[MethodInfo, Callable[..., Any]]] = {}
_names: dict[tuple[str, str], str] = {}


def register(info: MethodInfo) -> Callable[[F], F]:
    """Decorator that puts a factory on the list.

    Raises MethodError when the id, or an alias among entries of the same kind, is taken.
    """

    def put(make: F) -> F:
        old = _entries.get(_plain(info.id))
        if old is not None and old[1].__qualname__ != make.__qualname__:
            raise MethodError(f'"{info.id}" is registered twice')
        for name in (info.id, *info.aliases):
            owner = _names.setdefault((info.kind, _plain(name)), _plain(info.id))
            if owner != _plain(info.id):
                raise MethodError(f'the name "{name}" of "{info.id}" belongs to "{owner}"')
        _entries[_plain(info.id)] = (info, make)
        return make

    return put


def register_space(info: MethodInfo) -> Callable[[F], F]:
    """`register` for a function without arguments that returns a `Space` (`info.kind` "space")."""
    if info.kind != "space":
        raise MethodError(f'"{info.id}" is registered as a space, but its kind is "{info.kind}"')
    return register(info)


def load_all() -> None:
    """Import every module that registers something. None of them imports torch."""
    for module in _MODULES:
        importlib.import_module(module)


def infos(kind: str | None = None) -> list[MethodInfo]:
    """Every entry (of one kind), sorted by area, family and id."""
    load_all()
    found = [info for info, _ in _entries.values() if kind in (None, info.kind)]
    return sorted(found, key=lambda i: (i.area, i.family, i.id))


def find(name: str, kind: str) -> MethodInfo:
    """The entry called `name`, by id or alias.

    Raises MethodError with the nearest names when there is none.
    """
    return _entry(name, kind)[0]


def factory(name: str, kind: str) -> Callable[..., Any]:
    """The registered callable of an entry; raises MethodError as `find` does."""
    return _entry(name, kind)[1]


def create(text: str, kind: str = "method", **context: Any) -> Any:
    """Make the object that `text` describes, e.g. `regularized_evolution(population=50)`.

    `context` is what the caller supplies (a method takes `space`, `seed`, `allowed`,
    `fidelities` and, if it uses them, a zero-cost `proxy` and `starts`); the text may set the
    factory's other parameters only. Raises MethodError for an unknown name or parameter, and for a
    value of the wrong type.
    """
    name, arguments = parse_spec(text)
    info, make = _entry(name, kind)
    parameters = inspect.signature(make).parameters
    free = {
        p.name
        for p in parameters.values()
        if p.kind is inspect.Parameter.KEYWORD_ONLY and p.name not in _CONTEXT
    }
    hints = typing.get_type_hints(make)
    for key, value in arguments.items():
        if key not in free:
            raise MethodError(f'"{info.id}" has no parameter "{key}"; {nearest(key, free)}')
        if key in hints and not _fits(value, hints[key]):
            raise MethodError(
                f'parameter "{key}" of "{info.id}" is {_readable(hints[key])}, not {value!r}'
            )
    given = {k: v for k, v in context.items() if k in parameters or k not in _OPTIONAL}
    return make(**given, **arguments)


def as_dict(info: MethodInfo) -> dict[str, Any]:
    """An entry as JSON-ready values."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(info).items()}


def markdown() -> str:
    """The text of METHODS.md."""
    heads = ("id", "kind", "family", "what", "source", "differs", "proof")
    lines = [
        "# Methods",
        "",
        "Printed from the registry by `nasturtium methods --markdown`; a test holds it to that.",
    ]
    area = None
    for info in infos():
        if info.area != area:
            area = info.area
            lines += ["", f"## {area}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        names = ", ".join(f"`{n}`" for n in (info.id, *info.aliases))
        cells = (names, info.kind, info.family, info.title, info.reference, info.differs)
        row = [cell.replace("|", "\\|") for cell in cells]
        lines.append(f"| {' | '.join([*row, f'`{info.proof}`'])} |")
    return "\n".join(lines) + "\n"


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def _entry(name: str, kind: str) -> tuple[MethodInfo, Callable[..., Any]]:
    if (kind, _plain(name)) not in _names:
        load_all()
    owner = _names.get((kind, _plain(name)))
    if owner is None:
        known = [n for k, n in _names if k == kind]
        raise MethodError(f'unknown {kind} "{name}"; {nearest(name, known)}')
    return _entries[owner]


def _fits(value: object, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, h) for h in typing.get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    plain = origin or hint
    if isinstance(plain, type) and plain in (bool, str, type(None)):
        return isinstance(value, plain)
    return True


def _readable(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
