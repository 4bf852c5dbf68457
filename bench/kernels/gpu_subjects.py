"""The steps whose times on GPUs are predicted, fused and in plain torch, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from gpu_work import Work, counted
from torch import Tensor
from torch.nn.functional import conv2d

from nasturtium.kernels.cell import gpu as cell
from nasturtium.kernels.cell.reference import searched_cell
from nasturtium.kernels.cell.spec import pairs
from nasturtium.kernels.depthwise import gpu as depthwise
from nasturtium.kernels.mixed_op import gpu as mixed
from nasturtium.kernels.mixed_op.reference import node_sum
from nasturtium.kernels.mixed_op.spec import CANDIDATES, Edge
from nasturtium.kernels.parts import gpu as parts
from nasturtium.kernels.parts import reference as plain_parts

Size = tuple[int, int, int]


@dataclass(frozen=True)
class Subject:
    """A step in both ways."""

    name: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]

    def fused(self) -> list[Work]:
        """What the operator does."""
        return counted(self.ours)

    def eager(self) -> list[Work]:
        """What plain torch does."""
        return counted(self.theirs)


def image(size: Size, *, last: bool = True) -> Tensor:
    """One without values."""
    n, c, side = size
    x = torch.empty(n, c, side, side, device="meta")
    return x.contiguous(memory_format=torch.channels_last) if last else x


def _step(of: Callable[..., Tensor], *inputs: Tensor) -> None:
    own = [t.detach().requires_grad_() for t in inputs]
    y = of(*own)
    torch.autograd.grad(y, own, torch.empty_like(y))


def node(
    name: str, size: Size, strides: list[int], *, each: bool = False, keep: str = "float32"
) -> Subject:
    """Edges with all candidates into one node; with ``each`` alphas of each image."""
    n, c, _ = size
    edges = [Edge(CANDIDATES, stride) for stride in strides]
    shape = (n, len(CANDIDATES)) if each else (len(CANDIDATES),)

    def inputs(last: bool) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        xs = [image(size, last=last) for _ in strides]
        alphas = [torch.empty(shape, device="meta") for _ in strides]
        weights = [torch.empty(s, device="meta") for edge in edges for s in edge.shapes(c)]
        return xs, alphas, weights

    def ours() -> None:
        own, none = inputs(True), torch.empty(0, device="meta")
        numbers, dtype = edges[0].numbers, getattr(torch, keep)
        out, kept, mean, variance = mixed.forward(
            *own, none, none, numbers, strides, 1, True, 1e-5, dtype
        )
        mixed.backward(
            out, *own, kept, mean, variance, numbers, strides, 1, True, 1e-5, [7] * len(strides)
        )

    def theirs() -> None:
        xs, alphas, weights = inputs(False)
        count, many = len(edges), len(weights) // len(edges)

        def sum_of(*own: Tensor) -> Tensor:
            flat = own[2 * count :]
            some = [flat[k : k + many] for k in range(0, len(flat), many)]
            return node_sum(
                own[:count], own[count : 2 * count], some, edges, None,
                training=True, momentum=0.0, epsilon=1e-5,
            )  # fmt: skip

        _step(sum_of, *xs, *alphas, *weights)

    return Subject(name, ours, theirs)


def edge(size: Size, stride: int) -> Subject:
    """One edge with all candidates."""
    return node("edge", size, [stride])


def whole_cell(size: Size) -> Subject:
    """A cell of NAS-Bench-201's search network."""
    c, edges = size[1], len(pairs(4))

    def inputs(last: bool) -> tuple[Tensor, Tensor, list[Tensor]]:
        sides = [1] * edges + [3] * edges
        weights = [torch.empty(c, c, side, side, device="meta") for side in sides]
        return image(size, last=last), torch.empty(edges, 5, device="meta"), weights

    def ours() -> None:
        x, alpha, weights = inputs(True)
        none = torch.empty(0, device="meta")
        out, *kept, mean, variance = cell.forward(
            x, alpha, weights, none, none, 4, True, 1e-5, True
        )
        cell.backward(out, x, alpha, weights, kept, mean, variance, 4, True, 1e-5, 7)

    def theirs() -> None:
        x, alpha, weights = inputs(False)
        _step(
            lambda x, alpha, *own: searched_cell(
                x, alpha, own, 4, None, training=True, momentum=0.0, epsilon=1e-5
            ),
            x, alpha, *weights,
        )  # fmt: skip

    return Subject("searched cell of NAS-Bench-201", ours, theirs)


def split_and_join(size: Size) -> Subject:
    """What passes PC-DARTS's edge by: the first of four parts split off and shuffled in again."""

    def ours() -> None:
        first, rest = parts.split(image(size), 4, False)
        grad = parts.join(first, rest, True)
        parts.join(*parts.split(grad, 4, True), False)

    def theirs() -> None:
        def way(x: Tensor) -> Tensor:
            first, rest = plain_parts.split(x, 4, False)
            return plain_parts.join(first.contiguous(), rest, True)

        _step(way, image(size, last=False))

    return Subject("channels split and joined (PC-DARTS)", ours, theirs)


def filtered(size: Size, side: int, dilation: int) -> Subject:
    """A depthwise convolution."""
    weight = torch.empty(size[1], 1, side, side, device="meta")

    def ours() -> None:
        x = image(size)
        y = depthwise.forward(x, weight, 1, dilation)
        depthwise.backward(y, x, weight, 1, dilation, 3)

    def theirs() -> None:
        half = dilation * (side // 2)
        _step(
            lambda x, w: conv2d(x, w, None, 1, half, dilation, size[1]),
            image(size, last=False), weight,
        )  # fmt: skip

    return Subject(f"depthwise {side} x {side}, dilation {dilation}", ours, theirs)


def others(size: Size) -> list[Subject]:
    """All steps but those of plain edges."""
    return [
        node("edge, alphas of each image", size, [1], each=True),
        node("edge, kept in bfloat16", size, [1], keep="bfloat16"),
        node("node of three edges", size, [1, 1, 1]),
        whole_cell(size),
        split_and_join(size),
        filtered(size, 3, 1),
        filtered(size, 5, 2),
    ]
