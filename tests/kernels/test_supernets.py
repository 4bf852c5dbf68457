"""Supernets: the fused form against the candidates' own modules, exactly and in training."""

from __future__ import annotations

import copy

import pytest
import torch
from kernel_twin import error
from torch import Tensor, nn

from nasturtium.kernels import (
    CellEdge,
    CellSearchNetwork,
    PartialEdge,
    SearchNetwork,
    dispatch,
)
from nasturtium.kernels.supernets.darts import edges_of

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
    """First-order DARTS on weights and alpha in turn: both forms from one start."""
    torch.manual_seed(1)
    fused = SearchNetwork(4, 4, layers=2, inputs=1)
    plain = copy.deepcopy(fused)
    draw = torch.Generator().manual_seed(2)
    images = torch.randn(64, 1, 8, 8, generator=draw)
    labels = images.mean((1, 2, 3)).argsort().argsort() // 16
    start = 1e-3 * torch.randn(2, PAIRS, 8, generator=draw)
    traces = []
    for network, form in ((fused, fused.forward), (plain, plain.plain)):
        alpha = start.clone().requires_grad_()
        own = torch.optim.SGD(network.parameters(), 0.025, momentum=0.9)
        outer = torch.optim.Adam([alpha], 3e-4, betas=(0.5, 0.999))
        for number in range(6):
            rows = slice(16 * (number % 4), 16 * (number % 4) + 16)
            optimizer = own if number % 2 else outer
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(form(images[rows], alpha.softmax(-1)), labels[rows])
            loss.backward()
            optimizer.step()
        traces.append(alpha.detach())
    assert float((traces[0] - start).abs().max()) > 3e-4
    assert float((traces[0] - traces[1]).abs().max()) < 1e-3


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
