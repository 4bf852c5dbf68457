"""A data set in memory: arrays, what they mean, and the checks that every source goes through."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium.data.predict_template import cell_text
from nasturtium.data.schema import Column, ImageFormat, Schema
from nasturtium.data.targets import encode_target, target_as
from nasturtium.errors import DataError

MIN_ROWS = 20
MIN_CLASS_ROWS = 3

Floats = NDArray[np.float32]
Labels = NDArray[np.int64] | NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Rows to learn from.

    `x` is float32 [N, C, H, W] of raw pixel values, or float32 [N, F] (category columns as codes,
    NaN where missing); `y` is int64 [N] of class numbers, or float32 [N] of numbers; `groups` is
    int64 [N], rows of equal number stay in one part of a split; `notes` says in plain sentences
    what was decided while reading.
    """

    name: str
    x: Floats
    y: Labels
    schema: Schema
    groups: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) of the inputs and the schema, without the targets."""
        digest = hashlib.sha256(json.dumps(self.schema.to_json(), sort_keys=True).encode())
        digest.update(np.ascontiguousarray(self.x).tobytes())
        return digest.hexdigest()


def from_arrays(
    x: ArrayLike,
    y: ArrayLike,
    *,
    name: str = "arrays",
    task: str | None = None,
    target: str = "y",
    classes: Sequence[object] | None = None,
    columns: Sequence[str] | None = None,
    groups: ArrayLike | None = None,
    strict: bool = True,
    like: Schema | None = None,
) -> Dataset:
    """A data set from arrays.

    Args:
        x: [N, F] numbers (NaN where missing), or images [N, H, W], [N, H, W, C] or [N, C, H, W]
            with 1 to 4 channels.
        y: [N] class names or numbers, or codes 0, 1, ... of `classes`, or the numbers to predict.
        task: "classification" or "regression"; told apart by `y` where it is not given.
        name: what messages call the data.
        target: what messages and the schema call `y`.
        classes: class names, where `y` holds their codes.
        columns: names of the F columns.
        groups: [N] of anything; rows of the same group stay in one part of a split.
        strict: refuse fewer than 20 rows and classes with fewer than 3 rows.
        like: read the arrays as this schema says; classes then may be absent.

    Raises:
        DataError: the arrays hold nothing to learn from, or another type, shape or length than said
            above.
    """
    inputs = _numeric(x, name)
    notes: list[str] = []
    if like is None:
        values, image = _as_inputs(inputs, name, notes)
    else:
        values, image = like.encode_array(inputs), like.image
    labels = _one_each(y, len(values), name)
    check_finite(values, name, image)
    if like is not None:
        encoded = target_as(labels.tolist(), like, name)
        schema = like
    else:
        encoded, schema = encode_target(
            labels,
            _schema(values, image, target, columns, name),
            task=task,
            classes=classes,
            name=name,
            notes=notes,
        )
    codes = None if groups is None else group_codes(np.asarray(groups).tolist(), len(values), name)
    dataset = Dataset(name, values, encoded, schema, codes, tuple(notes))
    if strict and like is None:
        check_size(dataset)
    return dataset


def check_size(dataset: Dataset) -> None:
    """Refuse what cannot be split into training, validation and test part.

    Raises:
        DataError: fewer than 20 rows, one class only, or a class with fewer than 3 rows.
    """
    name, rows = dataset.name, len(dataset)
    if rows < MIN_ROWS:
        raise DataError(
            f"{name} holds {rows} rows: at least {MIN_ROWS} are needed to train, validate and test"
        )
    if dataset.schema.task == "classification":
        counts = np.bincount(dataset.y.astype(np.int64), minlength=dataset.schema.outputs)
        if dataset.schema.outputs < 2:
            raise DataError(
                f"{name} holds one class only ({dataset.schema.classes[0]!r}): at least two are "
                "needed to learn from"
            )
        least = int(counts.argmin())
        if counts[least] < MIN_CLASS_ROWS:
            raise DataError(
                f"{name}: the class {dataset.schema.classes[least]!r} has "
                f"{_count(int(counts[least]), 'row')}, and "
                f"{MIN_CLASS_ROWS} are needed (training, validation, test): add rows, or drop or "
                "merge the class"
            )
    elif np.ptp(dataset.y) == 0:
        raise DataError(
            f"{name}: the target {dataset.schema.target!r} has the same value in all rows"
        )


def check_finite(x: Floats, name: str, image: ImageFormat | None) -> None:
    """Refuse infinite values, and NaN in images, with their count and the first place.

    Raises:
        DataError: there are some.
    """
    bad = ~np.isfinite(x) if image is not None else np.isinf(x)
    count = int(bad.sum())
    if count:
        place = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
        what = "pixels" if image is not None else "values"
        kinds = "NaN or infinite" if image is not None else "infinite or too large for 32 bits"
        raise DataError(
            f"{name}: {count} {what} of x are {kinds}, the first at index {place}: repair or "
            "remove these rows"
        )


def group_codes(values: Sequence[object], rows: int, name: str) -> NDArray[np.int64]:
    """Groups as numbers by first appearance; rows whose group is missing are a group each.

    Raises:
        DataError: another length than the data's.
    """
    if len(values) != rows:
        raise DataError(
            f"{name}: there are {len(values)} groups for {rows} rows: one for each row is needed"
        )
    known: dict[str, int] = {}
    codes = np.empty(rows, dtype=np.int64)
    for row, value in enumerate(values):
        text = cell_text(value)
        codes[row] = known.setdefault(f"row {row}" if text is None else f"group {text}", len(known))
    return codes


def as_nchw(
    x: NDArray[Any], name: str, notes: list[str]
) -> tuple[NDArray[Any], Literal["NCHW", "NHWC"]]:
    """Images in any layout as N x C x H x W, and the layout they had.

    With three dimensions they are grey. With four, the channels are the axis (second or last) that
    has 1 to 4 entries; where both have, the layout wins whose pictures are nearer to a square, then
    N x C x H x W.

    Raises:
        DataError: no axis can be the channels.
    """
    if x.ndim == 3:
        return x[:, None], "NCHW"
    first, last = x.shape[1] in range(1, 5), x.shape[3] in range(1, 5)
    if not first and not last:
        raise DataError(
            f"{name}: x has the shape {x.shape}, and neither its second nor its last axis has 1 to "
            "4 channels: "
            "give images as N x H x W, N x H x W x C or N x C x H x W"
        )
    if first and last:
        first = _squareness(x.shape[2], x.shape[3]) >= _squareness(x.shape[1], x.shape[2])
        notes.append(
            f"x of shape {x.shape} was read as {'N x C x H x W' if first else 'N x H x W x C'}"
        )
    return (x, "NCHW") if first else (x.transpose(0, 3, 1, 2), "NHWC")


def _squareness(height: int, width: int) -> float:
    return min(height, width) / max(height, width)


def _numeric(x: ArrayLike, name: str) -> NDArray[Any]:
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        what = "Python objects" if array.dtype.kind == "O" else f"the type {array.dtype}"
        raise DataError(f"{name}: x holds {what}: give numbers, or a CSV file for text columns")
    if array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise DataError(
            f"{name}: x has the shape {array.shape}: give N x features, or images as N x H x W, N "
            "x H x W x C "
            "or N x C x H x W"
        )
    return array


def _one_each(y: ArrayLike, rows: int, name: str) -> NDArray[Any]:
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (rows,):
        raise DataError(
            f"{name}: x holds {rows} rows and y has the shape {labels.shape}: one y for each row "
            "is needed"
        )
    return labels


def _as_inputs(x: NDArray[Any], name: str, notes: list[str]) -> tuple[Floats, ImageFormat | None]:
    with np.errstate(over="ignore"):
        if x.ndim == 2:
            return np.ascontiguousarray(x, dtype=np.float32), None
        pixels, layout = as_nchw(x, name, notes)
        low, high = _pixel_range(x)
        values = np.ascontiguousarray(pixels, dtype=np.float32)
    channels, height, width = values.shape[1:]
    return values, ImageFormat(channels, height, width, low, high, layout)


def _pixel_range(x: NDArray[Any]) -> tuple[float, float]:
    """The values of black and white: by the type where it tells, otherwise by the range of the
    values.
    """
    if x.dtype == np.bool_:
        return 0.0, 1.0
    if x.dtype == np.uint8 and x.max() > 16:
        return 0.0, 255.0
    finite = x[np.isfinite(x)] if x.dtype.kind == "f" else x
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low < 0 or high <= low:
        return low, max(high, low + 1.0)
    return 0.0, next((float(white) for white in (1, 16, 255, 4095, 65535) if high <= white), high)


def _schema(
    x: Floats, image: ImageFormat | None, target: str, columns: Sequence[str] | None, name: str
) -> Schema:
    if image is not None:
        return Schema("image", "classification", target, image=image)
    names = [f"x{i}" for i in range(x.shape[1])] if columns is None else [str(c) for c in columns]
    if len(names) != x.shape[1] or len(set(names)) != len(names):
        raise DataError(
            f"{name}: {len(names)} column names for {x.shape[1]} columns: each needs one of its own"
        )
    return Schema("table", "classification", target, tuple(Column(n, "number") for n in names))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number or 'no'} {noun}s"
