"""Weisfeiler-Lehman features of architectures: what they are, and the kernels that count them."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasturtium import _core
from nasturtium.spaces import Space

Histograms: TypeAlias = tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int32]]
KernelName: TypeAlias = Literal["subtree", "assignment"]


class WeisfeilerLehman:
    """Codes, their features of rounds 0 to `rounds`, and the kernels among them.

    The vertices are the operations between input and output, and these two: identities are
    contracted, dead parts left out, so that isomorphic architectures have equal features. A vertex
    begins with its label; in each round its color becomes that of (its color, the colors that enter
    it, the colors that it enters), as multisets. A feature is a color of a round, and a row counts
    its vertices of that color. Colors are hashes of 64 bits, so that two features could be taken
    for one with a probability of about m^2 / 2^65 for m features.

    Kernels: `subtree`, k(x, y) = sum_f x_f y_f, and `assignment`, k(x, y) = sum_f min(x_f, y_f).
    Both are positive semidefinite.

    Args:
        space: with a graph.
        rounds: 0 to 16; 0 counts operations.

    Raises:
        SpaceError: the space has no graph, or `rounds` is out of range.

    Reference: Shervashidze et al., Weisfeiler-Lehman graph kernels, JMLR 2011; Kriege, Giscard and
    Wilson, On valid optimal assignment kernels, NIPS 2016; Ru, Wan, Dong and Osborne, Interpretable
    neural architecture search via Bayesian optimization with Weisfeiler-Lehman kernels, ICLR 2021.

    Example:
        >>> from nasturtium.encodings import WeisfeilerLehman
        >>> from nasturtium.spaces import nb201
        >>> space = nb201()
        >>> cell = "nb201:|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|none~0|none~1|skip_connect~2|"
        >>> wl = WeisfeilerLehman(space, rounds=1)
        >>> wl.add(space.parse(cell).code[None])
        >>> sorted(wl.motif(f) for f in range(wl.features) if wl.feature_rounds[f] == 1)[0]
        'avg_pool_3x3(from nor_conv_3x3; to output)'
        >>> rows = wl.extend(space.sample(9, seed=1))
        >>> rows.shape, wl.gram().shape
        ((9, 10), (10, 10))
    """

    def __init__(self, space: Space, *, rounds: int = 2) -> None:
        self.space = space
        self.rounds = rounds
        self._index = _core.WLIndex(space.program, rounds)

    def __len__(self) -> int:
        return self._index.size

    @property
    def features(self) -> int:
        """Number of features; they are numbered in the order in which they first came."""
        return self._index.features

    @property
    def feature_rounds(self) -> NDArray[np.int64]:
        """The round of each feature, int64[features]."""
        return self._index.feature_rounds()

    def add(self, codes: NDArray[np.uint8], *, threads: int = 1) -> None:
        """Add codes as further rows. Raises `SpaceError` for a wrong row; then none is added."""
        self._index.add(self.space.checked(codes), threads)

    def histograms(self) -> Histograms:
        """The rows as a sparse matrix: starts uint64[n + 1], features int32[m], counts int32[m].

        Row `i` has `counts[starts[i]:starts[i + 1]]` of `features[starts[i]:starts[i + 1]]`;
        `scipy.sparse.csr_array((counts, features, starts))` takes them.
        """
        return self._index.histograms()

    def transform(self, codes: NDArray[np.uint8], *, threads: int = 1) -> Histograms:
        """`histograms` of other codes; features that no row has are left out."""
        return self._index.transform(self.space.checked(codes), threads)

    def motif(self, feature: int) -> str:
        """The small subgraph that a feature stands for, e.g. `conv(from input; to 2 pool)`.

        In round 0 the operation; in round r the operation with the motifs of round r - 1 that
        enter it and that it enters, sorted, each with its multiplicity. Two features of a round
        have different motifs, unless two labels read alike. Raises `SpaceError` where there is no
        such feature, or the text would pass 65,536 characters.
        """
        return self._index.motif(feature)

    def gram(
        self,
        *,
        kernel: KernelName = "subtree",
        normalize: bool = True,
        out: NDArray[np.float32] | None = None,
        threads: int = 1,
    ) -> NDArray[np.float32]:
        """The kernel among all rows, float32[n, n]; symmetric.

        `normalize`: k(x, y) / sqrt(k(x, x) k(y, y)). Without it, whole numbers, exact below 2^24.
        """
        if out is None:
            out = np.empty((len(self), len(self)), np.float32)
        self._index.gram(out, _is_assignment(kernel), normalize, threads)
        return out

    def cross(
        self,
        codes: NDArray[np.uint8],
        *,
        kernel: KernelName = "subtree",
        normalize: bool = True,
        out: NDArray[np.float32] | None = None,
        threads: int = 1,
    ) -> NDArray[np.float32]:
        """The kernel between other codes and all rows, float32[k, n]; a code costs O(n)."""
        codes = self.space.checked(codes)
        if out is None:
            out = np.empty((len(codes), len(self)), np.float32)
        self._index.cross(codes, out, _is_assignment(kernel), normalize, threads)
        return out

    def extend(
        self,
        codes: NDArray[np.uint8],
        *,
        kernel: KernelName = "subtree",
        normalize: bool = True,
        threads: int = 1,
    ) -> NDArray[np.float32]:
        """Add codes and return the rows that `gram` grows by, float32[k, n + k]; O(n) a code."""
        codes = self.space.checked(codes)
        before = len(self)
        self.add(codes, threads=threads)
        rows = self.cross(codes, kernel=kernel, normalize=normalize, threads=threads)
        if normalize:
            rows[np.arange(len(codes)), before + np.arange(len(codes))] = 1
        return rows


def _is_assignment(kernel: str) -> bool:
    if kernel not in ("subtree", "assignment"):
        raise ValueError(f"kernel is 'subtree' or 'assignment', not {kernel!r}")
    return kernel == "assignment"
