"""Folders of images with one folder per class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nasturtium.data import predict_template as reader
from nasturtium.data.dataset import Dataset, Floats, check_size
from nasturtium.data.schema import ImageFormat, Schema
from nasturtium.data.targets import sort_names, target_as
from nasturtium.errors import DataError

PARTS = ("train", "training", "val", "valid", "validation", "test", "testing")
GREY_MODES = ("1", "L", "LA", *reader.DEEP)
TURNED = (5, 6, 7, 8)
ORIENTATION = 0x0112
MAX_VALUES = 1 << 32


def load_folder(
    folder: Path, *, max_side: int = 64, task: str | None = None, like: Schema | None = None
) -> Dataset:
    """A folder that has one folder of images (png, jpg, bmp, gif) for each class.

    Images of different sizes are resized to the median height and width, at most `max_side` pixels
    a side. Pictures without color give one channel, others three; transparency is laid on white; 16
    bits are brought to 0 ... 255.

    Raises:
        DataError: there are no such folders, or an image cannot be read.
    """
    if task == "regression":
        raise DataError(
            f"{folder}: folders give classes, so --task regression is impossible: use an .npz file"
        )
    files, names = _files(folder)
    if like is not None:
        x = np.stack([like.encode_image(file) for file in files])
        return Dataset(folder.name, x, target_as(names, like, folder.name), like)
    notes: list[str] = []
    image = _format(files, max_side, notes)
    x = read_images(files, image)
    if image.channels == 3 and (x[:, :1] == x).all():
        x = np.ascontiguousarray(x[:, :1])
        image = ImageFormat(1, image.height, image.width)
        notes.append("all images are grey: one channel is kept")
    classes = tuple(sort_names(set(names)))
    numbers = {name: number for number, name in enumerate(classes)}
    y = np.array([numbers[name] for name in names], dtype=np.int64)
    schema = Schema("image", "classification", "folder", classes=classes, image=image)
    dataset = Dataset(folder.name, x, y, schema, None, tuple(notes))
    check_size(dataset)
    return dataset


def read_images(files: Sequence[Path], image: ImageFormat) -> Floats:
    """Image files as float32 [N, C, H, W].

    Raises:
        DataError: one of them cannot be read.
    """
    size = len(files) * image.channels * image.height * image.width
    if size > MAX_VALUES:
        raise DataError(
            f"{len(files)} images of {image.height} x {image.width} pixels need {4 * size >> 30} "
            "GiB: choose fewer"
        )
    schema = Schema("image", "classification", "", image=image)
    x = np.empty((len(files), image.channels, image.height, image.width), dtype=np.float32)
    for place, file in enumerate(files):
        x[place] = schema.encode_image(file)
    return x


def image_files(folder: Path) -> list[Path]:
    """The images that lie in a folder, by name; hidden files are passed over."""
    found = (
        f
        for f in folder.iterdir()
        if f.suffix.lower() in reader.IMAGES and not f.name.startswith(".")
    )
    return sorted(f for f in found if f.is_file())


def _files(folder: Path) -> tuple[list[Path], list[str]]:
    classes = sorted(d for d in folder.iterdir() if d.is_dir() and not d.name.startswith("."))
    if not classes:
        raise DataError(
            f"{folder} holds no folders: put the images of each class into a folder with its name"
        )
    parts = [d.name for d in classes if d.name.lower() in PARTS]
    if len(parts) == len(classes) and not any(image_files(d) for d in classes):
        raise DataError(
            f"{folder} holds parts ({', '.join(parts)}), not classes: give the training folder as "
            "the data and the "
            "other one with --test"
        )
    files: list[Path] = []
    names: list[str] = []
    for directory in classes:
        found = image_files(directory)
        if not found:
            raise DataError(
                f"{directory} holds no images ({', '.join(reader.IMAGES)}): add some or remove the "
                "folder"
            )
        files += found
        names += [directory.name] * len(found)
    return files, names


def _format(files: Sequence[Path], max_side: int, notes: list[str]) -> ImageFormat:
    if max_side < 1:
        raise DataError(f"the largest side of an image is {max_side}: at least 1 pixel is needed")
    sizes, grey = [], True
    for file in files:
        height, width, without_color = _describe(file)
        sizes.append((height, width))
        grey = grey and without_color
    height, width = (int(np.median([size[axis] for size in sizes])) for axis in (0, 1))
    shrink = min(1.0, max_side / max(height, width))
    height, width = (max(1, round(side * shrink)) for side in (height, width))
    other = sum(size != (height, width) for size in sizes)
    if other:
        notes.append(f"{other} of {len(files)} images were resized to {height} x {width} pixels")
    return ImageFormat(1 if grey else 3, height, width)


def _describe(file: Path) -> tuple[int, int, bool]:
    """Height, width and whether the mode has no color, from the file's head alone."""
    from PIL import Image

    try:
        with Image.open(file) as opened:
            width, height = opened.size
            if opened.getexif().get(ORIENTATION) in TURNED:
                width, height = height, width
            return int(height), int(width), opened.mode in GREY_MODES
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{file} cannot be read as an image: {str(error).splitlines()[0]}"
        ) from error
