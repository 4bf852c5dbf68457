"""Search spaces: declared in Python, compiled into the core."""

from nasturtium.spaces.architecture import Architecture
from nasturtium.spaces.declare import (
    Choice,
    Graph,
    at_least,
    at_most,
    connected,
    forbid,
    live_at_least,
    live_at_most,
)
from nasturtium.spaces.distinct import Classes, classes, merge_classes
from nasturtium.spaces.image_cell import image_cell
from nasturtium.spaces.nb101_space import nb101_space
from nasturtium.spaces.nb201 import nb201
from nasturtium.spaces.orderly import OrderlyClasses
from nasturtium.spaces.residual_mlp import residual_mlp
from nasturtium.spaces.space import Space
from nasturtium.spaces.state import load_codes, load_space_text, save_codes, save_space

__all__ = [
    "Architecture",
    "Choice",
    "Classes",
    "Graph",
    "OrderlyClasses",
    "Space",
    "at_least",
    "at_most",
    "classes",
    "connected",
    "forbid",
    "image_cell",
    "live_at_least",
    "live_at_most",
    "load_codes",
    "load_space_text",
    "merge_classes",
    "nb101_space",
    "nb201",
    "residual_mlp",
    "save_codes",
    "save_space",
]
