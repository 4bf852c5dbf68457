"""Fast operators for training, each beside the plain torch code that it must agree with.

``DepthwiseConv2d`` replaces a depthwise ``torch.nn.Conv2d`` and keeps its ``state_dict``;
``accelerate(module)`` replaces all of a network's. ``MixedEdge`` is the edge of a DARTS search
cell, and ``mixed_operation`` computes all its candidates at once; ``node_sum`` does so for all
edges into one node. Its parts are for any candidates:
``separable_bank`` reads x once for several separable convolutions, and ``normalize_and_mix`` weighs
and sums branches, normalized. ``searched_cell`` is a whole
cell of NAS-Bench-201, ``partial_mix`` the edge of PC-DARTS, and ``split_channels`` and
``join_channels`` are what passes it by.
``path_select`` computes one or two sampled candidates of an edge and no others, and
``aggregated_convolution`` several sizes and dilations in one convolution (DASH).
``SearchNetwork`` and ``CellSearchNetwork`` are the supernets of
DARTS, PC-DARTS and NAS-Bench-201 that are made of them. ``NASTURTIUM_KERNELS=reference`` switches
every kernel off. Importing this package does not import torch: the names below do, on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .dispatch import Choice, KernelFallback, available

if TYPE_CHECKING:
    from .aggregated.module import AggregatedConv
    from .aggregated.ops import aggregated_convolution, aggregated_kernel
    from .cell.ops import searched_cell
    from .depthwise.module import DepthwiseConv2d, accelerate
    from .depthwise.ops import depthwise_conv2d
    from .mix.ops import normalize_and_mix
    from .mixed_op.module import MixedEdge
    from .mixed_op.ops import mixed_operation, node_sum
    from .parts.mix import partial_mix
    from .parts.ops import join_channels, split_channels
    from .paths.ops import path_select
    from .separable.ops import separable_bank
    from .statistics import Running
    from .supernets.darts import SearchNetwork
    from .supernets.edges import CellEdge, PartialEdge
    from .supernets.nb201 import CellSearchNetwork

__all__ = [
    "AggregatedConv",
    "CellEdge",
    "CellSearchNetwork",
    "Choice",
    "DepthwiseConv2d",
    "KernelFallback",
    "MixedEdge",
    "PartialEdge",
    "Running",
    "SearchNetwork",
    "accelerate",
    "aggregated_convolution",
    "aggregated_kernel",
    "available",
    "depthwise_conv2d",
    "join_channels",
    "mixed_operation",
    "node_sum",
    "normalize_and_mix",
    "partial_mix",
    "path_select",
    "searched_cell",
    "separable_bank",
    "split_channels",
]

_HOME = {
    "AggregatedConv": ".aggregated.module",
    "aggregated_convolution": ".aggregated.ops",
    "aggregated_kernel": ".aggregated.ops",
    "DepthwiseConv2d": ".depthwise.module",
    "accelerate": ".depthwise.module",
    "depthwise_conv2d": ".depthwise.ops",
    "MixedEdge": ".mixed_op.module",
    "Running": ".statistics",
    "CellEdge": ".supernets.edges",
    "PartialEdge": ".supernets.edges",
    "CellSearchNetwork": ".supernets.nb201",
    "SearchNetwork": ".supernets.darts",
    "mixed_operation": ".mixed_op.ops",
    "node_sum": ".mixed_op.ops",
    "normalize_and_mix": ".mix.ops",
    "searched_cell": ".cell.ops",
    "join_channels": ".parts.ops",
    "partial_mix": ".parts.mix",
    "path_select": ".paths.ops",
    "separable_bank": ".separable.ops",
    "split_channels": ".parts.ops",
}


def __getattr__(name: str) -> Any:
    """Import the module that holds ``name``, and with it torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return vars(importlib.import_module(_HOME[name], __name__))[name]
