"""From an architecture to a network: layers as data, cost, and the torch module.

Importing this package does not import torch; calling `module` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasturtium.networks import baselines
from nasturtium.networks.cost import Cost, cost
from nasturtium.networks.ir import OPS, Layer, Net, NetBuilder
from nasturtium.networks.lowering import Lower, for_space, register_lowering

if TYPE_CHECKING:
    from nasturtium.networks.torch_module import NetModule

__all__ = [
    "OPS",
    "Cost",
    "Layer",
    "Lower",
    "Net",
    "NetBuilder",
    "baselines",
    "cost",
    "for_space",
    "module",
    "register_lowering",
]


def module(net: Net, *, seed: int = 0) -> NetModule:
    """The trainable `torch.nn.Module` of `net`; its initial weights are a function of `seed`."""
    from nasturtium.networks import torch_module

    return torch_module.build(net, seed=seed)
