"""Networks of the residual MLP space."""

import pytest
import torch
from torch import nn

from nasturtium.errors import SpaceError
from nasturtium.networks import Layer, Net, cost, for_space, module, register_lowering
from nasturtium.spaces import residual_mlp

SPACE = residual_mlp()
LOWER = for_space("residual_mlp")
SHAPES = [(1,), (4,), (36,), (180,), (1, 3, 5)]


@pytest.mark.parametrize("index", range(50))
def test_cost_equals_the_counted_one(index):
    arch = SPACE.architecture(SPACE.sample(50, seed=7)[index])
    shape = SHAPES[index % len(SHAPES)]
    net = LOWER(arch, shape, 3)
    built, macs = module(net).eval(), 0

    def hook(layer, inputs, output):
        nonlocal macs
        macs += layer.weight.numel()

    for child in built.modules():
        if isinstance(child, nn.Conv1d | nn.Linear):
            child.register_forward_hook(hook)
    assert built(torch.zeros(1, *shape)).shape == (1, 3)
    assert cost(net).params == sum(p.numel() for p in built.parameters())
    assert cost(net).macs == macs


def run(text: str, x: torch.Tensor) -> tuple[dict[str, nn.Module], torch.Tensor]:
    built = module(LOWER(SPACE.parse(f"residual_mlp:{text}"), tuple(x.shape[1:]), 2), seed=3).eval()
    return dict(built.named_children()), built(x)


X = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
TAIL = "activation=relu,normalization=layer,dropout=0.1,wide"


def test_a_plain_network_with_gate_and_linear_path_equals_plain_torch():
    p, found = run(f"inputs=gated,block=plain,depth=1,width=16,{TAIL}=true", X)
    h = X * torch.sigmoid(p["gate_linear"](X))
    h = p["block1_norm"](p["block1_linear"](h)).relu()
    torch.testing.assert_close(found, p["head"](h) + p["wide"](X))


def test_a_prenorm_network_with_periodic_inputs_equals_plain_torch():
    text = f"inputs=periodic,embedding=4,block=prenorm,depth=1,width=16,expansion=2.0,{TAIL}=false"
    p, found = run(text, X)
    weight, bias = p["embed"].weight.view(5, 4), p["embed"].bias.view(5, 4)
    phase = torch.pi * (X[:, :, None] * weight + bias).flatten(1)
    h = p["trunk"](torch.cat([X, phase.sin(), phase.cos()], 1))
    assert p["block1_linear1"].out_features == 32
    h = h + p["block1_linear2"](p["block1_linear1"](p["block1_norm"](h)).relu())
    torch.testing.assert_close(found, p["head"](p["head_norm"](h).relu()))


def test_a_residual_network_equals_plain_torch():
    text = f"inputs=plain,block=residual,depth=1,width=16,expansion=0.5,{TAIL}=false"
    p, found = run(text, X)
    h = p["trunk"](X)
    branch = p["block1_linear2"](p["block1_norm"](p["block1_linear1"](h)).relu())
    torch.testing.assert_close(found, p["head"](p["block1_norm2"](h + branch).relu()))


def test_a_users_space_gets_its_lowering_once():
    def lower(arch, input_shape, outputs):
        return Net("mine", tuple(input_shape), (Layer("head", "linear", ("x",), {"out": outputs}),))

    register_lowering("a_users_space", lower)
    assert for_space("a_users_space") is lower
    with pytest.raises(SpaceError, match="already"):
        register_lowering("nb201", lower)
    with pytest.raises(SpaceError, match="image_cell"):
        for_space("image_cel")
