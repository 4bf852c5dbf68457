"""Layers as data: shapes, cost and source templates against torch itself."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nasturtium.errors import SpaceError
from nasturtium.networks import OPS, Layer, Net, NetBuilder, cost, module


def counted(net: Net) -> tuple[int, int]:
    """Parameters and multiply-accumulates, counted by hooks while the module runs."""
    built = module(net).eval()
    macs = 0

    def hook(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal macs
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            per_value = layer.weight[0].numel()
            macs += output.numel() * per_value
        elif isinstance(layer, nn.Linear):
            macs += output.numel() * layer.in_features

    for child in built.modules():
        child.register_forward_hook(hook)
    output = built(torch.zeros(1, *net.input_shape))
    assert tuple(output.shape[1:]) == net.output_shape
    return sum(p.numel() for p in built.parameters()), macs


IMAGE_OPS: list[tuple[str, dict[str, int | float | bool]]] = [
    ("conv2d", {"out": 6, "kernel": 3}),
    ("conv2d", {"out": 4, "kernel": 5, "stride": 2, "bias": True}),
    ("conv2d", {"out": 6, "kernel": 3, "groups": 2, "padding": 0}),
    ("batch_norm2d", {}),
    ("max_pool2d", {"kernel": 3, "stride": 2}),
    ("max_pool2d", {"kernel": 2, "stride": 2, "padding": 0}),
    ("avg_pool2d", {"kernel": 3}),
    ("global_avg_pool", {}),
    ("global_max_pool", {}),
    ("flatten", {}),
    ("dropout", {"p": 0.3}),
    ("relu", {}),
    ("gelu", {}),
    ("silu", {}),
    ("hardswish", {}),
    ("tanh", {}),
    ("sigmoid", {}),
    ("sin", {}),
    ("cos", {}),
    ("identity", {}),
    ("zero", {}),
    ("times", {"factor": 2.5}),
    ("first_channels", {"out": 3}),
]
ROW_OPS: list[tuple[str, dict[str, int | float | bool]]] = [
    ("linear", {"out": 3}),
    ("linear", {"out": 3, "bias": False}),
    ("feature_linear", {"size": 3}),
    ("batch_norm1d", {}),
    ("layer_norm", {}),
]
CASES = [((4, 7, 5), op, args) for op, args in IMAGE_OPS] + [((5,), op, a) for op, a in ROW_OPS]


@pytest.mark.parametrize(("shape", "op", "args"), CASES)
def test_every_operation_has_the_shape_the_cost_and_the_source_of_its_module(shape, op, args):
    net = Net("one", shape, (Layer("first", op, ("x",), args),))
    params, macs = counted(net)
    assert (cost(net).params, cost(net).macs) == (params, macs)
    built = module(net).eval()
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    call = OPS[op].module(args, (shape,))
    scope = {"torch": torch, "F": F, "a": x}
    if call is not None:
        name, positional, keywords = call
        scope["m"] = getattr(nn, name)(*positional, **keywords).eval()
        scope["m"].load_state_dict(built.first.state_dict())
    expected = eval(OPS[op].forward(args).format("a", m="m"), scope)  # noqa: S307
    torch.testing.assert_close(built(x), expected, rtol=0, atol=0)


def test_operations_with_several_inputs():
    build = NetBuilder("joined", (3, 6, 6))
    a = build.add("a", "conv2d", "x", out=3, kernel=1)
    build.add("summed", "add", (a, "x", a))
    build.add("product", "multiply", ("summed", "x"))
    build.add("joint", "concat", ("product", "x", a))
    build.add("factors", "global_avg_pool")
    build.add("scaled", "scale_channels", ("joint", "factors"))
    net = build.build()
    built = module(net).eval()
    x = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    conv = F.conv2d(x, built.a.weight)
    joint = torch.cat([(2 * conv + x) * x, x, conv], dim=1)
    expected = joint * joint.mean((2, 3), keepdim=True)
    torch.testing.assert_close(built(x), expected)
    texts = {
        layer.name: OPS[layer.op].forward(layer.args, len(layer.inputs)) for layer in net.layers
    }
    assert texts["summed"] == "{0} + {1} + {2}"
    assert texts["joint"] == "torch.cat([{0}, {1}, {2}], dim=1)"


def test_every_operation_of_the_table_is_tested_here():
    joined = {"add", "multiply", "concat", "scale_channels"}
    assert {op for _, op, _ in CASES} | joined == set(OPS)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ((), "no layer"),
        ((Layer("a", "conv3"),), "conv2d"),
        ((Layer("a", "relu", ("b",)),), "'b'"),
        ((Layer("a", "relu"), Layer("a", "relu")), "taken"),
        ((Layer("x", "relu"),), "taken"),
        ((Layer("self", "relu"),), "taken"),
        ((Layer("a b", "relu"),), "cannot name"),
        ((Layer("class", "relu"),), "cannot name"),
        ((Layer("a", "linear", ("x",), {"out": 2}),), "features"),
        ((Layer("a", "conv2d", ("x",), {"out": 3, "kernel": 3, "groups": 2}),), "groups"),
        ((Layer("a", "conv2d", ("x",), {"out": 3, "kernel": 9, "padding": 0}),), "does not fit"),
        ((Layer("a", "conv2d", ("x",), {"kernel": 3}),), "'out'"),
        ((Layer("a", "global_avg_pool"), Layer("b", "add", ("a", "x"))), "differ"),
        ((Layer("a", "first_channels", ("x",), {"out": 4}),), "first 4 of 3 channels"),
    ],
)
def test_a_wrong_net_is_refused_in_one_line(layers, words):
    with pytest.raises(SpaceError, match=words) as error:
        Net("wrong", (3, 4, 4), layers)
    assert "\n" not in str(error.value)


def test_weights_are_a_function_of_the_seed_and_leave_the_global_generator_alone():
    net = Net("one", (3, 4, 4), (Layer("a", "conv2d", ("x",), {"out": 2, "kernel": 3}),))
    before = torch.random.get_rng_state()
    first, again, other = module(net, seed=1), module(net, seed=1), module(net, seed=2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.a.weight, again.a.weight)
    assert not torch.equal(first.a.weight, other.a.weight)


def test_values_are_dropped_once_nothing_reads_them():
    build = NetBuilder("chain", (2, 4, 4))
    for i in range(6):
        build.add(f"a{i}", "relu")
    built = module(build.build())
    assert [step.done for step in built.plan] == [("x",), *[(f"a{i}",) for i in range(5)]]
