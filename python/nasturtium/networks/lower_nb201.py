"""NAS-Bench-201 cells to networks, as Dong and Yang 2020 build them."""

from collections.abc import Sequence

from nasturtium.networks.cell import cell
from nasturtium.networks.ir import Net, NetBuilder
from nasturtium.spaces import Architecture

__all__ = ["lower"]

CHANNELS = 16
CELLS = 5
_STAGES = 3
_LEAST_SIZE = 2


def lower(
    arch: Architecture,
    input_shape: Sequence[int],
    outputs: int,
    *,
    channels: int = CHANNELS,
    cells: int = CELLS,
) -> Net:
    """The network of a cell: stem, three stages of `cells` cells, residual reductions between.

    `channels` and `cells` scale it; 16 and 5 are the published network, whose 32 x 32 images this
    equals parameter by parameter. Resolution is not halved below two pixels.
    """
    edges = {
        (source, target): str(arch.values[f"edge_{target}_{source}"])
        for target in range(1, 4)
        for source in range(target)
    }
    build = NetBuilder(str(arch), input_shape)
    build.add("stem_conv", "conv2d", out=channels, kernel=3)
    h = build.add("stem_norm", "batch_norm2d")
    for stage in range(1, _STAGES + 1):
        if stage > 1:
            h = _reduction(build, h, f"stage{stage}_down", channels * 2 ** (stage - 1))
        for number in range(1, cells + 1):
            name = f"stage{stage}_cell{number}"
            h = cell(build, h, name, edges, nodes=4, activation="relu")
    build.add("head_norm", "batch_norm2d", h)
    build.add("head_act", "relu")
    build.add("head_pool", "global_avg_pool")
    build.add("head", "linear", out=outputs)
    return build.build()


def _reduction(build: NetBuilder, h: str, name: str, out: int) -> str:
    """A residual block of two 3x3 convolutions; its shortcut pools, then projects."""
    height, width = build.shape(h)[1:]
    stride = 2 if min(height, width) >= 2 * _LEAST_SIZE else 1
    build.add(f"{name}_act1", "relu", h)
    build.add(f"{name}_conv1", "conv2d", out=out, kernel=3, stride=stride)
    build.add(f"{name}_norm1", "batch_norm2d")
    build.add(f"{name}_act2", "relu")
    build.add(f"{name}_conv2", "conv2d", out=out, kernel=3)
    branch = build.add(f"{name}_norm2", "batch_norm2d")
    if stride == 2:
        # An odd side is padded, so that the pooled size is that of the strided convolution.
        odd = max(height % 2, width % 2)
        h = build.add(f"{name}_pool", "avg_pool2d", h, kernel=2 + odd, stride=2, padding=odd)
    shortcut = build.add(f"{name}_shortcut", "conv2d", h, out=out, kernel=1)
    return build.add(f"{name}_add", "add", (branch, shortcut))
