"""The searched cell by Triton kernels, interpreted, against float64; torch's convolutions in it."""

from __future__ import annotations

import math

import pytest
import torch
from test_searched_cell import case, check, clear, derive
from torch import Tensor

from nasturtium.kernels import Running, dispatch, searched_cell
from nasturtium.kernels.cell import spec
from nasturtium.kernels.cell.ops import NAME, explain

pytest.importorskip("nasturtium.kernels.tiles", reason="triton is not installed")


def statistics(nodes: int, channels: int) -> Running:
    draw = torch.Generator().manual_seed(5)
    count = 2 * len(spec.pairs(nodes))
    return Running(
        list(torch.randn(count, channels, generator=draw)),
        list(torch.rand(count, channels, generator=draw) + 0.5),
    )


@pytest.mark.parametrize(
    ("shape", "nodes"),
    [((2, 8, 5, 6), 4), ((1, 3, 7, 4), 3), ((3, 16, 3, 3), 2), ((2, 1, 9, 5), 2)],
)
def test_agrees_with_float64(shape, nodes):
    check(*clear(shape, nodes), mode="triton")


def test_evaluation_uses_the_running_statistics():
    own = clear((2, 5, 4, 6), 3)
    running = statistics(3, 5)
    ours = derive(*own, "triton", training=False, running=running)
    eager = derive(*own, "reference", training=False, running=running)
    for a, b in zip(ours, eager, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_running_statistics_are_those_of_torch():
    own = case((2, 8, 4, 5), 4)
    found = {}
    for mode in ("triton", "reference"):
        found[mode] = statistics(4, 8)
        derive(*own, mode, running=found[mode], momentum=0.3)
    for a, b in zip(*found.values(), strict=True):
        torch.testing.assert_close(torch.stack(list(a)), torch.stack(list(b)), rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_infinite_and_missing_values_come_out_as_in_torch(value):
    own = case((2, 8, 5, 6), 3)
    own[0][1, 2, 3, 5] = value
    more = {"training": False, "running": statistics(3, 8)}
    pairs = zip(
        derive(*own, "triton", **more), derive(*own, "reference", **more), strict=True
    )  # fmt: skip
    for number, (a, b) in enumerate(pairs):
        assert torch.equal(a.isfinite(), b.isfinite()), number


def test_memory_full_of_nan(monkeypatch):
    own, fresh = case((2, 5, 6, 4), 3), torch.empty
    plain = derive(*own, "triton")

    def spoiled(*sizes: object, **more: object) -> Tensor:
        t: Tensor = fresh(*sizes, **more)  # type: ignore[call-overload]
        return t.fill_(math.nan) if t.is_floating_point() else t

    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty", spoiled)
        patch.setattr(torch, "empty_like", lambda t, **k: fresh(
            t.shape, dtype=t.dtype, memory_format=torch.channels_last if t.dim() == 4 else None
        ).fill_(math.nan) if not k else spoiled(t.shape, dtype=t.dtype, **k))  # fmt: skip
        ours = derive(*own, "triton")
    assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))


def test_only_what_is_asked_for(monkeypatch):
    x, alpha, weights, grad, nodes = case((2, 8, 4, 5), 3)
    everything = derive(x, alpha, weights, grad, nodes, "triton")
    monkeypatch.setenv(dispatch.VARIABLE, "triton")
    for asked in ([0], [1], [2], [0, 7]):
        own = [t.detach().clone() for t in (x, alpha, *weights)]
        wanted = [own[k].requires_grad_() for k in asked]
        before = dispatch.ran.copy()
        found = torch.autograd.grad(searched_cell(own[0], own[1], own[2:], nodes=3), wanted, grad)
        assert (dispatch.ran - before)[f"{NAME}_backward", "triton"] == 1
        for k, value in zip(asked, found, strict=True):
            torch.testing.assert_close(value, everything[k + 1], rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        alone = searched_cell(x, alpha, weights, nodes=3)
    assert torch.equal(alone, everything[0])
    assert explain(x, alpha, weights, nodes=3).name == "triton"


def test_torch_accepts_the_operators(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "triton")
    x, alpha, weights, grad, _ = case((2, 3, 4, 5), 3)
    own = [t.clone().requires_grad_() for t in (x, alpha, *weights)]
    ops, none = torch.ops.nasturtium, torch.empty(0)
    before = dispatch.ran.copy()
    torch.library.opcheck(
        ops.searched_cell, (own[0], own[1], own[2:], none, none, 3, True, 1e-5, True)
    )
    _, *kept, mean, variance = ops.searched_cell(x, alpha, weights, none, none, 3, True, 1e-5, True)
    torch.library.opcheck(
        ops.searched_cell_backward,
        (grad, x, alpha, weights, kept, mean, variance, 3, True, 1e-5, 7),
    )
    ran = dispatch.ran - before
    assert ran[NAME, "triton"] and ran[f"{NAME}_backward", "triton"]
    assert not ran[NAME, "cpu"] and not ran[f"{NAME}_backward", "cpu"]
