"""The record of a run: its studies, its phases, and what was decided on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from nasturtium.evaluators import Evaluator
from nasturtium.job.clock import Clock
from nasturtium.job.config import SearchConfig
from nasturtium.job.progress import Progress, TrialSeen
from nasturtium.job.select import best_trial
from nasturtium.report.data import fidelity_text
from nasturtium.rng import derive
from nasturtium.search import Optimizer
from nasturtium.study import RunEvent, Store, Study, TrialRecord

Over = Callable[[float], bool]
T = TypeVar("T")

SEARCH, RANDOM, FINAL = "search", "random_search", "final"


class Record:
    """What a run keeps, so that a later session goes on where it was; it tells `progress` of it.

    `seconds` are those of the phases that have ended, by name.
    """

    def __init__(
        self, store: Store, clock: Clock, progress: Progress, config: SearchConfig
    ) -> None:
        self.seconds: dict[str, float] = {}
        self._store = store
        self._clock = clock
        self._progress = progress
        self._config = config

    def once(self, name: str, decide: Callable[[], T]) -> T:
        """What an earlier session decided, or what is decided now and recorded: a JSON value."""
        stored = self._store.last_event(name)
        if stored is not None:
            decided: T = stored.payload
            return decided
        value = decide()
        self._store.event(name, value)
        return value

    @contextmanager
    def phase(self, name: str, seconds: float | None = None) -> Iterator[Over | None]:
        """A phase that may take `seconds` from when it first began; yields its clock.

        The clock says whether the phase is over, or will be in so many seconds, or was before.
        """
        key = name.replace(" ", "_")
        begun = self._elapsed_at("phase", key)
        if begun is None:
            begun = self._clock.elapsed()
            self._store.event("phase", {"name": key, "elapsed": begun})
        # A number of trials may have been raised since the phase ended.
        ended = None if self._config.trials is not None else self._elapsed_at("phase_end", key)
        self._progress.phase(name, seconds)
        ends = None if seconds is None else begun + seconds
        if ended is not None:
            yield lambda _: True
        else:
            yield None if ends is None else lambda ahead: self._clock.elapsed() + ahead >= ends
            ended = self._clock.elapsed()
            self._store.event("phase_end", {"name": key, "elapsed": ended})
        self.seconds[key] = ended - begun

    def _elapsed_at(self, kind: str, phase: str) -> float | None:
        """The time of the run at the first such event of a phase."""
        events = (e.payload for e in self._store.events(kind))
        return next((float(e["elapsed"]) for e in events if e["name"] == phase), None)

    def trials(self, study: str) -> list[TrialRecord]:
        """The trials of one of the run's studies; none where it was not begun."""
        if study not in Store.studies(self._store.path):
            return []
        with Store.open(self._store.path, study) as store:
            return store.trials()

    def study(self, name: str, optimizer: Optimizer, **more: Any) -> Study:
        """The run's study of that name: as it was left, or a new one."""
        if name in Store.studies(self._store.path):
            store = Store.open(self._store.path, name)
        else:
            store = Store.create(self._store.path, name, config={})
        return Study(store, optimizer, seed=derive(self._config.seed, name), **more)

    def run(
        self,
        study: Study,
        evaluator: Evaluator,
        *,
        workers: int,
        trials: int | None,
        total: int | None = None,
        until: Callable[[], bool] | None = None,
        closing: Callable[[], bool] | None = None,
    ) -> None:
        """`Study.run`; of `total` trials that there will be where `trials` is not all of them."""
        study.run(
            evaluator,
            workers=workers,
            trials=trials,
            until=until,
            closing=closing,
            on_event=self._listener(study, total or trials),
        )

    def _listener(self, study: Study, total: int | None) -> Callable[[RunEvent], None]:
        name = study.store.name
        best: list[TrialRecord | None] = [best_trial(study.trials())]

        def listen(event: RunEvent) -> None:
            if event.kind != "told" or event.result is None:
                return
            score, old = event.result.score, best[0]
            if score is not None and (old is None or score > (old.score or -float("inf"))):
                best[0] = best_trial(study.trials())
            seen = TrialSeen(
                study=name.replace("_", " "),
                number=event.number,
                status=event.result.status,
                score=score if name != FINAL else None,
                best=None if best[0] is None or name == FINAL else best[0].score,
                fidelity=fidelity_text(event.proposal.fidelity),
                total=total,
            )
            self._progress.trial(seen, self._clock.left())

        return listen
