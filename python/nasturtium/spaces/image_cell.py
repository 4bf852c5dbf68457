"""Small convolutional networks: a searched cell in a searched frame."""

from __future__ import annotations

from nasturtium.registry import MethodInfo, register_space
from nasturtium.spaces.declare import Choice, Graph, at_least, connected, forbid
from nasturtium.spaces.space import Space

OPERATIONS = ("none", "skip", "conv_1x1", "conv_3x3", "sep_3x3", "mb_3x3", "max_pool_3x3")
NODES = 4
STAGES = (1, 2, 3, 4)
WIDTHS = (4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 64)
REDUCTIONS = ("conv", "max_pool", "sep_max_pool", "avg_pool")
SCALE = ("width", "stem_stride")  # with more channels, and then with more pixels
PAIRS = tuple((source, target) for target in range(1, NODES) for source in range(target))
# At most one residual cell a stage; a search may begin with these, as wide as its limits allow.
# Stages, cells of the first, growth, the stem's stride, reduction, attention, head, the cell.
_SKIP = {"edge_1_0": "skip", "edge_3_1": "skip"}
_CONV = {**_SKIP, "edge_3_0": "conv_3x3"}
_SEPARABLE = {"edge_1_0": "sep_3x3", "edge_3_1": "sep_3x3", "edge_2_0": "skip", "edge_3_2": "skip"}
DESIGNS = (
    (4, 0, 2.0, 1, "max_pool", "none", "max", _CONV),
    (3, 1, 1.5, 2, "max_pool", "se", "max", _CONV),
    (2, 1, 1.5, 1, "max_pool", "none", "max", _CONV),
    (3, 1, 1.5, 2, "avg_pool", "none", "mean", _SEPARABLE),
    (2, 1, 1.5, 1, "avg_pool", "none", "mean", _SEPARABLE),
)


def edge_name(source: int, target: int) -> str:
    """The decision on the edge from `source` to `target`, both counted from the input, 0."""
    return f"edge_{target}_{source}"


@register_space(
    MethodInfo(
        id="image-cell-space",
        area="spaces",
        kind="space",
        family="cell",
        title="Image cell with searched width, depth and reductions",
        year=2020,
        reference="cell: Dong and Yang, NAS-Bench-201, ICLR 2020; inverted bottlenecks: Sandler "
        "et al., MobileNetV2, CVPR 2018; squeeze-and-excitation: Hu et al., CVPR 2018",
        differs="one space of cell and frame; separable and inverted bottleneck operations; "
        "widths from 4 to 64 channels, so that it also holds networks of 3,000 parameters",
        proof="tests/networks/test_image_cell.py::test_cost_equals_the_counted_one",
        aliases=("image_cell",),
    )
)
def image_cell() -> Space:
    """Small convolutional networks for images from 8 x 8 x 1 to 64 x 64 x 3.

    A stem, 1 to 4 stages of 1 to 3 equal cells (the first of several may have none), a head. A
    stage has `growth` times the channels of the one before it and half its resolution, down to 3
    pixels. The cell has 4 nodes; node 0 is its input, node 3 its output, a node is the sum of what
    enters, and at most 4 of the 6 edges carry an operation. Every weighted operation is activation,
    convolutions, normalization: `sep_3x3` a depthwise and a pointwise convolution, `mb_3x3` an
    inverted bottleneck that is twice as wide inside.

    `stem_stride` 2 halves the resolution at once; `reduction` is a strided convolution, or a
    convolution (or a depthwise and a pointwise one) and then max pooling, or average pooling and
    then a pointwise convolution; `attention` ends each cell with squeeze-and-excitation; `head`
    pools by mean or maximum.
    `DESIGNS` are plain residual networks of the space, with convolutions or separable ones.
    """
    graph = Graph(zero="none", identity=("skip", "sum"), weightless="max_pool_3x3")
    for node in range(NODES):
        graph.node(str(node), "sum")
    edges = [Choice(edge_name(source, target), OPERATIONS) for source, target in PAIRS]
    for (source, target), choice in zip(PAIRS, edges, strict=True):
        graph.edge(str(source), str(target), choice)
    several = {"stages": STAGES[1:]}
    depths = [Choice("depth_1", (0, 1, 2, 3))]
    depths += [Choice(f"depth_{i}", (1, 2, 3), when={"stages": STAGES[i - 1 :]}) for i in (2, 3, 4)]
    frame = [
        Choice("width", WIDTHS),
        Choice("stages", STAGES),
        Choice("growth", (1.0, 1.25, 1.5, 2.0), when=several),
        *depths,
        Choice("stem_stride", (2, 1)),
        Choice("reduction", REDUCTIONS, when=several),
        Choice("attention", ("none", "se")),
        Choice("activation", ("relu", "silu", "gelu", "hardswish")),
        Choice("head", ("mean", "max")),
    ]
    limits = (connected(), at_least(edges, "none", 2), forbid({"stages": 1, "depth_1": 0}))
    designs = [_design(*design) for design in DESIGNS]
    return Space("image_cell", [*frame, *edges], graph, limits, scale=SCALE, designs=designs)


def _design(
    stages: int,
    first: int,
    growth: float,
    stem: int,
    reduction: str,
    attention: str,
    head: str,
    cell: dict[str, str],
) -> str:
    """The text form of one of `DESIGNS`."""
    values: dict[str, object] = {"width": WIDTHS[-1], "stages": stages, "growth": growth}
    values |= {f"depth_{i}": first if i == 1 else 1 for i in range(1, stages + 1)}
    values |= {"stem_stride": stem, "reduction": reduction, "attention": attention}
    values |= {"activation": "relu", "head": head}
    values |= {edge_name(*pair): cell.get(edge_name(*pair), "none") for pair in PAIRS}
    return "image_cell:" + ",".join(f"{name}={value}" for name, value in values.items())
