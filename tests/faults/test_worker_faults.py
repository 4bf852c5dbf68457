import signal
import time
from pathlib import Path
from typing import Any

import pytest
from study_toys import Chain, Misbehaving, Scored, running, score_of, wait_until

from nasturtium.errors import StudyError
from nasturtium.study import Store, Study
from nasturtium.study import workers as pool_module


def make(folder: Path, name: str = "search") -> Study:
    store = Store.create(folder / "study.db", name, config={})
    return Study(store, Chain(5), seed=11, lag=4)


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("exit", 7, "exit code 7"),
        ("segfault", -signal.SIGSEGV, "SIGSEGV"),
        ("kill", -signal.SIGKILL, "SIGKILL"),
    ],
)
def test_a_trial_that_ends_its_worker_three_times_is_crashed(
    tmp_path: Path, how: str, code: int, words: str
) -> None:
    study = make(tmp_path)
    study.run(Misbehaving(how, str(tmp_path), times=3), workers=1, trials=3)
    records = study.trials()
    assert [record.status for record in records] == ["crashed", "ok", "ok"]
    assert words in records[0].detail
    assert records[0].attempt == 3
    crashes = [event.payload for event in study.events("crash")]
    assert crashes == [{"number": 0, "attempt": n, "code": code} for n in (1, 2, 3)]
    assert len(list(tmp_path.glob("call-*"))) == 5


def test_a_crash_is_tried_again_with_the_same_seed(tmp_path: Path) -> None:
    study = make(tmp_path)
    study.run(Misbehaving("exit", str(tmp_path), times=1), workers=2, trials=6)
    records = study.trials()
    assert [record.status for record in records] == ["ok"] * 6
    assert sorted(record.attempt for record in records) == [1, 1, 1, 1, 1, 2]
    assert [r.score for r in records] == [score_of(r.arch, r.seed) for r in records]
    undisturbed = make(tmp_path, "undisturbed")
    undisturbed.run(Misbehaving("none", str(tmp_path)), workers=0, trials=6)
    assert [r.proposal_text for r in undisturbed.trials()] == [r.proposal_text for r in records]


def test_a_hanging_evaluation_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pool_module.GRACE_SECONDS == 5.0
    monkeypatch.setattr(pool_module, "GRACE_SECONDS", 0.5)
    study = make(tmp_path)
    start = time.monotonic()
    study.run(Misbehaving("hang", str(tmp_path), times=1), workers=1, trials=3, timeout=1.0)
    assert time.monotonic() - start < 30.0
    records = study.trials()
    assert [record.status for record in records] == ["timeout", "ok", "ok"]
    assert 1.5 <= records[0].seconds < 5.0
    assert "limit of 1 s" in records[0].detail
    child = int((tmp_path / "child").read_text())
    assert wait_until(lambda: not running(child))


def test_workers_that_cannot_start_are_not_started_for_ever(tmp_path: Path) -> None:
    study = make(tmp_path)
    with pytest.raises(StudyError, match=r"cannot be read by a worker process.*no such file"):
        study.run(Unreadable(), workers=2, trials=3)
    assert {record.state for record in study.trials()} == {"released"}
    study.run(Scored(), workers=0, trials=3)
    assert [record.state for record in study.trials()] == ["told"] * 3


class Unreadable:
    """Pickles, but does not unpickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return raise_in_worker, ()

    def evaluate(self, *_: Any, **__: Any) -> Any:
        raise AssertionError


def raise_in_worker() -> None:
    raise OSError("no such file")
