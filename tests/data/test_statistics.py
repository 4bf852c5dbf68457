"""Statistics against numpy and scikit-learn, and their round trip through JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nasturtium.data import Column, Schema, Statistics, from_arrays, load, preprocess_json, split
from nasturtium.errors import DataError


def test_images_against_numpy() -> None:
    x = np.random.default_rng(0).integers(0, 256, (30, 3, 5, 4)).astype(np.uint8)
    dataset = from_arrays(x, np.arange(30) % 3)
    statistics = Statistics.fit(dataset.x, dataset.y, dataset.schema)
    np.testing.assert_allclose(statistics.means, x.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(statistics.deviations, x.std(axis=(0, 2, 3)), rtol=1e-12)
    assert statistics.class_counts == (10, 10, 10) and statistics.out_features == 3
    assert (statistics.target_mean, statistics.target_deviation) == (0, 1)


def test_numbers_against_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((200, 3)) * [1, 1e-6, 1e6] + [0, 5, 1e6]).astype(np.float32)
    y = rng.standard_normal(200) * 3 + 7
    dataset = from_arrays(x, y)
    statistics = Statistics.fit(dataset.x, dataset.y, dataset.schema)
    scaler = StandardScaler().fit(x.astype(np.float64))
    np.testing.assert_allclose([c.center for c in statistics.columns], scaler.mean_, rtol=1e-9)
    np.testing.assert_allclose([c.scale for c in statistics.columns], scaler.scale_, rtol=1e-6)
    assert statistics.target_mean == pytest.approx(dataset.y.astype(float).mean())
    assert statistics.target_deviation == pytest.approx(dataset.y.astype(float).std())
    scaled = statistics.scale_target(dataset.y)
    assert scaled.dtype == np.float32
    assert (scaled.mean(), scaled.std()) == pytest.approx((0, 1), abs=1e-5)


def test_gaps_constants_and_heavy_tails() -> None:
    rng = np.random.default_rng(2)
    x = np.stack(
        [
            np.where(np.arange(400) % 4 == 0, np.nan, np.arange(400)),
            np.full(400, 0.1),
            np.full(400, np.nan),
            np.exp(3 * rng.standard_normal(400)),
        ],
        axis=1,
    ).astype(np.float32)
    dataset = from_arrays(x, np.arange(400) % 2)
    gaps, constant, empty, heavy = Statistics.fit(dataset.x, dataset.y, dataset.schema).columns
    known, tailed = np.sort(x[:, 0])[:300].astype(float), x[:, 3].astype(float)
    assert gaps.missing == 100 and gaps.fill == (known[149] + known[150]) / 2 and gaps.outputs == 2
    assert constant.scale == 1 and constant.center == constant.fill == np.float32(0.1)
    assert (empty.missing, empty.fill, empty.center, empty.scale) == (400, 0, 0, 1)
    assert heavy.compress and not gaps.compress
    u = np.arcsinh((tailed - heavy.center) / heavy.scale)
    assert (heavy.mean, heavy.deviation) == pytest.approx((u.mean(), u.std()))
    assert abs((u - heavy.mean) / heavy.deviation).max() < 5
    assert abs((tailed - tailed.mean()) / tailed.std()).max() > 10


@pytest.mark.parametrize("number", [3, 32, 33, 60])
def test_categories_against_scikit_learn(number: int) -> None:
    rng = np.random.default_rng(number)
    weights = 1.0 / np.arange(1, number + 1)
    codes = rng.choice(number, 600, p=weights / weights.sum())
    codes[0] = number - 1
    names = tuple(f"c{i:02d}" for i in range(number + 2))
    schema = Schema("table", "classification", "y", (Column("k", "category", names),), ("a", "b"))
    x = codes.astype(np.float32)[:, None]
    (column,) = Statistics.fit(x, np.arange(600) % 2, schema).columns
    assert column.counts == tuple(np.bincount(codes, minlength=number + 2).tolist())
    encoder = OneHotEncoder(min_frequency=2, max_categories=32, sparse_output=False)
    theirs = encoder.fit_transform(codes[:, None])
    assert column.outputs == theirs.shape[1]
    ours = [column.counts[code] for code in column.kept]
    ours += [sum(column.counts[code] for code in column.pooled)] * bool(column.pooled)
    assert sorted(ours) == sorted(theirs.sum(axis=0).astype(int).tolist())
    assert set(column.kept).isdisjoint(column.pooled)


def test_one_rare_category_and_a_gap() -> None:
    schema = Schema(
        "table", "classification", "y", (Column("k", "category", tuple("abcd")),), ("a", "b")
    )
    x = np.array([0, 0, 1, 1, 1, 2, np.nan, -1], np.float32)[:, None]
    (column,) = Statistics.fit(x, np.arange(8) % 2, schema).columns
    assert (column.counts, column.kept, column.pooled) == ((2, 3, 1, 0), (0, 1), (2,))
    assert column.missing == 1 and column.outputs == 4


def test_training_part_alone_counts() -> None:
    dataset = load("digits")
    parts = split(dataset, seed=0)
    held_out = np.setdiff1d(np.arange(len(dataset)), parts.train)
    one = Statistics.fit(dataset.x[parts.train], dataset.y[parts.train], dataset.schema)
    dataset.x[held_out] = 1e9
    dataset.y[held_out] = 0
    other = Statistics.fit(dataset.x[parts.train], dataset.y[parts.train], dataset.schema)
    assert one == other


def test_round_trip_through_json_is_exact(tmp_path: Path) -> None:
    lines = [
        f"{i / 3 if i % 9 else ''},{'rst'[i % 3]},{['yes', 'no'][i % 2]},{i / 7}" for i in range(50)
    ]
    (tmp_path / "t.csv").write_text("\n".join(['a,ü\t"k",b,y', *lines]))
    dataset = load(tmp_path / "t.csv")
    statistics = Statistics.fit(dataset.x, dataset.y, dataset.schema)
    text = preprocess_json(dataset.schema, statistics)
    value = json.loads(text)
    assert Schema.from_json(value["schema"]) == dataset.schema
    assert Statistics.from_json(value["statistics"]) == statistics
    assert preprocess_json(dataset.schema, Statistics.from_json(value["statistics"])) == text
    for name in ("digits",):
        images = load(name)
        assert Schema.from_json(json.loads(json.dumps(images.schema.to_json()))) == images.schema
        fitted = Statistics.fit(images.x, images.y, images.schema)
        assert Statistics.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted


def test_errors() -> None:
    dataset = load("digits")
    with pytest.raises(DataError, match="statistics need training rows"):
        Statistics.fit(dataset.x[:0], dataset.y[:0], dataset.schema)
    with pytest.raises(DataError, match="no statistics"):
        Statistics.from_json({"kind": "image", "columns": [{}]})
