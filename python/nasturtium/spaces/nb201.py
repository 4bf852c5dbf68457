"""The NAS-Bench-201 cell."""

from __future__ import annotations

from collections.abc import Mapping

from nasturtium.errors import SpaceError
from nasturtium.registry import MethodInfo, register_space
from nasturtium.spaces.architecture import parse_option
from nasturtium.spaces.declare import Choice, Graph, Option
from nasturtium.spaces.space import Space

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
_FORM = "`|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`"


_CHOICES = {(dst, src): Choice(f"edge_{dst}_{src}", OPERATIONS) for dst, src in _EDGES}


def _format(values: Mapping[str, Option]) -> str:
    rows = []
    for dst in (1, 2, 3):
        row = [f"{values[f'edge_{dst}_{src}']}~{src}|" for src in range(dst)]
        rows.append("|" + "".join(row))
    return "+".join(rows)


def _parse(body: str) -> dict[str, Option]:
    """Read the official string; positions count from the start of `nb201:...`."""
    position = len("nb201:")
    values: dict[str, Option] = {}
    rows = body.split("+")
    if len(rows) != 3:
        raise SpaceError(f"position {position}: {len(rows)} parts joined by '+', not 3: {_FORM}")
    for dst, row in enumerate(rows, start=1):
        items = row[1:-1].split("|")
        if not (row.startswith("|") and row.endswith("|") and len(items) == dst):
            raise SpaceError(f"position {position}: node {dst} does not have {dst} inputs: {_FORM}")
        position += 1
        for src, item in enumerate(items):
            operation, tilde, source = item.partition("~")
            values[f"edge_{dst}_{src}"] = parse_option(_CHOICES[dst, src], operation, position)
            if not tilde or source != str(src):
                where = position + len(operation)
                raise SpaceError(
                    f"position {where}: input {src} of node {dst} must end in '~{src}'"
                )
            position += len(item) + 1
        position += 1
    return values


@register_space(
    MethodInfo(
        id="nb201-space",
        area="spaces",
        kind="space",
        family="cell",
        title="NAS-Bench-201 cell",
        year=2020,
        reference="Dong and Yang, NAS-Bench-201, ICLR 2020",
        differs="nodes in the official order; functions are told apart exactly as well",
        proof="tests/spaces/test_nb201.py::test_published_counts",
        aliases=("nb201",),
    )
)
def nb201() -> Space:
    """The NAS-Bench-201 cell: 4 nodes, 6 edges in the official order, 5 operations, 15,625 codes.

    Node 0 is the input, node 3 the output, a node is the sum of what enters. Text form:
    `nb201:|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, behind the name the string that the benchmark's
    tables use. Sizes: `genotype` 15,625; `pruned` 9,445; `nb201_string` 6,466 (the published rule;
    a partition by strings, not by functions); `nb201_skips` 12,751 (the same without zeros);
    `function` 5,260: average pooling has no weights, so two poolings of one value are one value,
    and it is not distributed over sums.

    Reference: Dong and Yang, NAS-Bench-201, ICLR 2020.
    """
    graph = Graph(zero="none", identity=("skip_connect", "sum"), weightless="avg_pool_3x3")
    for node in range(4):
        graph.node(str(node), "sum")
    for (dst, src), choice in _CHOICES.items():
        graph.edge(str(src), str(dst), choice)
    return Space(
        "nb201",
        _CHOICES.values(),
        graph,
        formatter=_format,
        parser=_parse,
        conventions={"nb201_string": "string", "nb201_skips": "string_skip"},
    )
