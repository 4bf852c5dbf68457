"""A trained network as plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium.data import Schema, Statistics
from nasturtium.job.contestants import Contestant
from nasturtium.job.finals import weights_path
from nasturtium.job.tensors import Arrays
from nasturtium.networks import Net

_BATCH = 1024


@dataclasses.dataclass(frozen=True)
class FittedNetwork:
    """A trained network as plain values: it can be pickled and compared."""

    net: Net
    statistics: Statistics
    schema: Schema
    state: Mapping[str, NDArray[Any]]

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Raw rows [N, F] or images to logits [N, K], or to values [N, 1] in the target's units."""
        import torch

        from nasturtium.export import trained_model

        state = {name: torch.from_numpy(value.copy()) for name, value in self.state.items()}
        model = trained_model(self.net, self.statistics, state)
        with torch.inference_mode():
            parts = [
                model(torch.from_numpy(x[i : i + _BATCH])).double().numpy()
                for i in range(0, len(x), _BATCH)
            ]
        return np.concatenate(parts)

    @classmethod
    def of(cls, found: Contestant, arrays: Arrays, folder: Path) -> FittedNetwork:
        """A trained contestant whose weights are in `folder`."""
        from nasturtium.export.weights import read_weights

        assert found.net is not None
        weights = read_weights(weights_path(folder, found.name))
        state = {name: value.numpy() for name, value in weights.items()}
        return cls(found.net, arrays.statistics, arrays.schema, state)
