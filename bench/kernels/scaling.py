"""How the time and the memory of a mixed operation grow.

    python bench/kernels/scaling.py [--runs 5] [--out bench/results/scaling.md]

A step is forward and backward with all gradients. Along each axis all points, fused and of plain
torch on channels-last images, take turns in one run; the exponent is the slope of log(time) over
log(value) by least squares.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nasturtium.bench.kernels import check, in_turns
from nasturtium.bench.subjects import Case, Size, Subject
from nasturtium.kernels import MixedEdge, available
from nasturtium.kernels.mixed_op.spec import CANDIDATES
from nasturtium.machine import measured_with

# With and without weights in turn, so that each pair more costs about as much.
ORDER = (
    "sep_conv_3x3", "skip_connect", "dil_conv_3x3", "max_pool_3x3",
    "sep_conv_5x5", "avg_pool_3x3", "dil_conv_5x5", "none",
)  # fmt: skip
CONVOLUTIONS = tuple(name for name in CANDIDATES if "conv" in name)
FREE = tuple(name for name in CANDIDATES if "conv" not in name)
LAST = torch.channels_last


@dataclass(frozen=True)
class Axis:
    """What is varied, and the size and the candidates for each of its values."""

    name: str
    values: tuple[int, ...]
    at: Callable[[int], tuple[Size, tuple[str, ...]]]


AXES = (
    Axis("batch", (8, 16, 32, 64, 128), lambda n: ((n, 16, 32), CANDIDATES)),
    Axis("channels", (8, 16, 32, 64, 128), lambda c: ((16, c, 16), CANDIDATES)),
    Axis("side", (8, 16, 32, 64), lambda side: ((16, 16, side), CANDIDATES)),
    Axis("candidates", (2, 4, 6, 8), lambda k: ((64, 16, 32), ORDER[:k])),
)


def subject(candidates: Sequence[str]) -> Subject:
    """An edge of these candidates."""
    return Subject("edge", lambda c: MixedEdge(c, candidates=candidates), (len(candidates),))


def exponent(values: Sequence[float], times: Sequence[float]) -> float:
    """The slope of log(time) over log(value) by least squares."""
    slope, _ = np.polyfit(np.log(values), np.log(times), 1)
    return float(slope)


def times_along(axis: Axis, runs: int) -> tuple[list[float], list[float]]:
    """Milliseconds of a step at each value, fused and of plain torch."""
    cases: list[Case] = []
    for form in ("fused", "plain"):
        for value in axis.values:
            size, candidates = axis.at(value)
            own = subject(candidates)
            if form == "fused":
                check(own, size)
            cases.append(Case.make(own, size, LAST, form))
    found = in_turns([case.step for case in cases], runs)
    return found[: len(axis.values)], found[len(axis.values) :]


def kept(candidates: Sequence[str]) -> tuple[int, int]:
    """Bytes kept for the backward pass, fused and by plain torch."""
    size = (64, 16, 32)
    forms = (Case.make(subject(candidates), size, LAST, form) for form in ("fused", "plain"))
    fused, plain = (case.kept() for case in forms)
    return fused, plain


def page(runs: int) -> str:
    """The page, in Markdown."""
    lines = [
        "# How a mixed operation grows",
        "",
        "Written by `bench/kernels/scaling.py`: milliseconds of a step, forward and backward with"
        f" all gradients, the best of {runs} runs in turns; plain torch on channels-last images.",
        "",
        "| axis | value | N, C, side | fused, ms | plain, ms | ratio |",
        "|---|---|---|---|---|---|",
    ]
    growth = ["", "| axis | exponent, fused | exponent, plain |", "|---|---|---|"]
    for axis in AXES:
        fused, plain = times_along(axis, runs)
        for value, ours, theirs in zip(axis.values, fused, plain, strict=True):
            size = ", ".join(map(str, axis.at(value)[0]))
            cells = (axis.name, str(value), size, *(f"{t:.2f}" for t in (ours, theirs)))
            lines.append(f"| {' | '.join(cells)} | {theirs / ours:.1f} |")
        slopes = (exponent(axis.values, t) for t in (fused, plain))
        growth.append(f"| {axis.name} | {' | '.join(f'{slope:.2f}' for slope in slopes)} |")
        print(growth[-1], flush=True)
    lines += growth
    lines += [
        "",
        "Bytes kept for the backward pass at N, C, side = 64, 16, 32 with all convolutions and"
        " candidates without weights, one more in each line; what a pool adds to the fused"
        " operator's are its statistics.",
        "",
        "| candidates without weights | fused, MiB | fused, bytes added | plain, MiB |",
        "|---|---|---|---|",
    ]
    before = None
    for many in range(len(FREE) + 1):
        ours, theirs = kept((*CONVOLUTIONS, *FREE[:many]))
        added = "" if before is None else str(ours - before)
        name = "none of them" if not many else f"and {FREE[many - 1]}"
        lines.append(f"| {name} | {ours / 2**20:.3f} | {added} | {theirs / 2**20:.3f} |")
        before = ours
    about = measured_with(("nasturtium", "torch"), checkout=Path(__file__).parent)
    about |= {"isa": available()[-1], "threads": str(torch.get_num_threads())}
    about["load average"] = f"{os.getloadavg()[0]:.1f}"
    lines += ["", ", ".join(f"{key} {value}" for key, value in about.items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("bench/results/scaling.md"))
    options = parser.parse_args()
    options.out.write_text(page(options.runs), encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    main()
