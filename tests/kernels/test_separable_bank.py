"""The bank of separable convolutions against float64, loops over pixels, and torch's own checks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernel_twin import separable
from torch import Tensor

from nasturtium.kernels import KernelFallback, dispatch, separable_bank
from nasturtium.kernels.separable import spec
from nasturtium.kernels.separable.ops import NAME, explain
from nasturtium.testing.edges import error, within
from nasturtium.testing.threads import assert_threads_change_no_bit

_cpu = pytest.importorskip("nasturtium.kernels._cpu", reason="the kernels are not compiled")

Filters = tuple[tuple[int, int], ...]
FOUR: Filters = ((3, 1), (5, 1), (3, 2), (5, 2))


class Case:
    """Inputs of one call, and the gradients of its outputs."""

    def __init__(
        self,
        shape: tuple[int, ...],
        filters: Filters = FOUR,
        *,
        stride: int = 1,
        affine: bool = True,
        seed: int = 0,
    ) -> None:
        draw = torch.Generator().manual_seed(seed)
        n, c, h, w = shape
        out = (n, c, (h - 1) // stride + 1, (w - 1) // stride + 1)
        self.x = torch.randn(shape, generator=draw)
        sizes = [s for k, _ in filters for s in ((c, 1, k, k), (c, c, 1, 1))]
        self.weights = [torch.randn(s, generator=draw) / math.sqrt(s[1] * s[2]) for s in sizes]
        self.affine = list(torch.randn(2, c, generator=draw)) if affine else []
        self.grads = [torch.randn(out, generator=draw) for _ in filters]
        self.settings = {"dilations": [d for _, d in filters], "stride": stride}

    def inputs(self, dtype: torch.dtype) -> list[Tensor]:
        both = (self.x, *self.weights, *self.affine)
        return [t.detach().clone().to(dtype).requires_grad_() for t in both]

    def call(self, own: list[Tensor]) -> tuple[list[Tensor], Tensor, Tensor]:
        count = 1 + len(self.weights)
        affine = (own[count], own[count + 1]) if self.affine else None
        return separable_bank(own[0], own[1:count], affine=affine, **self.settings)

    def derive(self, mode: str, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        """Outputs, statistics and all gradients, by the implementation that `mode` names."""
        own = self.inputs(dtype)
        before = dispatch.ran.copy()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(dispatch.VARIABLE, mode)
            outs, mean, variance = self.call(own)
            grads = torch.autograd.grad(outs, own, [g.to(dtype) for g in self.grads])
        ran = dispatch.ran - before
        assert ran[NAME, mode] == 1 and ran[f"{NAME}_backward", mode] == (mode != "reference")
        return [*(z.detach() for z in outs), mean, variance, *grads]

    def check(self, mode: str = "cpu") -> None:
        exact = self.derive("reference", torch.float64)
        # An average of numbers of both signs is judged by their size.
        for number, (a, b, c) in enumerate(
            zip(self.derive(mode), self.derive("reference"), exact, strict=True)
        ):
            floor = 1.0 if number == len(self.grads) else 0.0
            bar = {"times_eager": spec.TIMES_EAGER, "epsilons": spec.EPSILONS, "floor": floor}
            assert within(a, b, c, **bar), (number, error(a, c), error(b, c))

    def kink(self) -> float:
        """The least distance of what ReLU meets from its kink."""
        scale, shift = self.affine or (torch.ones(()), torch.zeros(()))
        v = self.x.double() * scale.double().view(-1, 1, 1) + shift.double().view(-1, 1, 1)
        return v.abs().min().item()


@settings(max_examples=80)
@given(
    shape=st.tuples(*(st.integers(1, n) for n in (3, 19, 9, 11))),
    filters=st.lists(st.sampled_from(FOUR), min_size=1, max_size=5),
    stride=st.sampled_from([1, 2]),
    affine=st.booleans(),
    seed=st.integers(0, 99),
)
def test_agrees_with_float64(shape, filters, stride, affine, seed):
    case = Case(shape, tuple(filters), stride=stride, affine=affine, seed=seed)
    assume(case.kink() > 1e-6)
    case.check()


def test_agrees_with_loops_over_the_definition():
    for stride in (1, 2):
        case = Case((2, 3, 5, 4), stride=stride)
        scale, shift = (t.double().numpy()[:, None, None] for t in case.affine)
        v = case.x.double().numpy() * scale + shift
        found = case.derive("cpu")
        for k, (_, dilation) in enumerate(FOUR):
            pair = [w.double().numpy() for w in case.weights[2 * k : 2 * k + 2]]
            exact = separable(v, *pair, stride, dilation)
            assert np.abs(found[k].numpy() - exact).max() < 1e-5
            assert np.allclose(found[4][k], exact.mean((0, 2, 3)), atol=1e-5)
            assert np.allclose(found[5][k], exact.var((0, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("isa", _cpu.isas())
def test_every_instruction_set_on_memory_full_of_nan(isa, monkeypatch):
    fresh = torch.empty
    for shape, stride in (((2, 16, 9, 8), 1), ((1, 24, 5, 13), 2), ((3, 3, 4, 4), 1)):
        case = Case(shape, stride=stride, seed=1)
        with monkeypatch.context() as patch:
            for name in ("bank_forward", "bank_backward"):
                call = getattr(_cpu, name)
                patch.setattr(_cpu, name, lambda *a, c=call, **k: c(*a, **k, isa=isa))
            patch.setattr(torch, "empty", lambda *a, **k: fresh(*a, **k).fill_(math.nan))
            ours = case.derive("cpu")
        for a, c in zip(ours, case.derive("reference", torch.float64), strict=True):
            assert error(a, c) < 1e-5


@pytest.mark.parametrize("shape", [(40, 8, 9, 7), (5, 16, 12, 12)])
def test_the_number_of_threads_changes_no_bit(shape):
    case = Case(shape)
    assert_threads_change_no_bit(lambda: case.derive("cpu"))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_infinite_and_missing_values_come_out_as_in_torch(value):
    case = Case((2, 3, 6, 7), affine=False)
    case.x[1, 2, 3, 6] = case.x[0, 0, 0, 0] = value
    pairs = zip(case.derive("cpu"), case.derive("reference"), strict=True)
    for number, (a, b) in enumerate(pairs):
        if number != len(FOUR) + 1:  # of infinite values no variance is known, in either way
            assert torch.equal(a.isfinite(), b.isfinite()), number


def test_an_output_that_nobody_uses_has_no_gradient():
    case = Case((2, 3, 6, 7))
    own = case.inputs(torch.float32)
    outs, _, _ = case.call(own)
    found = torch.autograd.grad(outs[1], own, case.grads[1])
    alone = Case((2, 3, 6, 7), (FOUR[1],))
    alone.x, alone.weights, alone.affine = case.x, case.weights[2:4], case.affine
    own = alone.inputs(torch.float32)
    exact = torch.autograd.grad(alone.call(own)[0], own, [case.grads[1]])
    assert torch.allclose(found[0], exact[0], rtol=1e-5, atol=1e-6)
    assert not found[1].any() and torch.allclose(found[3], exact[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("affine", [True, False])
def test_torch_accepts_the_operators(affine):
    case = Case((2, 3, 6, 7), FOUR[:2], stride=2, affine=affine)
    own = case.inputs(torch.float32)
    both = torch.stack(case.affine) if affine else torch.empty(0)
    ops, settings_ = torch.ops.nasturtium, (case.settings["dilations"], 2)
    torch.library.opcheck(
        ops.separable_bank, (own[0], both.clone().requires_grad_(affine), own[1:5], *settings_)
    )
    for needs in (1, 4, 7 if affine else 5):
        torch.library.opcheck(
            ops.separable_bank_backward,
            (case.grads, case.x, both, case.weights, *settings_, needs),
        )


def test_second_derivatives_come_from_the_reference(monkeypatch):
    case = Case((2, 2, 5, 6), FOUR[:2])

    def second(dtype: torch.dtype, mode: str) -> list[Tensor]:
        monkeypatch.setenv(dispatch.VARIABLE, mode)
        own = case.inputs(dtype)
        loss = sum(z.sin().sum() for z in case.call(own)[0])
        first = torch.autograd.grad(loss, own, create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in first), own))

    exact = second(torch.float64, "reference")
    before = dispatch.ran.copy()
    ours = second(torch.float32, "cpu")
    ran = dispatch.ran - before
    assert ran[NAME, "cpu"] == 1 and ran[f"{NAME}_backward", "reference"] == 1
    for a, b in zip(ours, exact, strict=True):
        assert (a - b).abs().max() <= 1e-4 * b.abs().max()


def test_gradcheck_of_the_reference(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    case = Case((1, 2, 4, 3), FOUR[1:3], stride=2)
    assert torch.autograd.gradcheck(lambda *own: tuple(case.call(list(own))[0]),
                                    case.inputs(torch.float64))  # fmt: skip


def test_compiles_without_a_break():
    case = Case((2, 3, 6, 7), FOUR[:2])

    def loss(*own: Tensor) -> Tensor:
        outs, mean, _ = case.call(list(own))
        return sum(z.square().sum() for z in outs) + mean.sum()

    own = case.inputs(torch.float32)
    plain = torch.autograd.grad(loss(*own), own)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    before = dispatch.ran.copy()
    found = torch.autograd.grad(compiled(*own), own)
    assert (dispatch.ran - before)[f"{NAME}_backward", "cpu"] == 1
    assert all(torch.allclose(a, b, rtol=1e-5) for a, b in zip(plain, found, strict=True))


def test_only_what_is_asked_for_is_computed(monkeypatch):
    case = Case((2, 3, 4, 5))
    seen, plain = [], _cpu.bank_backward
    monkeypatch.setattr(_cpu, "bank_backward", lambda *a, **k: (seen.append(a), plain(*a, **k)))
    everything = dict(enumerate(case.derive("cpu")[len(FOUR) + 2 :]))
    for asked in ([0], [1], [9], [0, 4], [0, 9, 10]):
        own = [t.detach() for t in case.inputs(torch.float32)]
        wanted = [own[k].requires_grad_() for k in asked]
        found = torch.autograd.grad(case.call(own)[0], wanted, case.grads)
        *_, of_x, of_affine, of_weights = seen[-1]
        assert (of_x != 0) == (0 in asked) and (of_affine != 0) == (9 in asked)
        assert bool(of_weights) == any(0 < k < 9 for k in asked)
        for k, value in zip(asked, found, strict=True):
            assert torch.equal(value, everything[k])


def test_the_choice_says_why(monkeypatch):
    case = Case((2, 3, 4, 5), ((3, 1),))
    assert explain(case.x, case.weights, dilations=[2]).name == "cpu"
    assert "dilations=(3,)" in explain(case.x, case.weights, dilations=[3]).reason
    assert "empty" in explain(case.x[:0], case.weights, dilations=[1]).reason
    assert "differ" in explain(case.x.double(), case.weights, dilations=[1]).reason
    monkeypatch.setattr(dispatch, "_warned", set())
    with pytest.warns(KernelFallback, match="dilations="):
        separable_bank(case.x, case.weights, dilations=[3])
    separable_bank(case.x, case.weights, dilations=[3])  # warnings are errors here
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    assert explain(case.x, case.weights, dilations=[1]).name == "reference"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": torch.zeros(3, 4, 4)}, "N, C, H, W"),
        ({"dilations": []}, "at least one filter"),
        ({"dilations": [1, 1]}, "need 2 pairs"),
        ({"weights": [torch.zeros(3, 1, 4, 4), torch.zeros(3, 3, 1, 1)]}, "odd side"),
        ({"affine": (torch.zeros(3), torch.zeros(4))}, "scale and shift"),
    ],
)
def test_what_does_not_fit_raises(change, words):
    case = Case((2, 3, 4, 5), ((3, 1),))
    arguments = {"x": case.x, "weights": case.weights, "dilations": [1], **change}
    x, weights = arguments.pop("x"), arguments.pop("weights")
    with pytest.raises(ValueError, match=words):
        separable_bank(x, weights, **arguments)


def test_bad_arguments_of_the_raw_kernel_raise():
    sizes = {"batch": 1, "channels": 1, "height": 4, "width": 4}
    for more, words in (
        ({"stride": 3, "kernels": [3], "dilations": [1]}, "stride must be"),
        ({"stride": 1, "kernels": [4], "dilations": [1]}, "kernel must be"),
        ({"stride": 1, "kernels": [3], "dilations": []}, "need two weights"),
    ):
        with pytest.raises(ValueError, match=words):
            _cpu.bank_forward(0, 0, 0, [0, 0], [0], 0, 0, **sizes, **more)
