import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from study_toys import Chain, Scored, running, score_of, wait_until

from nasturtium.study import Store, Study

DRIVER = Path(__file__).with_name("study_driver.py")
TRIALS = 60


def start(folder: Path, *, seconds: float = 0.03, trials: int = TRIALS) -> subprocess.Popen[str]:
    paths = [str(Path(__file__).parents[1] / "study"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(folder), str(trials), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=120)
    return out, err


def told(folder: Path) -> int:
    try:
        records = Store.open(folder / "study.db", "search").trials()
    except Exception:  # the record or the study is not there yet
        return 0
    return sum(record.state == "told" for record in records)


def descendants(pid: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                yield int(entry.name)
                yield from descendants(int(entry.name))


def test_killed_five_times_a_run_is_the_same_run(tmp_path: Path) -> None:
    rng = random.Random(0)
    acknowledged: dict[int, float] = {}
    everyone: set[int] = set()
    for kill in range(6):
        process = start(tmp_path)
        if kill < 5:
            goal = told(tmp_path) + rng.randrange(1, 10)
            assert wait_until(lambda goal=goal: told(tmp_path) >= goal, 60)
            time.sleep(rng.random() * 0.05)
            everyone |= set(descendants(process.pid))
            process.kill()
        out, err = finish(process)
        assert err == ""
        for line in out.splitlines():
            number, score = line.split()
            assert int(number) not in acknowledged, "told twice"
            acknowledged[int(number)] = float(score)
    assert process.returncode == 0
    assert len(everyone) >= 15  # two workers and their guard, five times
    assert wait_until(lambda: not any(running(pid) for pid in everyone))
    store = Store.open(tmp_path / "study.db", "search")
    records = store.trials()
    assert store.check() == []
    assert [record.number for record in records] == list(range(TRIALS))
    assert {record.state for record in records} == {"told"}
    assert {number: records[number].score for number in acknowledged} == acknowledged
    assert [r.score for r in records] == [score_of(r.arch, r.seed) for r in records]
    calm = Study(Store.create(tmp_path / "calm.db", "s", config={}), Chain(5), seed=11, lag=4)
    calm.run(Scored(), workers=0, trials=TRIALS)
    assert [(r.seed, r.proposal_text) for r in calm.trials()] == [
        (r.seed, r.proposal_text) for r in records
    ]


def test_a_trial_evaluated_but_not_told_is_evaluated_again(tmp_path: Path) -> None:
    study = Study(Store.create(tmp_path / "study.db", "s", config={}), Chain(5), seed=11)
    trial = study.ask()
    assert trial is not None
    first = Scored().evaluate(trial.proposal.arch, trial.proposal.fidelity, trial.seed)
    del study  # as if killed here
    again = Study(Store.open(tmp_path / "study.db", "s"), Chain(5), seed=11)
    same = again.ask()
    assert same is not None
    second = Scored().evaluate(same.proposal.arch, same.proposal.fidelity, same.seed)
    again.tell(same, second)
    assert second == first
    assert [record.number for record in again.trials()] == [0]


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_releases_what_is_in_flight(tmp_path: Path, times: int) -> None:
    process = start(tmp_path, seconds=1.0)
    assert wait_until(lambda: told(tmp_path) >= 2, 60)
    children = set(descendants(process.pid))
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    if times == 2:
        process.send_signal(signal.SIGINT)
    out, err = finish(process)
    assert time.monotonic() - begin < 2.0
    assert process.returncode == -signal.SIGINT  # Python's own answer to KeyboardInterrupt
    assert "KeyboardInterrupt" in err
    assert wait_until(lambda: not any(running(pid) for pid in children))
    store = Store.open(tmp_path / "study.db", "search")
    assert store.check() == []
    acknowledged = {int(line.split()[0]) for line in out.splitlines()}
    done = {record.number for record in store.trials() if record.state == "told"}
    assert acknowledged <= done
    if times == 1:
        assert {record.state for record in store.trials()} == {"told", "released"}
        assert len(store.events("released")) == 1
    out, err = finish(start(tmp_path, seconds=0.0, trials=30))
    assert err == ""
    assert [record.state for record in store.trials()] == ["told"] * 30
