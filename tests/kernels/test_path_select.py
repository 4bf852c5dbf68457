"""Sampled paths of an edge: the chosen candidates exactly, and nothing of the others."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernel_twin import mixed_twin
from test_mixed_op import nearest_to_a_kink, statistics, tensors
from torch import Tensor

from nasturtium.bench.subjects import kept_bytes
from nasturtium.kernels import MixedEdge, Running, SearchNetwork, dispatch, path_select
from nasturtium.kernels.mixed_op import spec
from nasturtium.kernels.mixed_op.ops import NAME, mixed_operation
from nasturtium.kernels.mixed_op.spec import CANDIDATES, Edge
from nasturtium.kernels.paths.ops import used
from nasturtium.kernels.paths.reference import path_select as definition
from nasturtium.kernels.paths.spec import chosen
from nasturtium.testing.edges import error
from nasturtium.testing.threads import assert_threads_change_no_bit

_cpu = pytest.importorskip("nasturtium.kernels._cpu", reason="the kernels are not compiled")


def derive(
    x: Tensor, index: list[int], gates: Tensor, weights: list[Tensor], grad: Tensor, edge: Edge,
    mode: str, **more: object,
) -> list[Tensor | None]:  # fmt: skip
    """Output and the gradients of x, gates and all weights, by the implementation that runs."""
    own = [t.detach().clone().requires_grad_() for t in (x, gates, *weights)]
    before = dispatch.ran.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(dispatch.VARIABLE, mode)
        out = path_select(
            own[0], torch.tensor(index), own[1], own[2:],
            candidates=edge.candidates, stride=edge.stride, **more,
        )  # type: ignore[arg-type]  # fmt: skip
        found = torch.autograd.grad(out, own, grad, allow_unused=True)
    ran = dispatch.ran - before
    assert ran[NAME, mode] == 1 and ran[f"{NAME}_backward", mode] == (mode != "reference")
    return [out.detach(), *found]


def densely(
    x: Tensor, index: list[int], gates: Tensor, weights: list[Tensor], grad: Tensor, edge: Edge
) -> list[Tensor]:
    """The same in float64 as a mixture of all candidates, the others' weights being zero."""
    own = [t.detach().double().requires_grad_() for t in (x, gates, *weights)]
    alpha = torch.zeros(len(edge.candidates), dtype=torch.float64)
    alpha = alpha.index_put((torch.tensor(index),), own[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(dispatch.VARIABLE, "reference")
        out = mixed_operation(
            own[0], alpha, own[2:], candidates=edge.candidates, stride=edge.stride
        )
    found = torch.autograd.grad(out, own, grad.double(), allow_unused=True)
    zero = [torch.zeros_like(t) for t in own]
    return [out.detach(), *(z if g is None else g for g, z in zip(found, zero, strict=True))]


PATHS = st.lists(st.integers(0, 7), min_size=1, max_size=2, unique=True)
SHAPES = st.tuples(st.integers(1, 3), st.integers(2, 17), st.integers(2, 8), st.integers(2, 9))


@settings(max_examples=40)
@given(shape=SHAPES, index=PATHS, stride=st.sampled_from([1, 2]), seed=st.integers(0, 99))
def test_agrees_with_a_mixture_whose_other_weights_are_zero(shape, index, stride, seed):
    edge = Edge(CANDIDATES, stride)
    assume(shape[0] * edge.output(shape[2]) * edge.output(shape[3]) >= 8)
    x, _, weights, grad = tensors(shape, edge, seed=seed)
    gates = torch.rand(len(index), generator=torch.Generator().manual_seed(seed)) + 0.1
    assume(nearest_to_a_kink(x, weights, edge) > 1e-4)
    case = (x, index, gates, weights, grad, edge)
    ours, eager, exact = derive(*case, "cpu"), derive(*case, "reference"), densely(*case)
    taken = chosen(edge, index, shape[1]).weights
    largest = max([exact[3 + place].abs().max().item() for place in taken], default=0.0)
    floors = [0.0, 0.0, 0.1 * math.sqrt(grad.numel()), *[0.1 * largest] * len(weights)]
    for number, (a, b, c, floor) in enumerate(zip(ours, eager, exact, floors, strict=True)):
        if a is None or b is None:
            # A skipped input and nothing at all make no use of x, nothing of no gate.
            assert a is None or not a.any()
            assert c.abs().max() == 0
            continue
        bar = max(
            spec.TIMES_EAGER * error(b, c, floor), spec.EPSILONS * torch.finfo(torch.float32).eps
        )
        assert error(a, c, floor) <= bar, number
    for place, found in enumerate(ours[3:]):
        assert (found is not None) == (place in taken)


def test_agrees_with_loops_over_the_definition():
    for stride, index in itertools.product((1, 2), ([4], [7, 1], [3, 2])):
        edge = Edge(CANDIDATES, stride)
        x, _, weights, grad = tensors((2, 2, 5, 4), edge)
        gates = torch.tensor([0.7, -0.3][: len(index)])
        own = chosen(edge, index, 2)
        plain = mixed_twin(
            x.numpy().astype(np.float64), gates.tolist(),
            [weights[place].numpy().astype(np.float64) for place in own.weights],
            own.edge.candidates, stride, 1e-5,
        )  # fmt: skip
        out = derive(x, index, gates, weights, grad, edge, "cpu")[0]
        assert out is not None and np.abs(out.numpy() - plain).max() < 2e-5


def test_only_the_chosen_candidates_are_computed_and_kept(monkeypatch):
    edge = Edge(CANDIDATES)
    x, _, weights, _ = tensors((4, 16, 8, 8), edge)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    parameters = [w.requires_grad_() for w in weights]
    seen, plain = [], _cpu.mixed_forward
    monkeypatch.setattr(_cpu, "mixed_forward", lambda *a, **k: (seen.append(k), plain(*a, **k)))
    image = x.numel() * 4
    for index, images in (([3], 0), ([1], 0), ([6], 1), ([5], 2), ([4, 5], 4), ([0, 2], 0)):
        number = torch.tensor(index)
        gates = torch.ones(len(index), requires_grad=True)

        def run(number=number, gates=gates):
            return path_select(x, number, gates, parameters)

        before = dispatch.ran.copy()
        kept = kept_bytes(run, without=(x, gates, *parameters))
        assert dispatch.ran - before == {(NAME, "cpu"): 1}
        assert seen[-1]["candidates"] == [index]
        assert images * image <= kept <= images * image + 4096
        with torch.no_grad():
            assert kept_bytes(run, without=()) == 0


def test_what_is_not_chosen_stays_as_it_is():
    """Weights, their decay and momentum, running statistics and the count of batches."""
    torch.manual_seed(0)
    edge, x = MixedEdge(4), torch.randn(4, 4, 6, 6)
    with torch.no_grad():
        edge(x, torch.rand(8))
    optimizer = torch.optim.SGD(edge.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    for index in ([4], [6, 1], [3]):
        before = {k: v.clone() for k, v in edge.state_dict().items()}
        optimizer.zero_grad(set_to_none=True)
        out = edge(x, torch.ones(len(index)), torch.tensor(index))
        if out.requires_grad:
            out.square().sum().backward()
        optimizer.step()
        names = [CANDIDATES[k] for k in index]
        for key, value in edge.state_dict().items():
            changed = any(key.startswith(f"branches.{name}.") for name in names)
            assert torch.equal(value, before[key]) != changed, key


@pytest.mark.parametrize("stride", [1, 2])
def test_the_module_is_its_plain_form(stride):
    torch.manual_seed(0)
    fused, plain = MixedEdge(6, stride=stride), MixedEdge(6, stride=stride)
    plain.load_state_dict(fused.state_dict())
    x = torch.randn(3, 6, 8, 8)
    for training, index in itertools.product((True, False), ([5], [2, 7], [3, 4], [0])):
        fused.train(training)
        plain.train(training)
        gates, number = torch.rand(len(index)), torch.tensor(index)
        before = dispatch.ran.copy()
        a = fused(x, gates, number)
        assert dispatch.ran - before == {(NAME, "cpu"): 1}
        torch.testing.assert_close(a, plain.plain(x, gates, number), rtol=1e-4, atol=1e-5)
    state = plain.state_dict()
    for name, value in fused.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=1e-5, atol=1e-6, msg=name)


def test_gates_of_each_image():
    edge = Edge(CANDIDATES)
    x, _, weights, grad = tensors((3, 8, 6, 5), edge, seed=2)
    more = {"training": False, "running": statistics(edge, 8)}
    gates = torch.tensor([[1.0, 0.0], [0.0, 0.5], [0.3, 0.7]])
    whole = derive(x, [5, 1], gates, weights, grad, edge, "cpu", **more)
    for i in range(3):
        alone = derive(
            x[i : i + 1], [5, 1], gates[i], weights, grad[i : i + 1], edge, "cpu", **more
        )
        assert torch.equal(whole[0][i], alone[0][0])  # type: ignore[index]
        assert torch.equal(whole[1][i], alone[1][0])  # type: ignore[index]
        assert torch.equal(whole[2][i], alone[2])  # type: ignore[index]


def test_two_paths_of_proxyless_nas():
    """One active path: its output, and for alpha the softmax of the pair times both gates'."""
    edge = Edge(CANDIDATES)
    x, _, weights, grad = tensors((4, 8, 6, 6), edge, seed=3)
    alpha, index = torch.randn(8, requires_grad=True), torch.tensor([6, 2])
    p = alpha[index].softmax(0)
    hard = torch.tensor([0.0, 1.0])
    gates = hard + p - p.detach()
    before = dispatch.ran.copy()
    out = path_select(x, index, gates, weights)
    alone = path_select(x, index[1:], None, weights)
    (found,) = torch.autograd.grad(out, alpha, grad)
    assert dispatch.ran - before == {(NAME, "cpu"): 2, (f"{NAME}_backward", "cpu"): 1}
    torch.testing.assert_close(out, alone)
    each = [path_select(x, index[i : i + 1], None, weights) for i in range(2)]
    slope = torch.stack([(grad * value).sum() for value in each])
    p = p.detach()
    expected = torch.zeros(8)
    for i, j in itertools.product(range(2), repeat=2):
        expected[index[i]] += slope[j] * p[j] * (float(i == j) - p[i])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("index", [[3], [6, 1]])
def test_triton_runs_the_paths_as_well(index):
    pytest.importorskip("nasturtium.kernels.tiles", reason="triton is not installed")
    edge = Edge(CANDIDATES)
    x, _, weights, grad = tensors((1, 4, 4, 5), edge, seed=4)
    case = (x, index, torch.tensor([0.4, 0.6][: len(index)]), weights, grad, edge)
    for a, c in zip(derive(*case, "triton"), densely(*case), strict=True):
        assert error(torch.zeros_like(c) if a is None else a, c) < 1e-4


@pytest.mark.parametrize("shape", [(40, 8, 9, 7), (5, 16, 12, 12)])
def test_the_number_of_threads_changes_no_bit(shape):
    edge = Edge(CANDIDATES)
    x, _, weights, grad = tensors(shape, edge)
    case = (x, [4, 7], torch.tensor([0.4, 0.6]), weights, grad, edge)
    assert_threads_change_no_bit(lambda: derive(*case, "cpu"))


def test_memory_full_of_nan():
    edge, fresh = Edge(CANDIDATES), torch.empty
    x, _, weights, grad = tensors((2, 16, 9, 8), edge, seed=1)
    for index in ([0], [1], [3], [5], [6, 4], [0, 2]):
        gates = torch.tensor([0.4, 0.6][: len(index)])
        case = (x, index, gates, weights, grad, edge)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "empty", lambda *a, **k: fresh(*a, **k).fill_(math.nan))
            ours = derive(*case, "cpu")
        for a, c in zip(ours, densely(*case), strict=True):
            assert a is None or error(a, c) < 1e-4


@pytest.mark.parametrize(("training", "index"), [(True, [0]), (True, [6, 1]), (False, [5])])
def test_torch_accepts_the_operators(training, index):
    edge = Edge(CANDIDATES)
    x, _, weights, grad = tensors((2, 3, 5, 6), edge)
    number, gates = torch.tensor(index), torch.rand(len(index))
    mean, variance = torch.zeros(edge.norms, 3), torch.ones(edge.norms, 3)
    given_ = (torch.empty(0),) * 2 if training else (mean, variance)
    own = [t.clone().requires_grad_() for t in (x, gates, *weights)]
    ops, settings_ = torch.ops.nasturtium, (edge.numbers, 1, training, 1e-5)
    before = dispatch.ran.copy()
    for keep in (torch.float32, torch.bfloat16, None):
        inputs = own if keep else [t.detach() for t in own]
        torch.library.opcheck(
            ops.path_select, (inputs[0], number, inputs[1], inputs[2:], *given_, *settings_, keep)
        )
    kept = ops.path_select(x, number, gates, weights, *given_, *settings_, torch.float32)[1]
    for needs in (1, 2, 4, 7):
        torch.library.opcheck(
            ops.path_select_backward,
            (grad, x, number, gates, weights, kept, mean, variance, *settings_, needs),
        )
    assert set(dispatch.ran - before) == {(NAME, "cpu"), (f"{NAME}_backward", "cpu")}


@pytest.mark.parametrize("storage", spec.STORAGE)
def test_one_compiled_graph_serves_every_index(storage):
    torch.manual_seed(0)
    edges = [MixedEdge(4, storage=storage) for _ in range(2)]
    edges[1].load_state_dict(edges[0].state_dict())
    x = torch.randn(3, 4, 6, 6)
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(edges[1], fullgraph=True, backend="aot_eager")
    for index in ([5, 1], [3, 6], [0, 4], [7, 2]):
        gates, number = torch.rand(2).requires_grad_(), torch.tensor(index)
        results = []
        for edge, call in ((edges[0], edges[0]), (edges[1], compiled)):
            own = [x.clone().requires_grad_(), gates, *edge.parameters()]
            before = dispatch.ran.copy()
            out = call(own[0], gates, number)
            found = torch.autograd.grad(out.square().sum(), own, allow_unused=True)
            ran = {(NAME, "cpu"): 1, (f"{NAME}_backward", "cpu"): 1}
            assert dispatch.ran - before == ran
            results.append([out, *found])
        for a, b in zip(*results, strict=True):
            assert b is not None
            expected = torch.zeros_like(b) if a is None else a
            torch.testing.assert_close(b, expected, rtol=1e-5, atol=1e-6)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    for a, b in zip(*(edge.state_dict().values() for edge in edges), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    edges[0].eval(), edges[1].eval()
    with torch.no_grad():
        for index in ([5, 1], [3, 6]):
            number = torch.tensor(index)
            given_ = (x, torch.ones(2), number)
            torch.testing.assert_close(compiled(*given_), edges[0](*given_), rtol=1e-5, atol=1e-6)


def test_gradcheck_of_the_reference(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    edge = Edge(("avg_pool_3x3", "none", "dil_conv_3x3"))
    x, _, weights, _ = tensors((2, 2, 3, 3), edge)
    own = [t.double().requires_grad_() for t in (x, torch.rand(2), *weights)]
    before = dispatch.ran.copy()
    assert torch.autograd.gradcheck(
        lambda x, a, *w: path_select(x, torch.tensor([2, 0]), a, w, candidates=edge.candidates),
        own,
    )
    assert set(dispatch.ran - before) == {(NAME, "reference")}


def test_second_derivatives_come_from_the_reference():
    edge, index = Edge(("avg_pool_3x3", "skip_connect", "sep_conv_3x3")), torch.tensor([2, 0])
    x, _, weights, _ = tensors((2, 3, 5, 6), edge)

    def second(dtype: torch.dtype) -> list[Tensor]:
        own = [t.detach().to(dtype).requires_grad_() for t in (x, torch.tensor([0.4, 0.7]))]
        theirs = [w.to(dtype) for w in weights]
        settings_ = {"training": True, "momentum": 0.0, "epsilon": 1e-5}
        out = (
            path_select(own[0], index, own[1], theirs, candidates=edge.candidates)
            if dtype == torch.float32
            else definition(own[0], index, own[1], theirs, edge, None, **settings_)
        )
        first = torch.autograd.grad(out.sin().sum(), own, create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in first), own))

    before = dispatch.ran.copy()
    ours, exact = second(torch.float32), second(torch.float64)
    ran = dispatch.ran - before
    assert ran[NAME, "cpu"] == 1 and ran[f"{NAME}_backward", "reference"] == 1
    for a, b in zip(ours, exact, strict=True):
        assert (a - b).abs().max() <= 1e-3 * b.abs().max()


@pytest.mark.parametrize("part", [1, 2])
def test_a_supernet_takes_paths(part):
    torch.manual_seed(0)
    network = SearchNetwork(4 * part, 5, layers=3, part=part)
    x, draw = torch.randn(6, 3, 9, 9), torch.Generator().manual_seed(1)
    index = torch.rand(2, 14, 8, generator=draw).argsort(-1)[..., :2]
    gates = torch.rand(2, 14, 2, generator=draw).softmax(-1).requires_grad_()
    before = dispatch.ran.copy()
    out = network(x, gates, index=index)
    assert dispatch.ran[NAME, "cpu"] - before[NAME, "cpu"] == 3 * 14
    assert (dispatch.ran - before)[NAME, "reference"] == 0
    dense = torch.zeros(2, 14, 8).scatter(-1, index, gates)
    torch.testing.assert_close(network.plain(x, gates, index=index), out, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(network(x, dense), out, rtol=1e-3, atol=1e-4)
    (found,) = torch.autograd.grad(out.square().sum(), gates)
    assert found.abs().min() >= 0 and found.abs().max() > 0


def test_used_normalizations():
    edge = Edge(("sep_conv_3x3", "none", "max_pool_3x3"))
    assert used(edge, torch.tensor([0, 1])).tolist() == [True, True, False]
    assert used(edge, torch.tensor([2])).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"index": torch.tensor([8])}, "different numbers below 8"),
        ({"index": torch.tensor([-1])}, "different numbers below 8"),
        ({"index": torch.tensor([4, 4])}, "different numbers below 8"),
        ({"index": torch.tensor([1, 2, 3])}, "int64"),
        ({"index": torch.tensor([1.0])}, "int64"),
        ({"index": torch.tensor(1)}, "int64"),
        ({"gates": torch.rand(3)}, "need 1 gates"),
        ({"weights": []}, "need weights"),
        ({"running": Running([], [])}, "need 8 running"),
        ({"training": False}, "running statistics are needed"),
    ],
)
def test_what_does_not_fit_raises(change, words):
    x, _, weights, _ = tensors((2, 3, 4, 5), Edge(CANDIDATES))
    given_ = {"x": x, "index": torch.tensor([4]), "gates": None, "weights": weights, **change}
    positional = [given_.pop(name) for name in ("x", "index", "gates", "weights")]
    with pytest.raises(ValueError, match=words):
        path_select(*positional, **given_)
