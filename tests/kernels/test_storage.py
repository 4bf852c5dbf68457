"""What is kept in bfloat16: half the bytes, the same output, gradients within a stated error."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_mixed_op import SHAPES
from torch import Tensor

from nasturtium.bench.subjects import Case, Subject, kept_bytes
from nasturtium.kernels import MixedEdge, PartialEdge, SearchNetwork, dispatch, mixed_operation
from nasturtium.kernels.mixed_op import spec
from nasturtium.kernels.mixed_op.layout import kept_norms, shorten
from nasturtium.kernels.mixed_op.ops import NAME
from nasturtium.kernels.mixed_op.spec import CANDIDATES, Edge
from nasturtium.testing.edges import derive, dropped, exactly, statistics, tensors
from nasturtium.testing.threads import assert_threads_change_no_bit

_cpu = pytest.importorskip("nasturtium.kernels._cpu", reason="the kernels are not compiled")

HALF = {"storage": "bfloat16"}


def apart(found: Tensor, exact: Tensor) -> float:
    """The difference over the value, as lengths of vectors."""
    return ((found.double() - exact).norm() / exact.norm()).item()


def check_gradients(found: list[Tensor], exact: list[Tensor]) -> None:
    """Within the specification; of what is next to nothing, next to the largest of its kind."""
    largest = max([g.norm().item() for g in exact[3:]], default=0.0)
    floors = [0.0, math.sqrt(exact[0].numel()), *[0.1 * largest] * len(exact[3:])]
    for number, (a, b, floor) in enumerate(zip(found[1:], exact[1:], floors, strict=True)):
        error = (a.double() - b).norm().item() / (max(b.norm().item(), floor) or 1.0)
        assert error <= spec.BFLOAT16_ERROR, (number, error)


@settings(max_examples=40)
@given(
    shape=SHAPES,
    names=st.lists(st.sampled_from(CANDIDATES), min_size=1, max_size=8, unique=True),
    stride=st.sampled_from([1, 2]),
    training=st.booleans(),
    each=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_output_is_the_same_and_gradients_are_near(
    shape: tuple[int, ...], names: list[str], stride: int, training: bool, each: bool, seed: int
) -> None:
    shape = (shape[0] + 1, shape[1] + 1, shape[2] + 6, shape[3] + 6)
    edge = Edge(tuple(names), stride)
    x, alpha, weights, grad = tensors(shape, edge, seed=seed)
    case = (x, dropped(alpha, shape[0], seed) if each else alpha, weights, grad, edge)
    more: dict[str, object] = {"training": training}
    own = statistics(edge, shape[1])
    whole, half = (
        derive(*case, "cpu", **more, **kind, running=None if training else own)
        for kind in ({}, HALF)
    )
    assert torch.equal(whole[0], half[0])
    # Against the same gradients from what is kept whole: on which side of a kink a value lies is
    # the same for both.
    check_gradients(half, [t.double() for t in whole])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_gradients_agree_with_float64(stride: int, mean: float) -> None:
    # Candidates without a kink behind a normalization, on whose side rounding would decide.
    names = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "dil_conv_3x3", "dil_conv_5x5")
    for edge in (Edge(names, stride), Edge(CANDIDATES, stride)):
        case = (*tensors((4, 16, 16, 16), edge, mean=mean if edge.candidates == names else 0), edge)
        half, exact = derive(*case, "cpu", **HALF), exactly(*case)
        check_gradients(half, exact)


def test_bytes_kept_and_the_machine_that_keeps_them() -> None:
    subject = Subject("edge", lambda c: MixedEdge(c, storage="bfloat16"), (8,))
    size, last = (64, 16, 32), torch.channels_last
    before = dispatch.ran.copy()
    kept = Case.make(subject, size, last, "fused").kept()
    assert (dispatch.ran - before) == {(NAME, "cpu"): 1}
    eager = Case.make(subject, size, torch.contiguous_format, "plain").kept()
    assert kept <= spec.STORAGE["bfloat16"] * eager
    assert 6 * 2 * math.prod((64, 16, 32, 32)) <= kept


@pytest.mark.parametrize("isa", _cpu.isas())
@pytest.mark.parametrize("shape", [(3, 24, 5, 13), (2, 3, 4, 4), (4, 4, 6, 6)])
@pytest.mark.parametrize("training", [True, False])
def test_every_instruction_set_rounds_as_torch_does(
    isa: str, shape: tuple[int, ...], training: bool
) -> None:
    edge = Edge(CANDIDATES)
    x, alpha, weights, _ = tensors(shape, edge)
    x[0, 0, 0, 0] = 1e10  # far above all else
    given_ = statistics(edge, shape[1])
    mean, variance = (
        torch.empty(2, 0)
        if training
        else (torch.stack(given_.means), torch.stack(given_.variances))
    )
    call = (edge.numbers, [1], 1, training, 1e-5)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("mixed_forward", "mixed_backward"):
            plain = getattr(_cpu, name)
            patch.setattr(_cpu, name, lambda *a, plain=plain, **k: plain(*a, **k, isa=isa))
            # Images that share a pixel lie in another order; alphas of each image keep them apart.
        alphas = [alpha.expand(shape[0], -1).contiguous()]
        _, whole, about, _ = torch.ops.nasturtium.mixed_operation(
            [x], alphas, weights, mean, variance, *call, torch.float32
        )
        _, half, _, _ = torch.ops.nasturtium.mixed_operation(
            [x], alphas, weights, mean, variance, *call, torch.bfloat16
        )
    assert half.dtype == torch.bfloat16 and half.shape == whole.shape
    c = shape[1]
    assert torch.equal(half[..., :c], shorten(whole, about, [edge])[..., :c])
    means = about[kept_norms([edge])][:, None, None, None]
    off = (half[..., :c].float() + means - whole[..., :c]).abs()
    centered = (whole[..., :c] - means).abs()
    spacing = torch.finfo(torch.float32).eps * whole[..., :c].abs()
    assert bool((off <= centered / 256 + 2 * spacing).all())


def test_infinite_and_missing_values_stay_so() -> None:
    edge = Edge(("dil_conv_3x3", "sep_conv_3x3"))
    for value in (math.inf, math.nan):
        x, alpha, weights, grad = tensors((2, 3, 6, 7), edge)
        x[1, 2, 3, 6] = value
        more = {"training": False, "running": statistics(edge, 3)}
        whole = derive(x, alpha, weights, grad, edge, "cpu", **more)
        half = derive(x, alpha, weights, grad, edge, "cpu", **more, **HALF)
        for a, b in zip(whole, half, strict=True):
            assert torch.equal(a.isfinite(), b.isfinite())


def test_the_number_of_threads_changes_no_bit() -> None:
    edge = Edge(CANDIDATES)
    case = (*tensors((40, 8, 9, 7), edge), edge)
    assert_threads_change_no_bit(lambda: derive(*case, "cpu", **HALF))


def test_torch_accepts_the_operators_and_compiles_them() -> None:
    edge = Edge(("max_pool_3x3", "skip_connect", "sep_conv_3x3"))
    x, alpha, weights, grad = tensors((2, 3, 5, 6), edge)
    own = [t.clone().requires_grad_() for t in (x, alpha, *weights)]
    ops, call = torch.ops.nasturtium, (edge.numbers, [1], 1, True, 1e-5)
    given_ = torch.empty(2, 0)
    torch.library.opcheck(
        ops.mixed_operation, ([own[0]], [own[1]], own[2:], *given_, *call, torch.bfloat16)
    )
    _, kept, mean, variance = ops.mixed_operation(
        [x], [alpha], weights, *given_, *call, torch.bfloat16
    )
    torch.library.opcheck(
        ops.mixed_operation_backward,
        (grad, [x], [alpha], weights, kept, mean, variance, *call, [7]),
    )
    module = MixedEdge(3, storage="bfloat16")
    weighted = torch.rand(8)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    plain, found = (
        torch.autograd.grad(f(own[0], weighted).square().sum(), own[0]) for f in (module, compiled)
    )
    assert torch.equal(plain[0], found[0])


@pytest.mark.parametrize("part", [1, 2])
def test_it_reaches_every_edge_of_a_network(part: int) -> None:
    def build(storage: str) -> SearchNetwork:
        torch.manual_seed(0)
        return SearchNetwork(4 * part, 5, layers=3, part=part, storage=storage)

    x, alpha = torch.randn(8, 3, 8, 8), torch.rand(2, 14, 8).softmax(-1)
    networks = {storage: build(storage) for storage in spec.STORAGE}
    edges = [m for m in networks["bfloat16"].modules() if isinstance(m, MixedEdge)]
    assert len(edges) == 3 * 14 and {edge.storage for edge in edges} == {"bfloat16"}
    found = {}
    for storage, network in networks.items():
        own = [alpha.clone().requires_grad_(), network.stem[0].weight]
        logits = network(x, own[0])
        found[storage] = [logits.detach(), *torch.autograd.grad(logits.square().sum(), own)]
    whole, half = found["float32"], found["bfloat16"]
    assert torch.equal(whole[0], half[0])
    for a, b in zip(half[1:], whole[1:], strict=True):
        assert 0 < apart(a, b.double()) <= 0.02  # of several layers
    bytes_ = {
        storage: kept_bytes(
            lambda n=network: n(x, alpha), without=(x, alpha, *network.parameters())
        )
        for storage, network in networks.items()
    }
    assert bytes_["bfloat16"] < 0.7 * bytes_["float32"]


@pytest.mark.parametrize("storage", spec.STORAGE)
@pytest.mark.parametrize("stride", [1, 2])
def test_candidates_without_weights_keep_statistics_alone(storage: str, stride: int) -> None:
    convolutions = tuple(name for name in CANDIDATES if "conv" in name)
    free = [name for name in CANDIDATES if "conv" not in name]
    if stride == 2:
        free.remove("skip_connect")  # it has weights then
    x = torch.randn(4, 16, 12, 12).contiguous(memory_format=torch.channels_last)
    found, names = [], convolutions
    for name in ("", *free):
        names += (name,) if name else ()
        edge = MixedEdge(16, candidates=names, stride=stride, storage=storage)
        alpha = torch.rand(len(names), requires_grad=True)
        before = dispatch.ran.copy()
        found.append(
            kept_bytes(lambda: edge(x, alpha), without=(x, alpha, *edge.parameters()))  # noqa: B023
        )
        assert (dispatch.ran - before) == {(NAME, "cpu"): 1}
    added = [b - a for a, b in pairwise(found)]
    # Means and variances of a pool; an image would be 36,864 bytes or more.
    assert added == [2 * 16 * 4 if "pool" in name else 0 for name in free]


def test_what_is_no_format_is_refused() -> None:
    x, alpha, weights, _ = tensors((2, 3, 4, 5), Edge(CANDIDATES))
    for call in (
        lambda: mixed_operation(x, alpha, weights, storage="float16"),
        lambda: MixedEdge(4, storage="int8"),
        lambda: PartialEdge(4, storage=""),
        lambda: SearchNetwork(4, layers=3, storage="half"),
    ):
        with pytest.raises(ValueError, match="use float32 or bfloat16"):
            call()
