"""Linear and logarithmic scales with ticks at round values, and the number formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

Show = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Scale:
    """A map from ``[low, high]`` to the drawing's ``[start, stop]``."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value; on a log scale it has to be positive."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = log10(low), log10(high), log10(value)
        return self.start + (at - low) / (high - low) * (self.stop - self.start)

    def ticks(self, count: int, show: Show | None = None) -> list[tuple[float, str]]:
        """At most about ``count`` round values inside the range, each with its text."""
        values = _log_ticks(self.low, self.high, count) if self.log else []
        if len(values) < 2:
            values = _linear_ticks(self.low, self.high, count)
        if show is None:
            step = values[1] - values[0] if len(values) > 1 and not self.log else 0.0
            show = compact if self.log or abs(values[-1]) >= 1e4 else _fixed(step)
        texts = [show(value) for value in values]
        # Ticks that read the same say nothing: keep the first of each text.
        return [(v, t) for i, (v, t) in enumerate(zip(values, texts, strict=True))
                if t not in texts[:i]]  # fmt: skip


def make_scale(values: Sequence[float], start: float, stop: float, *, log: bool = False) -> Scale:
    """A scale that holds the values with a little room at both ends.

    Raises:
        ValueError: no values, a value that is not finite, or one that has no logarithm.
    """
    if not values or not all(map(isfinite, values)):
        raise ValueError("a scale needs finite values")
    low, high = min(values), max(values)
    if log:
        if low <= 0:
            raise ValueError(f"{low} has no place on a log scale")
        room = max((high / low) ** 0.05, 1.0 + 1e-9)
        if high / low < 1.2:
            room = 1.5
        return Scale(low / room, high * room, start, stop, log=True)
    # One part in a million of the magnitude: closer values cannot be told apart in a drawing.
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        half = max(abs(high) * 0.1, 0.5) if high == 0 or abs(high) > 1 else abs(high) * 0.1
        return Scale(low - half, high + half, start, stop)
    room = 0.05 * (high - low)
    return Scale(low if low == 0 else low - room, high + room, start, stop)


def _linear_ticks(low: float, high: float, count: int) -> list[float]:
    raw = (high - low) / max(count, 1)
    power = 10.0 ** floor(log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    for multiples in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        values = [
            m * 10.0**power
            for power in range(floor(log10(low)), ceil(log10(high)) + 1)
            for m in multiples
            if low <= m * 10.0**power <= high
        ]
        if len(values) <= count + 1:
            return values
    every = ceil(len(values) / count)
    return values[::every]


def _fixed(step: float) -> Show:
    digits = 0
    while digits < 9 and step and abs(round(step, digits) - step) > 1e-6 * step:
        digits += 1
    return lambda value: minus(f"{value:.{digits}f}")


def compact(value: float) -> str:
    """A short text with a magnitude letter: 950, 37.8k, 1.2M, 4.5G; small ones as they are.

    >>> [compact(v) for v in (0, 0.05, 950, 37802, 1.2e6)]
    ['0', '0.05', '950', '37.8k', '1.2M']
    """
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def signed(value: float) -> str:
    """Three digits with a sign, the minus as long as the plus.

    >>> signed(0.25), signed(-0.25)
    ('+0.25', '−0.25')
    """
    return minus(f"{value:+.3g}")


def minus(text: str) -> str:
    """The text with a minus sign in place of hyphens."""
    return text.replace("-", "−")


def percent(value: float, digits: int = 1) -> str:
    r"""A share as percent, with a space that does not break.

    >>> percent(0.9958)
    '99.6\xa0%'
    """
    return f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


def percent_tick(value: float) -> str:
    """A share as percent with as few digits as it needs: 90 %, 99.5 %."""
    return f"{100 * value:.4g}\N{NO-BREAK SPACE}%"


def duration(seconds: float) -> str:
    """Seconds as a reader says them.

    >>> [duration(v) for v in (0.0123, 4.25, 75, 7325)]
    ['12 ms', '4.2 s', '1 min 15 s', '2 h 2 min']
    """
    if not isfinite(seconds):
        return "unknown"
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = whole // 60
    return f"{minutes // 60} h {minutes % 60} min"
