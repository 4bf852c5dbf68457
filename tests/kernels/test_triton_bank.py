"""The bank of separable convolutions by Triton kernels, interpreted, against float64."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from test_separable_bank import FOUR, Case

from nasturtium.kernels import dispatch
from nasturtium.kernels.separable.ops import NAME
from nasturtium.testing.edges import error

tiles = pytest.importorskip("nasturtium.kernels.tiles", reason="triton is not installed")


def off_the_kink(*arguments: object, **more: object) -> Case:
    """The first case where rounding decides on no gradient."""
    seeds = (Case(*arguments, **more, seed=s) for s in itertools.count())  # type: ignore[arg-type]
    return next(case for case in seeds if case.kink() > 1e-6)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("shape", "filters"),
    [
        ((1, 16, 8, 8), FOUR),
        ((2, 5, 7, 6), (FOUR[3],)),
        ((1, 1, 9, 5), FOUR[:2]),
        ((3, 20, 3, 4), (FOUR[2], FOUR[0])),
        ((8, 3, 1, 1), (FOUR[1],)),
    ],
)
def test_agrees_with_float64(shape, filters, stride, affine):
    off_the_kink(shape, filters, stride=stride, affine=affine).check("triton")


def test_channels_of_more_than_one_block(monkeypatch):
    off_the_kink((1, 66, 3, 2), FOUR[:1]).check("triton")
    monkeypatch.setattr(tiles, "MOST_CHANNELS", 16)
    off_the_kink((1, 33, 4, 5), FOUR[:1], stride=2).check("triton")


@pytest.mark.parametrize("most", [1, 2])
def test_a_unit_of_many_tiles(monkeypatch, most):
    monkeypatch.setattr(tiles, "MOST_UNITS", most)
    off_the_kink((2, 3, 13, 12), FOUR[:1]).check("triton")


def test_memory_full_of_nan(monkeypatch):
    case, fresh = Case((2, 5, 9, 8), FOUR[1:3], stride=2), torch.empty
    exact = case.derive("reference", torch.float64)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty", lambda *a, **k: fresh(*a, **k).fill_(math.nan))
        ours = case.derive("triton")
    assert all(error(a, c) < 1e-5 for a, c in zip(ours, exact, strict=True))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_infinite_and_missing_values_come_out_as_in_torch(value):
    case = Case((2, 3, 6, 7), FOUR[:2], affine=False)
    case.x[1, 2, 3, 6] = case.x[0, 0, 0, 0] = value
    pairs = zip(case.derive("triton"), case.derive("reference"), strict=True)
    for number, (a, b) in enumerate(pairs):
        if number != 3:  # of infinite values no variance is known, in either way
            assert torch.equal(a.isfinite(), b.isfinite()), number


def test_a_large_mean_is_no_matter():
    case = Case((2, 4, 8, 7), FOUR[:2], affine=False)
    case.x += 1e3
    case.check("triton")


def test_only_what_is_asked_for_and_only_what_is_used(monkeypatch):
    case = Case((2, 3, 5, 4), FOUR[:2])
    everything = dict(enumerate(case.derive("triton")[4:]))
    monkeypatch.setenv(dispatch.VARIABLE, "triton")
    for asked in ([0], [1], [5], [0, 2], [0, 5, 6]):
        own = [t.detach() for t in case.inputs(torch.float32)]
        wanted = [own[k].requires_grad_() for k in asked]
        before = dispatch.ran.copy()
        found = torch.autograd.grad(case.call(own)[0], wanted, case.grads)
        assert (dispatch.ran - before)[f"{NAME}_backward", "triton"] == 1
        for k, value in zip(asked, found, strict=True):
            assert torch.equal(value, everything[k])
    own = case.inputs(torch.float32)
    outs, _, _ = case.call(own)
    found = torch.autograd.grad(outs[1], own, case.grads[1])
    alone = Case((2, 3, 5, 4), (FOUR[1],))
    alone.x, alone.weights, alone.affine = case.x, case.weights[2:], case.affine
    own = alone.inputs(torch.float32)
    exact = torch.autograd.grad(alone.call(own)[0], own, [case.grads[1]])
    assert not found[1].any() and not found[2].any()
    assert torch.equal(found[0], exact[0]) and torch.equal(found[3], exact[1])


def test_torch_accepts_the_operators(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "triton")
    case = Case((2, 3, 4, 5), FOUR[:1], stride=2)
    own, both = case.inputs(torch.float32), torch.stack(case.affine)
    before = dispatch.ran.copy()
    ops, settings = torch.ops.nasturtium, (case.settings["dilations"], 2)
    torch.library.opcheck(
        ops.separable_bank, (own[0], both.clone().requires_grad_(), own[1:3], *settings)
    )
    torch.library.opcheck(
        ops.separable_bank_backward, (case.grads, case.x, both, case.weights, *settings, 7)
    )
    ran = dispatch.ran - before
    assert ran[NAME, "triton"] and ran[f"{NAME}_backward", "triton"]
    assert not ran[NAME, "cpu"] and not ran[f"{NAME}_backward", "cpu"]
