"""What `nasturtium bench kernels` times: edges and whole supernets, with their bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from nasturtium.kernels import (
    AggregatedConv,
    CellEdge,
    CellSearchNetwork,
    MixedEdge,
    PartialEdge,
    SearchNetwork,
    available,
)
from nasturtium.kernels.aggregated import spec as aggregated
from nasturtium.kernels.mixed_op import spec
from nasturtium.kernels.supernets.darts import SearchCell
from nasturtium.kernels.supernets.nb201 import SearchedCell

__all__ = ["EDGES", "NETWORKS", "Case", "Size", "Subject", "kept_bytes"]

Size = tuple[int, int, int]


def _flops(size: Size) -> float:
    """Of a fused mixed operation: depthwise and pointwise, twice backward, depthwise again."""
    n, c, side = size
    depthwise, pointwise = 2 * (9 + 25) + 9 + 25, 6 * c
    return 2.0 * n * c * side * side * (4 * depthwise + 3 * pointwise)


def _moved(size: Size) -> float:
    """Bytes of a fused mixed operation: 15 images forward and 22 backward, read or written."""
    n, c, side = size
    return 37 * 4.0 * n * c * side * side


def _aggregated(channels: int, *, depthwise: bool) -> AggregatedConv:
    return AggregatedConv(
        channels,
        kernels=aggregated.BENCH_KERNELS,
        dilations=aggregated.BENCH_DILATIONS,
        groups=channels if depthwise else 1,
    )


@dataclass(frozen=True)
class Subject:
    """A module with a fused and a plain form.

    Attributes:
        name: in words.
        make: gives the module for C channels.
        weights: shape of the architecture's weights, which are its second argument.
        sizes: (batch, channels, side).
        operator: the fused operator that must have run.
        network: it takes images and gives logits; else its output is as its input.
        kept: most bytes kept for the backward pass over plain torch's.
        speedups: by peer, least times its time at the first size on a processor with AVX-512 and
            two threads; and at the others.
        speedups_avx2: the same with AVX2, at the first size.
        compiled: whether torch's compiled form of it is worth the time.
        flops: floating-point operations of a step, by the size.
        moved: bytes of a step that must be read or written.
    """

    name: str
    make: Callable[[int], nn.Module]
    weights: tuple[int, ...]
    sizes: tuple[Size, ...] = ((64, 16, 32),)
    operator: str = "mixed_operation"
    network: bool = False
    kept: float | None = None
    speedups: tuple[Mapping[str, float], Mapping[str, float]] = ({}, {})
    speedups_avx2: Mapping[str, float] = field(default_factory=dict)
    compiled: bool = True
    flops: Callable[[Size], float] | None = None
    moved: Callable[[Size], float] | None = None
    times_eager: float = spec.TIMES_EAGER
    epsilons: float = spec.EPSILONS

    def bars(self, size: Size) -> Mapping[str, float]:
        """Least speedup over each peer, where this machine is one that the bars are for."""
        first = size == self.sizes[0]
        if torch.get_num_threads() != 2:
            return {}
        if "x86-64-v4" in available():
            return self.speedups[0 if first else 1]
        return self.speedups_avx2 if first and "x86-64-v3" in available() else {}


_COMPILED = "compiled channels-last"
EDGES = [
    Subject(
        "mixed operation",
        MixedEdge,
        (len(spec.CANDIDATES),),
        spec.BENCH_SIZES,
        kept=spec.STORAGE["float32"],
        speedups=(
            {"eager": 15.0, "channels-last": 5.3, _COMPILED: 4.2},
            {"channels-last": 4.0, _COMPILED: 3.6},
        ),
        speedups_avx2={"eager": spec.LEAST_SPEEDUP},
        flops=_flops,
        moved=_moved,
    ),
    Subject(
        "mixed operation kept in bfloat16",
        partial(MixedEdge, storage="bfloat16"),
        (len(spec.CANDIDATES),),
        kept=spec.STORAGE["bfloat16"],
        compiled=False,  # plain torch's is the one above
        epsilons=spec.BFLOAT16_ERROR / torch.finfo(torch.float32).eps,
    ),
    Subject(
        "PC-DARTS edge",
        PartialEdge,
        (len(spec.CANDIDATES),),
        speedups=({"eager": 12.0, _COMPILED: 5.5}, {}),
    ),
    Subject(
        "NAS-Bench-201 edge",
        CellEdge,
        (5,),
        operator="searched_cell",
        speedups=({_COMPILED: 1.2}, {}),
    ),
    *(
        Subject(
            name,
            partial(_aggregated, depthwise=depthwise),
            (len(aggregated.BENCH_KERNELS) * len(aggregated.BENCH_DILATIONS),),
            aggregated.BENCH_SIZES,
            operator="aggregated_kernel",
            epsilons=aggregated.CONVOLUTION_EPSILONS,
        )
        for name, depthwise in (
            ("aggregated convolution", False),
            ("aggregated depthwise convolution", True),
        )
    ),
]
NETWORKS = [
    Subject(
        "DARTS search network",
        SearchNetwork,
        (2, 14, len(spec.CANDIDATES)),
        network=True,
        kept=0.3,
        speedups=({"eager": 7.0, "channels-last": 3.5}, {}),
    ),
    Subject(
        "NAS-Bench-201 search network",
        CellSearchNetwork,
        (6, 5),
        operator="searched_cell",
        network=True,
        kept=0.5,
        speedups=({"eager": 2.7, "channels-last": 1.8}, {}),
    ),
]


@dataclass(frozen=True)
class Case:
    """One module and its inputs; the gradient lies as the output does."""

    call: Callable[[Tensor, Tensor], Tensor]
    x: Tensor
    alpha: Tensor
    parameters: tuple[Tensor, ...]
    grad: Tensor

    @staticmethod
    def make(
        subject: Subject,
        size: Size,
        layout: torch.memory_format,
        kind: str,
        *,
        double: bool = False,
    ) -> Case:
        """Normal random inputs, the same on every call.

        Args:
            subject: what is run.
            size: batch, channels, side.
            layout: of images.
            kind: ``fused``, ``plain``, ``compiled`` or, of a network, ``cells compiled``.
            double: in float64.
        """
        torch.manual_seed(0)
        n, c, side = size
        module = subject.make(c)
        x = torch.randn(n, 3 if subject.network else c, side, side)
        alpha = torch.rand(subject.weights) + 0.1
        if subject.network:
            alpha = alpha / alpha.sum(-1, keepdim=True)
            grad = torch.randn(n, 10) / n
        else:
            grad = torch.randn(n, c, side, side)
        if double:
            module, x, grad, alpha = module.double(), x.double(), grad.double(), alpha.double()
        module = module.to(memory_format=layout)  # type: ignore[call-overload]
        if kind == "cells compiled":
            compile_cells(module)
        call: Callable[[Tensor, Tensor], Tensor] = module if kind == "fused" else module.plain
        return Case(
            torch.compile(call) if kind == "compiled" else call,
            x.contiguous(memory_format=layout).requires_grad_(not subject.network),
            alpha.requires_grad_(),
            tuple(module.parameters()),
            grad if subject.network else grad.contiguous(memory_format=layout),
        )

    def forward(self) -> Tensor:
        """The output."""
        return self.call(self.x, self.alpha)

    def step(self) -> tuple[Tensor, ...]:
        """Output and all gradients."""
        out = self.forward()
        inputs = [t for t in (self.x, self.alpha, *self.parameters) if t.requires_grad]
        return (out, *torch.autograd.grad(out, inputs, self.grad))

    def kept(self) -> int:
        """Bytes that the forward pass keeps, without x and parameters."""
        return kept_bytes(self.forward, without=(self.x, self.alpha, *self.parameters))


def compile_cells(network: nn.Module) -> None:
    """Let torch compile every cell of a search network by itself."""
    torch._dynamo.config.recompile_limit = 64  # all cells are one code to it, each for its shapes
    for cell in network.modules():
        if isinstance(cell, SearchCell):
            cell.run = torch.compile(cell.run, dynamic=False)  # type: ignore[method-assign]
        elif isinstance(cell, SearchedCell):
            cell.plain = torch.compile(cell.plain, dynamic=False)  # type: ignore[method-assign]


def kept_bytes(run: Callable[[], object], *, without: Sequence[Tensor]) -> int:
    """Bytes that a forward pass keeps for its backward pass, each storage once."""
    left_out = {t.untyped_storage().data_ptr() for t in without}
    found: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in left_out:
            found[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        run()
    return sum(found.values())
