"""Declarations and texts that are wrong are refused; architectures are values; sizes are exact."""

from __future__ import annotations

import copy
import itertools
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasturtium import _core
from nasturtium.errors import SpaceError
from nasturtium.spaces import (
    Choice,
    Graph,
    Space,
    at_least,
    at_most,
    connected,
    forbid,
    image_cell,
    live_at_least,
    live_at_most,
    nb101_space,
    nb201,
    residual_mlp,
)


def small(*constraints: Any) -> Space:
    """Two operations, the second only at depth 2; 1 attribute."""
    ops = ("none", "skip", "conv")
    depth, a = Choice("depth", (1, 2)), Choice("a", ops)
    b, rate = Choice("b", ops, when={"depth": 2}), Choice("rate", (0.5, 1.0))
    graph = Graph(identity=("skip", "sum")).node("in", "sum").node("mid", "sum").node("out", "sum")
    graph = graph.edge("in", "mid", a).edge("mid", "out", "conv")
    graph = graph.edge("in", "out", b, when={"depth": 2})
    return Space("small", [depth, a, b, rate], graph, constraints)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Choice("a b", (1,)), "is not a name"),
        (lambda: Choice("a", ()), "0 options"),
        (lambda: Choice("a", range(257)), "257 options"),
        (lambda: Choice("a", (1, 1)), "'1' twice"),
        (lambda: Choice("a", (1, "1")), "'1' twice"),
        (lambda: Choice("a", ("x=1",)), "option 'x=1'"),
        (lambda: Choice("a", ("\ud800",)), "option"),
        (lambda: Choice("a", (float("nan"),)), "not finite"),
        (lambda: Choice("a", (10**400,)), "too large"),
        (lambda: Choice("a", (None,)), "is not a str"),
        (lambda: Choice("a", (1, 2), when={"b": ()}), "lists no value"),
        (lambda: Space("s", [Choice("a", (1, 2)), Choice("a", (3,))]), "declared twice"),
        (lambda: Space("s", [Choice("a", (1, 2), when={"b": 1}), Choice("b", (1,))]),
         "unknown decision 'b'"),
        (lambda: Space("s", [Choice("a", (1, 2), when={"a": 1})]), "unknown decision 'a'"),
        (lambda: Space("s", [Choice("depth", (1, 2)), Choice("b", (1,), when={"depht": 1})]),
         'did you mean "depth"'),
        (lambda: Space("s", [Choice("a", (1, 2)), Choice("b", (1,), when={"a": True})]),
         "no option True"),
        (lambda: Space("s", []), "at least one decision"),
        (lambda: Space("s", [Choice("a", (1,))], Graph().node("in", "x")), "two nodes"),
        (lambda: Space("s", [Choice("a", (1,))], Graph(zero="x", identity="x").node("i", "x")),
         "of two kinds"),
        (lambda: Space("s", [Choice("a", (1,))], None, [connected()]), "needs a graph"),
        (lambda: Space("s", [Choice("a", (1,))], None, [forbid({"a": 2})]), "no option 2"),
        (lambda: at_most(["a"], 1, 2), "not between 0 and the 1 names"),
        (lambda: at_least([], 1, 0), "0 names"),
        (lambda: live_at_most(2017), "not between 0 and 2,016"),
        (lambda: live_at_most(True), "k = True is not between"),
        (lambda: live_at_least(1, "edge"), "counts 'nodes' or 'edges', not 'edge'"),
        (lambda: live_at_least(1, "edges", ["a b"]), "option 'a b'"),
        (lambda: Space("s", [Choice("a", (1,))], None, [live_at_most(1)]), "behind a graph"),
        (lambda: small(live_at_most(1, "nodes")).architecture(np.array([0, 2, 0, 0], np.uint8)),
         r"constraint 1 \(live_at_most 1 nodes\) is not met"),
        (lambda: Graph().node("a", "x").node("a", "x"), "declared twice"),
        (lambda: Graph().node("a", "x").edge("a", "b", "x"), "declare node 'b' first"),
        (lambda: Graph().node("a", "x").node("b", "x").edge("b", "a", "x"), "declared first"),
        (lambda: small().parse("small:depth=1,a=cone,rate=0.5"),
         'position 16: .*did you mean .*"conv"'),
        (lambda: small().parse("small:depht=1"), 'position 6: .*did you mean "depth"'),
        (lambda: small().parse("small:depth=1,a=conv,b=conv,rate=0.5"), "'b' is inactive"),
        (lambda: small().parse("small:a=conv,depth=1,rate=0.5"), "not in its one text form"),
        (lambda: small().parse("small:depth=1,depth=1"), "given twice"),
        (lambda: small().keys(np.zeros((1, 4), np.uint8), "functoin"), 'did you mean "function"'),
        (lambda: small().keys(np.zeros((1, 3), np.uint8)), r"uint8\[n, 4\], not uint8\[1, 3\]"),
        (lambda: small().keys(np.full((2, 4), 9, np.uint8)), "row 0: decision 'depth' has 2"),
        (lambda: small().architecture(np.array([0, 0, 1, 0], np.uint8)), "'b' is inactive"),
        (lambda: small(connected()).architecture(np.zeros(4, np.uint8)), "no path leads"),
        (lambda: small(forbid({"a": "none"}), forbid({"a": ("skip", "conv")})).sample(1, seed=0),
         "constraints"),
    ],
)  # fmt: skip
def test_wrong_input_is_named(make: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()


def test_an_architecture_is_a_value() -> None:
    space = small()
    a = space.parse("small:depth=2,a=conv,b=skip,rate=1.0")
    assert dict(a.values) == {"depth": 2, "a": "conv", "b": "skip", "rate": 1.0}
    same = pickle.loads(pickle.dumps(a))  # noqa: S301
    assert same == a and hash(same) == hash(a) and str(same) == str(a)
    assert a != space.parse("small:depth=2,a=conv,b=skip,rate=0.5")
    with pytest.raises(AttributeError):
        a.code = a.code  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        a.code[0] = 1
    with pytest.raises(TypeError):
        a.values["a"] = "skip"  # type: ignore[index]


def test_inactive_decisions_and_attributes_in_keys() -> None:
    space = small()
    one = space.parse("small:depth=1,a=conv,rate=0.5").key()
    assert one == space.parse("small:depth=2,a=conv,b=none,rate=0.5").key()
    assert one != space.parse("small:depth=1,a=conv,rate=1.0").key()


@pytest.mark.parametrize("make", [nb101_space, nb201, image_cell, residual_mlp, small])
def test_text_round_trip(make: Any) -> None:
    space = make()
    for code in space.sample(200, seed=5):
        architecture = space.architecture(code)
        assert space.parse(str(architecture)) == architecture
    again = pickle.loads(pickle.dumps(space))  # noqa: S301
    assert again == space and again.text == space.text


def test_size_of_once_for_all_exactly() -> None:
    """(9**2 + 9**3 + 9**4)**5 = 2.176e19: kernels and expansions of dropped blocks are inactive."""
    decisions = []
    for unit in range(5):
        depth = Choice(f"depth_{unit}", (2, 3, 4))
        decisions.append(depth)
        for block in range(4):
            when = {depth: tuple(d for d in (2, 3, 4) if d > block)}
            decisions.append(Choice(f"kernel_{unit}_{block}", (3, 5, 7), when=when))
            decisions.append(Choice(f"expansion_{unit}_{block}", (3, 4, 6), when=when))
    assert Space("ofa", decisions).size() == (9**2 + 9**3 + 9**4) ** 5


def test_sizes_with_constraints_by_enumeration() -> None:
    names = [f"d{i}" for i in range(6)]
    decisions = [Choice(name, ("plain", "double", "halve", "both")) for name in names]
    space = Space("s", decisions, None, [at_most(names, "both", 1), at_least(names, "halve", 2)])
    codes = itertools.product(range(4), repeat=6)
    assert space.size() == sum(c.count(3) <= 1 and c.count(2) >= 2 for c in codes)
    with pytest.raises(SpaceError, match="too many to enumerate"):
        nb101_space().size("pruned")


def test_limits_count_only_what_lies_on_a_path() -> None:
    """The graph of `small`: in -a-> mid -conv-> out, and at depth 2 in -b-> out."""
    space = small(live_at_most(1, "edges", ("skip", "conv")), live_at_least(3, "nodes"))
    # Three nodes need a path through mid: two edges, where a's may be neither skip nor conv.
    assert space.size() == 0
    space = small(live_at_least(1, "edges", "skip"), live_at_most(2))
    kept = {str(space.architecture(code)) for code in space.enumerate()}
    assert {text.removesuffix(",rate=0.5") for text in kept if text.endswith("0.5")} == {
        "small:depth=1,a=skip", "small:depth=2,a=skip,b=none", "small:depth=2,a=none,b=skip",
    }  # fmt: skip
    assert space.size() == len(kept) == 6


def test_what_only_multiplies_is_not_listed() -> None:
    """Frames of `image_cell` times cells: 7^6 codes of edges, the valid of which are listed."""
    space = image_cell()
    edges = [choice for choice in space.decisions if choice.name.startswith("edge")]
    frame = [choice for choice in space.decisions if not choice.name.startswith("edge")]
    *on_edges, on_frame = space.constraints
    cell = Space("cell", edges, space.graph, on_edges)
    codes = cell.enumerate()
    frames = Space("frame", frame, None, [on_frame]).size()
    assert space.size() == frames * len(codes)
    keys = np.unique(cell.keys(codes, "function"), axis=0)
    assert space.size("function") == frames * len(keys)
    assert frames == len(Space("frame", frame, None, [on_frame]).enumerate())


def hostile() -> list[tuple[str, str]]:
    good = small().text
    return [
        ("", "line 1"),
        ("\0", "cut off"),
        (good[:-4], "cut off"),
        (good.replace("nasturtium-space 1", "nasturtium-space 2"), "line 1: .*another version"),
        (good + "end\n", "after 'end'"),
        (good.replace("\n", "\r\n"), "line 1"),
        ("\ufeff" + good, "line 1"),
        (good.replace("decision a", "decision depth"), "declared twice"),
        (good.replace("when depth 2", "when depth 3"), "no option '3'"),
        (good.replace("when depth 2", "when b \"skip\""), "unknown decision 'b'"),
        (good.replace("edge in mid", "edge mid in"), "no cycle"),
        (good.replace("edge in mid", "edge in in"), "no cycle"),
        (good.replace("$a", "$c"), "unknown decision 'c'"),
        (good.replace("$a", "$"), "unknown decision ''"),
        (good.replace("node mid", "node in"), "declared twice"),
        (good.replace("end\n", "at_most 4294967297 \"skip\" a\nend\n"), "K is '4294967297'"),
        (good.replace("end\n", "at_most -1 \"skip\" a\nend\n"), "K is '-1'"),
        (good.replace("end\n", "at_most " + "9" * 200 + " \"skip\" a\nend\n"), "K is"),
        (good.replace("end\n", "live_at_most 2017 edges\nend\n"), "K is '2017'"),
        (good.replace("end\n", "live_at_most 1 edge\nend\n"), r"K nodes\|edges VALUE"),
        (good.replace("end\n", "live_at_least 1\nend\n"), r"K nodes\|edges VALUE"),
        (good.replace("end\n", "live_at_least 1 nodes a\nend\n"), "'a' is no value"),
        (good.replace("end\n", "forbid\nend\n"), "expected 'forbid"),
        (good.replace("end\n", "\nend\n"), "empty line"),
        (good.replace("end\n", "import os\nend\n"), "unknown statement 'import'"),
        (good.replace('"none"', '"none', 1), "space is missing|word at column"),
        (good.replace("space small", "space " + "x" * 65), "line 2"),
        (good.replace("\"conv\"", "\"" + "x" * 300 + "\""), "overlong"),
        (good.replace("decision rate", "decision rate 1 1"), "given twice"),
        ("x" * (1 << 20 | 1), "longer than 1 MiB"),
        (f"nasturtium-space 1\nspace s\ndecision a {' '.join(map(str, range(257)))}\nend\n",
         "more than 256 options"),
        ("nasturtium-space 1\nspace s\n" + "".join(f"decision d{i} 1\n" for i in range(4097))
         + "end\n", "more than 4096 decisions"),
        ("nasturtium-space 1\nspace s\ndecision a 1\n"
         + "".join(f'node n{i} "x"\n' for i in range(65)) + "end\n", "more than 64 nodes"),
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), hostile())
def test_hostile_texts_are_refused_with_their_line(text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        _core.Program(text)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.data())
def test_damaged_texts_never_do_harm(data: st.DataObject) -> None:
    """A text with random bytes changed, cut or doubled compiles, or is refused; nothing else."""
    text = list(image_cell().text)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        span = data.draw(st.integers(0, 30))
        text[at : at + span] = data.draw(
            st.sampled_from(
                [[], text[at : at + span] * 2, list('"'), list(" when "), list("9" * 40)]
            )
        )
    try:
        program = _core.Program("".join(text))
    except SpaceError:
        return
    codes = np.zeros((3, program.decisions), np.uint8)
    try:
        program.sample(codes, 1, 0, 0, 1)
        program.keys(codes, "function", np.zeros((3, 2), np.uint64), 1)
    except SpaceError:
        return


def test_a_string_rule_that_would_explode_is_refused() -> None:
    graph = Graph(identity="sum")
    for v in range(40):
        graph.node(f"n{v}", "sum")
    for s, d in itertools.combinations(range(40), 2):
        graph.edge(f"n{s}", f"n{d}", "conv")
    space = Space("s", [Choice("a", (1,))], graph, conventions={"strings": "string"})
    with pytest.raises(SpaceError, match="64 KiB"):
        space.size("strings")
    with pytest.raises(SpaceError, match="more than 64 values"):
        space.size("function")


def test_golden_fingerprints() -> None:
    golden = json.loads((Path(__file__).parents[1] / "golden/architecture_keys.json").read_text())
    assert nb201().fingerprint == golden["fingerprints"]["nb201"]


@st.composite
def limited_spaces(draw: st.DrawFn) -> Space:
    """A few decisions with conditions, and constraints of every kind that is counted."""
    decisions: list[Choice] = []
    for i in range(draw(st.integers(1, 6))):
        when = {}
        for other in decisions:
            if draw(st.integers(0, 3)) == 0:
                options = st.sampled_from(other.options)
                when[other.name] = tuple(draw(st.lists(options, min_size=1, unique=True)))
        decisions.append(Choice(f"d{i}", "abcd"[: draw(st.integers(1, 4))], when=when))
    limits = []
    for _ in range(draw(st.integers(0, 4))):
        names = draw(st.lists(st.sampled_from(decisions), min_size=1, unique=True))
        kind = draw(st.sampled_from(["forbid", "at_most", "at_least"]))
        if kind == "forbid":
            options = {d: draw(st.lists(st.sampled_from(d.options), min_size=1)) for d in names}
            limits.append(forbid({d.name: tuple(set(v)) for d, v in options.items()}))
        else:
            make = at_most if kind == "at_most" else at_least
            limits.append(make(names, "a", draw(st.integers(0, len(names)))))
    return Space("limited", decisions, None, limits)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(limited_spaces())
def test_genotypes_are_counted_without_listing_them(space: Space) -> None:
    assert space.size() == len(space.enumerate())


def test_counts_of_spaces_that_are_too_large_to_list() -> None:
    names = [Choice(f"d{i}", ("a", "b", "c")) for i in range(60)]
    # Of 60 decisions k have "a": binomial(60, k) 2^(60 - k).
    some = [math.comb(60, k) * 2 ** (60 - k) for k in range(61)]
    assert Space("s", names, None, [at_most(names, "a", 3)]).size() == sum(some[:4])
    both = [at_least(names, "a", 5), at_most(names, "a", 7)]
    assert Space("s", names, None, both).size() == sum(some[5:8])
    pair = [forbid({"d0": "a", "d59": ("b", "c")})]
    assert Space("s", names, None, pair).size() == 3**60 - 2 * 3**58
    graph = Graph().node("in", "sum").node("out", "sum").edge("in", "out", names[0])
    # One decision has to do with the graph; "none" is none of its options.
    assert Space("s", names, graph, [connected()]).size() == 3**60
    some_none = [Choice(f"d{i}", ("none", "b", "c")) for i in range(60)]
    graph = Graph().node("in", "sum").node("out", "sum").edge("in", "out", some_none[0])
    assert Space("s", some_none, graph, [connected()]).size() == 2 * 3**59
    # Nine nodes with an edge or none between every two: v is reached by 2^v - 2^(v - r) of the sets
    # of edges into it where r nodes before it are.
    ways = {1: 1}
    for v in range(1, 9):
        reached = {r + 1: w * (2**v - 2 ** (v - r)) for r, w in ways.items()}
        if v == 8:
            break
        for r, w in ways.items():
            reached[r] = reached.get(r, 0) + w * 2 ** (v - r)
        ways = reached
    pairs = list(itertools.combinations(range(9), 2))
    edges = [Choice(f"e{a}{b}", ("none", "skip")) for a, b in pairs]
    graph = Graph()
    for v in range(9):
        graph.node(f"n{v}", "sum")
    for (a, b), choice in zip(pairs, edges, strict=True):
        graph.edge(f"n{a}", f"n{b}", choice)
    for order in (edges, edges[::-1]):
        assert Space("s", order, graph, [connected()]).size() == sum(reached.values())
    with pytest.raises(SpaceError, match="too many to enumerate"):
        Space("s", edges, graph, [live_at_most(9)]).size()
    # Seven edges in a row with 200 operations each, beside a decision on a width.
    chain = [Choice(f"e{i}", ("none", *(f"op{j}" for j in range(200)))) for i in range(7)]
    graph = Graph().node("n0", "sum")
    for i, choice in enumerate(chain):
        graph.node(f"n{i + 1}", "sum").edge(f"n{i}", f"n{i + 1}", choice)
    space = Space("s", [*chain, Choice("width", (1, 2, 3))], graph, [connected()])
    assert space.size() == 3 * 200**7
    with pytest.raises(SpaceError, match="too many to enumerate"):
        space.size("graph")


def test_versions_of_a_code_by_scale() -> None:
    space = image_cell()
    code = space.sample(1, seed=5)[0]
    versions = space.scaled(code)
    values = [space.architecture(v).values for v in versions]
    widths = sorted(space.decision("width").options, reverse=True)
    scales = [(v["width"], v["stem_stride"]) for v in values]
    assert scales == [(width, stride) for width in widths for stride in (1, 2)]
    names = [choice.name for choice in space.decisions]
    others = [i for i, name in enumerate(names) if name not in space.scale]
    assert {tuple(v[others].tolist()) for v in versions} == {tuple(code[others].tolist())}
    again = copy.copy(space)
    assert (again.scale, again.designs) == (space.scale, space.designs) and again.designs
    for text in space.designs:
        assert space.parse(text).values["width"] == 64
    whole = nb201().sample(1, seed=1)
    assert np.array_equal(nb201().scaled(whole[0]), whole)


def test_versions_that_a_constraint_refuses_are_left_out() -> None:
    width, depth = Choice("width", (8, 16, 32)), Choice("depth", (1, 2))
    constraints = [forbid({"width": 32, "depth": 2})]
    space = Space("mine", [width, depth], constraints=constraints, scale="width")
    assert [v.tolist() for v in space.scaled(np.array([0, 1], np.uint8))] == [[1, 1], [0, 1]]
    with pytest.raises(SpaceError, match="no decision 'widht'"):
        Space("mine", [width, depth], scale="widht")
    inner = Choice("inner", (1, 2), when={"depth": 2})
    with pytest.raises(SpaceError, match="not always made"):
        Space("mine", [width, depth, inner], scale="inner")
