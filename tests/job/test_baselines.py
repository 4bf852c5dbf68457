"""The baselines are strong: nobody wins against a weak one."""

from __future__ import annotations

import numpy as np

from nasturtium.data import Statistics, load, split
from nasturtium.evaluators import Recipe
from nasturtium.evaluators.trainer import fit, predict
from nasturtium.job.boosting import fit_boosting, predict_boosting
from nasturtium.networks import baselines, module
from nasturtium.networks.preprocess import as_tensors


def test_residual_network_on_digits() -> None:
    dataset = load("digits")
    parts = split(dataset, seed=1)
    rows = np.concatenate([parts.train, parts.validation])
    statistics = Statistics.fit(dataset.x[rows], dataset.y[rows], dataset.schema)
    x, y = as_tensors(dataset, rows, statistics)
    recipe = Recipe.default_for("classification", (1, 8, 8), len(rows))
    network = module(baselines.residual_net((1, 8, 8), 10), seed=0)
    fit(network, x, y, recipe, task="classification", outputs=10, epochs=30, seed=0)
    raw, truth = parts.test.open()
    means, deviations = statistics.means[0], statistics.deviations[0]
    import torch

    labels = predict(network, torch.from_numpy((raw - means) / deviations)).argmax(1).numpy()
    assert np.mean(labels == truth) >= 0.990


def test_boosting_on_digits() -> None:
    dataset = load("digits")
    parts = split(dataset, seed=1)
    rows = np.concatenate([parts.train, parts.validation])
    model = fit_boosting(
        dataset.x[rows], dataset.y[rows], task="classification", seed=0, seconds=None
    )
    raw, truth = parts.test.open()
    labels = predict_boosting(model, raw, task="classification").labels
    assert np.mean(labels == truth) >= 0.965
