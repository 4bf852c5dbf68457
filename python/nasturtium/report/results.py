"""The charts of the test result: confusion matrix, residuals, intervals beside the baselines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from nasturtium.report.data import ReportData, finite, pair
from nasturtium.report.figures import Figure
from nasturtium.report.scales import make_scale, percent_tick
from nasturtium.report.svg import Axis, Bars, Line, Mark, Points, element, picture, plot, sentence

_NUMBERED = 25
_NAME = 18


def confusion(
    y_true: NDArray[np.int64], y_pred: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Counts by true class (rows) and predicted class (columns); out of range is an error.

    Raises:
        ValueError: a label is not in ``0 .. classes - 1``.
    """
    for values in (y_true, y_pred):
        if values.size and not (values.min() >= 0 and values.max() < classes):
            raise ValueError(f"a label lies outside 0 to {classes - 1}")
    flat = y_true.astype(np.int64) * classes + y_pred.astype(np.int64)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


def short(name: str, most: int = _NAME) -> str:
    """The name, cut with an ellipsis where it is longer than ``most`` characters."""
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


def confusion_figure(counts: NDArray[np.int64], names: Sequence[str]) -> Figure:
    """The confusion matrix as a heat map, shaded by the share of each true class."""
    n = len(counts)
    cell = max(13.0, min(40.0, 460.0 / n))
    left = 24 + 6.6 * max(len(short(name)) for name in names)
    upright = n <= 12 and max(len(name) for name in names) * 7 < cell
    top = 40.0 if upright else 24 + 5.2 * max(len(short(name)) for name in names)
    parts: list[Markup] = []
    rows = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for i in range(n):
        y = top + i * cell
        parts.append(
            element(
                "text", element("title", names[i]), short(names[i]), x=left - 7,
                y=y + cell / 2 + 4, class_="tick end",
            )
        )  # fmt: skip
        parts.append(_column(names[i], left + (i + 0.5) * cell, top - 7, upright))
        for j in range(n):
            share = float(counts[i, j] / rows[i, 0])
            parts.append(
                _cell(left + j * cell, y, cell, int(counts[i, j]), share, i == j,
                      f"{names[i]} taken for {names[j]}: {counts[i, j]}", n)
            )  # fmt: skip
    size = n * cell
    parts.append(
        element("text", "predicted", x=left + size / 2, y=13, class_="name middle")
    )  # fmt: skip
    parts.append(
        element(
            "text", "true", transform=f"translate(11 {top + size / 2:.0f}) rotate(-90)",
            class_="name middle",
        )
    )  # fmt: skip
    right = 8 if upright else 44
    drawing = picture(
        left + size + right, top + size + 8, *parts,
        label=f"Confusion matrix of {n} classes", class_="confusion",
    )  # fmt: skip
    return Figure("Confusion matrix", drawing, (), confusions_in_words(counts, names))


def _column(name: str, x: float, y: float, upright: bool) -> Markup:
    title = element("title", name)
    if upright:
        return element("text", title, short(name), x=x, y=y, class_="tick middle")
    turned = f"translate({x + 3:.1f} {y:.1f}) rotate(-50)"
    return element("text", title, short(name), transform=turned, class_="tick")


def _cell(
    x: float, y: float, size: float, count: int, share: float, diagonal: bool, title: str, n: int
) -> Markup:
    # A single confusion among hundreds has to be seen, so shading starts at a visible floor.
    opacity = 0.0 if count == 0 else 0.12 + 0.88 * share
    parts = [
        element(
            "rect", element("title", title), x=x + 0.5, y=y + 0.5, width=size - 1, height=size - 1,
            fill_opacity=opacity, class_="hit" if diagonal else "miss",
        )
    ]  # fmt: skip
    if count and n <= _NUMBERED:
        tone = "light" if opacity > 0.55 else "dark"
        parts.append(
            element("text", f"{count}", x=x + size / 2, y=y + size / 2 + 4, class_=f"count {tone}")
        )
    elif not count:
        parts.append(
            element("rect", x=x + 0.5, y=y + 0.5, width=size - 1, height=size - 1, class_="empty")
        )
    return element("g", *parts)


def confusions_in_words(counts: NDArray[np.int64], names: Sequence[str], most: int = 5) -> str:
    """The most frequent confusions: ``8 taken for 3 (2 times)``."""
    off = counts.copy()
    np.fill_diagonal(off, 0)
    if not off.any():
        return "No sample was taken for another class."
    order = np.argsort(off, axis=None, kind="stable")[::-1][:most]
    said = []
    for flat in order:
        i, j = divmod(int(flat), len(counts))
        if off[i, j]:
            times = "once" if off[i, j] == 1 else f"{off[i, j]} times"
            said.append(f"{short(names[i], 40)} taken for {short(names[j], 40)} ({times})")
    return f"{int(off.sum())} wrong. Most frequent: {', '.join(said)}."


def residual_figures(
    y_true: NDArray[np.float64], y_pred: NDArray[np.float64], target: str
) -> list[Figure]:
    """Predicted against true values, and the histogram of the residuals."""
    sound = np.isfinite(y_true) & np.isfinite(y_pred)
    truth, guess = y_true[sound].tolist(), y_pred[sound].tolist()
    name = short(target, 30) if target else "target"
    marks: list[Mark] = []
    if truth:
        ends = [min(truth + guess), max(truth + guess)]
        marks = [Line(ends, ends, "s5 dashed"), Points(truth, guess, "s0", radius=2.6)]
    scatter = plot(
        marks, x=Axis(f"true {name}"), y=Axis(f"predicted {name}"),
        label=f"Predicted against true {name}", nothing="There are no predictions.",
    )  # fmt: skip
    residuals = np.asarray(guess) - np.asarray(truth)
    bars: list[Mark] = []
    if residuals.size:
        counts, edges = np.histogram(residuals, bins=_bins(residuals))
        bars = [Bars(edges.tolist(), counts.tolist(), "s0")]
    histogram = plot(
        bars, x=Axis("predicted \N{MINUS SIGN} true"), y=Axis("samples"),
        label="Histogram of the residuals", nothing="There are no predictions.",
    )  # fmt: skip
    caption = ""
    if residuals.size:
        inside = np.quantile(np.abs(residuals), 0.9)
        caption = f"Mean residual {residuals.mean():+.3g}; 90 % err by less than {inside:.3g}."
    return [
        Figure(
            "Predicted against true", scatter, (), "On the dashed line the prediction is exact."
        ),
        Figure("Residuals", histogram, (), caption),
    ]


def _bins(values: NDArray[np.float64]) -> int:
    """Freedman-Diaconis, within 5 and 40 bins."""
    low, high = np.quantile(values, [0.25, 0.75])
    width = 2 * float(high - low) / len(values) ** (1 / 3)
    span = float(values.max() - values.min())
    return int(min(40, max(5, np.ceil(span / width)))) if width > 0 and span > 0 else 5


def intervals_figure(data: ReportData) -> Figure | None:
    """The test results with their 95 % intervals, one row each, the found network first."""
    rows = [
        (
            "the found network",
            data.number(data.metric),
            data.interval(f"{data.metric}_interval"),
            "s3",
        )
    ]
    for entry in data.baselines:
        value, spread = finite(entry.get(data.metric)), pair(entry.get("interval"))
        style = "s0" if entry.get("measured", True) else "s5"
        rows.append((str(entry.get("name", "")), value, spread, style))
    known = [(n, v, s or (v, v), c) for n, v, s, c in rows if v is not None]
    if not known or len(rows) < 2:
        return None
    width, left, step, top = 760.0, 220.0, 30.0, 8.0
    base = top + step * len(known)
    ends = [bound for _, _, spread, _ in known for bound in spread]
    scale = make_scale(ends, left, width - 20)
    parts: list[Markup] = []
    for value, text in scale.ticks(6, percent_tick if data.classification else None):
        at = scale(value)
        parts.append(element("line", x1=at, x2=at, y1=top, y2=base, class_="grid"))
        parts.append(element("text", text, x=at, y=base + 18, class_="tick middle"))
    for i, (name, value, (low, high), style) in enumerate(known):
        y = top + (i + 0.5) * step
        parts.append(_whisker(name, scale(value), scale(low), scale(high), y, left, style))
    label = "test accuracy" if data.classification else "test RMSE (lower is better)"
    parts.append(
        element("text", label, x=(left + width - 20) / 2, y=base + 36, class_="name middle")
    )
    drawing = picture(
        width, base + 42, *parts, label=f"Intervals of the {label}", class_="intervals"
    )
    return Figure("Test results with 95 % intervals", drawing)


def _whisker(
    name: str, at: float, low: float, high: float, y: float, left: float, style: str
) -> Markup:
    return element(
        "g",
        element(
            "text", element("title", name), short(name, 32), x=left - 10, y=y + 4, class_="tick end"
        ),
        element("line", x1=low, x2=high, y1=y, y2=y),
        element("line", x1=low, x2=low, y1=y - 4, y2=y + 4),
        element("line", x1=high, x2=high, y1=y - 4, y2=y + 4),
        element("circle", cx=at, cy=y, r=4.5),
        class_=f"whisker {style}",
    )


def result_figures(data: ReportData) -> list[Figure]:
    """What the test part shows: confusion matrix, or residuals; a sentence where it is missing."""
    found = data.predictions
    if found is None:
        missing = sentence("The predictions on the test part were not saved.")
        return [Figure("Test part", missing)]
    if not data.classification:
        target = str(data.get("data", "target") or "")
        return residual_figures(
            np.asarray(found.y_true, np.float64), np.asarray(found.y_pred, np.float64), target
        )
    y_true, y_pred = np.asarray(found.y_true, np.int64), np.asarray(found.y_pred, np.int64)
    if y_true.size == 0:
        return [Figure("Confusion matrix", sentence("The test part is empty."))]
    names = data.class_names
    highest = int(max(y_true.max(), y_pred.max())) + 1
    names = names + [str(i) for i in range(len(names), highest)]
    return [confusion_figure(confusion(y_true, y_pred, len(names)), names)]
