"""A small plotting vocabulary that writes SVG by itself.

A chart is a list of marks over two axes. Colors come from the page's style sheet through the
classes ``s0`` to ``s7``, so that one drawing serves light, dark and printed pages. Points that are
not finite, or not positive on a log axis, are left out; a chart of nothing is a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from markupsafe import Markup, escape

from nasturtium.report.scales import Scale, make_scale

Attribute = str | float | int | None


def element(name: str, *children: str | Markup, **attributes: Attribute) -> Markup:
    """One XML element; children and attribute values are escaped unless they are ``Markup``.

    A trailing underscore is dropped from attribute names and the others become hyphens
    (``class_`` is ``class``, ``text_anchor`` is ``text-anchor``); ``None`` leaves one out.
    """
    parts = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    ]
    inner = "".join(str(escape(child)) for child in children)
    return Markup(f"<{name}{''.join(parts)}>{inner}</{name}>")


def picture(
    width: float,
    height: float,
    *children: Markup,
    label: str,
    class_: str = "",
    natural: bool = False,
) -> Markup:
    """An ``<svg>`` with ``label`` as its text alternative.

    It fills the width it is given; a ``natural`` one is as large as it is drawn.
    """
    return element(
        "svg",
        element("title", label),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_text(width)} {_text(height)}",
        width=width if natural else None,
        height=height if natural else None,
        role="img",
        class_=class_ or None,
        aria_label=label,
    )


def sentence(text: str) -> Markup:
    """What stands in a chart's place when there is nothing to draw."""
    return element("p", text, class_="nothing")


@dataclass(frozen=True, slots=True)
class Axis:
    """A chart's axis.

    ``show`` formats tick values; ``low`` and ``high`` widen the range that the data asks for.
    """

    label: str
    log: bool = False
    show: Callable[[float], str] | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Points:
    """Markers at ``x``, ``y``; ``shape`` is circle, square, diamond or ring."""

    x: Sequence[float]
    y: Sequence[float]
    style: str = "s0"
    titles: Sequence[str] = ()
    radius: float = 3
    shape: str = "circle"


@dataclass(frozen=True, slots=True)
class Line:
    """A line through ``x``, ``y``; ``step`` holds each value until the next one."""

    x: Sequence[float]
    y: Sequence[float]
    style: str = "s0"
    title: str = ""
    step: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars from 0 to ``y`` between consecutive ``edges`` (one more than the bars)."""

    edges: Sequence[float]
    y: Sequence[float]
    style: str = "s0"


Mark = Points | Line | Bars

_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 14.0, 12.0, 42.0


def plot(
    marks: Sequence[Mark],
    *,
    x: Axis,
    y: Axis,
    label: str,
    width: float = 480,
    height: float = 290,
    nothing: str = "There is nothing to draw.",
) -> Markup:
    """Draw the marks over their axes, or say ``nothing`` where no mark has a point to draw."""
    cleaned = [clean for mark in marks if (clean := _clean(mark, x.log, y.log)) is not None]
    if not cleaned:
        return sentence(nothing)
    across = [value for mark in cleaned for value in _horizontal(mark)]
    up = [value for mark in cleaned for value in mark.y]
    if any(isinstance(mark, Bars) for mark in cleaned):
        up.append(0.0)
    sx = _scale(x, across, _LEFT, width - _RIGHT)
    sy = _scale(y, up, height - _BOTTOM, _TOP)
    return picture(
        width,
        height,
        _frame(x, y, sx, sy, width, height),
        *(_draw(mark, sx, sy) for mark in cleaned),
        label=label,
        class_="chart",
    )


def _scale(axis: Axis, values: list[float], start: float, stop: float) -> Scale:
    bounds = [bound for bound in (axis.low, axis.high) if bound is not None]
    return make_scale(values + bounds, start, stop, log=axis.log)


def _horizontal(mark: Mark) -> Sequence[float]:
    return mark.edges if isinstance(mark, Bars) else mark.x


def _clean(mark: Mark, log_x: bool, log_y: bool) -> Mark | None:
    """The mark without the points that have no place on the axes; None if none is left."""
    if isinstance(mark, Bars):
        sound = len(mark.y) > 0 and all(map(isfinite, (*mark.edges, *mark.y)))
        return mark if sound else None
    kept = [
        i
        for i, (a, b) in enumerate(zip(mark.x, mark.y, strict=True))
        if isfinite(a) and isfinite(b) and (a > 0 or not log_x) and (b > 0 or not log_y)
    ]
    if not kept:
        return None
    across, up = [mark.x[i] for i in kept], [mark.y[i] for i in kept]
    if isinstance(mark, Line):
        return Line(across, up, mark.style, mark.title, mark.step)
    titles = [mark.titles[i] for i in kept] if mark.titles else ()
    return Points(across, up, mark.style, titles, mark.radius, mark.shape)


def _frame(x: Axis, y: Axis, sx: Scale, sy: Scale, width: float, height: float) -> Markup:
    base, right = height - _BOTTOM, width - _RIGHT
    parts = []
    for value, text in sy.ticks(5, y.show):
        at = sy(value)
        parts.append(element("line", x1=_LEFT, x2=right, y1=at, y2=at, class_="grid"))
        parts.append(element("text", text, x=_LEFT - 7, y=at + 4, class_="tick end"))
    for value, text in sx.ticks(6, x.show):
        at = sx(value)
        parts.append(element("line", x1=at, x2=at, y1=base, y2=base + 4, class_="axis"))
        parts.append(element("text", text, x=at, y=base + 17, class_="tick middle"))
    middle = (_TOP + base) / 2
    parts.append(element("line", x1=_LEFT, x2=right, y1=base, y2=base, class_="axis"))
    parts.append(
        element("text", x.label, x=(_LEFT + right) / 2, y=height - 6, class_="name middle")
    )
    parts.append(
        element(
            "text", y.label, transform=f"translate(12 {_text(middle)}) rotate(-90)",
            class_="name middle",
        )
    )  # fmt: skip
    return element("g", *parts)


def _draw(mark: Mark, sx: Scale, sy: Scale) -> Markup:
    if isinstance(mark, Bars):
        base = sy(0.0)
        parts = [
            element(
                "rect", element("title", _text(value)), x=sx(a) + 0.5, y=min(sy(value), base),
                width=max(sx(b) - sx(a) - 1, 0.5), height=abs(base - sy(value)),
            )
            for a, b, value in zip(mark.edges, mark.edges[1:], mark.y, strict=False)
        ]  # fmt: skip
        return element("g", *parts, class_=f"bars {mark.style}")
    if isinstance(mark, Line):
        return _path(mark, sx, sy)
    titles = mark.titles or [""] * len(mark.x)
    parts = [
        _marker(mark.shape, sx(a), sy(b), mark.radius, title)
        for a, b, title in zip(mark.x, mark.y, titles, strict=True)
    ]
    return element("g", *parts, class_=f"points {mark.style}")


def _path(mark: Line, sx: Scale, sy: Scale) -> Markup:
    commands = [f"M{_text(sx(mark.x[0]))} {_text(sy(mark.y[0]))}"]
    for a, b in zip(mark.x[1:], mark.y[1:], strict=True):
        across, up = _text(sx(a)), _text(sy(b))
        commands.append(f"H{across}V{up}" if mark.step else f"L{across} {up}")
    if len(mark.x) == 1:
        commands.append("h0.01")
    title = [element("title", mark.title)] if mark.title else []
    return element("path", *title, d="".join(commands), class_=f"line {mark.style}")


def _marker(shape: str, x: float, y: float, radius: float, title: str) -> Markup:
    inner = [element("title", title)] if title else []
    if shape == "square":
        side = 2 * radius
        return element("rect", *inner, x=x - radius, y=y - radius, width=side, height=side)
    if shape == "diamond":
        r = radius * 1.3
        d = f"M{_text(x)} {_text(y - r)}l{_text(r)} {_text(r)}l{_text(-r)} {_text(r)}"
        return element("path", *inner, d=f"{d}l{_text(-r)} {_text(-r)}Z")
    ring = "ring" if shape == "ring" else None
    return element("circle", *inner, cx=x, cy=y, r=radius, class_=ring)


def _text(value: Attribute) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"
    return str(value)
