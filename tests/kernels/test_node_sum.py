"""Edges summed in one operator against the sum of edges, in float64 and bit for bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nasturtium.kernels import MixedEdge, Running, dispatch, mixed_operation, node_sum
from nasturtium.kernels.mixed_op import spec
from nasturtium.kernels.mixed_op.module import mix_edges
from nasturtium.kernels.mixed_op.ops import NAME
from nasturtium.kernels.mixed_op.spec import CANDIDATES, Edge
from nasturtium.testing.edges import error, within
from nasturtium.testing.threads import assert_threads_change_no_bit

_cpu = pytest.importorskip("nasturtium.kernels._cpu", reason="the kernels are not compiled")

# Without kinks behind a normalization, on whose sides rounding would decide.
SMOOTH = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "dil_conv_3x3", "dil_conv_5x5")


class Node:
    """Random edges of one node; those of stride 2 have inputs of twice the size."""

    def __init__(self, channels: int, strides: list[int], names: tuple[str, ...], seed: int = 0):
        draw = torch.Generator().manual_seed(seed)
        self.names, self.strides = names, strides
        edges = [Edge(names, stride) for stride in strides]
        self.xs = [torch.randn(2, channels, 5 * s, 6 * s, generator=draw) for s in strides]
        self.alphas = [torch.rand(len(names), generator=draw) + 0.1 for _ in strides]
        self.weights = [
            [torch.randn(s, generator=draw) / s[1:].numel() ** 0.5 for s in map(torch.Size, shapes)]
            for shapes in (edge.shapes(channels) for edge in edges)
        ]  # fmt: skip
        self.norms = [edge.norms for edge in edges]
        self.grad = torch.randn(2, channels, 5, 6, generator=draw)

    def run(self, mode: str, dtype: torch.dtype = torch.float32, **more: object) -> list[Tensor]:
        """The sum and all gradients, by the implementation that `mode` names."""
        kinds = [self.xs, self.alphas, [w for own in self.weights for w in own]]
        xs, alphas, flat = ([t.detach().to(dtype).requires_grad_() for t in kind] for kind in kinds)
        rest = iter(flat)
        own = [[next(rest) for _ in some] for some in self.weights]
        before = dispatch.ran.copy()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(dispatch.VARIABLE, mode)
            out = node_sum(xs, alphas, own, candidates=self.names, strides=self.strides, **more)  # type: ignore[arg-type]
            found = torch.autograd.grad(out, [*xs, *alphas, *flat], self.grad.to(dtype))
        ran = dispatch.ran - before
        assert ran[NAME, mode] == 1 and ran[f"{NAME}_backward", "cpu"] == (mode == "cpu")
        return [out.detach(), *found]


@settings(max_examples=25)
@given(
    channels=st.integers(2, 17),
    strides=st.lists(st.sampled_from([1, 2]), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
def test_agrees_with_float64(channels, strides, seed):
    node = Node(channels, strides, SMOOTH, seed)
    ours, eager, exact = (
        node.run("cpu"),
        node.run("reference"),
        node.run("reference", torch.float64),
    )
    largest = max(float(t.abs().max()) for t in exact[1:])
    for a, b, c in zip(ours, eager, exact, strict=True):
        floor = 0.1 * largest
        bar = within(a, b, c, times_eager=spec.TIMES_EAGER, epsilons=spec.EPSILONS, floor=floor)
        assert bar, (error(a, c, floor), error(b, c, floor))


@pytest.mark.parametrize("strides", [[1, 1, 1], [2, 2, 1, 1]])
@pytest.mark.parametrize("channels", [6, 16])
def test_gradients_are_those_of_each_edge_alone(strides, channels):
    node = Node(channels, strides, CANDIDATES)
    whole = node.run("cpu")
    count, total = len(strides), torch.zeros_like(whole[0])
    place = 1 + 2 * count
    for i, stride in enumerate(strides):
        own = [t.clone().requires_grad_() for t in (node.xs[i], node.alphas[i], *node.weights[i])]
        out = mixed_operation(own[0], own[1], own[2:], stride=stride)
        found = torch.autograd.grad(out, own, node.grad)
        total += out.detach()
        after = place + len(own) - 2
        same = [whole[1 + i], whole[1 + count + i], *whole[place:after]]
        assert all(torch.equal(a, b) for a, b in zip(found, same, strict=True))
        place = after
    torch.testing.assert_close(whole[0], total, rtol=1e-5, atol=1e-5)


def test_the_number_of_threads_changes_no_bit():
    node = Node(8, [1, 2, 1], CANDIDATES)
    node.xs = [x.repeat(20, 1, 1, 1) for x in node.xs]
    node.grad = node.grad.repeat(20, 1, 1, 1)
    assert_threads_change_no_bit(lambda: node.run("cpu"))


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("channels", [5, 16])
def test_evaluation_uses_the_running_statistics_of_every_edge(grad, channels):
    node = Node(channels, [2, 1, 1], CANDIDATES)
    draw = torch.Generator().manual_seed(1)
    count = sum(node.norms)
    running = Running(
        list(torch.randn(count, channels, generator=draw)),
        list(torch.rand(count, channels, generator=draw) + 0.5),
    )
    if grad:
        ours = node.run("cpu", running=running, training=False)
        eager = node.run("reference", running=running, training=False)
    else:
        before, call = dispatch.ran.copy(), (node.xs, node.alphas, node.weights)
        ours = [node_sum(*call, strides=[2, 1, 1], running=running, training=False)]
        assert (dispatch.ran - before)[NAME, "cpu"] == 1
        eager = node.run("reference", running=running, training=False)[:1]
    for a, b in zip(ours, eager, strict=True):
        assert error(a, b) < 1e-5


def test_modules_keep_their_statistics_and_only_what_is_asked_for_is_computed():
    torch.manual_seed(0)
    edges = [MixedEdge(4, stride=stride) for stride in (2, 1)]
    xs, alphas = [torch.randn(3, 4, 8, 8), torch.randn(3, 4, 4, 4)], list(torch.rand(2, 8))
    twins = [MixedEdge(4, stride=stride) for stride in (2, 1)]
    for edge, twin in zip(edges, twins, strict=True):
        twin.load_state_dict(edge.state_dict())
    alphas[1].requires_grad_()
    for parameter in edges[0].parameters():
        parameter.requires_grad_(False)
    out = mix_edges(edges, xs, alphas)
    (found,) = torch.autograd.grad(out.square().sum(), alphas[1])
    expected = sum(t.plain(x, a) for t, x, a in zip(twins, xs, alphas, strict=True))
    (wanted,) = torch.autograd.grad(expected.square().sum(), alphas[1])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    for edge, twin in zip(edges, twins, strict=True):
        state = twin.state_dict()
        for name, value in edge.state_dict().items():
            torch.testing.assert_close(value, state[name], rtol=1e-5, atol=1e-6)


def test_torch_accepts_the_operator():
    node = Node(3, [2, 1], ("avg_pool_3x3", "skip_connect", "dil_conv_3x3"))
    flat = [w.requires_grad_() for own in node.weights for w in own]
    xs, alphas = ([t.requires_grad_() for t in kind] for kind in (node.xs, node.alphas))
    numbers = [CANDIDATES.index(name) for name in node.names]
    call = (xs, alphas, flat, *torch.empty(2, 0), numbers, [2, 1], 1, True, 1e-5, torch.float32)
    torch.library.opcheck(torch.ops.nasturtium.mixed_operation, call)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"strides": [1, 1]}, "one output size"),
        ({"strides": [2]}, "for each edge"),
        ({"weights": []}, "for each edge"),
        ({"xs": [], "alphas": [], "weights": [], "strides": []}, "for each edge"),
    ],
)
def test_what_does_not_fit_raises(change, words):
    node = Node(3, [2, 1], ("avg_pool_3x3", "dil_conv_3x3"))
    given_ = {"xs": node.xs, "alphas": node.alphas, "weights": node.weights, "strides": [2, 1]}
    arguments = {**given_, "candidates": node.names, **change}
    call = [arguments.pop(name) for name in ("xs", "alphas", "weights")]
    with pytest.raises(ValueError, match=words):
        node_sum(*call, **arguments)


def test_more_edges_than_the_kernel_takes_run_in_plain_torch():
    node = Node(2, [1] * 17, ("skip_connect", "avg_pool_3x3"))
    with pytest.warns(dispatch.KernelFallback, match="more than 16 edges"):
        out = node_sum(node.xs, node.alphas, node.weights, candidates=node.names)
    assert torch.equal(out, node.run("reference")[0])
