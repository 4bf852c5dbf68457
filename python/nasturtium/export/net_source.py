"""A `Net` as the source of a `torch.nn.Module` that a person would have written."""

from __future__ import annotations

import ast
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

from nasturtium.export.blocks import Block, find_blocks
from nasturtium.export.format import WIDTH, assign
from nasturtium.export.unit import Unit, units_of
from nasturtium.networks.ir import INPUT, Net, Shape

__all__ = ["NetSource", "net_source"]

DEEPEST = 3  # calls inside one another on one line; more is hard to read


@dataclasses.dataclass(frozen=True)
class NetSource:
    """`lines` define the classes, `Net` last; `children` maps a layer to its path inside `Net`."""

    lines: list[str]
    children: Mapping[str, str]

    def state_name(self, name: str) -> str:
        """The name in `Net`'s state of what `networks.module` calls `name`."""
        layer, dot, rest = name.partition(".")
        return self.children.get(layer, layer) + dot + rest


def net_source(net: Net) -> NetSource:
    """The source of `net`: layers that repeat as a group become a class of their own."""
    units, blocks, children = find_blocks(units_of(net))
    lines: list[str] = []
    for block in blocks:
        lines += [*_block_class(block), "", ""]
    taken, given = _sizes(net.input_shape), _sizes(net.output_shape)
    about = f"Takes float32 [batch, {taken}], gives [batch, {given}]."
    return NetSource(
        lines + _class("Net", about, {}, units, {INPUT: "x"}, net.input_shape), children
    )


def _block_class(block: Block) -> list[str]:
    about = "Used once." if block.count == 1 else f"Used {block.count} times."
    return _class(block.name, about, block.parameters, block.units, block.inputs, None)


def _class(
    name: str,
    about: str,
    parameters: Mapping[str, str],
    units: Sequence[Unit],
    inputs: Mapping[str, str],
    shown: Shape | None,
) -> list[str]:
    given = "".join(f", {parameter}: {kind}" for parameter, kind in parameters.items())
    lines = [
        f"class {name}(nn.Module):",
        f'    """{about}"""',
        "",
        *_signature("__init__", given, "None"),
        "        super().__init__()",
    ]
    for unit in units:
        if unit.make is not None:
            lines += assign(f"self.{unit.name}", unit.make, indent=8)
    tensors = "".join(f", {variable}: Tensor" for variable in inputs.values())
    return [*lines, "", *_signature("forward", tensors, "Tensor"), *_forward(units, inputs, shown)]


def _signature(name: str, parameters: str, returns: str) -> list[str]:
    line = f"    def {name}(self{parameters}) -> {returns}:"
    if len(line) <= WIDTH:
        return [line]
    inside = f"        self{parameters}"
    if len(inside) <= WIDTH:
        return [f"    def {name}(", inside, f"    ) -> {returns}:"]
    each = [f"        {part}," for part in f"self{parameters}".split(", ")]
    return [f"    def {name}(", *each, f"    ) -> {returns}:"]


def _sizes(shape: Shape) -> str:
    return ", ".join(str(size) for size in shape)


def _forward(units: Sequence[Unit], inputs: Mapping[str, str], shown: Shape | None) -> list[str]:
    uses = Counter(source for unit in units for source in unit.inputs)
    last_use = {source: i for i, unit in enumerate(units) for source in unit.inputs}
    # What stands for a value: a variable, or an expression that the next unit takes in.
    values: dict[str, ast.expr] = {name: ast.Name(variable) for name, variable in inputs.items()}
    in_x = next(iter(inputs))  # whose value the variable `x` holds
    lines: list[str] = []
    for i, unit in enumerate(units):
        value = _expression(unit, values)
        last = i + 1 == len(units)
        if not last and uses[unit.name] == 1 and _fits_inside(units[i + 1], unit, value):
            values[unit.name] = value
            continue
        # The trunk keeps the name `x` for as long as nothing later needs the value in it.
        target = "return" if last else "x" if last_use.get(in_x, -1) <= i else unit.variable
        written = assign(target, value, indent=8)
        if shown is not None and len(unit.shape) == 3 and unit.shape != shown:
            comment = f"  # {' x '.join(str(size) for size in unit.shape)}"
            if len(written[-1] + comment) <= WIDTH:
                written[-1] += comment
            shown = unit.shape
        lines += written
        values[unit.name] = ast.Name(target)
        in_x = unit.name if target == "x" else in_x
    return lines


def _expression(unit: Unit, values: Mapping[str, ast.expr]) -> ast.expr:
    """The unit's template with the values of its inputs in the places of `{0}`, `{1}`, ..."""
    places = [f"_{slot}" for slot in range(len(unit.inputs))]  # no layer's name begins so
    tree = ast.parse(unit.template.format(*places, m=f"self.{unit.name}"), mode="eval")
    sources = {place: values[name] for place, name in zip(places, unit.inputs, strict=True)}
    filled = _Fill(sources).visit(tree.body)
    assert isinstance(filled, ast.expr)
    return filled


class _Fill(ast.NodeTransformer):
    def __init__(self, sources: Mapping[str, ast.expr]) -> None:
        self.sources = sources

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.sources.get(node.id, node)


def _fits_inside(consumer: Unit, unit: Unit, value: ast.expr) -> bool:
    """Whether `consumer`, the next unit, reads the value, once, and its line stays readable."""
    if consumer.inputs.count(unit.name) != 1 or _depth(value) >= DEEPEST:
        return False
    if consumer.template.count(f"{{{consumer.inputs.index(unit.name)}}}") != 1:
        return False
    others = sum(len(name) for name in consumer.inputs if name != unit.name)
    # Indent, "target = " and "self.name(...)" around the value.
    around = 8 + 2 * len(consumer.name) + 8 + len(consumer.template) + others
    return len(ast.unparse(value)) + around <= WIDTH


def _depth(node: ast.expr) -> int:
    children = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    return max((_depth(child) for child in children), default=0) + isinstance(node, ast.Call)
