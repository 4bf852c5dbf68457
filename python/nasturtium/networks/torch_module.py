"""`Net` to `torch.nn.Module`."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasturtium.networks.ir import INPUT, Layer, Net
from nasturtium.networks.ops import ModuleCall

__all__ = ["NetModule", "build"]

_CLASSES: dict[str, type[nn.Module]] = {
    "AvgPool2d": nn.AvgPool2d,
    "BatchNorm1d": nn.BatchNorm1d,
    "BatchNorm2d": nn.BatchNorm2d,
    "Conv1d": nn.Conv1d,
    "Conv2d": nn.Conv2d,
    "Dropout": nn.Dropout,
    "LayerNorm": nn.LayerNorm,
    "Linear": nn.Linear,
    "MaxPool2d": nn.MaxPool2d,
}


def _sum(*tensors: Tensor) -> Tensor:
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total


def _product(*tensors: Tensor) -> Tensor:
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total * tensor
    return total


# The same expressions as the templates in `ops.OPS`; a test holds the two together.
_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "add": _sum,
    "concat": lambda *tensors: torch.cat(tensors, dim=1),
    "cos": torch.cos,
    "flatten": lambda x: x.flatten(1),
    "gelu": F.gelu,
    "global_avg_pool": lambda x: x.mean(dim=(2, 3)),
    "global_max_pool": lambda x: x.amax(dim=(2, 3)),
    "hardswish": F.hardswish,
    "identity": lambda x: x,
    "multiply": _product,
    "relu": F.relu,
    "scale_channels": lambda x, factors: x * factors[:, :, None, None],
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "sin": torch.sin,
    "tanh": torch.tanh,
    "zero": torch.zeros_like,
}


_MODULE_CALLS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "feature_linear": lambda layer, x: layer(x[:, :, None])[:, :, 0],
}


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    inputs: tuple[str, ...]
    done: tuple[str, ...]  # values that no later layer reads
    function: Callable[..., Tensor] | None  # None: call the child module
    has_module: bool


class NetModule(nn.Module):
    """Runs the layers of a net in order; child modules carry the layers' names.

    Input: float32 `[batch, *net.input_shape]`; output: `[batch, *net.output_shape]`.
    """

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net
        last_use = {name: i for i, layer in enumerate(net.layers) for name in layer.inputs}
        self.plan: list[_Step] = []
        for i, (layer, op, shapes, _) in enumerate(net.walk()):
            call = op.module(layer.args, shapes)
            if call is not None:
                self.add_module(layer.name, _make(call))
            done = tuple(n for n in dict.fromkeys(layer.inputs) if last_use[n] == i)
            self.plan.append(_Step(layer.name, layer.inputs, done, _function(layer), bool(call)))

    def forward(self, x: Tensor) -> Tensor:
        values = {INPUT: x}
        name = INPUT
        for step in self.plan:
            name = step.name
            inputs = [values[source] for source in step.inputs]
            child = self._modules[name] if step.has_module else None
            for source in step.done:
                del values[source]
            if step.function is None:
                assert child is not None
                values[name] = child(*inputs)
            elif child is not None:
                values[name] = step.function(child, *inputs)
            else:
                values[name] = step.function(*inputs)
        return values[name]


def _make(call: ModuleCall) -> nn.Module:
    name, args, keywords = call
    return _CLASSES[name](*args, **keywords)


def _function(layer: Layer) -> Callable[..., Tensor] | None:
    if layer.op == "times":
        factor = float(layer.args["factor"])
        return lambda x: x * factor
    if layer.op == "first_channels":
        kept = int(layer.args["out"])
        return lambda x: x[:, :kept]
    return _MODULE_CALLS.get(layer.op, _FUNCTIONS.get(layer.op))


def build(net: Net, *, seed: int = 0) -> NetModule:
    """The trainable module of `net`; its initial weights are a function of `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = NetModule(net)
        for child in built.children():
            if isinstance(child, nn.Conv2d):
                # He et al. 2015, for the rectifiers that follow almost every convolution.
                nn.init.kaiming_normal_(child.weight, mode="fan_out", nonlinearity="relu")
    return built
