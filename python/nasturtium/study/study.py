"""The study: asks the optimizer, gives trials out, tells the results back, in a fixed order."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from nasturtium.errors import SpaceExhausted, StudyError
from nasturtium.evaluators.base import Evaluator, Result
from nasturtium.rng import derive
from nasturtium.search.base import Observation, Optimizer, Proposal
from nasturtium.spaces import Space
from nasturtium.study.codec import proposal_from, proposal_text, settle
from nasturtium.study.owner import is_gone, new_owner
from nasturtium.study.records import Event, RunEvent, Trial, TrialRecord
from nasturtium.study.store import Store

__all__ = ["Study"]

DEFAULT_LAG = 4
ASK_LEASE = 3600.0
SAVE_EVERY = 64
LOOK_EVERY = 1.0  # seconds between looks for trials that lost their process


class Study:
    """A search that is on disk at any moment and can be taken up again by any process.

    Proposal `n` is made when the optimizer knows exactly the results 0 … n - lag, told in trial
    order, whatever finished first; so proposals are a function of `seed` and the results. An
    existing record is taken up: the optimizer, which must be new and made with the arguments of
    the first time, is brought to where it was, from its last stored state (or, with
    `replay=True`, from the beginning), and every proposal that it makes again must equal the
    recorded one.

    Arguments:
        store: the record.
        optimizer: a new optimizer.
        seed: of the study; a trial's seed is derived from it and the trial's number.
        lag: at least 1; at most `lag` trials are unfinished at a time. 4, or what the record says.
        space: where the optimizer has no attribute `space`.
        replay: rebuild the optimizer by replay alone.

    Raises StudyError where the record belongs to another seed, lag, space or method.
    """

    def __init__(
        self,
        store: Store,
        optimizer: Optimizer,
        *,
        seed: int,
        lag: int | None = None,
        space: Space | None = None,
        replay: bool = False,
    ) -> None:
        if lag is not None and lag < 1:
            raise StudyError(f"lag is {lag}, it must be at least 1")
        found = space if space is not None else getattr(optimizer, "space", None)
        if found is None:
            raise StudyError("the optimizer has no attribute space; pass space= to the study")
        self.store = store
        self.space: Space = found
        self.seed = seed
        self.lag = self._begin(lag)
        self.owner = new_owner(self)
        self._optimizer = optimizer
        self._lock = threading.RLock()
        self._asked = 0  # proposals that the optimizer has made and the record holds
        self._known = 0  # results that the optimizer has been told
        self._saved = 0  # of them, how many the last stored state knows
        self._drawn: Proposal | None = None  # made, but not recorded yet
        self._exhausted: SpaceExhausted | None = None
        self._look_again = 0.0
        self._results: dict[int, Observation] = {}  # told out of order, so not known yet
        self._rebuild(replay)

    def ask(self, *, trials: int | None = None, lease: float = ASK_LEASE) -> Trial | None:
        """The next trial to evaluate, on disk before it is returned.

        Trials that lost their process come first, with their number and seed. None where results
        that the lag needs are missing, or where the study has `trials` trials. A trial that is
        not told within `lease` seconds may be given out again. Raises SpaceExhausted where the
        optimizer has no more proposals.
        """
        with self._lock:
            until = time.time() + lease
            if time.monotonic() >= self._look_again:
                if (lost := self._lost_trial(until)) is not None:
                    return lost
                self._look_again = time.monotonic() + LOOK_EVERY
            return self._new_trial(trials, until) or self._lost_trial(until)

    def tell(self, trial: Trial, result: Result) -> Result:
        """Record a trial's result, exactly once, and return it as it was stored.

        An "ok" without a finite score is stored as "failed". Raises AlreadyTold, with the stored
        result, where the trial has one; the study is unchanged then.
        """
        settled = settle(result)
        self.store.tell(trial.number, settled, attempt=trial.attempt)
        with self._lock:
            if trial.number >= self._known:
                self._results[trial.number] = _observation(trial.number, trial.proposal, settled)
        return settled

    def retry(self, trial: Trial, *, lease: float = ASK_LEASE) -> Trial | None:
        """A trial of this study's once more, as its next attempt; None where others took it."""
        found = self.store.trials(start=trial.number, most=1)
        if not found or found[0].owner != self.owner:
            return None
        if not self.store.claim(found[0], owner=self.owner, lease=time.time() + lease):
            return None
        return Trial(trial.number, trial.seed, trial.proposal, found[0].attempt + 1)

    def run(
        self,
        evaluator: Evaluator,
        *,
        workers: int = 2,
        trials: int | None = None,
        until: Callable[[], bool] | None = None,
        closing: Callable[[], bool] | None = None,
        on_event: Callable[[RunEvent], None] | None = None,
        timeout: float | None = None,
        max_attempts: int = 3,
        max_failures: int | None = 10,
    ) -> None:
        """Evaluate until the study has `trials` results, `until()` is true or nothing is left.

        Arguments:
            evaluator: evaluates one trial; it travels to each worker process once.
            workers: spawned processes with one thread each; 0 evaluates here.
            trials: how many the study shall have, those of earlier runs included.
            until: the clock; when it says true, trials in flight are cut (a later run takes them
                up again).
            closing: once it says true, no trial is given out any more, and the run ends with those
                in flight.
            on_event: called here with a `RunEvent` after each record.
            timeout: seconds for one evaluation; 5 seconds later its processes are killed and the
                trial has status "timeout". Needs workers.
            max_attempts: a trial whose worker dies so many times has status "crashed".
            max_failures: so many failed trials in a row raise StudyError.

        Ctrl-C records what is done, releases what is not and raises KeyboardInterrupt; a second
        one raises it at once.
        """
        from nasturtium.study.loop import Loop

        loop = Loop(
            self,
            evaluator,
            workers=workers,
            trials=trials,
            until=until,
            closing=closing,
            notify=on_event,
        )
        loop.run(timeout=timeout, max_attempts=max_attempts, max_failures=max_failures)

    def unfinished(self) -> list[TrialRecord]:
        """The trials without a result, by number."""
        return self.store.unfinished(start=self._known)

    def release(self, state: str) -> int:
        """Give up all trials that this study holds; returns how many."""
        return self.store.release(self.owner, state, start=self._known)

    def renew(self, lease: float) -> int:
        """Hold all trials that this study holds for `lease` seconds from now; returns how many."""
        return self.store.renew(self.owner, time.time() + lease, start=self._known)

    def trials(self) -> list[TrialRecord]:
        """All trials, by number."""
        return self.store.trials()

    def best(self, *, fidelity: Mapping[str, int] | None = None) -> TrialRecord | None:
        """The trial with the highest score, the earliest of equals; of one fidelity if given."""
        done = [
            (record.score, -record.number, record)
            for record in self.trials()
            if record.status == "ok" and record.score is not None and math.isfinite(record.score)
            if fidelity is None or dict(record.fidelity) == dict(fidelity)
        ]
        return max(done)[2] if done else None

    def event(self, kind: str, payload: object) -> None:
        """Append to the record something that was decided, e.g. from a measured time."""
        self.store.event(kind, payload)

    def events(self, kind: str | None = None) -> list[Event]:
        """The recorded events, oldest first."""
        return self.store.events(kind)

    def _begin(self, lag: int | None) -> int:
        mine = {"seed": self.seed, "space": self.space.name, "fingerprint": self.space.fingerprint}
        begun = self.store.events("begin")
        if not begun:
            self.store.event("begin", mine | {"lag": DEFAULT_LAG if lag is None else lag})
            begun = self.store.events("begin")
        stored = begun[0].payload  # of several processes that begin at once, the first counts
        here = mine | ({} if lag is None else {"lag": lag})
        for name, value in here.items():
            if stored[name] != value:
                raise StudyError(
                    f'{self.store.path}: the study "{self.store.name}" was begun with {name} '
                    f"{stored[name]}, not {value}; resume it as it was begun, or start a new run"
                )
        return int(stored["lag"])

    def _rebuild(self, replay: bool) -> None:
        state = None if replay else self.store.last_event("state")
        if state is not None:
            self._optimizer.load(state.payload["state"])
            self._asked = state.payload["asked"]
            self._known = self._saved = state.payload["known"]
        while page := self.store.trials(start=self._asked, most=1000):
            for record in page:
                self._repeat(record)

    def _repeat(self, record: TrialRecord) -> None:
        """Bring the optimizer past a proposal that the record holds."""
        if record.number != self._asked:
            raise StudyError(f"{self.store.path}: trial {self._asked} is missing from the record")
        proposal = self._draw()
        if proposal is None:
            raise StudyError(
                f"{self.store.path}: a result that trial {record.number} needs is missing"
            )
        if proposal_text(proposal) != record.proposal_text:
            raise StudyError(
                f"{self.store.path}: trial {record.number} was {record.arch}, the optimizer now "
                f"proposes {proposal.arch}; resume with the method, limits and version of the run"
            )
        self._asked += 1
        self._drawn = None

    def _lost_trial(self, until: float) -> Trial | None:
        """Take up a trial that lost its process."""
        for record in self.unfinished():
            free = record.owner != self.owner and (
                not record.owner or is_gone(record.owner) or record.lease < time.time()
            )
            if free and self.store.claim(record, owner=self.owner, lease=until):
                proposal = proposal_from(record.proposal_text, self.space)
                return Trial(record.number, record.seed, proposal, record.attempt + 1)
        return None

    def _new_trial(self, trials: int | None, until: float) -> Trial | None:
        while trials is None or self._asked < trials:
            number = self._asked
            proposal = self._draw()
            if proposal is None:
                return None
            seed = derive(self.seed, "trial", number)
            text = proposal_text(proposal)
            if self.store.add(number, seed, text, owner=self.owner, lease=until):
                self._asked += 1
                self._drawn = None
                self._save()
                return Trial(number, seed, proposal, 1)
            for record in self.store.trials(start=number):  # another process was faster
                self._repeat(record)
        return None

    def _draw(self) -> Proposal | None:
        """Proposal number `_asked`; None where results are missing."""
        if self._exhausted is not None:
            raise self._exhausted
        if self._drawn is None and self._learn(self._asked - self.lag + 1):
            try:
                made = self._optimizer.ask(1)
            except SpaceExhausted as error:
                self._exhausted = error
                raise
            if not made:
                self._exhausted = SpaceExhausted("the optimizer has no more proposals")
                raise self._exhausted
            self._drawn = made[0]
        return self._drawn

    def _learn(self, count: int) -> bool:
        """Tell the optimizer results until it knows `count`; False where one is missing."""
        while self._known < count:
            if self._known not in self._results:
                self._fetch(count)
            observation = self._results.pop(self._known, None)
            if observation is None:
                return False
            self._optimizer.tell([observation])
            self._known += 1
        return True

    def _fetch(self, count: int) -> None:
        """Read results that this process did not tell itself."""
        for record in self.store.trials(start=self._known, most=max(count - self._known, 256)):
            if record.result is not None:
                proposal = proposal_from(record.proposal_text, self.space)
                observation = _observation(record.number, proposal, record.result)
                self._results[record.number] = observation

    def _save(self) -> None:
        """Store the optimizer's state now and then: a resume replays at most a third."""
        if self._known - self._saved >= max(SAVE_EVERY, self._saved // 2):
            state = self._optimizer.state()
            payload = {"asked": self._asked, "known": self._known, "state": state}
            self.store.event("state", payload)
            self._saved = self._known


def _observation(number: int, proposal: Proposal, result: Result) -> Observation:
    values: dict[str, Any] = dict(result.values)
    return Observation(number, proposal, result.status, result.score, values, result.curve)
