"""The charts of the search: its progress, what it found at which cost, and how trials learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from markupsafe import Markup

from nasturtium.report.data import RANDOM_SEARCH, SEARCH, ReportData, TrialRow
from nasturtium.report.scales import compact
from nasturtium.report.svg import Axis, Line, Mark, Points, element, plot, sentence

# Above this many points a browser needs the memory more than a reader needs their titles.
_TITLED = 1500
_CURVES = 120
_SCORE = Axis("validation score")


@dataclass(frozen=True, slots=True)
class Key:
    """A legend's entry: the style class, the shape (line, circle, square, diamond, ring), words."""

    style: str
    shape: str
    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with its title, its legend and the sentence below it."""

    title: str
    drawing: Markup
    keys: tuple[Key, ...] = ()
    caption: str = ""


def rungs(trials: Sequence[TrialRow]) -> list[str]:
    """The fidelities in the record, from the cheapest to the dearest."""
    cost = {trial.rung: prod(trial.fidelity.values()) for trial in trials}
    return sorted(cost, key=lambda rung: (cost[rung], rung))


def anytime(data: ReportData, against: str) -> Figure:
    """Best validation score so far against ``seconds`` of evaluation or number of ``trials``."""
    marks: list[Mark] = []
    keys: list[Key] = []
    names = rungs(data.trials)
    for study in (SEARCH, RANDOM_SEARCH):
        own = sorted((t for t in data.trials if t.study == study), key=lambda t: t.order)
        present = [rung for rung in names if any(t.rung == rung for t in own)]
        for rung in present if study == SEARCH else present[-1:]:
            x, y = _best_so_far(own, rung, against)
            style = "s1 dashed" if study == RANDOM_SEARCH else _rung_style(names, rung)
            who = "random search, " if study == RANDOM_SEARCH else ""
            if x:
                marks.append(Line(x, y, style, f"{who}{rung}", step=True))
                keys.append(Key(style, "line", f"{who}{rung}"))
    title = "seconds of evaluation" if against == "seconds" else "trials"
    drawing = plot(
        marks,
        x=Axis(f"{title}, all workers together" if against == "seconds" else title, low=0),
        y=_SCORE,
        label=f"Best validation score so far against {title}",
        nothing="No trial has ended with a score.",
    )
    return Figure(f"Best so far against {title}", drawing, tuple(keys) if marks else ())


def _rung_style(names: Sequence[str], rung: str) -> str:
    """The dearest rung has the main color; cheaper ones fade."""
    below = len(names) - 1 - names.index(rung)
    return "s0" if below == 0 else f"s0 faint{min(below, 3)}"


def _best_so_far(
    trials: Sequence[TrialRow], rung: str, against: str
) -> tuple[list[float], list[float]]:
    spent, best = 0.0, None
    x: list[float] = []
    y: list[float] = []
    for trial in trials:
        spent += (trial.seconds or 0.0) if against == "seconds" else 1.0
        score = trial.counted if trial.rung == rung else None
        if score is not None and (best is None or score > best):
            best = score
            x.append(spent)
            y.append(score)
    if best is not None:
        x.append(spent)
        y.append(best)
    return x, y


def pareto(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Places of the points that none beats in both: cheaper and at least as good, or better.

    >>> pareto([1, 2, 3, 4], [0.5, 0.4, 0.9, 0.9])
    [0, 2]
    """
    front: list[int] = []
    for place in sorted(range(len(costs)), key=lambda i: (costs[i], -scores[i])):
        if not front or scores[place] > scores[front[-1]]:
            front.append(place)
    return front


def tradeoff(data: ReportData, name: str, cost: Callable[[TrialRow], float | None]) -> Figure:
    """Validation score against a cost on a log axis, with the Pareto front of the last rung."""
    last = rungs(data.trials)[-1:]
    usable = [
        (t, c, s)
        for t in data.trials
        if t.rung in last and (s := t.counted) is not None and (c := cost(t)) is not None and c > 0
    ]
    groups = (
        ("random search", "s1", "square", [e for e in usable if e[0].study == RANDOM_SEARCH]),
        ("search", "s0", "circle", [e for e in usable if e[0].study == SEARCH]),
        ("the found network", "s3", "ring", [e for e in usable if _is_found(data, e[0])][:1]),
    )
    marks: list[Mark] = [_front(usable)] if usable else []
    keys = [Key("s2", "line", "Pareto front")] if usable else []
    titled = len(usable) <= _TITLED
    for who, style, shape, own in groups:
        if own:
            titles = [_title(t, c, name) for t, c, _ in own] if titled else []
            radius = 7 if shape == "ring" else 3
            x, y = [c for _, c, _ in own], [s for *_, s in own]
            marks.append(Points(x, y, style, titles, radius, shape))
            keys.append(Key(style, shape, who))
    drawing = plot(
        marks,
        x=Axis(f"{name} (log scale)", log=True, show=compact),
        y=_SCORE,
        label=f"Validation score against {name}",
        nothing=f"No trial at the highest fidelity has a score and its {name}.",
    )
    trials = "trial" if len(usable) == 1 else "trials"
    caption = f"{len(usable):,} {trials} at {last[0]}." if usable else ""
    return Figure(f"Score against {name}", drawing, tuple(keys), caption)


def _front(usable: Sequence[tuple[TrialRow, float, float]]) -> Line:
    costs, scores = [c for _, c, _ in usable], [s for *_, s in usable]
    front = pareto(costs, scores)
    x = [costs[i] for i in front] + [max(costs)]
    y = [scores[i] for i in front] + [scores[front[-1]]]
    return Line(x, y, "s2", "Pareto front", step=True)


def _is_found(data: ReportData, trial: TrialRow) -> bool:
    return trial.study == SEARCH and trial.number == data.get("trial")


def _title(trial: TrialRow, cost: float, name: str) -> str:
    who = "random search, " if trial.study == RANDOM_SEARCH else ""
    return f"{who}trial {trial.number}: {trial.score:.4f}, {compact(cost)} {name}"


def learning_curves(data: ReportData) -> Figure:
    """Validation score after each epoch, the found network's trial above all others."""
    own = [t for t in data.trials if t.study == SEARCH and len(t.curve) > 1]
    best_first = sorted(own, key=lambda t: (_is_found(data, t), len(t.curve)), reverse=True)
    drawn = _some(best_first, _CURVES)
    marks: list[Mark] = [
        Line(range(1, len(t.curve) + 1), t.curve, "s0 thin", f"trial {t.number}") for t in drawn
    ]
    found = next((t for t in best_first if _is_found(data, t)), None)
    if found is not None:
        marks.append(
            Line(range(1, len(found.curve) + 1), found.curve, "s3", f"trial {found.number}")
        )
    keys = [Key("s0 thin", "line", "trials")]
    if found is not None:
        keys.append(Key("s3", "line", "the found network"))
    drawing = plot(
        marks,
        x=Axis("epoch"),
        y=_SCORE,
        label="Learning curves of the trials",
        nothing="No trial has a learning curve of two epochs or more.",
    )
    caption = f"{len(drawn):,} of {len(own):,} trials drawn." if len(drawn) < len(own) else ""
    return Figure("Learning curves", drawing, tuple(keys) if marks else (), caption)


def _some(trials: list[TrialRow], most: int) -> list[TrialRow]:
    """At most ``most`` trials: the first ones, then evenly spread ones of the rest."""
    if len(trials) <= most:
        return trials
    head = most // 2
    rest = trials[head:]
    step = len(rest) / (most - head)
    return trials[:head] + [rest[int(i * step)] for i in range(most - head)]


def time_bar(seconds: Sequence[tuple[str, float]]) -> Figure:
    """Where the time went, as one stacked bar."""
    kept = [(name, value) for name, value in seconds if value > 0]
    total = sum(value for _, value in kept)
    if not kept:
        return Figure("Where the time went", sentence("The run recorded no times."))
    width, at, parts = 960.0, 0.0, []
    for place, (name, value) in enumerate(kept):
        size = width * value / total
        inner = [element("title", f"{name}: {value:.1f} s, {100 * value / total:.0f} %")]
        parts.append(
            element(
                "rect", *inner, x=at, y=0, width=max(size - 1, 0.5), height=34,
                class_=f"bars s{place % 8}",
            )
        )  # fmt: skip
        at += size
    bar = element(
        "svg", *parts, viewBox=f"0 0 {width:.0f} 34", role="img", preserveAspectRatio="none",
        aria_label="Share of the time of each part of the run", class_="timebar",
        xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip
    return Figure("Where the time went", bar)
