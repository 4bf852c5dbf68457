"""What a finished run is in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from nasturtium.errors import UserError
from nasturtium.job.contestants import Contestant
from nasturtium.job.fitted import FittedNetwork
from nasturtium.job.score import Predictions
from nasturtium.job.tensors import Arrays


class Run:
    """A finished run: `folder` with its files, `result` as in result.json, and the network."""

    def __init__(
        self,
        folder: Path,
        result: dict[str, Any],
        arrays: Arrays,
        found: Contestant,
        temporary: Any = None,
    ) -> None:
        self.folder = folder
        self.result = result
        self._arrays = arrays
        self._found = found
        self._temporary = temporary
        self._predictor: Any = None

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """The class names, in the order of the columns of `predict_proba`."""
        return np.asarray(self._arrays.schema.classes)

    def predict_numbers(self, x: ArrayLike) -> Predictions:
        """Class numbers and probabilities, or values, for raw rows or images `x`."""
        from nasturtium.job.tested import network_predictor

        if self._predictor is None:
            self._predictor = network_predictor(self._found, self._arrays, self.folder / "work")
        predictions: Predictions = self._predictor(self._arrays.schema.encode_array(np.asarray(x)))
        return predictions

    def predict(self, x: ArrayLike) -> npt.NDArray[Any]:
        """The class name, or the value, of each row of `x`."""
        predictions = self.predict_numbers(x)
        if self._arrays.task == "regression":
            return predictions.labels
        names: npt.NDArray[Any] = self.classes_[predictions.labels]
        return names

    def predict_proba(self, x: ArrayLike) -> npt.NDArray[np.float64]:
        """Class probabilities [N, classes]; raises `UserError` for a regression."""
        probabilities = self.predict_numbers(x).probabilities
        if probabilities is None:
            raise UserError("a regression has no class probabilities")
        return probabilities

    def network(self) -> FittedNetwork:
        """The found network with its weights, independent of the folder."""
        return FittedNetwork.of(self._found, self._arrays, self.folder / "work")

    def summary(self) -> str:
        """A few lines: the found network, its test score, the verdicts, where the files are."""
        result = self.result
        lines = [
            f"{result['architecture']}",
            f"{result['params']:,} parameters, {result['macs']:,} MACs",
        ]
        if "test_accuracy" in result:
            low, high = result["test_accuracy_interval"]
            lines.append(
                f"test accuracy {result['test_accuracy']:.4f} "
                f"(95 % interval {low:.4f} to {high:.4f}, "
                f"{result['data']['test']} samples)"
            )
        if "test_rmse" in result:
            low, high = result["test_rmse_interval"]
            lines.append(
                f"test RMSE {result['test_rmse']:.6g} (95 % interval {low:.6g} to {high:.6g})"
            )
        for name, measured in result["latency_ms"].items():
            lines.append(f"latency {measured['median']:.3f} ms ({name}, batch 1, one thread)")
        for name, difference in result["exports"].items():
            if name.endswith("difference"):
                lines.append(f"{name.replace('_', ' ')}: {difference:.2g}")
        for baseline in result["baselines"]:
            score = baseline.get("test_accuracy", baseline.get("test_rmse"))
            measured = "not run" if score is None else f"{score:.4f}"
            lines.append(f"- {baseline['title']} ({measured}): {baseline['verdict']}")
        lines.append(f"{result['seconds']['total']:.0f} s; report: {self.folder / 'report.html'}")
        return "\n".join(lines)
