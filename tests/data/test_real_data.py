"""Data of the outside world, found through NASTURTIUM_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_diabetes, load_iris, load_wine

from nasturtium.data import Statistics, load, split

DATA = Path(os.environ.get("NASTURTIUM_DATA", Path(__file__).parents[2] / "../shared/data"))


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
        (load_iris(as_frame=True), "classification", 3),
        (load_wine(as_frame=True), "classification", 3),
        (load_diabetes(as_frame=True), "regression", 1),
    ]:
        bunch.frame.to_csv(tmp_path / "t.csv", index=False)
        dataset = load(tmp_path / "t.csv")
        assert (dataset.schema.task, dataset.schema.outputs) == (task, outputs)
        assert dataset.schema.target == "target"
        np.testing.assert_array_equal(dataset.x, bunch.data.to_numpy(np.float32))
        np.testing.assert_array_equal(dataset.y, bunch.target)


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
    frame = pd.DataFrame(
        {
            "PassengerId": np.arange(1, rows + 1),
            "Name": [f"Person, Mr. {i}" for i in range(rows)],
            "Sex": rng.choice(["male", "female"], rows),
            "Age": np.where(rng.random(rows) < 0.2, np.nan, rng.integers(1, 80, rows)),
            "Cabin": [None if v < 0.7 else f"C{int(100 * v)}" for v in rng.random(rows)],
            "Survived": rng.integers(0, 2, rows),
        }
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    dataset = load(tmp_path / "t.csv", target="Survived")
    kinds = {c.name: c.kind for c in dataset.schema.columns}
    assert kinds == {
        "PassengerId": "number",
        "Sex": "category",
        "Age": "number",
        "Cabin": "category",
    }
    np.testing.assert_array_equal(dataset.x[:, 2], frame["Age"].to_numpy(np.float32))
    cabins = np.array([*dataset.schema.columns[3].categories, None])
    codes = np.where(np.isnan(dataset.x[:, 3]), -1, dataset.x[:, 3]).astype(int)
    assert cabins[codes].tolist() == [None if pd.isna(c) else c for c in frame["Cabin"]]
    assert any("'Name' was left out" in note for note in dataset.notes)
