"""The charts of the test result: residuals, and intervals beside the baselines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from nasturtium.report.confusion import ClassRow, by_class, confusion, confusion_figure, short
from nasturtium.report.data import ReportData, baseline_interval, finite, title
from nasturtium.report.figures import Figure
from nasturtium.report.scales import make_scale, percent_tick, signed
from nasturtium.report.svg import Axis, Bars, Line, Mark, Points, element, picture, plot, sentence

# A scatter of more points than this is a blot, and slow to draw.
_SCATTERED = 2000


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
        step = -(-len(truth) // _SCATTERED)
        marks = [
            Line(ends, ends, "s5 dashed"),
            Points(truth[::step], guess[::step], "s0", radius=2.6),
        ]
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
    exact = "On the dashed line the prediction is exact."
    if len(truth) > _SCATTERED:
        exact += f" {len(truth[::step]):,} of {len(truth):,} samples are drawn."
    if residuals.size:
        inside = np.quantile(np.abs(residuals), 0.9)
        caption = f"Mean residual {signed(residuals.mean())}; 90 % err by less than {inside:.3g}."
    return [
        Figure("Predicted against true", scatter, (), exact),
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
        value, spread = finite(entry.get(data.metric)), baseline_interval(data, entry)
        style = "s0" if entry.get("measured", True) else "s5"
        rows.append((title(entry), value, spread, style))
    known = [(n, v, s or (v, v), c) for n, v, s, c in rows if v is not None]
    if not known or len(rows) < 2:
        return None
    width, left, step, top = 760.0, 220.0, 30.0, 8.0
    base = top + step * len(known)
    ends = [bound for _, _, spread, _ in known for bound in spread]
    scale = make_scale(ends, left, width - 20)
    if data.classification:
        scale = replace(scale, low=max(scale.low, 0.0), high=min(scale.high, 1.0))
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
    known = _confusion(data)
    if known is None:
        return [Figure("Confusion matrix", sentence("The test part is empty."))]
    return [confusion_figure(*known)]


def result_classes(data: ReportData) -> list[ClassRow]:
    """The classes of the test part, the worst recognized first; empty for a regression."""
    known = _confusion(data) if data.classification else None
    return [] if known is None else by_class(*known)


def _confusion(data: ReportData) -> tuple[NDArray[np.int64], list[str]] | None:
    found = data.predictions
    if found is None or found.y_true.size == 0:
        return None
    y_true, y_pred = np.asarray(found.y_true, np.int64), np.asarray(found.y_pred, np.int64)
    names = data.class_names
    highest = int(max(y_true.max(), y_pred.max())) + 1
    names = names + [str(i) for i in range(len(names), highest)]
    return confusion(y_true, y_pred, len(names)), names
