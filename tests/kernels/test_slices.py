"""Slices of a supernet's weights and images: read where they lie, with gradients of the whole."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nasturtium.kernels import (
    aggregated_kernel,
    depthwise_conv2d,
    dispatch,
    mixed_operation,
    path_select,
    separable_bank,
)
from nasturtium.kernels.mixed_op.spec import Edge

_cpu = pytest.importorskip("nasturtium.kernels._cpu", reason="the kernels are not compiled")

WIDE, NARROW = 12, 8
NAMES = ("dil_conv_5x5", "skip_connect", "sep_conv_3x3")
EDGE = Edge(NAMES)
LAST = torch.channels_last


def own_weights(shapes: list[tuple[int, ...]]) -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(s, generator=draw) / math.sqrt(s[1] * s[2] * s[3]) for s in shapes]


def first_channels(weight: Tensor) -> Tensor:
    """The part that a narrower network has."""
    return weight[:NARROW, : min(weight.shape[1], NARROW)]


# By operator: the weights of the widest network, and the call.
PAIR = [(WIDE, 1, 3, 3), (WIDE, WIDE, 1, 1)]
OPERATORS: dict[str, tuple[list[tuple[int, ...]], Callable[[Tensor, list[Tensor]], Tensor]]] = {
    "mixed_operation": (
        EDGE.shapes(WIDE),
        lambda x, w: mixed_operation(x, torch.ones(3), w, candidates=NAMES),
    ),
    "path_select": (
        EDGE.shapes(WIDE),
        lambda x, w: path_select(x, torch.tensor([2, 0]), None, w, candidates=NAMES),
    ),
    "separable_bank": (PAIR, lambda x, w: separable_bank(x, w, dilations=[1])[0][0]),
    "depthwise_conv2d": (
        [(WIDE, 1, 5, 5)],
        lambda x, w: depthwise_conv2d(x, w[0]),
    ),
}
# The operator whose kernel it is, and the kernel's own function.
KERNELS = {
    "mixed_operation": ("mixed_operation", "mixed_forward"),
    "path_select": ("mixed_operation", "mixed_forward"),
    "separable_bank": ("separable_bank", "bank_forward"),
    "depthwise_conv2d": ("depthwise_conv2d", "depthwise_forward"),
}


def flat(arguments: object) -> list[object]:
    if isinstance(arguments, list | tuple):
        return [item for own in arguments for item in flat(own)]
    return [arguments]


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the kernels' forward functions are given, call after call."""
    seen: list[object] = []
    for _, name in KERNELS.values():
        call = getattr(_cpu, name)
        monkeypatch.setattr(
            _cpu, name, lambda *a, call=call, **k: (seen.extend(flat(a)), call(*a, **k))[1]
        )
    return seen


@pytest.mark.parametrize("name", OPERATORS)
def test_a_narrow_network_reads_a_part_of_the_wide_ones_weights(name, addresses):
    shapes, call = OPERATORS[name]
    whole = [w.requires_grad_() for w in own_weights(shapes)]
    parts = [first_channels(w) for w in whole]
    alone = [w.detach().clone().requires_grad_() for w in parts]
    x = torch.randn(3, NARROW, 6, 7).contiguous(memory_format=LAST).requires_grad_()
    before = dispatch.ran.copy()
    out = call(x, parts)
    if name != "depthwise_conv2d":  # which counts no calls
        assert (dispatch.ran - before)[KERNELS[name][0], "cpu"] == 1
    assert x.data_ptr() in addresses
    for part in parts:
        assert not part.is_contiguous() or part.data_ptr() in addresses
    grad = torch.randn(out.shape)
    found = torch.autograd.grad(out, [x, *whole], grad, allow_unused=True)
    exact = call(x, alone)
    theirs = torch.autograd.grad(exact, [x, *alone], grad, allow_unused=True)
    assert torch.equal(out, exact) and torch.equal(found[0], theirs[0])
    for of_whole, of_part in zip(found[1:], theirs[1:], strict=True):
        assert torch.equal(first_channels(of_whole), of_part)
        assert of_whole.count_nonzero() == of_part.count_nonzero()


@pytest.mark.parametrize("name", OPERATORS)
def test_images_of_a_batch_are_read_where_they_lie(name, addresses):
    shapes, call = OPERATORS[name]
    weights = own_weights(shapes)
    batch = torch.randn(5, WIDE, 6, 7).contiguous(memory_format=LAST)
    part = batch[1:4].detach().requires_grad_()
    out = call(part, weights)
    assert part.data_ptr() in addresses and part.data_ptr() != batch.data_ptr()
    assert torch.equal(out, call(part.detach().clone(memory_format=LAST), weights))


@pytest.mark.parametrize("name", OPERATORS)
def test_some_channels_of_an_image_are_those_channels(name):
    """They are no image in memory, so that kernels take a copy and torch's convolution does not."""
    shapes, call = OPERATORS[name]
    weights = [first_channels(w) for w in own_weights(shapes)]
    for layout in (LAST, torch.contiguous_format):
        wide = torch.randn(3, WIDE, 6, 7).contiguous(memory_format=layout).requires_grad_()
        view = wide[:, :NARROW]
        alone = view.detach().clone(memory_format=layout).requires_grad_()
        out, exact = call(view, weights), call(alone, weights)
        torch.testing.assert_close(out, exact, rtol=1e-4, atol=1e-5)
        grad = torch.randn(out.shape)
        (found,) = torch.autograd.grad(out, wide, grad)
        (theirs,) = torch.autograd.grad(exact, alone, grad)
        torch.testing.assert_close(found[:, :NARROW], theirs, rtol=1e-4, atol=1e-4)
        assert not found[:, NARROW:].any()


def test_an_elastic_kernel_is_the_middle_of_the_largest_one():
    """Centers of 7x7 weights as 3x3 and 5x5 ones, summed: the whole gets all their gradients."""
    largest = torch.randn(4, 3, 7, 7, requires_grad=True)
    views = [largest[..., cut : 7 - cut, cut : 7 - cut] for cut in (2, 1, 0)]
    alpha = torch.tensor([0.5, 0.25, 0.125])
    before = dispatch.ran.copy()
    total = aggregated_kernel(views, alpha, dilations=[1, 1, 1])
    assert dispatch.ran - before == {("aggregated_kernel", "cpu"): 1}
    scale = torch.nn.functional.pad(torch.full((3, 3), 0.5), [2] * 4)
    scale += torch.nn.functional.pad(torch.full((5, 5), 0.25), [1] * 4) + 0.125
    torch.testing.assert_close(total, largest * scale)
    (found,) = torch.autograd.grad(total, largest, torch.ones_like(total))
    torch.testing.assert_close(found, scale.expand(4, 3, 7, 7))
