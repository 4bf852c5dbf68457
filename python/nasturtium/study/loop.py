"""One run of a study: keep the workers busy, record what they return, stop in good order."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from nasturtium.errors import AlreadyTold, SpaceExhausted, StudyError
from nasturtium.evaluators.base import Evaluator, Result
from nasturtium.study.evaluate import evaluate
from nasturtium.study.records import RunEvent, Trial
from nasturtium.study.schema import CUT, RELEASED
from nasturtium.study.workers import Crash, Pool

if TYPE_CHECKING:
    from nasturtium.study.study import Study

__all__ = ["Loop"]

ASK_LEASE = 3600.0
LEASE = 60.0  # seconds; renewed while the run lives, so that another host may take over after it
POLL = 0.1  # seconds between looks at the clock
FAILURES = ("failed", "crashed")


class Loop:
    """The state of one `Study.run`; its arguments are explained there."""

    def __init__(
        self,
        study: Study,
        evaluator: Evaluator,
        *,
        workers: int,
        trials: int | None,
        until: Callable[[], bool] | None,
        closing: Callable[[], bool] | None,
        notify: Callable[[RunEvent], None] | None,
    ) -> None:
        if workers < 0:
            raise StudyError(f"workers is {workers}, it must not be negative")
        if trials is None and until is None:
            raise StudyError("a run needs an end: give trials or until")
        self._study = study
        self._evaluator = evaluator
        self._workers = workers
        self._trials = trials
        self._until = until
        self._closing = closing
        self._notify = notify
        self._crashes: dict[int, int] = {}
        self._failures = 0
        self._renewed = time.monotonic()
        self._exhausted = False
        self._lease = LEASE if workers else ASK_LEASE  # nobody renews it while this process works

    def run(self, *, timeout: float | None, max_attempts: int, max_failures: int | None) -> None:
        """Run to the end; see `Study.run`."""
        if timeout is not None and not self._workers:
            raise StudyError("timeout needs workers: nothing can end an evaluation in this process")
        self._max_attempts, self._max_failures = max_attempts, max_failures
        for crash in self._study.events("crash"):
            number = crash.payload["number"]
            self._crashes[number] = self._crashes.get(number, 0) + 1
        with _Interrupt() as interrupt, self._leaving():
            if self._workers:
                self._parallel(interrupt, timeout)
            else:
                self._serial(interrupt)

    def _serial(self, interrupt: _Interrupt) -> None:
        while not self._over() and (trial := self._ask()) is not None:
            proposal = trial.proposal
            with interrupt.at_once():
                result = evaluate(
                    self._evaluator, proposal.arch, proposal.fidelity, trial.seed, proposal.stop
                )
            self._record(trial, result)
            interrupt.check()

    def _parallel(self, interrupt: _Interrupt, timeout: float | None) -> None:
        pool: Pool | None = None
        try:
            while not self._over():
                interrupt.check()
                trial = self._ask() if pool is None or pool.idle() else None
                if trial is not None:
                    # The first trial starts the workers: a finished study starts none.
                    pool = pool or Pool(
                        self._evaluator, self._study.space, self._workers, timeout=timeout
                    )
                    pool.submit(trial)
                elif pool is not None and pool.busy():
                    self._collect(pool, POLL, interrupt)
                elif not self._closed() and self._others_run():
                    time.sleep(POLL)
                else:
                    break
                self._renew()
        finally:
            if pool is not None:
                try:
                    with contextlib.suppress(StudyError):
                        self._collect(pool, 0.0, interrupt)
                finally:
                    pool.close()

    def _collect(self, pool: Pool, seconds: float, interrupt: _Interrupt) -> None:
        for trial, outcome in pool.wait(seconds, interrupt.wake):
            if isinstance(outcome, Result):
                self._record(trial, outcome)
            else:
                self._crashed(pool, trial, outcome)

    def _crashed(self, pool: Pool, trial: Trial, crash: Crash) -> None:
        """Give the trial to another worker, or record that it ends its workers."""
        count = self._crashes[trial.number] = self._crashes.get(trial.number, 0) + 1
        self._study.event(
            "crash", {"number": trial.number, "attempt": trial.attempt, "code": crash.code}
        )
        self._say("crash", trial)
        if count >= self._max_attempts:
            self._record(trial, Result("crashed", None, {}, detail=str(crash)))
        elif (again := self._study.retry(trial, lease=LEASE)) is not None:
            pool.submit(again)

    def _over(self) -> bool:
        return self._until is not None and self._until()

    def _closed(self) -> bool:
        return self._closing is not None and self._closing()

    def _ask(self) -> Trial | None:
        if self._exhausted or self._closed():
            return None
        try:
            trial = self._study.ask(trials=self._trials, lease=self._lease)
        except SpaceExhausted:
            self._exhausted = True
            return None
        if trial is not None:
            self._say("asked", trial)
        return trial

    def _record(self, trial: Trial, result: Result) -> None:
        try:
            stored = self._study.tell(trial, result)
        except AlreadyTold:  # another process took the trial for lost and was faster
            return
        self._say("told", trial, stored)
        self._failures = self._failures + 1 if stored.status in FAILURES else 0
        if self._max_failures is not None and self._failures >= self._max_failures:
            reason = stored.detail.strip().splitlines() or ["no detail"]
            raise StudyError(
                f"{self._failures} trials in a row failed, the last with: {reason[-1][:300]}"
            )

    def _others_run(self) -> bool:
        """Whether trials are missing that another process still evaluates."""
        return any(record.owner != self._study.owner for record in self._study.unfinished())

    def _renew(self) -> None:
        if time.monotonic() - self._renewed > LEASE / 4:
            self._study.renew(LEASE)
            self._renewed = time.monotonic()

    def _say(self, kind: str, trial: Trial, result: Result | None = None) -> None:
        if self._notify is not None:
            self._notify(RunEvent(kind, trial.number, trial.attempt, trial.proposal, result))

    @contextlib.contextmanager
    def _leaving(self) -> Iterator[None]:
        """Leave no trial running: cut by the clock, or released by an error or Ctrl-C."""
        state = RELEASED
        try:
            yield
            state = CUT
        finally:
            study = self._study
            mine = [record.number for record in study.unfinished() if record.owner == study.owner]
            if mine:
                study.release(state)
                study.event(state, {"numbers": mine})


class _Interrupt:
    """Ctrl-C: the first asks the loop to stop, or interrupts an evaluation; the second is final."""

    def __init__(self) -> None:
        self._asked = False
        self._now = False
        self._pipe: tuple[int, int] | None = None
        self.wake: tuple[int, ...] = ()

    def __enter__(self) -> _Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._pipe = os.pipe()
            self.wake = self._pipe[:1]
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pipe is not None:
            signal.signal(signal.SIGINT, self._before)
            for end in self._pipe:
                os.close(end)

    def check(self) -> None:
        """Raise KeyboardInterrupt where one was asked for."""
        if self._asked:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let the first Ctrl-C interrupt what runs here."""
        self._now = True
        try:
            self.check()
            yield
        finally:
            self._now = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self._asked = self._asked, True
        if self._now or again:
            raise KeyboardInterrupt
        assert self._pipe is not None
        os.write(self._pipe[1], b"\0")
