"""Data sets in `.npz` files, read without running anything that they hold."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium.data.dataset import Dataset, from_arrays
from nasturtium.data.schema import Schema
from nasturtium.errors import DataError, nearest

MAX_BYTES = 16 << 30


def load_npz(
    path: Path,
    *,
    target: str | None = None,
    task: str | None = None,
    group: str | None = None,
    like: Schema | None = None,
) -> Dataset:
    """A file with the arrays `x` and `y`, and if wanted `classes` (names of the codes in `y`) and
    `columns` (names).

    `target` is another array's name to take for `y`; `group` names an array [N] of groups.

    Raises:
        DataError: the file or its arrays cannot be used; see `from_arrays`.
    """
    wanted = like.target if like is not None and target is None else target or "y"
    with open_npz(path) as archive:
        names = array_names(archive)
        lacking = next(
            (name for name in ("x", wanted, group) if name is not None and name not in names), None
        )
        if lacking is not None:
            raise DataError(
                f"{path.name} lacks the array {lacking!r}; {nearest(lacking, names)} Save it with "
                "numpy.savez(path, x=..., y=...)"
            )
        x = read_array(archive, "x", path)
        y = read_array(archive, wanted, path)
        classes = read_array(archive, "classes", path).tolist() if "classes" in names else None
        columns = read_array(archive, "columns", path).tolist() if "columns" in names else None
        groups = None if group is None else read_array(archive, group, path)
    if (
        like is not None
        and classes is not None
        and y.dtype.kind in "biu"
        and like.task == "classification"
    ):
        y = _named(y, classes, path)
    return from_arrays(
        x,
        y,
        name=path.name,
        task=task,
        target=wanted,
        classes=classes,
        columns=columns,
        groups=groups,
        like=like,
    )


def open_npz(path: Path) -> zipfile.ZipFile:
    """The file as an archive.

    Raises:
        DataError: it is none.
    """
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is no .npz file ({error}): save it with numpy.savez(path, x=..., y=...)"
        ) from error


def array_names(archive: zipfile.ZipFile) -> list[str]:
    """The names of the arrays in an archive."""
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def read_array(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    """One array; its header is compared with the member's size before anything is allocated.

    Raises:
        DataError: the array holds Python objects, or is damaged, or above 16 GiB.
    """
    where = f"{path.name}: the array {name!r}"
    try:
        info = archive.getinfo(name + ".npy")
        with archive.open(info) as member:
            shape, dtype, header = _header(member)
            if dtype.hasobject:
                raise DataError(
                    f"{where} holds Python objects, which are not read: save numbers or text"
                )
            declared = (
                int(np.prod(shape, dtype=object)) * dtype.itemsize if shape else dtype.itemsize
            )
            if declared > MAX_BYTES:
                raise DataError(
                    f"{where} needs {declared / 2**30:.0f} GiB: at most 16 GiB are read"
                )
            if declared != info.file_size - header:
                raise DataError(f"{where} is damaged: its header does not match its size")
        with archive.open(info) as member:
            return np.asarray(np.lib.format.read_array(member, allow_pickle=False))
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{where} cannot be read: {reason}") from error


def _header(member: Any) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    return shape, dtype, int(member.tell())


def _named(y: NDArray[Any], classes: list[Any], path: Path) -> NDArray[Any]:
    bad = (y < 0) | (y >= len(classes))
    if bad.any():
        raise DataError(
            f"{path.name}: y[{int(bad.argmax())}] is {y[bad][0]}, which is no code of its "
            f"{len(classes)} classes"
        )
    return np.array([str(name) for name in classes])[y.astype(np.int64)]
