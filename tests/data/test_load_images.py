"""Folders of images that the tests write themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nasturtium.data import from_arrays, load, read_inputs


def write(path: Path, pixels: np.ndarray[Any, Any], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def folder(
    root: Path, shape: tuple[int, ...], suffix: str = ".png", count: int = 12
) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (2 * count, *shape), dtype=np.uint8)
    for i, picture in enumerate(pixels):
        write(root / "ab"[i // count] / f"{i:03d}{suffix}", picture)
    (root / "a" / "notes.txt").write_text("no image")
    (root / "a" / ".hidden.png").write_text("no image")
    (root / ".cache").mkdir()
    return pixels


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".gif"])
def test_grey_files_give_their_pixels(tmp_path: Path, suffix: str) -> None:
    pixels = folder(tmp_path, (6, 9), suffix)
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.x[:, 0], pixels)
    assert dataset.y.tolist() == [0] * 12 + [1] * 12
    assert dataset.schema.classes == ("a", "b") and dataset.schema.input_shape == (1, 6, 9)


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".bmp"])
def test_color_files_give_their_pixels(tmp_path: Path, suffix: str) -> None:
    pixels = folder(tmp_path, (6, 9, 3), suffix)
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.x, pixels.transpose(0, 3, 1, 2))
    same = from_arrays(pixels, [0] * 12 + [1] * 12, classes=["a", "b"])
    np.testing.assert_array_equal(dataset.x, same.x)


def test_jpeg_is_near(tmp_path: Path) -> None:
    for i in range(20):
        picture = np.full((16, 16, 3), (10 * i, 100, 255 - 10 * i), np.uint8)
        write(tmp_path / "ab"[i % 2] / f"{i}.jpg", picture, quality=95)
    dataset = load(tmp_path)
    means = np.sort(dataset.x[:, 0].mean(axis=(1, 2)))
    np.testing.assert_allclose(means, 10 * np.arange(20), atol=3)


def test_grey_pictures_stored_in_color_keep_one_channel(tmp_path: Path) -> None:
    pixels = folder(tmp_path, (6, 6))
    for file in tmp_path.glob("*/[0-9]*.png"):
        Image.open(file).convert("RGB").save(file)
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.x[:, 0], pixels)
    assert dataset.schema.input_shape == (1, 6, 6)
    file = tmp_path / "a" / "003.png"
    np.testing.assert_array_equal(dataset.schema.encode_image(file), pixels[3][None])


def test_sixteen_bits_transparency_palette_and_orientation(tmp_path: Path) -> None:
    folder(tmp_path, (4, 4, 3))
    schema = load(tmp_path).schema
    deep = np.arange(16, dtype=np.uint16).reshape(4, 4) * 4369
    write(tmp_path / "deep.png", deep)
    np.testing.assert_allclose(schema.encode_image(tmp_path / "deep.png")[1], deep / 257, rtol=1e-6)
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[0, 0] = (10, 20, 30, 255)
    write(tmp_path / "clear.png", clear)
    laid = schema.encode_image(tmp_path / "clear.png")
    assert laid[:, 0, 0].tolist() == [10, 20, 30] and (laid[:, 1:] == 255).all()
    palette = Image.fromarray(clear[..., :3]).quantize(4)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(
        schema.encode_image(tmp_path / "palette.png"), clear[..., :3].transpose(2, 0, 1)
    )
    turned = np.zeros((4, 4, 3), np.uint8)
    turned[0, 3] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    write(tmp_path / "turned.png", turned, exif=exif)
    assert schema.encode_image(tmp_path / "turned.png")[0, 3, 3] == 255


def test_sizes_are_brought_to_the_median(tmp_path: Path) -> None:
    for i in range(21):
        side = (10, 20, 31)[i % 3]
        write(tmp_path / "ab"[i % 2] / f"{i}.png", np.full((side, 2 * side), 5 * i, np.uint8))
    dataset = load(tmp_path)
    assert dataset.schema.input_shape == (1, 20, 40)
    assert sorted(dataset.x[:, 0, 3, 3].tolist()) == [5.0 * i for i in range(21)]
    assert (dataset.x == dataset.x[:, :, :1, :1]).all()
    assert "14 of 21 images were resized to 20 x 40" in dataset.notes[0]
    assert load(tmp_path, max_side=10).schema.input_shape == (1, 5, 10)


def test_large_images_have_at_most_64_pixels_a_side(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (128, 1))
    for i in range(20):
        write(tmp_path / "ab"[i % 2] / f"{i}.png", ramp)
    dataset = load(tmp_path)
    assert dataset.schema.input_shape == (1, 32, 64)
    blocks = ramp.reshape(32, 4, 64, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(dataset.x[0, 0, :, 2:-2], blocks[:, 2:-2], atol=0.01)


def test_class_folders_named_by_numbers_are_in_their_order(tmp_path: Path) -> None:
    for i in range(36):
        write(tmp_path / str([10, 9, 2][i % 3]) / f"{i}.png", np.full((3, 3), i, np.uint8))
    assert load(tmp_path).schema.classes == ("2", "9", "10")


def test_like_and_flat_folders(tmp_path: Path) -> None:
    folder(tmp_path / "train", (6, 6))
    schema = load(tmp_path / "train").schema
    write(tmp_path / "test" / "b" / "one.png", np.full((12, 12, 3), 9, np.uint8))
    test = load(tmp_path / "test", like=schema)
    assert test.y.tolist() == [1] and (test.x == 9).all() and test.x.shape == (1, 1, 6, 6)
    np.testing.assert_array_equal(read_inputs(tmp_path / "test" / "b", schema), test.x)
    np.testing.assert_array_equal(read_inputs(tmp_path / "test", schema), test.x)
    np.testing.assert_array_equal(read_inputs(tmp_path / "test" / "b" / "one.png", schema), test.x)


def test_a_file_is_brought_to_the_range_of_the_training_pixels(tmp_path: Path) -> None:
    schema = load("digits").schema
    write(tmp_path / "white.png", np.full((8, 8), 255, np.uint8))
    write(tmp_path / "grey.png", np.full((16, 16), 51, np.uint8))
    assert (schema.encode_image(tmp_path / "white.png") == 16).all()
    np.testing.assert_allclose(schema.encode_image(tmp_path / "grey.png"), 3.2, rtol=1e-6)
