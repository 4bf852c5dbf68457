"""One architecture as an immutable, hashable value with one text form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasturtium.errors import SpaceError, nearest
from nasturtium.spaces.declare import Choice, Option, option_text

if TYPE_CHECKING:
    from nasturtium.spaces.space import Space


class Architecture:
    """A valid code of a space, made by `Space.architecture`. Equality is by space and genotype.

    Attributes:
        space: the space that it belongs to.
        code: its genotype, uint8[d], read-only.
    """

    space: Space
    code: NDArray[np.uint8]

    def __init__(self, space: Space, code: NDArray[np.uint8]) -> None:
        own = np.array(code, np.uint8)
        own.setflags(write=False)
        object.__setattr__(self, "space", space)
        object.__setattr__(self, "code", own)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"an architecture is immutable: {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"an architecture is immutable: {name!r} cannot be deleted")

    def __reduce__(self) -> tuple[Any, ...]:
        return Architecture, (self.space, np.array(self.code))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Architecture):
            return NotImplemented
        return self.code.tobytes() == other.code.tobytes() and self.space == other.space

    def __hash__(self) -> int:
        return hash((self.space.fingerprint, self.code.tobytes()))

    def __str__(self) -> str:
        return self.space.format(self)

    def __repr__(self) -> str:
        return f"<Architecture {self}>"

    @cached_property
    def values(self) -> Mapping[str, Option]:
        """The active decisions' values, in the order of the declaration; read-only."""
        active = self.space.active(self.code[None])[0]
        return MappingProxyType(
            {
                choice.name: choice.options[self.code[i]]
                for i, choice in enumerate(self.space.decisions)
                if active[i]
            }
        )

    def key(self, convention: str = "function") -> str:
        """The canonical key as 32 hexadecimal digits; conventions as in `Space.keys`."""
        space = self.space
        try:
            rule = space.rules[convention]
        except KeyError:
            rule = space.rule(convention)
        return space.program.key(self.code, rule)

    def plain_text(self) -> str:
        """`name:decision=value,...` of the active decisions."""
        listed = ",".join(f"{name}={option_text(value)}" for name, value in self.values.items())
        return f"{self.space.name}:{listed}"


def parse_option(choice: Choice, text: str, position: int) -> Option:
    """The option written as `text`, or `SpaceError` with position and nearest option."""
    texts = [option_text(option) for option in choice.options]
    if text not in texts:
        raise SpaceError(
            f"position {position}: decision {choice.name!r} has no option {text[:40]!r}"
            f"; {nearest(text[:40], texts)}"
        )
    return choice.options[texts.index(text)]


def parse_values(decisions: Sequence[Choice], body: str, offset: int) -> dict[str, Option]:
    """Read `decision=value,...`; positions in messages count from `offset`."""
    known = {choice.name: choice for choice in decisions}
    values: dict[str, Option] = {}
    position = offset
    for item in body.split(",") if body else []:
        name, equals, text = item.partition("=")
        if not equals:
            raise SpaceError(f"position {position}: {item[:40]!r} is not decision=value")
        if name not in known:
            raise SpaceError(
                f"position {position}: no decision {name[:40]!r}; {nearest(name[:40], list(known))}"
            )
        if name in values:
            raise SpaceError(f"position {position}: decision {name!r} is given twice")
        values[name] = parse_option(known[name], text, position + len(name) + 1)
        position += len(item) + 1
    return values
