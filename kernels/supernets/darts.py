"""The search network of DARTS and, with partial channels and edge weights, of PC-DARTS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..mixed_op.module import FactorizedReduce, mix_edges
from ..mixed_op.spec import CANDIDATES
from .edges import PartialEdge, norm_of

__all__ = ["STEPS", "SearchCell", "SearchNetwork", "edges_of"]

STEPS = 4  # nodes of a cell that are computed; all of them are its output


def edges_of(steps: int) -> list[tuple[int, int]]:
    """(source, node) of each edge, in the order of alpha's rows; sources 0 and 1 are inputs."""
    return [(source, node) for node in range(steps) for source in range(node + 2)]


def _pointwise(channels: int, out: int) -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(channels, out, 1, bias=False), norm_of(out))


class SearchCell(nn.Module):
    """A cell in which every pair of nodes is a mixed edge.

    Args:
        before: channels of the cell before the last one and of the last one.
        channels: C of each node.
        reduction: whether it halves the resolution.
        halved: whether the last cell did.
        part: of the channels, see ``PartialEdge``.
        candidates: of every edge.
        storage: format of what edges keep for the backward pass, see ``mixed_operation``.
    """

    def __init__(
        self,
        before: tuple[int, int],
        channels: int,
        *,
        reduction: bool,
        halved: bool,
        part: int = 1,
        candidates: Sequence[str] = CANDIDATES,
        storage: str = "float32",
    ) -> None:
        super().__init__()
        self.reduction = reduction
        self.first: nn.Module = (
            nn.Sequential(FactorizedReduce(before[0], channels), norm_of(channels))
            if halved
            else _pointwise(before[0], channels)
        )
        self.second = _pointwise(before[1], channels)
        self.edges = nn.ModuleList(
            PartialEdge(
                channels,
                part,
                candidates=candidates,
                storage=storage,
                stride=2 if reduction and source < 2 else 1,
            )
            for source, _ in edges_of(STEPS)
        )

    def run(self, a: Tensor, b: Tensor, mixture: Mixture, join: Join) -> Tensor:
        """Both inputs to ``[N, 4 C, H, W]``, mixed by the weights of all 14 edges."""
        values = [self.first(a), self.second(b)]
        for node in range(STEPS):
            entering = [i for i, (_, target) in enumerate(edges_of(STEPS)) if target == node]
            edges: list[PartialEdge] = [self.edges[i] for i in entering]  # type: ignore[misc]
            values.append(join(edges, values, mixture.rows(entering)))
        return torch.cat(values[2:], 1)


class Mixture(NamedTuple):
    """What weighs edges, each with a row for every edge.

    Attributes:
        alpha: of the candidates, ``[..., K]``, or of sampled paths, ``[..., P]``.
        beta: of whole edges, ``[...]``.
        paths: int64 ``[..., P]``, the sampled ones.
    """

    alpha: Tensor
    beta: Tensor | None
    paths: Tensor | None

    def rows(self, at: int | list[int]) -> Mixture:
        """The same of some edges, or of the cells of one kind."""
        return Mixture(*(None if t is None else t[at] for t in self))  # type: ignore[arg-type]


# How a network sums the edges of a node, from the edges and their sources.
Join = Callable[[Sequence[PartialEdge], Sequence[Tensor], Mixture], Tensor]
Mix = Callable[[PartialEdge, Tensor, Tensor, Tensor | None], Tensor]


def _one_by_one(mix: Mix) -> Join:
    def join(edges: Sequence[PartialEdge], xs: Sequence[Tensor], mixture: Mixture) -> Tensor:
        index = [None] * len(edges) if mixture.paths is None else mixture.paths
        terms = [mix(*edge) for edge in zip(edges, xs, mixture.alpha, index, strict=True)]
        if mixture.beta is not None:  # what passes by is weighed as well
            terms = [weight * term for weight, term in zip(mixture.beta, terms, strict=True)]
        return sum(terms[1:], start=terms[0])

    return join


def _joined(edges: Sequence[PartialEdge], xs: Sequence[Tensor], mixture: Mixture) -> Tensor:
    if edges[0].part > 1 or mixture.paths is not None:
        return _one_by_one(PartialEdge.__call__)(edges, xs, mixture)
    alpha, beta, _ = mixture
    weights = alpha if beta is None else beta[:, None] * alpha
    return mix_edges([edge.mixed for edge in edges], xs, weights.unbind())


class SearchNetwork(nn.Module):
    """The supernet of DARTS: cells of two kinds, whose edges are mixed by shared weights.

    ``forward`` runs the fused operators where a kernel does, ``plain`` the candidates' own modules
    on the same parameters. The cells at a third and two thirds of the depth halve the resolution
    and double the channels. Weights of the architecture are arguments, so that any method can make
    them: ``alpha`` is used as it comes.

    Args:
        channels: C of the first cells.
        classes: outputs.
        layers: cells.
        inputs: channels of an image.
        part: with 4, the partial channels of PC-DARTS.
        candidates: of every edge.
        storage: format of what edges keep for the backward pass, see ``mixed_operation``.

    Reference:
        Liu, Simonyan and Yang, DARTS, ICLR 2019; Xu et al., PC-DARTS, ICLR 2020.

    Example:
        >>> network = SearchNetwork(4, 10, layers=3)
        >>> alpha = torch.zeros(2, 14, 8).softmax(-1)
        >>> network(torch.randn(2, 3, 8, 8), alpha).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        channels: int = 16,
        classes: int = 10,
        *,
        layers: int = 8,
        inputs: int = 3,
        part: int = 1,
        candidates: Sequence[str] = CANDIDATES,
        storage: str = "float32",
    ) -> None:
        super().__init__()
        stem = 3 * channels
        self.stem = nn.Sequential(
            nn.Conv2d(inputs, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem)
        )
        shrinks = [layer in (layers // 3, 2 * layers // 3) for layer in range(layers)]
        cells: list[SearchCell] = []
        outputs = [stem, stem]
        for halved, reduction in pairwise([False, *shrinks]):
            channels *= 2 if reduction else 1
            before = (outputs[-2], outputs[-1])
            cells.append(
                SearchCell(
                    before,
                    channels,
                    reduction=reduction,
                    halved=halved,
                    part=part,
                    candidates=candidates,
                    storage=storage,
                )
            )
            outputs.append(STEPS * channels)
        self.cells = nn.ModuleList(cells)
        self.head = nn.Linear(outputs[-1], classes)

    def _run(self, x: Tensor, mixture: Mixture, join: Join) -> Tensor:
        a = b = self.stem(x)
        for cell in self.cells:
            assert isinstance(cell, SearchCell)
            a, b = b, cell.run(a, b, mixture.rows(int(cell.reduction)), join)
        logits: Tensor = self.head(b.mean((2, 3)))
        return logits

    def forward(
        self,
        x: Tensor,
        alpha: Tensor,
        beta: Tensor | None = None,
        index: Tensor | None = None,
    ) -> Tensor:
        """Logits ``[N, classes]``.

        Args:
            x: ``[N, inputs, H, W]``.
            alpha: ``[2, 14, K]``, of the candidates in cells that keep the resolution and in those
                that halve it; with an index ``[2, 14, P]``.
            beta: ``[2, 14]``, of whole edges.
            index: int64 ``[2, 14, P]`` on the CPU, one or two sampled paths of each edge, without
                the other candidates: see ``path_select``.
        """
        return self._run(x, Mixture(alpha, beta, index), _joined)

    def plain(
        self,
        x: Tensor,
        alpha: Tensor,
        beta: Tensor | None = None,
        index: Tensor | None = None,
    ) -> Tensor:
        """The same by the candidates' own modules."""
        return self._run(x, Mixture(alpha, beta, index), _one_by_one(PartialEdge.plain))
