"""Search spaces: declared in Python, compiled into the core."""

from nasturtium.spaces.architecture import Architecture
from nasturtium.spaces.declare import (
    Choice,
    Graph,
    at_least,
    at_most,
    connected,
    forbid,
)
from nasturtium.spaces.image_cell import image_cell
from nasturtium.spaces.nb201 import nb201
from nasturtium.spaces.residual_mlp import residual_mlp
from nasturtium.spaces.space import Space

__all__ = [
    "Architecture",
    "Choice",
    "Graph",
    "Space",
    "at_least",
    "at_most",
    "connected",
    "forbid",
    "image_cell",
    "nb201",
    "residual_mlp",
]
