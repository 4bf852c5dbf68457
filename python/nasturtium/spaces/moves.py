"""The random moves of a space on batches of codes, and the neighbors of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nasturtium.errors import SpaceError, nearest
from nasturtium.spaces.declaration import Codes, Declaration

_CROSSOVERS = ("uniform", "one_point", "stages", "aligned")


class Moves(Declaration):
    """What draws, changes and mixes the codes of a `Space`."""

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
