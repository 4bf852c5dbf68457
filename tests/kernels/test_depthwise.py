"""The depthwise kernel against float64 torch, a loop in plain Python, and torch's own checks."""

from __future__ import annotations

import copy
import itertools
import math
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from nasturtium import kernels
from nasturtium.kernels import DepthwiseConv2d, accelerate, depthwise_conv2d, dispatch
from nasturtium.kernels.depthwise import reference, spec
from nasturtium.kernels.depthwise.ops import explain
from nasturtium.kernels.depthwise.spec import Filter

_cpu = pytest.importorskip("nasturtium.kernels._cpu", reason="the kernels are not compiled")

FILTERS = [
    Filter(k, s, d) for k, s, d in itertools.product(spec.KERNELS, spec.STRIDES, spec.DILATIONS)
]
SHAPES = [
    (2, 3, 8, 8),
    (1, 2, 7, 5),
    (3, 1, 1, 1),
    (2, 2, 4, 4),
    (1, 2, 3, 17),
    (1, 1, 33, 40),
    (1, 2, 9, 2),
    (2, 2, 32, 32),
    (1, 1, 2, 70),
    (9, 12, 5, 3),
    (1, 33, 4, 6),
]


def tensors(shape: tuple[int, ...], f: Filter, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    n, c, h, w = shape
    x = torch.randn(shape, generator=generator)
    weight = torch.randn(c, 1, f.kernel, f.kernel, generator=generator)
    grad = torch.randn(n, c, f.output(h), f.output(w), generator=generator)
    return x, weight, grad


def run(
    x: Tensor,
    weight: Tensor,
    grad: Tensor,
    f: Filter,
    *,
    threads: int = 1,
    isa: str = "",
    last: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Output and both gradients from the raw kernel, into memory filled with NaN."""
    layout = torch.channels_last if last else torch.contiguous_format
    x, grad = x.contiguous(memory_format=layout), grad.contiguous(memory_format=layout)
    n, c, h, w = x.shape
    sizes = {
        "batch": n,
        "channels": c,
        "height": h,
        "width": w,
        "kernel": f.kernel,
        "stride": f.stride,
        "dilation": f.dilation,
        "channels_last": last,
        "threads": threads,
    }
    y, grad_x, grad_weight = (torch.full_like(t, math.nan) for t in (grad, x, weight))
    _cpu.depthwise_forward(x.data_ptr(), weight.data_ptr(), y.data_ptr(), **sizes, isa=isa)
    _cpu.depthwise_backward(
        grad.data_ptr(),
        x.data_ptr(),
        weight.data_ptr(),
        grad_x.data_ptr(),
        grad_weight.data_ptr(),
        **sizes,
        isa=isa,
    )
    return y, grad_x, grad_weight


def close(ours: Tensor, exact: Tensor) -> bool:
    scale = exact.abs().max().item() or 1.0
    return bool((ours.double() - exact).abs().max() <= spec.TOLERANCE * scale)


@pytest.mark.parametrize("last", [False, True], ids=["channels-first", "channels-last"])
@pytest.mark.parametrize("isa", _cpu.isas())
@pytest.mark.parametrize("f", FILTERS, ids=str)
def test_every_instruction_set_agrees_with_float64(f: Filter, isa: str, last: bool) -> None:
    for shape in SHAPES:
        x, weight, grad = tensors(shape, f)
        ours = run(x, weight, grad, f, isa=isa, last=last)
        exact = (
            reference.forward(x.double(), weight.double(), f),
            *reference.backward(grad.double(), x.double(), weight.double(), f),
        )
        for name, a, b in zip(("y", "grad_x", "grad_weight"), ours, exact, strict=True):
            assert close(a, b), (name, shape)


def test_reference_agrees_with_a_loop_over_the_definition() -> None:
    for f in FILTERS:
        x, weight, _ = tensors((1, 2, 5, 6), f)
        y = reference.forward(x, weight, f)
        p = f.padding
        for c, i, j in itertools.product(range(2), range(y.shape[2]), range(y.shape[3])):
            total = 0.0
            for a, b in itertools.product(range(f.kernel), repeat=2):
                row, column = i * f.stride + a * f.dilation - p, j * f.stride + b * f.dilation - p
                if 0 <= row < 5 and 0 <= column < 6:
                    total += weight[c, 0, a, b].item() * x[0, c, row, column].item()
            assert y[0, c, i, j].item() == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("f", FILTERS, ids=str)
def test_the_number_of_threads_changes_no_bit(f: Filter, last: bool) -> None:
    x, weight, grad = tensors((19, 3, 9, 11), f)
    one = run(x, weight, grad, f, threads=1, last=last)
    for threads in (2, 3, 64):
        for a, b in zip(one, run(x, weight, grad, f, threads=threads, last=last), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("f", [Filter(3, 1, 1), Filter(5, 2, 2), Filter(5, 1, 1)], ids=str)
@pytest.mark.parametrize("last", [False, True])
def test_infinite_inputs_reach_only_what_depends_on_them(f: Filter, last: bool) -> None:
    x, weight, grad = tensors((1, 2, 6, 13), f)
    x[0, 0, :, -1] = math.inf
    y, grad_x, grad_weight = run(x, weight, grad, f, last=last)
    eager = reference.forward(x, weight, f)
    assert torch.equal(y.isfinite(), eager.isfinite())
    assert grad_x.isfinite().all()
    exact = torch.zeros(2, f.kernel, f.kernel, dtype=torch.bool)
    for a, b in itertools.product(range(f.kernel), repeat=2):
        one = torch.zeros_like(weight)
        one[:, 0, a, b] = 1
        # The tap meets an infinite input exactly where a filter of this tap alone lets one through.
        padded = nn.functional.pad(x, [f.padding] * 4)
        taken = padded[:, :, a * f.dilation :: f.stride, b * f.dilation :: f.stride][
            :, :, : f.output(6), : f.output(13)
        ]
        exact[:, a, b] = taken.isfinite().all(dim=(0, 2, 3))
    assert torch.equal(grad_weight[:, 0].isfinite(), exact)


def test_an_empty_batch_has_zero_gradients() -> None:
    x, weight, grad = tensors((0, 3, 8, 8), Filter(3, 1, 1))
    _, _, grad_weight = run(x, weight, grad, Filter(3, 1, 1))
    assert torch.equal(grad_weight, torch.zeros_like(weight))


def test_bad_arguments_of_the_raw_kernel_raise() -> None:
    sizes = {"batch": 1, "channels": 1, "height": 4, "width": 4, "stride": 1, "dilation": 1}
    with pytest.raises(ValueError, match="kernel must be 3 or 5"):
        _cpu.depthwise_forward(0, 0, 0, **sizes, kernel=4)
    with pytest.raises(ValueError, match="no instruction set 'abacus'"):
        _cpu.depthwise_forward(0, 0, 0, **sizes, kernel=3, isa="abacus")


@pytest.mark.parametrize("f", [Filter(3, 1, 1), Filter(5, 2, 1), Filter(3, 2, 2)], ids=str)
def test_torch_accepts_the_operators(f: Filter) -> None:
    x, weight, grad = tensors((2, 3, 8, 7), f)
    if f.stride == 2:
        x = x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    weight.requires_grad_()
    ops = torch.ops.nasturtium
    torch.library.opcheck(ops.depthwise_conv2d, (x, weight, f.stride, f.dilation))
    for needs in (1, 2, 3):
        torch.library.opcheck(
            ops.depthwise_conv2d_backward,
            (grad, x.detach(), weight.detach(), f.stride, f.dilation, needs),
        )


def derivatives(x: Tensor, weight: Tensor, f: Filter) -> list[Tensor]:
    """First derivatives of a nonlinear loss and the second ones of their squared norm."""
    x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
    y = depthwise_conv2d(x, weight, stride=f.stride, dilation=f.dilation)
    first = torch.autograd.grad(y.sin().sum(), (x, weight), create_graph=True)
    norm = first[0].square().sum() + first[1].square().sum()
    return [*first, *torch.autograd.grad(norm, (x, weight))]


@pytest.mark.parametrize("f", FILTERS, ids=str)
def test_first_and_second_derivatives(f: Filter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dispatch.VARIABLE, "cpu")
    x, weight, _ = tensors((2, 2, 6, 7), f)
    exact = derivatives(x.double(), weight.double(), f)  # torch's own
    for layout in (torch.contiguous_format, torch.channels_last):
        ours = derivatives(x.contiguous(memory_format=layout), weight, f)
        for a, b in zip(ours, exact, strict=True):
            assert (a.double() - b).abs().max() <= 1e-4 * b.abs().max()
        assert ours[0].is_contiguous(memory_format=layout)


def test_only_the_gradient_that_is_asked_for() -> None:
    x, weight, _ = tensors((2, 2, 8, 8), Filter(3, 1, 1))
    weight.requires_grad_()
    (only,) = torch.autograd.grad(depthwise_conv2d(x, weight).sum(), weight)
    x.requires_grad_()
    both = torch.autograd.grad(depthwise_conv2d(x, weight).sum(), (x, weight))
    assert torch.equal(only, both[1])


def test_gradcheck_of_the_reference() -> None:
    x, weight, _ = tensors((1, 2, 5, 4), Filter(3, 2, 1))
    inputs = (x.double().requires_grad_(), weight.double().requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: depthwise_conv2d(a, b, stride=2), inputs)


def test_the_choice_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, _ = tensors((2, 8, 8, 8), Filter(5, 1, 1))
    assert "forward pass alone" in explain(x, weight).reason
    weight.requires_grad_()
    assert explain(x, weight) == kernels.Choice("cpu", _cpu.isas()[-1])
    assert "float64" in explain(x.double(), weight.double()).reason
    assert explain(x.contiguous(memory_format=torch.channels_last), weight).name == "cpu"
    assert "neither memory format" in explain(x.transpose(2, 3), weight).reason
    with torch.no_grad():
        assert explain(x, weight).name == "reference"
    small = weight[:, :, :3, :3]
    assert "stride 2" in explain(x, small, stride=2).reason
    last = x.contiguous(memory_format=torch.channels_last)
    assert "kernel 3 on channels-last" in explain(last, small).reason
    with monkeypatch.context() as patch:
        patch.setenv(dispatch.VARIABLE, "cpu")
        assert explain(last, small).name == "cpu"
    assert "kernel=5, stride=3" in explain(x, weight, stride=3).reason
    assert "meta" in explain(x.to("meta"), weight.to("meta")).reason
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    assert explain(x, weight).name == "reference"
    monkeypatch.setenv(dispatch.VARIABLE, "quick")
    with pytest.raises(ValueError, match="use one of auto, reference, cpu"):
        explain(x, weight)


def test_shapes_that_do_not_fit_raise() -> None:
    with pytest.raises(ValueError, match=r"need x \[N, C, H, W\]"):
        depthwise_conv2d(torch.zeros(1, 3, 8, 8), torch.zeros(4, 1, 3, 3))


class Block(nn.Module):
    """Two depthwise convolutions, one with a bias, between dense ones."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.wide = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)
        self.dilated = nn.Conv2d(8, 8, 3, stride=2, padding=2, dilation=2, groups=8)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.grouped(self.dilated(self.wide(self.first(x)).relu()))
        return out


def test_accelerate_changes_speed_and_nothing_else() -> None:
    torch.manual_seed(0)
    plain = Block()
    fast = copy.deepcopy(plain)
    assert accelerate(fast) == 2
    assert accelerate(fast) == 0
    assert isinstance(fast.wide, DepthwiseConv2d)
    assert type(fast.grouped) is nn.Conv2d
    x = torch.randn(4, 3, 8, 8)
    outputs = [model(x) for model in (plain, fast)]
    assert torch.allclose(outputs[0], outputs[1], atol=1e-6)
    for output in outputs:
        output.square().sum().backward()
    for (name, p), q in zip(plain.named_parameters(), fast.parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        assert torch.allclose(p.grad, q.grad, rtol=1e-4, atol=1e-4), name
    plain.load_state_dict(fast.state_dict())


def test_the_module_starts_as_torch_does() -> None:
    torch.manual_seed(3)
    ours = DepthwiseConv2d(6, 5, stride=2, dilation=2, bias=True)
    torch.manual_seed(3)
    theirs = nn.Conv2d(6, 6, 5, 2, 4, 2, groups=6)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)
    x = torch.randn(2, 6, 9, 9)
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)


def test_what_is_exported_is_a_plain_convolution() -> None:
    model = DepthwiseConv2d(4, 3).eval()
    program = torch.export.export(model, (torch.randn(1, 4, 8, 8),))
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert names == {"aten.conv2d.default"}


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, nasturtium.kernels as k; k.available(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
