"""Residual-MLP architectures to networks."""

from collections.abc import Sequence
from dataclasses import dataclass

from nasturtium.networks.ir import Net, NetBuilder
from nasturtium.spaces import Architecture

__all__ = ["lower"]

# The factor on periodic embeddings: their weights start in (-1, 1), so frequencies in (-pi, pi).
_FREQUENCY = 3.141592653589793
_NORMS = {"batch": "batch_norm1d", "layer": "layer_norm"}


@dataclass(frozen=True)
class _Style:
    activation: str
    norm: str
    dropout: float
    branch: int


def lower(arch: Architecture, input_shape: Sequence[int], outputs: int) -> Net:
    """The network of an architecture of the `residual_mlp` space.

    `input_shape` is `(features,)`; an image is flattened first.
    """
    values = arch.values
    width, block = int(values["width"]), str(values["block"])
    style = _Style(
        str(values["activation"]),
        str(values["normalization"]),
        float(values["dropout"]),
        max(1, round(width * float(values.get("expansion", 1.0)))),
    )
    build = NetBuilder(str(arch), input_shape)
    row = build.add("flat", "flatten") if len(input_shape) > 1 else "x"
    h = _inputs(build, row, str(values["inputs"]), int(values.get("embedding", 0)))
    if block == "plain":
        for number in range(1, int(values["depth"]) + 1):
            h = build.add(f"block{number}_linear", "linear", h, out=width)
            h = _finish(build, h, f"block{number}", style)
    else:
        h = build.add("trunk", "linear", h, out=width)
        for number in range(1, int(values["depth"]) + 1):
            make = _residual if block == "residual" else _prenorm
            h = make(build, h, f"block{number}", style)
        if block == "prenorm":
            h = _norm(build, h, "head_norm", style)
            h = build.add("head_act", style.activation, h)
    h = build.add("head", "linear", h, out=outputs)
    if values["wide"]:
        build.add("wide", "linear", row, out=outputs, bias=False)
        build.add("output", "add", (h, "wide"))
    return build.build()


def _inputs(build: NetBuilder, row: str, kind: str, size: int) -> str:
    if kind == "gated":
        build.add("gate_linear", "linear", row, out=build.shape(row)[0])
        build.add("gate", "sigmoid")
        return build.add("gated", "multiply", (row, "gate"))
    if kind == "relu":
        build.add("embed", "feature_linear", row, size=size)
        return build.add("embed_act", "relu")
    if kind == "periodic":
        build.add("embed", "feature_linear", row, size=size)
        phase = build.add("embed_phase", "times", factor=_FREQUENCY)
        build.add("embed_sin", "sin", phase)
        build.add("embed_cos", "cos", phase)
        return build.add("embedded", "concat", (row, "embed_sin", "embed_cos"))
    return row


def _norm(build: NetBuilder, h: str, name: str, style: _Style) -> str:
    return h if style.norm == "none" else build.add(name, _NORMS[style.norm], h)


def _finish(build: NetBuilder, h: str, name: str, style: _Style) -> str:
    h = _norm(build, h, f"{name}_norm", style)
    h = build.add(f"{name}_act", style.activation, h)
    return build.add(f"{name}_drop", "dropout", h, p=style.dropout) if style.dropout else h


def _residual(build: NetBuilder, h: str, name: str, style: _Style) -> str:
    branch = build.add(f"{name}_linear1", "linear", h, out=style.branch)
    branch = _finish(build, branch, name, style)
    branch = build.add(f"{name}_linear2", "linear", branch, out=build.shape(h)[0])
    h = build.add(f"{name}_add", "add", (h, branch))
    h = _norm(build, h, f"{name}_norm2", style)
    return build.add(f"{name}_act2", style.activation, h)


def _prenorm(build: NetBuilder, h: str, name: str, style: _Style) -> str:
    branch = _norm(build, h, f"{name}_norm", style)
    branch = build.add(f"{name}_linear1", "linear", branch, out=style.branch)
    branch = build.add(f"{name}_act", style.activation, branch)
    if style.dropout:
        branch = build.add(f"{name}_drop", "dropout", branch, p=style.dropout)
    branch = build.add(f"{name}_linear2", "linear", branch, out=build.shape(h)[0])
    return build.add(f"{name}_add", "add", (h, branch))
