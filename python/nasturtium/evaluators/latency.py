"""Latency as a network will be used: one sample, one thread, a process of its own."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium.errors import NasturtiumError, UserError
from nasturtium.networks import Net

__all__ = ["Latency", "measure", "measure_nets", "summarize"]

_SLACK = 120.0  # seconds for the process to start and to import torch, on a busy machine


@dataclasses.dataclass(frozen=True)
class Latency:
    """Milliseconds for one sample.

    `median_ms` is the median over the quieter half of the blocks of calls, `p10_ms` and `p90_ms`
    are percentiles of all calls: p10_ms <= median_ms <= p90_ms. `runs` calls were timed.
    """

    median_ms: float
    p10_ms: float
    p90_ms: float
    runs: int

    def to_json(self) -> dict[str, float]:
        """The same by the keys `median`, `p10`, `p90` and `runs`."""
        return {
            "median": self.median_ms,
            "p10": self.p10_ms,
            "p90": self.p90_ms,
            "runs": self.runs,
        }


def measure(
    model: Net | str | os.PathLike[str],
    example: NDArray[np.float32] | None = None,
    *,
    runs: int = 400,
    warmup: int = 50,
    limit: float = 5.0,
) -> Latency:
    """Time `model` on one sample, on one thread, in a fresh process.

    Args:
        model: a `Net` (run by torch with random weights, without preprocessing), or the path of an
            exported `model.py` (torch, with the weights beside it), `.onnx` (ONNX Runtime) or
            `.pt2` file.
        example: float32 [...] or [1, ...], one raw sample; a `Net` takes random numbers without it.
        runs: calls to time, in 20 blocks.
        warmup: calls before.
        limit: seconds after which the timing ends with fewer runs.

    Raises:
        UserError: the file is missing, or an exported model came without an example.
        NasturtiumError: the model does not run.
    """
    if isinstance(model, Net):
        item = _net_item(model)
        if example is not None:
            item["example"] = _example(example, model.input_shape)
    else:
        path = Path(model)
        if not path.is_file():
            raise UserError(f"cannot measure {path}: there is no such file; export the run first")
        if example is None:
            raise UserError(f"cannot measure {path} without an example of its input")
        sample = np.asarray(example)
        shape = sample.shape[1:] if sample.ndim in (2, 4) else sample.shape
        item = {"path": str(path.resolve()), "shape": list(shape)}
        item["example"] = _example(sample, shape)
    return _time([item], runs=runs, warmup=warmup, limit=limit)[0]


def measure_nets(
    nets: Sequence[Net], *, runs: int = 100, warmup: int = 10, limit: float = 10.0
) -> list[Latency]:
    """Time several networks with random weights in one process, in turns.

    Raises `NasturtiumError` where one does not run.
    """
    items = [_net_item(net) for net in nets]
    return _time(items, runs=runs, warmup=warmup, limit=limit) if items else []


def summarize(blocks: Iterable[Sequence[float]]) -> Latency:
    """The latency from blocks of nanoseconds.

    On a machine that does other things, times are disturbed upwards and for a while: whole blocks
    are slow. The half of the blocks with the lower medians tells what the network itself takes.
    """
    kept = [np.asarray(block, dtype=np.float64) / 1e6 for block in blocks]
    quiet = sorted(kept, key=lambda block: float(np.median(block)))[: math.ceil(len(kept) / 2)]
    pooled = np.concatenate(kept)
    low, high = np.quantile(pooled, (0.1, 0.9))
    median = float(np.median(np.concatenate(quiet)))
    return Latency(median, min(float(low), median), max(float(high), median), len(pooled))


def _example(sample: NDArray[Any], shape: Sequence[int]) -> list[float]:
    if sample.size != math.prod(shape):
        raise UserError(f"one sample of shape {tuple(shape)} is needed, not {sample.shape}")
    values: list[float] = np.asarray(sample, dtype=np.float32).ravel().tolist()
    return values


def _net_item(net: Net) -> dict[str, Any]:
    layers = [[la.name, la.op, list(la.inputs), dict(la.args)] for la in net.layers]
    value = {"name": net.name, "input_shape": list(net.input_shape), "layers": layers}
    return {"net": value, "shape": list(net.input_shape), "example": None}


def _time(items: Sequence[Mapping[str, Any]], **limits: float) -> list[Latency]:
    import nasturtium

    root = str(Path(next(iter(nasturtium.__path__))).parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "nasturtium.evaluators.latency_worker"],
            input=json.dumps({"items": items, **limits}) + "\n",
            capture_output=True,
            text=True,
            env=environment,
            timeout=limits["limit"] + _SLACK,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NasturtiumError("the latency measurement did not end and was stopped") from None
    if not done.stdout.strip():
        tail = done.stderr.strip().splitlines()[-1:]
        raise NasturtiumError(f"the measuring process ended with {done.returncode}: {tail}")
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise NasturtiumError(f"the network's latency cannot be measured: {answer['error']}")
    return [summarize(blocks) for blocks in answer["blocks"]]
