"""Loads an exported model where the library cannot be imported, converts it, runs every form.

A program of its own: it is run as `python -I worker.py`, reads one JSON request from standard
input and answers with one line of JSON. Arguments name the forms to get ready for meanwhile. It
imports nothing of the library, and refuses to let the model do so: what runs here runs on a
machine that has torch alone.

Request: `source` and `weights` (paths), `inputs` (.npy, float32 [n, ...]), `outputs` (.npz to
write: one array [n, ...] for each form), `write` and `run` (form -> path; forms are "onnx" and
"torch_export"), `metadata` (texts for the ONNX file), `output_name`.
Answer: `seconds` for each step, or `error`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

# Version 18 is the one that the exporter writes natively; onnxruntime reads it since 1.14.
OPSET = 18


class Isolated:
    """An import finder, asked before all others, for which the library is not installed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "nasturtium":
            raise ModuleNotFoundError(f"{name} is not there: an exported model stands alone")


def load_source(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("model", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["model"] = module
    spec.loader.exec_module(module)
    return module


def to_onnx(model: Any, example: Any, request: dict[str, Any]) -> None:
    import torch

    program = torch.onnx.export(
        model,
        (example,),
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=["x"],
        output_names=[request["output_name"]],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    assert program is not None
    # The exporter notes where every node comes from: stack traces with this machine's paths.
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
    program.model.metadata_props.clear()
    program.model.metadata_props.update(request["metadata"])
    program.save(request["write"]["onnx"], external_data=False)


def to_torch_export(model: Any, example: Any, request: dict[str, Any]) -> None:
    import torch

    program = torch.export.export(
        model, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    torch.export.save(program, request["write"]["torch_export"])


def onnx_runner(path: str) -> Callable[[Any], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def torch_runner(model: Any) -> Callable[[Any], Any]:
    import torch

    def run(x: Any) -> Any:
        with torch.inference_mode():
            return model(torch.from_numpy(x)).numpy()

    return run


def torch_export_runner(path: str) -> Callable[[Any], Any]:
    import torch

    return torch_runner(torch.export.load(path).module())


def in_pieces(run: Callable[[Any], Any], x: Any) -> Any:
    """The outputs for all rows, computed one row alone, then seven, then the others at once."""
    import numpy

    bounds = sorted({0, min(1, len(x)), min(8, len(x)), len(x)})
    parts = [run(x[low:high]) for low, high in itertools.pairwise(bounds)]
    return numpy.concatenate(parts)


@contextlib.contextmanager
def timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - begun


def serve(request: dict[str, Any]) -> dict[str, Any]:
    import numpy
    import torch

    seconds: dict[str, float] = {}
    x = numpy.load(request["inputs"])
    with timed("source", seconds):
        model = load_source(request["source"]).load(request["weights"])
        outputs = {"source": in_pieces(torch_runner(model), x)}
    # Two rows at least: a batch of one would be taken for a constant.
    example = torch.from_numpy(numpy.resize(x, (2, *x.shape[1:])))
    writers = {"onnx": to_onnx, "torch_export": to_torch_export}
    runners = {"onnx": onnx_runner, "torch_export": torch_export_runner}
    for form in request["write"]:
        with timed(f"write_{form}", seconds):
            writers[form](model, example, request)
    for form, path in request["run"].items():
        with timed(f"run_{form}", seconds):
            outputs[form] = in_pieces(runners[form](path), x)
    numpy.savez(request["outputs"], **outputs)
    return {"seconds": seconds}


def warm_up(forms: Sequence[str]) -> None:
    """Convert a network of one layer: the imports and tables it needs take most of the time."""
    import torch

    tiny, example = torch.nn.Linear(2, 2).eval(), torch.zeros(2, 2)
    if "onnx" in forms:
        import onnxruntime  # noqa: F401

        torch.onnx.export(tiny, (example,), dynamo=True, verbose=False, opset_version=OPSET)
    elif "torch_export" in forms:
        torch.export.export(tiny, (example,))


def main() -> None:
    sys.meta_path.insert(0, Isolated())
    # Whatever the libraries print goes to standard error; the answer has a channel of its own.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    try:
        import torch

        torch.set_num_threads(1)
        warm_up(sys.argv[1:])
        line = sys.stdin.readline()
        if not line:
            return
        result = serve(json.loads(line))
    except Exception as error:
        text = str(error).strip().splitlines()
        result = {"error": f"{type(error).__name__}: {text[0] if text else ''}"}
    answer.write(json.dumps(result) + "\n")
    answer.close()
    # The interpreter's teardown of torch takes a second; the answer is out and the files closed.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
