"""What the classes of this package have in common: their values lie in the core, as states do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Generic, Protocol, Self, TypeAlias, TypeVar

__all__ = ["Held", "State"]

State: TypeAlias = bytes  # some classes have a property of the name `bytes`


class _Kept(Protocol):
    def state(self) -> State: ...


T = TypeVar("T", bound=_Kept)


class Held(Generic[T]):
    """A value of the core with a state: it can be saved, pickled and copied.

    A class says when it is made what its values in the core are loaded by: `loads`.
    """

    _held: T
    _load: ClassVar[Callable[[State], Any]]

    def __init_subclass__(cls, *, loads: Callable[[State], T] | None = None, **others: Any) -> None:
        super().__init_subclass__(**others)
        if loads is not None:
            cls._load = loads
        elif not hasattr(cls, "_load"):
            raise TypeError(f"{cls.__name__} does not say what loads its states")

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

    def _describe(self) -> None:
        """Sets the attributes that the constructor takes as arguments."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_state, (self.state(),)
