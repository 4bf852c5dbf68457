"""First-order DARTS as a plain loop, by which the forms of a supernet are compared.

Each step is one of Adam on alpha, on a batch of the second half of the images, and one of SGD on
the weights, on a batch of the first half; settings are those of Liu, Simonyan and Yang, DARTS,
ICLR 2019.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nasturtium.kernels.mixed_op.spec import CANDIDATES
from nasturtium.kernels.supernets.darts import STEPS, SearchNetwork, edges_of

__all__ = ["Trace", "alternate", "found_edges", "start_of"]


@dataclass(frozen=True)
class Trace:
    """Alpha before the first step and after each, ``[steps + 1, 2, 14, K]``, and the time."""

    alphas: Tensor
    seconds: float


def start_of(seed: int) -> Tensor:
    """Alpha as a search begins: nearly equal logits ``[2, 14, K]``."""
    draw = torch.Generator().manual_seed(seed)
    return 1e-3 * torch.randn(2, len(edges_of(STEPS)), len(CANDIDATES), generator=draw)


def alternate(
    network: SearchNetwork,
    form: str,
    start: Tensor,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int,
    batch: int = 64,
    seed: int = 0,
) -> Trace:
    """Run the loop; the network is trained in place.

    Args:
        network: the supernet.
        form: ``forward`` or ``plain``.
        start: alpha, ``[2, 14, K]``.
        images: ``[N, C, H, W]``.
        labels: ``[N]``.
        steps: on alpha, and as many on the weights.
        batch: images of a step, at most half of all.
        seed: of the order of the images.
    """
    call = getattr(network, form)
    alpha = start.clone().requires_grad_()
    weights = list(network.parameters())
    inner = torch.optim.SGD(weights, 0.025, momentum=0.9, weight_decay=3e-4)
    outer = torch.optim.Adam([alpha], 3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
    draw, half = torch.Generator().manual_seed(seed), len(images) // 2
    alphas, begin = [start.clone()], time.perf_counter()
    for _ in range(steps):
        for first, optimizer, own in ((half, outer, [alpha]), (0, inner, weights)):
            rows = first + torch.randperm(half, generator=draw)[:batch]
            loss = cross_entropy(call(images[rows], alpha.softmax(-1)), labels[rows])
            for t, grad in zip(own, torch.autograd.grad(loss, own), strict=True):
                t.grad = grad
            if optimizer is inner:
                nn.utils.clip_grad_norm_(weights, 5.0)
            optimizer.step()
        alphas.append(alpha.detach().clone())
    return Trace(torch.stack(alphas), time.perf_counter() - begin)


def found_edges(alpha: Tensor) -> frozenset[tuple[int, int, int, str]]:
    """What alpha ``[2, 14, K]`` stands for: (cell, node, source, candidate) of the edges kept.

    Each node keeps the two edges whose best candidate, ``none`` left out, weighs most.
    """
    weights = alpha.softmax(-1).clone()
    weights[..., CANDIDATES.index("none")] = -1.0
    best, which = weights.max(-1)
    found = set()
    for cell in range(len(alpha)):
        for node in range(STEPS):
            own = [i for i, (_, target) in enumerate(edges_of(STEPS)) if target == node]
            kept = sorted(own, key=lambda i, c=cell: -float(best[c, i]))[:2]  # type: ignore[misc]
            for i in kept:
                source = edges_of(STEPS)[i][0]
                found.add((cell, node, source, CANDIDATES[int(which[cell, i])]))
    return frozenset(found)
