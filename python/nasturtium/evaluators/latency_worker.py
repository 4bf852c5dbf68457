"""Times networks one call at a time on one thread: the process behind `latency.measure`.

Run as `python -m nasturtium.evaluators.latency_worker`. It reads one JSON request from standard
input, `items` (each a `net`, or the `path` of an exported model, with an `example` or its `shape`),
`runs`, `warmup` and `limit`, and answers with one line of JSON: for each item its blocks of
nanoseconds, or `error`.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

BLOCKS = 20

Call = Callable[[], object]


def net_from_json(value: Mapping[str, Any]) -> Any:
    from nasturtium.networks import Layer, Net

    layers = tuple(
        Layer(name, op, tuple(inputs), args) for name, op, inputs, args in value["layers"]
    )
    return Net(value["name"], tuple(value["input_shape"]), layers)


def prepare(item: Mapping[str, Any]) -> Call:
    """A function without arguments that runs the item's model once."""
    shape = [1, *item["shape"]]
    if item["example"] is None:
        x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    else:
        x = np.asarray(item["example"], dtype=np.float32).reshape(shape)
    if item.get("path", "").endswith(".onnx"):
        return _onnx(item["path"], x)
    return _torch(item, x)


def _onnx(path: str, x: np.ndarray[Any, Any]) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x}
    return lambda: session.run(None, feed)


def _torch(item: Mapping[str, Any], x: np.ndarray[Any, Any]) -> Call:
    import torch

    if "net" in item:
        from nasturtium.networks import module

        model: Any = module(net_from_json(item["net"])).eval()
    elif item["path"].endswith(".pt2"):
        model = torch.export.load(item["path"]).module()
    else:
        spec = importlib.util.spec_from_file_location("exported_model", item["path"])
        assert spec is not None and spec.loader is not None
        source = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(source)
        model = source.load(str(Path(item["path"]).with_name("weights.safetensors")))
    example = torch.from_numpy(x)
    return lambda: model(example)


def time_calls(
    calls: Sequence[Call], *, runs: int, warmup: int, limit: float
) -> list[list[list[int]]]:
    """For each call its blocks of nanoseconds, `runs` in all unless `limit` seconds end it before.

    The calls take turns, one block each: what disturbs the machine for a while disturbs a block of
    each of them, not all blocks of one.
    """
    for call in calls:
        for _ in range(warmup):
            call()
    size = max(1, -(-runs // BLOCKS))
    blocks: list[list[list[int]]] = [[] for _ in calls]
    end = time.perf_counter() + limit
    clock = time.perf_counter_ns
    while sum(len(block) for block in blocks[-1]) < runs:
        for call, own in zip(calls, blocks, strict=True):
            block = []
            for _ in range(size):
                begun = clock()
                call()
                block.append(clock() - begun)
            own.append(block)
        if time.perf_counter() > end:
            break
    return blocks


def serve(request: Mapping[str, Any]) -> list[list[list[int]]]:
    limits = {name: request[name] for name in ("runs", "warmup", "limit")}
    calls = [prepare(item) for item in request["items"]]
    gc.collect()
    gc.disable()
    if all(item.get("path", "").endswith(".onnx") for item in request["items"]):
        return time_calls(calls, **limits)
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    with torch.inference_mode():
        return time_calls(calls, **limits)


def main() -> None:
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the libraries print must not mix with the answer
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    try:
        result: dict[str, Any] = {"blocks": serve(json.loads(sys.stdin.readline()))}
    except Exception as error:
        text = str(error).strip().splitlines()
        result = {"error": f"{type(error).__name__}: {text[0] if text else ''}"}
    answer.write(json.dumps(result) + "\n")
    answer.close()
    os._exit(0)  # torch's teardown takes a second, and everything is out


if __name__ == "__main__":
    main()
