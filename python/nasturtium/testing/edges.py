"""Checks of mixed operations against float64, for kernels of this library and of others.

A case is what `tensors` gives and the edge: x, alpha, weights, the output's gradient, edge.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn.functional import batch_norm

from nasturtium.kernels import Running, dispatch, mixed_operation
from nasturtium.kernels.mixed_op import spec
from nasturtium.kernels.mixed_op.ops import NAME
from nasturtium.kernels.mixed_op.spec import Edge
from nasturtium.kernels.separable.reference import separable

__all__ = [
    "Verdict",
    "check",
    "derive",
    "dropped",
    "error",
    "exactly",
    "judge",
    "margin",
    "nearest_to_a_kink",
    "statistics",
    "tensors",
    "within",
]


def tensors(
    shape: Sequence[int], edge: Edge, *, seed: int = 0, mean: float = 0.0
) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
    """Normal x, positive alpha, weights that keep the variance, and a gradient of the output."""
    draw = torch.Generator().manual_seed(seed)
    n, c, h, w = shape
    x = torch.randn((n, c, h, w), generator=draw) + mean
    alpha = torch.rand(len(edge.candidates), generator=draw) + 0.1
    weights = [
        torch.randn(s, generator=draw) / math.sqrt(s[1] * s[2] * s[3]) for s in edge.shapes(c)
    ]
    grad = torch.randn(n, c, edge.output(h), edge.output(w), generator=draw)
    return x, alpha, weights, grad


def statistics(edge: Edge, channels: int) -> Running:
    """Given statistics of all normalizations."""
    draw = torch.Generator().manual_seed(5)
    return Running(
        list(torch.randn(edge.norms, channels, generator=draw)),
        list(torch.rand(edge.norms, channels, generator=draw) + 0.5),
    )


def dropped(alpha: Tensor, images: int, seed: int = 0) -> Tensor:
    """Alphas of each image, about a third of them zero."""
    draw = torch.Generator().manual_seed(seed)
    factors = torch.rand(images, len(alpha), generator=draw) * 1.5 - 0.5
    return alpha * factors.clamp(min=0)


def derive(
    x: Tensor,
    alpha: Tensor,
    weights: Sequence[Tensor],
    grad: Tensor,
    edge: Edge,
    mode: str,
    **more: Any,
) -> list[Tensor]:
    """Output and all gradients, by the implementation that `mode` names; it must have run."""
    own = [t.detach().requires_grad_() for t in (x, alpha, *weights)]
    before = dispatch.ran.copy()
    with mock.patch.dict(os.environ, {dispatch.VARIABLE: mode}):
        out = mixed_operation(
            own[0], own[1], own[2:], candidates=edge.candidates, stride=edge.stride, **more
        )
        found = torch.autograd.grad(out, own, grad, allow_unused=True)
    ran = dispatch.ran - before
    assert ran[NAME, mode] == 1 and ran[f"{NAME}_backward", mode] == (mode != "reference")
    zero = [torch.zeros_like(t) for t in own]
    return [out.detach(), *(z if g is None else g for g, z in zip(found, zero, strict=True))]


def exactly(
    x: Tensor, alpha: Tensor, weights: Sequence[Tensor], grad: Tensor, edge: Edge, **more: Any
) -> list[Tensor]:
    """The same by plain torch in float64."""
    double = [w.double() for w in weights]
    if more.get("running") is not None:
        more["running"] = Running(*([t.double() for t in part] for part in more["running"]))
    return derive(x.double(), alpha.double(), double, grad.double(), edge, "reference", **more)


def error(found: Tensor, exact: Tensor, floor: float = 0.0) -> float:
    """Largest difference over the largest value.

    `floor` is a least scale, for sums whose terms cancel: their size says nothing of the terms'.
    """
    difference = (found.double() - exact).abs().max().item()
    return difference / (max(exact.abs().max().item(), floor) or 1.0)


def within(
    found: Tensor,
    eager: Tensor,
    exact: Tensor,
    *,
    times_eager: float,
    epsilons: float,
    floor: float = 0.0,
) -> bool:
    """Whether the error is below plain torch's times a factor, or below some float spacings."""
    bar = max(times_eager * error(eager, exact, floor), epsilons * torch.finfo(torch.float32).eps)
    return error(found, exact, floor) <= bar


@dataclass(frozen=True)
class Verdict:
    """Errors of one result, next to its largest value and next to a floor below that.

    Attributes:
        result: 0 is the output, then come the gradients of x, alpha and the weights.
        own: of the implementation.
        eager: of plain torch in float32.
        sound: whether `own` is within the specification.
        strict: the same without the floor.
    """

    result: int
    own: float
    eager: float
    sound: bool
    strict: bool


def _floors(
    x: Tensor, alpha: Tensor, grad: Tensor, edge: Edge, exact: Sequence[Tensor], given: bool
) -> list[float]:
    """Least scales of the results.

    The gradient of alpha is a sum of numbers of both signs: a tenth of their length is its scale.
    Weights before a normalization may have next to no gradient (with one channel they only scale
    it): a tenth of the largest of all weights.
    """
    # What is normalized by its own statistics has length one.
    as_x = given or ("skip_connect" in edge.candidates and edge.stride == 1)
    size = max(x.square().mean().sqrt().item(), 1.0) if as_x else 1.0
    terms = grad.numel() / (len(x) if alpha.dim() == 2 else 1)
    largest = max([g.abs().max().item() for g in exact[3:]], default=0.0)
    return [0.0, 0.0, 0.1 * size * math.sqrt(terms), *[0.1 * largest] * len(exact[3:])]


def judge(
    x: Tensor,
    alpha: Tensor,
    weights: Sequence[Tensor],
    grad: Tensor,
    edge: Edge,
    *,
    mode: str = "cpu",
    **more: Any,
) -> list[Verdict]:
    """Each result of an implementation against float64, beside plain torch's."""
    case = (x, alpha, weights, grad, edge)
    ours, eager = (derive(*case, mode=kind, **more) for kind in (mode, "reference"))
    exact = exactly(*case, **more)
    found, floors = [], _floors(x, alpha, grad, edge, exact, more.get("running") is not None)
    bars = {"times_eager": spec.TIMES_EAGER, "epsilons": spec.EPSILONS}
    for number, (a, b, c, floor) in enumerate(zip(ours, eager, exact, floors, strict=True)):
        sound, strict = (within(a, b, c, floor=least, **bars) for least in (floor, 0.0))
        found.append(Verdict(number, error(a, c, floor), error(b, c, floor), sound, strict))
    return found


def check(*case: Any, **more: Any) -> None:
    """Assert that every result is within the specification; arguments as of `judge`."""
    for verdict in judge(*case, **more):
        assert verdict.sound, verdict


def _first_halves(x: Tensor, weights: Sequence[Tensor], edge: Edge) -> Iterator[tuple[int, Tensor]]:
    """What the first halves of separable convolutions give, and their normalizations' numbers."""
    rest, norm = iter(weights), 0
    for name in edge.candidates:
        own = [next(rest).double() for _ in edge.shapes_of(name, x.shape[1])]
        if name.startswith("sep"):
            yield norm, separable(x.double(), own[0], own[1], edge.stride, 1)
        norm += edge.norms_of(name)


def nearest_to_a_kink(x: Tensor, weights: Sequence[Tensor], edge: Edge) -> float:
    """The least normalized value that the second ReLU of a separable convolution meets."""
    least = math.inf
    for _, z in _first_halves(x, weights, edge):
        least = min(least, batch_norm(z, None, None, training=True).abs().min().item())
    return least


def margin(
    x: Tensor, weights: Sequence[Tensor], edge: Edge, running: Running | None = None
) -> float:
    """Distance of these values from the kink in units of their rounding.

    On which side a value lies decides on whole gradients. Rounding moves it by about the spacing of
    floats at the channel's largest value before its mean was taken away.
    """
    least = math.inf
    for norm, z in _first_halves(x, weights, edge):
        about = z.mean((0, 2, 3)) if running is None else running.means[norm].double()
        nearest = (z - about[:, None, None]).abs().amin((0, 2, 3))
        largest = z.abs().amax((0, 2, 3)) + about.abs()
        spacing = torch.finfo(torch.float32).eps * largest
        least = min(least, (nearest / spacing.clamp(min=1e-300)).min().item())
    return least
