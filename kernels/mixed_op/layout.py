"""Results of mixed operations before they are computed, and what belongs to which edge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from .spec import CANDIDATES, Edge, padded_channels

LAST = torch.channels_last
T = TypeVar("T")


def edges_of(candidates: Sequence[int], strides: Sequence[int]) -> list[Edge]:
    """The edges of these candidates, by their numbers."""
    names = tuple(CANDIDATES[k] for k in candidates)
    return [Edge(names, stride) for stride in strides]


def by_edge(weights: Sequence[T], edges: Sequence[Edge], channels: int) -> list[list[T]]:
    """What belongs to the weights of all edges, in turn, as a list for each."""
    rest = iter(weights)
    return [[next(rest) for _ in edge.shapes(channels)] for edge in edges]


def outputs(
    xs: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    strides: list[int],
    parts: int,
    training: bool,
    keep: torch.dtype | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Memory for what the operator returns."""
    edges, x = edges_of(candidates, strides), xs[0]
    n, whole = x.shape[:2]
    c = whole // parts
    h, w = (edges[0].output(side) for side in x.shape[2:])
    out = torch.empty((n, whole, h, w), dtype=x.dtype, device=x.device, memory_format=LAST)
    images = sum(edge.kept for edge in edges)
    kept = x.new_empty((images, n, h, w, padded_channels(c)) if keep else 0, dtype=keep)
    if not training:
        return out, kept, mean.clone(), variance.clone()
    norms = sum(edge.norms for edge in edges)
    return out, kept, x.new_empty(norms, c), x.new_empty(norms, c)


def kept_norms(edges: Sequence[Edge]) -> list[int]:
    """Of the normalizations of all edges in turn those of kept images."""
    found: list[int] = []
    first = 0
    for edge in edges:
        found += [first + norm for norm in edge.kept_norms]
        first += edge.norms
    return found


def shorten(kept: Tensor, mean: Tensor, edges: Sequence[Edge]) -> Tensor:
    """What is kept of edges less its means ``[norms, C]``, in bfloat16.

    Centered, a value has the side of the mean that it had, on which a ReLU depends, and a large
    mean takes no digit of it.
    """
    own = mean[kept_norms(edges)]
    padded = torch.nn.functional.pad(own, (0, kept.shape[-1] - own.shape[1]))
    short = torch.empty(kept.shape, dtype=torch.bfloat16, device=kept.device)
    return torch.sub(kept, padded[:, None, None, None], out=short)


def gradients(x: Tensor, alpha: Tensor, weights: Sequence[Tensor], needs: int) -> list[Tensor]:
    """Memory for what ``backward`` returns."""

    def like(t: Tensor, form: torch.memory_format, wanted: int) -> Tensor:
        if not wanted:
            return t.new_empty(0)
        return torch.empty(t.shape, dtype=t.dtype, device=t.device, memory_format=form)

    plain = torch.contiguous_format
    return [
        like(x, LAST, needs & 1),
        like(alpha, plain, needs & 2),
        *(like(w, plain, needs & 4) for w in weights),
    ]


def in_turn(found: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The gradients of edges, each of x, alpha and weights, with all of a kind together."""
    x, alpha = [own[0] for own in found], [own[1] for own in found]
    return [*x, *alpha, *(w for own in found for w in own[2:])]
