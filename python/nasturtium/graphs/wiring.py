"""Randomly wired networks.

Undirected random graphs whose edges then go from the vertex with the lower number to the other.
Every vertex that nothing enters is fed by an input, every vertex that nothing leaves feeds an
output, so that all lie on a path between these two. Graphs have `nodes + 2` vertices, the input
first and the output last. Graph `i` is a function of `(seed, stream, start + i)`. `labels` are
those of the vertices between, of the input and of the output.

Reference: Xie, Kirillov, Girshick and He, Exploring Randomly Wired Neural Networks for Image
Recognition, ICCV 2019.
"""

from __future__ import annotations

from nasturtium import _core
from nasturtium.errors import SpaceError
from nasturtium.graphs.batch import GraphBatch

__all__ = ["barabasi_albert", "erdos_renyi", "watts_strogatz"]

Labels = tuple[int, int, int]
_LABELS = (0, 1, 2)


def erdos_renyi(
    n: int,
    *,
    nodes: int,
    chance: float,
    seed: int,
    labels: Labels = _LABELS,
    stream: int = 0,
    start: int = 0,
    threads: int = 1,
) -> GraphBatch:
    """`n` graphs that have each of the `nodes (nodes - 1) / 2` edges with probability `chance`.

    Raises:
        SpaceError: not 1 to 4,094 nodes, or no probability.

    Reference: Erdős and Rényi, On the evolution of random graphs, 1960 (here Gilbert's form).
    """
    return _made(0, nodes, 0, chance, labels, n, seed, stream, start, threads)


def watts_strogatz(
    n: int,
    *,
    nodes: int,
    neighbors: int,
    chance: float,
    seed: int,
    labels: Labels = _LABELS,
    stream: int = 0,
    start: int = 0,
    threads: int = 1,
) -> GraphBatch:
    """`n` small worlds: rings in which each edge got another end with probability `chance`.

    Each vertex is joined to `neighbors // 2` on both sides. Lap after lap round the ring, the edge
    to the next vertex, to the next but one and so on keeps its first end, and gets another second
    one, uniform of those that give neither a loop nor an edge that is there. The number of edges
    stays `nodes * (neighbors // 2)`.

    Raises:
        SpaceError: fewer than 2 neighbors, not more nodes than neighbors, or no probability.

    Reference: Watts and Strogatz, Collective dynamics of small-world networks, Nature 1998.
    """
    return _made(1, nodes, neighbors, chance, labels, n, seed, stream, start, threads)


def barabasi_albert(
    n: int,
    *,
    nodes: int,
    neighbors: int,
    seed: int,
    labels: Labels = _LABELS,
    stream: int = 0,
    start: int = 0,
    threads: int = 1,
) -> GraphBatch:
    """`n` graphs grown vertex by vertex, each joined to `neighbors` by preference.

    From `neighbors` vertices without edges; each further one is joined to that many different ones,
    drawn with probability proportional to their number of edges. The number of edges is
    `neighbors * (nodes - neighbors)`.

    Raises:
        SpaceError: fewer than 1 neighbor, or not more nodes than neighbors.

    Reference: Barabási and Albert, Emergence of scaling in random networks, Science 1999.
    """
    return _made(2, nodes, neighbors, 0.0, labels, n, seed, stream, start, threads)


def _made(
    wiring: int, nodes: int, neighbors: int, chance: float, labels: Labels, n: int, seed: int,
    stream: int, start: int, threads: int,
) -> GraphBatch:  # fmt: skip
    if min(n, nodes, neighbors, *labels) < 0:
        raise SpaceError("numbers of graphs, nodes and neighbors and labels are not negative")
    arrays = _core.graph_random(
        wiring, nodes, neighbors, chance, labels, n, seed, stream, start, threads
    )
    return GraphBatch(*arrays)
