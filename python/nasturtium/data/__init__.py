"""Data sets: read from files or arrays, described by a schema, split with a sealed test part."""

from pathlib import Path
from typing import Final

from nasturtium.data.dataset import Dataset, from_arrays
from nasturtium.data.load import load, read_inputs
from nasturtium.data.schema import Column, ImageFormat, Schema
from nasturtium.data.split import SealedPart, Split, split
from nasturtium.data.statistics import ColumnStatistics, Statistics, preprocess_json

PREDICT_TEMPLATE: Final = Path(__file__).with_name("predict_template.py")

__all__ = [
    "PREDICT_TEMPLATE",
    "Column",
    "ColumnStatistics",
    "Dataset",
    "ImageFormat",
    "Schema",
    "SealedPart",
    "Split",
    "Statistics",
    "from_arrays",
    "load",
    "preprocess_json",
    "read_inputs",
    "split",
]
