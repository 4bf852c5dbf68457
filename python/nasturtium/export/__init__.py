"""The found network as files: source, weights, ONNX, torch.export; checked, and free of this library."""

from nasturtium.export.converter import Converter
from nasturtium.export.files import write_atomic
from nasturtium.export.source import ModelSource, model_source
from nasturtium.export.write import Checks, ExportSummary, check, trained_model, write

__all__ = [
    "Checks",
    "Converter",
    "ExportSummary",
    "ModelSource",
    "check",
    "model_source",
    "trained_model",
    "write",
    "write_atomic",
]
