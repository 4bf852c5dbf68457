"""Image cell architectures to networks."""

from collections.abc import Mapping, Sequence
from typing import Any

from nasturtium.networks.cell import cell
from nasturtium.networks.ir import Net, NetBuilder

__all__ = ["lower", "lower_values"]

NODES = 4
EDGES = tuple((i, j) for j in range(1, NODES) for i in range(j))
_LEAST_SIZE = 3
_LARGE = 40


def lower(arch: Any, input_shape: Sequence[int], outputs: int) -> Net:
    return lower_values(str(arch), arch.values, input_shape, outputs)


def lower_values(
    name: str, values: Mapping[str, Any], input_shape: Sequence[int], outputs: int
) -> Net:
    build = NetBuilder(name, input_shape)
    size = min(input_shape[1:])
    activation = str(values["activation"])
    edges = {(i, j): str(values[f"edge_{i}_{j}"]) for i, j in EDGES}
    width = int(values["width"])
    stem_stride = int(values["stem_stride"])
    if stem_stride == 2 and -(-size // 2) < _LEAST_SIZE:
        stem_stride = 1
    build.add("stem_conv", "conv2d", out=width, kernel=3, stride=stem_stride)
    h = build.add("stem_norm", "batch_norm2d")
    for stage in range(1, int(values["stages"]) + 1):
        if stage > 1:
            out = round(width * float(values["growth"]) ** (stage - 1) / 2) * 2
            h = _reduce(build, h, f"stage{stage}_down", out, str(values["reduction"]), activation)
        for block in range(1, int(values[f"depth_{stage}"]) + 1):
            h = cell(
                build,
                h,
                f"stage{stage}_cell{block}",
                edges,
                nodes=NODES,
                activation=activation,
            )
            if values["attention"] == "se":
                h = _squeeze(build, h, f"stage{stage}_cell{block}_se")
    build.add("head_norm", "batch_norm2d", h)
    build.add("head_act", activation)
    build.add("head_pool", "global_max_pool" if values.get("pool") == "max" else "global_avg_pool")
    build.add("head", "linear", out=outputs)
    return build.build()


def _reduce(build: NetBuilder, h: str, name: str, out: int, kind: str, activation: str) -> str:
    small = min(build.shape(h)[1:])
    stride = 2 if -(-small // 2) >= _LEAST_SIZE else 1
    build.add(f"{name}_act", activation, h)
    if kind == "conv":
        build.add(f"{name}_conv", "conv2d", out=out, kernel=3, stride=stride)
        return build.add(f"{name}_norm", "batch_norm2d")
    if kind == "avg_pool":
        if stride == 2:
            build.add(f"{name}_pool", "avg_pool2d", kernel=2, stride=2, padding=0)
        build.add(f"{name}_conv", "conv2d", out=out, kernel=1)
        return build.add(f"{name}_norm", "batch_norm2d")
    build.add(f"{name}_conv", "conv2d", out=out, kernel=3)
    last = build.add(f"{name}_norm", "batch_norm2d")
    if stride == 2:
        last = build.add(f"{name}_pool", "max_pool2d", kernel=2, stride=2, padding=0)
    return last


def _squeeze(build: NetBuilder, h: str, name: str) -> str:
    channels = build.shape(h)[0]
    build.add(f"{name}_pool", "global_avg_pool", h)
    build.add(f"{name}_squeeze", "linear", out=max(4, channels // 4))
    build.add(f"{name}_act", "relu")
    build.add(f"{name}_excite", "linear", out=channels)
    build.add(f"{name}_gate", "sigmoid")
    return build.add(f"{name}_scale", "scale_channels", (h, f"{name}_gate"))
