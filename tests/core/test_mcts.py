"""The search tree against a plain one of dictionaries: the same visits, whatever the calls."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import space_twin as twin
from hypothesis import given, settings
from hypothesis import strategies as st

from nasturtium import _core
from nasturtium.bookkeeping import Tree, TreeRule, root_parallel
from nasturtium.errors import UserError

ROLLOUT = 16
few = settings(max_examples=60, deadline=None, derandomize=True)
seeds = st.integers(0, 2**64 - 1)
branchings = st.lists(st.integers(1, 5), min_size=1, max_size=5)


@dataclass
class Node:
    visits: int = 0
    total: float = 0.0
    children: list[Node] = field(default_factory=list)
    priors: list[float] = field(default_factory=list)


@dataclass
class PlainTree:
    """The rules of `Tree`, as plainly as they can be written."""

    branching: list[int]
    rule: TreeRule
    seed: int
    stream: int = 0
    root: Node = field(default_factory=Node)
    started: int = 0

    def grow(self, node: Node, path: list[int]) -> None:
        b = self.branching[len(path)]
        node.children = [Node() for _ in range(b)]
        node.priors = [1.0 / b] * b

    def total_of(self, node: Node) -> int:
        return node.visits

    def choose(self, node: Node) -> int:
        n, children = self.total_of(node), node.children
        places = len(children)
        if self.rule.widening:
            factor, exponent = self.rule.widening
            places = max(1, math.floor(factor * n**exponent))
        may_open = sum(c.visits > 0 for c in children) < places
        values = []
        for child, prior in zip(children, node.priors, strict=True):
            if child.visits == 0 and not may_open:
                continue
            if self.rule.formula == "puct":
                mean = child.total / child.visits if child.visits else self.rule.first_play
                values.append(mean + self.rule.c * math.sqrt(n) * prior / (1.0 + child.visits))
            elif child.visits == 0:
                values.append(math.inf)
            else:
                shift = max(0, n.bit_length() - 12) if n >= 65536 else 0
                root = self.rule.c * math.sqrt(math.log(n >> shift << shift))
                r = 1.0 / math.sqrt(child.visits)
                values.append((child.total * r + root) * r)
        may = [k for k, c in enumerate(children) if c.visits or may_open]
        return may[values.index(max(values))]

    def descend(self) -> tuple[list[int], list[Node]]:
        path: list[int] = []
        nodes = [self.root]
        while len(path) < len(self.branching):
            if not nodes[-1].children:
                self.grow(nodes[-1], path)
            path.append(self.choose(nodes[-1]))
            nodes.append(nodes[-1].children[path[-1]])
            if nodes[-1].visits == 0:
                break
        random = twin.RowRandom(self.seed, self.stream, self.started, ROLLOUT)
        self.started += 1
        return path + [random.below(b) for b in self.branching[len(path) :]], nodes

    def run(self, table: Any, simulations: int) -> list[int]:
        leaves = []
        for _ in range(simulations):
            code, nodes = self.descend()
            for node in nodes:
                node.visits += 1
                node.total += float(table[tuple(code)])
            leaves.append(int(np.ravel_multi_index(tuple(code), table.shape)))
        return leaves


@dataclass
class SharingTree(PlainTree):
    """Children are shared by the ways down that have the same classes below them."""

    classes: Any = None
    known: dict[tuple[int, bytes], tuple[list[Node], list[float]]] = field(default_factory=dict)

    def key(self, path: Any) -> tuple[int, bytes]:
        return len(path), self.classes[tuple(path)].tobytes()

    def grow(self, node: Node, path: list[int]) -> None:
        if self.key(path) not in self.known:
            super().grow(node, path)
            self.known[self.key(path)] = node.children, node.priors
        node.children, node.priors = self.known[self.key(path)]

    def total_of(self, node: Node) -> int:
        return 1 + sum(child.visits for child in node.children)


def same(tree: Tree, node: Node, path: tuple[int, ...] = ()) -> None:
    """Visits and means of all nodes agree, the means to the last bit."""
    if len(path) == len(tree.branching):
        return
    visits = [c.visits for c in node.children] or [0] * tree.branching[len(path)]
    assert tree.visits(path).tolist() == visits
    means = tree.means(path).tolist()
    for k, child in enumerate(node.children):
        if child.visits:
            assert means[k] == child.total / child.visits
            same(tree, child, (*path, k))
        else:
            assert math.isnan(means[k])


def rules() -> st.SearchStrategy[TreeRule]:
    return st.builds(
        TreeRule,
        formula=st.sampled_from(["uct", "puct"]),
        c=st.sampled_from([0.0, 0.3, 1.0, 5.0]),
        first_play=st.sampled_from([0.0, 0.7]),
        pending=st.sampled_from([0.0, -1.0, 0.1]),
        widening=st.sampled_from([None, (1.0, 0.5), (0.4, 0.6), (3.0, 0.0)]),
    )


@few
@given(branchings, rules(), seeds, st.integers(0, 300), st.booleans())
def test_whole_simulations_equal_the_plain_tree(
    branching: list[int], rule: TreeRule, seed: int, simulations: int, ties: bool
) -> None:
    table = np.random.default_rng(seed % 2**32).random(branching)
    if ties:
        table = np.round(table)
    tree, plain = Tree(branching, rule, seed=seed, stream=3), PlainTree(branching, rule, seed, 3)
    split = simulations // 3
    leaves = [tree.run(table, n, leaves=True) for n in (split, simulations - split)]
    joined = [leaf for part in leaves if part is not None for leaf in part.tolist()]
    assert joined == plain.run(table, simulations)
    assert tree.simulations == plain.root.visits == simulations
    same(tree, plain.root)
    best, node = [], plain.root
    while node.children and max(c.visits for c in node.children):
        visits = [c.visits for c in node.children]
        best.append(visits.index(max(visits)))
        node = node.children[best[-1]]
    assert tree.best_path().tolist() == best


@few
@given(branchings, rules(), seeds, st.data())
def test_steps_with_several_leaves_at_once_equal_the_plain_tree(
    branching: list[int], rule: TreeRule, seed: int, data: st.DataObject
) -> None:
    tree, plain = Tree(branching, rule, seed=seed), PlainTree(branching, rule, seed)
    pending: list[tuple[int, list[Node]]] = []
    for _ in range(data.draw(st.integers(1, 15))):
        n = data.draw(st.integers(0, 4))
        leaves = tree.select(n)
        for code, length, ticket in zip(*vars(leaves).values(), strict=True):
            expected, nodes = plain.descend()
            for node in nodes:
                node.visits += 1
                node.total += rule.pending
            assert code.tolist() == expected and length == len(nodes) - 1
            pending.append((int(ticket), nodes))
        for code, length, (_, nodes) in zip(
            leaves.codes, leaves.lengths, pending[len(pending) - n :], strict=True
        ):
            if rule.formula == "puct" and length < len(branching):
                b = branching[length]
                priors = [data.draw(st.sampled_from([0.1, 0.5, 2.0])) for _ in range(b)]
                if not nodes[-1].children:
                    plain.grow(nodes[-1], code[:length].tolist())
                nodes[-1].priors = priors
                tree.set_priors(code[:length], priors)
        some = data.draw(st.lists(st.sampled_from(pending), unique_by=lambda p: p[0], max_size=5)
                         if pending else st.just([]))  # fmt: skip
        values = [data.draw(st.sampled_from([0.0, 0.25, 1.0, -3.0])) for _ in some]
        back = data.draw(st.booleans())
        tickets = [ticket for ticket, _ in some]
        if back:
            tree.backup(tickets, values)
        else:
            tree.forget(tickets)
        for value, (ticket, nodes) in zip(values, some, strict=True):
            for node in nodes:
                node.total += value - rule.pending if back else -rule.pending
                node.visits -= 0 if back else 1
            pending = [p for p in pending if p[0] != ticket]
        assert tree.pending == len(pending)
    same(tree, plain.root)


def test_visits_beyond_the_table_of_logarithms() -> None:
    branching, rule = [2, 2], TreeRule(c=0.2)
    table = np.array([[0.5, 0.4], [0.45, 0.49]])
    tree, plain = Tree(branching, rule, seed=1), PlainTree(branching, rule, 1)
    tree.run(table, 80_000)
    plain.run(table, 80_000)
    same(tree, plain.root)
    assert plain.root.children[0].visits > 65_536


def test_uct_finds_the_best_leaf_and_visits_follow_the_theory() -> None:
    """On a bandit UCT keeps Q + c sqrt(log(N) / n) equal over the arms, up to one visit."""
    table = np.array([0.9, 0.8, 0.5, 0.2])
    tree = Tree((4,), TreeRule(c=1.0), seed=0)
    tree.run(table, 20_000)
    visits = tree.visits().astype(float)
    levels = table + np.sqrt(np.log(20_000) / visits)
    assert np.ptp(levels) < 0.02
    assert tree.best_path().tolist() == [0]
    rng = np.random.default_rng(4)
    effects = rng.random((6, 5))
    grid = np.ix_(*[np.arange(5)] * 6)
    deep = sum(effects[i][grid[i]] for i in range(6)) / 6
    found = Tree((5,) * 6, TreeRule(c=0.5), seed=2)
    found.run(np.ascontiguousarray(deep), 30_000)
    assert found.best_path().tolist() == effects.argmax(axis=1).tolist()


def test_rollouts_are_uniform() -> None:
    """One simulation each: the first decision is in the tree, the other two are drawn."""
    drawn = np.concatenate([Tree((2, 3, 4), seed=s).select(1).codes for s in range(6000)])
    assert (drawn[:, 0] == 0).all()
    counts = np.bincount(drawn[:, 1] * 4 + drawn[:, 2], minlength=12)
    assert float(((counts - 500) ** 2 / 500).sum()) < 31.3  # 0.1 % with 11 degrees of freedom


def test_widening_opens_one_child_more_after_the_other() -> None:
    tree = Tree((200,), TreeRule(widening=(1.0, 0.5)), seed=0)
    for n in range(1, 2000):
        tree.run(np.linspace(0, 1, 200), 1)
        # The n-th simulation was chosen with n - 1 visits.
        assert np.count_nonzero(tree.visits()) == max(1, math.isqrt(n - 1))


def test_pending_losses_spread_a_batch() -> None:
    table = np.zeros((4, 4))
    table[1] = 1.0

    def firsts(pending: float) -> set[int]:
        tree = Tree((4, 4), TreeRule(c=0.3, pending=pending), seed=0)
        tree.run(table, 200)
        return set(tree.select(8).codes[:, 0].tolist())

    assert firsts(1.0) == {1}
    assert len(firsts(-60.0)) > 1


def test_a_full_tree_stops_growing() -> None:
    table = np.random.default_rng(0).random((5,) * 4)
    tree = Tree((5,) * 4, TreeRule(max_nodes=40), seed=1)
    leaves = tree.run(table, 5000, leaves=True)
    assert leaves is not None and tree.nodes <= 40
    assert len(set(leaves.tolist())) > 100  # rollouts go on from the rim
    assert int(tree.visits().sum()) == 5000
    assert Tree((5,) * 4, TreeRule(max_nodes=1), seed=1).select(3).lengths.tolist() == [0, 0, 0]


@pytest.mark.parametrize("formula", ["uct", "puct"])
def test_merged_trees_are_sums_and_threads_change_nothing(formula: Any) -> None:
    table = np.random.default_rng(3).random((4, 3, 2, 5))
    rule = TreeRule(formula, c=0.7)
    alone = [Tree(table.shape, rule, seed=5, stream=7 + i) for i in range(3)]
    for tree in alone:
        tree.run(table, 400)
    merged = root_parallel(table, 400, rule, trees=3, seed=5, stream=7)
    assert merged.simulations == 1200
    for path in np.ndindex(*table.shape[:3]):
        for length in range(4):
            at = path[:length]
            expected = sum(t.visits(at).astype(int) for t in alone)
            assert merged.visits(at).tolist() == expected.tolist()
    for threads in (2, 4):
        other = root_parallel(table, 400, rule, trees=3, seed=5, stream=7, threads=threads)
        assert np.array_equal(other.means(), merged.means())
        assert other.best_path().tolist() == merged.best_path().tolist()
    first = Tree(table.shape, rule, seed=5, stream=7)
    first.run(table, 400)
    for tree in alone[1:]:
        first.merge(tree)
    assert np.array_equal(first.means(), merged.means())
    assert first.run(table, 10) is None and first.simulations == 1210


def test_a_node_takes_few_bytes() -> None:
    """Eleven decisions of five: every node that is visited twice has places for five children."""
    rng = np.random.default_rng(0)
    tree = Tree((5,) * 11, TreeRule(c=2.0), seed=1)
    while tree.nodes < 100_000:
        leaves = tree.select(20_000)
        tree.backup(leaves.tickets, rng.random(len(leaves.tickets)))
    assert tree.bytes <= 64 * tree.nodes


def test_what_is_refused() -> None:
    table = np.zeros((2, 3))
    tree = Tree((2, 3), seed=0)
    with pytest.raises(UserError, match="shape"):
        tree.run(np.zeros((3, 2)), 1)
    with pytest.raises(UserError, match="row 4"):
        tree.run(np.array([[0, 0, 0], [0, math.nan, 0]]), 1)
    with pytest.raises(UserError, match="one value for each leaf"):
        _core.Tree([2, 3], TreeRule().compiled(), 0, 0, None).run(np.zeros(5), 1, None)
    leaves = tree.select(2)
    with pytest.raises(UserError, match="row 1"):
        tree.backup(leaves.tickets, [0.0, math.inf])
    with pytest.raises(UserError, match="row 0: no leaf with this ticket"):
        tree.backup([77], [0.0])
    with pytest.raises(UserError, match="twice"):
        tree.forget([leaves.tickets[0]] * 2)
    assert tree.pending == 2
    tree.backup(leaves.tickets, [0.5, 1.0])
    with pytest.raises(UserError, match="ticket"):
        tree.backup(leaves.tickets[:1], [0.5])
    with pytest.raises(UserError, match="only PUCT"):
        tree.set_priors((), [0.5, 0.5])
    puct = Tree((2, 3), TreeRule("puct"), seed=0)
    with pytest.raises(UserError, match="one prior for each child"):
        puct.set_priors((), [0.5])
    with pytest.raises(UserError, match="row 1: the prior"):
        puct.set_priors((), [0.5, -1.0])
    for path in ((2,), (0, 0)):
        with pytest.raises(UserError, match="path"):
            puct.visits(path)
    for branching in ((), (0,), (257,)):
        with pytest.raises(UserError):
            Tree(branching, seed=0)
    for rule in ({"c": -1.0}, {"c": math.nan}, {"widening": (0.0, 0.5)}, {"widening": (1.0, 2.0)},
                 {"formula": "ucb"}, {"pending": math.inf}):  # fmt: skip
        with pytest.raises(UserError):
            Tree((2,), TreeRule(**rule), seed=0)
    with pytest.raises(UserError, match="seed"):
        Tree((2,), seed=-1)
    with pytest.raises(UserError, match="itself"):
        tree.merge(tree)
    with pytest.raises(UserError, match="same decisions"):
        tree.merge(Tree((3, 2), seed=0))
    other = Tree((2, 3), seed=0)
    other.select(1)
    with pytest.raises(UserError, match="pending"):
        tree.merge(other)
    with pytest.raises(UserError, match="trees"):
        root_parallel(table, 1, trees=0, seed=0)


def same_positions(tree: Tree, plain: SharingTree) -> None:
    for depth, b in enumerate(plain.branching):
        for path in np.ndindex(*plain.branching[:depth]):
            children = plain.known.get(plain.key(path), ([Node() for _ in range(b)], []))[0]
            assert tree.visits(path).tolist() == [c.visits for c in children]
            means = [c.total / c.visits if c.visits else math.nan for c in children]
            assert np.array_equal(tree.means(path), means, equal_nan=True)


@few
@given(branchings, rules(), seeds, st.integers(1, 3), st.integers(0, 120))
def test_transpositions_share_their_children(
    branching: list[int], rule: TreeRule, seed: int, kinds: int, simulations: int
) -> None:
    rng = np.random.default_rng(seed % 2**32)
    table = rng.random(branching)
    classes = rng.integers(0, kinds, branching).astype(np.uint32)
    plain = SharingTree(branching, rule, seed, classes=classes)
    tree = Tree(branching, rule, seed=seed, classes=classes)
    leaves = tree.run(table, simulations, leaves=True)
    assert leaves is not None and leaves.tolist() == plain.run(table, simulations)
    same_positions(tree, plain)
    again = Tree.from_state(tree.state())
    assert again.state() == tree.state()
    leaves = again.run(table, 30, leaves=True)
    assert leaves is not None and leaves.tolist() == plain.run(table, 30)
    chosen = again.select(3)
    again.forget(chosen.tickets[1:])
    again.backup(chosen.tickets[:1], [0.5])
    assert again.pending == 0


def test_transpositions_keep_a_tree_small_and_are_merged_once() -> None:
    # A leaf's class is how often option 1 was taken: n + 1 positions after n decisions.
    classes = np.indices((2,) * 10).sum(axis=0).astype(np.uint32)
    table = classes / 10.0
    tree = Tree((2,) * 10, seed=1, classes=classes)
    tree.run(table, 3000)
    assert tree.nodes <= 1 + 2 * sum(range(1, 11)) and tree.best_path().tolist() == [1] * 10
    plain = Tree((2,) * 10, seed=1)
    plain.run(table, 3000)
    assert plain.nodes > 3 * tree.nodes
    merged = [
        root_parallel(table, 400, trees=3, seed=2, threads=threads, classes=classes)
        for threads in (1, 3)
    ]
    assert merged[0].state() == merged[1].state()
    assert int(merged[0].visits().sum()) == 1200
    alone = [root_parallel(table, 400, trees=1, seed=2, stream=i, classes=classes)
             for i in range(3)]  # fmt: skip
    for depth in range(10):
        path = (0,) * depth
        parts = sum(tree.visits(path).astype(np.int64) for tree in alone)
        assert np.array_equal(merged[0].visits(path), parts)


def test_classes_that_do_not_fit_are_refused() -> None:
    for classes in (np.zeros((2, 2)), np.zeros(4), [[0, 1], [2, -1]]):
        with pytest.raises(UserError):
            Tree((2, 3), seed=0, classes=classes)
