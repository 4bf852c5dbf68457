"""Where the parts of a network stand: rows by depth, edges that pass a row, straight chains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nasturtium.report.parts import Block, Part, Repeat

_GAP, _PASSING = 14.0, 26.0


@dataclass(slots=True)
class Box:
    """A part (or, where ``part`` is None, an edge passing by) at its place in the drawing."""

    part: Part | None
    sources: list[Box]
    row: int = 0
    x: float = 0.0

    @property
    def width(self) -> float:
        return _PASSING if self.part is None else 6.3 * len(self.part.label) + 22


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows of boxes, with places around 0 from ``left`` to ``right``.

    ``frames`` are the first and the last row of what is repeated, and how often.
    """

    rows: Sequence[Sequence[Box]]
    frames: Sequence[tuple[int, int, int]]
    left: float
    right: float


def arrange(start: Part, repeats: Sequence[Repeat]) -> Layout:
    """Give every part of the repeats, each drawn once, its place below ``start``."""
    entry = Box(start, [])
    rows: list[list[Box]] = [[entry]]
    frames: list[tuple[int, int, int]] = []
    for repeat in repeats:
        first = len(rows)
        for block in repeat.blocks:
            entry = _place(block, entry, rows)
        if repeat.times > 1:
            frames.append((first, len(rows) - 1, repeat.times))
    left, right = _spread(rows)
    return Layout(rows, frames, left, right)


def _place(block: Block, entry: Box, rows: list[list[Box]]) -> Box:
    """Append a block's rows below the entry, with dummies where an edge passes a row."""
    start = len(rows)
    boxes: dict[int, Box] = {-1: entry}
    for place, part in enumerate(block.parts):
        row = max((boxes[source].row + 1 for source in part.inputs), default=start)
        boxes[place] = Box(part, [], row=max(row, start))
    last = boxes[len(block.parts) - 1]
    last.row = max(box.row + (box is not last) for box in boxes.values())
    rows.extend([] for _ in range(start, last.row + 1))
    for place, part in enumerate(block.parts):
        box = boxes[place]
        for source in part.inputs:
            box.sources.append(_bridged(boxes[source], box.row, rows))
        rows[box.row].append(box)
    return last


def _bridged(source: Box, row: int, rows: list[list[Box]]) -> Box:
    for between in range(source.row + 1, row):
        shared = [b for b in rows[between] if b.part is None and b.sources == [source]]
        passing = shared[0] if shared else Box(None, [source], row=between)
        if not shared:
            rows[between].append(passing)
        source = passing
    return source


def _spread(rows: Sequence[list[Box]]) -> tuple[float, float]:
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


def _straighten(rows: Sequence[list[Box]]) -> None:
    """Draw an edge that passes several rows outside of their parts as one straight line."""
    chains: dict[int, list[Box]] = {}
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


def _outside(box: Box, row: Sequence[Box], side: int) -> bool:
    """Whether only passing edges lie beyond the box on that side."""
    return all(side * other.x <= side * box.x or other.part is None for other in row)
