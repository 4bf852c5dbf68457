"""Draws the times of steps beside each other: python bench/kernels/plot.py FILE.csv [--out FILE].

FILE is what bench_mixed_op.py writes; the drawing is an SVG beside it.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from markupsafe import Markup

from nasturtium.report.scales import compact
from nasturtium.report.svg import element, picture

STYLE = (
    "svg{background:#fff} text{font:13px sans-serif;fill:#333} .head{font-weight:bold}"
    " .own{fill:#0072b2} .peer{fill:#b8c2cc}"
)
LEFT, BARS, RIGHT, ROW, GAP = 190.0, 420.0, 130.0, 18.0, 14.0


def steps(file: Path) -> list[tuple[str, dict[str, float]]]:
    """Each step's name and the milliseconds of ours and its peers, the first ours."""
    found = []
    with file.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            if not row["operation"].endswith(": step") or not row["peers"]:
                continue
            peers = (text.rsplit(" ", 1) for text in row["peers"].split("; "))
            times = {"fused": float(row["ours"])} | {name: float(value) for name, value in peers}
            found.append((row["operation"].removesuffix(": step"), times))
    return found


def drawing(found: list[tuple[str, dict[str, float]]]) -> Markup:
    """A group of bars for each step, as long as its slowest; times and factors beside them."""
    parts, y = [element("style", STYLE)], GAP
    for name, times in found:
        parts.append(element("text", name, x=8.0, y=y + 13, class_="head"))
        y += ROW + 4
        own, longest = times["fused"], max(times.values())
        for kind, value in times.items():
            width = BARS * value / longest
            text = f"{compact(value)} ms" + ("" if kind == "fused" else f", {value / own:.1f}x")
            parts += [
                element("text", kind, x=20.0, y=y + 13),
                element(
                    "rect", x=LEFT, y=y + 2, width=width, height=ROW - 4,
                    class_="own" if kind == "fused" else "peer",
                ),
                element("text", text, x=LEFT + width + 6, y=y + 13),
            ]  # fmt: skip
            y += ROW
        y += GAP
    label = "Milliseconds of a step, forward and backward with all gradients"
    return picture(LEFT + BARS + RIGHT, y, *parts, label=label, natural=True)


def main() -> None:
    """Read the table and write the drawing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    out = options.out or options.file.with_suffix(".svg")
    out.write_text(str(drawing(steps(options.file))) + "\n", encoding="utf-8")
    print(out)


if __name__ == "__main__":
    main()
