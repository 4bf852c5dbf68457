"""The hand-designed networks: their sizes, and what they do on other shapes."""

import pytest
import torch

from nasturtium.networks import baselines, cost, module


def test_sizes_follow_the_formulas():
    # Digits: stem 11w, one block 18w^2 + 4w, a doubling block 56w^2 + 12w, a block 72w^2 + 8w.
    w = 16
    expected = 11 * w + (18 + 56 + 72) * w**2 + (4 + 12 + 8) * w + 20 * w + 10
    assert cost(baselines.residual_net((1, 8, 8), 10)).params == expected == 38_266
    # CIFAR: ResNet-14 with projections.
    stages = 29 * w + 4 * 9 * w**2 + 8 * w
    stages += (18 + 36 + 2 + 72) * w**2 + 20 * w + (72 + 144 + 8 + 288) * w**2 + 40 * w
    assert cost(baselines.residual_net((3, 32, 32), 10)).params == stages + 40 * w + 10


@pytest.mark.parametrize("params", [500, 3_000, 9_690, 11_230, 37_802, 120_000, 900_000])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32)])
def test_residual_net_has_at_least_the_parameters_asked_for_and_few_more(shape, params):
    found = cost(baselines.residual_net(shape, 10, params)).params
    least = cost(baselines.residual_net(shape, 10, 1)).params
    assert params <= found
    assert found <= max(least, params * 1.5 if params < 5_000 else params * 1.15)


def test_plain_mlp_is_the_smallest_with_enough_parameters():
    # w units: (f + 1) w + (w + 1) w + 4 w + (w + 1) o.
    assert cost(baselines.plain_mlp((9,), 3)).params == 10 * 128 + 129 * 128 + 4 * 128 + 129 * 3
    found = cost(baselines.plain_mlp((9,), 3, 5_000)).params

    def size(w: int) -> int:
        return 10 * w + (w + 1) * w + 4 * w + 3 * (w + 1)

    assert found == min(s for s in map(size, range(1, 200)) if s >= 5_000)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 8, 8), (3, 5, 17), (3, 64, 64), (1, 28, 28)])
def test_they_run_on_any_image(shape):
    for make in (baselines.residual_net, baselines.plain_mlp):
        assert module(make(shape, 4)).eval()(torch.zeros(2, *shape)).shape == (2, 4)
