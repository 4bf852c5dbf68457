"""Searches on digits with the fused supernet, with plain torch, and with disturbed images.

    python bench/kernels/darts_digits.py [--seeds 5] [--steps 50] [--out FILE]

First-order DARTS, all three from one start of weights and alpha, in the same order of the images.
The disturbed search is plain torch again, each pixel moved by one unit in the last place: what it
finds differently, rounding decided.
"""

from __future__ import annotations

import argparse
import copy
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nasturtium.bench.alternation import Trace, alternate, found_edges, start_of
from nasturtium.data import load
from nasturtium.kernels import SearchNetwork, available, dispatch
from nasturtium.machine import measured_with

EARLY = 50  # steps within which alphas are compared
MOST_APART = 1e-3


@dataclass(frozen=True)
class Found:
    """One search next to that of plain torch: how far alpha is at most, and edges that differ."""

    early: float
    late: float
    edges: int

    @staticmethod
    def of(trace: Trace, plain: Trace) -> Found:
        """Compare two searches of equal length."""
        apart = (trace.alphas - plain.alphas).abs().flatten(1).max(1).values
        edges = found_edges(plain.alphas[-1]) - found_edges(trace.alphas[-1])
        return Found(float(apart[: EARLY + 1].max()), float(apart.max()), len(edges))


@dataclass(frozen=True)
class Search:
    """Of one seed: both comparisons, seconds of each form, and how far alpha went."""

    seed: int
    fused: Found
    disturbed: Found
    seconds: tuple[float, float]
    moved: float


def images_and_labels() -> tuple[Tensor, Tensor]:
    """The 1,797 digits in a fixed random order, of mean 0 and variance 1."""
    data = load("digits")
    order = torch.randperm(len(data.y), generator=torch.Generator().manual_seed(0))
    x = torch.as_tensor(data.x)[order]
    return (x - x.mean()) / x.std(), torch.as_tensor(data.y)[order]


def search(seed: int, channels: int, layers: int, steps: int, batch: int) -> Search:
    """All three searches of a seed."""
    images, labels = images_and_labels()
    torch.manual_seed(seed)
    first = SearchNetwork(channels, 10, layers=layers, inputs=images.shape[1])
    start = start_of(seed)
    nudged = images.nextafter(torch.full((), torch.inf))
    runs = {"fused": (images, "forward"), "plain": (images, "plain"), "nudged": (nudged, "plain")}
    traces = {}
    before = dispatch.ran.copy()
    for name, (x, form) in runs.items():
        own = copy.deepcopy(first)
        traces[name] = alternate(own, form, start, x, labels, steps=steps, batch=batch, seed=seed)
    ran = dispatch.ran - before
    if ran["mixed_operation_backward", "cpu"] == 0 or ran["mixed_operation", "reference"]:
        raise SystemExit("the fused kernel did not run; see nasturtium doctor")
    fused, plain, other = traces.values()
    return Search(
        seed,
        Found.of(fused, plain),
        Found.of(other, plain),
        (fused.seconds, plain.seconds),
        float((plain.alphas[-1] - start).abs().max()),
    )


def page(found: list[Search], options: argparse.Namespace, load_average: float) -> str:
    """The page, in Markdown."""
    about = measured_with(("nasturtium", "torch"), checkout=Path(__file__).parent)
    about |= {"isa": available()[-1], "threads": str(torch.get_num_threads())}
    lines = [
        "# Searches on digits, fused and in plain torch",
        "",
        f"First-order DARTS ({options.steps} steps on alpha and as many on the weights, batch"
        f" {options.batch}, {options.layers} cells, {options.channels} channels), written by"
        " `bench/kernels/darts_digits.py`. Each search is compared with plain torch's from the same"
        " start: the fused one, and plain torch's own with every pixel moved by one unit in the"
        " last place.",
        "",
        f"| seed | alpha moved by | fused: max abs d alpha, {EARLY} steps | all steps | edges of 16"
        f" that differ | disturbed: max abs d alpha, {EARLY} steps | all steps | edges of 16 that"
        " differ | fused, s | plain, s | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for own in found:
        ours, theirs = own.seconds
        cells = [
            str(own.seed), f"{own.moved:.3f}",
            *(
                text
                for side in (own.fused, own.disturbed)
                for text in (f"{side.early:.1e}", f"{side.late:.1e}", str(side.edges))
            ),
            f"{ours:.1f}", f"{theirs:.1f}", f"{theirs / ours:.2f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    worst = max(own.fused.early for own in found)
    edges = [
        sum(side.edges for side in own)
        for own in zip(*((s.fused, s.disturbed) for s in found), strict=True)
    ]
    lines += [
        "",
        f"Over {EARLY} steps alpha stays within {worst:.1e} of plain torch's (bar {MOST_APART:g}:"
        f" {'met' if worst <= MOST_APART else 'missed'}); edges that differ in all: {edges[0]}"
        f" fused, {edges[1]} disturbed (bar: no more than disturbed:"
        f" {'met' if edges[0] <= edges[1] else 'missed'}).",
        "",
        ", ".join(f"{key} {value}" for key, value in about.items())
        + f", load average {load_average:.1f} (times are wall clock of a shared machine)",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Search with each seed and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("bench/results/darts_digits.md"))
    options = parser.parse_args()
    found, loads = [], []
    for seed in range(options.seeds):
        found.append(search(seed, options.channels, options.layers, options.steps, options.batch))
        loads.append(os.getloadavg()[0])
        print(found[-1], flush=True)
        options.out.write_text(page(found, options, sum(loads) / len(loads)), encoding="utf-8")


if __name__ == "__main__":
    main()
