"""Image cell architectures to networks."""

from collections.abc import Mapping, Sequence
from typing import Any

from nasturtium.networks.cell import cell
from nasturtium.networks.ir import Net, NetBuilder
from nasturtium.spaces import Architecture
from nasturtium.spaces.image_cell import NODES, PAIRS, edge_name

__all__ = ["LEAST_SIZE", "lower", "lower_values"]

LEAST_SIZE = 3  # pixels: resolution is not halved below
_LARGE = 40  # pixels: larger images are halved once more, before the first stage


def lower(arch: Architecture, input_shape: Sequence[int], outputs: int) -> Net:
    """The network of an architecture of the `image_cell` space; `input_shape` is `(C, H, W)`."""
    return lower_values(str(arch), arch.values, input_shape, outputs)


def lower_values(
    name: str, values: Mapping[str, Any], input_shape: Sequence[int], outputs: int
) -> Net:
    """The same from the decisions' values alone."""
    build = NetBuilder(name, input_shape)
    activation, width = str(values["activation"]), int(values["width"])
    edges = {pair: str(values[edge_name(*pair)]) for pair in PAIRS}
    h = _stem(build, width, int(values["stem_stride"]))
    for stage in range(1, int(values["stages"]) + 1):
        if stage > 1:
            out = 2 * round(width * float(values["growth"]) ** (stage - 1) / 2)
            h = _reduce(build, h, f"stage{stage}_down", out, str(values["reduction"]), activation)
        for number in range(1, int(values[f"depth_{stage}"]) + 1):
            cell_name = f"stage{stage}_cell{number}"
            h = cell(build, h, cell_name, edges, nodes=NODES, activation=activation)
            if values["attention"] == "se":
                h = _squeeze(build, h, f"{cell_name}_se")
    build.add("head_norm", "batch_norm2d", h)
    build.add("head_act", activation)
    build.add("head_pool", "global_max_pool" if values["head"] == "max" else "global_avg_pool")
    build.add("head", "linear", out=outputs)
    return build.build()


def _stride(build: NetBuilder, h: str, wanted: int = 2) -> int:
    size = min(build.shape(h)[1:])
    return wanted if -(-size // wanted) >= LEAST_SIZE else 1


def _stem(build: NetBuilder, width: int, stride: int) -> str:
    large = min(build.input_shape[1:]) > _LARGE
    first = 2 if large else _stride(build, "x", stride)
    build.add("stem_conv", "conv2d", out=width, kernel=3, stride=first)
    h = build.add("stem_norm", "batch_norm2d")
    if large and stride == 2:
        h = _halve(build, h, "stem_pool", "max_pool2d")
    return h


def _halve(build: NetBuilder, h: str, name: str, op: str) -> str:
    """Pooling by two; an odd side is padded, as a strided convolution pads it."""
    odd = int(any(size % 2 for size in build.shape(h)[1:]))
    return build.add(name, op, h, kernel=2 + odd, stride=2, padding=odd)


def _reduce(build: NetBuilder, h: str, name: str, out: int, kind: str, activation: str) -> str:
    stride = _stride(build, h)
    build.add(f"{name}_act", activation, h)
    if kind == "conv":
        build.add(f"{name}_conv", "conv2d", out=out, kernel=3, stride=stride)
        return build.add(f"{name}_norm", "batch_norm2d")
    if kind == "avg_pool":
        if stride == 2:
            _halve(build, f"{name}_act", f"{name}_pool", "avg_pool2d")
        build.add(f"{name}_conv", "conv2d", out=out, kernel=1)
        return build.add(f"{name}_norm", "batch_norm2d")
    if kind == "sep_max_pool":
        channels = build.shape(h)[0]
        build.add(f"{name}_depthwise", "conv2d", out=channels, kernel=3, groups=channels)
        build.add(f"{name}_conv", "conv2d", out=out, kernel=1)
    else:
        build.add(f"{name}_conv", "conv2d", out=out, kernel=3)
    last = build.add(f"{name}_norm", "batch_norm2d")
    if stride == 2:
        last = _halve(build, last, f"{name}_pool", "max_pool2d")
    return last


def _squeeze(build: NetBuilder, h: str, name: str) -> str:
    channels = build.shape(h)[0]
    build.add(f"{name}_pool", "global_avg_pool", h)
    build.add(f"{name}_squeeze", "linear", out=max(4, channels // 4))
    build.add(f"{name}_act", "relu")
    build.add(f"{name}_excite", "linear", out=channels)
    build.add(f"{name}_gate", "sigmoid")
    return build.add(f"{name}_scale", "scale_channels", (h, f"{name}_gate"))
