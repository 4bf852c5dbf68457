"""One entrance for every source of data."""

from __future__ import annotations

from pathlib import Path

from nasturtium.data import predict_template as reader
from nasturtium.data.arrays import load_npz, open_npz, read_array
from nasturtium.data.dataset import Dataset, Floats, from_arrays
from nasturtium.data.images import image_files, load_folder, read_images
from nasturtium.data.schema import ImageFormat, Schema
from nasturtium.data.tables import load_table, read_cells
from nasturtium.errors import DataError, nearest

TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
NAMED = ("digits",)


def load(
    spec: str | Path,
    *,
    target: str | None = None,
    task: str | None = None,
    group: str | None = None,
    like: Schema | None = None,
    max_side: int = 64,
) -> Dataset:
    """The data set that `spec` names.

    Args:
        spec: "digits" (scikit-learn's 1,797 images), or the path of an `.npz` file with x and y, a
            CSV or Parquet file, or a folder with one folder of images per class.
        target: the column (or the array of an `.npz` file) to predict.
        task: "classification" or "regression"; told apart by the target where it is not given.
        group: a column (or array) whose equal values must stay in one part of a split.
        like: the schema of other data to read these by, as for a test file: the same columns,
            codes, classes and sizes.
        max_side: images in a folder are brought to at most so many pixels a side.

    Raises:
        DataError: what is wrong and what to do, in one line.
        MissingExtra: a Parquet file, and pyarrow is absent.
    """
    path = Path(spec)
    if str(spec) in NAMED and not path.exists():
        dataset = _digits(like)
        if target is not None or group is not None or task == "regression":
            raise DataError(
                "digits has images and classes only: leave --target, --group and --task out"
            )
        return dataset
    if not path.exists():
        raise DataError(f"{spec} does not exist{_hint(str(spec))}")
    if path.is_dir():
        if group is not None or target is not None:
            raise DataError(
                f"{spec} is a folder of images, which has no columns: leave --target and --group "
                "out"
            )
        if like is not None and like.kind == "table":
            raise DataError(
                f"{spec} is a folder of images, the other data are a table: both must be of one "
                "kind"
            )
        return load_folder(path, max_side=max_side, task=task, like=like)
    suffix = path.suffix.lower()
    if like is not None and like.kind == "image" and suffix != ".npz":
        raise DataError(
            f"{spec} is no folder or .npz file of images as the other data are: both must be of "
            "one kind"
        )
    if suffix == ".npz":
        return load_npz(path, target=target, task=task, group=group, like=like)
    if suffix in TABLES:
        return load_table(path, target=target, task=task, group=group, like=like)
    raise DataError(f"{spec} is of no known kind: give {_known()}")


def read_inputs(spec: str | Path, schema: Schema) -> Floats:
    """New rows for a model, without targets, as float32 [N, C, H, W] or [N, F] in the sense of
    `schema`.

    `spec` is a CSV or Parquet file, an `.npz` file with x, one image, or a folder of images or of
    folders of images (in the order of the names).

    Raises:
        DataError: it cannot be read that way.
    """
    path = Path(spec)
    if str(spec) in NAMED and not path.exists():
        return _digits(schema).x
    if not path.exists():
        raise DataError(f"{spec} does not exist")
    suffix = path.suffix.lower()
    if suffix == ".npz":
        with open_npz(path) as archive:
            return schema.encode_array(read_array(archive, "x", path))
    if schema.image is not None:
        files = _images_in(path) if path.is_dir() else [path]
        if not files or (path.is_file() and suffix not in reader.IMAGES):
            raise DataError(
                f"{spec} holds no images ({', '.join(reader.IMAGES)}), which this model takes"
            )
        return read_images(files, schema.image)
    if suffix not in TABLES:
        raise DataError(f"{spec} is no table: give {_known()}")
    return schema.encode_cells(read_cells(path))


def _images_in(folder: Path) -> list[Path]:
    """The images of a folder, or those of its folders where it holds none itself."""
    below = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    return image_files(folder) or [file for inner in below for file in image_files(inner)]


def _digits(like: Schema | None) -> Dataset:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    dataset = from_arrays(
        images.reshape(-1, 8, 8),
        labels,
        name="digits",
        target="digit",
        classes=[str(i) for i in range(10)],
    )
    if like is not None and like.image != ImageFormat(1, 8, 8, 0.0, 16.0):
        raise DataError("digits holds images of 8 x 8 pixels from 0 to 16, the other data do not")
    return dataset


def _hint(spec: str) -> str:
    if Path(spec).suffix or "/" in spec:
        parent = Path(spec).parent
        if parent.is_dir():
            beside = [entry.name for entry in parent.iterdir()][: 1 << 12]
            return f"; in {parent} {nearest(Path(spec).name, beside)}"
        return f": there is no folder {parent}"
    return f": give {_known()}"


def _known() -> str:
    return (
        '"digits", an .npz file with x and y, a CSV or Parquet file, '
        "or a folder with one folder of images per class"
    )
