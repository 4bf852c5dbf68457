"""Groups of layers that repeat, found by the layers' names and confirmed by what they compute.

Lowering names the layers of one cell or block alike (`stage1_cell2_norm`). Layers in a row with
such a common prefix form a group; groups with the same operations and wiring become instances of
one class, and the numbers in which they differ become its parameters.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from nasturtium.export.unit import Unit, Value, call
from nasturtium.networks.ir import _RESERVED

__all__ = ["Block", "find_blocks"]

_NUMBERED = re.compile(r"[a-zA-Z]+\d+")
_VARIABLES = ("x", "y", "z")
_SHORTEST = 3  # layers; a class for fewer makes the source longer
_LONG = 8  # layers that get a class of their own even if nothing else is like them
# Arguments that may be left out, and what torch takes then.
_DEFAULTS: Mapping[str, Mapping[str, Value]] = {
    "Conv2d": {"stride": 1, "padding": 0, "groups": 1, "bias": True},
    "Linear": {"bias": True},
}
_ROLES: Mapping[str, tuple[str, ...]] = {
    "Conv1d": ("inputs", "outputs", "kernel"),
    "Conv2d": ("inputs", "outputs", "kernel"),
    "Linear": ("inputs", "outputs"),
    "Dropout": ("p",),
    "BatchNorm1d": ("channels",),
    "BatchNorm2d": ("channels",),
    "LayerNorm": ("channels",),
}


@dataclasses.dataclass(frozen=True)
class Block:
    """A class of the source: `parameters` maps names to types, `inputs` values to variables."""

    name: str
    parameters: Mapping[str, str]
    units: tuple[Unit, ...]
    inputs: Mapping[str, str]
    count: int


@dataclasses.dataclass(frozen=True)
class _Group:
    prefix: str
    units: tuple[Unit, ...]  # under their short names, reading `_VARIABLES` from outside
    sources: tuple[str, ...]  # what stands behind those variables
    originals: tuple[Unit, ...]

    @property
    def signature(self) -> object:
        return tuple(
            (u.name, u.inputs, u.template, u.kind, len(u.positional), _unusual(u))
            for u in self.units
        )


def find_blocks(units: Sequence[Unit]) -> tuple[list[Unit], list[Block], dict[str, str]]:
    """The units with repeated groups folded into one unit each, and the groups' classes.

    The third value maps a folded layer's name to its path, such as "stage1_cell2.norm".
    """
    runs = [(p, list(run)) for p, run in groupby(units, key=lambda unit: _prefix(unit.name))]
    groups = list(_groups(units, runs))
    times = Counter(group.signature for group in groups)
    repeated = {
        group.originals[0].name: group
        for group in groups
        if times[group.signature] > 1 or len(group.units) >= _LONG
    }
    names: Counter[str] = Counter()
    classes: dict[object, tuple[Block, dict[str, list[Value]]]] = {}
    for group in repeated.values():
        if group.signature not in classes:
            alike = [g for g in repeated.values() if g.signature == group.signature]
            classes[group.signature] = _make_class(alike, names)
    folded: list[Unit] = []
    renamed: dict[str, str] = {}
    children: dict[str, str] = {}
    for _, run in runs:
        found = repeated.get(run[0].name)
        if found is None:
            new = run
        else:
            block, values = classes[found.signature]
            new = [_instance(found, block, values[found.prefix])]
            renamed[run[-1].name] = found.prefix
            for short, original in zip(found.units, run, strict=True):
                children[original.name] = f"{found.prefix}.{short.name}"
        folded += [
            dataclasses.replace(unit, inputs=tuple(renamed.get(s, s) for s in unit.inputs))
            for unit in new
        ]
    return folded, [block for block, _ in classes.values()], children


def _prefix(name: str) -> str | None:
    """The leading words that end with a number, two at most: "stage1_cell2" of a layer's name."""
    words = name.split("_")
    count = 0
    while count < min(2, len(words) - 1) and _NUMBERED.fullmatch(words[count]):
        count += 1
    return "_".join(words[:count]) or None


def _groups(
    units: Sequence[Unit], runs: Sequence[tuple[str | None, list[Unit]]]
) -> Iterator[_Group]:
    readers = Counter(source for unit in units for source in unit.inputs)
    taken = Counter([prefix for prefix, _ in runs] + [unit.name for unit in units])
    for prefix, run in runs:
        if prefix is None or len(run) < _SHORTEST:
            continue
        inside = Counter(source for unit in run for source in unit.inputs)
        if any(readers[unit.name] != inside[unit.name] for unit in run[:-1]):
            continue  # a value in the middle is read from outside
        group = _group(prefix, run)
        if group is not None and taken[prefix] == 1 and taken[group.prefix] <= 1:
            yield group


def _group(prefix: str, run: Sequence[Unit]) -> _Group | None:
    shorts = [unit.name[len(prefix) + 1 :] for unit in run]
    heads = {short.partition("_")[0] for short in shorts}
    if len(heads) == 1 and all("_" in short for short in shorts):
        prefix = f"{prefix}_{heads.pop()}"
        shorts = [short.partition("_")[2] for short in shorts]
    shorts = [short if short[:1].isalpha() else f"edge{short}" for short in shorts]
    names = {unit.name: short for unit, short in zip(run, shorts, strict=True)}
    sources = tuple(dict.fromkeys(s for u in run for s in u.inputs if s not in names))
    if len(sources) > len(_VARIABLES) or len(set(shorts)) < len(shorts):
        return None
    if any(short in _RESERVED or short in _VARIABLES for short in shorts):
        return None
    names |= dict(zip(sources, _VARIABLES, strict=False))
    inner = tuple(
        dataclasses.replace(
            unit,
            name=short,
            variable=short,
            inputs=tuple(names[source] for source in unit.inputs),
        )
        for unit, short in zip(run, shorts, strict=True)
    )
    return _Group(prefix, inner, sources, tuple(run))


def _unusual(unit: Unit) -> frozenset[str]:
    return frozenset(unit.keywords) - frozenset(_DEFAULTS.get(unit.kind or "", ()))


def _instance(group: _Group, block: Block, values: Sequence[Value]) -> Unit:
    arguments: dict[str, ast.expr] = {
        name: ast.Constant(value) for name, value in zip(block.parameters, values, strict=True)
    }
    places = ", ".join(f"{{{slot}}}" for slot in range(len(group.sources)))
    return Unit(
        name=group.prefix,
        inputs=group.sources,
        template=f"{{m}}({places})",
        shape=group.units[-1].shape,
        variable=group.prefix,
        make=call(block.name, [], arguments),
    )


# Where a value stands: the unit's place, and the position or the keyword of the argument.
_Place = tuple[int, int | str]


def _make_class(
    groups: Sequence[_Group], names: Counter[str]
) -> tuple[Block, dict[str, list[Value]]]:
    """The class of groups with one signature, and each group's values of its parameters."""
    first = groups[0]
    vectors = {
        place: tuple(_value(g.units[place[0]], place[1]) for g in groups)
        for place in _places(groups)
    }
    named = _name_parameters(first, {p: v for p, v in vectors.items() if len(set(v)) > 1})
    units = []
    for i, unit in enumerate(first.units):
        if unit.kind is not None:
            here = {key: named.get(vector) for (at, key), vector in vectors.items() if at == i}
            shown = {
                key: ast.Constant(_value(unit, key)) if name is None else ast.Name(name)
                for key, name in here.items()
                if name is not None or isinstance(key, int) or key in unit.keywords
            }
            positional = [value for key, value in shown.items() if isinstance(key, int)]
            keywords = {key: value for key, value in shown.items() if isinstance(key, str)}
            unit = dataclasses.replace(
                unit, make=call(f"nn.{unit.kind}", list(positional), keywords)
            )
        units.append(unit)
    title = re.sub(r"\d", "", first.prefix.rpartition("_")[2]).capitalize()
    title = "Block" if title in ("", "Net", "Model", "Preprocess", "Postprocess") else title
    names[title] += 1
    name = title if names[title] == 1 else f"{title}{names[title]}"
    types = {parameter: type(vector[0]).__name__ for vector, parameter in named.items()}
    inputs = {variable: variable for variable in _VARIABLES[: len(first.sources)]}
    values = {g.prefix: [vector[i] for vector in named] for i, g in enumerate(groups)}
    return Block(name, types, tuple(units), inputs, len(groups)), values


def _places(groups: Sequence[_Group]) -> Iterator[_Place]:
    for i, unit in enumerate(groups[0].units):
        yield from ((i, place) for place in range(len(unit.positional)))
        written = dict.fromkeys(key for group in groups for key in group.units[i].keywords)
        usual = [key for key in _DEFAULTS.get(unit.kind or "", ()) if key in written]
        yield from ((i, key) for key in (*(k for k in written if k not in usual), *usual))


def _value(unit: Unit, place: int | str) -> Value:
    if isinstance(place, int):
        return unit.positional[place]
    if place in unit.keywords:
        return unit.keywords[place]
    return _DEFAULTS[unit.kind or ""][place]


def _name_parameters(
    group: _Group, vectors: Mapping[_Place, tuple[Value, ...]]
) -> dict[tuple[Value, ...], str]:
    """A name for each row of values in which the groups differ; equal rows are one parameter."""
    roles: dict[tuple[Value, ...], list[tuple[int, str]]] = {}
    for (i, place), vector in vectors.items():
        usual = _ROLES.get(group.units[i].kind or "", ())
        role = place if isinstance(place, str) else usual[place] if place < len(usual) else "size"
        roles.setdefault(vector, []).append((i, role))
    named: dict[tuple[Value, ...], str] = {}
    for vector, places in roles.items():
        kinds = {role for _, role in places}
        at, name = places[0]
        name = "channels" if {"inputs", "outputs"} <= kinds else name
        if name in named.values():
            name = f"{group.units[at].name}_{name}"
        named[vector] = name
    return named
