"""A measured operation beside its peers and its bar."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from nasturtium.bench.timing import RUNS, best

__all__ = ["Row", "as_markdown", "grown", "measured"]

Work = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One operation.

    Attributes:
        operation: what, in words.
        ours: this core's figure, in `unit`.
        unit: `/s` is better the larger; everything else is better the smaller, but for `x`.
        peers: the figure of each peer that is installed, in the same unit.
        bar: what `ours` must reach; where `relative` is set, what `ratio` must reach.
        relative: the bar is a factor over the best peer.
        sizes: items and seconds of each size that was timed; `ours` is of the last.
        exponent: the slope of log(seconds) over log(items) from the first size to the last.
    """

    operation: str
    ours: float
    unit: str
    peers: Mapping[str, float] = field(default_factory=dict)
    bar: float | None = None
    relative: bool = False
    sizes: tuple[tuple[int, float], ...] = ()
    exponent: float | None = None

    @property
    def rising(self) -> bool:
        """Whether larger is better."""
        return self.unit in ("/s", "x")

    @property
    def ratio(self) -> float | None:
        """How many times better than the best peer; None without one."""
        if not self.peers:
            return None
        if self.rising:
            return self.ours / max(self.peers.values())
        return min(self.peers.values()) / self.ours

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None where there is none, or no peer for it."""
        value = self.ratio if self.relative else self.ours
        if self.bar is None or value is None:
            return None
        return value >= self.bar if self.rising or self.relative else value <= self.bar

    def as_dict(self) -> dict[str, Any]:
        """The row as JSON: floats with four digits."""
        row = {**asdict(self), "ratio": self.ratio, "met": self.met}
        row["sizes"] = [{"items": n, "seconds": _short(s)} for n, s in self.sizes]
        row["peers"] = {name: _short(value) for name, value in self.peers.items()}
        for name in ("ours", "ratio", "exponent"):
            row[name] = None if row[name] is None else _short(row[name])
        return row


def measured(
    operation: str, items: int, work: Work, *, unit: str = "/s", runs: int = RUNS, **more: Any
) -> Row:
    """An operation on `items` items at one size: a rate, or milliseconds with the unit "ms"."""
    return grown(operation, (items,), lambda _: work, unit=unit, runs=runs, **more)


def grown(
    operation: str,
    sizes: Sequence[int],
    make: Callable[[int], Work],
    *,
    unit: str = "/s",
    peers: Mapping[str, Callable[[int], Work] | None] | None = None,
    rates: Mapping[str, float] | None = None,
    runs: int = RUNS,
    **more: Any,
) -> Row:
    """An operation at several sizes, the last of which is reported.

    `make(n)` prepares the work on n items; of `peers` those that are not None are timed at the last
    size, in the same run. `rates` are the figures of peers that were timed already.
    """
    timed = tuple((n, best(make(n), runs)) for n in sizes)
    n, seconds = timed[-1]
    exponent = None
    if len(timed) > 1:
        (few, quick) = timed[0]
        exponent = math.log(seconds / quick) / math.log(n / few)
    others = dict(rates or {}) | {
        name: _figure(unit, n, best(theirs(n), runs))
        for name, theirs in (peers or {}).items()
        if theirs is not None
    }
    return Row(
        operation, _figure(unit, n, seconds), unit, others, sizes=timed, exponent=exponent, **more
    )


def _figure(unit: str, items: int, seconds: float) -> float:
    return items / seconds if unit == "/s" else 1e3 * seconds


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of rows as `Row.as_dict` gives them: operation, this core, each peer, ratio, bar."""
    lines = [
        "| operation | this core | peers | ratio | bar | growth |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        unit = row["unit"]
        peers = ", ".join(f"{name} {_shown(v, unit)}" for name, v in row["peers"].items())
        bar = ""
        if row["bar"] is not None:
            sign = "≥" if row["relative"] or unit in ("/s", "x") else "≤"
            bar = f"{sign} {_shown(row['bar'], 'x' if row['relative'] else unit)}"
            bar += {True: ", met", False: ", missed", None: ""}[row["met"]]
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.3g}"
        growth = "" if row["exponent"] is None else f"n^{row['exponent']:.2f}"
        operation = row["operation"].replace("|", "\\|")
        cells = (operation, _shown(row["ours"], unit), peers, ratio, bar, growth)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _shown(value: float, unit: str) -> str:
    if unit == "x":
        return f"{value:.3g} x"
    return f"{value:,.0f}{unit}" if value >= 1e4 else f"{value:.3g} {unit}".replace(" /s", "/s")
