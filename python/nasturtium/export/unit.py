"""What one statement of a generated `forward` computes: a layer, or a block of layers."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping

from nasturtium.networks.ir import Net, Shape

__all__ = ["Unit", "Value", "call", "units_of"]

Value = int | float | str | bool


@dataclasses.dataclass(frozen=True)
class Unit:
    """`name` is the child module's name, if there is one; `inputs` are names of other units.

    `template` has `{0}`, `{1}`, ... for the inputs and `{m}` for the module; `make` is the
    expression that constructs the module, or None; `kind`, `positional` and `keywords` say of
    which class and arguments. `variable` is what its value is called where it needs a name.
    """

    name: str
    inputs: tuple[str, ...]
    template: str
    shape: Shape
    variable: str
    kind: str | None = None
    positional: tuple[Value, ...] = ()
    keywords: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    make: ast.expr | None = None


def units_of(net: Net) -> list[Unit]:
    """One unit a layer, in order."""
    units = []
    for layer, op, shapes, shape in net.walk():
        template = op.forward(layer.args, len(layer.inputs))
        made = op.module(layer.args, shapes)
        unit = Unit(layer.name, layer.inputs, template, shape, layer.name)
        if made is not None:
            kind, positional, keywords = made
            values: list[ast.expr] = [ast.Constant(value) for value in positional]
            named: dict[str, ast.expr] = {
                key: ast.Constant(value) for key, value in keywords.items()
            }
            make = call(f"nn.{kind}", values, named)
            unit = dataclasses.replace(
                unit, kind=kind, positional=positional, keywords=keywords, make=make
            )
        units.append(unit)
    return units


def call(function: str, positional: list[ast.expr], keywords: Mapping[str, ast.expr]) -> ast.expr:
    """The expression `function(positional, key=value)`; the name may be dotted."""
    parts = function.split(".")
    target: ast.expr = ast.Name(parts[0])
    for part in parts[1:]:
        target = ast.Attribute(target, part)
    return ast.Call(target, positional, [ast.keyword(key, v) for key, v in keywords.items()])
