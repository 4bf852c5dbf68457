"""The depthwise convolution by Triton kernels, interpreted, against float64."""

from __future__ import annotations

import math

import pytest
import torch
from test_depthwise import FILTERS, close, tensors
from torch import Tensor

from nasturtium.kernels import depthwise_conv2d, dispatch, gpu
from nasturtium.kernels.depthwise import reference
from nasturtium.kernels.depthwise.ops import NAME
from nasturtium.kernels.depthwise.spec import Filter

tiles = pytest.importorskip("nasturtium.kernels.tiles", reason="triton is not installed")


@pytest.fixture(autouse=True)
def by_triton(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "triton")


def derive(x: Tensor, weight: Tensor, grad: Tensor, f: Filter) -> list[Tensor]:
    """Output and both gradients; Triton's kernels must have run."""
    own = [t.detach().requires_grad_() for t in (x, weight)]
    before = dispatch.ran.copy()
    y = depthwise_conv2d(own[0], own[1], stride=f.stride, dilation=f.dilation)
    found = torch.autograd.grad(y, own, grad)
    assert dispatch.ran - before == {(NAME, "triton"): 1, (f"{NAME}_backward", "triton"): 1}
    return [y.detach(), *found]


def check(shape: tuple[int, ...], f: Filter, *, last: bool = True) -> None:
    x, weight, grad = tensors(shape, f)
    layout = torch.channels_last if last else torch.contiguous_format
    ours = derive(x.contiguous(memory_format=layout), weight, grad, f)
    exact = (
        reference.forward(x.double(), weight.double(), f),
        *reference.backward(grad.double(), x.double(), weight.double(), f),
    )
    assert all(close(a, b) for a, b in zip(ours, exact, strict=True)), shape
    assert ours[0].is_contiguous(memory_format=layout)
    assert ours[1].is_contiguous(memory_format=layout)


@pytest.mark.parametrize("f", FILTERS, ids=str)
def test_agrees_with_float64(f):
    check((2, 3, 5, 6), f)


@pytest.mark.parametrize("shape", [(3, 1, 1, 5), (1, 33, 2, 3)])
def test_odd_shapes(shape):
    check(shape, Filter(3, 2, 2))


def test_images_channels_first():
    check((2, 5, 6, 9), Filter(5, 2, 1), last=False)


def test_channels_and_pixels_of_several_blocks(monkeypatch):
    monkeypatch.setattr(tiles, "MOST_UNITS", 2)
    check((2, 66, 9, 15), Filter(3, 2, 1))


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_infinite_and_missing_values_come_out_as_in_torch(value):
    f = Filter(3, 1, 1)
    x, weight, grad = tensors((2, 3, 6, 7), f)
    x[1, 2, 3, 4] = value
    ours = derive(x.contiguous(memory_format=torch.channels_last), weight, grad, f)
    eager = (reference.forward(x, weight, f), *reference.backward(grad, x, weight, f))
    for a, b in zip(ours, eager, strict=True):
        assert torch.equal(a.isfinite(), b.isfinite())


def test_gradients_of_second_order():
    f = Filter(3, 2, 1)
    x, weight, _ = tensors((1, 3, 5, 4), f)
    found = []
    for dtype in (torch.float32, torch.float64):
        own = [t.detach().to(dtype).requires_grad_() for t in (x, weight)]
        y = depthwise_conv2d(own[0], own[1], stride=2)
        first = torch.autograd.grad(y.sin().sum(), own, create_graph=True)
        total = sum(g.square().sum() for g in first)
        found.append(torch.autograd.grad(total, own))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)


def test_torch_accepts_the_operators():
    x, weight, grad = tensors((2, 3, 4, 5), Filter(3, 1, 2))
    x = x.contiguous(memory_format=torch.channels_last)
    ops = torch.ops.nasturtium
    before = dispatch.ran.copy()
    own = [t.clone().requires_grad_() for t in (x, weight)]
    torch.library.opcheck(ops.depthwise_conv2d, (*own, 1, 2))
    torch.library.opcheck(ops.depthwise_conv2d_backward, (grad, x, weight, 1, 2, 3))
    ran = dispatch.ran - before
    assert ran[NAME, "triton"] and ran[f"{NAME}_backward", "triton"] and not ran[NAME, "cpu"]


def test_on_a_gpu_it_is_taken_by_name_alone(monkeypatch):
    monkeypatch.setattr(gpu, "find_spec", lambda name: object())
    call = {"device": "cuda", "dtype": "torch.float32"}
    assert dispatch.choose(NAME, **call).name == "triton"
    monkeypatch.setenv(dispatch.VARIABLE, "auto")
    choice = dispatch.choose(NAME, **call)
    assert choice.name == "reference" and "bytes" in choice.reason
    dispatch.warn_of_fallback(NAME, choice)  # warnings are errors here
