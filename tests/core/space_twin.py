"""A slow, plainly written second implementation of the core, and random spaces to compare on."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from nasturtium.errors import SpaceError
from nasturtium.spaces import (
    Choice,
    Graph,
    Space,
    at_least,
    at_most,
    connected,
    forbid,
    live_at_least,
    live_at_most,
)
from nasturtium.spaces.declare import Count, Forbid, Live

MASK = (1 << 64) - 1
SAMPLE, MUTATE, CROSSOVER = 1, 2, 3


def philox(counter: list[int], key: list[int]) -> list[int]:
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [
            (p1 >> 32) ^ c[1] ^ k[0],
            p1 & 0xFFFFFFFF,
            (p0 >> 32) ^ c[3] ^ k[1],
            p0 & 0xFFFFFFFF,
        ]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


@dataclass
class RowRandom:
    seed: int
    stream: int
    row: int
    purpose: int
    block: int = 0
    spare: list[int] = field(default_factory=list)
    fraction: int = 0
    room: int = 0

    def word(self) -> int:
        if not self.spare:
            counter = [self.row & 0xFFFFFFFF, self.row >> 32, self.purpose << 24, self.stream]
            counter[2] += self.block
            self.block += 1
            v = philox(counter, [self.seed & 0xFFFFFFFF, self.seed >> 32])
            self.spare = [v[0] | v[1] << 32, v[2] | v[3] << 32]
        return self.spare.pop(0)

    def below(self, m: int) -> int:
        cost = (m - 1).bit_length()
        if cost > self.room:
            self.fraction, self.room = self.word(), 32
        self.room -= cost
        product = self.fraction * m
        self.fraction = product & MASK
        return product >> 64


def active(space: Space, code: list[int]) -> list[bool]:
    on: dict[str, bool] = {}
    value = {c.name: c.options[v] for c, v in zip(space.decisions, code, strict=True)}
    for choice in space.decisions:
        on[choice.name] = holds(choice.when, on, value)
    return list(on.values())


def holds(when: Any, on: dict[str, bool], value: dict[str, Any]) -> bool:
    return all(on[n] and any(value[n] is v or value[n] == v for v in vs) for n, vs in when)


def situation(space: Space, code: list[int]) -> tuple[dict[str, bool], dict[str, Any]]:
    names = [c.name for c in space.decisions]
    value = {c.name: c.options[v] for c, v in zip(space.decisions, code, strict=True)}
    return dict(zip(names, active(space, code), strict=True)), value


def valid(space: Space, code: list[int]) -> bool:
    if any(v >= len(c.options) for c, v in zip(space.decisions, code, strict=True)):
        return False
    on, value = situation(space, code)
    if any(v and not on[c.name] for c, v in zip(space.decisions, code, strict=True)):
        return False
    for constraint in space.constraints:
        if isinstance(constraint, Forbid):
            ok = not holds(constraint.conditions, on, value)
        elif isinstance(constraint, Count):
            count = sum(on[n] and value[n] == constraint.value for n in constraint.names)
            ok = count <= constraint.k if constraint.kind == "at_most" else count >= constraint.k
        elif isinstance(constraint, Live):
            count = live_count(space, code, constraint)
            at_most_k = constraint.kind == "live_at_most"
            ok = count <= constraint.k if at_most_k else count >= constraint.k
        else:
            ok = bool(live(space, code)[1]) or len(live(space, code)[0]) > 2
        if not ok:
            return False
    return True


def label(parts: Any, on: dict[str, bool], value: dict[str, Any]) -> tuple[Any, ...] | None:
    if isinstance(parts[0], Choice) and not on[parts[0].name]:
        return None
    return tuple(
        (value[p.name] if on[p.name] else None) if isinstance(p, Choice) else p for p in parts
    )


def live(space: Space, code: list[int]) -> tuple[dict[str, Any], dict[tuple[str, str], Any]]:
    """Live nodes and edges with their labels, by repeated deletion."""
    graph = space.graph
    assert graph is not None
    on, value = situation(space, code)

    def exists(part: Any) -> bool:
        found = label(part.label, on, value)
        return found is not None and found[0] not in graph.zero and holds(part.when, on, value)

    nodes = {n.name: label(n.label, on, value) for n in graph.nodes if exists(n)}
    edges = {(e.src, e.dst): label(e.label, on, value) for e in graph.edges if exists(e)}
    first, last = graph.nodes[0].name, graph.nodes[-1].name
    ends = {n.name: label(n.label, on, value) for n in graph.nodes if n.name in (first, last)}
    changed = True
    while changed:
        size = len(nodes) + len(edges)
        edges = {e: op for e, op in edges.items() if e[0] in nodes and e[1] in nodes}
        fed, read = {first} | {d for _, d in edges}, {last} | {s for s, _ in edges}
        nodes = {n: op for n, op in nodes.items() if n in fed and n in read}
        changed = size != len(nodes) + len(edges)
    return {**ends, **nodes}, edges


def live_count(space: Space, code: list[int], constraint: Live) -> int:
    """Nodes or edges on a path, of the operations that count; none where there is no path."""
    nodes, edges = live(space, code)
    labels = list((nodes if constraint.what == "nodes" else edges).values()) if edges else []
    return sum(
        not constraint.operations
        or any(type(op) is type(name[0]) and op == name[0] for op in constraint.operations)
        for name in labels
    )


def draw(space: Space, random: RowRandom) -> list[int]:
    code = [0] * len(space.decisions)
    for i, choice in enumerate(space.decisions):
        if active(space, code)[i]:
            code[i] = random.below(len(choice.options))
    return code


def sample(space: Space, seed: int, stream: int, row: int) -> list[int]:
    random = RowRandom(seed, stream, row, SAMPLE)
    for _ in range(10000):
        code = draw(space, random)
        if valid(space, code):
            return code
    raise SpaceError("nothing is left")


def changed(space: Space, code: list[int], at: int, value: int, fresh: Any) -> list[int]:
    was = active(space, code)
    new = list(code)
    new[at] = value
    for i in range(at + 1, len(new)):
        now = active(space, new)[i]
        if now != was[i]:
            new[i] = fresh(i) if now else 0
    return new


def neighbors(space: Space, code: list[int]) -> list[list[int]]:
    out = []
    for i, on in enumerate(active(space, code)):
        for v in range(len(space.decisions[i].options)):
            if on and v != code[i]:
                new = changed(space, code, i, v, lambda _: 0)
                if valid(space, new):
                    out.append(new)
    return out


def mutate(space: Space, code: list[int], seed: int, stream: int, row: int) -> list[int]:
    counts = [len(c.options) for c in space.decisions]
    random = RowRandom(seed, stream, row, MUTATE)
    movable = [i for i, on in enumerate(active(space, code)) if on and counts[i] > 1]
    for _ in range(100 if movable else 0):
        at = movable[random.below(len(movable))]
        other = random.below(counts[at] - 1)
        other += other >= code[at]
        new = changed(space, code, at, other, lambda i: random.below(counts[i]))
        if valid(space, new):
            return new
    found = neighbors(space, code)
    if not found:
        raise SpaceError("no neighbor")
    return found[random.below(len(found))]


def crossover(
    space: Space, a: list[int], b: list[int], seed: int, stream: int, row: int
) -> list[int]:
    random = RowRandom(seed, stream, row, CROSSOVER)
    on_a, on_b = active(space, a), active(space, b)
    for _ in range(100):
        code = [0] * len(a)
        for i, choice in enumerate(space.decisions):
            if not active(space, code)[i]:
                continue
            if on_a[i] and on_b[i]:
                code[i] = b[i] if random.below(2) else a[i]
            elif on_a[i] or on_b[i]:
                code[i] = a[i] if on_a[i] else b[i]
            else:
                code[i] = random.below(len(choice.options))
        if valid(space, code):
            return code
    return list(a)


def mutate_at_rate(
    space: Space, code: list[int], rate: float, seed: int, stream: int, row: int
) -> list[int]:
    random = RowRandom(seed, stream, row, MUTATE)
    was = active(space, code)
    for _ in range(100):
        new = [0] * len(code)
        for i, choice in enumerate(space.decisions):
            count = len(choice.options)
            if not active(space, new)[i]:
                continue
            if not was[i]:
                new[i] = random.below(count)
            elif count > 1 and (random.word() >> 11) / 2**53 < rate:
                other = random.below(count - 1)
                new[i] = other + (other >= code[i])
            else:
                new[i] = code[i]
        if valid(space, new):
            return new
    return list(code)


def crossover_by(
    space: Space,
    kind: str,
    groups: list[list[int]],
    a: list[int],
    b: list[int],
    seed: int,
    stream: int,
    row: int,
) -> list[int]:
    random = RowRandom(seed, stream, row, CROSSOVER)
    parents = {"a": (a, active(space, a)), "b": (b, active(space, b))}
    width = len(a)

    def units(side: str) -> dict[tuple[int, int], int]:
        # (type, how many of it came before) -> number of the unit
        code, on = parents[side]
        found: dict[tuple[int, int], int] = {}
        for u, unit in enumerate(groups):
            if on[unit[0]]:
                kind_ = code[unit[0]]
                found[kind_, sum(key[0] == kind_ for key in found)] = u
        return found

    for _ in range(100):
        source = [("a", i) for i in range(width)]
        if kind == "one_point" and width > 1:
            cut = 1 + random.below(width - 1)
            source = [("a" if i < cut else "b", i) for i in range(width)]
        elif kind == "stages":
            grouped = {i for group in groups for i in group}
            for stage in [*groups, *([i] for i in range(width) if i not in grouped)]:
                side = "b" if random.below(2) else "a"
                for i in stage:
                    source[i] = (side, i)
        elif kind == "aligned":
            partners = units("b")
            aligned = sorted((u, partners[key]) for key, u in units("a").items() if key in partners)
            for u, v in aligned:
                if random.below(2):
                    for i, j in zip(groups[u], groups[v], strict=True):
                        source[i] = ("b", j)
        new = [0] * width
        for i, choice in enumerate(space.decisions):
            if not active(space, new)[i]:
                continue
            for side, at in (source[i], ("a", i), ("b", i)):
                if parents[side][1][at]:
                    new[i] = parents[side][0][at]
                    break
            else:
                new[i] = random.below(len(choice.options))
        if valid(space, new):
            return new
    return list(a)


def enumerate_codes(space: Space) -> list[list[int]]:
    ranges = [range(len(c.options)) for c in space.decisions]
    return [list(code) for code in itertools.product(*ranges) if valid(space, list(code))]


def function(space: Space, code: list[int]) -> tuple[list[Any], dict[tuple[int, int], int]]:
    """What the graph computes: labels of the values, and how often a value enters another."""
    graph = space.graph
    assert graph is not None
    nodes, edges = live(space, code)
    labels: list[Any] = [
        "input" if label_[0] in graph.identity else ("input", label_)
        for label_ in [nodes[graph.nodes[0].name]]
    ]
    arguments: list[Counter[int]] = [Counter()]

    def emit(name: Any, argument: Counter[int], shared: bool) -> Counter[int]:
        if shared and (name, argument) in list(zip(labels, arguments, strict=True)):
            return Counter([list(zip(labels, arguments, strict=True)).index((name, argument))])
        labels.append(name)
        arguments.append(argument)
        return Counter([len(labels) - 1])

    def concat(op: Any, terms: list[Counter[int]]) -> Counter[int]:
        parts: Counter[int] = Counter()
        for term in terms:
            parts += term if sum(term.values()) == 1 else emit(("sum",), term, True)
        return emit(("concat", op), parts, True)

    def apply(op: Any, argument: Counter[int]) -> Counter[int]:
        if op[0] in graph.identity:
            return argument
        if op[0] in graph.concat:
            return concat(op, [argument])
        return emit(("op", op), argument, op[0] in graph.weightless)

    values = {graph.nodes[0].name: Counter([0])}
    for node in graph.nodes[1:]:
        entering = [apply(op, values[s]) for (s, d), op in edges.items() if d == node.name]
        if not entering or node.name not in nodes:
            values[node.name] = Counter()
        elif nodes[node.name][0] in graph.concat:
            values[node.name] = concat(nodes[node.name], entering)
        else:
            values[node.name] = apply(nodes[node.name], sum(entering, Counter()))
    labels.append("output")
    arguments.append(values[graph.nodes[-1].name])
    return labels, {(s, d): m for d, argument in enumerate(arguments) for s, m in argument.items()}


def least_form(labels: list[Any], edges: dict[tuple[int, int], Any]) -> Any:
    """The canonical form by brute force: the least of all orders that keep a coarse invariant."""
    n = len(labels)
    names = [repr(name) for name in labels]
    level = [0] * n
    for _ in range(n):
        for s, d in edges:
            level[d] = max(level[d], level[s] + 1)
    invariant = [
        (
            level[v],
            names[v],
            sorted((names[s], repr(m)) for (s, d), m in edges.items() if d == v),
            sorted((names[d], repr(m)) for (s, d), m in edges.items() if s == v),
        )
        for v in range(n)
    ]
    groups = [
        [v for v in range(n) if invariant[v] == key]
        for key in sorted({repr(i): i for i in invariant}.values())
    ]
    best = None
    for parts in itertools.product(*(itertools.permutations(g) for g in groups)):
        place = {v: i for i, v in enumerate(itertools.chain(*parts))}
        form = sorted((place[s], place[d], repr(m)) for (s, d), m in edges.items())
        best = form if best is None or form < best else best
    return ([names[v] for g in groups for v in g], best)


def attributes(space: Space, code: list[int]) -> tuple[Any, ...]:
    """Values of the active decisions that the graph does not mention."""
    graph = space.graph
    mentioned = set()
    for part in [*graph.nodes, *graph.edges] if graph else []:
        mentioned |= {p.name for p in part.label if isinstance(p, Choice)}
        mentioned |= {name for name, _ in part.when}
    on, value = situation(space, code)
    return tuple((n, value[n]) for n in value if on[n] and n not in mentioned)


OPS = ("none", "skip", "conv", "pool", "cat")


@st.composite
def spaces(draw_: st.DrawFn, *, max_decisions: int = 6) -> Space:
    """A random small space: conditions, a graph with every kind of label, constraints."""
    decisions: list[Choice] = []

    def when(chance: int) -> dict[str, Any] | None:
        if not decisions or draw_(st.integers(0, 9)) >= chance:
            return None
        parents = draw_(st.lists(st.sampled_from(decisions), min_size=1, max_size=2, unique=True))
        return {
            p.name: tuple(draw_(st.lists(st.sampled_from(p.options), min_size=1, unique=True)))
            for p in parents
        }

    for i in range(draw_(st.integers(1, max_decisions))):
        pool = draw_(st.sampled_from([OPS, (1, 2, 3), (0.5, 2.5), (False, True), ("conv",)]))
        options = draw_(st.lists(st.sampled_from(pool), min_size=1, unique=True))
        decisions.append(Choice(f"d{i}", options, when=when(4)))

    def label_() -> Any:
        head = draw_(st.sampled_from([*decisions, *OPS]))
        return (head, draw_(st.sampled_from(decisions))) if draw_(st.integers(0, 4)) == 0 else head

    graph = Graph(zero="none", identity=("skip", "sum"), weightless="pool", concat="cat")
    nodes = draw_(st.integers(2, 5))
    for v in range(nodes):
        graph.node(
            f"n{v}",
            draw_(st.sampled_from(["sum", "conv"]))
            if v in (0, nodes - 1) or draw_(st.booleans())
            else label_(),
            when(1) if 0 < v < nodes - 1 else None,
        )
    for s, d in itertools.combinations(range(nodes), 2):
        if draw_(st.integers(0, 3)):
            graph.edge(f"n{s}", f"n{d}", label_(), when(2))
    constraints: list[Any] = []
    if draw_(st.integers(0, 3)) == 0:
        constraints.append(connected())
    if draw_(st.integers(0, 3)) == 0:
        limit = draw_(st.sampled_from([live_at_most, live_at_least]))
        counted = draw_(st.lists(st.sampled_from([*OPS, "sum", 1, 2.5]), max_size=2))
        what = draw_(st.sampled_from(["nodes", "edges"]))
        constraints.append(limit(draw_(st.integers(0, 4)), what, counted))
    if draw_(st.integers(0, 3)) == 0:
        constraints.append(forbid(when(10)))
    if draw_(st.integers(0, 3)) == 0:
        choice = draw_(st.sampled_from(decisions))
        same = [
            c
            for c in decisions
            if choice.options[0] in [o for o in c.options if type(o) is type(choice.options[0])]
        ]
        kind = draw_(st.sampled_from([at_most, at_least]))
        constraints.append(kind(same, choice.options[0], draw_(st.integers(0, len(same)))))
    return Space("random", decisions, graph, constraints)


@st.composite
def cells(draw_: st.DrawFn) -> Space:
    """A cell where every edge is searched: many architectures compute the same in many ways."""
    labels = st.sampled_from(["sum", "sum", "cat", "conv", "pool"])
    graph = Graph(zero="none", identity=("skip", "sum"), weightless="pool", concat="cat")
    graph.node("n0", "sum").node("n1", draw_(labels)).node("n2", draw_(labels))
    graph.node("n3", draw_(labels))
    decisions = [Choice(f"e{s}{d}", OPS[:4]) for s, d in itertools.combinations(range(4), 2)]
    for (s, d), choice in zip(itertools.combinations(range(4), 2), decisions, strict=True):
        graph.edge(f"n{s}", f"n{d}", choice)
    return Space("cell", decisions, graph)
