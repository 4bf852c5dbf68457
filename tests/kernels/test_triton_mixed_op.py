"""The mixed operation by Triton kernels, interpreted, against float64."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from test_mixed_op import (
    check,
    derive,
    dropped,
    exactly,
    nearest_to_a_kink,
    statistics,
    tensors,
)
from torch import Tensor

from nasturtium.kernels import MixedEdge, Running, dispatch, mixed_operation, node_sum
from nasturtium.kernels.mixed_op import spec
from nasturtium.kernels.mixed_op.ops import NAME, explain
from nasturtium.kernels.mixed_op.spec import CANDIDATES, Edge
from nasturtium.testing.edges import error, within

pytest.importorskip("nasturtium.kernels.tiles", reason="triton is not installed")

FEW = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
Tensors = tuple[Tensor, Tensor, list[Tensor], Tensor]


def off_the_kink(shape: tuple[int, ...], edge: Edge, **more: object) -> Tensors:
    """The first tensors where rounding decides on no gradient."""
    drawn = (tensors(shape, edge, seed=s, **more) for s in itertools.count())  # type: ignore[arg-type]
    return next(t for t in drawn if nearest_to_a_kink(t[0], t[2], edge) > 1e-4)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(1, 16, 8, 8), (2, 5, 7, 6), (3, 2, 4, 5)])
def test_all_candidates_at_once(shape, stride):
    edge = Edge(CANDIDATES, stride)
    check(*off_the_kink(shape, edge), edge, mode="triton")


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", CANDIDATES)
def test_each_candidate_alone(name, stride):
    edge = Edge((name,), stride)
    channels = 3 if name == "skip_connect" else 1
    check(*off_the_kink((2, channels, 6, 7), edge), edge, mode="triton")


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(3, 4, 8, 6), (2, 17, 5, 5)])
def test_alphas_of_each_image(shape, stride):
    edge = Edge(CANDIDATES, stride)
    x, alpha, weights, grad = off_the_kink(shape, edge)
    check(x, dropped(alpha, shape[0]), weights, grad, edge, mode="triton")


@pytest.mark.parametrize("most", [1, 4])
def test_an_image_of_several_units(monkeypatch, most):
    tiles = pytest.importorskip("nasturtium.kernels.tiles")
    monkeypatch.setattr(tiles, "MOST_UNITS", most)
    edge = Edge(("max_pool_3x3", "skip_connect", "dil_conv_3x3"))
    x, alpha, weights, grad = tensors((2, 3, 17, 16), edge)
    assert tiles.Units.of(2 * 17 * 16, 2).each == max(most // 2, 1)
    check(x, dropped(alpha, 2), weights, grad, edge, mode="triton")


@pytest.mark.parametrize("stride", [1, 2])
def test_alphas_of_each_image_that_are_one_row_are_as_one(stride):
    edge = Edge(FEW, stride)
    x, alpha, weights, grad = tensors((3, 5, 6, 7), edge)
    one = derive(x, alpha, weights, grad, edge, "triton")
    own = derive(x, alpha.expand(3, -1), weights, grad, edge, "triton")
    assert own[2].shape == (3, len(FEW))
    own[2] = own[2].sum(0)
    for a, b in zip(own, one, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("weight", [0.0, 1e-30, 1e6])
def test_extreme_alphas(weight):
    edge = Edge(FEW)
    x, alpha, weights, grad = off_the_kink((2, 3, 5, 6), edge)
    alpha[4] = weight
    check(x, alpha, weights, grad, edge, mode="triton")


@pytest.mark.parametrize("mean", [1e2, -1e3])
def test_a_large_mean_is_no_matter(mean):
    edge = Edge(("max_pool_3x3", "avg_pool_3x3", "skip_connect", "dil_conv_3x3"))
    check(*tensors((2, 6, 9, 7), edge, mean=mean), edge, mode="triton")


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_infinite_and_missing_values_come_out_as_in_torch(value, training):
    edge = Edge(FEW)
    x, alpha, weights, grad = tensors((2, 3, 6, 7), edge)
    x[1, 2, 3, 6] = x[1, 2, 3, 5] = x[0, 0, 0, 0] = value
    more = {"training": training, "running": None if training else statistics(edge, 3)}
    ours = derive(x, alpha, weights, grad, edge, "triton", **more)
    eager = derive(x, alpha, weights, grad, edge, "reference", **more)
    for number, (a, b) in enumerate(zip(ours, eager, strict=True)):
        assert torch.equal(a.isfinite(), b.isfinite()), number


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_the_maximum_is_the_first_of_equal_inputs():
    for stride in (1, 2):
        edge = Edge(("max_pool_3x3",), stride)
        x, alpha, weights, grad = tensors((2, 3, 7, 6), edge)
        x = (x * 2).round().clamp(-1, 1)
        x[0, :, :3, :3] = -math.inf
        more = {"training": False, "running": statistics(edge, 3)}
        ours = derive(x, alpha, weights, grad, edge, "triton", **more)[1]
        eager = derive(x, alpha, weights, grad, edge, "reference", **more)[1]
        assert torch.allclose(ours, eager, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
def test_memory_full_of_nan(monkeypatch, stride):
    edge, fresh = Edge(FEW, stride), torch.empty
    case = (*off_the_kink((2, 3, 9, 8), edge), edge)

    def spoiled(*sizes, **more):
        t = fresh(*sizes, **more)
        return t.fill_(math.nan if t.is_floating_point() else 77)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty", spoiled)
        patch.setattr(Tensor, "new_empty", lambda t, *s, **k: spoiled(
            *s, **{"dtype": t.dtype, "device": t.device, **k}))  # fmt: skip
        ours = derive(*case, "triton")
    for a, c in zip(ours, exactly(*case), strict=True):
        assert error(a, c) < 1e-4


@pytest.mark.parametrize("stride", [1, 2])
def test_statistics_are_updated_and_used(stride):
    edge = Edge(FEW, stride)
    case = (*off_the_kink((3, 5, 6, 7), edge), edge)
    kept = {mode: statistics(edge, 5) for mode in ("triton", "reference")}
    for mode, own in kept.items():
        derive(*case, mode, running=own, momentum=0.3)
    for a, b in zip(kept["triton"], kept["reference"], strict=True):
        assert torch.allclose(torch.stack(list(a)), torch.stack(list(b)), rtol=1e-5, atol=1e-6)
    own = statistics(edge, 5)
    ours = derive(*case, "triton", running=own, training=False)
    eager = derive(*case, "reference", running=own, training=False)
    double = Running([m.double() for m in own.means], [v.double() for v in own.variances])
    exact = exactly(*case, running=double, training=False)
    for a, b, c in zip(ours, eager, exact, strict=True):
        assert within(a, b, c, times_eager=spec.TIMES_EAGER, epsilons=spec.EPSILONS)
    assert torch.equal(own.means[0], statistics(edge, 5).means[0])


def test_views_are_read_as_they_are():
    edge = Edge(("skip_connect", "avg_pool_3x3", "dil_conv_3x3"))
    x, alpha, weights, grad = tensors((2, 4, 5, 7), edge)
    wide = torch.zeros(2, 8, 5, 14)
    wide[:, ::2, :, ::2] = x
    turned = grad.transpose(2, 3).contiguous().transpose(2, 3)
    plain = derive(x, alpha, weights, grad, edge, "triton")
    ours = derive(wide[:, ::2, :, ::2], alpha, weights, turned, edge, "triton")
    assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))


def test_only_what_is_asked_for(monkeypatch):
    edge = Edge(FEW)
    x, alpha, weights, grad = tensors((2, 3, 4, 5), edge)
    everything = derive(x, alpha, weights, grad, edge, "triton")
    monkeypatch.setenv(dispatch.VARIABLE, "triton")
    for asked in ([0], [1], [2], [0, 5]):
        own = [t.detach().clone() for t in (x, alpha, *weights)]
        wanted = [own[k].requires_grad_() for k in asked]
        before = dispatch.ran.copy()
        out = mixed_operation(own[0], own[1], own[2:], candidates=FEW)
        found = torch.autograd.grad(out, wanted, grad)
        assert (dispatch.ran - before)[f"{NAME}_backward", "triton"] == 1
        for k, value in zip(asked, found, strict=True):
            assert torch.equal(value, everything[k + 1])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("channels", "each"), [(3, False), (8, True)])
def test_what_is_kept_in_bfloat16(channels, each, stride, training):
    edge = Edge(FEW, stride)
    x, alpha, weights, grad = tensors((2, channels, 6, 7), edge)
    case = (x, dropped(alpha, 2) if each else alpha, weights, grad, edge)
    more = {"training": training, "running": None if training else statistics(edge, channels)}
    whole = derive(*case, "triton", **more)
    half = derive(*case, "triton", storage="bfloat16", **more)
    assert torch.equal(whole[0], half[0])
    largest = max(g.norm() for g in whole[3:])
    for a, b in zip(half[1:], whole[1:], strict=True):
        assert (a - b).norm() <= spec.BFLOAT16_ERROR * max(b.norm(), 0.1 * largest)
    assert not torch.equal(half[2], whole[2])  # of alpha, which every kept value has a part in


def test_torch_accepts_the_operators(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "triton")
    edge = Edge(("max_pool_3x3", "skip_connect", "dil_conv_3x3"))
    x, alpha, weights, grad = tensors((2, 3, 4, 5), edge)
    mean, variance, none = torch.zeros(edge.norms, 3), torch.ones(edge.norms, 3), torch.empty(0)
    own = [t.clone().requires_grad_() for t in (x, alpha, *weights)]
    ops, settings = torch.ops.nasturtium, (edge.numbers, [1], 1, True, 1e-5)
    before = dispatch.ran.copy()
    torch.library.opcheck(
        ops.mixed_operation, ([own[0]], [own[1]], own[2:], none, none, *settings, torch.float32)
    )
    kept = ops.mixed_operation([x], [alpha], weights, none, none, *settings, torch.float32)[1]
    torch.library.opcheck(
        ops.mixed_operation_backward,
        (grad, [x], [alpha], weights, kept, mean, variance, *settings, [7]),
    )
    ran = dispatch.ran - before
    assert ran[NAME, "triton"] and ran[f"{NAME}_backward", "triton"]
    assert not ran[NAME, "cpu"] and not ran[f"{NAME}_backward", "cpu"]


def test_the_module_takes_it_too(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "triton")
    torch.manual_seed(0)
    edge = MixedEdge(4, candidates=FEW, stride=2)
    x, alpha = torch.randn(2, 4, 6, 6), torch.rand(len(FEW))
    assert explain(x, alpha, list(edge.branches.parameters()), candidates=FEW, stride=2).name == (
        "triton"
    )
    before = dispatch.ran.copy()
    assert torch.allclose(edge(x, alpha), edge.plain(x, alpha), rtol=1e-4, atol=1e-5)
    assert (dispatch.ran - before)[NAME, "triton"] == 1


class Sum:
    """Random edges of one node, of stride 2 first; alphas of each image where ``each`` says so."""

    def __init__(self, names: tuple[str, ...], strides: list[int], each: list[bool]) -> None:
        draw = torch.Generator().manual_seed(0)
        edges = [Edge(names, stride) for stride in strides]
        self.more = {"candidates": names, "strides": strides}
        self.xs = [torch.randn(2, 4, 4 * s, 5 * s, generator=draw) for s in strides]
        self.alphas = [
            torch.rand(*((2,) if own else ()), len(names), generator=draw) for own in each
        ]
        self.weights = [torch.randn(s, generator=draw) / 3 for e in edges for s in e.shapes(4)]
        self.counts = [len(e.shapes(4)) for e in edges]
        self.grad = torch.randn(2, 4, 4, 5, generator=draw)

    def run(self, mode: str, dtype: torch.dtype = torch.float32, **more: str) -> list[Tensor]:
        """The sum and all gradients."""
        kinds = (self.xs, self.alphas, self.weights)
        xs, alphas, flat = ([t.detach().to(dtype).requires_grad_() for t in kind] for kind in kinds)
        rest = iter(flat)
        own = [[next(rest) for _ in range(count)] for count in self.counts]
        before = dispatch.ran.copy()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(dispatch.VARIABLE, mode)
            out = node_sum(xs, alphas, own, **self.more, **more)
            found = torch.autograd.grad(out, [*xs, *alphas, *flat], self.grad.to(dtype))
        ran = dispatch.ran - before
        assert ran[NAME, mode] == 1 and ran[f"{NAME}_backward", mode] == (mode != "reference")
        return [out.detach(), *found]


SMOOTH = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "dil_conv_3x3")


@pytest.mark.parametrize("most", [40, 3])
def test_edges_of_a_node_are_summed(monkeypatch, most):
    own = pytest.importorskip("nasturtium.kernels.mix.tiles")
    monkeypatch.setattr(own, "MOST_MIXED", most)
    node = Sum(SMOOTH, [2, 1, 1], [False, False, True])
    ours, eager = node.run("triton"), node.run("reference")
    exact = node.run("reference", torch.float64)
    floor = 0.1 * max(float(t.abs().max()) for t in exact[1:])
    for a, b, c in zip(ours, eager, exact, strict=True):
        bars = {"times_eager": spec.TIMES_EAGER, "epsilons": spec.EPSILONS, "floor": floor}
        assert within(a, b, c, **bars), (error(a, c, floor), error(b, c, floor))
    half = node.run("triton", storage="bfloat16")
    assert torch.equal(half[0], ours[0])
    for a, b in zip(half[1:], ours[1:], strict=True):
        assert (a - b).norm() <= spec.BFLOAT16_ERROR * max(b.norm(), floor)


def test_a_node_is_written_in_one_launch():
    own = pytest.importorskip("nasturtium.kernels.mixed_op.gpu")
    tiles = pytest.importorskip("nasturtium.kernels.tiles")
    node = Sum(SMOOTH, [2, 1, 1], [False] * 3)
    numbers, none = Edge(SMOOTH).numbers, torch.empty(0)
    with tiles.recorded() as launches:
        inputs = (node.xs, node.alphas, node.weights, none, none)
        own.forward(*inputs, numbers, [2, 1, 1], 1, True, 1e-5, torch.float32)
    writes = [each.arguments for each in launches if each.kernel.name == "mix_forward"]
    assert [(len(a["KINDS"]), a["ADDED"]) for a in writes] == [(12, False)]
