"""The table of operations that a `Net` is made of, without torch.

Every operation is one `torch.nn` module or one expression over `torch` and
`torch.nn.functional as F`, so that a network can be written out as plain source.

Multiply-accumulates are those of convolutions and matrix products; additions, normalizations,
activations and pooling count as none (the usual convention).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from nasturtium.errors import SpaceError

__all__ = ["OPS", "ModuleCall", "Op", "Shape"]

Shape: TypeAlias = tuple[int, ...]
Value: TypeAlias = int | float | str | bool
_Args: TypeAlias = Mapping[str, Value]
# (class in torch.nn, positional arguments, keyword arguments)
ModuleCall: TypeAlias = tuple[str, tuple[Value, ...], dict[str, Value]]


def _none(args: _Args, shapes: tuple[Shape, ...]) -> None:
    return None


def _zero(args: _Args, shapes: tuple[Shape, ...]) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Op:
    """What an operation does, from its arguments and the shapes of its inputs.

    `shape(args, shapes)` output shape; `params(args, shapes)` trainable numbers;
    `macs(args, shapes)` multiply-accumulates for one sample; `module(args, shapes)`
    `(class in torch.nn, args, kwargs)` or None; `forward(args, inputs=n)` the expression:
    `{0}`, `{1}`, ... stand for the inputs and `{m}` for the module.
    """

    shape: Callable[[_Args, tuple[Shape, ...]], Shape]
    template: Callable[[_Args, int], str]
    params: Callable[[_Args, tuple[Shape, ...]], int] = _zero
    macs: Callable[[_Args, tuple[Shape, ...]], int] = _zero
    module: Callable[[_Args, tuple[Shape, ...]], ModuleCall | None] = _none

    def forward(self, args: _Args, inputs: int = 1) -> str:
        return self.template(args, inputs)


def _int(args: _Args, name: str, default: int | None = None) -> int:
    value = args.get(name, default)
    if value is None:
        raise SpaceError(f"the operation needs the argument {name!r}")
    return int(value)


def _same(args: _Args, shapes: tuple[Shape, ...]) -> Shape:
    return shapes[0]


def _image(shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise SpaceError(f"the operation needs (channels, height, width), not {shape}")
    return shape[0], shape[1], shape[2]


def _row(shape: Shape) -> int:
    if len(shape) != 1:
        raise SpaceError(f"the operation needs (features,), not {shape}")
    return shape[0]


def _window(args: _Args, shape: Shape) -> tuple[int, int]:
    _, height, width = _image(shape)
    kernel = _int(args, "kernel")
    stride, padding = _int(args, "stride", 1), _int(args, "padding", kernel // 2)
    rows, columns = ((n + 2 * padding - kernel) // stride + 1 for n in (height, width))
    if min(rows, columns) < 1:
        raise SpaceError(f"a window of {kernel} does not fit into {height} x {width} pixels")
    return rows, columns


def _conv_shape(args: _Args, shapes: tuple[Shape, ...]) -> Shape:
    channels, groups, out = shapes[0][0], _int(args, "groups", 1), _int(args, "out")
    if channels % groups or out % groups:
        raise SpaceError(f"{groups} groups do not divide {channels} and {out} channels")
    return out, *_window(args, shapes[0])


def _conv_weights(args: _Args, shapes: tuple[Shape, ...]) -> int:
    per_output = shapes[0][0] // _int(args, "groups", 1) * _int(args, "kernel") ** 2
    return _int(args, "out") * per_output


def _conv_params(args: _Args, shapes: tuple[Shape, ...]) -> int:
    return _conv_weights(args, shapes) + (_int(args, "out") if args.get("bias", False) else 0)


def _conv_macs(args: _Args, shapes: tuple[Shape, ...]) -> int:
    height, width = _window(args, shapes[0])
    return _conv_weights(args, shapes) * height * width


def _conv_module(args: _Args, shapes: tuple[Shape, ...]) -> ModuleCall:
    kernel = _int(args, "kernel")
    keywords: dict[str, Value] = {
        "stride": _int(args, "stride", 1),
        "padding": _int(args, "padding", kernel // 2),
        "groups": _int(args, "groups", 1),
        "bias": bool(args.get("bias", False)),
    }
    defaults = {"stride": 1, "padding": 0, "groups": 1, "bias": True}
    kept = {name: value for name, value in keywords.items() if value != defaults[name]}
    return "Conv2d", (shapes[0][0], _int(args, "out"), kernel), kept


def _pool_module(kind: str) -> Callable[[_Args, tuple[Shape, ...]], ModuleCall]:
    def call(args: _Args, shapes: tuple[Shape, ...]) -> ModuleCall:
        kernel = _int(args, "kernel")
        keywords: dict[str, Value] = {
            "stride": _int(args, "stride", 1),
            "padding": _int(args, "padding", kernel // 2),
        }
        if kind == "AvgPool2d":
            keywords["count_include_pad"] = False
        return kind, (kernel,), keywords

    return call


def _pool_shape(args: _Args, shapes: tuple[Shape, ...]) -> Shape:
    return shapes[0][0], *_window(args, shapes[0])


def _norm(kind: str) -> Op:
    def module(args: _Args, shapes: tuple[Shape, ...]) -> ModuleCall:
        return kind, (shapes[0][0],), {}

    return Op(
        shape=_same,
        template=_by_module,
        params=lambda args, shapes: 2 * shapes[0][0],
        module=module,
    )


def _by_module(args: _Args, inputs: int) -> str:
    return "{m}({0})"


def _text(template: str) -> Callable[[_Args, int], str]:
    return lambda args, inputs: template


def _pointwise(template: str) -> Op:
    return Op(shape=_same, template=_text(template))


def _linear_shape(args: _Args, shapes: tuple[Shape, ...]) -> Shape:
    _row(shapes[0])
    return (_int(args, "out"),)


def _linear_params(args: _Args, shapes: tuple[Shape, ...]) -> int:
    bias = _int(args, "out") if args.get("bias", True) else 0
    return _row(shapes[0]) * _int(args, "out") + bias


def _linear_module(args: _Args, shapes: tuple[Shape, ...]) -> ModuleCall:
    kept: dict[str, Value] = {} if args.get("bias", True) else {"bias": False}
    return "Linear", (_row(shapes[0]), _int(args, "out")), kept


def _linear_macs(args: _Args, shapes: tuple[Shape, ...]) -> int:
    return _row(shapes[0]) * _int(args, "out")


def _equal_shapes(args: _Args, shapes: tuple[Shape, ...]) -> Shape:
    if any(shape != shapes[0] for shape in shapes):
        raise SpaceError(f"the shapes differ: {shapes}")
    return shapes[0]


def _concat_shape(args: _Args, shapes: tuple[Shape, ...]) -> Shape:
    if any(shape[1:] != shapes[0][1:] for shape in shapes):
        raise SpaceError(f"the shapes differ beyond the channels: {shapes}")
    return sum(shape[0] for shape in shapes), *shapes[0][1:]


def _first_shape(args: _Args, shapes: tuple[Shape, ...]) -> Shape:
    out, channels = _int(args, "out"), _image(shapes[0])[0]
    if not 1 <= out <= channels:
        raise SpaceError(f"the first {out} of {channels} channels cannot be taken")
    return out, *shapes[0][1:]


def _scale_shape(args: _Args, shapes: tuple[Shape, ...]) -> Shape:
    if _image(shapes[0])[0] != _row(shapes[1]):
        raise SpaceError(f"one factor per channel is needed, not {shapes[1]} for {shapes[0]}")
    return shapes[0]


def _join(separator: str) -> Callable[[_Args, int], str]:
    return lambda args, inputs: separator.join(f"{{{i}}}" for i in range(inputs))


def _concat_text(args: _Args, inputs: int) -> str:
    listed = ", ".join(f"{{{i}}}" for i in range(inputs))
    return f"torch.cat([{listed}], dim=1)"


def _embedding_module(args: _Args, shapes: tuple[Shape, ...]) -> ModuleCall:
    features = _row(shapes[0])
    return "Conv1d", (features, features * _int(args, "size"), 1), {"groups": features}


OPS: Mapping[str, Op] = {
    "conv2d": Op(_conv_shape, _by_module, _conv_params, _conv_macs, _conv_module),
    "batch_norm2d": _norm("BatchNorm2d"),
    "batch_norm1d": _norm("BatchNorm1d"),
    "layer_norm": _norm("LayerNorm"),
    "linear": Op(
        _linear_shape,
        _by_module,
        _linear_params,
        _linear_macs,
        _linear_module,
    ),
    # Each feature has its own weights: (features,) -> (features * size,), grouped by feature.
    "feature_linear": Op(
        lambda args, shapes: (_row(shapes[0]) * _int(args, "size"),),
        _text("{m}({0}[:, :, None])[:, :, 0]"),
        lambda args, shapes: 2 * _row(shapes[0]) * _int(args, "size"),
        lambda args, shapes: _row(shapes[0]) * _int(args, "size"),
        _embedding_module,
    ),
    "max_pool2d": Op(_pool_shape, _by_module, module=_pool_module("MaxPool2d")),
    "avg_pool2d": Op(_pool_shape, _by_module, module=_pool_module("AvgPool2d")),
    "global_avg_pool": Op(
        lambda args, shapes: (_image(shapes[0])[0],), _text("{0}.mean(dim=(2, 3))")
    ),
    "global_max_pool": Op(
        lambda args, shapes: (_image(shapes[0])[0],), _text("{0}.amax(dim=(2, 3))")
    ),
    "flatten": Op(lambda args, shapes: (math.prod(shapes[0]),), _text("{0}.flatten(1)")),
    "dropout": Op(
        _same,
        _by_module,
        module=lambda args, shapes: ("Dropout", (float(args.get("p", 0.5)),), {}),
    ),
    "relu": _pointwise("F.relu({0})"),
    "gelu": _pointwise("F.gelu({0})"),
    "silu": _pointwise("F.silu({0})"),
    "hardswish": _pointwise("F.hardswish({0})"),
    "tanh": _pointwise("torch.tanh({0})"),
    "sigmoid": _pointwise("torch.sigmoid({0})"),
    "sin": _pointwise("torch.sin({0})"),
    "cos": _pointwise("torch.cos({0})"),
    "identity": _pointwise("{0}"),
    "zero": _pointwise("torch.zeros_like({0})"),
    "times": Op(_same, lambda args, inputs: f"{{0}} * {float(args['factor'])!r}"),
    "add": Op(_equal_shapes, _join(" + ")),
    "multiply": Op(_equal_shapes, _join(" * ")),
    "concat": Op(_concat_shape, _concat_text),
    "first_channels": Op(_first_shape, lambda args, inputs: f"{{0}}[:, :{_int(args, 'out')}]"),
    # One factor per channel, as squeeze-and-excitation multiplies them.
    "scale_channels": Op(_scale_shape, _text("{0} * {1}[:, :, None, None]")),
}
