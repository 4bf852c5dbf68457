"""The page's facts, tables and lists, as values that the template prints."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nasturtium.report.data import RANDOM_SEARCH, ReportData, TrialRow, amount, finite, title
from nasturtium.report.figures import Key, rungs
from nasturtium.report.scales import compact, duration, minus

_FAILED = ("failed", "diverged", "timeout", "crashed")


@dataclass(frozen=True, slots=True)
class Fact:
    """A number at the top of the page with what it is."""

    value: str
    name: str
    detail: str = ""


def facts(data: ReportData) -> list[Fact]:
    """The numbers at the top of the page."""
    found = []
    if (params := data.number("params")) is not None:
        found.append(Fact(f"{params:,.0f}", "parameters"))
    if (macs := data.number("macs")) is not None:
        found.append(Fact(compact(macs), "multiply-adds"))
    for runtime, name in (("torch", "torch"), ("onnxruntime", "ONNX Runtime")):
        if (median := data.number("latency_ms", runtime, "median")) is not None:
            low = data.number("latency_ms", runtime, "p10")
            high = data.number("latency_ms", runtime, "p90")
            spread = "" if low is None or high is None else f"80 % in {low:.2g} to {high:.2g} ms"
            found.append(Fact(f"{median:.2g} ms", f"latency, {name}", spread))
    if data.trials:
        searched = sum(t.study != RANDOM_SEARCH for t in data.trials)
        failed = sum(t.status in _FAILED for t in data.trials)
        detail = f"{failed:,} failed" if failed else ""
        name = "trial searched" if searched == 1 else "trials searched"
        found.append(Fact(f"{searched:,}", name, detail))
    if (total := data.number("seconds", "total")) is not None:
        found.append(Fact(duration(total), "in all"))
    return found


@dataclass(frozen=True, slots=True)
class Row:
    """A trial as the table shows it; the raw numbers are what it sorts by."""

    trial: TrialRow
    score: str
    metric: str
    params: str
    macs: str
    seconds: str
    rung_rank: int
    origin: str


def table(trials: Sequence[TrialRow]) -> list[Row]:
    """The rows, best first: the dearest fidelity above the cheaper ones, then by score."""
    rank = {rung: i for i, rung in enumerate(rungs(trials))}

    def order(trial: TrialRow) -> tuple[bool, int, float, int]:
        score = trial.counted
        return score is None, -rank[trial.rung], -(score or 0.0), trial.number

    return [
        Row(
            trial=trial,
            score="" if trial.score is None else minus(f"{trial.score:.4f}"),
            metric="" if trial.metric is None else _metric(trial.metric),
            params="" if trial.params is None else f"{trial.params:,.0f}",
            macs="" if trial.macs is None else compact(trial.macs),
            seconds="" if trial.seconds is None else f"{trial.seconds:.1f}",
            rung_rank=rank[trial.rung],
            origin=_origin(trial),
        )
        for trial in sorted(trials, key=order)
    ]


def _metric(value: float) -> str:
    return f"{value:.4f}" if 0 <= value <= 1 else f"{value:.4g}"


def _origin(trial: TrialRow) -> str:
    if trial.study == RANDOM_SEARCH:
        return "random search"
    return trial.origin if trial.parent is None else f"{trial.origin} of {trial.parent}"


@dataclass(frozen=True, slots=True)
class RungRow:
    """What was spent at one fidelity, and the best score there."""

    rung: str
    trials: int
    ok: int
    failed: int
    cut: int
    best: str
    seconds: float


def by_rung(trials: Sequence[TrialRow]) -> list[RungRow]:
    """The search's trials by fidelity, from the cheapest to the dearest."""
    own = [trial for trial in trials if trial.study != RANDOM_SEARCH]
    rows = []
    for rung in rungs(own):
        here = [trial for trial in own if trial.rung == rung]
        scores = [score for trial in here if (score := trial.counted) is not None]
        failed = sum(trial.status in _FAILED for trial in here)
        rows.append(
            RungRow(
                rung=rung,
                trials=len(here),
                ok=len(scores),
                failed=failed,
                cut=len(here) - len(scores) - failed,
                best=minus(f"{max(scores):.4f}") if scores else "",
                seconds=sum(trial.seconds or 0.0 for trial in here),
            )
        )
    return rows


def phases(data: ReportData) -> list[tuple[str, float]]:
    """The parts of the run with their seconds, in the order in which they come."""
    seconds = data.get("seconds")
    if not isinstance(seconds, Mapping):
        return []
    known = [
        (str(name).replace("_", " "), finite(value) or 0.0)
        for name, value in seconds.items()
        if name != "total"
    ]
    total = finite(seconds.get("total"))
    rest = 0.0 if total is None else total - sum(value for _, value in known)
    # Rounding leaves a little; only what a reader would miss is worth a name.
    return [*known, ("other", rest)] if total and rest > 0.01 * total else known


def phase_keys(data: ReportData) -> list[tuple[Key, str, str]]:
    """The legend of the time bar: key, duration, share."""
    kept = [(name, value) for name, value in phases(data) if value > 0]
    total = sum(value for _, value in kept)
    return [
        (Key(f"s{i % 8}", "square", name), duration(value), f"{100 * value / total:.0f} %")
        for i, (name, value) in enumerate(kept)
    ]


@dataclass(frozen=True, slots=True)
class Snippet:
    """A few lines of code with what they do."""

    title: str
    code: str


def usage(data: ReportData) -> list[Snippet]:
    """How to use the files of the run; only of those that are there."""
    shape = [int(size) for size in data.get("data", "input_shape") or ()]
    example = ", ".join(map(str, [1, *shape]))
    file = "image.png" if len(shape) == 3 else "rows.csv"
    snippets = {
        "predict.py": Snippet(
            "Predict from raw files; this library is not needed", f"python predict.py {file}"
        ),
        "model.py": Snippet(
            "PyTorch, from model.py and weights.safetensors",
            "import torch\n\n"
            "import model\n\n"
            "network = model.load()\n"
            f"x = torch.zeros({example})  # raw values\n"
            "with torch.inference_mode():\n"
            "    output = network(x)",
        ),
        "model.onnx": Snippet(
            "ONNX Runtime, from model.onnx",
            "import numpy as np\nimport onnxruntime\n\n"
            'session = onnxruntime.InferenceSession("model.onnx")\n'
            f"x = np.zeros(({example}), np.float32)  # raw values\n"
            "name = session.get_inputs()[0].name\n"
            "output = session.run(None, {name: x})[0]",
        ),
    }
    return [snippet for name, snippet in snippets.items() if name in data.files]


def pairs(data: ReportData, *keys: str) -> list[tuple[str, str]]:
    return [
        (key.replace("_", " "), _say(value)) for key in keys if (value := data.get(key)) is not None
    ]


def run_rows(data: ReportData) -> list[tuple[str, str]]:
    """What repeats the run: its command, its seed, and what they chose."""
    command = data.get("command")
    if isinstance(command, Sequence) and not isinstance(command, str):
        command = shlex.join(map(str, command))
    rest = pairs(data, "seed", "space", "method", "epochs", "stopped_by", "version")
    return ([("command", str(command))] if command else []) + rest


def data_rows(data: ReportData) -> list[tuple[str, str]]:
    """What was searched on: sizes of the parts, shape of a sample, target."""
    described = data.get("data")
    if not isinstance(described, Mapping):
        return []
    shown = {key: value for key, value in described.items() if key not in ("notes", "classes")}
    if data.class_names:
        shown["classes"] = len(data.class_names)
    shape = described.get("input_shape")
    if isinstance(shape, Sequence) and not isinstance(shape, str):
        shown["input_shape"] = " × ".join(map(str, shape))
    return flat(shown)


def flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """A mapping's leaves as rows of name and value."""
    if not isinstance(value, Mapping):
        return []
    rows: list[tuple[str, str]] = []
    for key, inner in value.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(inner, Mapping):
            rows.extend(flat(inner, f"{name}, "))
        elif inner is not None:
            rows.append((name, _say(inner)))
    return rows


def _say(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_say, value))
    return value if isinstance(value, str) else json.dumps(value, default=str)


def warnings(data: ReportData) -> list[str]:
    """What was not done and what to be careful with, in words."""
    said: list[str] = []
    notes = data.get("data", "notes")
    said += [notes] if isinstance(notes, str) else [str(note) for note in notes or ()]
    stopped = data.get("stopped_by")
    if stopped in ("interrupt", "signal", "ctrl-c", "user"):
        said.append("The run was stopped by hand before its budget was used up.")
    if not data.baselines:
        said.append("No baseline was run, so nothing says whether a simpler model does as well.")
    said += [
        f"Not measured on the held-out part, but estimated: {title(entry)}."
        for entry in data.baselines
        if not entry.get("measured", True)
    ]
    mine = data.number("epochs")
    for entry in data.baselines:
        theirs = finite(entry.get("epochs"))
        if mine is not None and theirs is not None and theirs < mine:
            said.append(
                f"Trained for less than the found network ({amount('epochs', theirs)} against "
                f"{mine:,.0f}), which may flatter the comparison: {title(entry)}."
            )
    held_out = data.number("data", "test")
    if held_out is not None and held_out < 200:
        said.append(f"The test part has only {held_out:.0f} samples: the intervals are wide.")
    if data.result and not data.get("exports"):
        said.append("No exported file was checked against the trained network.")
    said.append(
        "One split and one seed: another split or seed gives another number; the intervals cover "
        "the choice of test samples alone."
    )
    return said
