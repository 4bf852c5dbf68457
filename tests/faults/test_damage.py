import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from study_toys import Chain, Scored

from nasturtium.errors import NasturtiumError, StoreFull, StudyError
from nasturtium.study import Store, Study, TrialRecord


def make(folder: Path, trials: int = 40) -> list[TrialRecord]:
    store = Store.create(folder / "study.db", "search", config={"a": [1, 2]})
    study = Study(store, Chain(5), seed=11)
    study.run(Scored(), workers=0, trials=trials)
    study.event("limit", {"seconds": 0.5})
    records = study.trials()
    store.close()
    return records


COLUMNS = [
    ("trial", "seed", "8"),
    ("trial", "proposal", "replace(proposal, 'chain', 'chaim')"),
    ("trial", "asked_at", "asked_at + 1"),
    ("trial", "number", "99"),
    ("trial", "id", "id + 100"),
    ("trial", "status", "'failed'"),
    ("trial", "result", "replace(result, '0.', '1.')"),
    ("trial", "told_at", "told_at + 1"),
    ("trial", "state", "'running'"),
    ("trial", "state", "'gone'"),
    ("trial", "result", "NULL"),
    ("trial", "result", "x'ff00'"),
    ("event", "payload", "replace(payload, '0.5', '0.6')"),
    ("event", "kind", "'limits'"),
    ("event", "at", "at + 1"),
]


@pytest.mark.parametrize(("table", "column", "value"), COLUMNS)
def test_a_changed_value_is_named(tmp_path: Path, table: str, column: str, value: str) -> None:
    make(tmp_path, 8)
    connection = sqlite3.connect(tmp_path / "study.db")
    row = "number = 5" if table == "trial" else "kind = 'limit'"
    with connection:
        connection.execute(f"UPDATE {table} SET {column} = {value} WHERE {row}")
        number = connection.execute("SELECT max(id) FROM event").fetchone()[0]
    connection.close()
    store = Store.open(tmp_path / "study.db", "search")
    named = "trial 99" if column == "number" else "trial 5"
    wanted = f"event {number}" if table == "event" else named
    what = "missing" if column == "id" else "damaged"
    with pytest.raises(StudyError, match=f"study.db: {wanted} is {what}.* restore") as caught:
        store.events() if table == "event" else store.trials()
    assert "\n" not in str(caught.value)
    assert [f"study.db: {wanted} is damaged" in line for line in store.check()] == [True]


def test_a_changed_config_is_named(tmp_path: Path) -> None:
    make(tmp_path, 1)
    connection = sqlite3.connect(tmp_path / "study.db")
    with connection:
        connection.execute("UPDATE study SET config = '{}'")
    connection.close()
    with pytest.raises(StudyError, match='the study "search" is damaged'):
        Store.open(tmp_path / "study.db", "search")


def survives(path: Path, records: list[TrialRecord]) -> str:
    """Read a damaged record: right values, or one of our errors in one line."""
    try:
        with Store.open(path, "search") as store:
            found = store.trials()
            store.events()
            complaints = store.check()
    except NasturtiumError as error:
        assert "\n" not in str(error)
        assert str(path) in str(error)
        return "refused"
    for record in found:
        want = records[record.number]
        assert (record.number, record.seed, record.proposal_text, record.result) == (
            want.number,
            want.seed,
            want.proposal_text,
            want.result,
        )
    if complaints:
        return "complained"
    return "whole" if len(found) == len(records) else "short"


def flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def blank(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data) // 4096) * 4096
    data[start : start + 4096] = rng.randbytes(4096)


@pytest.mark.parametrize(("harm", "rounds"), [(flip, 300), (blank, 40)])
def test_no_wrong_value_is_read_from_a_damaged_file(
    tmp_path: Path, harm: Callable[[bytearray, random.Random], None], rounds: int
) -> None:
    records = make(tmp_path)
    whole = (tmp_path / "study.db").read_bytes()
    rng = random.Random(0)
    outcomes: list[str] = []
    for _ in range(rounds):
        data = bytearray(whole)
        harm(data, rng)
        (tmp_path / "study.db").write_bytes(data)
        outcomes.append(survives(tmp_path / "study.db", records))
        for extra in tmp_path.glob("study.db-*"):
            extra.unlink()
    assert outcomes.count("refused") + outcomes.count("complained") > rounds // 4
    assert outcomes.count("short") == 0, "rows are missing without a complaint"


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    records = make(tmp_path)
    whole = (tmp_path / "study.db").read_bytes()
    rng = random.Random(0)
    for size in [0, 1, 99, 100, 512, 4096] + [rng.randrange(len(whole)) for _ in range(60)]:
        (tmp_path / "study.db").write_bytes(whole[:size])
        assert survives(tmp_path / "study.db", records) in ("refused", "complained")
        for extra in tmp_path.glob("study.db-*"):
            extra.unlink()


def test_a_cut_log_loses_a_suffix_only(tmp_path: Path) -> None:
    records = make(tmp_path, 1)
    store = Store.open(tmp_path / "study.db", "search")
    study = Study(store, Chain(5), seed=11)
    study.run(Scored(), workers=0, trials=20)
    records = study.trials()
    main, log = (tmp_path / "study.db").read_bytes(), (tmp_path / "study.db-wal").read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    rng = random.Random(0)
    counts: list[int] = []
    for size in sorted(rng.randrange(len(log)) for _ in range(40)):
        for file in other.iterdir():
            file.unlink()
        (other / "study.db").write_bytes(main)
        (other / "study.db-wal").write_bytes(log[:size])
        with Store.open(other / "study.db", "search") as cut:
            found = cut.trials()
            assert cut.check() == []
        assert [r.proposal_text for r in found] == [r.proposal_text for r in records[: len(found)]]
        for record in found:
            assert record.result in (None, records[record.number].result)
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_a_full_disk_is_named_and_nothing_acknowledged_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.create(tmp_path / "study.db", "search", config={})
    study = Study(store, Chain(5), seed=11, lag=1)
    pages = sqlite3.connect(tmp_path / "study.db").execute("PRAGMA page_count").fetchone()[0]
    limit = {"pages": pages + 1}
    connect = store._database._connect

    def limited() -> sqlite3.Connection:
        connection = connect()
        connection.execute(f"PRAGMA max_page_count = {limit['pages']}")
        return connection

    monkeypatch.setattr(store._database, "_connect", limited)
    store.close()
    told: dict[int, float | None] = {}
    full = 0
    while len(told) < 100:
        try:
            trial = study.ask()
            assert trial is not None
            result = Scored().evaluate(trial.proposal.arch, trial.proposal.fidelity, trial.seed)
            while trial.number not in told:
                try:
                    told[trial.number] = study.tell(trial, result).score
                except StoreFull:
                    full += 1
                    assert {r.number: r.score for r in store.trials() if r.result} == told
                    limit["pages"] += 1
                    store.close()
        except StoreFull as error:
            full += 1
            assert str(error) == f"{store.path}: the disk is full; free some space and resume"
            limit["pages"] += 1
            store.close()
    assert full > 5
    assert {record.number: record.score for record in store.trials()} == told
    calm = Study(Store.create(tmp_path / "calm.db", "s", config={}), Chain(5), seed=11, lag=1)
    calm.run(Scored(), workers=0, trials=100)
    assert [r.proposal_text for r in calm.trials()] == [r.proposal_text for r in store.trials()]
    assert store.check() == []


LIMITED = """
import resource, signal, sys
from pathlib import Path
from nasturtium.errors import StudyError
from nasturtium.study import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    Store.create(Path(sys.argv[1]), "search", config={})
except StudyError as error:
    print(error)
"""


@pytest.mark.parametrize("size", [0, 4096, 20000])
def test_a_record_that_cannot_be_made_leaves_nothing(tmp_path: Path, size: int) -> None:
    path = tmp_path / "study.db"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(size)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert str(path) in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_gets_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StudyError, match=r"writable|permissions"):
            Store.create(tmp_path / "study.db", "search", config={})
    finally:
        tmp_path.chmod(0o700)


def test_the_state_of_an_optimizer_is_verified_too(tmp_path: Path) -> None:
    make(tmp_path, 100)
    connection = sqlite3.connect(tmp_path / "study.db")
    with connection:
        connection.execute(
            "UPDATE event SET payload = replace(payload, 'digest', 'digset') WHERE kind = 'state'"
        )
    connection.close()
    with pytest.raises(StudyError, match=r"event \d+ is damaged"):
        Study(Store.open(tmp_path / "study.db", "search"), Chain(5), seed=11)
    again = Study(Store.open(tmp_path / "study.db", "search"), Chain(5), seed=11, replay=True)
    trial = again.ask()
    assert trial is not None
    assert trial.number == 100
