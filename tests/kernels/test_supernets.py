"""Supernets: the fused form against the candidates' own modules, exactly and in training."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from nasturtium.bench.alternation import alternate, found_edges, start_of
from nasturtium.data import load
from nasturtium.kernels import (
    CellEdge,
    CellSearchNetwork,
    PartialEdge,
    SearchNetwork,
    dispatch,
)
from nasturtium.kernels.mixed_op.spec import CANDIDATES
from nasturtium.kernels.supernets.darts import edges_of
from nasturtium.testing.edges import error

_cpu = pytest.importorskip("nasturtium.kernels._cpu", reason="the kernels are not compiled")

PAIRS = len(edges_of(4))
TIMES_EAGER, EPSILONS = 4.0, 64  # rounding adds up over the layers of a network


def weights(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).softmax(-1)


def darts(part: int = 1) -> tuple[nn.Module, tuple[Tensor, ...]]:
    network = SearchNetwork(4 * part, 5, layers=3, part=part)
    beta = (weights((2, PAIRS), 1),) if part > 1 else ()
    return network, (weights((2, PAIRS, 8)), *beta)


def cells() -> tuple[nn.Module, tuple[Tensor, ...]]:
    return CellSearchNetwork(6, 5, cells=1), (weights((6, 5)),)


NETWORKS = {"darts": darts, "pc-darts": lambda: darts(2), "nb201": cells}


def step(
    network: nn.Module, x: Tensor, mixed: tuple[Tensor, ...], form: str
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Logits, all gradients, and the statistics that were kept; by `forward` or `plain`."""
    own = [t.detach().clone().requires_grad_() for t in (x, *mixed)]
    logits = getattr(network, form)(*own)
    loss = nn.functional.cross_entropy(logits, torch.arange(len(x)) % logits.shape[1])
    found = torch.autograd.grad(loss, [*own, *network.parameters()])
    return [logits.detach(), *found], {k: v.clone() for k, v in network.named_buffers()}


@pytest.mark.parametrize("name", NETWORKS)
def test_fused_and_plain_networks_are_equal(name: str) -> None:
    torch.manual_seed(0)
    network, mixed = NETWORKS[name]()
    x = torch.randn(6, 3, 9, 9)
    exact, _ = step(
        copy.deepcopy(network).double(), x.double(), tuple(m.double() for m in mixed), "plain"
    )
    eager, expected = step(copy.deepcopy(network), x, mixed, "plain")
    before = dispatch.ran.copy()
    ours, kept = step(network, x, mixed, "forward")
    operator = "searched_cell" if name == "nb201" else "mixed_operation"
    ran = dispatch.ran - before
    assert ran[operator, "cpu"] > 2 and ran[operator, "reference"] == 0
    assert ran[f"{operator}_backward", "cpu"] == ran[operator, "cpu"]
    # Behind many layers a gradient that is nearly zero is noise: the largest of all is the scale.
    largest = max(float(t.abs().max()) for t in exact[1:])
    for a, b, c in zip(ours, eager, exact, strict=True):
        scale = max(float(c.abs().max()), 0.01 * largest)
        own, theirs = (float((t - c).abs().max()) / scale for t in (a, b))
        assert own <= max(TIMES_EAGER * theirs, EPSILONS * torch.finfo(torch.float32).eps)
    assert kept.keys() == expected.keys()
    for key in kept:
        torch.testing.assert_close(kept[key], expected[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_evaluation_uses_the_kept_statistics_and_changes_none(name: str) -> None:
    torch.manual_seed(0)
    network, mixed = NETWORKS[name]()
    x = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        network(x, *mixed)
    network.eval()
    before = copy.deepcopy(network.state_dict())
    with torch.no_grad():
        ours, expected = network(x, *mixed), network.plain(x, *mixed)  # type: ignore[operator]
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_alternating_steps_stay_together() -> None:
    """First-order DARTS on digits: both forms from one start."""
    digits = load("digits")
    images, labels = torch.as_tensor(digits.x)[:256] / 16, torch.as_tensor(digits.y)[:256]
    torch.manual_seed(1)
    first, start, steps = SearchNetwork(4, 10, layers=2, inputs=1), start_of(2), 10
    before = dispatch.ran.copy()
    fused, plain = (
        alternate(copy.deepcopy(first), form, start, images, labels, steps=steps, batch=16)
        for form in ("forward", "plain")
    )
    ran = dispatch.ran - before
    assert ran["mixed_operation_backward", "cpu"] == 2 * steps * 2 * 4  # two cells of four nodes
    assert ran["mixed_operation", "reference"] == 0
    assert fused.alphas.shape == (steps + 1, *start.shape)
    assert float((plain.alphas[-1] - start).abs().max()) > 1e-3
    assert float((fused.alphas - plain.alphas).abs().max()) < 1e-3


def test_found_edges_by_hand() -> None:
    alpha = torch.zeros(2, PAIRS, 8)
    alpha[..., CANDIDATES.index("none")] = 9.0
    alpha[..., CANDIDATES.index("skip_connect")] = 0.5
    # Of the last node: its five sources are the last five rows.
    alpha[1, -1, CANDIDATES.index("sep_conv_5x5")] = 3.0
    alpha[1, -3, CANDIDATES.index("max_pool_3x3")] = 2.0
    found = found_edges(alpha)
    assert len(found) == 2 * 4 * 2
    assert {own for own in found if own[:2] == (1, 3)} == {
        (1, 3, 4, "sep_conv_5x5"), (1, 3, 2, "max_pool_3x3"),
    }  # fmt: skip
    assert {own[2:] for own in found if own[:2] == (0, 0)} == {
        (0, "skip_connect"), (1, "skip_connect"),
    }  # fmt: skip


def test_partial_edge_shuffles_what_passes_by() -> None:
    torch.manual_seed(0)
    edge, x = PartialEdge(12, 4), torch.randn(2, 12, 6, 6)
    out = edge(x, weights((8,)))
    mixed = edge.mixed(x[:, :3], weights((8,)))
    for i in range(3):
        torch.testing.assert_close(out[:, 4 * i], mixed[:, i])
        for part in range(1, 4):
            assert torch.equal(out[:, 4 * i + part], x[:, 3 * part + i])
    with pytest.raises(ValueError, match="10 channels"):
        PartialEdge(10, 4)
    whole = PartialEdge(8, 1)
    small = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(whole(small, weights((8,))), whole.mixed(small, weights((8,))))


def test_cell_edge_by_hand() -> None:
    torch.manual_seed(0)
    edge, x, alpha = CellEdge(3), torch.randn(2, 3, 5, 5), torch.tensor([9.0, 1.0, 0.0, 0.0, 2.0])
    count = nn.functional.avg_pool2d(torch.ones(1, 1, 5, 5), 3, 1, 1)
    pooled = nn.functional.avg_pool2d(x, 3, 1, 1) / count
    torch.testing.assert_close(edge(x, alpha), x + 2 * pooled)
    assert error(edge(x, alpha), edge.plain(x, alpha)) < 1e-5
