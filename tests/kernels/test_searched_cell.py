"""The searched cell against float64, loops over pixels, and torch's own checks."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernel_twin import Array, normalized, pool
from torch import Tensor

from nasturtium.bench.subjects import kept_bytes
from nasturtium.kernels import CellEdge, KernelFallback, Running, dispatch, searched_cell
from nasturtium.kernels.cell import spec
from nasturtium.kernels.cell.ops import NAME, explain
from nasturtium.kernels.cell.reference import searched_cell as reference_cell
from nasturtium.kernels.supernets.nb201 import SearchedCell
from nasturtium.testing.edges import error, within
from nasturtium.testing.threads import assert_threads_change_no_bit

_cpu = pytest.importorskip("nasturtium.kernels._cpu", reason="the kernels are not compiled")

Case = tuple[Tensor, Tensor, list[Tensor], Tensor, int]


def case(shape: tuple[int, ...], nodes: int, *, seed: int = 0, mean: float = 0.0) -> Case:
    draw = torch.Generator().manual_seed(seed)
    edges, c = len(spec.pairs(nodes)), shape[1]
    x = torch.randn(shape, generator=draw) + mean
    alpha = torch.rand(edges, 5, generator=draw) + 0.1
    weights = [
        torch.randn(c, c, side, side, generator=draw) / (side * math.sqrt(c))
        for side in [1] * edges + [3] * edges
    ]
    return x, alpha, weights, torch.randn(shape, generator=draw), nodes


def derive(
    x: Tensor, alpha: Tensor, weights: list[Tensor], grad: Tensor, nodes: int, mode: str,
    **more: object,
) -> list[Tensor]:  # fmt: skip
    """Output and all gradients, by the implementation that `mode` names."""
    own = [t.detach().clone().requires_grad_() for t in (x, alpha, *weights)]
    before = dispatch.ran.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(dispatch.VARIABLE, mode)
        out = searched_cell(own[0], own[1], own[2:], nodes=nodes, **more)  # type: ignore[arg-type]
        found = torch.autograd.grad(out, own, grad)
    ran = dispatch.ran - before
    assert ran[NAME, mode] == 1 and ran[f"{NAME}_backward", mode] == (mode != "reference")
    return [out.detach(), *found]


def exactly(*own: object, **more: object) -> list[Tensor]:
    x, alpha, weights, grad, nodes = own
    double = [w.double() for w in weights]  # type: ignore[attr-defined]
    return derive(x.double(), alpha.double(), double, grad.double(), nodes, "reference", **more)  # type: ignore[attr-defined, arg-type]


def check(*own: object, mode: str = "cpu", **more: object) -> None:
    ours = derive(*own, mode, **more)  # type: ignore[arg-type, misc]
    eager = derive(*own, "reference", **more)  # type: ignore[arg-type, misc]
    exact = exactly(*own, **more)
    # Weights before a normalization may have next to no gradient (with one channel they only scale
    # it), and that of alpha is a sum of numbers of both signs.
    largest = max(g.abs().max().item() for g in exact[3:])
    floors = [0.0, 0.0, 0.1 * math.sqrt(exact[0].numel()), *[0.1 * largest] * len(exact[3:])]
    for number, (a, b, c, floor) in enumerate(zip(ours, eager, exact, floors, strict=True)):
        bar = within(a, b, c, times_eager=spec.TIMES_EAGER, epsilons=spec.EPSILONS, floor=floor)
        assert bar, (number, error(a, c, floor), error(b, c, floor))


def nearest_to_a_kink(x: Tensor, alpha: Tensor, weights: list[Tensor], nodes: int) -> float:
    """The least value of a node between, of which a rounding error would flip the ReLU's mask."""
    least, double = math.inf, [w.double() for w in weights]
    edges = len(weights) // 2
    for fewer in range(2, nodes):
        own = len(spec.pairs(fewer))
        some = [*double[:own], *double[edges : edges + own]]
        value = reference_cell(
            x.double(), alpha[:own].double(), some, fewer, None,
            training=True, momentum=0.0, epsilon=1e-5,
        )  # fmt: skip
        least = min(least, value.abs().min().item() / value.abs().max().item())
    return least


def clear(shape: tuple[int, ...], nodes: int, **more: float) -> Case:
    """The first case of which no value lies near a kink."""
    for seed in itertools.count():
        own = case(shape, nodes, seed=seed, **more)  # type: ignore[arg-type]
        if nearest_to_a_kink(*own[:3], nodes) > 3e-6:
            return own
    raise AssertionError


SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 19), st.integers(1, 9), st.integers(1, 11))


@settings(max_examples=80)
@given(shape=SHAPES, nodes=st.integers(2, 5), last=st.booleans(), seed=st.integers(0, 99))
def test_agrees_with_float64(shape, nodes, last, seed):
    # A handful of pixels are normalized to nearly the same values, whatever they are.
    assume(shape[0] * shape[2] * shape[3] >= 12)
    x, alpha, weights, grad, _ = case(shape, nodes, seed=seed)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    assume(nearest_to_a_kink(x, alpha, weights, nodes) > 1e-5)
    check(x, alpha, weights, grad, nodes)


@pytest.mark.parametrize(
    "shape", [(2, 16, 8, 8), (1, 8, 32, 5), (3, 33, 6, 7), (2, 4, 1, 9), (9, 64, 4, 4)]
)
def test_whole_cells(shape):
    check(*clear(shape, 4))


def test_agrees_with_loops_over_the_definition():
    x, alpha, weights, grad, nodes = case((2, 2, 5, 4), 3)

    def convolution(value: Array, weight: Array) -> Array:
        reach = weight.shape[-1] // 2
        out, wide = np.zeros_like(value), np.pad(value, ((0, 0), (0, 0), *[(reach, reach)] * 2))
        for i, b, r, s in np.ndindex(*out.shape):
            part = wide[i, :, r : r + 2 * reach + 1, s : s + 2 * reach + 1]
            out[i, b, r, s] = (weight[b] * part).sum()
        return out

    arrays = [w.numpy().astype(np.float64) for w in weights]
    values = [x.numpy().astype(np.float64)]
    for target in range(1, nodes):
        total = np.zeros_like(values[0])
        for number, (source, of) in enumerate(spec.pairs(nodes)):
            if of != target:
                continue
            value, own = values[source], alpha[number].tolist()
            active = np.maximum(value, 0)
            total += own[1] * value
            total += own[2] * normalized(convolution(active, arrays[number]), 1e-5)
            total += own[3] * normalized(convolution(active, arrays[3 + number]), 1e-5)
            total += own[4] * pool(value, 1, lambda v: math.fsum(v) / len(v))
        values.append(total)
    exact = exactly(x, alpha, weights, grad, nodes)[0]
    assert np.abs(exact.numpy() - values[-1]).max() < 1e-6  # alpha was rounded to float32
    ours = derive(x, alpha, weights, grad, nodes, "cpu")[0]
    assert np.abs(ours.numpy() - values[-1]).max() < 2e-5


@pytest.mark.parametrize("isa", _cpu.isas())
@pytest.mark.parametrize("shape", [(2, 16, 9, 8), (3, 24, 5, 13), (1, 3, 4, 4), (5, 32, 3, 3)])
def test_every_instruction_set_on_memory_full_of_nan(isa, shape):
    plain = {"forward": _cpu.cell_forward, "backward": _cpu.cell_backward}
    fresh, new = torch.empty, Tensor.new_empty
    own = clear(shape, 4)
    with pytest.MonkeyPatch.context() as patch:
        for name, call in plain.items():
            patch.setattr(_cpu, f"cell_{name}", lambda *a, call=call, **k: call(*a, **k, isa=isa))
        patch.setattr(torch, "empty", lambda *a, **k: fresh(*a, **k).fill_(math.nan))
        patch.setattr(Tensor, "new_empty", lambda *a, **k: new(*a, **k).fill_(math.nan))
        ours = derive(*own, "cpu")
    for a, c in zip(ours, exactly(*own), strict=True):
        assert error(a, c) < 1e-4


@pytest.mark.parametrize("shape", [(40, 8, 9, 7), (5, 16, 12, 12), (21, 40, 5, 5)])
def test_the_number_of_threads_changes_no_bit(shape):
    own = case(shape, 4)
    assert_threads_change_no_bit(lambda: derive(*own, "cpu"))


@pytest.mark.parametrize("mean", [30.0, -1e3])
def test_a_large_mean_is_no_matter(mean):
    check(*clear((4, 6, 9, 7), 3, mean=mean))


@pytest.mark.parametrize("column", range(5))
@pytest.mark.parametrize("weight", [0.0, 1e-30, 1e6])
def test_extreme_alphas(weight, column):
    for seed in itertools.count():
        x, alpha, weights, grad, nodes = case((2, 8, 6, 6), 3, seed=seed)
        alpha[1, column] = weight
        if nearest_to_a_kink(x, alpha, weights, nodes) > 3e-6:
            break
    check(x, alpha, weights, grad, nodes)


def statistics(nodes: int, channels: int) -> Running:
    draw, norms = torch.Generator().manual_seed(5), 2 * len(spec.pairs(nodes))
    return Running(
        list(torch.randn(norms, channels, generator=draw)),
        list(torch.rand(norms, channels, generator=draw) + 0.5),
    )


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [3, 8])
def test_infinite_and_missing_values_come_out_as_in_torch(value, training, channels):
    x, alpha, weights, grad, nodes = case((2, channels, 6, 7), 3)
    x[1, 2, 3, 6] = x[1, 2, 3, 5] = x[0, 0, 0, 0] = value
    more = {"training": training, "running": None if training else statistics(nodes, channels)}
    ours = derive(x, alpha, weights, grad, nodes, "cpu", **more)
    eager = derive(x, alpha, weights, grad, nodes, "reference", **more)
    for number, (a, b) in enumerate(zip(ours, eager, strict=True)):
        assert torch.equal(a.isfinite(), b.isfinite()), number


def test_views_are_read_as_they_are():
    x, alpha, weights, grad, nodes = case((2, 6, 8, 7), 3)
    wide = torch.zeros(2, 12, 8, 14)
    wide[:, ::2, :, ::2] = x
    view = wide[:, ::2, :, ::2]
    assert not view.is_contiguous()
    plain = derive(x, alpha, weights, grad, nodes, "cpu")
    own = view.detach().requires_grad_()
    out = searched_cell(own, alpha, weights, nodes=nodes)
    (found,) = torch.autograd.grad(out, own, grad.transpose(2, 3).contiguous().transpose(2, 3))
    assert torch.equal(out, plain[0]) and torch.equal(found, plain[1])


def test_running_statistics_are_those_of_batch_norm():
    own = case((3, 5, 6, 7), 4)
    kept = {mode: statistics(4, 5) for mode in ("cpu", "reference")}
    for mode, running in kept.items():
        derive(*own, mode, running=running, momentum=0.3)
    for a, b in zip(kept["cpu"], kept["reference"], strict=True):
        assert torch.allclose(torch.stack(list(a)), torch.stack(list(b)), rtol=1e-5, atol=1e-6)
    assert not torch.equal(kept["cpu"].means[0], statistics(4, 5).means[0])


@pytest.mark.parametrize("channels", [5, 16])
def test_evaluation_uses_the_running_statistics(channels):
    own, running = case((3, channels, 6, 7), 4), statistics(4, channels)
    ours = derive(*own, "cpu", running=running, training=False)
    double = Running([m.double() for m in running.means], [v.double() for v in running.variances])
    exact = exactly(*own, running=double, training=False)
    eager = derive(*own, "reference", running=running, training=False)
    for a, b, c in zip(ours, eager, exact, strict=True):
        assert within(a, b, c, times_eager=4, epsilons=16)
    before = dispatch.ran.copy()
    with torch.no_grad():
        out = searched_cell(*own[:3], running=running, training=False)
    assert (dispatch.ran - before)[NAME, "cpu"] == 1 and torch.equal(out, ours[0])
    assert torch.equal(running.means[0], statistics(4, channels).means[0])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [3, 8])
def test_torch_accepts_the_operators(training, channels):
    x, alpha, weights, grad, nodes = case((2, channels, 5, 6), 3)
    norms = 2 * len(spec.pairs(nodes))
    given_ = (torch.empty(0),) * 2
    if not training:
        given_ = (torch.zeros(norms, channels), torch.ones(norms, channels))
    own = [t.clone().requires_grad_() for t in (x, alpha, *weights)]
    ops, settings_ = torch.ops.nasturtium, (nodes, training, 1e-5)
    torch.library.opcheck(ops.searched_cell, (own[0], own[1], own[2:], *given_, *settings_, True))
    _, *kept, mean, variance = ops.searched_cell(x, alpha, weights, *given_, *settings_, True)
    for needs in (1, 2, 4, 7):
        torch.library.opcheck(
            ops.searched_cell_backward,
            (grad, x, alpha, weights, kept, mean, variance, *settings_, needs),
        )


def test_second_derivatives_come_from_the_reference(monkeypatch):
    x, alpha, weights, _, nodes = case((2, 3, 5, 6), 3)

    def second(dtype: torch.dtype, mode: str) -> list[Tensor]:
        monkeypatch.setenv(dispatch.VARIABLE, mode)
        own = [t.detach().to(dtype).requires_grad_() for t in (x, alpha, *weights)]
        out = searched_cell(own[0], own[1], own[2:], nodes=nodes)
        first = torch.autograd.grad(out.sin().sum(), own, create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in first), own))

    exact = second(torch.float64, "reference")
    before = dispatch.ran.copy()
    ours = second(torch.float32, "cpu")
    ran = dispatch.ran - before
    assert ran[NAME, "cpu"] == 1 and ran[f"{NAME}_backward", "reference"] == 1
    for a, b in zip(ours, exact, strict=True):
        assert (a - b).abs().max() <= 1e-3 * b.abs().max()


def test_gradcheck_of_the_reference(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    x, alpha, weights, _, nodes = case((2, 2, 2, 3), 3)
    own = [t.double().requires_grad_() for t in (x, alpha, *weights)]
    assert torch.autograd.gradcheck(lambda x, a, *w: searched_cell(x, a, w, nodes=nodes), own)


def test_what_is_kept():
    module = SearchedCell(16)
    x, alpha, weights, _, _ = case((8, 16, 16, 16), 4)
    x = x.contiguous(memory_format=torch.channels_last)
    own = [t.requires_grad_() for t in (x, alpha, *weights, *module.parameters())]
    kept = partial(kept_bytes, without=own)
    before = dispatch.ran.copy()
    found = {
        "cpu": kept(lambda: searched_cell(x, alpha, weights)),
        "reference": kept(lambda: module.plain(x, alpha)),
    }
    assert (dispatch.ran - before) == {(NAME, "cpu"): 1}
    assert found["cpu"] <= spec.MOST_KEPT * found["reference"]
    assert 8 * x.numel() * 4 <= found["cpu"] <= 8 * x.numel() * 4 + 8192
    with torch.no_grad():
        assert kept(lambda: searched_cell(x, alpha, weights)) == 0
        empty = torch.ops.nasturtium.searched_cell(
            x, alpha, weights, torch.empty(0), torch.empty(0), 4, True, 1e-5, False
        )
    assert all(t.numel() == 0 for t in empty[1:4])


def test_only_what_is_asked_for_is_computed(monkeypatch):
    x, alpha, weights, grad, nodes = case((2, 8, 4, 5), 3)
    everything = derive(x, alpha, weights, grad, nodes, "cpu")
    seen, plain = [], _cpu.cell_backward
    monkeypatch.setattr(_cpu, "cell_backward", lambda *a, **k: (seen.append(a), plain(*a, **k)))
    for asked in ([0], [1], [2], [0, 1], [1, 5], [0, 2, 3]):
        own = [t.detach().clone() for t in (x, alpha, *weights)]
        wanted = [own[k].requires_grad_() for k in asked]
        out = searched_cell(own[0], own[1], own[2:], nodes=nodes)
        found = torch.autograd.grad(out, wanted, grad)
        *_, of_x, of_alpha, of_weights = seen[-1]
        assert [of_x != 0, of_alpha != 0, bool(of_weights)] == [
            0 in asked, 1 in asked, max(asked) > 1,
        ]  # fmt: skip
        for k, value in zip(asked, found, strict=True):
            assert torch.equal(value, everything[k + 1])


@pytest.mark.parametrize("channels", [4, 8])
def test_compiles_without_a_break(channels):
    cell = SearchedCell(channels)
    x, alpha = torch.randn(2, channels, 6, 6), torch.rand(6, 5)
    inputs = [t.requires_grad_() for t in (x, alpha, *cell.parameters())]
    plain = torch.autograd.grad(cell(x, alpha).square().sum(), inputs)
    compiled = torch.compile(cell, fullgraph=True, backend="aot_eager")
    before = dispatch.ran.copy()
    found = torch.autograd.grad(compiled(x, alpha).square().sum(), inputs)
    assert (dispatch.ran - before)[f"{NAME}_backward", "cpu"] == 1
    for a, b in zip(plain, found, strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_choice_says_why(monkeypatch):
    x, alpha, weights, _, _ = case((2, 3, 4, 5), 4)
    assert explain(x, alpha, weights).name == "cpu"
    assert "differ" in explain(x.double(), alpha, weights).reason
    assert "empty" in explain(x[:0], alpha, weights).reason
    assert "more than 8 nodes" in explain(x, alpha, weights, nodes=9).reason
    assert "one pixel" in explain(x[:1, :, :1, :1], alpha, weights).reason
    assert explain(x[:1, :, :1, :1], alpha, weights, training=False).name == "cpu"
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert "autocast" in explain(x, alpha, weights).reason
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    assert explain(x, alpha, weights).reason == "NASTURTIUM_KERNELS=reference"


def test_a_fallback_warns_once(monkeypatch):
    monkeypatch.setattr(dispatch, "_warned", set())
    x, alpha, weights, _, _ = case((1, 2, 3, 3), 9)
    with pytest.warns(KernelFallback, match="more than 8 nodes"):
        searched_cell(x, alpha, weights, nodes=9)
    searched_cell(x, alpha, weights, nodes=9)  # warnings are errors here


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nodes": 1}, "two nodes or more"),
        ({"alpha": torch.rand(3)}, "need alpha"),
        ({"weights": []}, "need weights"),
        ({"x": torch.zeros(3, 4, 4)}, "N, C, H, W"),
        ({"training": False}, "running statistics are needed"),
        ({"running": Running([], [])}, "need 6 running"),
    ],
)
def test_what_does_not_fit_raises(change, words):
    x, alpha, weights, _, nodes = case((2, 3, 4, 5), 3)
    arguments = {"x": x, "alpha": alpha, "weights": weights, "nodes": nodes, **change}
    positional = [arguments.pop(name) for name in ("x", "alpha", "weights")]
    with pytest.raises(ValueError, match=words):
        searched_cell(*positional, **arguments)


def test_bad_arguments_of_the_raw_kernel_raise():
    sizes = {"batch": 1, "height": 4, "width": 4, "training": True, "epsilon": 1.0}
    call = (0, 0, [0, 0], 0, (0, 0, 0), 0, 0)
    for more, words in (
        ({"channels": 4, "nodes": 2}, "multiple of eight"),
        ({"channels": 8, "nodes": 1}, "2 to 8"),
        ({"channels": 8, "nodes": 3}, "two weights"),
        ({"channels": 8, "nodes": 2, "isa": "abacus"}, "no instruction set"),
    ):
        with pytest.raises(ValueError, match=words):
            _cpu.cell_forward(*call, **sizes, **more)


@pytest.mark.parametrize("mode", ["cpu", "reference"])
def test_the_module_is_its_plain_form(monkeypatch, mode):
    monkeypatch.setenv(dispatch.VARIABLE, mode)
    torch.manual_seed(0)
    fused, plain = CellEdge(6), CellEdge(6)
    plain.load_state_dict(fused.state_dict())
    x, alpha = torch.randn(3, 6, 8, 8), torch.rand(5)
    for training in (True, False):
        fused.train(training)
        plain.train(training)
        before = dispatch.ran.copy()
        a, b = fused(x, alpha), plain.plain(x, alpha)
        assert (dispatch.ran - before) == {(NAME, mode): 1}
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)
        for module, out in ((fused, a), (plain, b)):
            module.zero_grad()
            out.square().sum().backward()
        for p, q in zip(fused.parameters(), plain.parameters(), strict=True):
            assert torch.allclose(p.grad, q.grad, rtol=1e-3, atol=1e-3)
    state = plain.state_dict()
    for name, value in fused.state_dict().items():
        assert torch.allclose(value.double(), state[name].double(), rtol=1e-5, atol=1e-6), name
        if name.endswith("tracked"):
            assert value == 1
