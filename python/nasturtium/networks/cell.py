"""Lowering of a cell whose edges carry operations and whose nodes add up what arrives.

Nodes are plain sums and every weighted operation starts with the activation, so that two cells
that the core calls equal (same pruned graph, skips merged) compute the same function.
"""

from collections.abc import Mapping

from nasturtium.networks.ir import NetBuilder

__all__ = ["cell"]


def _live(edges: Mapping[tuple[int, int], str], last: int) -> set[int]:
    """Nodes on a path from node 0 to node `last`."""
    from_input = {0}
    for node in range(1, last + 1):
        if any((source, node) in edges for source in from_input if source < node):
            from_input.add(node)
    to_output = {last}
    for node in range(last - 1, -1, -1):
        if any((node, target) in edges for target in to_output if target > node):
            to_output.add(node)
    return from_input & to_output


def cell(
    build: NetBuilder,
    source: str,
    name: str,
    edges: Mapping[tuple[int, int], str],
    *,
    nodes: int,
    activation: str,
    expansion: int = 2,
) -> str:
    """Add the cell's layers, reading the layer `source`; returns the name of its output.

    `edges` maps (source, target), source < target, to an operation; node 0 is the input, node
    `nodes - 1` the output. Dead parts are left out; a cell without a path gives zeros.
    """
    kept = {pair: op for pair, op in edges.items() if op != "none"}
    live = _live(kept, nodes - 1)
    if nodes - 1 not in live or 0 not in live:
        return build.add(f"{name}_zero", "zero", source)
    values = {0: source}
    active: dict[int, str] = {}  # the activation of a node's value, computed once
    for target in sorted(live - {0}):
        terms = [
            _edge(build, values, active, (node, target), op, name, activation, expansion)
            for (node, end), op in sorted(kept.items())
            if end == target and node in live
        ]
        only = len(terms) == 1
        values[target] = terms[0] if only else build.add(f"{name}_sum{target}", "add", terms)
    return values[nodes - 1]


def _edge(
    build: NetBuilder,
    values: Mapping[int, str],
    active: dict[int, str],
    pair: tuple[int, int],
    op: str,
    cell_name: str,
    activation: str,
    expansion: int,
) -> str:
    node, target = pair
    value = values[node]
    name = f"{cell_name}_{node}to{target}"
    if op in ("skip", "skip_connect"):
        return value
    if op in ("avg_pool_3x3", "max_pool_3x3"):
        return build.add(f"{name}_pool", op[:8] + "2d", value, kernel=3)
    if node not in active:
        active[node] = build.add(f"{cell_name}_act{node}", activation, value)
    channels = build.shape(value)[0]
    h = active[node]
    if op in ("conv_1x1", "conv_3x3", "nor_conv_1x1", "nor_conv_3x3"):
        build.add(f"{name}_conv", "conv2d", h, out=channels, kernel=int(op[-1]))
    elif op == "sep_3x3":
        build.add(f"{name}_dw", "conv2d", h, out=channels, kernel=3, groups=channels)
        build.add(f"{name}_conv", "conv2d", out=channels, kernel=1)
    elif op == "dw_3x3":
        build.add(f"{name}_conv", "conv2d", h, out=channels, kernel=3, groups=channels)
    elif op == "mb_3x3":
        wide = channels * expansion
        build.add(f"{name}_expand", "conv2d", h, out=wide, kernel=1)
        build.add(f"{name}_norm1", "batch_norm2d")
        build.add(f"{name}_act1", activation)
        build.add(f"{name}_dw", "conv2d", out=wide, kernel=3, groups=wide)
        build.add(f"{name}_norm2", "batch_norm2d")
        build.add(f"{name}_act2", activation)
        build.add(f"{name}_conv", "conv2d", out=channels, kernel=1)
    else:
        raise ValueError(op)
    return build.add(f"{name}_norm", "batch_norm2d")
