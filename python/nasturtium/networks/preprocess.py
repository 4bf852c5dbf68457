"""The first and the last module of an exported model: raw rows in, the target's units out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

LIMIT = 10.0


class ColumnLike(Protocol):
    """The statistics of one table column, see `nasturtium.data.ColumnStatistics`."""

    @property
    def kind(self) -> str: ...
    @property
    def missing(self) -> int: ...
    @property
    def fill(self) -> float: ...
    @property
    def center(self) -> float: ...
    @property
    def scale(self) -> float: ...
    @property
    def compress(self) -> bool: ...
    @property
    def mean(self) -> float: ...
    @property
    def deviation(self) -> float: ...
    @property
    def counts(self) -> Sequence[int]: ...
    @property
    def kept(self) -> Sequence[int]: ...
    @property
    def pooled(self) -> Sequence[int]: ...


class StatisticsLike(Protocol):
    """The statistics of a training part, see `nasturtium.data.Statistics`."""

    @property
    def kind(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def means(self) -> Sequence[float]: ...
    @property
    def deviations(self) -> Sequence[float]: ...
    @property
    def columns(self) -> Sequence[ColumnLike]: ...
    @property
    def target_mean(self) -> float: ...
    @property
    def target_deviation(self) -> float: ...


class DatasetLike(Protocol):
    """The arrays of a data set, see `nasturtium.data.Dataset`."""

    @property
    def x(self) -> NDArray[np.float32]: ...
    @property
    def y(self) -> NDArray[np.int64] | NDArray[np.float32]: ...


class ImagePreprocess(nn.Module):
    """Raw pixels [N, C, H, W] to `(x - mean) / deviation` of each channel."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, means: Sequence[float], deviations: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", _floats(means).reshape(1, -1, 1, 1))
        self.register_buffer("deviation", _floats(deviations).reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation


class TablePreprocess(nn.Module):
    """Raw rows [N, F] (codes in category columns, NaN where missing) to [N, out_features] without
    NaN.

    The outputs are, in this order: the number columns, imputed, scaled and clipped to -10 ... 10; a
    1 for each gap in the number columns that had gaps in training; for each category column the
    one-hot code of its kept categories, then one place for the pooled ones, then one for a gap. A
    category that training never saw is all zeros.
    """

    number: Tensor
    fill: Tensor
    center: Tensor
    scale: Tensor
    compress: Tensor
    mean: Tensor
    deviation: Tensor
    gap: Tensor
    category: Tensor
    start: Tensor
    size: Tensor
    slot_of: Tensor
    slot: Tensor
    slot_column: Tensor

    def __init__(self, columns: Sequence[ColumnLike]) -> None:
        super().__init__()
        numbers = [(place, c) for place, c in enumerate(columns) if c.kind != "category"]
        self._index("number", [place for place, _ in numbers])
        for name in ("fill", "center", "scale", "mean", "deviation"):
            self.register_buffer(name, _floats([getattr(c, name) for _, c in numbers]))
        self.register_buffer(
            "compress", torch.tensor([c.compress for _, c in numbers], dtype=torch.bool)
        )
        self._index("gap", [place for place, (_, c) in enumerate(numbers) if c.missing])
        categories = [(place, c) for place, c in enumerate(columns) if c.kind == "category"]
        self._index("category", [place for place, _ in categories])
        start: list[int] = []
        slot_of: list[int] = []
        slot_column: list[int] = []
        for column, (_, c) in enumerate(categories):
            start.append(len(slot_of))
            slots = _slots(c, len(slot_column))
            slot_of += slots
            slot_column += [column] * len({slot for slot in slots if slot >= 0})
        self._index("start", start)
        self._index("size", [len(c.counts) for _, c in categories])
        self._index("slot_of", slot_of)
        self._index("slot", list(range(len(slot_column))))
        self._index("slot_column", slot_column)
        self.out_features = len(numbers) + len(self.gap) + len(slot_column)

    def _index(self, name: str, values: Sequence[int]) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        if len(self.number):
            raw = torch.index_select(x, 1, self.number)
            missing = torch.isnan(raw)
            scaled = (torch.where(missing, self.fill, raw) - self.center) / self.scale
            scaled = torch.where(self.compress, torch.asinh(scaled), scaled)
            parts.append(torch.clamp((scaled - self.mean) / self.deviation, -LIMIT, LIMIT))
            if len(self.gap):
                parts.append(torch.index_select(missing.to(x.dtype), 1, self.gap))
        if len(self.slot):
            raw = torch.index_select(x, 1, self.category)
            missing = torch.isnan(raw)
            code = torch.where(missing, torch.zeros_like(raw), raw).to(torch.int64)
            known = (code >= 0) & (code < self.size)
            entry = torch.where(missing, 1, torch.where(known, code + 2, 0)) + self.start
            slot = torch.index_select(self.slot_of[entry], 1, self.slot_column)
            parts.append((slot == self.slot).to(x.dtype))
        return torch.cat(parts, dim=1)


def _slots(column: ColumnLike, first: int) -> list[int]:
    """The output of an unknown category, of a gap, and of each code; -1 for none."""
    slots = [-1] * (2 + len(column.counts))
    for code in column.kept:
        slots[2 + code] = first
        first += 1
    for code in column.pooled:
        slots[2 + code] = first
    if column.missing:
        slots[1] = first + bool(column.pooled)
    return slots


class Preprocess(nn.Module):
    """Raw `x` of a data set to what a network takes; `out_features` is its number of features
    (images: channels).
    """

    def __init__(self, statistics: StatisticsLike) -> None:
        super().__init__()
        self.step: ImagePreprocess | TablePreprocess
        if statistics.kind == "image":
            self.step = ImagePreprocess(statistics.means, statistics.deviations)
            self.out_features = len(statistics.means)
        else:
            self.step = TablePreprocess(statistics.columns)
            self.out_features = self.step.out_features

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.step(x)
        return out


class Postprocess(nn.Module):
    """A network's output to the target's units: `y * deviation + mean` for a regression, logits as
    they are.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, statistics: StatisticsLike) -> None:
        super().__init__()
        self.regression = statistics.task == "regression"
        if self.regression:
            self.register_buffer("mean", _floats([statistics.target_mean]))
            self.register_buffer("deviation", _floats([statistics.target_deviation]))

    def forward(self, y: Tensor) -> Tensor:
        return y * self.deviation + self.mean if self.regression else y


def as_tensors(
    dataset: DatasetLike,
    rows: NDArray[Any] | slice,
    statistics: StatisticsLike,
    *,
    batch: int = 4096,
) -> tuple[Tensor, Tensor]:
    """Rows of a data set as a network is trained on them: preprocessed inputs, and class numbers or
    scaled targets.
    """
    y = torch.from_numpy(dataset.y[rows])
    if statistics.task == "regression":
        y = (y - _floats([statistics.target_mean])) / _floats([statistics.target_deviation])
    return preprocessed(dataset.x[rows], statistics, batch=batch), y


def preprocessed(
    x: NDArray[np.float32], statistics: StatisticsLike, *, batch: int = 4096
) -> Tensor:
    """Raw inputs [N, ...] through `Preprocess`."""
    preprocess = Preprocess(statistics).eval()
    with torch.no_grad():
        parts = [preprocess(torch.from_numpy(x[i : i + batch])) for i in range(0, len(x), batch)]
    return torch.cat(parts)


def _floats(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)
