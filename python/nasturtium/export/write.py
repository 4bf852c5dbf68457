"""A trained network to the files that leave the run, each checked against it first."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasturtium.data import PREDICT_TEMPLATE, Schema, Statistics, preprocess_json
from nasturtium.errors import ExportError, nearest
from nasturtium.export.converter import Conversion, Converter, Form
from nasturtium.export.files import write_atomic
from nasturtium.export.source import model_source
from nasturtium.export.weights import to_bytes
from nasturtium.networks import Net, module

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "FILES",
    "TOLERANCE",
    "Checks",
    "ExportSummary",
    "check",
    "trained_model",
    "with_raw_inputs",
    "write",
]

TOLERANCE = 1e-4
RELATIVE = 1e-6  # for outputs above 100: what float32 keeps over some tens of layers
FILES: Mapping[str, tuple[str, ...]] = {
    "source": ("model.py", "weights.safetensors", "preprocess.json", "predict.py"),
    "onnx": ("model.onnx",),
    "torch-export": ("model.pt2",),
}
_CONVERTED: Mapping[Form, str] = {"onnx": "model.onnx", "torch_export": "model.pt2"}
_MOST_ROWS = 256


@dataclasses.dataclass(frozen=True)
class Checks:
    """The largest absolute difference of each form's outputs from the trained network's.

    Logits as they are; a regression in standard deviations of the training target. None: the form
    was not asked for. `rows` raw inputs were compared, in batches of 1, 7 and the rest.
    """

    source: float
    onnx: float | None
    torch_export: float | None
    rows: int

    def to_json(self) -> dict[str, float]:
        """`source_max_abs_difference` and so on, for the forms that there are."""
        values = {"source": self.source, "onnx": self.onnx, "torch_export": self.torch_export}
        return {f"{k}_max_abs_difference": v for k, v in values.items() if v is not None}


@dataclasses.dataclass(frozen=True)
class ExportSummary:
    """The names of the files in the folder, their checks, and the seconds that each step took."""

    files: tuple[str, ...]
    checks: Checks
    seconds: Mapping[str, float]

    def to_json(self) -> dict[str, float]:
        """The checks' `to_json`: what a result keeps."""
        return self.checks.to_json()


def trained_model(
    net: Net, statistics: Statistics, state: Mapping[str, Tensor] | None = None
) -> nn.Sequential:
    """`preprocess`, `net`, `postprocess` in a row, in evaluation mode, on the CPU.

    `state` is the state of `networks.module(net)`; random weights without it.
    """
    built = module(net)
    if state is not None:
        built.load_state_dict({name: value.detach().cpu() for name, value in state.items()})
    return with_raw_inputs(built, statistics)


def with_raw_inputs(network: nn.Module, statistics: Statistics) -> nn.Sequential:
    """`preprocess`, `network`, `postprocess`: raw inputs to logits, or values in their units."""
    from collections import OrderedDict

    from torch import nn

    from nasturtium.networks.preprocess import Postprocess, Preprocess

    parts: OrderedDict[str, nn.Module] = OrderedDict(preprocess=Preprocess(statistics))
    parts["net"] = network
    parts["postprocess"] = Postprocess(statistics)
    return nn.Sequential(parts).eval()


def write(
    folder: str | Path,
    net: Net,
    statistics: Statistics,
    schema: Schema,
    state: Mapping[str, Tensor],
    sample_x: NDArray[np.float32],
    *,
    formats: Collection[str] = ("source", "onnx"),
    architecture: str | None = None,
    converter: Converter | None = None,
) -> ExportSummary:
    """Write the files of `FILES` for "source" (always) and the other `formats`.

    Every form runs in a process that cannot import the library, on `sample_x`, float32 [n, ...] raw
    inputs (256 rows at most are used), and must give what the trained network gives. The folder is
    touched only when all of them do. `state` is the state of `networks.module(net)`. A `converter`
    made with `prepare=("onnx",)` some seconds before saves its start.

    Raises:
        ExportError: a form differs by more than `TOLERANCE`, the folder cannot be written, a format
            is unknown or its package is missing.
    """
    begun = time.perf_counter()
    _check_request(Path(folder), formats)
    text = architecture or net.name
    metadata = _metadata(schema, text)
    model = trained_model(net, statistics, state)
    source = model_source(net, statistics, schema, architecture=text)
    contents: dict[str, bytes | str] = {
        "model.py": source.text,
        "weights.safetensors": to_bytes(source.state(model.state_dict()), metadata),
        "preprocess.json": preprocess_json(schema, statistics),
        "predict.py": PREDICT_TEMPLATE.read_bytes(),
    }
    wanted = {name for format in formats for name in FILES[format]}
    x = np.asarray(sample_x[:_MOST_ROWS], dtype=np.float32)
    with (
        tempfile.TemporaryDirectory(prefix="nasturtium-") as temporary,
        converter or Converter() as process,
    ):
        draft = Path(temporary)
        _write_all(draft, contents)
        forms = {form: draft / name for form, name in _CONVERTED.items() if name in wanted}
        done = process.run(
            draft / "model.py",
            draft / "weights.safetensors",
            x,
            write=forms,
            metadata=metadata,
            output_name="logits" if schema.task == "classification" else "prediction",
        )
        checks = _compare(done, model, x, statistics)
        contents |= {path.name: path.read_bytes() for path in forms.values()}
    _write_all(Path(folder), contents)
    seconds = {**done.seconds, "total": time.perf_counter() - begun}
    return ExportSummary(tuple(contents), checks, seconds)


def check(
    model: nn.Module, folder: str | Path, x: NDArray[np.float32], *, statistics: Statistics
) -> Checks:
    """Compare the exported files of `folder` with `model`, raw float32 [n, ...] inputs to outputs.

    Raises:
        ExportError: a file is missing or differs by more than `TOLERANCE`.
    """
    where = Path(folder)
    for name in ("model.py", "weights.safetensors"):
        if not (where / name).is_file():
            raise ExportError(f"{where / name} is missing; export the run again")
    forms = {form: where / name for form, name in _CONVERTED.items() if (where / name).is_file()}
    with Converter() as process:
        done = process.run(where / "model.py", where / "weights.safetensors", x, run=forms)
    return _compare(done, model, x, statistics)


def _check_request(folder: Path, formats: Collection[str]) -> None:
    for name in formats:
        if name not in FILES:
            raise ExportError(f"unknown format {name!r}: {nearest(name, FILES)}")
    if not folder.is_dir():
        raise ExportError(f"cannot export to {folder}: it is no folder; make it first")


def _write_all(folder: Path, contents: Mapping[str, bytes | str]) -> None:
    for name, content in contents.items():
        write_atomic(folder / name, content)


def _metadata(schema: Schema, architecture: str) -> dict[str, str]:
    return {
        "architecture": architecture,
        "task": schema.task,
        "target": schema.target,
        "classes": json.dumps(list(schema.classes), ensure_ascii=False),
        "columns": json.dumps([column.name for column in schema.columns], ensure_ascii=False),
        "schema": _fingerprint(schema),
    }


def _fingerprint(schema: Schema) -> str:
    text = json.dumps(schema.to_json(), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _compare(
    done: Conversion, model: nn.Module, x: NDArray[np.float32], statistics: Statistics
) -> Checks:
    import torch

    with torch.inference_mode():
        expected: NDArray[Any] = model.eval()(torch.from_numpy(x)).numpy()
    unit = statistics.target_deviation  # 1 for classes
    allowed = max(
        TOLERANCE, RELATIVE * float(np.abs(expected - statistics.target_mean).max()) / unit
    )
    # Targets far from 0 cannot agree better than float32 tells neighbors apart.
    allowed += 2 * float(np.spacing(np.float32(np.abs(expected).max()))) / unit
    found: dict[str, float] = {}
    for form, outputs in done.outputs.items():
        if outputs.shape != expected.shape:
            raise ExportError(f"the exported {form} gives {outputs.shape}, not {expected.shape}")
        found[form] = float(np.abs(outputs.astype(np.float64) - expected).max()) / unit
        if not found[form] <= allowed:  # NaN fails too
            raise ExportError(
                f"the exported {form} differs from the trained network by {found[form]:.3g} "
                f"(at most {allowed:.2g} is right): nothing was exported; please report this"
            )
    return Checks(found["source"], found.get("onnx"), found.get("torch_export"), len(x))
