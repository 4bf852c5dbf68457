"""Which function turns the architectures of a space into networks."""

import importlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

from nasturtium.errors import SpaceError, nearest
from nasturtium.networks.ir import Net
from nasturtium.spaces import Architecture

__all__ = ["Lower", "for_space", "register_lowering"]

# (architecture, shape of one input, number of outputs) -> network
Lower: TypeAlias = Callable[[Architecture, Sequence[int], int], Net]

_BUILT_IN = {
    "nb101": "nasturtium.networks.lower_nb101",
    "nb201": "nasturtium.networks.lower_nb201",
    "image_cell": "nasturtium.networks.lower_image_cell",
    "residual_mlp": "nasturtium.networks.lower_residual_mlp",
}
_registered: dict[str, Lower] = {}


def register_lowering(space: str, lower: Lower) -> None:
    """Make `for_space(space)` return `lower`; a user's own space is trained through this.

    Raises SpaceError when the space has a lowering already.
    """
    if space in _BUILT_IN or _registered.setdefault(space, lower) is not lower:
        raise SpaceError(f'the space "{space}" has a lowering already; choose another name')


def for_space(name: str) -> Lower:
    """The function `lower(arch, input_shape, outputs) -> Net` of the space called `name`.

    Raises SpaceError, with the nearest names, when there is none.
    """
    if name in _registered:
        return _registered[name]
    if name not in _BUILT_IN:
        known = [*_BUILT_IN, *_registered]
        raise SpaceError(f'no network is known for the space "{name}"; {nearest(name, known)}')
    lower: Lower = vars(importlib.import_module(_BUILT_IN[name]))["lower"]
    return lower
