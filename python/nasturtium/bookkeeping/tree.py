"""Monte-Carlo tree search over a sequence of decisions; the tree and its rules are in the core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium import _core
from nasturtium.bookkeeping.arrays import array, check_draw
from nasturtium.bookkeeping.state import Held
from nasturtium.errors import UserError

__all__ = ["Leaves", "Tree", "TreeRule", "root_parallel"]


@dataclass(frozen=True)
class TreeRule:
    """How one of the children of a node with N visits is chosen; a child has n of mean value Q.

    The largest wins, ties go to the first child:

        uct:   Q + c sqrt(log(N) / n)        infinite without visits
        puct:  Q + c P sqrt(N) / (1 + n)     P the child's prior; Q = first_play without visits

    From N = 65,536 on the logarithm is that of N's 12 leading bits, by less than 5e-5 of it below.

    Args:
        formula: "uct" or "puct".
        c: weight of exploration, in units of the values.
        first_play: PUCT's Q of a child without visits.
        pending: the value that a visit counts as until its own is known (the virtual loss); a value
            at the lower end of the range keeps leaves of one batch apart.
        widening: `(factor, exponent)`: of N's children at most max(1, floor(factor N^exponent)) are
            visited, one more after the other; None: all.
        max_nodes: places for children that the tree holds at most; then it stops growing, and
            simulations go on from its rim.

    References:
        Kocsis, Szepesvári, Bandit based Monte-Carlo planning, ECML 2006 (UCT). Silver et al.,
        Nature 550, 2017 (PUCT). Chaslot, Winands, van den Herik, Parallel Monte-Carlo tree search,
        CG 2008 (virtual loss, root parallelization). Coulom, ICGA Journal 30(4), 2007 (widening).
    """

    formula: Literal["uct", "puct"] = "uct"
    c: float = 1.0
    first_play: float = 0.0
    pending: float = 0.0
    widening: tuple[float, float] | None = None
    max_nodes: int = 0xFFFFFFFF

    def compiled(self) -> _core.TreeRule:
        """The rule as the core takes it."""
        if self.formula not in ("uct", "puct"):
            raise UserError(f'formula "{self.formula}" is neither "uct" nor "puct"')
        if self.widening is not None and not self.widening[0] > 0:
            raise UserError("the factor of the widening must be positive")
        factor, exponent = self.widening or (0.0, 0.5)
        return _core.TreeRule(
            self.formula == "puct", self.c, self.first_play, self.pending, factor, exponent,
            self.max_nodes,
        )  # fmt: skip


@dataclass(frozen=True)
class Leaves:
    """Selected leaves whose values are not known yet.

    Attributes:
        codes: uint8[n, d], the decisions; those below the tree are drawn.
        lengths: uint32[n], how many decisions of each are in the tree: `codes[i, :lengths[i]]` is
            the path of the node that the simulation added.
        tickets: uint64[n], for `backup` and `forget`.
    """

    codes: NDArray[np.uint8]
    lengths: NDArray[np.uint32]
    tickets: NDArray[np.uint64]


class Tree(Held[_core.Tree], loads=_core.Tree.load):
    """A tree over d decisions, decision i with `branching[i]` options (at most 256).

    A simulation goes down by the rule to the first node without visits, which joins the tree, and
    draws the decisions below it uniformly; the value of that leaf counts for all nodes on the way.
    Values are finite and maximized; UCT's c is in their units. Everything is a function of the
    order of the calls and of (seed, stream). 16 bytes a node, 24 with priors.

    Args:
        branching: the number of options of each decision.
        rule: see `TreeRule`.
        seed, stream: key of the draws; simulation k draws from row k.
        classes: uint32 of shape `branching`, a number for each leaf, such as `KeyMap` gives for the
            canonical keys. Ways down whose leaves have equal classes under equal further decisions
            then lead to one position, whose children are shared; N is one more than the visits of
            a position's children, from wherever they came. At most 2**24 leaves.

    Raises:
        UserError: the decisions, the rule or the classes are out of range.

    Reference:
        Childs, Brodeur, Kocsis, Transpositions and move groups in Monte Carlo tree search, CIG 2008
        (UCT1).

    Example:
        >>> import numpy as np
        >>> from nasturtium.bookkeeping import Tree
        >>> tree = Tree((3, 3), seed=1)
        >>> tree.run(np.arange(9.0).reshape(3, 3) / 8, 400)
        >>> tree.best_path().tolist()
        [2, 2]
    """

    def __init__(
        self,
        branching: Sequence[int],
        rule: TreeRule | None = None,
        *,
        seed: int,
        stream: int = 0,
        classes: ArrayLike | None = None,
    ) -> None:
        check_draw(seed, stream)
        self.branching = tuple(int(b) for b in branching)
        self.rule = rule or TreeRule()
        if any(not 1 <= b <= 256 for b in self.branching):
            raise UserError("a decision takes 1 to 256 options")
        self._held = _core.Tree(self.branching, self.rule.compiled(), seed, stream,
                                _classes(classes, self.branching))  # fmt: skip

    def _describe(self) -> None:
        self.branching = tuple(self._held.branching)
        puct, c, first_play, pending, factor, exponent, most = self._held.rule
        widening = (factor, exponent) if factor > 0 else None
        self.rule = TreeRule("puct" if puct else "uct", c, first_play, pending, widening, most)

    def run(
        self, table: NDArray[np.float64], simulations: int, *, leaves: bool = False
    ) -> NDArray[np.uint64] | None:
        """Whole simulations against a table of the values of all leaves.

        Args:
            table: float64 of shape `branching`.
            simulations: how many.
            leaves: whether to return which leaf each one visited, uint64[simulations]: its index
                in the flattened table.

        Raises:
            UserError: the table has another shape, or a value is not finite.
        """
        values = _table(table, self.branching)
        out = np.empty(simulations, np.uint64) if leaves else None
        self._held.run(values, simulations, out)
        return out

    def select(self, n: int = 1) -> Leaves:
        """The next n leaves, one after the other; each counts as pending until it has its value."""
        codes = np.empty((n, len(self.branching)), np.uint8)
        lengths, tickets = np.empty(n, np.uint32), np.empty(n, np.uint64)
        self._held.select(codes, lengths, tickets)
        return Leaves(codes, lengths, tickets)

    def backup(self, tickets: ArrayLike, values: ArrayLike) -> None:
        """The values, float64[n], of pending leaves, in any order and number.

        Raises:
            UserError: a value is not finite, or a ticket is not pending; nothing has changed then.
        """
        self._held.backup(
            array(tickets, np.uint64, 1, "tickets"), array(values, np.float64, 1, "values")
        )

    def forget(self, tickets: ArrayLike) -> None:
        """Take pending leaves back, such as those whose evaluation failed."""
        self._held.forget(array(tickets, np.uint64, 1, "tickets"))

    def set_priors(self, path: ArrayLike, priors: ArrayLike) -> None:
        """PUCT's priors, float64[b], of the children behind the decisions `path`; 1/b before."""
        self._held.set_priors(
            array(path, np.uint8, 1, "path"), array(priors, np.float64, 1, "priors")
        )

    def visits(self, path: ArrayLike = ()) -> NDArray[np.uint64]:
        """Visits of each child behind the decisions `path`, uint64[b], pending ones included."""
        return self._held.children(array(path, np.uint8, 1, "path"))[0]

    def means(self, path: ArrayLike = ()) -> NDArray[np.float64]:
        """Mean value of each child behind the decisions `path`, float64[b]; NaN without visits."""
        visits, sums = self._held.children(array(path, np.uint8, 1, "path"))
        means = np.full(len(sums), np.nan)
        np.divide(sums, visits, out=means, where=visits > 0)
        return means

    def best_path(self) -> NDArray[np.uint8]:
        """The most visited child of each node from the root on, ties to the first: uint8[k]."""
        return self._held.best_path()

    def merge(self, other: Tree) -> None:
        """Add visits and values of another tree of the same decisions that has nothing pending."""
        self._held.merge(other._held)

    @property
    def simulations(self) -> int:
        """Visits of the root, pending and merged ones included."""
        return self._held.visits

    @property
    def pending(self) -> int:
        """Number of leaves whose values are missing."""
        return self._held.pending

    @property
    def nodes(self) -> int:
        """Number of nodes with visits."""
        return self._held.nodes

    @property
    def bytes(self) -> int:
        """Memory of the nodes as allocated, places of unvisited children included."""
        return self._held.bytes


def root_parallel(
    table: NDArray[np.float64],
    simulations: int,
    rule: TreeRule | None = None,
    *,
    trees: int,
    seed: int,
    stream: int = 0,
    threads: int = 1,
    classes: ArrayLike | None = None,
) -> Tree:
    """The sum of `trees` trees of `simulations` simulations each, built on threads.

    Tree i has stream `stream + i`; the result is the same for any number of threads. Its best path
    follows the visits of all trees (Chaslot et al. 2008, root parallelization).

    Args:
        table: float64, the values of all leaves; its shape is the branching.

    Raises:
        UserError: as `Tree` and `Tree.run`.
    """
    values = np.asarray(table)
    tree = Tree(values.shape, rule, seed=seed, stream=stream, classes=classes)
    tree._held = _core.root_parallel(
        _table(values, tree.branching), tree.branching, tree.rule.compiled(), seed, stream, trees,
        simulations, threads, _classes(classes, tree.branching),
    )  # fmt: skip
    return tree


def _classes(classes: ArrayLike | None, branching: tuple[int, ...]) -> NDArray[np.uint32] | None:
    if classes is None:
        return None
    numbers = array(classes, np.uint32, len(branching), "classes")
    if numbers.shape != branching:
        raise UserError(f"the classes have shape {numbers.shape}, not {branching}")
    return numbers.reshape(-1)


def _table(table: NDArray[np.float64], branching: tuple[int, ...]) -> NDArray[np.float64]:
    values = array(table, np.float64, len(branching), "table")
    if values.shape != branching:
        raise UserError(f"the table has shape {values.shape}, not {branching}")
    return values
