"""The search network of NAS-Bench-201."""

from __future__ import annotations

from torch import Tensor, nn

from ..cell.spec import pairs
from .edges import CellEdge, mix_cell, norm_of

__all__ = ["NODES", "CellSearchNetwork", "SearchedCell"]

NODES = 4
PAIRS = tuple(pairs(NODES))


class SearchedCell(nn.Module):
    """Four nodes, of which each is the sum of an edge from every earlier one.

    Args:
        channels: C of every node.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(CellEdge(channels) for _ in PAIRS)

    def _into(self, node: int) -> list[tuple[int, CellEdge]]:
        found = []
        for number, (_, target) in enumerate(PAIRS):
            edge = self.edges[number]
            assert isinstance(edge, CellEdge)
            if target == node:
                found.append((number, edge))
        return found

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        """``[N, C, H, W]`` to the last node, by alpha ``[6, 5]``, in one operator."""
        edges = [edge for edge in self.edges if isinstance(edge, CellEdge)]
        return mix_cell(edges, x, alpha)

    def plain(self, x: Tensor, alpha: Tensor) -> Tensor:
        """The same by the candidates' own modules."""
        values = [x]
        for node in range(1, NODES):
            total: Tensor | int = 0
            for value, (number, edge) in zip(values, self._into(node), strict=True):
                total = total + edge.plain(value, alpha[number])
            assert isinstance(total, Tensor)
            values.append(total)
        return values[-1]


class _Block(nn.Module):
    """The residual block of stride 2 between two stages."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, out, 3, 2, 1, bias=False),
            norm_of(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            norm_of(out),
        )
        self.side = nn.Sequential(
            nn.AvgPool2d(2, 2, ceil_mode=True), nn.Conv2d(channels, out, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, out, ceil(H / 2), ceil(W / 2)]``."""
        out: Tensor = self.main(x) + self.side(x)
        return out


class CellSearchNetwork(nn.Module):
    """The supernet of NAS-Bench-201: three stages of equal searched cells.

    Args:
        channels: C of the first stage; the next two have twice and four times as many.
        classes: outputs.
        cells: of each stage.
        inputs: channels of an image.

    Reference:
        Dong and Yang, NAS-Bench-201, ICLR 2020 (channels 16, cells 5).

    Example:
        >>> import torch
        >>> network = CellSearchNetwork(4, 10, cells=1)
        >>> network(torch.randn(2, 3, 8, 8), torch.full((6, 5), 0.2)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self, channels: int = 16, classes: int = 10, *, cells: int = 5, inputs: int = 3
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(inputs, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )
        parts: list[nn.Module] = []
        for stage in range(3):
            if stage:
                parts.append(_Block(channels, 2 * channels))
                channels *= 2
            parts += [SearchedCell(channels) for _ in range(cells)]
        self.parts = nn.ModuleList(parts)
        self.tail = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.head = nn.Linear(channels, classes)

    def _run(self, x: Tensor, alpha: Tensor, *, plain: bool) -> Tensor:
        x = self.stem(x)
        for part in self.parts:
            if isinstance(part, SearchedCell):
                x = part.plain(x, alpha) if plain else part(x, alpha)
            else:
                x = part(x)
        logits: Tensor = self.head(self.tail(x).mean((2, 3)))
        return logits

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        """Logits ``[N, classes]`` of ``[N, inputs, H, W]``, all cells mixed by alpha ``[6, 5]``."""
        return self._run(x, alpha, plain=False)

    def plain(self, x: Tensor, alpha: Tensor) -> Tensor:
        """The same by the candidates' own modules."""
        return self._run(x, alpha, plain=True)
