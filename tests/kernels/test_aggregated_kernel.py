"""One convolution with the sum of kernels against the mixture of convolutions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nasturtium.kernels import (
    AggregatedConv,
    aggregated_convolution,
    aggregated_kernel,
    dispatch,
)
from nasturtium.kernels.aggregated import fourier, reference, spec
from nasturtium.kernels.aggregated.ops import NAME, explain
from nasturtium.testing.edges import error, within
from nasturtium.testing.threads import assert_threads_change_no_bit

_cpu = pytest.importorskip("nasturtium.kernels._cpu", reason="the kernels are not compiled")

Kernels = tuple[tuple[int, int], ...]
DASH = tuple((k, d) for k in spec.KERNELS for d in spec.DILATIONS)


def tensors(
    channels: tuple[int, int], kernels: Kernels, *, dims: int = 2, seed: int = 0
) -> tuple[list[Tensor], Tensor, list[int]]:
    draw = torch.Generator().manual_seed(seed)
    weights = [torch.randn(*channels, *[k] * dims, generator=draw) for k, _ in kernels]
    return weights, torch.randn(len(kernels), generator=draw), [d for _, d in kernels]


def derive(
    weights: list[Tensor], alpha: Tensor, dilations: list[int], side: int, grad: Tensor, mode: str
) -> list[Tensor]:
    """The sum and all gradients, by the implementation that `mode` names."""
    own = [t.detach().clone().requires_grad_() for t in (alpha, *weights)]
    before = dispatch.ran.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(dispatch.VARIABLE, mode)
        out = aggregated_kernel(own[1:], own[0], dilations=dilations, side=side)
        found = torch.autograd.grad(out, own, grad)
    ran = dispatch.ran - before
    assert ran[NAME, mode] == 1 and ran[f"{NAME}_backward", mode] == (mode != "reference")
    return [out.detach(), *found]


def check(weights: list[Tensor], alpha: Tensor, dilations: list[int], side: int) -> None:
    shape = (*weights[0].shape[:2], *[side] * (weights[0].dim() - 2))
    grad = torch.randn(shape, generator=torch.Generator().manual_seed(9))
    double = [w.double() for w in weights]
    exact = derive(double, alpha.double(), dilations, side, grad.double(), "reference")
    ours = derive(weights, alpha, dilations, side, grad, "cpu")
    eager = derive(weights, alpha, dilations, side, grad, "reference")
    floors = [0.0, 0.1 * math.sqrt(grad.numel()), *[0.0] * len(weights)]
    for a, b, c, floor in zip(ours, eager, exact, floors, strict=True):
        assert within(a, b, c, times_eager=spec.TIMES_EAGER, epsilons=spec.EPSILONS, floor=floor), (
            error(a, c, floor),
            error(b, c, floor),
        )


KERNELS = st.lists(
    st.tuples(st.sampled_from([1, 3, 5, 7, 9]), st.integers(1, 15)), min_size=1, max_size=6
).map(tuple)


@settings(max_examples=100)
@given(
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    kernels=KERNELS,
    dims=st.sampled_from([1, 2]),
    cut=st.integers(0, 40),
    seed=st.integers(0, 99),
)
def test_agrees_with_float64(channels, kernels, dims, cut, seed):
    side = max(spec.extent(k, d) for k, d in kernels)
    check(*tensors(channels, kernels, dims=dims, seed=seed), max(1, side - 2 * cut))


def test_agrees_with_a_sum_over_taps():
    kernels = ((3, 1), (5, 2), (3, 7), (1, 4))
    weights, alpha, dilations = tensors((2, 3), kernels)
    for side in (15, 9, 3, 1, 21):
        exact = np.zeros((2, 3, side, side))
        for w, a, d in zip(weights, alpha.tolist(), dilations, strict=True):
            for o, i, r, c in np.ndindex(*w.shape):
                row, column = (side // 2 + d * (t - w.shape[-1] // 2) for t in (r, c))
                if 0 <= row < side and 0 <= column < side:
                    exact[o, i, row, column] += a * float(w[o, i, r, c])
        before = dispatch.ran.copy()
        ours = aggregated_kernel(weights, alpha, dilations=dilations, side=side)
        assert dispatch.ran - before == {(NAME, "cpu"): 1}
        assert np.abs(ours.numpy() - exact).max() < 1e-5
        plain = reference.aggregated_kernel(weights, alpha, dilations, side)
        assert np.abs(plain.numpy() - exact).max() < 1e-5


@pytest.mark.parametrize("isa", _cpu.isas())
@pytest.mark.parametrize("dims", [1, 2])
def test_every_instruction_set_on_memory_full_of_nan(isa, dims):
    case, side = tensors((3, 7), DASH, dims=dims), 63
    fresh = torch.empty
    with pytest.MonkeyPatch.context() as patch:
        for name in ("aggregate_forward", "aggregate_backward"):
            call = getattr(_cpu, name)
            patch.setattr(_cpu, name, lambda *a, call=call, **k: call(*a, **k, isa=isa))
        patch.setattr(torch, "empty", lambda *a, **k: fresh(*a, **k).fill_(math.nan))
        check(*case, side)


@pytest.mark.parametrize("channels", [(1, 1), (7, 13), (64, 32)])
def test_the_number_of_threads_changes_no_bit(channels):
    weights, alpha, dilations = tensors(channels, ((3, 1), (7, 3), (9, 2)))
    grad = torch.randn(*channels, 19, 19)
    assert_threads_change_no_bit(lambda: derive(weights, alpha, dilations, 19, grad, "cpu"))


def test_views_are_read_as_they_are():
    weights, alpha, dilations = tensors((4, 6), ((3, 1), (5, 2)))
    wide = [torch.cat([w, w], 0).transpose(0, 1).contiguous().transpose(0, 1) for w in weights]
    views = [w[:4] for w in wide]
    assert not views[0].is_contiguous()
    grad = torch.randn(4, 6, 9, 9)
    ours = derive(views, alpha, dilations, 9, grad, "cpu")
    exact = derive(weights, alpha, dilations, 9, grad, "cpu")
    assert all(torch.equal(a, b) for a, b in zip(ours, exact, strict=True))
    expanded = derive(weights, alpha, dilations, 9, grad[:1, :1].expand(4, 6, 9, 9), "cpu")
    assert torch.equal(expanded[0], exact[0])


CONVOLUTIONS = [
    # channels, out, groups, kernels, size, stride
    (4, 6, 1, ((3, 1), (5, 1), (3, 2)), (9, 11), 1),
    (4, 6, 2, ((3, 1), (7, 2)), (8, 10), 2),
    (8, 8, 8, ((3, 1), (5, 1)), (12, 12), 1),
    (8, 8, 8, ((3, 1), (5, 2)), (9, 12), 2),
    (3, 5, 1, DASH, (8, 8), 1),
    (4, 4, 4, DASH, (17, 16), 2),
    (4, 6, 1, ((3, 1), (7, 15), (19, 3)), (21,), 1),
    (4, 8, 2, ((3, 1), (7, 3)), (16,), 2),
    (2, 3, 1, ((3, 1),), (1, 1), 1),
]


@pytest.mark.parametrize("case", CONVOLUTIONS)
@pytest.mark.parametrize("way", ["chosen", "fourier", "direct"])
def test_is_the_mixture_of_separate_convolutions(monkeypatch, case, way):
    channels, out, groups, kernels, size, stride = case
    if way != "chosen":
        monkeypatch.setattr(spec, "by_fourier", lambda *_: way == "fourier")
    weights, alpha, dilations = tensors((out, channels // groups), kernels, dims=len(size))
    x = torch.randn(2, channels, *size)
    own = [t.requires_grad_() for t in (x, alpha, *weights)]
    double = [t.detach().double().requires_grad_() for t in own]
    before = dispatch.ran.copy()
    ours = aggregated_convolution(
        own[0], own[2:], own[1], dilations=dilations, stride=stride, groups=groups
    )
    grad = torch.randn_like(ours)
    found = torch.autograd.grad(ours, own, grad)
    ran = dispatch.ran - before
    assert ran[NAME, "cpu"] == 1 and ran[f"{NAME}_backward", "cpu"] == 1
    exact = reference.mixture(
        double[0], double[2:], double[1], dilations, stride=stride, groups=groups
    )
    theirs = torch.autograd.grad(exact, double, grad.double())
    largest = max(t.abs().max().item() for t in theirs[2:])
    floors = [0.0, 0.0, math.sqrt(grad.numel()), *[0.1 * largest] * len(weights)]
    assert ours.shape == exact.shape
    for a, c, floor in zip((ours, *found), (exact, *theirs), floors, strict=True):
        assert error(a, c, floor) < 1e-5


def test_fourier_alone_is_torchs_convolution():
    for size, side, groups in (((7, 10), 5, 1), ((6, 6), 11, 2), ((13,), 9, 4)):
        x, kernel = torch.randn(2, 4, *size), torch.randn(8, 4 // groups, *[side] * len(size))
        convolve = torch.nn.functional.conv1d if len(size) == 1 else torch.nn.functional.conv2d
        for stride in (1, 2, 3):
            exact = convolve(x.double(), kernel.double(), None, stride, side // 2, 1, groups)
            ours = fourier.convolve(x, kernel, stride=stride, groups=groups)
            assert ours.shape == exact.shape and error(ours, exact) < 1e-5


def test_torch_accepts_the_operators():
    for dims in (1, 2):
        weights, alpha, dilations = tensors((2, 3), ((3, 1), (5, 2)), dims=dims)
        own = [w.requires_grad_() for w in weights]
        ops = torch.ops.nasturtium
        given_ = (own, alpha.requires_grad_(), dilations, 9)
        torch.library.opcheck(ops.aggregated_kernel, given_)
        grad = torch.randn(2, 3, *[9] * dims)
        for needs in (1, 2, 3):
            torch.library.opcheck(
                ops.aggregated_kernel_backward,
                (grad, [w.detach() for w in own], alpha.detach(), dilations, needs),
            )


def test_only_what_is_asked_for_is_computed(monkeypatch):
    weights, alpha, dilations = tensors((2, 3), ((3, 1), (5, 2)))
    everything = derive(weights, alpha, dilations, 9, torch.ones(2, 3, 9, 9), "cpu")
    seen, plain = [], _cpu.aggregate_backward
    monkeypatch.setattr(
        _cpu, "aggregate_backward", lambda *a, **k: (seen.append(a), plain(*a, **k))
    )
    for asked in ([0], [1], [0, 2]):
        own = [t.detach().clone() for t in (alpha, *weights)]
        wanted = [own[k].requires_grad_() for k in asked]
        out = aggregated_kernel(own[1:], own[0], dilations=dilations)
        found = torch.autograd.grad(out, wanted, torch.ones_like(out))
        *_, of_weights, of_alpha = seen[-1]
        assert [of_alpha != 0, bool(of_weights)] == [0 in asked, max(asked) > 0]
        for k, value in zip(asked, found, strict=True):
            assert torch.equal(value, everything[k + 1])


def test_gradcheck_of_the_reference(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    weights, alpha, dilations = tensors((4, 2), ((3, 1), (5, 2)))
    own = [t.double().requires_grad_() for t in (torch.randn(2, 4, 5, 6), alpha, *weights)]
    before = dispatch.ran.copy()
    assert torch.autograd.gradcheck(
        lambda x, a, *w: aggregated_convolution(x, w, a, dilations=dilations, groups=2), own
    )
    assert set(dispatch.ran - before) == {(NAME, "reference")}


def test_second_derivatives_come_from_the_reference(monkeypatch):
    weights, alpha, dilations = tensors((4, 4), ((3, 1), (5, 2)))
    x = torch.randn(2, 4, 6, 6)

    def second(dtype: torch.dtype, mode: str) -> list[Tensor]:
        monkeypatch.setenv(dispatch.VARIABLE, mode)
        own = [t.detach().to(dtype).requires_grad_() for t in (x, alpha, *weights)]
        out = aggregated_convolution(own[0], own[2:], own[1], dilations=dilations)
        first = torch.autograd.grad(out.sin().sum(), own, create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in first), own))

    exact = second(torch.float64, "reference")
    before = dispatch.ran.copy()
    ours = second(torch.float32, "cpu")
    ran = dispatch.ran - before
    assert ran[NAME, "cpu"] == 1 and ran[f"{NAME}_backward", "reference"] == 1
    for a, b in zip(ours, exact, strict=True):
        assert (a - b).abs().max() <= 1e-3 * b.abs().max()


@pytest.mark.parametrize("groups", [1, 4])
def test_compiles_without_a_break(groups):
    torch.manual_seed(0)
    conv = AggregatedConv(4, kernels=(3, 5), dilations=(1, 2), groups=groups)
    x, alpha = torch.randn(2, 4, 6, 6), torch.rand(4)
    inputs = [t.requires_grad_() for t in (x, alpha, *conv.parameters())]
    plain = torch.autograd.grad(conv(x, alpha).square().sum(), inputs)
    compiled = torch.compile(conv, fullgraph=True, backend="aot_eager")
    before = dispatch.ran.copy()
    found = torch.autograd.grad(compiled(x, alpha).square().sum(), inputs)
    assert (dispatch.ran - before)[f"{NAME}_backward", "cpu"] == 1
    for a, b in zip(plain, found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_the_module_is_its_plain_form(dims, groups):
    torch.manual_seed(0)
    conv = AggregatedConv(6, kernels=(3, 7), dilations=(1, 3, 7), groups=groups, dims=dims)
    x, alpha = torch.randn(2, 6, *[10] * dims), torch.rand(6)
    before = dispatch.ran.copy()
    ours = conv(x, alpha)
    assert dispatch.ran[NAME, "cpu"] - before[NAME, "cpu"] == 1
    torch.testing.assert_close(ours, conv.plain(x, alpha), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        assert torch.equal(conv(x, alpha), ours) and not conv(x, alpha).requires_grad
    assert [tuple(w.shape) for w in conv.weights][::3] == [
        (6, 6 // groups, *[k] * dims) for k in (3, 7)
    ]


def test_the_choice_says_why(monkeypatch):
    weights, alpha, _ = tensors((2, 3), ((3, 1),))
    assert explain(weights, alpha).name == "cpu"
    assert "differ" in explain(weights, alpha.double()).reason
    assert "more than 64" in explain(weights * 65, alpha).reason
    assert "float64" in explain([w.double() for w in weights], alpha.double()).reason
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    assert explain(weights, alpha).reason == "NASTURTIUM_KERNELS=reference"


def test_what_does_not_fit_raises():
    weights, alpha, dilations = tensors((2, 3), ((3, 1), (5, 2)))
    for own, words in (
        ({"alpha": alpha[:1]}, "need an alpha"),
        ({"dilations": [1]}, "need an alpha"),
        ({"weights": [weights[0], weights[1][:1]]}, "odd sides"),
        ({"weights": [weights[0], weights[1][..., :4, :4]]}, "odd sides"),
        ({"weights": [weights[0], weights[1][..., :3]]}, "odd sides"),
        ({"dilations": [1, 0]}, "dilation 0"),
        ({"side": 4}, "use an odd one"),
    ):
        given_ = {"weights": weights, "alpha": alpha, "dilations": dilations, **own}
        with pytest.raises(ValueError, match=words):
            aggregated_kernel(given_.pop("weights"), given_.pop("alpha"), **given_)
    with pytest.raises(ValueError, match="do not fit"):
        aggregated_convolution(torch.zeros(1, 4, 5, 5), weights, alpha, dilations=dilations)
    with pytest.raises(ValueError, match="odd sides"):
        AggregatedConv(4, kernels=(2,))
    sizes = {"rows": 1, "height": 3, "width": 3, "kernels": [(3, 3)], "dilations": [1]}
    for more, words in (
        ({"height": 4}, "odd sides of the sum"),
        ({"kernels": [(3, 2)]}, "odd sides of kernels"),
        ({"dilations": [1, 1]}, "at most 64"),
        ({"isa": "abacus"}, "no instruction set"),
    ):
        with pytest.raises(ValueError, match=words):
            _cpu.aggregate_forward([0], 0, 0, **sizes | more)
    with pytest.raises(ValueError, match="or none"):
        _cpu.aggregate_backward(0, [0], 0, [0, 0], 0, **sizes)


def test_on_a_gpu_torch_aggregates(monkeypatch):
    call = {"device": "cuda", "dtype": "torch.float32"}
    monkeypatch.setenv(dispatch.VARIABLE, "auto")
    choice = dispatch.choose(NAME, **call)
    assert choice.name == "reference" and "convolution" in choice.reason
    dispatch.warn_of_fallback(NAME, choice)  # warnings are errors here
    monkeypatch.setenv(dispatch.VARIABLE, "triton")
    assert "no triton kernel" in dispatch.choose(NAME, **call).reason
