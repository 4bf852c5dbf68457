"""Parts of channels: moved exactly, each operator the other's gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nasturtium.kernels import dispatch, join_channels, split_channels
from nasturtium.kernels.parts import reference
from nasturtium.kernels.parts.ops import JOIN, SPLIT

_cpu = pytest.importorskip("nasturtium.kernels._cpu", reason="the kernels are not compiled")


@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 5), st.integers(1, 7)),
    parts=st.integers(2, 5),
    shuffled=st.booleans(),
    last=st.booleans(),
)
def test_moves_every_channel(sizes, parts, shuffled, last):
    n, own, h, w = sizes
    x = torch.arange(n * own * parts * h * w, dtype=torch.float32).view(n, own * parts, h, w)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    before = dispatch.ran.copy()
    first, rest = split_channels(x, parts, shuffled=shuffled)
    back = join_channels(first, rest, shuffled=shuffled)
    assert dispatch.ran - before == {(SPLIT, "cpu"): 1, (JOIN, "cpu"): 1}
    assert torch.equal(back, x)
    for i in range(own):
        assert torch.equal(first[:, i], x[:, i * parts if shuffled else i])
        for k in range(1, parts):
            at = i * parts + k if shuffled else k * own + i
            assert torch.equal(rest[:, (k - 1) * own + i], x[:, at])
    a, b = reference.split(x.contiguous(), parts, shuffled)
    assert torch.equal(first, a) and torch.equal(rest, b)
    assert torch.equal(reference.join(a, b, shuffled), x)


@pytest.mark.parametrize("isa", _cpu.isas())
@pytest.mark.parametrize("own", [3, 4])
def test_every_instruction_set(monkeypatch, isa, own):
    for name in ("parts_split", "parts_join"):
        call = getattr(_cpu, name)
        monkeypatch.setattr(_cpu, name, lambda *a, call=call, **k: call(*a, **k, isa=isa))
    x = torch.randn(3, 4 * own, 5, 7)
    for shuffled in (False, True):
        first, rest = split_channels(x, 4, shuffled=shuffled)
        a, b = reference.split(x, 4, shuffled)
        assert torch.equal(first, a) and torch.equal(rest, b)
        assert torch.equal(join_channels(first, rest, shuffled=shuffled), x)


@pytest.mark.parametrize("shuffled", [False, True])
def test_torch_accepts_the_operators(shuffled):
    x = torch.randn(2, 8, 3, 5, requires_grad=True)
    torch.library.opcheck(torch.ops.nasturtium.split_channels, (x, 4, shuffled))
    first, rest = (t.detach().requires_grad_() for t in split_channels(x, 4))
    torch.library.opcheck(torch.ops.nasturtium.join_channels, (first, rest, shuffled))


def test_gradients_of_any_order():
    x = torch.randn(2, 8, 3, 5, requires_grad=True)
    before = dispatch.ran.copy()
    first, rest = split_channels(x, 4)
    y = join_channels(first.sin(), rest, shuffled=True).square().sum()
    (found,) = torch.autograd.grad(y, x, create_graph=True)
    (second,) = torch.autograd.grad(found.square().sum(), x)
    assert (dispatch.ran - before)[SPLIT, "cpu"] > 1
    z = x.detach().clone().requires_grad_()
    y = torch.cat([z[:, :2].sin(), z[:, 2:]], 1).square().sum()
    (exact,) = torch.autograd.grad(y, z, create_graph=True)
    torch.testing.assert_close(found, exact)
    torch.testing.assert_close(second, torch.autograd.grad(exact.square().sum(), z)[0])


def test_other_numbers_run_in_plain_torch():
    x = torch.randn(2, 6, 3, 3, dtype=torch.float64)
    before = dispatch.ran.copy()
    back = join_channels(*split_channels(x, 3))
    assert dispatch.ran - before == {(SPLIT, "reference"): 1, (JOIN, "reference"): 1}
    assert torch.equal(back, x)


def test_what_does_not_fit_raises():
    with pytest.raises(ValueError, match="no 4 parts"):
        split_channels(torch.zeros(2, 6, 3, 3), 4)
    with pytest.raises(ValueError, match="no parts of an image"):
        join_channels(torch.zeros(2, 2, 3, 3), torch.zeros(2, 3, 3, 3))
    with pytest.raises(ValueError, match="two parts"):
        _cpu.parts_split(0, 0, 0, pixels=1, own=1, parts=1, shuffled=False)
