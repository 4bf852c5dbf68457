"""Codes as arrays for models."""

from nasturtium.encodings.graphs import (
    GraphArrays,
    GraphBatch,
    Label,
    graph_labels,
    operation_counts,
)
from nasturtium.encodings.paths import PathEncoder
from nasturtium.encodings.slots import (
    categorical,
    condition_levels,
    conditional_tree,
    decode_categorical,
    decode_one_hot,
    decode_scores,
    one_hot,
    one_hot_bits,
    one_hot_width,
)
from nasturtium.encodings.weisfeiler_lehman import WeisfeilerLehman

__all__ = [
    "GraphArrays",
    "GraphBatch",
    "Label",
    "PathEncoder",
    "WeisfeilerLehman",
    "categorical",
    "condition_levels",
    "conditional_tree",
    "decode_categorical",
    "decode_one_hot",
    "decode_scores",
    "graph_labels",
    "one_hot",
    "one_hot_bits",
    "one_hot_width",
    "operation_counts",
]
