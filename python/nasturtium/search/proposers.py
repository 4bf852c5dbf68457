"""Proposers: what to evaluate next, given the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium import rng
from nasturtium.bookkeeping import AgeingQueue, Rungs, tournament
from nasturtium.errors import MethodError, SpaceExhausted
from nasturtium.search.base import Codes
from nasturtium.search.history import WORST, Draft, History, Trial
from nasturtium.search.plan import core_part
from nasturtium.search.sampling import MUTANTS, Fresh, Mutation

__all__ = ["KNOWN", "Ageing", "Halving", "Random", "Rank", "by_rung", "by_score"]

Rank = tuple[float, ...]
KNOWN = "known design"  # the origin of a start


def by_score(trial: Trial) -> Rank:
    """Rank by the score alone; a failed trial is last."""
    return (WORST if trial.score is None else trial.score,)


def by_rung(trial: Trial) -> Rank:
    """Rank by the fidelity, then the score, then fewer parameters."""
    if trial.score in (None, WORST):
        return (-1.0, WORST, 0.0)
    return (float(trial.rung), *by_score(trial), -trial.params)


class Random:
    """Every proposal is a new random code at `rung`; before them come `starts`, uint8[n, d].

    A start that the limits refuse, or whose function was proposed before, is left out.
    """

    def __init__(self, fresh: Fresh, *, rung: int = 0, starts: Codes | None = None) -> None:
        self.fresh = fresh
        self.rung = rung
        self.starts = [] if starts is None else list(starts)
        self.started = 0

    def propose(self, history: History) -> Draft:
        while self.started < len(self.starts):
            code = self.starts[self.started]
            self.started += 1
            if (key := self.fresh.offered(code)) is not None:
                return Draft(code, key, self.rung, KNOWN)
        code, key = self.fresh.random()
        return Draft(code, key, self.rung, self.fresh.origin)

    def asked(self, trial: Trial) -> None:
        self.fresh.proposed(trial.key)

    def told(self, trial: Trial) -> None:
        self.fresh.told(trial.key)

    def counters(self) -> dict[str, int]:
        return {
            "sample": self.fresh.codes.taken,
            "enumerated": int(self.fresh.enumerated),
            "starts": self.started,
        }

    def restore(self, counters: Mapping[str, int], history: History) -> None:
        self.rewind(counters)
        self.fresh.sync(history)

    def rewind(self, counters: Mapping[str, int]) -> None:
        self.fresh.codes.taken = counters["sample"]
        self.fresh.enumerated = bool(counters["enumerated"])
        self.started = counters["starts"]

    def plan(self) -> dict[str, Any]:
        """The part as the core executes it: fields of a `Plan`."""
        core_part(self, Random)
        return {
            **self.fresh.plan(),
            "rung": self.rung,
            "starts": tuple(bytes(code) for code in self.starts),
        }


class Ageing:
    """Regularized evolution at the lowest rung.

    The first `initial` proposals are random. Afterwards the best by rank of `sample` members,
    drawn with replacement, is mutated; every told trial is born into a queue of `population`
    members, whose oldest dies. Where no mutant may be proposed, and for a share `explore` of the
    proposals, a random code is.
    """

    def __init__(
        self,
        random: Random,
        mutation: Mutation,
        *,
        seed: int,
        population: int,
        sample: int,
        initial: int,
        explore: float = 0.0,
        rank: Callable[[Trial], Rank] = by_score,
    ) -> None:
        self.random = random
        self.mutation = mutation
        self.seed = rng.derive(seed, "select")
        self.selected = 0
        self.explorer = rng.Stream(rng.derive(seed, "explore"))
        self.population = population
        self.sample = sample
        self.initial = initial
        self.explore = explore
        self.rank = rank
        self.queue = AgeingQueue(population)
        self.ranks: dict[int, Rank] = {}
        self.made = 0

    def propose(self, history: History) -> Draft:
        if self.made < self.initial or not len(self.queue):
            return self.random.propose(history)
        if self.explore and float(self.explorer.uniform(1)[0]) < self.explore:
            return self.random.propose(history)
        members = self.queue.members.tolist()
        scores = _places([self.ranks[member] for member in members])

        def child() -> tuple[Codes, int]:
            (row,) = tournament(scores, 1, size=self.sample, seed=self.seed, start=self.selected)
            self.selected += 1
            parent: int = members[row]
            return self.mutation(history.trials[parent].code), parent

        found = self.random.fresh.mutant(child)
        if found is None:
            return self.random.propose(history)
        (code, key), parent = found
        return Draft(code, key, self.random.rung, f"mutant of {parent}", parent)

    def asked(self, trial: Trial) -> None:
        self.random.asked(trial)
        self.made += 1

    def told(self, trial: Trial) -> None:
        self.random.told(trial)
        self.ranks[trial.number] = self.rank(trial)
        gone = self.queue.born(trial.number)
        if gone is not None:
            del self.ranks[gone]

    def raised(self, number: int, trial: Trial) -> None:
        """Member `number` has the result `trial` of a higher rung: it counts if it is better."""
        if number in self.ranks:
            self.ranks[number] = max(self.ranks[number], self.rank(trial))

    def counters(self) -> dict[str, int]:
        return {
            **self.random.counters(),
            "mutate": self.mutation.taken,
            "select": self.selected,
            "explore": self.explorer.counter,
        }

    def restore(self, counters: Mapping[str, int], history: History) -> None:
        self.random.restore(counters, history)
        self.rewind(counters)
        self.queue = AgeingQueue(self.population)
        self.ranks = {}
        self.made = sum(t.rung == self.random.rung for t in history.trials)
        for trial in history.in_order_told():
            if trial.rung == self.random.rung:
                self.told(trial)

    def rewind(self, counters: Mapping[str, int]) -> None:
        self.random.rewind(counters)
        self.mutation.taken = counters["mutate"]
        self.selected = counters["select"]
        self.explorer.counter = counters["explore"]

    def plan(self) -> dict[str, Any]:
        """The part as the core executes it: fields of a `Plan`."""
        core_part(self, Ageing)
        core_part(self.mutation, Mutation)
        core_part(self.queue, AgeingQueue)
        if self.rank not in (by_score, by_rung):
            raise MethodError(f"the rank {self.rank!r} is no part of the core")
        below = self.random.plan()
        keys = {
            "mutate": self.mutation.seed,
            "select": self.seed,
            "explore": self.explorer.seed,
        }
        return {
            **below,
            "population": self.population,
            "sample": self.sample,
            "initial": self.initial,
            "mutants": MUTANTS,
            "explore": self.explore,
            "by_rung": self.rank is by_rung,
            "keys": {**below["keys"], **keys},
        }


class Halving:
    """Promotions by `rungs` first; where nothing may rise, `below` fills the lowest rung.

    `etas` are the reduction factors between the rungs. Once the space runs out, what is left of
    the rungs rises as well, the best first.
    """

    def __init__(self, below: Ageing, etas: Sequence[int]) -> None:
        self.below = below
        self.etas = tuple(etas)
        self.rungs = Rungs(self.etas, width=2)
        self._first: dict[str, int] = {}

    def propose(self, history: History) -> Draft:
        rising = self.rungs.next()
        if rising is None:
            before = self.below.counters()
            try:
                return self.below.propose(history)
            except SpaceExhausted:
                self.below.rewind(before)
                rising = self.rungs.next(every=True)
                if rising is None:
                    raise
        number, rung = rising
        trial = history.trials[number]
        return Draft(trial.code, trial.key, rung + 1, f"promotion of {number}", number)

    def asked(self, trial: Trial) -> None:
        if trial.rung and trial.parent is not None:
            self.rungs.promote(trial.parent, trial.rung - 1)
        else:
            self._first[trial.key] = trial.number
            self.below.asked(trial)

    def told(self, trial: Trial) -> None:
        self._stand(trial)
        if trial.rung:
            self.below.raised(self._first[trial.key], trial)
        else:
            self.below.told(trial)

    def counters(self) -> dict[str, int]:
        return self.below.counters()

    def rewind(self, counters: Mapping[str, int]) -> None:
        self.below.rewind(counters)

    def restore(self, counters: Mapping[str, int], history: History) -> None:
        self.below.restore(counters, history)
        self.rungs = Rungs(self.etas, width=2)
        self._first = {t.key: t.number for t in history.trials if not t.rung}
        for trial in history.in_order_told():
            self._stand(trial)
            if trial.rung:
                self.below.raised(self._first[trial.key], trial)
        for trial in history.trials:
            if trial.rung and trial.parent is not None:
                self.rungs.promote(trial.parent, trial.rung - 1)

    def plan(self) -> dict[str, Any]:
        """The part as the core executes it: fields of a `Plan`."""
        core_part(self, Halving)
        core_part(self.rungs, Rungs)
        return {**self.below.plan(), "halving": True, "etas": self.etas}

    def _stand(self, trial: Trial) -> None:
        failed = trial.score in (None, WORST)
        self.rungs.add(trial.rung, trial.number, None if failed else by_rung(trial)[1:])


def _places(ranks: Iterable[Rank]) -> NDArray[np.float64]:
    """The place of each rank among the distinct ones, 0 the worst."""
    listed = list(ranks)
    place = {rank: float(i) for i, rank in enumerate(sorted(set(listed)))}
    return np.array([place[rank] for rank in listed])
