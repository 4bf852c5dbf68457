"""A network's layers, gathered into the parts that a drawing shows.

Normalizations, activations and the like join the operation they follow; where the graph narrows
to one part it is cut into blocks, and equal consecutive blocks become one that is repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nasturtium.networks.ir import Layer, Net

Shape = tuple[int, ...]

_MINOR = {
    "batch_norm2d": "BN",
    "batch_norm1d": "BN",
    "layer_norm": "LN",
    "relu": "ReLU",
    "gelu": "GELU",
    "silu": "SiLU",
    "hardswish": "Hardswish",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "sin": "Sin",
    "cos": "Cos",
    "dropout": "Dropout",
    "identity": "Identity",
    "flatten": "Flatten",
    "times": "Scale",
}
_MAJOR = {
    "conv2d": "Conv",
    "linear": "Linear",
    "feature_linear": "Linear per feature",
    "max_pool2d": "Max pool",
    "avg_pool2d": "Average pool",
    "global_avg_pool": "Global average pool",
    "global_max_pool": "Global max pool",
    "zero": "Zero",
    "add": "Add",
    "multiply": "Multiply",
    "concat": "Concatenate",
    "scale_channels": "Scale channels",
    "first_channels": "First channels",
}
_INPUT = -1


@dataclass(frozen=True, slots=True)
class Part:
    """Layers that are drawn as one box; ``inputs`` are places of parts, -1 the net's input."""

    label: str
    names: tuple[str, ...]
    inputs: tuple[int, ...]
    shape: Shape
    params: int
    macs: int
    minor: bool


@dataclass(frozen=True, slots=True)
class Block:
    """Parts between two narrow places of the graph; ``inputs`` count from the block's first part.

    The last part is the narrow place at which the block ends, and -1 the one before the block.
    """

    parts: tuple[Part, ...]

    def signature(self) -> tuple[object, ...]:
        """What two blocks that are drawn the same have in common."""
        return tuple((p.label, p.inputs, p.shape, p.params, p.macs) for p in self.parts)


@dataclass(frozen=True, slots=True)
class Repeat:
    """Consecutive blocks, ``times`` times in a row."""

    blocks: tuple[Block, ...]
    times: int


def label(layer: Layer, inputs: Sequence[Shape]) -> str:
    """What a layer is called in the drawing, such as ``Conv 3×3, 32, stride 2``."""
    args = layer.args
    text = _MINOR.get(layer.op) or _MAJOR.get(layer.op) or layer.op.replace("_", " ")
    if layer.op == "conv2d":
        groups, channels = int(args.get("groups", 1)), inputs[0][0]
        kind = "" if groups == 1 else "Depthwise " if groups == channels else "Grouped "
        text = f"{kind}conv".capitalize()
    if "kernel" in args:
        text += f" {args['kernel']}×{args['kernel']}"
    if "out" in args:
        text += f", {args['out']}" if layer.op == "conv2d" else f" {args['out']}"
    if layer.op == "feature_linear":
        text += f" {args['size']}"
    if layer.op == "times":
        text += f" {float(args['factor']):.3g}"
    if layer.op == "dropout":
        text += f" {float(args.get('p', 0.5)):.2g}"
    return text + (f", stride {args['stride']}" if args.get("stride", 1) != 1 else "")


def parts(net: Net) -> list[Part]:
    """The boxes of a network, in order of execution; dead layers stay, as they are in the file."""
    walk = net.walk()
    readers = Counter(source for layer, *_ in walk for source in layer.inputs)
    made: list[Part] = []
    home: dict[str, int] = {"x": _INPUT}
    for layer, op, inputs, shape in walk:
        minor = layer.op in _MINOR
        new = Part(
            label=label(layer, inputs),
            names=(layer.name,),
            inputs=tuple(home[source] for source in layer.inputs),
            shape=shape,
            params=op.params(layer.args, inputs),
            macs=op.macs(layer.args, inputs),
            minor=minor,
        )
        at = home[layer.inputs[0]] if len(layer.inputs) == 1 else _INPUT
        alone = readers[layer.inputs[0]] == 1 and at != _INPUT
        # A leading activation (ReLU before its convolution) waits for the operation it prepares.
        if alone and (minor or made[at].minor):
            made[at] = _joined(made[at], new)
            home[layer.name] = at
        else:
            home[layer.name] = len(made)
            made.append(new)
    return made


def _joined(first: Part, second: Part) -> Part:
    return Part(
        label=f"{first.label} · {second.label}",
        names=first.names + second.names,
        inputs=first.inputs,
        shape=second.shape,
        params=first.params + second.params,
        macs=first.macs + second.macs,
        minor=first.minor and second.minor,
    )


def blocks(made: Sequence[Part]) -> list[Block]:
    """Cut the parts where every path goes through one part."""
    reach: dict[int, int] = {}
    for place, part in enumerate(made):
        for source in part.inputs:
            reach[source] = max(reach.get(source, place), place)
    cut_at: list[int] = []
    furthest = reach.get(_INPUT, 0)
    for place in range(len(made)):
        if furthest <= place:
            cut_at.append(place)
        # An unread part reaches the end: nothing behind it is a narrow place but the last part.
        furthest = max(furthest, reach.get(place, len(made) - 1))
    result, start = [], 0
    for end in cut_at:
        moved = tuple(_moved(made[i], start) for i in range(start, end + 1))
        result.append(Block(moved))
        start = end + 1
    return result


def _moved(part: Part, start: int) -> Part:
    inputs = tuple(source - start for source in part.inputs)
    return Part(part.label, part.names, inputs, part.shape, part.params, part.macs, part.minor)


def collapse(chain: Sequence[Block], longest: int = 12) -> list[Repeat]:
    """Fold equal consecutive runs of blocks, the fold that saves most first at each place."""
    signatures = [block.signature() for block in chain]
    result: list[Repeat] = []
    at = 0
    while at < len(chain):
        best, times = 1, 1
        for period in range(1, min(longest, (len(chain) - at) // 2) + 1):
            count = 1
            pattern = signatures[at : at + period]
            while signatures[at + count * period : at + (count + 1) * period] == pattern:
                count += 1
            if period * (count - 1) > best * (times - 1):
                best, times = period, count
        result.append(Repeat(tuple(chain[at : at + best]), times))
        at += best * times
    return result


def totals(made: Sequence[Part]) -> Mapping[str, int]:
    """The sums of parameters and multiply-accumulates."""
    return {"params": sum(p.params for p in made), "macs": sum(p.macs for p in made)}
