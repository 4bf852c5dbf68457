"""The mixed operation against float64, loops over pixels, and torch's own checks."""

from __future__ import annotations

import ctypes.util
import itertools
import math
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernel_twin import mixed_twin
from torch import Tensor

from nasturtium.bench.subjects import kept_bytes
from nasturtium.kernels import MixedEdge, Running, dispatch, mixed_operation
from nasturtium.kernels.mixed_op import spec
from nasturtium.kernels.mixed_op.ops import NAME, explain
from nasturtium.kernels.mixed_op.spec import CANDIDATES, Edge
from nasturtium.testing.edges import (
    check,
    derive,
    dropped,
    error,
    exactly,
    nearest_to_a_kink,
    statistics,
    tensors,
    within,
)
from nasturtium.testing.threads import assert_threads_change_no_bit

_cpu = pytest.importorskip("nasturtium.kernels._cpu", reason="the kernels are not compiled")


EDGES = st.builds(
    lambda names, stride: Edge(tuple(names), stride),
    st.lists(st.sampled_from(CANDIDATES), min_size=1, max_size=8, unique=True),
    st.sampled_from([1, 1, 2]),
)
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 19), st.integers(2, 9), st.integers(2, 11))


@settings(max_examples=100)
@given(shape=SHAPES, edge=EDGES, last=st.booleans(), each=st.booleans(), seed=st.integers(0, 99))
def test_agrees_with_float64(shape, edge, last, each, seed):
    # A handful of pixels are normalized to nearly the same values, whatever they are.
    assume(shape[1] > 1 or edge.stride == 1)
    assume(shape[0] * edge.output(shape[2]) * edge.output(shape[3]) >= 8)
    x, alpha, weights, grad = tensors(shape, edge, seed=seed)
    if each:
        alpha = dropped(alpha, shape[0], seed)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    # Rounding decides on which side of a kink such a value falls, and the gradients with it.
    assume(nearest_to_a_kink(x, weights, edge) > 1e-4)
    check(x, alpha, weights, grad, edge)


@pytest.mark.parametrize("shape", [(2, 16, 8, 8), (1, 8, 32, 5), (3, 33, 6, 7), (2, 4, 1, 9)])
@pytest.mark.parametrize("stride", [1, 2])
def test_all_candidates_at_once(shape, stride):
    edge = Edge(CANDIDATES, stride)
    seeds = (s for s in itertools.count() if nearest_to_a_kink(
        *(lambda t: (t[0], t[2]))(tensors(shape, edge, seed=s)), edge) > 1e-4)  # fmt: skip
    check(*tensors(shape, edge, seed=next(seeds)), edge)


@pytest.mark.parametrize("shape", [(6, 4, 7, 9), (16, 4, 6, 5), (8, 2, 6, 6), (4, 8, 5, 6)])
def test_images_side_by_side_in_a_pixel(shape):
    """A batch that divides is packed, one image more is not: the same sums in another order."""
    edge = Edge(CANDIDATES)
    seeds = (s for s in itertools.count() if nearest_to_a_kink(
        *(lambda t: (t[0], t[2]))(tensors(shape, edge, seed=s)), edge) > 1e-5)  # fmt: skip
    case = (*tensors(shape, edge, seed=next(seeds)), edge)
    check(*case)
    more = {"running": statistics(edge, shape[1]), "training": False}
    whole = derive(*case, "cpu", **more)
    odd = derive(case[0][:-1], *case[1:3], case[3][:-1], edge, "cpu", **more)
    for which in (0, 1):
        assert torch.allclose(whole[which][:-1], odd[which], rtol=1e-5, atol=1e-5)
    assert_threads_change_no_bit(lambda: derive(*case, "cpu"))


def test_agrees_with_loops_over_the_definition():
    for stride in (1, 2):
        edge = Edge(CANDIDATES, stride)
        x, alpha, weights, grad = tensors((2, 2, 5, 4), edge)
        plain = mixed_twin(
            x.numpy().astype(np.float64), alpha.tolist(),
            [w.numpy().astype(np.float64) for w in weights], edge.candidates, stride, 1e-5,
        )  # fmt: skip
        exact = exactly(x, alpha, weights, grad, edge)[0]
        assert np.abs(exact.numpy() - plain).max() < 1e-9
        ours = derive(x, alpha, weights, grad, edge, "cpu")[0]
        assert np.abs(ours.numpy() - plain).max() < 2e-5


@pytest.mark.parametrize("isa", _cpu.isas())
@pytest.mark.parametrize("shape", [(2, 16, 9, 8), (3, 24, 5, 13), (1, 3, 4, 4)])
def test_every_instruction_set_on_memory_full_of_nan(isa, shape):
    plain = {"forward": _cpu.mixed_forward, "backward": _cpu.mixed_backward}
    fresh = torch.empty
    for edge in (Edge(CANDIDATES), Edge(CANDIDATES, 2)):
        case = (*tensors(shape, edge, seed=1), edge)
        with pytest.MonkeyPatch.context() as patch:
            for name, call in plain.items():
                own = f"mixed_{name}"
                patch.setattr(_cpu, own, lambda *a, call=call, **k: call(*a, **k, isa=isa))
            patch.setattr(torch, "empty", lambda *a, **k: fresh(*a, **k).fill_(math.nan))
            ours = derive(*case, "cpu")
        exact = exactly(*case)
        for a, c in zip(ours, exact, strict=True):
            assert error(a, c) < 1e-4


@pytest.mark.parametrize("stride", [1, 2])
def test_alphas_of_each_image_are_those_of_edges_of_one_image(stride):
    edge = Edge(CANDIDATES, stride)
    x, alpha, weights, grad = tensors((3, 8, 6, 5), edge, seed=2)
    more = {"training": False, "running": statistics(edge, 8)}
    each = dropped(alpha, 3)
    whole = derive(x, each, weights, grad, edge, "cpu", **more)
    alone = [
        derive(x[i : i + 1], each[i], weights, grad[i : i + 1], edge, "cpu", **more)
        for i in range(3)
    ]
    assert torch.equal(whole[0], torch.cat([part[0] for part in alone]))
    assert torch.equal(whole[1], torch.cat([part[1] for part in alone]))
    assert torch.equal(whole[2], torch.stack([part[2] for part in alone]))


def test_equal_alphas_of_each_image_are_one_alpha():
    edge = Edge(CANDIDATES)
    x, alpha, weights, grad = tensors((4, 16, 7, 6), edge)
    one = derive(x, alpha, weights, grad, edge, "cpu")
    many = derive(x, alpha.expand(4, -1), weights, grad, edge, "cpu")
    assert torch.equal(one[0], many[0])
    assert torch.allclose(one[2], many[2].sum(0), rtol=1e-5, atol=1e-5)
    for a, b in zip(one[1:2] + one[3:], many[1:2] + many[3:], strict=True):
        assert (a - b).abs().max() <= 1e-6 * b.abs().max()


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("shape", [(40, 8, 9, 7), (5, 16, 12, 12)])
def test_the_number_of_threads_changes_no_bit(shape, each):
    edge = Edge(CANDIDATES)
    x, alpha, *rest = tensors(shape, edge)
    case = (x, dropped(alpha, shape[0]) if each else alpha, *rest, edge)
    assert_threads_change_no_bit(lambda: derive(*case, "cpu"))


@pytest.mark.parametrize("mean", [1e2, -1e3])
def test_a_large_mean_is_no_matter(mean):
    edge = Edge(("max_pool_3x3", "avg_pool_3x3", "skip_connect", "dil_conv_3x3", "dil_conv_5x5"))
    check(*tensors((4, 6, 9, 7), edge, mean=mean), edge)
    edge = Edge(("sep_conv_3x3", "sep_conv_5x5"))
    case = (*tensors((4, 6, 9, 7), edge, mean=mean), edge)
    ours, eager, exact = derive(*case, "cpu"), derive(*case, "reference"), exactly(*case)
    assert within(ours[0], eager[0], exact[0], times_eager=4, epsilons=16)


@pytest.mark.parametrize("weight", [0.0, 1e-30, 1e6])
def test_extreme_alphas(weight):
    edge = Edge(CANDIDATES)
    x, alpha, weights, grad = tensors((2, 8, 6, 6), edge, seed=3)
    alpha[4] = weight
    assert nearest_to_a_kink(x, weights, edge) > 1e-6
    check(x, alpha, weights, grad, edge)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "names",
    [
        ("max_pool_3x3",),
        ("avg_pool_3x3", "skip_connect"),
        ("dil_conv_3x3", "skip_connect"),
        ("sep_conv_5x5", "none"),
        CANDIDATES,
    ],
)
def test_infinite_and_missing_values_come_out_as_in_torch(value, training, names):
    edge = Edge(names)
    x, alpha, weights, grad = tensors((2, 3, 6, 7), edge)
    x[1, 2, 3, 6] = x[1, 2, 3, 5] = x[0, 0, 0, 0] = value
    more = {"training": training, "running": None if training else statistics(edge, 3)}
    ours = derive(x, alpha, weights, grad, edge, "cpu", **more)
    eager = derive(x, alpha, weights, grad, edge, "reference", **more)
    for number, (a, b) in enumerate(zip(ours, eager, strict=True)):
        assert torch.equal(a.isfinite(), b.isfinite()), number


def test_the_maximum_is_the_first_of_equal_inputs():
    edge = Edge(("max_pool_3x3",))
    x, alpha, weights, grad = tensors((2, 8, 7, 6), edge)
    x = (x * 2).round().clamp(-1, 1)
    x[0, :, :3, :3] = -math.inf
    more = {"training": False, "running": statistics(edge, 8)}
    ours = derive(x, alpha, weights, grad, edge, "cpu", **more)[1]
    eager = derive(x, alpha, weights, grad, edge, "reference", **more)[1]
    assert torch.allclose(ours, eager, rtol=1e-6, atol=1e-6)


def test_views_are_read_as_they_are():
    edge = Edge(CANDIDATES)
    x, alpha, weights, grad = tensors((2, 6, 8, 7), edge)
    wide = torch.zeros(2, 12, 8, 14)
    wide[:, ::2, :, ::2] = x
    view = wide[:, ::2, :, ::2]
    assert not view.is_contiguous()
    plain = derive(x, alpha, weights, grad, edge, "cpu")
    own = view.detach().requires_grad_()
    out = mixed_operation(own, alpha, weights, candidates=edge.candidates)
    (found,) = torch.autograd.grad(out, own, grad.transpose(2, 3).contiguous().transpose(2, 3))
    assert torch.equal(out, plain[0]) and torch.equal(found, plain[1])


def test_running_statistics_are_those_of_batch_norm():
    edge = Edge(CANDIDATES)
    case = (*tensors((3, 5, 6, 7), edge), edge)
    kept = {mode: statistics(edge, 5) for mode in ("cpu", "reference")}
    for mode, own in kept.items():
        derive(*case, mode, running=own, momentum=0.3)
    for a, b in zip(kept["cpu"], kept["reference"], strict=True):
        assert torch.allclose(torch.stack(list(a)), torch.stack(list(b)), rtol=1e-5, atol=1e-6)
    assert not torch.equal(kept["cpu"].means[0], statistics(edge, 5).means[0])


@pytest.mark.parametrize("channels", [5, 16])
def test_evaluation_uses_the_running_statistics(channels):
    edge = Edge(CANDIDATES)
    case = (*tensors((3, channels, 6, 7), edge), edge)
    own = statistics(edge, channels)
    ours = derive(*case, "cpu", running=own, training=False)
    double = Running([m.double() for m in own.means], [v.double() for v in own.variances])
    exact = exactly(*case, running=double, training=False)
    eager = derive(*case, "reference", running=own, training=False)
    for a, b, c in zip(ours, eager, exact, strict=True):
        assert within(a, b, c, times_eager=4, epsilons=16)
    before = dispatch.ran.copy()
    with torch.no_grad():
        out = mixed_operation(*case[:3], running=own, training=False)
    assert (dispatch.ran - before)[NAME, "cpu"] == 1 and torch.equal(out, ours[0])
    assert torch.equal(own.means[0], statistics(edge, channels).means[0])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("each", [False, True])
def test_torch_accepts_the_operators(training, each):
    edge = Edge(("max_pool_3x3", "skip_connect", "sep_conv_3x3"))
    x, alpha, weights, grad = tensors((2, 3, 5, 6), edge)
    alpha = dropped(alpha, 2) if each else alpha
    mean, variance = torch.zeros(edge.norms, 3), torch.ones(edge.norms, 3)
    given_ = (torch.empty(0),) * 2 if training else (mean, variance)
    own = [t.clone().requires_grad_() for t in (x, alpha, *weights)]
    ops, settings_ = torch.ops.nasturtium, (edge.numbers, [1], 1, training, 1e-5)
    torch.library.opcheck(
        ops.mixed_operation, ([own[0]], [own[1]], own[2:], *given_, *settings_, torch.float32)
    )
    kept = ops.mixed_operation([x], [alpha], weights, *given_, *settings_, torch.float32)[1]
    for needs in (1, 2, 4, 7):
        torch.library.opcheck(
            ops.mixed_operation_backward,
            (grad, [x], [alpha], weights, kept, mean, variance, *settings_, [needs]),
        )


def test_second_derivatives_come_from_the_reference(monkeypatch):
    edge = Edge(("avg_pool_3x3", "skip_connect", "dil_conv_3x3", "sep_conv_3x3"))
    x, alpha, weights, _ = tensors((2, 3, 5, 6), edge)

    def second(dtype: torch.dtype, mode: str) -> list[Tensor]:
        monkeypatch.setenv(dispatch.VARIABLE, mode)
        own = [t.detach().to(dtype).requires_grad_() for t in (x, alpha, *weights)]
        out = mixed_operation(own[0], own[1], own[2:], candidates=edge.candidates)
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
    edge = Edge(("avg_pool_3x3", "skip_connect", "sep_conv_3x3"), 2)
    x, alpha, weights, _ = tensors((2, 2, 4, 4), edge)
    own = [t.double().requires_grad_() for t in (x, alpha, *weights)]
    assert torch.autograd.gradcheck(
        lambda x, a, *w: mixed_operation(x, a, w, candidates=edge.candidates, stride=2), own
    )


def test_what_is_kept():
    edge, module = Edge(CANDIDATES), MixedEdge(16)
    x, alpha, weights, _ = tensors((8, 16, 16, 16), edge)
    x = x.contiguous(memory_format=torch.channels_last)
    own = [t.requires_grad_() for t in (x, alpha, *weights, *module.parameters())]
    kept = partial(kept_bytes, without=own)
    before = dispatch.ran.copy()
    found = {
        "cpu": kept(lambda: mixed_operation(x, alpha, weights)),
        "reference": kept(lambda: module.plain(x, alpha)),
    }
    assert (dispatch.ran - before) == {(NAME, "cpu"): 1}
    assert found["cpu"] <= spec.STORAGE["float32"] * found["reference"]
    assert 6 * x.numel() * 4 <= found["cpu"] <= 6 * x.numel() * 4 + 4096
    with torch.no_grad():
        assert kept(lambda: mixed_operation(x, alpha, weights)) == 0
        empty = torch.ops.nasturtium.mixed_operation(
            [x], [alpha], weights, *torch.empty(2, 0), edge.numbers, [1], 1, True, 1e-5, None
        )
    assert empty[1].numel() == 0


def test_only_what_is_asked_for_is_computed(monkeypatch):
    edge = Edge(CANDIDATES)
    x, alpha, weights, grad = tensors((2, 3, 4, 5), edge)
    everything = derive(x, alpha, weights, grad, edge, "cpu")
    seen, plain = [], _cpu.mixed_backward
    monkeypatch.setattr(_cpu, "mixed_backward", lambda *a, **k: (seen.append(a), plain(*a, **k)))
    for asked in ([0], [1], [2], [0, 1], [1, 5], [0, 2, 3]):
        own = [t.detach().clone() for t in (x, alpha, *weights)]
        wanted = [own[k].requires_grad_() for k in asked]
        out = mixed_operation(own[0], own[1], own[2:])
        found = torch.autograd.grad(out, wanted, grad)
        *_, of_x, of_alpha, of_weights = seen[-1]
        assert [of_x != 0, of_alpha != 0, bool(of_weights)] == [
            0 in asked, 1 in asked, max(asked) > 1,
        ]  # fmt: skip
        for k, value in zip(asked, found, strict=True):
            assert torch.equal(value, everything[k + 1])


@pytest.mark.parametrize("stride", [1, 2])
def test_compiles_without_a_break(stride):
    edge = MixedEdge(4, stride=stride)
    x, alpha = torch.randn(2, 4, 6, 6), torch.rand(8)
    inputs = [t.requires_grad_() for t in (x, alpha, *edge.parameters())]
    plain = torch.autograd.grad(edge(x, alpha).square().sum(), inputs)
    compiled = torch.compile(edge, fullgraph=True, backend="aot_eager")
    before = dispatch.ran.copy()
    found = torch.autograd.grad(compiled(x, alpha).square().sum(), inputs)
    assert (dispatch.ran - before)[f"{NAME}_backward", "cpu"] == 1
    for a, b in zip(plain, found, strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_choice_says_why(monkeypatch):
    edge = Edge(CANDIDATES)
    x, alpha, weights, _ = tensors((2, 3, 4, 5), edge)
    assert explain(x, alpha, weights).name == "cpu"
    assert "differ" in explain(x.double(), alpha, weights).reason
    assert "empty" in explain(x[:0], alpha, weights).reason
    assert "one pixel" in explain(x[:1, :, :1, :1], alpha, weights).reason
    assert explain(x[:1, :, :1, :1], alpha, weights, training=False).name == "cpu"
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert "autocast" in explain(x, alpha, weights).reason
    double = [w.double() for w in weights]
    assert "float64" in explain(x.double(), alpha.double(), double).reason
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    assert explain(x, alpha, weights).reason == "NASTURTIUM_KERNELS=reference"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"candidates": ("sep_conv_7x7",)}, "unknown candidate"),
        ({"candidates": ("none", "none")}, "none twice"),
        ({"stride": 3}, "use 1 or 2"),
        ({"alpha": torch.rand(3)}, "need 8 alphas"),
        ({"alpha": torch.rand(3, 8)}, "need 8 alphas"),
        ({"weights": []}, "need weights"),
        ({"x": torch.zeros(3, 4, 4)}, "N, C, H, W"),
        ({"x": torch.zeros(2, 1, 4, 4), "stride": 2}, "two channels"),
        ({"training": False}, "running statistics are needed"),
        ({"running": Running([], [])}, "need 8 running"),
    ],
)
def test_what_does_not_fit_raises(change, words):
    x, alpha, weights, _ = tensors((2, 3, 4, 5), Edge(CANDIDATES))
    arguments = {"x": x, "alpha": alpha, "weights": weights, **change}
    positional = [arguments.pop(name) for name in ("x", "alpha", "weights")]
    with pytest.raises(ValueError, match=words):
        mixed_operation(*positional, **arguments)


def test_bad_arguments_of_the_raw_kernel_raise():
    sizes = {"batch": 1, "channels": 1, "training": True, "epsilon": 1.0}
    one = {"height": [4], "width": [4], "stride": [1], "candidates": [[1]], "each": [False]}
    for more, words in (
        ({"candidates": [[8]]}, "different numbers"),
        ({"candidates": [[1, 1]]}, "different numbers"),
        ({"stride": [3]}, "stride must be"),
        ({"stride": [2], "candidates": [[3]]}, "another number of weights"),
        ({"candidates": [[4]]}, "another number of weights"),
        ({"height": [4, 4]}, "one entry for each edge"),
        ({"isa": "abacus"}, "no instruction set"),
    ):
        with pytest.raises(ValueError, match=words):
            _cpu.mixed_forward([0], [0], [[]], 0, [0], [0], [0], **sizes, **one | more)
    two = {name: value * 2 for name, value in one.items()} | {"height": [4, 5]}
    with pytest.raises(ValueError, match="differ in size"):
        _cpu.mixed_forward([0] * 2, [0] * 2, [[]] * 2, 0, *[[0] * 2] * 3, **sizes, **two)
    with pytest.raises(ValueError, match="1 to 16 edges"):
        _cpu.mixed_forward([], [], [], 0, [], [], [], **sizes, **{name: [] for name in one})


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("mode", ["cpu", "reference"])
def test_the_module_is_its_plain_form(monkeypatch, mode, stride):
    monkeypatch.setenv(dispatch.VARIABLE, mode)
    torch.manual_seed(0)
    fused, plain = MixedEdge(6, stride=stride), MixedEdge(6, stride=stride)
    plain.load_state_dict(fused.state_dict())
    x, weights = torch.randn(3, 6, 8, 8), torch.rand(8)
    for training, alpha in itertools.product((True, False), (weights, dropped(weights, 3))):
        fused.train(training)
        plain.train(training)
        a, b = fused(x, alpha), plain.plain(x, alpha)
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
            assert value == 2


def test_without_running_statistics_evaluation_is_as_training():
    torch.manual_seed(0)
    edge = MixedEdge(4, track_running_stats=False)
    x, alpha = torch.randn(2, 4, 6, 6), torch.rand(8)
    assert torch.equal(edge(x, alpha), edge.eval()(x, alpha))
    assert not [name for name in edge.state_dict() if "running" in name]


def test_a_denormal_survives_the_import():
    code = (
        "import torch, nasturtium.kernels as k; k.mixed_operation;"
        "from nasturtium.kernels import _cpu;"
        "x = torch.tensor([1e-39]); print((x * 0.5).item() > 0 and 5e-324 * 1.0 > 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_halving_the_resolution_stays_within_its_buffers():
    checker = ctypes.util.find_library("c_malloc_debug")
    if checker is None:
        pytest.skip("the C library has no malloc checker")
    code = (
        "import torch; from nasturtium.kernels import MixedEdge; torch.set_num_threads(1);"
        "edge = MixedEdge(7, candidates=('skip_connect',), stride=2);"
        "last = lambda *shape: torch.randn(shape).to(memory_format=torch.channels_last);"
        "x, grad = last(6, 7, 12, 12).requires_grad_(), last(6, 7, 6, 6);"
        "[form(x, torch.ones(1)).backward(grad) for form in (edge, edge.plain) * 100]"
    )
    checked = {"LD_PRELOAD": checker, "GLIBC_TUNABLES": "glibc.malloc.check=3"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | checked
    )
    assert done.returncode == 0, done.stderr
