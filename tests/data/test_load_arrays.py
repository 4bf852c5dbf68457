"""`.npz` files and arrays: the three layouts of images, class names, ranges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from nasturtium.data import from_arrays, load, read_inputs

Y = np.arange(24) % 3


def images(channels: int, height: int, width: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (24, channels, height, width), dtype=np.uint8)
    x.flat[0] = 255
    return x


@pytest.mark.parametrize(
    ("channels", "height", "width"), [(1, 8, 9), (2, 5, 6), (3, 8, 8), (4, 7, 5), (3, 4, 9)]
)
def test_both_orders_of_channels_give_one_data_set(
    tmp_path: Path, channels: int, height: int, width: int
) -> None:
    x = images(channels, height, width)
    np.savez(tmp_path / "first.npz", x=x, y=Y)
    np.savez(tmp_path / "last.npz", x=x.transpose(0, 2, 3, 1), y=Y)
    first, last = load(tmp_path / "first.npz"), load(tmp_path / "last.npz")
    np.testing.assert_array_equal(first.x, x.astype(np.float32))
    np.testing.assert_array_equal(last.x, first.x)
    assert first.x.flags.c_contiguous and last.x.flags.c_contiguous
    for dataset in (first, last):
        np.testing.assert_array_equal(read_inputs(tmp_path / "first.npz", dataset.schema), first.x)
        np.testing.assert_array_equal(read_inputs(tmp_path / "last.npz", dataset.schema), first.x)


def test_grey_images_have_no_axis_for_channels(tmp_path: Path) -> None:
    x = images(1, 6, 6)[:, 0]
    np.savez(tmp_path / "grey.npz", x=x, y=Y)
    dataset = load(tmp_path / "grey.npz")
    np.testing.assert_array_equal(dataset.x[:, 0], x)
    np.testing.assert_array_equal(read_inputs(tmp_path / "grey.npz", dataset.schema), dataset.x)


def test_digits_are_scikit_learns() -> None:
    dataset = load("digits")
    bunch = load_digits()
    np.testing.assert_array_equal(dataset.x[:, 0], bunch.images)
    np.testing.assert_array_equal(dataset.y, bunch.target)
    assert dataset.x.dtype == np.float32 and dataset.y.dtype == np.int64
    assert dataset.schema.image is not None and dataset.schema.image.high == 16
    assert dataset.schema.classes == tuple("0123456789")


@pytest.mark.parametrize(
    ("x", "low", "high"),
    [
        (images(1, 5, 5), 0, 255),
        (images(1, 5, 5) / 255, 0, 1),
        (images(1, 5, 5) / 100 - 1, -1, 1.55),
        (images(1, 5, 5).astype(np.uint16) * 257, 0, 65535),
        (images(1, 5, 5) > 100, 0, 1),
    ],
)
def test_black_and_white(x: np.ndarray[Any, Any], low: float, high: float) -> None:
    image = from_arrays(x, Y).schema.image
    assert image is not None
    assert (image.low, image.high) == pytest.approx((low, high))


def test_class_names(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((24, 2))
    names = np.array(["zebra", "ant", "none"])
    np.savez(tmp_path / "coded.npz", x=x, y=Y.astype(np.uint8), classes=names)
    coded = load(tmp_path / "coded.npz")
    assert coded.schema.classes == ("zebra", "ant", "none")
    assert coded.y.tolist() == Y.tolist()
    np.savez(tmp_path / "plain.npz", x=x, y=np.array(["zebra", "ant", "cow"])[Y])
    plain = load(tmp_path / "plain.npz")
    assert plain.schema.classes == ("ant", "cow", "zebra")
    assert plain.y[:3].tolist() == [2, 0, 1]
    other = from_arrays(x[:2], ["cow", "cow"], like=plain.schema)
    assert other.y.tolist() == [1, 1]


def test_absent_classes_are_left_out() -> None:
    x = np.random.default_rng(0).random((24, 2))
    dataset = from_arrays(x, (Y * 2) % 6, classes=list("abcdef"))
    assert dataset.schema.classes == ("a", "c", "e")
    assert dataset.y[:3].tolist() == [0, 1, 2]
    assert "b, d, f" in dataset.notes[0]


def test_columns_groups_and_another_target(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 2))
    x[3, 1] = np.nan
    arrays: dict[str, Any] = {"x": x, "age": rng.standard_normal(30), "who": np.arange(30) // 3}
    np.savez(tmp_path / "t.npz", columns=np.array(["a", "b"]), **arrays)
    dataset = load(tmp_path / "t.npz", target="age", group="who")
    assert [c.name for c in dataset.schema.columns] == ["a", "b"]
    assert dataset.schema.task == "regression" and dataset.schema.target == "age"
    assert dataset.groups is not None and dataset.groups.tolist() == arrays["who"].tolist()
    np.testing.assert_array_equal(dataset.x, x.astype(np.float32))
    again = load(tmp_path / "t.npz", target="age", group="who", like=dataset.schema)
    assert again.schema == dataset.schema
    np.testing.assert_array_equal(again.y, dataset.y)


def test_fingerprint_depends_on_inputs_and_not_on_targets() -> None:
    x = np.random.default_rng(0).random((24, 2))
    one = from_arrays(x, Y)
    assert one.fingerprint == from_arrays(x.copy(), Y[::-1].copy()).fingerprint
    x[0, 0] += 1
    assert one.fingerprint != from_arrays(x, Y).fingerprint


def test_small_data_without_strictness() -> None:
    dataset = from_arrays([[1.0], [2.0], [3.0]], ["a", "b", "a"], strict=False)
    assert dataset.schema.classes == ("a", "b") and dataset.x.shape == (3, 1)
