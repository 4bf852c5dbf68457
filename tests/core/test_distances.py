"""Distances and kernels against the slow twins, closed forms and second implementations."""

from __future__ import annotations

import doctest
import itertools
from collections import Counter
from typing import Any

import encoding_twin as slow
import numpy as np
import pytest
import space_twin as twin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from nasturtium import distances
from nasturtium.encodings import WeisfeilerLehman, graphs, paths, weisfeiler_lehman
from nasturtium.errors import SpaceError, UserError
from nasturtium.spaces import Choice, Graph, Space, image_cell, nb201

some = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
KERNELS = ("subtree", "assignment")


@some
@given(twin.spaces())
def test_hamming(space: Space) -> None:
    codes = space.enumerate()[:30]
    rows = []
    for code in codes.tolist():
        on = twin.active(space, code)
        rows.append([v if a else None for v, a in zip(code, on, strict=True)])
    expected = [[sum(p != q for p, q in zip(x, y, strict=True)) for y in rows] for x in rows]
    got = distances.hamming(space, codes)
    assert got.tolist() == expected
    assert np.array_equal(distances.hamming(space, codes[:7], codes), got[:7])


@some
@given(st.one_of(twin.spaces(), twin.cells()), st.integers(0, 3))
def test_weisfeiler_lehman(space: Space, rounds: int) -> None:
    codes = space.sample(25, seed=rounds) if space.name == "cell" else space.enumerate()[:25]
    nets = [slow.Operations(space, code) for code in codes.tolist()]
    counts = [net.histogram(rounds) for net in nets]
    wl = WeisfeilerLehman(space, rounds=rounds)
    wl.add(codes)
    starts, features, numbers = wl.histograms()
    rounds_of = wl.feature_rounds
    for i, net in enumerate(nets):
        row = slice(int(starts[i]), int(starts[i + 1]))
        got: Counter[Any] = Counter()
        for feature, count in zip(features[row].tolist(), numbers[row].tolist(), strict=True):
            got[int(rounds_of[feature]), wl.motif(feature)] += count
        assert got == net.motifs(rounds)
    assert wl.features == len(set().union(*counts)) if counts else wl.features == 0
    subtree = [[sum(x[f] * y[f] for f in x) for y in counts] for x in counts]
    least = [[sum(min(x[f], y[f]) for f in x) for y in counts] for x in counts]
    for kernel, expected in zip(KERNELS, (subtree, least), strict=True):
        assert wl.gram(kernel=kernel, normalize=False).tolist() == expected  # type: ignore[arg-type]
        scale = np.sqrt(np.diag(np.array(expected, float).reshape(len(codes), len(codes))))
        normal = wl.gram(kernel=kernel)  # type: ignore[arg-type]
        if len(codes):
            assert np.allclose(normal, expected / np.outer(scale, scale), atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("make", [nb201, image_cell])
def test_kernels_are_positive_semidefinite_and_grow(make: Any, kernel: Any) -> None:
    space: Space = make()
    codes = space.sample(700, seed=1)
    wl = WeisfeilerLehman(space)
    wl.add(codes[:600], threads=2)
    first = wl.gram(kernel=kernel)
    assert np.array_equal(wl.gram(kernel=kernel, threads=2), first)
    assert np.array_equal(wl.gram(kernel=kernel, threads=5), first)
    assert np.array_equal(first, first.T) and (np.diag(first) == 1).all()
    assert np.linalg.eigvalsh(first.astype(float)).min() > -1e-4
    plain = wl.gram(kernel=kernel, normalize=False)
    assert np.linalg.eigvalsh(plain.astype(float)).min() > -1e-8 * len(codes) * plain.max()
    cross = wl.cross(codes[600:], kernel=kernel, threads=2)
    rows = np.concatenate([wl.extend(code[None], kernel=kernel)[0] for code in codes[600:603]]
                          + [wl.extend(codes[603:], kernel=kernel).ravel()])  # fmt: skip
    whole = WeisfeilerLehman(space)
    whole.add(codes)
    gram = whole.gram(kernel=kernel)
    assert np.array_equal(gram[:600, :600], first)
    assert np.array_equal(gram[600:, :600], cross)
    expected = [gram[i, : i + 1] for i in (600, 601, 602)] + [gram[603:].ravel()]
    assert np.array_equal(rows, np.concatenate(expected))
    assert np.array_equal(wl.gram(kernel=kernel), gram)


def test_transform_leaves_out_what_is_new() -> None:
    space = nb201()
    codes = space.sample(400, seed=2)
    wl = WeisfeilerLehman(space)
    wl.add(codes[:200])
    starts, features, counts = wl.transform(codes, threads=2)
    own = wl.histograms()
    assert np.array_equal(starts[:201], own[0])
    assert np.array_equal(features[: int(starts[200])], own[1])
    assert np.array_equal(counts[: int(starts[200])], own[2])
    everything = WeisfeilerLehman(space)
    everything.add(codes)
    known = {everything.motif(f) for f in range(wl.features)}
    assert known == {wl.motif(f) for f in range(wl.features)}
    all_starts, all_features, _ = everything.histograms()
    for i in (250, 399):
        row = all_features[int(all_starts[i]) : int(all_starts[i + 1])]
        mine = features[int(starts[i]) : int(starts[i + 1])]
        assert mine.tolist() == [f for f in row.tolist() if f < wl.features]


def test_isomorphic_cells_are_one_to_the_kernel() -> None:
    space = nb201()
    codes = space.enumerate()
    keys = space.keys(codes, "graph")
    _, first, of = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    wl = WeisfeilerLehman(space)
    wl.add(codes[first[of.ravel()]][:300])
    row = np.array([wl.cross(codes[i : i + 1])[0, i] for i in range(300)])
    assert np.allclose(row, 1, atol=1e-6)


def test_counts_beyond_sixteen_bits() -> None:
    graph = Graph(identity="sum").node("in", "sum")
    pick = Choice("op", ("conv", "pool"))
    for i in range(62):
        graph.node(f"m{i}", pick)
    graph.node("out", "sum")
    for i in range(62):
        graph.edge("in", f"m{i}", "conv").edge(f"m{i}", "out", "conv")
    space = Space("wide", [pick], graph)
    wl = WeisfeilerLehman(space, rounds=1)
    wl.add(space.enumerate())
    counts = [slow.Operations(space, code).histogram(1) for code in ([0], [1])]
    expected = [[sum(x[f] * y[f] for f in x) for y in counts] for x in counts]
    assert expected[0][0] > 2**15
    assert wl.gram(normalize=False).tolist() == expected
    assert wl.cross(space.enumerate(), normalize=False).tolist() == expected


def test_weisfeiler_lehman_refuses() -> None:
    space = nb201()
    wl = WeisfeilerLehman(space)
    codes = space.sample(4, seed=1)
    wl.add(codes)
    known = wl.features
    codes[3, 0] = 9
    with pytest.raises(SpaceError, match="row 3"):
        wl.add(codes)
    with pytest.raises(SpaceError, match="row 3"):
        wl.cross(codes)
    assert (len(wl), wl.features) == (4, known)
    with pytest.raises(SpaceError, match=f"there are {known} features"):
        wl.motif(known)
    with pytest.raises(SpaceError, match="rounds"):
        WeisfeilerLehman(space, rounds=17)
    with pytest.raises(SpaceError, match="columns"):
        wl.gram(out=np.empty((3, 3), np.float32))
    with pytest.raises(ValueError, match="kernel"):
        wl.gram(kernel="tree")  # type: ignore[arg-type]
    assert WeisfeilerLehman(space).gram().shape == (0, 0)


def problems(draw: Any) -> tuple[Any, Any, Any]:
    n, m = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    # Few different numbers: many plans are equal and many arcs carry nothing.
    whole = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    supply = rng.integers(0, 4, n).astype(float) if whole else rng.random(n)
    demand = rng.integers(0, 4, m).astype(float) if whole else rng.random(m)
    supply[rng.integers(n)] += 0.5
    demand[rng.integers(m)] += 0.5
    demand *= supply.sum() / demand.sum()
    costs = rng.integers(-2, 4, (n, m)).astype(float) if whole else rng.random((n, m)) * 3
    return supply, demand, costs


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.data())
def test_transport_is_the_optimum(data: st.DataObject) -> None:
    supply, demand, costs = problems(data.draw)
    plan = np.full(costs.shape, np.nan)
    value = distances.transport(supply, demand, costs, plan=plan)
    assert value == pytest.approx(slow.least_cost(supply, demand, costs), abs=1e-9)
    assert (plan >= 0).all()
    assert np.allclose(plan.sum(axis=1), supply) and np.allclose(plan.sum(axis=0), demand)
    assert value == pytest.approx(float((plan * costs).sum()), abs=1e-12)
    assert (plan > 0).sum() <= len(supply) + len(demand) - 1


@pytest.mark.parametrize("n", [2, 8, 32, 100])
def test_transport_of_equal_masses_is_assignment(n: int) -> None:
    rng = np.random.default_rng(n)
    for costs in (rng.random((n, n)), rng.integers(0, 5, (n, n)).astype(float)):
        rows, columns = linear_sum_assignment(costs)
        got = distances.transport(np.ones(n), np.ones(n), costs)
        assert got == pytest.approx(costs[rows, columns].sum(), abs=1e-9)


def test_transport_agrees_with_pot() -> None:
    ot = pytest.importorskip("ot")
    rng = np.random.default_rng(0)
    for n, m in ((8, 8), (32, 32), (5, 40), (60, 17)):
        supply, demand = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
        costs = rng.random((n, m))
        assert distances.transport(supply, demand, costs) == pytest.approx(
            ot.emd2(supply, demand, costs), abs=1e-9
        )


def test_transport_of_many_problems() -> None:
    rng = np.random.default_rng(1)
    supply, demand = rng.dirichlet(np.ones(9), 300), rng.dirichlet(np.ones(6), 300)
    costs = rng.random((300, 9, 6))
    values = distances.transport_values(supply, demand, costs, threads=2)
    assert np.array_equal(distances.transport_values(supply, demand, costs), values)
    for i in range(0, 300, 37):
        assert values[i] == distances.transport(supply[i], demand[i], costs[i])
    costs[5, 0, 0] = np.inf
    with pytest.raises(UserError, match="problem 5: a cost is not finite"):
        distances.transport_values(supply, demand, costs)


def test_transport_refuses() -> None:
    ones = np.ones(3)
    for supply, demand, costs, match in (
        (np.array([1, -1, 3.0]), ones, np.ones((3, 3)), "mass"),
        (ones, np.array([1, np.nan, 1]), np.ones((3, 3)), "mass"),
        (ones, ones, np.full((3, 3), np.nan), "cost"),
        (ones, 2 * ones, np.ones((3, 3)), "sums must be equal"),
        (ones[:0], ones[:0], np.ones((0, 0)), "needs sources"),
    ):
        with pytest.raises(UserError, match=match):
            distances.transport(supply, demand, costs)
    with pytest.raises(SpaceError, match="length 3"):
        distances.transport(ones, ones, np.ones((3, 2)))
    assert distances.transport(0 * ones, 0 * ones, np.ones((3, 3))) == 0


@some
@given(st.one_of(twin.spaces(), twin.cells()), st.sampled_from([0.0, 0.5, 2.0]))
def test_otmann(space: Space, structure: float) -> None:
    codes = space.sample(6, seed=3) if space.name == "cell" else space.enumerate()[::7][:6]
    got = distances.otmann(space, codes, structure=structure)
    assert got.shape == (len(codes), len(codes))
    for i, j in itertools.product(range(len(codes)), repeat=2):
        expected = slow.otmann(space, codes[i].tolist(), codes[j].tolist(), structure=structure)
        assert got[i, j] == pytest.approx(expected, abs=1e-8)
    assert np.allclose(distances.otmann(space, codes, codes, structure=structure), got, atol=1e-9)


def test_otmann_is_a_pseudo_metric() -> None:
    space = nb201()
    codes = np.concatenate([space.sample(60, seed=1), space.sample(20, seed=1)])
    d = distances.otmann(space, codes)
    assert np.array_equal(d, d.T) and (np.diag(d) == 0).all() and (d >= 0).all()
    assert np.array_equal(distances.otmann(space, codes, threads=2), d)
    assert np.allclose(d[np.arange(20), 60 + np.arange(20)], 0, atol=1e-12)
    through = (d[:, :, None] + d[None, :, :]).min(axis=1)
    assert (d <= through + 1e-9).all()
    # Isomorphic cells are at distance 0, others of this sample are not.
    same = (space.keys(codes, "graph")[:, None] == space.keys(codes, "graph")).all(axis=2)
    assert np.allclose(d[same], 0, atol=1e-12)
    raw = np.exp(-d)
    projected = distances.project_psd(raw)
    assert np.linalg.eigvalsh(projected).min() > -1e-10
    values = np.linalg.eigvalsh(raw)
    lost = float(np.sqrt((np.minimum(values, 0) ** 2).sum()))
    assert np.linalg.norm(projected - raw) == pytest.approx(lost, abs=1e-9)
    half = distances.otmann(space, codes, normalize=True)
    assert (half <= 1).all() and np.allclose(half == 0, d == 0)


def test_otmann_takes_masses_and_mismatches() -> None:
    space = nb201()
    cell = "nb201:|{}~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|"
    texts = ("nor_conv_1x1", "nor_conv_3x3")
    codes = np.array([space.parse(cell.format(op)).code for op in texts])
    for cost in (0.05, 0.7, 3.0, np.inf):
        got = distances.otmann(
            space, codes, masses=dict.fromkeys(texts, 4.0), mismatch={texts: cost}
        )
        # One layer of mass 4 on either side: matched, or both left over.
        assert got[0, 1] == pytest.approx(4 * min(cost, 2))
    with pytest.raises(SpaceError, match="no node or edge has the label 'nor_conv'"):
        distances.otmann(space, codes, masses={"nor_conv": 1.0})
    with pytest.raises(SpaceError, match="mass above 0"):
        distances.otmann(space, codes, masses={texts[0]: 0.0})
    with pytest.raises(SpaceError, match="row 1"):
        distances.otmann(space, codes + np.array([[0], [7]], np.uint8))


def tree_by_definition(space: Space, x: list[int], y: list[int], groups: Any) -> list[float]:
    """The four Wasserstein distances, each as a transport problem on its tree's metric."""
    nets = [slow.Operations(space, code) for code in (x, y)]
    assert space.graph is not None

    def group(name: Any) -> Any:
        return groups.get(name, ("alone", name))

    def leaf(name: Any) -> float:
        return 0.1 if name in groups else 1.0

    def inner(name: Any) -> float:
        return 0.9 if name in groups else 1.0

    def single(a: Any, b: Any) -> float:
        if a == b:
            return 0.0
        if "empty" in (a, b):
            return 1.0 + single_height(b if a == "empty" else a)
        if group(a) == group(b):
            return leaf(a) + leaf(b)
        return single_height(a) + single_height(b)

    def single_height(a: Any) -> float:
        return leaf(a) + (inner(a) if a in groups else 0)

    def pair_height(a: Any) -> float:
        alone = a[0] not in groups and a[1] not in groups
        return leaf(a[0]) * leaf(a[1]) + (0 if alone else inner(a[0]) * inner(a[1]))

    def pair(a: Any, b: Any) -> float:
        if a == b:
            return 0.0
        if "empty" in (a, b):
            return 1.0 + pair_height(b if a == "empty" else a)
        if (group(a[0]), group(a[1])) == (group(b[0]), group(b[1])):
            return leaf(a[0]) * leaf(a[1]) + leaf(b[0]) * leaf(b[1])
        return pair_height(a) + pair_height(b)

    deepest = max(
        sum(not slow.silent(space, part.label) for part in path) + 1
        for path in slow.declared_paths(space.graph)
    )

    def name(net: slow.Operations, v: Any) -> Any:
        return ("end", v) if v in ("input", "output") else slow.text_of(net.labels[v])

    sides: list[list[Counter[Any]]] = []
    for net in nets:
        depth = {
            v: max(len(path) - 1 for _, path in net.paths(v, forward=False)) for v in net.labels
        }
        ops = Counter(name(net, v) for v in net.labels if v not in ("input", "output"))
        pairs: Counter[Any] = Counter()
        entering: Counter[Any] = Counter()
        leaving: Counter[Any] = Counter()
        for (s, d), times in net.arcs.items():
            pairs[name(net, s), name(net, d)] += times
            entering[depth[d]] += times
            leaving[depth[s]] += times
        empty = (Counter(["empty"]), Counter(["empty"]), Counter([0]), Counter([0]))
        found = (ops, pairs, entering, leaving)
        sides.append([a or b for a, b in zip(found, empty, strict=True)])

    def chain(a: int, b: int) -> float:
        return abs(a - b) / deepest

    out = []
    for metric, p, q in zip((single, pair, chain, chain), *sides, strict=True):
        costs = [[metric(a, b) for b in q] for a in p]
        supply = np.array(list(p.values()), float) / p.total()
        demand = np.array(list(q.values()), float) / q.total()
        out.append(slow.least_cost(supply, demand, costs))
    return out


@some
@given(st.one_of(twin.spaces(), twin.cells()), st.booleans())
def test_tree_wasserstein_is_the_transport_on_its_trees(space: Space, grouped: bool) -> None:
    assert space.graph is not None
    if not list(slow.declared_paths(space.graph)):
        return
    codes = space.sample(6, seed=3) if space.name == "cell" else space.enumerate()[::5][:6]
    known = {label for part in [*space.graph.nodes, *space.graph.edges]
             for label in map(slow.text_of, slow.possible(part.label))}  # fmt: skip
    groups = {name: "all" for name in ("conv", "pool", "1") if grouped and name in known}
    parts = [
        distances.tree_wasserstein(
            space,
            codes,
            groups=groups,
            weights=tuple(float(i == k) for i in range(4)),  # type: ignore[arg-type]
        )
        for k in range(4)
    ]
    for i, j in itertools.combinations(range(len(codes)), 2):
        expected = tree_by_definition(space, codes[i].tolist(), codes[j].tolist(), groups)
        assert [part[i, j] for part in parts] == pytest.approx(expected, abs=1e-8)
    weights = (0.5, 2.0, 1.0, 0.25)
    whole = distances.tree_wasserstein(space, codes, groups=groups, weights=weights)
    mixed = sum(w * part for w, part in zip(weights, parts, strict=True))
    assert np.allclose(whole, mixed, atol=1e-12)


def test_tree_wasserstein_gives_a_kernel() -> None:
    space = nb201()
    codes = space.sample(400, seed=7)
    groups = {"nor_conv_1x1": "conv", "nor_conv_3x3": "conv"}
    d = distances.tree_wasserstein(space, codes, groups=groups)
    assert np.array_equal(distances.tree_wasserstein(space, codes, groups=groups, threads=2), d)
    assert np.array_equal(distances.tree_wasserstein(space, codes[:9], codes, groups=groups), d[:9])
    assert np.array_equal(d, d.T) and (np.diag(d) == 0).all()
    for length in (0.1, 1.0, 10.0):
        assert np.linalg.eigvalsh(np.exp(-d / length)).min() > -1e-9
    same = (space.keys(codes, "graph")[:, None] == space.keys(codes, "graph")).all(axis=2)
    assert np.allclose(d[same], 0, atol=1e-12)
    with pytest.raises(SpaceError, match="'nor_conv'"):
        distances.tree_wasserstein(space, codes, groups={"nor_conv": "conv"})
    with pytest.raises(SpaceError, match="leaf"):
        distances.tree_wasserstein(space, codes, leaf=2.0)


@pytest.mark.parametrize("module", [distances, graphs, paths, weisfeiler_lehman])
def test_examples_in_the_docstrings(module: Any) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0 and found.failed == 0


def test_projection() -> None:
    gram = np.array([[1.0, 2.0], [2.0, 1.0]])
    assert np.allclose(distances.project_psd(gram), [[1.5, 1.5], [1.5, 1.5]])
    rng = np.random.default_rng(0)
    root = rng.normal(size=(20, 30))
    assert np.allclose(distances.project_psd(root @ root.T), root @ root.T)
    with pytest.raises(ValueError, match="square"):
        distances.project_psd(np.ones((2, 3)))
