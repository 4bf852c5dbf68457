"""The search space: what it declares, its moves, and all that is asked about batches of codes."""

from __future__ import annotations

import itertools
import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nasturtium.errors import SpaceError
from nasturtium.shards import check_shard
from nasturtium.spaces.architecture import Architecture, parse_values
from nasturtium.spaces.declaration import Codes
from nasturtium.spaces.moves import Moves
from nasturtium.spaces.size import Declared, count_classes, count_valid

__all__ = ["Codes", "Space"]

_ENUMERATION_LIMIT = 1 << 24


class Space(Moves):
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
        check_shard(shard, most)
        number, shards = shard
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
        return self.program.keys(self.checked(codes), rule, out, threads)

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

    def format(self, architecture: Architecture) -> str:
        """The text form; use `str(architecture)`."""
        if self._formatter:
            return f"{self.name}:{self._formatter(architecture.values)}"
        return architecture.plain_text()
