"""The one look at the test part: every network's predictions at once, kept on disk."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nasturtium.data import SealedPart
from nasturtium.export import weights, with_raw_inputs
from nasturtium.export.files import write_atomic
from nasturtium.job.contestants import Contestant
from nasturtium.job.finals import weights_path
from nasturtium.job.score import Predictions
from nasturtium.job.tensors import Arrays

PREDICTIONS = "predictions.npz"
Predictor = Any  # called with raw x [N, ...]; returns Predictions


def network_predictor(contestant: Contestant, arrays: Arrays, folder: Path) -> Predictor:
    """A trained contestant as a function from raw inputs to `Predictions`."""
    import torch

    from nasturtium.evaluators.trainer import predict

    module = contestant.module(arrays.net_input, arrays.outputs)
    module.load_state_dict(weights.read_weights(weights_path(folder, contestant.name)))
    model = with_raw_inputs(module, arrays.statistics)

    def call(x: npt.NDArray[Any]) -> Predictions:
        raw = predict(model, torch.from_numpy(np.asarray(x, dtype=np.float32)))
        if arrays.task == "regression":
            return Predictions(raw[:, 0].numpy().astype(np.float64))
        probabilities = torch.softmax(raw.double(), dim=1).numpy()
        return Predictions(probabilities.argmax(1), probabilities)

    return call


def look_once(
    folder: Path, part: SealedPart, predictors: Mapping[str, Predictor]
) -> tuple[npt.NDArray[Any], dict[str, Predictions]]:
    """Open the test part, predict it with everyone, and keep what was predicted in the folder.

    A resumed run reads what is there, so that the part is never looked at a second time.
    """
    path = folder / PREDICTIONS
    if not path.is_file():
        x, y = part.open()
        arrays: dict[str, Any] = {"y_true": y}
        for name, predictor in predictors.items():
            made = predictor(x)
            arrays[_key(name)] = made.labels
            if made.probabilities is not None:
                arrays[f"{_key(name)}_probabilities"] = made.probabilities.astype(np.float32)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        write_atomic(path, buffer.getvalue())
    with np.load(path, allow_pickle=False) as stored:
        y = stored["y_true"]
        read = {
            name: Predictions(
                stored[_key(name)],
                stored[f"{_key(name)}_probabilities"].astype(np.float64)
                if f"{_key(name)}_probabilities" in stored
                else None,
            )
            for name in predictors
            if _key(name) in stored
        }
    return y, read


def _key(name: str) -> str:
    return "y_pred" if name == "found" else f"y_pred_{name}"
