"""What the columns, the pixels and the classes of a data set mean: everything a model's user needs
besides the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from nasturtium.data import predict_template as reader
from nasturtium.data.predict_template import Array
from nasturtium.errors import DataError

ColumnKind = Literal["number", "boolean", "category"]
Task = Literal["classification", "regression"]
TASKS: tuple[Task, ...] = ("classification", "regression")


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One input column of a table; `categories` lists the names behind the codes 0, 1, ... of a
    category column.
    """

    name: str
    kind: ColumnKind
    categories: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ImageFormat:
    """The images that a model takes, in pixels, and what black and white are on their scale.

    `low` and `high` are the values that the bytes 0 and 255 of an image file become. `layout`
    ("NCHW" or "NHWC") is how the source stored them; `x` of a `Dataset` is always N x C x H x W.
    """

    channels: int
    height: int
    width: int
    low: float = 0.0
    high: float = 255.0
    layout: Literal["NCHW", "NHWC"] = "NCHW"


@dataclasses.dataclass(frozen=True, slots=True)
class Schema:
    """The meaning of a data set's arrays.

    `classes` are the class names in the order of their numbers, empty for a regression. `decimal`
    is the mark in the numbers of a CSV file. An image data set has `image`, a table has `columns`.
    """

    kind: Literal["image", "table"]
    task: Task
    target: str
    columns: tuple[Column, ...] = ()
    classes: tuple[str, ...] = ()
    image: ImageFormat | None = None
    decimal: Literal[".", ","] = "."

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one row of `x`: (C, H, W), or (F,)."""
        if self.image is not None:
            return (self.image.channels, self.image.height, self.image.width)
        return (len(self.columns),)

    @property
    def outputs(self) -> int:
        """The number of classes, or 1."""
        return len(self.classes) if self.task == "classification" else 1

    def to_json(self) -> dict[str, Any]:
        """A value of JSON types; `from_json` gives the equal schema back."""
        return {
            "kind": self.kind,
            "task": self.task,
            "target": self.target,
            "columns": [
                {"name": c.name, "kind": c.kind, "categories": list(c.categories)}
                for c in self.columns
            ],
            "classes": list(self.classes),
            "image": None if self.image is None else dataclasses.asdict(self.image),
            "decimal": self.decimal,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Schema:
        """The schema that `to_json` wrote.

        Raises:
            DataError: keys are missing or of another kind.
        """
        try:
            columns = tuple(
                Column(str(c["name"]), c["kind"], tuple(str(name) for name in c["categories"]))
                for c in value["columns"]
            )
            image = None if value["image"] is None else ImageFormat(**value["image"])
            schema = cls(
                value["kind"],
                value["task"],
                str(value["target"]),
                columns,
                tuple(str(name) for name in value["classes"]),
                image,
                value["decimal"],
            )
        except (KeyError, TypeError) as error:
            raise DataError(
                f"this is no schema of a data set: {error!r} is missing or wrong"
            ) from error
        kinds = {"number", "boolean", "category"}
        if schema.task not in TASKS or (schema.kind == "image") != (image is not None):
            raise DataError("this is no schema of a data set: its task or kind is unknown")
        if not kinds.issuperset(column.kind for column in columns):
            raise DataError(
                f"this is no schema of a data set: a column's kind is none of {sorted(kinds)}"
            )
        return schema

    def encode_rows(self, rows: Sequence[Mapping[str, object]]) -> Array:
        """Raw rows (column name -> cell) as float32 [N, F]: see `predict_template.encode_column`.

        Raises:
            DataError: a column is missing.
        """
        return _checked(reader.encode_rows, rows, self.to_json())

    def encode_cells(self, cells: Mapping[str, Sequence[object]]) -> Array:
        """The same from raw columns (name -> the cells of all rows)."""
        return _checked(reader.encode_cells, cells, self.to_json())

    def encode_image(self, path: str | Path) -> Array:
        """An image file as float32 [C, H, W] raw pixel values, resized where its size differs.

        Raises:
            DataError: the file is no image that Pillow reads.
        """
        if self.image is None:
            raise DataError(f"{path}: this model takes the rows of a table, no images")
        return _checked(reader.encode_image, path, dataclasses.asdict(self.image))

    def encode_array(self, x: Any) -> Array:
        """An array as `.npz` files hold it, as float32 [N, C, H, W] or [N, F].

        Raises:
            DataError: the shape or type is another.
        """
        return _checked(reader.encode_array, x, self.to_json())

    def class_number(self, name: object) -> int | None:
        """The number of a class by its raw name (3, 3.0 and "3" are the same), None where it is
        unknown.
        """
        text = reader.cell_text(name)
        if text is None:
            return None
        if text in self.classes:
            return self.classes.index(text)
        number = reader.cell_number(text)
        plain = str(int(number)) if number.is_integer() else text
        return self.classes.index(plain) if plain in self.classes else None


def _checked(function: Callable[..., Array], *arguments: Any) -> Array:
    """Call a function of the stand-alone reader; its errors become the library's."""
    try:
        return function(*arguments)
    except ValueError as error:
        raise DataError(str(error)) from error
