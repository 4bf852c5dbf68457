"""Predict with the model in this folder: ``python predict.py FILE [FILE ...]``.

FILE is a CSV table with the columns the model was trained on (others are ignored), an ``.npz`` file
with ``x``, or images. One line is printed per row or image: the class with its probability, or the
predicted number.

Beside this file lie ``preprocess.json`` (columns, categories, classes, image size) and the model:
``model.onnx``, run by onnxruntime, or ``model.py`` with ``weights.safetensors``, run by torch.
Scaling and imputation are inside the model; this file only turns raw values into the float32 array
that the model takes. It needs Python 3.11, numpy and, for images, Pillow. Every error is a
``ValueError`` of one line.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.util
import io
import json
import math
import runpy
import sys
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "<na>", "#n/a"})
TRUE = frozenset({"true", "t", "yes", "y"})
FALSE = frozenset({"false", "f", "no", "n"})
DELIMITERS = (",", ";", "\t")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")
MAX_PIXELS = 89_478_485

Array = NDArray[np.float32]


def cell_text(value: object) -> str | None:
    """The text of one raw cell without outer blanks, None where the value is missing; 3.0 reads as
    "3".
    """
    if type(value) is not str:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
    text = str(value).strip()
    return None if text.lower() in MISSING else text


def cell_number(text: str | None, decimal: str = ".") -> float:
    """The number that a cell's text stands for; NaN where it is missing or no number."""
    if text is None or "_" in text:
        return math.nan
    try:
        return float(text.replace(",", ".") if decimal == "," else text)
    except ValueError:
        lowered = text.lower()
        return 1.0 if lowered == "true" else 0.0 if lowered == "false" else math.nan


def plain_numbers(values: Sequence[object]) -> list[float] | None:
    """The numbers of a column of texts that are all numbers, None otherwise: the quick way for most
    columns.
    """
    try:
        numbers = [float(value) for value in values if type(value) is str]
    except ValueError:
        return None
    whole = len(numbers) == len(values) and not any("_" in str(value) for value in values)
    return numbers if whole else None


def encode_column(values: Sequence[object], column: Mapping[str, Any], decimal: str = ".") -> Array:
    """The float32 values [N] of one column.

    Numbers are themselves, booleans 1 and 0, categories their place in the list; a missing value is
    NaN, a category that is not in the list is -1.
    """
    plain = plain_numbers(values) if column["kind"] == "number" and decimal == "." else None
    texts = [] if plain is not None else [cell_text(value) for value in values]
    if plain is not None:
        encoded = plain
    elif column["kind"] == "number":
        encoded = [cell_number(text, decimal) for text in texts]
    elif column["kind"] == "boolean":
        words = {**dict.fromkeys(TRUE | {"1"}, 1.0), **dict.fromkeys(FALSE | {"0"}, 0.0)}
        encoded = [
            math.nan if text is None else words.get(text.lower(), math.nan) for text in texts
        ]
    else:
        codes = {name: float(code) for code, name in enumerate(column["categories"])}
        encoded = [math.nan if text is None else _category(text, codes) for text in texts]
    with np.errstate(over="ignore"):
        return np.asarray(encoded, dtype=np.float64).astype(np.float32)


def _category(text: str, codes: Mapping[str, float]) -> float:
    code = codes.get(text)
    if code is None:
        number = cell_number(text)
        code = codes.get(str(int(number)), -1.0) if number.is_integer() else -1.0
    return code


def encode_cells(cells: Mapping[str, Sequence[object]], schema: Mapping[str, Any]) -> Array:
    """Raw columns (name -> the cells of all rows) as the array [N, F] that the model takes."""
    encoded = []
    for column in schema["columns"]:
        name = column["name"]
        if name not in cells:
            raise ValueError(f"the table lacks the column {name!r} that the model was trained on")
        encoded.append(encode_column(cells[name], column, schema["decimal"]))
    return np.stack(encoded, axis=1)


def encode_rows(rows: Sequence[Mapping[str, object]], schema: Mapping[str, Any]) -> Array:
    """The same from rows (column name -> cell); columns that the model does not use are ignored."""
    cells = {}
    for name in (column["name"] for column in schema["columns"]):
        lacking = next((place for place, row in enumerate(rows) if name not in row), None)
        if lacking is not None:
            raise ValueError(
                f"row {lacking + 1} lacks the column {name!r} that the model was trained on"
            )
        cells[name] = [row[name] for row in rows]
    return encode_cells(cells, schema)


def decode_text(data: bytes, name: str) -> str:
    """The text of a file: UTF-8, UTF-16 with its mark, otherwise Latin-1."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data:
        raise ValueError(f"{name} is no text table: it holds binary data")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def find_delimiter(text: str) -> str:
    """The one of comma, semicolon and tab that cuts the first lines into the same number of fields,
    more than one.
    """
    head = text[: 1 << 16]
    if len(head) < len(text) and "\n" in head:
        head = head[: head.rindex("\n") + 1]
    best = (0.0, 0, ",")
    for delimiter in DELIMITERS:
        try:
            records = [r for r in _records(head, delimiter) if r][:100]
        except csv.Error:
            continue
        width = len(records[0]) if records else 0
        if width > 1:
            share = sum(len(record) == width for record in records) / len(records)
            best = max(best, (share, width, delimiter), key=lambda found: found[:2])
    return best[2]


def _records(text: str, delimiter: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)


def read_table(path: str | Path) -> dict[str, Sequence[str]]:
    """The cells of a CSV file by column; empty lines are skipped, unnamed columns get
    "column_<place>".
    """
    file = Path(path)
    text = decode_text(file.read_bytes(), file.name)
    if not text.strip():
        raise ValueError(
            f"{file.name} is empty: a table needs a line of column names and rows below it"
        )
    reader = _records(text, find_delimiter(text))
    header: list[str] = []
    rows: list[list[str]] = []
    try:
        for record in reader:
            if not record or (len(record) == 1 and len(header) != 1 and not record[0].strip()):
                continue
            if not header:
                header = [name.strip() or f"column_{i + 1}" for i, name in enumerate(record)]
            elif len(record) != len(header):
                raise ValueError(
                    f"line {reader.line_num} of {file.name} has {len(record)} fields where the "
                    "header has "
                    f"{len(header)}: repair that line, or quote fields that hold the delimiter"
                )
            else:
                rows.append(record)
    except csv.Error as error:
        raise ValueError(f"{file.name} is no table at line {reader.line_num}: {error}") from error
    twice = next((name for i, name in enumerate(header) if name in header[:i]), None)
    if twice is not None:
        raise ValueError(f"{file.name} has two columns named {twice!r}: rename one of them")
    return (
        dict(zip(header, zip(*rows, strict=True), strict=True))
        if rows
        else dict.fromkeys(header, ())
    )


def encode_image(path: str | Path, image: Mapping[str, Any]) -> Array:
    """An image file as the float32 array [C, H, W] that the model takes, resized where its size
    differs.
    """
    pillow = importlib.import_module("PIL.Image")
    height, width = image["height"], image["width"]
    planes = read_pixels(path, image["channels"])
    if planes.shape[1:] != (height, width):
        resized = [
            pillow.fromarray(plane).resize((width, height), pillow.Resampling.BILINEAR)
            for plane in planes
        ]
        planes = np.stack([np.asarray(plane, dtype=np.float32) for plane in resized])
    if (image["low"], image["high"]) != (0, 255):
        scale = np.float32((image["high"] - image["low"]) / 255)
        planes = planes * scale + np.float32(image["low"])
    return planes


def read_pixels(path: str | Path, channels: int) -> Array:
    """The pixels [C, H, W] of an image file on the scale 0 to 255 (16 bits keep their fractions).

    The first frame counts, the camera's orientation mark is followed, transparency is laid on
    white.
    """
    pillow = importlib.import_module("PIL.Image")
    ops = importlib.import_module("PIL.ImageOps")
    if channels not in (1, 3, 4):
        raise ValueError(
            f"an image file cannot give the {channels} channels of this model: use an .npz file"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pillow.open(path) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise ValueError(f"more than {MAX_PIXELS} pixels")
                picture = ops.exif_transpose(opened)
                pixels = _convert(picture, channels, pillow)
    except (OSError, ValueError, SyntaxError, EOFError, pillow.DecompressionBombError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} cannot be read as an image: {reason}") from error
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], channels, axis=2)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _convert(picture: Any, channels: int, pillow: Any) -> Array:
    if picture.mode in DEEP:
        deep: Array = np.asarray(picture).astype(np.float32) * np.float32(255 / 65535)
        if channels == 4:
            return np.stack([deep, deep, deep, np.full_like(deep, 255)], axis=2)
        return deep
    if picture.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        if channels != 4:
            white = pillow.new("RGBA", picture.size, (255, 255, 255, 255))
            picture = pillow.alpha_composite(white, picture)
    if picture.mode not in ("1", "L"):
        picture = picture.convert("RGB" if channels != 4 else "RGBA")
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    return np.asarray(picture.convert(mode)).astype(np.float32)


def encode_array(x: NDArray[Any], schema: Mapping[str, Any]) -> Array:
    """The array ``x`` of an .npz file as the model takes it: [N, F], or images in any of the three
    layouts.
    """
    image = schema["image"]
    if x.dtype.kind not in "biuf":
        raise ValueError(f"x has the type {x.dtype}: numbers are needed")
    if image is None:
        features = len(schema["columns"])
        if x.ndim != 2 or x.shape[1] != features:
            raise ValueError(
                f"x has the shape {x.shape}: the model takes rows of {features} numbers"
            )
        return _as_floats(x)
    first = (image["channels"], image["height"], image["width"])
    last = (image["height"], image["width"], image["channels"])
    if x.ndim == 3 and first[0] == 1 and x.shape[1:] == first[1:]:
        x = x[:, None]
    elif x.shape[1:] == last and (last != first or image["layout"] == "NHWC"):
        x = x.transpose(0, 3, 1, 2)
    elif x.shape[1:] != first:
        raise ValueError(
            f"x has the shape {x.shape}: the model takes images of {first} (channels, height, "
            "width)"
        )
    return _as_floats(x)


def _as_floats(x: NDArray[Any]) -> Array:
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(x, dtype=np.float32)


def read_inputs(path: str | Path, schema: Mapping[str, Any]) -> Array:
    """The inputs of one CSV, .npz or image file, as the model takes them."""
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"{path} is no file")
    suffix = file.suffix.lower()
    if suffix == ".npz":
        try:
            with np.load(file, allow_pickle=False) as arrays:
                if "x" not in arrays:
                    raise ValueError("it lacks the array 'x'")
                return encode_array(arrays["x"], schema)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: {error}") from error
    if schema["kind"] == "image":
        if suffix not in IMAGES:
            raise ValueError(
                f"{path}: the model takes images ({', '.join(IMAGES)}) or an .npz file with x"
            )
        return encode_image(file, schema["image"])[None]
    return encode_cells(read_table(file), schema)


def run_onnx(folder: Path, x: Array) -> Array:
    """The model's raw outputs [N, K] by onnxruntime, in batches of 256."""
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(
        str(folder / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    parts = [session.run(None, {name: x[i : i + 256]})[0] for i in range(0, len(x), 256)]
    return np.concatenate(parts).reshape(len(x), -1)


def run_torch(folder: Path, x: Array) -> Array:
    """The model's raw outputs [N, K] by model.py, in batches of 256."""
    torch = importlib.import_module("torch")
    source = runpy.run_path(str(folder / "model.py"))
    model = source["load"](str(folder / "weights.safetensors")).eval()
    with torch.inference_mode():
        parts = [model(torch.from_numpy(x[i : i + 256])).numpy() for i in range(0, len(x), 256)]
    return np.concatenate(parts).reshape(len(x), -1)


def probabilities(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Softmax over the last axis."""
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    result: NDArray[np.float64] = raised / raised.sum(axis=-1, keepdims=True)
    return result


def lines(outputs: NDArray[Any], schema: Mapping[str, Any]) -> list[str]:
    """One line per row: "class probability", or the predicted number."""
    if schema["task"] == "regression":
        return [f"{value:.7g}" for value in outputs[:, 0].tolist()]
    chances = probabilities(outputs)
    names = [name if name.isprintable() else repr(name) for name in schema["classes"]]
    return [f"{names[int(row.argmax())]} {row.max():.4f}" for row in chances]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0, or 2 after a one-line message on stderr where the input is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument(
        "--with", dest="runtime", choices=("onnx", "torch"), help="default: onnx if it is installed"
    )
    given = parser.parse_args(arguments)
    folder = Path(__file__).resolve().parent
    try:
        schema = json.loads((folder / "preprocess.json").read_text(encoding="utf-8"))["schema"]
        x = np.concatenate([read_inputs(file, schema) for file in given.files])
        onnx = importlib.util.find_spec("onnxruntime") and (folder / "model.onnx").is_file()
        if len(x):
            run = (
                run_onnx
                if (given.runtime or ("onnx" if onnx else "torch")) == "onnx"
                else run_torch
            )
            sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
            sys.stdout.write("\n".join(lines(run(folder, x), schema)) + "\n")
    except (ValueError, OSError, ModuleNotFoundError) as error:
        sys.stderr.write(f"predict.py: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
