"""Space and Architecture: a declaration compiled into the core, and its values."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from nasturtium.errors import SpaceError, nearest
from nasturtium.spaces.architecture import Architecture, parse_values
from nasturtium.spaces.count import count_genotypes
from nasturtium.spaces.declare import Choice, Constraint, Graph, Option, check_name
from nasturtium.spaces.size import Declared, count_classes, count_valid
from nasturtium.spaces.text import space_text

if TYPE_CHECKING:
    from nasturtium import _core

Codes: TypeAlias = NDArray[np.uint8]
Formatter: TypeAlias = Callable[[Mapping[str, Option]], str]
Parser: TypeAlias = Callable[[str], Mapping[str, Option]]

_CONVENTIONS = ("genotype", "pruned", "graph", "function")
_CROSSOVERS = ("uniform", "one_point", "stages", "aligned")
_ENUMERATION_LIMIT = 1 << 24
# Numpy takes them at half the cost of np.uint8 and np.uint64, which small calls notice.
_BYTE, _WORD = np.dtype(np.uint8), np.dtype(np.uint64)


class Space:
    """A search space: decisions, the graph they become, and which graphs are valid.

    The declaration is written to `text` and compiled once; every batch method then runs in C++
    without the GIL, on codes `uint8[n, d]` (option numbers; inactive decisions hold 0). Row `i` of
    `sample`, `mutate` and `crossover` is a function of `(seed, stream, start + i)` and of the
    parents' rows only, so that neither batch size nor threads change it.

    Args:
        name: also the first word of every architecture's text form.
        decisions: in an order where conditions name earlier decisions.
        graph: its labels and conditions mention decisions. A decision that it does not mention is
            an attribute: its active value is part of every key.
        constraints: made by `forbid`, `at_most`, `at_least`, `connected`, `live_at_most`,
            `live_at_least`.
        formatter, parser: importable functions from active values to the part of the text form
            behind `name:` and back; without them it is `decision=value,...`.
        conventions: further names for `keys`: `{name: "string" | "string_skip"}`, the two rules
            on strings that NAS-Bench-201's authors published.
        scale: decisions whose options, in their order, give the same network with more of
            everything, as a width or a resolution does; the first counts first.
        designs: architectures known to be good, as text forms: what a search may begin with, each
            at the largest scale within its limits. Neither is part of `text`.

    Raises:
        SpaceError: the declaration contradicts itself; the message names the place.

    Example:
        >>> from nasturtium.spaces import Choice, Graph, Space
        >>> ops = ("none", "skip", "conv3", "conv5", "pool")
        >>> width = Choice("width", (16, 32, 64))
        >>> depth = Choice("depth", (1, 2))
        >>> a, b, c = Choice("a", ops), Choice("b", ops), Choice("c", ops, when={"depth": 2})
        >>> graph = Graph(zero="none", identity=("skip", "sum"), weightless="pool")
        >>> graph = graph.node("in", "input").node("mid", "sum").node("out", "sum")
        >>> graph = graph.edge("in", "mid", a).edge("mid", "out", b)
        >>> graph = graph.edge("in", "out", c, when={"depth": 2})
        >>> space = Space("mine", [width, depth, a, b, c], graph)
        >>> codes = space.sample(1000, seed=1)
        >>> children = space.mutate(codes, seed=2)
        >>> space.size(), space.size("function")
        (450, 180)
        >>> print(space.parse("mine:width=32,depth=1,a=conv3,b=skip"))
        mine:width=32,depth=1,a=conv3,b=skip
    """

    def __init__(
        self,
        name: str,
        decisions: Iterable[Choice],
        graph: Graph | None = None,
        constraints: Iterable[Constraint] = (),
        *,
        formatter: Formatter | None = None,
        parser: Parser | None = None,
        conventions: Mapping[str, str] | None = None,
        scale: str | Sequence[str] = (),
        designs: Iterable[str] = (),
    ) -> None:
        self.name = check_name(name, "space")
        self.decisions = tuple(decisions)
        self.constraints = tuple(constraints)
        self.conventions = _CONVENTIONS + tuple(conventions or ())
        self._rules = dict(conventions or {})
        self.rules = {name: name for name in _CONVENTIONS} | self._rules
        self.scale = (scale,) if isinstance(scale, str) else tuple(scale)
        self.designs = tuple(designs)
        self._graph, self._formatter, self._parser = graph, formatter, parser
        if (formatter is None) != (parser is None):
            raise SpaceError(f"space {name!r}: give both formatter and parser, or neither")
        self.text = space_text(name, self.decisions, graph, self.constraints, self._rules)
        self.fingerprint = hashlib.sha256(self.text.encode()).hexdigest()
        self._positions = {choice.name: i for i, choice in enumerate(self.decisions)}
        for decision in self.scale:
            if self.decision(decision).when:
                raise SpaceError(f"scale {decision!r} is a decision that is not always made")
        self.program = self._compile()

    def _compile(self) -> _core.Program:
        # Imported here so that declarations can be read where the core is not built.
        from nasturtium import _core

        return _core.Program(self.text)

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self.name, self.decisions, self._graph, self.constraints)
        named = {
            "formatter": self._formatter,
            "parser": self._parser,
            "conventions": self._rules,
            "scale": self.scale,
            "designs": self.designs,
        }
        return _rebuild, (arguments, named)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"Space({self.name!r}, {len(self.decisions)} decisions)"

    @property
    def graph(self) -> Graph | None:
        """The declared graph; not to be changed."""
        return self._graph

    @cached_property
    def options(self) -> NDArray[np.int64]:
        """Number of options of each decision, int64[d]."""
        return np.array([len(choice.options) for choice in self.decisions], dtype=np.int64)

    @cached_property
    def genotypes(self) -> int:
        """Number of codes before the constraints refuse any."""
        return count_genotypes(self.decisions)

    def decision(self, name: str) -> Choice:
        """The decision of that name; `SpaceError` with the nearest one where there is none."""
        if name not in self._positions:
            raise SpaceError(
                f"space {self.name!r} has no decision {name!r}; {nearest(name, self._positions)}"
            )
        return self.decisions[self._positions[name]]

    def _position(self, name: str) -> int:
        return self._positions[self.decision(name).name]

    def sample(
        self,
        n: int,
        *,
        seed: int,
        stream: int = 0,
        start: int = 0,
        threads: int = 1,
        out: Codes | None = None,
    ) -> Codes:
        """Draw `n` valid codes, uint8[n, d]; each active decision is uniform over its options.

        Where constraints refuse a draw it is repeated. Raises `SpaceError` where 10,000 draws for
        one row are all refused.
        """
        out = self._out(out, n)
        self.program.sample(out, seed, stream, start, threads)
        return out

    def mutate(
        self,
        codes: Codes,
        *,
        seed: int,
        rate: float | NDArray[np.float64] | None = None,
        stream: int = 0,
        start: int = 0,
        threads: int = 1,
        out: Codes | None = None,
    ) -> Codes:
        """Change one active decision of each row, uint8[n, d]; the result is valid and differs.

        The decision is uniform over the active ones with a choice, its new value over its other
        options; decisions that become active are drawn, those that become inactive hold 0.

        With `rate`, one number or float64[n], each of these decisions changes with that
        probability, from 0 to 1, so that any number of them can, also none. A row's own rate makes
        the mutation scale with a temperature, e.g. `0.2 * (1 - score / best)`. After 100 draws that
        the constraints refuse, the row is returned as it is.

        Raises `SpaceError` where a row is no code or has no valid neighbor, or a rate is out of
        range.
        """
        codes = self.checked(codes)
        out = self._out(out, len(codes))
        rates = None
        if rate is not None:
            rates = np.array(np.broadcast_to(np.asarray(rate, np.float64), len(codes)))
        self.program.mutate(codes, rates, out, seed, stream, start, threads)
        return out

    def crossover(
        self,
        a: Codes,
        b: Codes,
        *,
        seed: int,
        kind: Literal["uniform", "one_point", "stages", "aligned"] = "uniform",
        groups: Iterable[Iterable[str]] = (),
        stream: int = 0,
        start: int = 0,
        threads: int = 1,
        out: Codes | None = None,
    ) -> Codes:
        """Mix the rows of `a` and `b`, uint8[n, d]; the result is valid where `a` is.

        What is active in one parent only comes from it; what is active in neither is drawn. After
        100 refused draws the row of `a` is returned as it is.

        Args:
            kind: `uniform`: each decision is from either, by a fair coin. `one_point`: those before
                a uniform place from `a`, the others from `b`. `stages`: each group as a whole from
                either, by a fair coin. `aligned`: groups are the units of a chain; of the units of
                one type, `a`'s first is aligned with `b`'s first and so on, and each is replaced by
                its partner by a fair coin; all else is from `a`.
            groups: names of decisions, for the last two kinds. Decisions in no group are stages of
                their own. The first decision of a unit is its type, and the unit is there where
                that is active; units have decisions with equal options, in the same order.

        Raises:
            SpaceError: a row is no code, or the groups break these rules.

        Reference: Xie and Yuille, Genetic CNN, ICCV 2017 (stages); Sun, Xue, Zhang and Yen,
        Evolving deep convolutional neural networks for image classification, 2019 (aligned).
        """
        a, b = self.checked(a), self.checked(b)
        if len(a) != len(b):
            raise SpaceError(f"crossover needs as many rows on both sides, not {len(a)}, {len(b)}")
        if kind not in _CROSSOVERS:
            raise SpaceError(f"unknown crossover {kind!r}; {nearest(kind, _CROSSOVERS)}")
        numbers = [[self._position(name) for name in group] for group in groups]
        if bool(numbers) != (kind in ("stages", "aligned")):
            wanted = "no groups" if numbers else "groups of decisions"
            raise SpaceError(f"crossover {kind!r} takes {wanted}")
        out = self._out(out, len(a))
        self.program.crossover(a, b, out, kind, numbers, seed, stream, start, threads)
        return out

    def neighbors(self, code: Codes) -> Codes:
        """All valid codes that differ from `code` in one active decision, uint8[m, d].

        Decisions that become active take their first option.
        """
        return self.program.neighbors(self._code(code))

    def enumerate(self, *, limit: int = _ENUMERATION_LIMIT) -> Codes:
        """All valid codes in lexicographic order, uint8[n, d].

        Raises `SpaceError` where more than `limit` genotypes would have to be looked at.
        """
        if self.genotypes > limit:
            raise SpaceError(
                f"space {self.name!r} has {self.genotypes:,} genotypes, too many to enumerate "
                f"(limit {limit:,})"
            )
        return self.program.enumerate(self.genotypes)

    def enumerate_part(
        self, start: bytes | None = None, *, shard: tuple[int, int] = (0, 1), most: int = 65536
    ) -> tuple[Codes, bytes | None]:
        """The next valid codes of a shard, uint8[n, d], and the token to go on with, or None.

        Shard `(i, n)` holds a range of the lexicographic order: the shards share no code, and hold
        all of them together, each in order. `start` is the token of the call before, or None for
        the first; about `most` codes are looked at. Raises `SpaceError` for what is no shard or
        token.
        """
        number, shards = shard
        if not 0 <= number < shards:
            raise SpaceError(f"shard {number} of {shards}: shards are numbered from 0")
        if most < 1:
            raise SpaceError(f"most = {most} is not positive")
        begin, end = self._bound(number, shards), self._bound(number + 1, shards)
        if start is not None:
            if len(start) != len(self.decisions):
                raise SpaceError(f"a token of {self.name!r} has {len(self.decisions)} bytes")
            begin = np.frombuffer(start, np.uint8)
        codes, following = self.program.enumerate_range(begin, end, most)
        return codes, None if following is None else following.tobytes()

    def _bound(self, number: int, shards: int) -> Codes | None:
        """The digits at which a shard begins, in the mixed radix of the options."""
        if number in (0, shards):
            return None
        left = math.prod(int(n) for n in self.options) * number // shards
        digits = []
        for count in self.options[::-1]:
            left, digit = divmod(left, int(count))
            digits.append(digit)
        return np.array(digits[::-1], np.uint8)

    def size(self, convention: str = "genotype", *, limit: int = _ENUMERATION_LIMIT) -> int:
        """Number of architectures that differ under a convention of `keys`.

        Exact, as a Python integer. Genotypes are counted without listing them where no constraint
        is on the graph; under `connected()`, `live_at_most` and `live_at_least` one code for each
        pattern of nodes and edges is listed. Of the classes under other conventions, those of the
        decisions that the graph depends on are listed; all else multiplies them. Raises
        `SpaceError` where more than `limit` codes would have to be listed.
        """
        self.rule(convention)
        declared = Declared(self.name, self.decisions, self._graph, self.constraints)
        if convention == "genotype":
            return count_valid(declared, limit=limit)
        rule = self._rules.get(convention)
        return count_classes(declared, rule or convention, rule=rule is not None, limit=limit)

    def valid(self, codes: Codes) -> NDArray[np.bool_]:
        """Which rows are in range, 0 where inactive, and meet the constraints, bool[n]."""
        codes = self.checked(codes)
        out = np.empty(len(codes), np.bool_)
        self.program.valid(codes, out, 1)
        return out

    def active(self, codes: Codes, *, out: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Which decisions are active, bool[n, d]."""
        codes = self.checked(codes)
        out = np.empty(codes.shape, np.bool_) if out is None else out
        self.program.active(codes, out, 1)
        return out

    def live(self, codes: Codes) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which declared nodes and edges lie on a path from input to output.

        Returns bool[n, nodes] and bool[n, edges]; input and output always count as live.
        """
        codes = self.checked(codes)
        if self._graph is None:
            raise SpaceError(f"space {self.name!r} has no graph")
        nodes = np.empty((len(codes), len(self._graph.nodes)), np.bool_)
        edges = np.empty((len(codes), len(self._graph.edges)), np.bool_)
        self.program.live(codes, nodes, edges, 1)
        return nodes, edges

    def keys(
        self,
        codes: Codes,
        convention: str = "function",
        *,
        threads: int = 1,
        out: NDArray[np.uint64] | None = None,
    ) -> NDArray[np.uint64]:
        """Canonical keys of 128 bits, uint64[n, 2]: equal where the architectures are the same.

        Conventions: `genotype` (the code itself); `pruned` (what lies on a path from input to
        output, nodes by name); `graph` (that, up to isomorphism); `function` (what is computed:
        identities removed, zeros propagated, sums flattened and unordered, each weighted operation
        its own, weightless ones on one value merged; up to isomorphism). Keys never change between
        versions or platforms.

        Raises `SpaceError` for a row that is no code of the space, and where an exact canonical
        form would take more than 100,000 search nodes.
        """
        try:
            rule = self.rules[convention]  # no call: small ones notice it
        except KeyError:
            rule = self.rule(convention)
        codes = self.checked(codes)
        out = np.empty((len(codes), 2), _WORD) if out is None else out
        self.program.keys(codes, rule, out, threads)
        return out

    def rule(self, convention: str) -> str:
        """What the core calls a convention of `keys`; SpaceError where there is none."""
        try:
            return self.rules[convention]
        except KeyError:
            known = ", ".join(self.conventions)
            raise SpaceError(
                f"unknown convention {convention!r}; {nearest(convention, self.conventions)}: "
                f"use one of {known}"
            ) from None

    @cached_property
    def packed_range(self) -> int:
        """One more than the greatest packed code; `SpaceError` where that is 2^64 or more."""
        from nasturtium import _core

        return _core.packed_range(self.program)

    def pack(
        self, codes: Codes, *, out: NDArray[np.uint64] | None = None, threads: int = 1
    ) -> NDArray[np.uint64]:
        """Each code as one number, uint64[n]: its digits, each in the radix of its decision.

        The first decision is the most significant, so that numbers are ordered as codes are.
        Raises `SpaceError` for a row that is no code, and where the numbers of options multiply to
        2^64 or more.
        """
        from nasturtium import _core

        codes = self.checked(codes)
        out = np.empty(len(codes), np.uint64) if out is None else out
        _core.pack_codes(self.program, codes, out, threads)
        return out

    def unpack(
        self, packed: NDArray[np.uint64], *, out: Codes | None = None, threads: int = 1
    ) -> Codes:
        """The codes of packed ones, uint8[n, d]: the inverse of `pack`.

        Raises `SpaceError` for a number that stands for no code.
        """
        from nasturtium import _core

        array = np.asarray(packed)
        if array.dtype != np.uint64 or array.ndim != 1:
            raise SpaceError(f"packed codes are uint64[n], not {array.dtype}{list(array.shape)}")
        out = self._out(out, len(array))
        _core.unpack_codes(self.program, np.ascontiguousarray(array), out, threads)
        return out

    def scaled(self, code: Codes) -> Codes:
        """The valid versions of a code, uint8[n, d], from the largest scale to the smallest.

        With several decisions the first counts first. The code alone where the space has no scale.
        """
        code = self._code(code)
        places = [self._position(name) for name in self.scale]
        options = [range(len(self.decisions[place].options))[::-1] for place in places]
        versions = np.repeat(code[None], math.prod(map(len, options)), axis=0)
        versions[:, places] = list(itertools.product(*options))
        return versions[self.valid(versions)]

    def architecture(self, code: Codes) -> Architecture:
        """The architecture of one code, uint8[d]; `SpaceError` where it is not valid."""
        code = self._code(code)
        self.program.check(code)
        return Architecture(self, code)

    def parse(self, text: str) -> Architecture:
        """Read an architecture's text form; `parse(str(a)) == a`.

        Raises `SpaceError` that names the position and the nearest option for anything else.
        """
        prefix = f"{self.name}:"
        if not text.startswith(prefix):
            raise SpaceError(f"architecture text {text[:40]!r} does not start with {prefix!r}")
        body = text[len(prefix) :]
        read = (
            self._parser(body) if self._parser else parse_values(self.decisions, body, len(prefix))
        )
        architecture = self.architecture(self.encode(read))
        if str(architecture) != text:
            raise SpaceError(f"{text[:80]!r} is not in its one text form: write {architecture}")
        return architecture

    def encode(self, values: Mapping[str, Option]) -> Codes:
        """The code, uint8[d], of the active decisions' values; what is not named holds 0."""
        code = np.zeros(len(self.decisions), np.uint8)
        for name, value in values.items():
            code[self._position(name)] = self.decision(name).index(value)
        return code

    def format(self, architecture: Architecture) -> str:
        """The text form; use `str(architecture)`."""
        if self._formatter:
            return f"{self.name}:{self._formatter(architecture.values)}"
        return architecture.plain_text()

    def _out(self, out: Codes | None, n: int) -> Codes:
        if n < 0:
            raise SpaceError(f"n = {n} is negative")
        return np.empty((n, len(self.decisions)), _BYTE) if out is None else out

    def checked(self, codes: Codes) -> Codes:
        """The codes as a C-contiguous uint8[n, d] array, or `SpaceError`."""
        array = np.ascontiguousarray(codes)
        shape = array.shape
        if array.dtype != _BYTE or len(shape) != 2 or shape[1] != len(self.decisions):
            raise SpaceError(
                f"codes of {self.name!r} are uint8[n, {len(self.decisions)}], "
                f"not {array.dtype}{list(array.shape)}"
            )
        return array

    def _code(self, code: Codes) -> Codes:
        array = np.asarray(code)
        if array.ndim != 1:
            raise SpaceError(f"one code is uint8[{len(self.decisions)}], not {list(array.shape)}")
        return cast(Codes, self.checked(array[None])[0])


def _rebuild(arguments: tuple[Any, ...], named: dict[str, Any]) -> Space:
    return Space(*arguments, **named)
