"""What the test part says: scores with intervals, and verdicts on the baselines in words."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from nasturtium.report.statistics import (
    mcnemar_exact,
    paired_bootstrap,
    rmse_interval,
    root_mean,
    wilson,
)

LEVEL = 0.95
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Predictions:
    """One network on the test part: class numbers or values [n], and class probabilities [n, k]."""

    labels: npt.NDArray[Any]
    probabilities: Floats | None = None


def metric_value(metric: str, y: npt.NDArray[Any], predictions: Predictions) -> float:
    """The metric of that name (`config.METRICS`); smaller is better for all but accuracies."""
    labels = predictions.labels
    if metric == "accuracy":
        return float(np.mean(labels == y))
    if metric == "balanced_accuracy":
        return float(np.mean([np.mean(labels[y == c] == c) for c in np.unique(y)]))
    if metric == "log_loss":
        assert predictions.probabilities is not None
        chosen = predictions.probabilities[np.arange(len(y)), y]
        return float(-np.mean(np.log(np.clip(chosen, 1e-15, None))))
    if metric == "mae":
        return float(np.mean(np.abs(labels - y)))
    return float(np.sqrt(np.mean((labels - y) ** 2)))


def test_scores(
    task: str, y: npt.NDArray[Any], predictions: Predictions, *, seed: int
) -> dict[str, Any]:
    """`test_accuracy` (Wilson interval) or `test_rmse` (bootstrap interval) at level 0.95."""
    if task == "classification":
        right = int(np.count_nonzero(predictions.labels == y))
        low, high = wilson(right, len(y), LEVEL)
        return {"test_accuracy": right / len(y), "test_accuracy_interval": [low, high]}
    low, high = rmse_interval(y, predictions.labels, seed=seed, level=LEVEL)
    rmse = metric_value("rmse", y, predictions)
    return {"test_rmse": rmse, "test_rmse_interval": [low, high]}


def compare(
    task: str, y: npt.NDArray[Any], found: Predictions, other: Predictions, *, seed: int
) -> dict[str, Any]:
    """Found network against a baseline on the same test samples.

    The difference is positive where the found network is better. Accuracies are compared by the
    exact McNemar test and a paired bootstrap, errors by a paired bootstrap of the two RMSE.
    """
    if task == "classification":
        a, b = (p.labels == y for p in (found, other))
        p, only_found, only_other = mcnemar_exact(a, b)
        difference, low, high = paired_bootstrap(a.astype(float), b.astype(float), seed=seed)
        return {
            "difference": difference,
            "difference_interval": [low, high],
            "mcnemar_p": p,
            "only_found_right": only_found,
            "only_baseline_right": only_other,
        }
    a, b = ((p.labels - y) ** 2 for p in (other, found))
    difference, low, high = paired_bootstrap(a, b, seed=seed, statistic=root_mean)
    return {"difference": difference, "difference_interval": [low, high]}


def verdict(title: str, comparison: dict[str, Any]) -> str:
    """One sentence: does the found network beat the baseline called `title`, and how sure is it?"""
    difference = comparison["difference"]
    low, high = comparison["difference_interval"]
    p = comparison.get("mcnemar_p")
    sure = p < 1 - LEVEL if p is not None else low > 0 or high < 0
    how = (
        f" (exact McNemar p = {p:.2g})"
        if p is not None
        else f" (95 % interval {low:.3g} to {high:.3g})"
    )
    if difference == 0:
        return f"The found network and {title} do equally well{how}."
    if difference > 0:
        return (
            f"The found network beats {title}{how}."
            if sure
            else (
                f"The found network is ahead of {title}, but not by more than chance explains{how}."
            )
        )
    if sure:
        return f"The found network does not beat {title}: {title} is better{how}."
    return (
        f"The found network does not beat {title}: it is behind, "
        f"though not by more than chance explains{how}."
    )
