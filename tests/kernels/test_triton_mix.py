"""The sum of normalized branches by Triton kernels, in Triton's interpreter, against float64."""

from __future__ import annotations

import math

import pytest
import torch
from test_normalize_and_mix import check, derive, exactly, running, tensors

from nasturtium.kernels import Running, dispatch, normalize_and_mix
from nasturtium.kernels.mix import spec
from nasturtium.kernels.mix.ops import NAME, explain
from nasturtium.testing.edges import within

tiles = pytest.importorskip("nasturtium.kernels.tiles", reason="triton is not installed")


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    ("shape", "flags"),
    [
        ((2, 5, 4, 6), [True, False, True]),
        ((1, 16, 8, 8), [True] * 3),
        ((3, 1, 20, 7), [True, True]),
        ((1, 70, 5, 5), [False, True]),
        ((4, 3, 1, 9), [False]),
        ((2, 4, 5, 3), [True, False] * 8),
    ],
)
def test_agrees_with_float64(shape, flags, last):
    branches, alpha, grad = tensors(shape, len(flags))
    if last:
        branches = [b.contiguous(memory_format=torch.channels_last) for b in branches]
    check(branches, alpha, grad, "triton", normalized=flags)


@pytest.mark.parametrize("mean", [1e2, -1e4])
def test_a_large_mean_is_no_matter(mean):
    branches, alpha, grad = tensors((4, 6, 9, 7), 3, mean=mean)
    check(branches, alpha, grad, "triton", normalized=[True, True, False])


def test_one_value_far_from_all_others_spoils_no_variance():
    branches, alpha, grad = tensors((2, 3, 12, 11), 2)
    branches[0][0, :, 0, 0] = 3e4  # the pivot of a lane
    check(branches, alpha, grad, "triton")


@pytest.mark.parametrize("weight", [0.0, 1e-30, 1e6])
def test_extreme_alphas(weight):
    branches, alpha, grad = tensors((2, 5, 4, 6), 3)
    alpha[1] = weight
    check(branches, alpha, grad, "triton")


@pytest.mark.parametrize("most", [1, 2])
def test_a_unit_of_many_tiles(monkeypatch, most):
    monkeypatch.setattr(tiles, "MOST_UNITS", most)
    branches, alpha, grad = tensors((3, 2, 13, 17), 2, mean=3.0)
    assert tiles.Units.of(3 * 13 * 17).count == most
    check(branches, alpha, grad, "triton")


def test_memory_full_of_nan(monkeypatch):
    fresh = torch.empty
    branches, alpha, grad = tensors((2, 5, 9, 8), 3)
    flags = [True, False, True]
    exact = exactly(branches, alpha, grad, normalized=flags)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty", lambda *a, **k: fresh(*a, **k).fill_(math.nan))
        ours = derive(branches, alpha, grad, "triton", normalized=flags)
    for a, c in zip(ours, exact, strict=True):
        assert within(a, a, c, times_eager=0, epsilons=64, floor=1.0)


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_infinite_and_missing_values_come_out_as_in_torch(value):
    branches, alpha, grad = tensors((2, 5, 4, 4), 3)
    branches[1][1, 2, 3, 0] = value
    flags = [True, True, False]
    ours = derive(branches, alpha, grad, "triton", normalized=flags)
    eager = derive(branches, alpha, grad, "reference", normalized=flags)
    for a, b in zip(ours, eager, strict=True):
        assert torch.equal(a.isnan(), b.isnan()) and torch.equal(a.isinf(), b.isinf())


def test_statistics_are_updated_and_used():
    branches, alpha, grad = tensors((3, 4, 5, 6), 3)
    flags = [True, False, True]
    kept = {mode: running(4, 2) for mode in ("triton", "reference")}
    for mode, own in kept.items():
        derive(branches, alpha, grad, mode, normalized=flags, running=own, momentum=0.3)
    for a, b in zip(kept["triton"], kept["reference"], strict=True):
        assert torch.allclose(torch.stack(list(a)), torch.stack(list(b)), rtol=1e-6, atol=1e-6)
    assert not torch.equal(kept["triton"].means[0], running(4, 2).means[0])
    own = running(4, 2)
    more = {"normalized": flags, "training": False}
    ours = derive(branches, alpha, grad, "triton", running=own, **more)
    eager = derive(branches, alpha, grad, "reference", running=own, **more)
    double = Running([m.double() for m in own.means], [v.double() for v in own.variances])
    exact = exactly(branches, alpha, grad, running=double, **more)
    for a, b, c in zip(ours, eager, exact, strict=True):
        assert within(a, b, c, times_eager=spec.TIMES_EAGER, epsilons=spec.EPSILONS)


def test_views_are_read_as_they_are():
    branches, alpha, grad = tensors((2, 6, 5, 7), 2)
    wide = torch.zeros(2, 12, 5, 14)
    wide[:, ::2, :, ::2] = branches[0]
    view = wide[:, ::2, :, ::2]
    grad = grad.transpose(2, 3).contiguous().transpose(2, 3)
    assert not view.is_contiguous() and not grad.is_contiguous()
    ours = derive([view, branches[1]], alpha, grad, "triton")
    plain = derive(branches, alpha, grad.contiguous(), "triton")
    assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))


def test_torch_accepts_the_operators(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "triton")
    branches, alpha, grad = tensors((2, 3, 4, 5), 2)
    mean, variance, none = torch.zeros(2, 3), torch.ones(2, 3), torch.empty(0)
    asked = ([b.requires_grad_() for b in branches], alpha.requires_grad_())
    before = dispatch.ran.copy()
    settings = ([True, False], True, 1e-5)
    ops = torch.ops.nasturtium
    torch.library.opcheck(ops.normalize_and_mix, (*asked, none, none, *settings))
    plain = ([b.detach() for b in branches], alpha.detach())
    torch.library.opcheck(
        ops.normalize_and_mix_backward,
        (grad, *plain, mean, variance, *settings, [True, False, True]),
    )
    ran = dispatch.ran - before
    assert ran[NAME, "triton"] and ran[f"{NAME}_backward", "triton"]
    assert not ran[NAME, "cpu"] and not ran[f"{NAME}_backward", "cpu"]


def test_compiles_without_a_break_and_differentiates_twice(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "triton")
    branches, alpha, _ = tensors((2, 3, 4, 5), 2)
    inputs = [t.requires_grad_() for t in (*branches, alpha)]

    def loss(a, b, weight):
        return normalize_and_mix([a, b], weight).sin().sum()

    plain = torch.autograd.grad(loss(*inputs), inputs)
    before = dispatch.ran.copy()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    found = torch.autograd.grad(compiled(*inputs), inputs)
    ran = dispatch.ran - before
    assert ran[NAME, "triton"] == 1 and ran[f"{NAME}_backward", "triton"] == 1
    assert all(torch.equal(a, b) for a, b in zip(plain, found, strict=True))

    first = torch.autograd.grad(loss(*inputs), inputs, create_graph=True)
    assert (dispatch.ran - before)[f"{NAME}_backward", "reference"] == 1
    second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
    assert all(g.isfinite().all() and g.any() for g in second)


def test_the_choice_names_triton(monkeypatch):
    branches, alpha, _ = tensors((2, 3, 4, 5), 2)
    assert explain(branches, alpha).name == "cpu"  # the interpreter is for those who ask for it
    monkeypatch.setenv(dispatch.VARIABLE, "triton")
    assert explain(branches, alpha).name == "triton"
    assert "interpreter" in explain(branches, alpha).reason
    assert "float64" in explain([b.double() for b in branches], alpha.double()).reason
