"""What a report is made from, as plain values: the page reads nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium.networks.ir import Layer, Net

SEARCH, RANDOM_SEARCH = "search", "random_search"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One trial of the record.

    ``score`` is what the search maximizes, None where there is none; ``metric`` the validation
    accuracy or RMSE beside it; ``seconds`` the time that the evaluation took; ``curve`` the score
    after each epoch; ``order`` the trial's place among its study's finished ones.
    """

    number: int
    architecture: str
    status: str
    study: str = SEARCH
    fidelity: Mapping[str, int] = field(default_factory=dict)
    score: float | None = None
    metric: float | None = None
    params: float | None = None
    macs: float | None = None
    latency_ms: float | None = None
    seconds: float | None = None
    origin: str = ""
    parent: int | None = None
    curve: tuple[float, ...] = ()
    order: int = 0

    @property
    def rung(self) -> str:
        """The fidelity in words, such as ``9 epochs``."""
        return fidelity_text(self.fidelity) or "full"

    @property
    def counted(self) -> float | None:
        """The score where the trial ended well with a finite one, else None."""
        sound = self.status == "ok" and self.score is not None and isfinite(self.score)
        return self.score if sound else None


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the found network predicts for the test part: true and predicted values, both [n]."""

    y_true: NDArray[Any]
    y_pred: NDArray[Any]


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything on the page.

    ``result`` is the content of ``result.json``; what is missing there is missing on the page.
    ``files`` are the names of the other files of the run, of which the page explains the use.
    """

    result: Mapping[str, Any]
    trials: tuple[TrialRow, ...] = ()
    predictions: Predictions | None = None
    network: Net | None = None
    files: frozenset[str] = frozenset()

    @property
    def classification(self) -> bool:
        """Whether the target is a class; a number otherwise."""
        return bool(self.result.get("task", "classification") == "classification")

    @property
    def metric(self) -> str:
        """The key of the test result: ``test_accuracy`` or ``test_rmse``."""
        return "test_accuracy" if self.classification else "test_rmse"

    def get(self, *keys: str) -> Any:
        """The value under nested keys of the result, None where any of them is missing."""
        value: Any = self.result
        for key in keys:
            if not isinstance(value, Mapping):
                return None
            value = value.get(key)
        return value

    def number(self, *keys: str) -> float | None:
        """As ``get``, for a finite number; anything else is None."""
        return finite(self.get(*keys))

    def interval(self, *keys: str) -> tuple[float, float] | None:
        """As ``get``, for a pair of finite numbers; anything else is None."""
        return pair(self.get(*keys))

    @property
    def class_names(self) -> list[str]:
        """The names of the classes in order of their numbers; empty where they are unknown."""
        classes = self.get("data", "classes")
        if isinstance(classes, Sequence) and not isinstance(classes, str):
            return [str(name) for name in classes]
        return [str(i) for i in range(classes)] if isinstance(classes, int) else []

    @property
    def baselines(self) -> list[Mapping[str, Any]]:
        """The entries of the baselines, in the result's order."""
        entries = self.get("baselines")
        return [entry for entry in entries or () if isinstance(entry, Mapping)]


def amount(name: str, value: float) -> str:
    """A number with what it counts: 9 epochs, 1 epoch."""
    return f"{value:,.0f} {name.removesuffix('s') if value == 1 else name}"


def fidelity_text(fidelity: Mapping[str, int]) -> str:
    """A fidelity in words: ``9 epochs``, or ``1.5 s`` of training."""
    return ", ".join(
        f"{value / 1e3:.3g} s" if name == "ms" else amount(name, value)
        for name, value in fidelity.items()
    )


def title(entry: Mapping[str, Any]) -> str:
    """What a baseline is called in sentences."""
    return str(entry.get("title") or entry.get("name") or "an unnamed baseline")


def baseline_interval(data: ReportData, entry: Mapping[str, Any]) -> tuple[float, float] | None:
    """The interval of a baseline's test result."""
    return pair(entry.get(f"{data.metric}_interval", entry.get("interval")))


def finite(value: Any) -> float | None:
    """A finite number as float, else None; a truth value is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return None
    return float(value) if isfinite(value) else None


def pair(value: Any) -> tuple[float, float] | None:
    """Two finite numbers, else None."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        return None
    low, high = finite(value[0]), finite(value[1])
    return None if low is None or high is None else (low, high)


def net_to_json(net: Net) -> dict[str, Any]:
    """A network as the JSON value that ``result.json`` keeps under ``network``."""
    return {
        "name": net.name,
        "input_shape": list(net.input_shape),
        "layers": [
            {
                "name": layer.name,
                "op": layer.op,
                "inputs": list(layer.inputs),
                "args": dict(layer.args),
            }
            for layer in net.layers
        ],
    }


def net_from_json(value: Mapping[str, Any]) -> Net:
    """The inverse of ``net_to_json``.

    Raises:
        KeyError, TypeError: the value has another form.
        SpaceError: the layers do not fit together.
    """
    return Net(
        name=str(value["name"]),
        input_shape=tuple(int(size) for size in value["input_shape"]),
        layers=tuple(
            Layer(str(e["name"]), str(e["op"]), tuple(map(str, e["inputs"])), dict(e["args"]))
            for e in value["layers"]
        ),
    )
