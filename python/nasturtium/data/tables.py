"""Tables with named columns: CSV files, and Parquet files through an extra."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nasturtium.data import predict_template as reader
from nasturtium.data.dataset import Dataset, check_finite, check_size, group_codes
from nasturtium.data.schema import Column, Schema
from nasturtium.data.targets import check_task, encode_target, sort_names, target_as
from nasturtium.errors import DataError, MissingExtra, nearest

TARGET_NAMES = ("target", "label", "class", "y")
NUMBER_SHARE = 0.95
IDENTIFIER_DISTINCT = 50
COUNTER_NAMES = ("id", "index", "row", "unnamed: 0")

Cells = dict[str, Sequence[object]]


def load_table(
    path: Path,
    *,
    target: str | None = None,
    task: str | None = None,
    group: str | None = None,
    like: Schema | None = None,
) -> Dataset:
    """A CSV or Parquet file as a data set.

    The target is `target`, else a column named target, label, class or y, else the last one.
    Columns in which at least 95 % of the values are numbers are numbers; true/false and yes/no are
    booleans; other text is a category, or left out where its values are nearly all different.
    `like` reads the columns as that schema says.

    Raises:
        DataError: the file is no table, or has no target, no usable column or nothing to learn
            from.
    """
    check_task(task)
    cells = read_cells(path)
    rows = len(next(iter(cells.values()), ()))
    if rows == 0:
        raise DataError(
            f"{path.name} holds no rows below its column names: rows to learn from are needed"
        )
    if group is not None and group not in cells:
        raise DataError(f"{path.name} has no column {group!r} to group by; {nearest(group, cells)}")
    codes = None if group is None else group_codes(cells[group], rows, path.name)
    if like is not None:
        x = like.encode_cells(cells)
        check_finite(x, path.name, None)
        if like.target not in cells:
            raise DataError(
                f"{path.name} has no target column {like.target!r}; {nearest(like.target, cells)}"
            )
        return Dataset(path.name, x, target_as(cells[like.target], like, path.name), like, codes)
    notes: list[str] = []
    taken = _find_target(cells, target, group, path.name, notes)
    if taken == group:
        raise DataError(f"{path.name}: the column {group!r} cannot be both target and group")
    decimal = _decimal(cells)
    columns = _columns({n: v for n, v in cells.items() if n not in (taken, group)}, decimal, notes)
    if not columns:
        raise DataError(
            f"{path.name} has no usable column besides the target {taken!r}: there is nothing to "
            "learn from"
        )
    schema = Schema("table", "classification", taken, columns, decimal=decimal)
    labels = np.empty(rows, dtype=object)
    labels[:] = cells[taken]
    y, schema = encode_target(labels, schema, task=task, classes=None, name=path.name, notes=notes)
    x = schema.encode_cells(cells)
    _check_columns(x, schema, path.name)
    dataset = Dataset(path.name, x, y, schema, codes, tuple(notes))
    check_size(dataset)
    return dataset


def read_cells(path: Path) -> Cells:
    """The cells of a file by column; those of a CSV file are text.

    Raises:
        DataError: the file is no table.
        MissingExtra: a Parquet file, and no library that reads it.
    """
    if path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path)
    try:
        return dict(reader.read_table(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(str(error)) from error


def _read_parquet(path: Path) -> Cells:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise MissingExtra("pyarrow", "parquet") from error
    try:
        table = parquet.read_table(path)
        names = [str(name) for name in table.column_names]
        columns = [column.to_pylist() for column in table.columns]
    except (OSError, ValueError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path.name} cannot be read as Parquet: {reason}") from error
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise DataError(f"{path.name} has two columns named {twice!r}: rename one of them")
    nested = next(
        (n for n, c in zip(names, columns, strict=True) if isinstance(_first(c), (list, dict))),
        None,
    )
    if nested is not None:
        raise DataError(
            f"{path.name}: the column {nested!r} holds lists or structures: give one value a cell"
        )
    return dict(zip(names, columns, strict=True))


def _first(values: Sequence[object]) -> object:
    return next((value for value in values if value is not None), None)


def _find_target(
    cells: Cells, target: str | None, group: str | None, name: str, notes: list[str]
) -> str:
    if len(cells) < 2:
        raise DataError(
            f"{name} has one column only: a table needs a target column and at least one other"
        )
    if target is not None:
        if target not in cells:
            raise DataError(f"{name} has no column {target!r}; {nearest(target, cells)}")
        return target
    lowered = {column.lower(): column for column in reversed(cells)}
    named = next((lowered[known] for known in TARGET_NAMES if known in lowered), None)
    taken = named or [column for column in cells if column != group][-1]
    why = "by its name" if named else "as the last column"
    notes.append(f"the target is {taken!r}, taken {why}: choose another with --target")
    return taken


def _decimal(cells: Cells) -> Literal[".", ","]:
    """A comma, if it makes more cells of the first rows numbers than a point does."""
    sample = [
        text
        for values in cells.values()
        for text in values[:200]
        if isinstance(text, str) and "," in text
    ]
    commas = sum(not np.isnan(reader.cell_number(text.strip(), ",")) for text in sample)
    return (
        "," if sample and commas >= NUMBER_SHARE * len(sample) and not _uses_points(cells) else "."
    )


def _uses_points(cells: Cells) -> bool:
    return any(
        isinstance(text, str) and "." in text and not np.isnan(reader.cell_number(text.strip()))
        for values in cells.values()
        for text in values[:200]
    )


def _columns(cells: Cells, decimal: str, notes: list[str]) -> tuple[Column, ...]:
    described = (_column(name, values, decimal, notes) for name, values in cells.items())
    return tuple(column for column in described if column is not None)


def _column(name: str, values: Sequence[object], decimal: str, notes: list[str]) -> Column | None:
    plain = reader.plain_numbers(values)
    if plain is not None and not np.isnan(plain).any():
        return None if _counts_rows(name, np.array(plain), notes) else Column(name, "number")
    texts = [text for text in map(reader.cell_text, values) if text is not None]
    if not texts:
        notes.append(f"the column {name!r} holds no values")
        return Column(name, "number")
    words = {text.lower() for text in set(texts)}
    if len(words) <= 2 and words <= reader.TRUE | reader.FALSE:
        return Column(name, "boolean")
    numbers = np.array([reader.cell_number(text, decimal) for text in texts])
    strange = int(np.isnan(numbers).sum())
    if strange <= (1 - NUMBER_SHARE) * len(texts):
        if _counts_rows(name, numbers, notes):
            return None
        if strange:
            odd = texts[int(np.isnan(numbers).argmax())]
            notes.append(
                f"the column {name!r} holds {strange} texts among numbers (as {odd!r}), read as "
                "missing"
            )
        return Column(name, "number")
    distinct = set(texts)
    if len(distinct) > IDENTIFIER_DISTINCT and len(distinct) > len(values) / 2:
        notes.append(
            f"the column {name!r} was left out: {len(distinct)} different texts in {len(values)} "
            "rows say nothing "
            "about new rows"
        )
        return None
    return Column(name, "category", tuple(sort_names(distinct)))


def _counts_rows(name: str, numbers: NDArray[np.float64], notes: list[str]) -> bool:
    """Whether a column is the row's number under a name that says so, as spreadsheets write one."""
    named = name.lower() in COUNTER_NAMES or name.startswith("column_")
    if not named or len(numbers) < 2 or not (np.diff(numbers) == 1).all():
        return False
    notes.append(f"the column {name!r} only numbers the rows and was left out")
    return True


def _check_columns(x: NDArray[np.float32], schema: Schema, name: str) -> None:
    bad = np.isinf(x)
    if bad.any():
        row, place = (int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"{name}: {int(bad.sum())} values are infinite or too large for 32 bits, the first in "
            f"row {row + 1} of the "
            f"column {schema.columns[place].name!r}: repair or remove these rows"
        )
