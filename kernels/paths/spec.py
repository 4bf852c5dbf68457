"""What selected paths compute, where, how exactly, and what is measured.

Images, weights and statistics are as in the mixed operation, whose kernels run on the candidates
that were chosen. The index is int64 ``[P]``, P one or two, and is read on the host before anything
is launched: it belongs on the CPU wherever x is, as samplers on the host make it, and then no call
waits for a GPU. An index on a GPU is read all the same, which waits for what was launched before.
Gates lie with x; they and their gradient never leave the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..mixed_op.spec import Edge

MOST_PATHS = 2

# (batch, channels, side)
BENCH_SIZES = ((64, 16, 32), (16, 16, 32))


@dataclass(frozen=True)
class Paths:
    """Chosen candidates, and where their weights and normalizations are among those of all.

    Attributes:
        edge: the candidates in the order of the index.
        weights: places in the list of all weights.
        norms: places in the list of all normalizations.
    """

    edge: Edge
    weights: tuple[int, ...]
    norms: tuple[int, ...]


def chosen(edge: Edge, index: Sequence[int], channels: int) -> Paths:
    """The paths of an edge that an index names.

    Raises:
        ValueError: the index names a candidate twice, or one that there is not.
    """
    count = len(edge.candidates)
    if len(set(index)) < len(index) or not all(0 <= k < count for k in index):
        raise ValueError(f"paths are different numbers below {count}, not {list(index)}")
    weights = _runs([len(edge.shapes_of(name, channels)) for name in edge.candidates])
    norms = _runs([edge.norms_of(name) for name in edge.candidates])
    return Paths(
        Edge(tuple(edge.candidates[k] for k in index), edge.stride),
        tuple(place for k in index for place in weights[k]),
        tuple(place for k in index for place in norms[k]),
    )


def owners(edge: Edge) -> list[int]:
    """Number of the candidate that each normalization belongs to."""
    return [k for k, name in enumerate(edge.candidates) for _ in range(edge.norms_of(name))]


def _runs(lengths: Sequence[int]) -> list[range]:
    """Consecutive runs of numbers of these lengths."""
    ends = [sum(lengths[: k + 1]) for k in range(len(lengths))]
    return [range(end - length, end) for end, length in zip(ends, lengths, strict=True)]
