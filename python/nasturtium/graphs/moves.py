"""Edits of networks that grow and shrink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium import _core
from nasturtium.errors import SpaceError, nearest
from nasturtium.graphs.batch import MAX_VERTICES, GraphBatch

__all__ = [
    "NASBOT",
    "NASBOT_STEPS",
    "NASBOT_UNITS",
    "REAL_2017",
    "UNIT_VERBS",
    "VERBS",
    "Limits",
    "Units",
    "mutate",
    "with_units",
]

VERBS = ("relabel", "insert", "remove", "add_skip", "remove_skip", "duplicate")
UNIT_VERBS = ("widen", "narrow", "widen_many", "narrow_many")

# Each mutation of the paper once: three alter what a vertex does, two insert one.
REAL_2017 = {"relabel": 3.0, "insert": 2.0, "remove": 1.0, "add_skip": 1.0, "remove_skip": 1.0}
# The paper's changes of the graph, and these with its changes of the number of units.
NASBOT = {"relabel": 0.2, "insert": 0.1, "remove": 0.1, "duplicate": 0.2, "add_skip": 0.2}
NASBOT_UNITS = {**NASBOT, "widen": 0.1, "narrow": 0.1, "widen_many": 0.1, "narrow_many": 0.1}
NASBOT_STEPS = (0.5, 0.25, 0.125, 0.075, 0.05)

_ANY = (1 << 64) - 1
_LOW = (1 << 32) - 1


@dataclass(frozen=True)
class Limits:
    """What an edit may not exceed; None for no limit.

    Args:
        vertices: of the network, the input and the output among them; at most 4,096.
        edges: of the network.
        entering: edges that enter one vertex.
        leaving: edges that leave one vertex.
    """

    vertices: int = MAX_VERTICES
    edges: int | None = None
    entering: int | None = None
    leaving: int | None = None


@dataclass(frozen=True)
class Units:
    """Which operations have units (channels, neurons), and how many.

    With it, labels of inner vertices are those that `with_units` makes: an operation's number below
    2^32, with its units in the upper 32 bits where it has some.

    Args:
        operations: those that have units.
        least, most: how many a vertex may get; 1 to 2^32 - 1.
    """

    operations: tuple[int, ...]
    least: int = 1
    most: int = _LOW


def with_units(operations: ArrayLike, units: ArrayLike) -> NDArray[np.uint64]:
    """Labels, uint64[...]: each operation in the lower 32 bits, its units in the upper ones.

    `labels & 0xFFFFFFFF` and `labels >> 32` take them apart.

    Raises:
        SpaceError: a number is not between 0 and 2^32 - 1.
    """
    parts = [np.asarray(operations), np.asarray(units)]
    for part in parts:
        if part.size and (part.dtype.kind not in "iu" or part.min() < 0 or part.max() > _LOW):
            raise SpaceError("operations and units are whole numbers from 0 to 2^32 - 1")
    low, high = (part.astype(np.uint64) for part in parts)
    labels: NDArray[np.uint64] = low | high << np.uint64(32)
    return labels


def mutate(
    batch: GraphBatch,
    *,
    labels: Sequence[int],
    verbs: Mapping[str, float],
    seed: int,
    steps: Sequence[float] = (1.0,),
    limits: Limits | None = None,
    units: Units | None = None,
    stream: int = 0,
    start: int = 0,
    threads: int = 1,
) -> GraphBatch:
    """Edit each network; the results are networks.

    A network's edges go to later vertices, its first vertex is the input, its last the output, and
    every vertex lies on a path between them (`prune` sees to that). The verbs:

    - `relabel`: an inner vertex gets another of `labels`.
    - `insert`: an edge gets a vertex with one of `labels` between its ends. The edge that enters
      the new vertex keeps the label, the one that leaves it has 0.
    - `remove`: an inner vertex goes; all that entered it then enters all that it fed, with the
      labels of the edges that entered it.
    - `add_skip`: an edge, labeled 0, between two vertices that have none.
    - `remove_skip`: an edge goes, of those that leave every vertex on a path.
    - `duplicate`: the inner vertices of a path a second time, between the same ends; the path
      follows random edges, and behind its first inner vertex a fair coin ends it.

    With `units`, four more:

    - `widen`, `narrow`: an inner vertex gets an eighth more units, or less: rounded, at least one.
    - `widen_many`, `narrow_many`: a run of inner vertices does, of those with units in their order:
      an eighth of them, of up to eight a quarter, of up to four half, at least one.

    A vertex that gets an operation with units keeps those that it had, or has the mean of the inner
    vertices around it, or the least; a copy has those of its original.

    A verb is drawn by its weight and its place uniformly of all that keep within the limits; a verb
    without a place is drawn again among the others. Row `i` is a function of
    `(seed, stream, start + i)` and of its network.

    Args:
        batch: n networks.
        labels: what vertices may be, no two equal.
        verbs: weights by verb, such as `REAL_2017`, `NASBOT` and, with units, `NASBOT_UNITS`.
        seed: of the draws, as `stream` and `start`.
        steps: weights of one edit, of two, ..., such as `NASBOT_STEPS`.
        limits: what an edit may not exceed.
        units: which operations have units; then `labels` are operations without any.
        stream: another one gives independent draws.
        start: the number of the first row.
        threads: the result does not depend on it.

    Raises:
        SpaceError: a graph is no network, has units at other vertices than those whose operation
            has some, or no verb can edit it within the limits; its number is said.

    References: Real et al., Large-scale evolution of image classifiers, ICML 2017. Kandasamy et
    al., Neural architecture search with Bayesian optimisation and optimal transport, NeurIPS 2018.

    Example:
        >>> from nasturtium.graphs import REAL_2017, GraphBatch, mutate
        >>> chain = GraphBatch.from_edges([[0, 1]] * 100, [[(0, 1)]] * 100)
        >>> grown = mutate(chain, labels=(2, 3), verbs=REAL_2017, seed=1)
        >>> grown.sizes.min(), grown.sizes.max()
        (np.int64(3), np.int64(3))
    """
    every = VERBS + UNIT_VERBS
    for name in verbs:
        if name not in every:
            raise SpaceError(f"unknown verb {name!r}; {nearest(name, every)}")
        if name in UNIT_VERBS and units is None:
            raise SpaceError(f"verb {name!r} needs to know which operations have units")
    sized = units or Units(())
    if units is not None and not units.operations:
        raise SpaceError("no operation has units: leave `units` out")
    own = limits or Limits()
    most = (own.vertices, *(_ANY if part is None else part
                            for part in (own.edges, own.entering, own.leaving)))  # fmt: skip
    if not 0 <= sized.least <= _LOW or not 0 <= sized.most <= _LOW:
        raise SpaceError("units are 1 to 2^32 - 1")
    if min(most) < 0 or not all(0 <= label <= _ANY for label in (*labels, *sized.operations)):
        raise SpaceError("limits and labels are not negative")
    arrays = _core.graph_mutate(
        batch.arrays,
        [float(verbs.get(name, 0.0)) for name in every],
        [float(weight) for weight in steps],
        [int(label) for label in labels],
        (most[0], most[1], most[2], most[3]),
        [int(operation) for operation in sized.operations],
        (sized.least, sized.most),
        seed,
        stream,
        start,
        threads,
    )
    return GraphBatch(*arrays)
