"""The drawing of a network: its graph in layers, with shapes and costs in columns beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nasturtium.networks.ir import Net
from nasturtium.report.parts import Block, Part, Repeat, blocks, collapse, parts, totals
from nasturtium.report.scales import compact
from nasturtium.report.svg import element, picture

_BOX, _STEP, _TOP = 24.0, 40.0, 34.0
_LEFT, _GAP, _DUMMY = 56.0, 14.0, 26.0
_COLUMNS = 264.0
_NARROWEST = 330.0


@dataclass(slots=True)
class _Box:
    """A part (or, where ``part`` is None, an edge passing by) at its place in the drawing."""

    part: Part | None
    sources: list[_Box]
    row: int = 0
    x: float = 0.0

    @property
    def width(self) -> float:
        return _DUMMY if self.part is None else 6.3 * len(self.part.label) + 22


def draw(net: Net) -> Markup:
    """The network as SVG: one row per depth, equal consecutive blocks drawn once with ``× n``."""
    made = parts(net)
    repeats = collapse(blocks(made))
    rows: list[list[_Box]] = [[_Box(_input(net), [])]]
    frames: list[tuple[int, int, int]] = []
    entry = rows[0][0]
    for repeat in repeats:
        first = len(rows)
        for block in repeat.blocks:
            entry = _place(block, entry, rows)
        if repeat.times > 1:
            frames.append((first, len(rows) - 1, repeat.times))
    left, right = _spread(rows)
    width = max(_NARROWEST, right - left + _GAP)
    shift = _LEFT + width / 2 - (left + right) / 2
    for row in rows:
        for box in row:
            box.x += shift
    columns = _LEFT + width + 16
    height = _TOP + len(rows) * _STEP + 30
    total = totals(made)
    return picture(
        columns + _COLUMNS,
        height,
        _heading(columns),
        *(_frame(first, last, times, width) for first, last, times in frames),
        *(_edge(box, source) for row in rows for box in row for source in box.sources),
        *(_boxes(row) for row in rows),
        *(_costs(i, row, columns, total["params"]) for i, row in enumerate(rows)),
        _sum(columns, height, total["params"], total["macs"]),
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


def _place(block: Block, entry: _Box, rows: list[list[_Box]]) -> _Box:
    """Append a block's rows below the entry, with dummies where an edge passes a row."""
    start = len(rows)
    boxes: dict[int, _Box] = {-1: entry}
    for place, part in enumerate(block.parts):
        row = max((boxes[source].row + 1 for source in part.inputs), default=start)
        boxes[place] = _Box(part, [], row=max(row, start))
    last = boxes[len(block.parts) - 1]
    last.row = max(box.row + (box is not last) for box in boxes.values())
    rows.extend([] for _ in range(start, last.row + 1))
    for place, part in enumerate(block.parts):
        box = boxes[place]
        for source in part.inputs:
            box.sources.append(_bridged(boxes[source], box.row, rows))
        rows[box.row].append(box)
    return last


def _bridged(source: _Box, row: int, rows: list[list[_Box]]) -> _Box:
    for between in range(source.row + 1, row):
        shared = [b for b in rows[between] if b.part is None and b.sources == [source]]
        passing = shared[0] if shared else _Box(None, [source], row=between)
        if not shared:
            rows[between].append(passing)
        source = passing
    return source


def _spread(rows: Sequence[list[_Box]]) -> tuple[float, float]:
    """Give every box its place around 0; returns the left and the right end of all.

    A row is ordered by the places of what it reads. Its parts are centered, so that a chain of
    single parts is straight whatever passes beside it.
    """
    for row in rows:
        row.sort(key=lambda b: sum(s.x for s in b.sources) / max(len(b.sources), 1))
        at = 0.0
        for box in row:
            box.x = at + box.width / 2
            at += box.width + _GAP
        solid = [box for box in row if box.part is not None] or row
        left = solid[0].x - solid[0].width / 2
        right = solid[-1].x + solid[-1].width / 2
        for box in row:
            box.x -= (left + right) / 2
    _straighten(rows)
    every = [box for row in rows for box in row]
    left = min(box.x - box.width / 2 for box in every)
    return left, max(box.x + box.width / 2 for box in every)


def _straighten(rows: Sequence[list[_Box]]) -> None:
    """Draw an edge that passes several rows outside of their parts as one straight line."""
    chains: dict[int, list[_Box]] = {}
    for row in rows:
        for box in row:
            if box.part is None:
                head = chains.get(id(box.sources[0]), [])
                head.append(box)
                chains[id(box)] = head
    for chain in {id(c): c for c in chains.values()}.values():
        for side in (1, -1):
            if all(_outside(box, rows[box.row], side) for box in chain):
                furthest = max(side * box.x for box in chain)
                for box in chain:
                    box.x = side * furthest
                break


def _outside(box: _Box, row: Sequence[_Box], side: int) -> bool:
    """Whether only passing edges lie beyond the box on that side."""
    return all(side * other.x <= side * box.x or other.part is None for other in row)


def _y(row: int) -> float:
    return _TOP + row * _STEP


def _edge(box: _Box, source: _Box) -> Markup:
    start = _y(source.row) + _BOX
    end = _y(box.row)
    half = (start + end) / 2
    path = f"M{source.x:.1f} {start:.1f}C{source.x:.1f} {half:.1f} {box.x:.1f} {half:.1f}"
    path += f" {box.x:.1f} {end:.1f}"
    if box.part is None:
        path += f"v{_BOX:.0f}"
    return element("path", d=path, class_="edge")


def _boxes(row: Sequence[_Box]) -> Markup:
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


def _heading(columns: float) -> Markup:
    return element(
        "g",
        element("text", "output shape", x=columns + 96, y=16, class_="name end"),
        element("text", "parameters", x=columns + 178, y=16, class_="name end"),
        element("text", "MACs", x=columns + 250, y=16, class_="name end"),
    )


def _costs(row_number: int, row: Sequence[_Box], columns: float, total: int) -> Markup:
    drawn = [box.part for box in row if box.part is not None]
    if not drawn:
        return element("g")
    shapes = dict.fromkeys("\N{HAIR SPACE}×\N{HAIR SPACE}".join(map(str, p.shape)) for p in drawn)
    params, macs = sum(p.params for p in drawn), sum(p.macs for p in drawn)
    y = _y(row_number) + 16
    share = 72 * params / total if total else 0.0
    return element(
        "g",
        element("text", " / ".join(shapes), x=columns + 96, y=y, class_="tick end"),
        element("text", f"{params:,}" if params else "", x=columns + 178, y=y, class_="tick end"),
        element("text", compact(macs) if macs else "", x=columns + 250, y=y, class_="tick end"),
        element(
            "rect", x=columns + 178 - share, y=y + 4, width=share, height=2.5, class_="share"
        ),
    )  # fmt: skip


def _frame(first: int, last: int, times: int, width: float) -> Markup:
    top, bottom = _y(first) - 8, _y(last) + _BOX + 8
    return element(
        "g",
        element(
            "rect", x=_LEFT - 4, y=top, width=width + 8, height=bottom - top, rx=8, class_="frame"
        ),
        element("text", f"{times} ×", x=_LEFT - 12, y=(top + bottom) / 2 + 5, class_="times end"),
    )  # fmt: skip


def _sum(columns: float, height: float, params: int, macs: int) -> Markup:
    y = height - 12
    return element(
        "g",
        element("line", x1=columns, x2=columns + 250, y1=y - 18, y2=y - 18, class_="axis"),
        element("text", "whole network", x=columns + 96, y=y, class_="name end"),
        element("text", f"{params:,}", x=columns + 178, y=y, class_="tick end strong"),
        element("text", compact(macs), x=columns + 250, y=y, class_="tick end strong"),
    )
