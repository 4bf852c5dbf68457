"""Data of the outside world, found through NASTURTIUM_DATA."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_diabetes, load_iris, load_wine

from nasturtium.data import Statistics, load, split

DATA = Path(os.environ.get("NASTURTIUM_DATA", Path(__file__).parents[2] / "../shared/data"))


def write_csv(path: Path, header: list[str], rows: Iterable[Iterable[object]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def outside(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not there (set NASTURTIUM_DATA)")
    return path


def test_mnist() -> None:
    path = outside("mnist10k/mnist10k.npz")
    dataset = load(path)
    with np.load(path) as arrays:
        np.testing.assert_array_equal(dataset.x[:, 0], arrays["x"])
        np.testing.assert_array_equal(dataset.y, arrays["y"])
    assert dataset.schema.classes == tuple("0123456789") and dataset.schema.task == "classification"
    parts = split(dataset, seed=0)
    assert (len(parts.train), len(parts.validation), parts.test.size) == (6400, 1600, 2000)


@pytest.mark.parametrize(
    ("name", "rows", "features", "classes"),
    [
        ("Vowel", 990, 10, 11),
        ("Shuttle", 58000, 9, 7),
        ("DNA", 3186, 180, 3),
        ("Satellite", 6435, 36, 6),
        ("PimaIndiansDiabetes", 768, 8, 2),
    ],
)
def test_tables_of_published_sizes(name: str, rows: int, features: int, classes: int) -> None:
    dataset = load(outside(f"tabular_mlbench/{name}.npz"))
    assert dataset.x.shape == (rows, features) and dataset.schema.outputs == classes
    parts = split(dataset, seed=0)
    assert len(np.unique(dataset.y[parts.validation])) == classes
    statistics = Statistics.fit(dataset.x[parts.train], dataset.y[parts.train], dataset.schema)
    assert statistics.out_features == features and len(statistics.class_counts) == classes


def test_tables_that_scikit_learn_ships(tmp_path: Path) -> None:
    for bunch, task, outputs in [
        (load_iris(), "classification", 3),
        (load_wine(), "classification", 3),
        (load_diabetes(), "regression", 1),
    ]:
        names = [*bunch.feature_names, "target"]
        write_csv(tmp_path / "t.csv", names, np.column_stack([bunch.data, bunch.target]).tolist())
        dataset = load(tmp_path / "t.csv")
        assert (dataset.schema.task, dataset.schema.outputs) == (task, outputs)
        assert dataset.schema.target == "target"
        np.testing.assert_array_equal(dataset.x, bunch.data.astype(np.float32))
        np.testing.assert_array_equal(dataset.y, bunch.target.astype(dataset.y.dtype))


def test_digits_through_a_folder_of_png_files(tmp_path: Path) -> None:
    digits = load("digits")
    for i, (picture, number) in enumerate(zip(digits.x[:400, 0], digits.y[:400], strict=True)):
        folder = tmp_path / f"number {number}"
        folder.mkdir(exist_ok=True)
        Image.fromarray((picture * 15).astype(np.uint8)).save(folder / f"{i:04d}.png")
    dataset = load(tmp_path)
    order = np.argsort(digits.y[:400], kind="stable")
    np.testing.assert_array_equal(dataset.x, digits.x[order] * 15)
    np.testing.assert_array_equal(dataset.y, digits.y[order])


def test_passengers_like_table_with_names_gaps_and_texts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = 300
    ages = [None if rng.random() < 0.2 else int(rng.integers(1, 80)) for _ in range(rows)]
    cabins = [None if v < 0.7 else f"C{int(100 * v)}" for v in rng.random(rows)]
    columns: dict[str, list[object]] = {
        "PassengerId": list(range(1, rows + 1)),
        "Name": [f"Person, Mr. {i}" for i in range(rows)],
        "Sex": rng.choice(["male", "female"], rows).tolist(),
        "Age": list(ages),
        "Cabin": list(cabins),
        "Survived": rng.integers(0, 2, rows).tolist(),
    }
    write_csv(tmp_path / "t.csv", list(columns), zip(*columns.values(), strict=True))
    dataset = load(tmp_path / "t.csv", target="Survived")
    kinds = {c.name: c.kind for c in dataset.schema.columns}
    assert kinds == {
        "PassengerId": "number",
        "Sex": "category",
        "Age": "number",
        "Cabin": "category",
    }
    np.testing.assert_array_equal(dataset.x[:, 2], np.array(ages, dtype=np.float32))
    names = np.array([*dataset.schema.columns[3].categories, None])
    codes = np.where(np.isnan(dataset.x[:, 3]), -1, dataset.x[:, 3]).astype(int)
    assert names[codes].tolist() == cabins
    assert any("'Name' was left out" in note for note in dataset.notes)
