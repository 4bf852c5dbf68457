import multiprocessing
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from study_toys import Chain, Misbehaving, Returning, Scored, score_of

from nasturtium.errors import StudyError
from nasturtium.evaluators.base import Evaluator, Result
from nasturtium.study import RunEvent, Store, Study


def make(folder: Path, name: str = "search", *, lag: int = 4, **options: Any) -> Study:
    return Study(
        Store.create(folder / "study.db", name, config={}), Chain(5, **options), seed=11, lag=lag
    )


def proposals(study: Study) -> list[str]:
    return [record.proposal_text for record in study.trials()]


def test_workers_give_what_one_process_gives(tmp_path: Path) -> None:
    serial, parallel = make(tmp_path, "serial"), make(tmp_path, "parallel")
    serial.run(Scored(), workers=0, trials=60)
    seen: list[RunEvent] = []
    parallel.run(Scored(0.01), workers=2, trials=60, on_event=seen.append)
    assert proposals(parallel) == proposals(serial)
    records = parallel.trials()
    assert [r.score for r in records] == [r.score for r in serial.trials()]
    assert [r.score for r in records] == [score_of(record.arch, record.seed) for record in records]
    assert all(record.state == "told" and record.seconds > 0 for record in records)
    asked = [event.number for event in seen if event.kind == "asked"]
    told = [event.number for event in seen if event.kind == "told"]
    assert asked == list(range(60))
    assert sorted(told) == asked
    assert told != asked  # trials overtook one another
    by_number = {event.number: event.result for event in seen if event.kind == "told"}
    assert all(by_number[record.number] == record.result for record in records)


def test_trials_counts_those_of_earlier_runs(tmp_path: Path) -> None:
    study = make(tmp_path)
    study.run(Scored(), workers=0, trials=10)
    study.run(Scored(), workers=0, trials=10)
    assert len(study.trials()) == 10
    study.run(Scored(), workers=0, trials=13)
    assert len(study.trials()) == 13


def test_a_run_that_closes_ends_with_what_is_in_flight(tmp_path: Path) -> None:
    study = make(tmp_path, lag=8)
    seen: list[RunEvent] = []

    def closing() -> bool:
        return sum(event.kind == "told" for event in seen) >= 5

    study.run(Scored(0.1), workers=2, until=lambda: False, closing=closing, on_event=seen.append)
    records = study.trials()
    assert all(record.state == "told" for record in records)
    asked = [event.kind for event in seen].count("asked")
    assert asked == len(records) and 6 <= len(records) <= 7, "five, and what two workers held"
    study.run(Scored(), workers=0, trials=9)
    assert len(study.trials()) == 9


def test_the_clock_cuts_what_is_in_flight_and_a_later_run_takes_it_up(tmp_path: Path) -> None:
    study = make(tmp_path, lag=8)
    told: list[int] = []

    def count(event: RunEvent) -> None:
        if event.kind == "told":
            told.append(event.number)

    start = time.monotonic()
    study.run(Scored(0.3), workers=2, until=lambda: len(told) >= 4, on_event=count)
    assert time.monotonic() - start < 60.0
    states = [record.state for record in study.trials()]
    cut = [record.number for record in study.trials() if record.state == "cut"]
    assert set(states) == {"told", "cut"}
    assert 1 <= len(cut) <= 2
    assert [event.payload for event in study.events("cut")] == [{"numbers": cut}]
    study.run(Scored(), workers=0, trials=len(states) + 20)
    assert {record.state for record in study.trials()} == {"told"}
    assert [r.number for r in study.trials() if r.attempt == 2] == cut
    undisturbed = make(tmp_path, "undisturbed", lag=8)
    undisturbed.run(Scored(), workers=0, trials=len(states) + 20)
    assert proposals(study) == proposals(undisturbed)


@pytest.mark.parametrize("how", ["raise", "sys.exit"])
@pytest.mark.parametrize("workers", [0, 1])
def test_an_evaluator_that_raises_fails_the_trial(tmp_path: Path, how: str, workers: int) -> None:
    study = make(tmp_path)
    study.run(Misbehaving(how, str(tmp_path), times=2), workers=workers, trials=5)
    records = study.trials()
    assert [record.status for record in records] == ["failed"] * 2 + ["ok"] * 3
    assert "Traceback" in records[0].detail
    assert (
        records[0]
        .detail.strip()
        .endswith("ValueError: no such layer" if how == "raise" else "SystemExit: 3")
    )


def test_details_are_bounded_and_keep_their_end(tmp_path: Path) -> None:
    study = make(tmp_path)
    long = Returning(Result("failed", None, detail="x" * 100_000 + "the reason"))
    study.run(long, workers=0, trials=1)
    assert len(study.trials()[0].detail) == 16 * 1024
    assert study.trials()[0].detail.endswith("the reason")


@pytest.mark.parametrize(
    "value",
    [None, "abc", 0.5, Result("ok", "abc"), Result("ok", 1.0, {"a": [1]}), Result("ok", 1j)],  # type: ignore[arg-type,dict-item]
)
def test_what_is_no_result_fails_the_trial(tmp_path: Path, value: object) -> None:
    study = make(tmp_path)
    study.run(Returning(value), workers=0, trials=1)
    (record,) = study.trials()
    assert (record.status, record.score) == ("failed", None)
    assert repr(value)[:20] in record.detail


def test_numbers_of_other_libraries_are_stored(tmp_path: Path) -> None:
    import numpy as np

    study = make(tmp_path)
    value = Result("ok", np.float32(0.1), {"n": np.int64(3)}, (np.float16(0.5),), np.float64(2.0))  # type: ignore[arg-type,dict-item]
    study.run(Returning(value), workers=0, trials=1)
    (record,) = study.trials()
    assert record.result == Result("ok", 0.10000000149011612, {"n": 3.0}, (0.5,), 2.0)


def test_failures_in_a_row_stop_the_run(tmp_path: Path) -> None:
    study = make(tmp_path)
    with pytest.raises(StudyError, match=r"10 trials in a row failed, .*no such layer") as caught:
        study.run(Misbehaving("raise", str(tmp_path)), workers=0, trials=50)
    assert "\n" not in str(caught.value)
    assert [record.status for record in study.trials()] == ["failed"] * 10
    study.run(Misbehaving("raise", str(tmp_path)), workers=0, trials=50, max_failures=None)
    assert [record.status for record in study.trials()] == ["failed"] * 50


def test_an_evaluator_that_cannot_travel_gets_one_line(tmp_path: Path) -> None:
    study = make(tmp_path)
    with pytest.raises(StudyError, match=r"cannot travel to worker processes.*workers=0") as caught:
        study.run(Returning(lambda: 1), workers=1, trials=3)
    assert "\n" not in str(caught.value)
    assert [record.state for record in study.trials()] == ["released"]
    study.run(Returning(Result("ok", 1.0)), workers=0, trials=3)
    assert [record.state for record in study.trials()] == ["told"] * 3


def test_an_error_in_the_caller_releases_the_trials(tmp_path: Path) -> None:
    study = make(tmp_path)

    def fail(event: RunEvent) -> None:
        if event.kind == "told":
            raise RuntimeError("the caller's")

    with pytest.raises(RuntimeError, match="the caller's"):
        study.run(Scored(0.05), workers=2, trials=20, on_event=fail)
    assert {record.state for record in study.trials()} <= {"told", "released"}
    assert multiprocessing.active_children() == []
    study.run(Scored(), workers=0, trials=20)
    assert {record.state for record in study.trials()} == {"told"}


class Environment(Evaluator):
    """Reports what a worker sees."""

    def evaluate(self, arch: Any, fidelity: Any, seed: int, *, stop: Any = None) -> Result:
        import sys

        return Result(
            "ok",
            1.0,
            {
                "threads": float(os.environ["OMP_NUM_THREADS"]),
                "group": float(os.getpgid(0)),
                "pid": float(os.getpid()),
                "torch": float("torch" in sys.modules),
            },
        )


def test_a_worker_has_one_thread_its_own_group_and_no_torch(tmp_path: Path) -> None:
    before = os.environ.get("OMP_NUM_THREADS")
    study = make(tmp_path)
    study.run(Environment(), workers=2, trials=8)
    values = [record.values for record in study.trials()]
    assert {value["threads"] for value in values} == {1.0}
    assert all(value["group"] == value["pid"] != os.getpid() for value in values)
    assert {value["torch"] for value in values} == {0.0}
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_nothing_is_left_open(tmp_path: Path) -> None:
    def files() -> int:
        return len(os.listdir("/proc/self/fd"))

    study = make(tmp_path)
    study.run(Scored(), workers=1, trials=4)
    study.store.close()
    before, threads = files(), threading.active_count()
    for count in range(5, 8):
        again = Study(Store.open(tmp_path / "study.db", "search"), Chain(5), seed=11)
        again.run(Scored(), workers=1, trials=count)
        again.store.close()
    assert files() == before
    assert threading.active_count() == threads
    assert multiprocessing.active_children() == []


def test_wrong_arguments_get_one_line(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="lag is 0"):
        make(tmp_path, lag=0)
    study = make(tmp_path, "other")
    with pytest.raises(StudyError, match="workers is -1"):
        study.run(Scored(), workers=-1, trials=1)
    with pytest.raises(StudyError, match="timeout needs workers"):
        study.run(Scored(), workers=0, trials=1, timeout=1.0)
    with pytest.raises(StudyError, match="trials or until"):
        study.run(Scored(), workers=0)
