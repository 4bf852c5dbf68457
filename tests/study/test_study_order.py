import math
import random
from pathlib import Path
from typing import Any

import pytest
from study_toys import Chain, Scored, Words, score_of

from nasturtium.errors import SpaceExhausted, StudyError
from nasturtium.evaluators.base import Result
from nasturtium.rng import derive
from nasturtium.search.base import Observation
from nasturtium.study import Store, Study, Trial
from nasturtium.study.codec import proposal_text


def make(folder: Path, name: str = "search", lag: int | None = 4, **options: Any) -> Study:
    store = Store.create(folder / "study.db", name, config={})
    return Study(store, Chain(5, **options), seed=11, lag=lag)


def reopen(study: Study, **options: Any) -> Study:
    store = Store.open(study.store.path, study.store.name)
    return Study(store, Chain(5), seed=11, **options)


def result(trial: Trial) -> Result:
    score = score_of(trial.proposal.arch, trial.seed)
    return Result("ok", score, {"params": float(trial.number)}, (score, score))


def expected(count: int, lag: int) -> list[str]:
    """The proposals by the rule itself: number n is made knowing exactly results 0 … n - lag."""
    optimizer, texts = Chain(5), []
    for number in range(count):
        (proposal,) = optimizer.ask(1)
        texts.append(proposal_text(proposal))
        done = number + 1 - lag  # the next one knows results up to this one
        if done >= 0:
            word = Words().parse(str(loads_arch(texts[done])))
            score = score_of(word, derive(11, "trial", done))
            made = Observation(
                done, fresh(texts[done]), "ok", score, {"params": float(done)}, (score, score)
            )
            optimizer.tell([made])
    return texts


def loads_arch(text: str) -> str:
    import json

    return str(json.loads(text)["arch"])


def fresh(text: str) -> Any:
    from nasturtium.study.codec import proposal_from

    return proposal_from(text, Words())  # type: ignore[arg-type]


@pytest.mark.parametrize("lag", [1, 2, 4, 7])
def test_proposals_follow_the_rule_whatever_finishes_first(tmp_path: Path, lag: int) -> None:
    want = expected(40, lag)
    for shuffle in range(3):
        rng = random.Random(shuffle)
        study = make(tmp_path, f"s{shuffle}", lag)
        flying: list[Trial] = []
        while len(study.trials()) < 40 or flying:
            trial = study.ask(trials=40)
            if trial is not None:
                flying.append(trial)
                assert len(flying) <= lag
            if flying and (trial is None or rng.random() < 0.4):
                done = flying.pop(rng.randrange(len(flying)))
                study.tell(done, result(done))
        assert [record.proposal_text for record in study.trials()] == want
        assert [record.number for record in study.trials()] == list(range(40))


def test_the_lag_blocks(tmp_path: Path) -> None:
    study = make(tmp_path, lag=3)
    trials = [study.ask() for _ in range(3)]
    assert all(trials)
    assert study.ask() is None
    assert trials[1] is not None
    assert trials[0] is not None
    study.tell(trials[1], result(trials[1]))
    assert study.ask() is None  # result 0 is the one that is missing
    study.tell(trials[0], result(trials[0]))
    fourth, fifth = study.ask(), study.ask()
    assert fourth is not None
    assert fifth is not None
    assert (fourth.number, fifth.number) == (3, 4)
    assert study.ask() is None


def test_replay_and_stored_state_give_the_same_next_proposals(tmp_path: Path) -> None:
    study = make(tmp_path)
    study.run(Scored(), workers=0, trials=150)
    states = study.events("state")
    assert [event.payload["known"] for event in states] == [64, 128]
    one, two = reopen(study), reopen(study, replay=True)
    assert one._optimizer.told == list(range(128, 146))  # type: ignore[attr-defined]
    assert two._optimizer.told == list(range(146))  # type: ignore[attr-defined]
    following = []
    for again in (one, two):
        folder = tmp_path / f"copy{len(following)}"
        folder.mkdir()
        for file in tmp_path.glob("study.db*"):
            (folder / file.name).write_bytes(file.read_bytes())
        copied = Study(
            Store.open(folder / "study.db", "search"), Chain(5), seed=11, replay=again is two
        )
        copied.run(Scored(), workers=0, trials=180)
        following.append([record.proposal_text for record in copied.trials()])
    assert following[0] == following[1]
    undisturbed = make(tmp_path, "undisturbed")
    undisturbed.run(Scored(), workers=0, trials=180)
    assert [record.proposal_text for record in undisturbed.trials()] == following[0]


def test_unfinished_trials_come_again_with_number_and_seed(tmp_path: Path) -> None:
    study = make(tmp_path)
    first, second = study.ask(), study.ask()
    assert first is not None
    assert second is not None
    study.tell(first, result(first))
    other = reopen(study)
    taken = other.ask()
    assert taken is not None
    assert taken.number == 2  # the owner of trial 1 is alive
    del study, other
    again = reopen_path(tmp_path)
    got = again.ask()
    assert got is not None
    assert (got.number, got.seed, got.proposal) == (second.number, second.seed, second.proposal)
    assert got.attempt == 2
    third = again.ask()
    assert third is not None
    assert (third.number, third.attempt) == (2, 2)
    fourth = again.ask()
    assert fourth is not None
    assert (fourth.number, fourth.attempt) == (3, 1)


def reopen_path(folder: Path) -> Study:
    return Study(Store.open(folder / "study.db", "search"), Chain(5), seed=11)


def test_a_lease_that_ran_out_frees_the_trial(tmp_path: Path) -> None:
    study = make(tmp_path)
    short, long = study.ask(lease=-1.0), study.ask(lease=1000.0)
    assert short is not None
    assert long is not None
    other = reopen(study)
    got = other.ask()
    assert got is not None
    assert (got.number, got.attempt) == (0, 2)
    new = other.ask()
    assert new is not None
    assert (new.number, new.attempt) == (2, 1)
    study.tell(short, Result("ok", 0.5))  # late, but first
    with pytest.raises(StudyError, match="told before"):
        other.tell(got, Result("ok", 0.75))


def test_two_studies_on_one_record_share_the_work(tmp_path: Path) -> None:
    one = make(tmp_path)
    two = reopen(one)
    while True:
        moved = False
        for study in (one, two):
            trial = study.ask(trials=60)
            if trial is not None:
                study.tell(trial, result(trial))
                moved = True
        if not moved:
            break
    assert [record.proposal_text for record in one.trials()] == expected(60, 4)


def test_what_does_not_belong_to_the_record_is_refused(tmp_path: Path) -> None:
    study = make(tmp_path, lag=3)
    study.run(Scored(), workers=0, trials=10)
    assert reopen(study).lag == 3
    store = study.store
    with pytest.raises(StudyError, match="begun with seed 11, not 12"):
        Study(store, Chain(5), seed=12)
    with pytest.raises(StudyError, match="begun with lag 3, not 5"):
        Study(store, Chain(5), seed=11, lag=5)
    with pytest.raises(StudyError, match="begun with space words, not letters"):
        Study(store, Chain(5, space=Words("letters")), seed=11)
    with pytest.raises(StudyError, match="trial 0 was words:") as caught:
        Study(store, Chain(6), seed=11)
    assert "\n" not in str(caught.value)
    assert len(study.trials()) == 10


def test_the_end_of_the_space_ends_the_run(tmp_path: Path) -> None:
    study = make(tmp_path, limit=6)
    study.run(Scored(), workers=0, trials=50)
    assert [record.state for record in study.trials()] == ["told"] * 6
    with pytest.raises(SpaceExhausted):
        study.ask()
    assert study._optimizer.told == [0, 1, 2]  # type: ignore[attr-defined]


def test_scores_that_are_no_numbers_fail_and_are_kept(tmp_path: Path) -> None:
    study = make(tmp_path, lag=20)
    scores = [math.nan, math.inf, -math.inf, None, 0.5]
    for score in scores:
        trial = study.ask()
        assert trial is not None
        study.tell(trial, Result("ok", score))
    records = study.trials()
    assert [record.status for record in records] == ["failed"] * 4 + ["ok"]
    assert repr([record.score for record in records]) == repr(scores)
    best = study.best()
    assert best is not None
    assert best.number == 4
    assert study.best(fidelity={"epochs": 99}) is None
    trial = study.ask()
    assert trial is not None
    with pytest.raises(StudyError, match="score"):
        study.tell(trial, Result("ok", "abc"))  # type: ignore[arg-type]
    study.tell(trial, Result("ok", 0.5))  # nothing was recorded before


def test_the_earliest_of_the_best_wins(tmp_path: Path) -> None:
    study = make(tmp_path, lag=5)
    for score in (0.25, 0.75, 0.75, 0.5):
        trial = study.ask()
        assert trial is not None
        study.tell(trial, Result("ok", score))
    best = study.best()
    assert best is not None
    assert best.number == 1
