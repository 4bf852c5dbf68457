"""Parts of channels: moved exactly, each operator the other's gradient."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nasturtium.kernels import (
    dispatch,
    join_channels,
    mixed_operation,
    partial_mix,
    split_channels,
)
from nasturtium.kernels.mixed_op.ops import NAME as MIXED
from nasturtium.kernels.mixed_op.spec import CANDIDATES, Edge
from nasturtium.kernels.parts import reference
from nasturtium.kernels.parts.ops import JOIN, SPLIT
from nasturtium.testing.edges import dropped, statistics, tensors

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


def composed(x, alpha, weights, parts, **settings):
    """By the three operators that ``partial_mix`` is made of."""
    own, rest = split_channels(x, parts)
    return join_channels(mixed_operation(own, alpha, weights, **settings), rest, shuffled=True)


def derive(form, x, alpha, weights, grad, **settings):
    """The output and all gradients."""
    own = [t.detach().clone().requires_grad_() for t in (x, alpha, *weights)]
    out = form(own[0], own[1], own[2:], **settings)
    return [out.detach(), *torch.autograd.grad(out, own, grad)]


# Channels of a part: those that lie side by side in a pixel, alone, or with a rest of a vector.
@pytest.mark.parametrize(("own", "parts", "batch"), [(4, 4, 8), (2, 3, 4), (8, 2, 3), (5, 4, 2)])
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("isa", _cpu.isas())
def test_mixes_a_part_as_its_operators_do(monkeypatch, own, parts, batch, each, isa):
    for name in ("mixed_forward", "mixed_backward"):
        call = getattr(_cpu, name)
        monkeypatch.setattr(_cpu, name, lambda *a, call=call, **k: call(*a, **k, isa=isa))
    edge = Edge(CANDIDATES)
    x = torch.randn(batch, own * parts, 6, 7)
    _, alpha, weights, _ = tensors((batch, own, 6, 7), edge)
    alpha = dropped(alpha, batch) if each else alpha
    grad = torch.randn_like(x)
    before = dispatch.ran.copy()
    ours = derive(partial_mix, x, alpha, weights, grad, parts=parts)
    backward = f"{MIXED}_backward"
    assert dispatch.ran - before == {(MIXED, "cpu"): 1, (backward, "cpu"): 1}
    expected = derive(partial(composed, parts=parts), x, alpha, weights, grad)
    for a, b in zip(ours, expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("storage", ["float32", "bfloat16"])
def test_statistics_and_storage_of_a_part(storage):
    edge = Edge(CANDIDATES)
    x, alpha = torch.randn(4, 8, 6, 7), torch.rand(8)
    weights = tensors((4, 4, 6, 7), edge)[2]
    kept = [statistics(edge, 4) for _ in range(2)]
    for training in (True, False):
        case = (x, alpha, weights, torch.ones_like(x))
        settings = {"training": training, "storage": storage}
        ours = derive(partial_mix, *case, parts=2, running=kept[0], **settings)
        expected = derive(partial(composed, parts=2), *case, running=kept[1], **settings)
        for a, b in zip(ours, expected, strict=True):
            assert torch.equal(a, b)
    for a, b in zip(kept[0], kept[1], strict=True):
        assert all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


def test_a_part_is_mixed_only_where_it_is_one_operator(monkeypatch):
    edge = Edge(("max_pool_3x3", "skip_connect", "sep_conv_3x3"), 2)
    x, alpha = torch.randn(2, 6, 7, 5), torch.rand(3)
    weights = tensors((2, 3, 7, 5), edge)[2]
    before = dispatch.ran.copy()
    out = partial_mix(x, alpha, weights, parts=2, candidates=edge.candidates, stride=2)
    assert dispatch.ran - before == {(MIXED, "cpu"): 1, (SPLIT, "cpu"): 1, (JOIN, "cpu"): 1}
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    plain = partial_mix(x, alpha, weights, parts=2, candidates=edge.candidates, stride=2)
    torch.testing.assert_close(out, plain, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="has no 4 parts"):
        partial_mix(x, alpha, weights, parts=4)


def test_torch_accepts_a_part_and_differentiates_it_twice(monkeypatch):
    edge = Edge(("avg_pool_3x3", "skip_connect", "dil_conv_3x3"))
    x, alpha = torch.randn(2, 6, 5, 4), torch.rand(3)
    weights = tensors((2, 3, 5, 4), edge)[2]
    none, settings = (torch.empty(0),) * 2, (edge.numbers, [1], 2, True, 1e-5)
    own = [t.clone().requires_grad_() for t in (x, alpha, *weights)]
    ops = torch.ops.nasturtium
    torch.library.opcheck(
        ops.mixed_operation, ([own[0]], [own[1]], own[2:], *none, *settings, torch.float32)
    )

    def second(form, dtype):
        own = [t.detach().to(dtype).requires_grad_() for t in (x, alpha, *weights)]
        out = form(own[0], own[1], own[2:], parts=2, candidates=edge.candidates)
        first = torch.autograd.grad(out.sin().sum(), own, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), own)

    before = dispatch.ran.copy()
    ours = second(partial_mix, torch.float32)
    assert (dispatch.ran - before)[f"{MIXED}_backward", "reference"] == 1
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    for a, b in zip(ours, second(composed, torch.float64), strict=True):
        assert (a - b).abs().max() <= 1e-3 * b.abs().max()


@pytest.mark.parametrize("parts", [0, -1])
def test_wrong_numbers_of_parts(parts):
    sizes = {"batch": 1, "channels": 4, "training": True, "epsilon": 1e-5, "parts": parts}
    one = {"height": [4], "width": [4], "stride": [1], "candidates": [[3]], "each": [False]}
    with pytest.raises(ValueError, match="parts"):
        _cpu.mixed_forward([0], [0], [[]], 0, [0], [0], [0], **sizes, **one)
    with pytest.raises(ValueError, match="parts"):
        _cpu.mixed_forward(
            [0], [0], [[]], 0, [0], [0], [0], **{**sizes, "parts": 2}, **{**one, "stride": [2]}
        )
