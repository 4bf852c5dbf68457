"""Where codes come from: draws, mutations, and the filter for what is new and allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nasturtium import rng
from nasturtium.errors import MethodError, SpaceError, SpaceExhausted, UserError
from nasturtium.search.base import Allowed, Codes, Space
from nasturtium.search.history import History
from nasturtium.search.limits import explain
from nasturtium.search.plan import core_part

__all__ = ["MUTANTS", "Found", "Fresh", "Mutation", "Proxy", "RandomCodes", "function_keys"]

Found = tuple[Codes, str]
Proxy = Callable[[Codes], npt.NDArray[np.float64]]  # larger is better
LARGEST_BLOCK = 256
MUTANTS = 64  # made before a draw takes their place


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

    With `proxy`, the best by it of `choices` such codes is taken, of draws and of mutants alike
    (Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021: warm-up and move).
    With `repeats` only the pending ones count as proposed before. A random search for a new code
    gives up after `tries` draws; a space of at most `enumerable` codes is then enumerated, so that
    what remains is found exactly.
    """

    def __init__(
        self,
        codes: RandomCodes,
        *,
        allowed: Allowed | None = None,
        proxy: Proxy | None = None,
        choices: int = 1,
        repeats: bool = False,
        tries: int = 2048,
        enumerable: int = 100_000,
    ) -> None:
        self.codes = codes
        self.space = codes.space
        self.allowed = allowed
        self.proxy = proxy
        self.choices = 1 if proxy is None else choices
        self.repeats = repeats
        self.tries = tries
        self.enumerable = enumerable
        self.enumerated = False
        self._blocked: set[str] = set()
        self._every: list[Found] | None = None

    @property
    def origin(self) -> str:
        """Where a code of `random` comes from, in words."""
        return "random" if self.choices == 1 else f"random, best of {self.choices}"

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
            found = self._drawn()
            if found:
                return self._preferred(found)
        return self._remaining()

    def offered(self, code: Codes) -> str | None:
        """The function key of a code if it may be proposed, else None."""
        key = function_keys(self.space, code[None])[0]
        return key if self._may(code, key) else None

    def mutant(
        self, make: Callable[[], tuple[Codes, int]], *, tries: int = MUTANTS
    ) -> tuple[Found, int] | None:
        """Of the first codes of `tries` from `make` that may be proposed, the preferred one.

        `make` gives a code and its parent's number; returns the code, its key and that number, or
        None where nothing may be proposed.
        """
        if self._empty():
            return None
        found: dict[str, Codes] = {}
        parents: dict[str, int] = {}
        for _ in range(tries):
            code, parent = make()
            key = function_keys(self.space, code[None])[0]
            if key not in found and self._may(code, key):
                found[key], parents[key] = code, parent
                if len(found) == self.choices:
                    break
        if not found:
            return None
        code, key = self._preferred(found)
        return (code, key), parents[key]

    def plan(self) -> dict[str, Any]:
        """The part as the core executes it: fields of a `Plan`."""
        core_part(self, Fresh)
        core_part(self.codes, RandomCodes)
        if self.allowed is not None:
            raise MethodError("the limits of `allowed` are no part of the core")
        if self.proxy is not None:
            raise MethodError("the zero-cost proxy is no part of the core")
        return {
            "repeats": self.repeats,
            "tries": self.tries,
            "small": self._small(),
            "keys": {"sample": self.codes.seed, "order": self._order_seed},
        }

    @property
    def _order_seed(self) -> int:
        """The key of the order in which what is left is listed."""
        return rng.derive(self.codes.seed, "order")

    def _drawn(self) -> dict[str, Codes]:
        """The first `choices` codes by key that may be proposed, or fewer after `tries` draws."""
        found: dict[str, Codes] = {}
        drawn, size = 0, 4
        while drawn < self.tries:
            block = self.codes.peek(size)
            for i, key in enumerate(function_keys(self.space, block)):
                if key not in found and self._may(block[i], key):
                    found[key] = block[i]
                    if len(found) == self.choices:
                        self.codes.taken += i + 1
                        return found
            self.codes.taken += size
            drawn, size = drawn + size, min(4 * size, LARGEST_BLOCK)
        return found

    def _preferred(self, found: dict[str, Codes]) -> Found:
        keys = list(found)
        best = 0
        if self.proxy is not None:
            best = int(np.argmax(self.proxy(np.stack(list(found.values())))))
        return found[keys[best]], keys[best]

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
        codes = codes[rng.Stream(self._order_seed).permutation(len(codes))]
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
            return self.space.genotypes <= self.enumerable
        except SpaceError:
            return False

    def _refuse_if_none_allowed(self) -> None:
        if self.allowed is not None and not self._blocked:
            raise UserError(explain(self.allowed, self.codes.peek(self.tries)))
