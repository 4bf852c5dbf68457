"""Calls of the compiled kernels of mixed operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .layout import LAST, by_edge, edges_of, gradients, in_turn, outputs

# Values of x below which a second thread costs more than it brings.
_WORK_PER_THREAD = 2_000


class Term(NamedTuple):
    """An edge as the kernels take it.

    ``kept`` is empty where nothing is to be kept; ``mean`` and ``variance`` are
    ``[normalizations, C]``.
    """

    x: Tensor
    alpha: Tensor
    weights: Sequence[Tensor]
    kept: Tensor
    mean: Tensor
    variance: Tensor
    candidates: list[int]
    stride: int

    @staticmethod
    def of(x: Tensor, alpha: Tensor, weights: Sequence[Tensor], *rest: Any) -> Term:
        """The same with all memory laid out as the kernels read it."""
        own = [w.contiguous() for w in weights]
        return Term(x.contiguous(memory_format=LAST), alpha.contiguous(), own, *rest)


def _packable(terms: Sequence[Term]) -> bool:
    """Whether images may lie side by side in a pixel: those of all edges of a sum, or none."""
    return all(t.stride == 1 and t.alpha.dim() == 1 for t in terms)


def _threads(x: Tensor) -> int:
    return max(1, min(torch.get_num_threads(), x.numel() // _WORK_PER_THREAD))


def forward(
    xs: list[Tensor],
    alphas: list[Tensor],
    weights: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    strides: list[int],
    parts: int,
    training: bool,
    epsilon: float,
    keep: torch.dtype | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As ``nasturtium::mixed_operation``."""
    from .. import _cpu

    sizes = (candidates, strides, parts, training, keep)
    out, kept, mean, variance = outputs(xs, mean, variance, *sizes)
    terms = _terms(xs, alphas, weights, kept, mean, variance, candidates, strides, parts)
    x = terms[0].x
    _cpu.mixed_forward(
        [t.x.data_ptr() for t in terms],
        [t.alpha.data_ptr() for t in terms],
        [[w.data_ptr() for w in t.weights] for t in terms],
        out.data_ptr(),
        [t.kept.data_ptr() if t.kept.numel() else 0 for t in terms],
        [t.mean.data_ptr() for t in terms],
        [t.variance.data_ptr() for t in terms],
        batch=x.shape[0],
        channels=x.shape[1] // parts,
        height=[t.x.shape[2] for t in terms],
        width=[t.x.shape[3] for t in terms],
        stride=[t.stride for t in terms],
        candidates=[t.candidates for t in terms],
        training=training,
        epsilon=epsilon,
        each=[t.alpha.dim() == 2 for t in terms],
        pack=_packable(terms),
        half=keep == torch.bfloat16,
        parts=parts,
        threads=_threads(x),
    )
    return out, kept, mean, variance


def backward(
    grad: Tensor,
    xs: list[Tensor],
    alphas: list[Tensor],
    weights: list[Tensor],
    kept: Tensor,
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    strides: list[int],
    parts: int,
    training: bool,
    epsilon: float,
    needs: list[int],
) -> list[Tensor]:
    """As ``nasturtium::mixed_operation_backward``."""
    terms = _terms(xs, alphas, weights, kept, mean, variance, candidates, strides, parts)
    grad = grad.contiguous(memory_format=LAST)
    pack = _packable(terms)
    return in_turn(
        [
            _of_edge(grad, term, training, epsilon, need, pack, parts)
            for term, need in zip(terms, needs, strict=True)
        ]
    )


def _terms(
    xs: list[Tensor],
    alphas: list[Tensor],
    weights: list[Tensor],
    kept: Tensor,
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    strides: list[int],
    parts: int,
) -> list[Term]:
    edges = edges_of(candidates, strides)
    norms = [edge.norms for edge in edges]
    of_edges = zip(
        xs,
        alphas,
        by_edge(weights, edges, xs[0].shape[1] // parts),
        torch.split(kept, [edge.kept for edge in edges]) if kept.numel() else [kept] * len(edges),
        torch.split(mean, norms),
        torch.split(variance, norms),
        strides,
        strict=True,
    )
    return [Term.of(*own, candidates, stride) for *own, stride in of_edges]


def _of_edge(
    grad: Tensor, term: Term, training: bool, epsilon: float, needs: int, pack: bool, parts: int
) -> list[Tensor]:
    from .. import _cpu

    x = term.x
    found = gradients(x, term.alpha, term.weights, needs)
    _cpu.mixed_backward(
        grad.data_ptr(),
        x.data_ptr(),
        term.alpha.data_ptr(),
        [w.data_ptr() for w in term.weights],
        term.kept.data_ptr(),
        term.mean.data_ptr(),
        term.variance.data_ptr(),
        found[0].data_ptr() if needs & 1 else 0,
        found[1].data_ptr() if needs & 2 else 0,
        [w.data_ptr() for w in found[2:]] if needs & 4 else [],
        batch=x.shape[0],
        channels=x.shape[1] // parts,
        height=x.shape[2],
        width=x.shape[3],
        stride=term.stride,
        candidates=term.candidates,
        training=training,
        epsilon=epsilon,
        each=term.alpha.dim() == 2,
        pack=pack,
        half=term.kept.dtype == torch.bfloat16,
        parts=parts,
        threads=_threads(x),
    )
    return found
