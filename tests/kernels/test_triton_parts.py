"""Channels split and joined by a Triton kernel, interpreted: moved exactly, bit for bit."""

from __future__ import annotations

import pytest
import torch

from nasturtium.kernels import dispatch, join_channels, split_channels
from nasturtium.kernels.parts import reference
from nasturtium.kernels.parts.ops import JOIN, SPLIT

pytest.importorskip("nasturtium.kernels.tiles", reason="triton is not installed")


@pytest.fixture(autouse=True)
def by_triton(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "triton")


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize(
    ("shape", "parts"),
    [((2, 16, 4, 4), 4), ((1, 6, 13, 11), 3), ((3, 2, 1, 5), 2), ((1, 70, 3, 3), 5)],
)
def test_moves_every_channel(shape, parts, shuffled):
    x = torch.randn(shape)
    x[0, 0, 0, 0], x[0, 1, 0, 0] = -0.0, float("nan")
    before = dispatch.ran.copy()
    first, rest = split_channels(x, parts, shuffled=shuffled)
    back = join_channels(first, rest, shuffled=shuffled)
    assert dispatch.ran - before == {(SPLIT, "triton"): 1, (JOIN, "triton"): 1}
    a, b = reference.split(x, parts, shuffled)
    for ours, exact in ((first, a), (rest, b), (back, x)):
        assert ours.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(
            ours.contiguous().view(torch.int32), exact.contiguous().view(torch.int32)
        )


def test_each_is_the_gradient_of_the_other():
    x = torch.randn(2, 8, 3, 5, requires_grad=True)
    before = dispatch.ran.copy()
    first, rest = split_channels(x, 4)
    y = join_channels(first.sin(), rest, shuffled=True)
    grad = torch.randn(y.shape)
    (found,) = torch.autograd.grad(y, x, grad)
    assert dispatch.ran - before == {(SPLIT, "triton"): 2, (JOIN, "triton"): 2}
    z = x.detach().clone().requires_grad_()
    a, b = reference.split(z, 4, False)
    (exact,) = torch.autograd.grad(reference.join(a.sin(), b, True), z, grad)
    torch.testing.assert_close(found, exact)


@pytest.mark.parametrize("shuffled", [False, True])
def test_torch_accepts_the_operators(shuffled):
    x = torch.randn(2, 8, 3, 5, requires_grad=True)
    torch.library.opcheck(torch.ops.nasturtium.split_channels, (x, 4, shuffled))
    first, rest = (t.detach().requires_grad_() for t in split_channels(x, 4))
    torch.library.opcheck(torch.ops.nasturtium.join_channels, (first, rest, shuffled))
