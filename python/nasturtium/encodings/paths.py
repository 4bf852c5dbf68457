"""The path encoding of a space's graph: which sequences of labels lead from input to output."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium import _core
from nasturtium.spaces import Space


class PathEncoder:
    """One column for each sequence of labels that a path from input to output can have.

    A path is read as the labels of its edges and nodes, without those of input and output and
    without parts whose label is always an identity. Columns are ordered by length, then by the
    labels' numbers, so that the first ones are the truncated encoding. NAS-Bench-201 has
    5 + 25 + 125 = 155. Not injective: several architectures can have the same paths.

    Args:
        space: with a graph.
        zeros: count paths through an operation of kind zero as well, as the published encoding of
            NAS-Bench-201 does; without it these sequences have no column.

    Raises:
        SpaceError: the space has no graph, no path leads from input to output, or paths can have
            more than a million prefixes.

    Reference: White, Neiswanger and Savani, BANANAS, AAAI 2021.

    Example:
        >>> from nasturtium.encodings import PathEncoder
        >>> from nasturtium.spaces import nb201
        >>> space = nb201()
        >>> paths = PathEncoder(space)
        >>> paths.columns, paths.sequence(7)
        (155, ('none', 'nor_conv_1x1'))
        >>> paths.one_hot(space.sample(10, seed=1)).sum(axis=1).max().item() <= 4
        True
    """

    def __init__(self, space: Space, *, zeros: bool = True) -> None:
        self.space = space
        self.zeros = zeros
        self._paths = _core.Paths(space.program, zeros)

    @property
    def columns(self) -> int:
        """Number of sequences."""
        return self._paths.columns

    def sequence(self, column: int) -> tuple[str, ...]:
        """The labels of a column; a label of several parts is joined by commas."""
        return tuple(self._paths.sequence(column))

    def one_hot(
        self,
        codes: NDArray[np.uint8],
        *,
        columns: int | None = None,
        out: NDArray[Any] | None = None,
        threads: int = 1,
    ) -> NDArray[Any]:
        """0 and 1, float32[n, columns], or into `out`, float32 or uint8[n, columns].

        Fewer than all columns are the truncated encoding: the shortest sequences.
        """
        codes = self.space.checked(codes)
        if out is None:
            out = np.empty((len(codes), self.columns if columns is None else columns), np.float32)
        self._paths.one_hot(codes, out, threads)
        return out

    def bits(
        self,
        codes: NDArray[np.uint8],
        *,
        out: NDArray[np.uint64] | None = None,
        threads: int = 1,
    ) -> NDArray[np.uint64]:
        """All columns as bits, uint64[n, ceil(columns / 64)]; bit `c % 64` of word `c // 64`."""
        codes = self.space.checked(codes)
        if out is None:
            out = np.empty((len(codes), -(-self.columns // 64)), np.uint64)
        self._paths.bits(codes, out, threads)
        return out

    def categorical(
        self,
        codes: NDArray[np.uint8],
        *,
        most: int = 20,
        out: NDArray[np.int32] | None = None,
        threads: int = 1,
    ) -> NDArray[np.int32]:
        """The columns that are 1, ascending, int32[n, most]; the first `most`, then -1."""
        codes = self.space.checked(codes)
        if out is None:
            out = np.empty((len(codes), most), np.int32)
        self._paths.categorical(codes, out, threads)
        return out
