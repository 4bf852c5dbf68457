"""What a user asks of the main job, as one value that the record keeps."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal

from nasturtium.errors import UserError, nearest

Baselines = Literal["quick", "full", "none"]
METRICS = {
    "classification": ("accuracy", "balanced_accuracy", "log_loss"),
    "regression": ("rmse", "mae"),
}
SHORTEST = 30.0  # seconds: starting the workers, exporting and checking take half of it


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """One search from data to network.

    Attributes:
        data: what `nasturtium.data.load` takes, or a name for arrays given from Python.
        target: name of a table's target column; None lets the loader choose.
        task: "classification" or "regression"; None tells them apart by the target.
        group: name of a table's column whose equal rows stay in one part of the split.
        test: a file with the test part; None cuts a fifth of the data.
        space: id of the search space; None follows from the data.
        method: a method's text such as "halving_evolution(eta=3)".
        time: seconds for everything, final training and baselines included.
        trials: number of trials of the search, instead of `time`.
        max_params: largest number of parameters; None takes a default from the data.
        max_macs: largest number of multiply-adds of one prediction.
        max_latency_ms: largest latency in milliseconds: batch 1, one thread, torch.
        max_epochs: most epochs of any training; None lets the plan choose.
        metric: what is reported and maximized, one of `METRICS`.
        baseline: "FILE.py:Net", a network of the user's to compare with.
        baselines: "quick" estimates random search from the run's own random trials, "full" runs it.
        workers: processes that evaluate; 0 evaluates in this process.
        export: whether files for use elsewhere are written and checked.
    """

    data: str
    target: str | None = None
    task: str | None = None
    group: str | None = None
    test: str | None = None
    space: str | None = None
    method: str = "halving_evolution"
    time: float | None = None
    trials: int | None = None
    max_params: int | None = None
    max_macs: int | None = None
    max_latency_ms: float | None = None
    max_epochs: int | None = None
    metric: str | None = None
    baseline: str | None = None
    baselines: Baselines = "quick"
    device: str = "auto"
    seed: int = 0
    workers: int = 2
    export: bool = True

    def __post_init__(self) -> None:
        if self.time is not None and self.trials is not None:
            raise UserError("--time and --trials exclude each other: give one of them")
        if self.time is not None and not self.time >= SHORTEST:
            raise UserError(
                f"--time {self.time:g}s is too short: a run needs at least {SHORTEST:g}s "
                "(or give --trials)"
            )
        if self.trials is not None and self.trials < 1:
            raise UserError(f"--trials must be at least 1, not {self.trials}")
        for flag, value in (
            ("--max-params", self.max_params),
            ("--max-macs", self.max_macs),
            ("--max-latency", self.max_latency_ms),
            ("--max-epochs", self.max_epochs),
        ):
            if value is not None and not value > 0:
                raise UserError(f"{flag} must be above 0, not {value:g}")
        if self.workers < 0:
            raise UserError(f"--workers must be 0 or more, not {self.workers}")
        for flag, given, known in (
            ("--baselines", self.baselines, ("quick", "full", "none")),
            ("--device", self.device, ("auto", "cpu", "cuda")),
            ("--task", self.task or "classification", tuple(METRICS)),
            ("--metric", self.metric or "rmse", tuple(m for ms in METRICS.values() for m in ms)),
        ):
            if given not in known:
                raise UserError(f"unknown {flag} {given!r}: {nearest(given, known)}")

    def chosen_metric(self, task: str) -> str:
        """The metric for `task`; raises `UserError` where the chosen one is for the other task."""
        metric = self.metric or METRICS[task][0]
        if metric not in METRICS[task]:
            raise UserError(
                f"--metric {metric} is not for {task}: choose among {', '.join(METRICS[task])}"
            )
        return metric

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SearchConfig:
        return cls(**data)

    def resumed_with(self, given: Mapping[str, Any]) -> SearchConfig:
        """The stored configuration with the limits of `given`, which may only extend the run.

        Raises:
            UserError: `given` changes anything that the record depends on.
        """
        extended = {key: given[key] for key in ("time", "trials") if given.get(key) is not None}
        for key, value in given.items():
            if key not in ("time", "trials") and value != getattr(self, key):
                flag = "--" + key.replace("_", "-")
                raise UserError(
                    f"the run was begun with {flag} {getattr(self, key)}, not {value}: "
                    "leave it out, or start anew with --overwrite"
                )
        if "time" in extended:
            return dataclasses.replace(self, time=extended["time"], trials=None)
        if "trials" in extended:
            return dataclasses.replace(self, time=None, trials=extended["trials"])
        return self


def parse_seconds(text: str) -> float:
    """Seconds of "90", "90s", "2m", "1.5h" or "1m30s"; raises `UserError` for anything else."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([hms]?)", text.strip().lower())
    if not parts or "".join(a + b for a, b in parts) != text.strip().lower().replace(" ", ""):
        raise UserError(f"cannot read the time {text!r}: write it as 90s, 2m or 1h30m")
    return sum(float(number) * units[unit] for number, unit in parts)


def parse_milliseconds(text: str) -> float:
    """Milliseconds of "2ms", "0.5s", "300us" or "2"; raises `UserError` for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(us|ms|s|)", text.strip().lower())
    if match is None:
        raise UserError(f"cannot read the latency {text!r}: write it as 2ms or 500us")
    return float(match[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3, "": 1.0}[match[2]]


def parse_count(text: str) -> int:
    """A whole number of "9450", "10k" or "1.5M"; raises `UserError` for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([km]?)", text.strip().lower().replace("_", ""))
    if match is None:
        raise UserError(f"cannot read the number {text!r}: write it as 9450, 10k or 1.5M")
    return round(float(match[1]) * {"k": 1e3, "m": 1e6, "": 1.0}[match[2]])
