import gc
import math
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from study_toys import Chain

from nasturtium.errors import AlreadyTold
from nasturtium.evaluators.base import Result
from nasturtium.study import Store, Study, Trial
from nasturtium.study.codec import proposal_text, settle

LAG = 3

results = st.builds(
    Result,
    st.sampled_from(["ok", "ok", "ok", "failed", "stopped", "timeout", "crashed"]),
    st.none() | st.floats(),
    st.dictionaries(st.text(max_size=3), st.floats(), max_size=2),
    st.lists(st.floats(), max_size=2).map(tuple),
)


class StudyMachine(RuleBasedStateMachine):
    """A study against dictionaries: what was asked, what was told, who holds what."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = Store.create(self.folder / "study.db", "search", config={})
        self.study = Study(self.store, Chain(5), seed=11, lag=LAG)
        self.asked: dict[int, Trial] = {}  # the trial as it was given out last
        self.told: dict[int, Result] = {}
        self.lost: set[int] = set()  # given out by a study that is gone
        self.late: list[Trial] = []  # held by somebody who does not know that it was lost
        self.model = Chain(5)
        self.known = 0

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def next_proposal(self) -> str | None:
        """What the optimizer must propose, by the rule of the lag; None where it must wait."""
        need = len(self.asked) - LAG + 1
        if any(number not in self.told for number in range(need)):
            return None
        from nasturtium.search.base import Observation

        while self.known < need:
            told, proposal = self.told[self.known], self.asked[self.known].proposal
            seen = Observation(
                self.known, proposal, told.status, told.score, told.values, told.curve
            )
            self.model.tell([seen])
            self.known += 1
        return proposal_text(self.model.ask(1)[0])

    @rule()
    def ask(self) -> None:
        trial = self.study.ask()
        if self.lost:
            number = min(self.lost)
            before = self.asked[number]
            assert trial == Trial(number, before.seed, before.proposal, before.attempt + 1)
            self.lost.discard(number)
        else:
            want = self.next_proposal()
            assert (trial is None) == (want is None)
            if trial is None:
                return
            assert (trial.number, trial.attempt) == (len(self.asked), 1)
            assert proposal_text(trial.proposal) == want
        self.asked[trial.number] = trial

    @precondition(lambda self: self.open())
    @rule(data=st.data(), result=results)
    def tell(self, data: st.DataObject, result: Result) -> None:
        number = data.draw(st.sampled_from(self.open()))
        stored = self.study.tell(self.asked[number], result)
        self.told[number] = settle(result)
        assert repr(stored) == repr(self.told[number])

    @precondition(lambda self: self.late)
    @rule(data=st.data(), result=results)
    def tell_late(self, data: st.DataObject, result: Result) -> None:
        trial = self.late.pop(data.draw(st.integers(0, len(self.late) - 1)))
        if trial.number in self.told:
            with pytest.raises(AlreadyTold):
                self.study.tell(trial, result)
            return
        self.study.tell(trial, result)
        self.told[trial.number] = settle(result)
        self.lost.discard(trial.number)

    @precondition(lambda self: self.told)
    @rule(data=st.data(), result=results)
    def tell_twice(self, data: st.DataObject, result: Result) -> None:
        number = data.draw(st.sampled_from(sorted(self.told)))
        with pytest.raises(AlreadyTold) as caught:
            self.study.tell(self.asked[number], result)
        assert repr(caught.value.stored) == repr(self.told[number])

    @rule(replay=st.booleans())
    def crash_and_reopen(self, replay: bool) -> None:
        open_now = self.open()
        self.late += [self.asked[number] for number in open_now]
        self.lost |= set(open_now)
        del self.study
        gc.collect()  # tracebacks of expected errors hold it
        self.store.close()
        self.store = Store.open(self.folder / "study.db", "search")
        self.study = Study(self.store, Chain(5), seed=11, replay=replay)

    @invariant()
    def the_record_says_the_same(self) -> None:
        records = self.store.trials()
        assert [record.number for record in records] == list(range(len(self.asked)))
        assert {r.number: repr(r.result) for r in records if r.result is not None} == {
            number: repr(result) for number, result in self.told.items()
        }
        assert all(record.seed == self.asked[record.number].seed for record in records)
        scores = [
            (result.score, -number)
            for number, result in self.told.items()
            if result.status == "ok" and result.score is not None and math.isfinite(result.score)
        ]
        best = self.study.best()
        assert (best and -best.number) == (max(scores)[1] if scores else None)

    def open(self) -> list[int]:
        return sorted(set(self.asked) - set(self.told) - self.lost)


TestStudy = StudyMachine.TestCase
TestStudy.settings = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
