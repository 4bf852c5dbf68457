"""The NAS-Bench-101 cell as a declared space; `nasturtium.spaces.nb101` has its packed cells."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nasturtium.errors import SpaceError
from nasturtium.registry import MethodInfo, register_space
from nasturtium.spaces.architecture import parse_option
from nasturtium.spaces.declare import Choice, Graph, Option, connected, live_at_most
from nasturtium.spaces.nb101 import OPERATIONS, VERTICES, valid
from nasturtium.spaces.space import Codes, Space

__all__ = ["EDGES", "cells_of", "codes_of", "nb101_space"]

OUTPUT = VERTICES - 1
INNER = tuple(range(1, OUTPUT))
# In the order of the bits of a packed cell: column by column.
EDGES = tuple((source, target) for target in range(1, VERTICES) for source in range(target))
_FORM = "`edges/edges/...:op,op,...`, e.g. `110000/01000/0010/001/00/1:maxpool3x3,...`"
_BITS = len(EDGES)


def _edge(source: int, target: int) -> Choice:
    # What leaves the input is projected, each time with weights of its own.
    return Choice(f"edge_{target}_{source}", ("none", "skip" if source else "project"))


_EDGE = {pair: _edge(*pair) for pair in EDGES}
_OPERATION = {vertex: Choice(f"op_{vertex}", OPERATIONS) for vertex in INNER}


def _format(values: Mapping[str, Option]) -> str:
    rows = [
        "".join(str(int(values[_EDGE[i, j].name] != "none")) for j in range(i + 1, VERTICES))
        for i in range(OUTPUT)
    ]
    return "/".join(rows) + ":" + ",".join(str(values[_OPERATION[v].name]) for v in INNER)


def _parse(body: str) -> dict[str, Option]:
    """Read rows of the matrix above its diagonal, then the inner vertices' operations."""
    position = len("nb101:")
    matrix, colon, listed = body.partition(":")
    rows, names = matrix.split("/"), listed.split(",")
    if not colon or len(rows) != OUTPUT or len(names) != len(INNER):
        raise SpaceError(f"position {position}: not {OUTPUT} rows and {len(INNER)} operations: "
                         f"{_FORM}")  # fmt: skip
    values: dict[str, Option] = {}
    for source, row in enumerate(rows):
        if len(row) != OUTPUT - source or not set(row) <= {"0", "1"}:
            raise SpaceError(
                f"position {position}: row {source} is {OUTPUT - source} digits 0 and 1: {_FORM}"
            )
        for target, digit in enumerate(row, start=source + 1):
            choice = _EDGE[source, target]
            values[choice.name] = choice.options[int(digit)]
        position += len(row) + 1
    for vertex, name in zip(INNER, names, strict=True):
        values[f"op_{vertex}"] = parse_option(_OPERATION[vertex], name, position)
        position += len(name) + 1
    return values


@register_space(
    MethodInfo(
        id="nb101-space",
        area="spaces",
        kind="space",
        family="cell",
        title="NAS-Bench-101 cell",
        year=2019,
        reference="Ying et al., NAS-Bench-101, ICML 2019",
        differs="all cells have 7 vertices, of which some may be dead; batch normalization as in "
        "torch (momentum 0.1)",
        proof="tests/spaces/test_nb101_space.py::test_published_counts",
        aliases=("nb101",),
    )
)
def nb101_space() -> Space:
    """The NAS-Bench-101 cell: 7 vertices, of 21 edges at most 9 live ones, 3 operations on five.

    Vertex 0 is the input, vertex 6 the output. An inner vertex is its operation on the sum of what
    enters, the output concatenates; edges from the input are projections, and weights of their own.
    An output is reachable from the input, and at most 9 edges lie on paths between them: what is
    dead may be more, so that a draw by fair coins and a mutation of one edge or operation are those
    of the paper's authors. Text form: `nb101:` with the matrix above its diagonal, row by row, and
    the operations: `nb101:110000/01000/0010/001/00/1:conv3x3-bn-relu,...`.

    Sizes: `genotype` 373,754,169 valid codes; `graph` 423,624, the published count; `function`
    419,052, since poolings of one value are one value. `cells_of` and `codes_of` go to the packed
    cells of `nasturtium.spaces.nb101` and back.

    Reference: Ying, Klein, Real, Christiansen, Murphy and Hutter, NAS-Bench-101: Towards
    Reproducible Neural Architecture Search, ICML 2019.

    Example:
        >>> from nasturtium.spaces import nb101, nb101_space
        >>> from nasturtium.spaces.nb101_space import cells_of
        >>> codes = nb101_space().sample(1000, seed=1)
        >>> bool(nb101.valid(cells_of(codes)).all())
        True
    """
    graph = Graph(zero="none", identity="skip", weightless="maxpool3x3", concat="concat")
    graph.node("input", "input")
    for vertex, choice in _OPERATION.items():
        graph.node(f"v{vertex}", choice)
    graph.node("output", "concat")
    names = [node.name for node in graph.nodes]
    for source, target in itertools.combinations(range(VERTICES), 2):
        graph.edge(names[source], names[target], _EDGE[source, target])
    return Space(
        "nb101",
        [*_EDGE.values(), *_OPERATION.values()],
        graph,
        (connected(), live_at_most(9)),
        formatter=_format,
        parser=_parse,
    )


def cells_of(codes: Codes) -> NDArray[np.uint64]:
    """The packed cells, uint64[n], of codes uint8[n, 26] of `nb101_space`; not pruned."""
    array = np.asarray(codes)
    width = _BITS + len(INNER)
    if array.dtype != np.uint8 or array.ndim != 2 or array.shape[1] != width:
        raise SpaceError(f"codes are uint8[n, {width}], not {array.dtype}{list(array.shape)}")
    places = [*range(_BITS), *(_BITS + 2 * i for i in range(len(INNER)))]
    shifts = np.array(places, np.uint64)
    packed: NDArray[np.uint64] = (array.astype(np.uint64) << shifts).sum(axis=1, dtype=np.uint64)
    return packed | np.uint64(VERTICES << 31)


def codes_of(cells: NDArray[np.uint64]) -> Codes:
    """The codes of packed cells, uint8[n, 26]: the output at vertex 6, missing vertices dead.

    Raises SpaceError with the first number that is no valid cell.
    """
    array = np.asarray(cells)
    good = valid(array)
    if not good.all():
        row = int(np.argmin(good))
        raise SpaceError(f"row {row}: {int(array[row])} is no valid cell of NAS-Bench-101")
    numbers = array.astype(np.int64)
    vertices = numbers >> 31
    last = vertices - 1
    codes = np.zeros((len(numbers), _BITS + len(INNER)), np.uint8)
    for at, (source, target) in enumerate(EDGES):
        # Of a smaller cell the output's column stands where its own number of vertices has it.
        column = np.where(target == OUTPUT, last, target)
        there = (source < column) & ((target == OUTPUT) | (target < last))
        codes[:, at] = there & (numbers >> (column * (column - 1) // 2 + source) & 1 == 1)
    for at, vertex in enumerate(INNER):
        operation = numbers >> (_BITS + 2 * at) & 3
        codes[:, _BITS + at] = np.where(vertex < last, operation, 0)
    return codes
