"""The drawing of a network: its parts, blocks, repeats and places."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from nasturtium.networks.baselines import plain_mlp, residual_net
from nasturtium.networks.cost import cost
from nasturtium.networks.ir import Net, NetBuilder
from nasturtium.report.drawing import draw
from nasturtium.report.parts import blocks, collapse, parts, totals

SVG = "{http://www.w3.org/2000/svg}"
MakeNet = Callable[[int], Net]


def cell(edges: list[tuple[int, int]], nodes: int) -> Net:
    """A DAG of 3x3 convolutions, one per edge, added at the nodes."""
    build = NetBuilder("cell", (4, 6, 6))
    value = {0: build.add("stem", "conv2d", out=4, kernel=1)}
    for node in range(1, nodes):
        into = [
            build.add(f"e{a}_{b}", "conv2d", value[a], out=4, kernel=3)
            for a, b in edges
            if b == node
        ]
        value[node] = build.add(f"n{node}", "add", into) if len(into) > 1 else into[0]
    build.add("pool", "global_avg_pool", value[nodes - 1])
    build.add("head", "linear", out=3)
    return build.build()


FULL_CELL = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]


def test_parts_keep_every_layer_and_all_costs(make_net: MakeNet) -> None:
    net = make_net(3)
    made = parts(net)
    assert sorted(name for p in made for name in p.names) == sorted(x.name for x in net.layers)
    spent = cost(net)
    assert totals(made) == {"params": spent.params, "macs": spent.macs}


def test_residual_blocks_are_folded(make_net: MakeNet) -> None:
    repeats = collapse(blocks(parts(make_net(5))))
    folded = [repeat for repeat in repeats if repeat.times > 1]
    assert [repeat.times for repeat in folded] == [5]
    inside = [part.label for block in folded[0].blocks for part in block.parts]
    assert inside == ["ReLU · Conv 3×3, 16 · BN · ReLU", "Conv 3×3, 16 · BN", "Add"]


def test_blocks_of_different_shapes_are_not_folded() -> None:
    build = NetBuilder("stages", (3, 8, 8))
    for i, width in enumerate((8, 16, 16, 16)):
        build.add(f"conv{i}", "conv2d", out=width, kernel=3)
    repeats = collapse(blocks(parts(build.build())))
    # 3 -> 8, 8 -> 16, then twice 16 -> 16: only the last two have the same cost.
    assert [(len(repeat.blocks), repeat.times) for repeat in repeats] == [(1, 1), (1, 1), (1, 2)]


def test_periods_longer_than_one_are_found() -> None:
    build = NetBuilder("mlp", (16,))
    for i in range(4):
        build.add(f"wide{i}", "linear", out=32)
        build.add(f"narrow{i}", "linear", out=16)
    repeats = collapse(blocks(parts(build.build())))
    assert [(len(repeat.blocks), repeat.times) for repeat in repeats] == [(2, 4)]


def test_a_cell_is_one_block() -> None:
    chain = blocks(parts(cell(FULL_CELL, 4)))
    assert [len(block.parts) for block in chain] == [1, 8, 1, 1]


@pytest.mark.parametrize("op", ["depthwise", "grouped"])
def test_grouped_convolutions_are_named(op: str) -> None:
    build = NetBuilder("groups", (8, 4, 4))
    groups = 8 if op == "depthwise" else 2
    build.add("conv", "conv2d", out=8, kernel=3, groups=groups, stride=2)
    assert parts(build.build())[0].label == f"{op.capitalize()} conv 3×3, 8, stride 2"


def boxes(root: ET.Element) -> list[tuple[str, float, float, float]]:
    """Text, left, right and top of each box."""
    found = []
    for group in root.iter(f"{SVG}g"):
        if group.attrib.get("class", "").startswith("part"):
            rect, text = group.find(f"{SVG}rect"), group.findtext(f"{SVG}text")
            assert rect is not None and text is not None
            x, width, y = (float(rect.attrib[key]) for key in ("x", "width", "y"))
            found.append((text, x, x + width, y))
    return found


@pytest.mark.parametrize(
    "net",
    [
        cell(FULL_CELL, 4),
        cell([(0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (1, 4), (0, 2)], 5),
        residual_net((3, 32, 32), 10),
        plain_mlp((13,), 1),
    ],
    ids=["cell", "skips", "residual", "mlp"],
)
def test_drawing_holds_every_part_without_overlaps(net: Net) -> None:
    root = ET.fromstring(str(draw(net)))
    drawn = boxes(root)
    repeats = collapse(blocks(parts(net)))
    expected = ["Input"] + [p.label for r in repeats for b in r.blocks for p in b.parts]
    assert sorted(text for text, *_ in drawn) == sorted(expected)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for text, left, right, top in drawn:
        assert left >= 0 and right <= width and 0 <= top <= height
        rivals = [b for b in drawn if b[3] == top and b[0:2] != (text, left)]
        assert all(right <= other[1] or other[2] <= left for other in rivals)
    assert f"{cost(net).params:,}" in "".join(root.itertext())


def test_a_chain_is_drawn_straight_beside_a_skip(make_net: MakeNet) -> None:
    root = ET.fromstring(str(draw(make_net(1))))
    centers = {round((left + right) / 2, 1) for _, left, right, _ in boxes(root)}
    assert len(centers) == 1


def test_edges_run_downward() -> None:
    root = ET.fromstring(str(draw(cell(FULL_CELL, 4))))
    edges = [p.attrib["d"] for p in root.iter(f"{SVG}path") if p.attrib["class"] == "edge"]
    # 12 connections of parts, and one more piece for each row that a connection passes.
    assert len(edges) > 12
    for edge in edges:
        _, start, *_, end = map(float, re.findall(r"-?[\d.]+", edge.split("v")[0]))
        assert end > start


def test_the_text_alternative_names_the_parts(make_net: MakeNet) -> None:
    title = ET.fromstring(str(draw(make_net(3)))).findtext(f"{SVG}title")
    assert title is not None
    assert "3 times (ReLU · Conv" in title and title.endswith("Linear 10")
