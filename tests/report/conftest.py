"""Runs as a report sees them, made without a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nasturtium.networks.ir import Net, NetBuilder
from nasturtium.report import Predictions, ReportData, TrialRow

Make = Callable[..., ReportData]
FILES = frozenset({"predict.py", "model.py", "model.onnx"})


def residual_net(blocks: int = 3) -> Net:
    build = NetBuilder("sample", (1, 8, 8))
    build.add("stem", "conv2d", out=16, kernel=3)
    x = build.add("stem_bn", "batch_norm2d")
    for i in range(blocks):
        build.add(f"b{i}_relu", "relu", x)
        build.add(f"b{i}_conv1", "conv2d", out=16, kernel=3)
        build.add(f"b{i}_bn1", "batch_norm2d")
        build.add(f"b{i}_relu2", "relu")
        build.add(f"b{i}_conv2", "conv2d", out=16, kernel=3)
        y = build.add(f"b{i}_bn2", "batch_norm2d")
        x = build.add(f"b{i}_add", "add", [x, y])
    build.add("pool", "global_avg_pool")
    build.add("head", "linear", out=10)
    return build.build()


def trials(n: int, *, study: str = "search", seed: int = 0, low: float = 0.9) -> list[TrialRow]:
    draw = np.random.Generator(np.random.Philox(key=seed))
    rows = []
    for i in range(n):
        epochs = (3, 9, 27)[min(2, int(draw.exponential(0.8)))]
        params = float(round(10 ** draw.uniform(3, 5)))
        top = low + (0.99 - low) * (1 - draw.exponential(0.2)) * (1 - 2 / epochs**1.5)
        curve = top - 0.4 * np.exp(-np.arange(1, epochs + 1) / 2) + draw.normal(0, 0.004, epochs)
        status = "ok" if draw.random() > 0.04 else "failed"
        ok = status == "ok"
        rows.append(
            TrialRow(
                number=i,
                architecture=f"image_cell:{params:.0f}|op{i % 7}~0|+|op{i % 5}~0|op1~1|",
                status=status,
                study=study,
                fidelity={"epochs": epochs},
                score=float(curve[-1]) if ok else None,
                params=params,
                macs=params * float(draw.uniform(20, 60)),
                seconds=float(epochs * draw.uniform(0.1, 0.4)),
                origin="mutation" if i > 10 else "random",
                parent=i // 2 if i > 10 else None,
                metric=float(curve[-1]) if ok else None,
                curve=tuple(curve.tolist()) if ok else (),
                order=i,
            )
        )
    return rows


def classification(
    n: int = 40, *, names: list[str] | None = None, samples: int = 360, **changes: Any
) -> ReportData:
    names = names or [str(i) for i in range(10)]
    draw = np.random.Generator(np.random.Philox(key=5))
    y = draw.integers(len(names), size=samples)
    wrong = draw.random(samples) < 0.03
    y_pred = np.where(wrong, draw.integers(len(names), size=samples), y)
    own = trials(n)
    best = max(own, key=lambda t: (sum(t.fidelity.values()), t.score or 0.0), default=None)
    rows = own + trials(n // 3, study="random_search", seed=1)
    net = residual_net()
    result: dict[str, Any] = {
        "version": "0.1.0",
        "task": "classification",
        "data": {
            "name": "digits",
            "rows": 1797,
            "train": 1149,
            "validation": 288,
            "test": samples,
            "input_shape": [1, 8, 8],
            "classes": names,
            "target": "digit",
            "notes": [],
        },
        "space": "image_cell",
        "method": "halving_evolution(eta=3)",
        "seed": 0,
        "architecture": best.architecture if best else "none",
        "trial": best.number if best else 0,
        "params": 8934,
        "macs": 412_000,
        "test_accuracy": 0.9944,
        "test_accuracy_interval": [0.98, 0.9985],
        "validation_score": 0.9931,
        "latency_ms": {
            "torch": {"median": 0.412, "p10": 0.39, "p90": 0.47, "runs": 200},
            "onnxruntime": {"median": 0.083, "p10": 0.081, "p90": 0.09, "runs": 200},
        },
        "baselines": [
            {
                "name": "residual network", "kind": "hand-designed", "test_accuracy": 0.9972,
                "interval": [0.984, 0.9995], "params": 37802, "macs": 2_100_000, "seconds": 11.2,
                "measured": True, "difference": -0.0028, "difference_interval": [-0.011, 0.0056],
                "mcnemar_p": 1.0, "verdict": "", "note": "10 epochs, the same recipe",
            },
            {
                "name": "residual network, thinned", "kind": "thinned", "test_accuracy": 0.975,
                "interval": [0.953, 0.987], "params": 9690, "macs": 530_000, "seconds": 8.0,
                "measured": True, "difference": 0.0194, "difference_interval": [0.005, 0.036],
                "mcnemar_p": 0.0156, "verdict": "", "note": "",
            },
            {
                "name": "gradient boosting", "kind": "boosting", "test_accuracy": 0.9694,
                "interval": [0.946, 0.983], "params": None, "macs": None, "seconds": 3.1,
                "measured": True, "difference": 0.025, "difference_interval": [0.008, 0.042],
                "mcnemar_p": 0.0039, "verdict": "", "note": "",
            },
            {
                "name": "random search", "kind": "random-search", "test_accuracy": 0.989,
                "interval": [0.972, 0.996], "params": 9120, "macs": 430_000, "seconds": 60.0,
                "measured": False, "difference": None, "difference_interval": None,
                "mcnemar_p": None, "verdict": "",
                "note": "Estimated from the run's own random trials.",
            },
        ],
        "seconds": {
            "total": 171.0, "load": 0.4, "search": 98.2, "random_search": 0.0, "final": 31.0,
            "baselines": 22.1, "test": 0.3, "export": 11.0, "latency": 3.9, "report": 0.9,
        },
        "trials": {"total": n, "ok": n, "failed": 0, "stopped": 0, "by_fidelity": {}},
        "exports": {"source_max_abs_difference": 0.0, "onnx_max_abs_difference": 2.4e-7},
        "environment": {
            "nasturtium": "0.1.0", "torch": "2.13.0", "python": "3.11.9",
            "platform": "Linux-6.1-x86_64", "cpu": "a processor", "cores": 2, "device": "cpu",
        },
        "command": "nasturtium search digits --out runs/digits",
        "limits": {"max_params": 9450, "max_latency_ms": None},
        "budget": {"time": 180, "rungs": [{"epochs": 3}, {"epochs": 9}]},
        "stopped_by": "time",
    }  # fmt: skip
    result.update(changes)
    return ReportData(result, tuple(rows), Predictions(y, y_pred), net, FILES)


def regression(n: int = 3, **changes: Any) -> ReportData:
    base = dict(classification(0).result)
    draw = np.random.Generator(np.random.Philox(key=9))
    y = draw.gamma(4.0, 5.0, size=102)
    y_pred = y + draw.normal(0, 3.0, size=102)
    build = NetBuilder("mlp", (13,))
    build.add("fc1", "linear", out=64)
    build.add("act1", "relu")
    build.add("fc2", "linear", out=1)
    rows = [
        TrialRow(
            number=i, architecture=f"residual_mlp:width=6{i}", status="ok", origin="random",
            fidelity={"epochs": 20}, score=-3.0 + 0.1 * i, params=1000.0 + i, macs=900.0 + i,
            seconds=2.0, curve=tuple(-6.0 + 0.15 * e for e in range(20)), order=i,
        )
        for i in range(n)
    ]  # fmt: skip
    for key in ("test_accuracy", "test_accuracy_interval"):
        del base[key]
    base |= {
        "task": "regression",
        "data": {
            "name": "boston.csv", "rows": 506, "train": 323, "validation": 81, "test": 102,
            "input_shape": [13], "classes": None, "target": "medv", "notes": ["3 rows dropped"],
        },
        "architecture": "residual_mlp:width=60",
        "trial": 0,
        "params": 961,
        "macs": 896,
        "test_rmse": 2.93,
        "test_rmse_interval": [2.41, 3.52],
        "baselines": [
            {
                "name": "gradient boosting", "kind": "boosting", "test_rmse": 2.71,
                "interval": [2.2, 3.3], "params": None, "macs": None, "seconds": 1.2,
                "measured": True, "difference": -0.22, "difference_interval": [-0.5, -0.01],
                "note": "",
            },
        ],
    }  # fmt: skip
    return ReportData(base | changes, tuple(rows), Predictions(y, y_pred), build.build(), FILES)


@pytest.fixture
def make_classification() -> Make:
    return classification


@pytest.fixture
def make_regression() -> Make:
    return regression


@pytest.fixture
def make_net() -> Callable[[int], Net]:
    return residual_net
