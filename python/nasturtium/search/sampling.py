"""Where codes come from: draws, mutations, and the filter for what is new and allowed."""

from __future__ import annotations

from collections.abc import Callable

from nasturtium import rng
from nasturtium.errors import SpaceError, SpaceExhausted, UserError
from nasturtium.search.base import Allowed, Codes, Space
from nasturtium.search.history import History
from nasturtium.search.limits import explain

__all__ = ["Found", "Fresh", "Mutation", "RandomCodes", "function_keys"]

Found = tuple[Codes, str]
LARGEST_BLOCK = 256


def function_keys(space: Space, codes: Codes) -> list[str]:
    """The function key of each row of uint8[n, d], as 32 hexadecimal digits."""
    return [f"{int(high):016x}{int(low):016x}" for high, low in space.keys(codes, "function")]


class RandomCodes:
    """Draws of the space's own sampler; `taken` counts the draws used so far."""

    def __init__(self, space: Space, *, seed: int) -> None:
        self.space = space
        self.seed = rng.derive(seed, "sample")
        self.taken = 0

    def peek(self, n: int) -> Codes:
        """The next `n` draws, uint8[n, d]; they stay the next ones until `taken` moves on."""
        return self.space.sample(n, seed=self.seed, start=self.taken)


class Mutation:
    """Changes one active decision of a code; `taken` counts the mutants made so far."""

    def __init__(self, space: Space, *, seed: int) -> None:
        self.space = space
        self.seed = rng.derive(seed, "mutate")
        self.taken = 0

    def __call__(self, code: Codes) -> Codes:
        mutant = self.space.mutate(code[None], seed=self.seed, start=self.taken)
        self.taken += 1
        child: Codes = mutant[0]
        return child


class Fresh:
    """Keeps codes that the limits allow and whose function was not proposed before.

    With `repeats` only the pending ones count as proposed before. A random search for a new code
    gives up after `tries` draws; a space of at most `enumerable` codes is then enumerated, so that
    what remains is found exactly.
    """

    def __init__(
        self,
        codes: RandomCodes,
        *,
        allowed: Allowed | None = None,
        repeats: bool = False,
        tries: int = 2048,
        enumerable: int = 100_000,
    ) -> None:
        self.codes = codes
        self.space = codes.space
        self.allowed = allowed
        self.repeats = repeats
        self.tries = tries
        self.enumerable = enumerable
        self.enumerated = False
        self._blocked: set[str] = set()
        self._every: list[Found] | None = None

    def sync(self, history: History) -> None:
        """Take from a history what was proposed."""
        self._blocked = {t.key for t in history.trials if not (self.repeats and t.done)}

    def proposed(self, key: str) -> None:
        self._blocked.add(key)

    def told(self, key: str) -> None:
        if self.repeats:
            self._blocked.discard(key)

    def random(self) -> Found:
        """A random code that may be proposed, and its function key.

        Raises SpaceExhausted when none is left (or none was found, where the space is too large
        to be enumerated), and UserError when the limits allow no code at all.
        """
        if not self.enumerated and not self._empty():
            drawn, size = 0, 4
            while drawn < self.tries:
                block = self.codes.peek(size)
                for i, key in enumerate(function_keys(self.space, block)):
                    if self._may(block[i], key):
                        self.codes.taken += i + 1
                        return block[i], key
                self.codes.taken += size
                drawn, size = drawn + size, min(4 * size, LARGEST_BLOCK)
        return self._remaining()

    def mutant(self, make: Callable[[], Codes], *, tries: int = 64) -> Found | None:
        """The first of `tries` codes from `make` that may be proposed, and its key, or None."""
        if self._empty():
            return None
        for _ in range(tries):
            code = make()
            key = function_keys(self.space, code[None])[0]
            if self._may(code, key):
                return code, key
        return None

    def _may(self, code: Codes, key: str) -> bool:
        if key in self._blocked:
            return False
        return self.allowed is None or bool(self.allowed(code[None])[0])

    def _empty(self) -> bool:
        """Whether the space was enumerated and nothing in it may be proposed now."""
        return self._every is not None and all(key in self._blocked for _, key in self._every)

    def _remaining(self) -> Found:
        if self._every is None:
            self._every = self._enumerate()
        for code, key in self._every:
            if key not in self._blocked:
                self.enumerated = True
                return code, key
        raise SpaceExhausted(f'no architecture of "{self.space.name}" is left to propose')

    def _enumerate(self) -> list[Found]:
        """Every allowed code of a small space, in a fixed random order, one for each function."""
        if not self._small():
            self._refuse_if_none_allowed()
            raise SpaceExhausted(
                f'no new architecture of "{self.space.name}" in {self.tries} draws'
            )
        codes = self.space.enumerate()
        codes = codes[rng.Stream(rng.derive(self.codes.seed, "order"), 0).permutation(len(codes))]
        if self.allowed is not None:
            mask = self.allowed(codes)
            if not mask.any():
                raise UserError(explain(self.allowed, codes))
            codes = codes[mask]
        first: dict[str, Codes] = {}
        for code, key in zip(codes, function_keys(self.space, codes), strict=True):
            first.setdefault(key, code)
        return [(code, key) for key, code in first.items()]

    def _small(self) -> bool:
        try:
            return self.space.size("genotype", limit=self.enumerable) <= self.enumerable
        except SpaceError:
            return False

    def _refuse_if_none_allowed(self) -> None:
        if self.allowed is not None and not self._blocked:
            raise UserError(explain(self.allowed, self.codes.peek(self.tries)))
