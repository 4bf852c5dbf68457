"""The drawing of a network: its graph in layers, with shapes and costs in columns beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nasturtium.networks.ir import Net
from nasturtium.report.layout import Box, arrange
from nasturtium.report.parts import Part, Repeat, blocks, collapse, parts, totals
from nasturtium.report.scales import compact
from nasturtium.report.svg import element, picture

_BOX, _STEP, _TOP = 24.0, 40.0, 34.0
_LEFT = 56.0
_NARROWEST = 330.0


@dataclass(frozen=True, slots=True)
class _Columns:
    """The right ends of the columns beside the graph, and the left end of all."""

    left: float
    shape: float
    params: float
    macs: float


def draw(net: Net) -> Markup:
    """The network as SVG: one row per depth, equal consecutive blocks drawn once with ``× n``."""
    made = parts(net)
    total = totals(made)
    repeats = collapse(blocks(made))
    layout = arrange(_input(net), repeats)
    width = max(_NARROWEST, layout.right - layout.left + 14)
    shift = _LEFT + width / 2 - (layout.left + layout.right) / 2
    for row in layout.rows:
        for box in row:
            box.x += shift
    start = _LEFT + width + 16
    shape = start + max(96.0, *(7.0 * len(_shapes(row)) for row in layout.rows))
    columns = _Columns(start, shape, shape + 84, shape + 156)
    height = _TOP + len(layout.rows) * _STEP + 30
    return picture(
        columns.macs + 14,
        height,
        _line("output shape", "parameters", "MACs", columns, 16, "name"),
        *(_frame(first, last, times, width) for first, last, times in layout.frames),
        *(_edge(box, source) for row in layout.rows for box in row for source in box.sources),
        *(_boxes(row) for row in layout.rows),
        *(_costs(i, row, columns, total["params"]) for i, row in enumerate(layout.rows)),
        _sum(columns, height - 12, total["params"], total["macs"]),
        label=describe(repeats, total["params"]),
        class_="network",
        natural=True,
    )


def describe(repeats: Sequence[Repeat], params: int) -> str:
    """The text alternative of the drawing: the parts in order."""
    said = []
    for repeat in repeats:
        names = "; ".join(part.label for block in repeat.blocks for part in block.parts)
        said.append(f"{repeat.times} times ({names})" if repeat.times > 1 else names)
    return f"The found network, {params:,} parameters: " + "; ".join(said)


def _input(net: Net) -> Part:
    return Part("Input", ("x",), (), net.input_shape, 0, 0, False)


def _y(row: int) -> float:
    return _TOP + row * _STEP


def _edge(box: Box, source: Box) -> Markup:
    start = _y(source.row) + _BOX
    end = _y(box.row)
    half = (start + end) / 2
    path = f"M{source.x:.1f} {start:.1f}C{source.x:.1f} {half:.1f} {box.x:.1f} {half:.1f}"
    path += f" {box.x:.1f} {end:.1f}"
    if box.part is None:
        path += f"v{_BOX:.0f}"
    return element("path", d=path, class_="edge")


def _boxes(row: Sequence[Box]) -> Markup:
    drawn = []
    for box in row:
        if box.part is None:
            continue
        kind = "weighty" if box.part.params else "weightless"
        drawn.append(
            element(
                "g",
                element("title", " · ".join(box.part.names)),
                element(
                    "rect", x=box.x - box.width / 2, y=_y(box.row), width=box.width, height=_BOX,
                    rx=4,
                ),
                element("text", box.part.label, x=box.x, y=_y(box.row) + 16, class_="middle"),
                class_=f"part {kind}",
            )
        )  # fmt: skip
    return element("g", *drawn)


def _line(shape: str, params: str, macs: str, columns: _Columns, y: float, style: str) -> Markup:
    return element(
        "g",
        element("text", shape, x=columns.shape, y=y, class_=f"{style} end"),
        element("text", params, x=columns.params, y=y, class_=f"{style} end"),
        element("text", macs, x=columns.macs, y=y, class_=f"{style} end"),
    )


def _shapes(row: Sequence[Box]) -> str:
    drawn = [box.part.shape for box in row if box.part is not None]
    return ", ".join(dict.fromkeys("×".join(map(str, shape)) for shape in drawn))


def _costs(number: int, row: Sequence[Box], columns: _Columns, total: int) -> Markup:
    drawn = [box.part for box in row if box.part is not None]
    params, macs = sum(p.params for p in drawn), sum(p.macs for p in drawn)
    y = _y(number) + 16
    share = 72 * params / total if total else 0.0
    shown = f"{params:,}" if params else ""
    return element(
        "g",
        _line(_shapes(row), shown, compact(macs) if macs else "", columns, y, "tick"),
        element("rect", x=columns.params - share, y=y + 4, width=share, height=2.5, class_="share"),
    )


def _frame(first: int, last: int, times: int, width: float) -> Markup:
    top, bottom = _y(first) - 8, _y(last) + _BOX + 8
    return element(
        "g",
        element(
            "rect", x=_LEFT - 4, y=top, width=width + 8, height=bottom - top, rx=8, class_="frame"
        ),
        element("text", f"{times} ×", x=_LEFT - 12, y=(top + bottom) / 2 + 5, class_="times end"),
    )  # fmt: skip


def _sum(columns: _Columns, y: float, params: int, macs: int) -> Markup:
    rule = element("line", x1=columns.left, x2=columns.macs, y1=y - 18, y2=y - 18, class_="axis")
    total = _line("whole network", f"{params:,}", compact(macs), columns, y, "tick strong")
    return element("g", rule, total)
