"""Distances between architectures, and what kernels are made of them.

All are batched over pairs, run in C++ without the GIL and give the same for any number of
`threads`. Kernels of Weisfeiler-Lehman features are `encodings.WeisfeilerLehman`.

    >>> from nasturtium import distances
    >>> from nasturtium.spaces import nb201
    >>> space = nb201()
    >>> codes = space.sample(20, seed=1)
    >>> distances.hamming(space, codes).shape
    (20, 20)
    >>> kernel = np.exp(-distances.tree_wasserstein(space, codes))
    >>> bool(np.linalg.eigvalsh(kernel).min() > -1e-9)
    True
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium import _core
from nasturtium.encodings import Label, graph_labels
from nasturtium.errors import SpaceError, nearest
from nasturtium.spaces import Space

__all__ = [
    "hamming",
    "otmann",
    "project_psd",
    "transport",
    "transport_values",
    "tree_wasserstein",
    "tree_wasserstein_rows",
]

Codes = NDArray[np.uint8]
Doubles = NDArray[np.float64]


def hamming(
    space: Space,
    codes: Codes,
    other: Codes | None = None,
    *,
    out: NDArray[np.uint16] | None = None,
    threads: int = 1,
) -> NDArray[np.uint16]:
    """How many decisions differ, uint16[n, m]: active in one only, or with different options.

    Without `other`, between all rows of `codes`. Raises `SpaceError` for a row that is no code.
    """
    codes = space.checked(codes)
    other = codes if other is None else space.checked(other)
    out = np.empty((len(codes), len(other)), np.uint16) if out is None else out
    _core.hamming(space.program, codes, other, out, threads)
    return out


def tree_wasserstein_rows(
    space: Space,
    codes: Codes,
    *,
    groups: Mapping[str, str] | None = None,
    leaf: float = 0.1,
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
    out: Doubles | None = None,
    threads: int = 1,
) -> Doubles:
    """Rows whose Manhattan distance is `tree_wasserstein`, float64[n, columns]."""
    codes = space.checked(codes)
    labels = graph_labels(space)
    numbers: dict[str, int] = {}
    of_label = [-1] * len(labels)
    for text, group in (groups or {}).items():
        for at in _find(labels, text):
            of_label[at] = numbers.setdefault(group, len(numbers))
    tree = _core.TreeWasserstein(space.program, of_label, leaf, *weights)
    out = np.empty((len(codes), tree.columns)) if out is None else out
    tree.embed(codes, out, threads)
    return out


def tree_wasserstein(
    space: Space,
    codes: Codes,
    other: Codes | None = None,
    *,
    groups: Mapping[str, str] | None = None,
    leaf: float = 0.1,
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
    out: Doubles | None = None,
    threads: int = 1,
) -> Doubles:
    """Tree-Wasserstein distances, float64[n, m]; without `other`, between all rows of `codes`.

    d = w_1 TW(operations) + w_2 TW(pairs) + w_3 TW(arcs in, by depth) + w_4 TW(arcs out, by depth)
    with TW(x, y) = sum over the tree's edges of weight |x's mass below - y's mass below|. Each of
    the four is a distribution of mass 1: operations alike, pairs of an operation and the next
    alike, arcs by the depth of their end and of their beginning. Negative definite, so that
    exp(-d / l) is a kernel for any l > 0.

    Args:
        groups: label text to the name of its group, e.g. `{"conv_1x1": "conv", "conv_3x3":
            "conv"}`. Labels of one group are 2 `leaf` apart, all others 2.
        leaf: weight of the edge from a grouped label to its group; the group's own is 1 - `leaf`.
        weights: of the four parts, at least 0.

    Raises:
        SpaceError: the space has no graph, a group names no label, or the weights are out of range.

    Reference: Nguyen, Le, Yamada and Osborne, Optimal transport kernels for sequential and parallel
    neural architecture search, ICML 2021. Differs: depths are over the deepest path of the space
    and not of each architecture, so that the chain is one tree.
    """
    rows = tree_wasserstein_rows(
        space, codes, groups=groups, leaf=leaf, weights=weights, threads=threads
    )
    others = rows
    if other is not None:
        others = tree_wasserstein_rows(
            space, other, groups=groups, leaf=leaf, weights=weights, threads=threads
        )
    out = np.empty((len(rows), len(others))) if out is None else out
    _core.manhattan(rows, others, out, threads)
    return out


def otmann(
    space: Space,
    codes: Codes,
    other: Codes | None = None,
    *,
    masses: Mapping[str, float] | None = None,
    mismatch: Mapping[tuple[str, str], float] | None = None,
    structure: float = 0.5,
    ends: float = 0.1,
    least_end: float = 0.1,
    normalize: bool = False,
    out: Doubles | None = None,
    threads: int = 1,
) -> Doubles:
    """OTMANN distances, float64[n, m]; without `other`, between all rows of `codes`, symmetric.

    d(x, y) = min over plans Z >= 0 of sum_ij Z_ij (mismatch_ij + `structure` * paths_ij) + the mass
    of both graphs that Z does not match; no layer is matched beyond its mass. Solved exactly. A
    pseudo-metric where the mismatches obey the triangle inequality; exp(-d) need not be positive
    semidefinite, see `project_psd`.

    Args:
        masses: label text to mass; 1 for operations with weights and 0.1 for others by default.
        mismatch: cost of matching unit mass of two labels, either way round; by default 0.2 between
            two operations with weights, 0.25 between two others, infinite between the two kinds.
        structure: weight of the mean difference of 18 path lengths: shortest, longest and random
            walk, from the input and to the output, counting all operations, those with weights, and
            the others.
        ends, least_end: input and output each have `ends` times the mass of all operations, at
            least `least_end`.
        normalize: divide by the mass of both graphs; then it is no metric.

    Raises:
        SpaceError: the space has no graph, a name is no label, or a number is out of range.

    Reference: Kandasamy, Neiswanger, Schneider, Poczos and Xing, Neural architecture search with
    Bayesian optimisation and optimal transport, NeurIPS 2018. Differs: masses come from a table of
    labels, as the cells of a space do not fix channels.
    """
    codes = space.checked(codes)
    other = None if other is None else space.checked(other)
    labels = graph_labels(space)
    weighted = np.array([label.kind == "weighted" for label in labels])
    mass = np.where(weighted, 1.0, 0.1)
    for text, value in (masses or {}).items():
        mass[_find(labels, text)] = value
    costs = np.where(weighted[:, None] & weighted, 0.2, 0.25)
    costs[weighted[:, None] != weighted] = np.inf
    for (a, b), value in (mismatch or {}).items():
        rows, columns = np.meshgrid(_find(labels, a), _find(labels, b), indexing="ij")
        costs[rows, columns] = costs[columns, rows] = value
    np.fill_diagonal(costs, 0.0)
    matching = _core.Otmann(
        space.program,
        mass.tolist(),
        costs.ravel().tolist(),
        structure,
        ends,
        least_end,
        normalize,
    )
    out = np.empty((len(codes), len(codes if other is None else other))) if out is None else out
    matching.distances(codes, other, out, threads)
    return out


def transport(
    supply: Doubles, demand: Doubles, costs: Doubles, *, plan: Doubles | None = None
) -> float:
    """The least cost of bringing `supply` [n] to `demand` [m] at `costs` [n, m], exactly.

    min over P >= 0 of sum_ij P_ij costs_ij with row sums `supply` and column sums `demand`; `plan`,
    float64[n, m], is written to where it is given. Raises `UserError` for masses that are negative,
    not finite or of different sums, and for costs that are not finite.
    """
    return _core.transport(_doubles(supply), _doubles(demand), _doubles(costs), plan)


def transport_values(
    supply: Doubles,
    demand: Doubles,
    costs: Doubles,
    *,
    out: Doubles | None = None,
    threads: int = 1,
) -> Doubles:
    """`transport` of k problems of one size, float64[k]: supply [k, n], demand [k, m], costs."""
    supply = _doubles(supply)
    out = np.empty(len(supply)) if out is None else out
    _core.transport_values(supply, _doubles(demand), _doubles(costs), out, threads)
    return out


def project_psd(matrix: NDArray[Any]) -> Doubles:
    """The nearest positive semidefinite matrix in the Frobenius norm, float64[n, n].

    The negative eigenvalues of the symmetric part become 0. Raises `ValueError` where the matrix is
    not square or not finite.

    Reference: Higham, Computing a nearest symmetric positive semidefinite matrix, 1988.
    """
    array = np.asarray(matrix, np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not np.isfinite(array).all():
        raise ValueError(f"a Gram matrix is square and finite, not {list(array.shape)}")
    values, vectors = np.linalg.eigh((array + array.T) / 2)
    projected = (vectors * np.maximum(values, 0)) @ vectors.T
    return np.asarray((projected + projected.T) / 2)


def _find(labels: tuple[Label, ...], text: str) -> list[int]:
    """The numbers of the labels that read so."""
    found = [at for at, label in enumerate(labels) if label.text == text]
    if not found:
        raise SpaceError(
            f"no node or edge has the label {text!r}; {nearest(text, [x.text for x in labels])}"
        )
    return found


def _doubles(array: Doubles) -> Doubles:
    return np.ascontiguousarray(array, np.float64)
