"""The result in words: what was found, and what it beats, ties with or loses to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nasturtium.report.data import ReportData, amount, baseline_interval, finite, pair, title
from nasturtium.report.scales import compact, minus, percent, signed

Outcome = Literal["better", "level", "worse", "unmeasured"]

# A difference counts where a test of this level (or the 95 % interval) tells it from zero.
SIGNIFICANT = 0.05

_MARKS: Mapping[Outcome, str] = {
    "better": "beaten",
    "level": "level",
    "worse": "not beaten",
    "unmeasured": "estimated",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A baseline beside the found network; ``sentence`` says in words how they compare."""

    name: str
    outcome: Outcome
    sentence: str
    result: str
    difference: str
    test: str
    params: str
    macs: str
    seconds: float | None
    note: str

    @property
    def mark(self) -> str:
        """The outcome in one or two words."""
        return _MARKS[self.outcome]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The headline, the sentences below it with their outcomes, and the comparisons behind them."""

    headline: str
    sentences: tuple[tuple[Outcome, str], ...]
    comparisons: tuple[Comparison, ...]


def verdict(data: ReportData) -> Verdict:
    """The words at the top of the page."""
    comparisons = tuple(_compare(data, entry) for entry in data.baselines)
    measured = [c for c in comparisons if c.outcome != "unmeasured"]
    estimated = [c for c in comparisons if c.outcome == "unmeasured"]
    sentences: list[tuple[Outcome, str]] = [(c.outcome, c.sentence) for c in measured]
    if not comparisons:
        sentences.append(("unmeasured", "It was compared with nothing: no baseline has been run."))
    elif not measured:
        sentences.append(("unmeasured", "No baseline was measured on the held-out part."))
    sentences += [(c.outcome, c.sentence) for c in estimated]
    return Verdict(_headline(data), tuple(sentences), comparisons)


def _headline(data: ReportData) -> str:
    value, metric = data.number(data.metric), data.metric
    size = _size(data)
    if value is None:
        best = data.number("validation_score")
        found = "" if best is None else f" The best validation score so far is {best:.4g}."
        return f"The run has no test result yet.{found}"
    held_out = data.number("data", "test")
    thing = "images" if len(data.get("data", "input_shape") or ()) == 3 else "rows"
    on = f"{held_out:,.0f} held-out {thing}" if held_out else f"the held-out {thing}"
    low_high = data.interval(f"{metric}_interval")
    between = (
        "" if low_high is None else f" (95\N{NO-BREAK SPACE}% interval {_range(data, low_high)})"
    )
    if data.classification:
        return f"The found network gets {_value(data, value)} of {on} right{between}{size}."
    target = data.get("data", "target")
    of = f" in {target}" if target else ""
    return f"The found network errs by {_value(data, value)}{of} (RMSE) on {on}{between}{size}."


def _size(data: ReportData) -> str:
    params, macs = data.number("params"), data.number("macs")
    if params is None:
        return ""
    multiply = "" if macs is None else f" and {compact(macs)} multiply-adds"
    return f", with {params:,.0f} parameters{multiply}"


def digits(data: ReportData) -> int:
    """Decimals of a percentage: no more than the size of the test part supports."""
    return 2 if (data.number("data", "test") or 0) >= 3000 else 1


def _value(data: ReportData, value: float) -> str:
    return percent(value, digits(data)) if data.classification else f"{value:.4g}"


def _range(data: ReportData, bounds: tuple[float, float]) -> str:
    low, high = bounds
    if data.classification:
        return f"{100 * low:.{digits(data)}f} to {percent(high, digits(data))}"
    return f"{low:.4g} to {high:.4g}"


def _signed(data: ReportData, value: float) -> str:
    return minus(f"{100 * value:+.{digits(data)}f}") if data.classification else signed(value)


def outcome(
    difference: float | None, interval: tuple[float, float] | None, p: float | None, measured: bool
) -> Outcome:
    """Whether the found network is better than a baseline, level with it, or worse.

    Args:
        difference: positive where the found network is better.
        interval: 95 % interval of the difference.
        p: p-value of the paired test; where there is one, it decides instead of the interval.
        measured: whether the baseline was measured on the test part.
    """
    if difference is None or not measured:
        return "unmeasured"
    if p is not None:
        told_apart = p < SIGNIFICANT
    else:
        told_apart = interval is not None and (interval[0] > 0 or interval[1] < 0)
    if not told_apart or difference == 0:
        return "level"
    return "better" if difference > 0 else "worse"


def _compare(data: ReportData, entry: Mapping[str, Any]) -> Comparison:
    value, interval = finite(entry.get(data.metric)), baseline_interval(data, entry)
    params, macs = finite(entry.get("params")), finite(entry.get("macs"))
    difference, p = finite(entry.get("difference")), finite(entry.get("mcnemar_p"))
    mine = data.number(data.metric)
    if difference is None and value is not None and mine is not None:
        difference = mine - value if data.classification else value - mine
    spread = pair(entry.get("difference_interval"))
    measured = bool(entry.get("measured", True)) and value is not None
    kind = outcome(difference, spread, p, measured)

    shown = "" if value is None else _value(data, value)
    if shown and interval is not None:
        shown += f" ({_range(data, interval)})"
    gap = "" if difference is None else _signed(data, difference)
    if gap and spread is not None:
        gap += f" ({_signed(data, spread[0])} to {_signed(data, spread[1])})"
    epochs = finite(entry.get("epochs"))
    trained = "" if epochs is None else f"Trained for {amount('epochs', epochs)}."
    note = " ".join(filter(None, [trained, str(entry.get("note") or "")]))
    return Comparison(
        name=title(entry),
        outcome=kind,
        sentence=_sentence(data, entry, kind, difference, params),
        result=shown or "not measured",
        difference=gap,
        test="" if p is None else f"p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{p_text(p)}",
        params="" if params is None else f"{params:,.0f}",
        macs="" if macs is None else compact(macs),
        seconds=finite(entry.get("seconds")),
        note=note,
    )


def _sentence(
    data: ReportData, entry: Mapping[str, Any], kind: Outcome, difference: float | None,
    params: float | None,
) -> str:  # fmt: skip
    name, value = title(entry), finite(entry.get(data.metric))
    name += handicap(finite(entry.get("epochs")), data.number("epochs"))
    p = finite(entry.get("mcnemar_p"))
    if kind == "unmeasured" or value is None or difference is None:
        estimate = "" if value is None else f", estimated at {_value(data, value)}"
        said = [str(entry[key]).strip() for key in ("verdict", "note") if entry.get(key)]
        return " ".join([f"Not measured on the held-out part: {name}{estimate}.", *said])
    mine = data.number(data.metric)
    if data.classification or mine is None:
        how = f"{_value(data, value)}, difference {_signed(data, difference)} points"
    else:
        against = f"RMSE {_value(data, value)} against {_value(data, mine)}"
        how = f"{against}, difference {_signed(data, difference)}"
    if p is not None:
        how += f", McNemar p = {p_text(p)}"
    elif (spread := pair(entry.get("difference_interval"))) is not None:
        how += f", interval {_signed(data, spread[0])} to {_signed(data, spread[1])}"
    ratio = _ratio(data.number("params"), params)
    if kind == "better":
        return f"It beats {name} ({how}){ratio}."
    if kind == "worse":
        return f"It does not beat {name}, which is better ({how}){ratio}."
    return f"It does not beat {name}: the two cannot be told apart ({how}){ratio}."


def handicap(epochs: float | None, mine: float | None) -> str:
    """What must be said with the name of a baseline that was trained for far fewer epochs.

    >>> handicap(2, 43)
    ' as trained here, for 2 epochs where the found network had 43'
    >>> handicap(30, 43)
    ''
    """
    if not epochs or not mine or 2 * epochs >= mine:
        return ""
    return (
        f" as trained here, for {amount('epochs', epochs)} where the found network had {mine:,.0f}"
    )


def _ratio(mine: float | None, other: float | None) -> str:
    if not mine or not other:
        return ""
    if 0.95 <= mine / other <= 1.05:
        return ", at the same number of parameters"
    if mine < other:
        return f", with {percent(mine / other, 0)} of its parameters"
    return f", with {mine / other:.1f} times its parameters"


def p_text(p: float) -> str:
    """A p-value with two digits that matter: 0.62, 0.031, 2e-05.

    >>> [p_text(v) for v in (1.0, 0.6171, 0.0312, 0.00002)]
    ['1', '0.62', '0.031', '2e-05']
    """
    return f"{p:.2g}"


def summary(comparisons: Sequence[Comparison]) -> str:
    """One sentence that counts the outcomes; empty without a measured baseline."""
    clauses = [
        f"{words} {n}"
        for kind, words in (("better", "beats"), ("level", "is level with"), ("worse", "loses to"))
        if (n := sum(c.outcome == kind for c in comparisons))
    ]
    measured = sum(c.outcome != "unmeasured" for c in comparisons)
    if not clauses:
        return ""
    said = clauses[0] if len(clauses) == 1 else f"{', '.join(clauses[:-1])} and {clauses[-1]}"
    return f"Baselines measured: {measured}. The found network {said}."
