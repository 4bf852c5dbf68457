"""Networks as data: a list of named layers, without torch.

One `Net` gives the trainable module (`networks.module`), its cost (`networks.cost`), its
stand-alone source (`export.source`) and its drawing (`report`). Shapes never hold the batch
dimension: an image is `(channels, height, width)`, a row of a table `(features,)`.
"""

import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from nasturtium.errors import SpaceError, nearest
from nasturtium.networks.ops import OPS, Op, Shape

__all__ = ["OPS", "Args", "Layer", "Net", "NetBuilder", "Op", "Shape"]

Args: TypeAlias = Mapping[str, int | float | str | bool]

INPUT = "x"
# Names that the generated source needs; `nn.Module` itself refuses those of its own attributes.
_RESERVED = frozenset(("F", "Tensor", "forward", "net", "nn", "plan", "self", "torch", "training"))


@dataclass(frozen=True, slots=True)
class Layer:
    """One operation: `name = op(inputs; args)`.

    `name` is a Python identifier, unique in its net; it is also the name of the child module.
    `inputs` are names of earlier layers or `"x"`; `args` holds plain numbers, texts and booleans.
    """

    name: str
    op: str
    inputs: tuple[str, ...] = (INPUT,)
    args: Args = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Net:
    """A network: layers in order of execution; `"x"` is the input, the last layer the output.

    Raises SpaceError when a name, an input, an operation or a shape is wrong.
    """

    name: str
    input_shape: Shape
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise SpaceError(f"network {self.name!r} has no layer; give it at least one")
        if not self.input_shape or any(size < 1 for size in self.input_shape):
            raise SpaceError(f"network {self.name!r}: no input has the shape {self.input_shape}")
        self.shapes()

    def shapes(self) -> dict[str, Shape]:
        """The shape of the input and of every layer's output, by name, in order."""
        known: dict[str, Shape] = {INPUT: self.input_shape}
        for layer in self.layers:
            _check_layer(self.name, layer, known)
            inputs = tuple(known[name] for name in layer.inputs)
            known[layer.name] = OPS[layer.op].shape(layer.args, inputs)
        return known

    def walk(self) -> list[tuple[Layer, Op, tuple[Shape, ...], Shape]]:
        """Every layer with its operation, the shapes of its inputs and of its output."""
        shapes = self.shapes()
        return [
            (layer, OPS[layer.op], tuple(shapes[n] for n in layer.inputs), shapes[layer.name])
            for layer in self.layers
        ]

    @property
    def output_shape(self) -> Shape:
        return self.shapes()[self.layers[-1].name]


def _check_layer(net: str, layer: Layer, known: Mapping[str, Shape]) -> None:
    name = layer.name
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise SpaceError(f"network {net!r}: {name!r} cannot name a layer; use letters and digits")
    if name in known or name in _RESERVED:
        raise SpaceError(f"network {net!r}: the layer name {name!r} is taken")
    if layer.op not in OPS:
        raise SpaceError(
            f"network {net!r}, layer {name!r}: no operation {layer.op!r}; {nearest(layer.op, OPS)}"
        )
    missing = [source for source in layer.inputs if source not in known]
    if missing:
        raise SpaceError(f"network {net!r}: layer {name!r} reads {missing[0]!r}, which is missing")


class NetBuilder:
    """Collects layers and keeps their shapes, for the functions that lower architectures.

    >>> build = NetBuilder("tiny", (1, 8, 8))
    >>> h = build.add("conv1", "conv2d", out=4, kernel=3)
    >>> build.shape(h)
    (4, 8, 8)
    """

    def __init__(self, name: str, input_shape: Sequence[int]) -> None:
        self.name = name
        self.input_shape: Shape = tuple(int(size) for size in input_shape)
        self.layers: list[Layer] = []
        self._shapes: dict[str, Shape] = {INPUT: self.input_shape}

    def add(
        self,
        name: str,
        op: str,
        inputs: str | Sequence[str] | None = None,
        **args: int | float | str | bool,
    ) -> str:
        """Append a layer; without `inputs` it reads the last one. Returns its name."""
        if inputs is None:
            sources: tuple[str, ...] = (self.layers[-1].name if self.layers else INPUT,)
        else:
            sources = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        layer = Layer(name, op, sources, args)
        _check_layer(self.name, layer, self._shapes)
        self._shapes[name] = OPS[op].shape(args, tuple(self._shapes[s] for s in sources))
        self.layers.append(layer)
        return name

    def shape(self, name: str) -> Shape:
        return self._shapes[name]

    def build(self) -> Net:
        return Net(self.name, self.input_shape, tuple(self.layers))
