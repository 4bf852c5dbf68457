"""The preprocessing modules against a twin in plain numpy, and through both exporters."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nasturtium.data import Column, Dataset, Schema, Statistics, from_arrays, load
from nasturtium.networks.preprocess import Postprocess, Preprocess, as_tensors, preprocessed

torch.set_num_threads(1)


def twin(x: np.ndarray[Any, Any], statistics: Statistics) -> np.ndarray[Any, Any]:
    """What `Preprocess` promises for tables, row by row and in float64."""
    rows = []
    for row in x.astype(np.float64):
        numbers, gaps, codes = [], [], []
        for value, c in zip(row, statistics.columns, strict=True):
            if c.kind == "category":
                hot = [float(value == code) for code in c.kept]
                if c.pooled:
                    hot.append(float(value in c.pooled))
                if c.missing:
                    hot.append(float(np.isnan(value)))
                codes += hot
                continue
            if c.missing:
                gaps.append(float(np.isnan(value)))
            u = ((c.fill if np.isnan(value) else value) - c.center) / c.scale
            u = np.arcsinh(u) if c.compress else u
            numbers.append(min(10.0, max(-10.0, (u - c.mean) / c.deviation)))
        rows.append(numbers + gaps + codes)
    return np.array(rows)


def mixed(seed: int = 0, rows: int = 120) -> Dataset:
    """Numbers (plain, with gaps, constant, empty, heavy-tailed), a boolean, and categories with
    gaps and rare ones.
    """
    rng = np.random.default_rng(seed)
    plain, tailed = rng.standard_normal(rows), np.exp(4 * rng.standard_normal(rows))
    gaps = np.where(rng.random(rows) < 0.2, np.nan, 100 + rng.standard_normal(rows))
    boolean = rng.integers(0, 2, rows)
    few = rng.integers(0, 3, rows)
    many = np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, 50, rows) ** 2 // 50)
    constant, empty = np.full(rows, 3.0), np.full(rows, np.nan)
    x = np.stack([plain, few, gaps, constant, many, empty, tailed, boolean], axis=1)
    columns = (
        Column("plain", "number"),
        Column("few", "category", ("a", "b", "c")),
        Column("gaps", "number"),
        Column("constant", "number"),
        Column("many", "category", tuple(f"c{i:02d}" for i in range(60))),
        Column("empty", "number"),
        Column("tailed", "number"),
        Column("boolean", "boolean"),
    )
    schema = Schema("table", "regression", "y", columns)
    return Dataset("mixed", x.astype(np.float32), (5 * plain + 40).astype(np.float32), schema)


def fitted(dataset: Dataset) -> Statistics:
    return Statistics.fit(dataset.x, dataset.y, dataset.schema)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 120))
def test_tables_against_the_twin(seed: int, rows: int) -> None:
    dataset = mixed(seed, rows)
    statistics = fitted(dataset)
    new = mixed(seed + 1, 60).x
    for x in (dataset.x, new):
        out = preprocessed(x, statistics, batch=32).numpy()
        np.testing.assert_allclose(out, twin(x, statistics), rtol=2e-4, atol=2e-5)
        assert out.shape == (len(x), statistics.out_features)
    assert Preprocess(statistics).out_features == statistics.out_features


def test_training_rows_are_standardized() -> None:
    out = preprocessed(mixed().x, fitted(mixed()))
    numbers = out[:, :6]
    mean, deviation = numbers.mean(0), numbers.std(0, correction=0)
    assert mean.abs().max() < 0.2
    assert deviation[[0, 4, 5]] == pytest.approx([1, 1, 1], abs=1e-4)
    assert deviation[[2, 3]].tolist() == [0, 0]
    assert torch.isfinite(out).all()


def test_values_that_training_never_saw() -> None:
    dataset = mixed()
    statistics = fitted(dataset)
    row = dataset.x[:1].copy()
    row[0] = [np.nan, -1, np.inf, 9, -1, 5, -np.inf, np.nan]
    out = preprocessed(row, statistics)[0]
    numbers, hot = out[:6].tolist(), out[8:]
    assert numbers[1] == 10 and numbers[4] == -10
    assert numbers[2] == 6 and numbers[3] == 5
    assert (hot == 0).all()
    assert torch.isfinite(out).all()
    beyond = dataset.x[:1].copy()
    beyond[0, 1], beyond[0, 4] = 77, 3e9
    assert (preprocessed(beyond, statistics)[0, 8:] == 0).all()


def test_images() -> None:
    dataset = load("digits")
    statistics = fitted(dataset)
    out = preprocessed(dataset.x[:50], statistics)
    x = dataset.x.astype(np.float64)
    np.testing.assert_allclose(out, (x[:50] - x.mean()) / x.std(), rtol=1e-4, atol=1e-5)
    assert Preprocess(statistics).out_features == 1


def test_black_images_of_a_constant_channel() -> None:
    x = np.zeros((24, 2, 4, 4), np.float32)
    x[:, 0] = np.arange(24)[:, None, None]
    dataset = from_arrays(x, np.arange(24) % 2)
    out = preprocessed(dataset.x, fitted(dataset))
    assert (out[:, 1] == 0).all() and torch.isfinite(out).all()


def test_targets_come_back() -> None:
    dataset = mixed()
    statistics = fitted(dataset)
    _, y = as_tensors(dataset, np.arange(100), statistics)
    np.testing.assert_allclose(Postprocess(statistics)(y), dataset.y[:100], rtol=1e-5)
    np.testing.assert_array_equal(y, statistics.scale_target(dataset.y[:100]))
    logits = torch.randn(3, 2)
    classes = dataclasses.replace(statistics, task="classification")
    assert torch.equal(Postprocess(classes)(logits), logits)


def test_tensors_of_classes() -> None:
    dataset = load("digits")
    x, y = as_tensors(dataset, np.array([5, 3]), fitted(dataset))
    assert x.shape == (2, 1, 8, 8) and y.dtype == torch.int64
    assert y.tolist() == dataset.y[[5, 3]].tolist()


def test_statistics_read_back_from_json_give_the_same_module() -> None:
    dataset = mixed()
    statistics = fitted(dataset)
    again = Statistics.from_json(statistics.to_json())
    assert torch.equal(preprocessed(dataset.x, statistics), preprocessed(dataset.x, again))


def model(statistics: Statistics) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        Preprocess(statistics), nn.Linear(statistics.out_features, 1), Postprocess(statistics)
    ).eval()


def only(dataset: Dataset, places: list[int]) -> Dataset:
    columns = tuple(dataset.schema.columns[place] for place in places)
    schema = dataclasses.replace(dataset.schema, columns=columns)
    return dataclasses.replace(dataset, x=dataset.x[:, places], schema=schema)


@pytest.mark.parametrize("places", [list(range(8)), [1, 4]])
def test_onnx_with_any_batch(tmp_path: Path, places: list[int]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    dataset = only(mixed(), places)
    whole = model(fitted(dataset))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            whole,
            (torch.from_numpy(dataset.x[:3]),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    program.save(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    new = only(mixed(5), places).x
    new[0] = np.nan
    new[1] = -1
    for x in (new[:1], new[:2], new, dataset.x[:7]):
        (out,) = session.run(None, {session.get_inputs()[0].name: x})
        expected = whole(torch.from_numpy(x)).detach().numpy()
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-4)


def test_torch_export_with_any_batch() -> None:
    dataset = mixed()
    whole = model(fitted(dataset))
    example = torch.from_numpy(dataset.x[:3])
    program = torch.export.export(
        whole, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},)
    ).module()
    for rows in (1, 3, 120):
        x = torch.from_numpy(dataset.x[:rows])
        assert torch.equal(program(x), whole(x))
