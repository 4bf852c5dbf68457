"""Classification or regression: what the values of a target say, and the numbers that stand for
them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium.data.predict_template import cell_number, cell_text
from nasturtium.data.schema import TASKS, Schema, Task
from nasturtium.errors import DataError, nearest

MAX_INTEGER_CLASSES = 20
MAX_CLASS_SHARE = 0.05
MAX_CLASSES = 1000


def infer_task(texts: Sequence[str], *, decimal: str = ".") -> Task:
    """The task that the target's values ask for.

    Names and booleans are classes. Whole numbers are classes when they take two values, or at most
    20 values that are at most 5 % of the rows, or, in small data, at most 20 values that follow
    each other without a gap and occur at least three times each. Other numbers are to be predicted.
    """
    numbers = np.array([cell_number(text, decimal) for text in texts])
    if np.isnan(numbers).any() or {text.lower() for text in texts} <= {"true", "false"}:
        return "classification"
    if not np.isfinite(numbers).all() or (numbers != np.round(numbers)).any():
        return "regression"
    values, counts = np.unique(numbers, return_counts=True)
    if len(values) <= 2:
        return "classification"
    few = len(values) <= MAX_INTEGER_CLASSES
    rare = len(values) <= MAX_CLASS_SHARE * len(texts)
    dense = np.ptp(values) == len(values) - 1 and counts.min() >= 3
    return "classification" if few and (rare or dense) else "regression"


def encode_target(
    labels: NDArray[Any],
    schema: Schema,
    *,
    task: str | None,
    classes: Sequence[object] | None,
    name: str,
    notes: list[str],
) -> tuple[NDArray[np.int64] | NDArray[np.float32], Schema]:
    """The targets as class numbers or float32, and the schema with task and class names.

    Args:
        labels: [N] names, numbers, booleans, or codes of `classes` where those are given.
        schema: names the target and the decimal mark.
        task: overrides what the values say.
        classes: the names behind codes.
        name: what messages call the data.
        notes: gets a sentence for each decision.

    Raises:
        DataError: missing, infinite or unknown targets, too many classes, an unknown task.
    """
    check_task(task)
    texts = _target_texts(labels.tolist(), schema.target, name)
    if classes is not None and task != "regression":
        return _coded(labels, [_name_of(c) for c in classes], schema, name, notes)
    chosen = task or infer_task(texts, decimal=schema.decimal)
    if chosen == "regression":
        return _numbers(texts, schema, name), dataclasses.replace(schema, task="regression")
    names = _class_texts(texts, schema.decimal)
    ordered = sort_names(set(names))
    if len(ordered) > min(MAX_CLASSES, max(2, len(names) // 2)):
        raise DataError(
            f"{name}: the target {schema.target!r} has {len(ordered)} different values in "
            f"{len(names)} rows, too many "
            "for classes: choose another column with --target, or --task regression if it is a "
            "number"
        )
    numbers = {text: number for number, text in enumerate(ordered)}
    codes = np.array([numbers[text] for text in names], dtype=np.int64)
    return codes, dataclasses.replace(schema, task="classification", classes=tuple(ordered))


def target_as(
    values: Sequence[object], schema: Schema, name: str
) -> NDArray[np.int64] | NDArray[np.float32]:
    """The targets of other data with the class numbers of `schema`.

    Raises:
        DataError: missing or infinite targets, or a class that `schema` does not have.
    """
    texts = _target_texts(values, schema.target, name)
    if schema.task == "regression":
        return _numbers(texts, schema, name)
    codes = {text: schema.class_number(text) for text in set(texts)}
    unknown = sorted(text for text, code in codes.items() if code is None)
    if unknown:
        raise DataError(
            f"{name}: the class {unknown[0]!r} is not among those trained on; "
            f"{nearest(unknown[0], schema.classes)}"
        )
    return np.array([codes[text] for text in texts], dtype=np.int64)


def check_task(task: str | None) -> None:
    """Raise DataError for an unknown task's name."""
    if task is not None and task not in TASKS:
        raise DataError(f"unknown task {task!r}; {nearest(task, TASKS)}")


def sort_names(names: set[str]) -> list[str]:
    """Names in the order of the alphabet, or of the numbers where all are numbers."""
    numbers = {name: cell_number(name) for name in names}
    if all(np.isfinite(number) for number in numbers.values()):
        return sorted(names, key=lambda name: (numbers[name], name))
    return sorted(names)


def _name_of(value: object) -> str:
    text = cell_text(value)
    return str(value).strip() if text is None else text


def _target_texts(values: Sequence[object], target: str, name: str) -> list[str]:
    texts = [cell_text(value) for value in values]
    count = texts.count(None)
    if count:
        raise DataError(
            f"{name}: the target {target!r} is missing (NaN) in {count} of {len(texts)} rows, the "
            "first is row "
            f"{texts.index(None) + 1}: remove these rows or fill them in"
        )
    return [text for text in texts if text is not None]


def _class_texts(texts: Sequence[str], decimal: str) -> list[str]:
    """Names of classes; "1.0" and "1" are one class where all targets are numbers."""
    plain = {}
    for text in set(texts):
        number = cell_number(text, decimal)
        if text.lower() in ("true", "false") or not np.isfinite(number):
            return list(texts)
        plain[text] = str(int(number)) if number.is_integer() else text
    return [plain[text] for text in texts]


def _numbers(texts: Sequence[str], schema: Schema, name: str) -> NDArray[np.float32]:
    numbers = np.array([cell_number(text, schema.decimal) for text in texts], dtype=np.float64)
    bad = np.isnan(numbers)
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"{name}: the target {schema.target!r} of row {first + 1} is {texts[first]!r}, no "
            "number: "
            "use --task classification, or another column with --target"
        )
    with np.errstate(over="ignore"):
        values = numbers.astype(np.float32)
    bad = np.isinf(values)
    if bad.any():
        raise DataError(
            f"{name}: {int(bad.sum())} values of the target {schema.target!r} are infinite or too "
            "large for 32 bits, "
            f"the first in row {int(bad.argmax()) + 1}: repair or remove these rows"
        )
    return values


def _coded(
    labels: NDArray[Any], names: list[str], schema: Schema, name: str, notes: list[str]
) -> tuple[NDArray[np.int64], Schema]:
    if len(set(names)) != len(names):
        raise DataError(f"{name}: two classes have the same name: give each its own")
    if labels.dtype.kind not in "biuf":
        texts = [_name_of(value) for value in labels.tolist()]
        places = {text: place for place, text in enumerate(names)}
        unknown = next((text for text in texts if text not in places), None)
        if unknown is not None:
            raise DataError(
                f"{name}: y holds {unknown!r}, which is not among the classes; "
                f"{nearest(unknown, names)}"
            )
        codes = np.array([places[text] for text in texts], dtype=np.int64)
    else:
        bad = (labels != np.floor(labels)) | (labels < 0) | (labels >= len(names))
        if bad.any():
            first = int(bad.argmax())
            raise DataError(
                f"{name}: y[{first}] is {labels[first]}, which is no code of the {len(names)} "
                "classes: "
                f"codes run from 0 to {len(names) - 1}"
            )
        codes = labels.astype(np.int64)
    present = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    if len(present) < len(names):
        absent = [n for i, n in enumerate(names) if i not in set(present.tolist())]
        notes.append(f"classes without rows were left out: {', '.join(absent)}")
        codes = np.searchsorted(present, codes).astype(np.int64)
    kept = tuple(names[i] for i in present)
    return codes, dataclasses.replace(schema, task="classification", classes=kept)
