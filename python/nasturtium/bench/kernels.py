"""The fused mixed operation beside plain torch: results first, then times taken in turns.

A step is forward and backward with all gradients, from a dense gradient in the output's layout.
Peers: torch as it is, on channels-last images, and both compiled where that is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nasturtium.bench.rows import Row
from nasturtium.bench.timing import RUNS
from nasturtium.errors import NasturtiumError
from nasturtium.kernels import MixedEdge, available, dispatch
from nasturtium.kernels.mixed_op import spec

__all__ = ["Case", "in_turns", "kept_bytes", "measure"]

Forward = Callable[[Tensor, Tensor], Tensor]
Size = tuple[int, int, int]
_FEW = 4  # images of the check: rounding at a kink decides whole gradients in large ones
_CALLS = 2  # of one run


@dataclass(frozen=True)
class Case:
    """One edge and its inputs; the gradient lies as the output does."""

    forward: Forward
    x: Tensor
    alpha: Tensor
    parameters: tuple[Tensor, ...]
    grad: Tensor

    @staticmethod
    def make(size: Size, layout: torch.memory_format, kind: str, *, double: bool = False) -> Case:
        """Normal random inputs, the same on every call.

        Args:
            size: batch, channels, side.
            layout: of images.
            kind: ``fused``, ``plain`` or ``compiled``.
            double: in float64.
        """
        torch.manual_seed(0)
        n, c, side = size
        edge = MixedEdge(c)
        x, grad = torch.randn(n, c, side, side), torch.randn(n, c, side, side)
        alpha = torch.rand(len(edge.edge.candidates)) + 0.1
        if double:
            edge, x, grad, alpha = edge.double(), x.double(), grad.double(), alpha.double()
        edge = edge.to(memory_format=layout)  # type: ignore[call-overload]
        forward: Forward = edge if kind == "fused" else edge.plain
        return Case(
            torch.compile(forward) if kind == "compiled" else forward,
            x.contiguous(memory_format=layout).requires_grad_(),
            alpha.requires_grad_(),
            tuple(edge.parameters()),
            grad.contiguous(memory_format=layout),
        )

    def step(self) -> tuple[Tensor, ...]:
        """Output and all gradients."""
        out = self.forward(self.x, self.alpha)
        inputs = (self.x, self.alpha, *self.parameters)
        return (out, *torch.autograd.grad(out, inputs, self.grad))


def check(size: Size) -> float:
    """Largest error of the fused form over the largest value, on few images against float64.

    Raises:
        NasturtiumError: it is more than the specification allows, or the kernel did not run.
    """
    small = (min(size[0], _FEW), *size[1:])
    plain = torch.contiguous_format
    exact = Case.make(small, plain, "plain", double=True).step()
    eager = Case.make(small, plain, "plain").step()
    before = dispatch.ran["mixed_operation_backward", "cpu"]
    ours = Case.make(small, torch.channels_last, "fused").step()
    if dispatch.ran["mixed_operation_backward", "cpu"] == before:
        raise NasturtiumError("the fused kernel did not run; see nasturtium doctor")
    worst = 0.0
    for a, b, c in zip(ours, eager, exact, strict=True):
        own, theirs = (((t - c).abs().max() / c.abs().max()).item() for t in (a, b))
        worst = max(worst, own)
        spacing = torch.finfo(torch.float32).eps
        if not own <= max(spec.TIMES_EAGER * theirs, spec.EPSILONS * spacing):
            raise NasturtiumError(f"the fused kernel is wrong at {small}: {own:.1e} {theirs:.1e}")
    return worst


def kept_bytes(case: Case) -> int:
    """Bytes that the forward pass keeps, each storage once, without x and parameters."""
    own = (case.x, case.alpha, *case.parameters)
    without = {t.untyped_storage().data_ptr() for t in own}
    found: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in without:
            found[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = case.forward(case.x, case.alpha)
    del out
    return sum(found.values())


def in_turns(works: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """Milliseconds of each, the best of `runs`; they take turns, so that all see one machine."""
    best = [float("inf")] * len(works)
    for work in works:
        work()
    for _ in range(runs):
        for i, work in enumerate(works):
            begin = time.perf_counter()
            for _ in range(_CALLS):
                work()
            best[i] = min(best[i], (time.perf_counter() - begin) / _CALLS * 1e3)
    return best


def roofline(runs: int) -> list[Row]:
    """What this machine reaches at most: a copy from memory and a product of matrices."""
    side, floats = 1024, 1 << 25
    a, b = torch.randn(side, side), torch.randn(side, side)
    product, source, target = torch.empty(side, side), torch.ones(floats), torch.empty(floats)
    copy, multiply = in_turns(
        [lambda: target.copy_(source), lambda: torch.mm(a, b, out=product)], runs
    )
    return [
        Row("machine: bytes read and written by a copy", 2e3 * 4 * floats / copy, "/s"),
        Row("machine: FLOP of a product of matrices", 2e3 * side**3 / multiply, "/s"),
    ]


def flops(size: Size) -> float:
    """Of one fused step: depthwise and pointwise, twice that backward, and depthwise again."""
    n, c, side = size
    depthwise, pointwise = 2 * (9 + 25) + 9 + 25, 6 * c
    return 2.0 * n * c * side * side * (4 * depthwise + 3 * pointwise)


def moved(size: Size) -> float:
    """Bytes of one fused step: 15 images forward and 22 backward, read or written."""
    n, c, side = size
    return 37 * 4.0 * n * c * side * side


def measure(runs: int = RUNS, *, compiled: bool = False) -> list[Row]:
    """All rows; `compiled` adds what torch compiles, which needs a compiler and some time."""
    rows = roofline(runs)
    for size in spec.BENCH_SIZES:
        rows += _of_size(size, runs, compiled, first=size == spec.BENCH_SIZES[0])
    return rows


def _of_size(size: Size, runs: int, compiled: bool, *, first: bool) -> list[Row]:
    error = check(size)
    plain, last = torch.contiguous_format, torch.channels_last
    cases = {
        "fused": Case.make(size, last, "fused"),
        "eager": Case.make(size, plain, "plain"),
        "channels-last": Case.make(size, last, "plain"),
    }
    if compiled:
        cases["compiled"] = Case.make(size, plain, "compiled")
        cases["compiled channels-last"] = Case.make(size, last, "compiled")
    name = f"mixed operation {'x'.join(map(str, size))}, {torch.get_num_threads()} threads"
    times = dict(zip(cases, in_turns([c.step for c in cases.values()], runs), strict=True))
    forward = dict(
        zip(
            cases,
            in_turns([lambda c=c: c.forward(c.x, c.alpha) for c in cases.values()], runs),  # type: ignore[misc]
            strict=True,
        )
    )
    own, alone = times.pop("fused"), forward.pop("fused")
    kept = {key: kept_bytes(cases[key]) for key in ("fused", "eager")}
    bar = None
    if first and torch.get_num_threads() == 2 and "x86-64-v3" in available():
        bar = spec.LEAST_SPEEDUP
    return [
        Row(f"{name}: step", own, "ms", times),
        Row(f"{name}: forward", alone, "ms", forward),
        *(
            Row(f"{name}: step, times {peer}", value / own, "x",
                bar=bar if peer == "eager" else None)
            for peer, value in times.items()
        ),
        Row(f"{name}: FLOP", 1e3 * flops(size) / own, "/s"),
        Row(f"{name}: bytes moved", 1e3 * moved(size) / own, "/s"),
        Row(f"{name}: kept", kept["fused"] / 2**20, "MiB", {"eager": kept["eager"] / 2**20}),
        Row(f"{name}: kept, of eager's", kept["fused"] / kept["eager"], "part",
            bar=spec.MOST_KEPT),
        Row(f"{name}: largest error over largest value", error, "part"),
    ]  # fmt: skip
