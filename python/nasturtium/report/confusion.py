"""The confusion matrix as a heat map, in words and class by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from nasturtium.report.figures import Figure
from nasturtium.report.svg import element, picture

Counts = NDArray[np.int64]

_NUMBERED, _NAMED = 25, 60
_NAME = 18
_SIZE = 460.0


def confusion(y_true: Counts, y_pred: Counts, classes: int) -> Counts:
    """Counts by true class (rows) and predicted class (columns).

    Args:
        y_true: int[n], the true classes.
        y_pred: int[n], the predicted classes.
        classes: number of classes.

    Returns:
        int[classes, classes].

    Raises:
        ValueError: a label is not in ``0 .. classes - 1``.
    """
    for values in (y_true, y_pred):
        if values.size and (values.min() < 0 or values.max() >= classes):
            raise ValueError(f"a label lies outside 0 to {classes - 1}")
    flat = y_true.astype(np.int64) * classes + y_pred.astype(np.int64)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


def short(name: str, most: int = _NAME) -> str:
    """The name, cut with an ellipsis where it is longer than ``most`` characters."""
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where the cells of a matrix of ``n`` classes lie."""

    n: int
    cell: float
    left: float
    top: float
    upright: bool

    @property
    def size(self) -> float:
        return self.n * self.cell


def _grid(names: Sequence[str]) -> _Grid:
    n = len(names)
    cell = min(40.0, _SIZE / n) if n > 36 else max(13.0, min(40.0, _SIZE / n))
    if n > _NAMED:
        return _Grid(n, cell, 30.0, 24.0, True)
    longest = max(len(short(name)) for name in names)
    upright = longest * 7.5 < cell
    return _Grid(n, cell, 34 + 6.6 * longest, 40.0 if upright else 34 + 5.8 * longest, upright)


def confusion_figure(counts: Counts, names: Sequence[str]) -> Figure:
    """The matrix as a heat map, shaded by the share of each true class."""
    n, grid = len(counts), _grid(names)
    rows = np.maximum(counts.sum(axis=1), 1)
    size, left, top = grid.size, grid.left, grid.top
    cells = [
        _cell(grid, int(i), int(j), int(counts[i, j]), float(counts[i, j] / rows[i]), names)
        for i, j in np.argwhere(counts)
    ]
    middle = f"translate(12 {top + size / 2:.0f}) rotate(-90)"
    small = " small" if grid.cell < 15 else ""
    drawing = picture(
        left + size + (8 if grid.upright else 60),
        top + size + 8,
        element("rect", x=left, y=top, width=size, height=size, class_="empty"),
        *cells,
        *(_names(grid, i, names[i]) for i in range(n) if n <= _NAMED),
        element("text", "predicted", x=left + size / 2, y=13, class_="name middle"),
        element("text", "true", transform=middle, class_="name middle"),
        label=f"Confusion matrix of {n} classes",
        class_=f"confusion{small}",
        natural=True,
    )
    return Figure("Confusion matrix", drawing, (), in_words(counts, names))


def _names(grid: _Grid, i: int, name: str) -> Markup:
    title = element("title", name)
    y = grid.top + (i + 0.5) * grid.cell + 4
    row = element("text", title, short(name), x=grid.left - 7, y=y, class_="tick end")
    x = grid.left + (i + 0.5) * grid.cell
    if grid.upright:
        column = element("text", title, short(name), x=x, y=grid.top - 7, class_="tick middle")
    else:
        turned = f"translate({x + 3:.1f} {grid.top - 7:.1f}) rotate(-50)"
        column = element("text", title, short(name), transform=turned, class_="tick")
    return element("g", row, column)


def _cell(grid: _Grid, i: int, j: int, count: int, share: float, names: Sequence[str]) -> Markup:
    # A single confusion among hundreds has to be seen, so the shades start at a visible one.
    opacity = 0.12 + 0.88 * share if i == j else 0.18 + 0.82 * share
    x, y = grid.left + j * grid.cell, grid.top + i * grid.cell
    gap = 1.0 if grid.cell > 6 else 0.0
    rect = element(
        "rect",
        element("title", f"{names[i]} taken for {names[j]}: {count}"),
        x=x + gap / 2,
        y=y + gap / 2,
        width=grid.cell - gap,
        height=grid.cell - gap,
        fill_opacity=opacity,
        class_="hit" if i == j else "miss",
    )
    if grid.n > _NUMBERED:
        return rect
    tone = "light" if opacity > 0.55 else "dark"
    center = grid.cell / 2
    text = element("text", f"{count}", x=x + center, y=y + center + 4, class_=f"count {tone}")
    return element("g", rect, text)


def in_words(counts: Counts, names: Sequence[str], most: int = 5) -> str:
    """The most frequent confusions: ``8 taken for 3 (2 times)``."""
    off = counts.copy()
    np.fill_diagonal(off, 0)
    wrong = int(off.sum())
    if not wrong:
        return "No sample was taken for another class."
    said = []
    for flat in np.argsort(-off, axis=None, kind="stable")[:most]:
        i, j = divmod(int(flat), len(counts))
        if off[i, j]:
            times = "once" if off[i, j] == 1 else f"{off[i, j]} times"
            said.append(f"{short(names[i], 40)} taken for {short(names[j], 40)} ({times})")
    return f"{wrong:,} of {int(counts.sum()):,} wrong. Most frequent: {', '.join(said)}."


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class of the test part: its samples, how many are recognized, how often its name is right.

    ``recall`` and ``precision`` are None where there is nothing to divide by.
    """

    name: str
    samples: int
    recall: float | None
    precision: float | None


def by_class(counts: Counts, names: Sequence[str]) -> list[ClassRow]:
    """Recall and precision of each class, the worst recognized first."""
    right, true, said = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    rows = [
        ClassRow(
            name=names[i],
            samples=int(true[i]),
            recall=float(right[i] / true[i]) if true[i] else None,
            precision=float(right[i] / said[i]) if said[i] else None,
        )
        for i in range(len(counts))
    ]
    return sorted(rows, key=lambda row: (row.recall is None, row.recall or 0.0, -row.samples))
