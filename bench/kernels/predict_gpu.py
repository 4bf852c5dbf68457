"""Predicts the time of a mixed operation on GPUs from what its kernels move and compute.

    python bench/kernels/predict_gpu.py [--out bench/results/gpu_prediction.md]

Nothing is run on a GPU, and no figure here was measured. Launches and tensors of the fused form are
recorded from the operator itself; operations and tensors of plain torch are counted on its meta
device. A kernel takes the longer of moving each of its tensors once and of its arithmetic.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nasturtium.kernels import MixedEdge, tiles
from nasturtium.kernels.mixed_op import gpu
from nasturtium.kernels.mixed_op.spec import BENCH_SIZES, CANDIDATES, Edge

# What is reached of a peak: a copy of memory, depthwise filters on the plain cores, products.
MEMORY, PLAIN, PRODUCT = 0.80, 0.25, 0.40
# A product in single precision is three of the matrix units.
TIMES = 3
LAUNCH, GRAPH = 6.0, 2.0  # microseconds a kernel at least, from Python and in a CUDA graph


@dataclass(frozen=True)
class Device:
    """Peaks of a GPU by its maker: bytes and operations in a second."""

    name: str
    memory: float
    plain: float
    product: float


DEVICES = (
    Device("A100 80 GB", 2.04e12, 19.5e12, 156e12),
    Device("H100 SXM", 3.35e12, 67e12, 495e12),
)


@dataclass
class Work:
    """One kernel: bytes moved, and operations outside and inside matrix products."""

    name: str
    moved: float
    plain: float = 0.0
    product: float = 0.0

    def microseconds(self, device: Device, least: float) -> float:
        """On a device."""
        arithmetic = self.plain / (PLAIN * device.plain) + self.product / (PRODUCT * device.product)
        return max(1e6 * max(self.moved / (MEMORY * device.memory), arithmetic), least)


def moved(values: Iterable[Any]) -> float:
    """Bytes of tensors, each storage once."""
    found: dict[int, int] = {}

    def add(value: Any) -> None:
        if isinstance(value, Tensor):
            key = value.untyped_storage()._cdata
            found[key] = max(found.get(key, 0), value.numel() * value.element_size())
        elif isinstance(value, (tuple, list)):
            for each in value:
                add(each)

    add(list(values))
    return float(sum(found.values()))


def of_launch(launch: tiles.Launch) -> Work:
    """What a recorded launch does; an addition and a multiplication are two operations."""
    a, name = launch.arguments, launch.kernel.name
    work = Work(name, moved(a.values()))
    pixels, c = float(a.get("pixels", 0)), float(a.get("C", 0))
    taps = float(sum(side * side for side in a.get("SIDES", ()) if side > 1))
    outs = float(sum(a.get("OUTS", ())))
    if name in ("bank_forward", "bank_pointwise_weights", "bank_depthwise_weights", "bank_input"):
        work.plain = 2 * pixels * c * taps / (a["STRIDE"] ** 2 if name == "bank_input" else 1)
    if name in ("bank_forward", "bank_spread", "bank_pointwise_weights"):
        work.product = 2 * pixels * c * outs * TIMES
    if name in ("moments", "mix_forward", "mix_reduce"):
        kinds = a["KINDS"]
        work.plain = pixels * c * sum(4 if kind < 2 else 16 for kind in kinds)
    return work


def fused(size: tuple[int, int, int], stride: int) -> list[Work]:
    """The kernels of a step of a fused edge with all candidates."""
    n, c, side = size
    edge = Edge(CANDIDATES, stride)
    x = torch.empty(n, c, side, side, memory_format=torch.channels_last)
    alpha, none = torch.empty(len(CANDIDATES)), torch.empty(0)
    weights = [torch.empty(s) for s in edge.shapes(c)]
    numbers, strides = edge.numbers, [stride]
    with tiles.recorded() as launches:
        out, kept, mean, variance = gpu.forward(
            [x], [alpha], weights, none, none, numbers, strides, True, 1e-5, torch.float32
        )
        gpu.backward(
            out, [x], [alpha], weights, kept, mean, variance, numbers, strides, True, 1e-5, [7]
        )  # fmt: skip
    return [of_launch(launch) for launch in launches]


class Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects what each operation of torch moves and computes; views do neither."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Work] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run it, and note it."""
        out = func(*args, **(kwargs or {}))
        name = str(func).split(".")[1]
        if func.is_view or name.startswith(("detach", "empty", "new_empty")):
            return out
        work = Work(name, moved([args, out]))
        if name.startswith("convolution"):
            back = name.endswith("backward")
            weight, groups = args[2 if back else 1], args[9 if back else 8]
            image = args[0] if back else out
            count = 2.0 * image.numel() * math.prod(weight.shape[1:]) * (2 if back else 1)
            if groups > 1:
                work.plain = count
            else:
                work.product = count
        self.found.append(work)
        return out


def eager(size: tuple[int, int, int], stride: int) -> list[Work]:
    """The operations of a step of the plain edge."""
    n, c, side = size
    with torch.device("meta"):
        edge = MixedEdge(c, stride=stride)
        x = torch.empty(n, c, side, side, requires_grad=True)
        alpha = torch.empty(len(CANDIDATES), requires_grad=True)
    counted = Counted()
    with counted:
        out = edge.plain(x, alpha)
        torch.autograd.grad(out, [x, alpha, *edge.parameters()], torch.empty_like(out))
    return counted.found


def total(works: Sequence[Work], device: Device, least: float) -> float:
    """Microseconds of a step."""
    return sum(work.microseconds(device, least) for work in works)


def page() -> str:
    """The page, in Markdown."""
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
        "| N, C, side | stride | device | fused: kernels, MB | eager: operations, MB | fused, us"
        " | eager, us | ratio | fused in a graph, us | eager in a graph, us | ratio in a graph |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for stride in (1, 2):
        for size in BENCH_SIZES:
            ours, theirs = fused(size, stride), eager(size, stride)
            for device in DEVICES:
                times = [total(w, device, t) for t in (LAUNCH, GRAPH) for w in (ours, theirs)]
                cells = [
                    ", ".join(map(str, size)), str(stride), device.name,
                    *(f"{len(w)}, {sum(v.moved for v in w) / 1e6:.0f}" for w in (ours, theirs)),
                    f"{times[0]:.0f}", f"{times[1]:.0f}", f"{times[1] / times[0]:.1f}",
                    f"{times[2]:.0f}", f"{times[3]:.0f}", f"{times[3] / times[2]:.1f}",
                ]  # fmt: skip
                lines.append(f"| {' | '.join(cells)} |")
    first = BENCH_SIZES[0]
    lines += [
        "",
        f"## The kernels of a step, N, C, side = {', '.join(map(str, first))}, stride 1",
        "",
        "| kernel | MB | MFLOP outside products | MFLOP of products | "
        + " | ".join(f"{d.name}, us" for d in DEVICES)
        + " |",
        "|---|---|---|---|" + "---|" * len(DEVICES),
    ]
    for work in fused(first, 1):
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
