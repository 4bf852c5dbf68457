"""Networks of the image cell space: cost, shapes, sizes and equal functions."""

import numpy as np
import pytest
import torch
from torch import nn

from nasturtium.networks import cost, for_space, module
from nasturtium.networks.lower_image_cell import LEAST_SIZE
from nasturtium.spaces import image_cell
from nasturtium.spaces.image_cell import PAIRS

SHAPES = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 64, 64), (2, 7, 13), (3, 41, 64), (1, 3, 5)]
REFERENCE = (
    "image_cell:width=8,stages=2,growth=2.0,depth_1=1,depth_2=1,stem_stride=1,reduction=conv,"
    "attention=none,activation=relu,head=mean,edge_1_0=conv_3x3,edge_2_0=none,edge_2_1=none,"
    "edge_3_0=skip,edge_3_1=conv_3x3,edge_3_2=none"
)
SPACE = image_cell()
LOWER = for_space("image_cell")


def sampled(n: int, seed: int) -> list:
    return [SPACE.architecture(code) for code in SPACE.sample(n, seed=seed)]


def counted(built: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    macs = 0

    def hook(layer, inputs, output):
        nonlocal macs
        inside = layer.weight[0].numel() if isinstance(layer, nn.Conv2d) else layer.in_features
        macs += output.numel() * inside

    for child in built.modules():
        if isinstance(child, nn.Conv2d | nn.Linear):
            child.register_forward_hook(hook)
    with torch.inference_mode():
        built(torch.zeros(1, *shape))
    return sum(p.numel() for p in built.parameters()), macs


@pytest.mark.parametrize("index", range(50))
def test_cost_equals_the_counted_one(index):
    arch, shape = sampled(50, seed=11)[index], SHAPES[index % len(SHAPES)]
    net = LOWER(arch, shape, 5)
    if cost(net).macs > 1e7:
        shape = SHAPES[0]
        net = LOWER(arch, shape, 5)
    assert net.output_shape == (5,)
    assert (cost(net).params, cost(net).macs) == counted(module(net).eval(), shape)


def test_resolution_never_falls_below_three_pixels_by_halving():
    for arch in sampled(200, seed=2):
        for shape in ((1, 8, 8), (3, 32, 32), (1, 5, 9), (3, 64, 64)):
            sizes = [s[1:] for s in LOWER(arch, shape, 3).shapes().values() if len(s) == 3]
            assert min(min(size) for size in sizes) >= min(LEAST_SIZE, *shape[1:])


def test_the_space_holds_tiny_and_large_networks():
    params = np.array([cost(LOWER(a, (3, 32, 32), 10)).params for a in sampled(1000, seed=3)])
    assert (params < 3_000).mean() > 0.1
    assert (params > 300_000).mean() > 0.05


def test_architectures_with_one_key_have_one_cost_and_one_spectrum_of_layers():
    codes = SPACE.sample(4000, seed=5)
    codes[:, : -len(PAIRS)] = SPACE.parse(REFERENCE).code[: -len(PAIRS)]
    by_key: dict[bytes, dict[bytes, np.ndarray]] = {}
    for code, key in zip(codes, SPACE.keys(codes, "function"), strict=True):
        by_key.setdefault(key.tobytes(), {})[code.tobytes()] = code
    equal = [list(found.values()) for found in by_key.values() if len(found) > 1]
    assert len(equal) > 50
    for found in equal[:150]:
        nets = [LOWER(SPACE.architecture(code), (1, 8, 8), 3) for code in found]
        weighted = {tuple(sorted(_weighted(net))) for net in nets}
        assert len({cost(net) for net in nets}) == 1, [net.name for net in nets]
        assert len(weighted) == 1


def _weighted(net):
    return [layer.op for layer, op, shapes, _ in net.walk() if op.params(layer.args, shapes)]


def test_the_residual_block_equals_plain_torch():
    built = module(LOWER(SPACE.parse(REFERENCE), (1, 8, 8), 3), seed=4).eval()
    parts = dict(built.named_children())
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def block(h, name):
        mid = parts[f"{name}_0to1_norm"](parts[f"{name}_0to1_conv"](h.relu()))
        return h + parts[f"{name}_1to3_norm"](parts[f"{name}_1to3_conv"](mid.relu()))

    h = block(parts["stem_norm"](parts["stem_conv"](x)), "stage1_cell1")
    h = parts["stage2_down_norm"](parts["stage2_down_conv"](h.relu()))
    h = block(h, "stage2_cell1")
    expected = parts["head"](parts["head_norm"](h).relu().mean((2, 3)))
    torch.testing.assert_close(built(x), expected)
