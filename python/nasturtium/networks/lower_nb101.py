"""NAS-Bench-101 cells to networks, as Ying et al. 2019 build them."""

from collections.abc import Sequence

import numpy as np

from nasturtium.networks.ir import Net, NetBuilder
from nasturtium.spaces import Architecture, nb101
from nasturtium.spaces.nb101_space import cells_of

__all__ = ["lower", "vertex_channels"]

CHANNELS = 128
CELLS = 3
_STAGES = 3
_LEAST_SIZE = 2
Edges = frozenset[tuple[int, int]]


def lower(
    arch: Architecture,
    input_shape: Sequence[int],
    outputs: int,
    *,
    channels: int = CHANNELS,
    cells: int = CELLS,
) -> Net:
    """The network of a cell: stem, three stages of `cells` cells, pooling by 2 between them.

    `channels` and `cells` scale it; 128 and 3 are the published network, whose 32 x 32 images this
    equals parameter by parameter. What is dead in the cell is left out. Resolution is not halved
    below two pixels. Channels that cannot be shared out evenly go to the first vertices, so that
    isomorphic cells can differ by a few parameters.
    """
    matrix, names = nb101.unpack(nb101.prune(cells_of(arch.code[None]))[0])
    edges = frozenset((int(i), int(j)) for i, j in np.argwhere(matrix))
    build = NetBuilder(str(arch), input_shape)
    h = _conv(build, "x", "stem", channels, 3)
    for stage in range(1, _STAGES + 1):
        if stage > 1 and min(build.shape(h)[1:]) >= 2 * _LEAST_SIZE:
            h = build.add(f"stage{stage}_down", "max_pool2d", h, kernel=2, stride=2, padding=0)
        out = channels * 2 ** (stage - 1)
        for number in range(1, cells + 1):
            h = _cell(build, h, f"stage{stage}_cell{number}", edges, names, out)
    build.add("head_pool", "global_avg_pool", h)
    build.add("head", "linear", out=outputs)
    return build.build()


def vertex_channels(edges: Edges, vertices: int, inputs: int, outputs: int) -> list[int]:
    """How many channels each vertex of a pruned cell has.

    The output's are shared out evenly over the inner vertices that feed it, the first of them take
    one of the remainder each; another inner vertex has as many as the widest one that it feeds.
    """
    last = vertices - 1
    feeding = [v for v in range(1, last) if (v, last) in edges]
    channels = [inputs, *([0] * (vertices - 2)), outputs]
    for place, vertex in enumerate(feeding):
        channels[vertex] = outputs // len(feeding) + (place < outputs % len(feeding))
    for vertex in range(last - 1, 0, -1):
        if vertex not in feeding:
            channels[vertex] = max(channels[w] for w in range(last) if (vertex, w) in edges)
    return channels


def _conv(build: NetBuilder, source: str, name: str, out: int, kernel: int) -> str:
    build.add(f"{name}_conv", "conv2d", source, out=out, kernel=kernel)
    build.add(f"{name}_norm", "batch_norm2d")
    return build.add(f"{name}_act", "relu")


def _cell(
    build: NetBuilder, source: str, name: str, edges: Edges, names: Sequence[str], out: int
) -> str:
    last = len(names) - 1
    channels = vertex_channels(edges, len(names), build.shape(source)[0], out)
    values: dict[int, str] = {}
    for vertex in range(1, last):
        wide = channels[vertex]
        terms = [
            _first(build, values[v], f"{name}_{v}to{vertex}", wide)
            for v in range(1, vertex)
            if (v, vertex) in edges
        ]
        if (0, vertex) in edges:
            terms.append(_conv(build, source, f"{name}_0to{vertex}", wide, 1))
        only = len(terms) == 1
        h = terms[0] if only else build.add(f"{name}_sum{vertex}", "add", terms)
        values[vertex] = _operation(build, h, f"{name}_op{vertex}", names[vertex], wide)
    joined = [values[v] for v in range(1, last) if (v, last) in edges]
    result = joined[0] if len(joined) == 1 else ""
    if len(joined) > 1:
        result = build.add(f"{name}_concat", "concat", joined)
    if (0, last) in edges:
        projected = _conv(build, source, f"{name}_0to{last}", out, 1)
        result = build.add(f"{name}_out", "add", (result, projected)) if result else projected
    return result


def _first(build: NetBuilder, source: str, name: str, channels: int) -> str:
    if build.shape(source)[0] == channels:
        return source
    return build.add(name, "first_channels", source, out=channels)


def _operation(build: NetBuilder, source: str, name: str, operation: str, channels: int) -> str:
    if operation == "maxpool3x3":
        return build.add(name, "max_pool2d", source, kernel=3)
    return _conv(build, source, name, channels, 1 if operation == "conv1x1-bn-relu" else 3)
