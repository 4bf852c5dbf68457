"""Calls of the compiled kernels of mixed operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import dispatch

# Values of x below which a second thread costs more than it brings.
_WORK_PER_THREAD = 2_000
LAST = torch.channels_last
MOST_EDGES = 16


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


def forward(name: str, terms: Sequence[Term], out: Tensor, training: bool, epsilon: float) -> None:
    """Write the sum of all edges, what is kept, and in training the statistics."""
    from .. import _cpu

    dispatch.ran[name, "cpu"] += 1
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
        channels=x.shape[1],
        height=[t.x.shape[2] for t in terms],
        width=[t.x.shape[3] for t in terms],
        stride=[t.stride for t in terms],
        candidates=[t.candidates for t in terms],
        training=training,
        epsilon=epsilon,
        each=[t.alpha.dim() == 2 for t in terms],
        pack=_packable(terms),
        threads=_threads(x),
    )


def backward(
    name: str,
    grad: Tensor,
    terms: Sequence[Term],
    training: bool,
    epsilon: float,
    needs: Sequence[int],
) -> list[list[Tensor]]:
    """For each edge the gradients of x, of alpha and of its weights.

    ``needs`` says for each edge which ones are wanted: of x (1), of alpha (2) and of all weights
    (4); the others are empty.
    """
    dispatch.ran[f"{name}_backward", "cpu"] += 1
    grad = grad.contiguous(memory_format=LAST)
    return [
        _of_edge(grad, term, training, epsilon, need, _packable(terms))
        for term, need in zip(terms, needs, strict=True)
    ]


def _of_edge(
    grad: Tensor, term: Term, training: bool, epsilon: float, needs: int, pack: bool
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
        channels=x.shape[1],
        height=x.shape[2],
        width=x.shape[3],
        stride=term.stride,
        candidates=term.candidates,
        training=training,
        epsilon=epsilon,
        each=term.alpha.dim() == 2,
        pack=pack,
        threads=_threads(x),
    )
    return found


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
