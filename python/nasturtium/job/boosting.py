"""Gradient boosting on the raw values: the baseline that needs no network."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from nasturtium.job.score import Predictions

CHUNK = 5  # boosting rounds between two looks at the clock
ROUNDS = 100


def fit_boosting(
    x: npt.NDArray[Any], y: npt.NDArray[Any], *, task: str, seed: int, seconds: float | None
) -> Any:
    """Fit scikit-learn's histogram gradient boosting on rows `x` [N, ...] within `seconds`.

    Images are flattened; NaN is taken as missing. At most `ROUNDS` rounds; with a limit, as many as
    fit, in chunks of `CHUNK`.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    make = (
        HistGradientBoostingClassifier
        if task == "classification"
        else HistGradientBoostingRegressor
    )
    model = make(max_iter=CHUNK, warm_start=True, early_stopping=False, random_state=seed % 2**32)
    flat = x.reshape(len(x), -1)
    begun = time.monotonic()
    # One thread: on a machine that does other things, OpenMP's waiting costs more than it gains.
    with threadpool_limits(limits=1, user_api="openmp"):
        for rounds in range(CHUNK, ROUNDS + 1, CHUNK):
            model.set_params(max_iter=rounds)
            chunk = time.monotonic()
            model.fit(flat, y)
            now = time.monotonic()
            if seconds is not None and now - begun + (now - chunk) > seconds:
                break
    return model


def predict_boosting(model: Any, x: npt.NDArray[Any], *, task: str) -> Predictions:
    """Predictions for rows `x` [N, ...]."""
    flat = x.reshape(len(x), -1)
    if task == "regression":
        return Predictions(np.asarray(model.predict(flat), dtype=np.float64))
    probabilities = np.asarray(model.predict_proba(flat), dtype=np.float64)
    return Predictions(np.asarray(model.classes_)[probabilities.argmax(1)], probabilities)
