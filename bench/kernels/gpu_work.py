"""Counts what a step moves and computes on a GPU that is not there: bytes, operations, kernels.

Launches of Triton kernels are recorded from the operators themselves, and what torch does, beside
them or instead, is counted on its meta device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nasturtium.kernels import tiles

# What is reached of a peak: a copy of memory, depthwise filters on the plain cores, products.
MEMORY, PLAIN, PRODUCT = 0.80, 0.25, 0.40
# A product in single precision is three of the matrix units.
TIMES = 3
# Kernels that compute depthwise filters outside matrix products.
FILTERS = (
    "bank_forward", "bank_pointwise_weights", "bank_depthwise_weights", "bank_input",
    "bank_convolve",
)  # fmt: skip
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
    """Bytes of tensors, each part of a storage once."""
    found: dict[tuple[int, int], int] = {}

    def add(value: Any) -> None:
        if isinstance(value, Tensor):
            key = (value.untyped_storage()._cdata, int(value.storage_offset()))
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
    if name in FILTERS:
        work.plain = 2 * pixels * c * taps / (a["STRIDE"] ** 2 if name == "bank_input" else 1)
    if name in ("bank_forward", "bank_spread", "bank_pointwise_weights"):
        work.product = 2 * pixels * c * outs * TIMES
    if name in ("moments", "mix_forward", "mix_reduce"):
        kinds = a["KINDS"]
        pixels = float(a.get("pixels", a["grad"].numel() / c if "grad" in a else 0))
        work.plain = pixels * c * sum(4 if kind < 2 else 16 for kind in kinds)
    return work


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


def counted(step: Callable[[], Any]) -> list[Work]:
    """What a step does, kernels of both kinds."""
    mode = Counted()
    with tiles.recorded() as launches, mode, torch.device("meta"):
        step()
    return [*map(of_launch, launches), *mode.found]


def total(works: Sequence[Work], device: Device, least: float) -> float:
    """Microseconds of a step."""
    return sum(work.microseconds(device, least) for work in works)
