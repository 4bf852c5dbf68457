"""The found network as files that stand alone: source, weights, ONNX, torch.export; checked."""

from nasturtium.export.converter import Converter
from nasturtium.export.files import write_atomic
from nasturtium.export.source import ModelSource, model_source
from nasturtium.export.write import (
    FILES,
    Checks,
    ExportSummary,
    check,
    trained_model,
    with_raw_inputs,
    write,
)

__all__ = [
    "FILES",
    "Checks",
    "Converter",
    "ExportSummary",
    "ModelSource",
    "check",
    "model_source",
    "trained_model",
    "with_raw_inputs",
    "write",
    "write_atomic",
]
