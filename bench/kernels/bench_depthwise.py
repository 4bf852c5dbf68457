"""Forward and backward of the depthwise convolution against torch, each result checked first.

Usage: python bench/kernels/bench_depthwise.py [--threads 1 2] [--out bench/results/kernels.csv]
"""

from __future__ import annotations

import argparse
import csv
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from nasturtium.kernels import available
from nasturtium.kernels.depthwise import reference, spec
from nasturtium.kernels.depthwise.ops import explain
from nasturtium.kernels.depthwise.spec import Filter

Function = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """Inputs of one measurement and the dense gradient that its backward pass starts from."""

    x: Tensor
    weight: Tensor
    grad: Tensor
    filter: Filter

    @staticmethod
    def make(
        size: tuple[int, int, int], settings: tuple[int, int, int], layout: torch.memory_format
    ) -> Case:
        """Normal random inputs, the same on every call; the gradient lies as the output does."""
        n, c, side = size
        f = Filter(*settings)
        draw = torch.Generator().manual_seed(0)
        return Case(
            torch.randn(n, c, side, side, generator=draw)
            .contiguous(memory_format=layout)
            .requires_grad_(),
            torch.randn(c, 1, f.kernel, f.kernel, generator=draw).requires_grad_(),
            torch.randn(n, c, f.output(side), f.output(side), generator=draw).contiguous(
                memory_format=layout
            ),
            f,
        )

    def kernel(self, x: Tensor, weight: Tensor) -> Tensor:
        """The operator, without the choice by shape that users get."""
        y: Tensor = torch.ops.nasturtium.depthwise_conv2d(
            x, weight, self.filter.stride, self.filter.dilation
        )
        return y

    def eager(self, x: Tensor, weight: Tensor) -> Tensor:
        """Torch's own convolution."""
        return reference.forward(x, weight, self.filter)

    def step(self, function: Function) -> tuple[Tensor, ...]:
        """Output and both gradients."""
        y = function(self.x, self.weight)
        return (y, *torch.autograd.grad(y, (self.x, self.weight), self.grad))

    def errors(self) -> tuple[float, float]:
        """Largest relative error of the kernel and of torch, against float64."""
        exact = Case(self.x.double(), self.weight.double(), self.grad.double(), self.filter)
        truth = exact.step(exact.eager)
        found = []
        for function in (self.kernel, self.eager):
            pairs = zip(self.step(function), truth, strict=True)
            found.append(max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs))
        return found[0], found[1]


def measure(functions: list[Callable[[], object]], *, rounds: int) -> list[float]:
    """Least milliseconds of each function; they take turns, so that all see the same machine.

    The least, because what else runs on the machine only ever adds to a time.
    """
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for function, kept in zip(functions, times, strict=True):
            start = time.perf_counter()
            for _ in range(3):
                function()
            kept.append((time.perf_counter() - start) / 3)
    return [min(kept) * 1e3 for kept in times]


def row(
    size: tuple[int, int, int], settings: tuple[int, int, int], last: bool, rounds: int
) -> dict[str, str]:
    """One line of the table; the times stand only beside a result that was checked."""
    case = Case.make(size, settings, torch.channels_last if last else torch.contiguous_format)
    error, eager_error = case.errors()
    if error > spec.TOLERANCE:
        raise SystemExit(f"{size} {settings}: error {error:.1e} is above {spec.TOLERANCE:.0e}")
    with torch.no_grad():
        eager_forward, forward = measure(
            [lambda: case.eager(case.x, case.weight), lambda: case.kernel(case.x, case.weight)],
            rounds=rounds,
        )
    eager, ours = measure(
        [lambda: case.step(case.eager), lambda: case.step(case.kernel)], rounds=rounds
    )
    return {
        "threads": str(torch.get_num_threads()),
        "format": "channels_last" if last else "channels_first",
        "batch": str(size[0]),
        "channels": str(size[1]),
        "side": str(size[2]),
        "kernel": str(settings[0]),
        "stride": str(settings[1]),
        "dilation": str(settings[2]),
        "forward_eager_ms": f"{eager_forward:.3f}",
        "forward_ms": f"{forward:.3f}",
        "forward_ratio": f"{eager_forward / forward:.2f}",
        "step_eager_ms": f"{eager:.3f}",
        "step_ms": f"{ours:.3f}",
        "step_ratio": f"{eager / ours:.2f}",
        "error": f"{error:.1e}",
        "eager_error": f"{eager_error:.1e}",
        "chosen": explain(case.x, case.weight, stride=settings[1], dilation=settings[2]).name,
        "isa": available()[-1],
        "torch": torch.__version__,
        "machine": platform.machine(),
    }


def main() -> None:
    """Measure the grid of the specification and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("bench/results/kernels.csv"))
    options = parser.parse_args()
    rows = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        for size, settings, last in product(spec.BENCH_SIZES, spec.BENCH_FILTERS, (False, True)):
            rows.append(row(size, settings, last, options.rounds))
            print(" ".join(f"{k}={v}" for k, v in list(rows[-1].items())[:17]), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
