"""What the training part says about scales, gaps and frequencies: all that preprocessing needs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium.data.dataset import Floats, Labels
from nasturtium.data.schema import Column, Schema
from nasturtium.errors import DataError

MAX_ONE_HOT = 32
MIN_COUNT = 2
HEAVY_TAIL = 20.0

VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """One column of the training part.

    A number (or boolean) `v` becomes `u = (v - center) / scale`, then `asinh(u)` where `compress`,
    then `(u - mean) / deviation`; a missing one is `fill` before. A category has the codes `kept`,
    each its own output, and `pooled`, which share one. `missing` counts the gaps; where there were
    some, a gap is an output of its own.
    """

    name: str
    kind: str
    missing: int
    fill: float = 0.0
    center: float = 0.0
    scale: float = 1.0
    compress: bool = False
    mean: float = 0.0
    deviation: float = 1.0
    counts: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    pooled: tuple[int, ...] = ()

    @property
    def outputs(self) -> int:
        """How many numbers a network gets for the column."""
        own = len(self.kept) + bool(self.pooled) if self.kind == "category" else 1
        return own + bool(self.missing)


@dataclasses.dataclass(frozen=True, slots=True)
class Statistics:
    """Of the training part alone; equal after a round trip through JSON.

    `means` and `deviations` are those of the image channels, `columns` those of a table;
    `class_counts` has the rows of each class; `target_mean` and `target_deviation` scale a
    regression's target (0 and 1 for classes).
    """

    kind: str
    task: str
    rows: int
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()
    columns: tuple[ColumnStatistics, ...] = ()
    class_counts: tuple[int, ...] = ()
    target_mean: float = 0.0
    target_deviation: float = 1.0

    @classmethod
    def fit(cls, x: Floats, y: Labels, schema: Schema) -> Statistics:
        """The statistics of training rows.

        Args:
            x: float32 [N, C, H, W] or [N, F], as a `Dataset` holds them.
            y: int64 or float32 [N].
            schema: the data set's.

        Raises:
            DataError: there are no rows.
        """
        if len(x) == 0 or len(x) != len(y):
            raise DataError(
                f"statistics need training rows with a target each: x has {len(x)}, y {len(y)}"
            )
        counts: tuple[int, ...] = ()
        mean, deviation = 0.0, 1.0
        if schema.task == "classification":
            counts = tuple(np.bincount(y.astype(np.int64), minlength=schema.outputs).tolist())
        else:
            mean, deviation = _moments(y.astype(np.float64))
        means: tuple[float, ...] = ()
        deviations: tuple[float, ...] = ()
        columns: tuple[ColumnStatistics, ...] = ()
        if schema.kind == "image":
            moments = [_moments(x[:, channel].astype(np.float64)) for channel in range(x.shape[1])]
            means, deviations = (tuple(pair[i] for pair in moments) for i in (0, 1))
        else:
            columns = tuple(
                _column(x[:, place], column) for place, column in enumerate(schema.columns)
            )
        return cls(
            schema.kind, schema.task, len(x), means, deviations, columns, counts, mean, deviation
        )

    @property
    def out_features(self) -> int:
        """How many numbers a network gets for a row of a table, or the channels of an image."""
        return (
            len(self.means)
            if self.kind == "image"
            else sum(column.outputs for column in self.columns)
        )

    def scale_target(self, y: Labels) -> Labels:
        """Targets as a network is trained on them: a regression's with mean 0 and deviation 1,
        class numbers as they are.
        """
        if self.task == "classification":
            return y
        return ((y - np.float32(self.target_mean)) / np.float32(self.target_deviation)).astype(
            np.float32
        )

    def to_json(self) -> dict[str, Any]:
        """A value of JSON types."""
        return json.loads(json.dumps(dataclasses.asdict(self), allow_nan=False))  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Statistics:
        """The statistics that `to_json` wrote.

        Raises:
            DataError: keys are missing or unknown.
        """
        try:
            columns = tuple(ColumnStatistics(**_tuples(column)) for column in value["columns"])
            return cls(**{**_tuples(value), "columns": columns})
        except (KeyError, TypeError) as error:
            raise DataError(
                f"these are no statistics of a data set: {error!r} is missing or unknown"
            ) from error


def preprocess_json(schema: Schema, statistics: Statistics) -> str:
    """The text of `preprocess.json`: what raw rows mean, and what the model does with them
    inside.
    """
    value = {"version": VERSION, "schema": schema.to_json(), "statistics": statistics.to_json()}
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _tuples(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}


def _moments(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation; the deviation of equal values is 1, so that scaling by it gives
    0.
    """
    if values.size == 0:
        return 0.0, 1.0
    if values.max() == values.min():
        return float(values.flat[0]), 1.0
    deviation = float(values.std())
    return float(values.mean()), deviation if deviation > 0 else 1.0


def _column(values: Floats, column: Column) -> ColumnStatistics:
    known = values[~np.isnan(values)].astype(np.float64)
    missing = len(values) - len(known)
    if column.kind == "category":
        return _category(known[known >= 0].astype(np.int64), column, missing)
    fill = float(np.median(known)) if known.size else 0.0
    center, scale = _moments(known)
    if not known.size or scale == 1.0 or column.kind == "boolean":
        return ColumnStatistics(column.name, column.kind, missing, fill, center, scale)
    # The fourth moment tells a column whose few large values would squeeze all others together.
    if float((((known - center) / scale) ** 4).mean()) <= HEAVY_TAIL:
        return ColumnStatistics(column.name, column.kind, missing, fill, center, scale)
    low, high = np.quantile(known, (0.25, 0.75))
    width = float(high - low) / 1.349
    if width <= 1e-6 * scale:
        width = max(float(np.abs(known - fill).mean()), 1e-6 * scale)
    mean, deviation = _moments(np.arcsinh((known - fill) / width))
    return ColumnStatistics(
        column.name, column.kind, missing, fill, fill, width, True, mean, deviation
    )


def _category(codes: NDArray[np.int64], column: Column, missing: int) -> ColumnStatistics:
    counts = np.bincount(codes, minlength=len(column.categories))
    by_count = np.argsort(-counts, kind="stable")
    often = [int(code) for code in by_count if counts[code] >= MIN_COUNT]
    pools = len(often) > MAX_ONE_HOT or bool((counts == 1).any())
    kept = sorted(often[: MAX_ONE_HOT - pools])
    pooled = [code for code in range(len(counts)) if counts[code] > 0 and code not in set(kept)]
    return ColumnStatistics(
        column.name,
        column.kind,
        missing,
        counts=tuple(counts.tolist()),
        kept=tuple(kept),
        pooled=tuple(pooled),
    )
