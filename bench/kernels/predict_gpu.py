"""Predicts the times of operators on GPUs from what their kernels move and compute.

    python bench/kernels/predict_gpu.py [--out bench/results/gpu_prediction.md]

Nothing is run on a GPU, and no figure here was measured. A kernel takes the longer of moving each
of its tensors once and of its arithmetic.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gpu_subjects import Subject, edge, others
from gpu_work import (
    DEVICES,
    GRAPH,
    LAUNCH,
    MEMORY,
    PLAIN,
    PRODUCT,
    TIMES,
    total,
)

from nasturtium.kernels.mixed_op.spec import BENCH_SIZES

HEAD = (
    "| N, C, side | stride | device | fused: kernels, MB | eager: operations, MB | fused, us"
    " | eager, us | ratio | fused in a graph, us | eager in a graph, us | ratio in a graph |"
)
HEAD_RULE = "|---|---|---|---|---|---|---|---|---|---|---|"


def rows(subject: Subject, *names: str) -> list[str]:
    """The lines of a step, one for each device."""
    ours, theirs = subject.fused(), subject.eager()
    lines = []
    for device in DEVICES:
        times = [total(w, device, t) for t in (LAUNCH, GRAPH) for w in (ours, theirs)]
        cells = [
            *names, device.name,
            *(f"{len(w)}, {sum(v.moved for v in w) / 1e6:.0f}" for w in (ours, theirs)),
            f"{times[0]:.0f}", f"{times[1]:.0f}", f"{times[1] / times[0]:.1f}",
            f"{times[2]:.0f}", f"{times[3]:.0f}", f"{times[3] / times[2]:.1f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def page() -> str:
    """The page, in Markdown."""
    first = BENCH_SIZES[0]
    lines = [
        "# Predicted times on GPUs",
        "",
        "**A prediction: nothing here was measured, and no GPU was at hand.** Written by"
        " `bench/kernels/predict_gpu.py`.",
        "",
        f"Assumed are {MEMORY:.0%} of the memory's peak, {PLAIN:.0%} of the plain cores' for"
        f" depthwise filters and {PRODUCT:.0%} of the matrix units' for products ({TIMES} of TF32"
        f" for one of ours; eager's are taken to be one). A kernel takes {LAUNCH:g} us or more from"
        f" Python and {GRAPH:g} us or more in a CUDA graph. Each tensor is moved once a kernel,"
        " though filters read their image once each and rows of taps once more: that is the second"
        " level cache's. Peaks: "
        + "; ".join(
            f"{d.name} {d.memory / 1e12:g} TB/s, {d.plain / 1e12:g} and {d.product / 1e12:g} TFLOP"
            " a second"
            for d in DEVICES
        )
        + ".",
        "",
        "## A step of a mixed operation, all candidates, forward and backward",
        "",
        HEAD,
        HEAD_RULE,
    ]
    for stride in (1, 2):
        for size in BENCH_SIZES:
            lines += rows(edge(size, stride), ", ".join(map(str, size)), str(stride))
    lines += [
        "",
        f"## Steps of other operators, N, C, side = {', '.join(map(str, first))}",
        "",
        HEAD.replace("N, C, side | stride", "step"),
        HEAD_RULE.removeprefix("|---"),
    ]
    for subject in others(first):
        lines += rows(subject, subject.name)
    lines += [
        "",
        f"## The kernels of a step, N, C, side = {', '.join(map(str, first))}, stride 1",
        "",
        "| kernel | MB | MFLOP outside products | MFLOP of products | "
        + " | ".join(f"{d.name}, us" for d in DEVICES)
        + " |",
        "|---|---|---|---|" + "---|" * len(DEVICES),
    ]
    for work in edge(first, 1).fused():
        cells = [
            work.name.lstrip("_"), f"{work.moved / 1e6:.2f}", f"{work.plain / 1e6:.1f}",
            f"{work.product / TIMES / 1e6:.1f}",
            *(f"{work.microseconds(d, GRAPH):.1f}" for d in DEVICES),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("bench/results/gpu_prediction.md"))
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page(), encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    main()
