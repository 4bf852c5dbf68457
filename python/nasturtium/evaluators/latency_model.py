"""Latency predicted from the layers of a network, to leave out slow ones before training."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium.errors import UserError
from nasturtium.evaluators.latency import measure_nets
from nasturtium.networks import Net

__all__ = ["LatencyModel", "layer_features"]

FEWEST = 8
FOLDS = 5
RIDGE = 0.005  # relative to features scaled to at most 1 and latencies scaled to 1
_KINDS = {
    "batch_norm1d": "norm",
    "batch_norm2d": "norm",
    "layer_norm": "norm",
    "max_pool2d": "pool",
    "avg_pool2d": "pool",
    "global_avg_pool": "reduce",
    "global_max_pool": "reduce",
    "add": "join",
    "multiply": "join",
    "concat": "join",
    "scale_channels": "join",
}

Floats = NDArray[np.float64]


def layer_features(net: Net) -> dict[str, float]:
    """What the time of one sample is made of, counted over the layers.

    For each kind of layer: `calls:kind`, `macs:kind` (multiply-accumulates) and `moved:kind`
    (numbers read and written); and `calls:net`, 1.
    """
    found: Counter[str] = Counter({"calls:net": 1})
    for layer, op, inputs, output in net.walk():
        kind = _KINDS.get(layer.op, layer.op)
        if layer.op == "conv2d":
            groups = int(layer.args.get("groups", 1))
            kind = "depthwise" if groups > 1 else f"conv{layer.args['kernel']}"
        elif layer.op in ("dropout", "identity", "flatten"):
            kind = "nothing"
        elif layer.op not in _KINDS and op.module(layer.args, inputs) is None:
            kind = "pointwise"
        found[f"calls:{kind}"] += 1
        found[f"macs:{kind}"] += op.macs(layer.args, inputs)
        found[f"moved:{kind}"] += math.prod(output) + sum(math.prod(shape) for shape in inputs)
    return {name: float(value) for name, value in found.items() if value}


@dataclasses.dataclass(frozen=True)
class LatencyModel:
    """Milliseconds as a sum of layers: `latency = sum of coefficient * feature`, none below 0.

    `coefficients` are milliseconds per unit of a feature. `error` is the relative error that 9 of
    10 networks, left out of the fit, stay within; `networks` were measured. A network is run layer
    by layer at batch 1, so that their times add up (Cai et al., ProxylessNAS, ICLR 2019).
    """

    coefficients: Mapping[str, float]
    error: float
    networks: int

    @classmethod
    def measure(cls, nets: Sequence[Net], *, limit: float = 8.0) -> LatencyModel:
        """Measure `nets`, some 30 of the space, for `limit` seconds at most, and fit to them.

        Nothing else should run meanwhile. What comes out depends on the clock: a run that is to be
        resumed keeps `to_json`.
        """
        latencies = measure_nets(nets, runs=60, warmup=5, limit=limit)
        # The tenth percentile is what a call takes when nothing else gets in its way.
        return cls.fit(nets, [latency.p10_ms for latency in latencies])

    @classmethod
    def fit(cls, nets: Sequence[Net], milliseconds: Sequence[float]) -> LatencyModel:
        """Least squares of the relative errors with coefficients of at least 0.

        Raises `UserError` for fewer than 8 networks.
        """
        if len(nets) < FEWEST:
            raise UserError(f"a latency model needs at least {FEWEST} networks, not {len(nets)}")
        features = [layer_features(net) for net in nets]
        times = np.asarray(milliseconds, dtype=np.float64)
        place = np.arange(len(nets)) % FOLDS
        errors = np.zeros(len(nets))
        for fold in range(FOLDS):
            train = np.flatnonzero(place != fold)
            fitted = _fit([features[i] for i in train], times[train])
            for i in np.flatnonzero(place == fold):
                errors[i] = abs(_predict(fitted, features[i]) / times[i] - 1)
        error = float(np.quantile(errors, 0.9))
        return cls(_fit(features, times), error, len(nets))

    def predict(self, net: Net) -> float:
        """Milliseconds for one sample on one thread."""
        return _predict(self.coefficients, layer_features(net))

    def upper(self, net: Net) -> float:
        """Milliseconds that the network hardly exceeds: what a limit is to be compared with."""
        return self.predict(net) * (1 + self.error)

    def to_json(self) -> dict[str, Any]:
        """A value of JSON types; `from_json` gives the equal model back."""
        return {
            "coefficients": dict(self.coefficients),
            "error": self.error,
            "networks": self.networks,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LatencyModel:
        """The model that `to_json` wrote."""
        coefficients = {str(k): float(v) for k, v in value["coefficients"].items()}
        return cls(coefficients, float(value["error"]), int(value["networks"]))


def _fit(features: Sequence[Mapping[str, float]], times: Floats) -> dict[str, float]:
    names = sorted({name for found in features for name in found})
    matrix = np.array([[found.get(name, 0.0) for name in names] for found in features])
    scale = matrix.max(axis=0)
    solved = _nonnegative(matrix / scale / times[:, None], np.ones(len(times)))
    return dict(zip(names, (solved / scale).tolist(), strict=True))


def _nonnegative(matrix: Floats, target: Floats) -> Floats:
    """The x >= 0 with the least `|matrix x - target|^2 + RIDGE^2 |x|^2`, by coordinate descent."""
    gram = matrix.T @ matrix + RIDGE**2 * np.eye(matrix.shape[1])
    right = matrix.T @ target
    x = np.zeros(matrix.shape[1])
    for _ in range(2000):
        before = x.copy()
        for j in range(len(x)):
            x[j] = max(0.0, x[j] + (right[j] - gram[j] @ x) / gram[j, j])
        if np.abs(x - before).max() <= 1e-9 * max(1.0, np.abs(x).max()):
            break
    return x


def _predict(coefficients: Mapping[str, float], features: Mapping[str, float]) -> float:
    """The sum; what no measured network had costs what the dearest of the same sort costs."""
    total = 0.0
    for name, value in features.items():
        if name not in coefficients:
            sort = name.partition(":")[0] + ":"
            known = [c for other, c in coefficients.items() if other.startswith(sort)]
            total += value * max(known, default=0.0)
        else:
            total += value * coefficients[name]
    return total
