"""The sum of normalized branches against float64, plain loops, and torch's own checks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernel_twin import normalized
from torch import Tensor

from nasturtium.kernels import KernelFallback, Running, dispatch, normalize_and_mix
from nasturtium.kernels.mix import spec
from nasturtium.kernels.mix.ops import NAME, explain
from nasturtium.testing.edges import within
from nasturtium.testing.threads import assert_threads_change_no_bit

_cpu = pytest.importorskip("nasturtium.kernels._cpu", reason="the kernels are not compiled")


def tensors(
    shape: tuple[int, ...], count: int, *, seed: int = 0, mean: float = 0.0
) -> tuple[list[Tensor], Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    branches = [torch.randn(shape, generator=draw) + mean for _ in range(count)]
    return branches, torch.rand(count, generator=draw) + 0.1, torch.randn(shape, generator=draw)


def derive(
    branches: list[Tensor], alpha: Tensor, grad: Tensor, mode: str, **more: object
) -> list[Tensor]:
    """Output and all gradients, by the implementation that `mode` names."""
    branches = [b.detach().clone().requires_grad_() for b in branches]
    alpha = alpha.detach().clone().requires_grad_()
    before = dispatch.ran.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(dispatch.VARIABLE, mode)
        out = normalize_and_mix(branches, alpha, **more)  # type: ignore[arg-type]
        found = [out.detach(), *torch.autograd.grad(out, [alpha, *branches], grad)]
    ran = dispatch.ran - before
    assert ran[NAME, mode] == 1 and ran[f"{NAME}_backward", mode] == (mode != "reference")
    return found


def exactly(branches: list[Tensor], alpha: Tensor, grad: Tensor, **more: object) -> list[Tensor]:
    return derive(
        [b.double() for b in branches], alpha.double(), grad.double(), "reference", **more
    )


def check(
    branches: list[Tensor], alpha: Tensor, grad: Tensor, mode: str = "cpu", **more: object
) -> None:
    ours = derive(branches, alpha, grad, mode, **more)
    eager = derive(branches, alpha, grad, "reference", **more)
    exact = exactly(branches, alpha, grad, **more)
    # The gradient of alpha is a sum of numbers of both signs.
    floors = [0.0, 0.1 * math.sqrt(grad.numel()), *[0.0] * len(branches)]
    for a, b, c, floor in zip(ours, eager, exact, floors, strict=True):
        assert within(a, b, c, times_eager=spec.TIMES_EAGER, epsilons=spec.EPSILONS, floor=floor)


SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 35), st.integers(2, 9), st.integers(1, 11))


@settings(max_examples=80)
@given(
    shape=SHAPES,
    flags=st.lists(st.booleans(), min_size=1, max_size=9),
    last=st.booleans(),
    seed=st.integers(0, 99),
)
def test_agrees_with_float64(shape, flags, last, seed):
    # A handful of pixels are normalized to nearly the same values, whatever they are.
    assume(shape[0] * shape[2] * shape[3] >= 8)
    branches, alpha, grad = tensors(shape, len(flags), seed=seed)
    if last:
        branches = [b.contiguous(memory_format=torch.channels_last) for b in branches]
    check(branches, alpha, grad, normalized=flags)


@pytest.mark.parametrize("mean", [1e2, -1e4])
def test_a_large_mean_is_no_matter(mean):
    branches, alpha, grad = tensors((4, 6, 9, 7), 3, mean=mean)
    check(branches, alpha, grad, normalized=[True, True, False])


def test_agrees_with_a_loop_over_the_definition():
    branches, alpha, _ = tensors((2, 3, 4, 5), 3)
    total = sum(
        weight * normalized(b.numpy().astype(np.float64), 1e-5)
        for weight, b in zip(alpha.tolist(), branches, strict=True)
    )
    found = derive(branches, alpha, torch.ones(2, 3, 4, 5), "cpu")[0]
    assert np.abs(found.numpy() - total).max() < 1e-5
    exact = exactly(branches, alpha, torch.ones(2, 3, 4, 5))[0]
    assert np.abs(exact.numpy() - total).max() < 1e-6  # alpha was rounded to float32


@pytest.mark.parametrize("isa", _cpu.isas())
def test_every_instruction_set_on_memory_full_of_nan(isa):
    for shape in ((3, 5, 4, 3), (2, 16, 6, 6), (1, 1, 1, 9), (2, 24, 33, 3)):
        branches, alpha, grad = tensors(shape, 3)
        flags = [True, False, True]
        sizes = {
            "pixels": shape[0] * shape[2] * shape[3],
            "channels": shape[1],
            "normalized": flags,
            "training": True,
            "epsilon": 1e-5,
            "isa": isa,
        }
        last = [b.contiguous(memory_format=torch.channels_last) for b in (*branches, grad)]
        out, *grads = (torch.full_like(t, math.nan) for t in (last[0], *last[:3]))
        mean, variance = torch.full((2, 3, shape[1]), math.nan)
        of_alpha = torch.full_like(alpha, math.nan)
        addresses = [t.data_ptr() for t in last]
        statistics = (mean.data_ptr(), variance.data_ptr())
        _cpu.mix_forward(addresses[:3], alpha.data_ptr(), out.data_ptr(), *statistics, **sizes)
        _cpu.mix_backward(
            addresses[3], addresses[:3], alpha.data_ptr(), *statistics,
            [g.data_ptr() for g in grads], of_alpha.data_ptr(), **sizes,
        )  # fmt: skip
        exact = exactly(branches, alpha, grad, normalized=flags)
        eager = derive(branches, alpha, grad, "reference", normalized=flags)
        for a, b, c in zip((out, of_alpha, *grads), eager, exact, strict=True):
            assert within(a, b, c, times_eager=4, epsilons=16, floor=1.0), (shape, isa)
        assert not mean[0].isnan().any() and mean[1].isnan().all()


def test_the_number_of_threads_changes_no_bit():
    branches, alpha, grad = tensors((40, 12, 9, 11), 4)
    assert_threads_change_no_bit(lambda: derive(branches, alpha, grad, "cpu"))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_infinite_and_missing_values_come_out_as_in_torch(value):
    branches, alpha, grad = tensors((2, 5, 4, 4), 3)
    branches[1][1, 2, 3, 0] = value
    flags = [True, True, False]
    ours = derive(branches, alpha, grad, "cpu", normalized=flags)
    eager = derive(branches, alpha, grad, "reference", normalized=flags)
    for a, b in zip(ours, eager, strict=True):
        assert torch.equal(a.isnan(), b.isnan()) and torch.equal(a.isinf(), b.isinf())


def running(channels: int, norms: int) -> Running:
    draw = torch.Generator().manual_seed(5)
    return Running(
        list(torch.randn(norms, channels, generator=draw)),
        list(torch.rand(norms, channels, generator=draw) + 0.5),
    )


def test_running_statistics_are_those_of_batch_norm():
    branches, alpha, grad = tensors((3, 4, 5, 6), 3)
    flags = [True, False, True]
    kept = {mode: running(4, 2) for mode in ("cpu", "reference")}
    for mode, own in kept.items():
        derive(branches, alpha, grad, mode, normalized=flags, running=own, momentum=0.3)
    for a, b in zip(kept["cpu"], kept["reference"], strict=True):
        assert torch.allclose(torch.stack(list(a)), torch.stack(list(b)), rtol=1e-6, atol=1e-6)
    assert not torch.equal(kept["cpu"].means[0], running(4, 2).means[0])


def test_evaluation_uses_the_running_statistics():
    branches, alpha, grad = tensors((3, 4, 5, 6), 3)
    own = running(4, 2)
    more = {"normalized": [True, False, True], "training": False}
    ours = derive(branches, alpha, grad, "cpu", running=own, **more)
    eager = derive(branches, alpha, grad, "reference", running=own, **more)
    double = Running([m.double() for m in own.means], [v.double() for v in own.variances])
    exact = exactly(branches, alpha, grad, running=double, **more)
    for a, b, c in zip(ours, eager, exact, strict=True):
        assert within(a, b, c, times_eager=4, epsilons=16)
    assert torch.equal(own.means[0], running(4, 2).means[0])


@pytest.mark.parametrize("training", [True, False])
def test_torch_accepts_the_operators(training):
    branches, alpha, grad = tensors((2, 3, 4, 5), 2)
    mean, variance = torch.zeros(2, 3), torch.ones(2, 3)
    given_ = (torch.empty(0),) * 2 if training else (mean, variance)
    flags = [True, False]
    asked = ([b.requires_grad_() for b in branches], alpha.requires_grad_())
    ops = torch.ops.nasturtium
    torch.library.opcheck(ops.normalize_and_mix, (*asked, *given_, flags, training, 1e-5))
    plain = ([b.detach() for b in branches], alpha.detach())
    for needs in ([True, True, True], [False, True, False], [True, False, False]):
        torch.library.opcheck(
            ops.normalize_and_mix_backward,
            (grad, *plain, mean, variance, flags, training, 1e-5, needs),
        )


def test_second_derivatives_come_from_the_reference(monkeypatch):
    branches, alpha, _ = tensors((2, 3, 4, 5), 2)

    def second(dtype: torch.dtype, mode: str) -> list[Tensor]:
        monkeypatch.setenv(dispatch.VARIABLE, mode)
        own = [b.detach().to(dtype).requires_grad_() for b in (*branches, alpha)]
        out = normalize_and_mix(own[:2], own[2])
        first = torch.autograd.grad(out.sin().sum(), own, create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in first), own))

    exact = second(torch.float64, "reference")
    before = dispatch.ran.copy()
    ours = second(torch.float32, "cpu")
    ran = dispatch.ran - before
    assert ran[NAME, "cpu"] == 1 and ran[f"{NAME}_backward", "reference"] == 1
    for a, b in zip(ours, exact, strict=True):
        assert (a - b).abs().max() <= 1e-4 * b.abs().max()


def test_gradcheck_of_the_reference():
    branches, alpha, _ = tensors((2, 2, 3, 2), 2)
    own = [b.double().requires_grad_() for b in (*branches, alpha)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(dispatch.VARIABLE, "reference")
        assert torch.autograd.gradcheck(lambda a, b, w: normalize_and_mix([a, b], w), own)


def test_only_what_is_asked_for_is_computed(monkeypatch):
    branches, alpha, _ = tensors((2, 3, 4, 5), 3)
    branches[1].requires_grad_()
    seen = []
    plain = _cpu.mix_backward
    monkeypatch.setattr(_cpu, "mix_backward", lambda *a, **k: (seen.append(a), plain(*a, **k)))
    normalize_and_mix(branches, alpha).sum().backward()
    _, _, _, _, _, of_branches, of_alpha = seen[0]
    assert of_alpha == 0 and [address != 0 for address in of_branches] == [False, True, False]


def test_compiles_without_a_break():
    branches, alpha, _ = tensors((2, 3, 4, 5), 2)
    own = running(3, 2)

    def loss(a: Tensor, b: Tensor, w: Tensor) -> Tensor:
        return normalize_and_mix([a, b], w, running=own).square().sum()

    inputs = [t.requires_grad_() for t in (*branches, alpha)]
    plain = torch.autograd.grad(loss(*inputs), inputs)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    before = dispatch.ran.copy()
    found = torch.autograd.grad(compiled(*inputs), inputs)
    assert (dispatch.ran - before)[f"{NAME}_backward", "cpu"] == 1
    assert all(torch.equal(a, b) for a, b in zip(plain, found, strict=True))


def test_the_choice_says_why(monkeypatch):
    branches, alpha, _ = tensors((2, 3, 4, 5), 2)
    assert explain(branches, alpha).name == "cpu"
    assert "more than 32" in explain(branches * 17, torch.rand(34)).reason
    assert "one pixel" in explain([torch.zeros(1, 3, 1, 1)], alpha[:1]).reason
    assert "empty" in explain([torch.zeros(0, 3, 2, 2)], alpha[:1]).reason
    assert "differ" in explain(branches, alpha.double()).reason
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    assert explain(branches, alpha).name == "reference"


def test_a_fallback_warns_once(monkeypatch):
    monkeypatch.setattr(dispatch, "_warned", set())
    branches, alpha, _ = tensors((2, 3, 4, 5), 34)
    with pytest.warns(KernelFallback, match="more than 32 branches"):
        normalize_and_mix(branches, alpha)
    normalize_and_mix(branches, alpha)  # warnings are errors here


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([], torch.rand(0)), "branches of one shape"),
        (([torch.zeros(2, 3, 4, 4)], torch.rand(2)), "one alpha"),
        (([torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 5)], torch.rand(2)), "of one shape"),
    ],
)
def test_what_does_not_fit_raises(arguments, words):
    with pytest.raises(ValueError, match=words):
        normalize_and_mix(*arguments)


def test_missing_statistics_raise():
    branches, alpha, _ = tensors((2, 3, 4, 5), 2)
    with pytest.raises(ValueError, match="running statistics are needed"):
        normalize_and_mix(branches, alpha, training=False)
    with pytest.raises(ValueError, match="need 2 running"):
        normalize_and_mix(branches, alpha, running=running(3, 1))
    with pytest.raises(ValueError, match="one flag"):
        _cpu.mix_forward([0], 0, 0, 0, 0, pixels=1, channels=1, normalized=[], training=True,
                         epsilon=1.0)  # fmt: skip
