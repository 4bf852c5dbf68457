"""The plotting vocabulary: structure of what it draws, ticks, and what it leaves out."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasturtium.report.scales import compact, duration, make_scale, minus, percent, signed
from nasturtium.report.svg import Axis, Bars, Line, Points, element, plot

SVG = "{http://www.w3.org/2000/svg}"
NAN, INF = math.nan, math.inf
finite = st.floats(-1e12, 1e12, allow_nan=False)


def draw(*marks: Points | Line | Bars, x: Axis | None = None, y: Axis | None = None) -> ET.Element:
    text = plot(marks, x=x or Axis("x"), y=y or Axis("y"), label="A chart")
    return ET.fromstring(str(text))


@given(st.lists(finite, min_size=1, max_size=20), st.integers(2, 8))
def test_linear_ticks_lie_inside_and_are_equally_spaced(values: list[float], count: int) -> None:
    scale = make_scale(values, 0, 100)
    ticks = [value for value, _ in scale.ticks(count)]
    assert 1 <= len(ticks) <= count + 1
    slack = 1e-9 * (scale.high - scale.low)
    assert all(scale.low - slack <= tick <= scale.high + slack for tick in ticks)
    gaps = [b - a for a, b in pairwise(ticks)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps), rel=1e-6) if gaps else True
    assert all(0 <= scale(value) <= 100 for value in values)


@given(st.lists(st.floats(1e-9, 1e15), min_size=1, max_size=20))
def test_log_ticks_lie_inside(values: list[float]) -> None:
    scale = make_scale(values, 100, 0, log=True)
    ticks = [value for value, _ in scale.ticks(6)]
    assert ticks == sorted(set(ticks))
    assert ticks and all(scale.low <= tick <= scale.high for tick in ticks)
    assert all(-1e-6 <= scale(value) <= 100 + 1e-6 for value in values)


def test_log_scale_is_logarithmic() -> None:
    scale = make_scale([1.0, 10000.0], 0, 1, log=True)
    assert scale(100.0) == pytest.approx(0.5)
    assert scale(1000.0) - scale(100.0) == pytest.approx(scale(100.0) - scale(10.0))
    assert [text for _, text in scale.ticks(6)] == ["1", "10", "100", "1k", "10k"]


@pytest.mark.parametrize("values", [[], [NAN], [INF, 1.0]])
def test_scale_refuses_what_has_no_place(values: list[float]) -> None:
    with pytest.raises(ValueError):
        make_scale(values, 0, 1)


def test_log_scale_refuses_zero() -> None:
    with pytest.raises(ValueError, match="log"):
        make_scale([0.0, 1.0], 0, 1, log=True)


def test_points_that_are_not_finite_are_left_out() -> None:
    x, y = [1.0, NAN, 3.0, 4.0, INF], [1.0, 2.0, NAN, 4.0, 5.0]
    circles = draw(Points(x, y)).findall(f".//{SVG}circle")
    assert len(circles) == 2
    assert "nan" not in ET.tostring(draw(Line(x, y)), encoding="unicode").lower()


def test_points_without_a_logarithm_are_left_out() -> None:
    chart = draw(Points([0.0, -1.0, 10.0], [1.0, 2.0, 3.0]), x=Axis("x", log=True))
    assert len(chart.findall(f".//{SVG}circle")) == 1


@pytest.mark.parametrize(
    "marks", [[], [Points([], [])], [Line([NAN], [1.0])], [Bars([0.0, 1.0], [])]]
)
def test_nothing_to_draw_is_a_sentence(marks: list[Points | Line | Bars]) -> None:
    text = plot(marks, x=Axis("x"), y=Axis("y"), label="A chart", nothing="No trial <yet>.")
    assert str(text) == '<p class="nothing">No trial &lt;yet&gt;.</p>'


def test_marks_stay_inside_the_drawing() -> None:
    chart = draw(Points([-5.0, 0.0, 1e6], [0.1, 1e-3, 7.0]))
    _, _, width, height = map(float, chart.attrib["viewBox"].split())
    for circle in chart.iter(f"{SVG}circle"):
        assert 0 < float(circle.attrib["cx"]) < width
        assert 0 < float(circle.attrib["cy"]) < height


def test_higher_values_are_drawn_higher() -> None:
    low, high = draw(Points([0.0, 1.0], [0.0, 1.0])).iter(f"{SVG}circle")
    assert float(low.attrib["cy"]) > float(high.attrib["cy"])
    assert float(low.attrib["cx"]) < float(high.attrib["cx"])


def test_step_line_turns_at_right_angles() -> None:
    chart = draw(Line([0.0, 1.0, 2.0], [0.0, 1.0, 3.0], step=True))
    path = next(p for p in chart.iter(f"{SVG}path") if "line" in p.attrib["class"])
    assert re.fullmatch(r"M\S+ \S+(H[\d.]+V[\d.]+){2}", path.attrib["d"])


def test_bars_stand_on_zero_in_proportion() -> None:
    chart = draw(Bars([0.0, 1.0, 2.0, 3.0], [2.0, 4.0, 0.0]))
    heights = [float(rect.attrib["height"]) for rect in chart.iter(f"{SVG}rect")]
    assert heights[1] == pytest.approx(2 * heights[0], rel=1e-3)
    assert heights[2] == 0


def test_chart_has_a_text_alternative() -> None:
    chart = draw(Points([1.0], [1.0]))
    assert chart.attrib["role"] == "img"
    assert chart.findtext(f"{SVG}title") == "A chart"


def test_children_and_attributes_are_escaped() -> None:
    made = element("text", "<b>&", class_='"x"', text_anchor="end")
    assert str(made) == '<text class="&#34;x&#34;" text-anchor="end">&lt;b&gt;&amp;</text>'


def test_number_formats() -> None:
    assert [compact(v) for v in (0, 0.05, 950, 999.6, 37802, 1.2e6)] == [
        "0", "0.05", "950", "1k", "37.8k", "1.2M",
    ]  # fmt: skip
    assert [duration(v) for v in (0.0123, 0.9999, 4.25, 59.99, 60, 75, 7325, NAN)] == [
        "12 ms", "1.0 s", "4.2 s", "1 min", "1 min", "1 min 15 s", "2 h 2 min", "unknown",
    ]  # fmt: skip
    assert percent(0.9958) == "99.6\N{NO-BREAK SPACE}%"
    assert signed(-0.25) == "\N{MINUS SIGN}0.25"
    assert minus("-1") == "\N{MINUS SIGN}1"
