from __future__ import annotations

import numpy as np
import pytest

from nasturtium.job.score import Predictions, compare, metric_value, test_scores, verdict
from nasturtium.job.select import expected_best

scores_of = test_scores
scores_of.__test__ = False  # type: ignore[attr-defined]
del test_scores


def test_metrics_by_hand() -> None:
    y = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.5, 0.5]])
    predictions = Predictions(np.array([0, 0, 1, 0]), probabilities)
    assert metric_value("accuracy", y, predictions) == 0.5
    assert metric_value("balanced_accuracy", y, predictions) == pytest.approx((2 / 3 + 0) / 2)
    loss = -(np.log(0.9) + np.log(0.8) + np.log(0.4) + np.log(0.5)) / 4
    assert metric_value("log_loss", y, predictions) == pytest.approx(loss)
    values = Predictions(np.array([1.0, 2.0]))
    assert metric_value("mae", np.array([0.0, 4.0]), values) == 1.5
    assert metric_value("rmse", np.array([0.0, 4.0]), values) == pytest.approx(np.sqrt(2.5))


def test_accuracy_has_the_wilson_interval() -> None:
    y = np.zeros(360, dtype=np.int64)
    labels = y.copy()
    labels[:2] = 1
    result = scores_of("classification", y, Predictions(labels), seed=0)
    assert result["test_accuracy"] == pytest.approx(358 / 360)
    assert result["test_accuracy_interval"] == pytest.approx([0.9800, 0.9985], abs=1e-4)


def test_comparison_counts_discordant_samples() -> None:
    y = np.zeros(100, dtype=np.int64)
    found, other = y.copy(), y.copy()
    other[:10] = 1
    found[10:12] = 1
    made = compare("classification", y, Predictions(found), Predictions(other), seed=0)
    assert made["difference"] == pytest.approx(0.08)
    assert (made["only_found_right"], made["only_baseline_right"]) == (10, 2)
    # 2 P[Binomial(12, 1/2) <= 2] = 2 (1 + 12 + 66) / 4096
    assert made["mcnemar_p"] == pytest.approx(158 / 4096)


@pytest.mark.parametrize(
    ("difference", "p", "words"),
    [
        (0.08, 0.01, "beats"),
        (0.01, 0.5, "not by more than chance"),
        (0.0, 1.0, "equally well"),
        (-0.01, 0.5, "does not beat"),
        (-0.08, 0.01, "does not beat .*is better"),
    ],
)
def test_verdict_says_so_in_words(difference: float, p: float, words: str) -> None:
    import re

    comparison = {"difference": difference, "difference_interval": [0, 0], "mcnemar_p": p}
    text = verdict("the baseline", comparison)
    assert re.search(words, text)
    assert ("beats" in text) == (difference > 0 and p < 0.05)


def test_expected_best_against_enumeration() -> None:
    import itertools

    scores = [0.1, 0.4, 0.35, 0.8]
    for draws in (1, 2, 3):
        mean = np.mean([max(draw) for draw in itertools.product(scores, repeat=draws)])
        assert expected_best(scores, draws) == pytest.approx(mean)
