"""Bring a data set that was read on its own to the codes of another."""

from __future__ import annotations

import dataclasses

import numpy as np

from nasturtium.data.dataset import Dataset, Floats
from nasturtium.data.schema import Column
from nasturtium.data.targets import target_as
from nasturtium.errors import DataError, nearest


def adapt(test: Dataset, dataset: Dataset) -> Dataset:
    """`test` with the columns, category codes and class numbers of `dataset`.

    Categories that `dataset` does not have become -1 (unknown). Reading the file with `load(...,
    like=schema)` gives the same and is more lenient, as it does not guess the kinds of the columns
    anew.

    Raises:
        DataError: another kind of data, another size of images, a missing column or class, another
            task.
    """
    mine, other = dataset.schema, test.schema
    if mine == other:
        return test
    if mine.kind != other.kind or (mine.kind == "image" and mine.input_shape != other.input_shape):
        raise DataError(
            f"{test.name} holds {_rows(test)}, {dataset.name} {_rows(dataset)}: both need the same "
            "columns or image size"
        )
    if mine.task != other.task:
        raise DataError(
            f"{test.name} is a {other.task}, {dataset.name} a {mine.task}: name one with --task"
        )
    x = test.x if mine.kind == "image" else _columns(test, dataset)
    y = test.y
    if mine.task == "classification" and mine.classes != other.classes:
        y = target_as([other.classes[code] for code in test.y.tolist()], mine, test.name)
    return dataclasses.replace(test, x=x, y=y, schema=mine)


def _rows(dataset: Dataset) -> str:
    shape = " x ".join(str(side) for side in dataset.schema.input_shape)
    return f"{'images' if dataset.schema.kind == 'image' else 'rows'} of {shape}"


def _columns(test: Dataset, dataset: Dataset) -> Floats:
    places = {column.name: place for place, column in enumerate(test.schema.columns)}
    x = np.empty((len(test), len(dataset.schema.columns)), dtype=np.float32)
    for place, column in enumerate(dataset.schema.columns):
        if column.name not in places:
            raise DataError(
                f"{test.name} has no usable column {column.name!r}; {nearest(column.name, places)}"
            )
        found = test.schema.columns[places[column.name]]
        values = test.x[:, places[column.name]]
        if found.kind != column.kind and not np.isnan(values).all():
            raise DataError(
                f"{test.name}: the column {column.name!r} is a {found.kind}, in {dataset.name} a "
                f"{column.kind}: "
                "write its values the same way in both"
            )
        x[:, place] = _recoded(values, found, column)
    return x


def _recoded(values: Floats, found: Column, column: Column) -> Floats:
    if column.kind != "category" or found.categories == column.categories:
        return values
    codes = {name: code for code, name in enumerate(column.categories)}
    table = np.array([codes.get(name, -1) for name in found.categories] + [-1], dtype=np.float32)
    known = np.where(np.isnan(values), -1, values).astype(np.int64)
    recoded: Floats = np.where(np.isnan(values), values, table[known]).astype(np.float32)
    return recoded
