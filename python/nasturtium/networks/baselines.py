"""Hand-designed networks that a found one has to beat."""

from collections.abc import Sequence

from nasturtium.networks.cost import cost
from nasturtium.networks.ir import Net, NetBuilder

__all__ = ["plain_mlp", "residual_net"]

_WIDTH = 16
_MLP_WIDTH = 128
_MOST_SCALE = 64.0


def residual_net(input_shape: Sequence[int], outputs: int, params: int | None = None) -> Net:
    """A residual network in the style of He et al. 2016 for CIFAR, fit for the image's size.

    Stages of 16, 32, 64 channels, each halving the resolution but the first, as long as at least
    4 pixels remain; two blocks of two 3x3 convolutions a stage (one in the first of two stages),
    projections where the shape changes, and a stem that halves images above 40 pixels.
    With `params`, all widths are scaled: the smallest such network with at least that many.
    """
    if params is None:
        return _residual_net(input_shape, outputs, 1.0)
    low, high = 1 / _WIDTH, _MOST_SCALE
    for _ in range(40):
        middle = (low + high) / 2
        enough = cost(_residual_net(input_shape, outputs, middle)).params >= params
        low, high = (low, middle) if enough else (middle, high)
    return _residual_net(input_shape, outputs, high)


def _residual_net(input_shape: Sequence[int], outputs: int, scale: float) -> Net:
    build = NetBuilder("residual_net", input_shape)
    size = min(input_shape[1], input_shape[2])
    stem_stride = 2 if size > 40 else 1
    size = -(-size // stem_stride)
    stages = 1
    while stages < 3 and -(-size // 2**stages) >= 4:
        stages += 1
    widths = [max(1, round(_WIDTH * scale * 2**i)) for i in range(stages)]
    build.add("stem_conv", "conv2d", out=widths[0], kernel=3, stride=stem_stride)
    build.add("stem_norm", "batch_norm2d")
    h = build.add("stem_act", "relu")
    for i, width in enumerate(widths):
        for j in range(1 if stages == 2 and i == 0 else 2):
            stride = 2 if i > 0 and j == 0 else 1
            h = _basic_block(build, h, f"stage{i + 1}_block{j + 1}", width, stride)
    build.add("pool", "global_avg_pool", h)
    build.add("head", "linear", out=outputs)
    return build.build()


def _basic_block(build: NetBuilder, h: str, name: str, width: int, stride: int) -> str:
    build.add(f"{name}_conv1", "conv2d", h, out=width, kernel=3, stride=stride)
    build.add(f"{name}_norm1", "batch_norm2d")
    build.add(f"{name}_act1", "relu")
    build.add(f"{name}_conv2", "conv2d", out=width, kernel=3)
    branch = build.add(f"{name}_norm2", "batch_norm2d")
    if build.shape(h) != build.shape(branch):
        if stride == 2:
            # Every other pixel, as a strided 1x1 convolution reads them; see trainer._layout.
            h = build.add(f"{name}_every2", "max_pool2d", h, kernel=1, stride=2, padding=0)
        build.add(f"{name}_shortcut", "conv2d", h, out=width, kernel=1)
        h = build.add(f"{name}_shortcut_norm", "batch_norm2d")
    build.add(f"{name}_add", "add", (branch, h))
    return build.add(f"{name}_act2", "relu")


def plain_mlp(input_shape: Sequence[int], outputs: int, params: int | None = None) -> Net:
    """Two layers of 128 units: linear, batch normalization, ReLU, dropout 0.1; a linear output.

    With `params`, the width is chosen: the smallest such network with at least that many.
    """
    if params is None:
        return _plain_mlp(input_shape, outputs, _MLP_WIDTH)
    low, high = 0, 1
    while cost(_plain_mlp(input_shape, outputs, high)).params < params:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        enough = cost(_plain_mlp(input_shape, outputs, middle)).params >= params
        low, high = (low, middle) if enough else (middle, high)
    return _plain_mlp(input_shape, outputs, high)


def _plain_mlp(input_shape: Sequence[int], outputs: int, width: int) -> Net:
    build = NetBuilder("plain_mlp", input_shape)
    if len(input_shape) > 1:
        build.add("flat", "flatten")
    for i in (1, 2):
        build.add(f"layer{i}", "linear", out=width)
        build.add(f"norm{i}", "batch_norm1d")
        build.add(f"act{i}", "relu")
        build.add(f"drop{i}", "dropout", p=0.1)
    build.add("head", "linear", out=outputs)
    return build.build()
