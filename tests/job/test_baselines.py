"""The baselines are strong: nobody wins against a weak one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold

from nasturtium.data import Dataset, Statistics, load
from nasturtium.evaluators import Recipe
from nasturtium.evaluators.trainer import fit, predict
from nasturtium.job.boosting import fit_boosting, predict_boosting
from nasturtium.networks import baselines, module
from nasturtium.networks.preprocess import as_tensors, preprocessed


def _folds(dataset: Dataset, count: int) -> Iterator[Any]:
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(dataset.x, dataset.y)
    for _, fold in zip(range(count), folds, strict=False):
        yield fold


def test_residual_network_on_digits() -> None:
    torch.set_num_threads(1)
    dataset = load("digits")
    right = []
    for seed, (rows, held) in enumerate(_folds(dataset, 2)):
        statistics = Statistics.fit(dataset.x[rows], dataset.y[rows], dataset.schema)
        x, y = as_tensors(dataset, rows, statistics)
        recipe = Recipe.default_for("classification", (1, 8, 8), len(rows))
        network = module(baselines.residual_net((1, 8, 8), 10), seed=seed)
        fit(network, x, y, recipe, task="classification", outputs=10, epochs=30, seed=seed)
        labels = predict(network, preprocessed(dataset.x[held], statistics)).argmax(1).numpy()
        right.append(labels == dataset.y[held])
    assert np.concatenate(right).mean() >= 0.990


def test_boosting_on_digits() -> None:
    dataset = load("digits")
    rows, held = next(_folds(dataset, 1))
    x, y = dataset.x[rows], dataset.y[rows]
    model = fit_boosting(x, y, task="classification", seed=0, seconds=None)
    labels = predict_boosting(model, dataset.x[held], task="classification").labels
    assert np.mean(labels == dataset.y[held]) >= 0.965
