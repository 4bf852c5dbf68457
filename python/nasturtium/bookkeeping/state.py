"""What the classes of this package have in common: their values lie in the core, as states do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, Protocol, Self, TypeAlias, TypeVar

__all__ = ["Held", "State"]

State: TypeAlias = bytes  # some classes have a property of the name `bytes`


class _Kept(Protocol):
    def state(self) -> State: ...


T = TypeVar("T", bound=_Kept)


class Held(ABC, Generic[T]):
    """A value of the core with a state: it can be saved, pickled and copied."""

    _held: T

    def state(self) -> State:
        """The state (state.hpp): versioned, checksummed bytes, the same on every platform."""
        return self._held.state()

    @classmethod
    def from_state(cls, state: State) -> Self:
        """What `state` was taken from: it does whatever that one would have done.

        Raises UserError where the bytes are cut off, damaged or of another kind.
        """
        made = cls.__new__(cls)
        made._held = cls._load(state)
        made._describe()
        return made

    @classmethod
    @abstractmethod
    def _load(cls, state: State) -> T:
        """The core's value of these bytes."""

    def _describe(self) -> None:
        """Sets the attributes that the constructor takes as arguments."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_state, (self.state(),)
