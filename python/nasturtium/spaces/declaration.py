"""What a space declares, compiled into the core, and the checks of codes that follow from it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from nasturtium.errors import SpaceError, nearest
from nasturtium.spaces.count import count_genotypes
from nasturtium.spaces.declare import Choice, Constraint, Graph, Option, check_name
from nasturtium.spaces.text import space_text

if TYPE_CHECKING:
    from nasturtium import _core

Codes: TypeAlias = NDArray[np.uint8]
Formatter: TypeAlias = Callable[[Mapping[str, Option]], str]
Parser: TypeAlias = Callable[[str], Mapping[str, Option]]

_CONVENTIONS = ("genotype", "pruned", "graph", "function")
_BYTE = np.dtype(np.uint8)  # Numpy takes it at half the cost of np.uint8, which small calls notice.


class Declaration:
    """The declared part of a `Space`, which explains the arguments."""

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
        made = partial(
            type(self),
            formatter=self._formatter,
            parser=self._parser,
            conventions=self._rules,
            scale=self.scale,
            designs=self.designs,
        )
        return made, arguments

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Declaration) and self.fingerprint == other.fingerprint

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

    def encode(self, values: Mapping[str, Option]) -> Codes:
        """The code, uint8[d], of the active decisions' values; what is not named holds 0."""
        code = np.zeros(len(self.decisions), np.uint8)
        for name, value in values.items():
            code[self._position(name)] = self.decision(name).index(value)
        return code

    def _out(self, out: Codes | None, n: int) -> Codes:
        if n < 0:
            raise SpaceError(f"n = {n} is negative")
        return np.empty((n, len(self.decisions)), _BYTE) if out is None else out

    def checked(self, codes: Codes) -> Codes:
        """The codes as a C-contiguous uint8[n, d] array, or `SpaceError`."""
        if self.program.takes(codes):
            return codes
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
