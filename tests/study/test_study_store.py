import json
import math
import shutil
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasturtium.errors import AlreadyTold, RunExists, StudyError, StudyVersionError
from nasturtium.evaluators.base import Result
from nasturtium.study import Store
from nasturtium.study.codec import checksum, dumps, loads, settle
from nasturtium.study.dialect import Prepared
from nasturtium.study.store import CLAIM, RELEASE, RENEW, SOME_TRIALS, TELL, UNFINISHED

PROPOSAL = dumps({"arch": "words:abcde", "fidelity": {"epochs": 3}, "origin": "test"})


def make(folder: Path, name: str = "search") -> Store:
    return Store.create(folder / "study.db", name, config={"space": "words", "limit": math.inf})


def add(store: Store, number: int, owner: str = "me", lease: float = 0.0) -> bool:
    return store.add(number, 7, PROPOSAL, owner=owner, lease=lease)


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    store = make(tmp_path)
    values = {"params": 1e300, "latency": math.nan, "worst": -math.inf, "tiny": 5e-324}
    result = settle(Result("ok", 0.1 + 0.2, values, (math.nan, 0.5), 1.25, "fine\0\ud800"))
    assert add(store, 0)
    store.tell(0, result, attempt=2)
    store.event("limit", {"seconds": math.inf, "names": ["ä", "\n"]})
    again = Store.open(f"sqlite:///{tmp_path}/study.db", "search")
    assert again.config == {"space": "words", "limit": math.inf}
    (record,) = again.trials()
    assert (record.number, record.seed, record.state, record.attempt) == (0, 7, "told", 2)
    assert (record.arch, record.fidelity, record.origin) == ("words:abcde", {"epochs": 3}, "test")
    assert (record.parent, record.stop, record.owner) == (None, {}, "")
    assert record.score == 0.30000000000000004
    assert math.isnan(record.values["latency"])
    assert record.values["worst"] == -math.inf
    assert record.values["tiny"] == 5e-324
    assert math.isnan(record.curve[0])
    assert (record.curve[1], record.seconds, record.detail) == (0.5, 1.25, "fine\0\ud800")
    assert again.events("limit")[0].payload == {"seconds": math.inf, "names": ["ä", "\n"]}
    assert again.check() == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter("$float".__ne__), inner),
    max_leaves=20,
)


@given(json_values)
def test_json_survives(value: Any) -> None:
    text = dumps(value)
    assert repr(loads(text)) == repr(value)
    json.loads(text, parse_constant=pytest.fail)  # strict JSON: no NaN, no Infinity
    assert text.isascii()


def test_what_is_no_json_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    for value in (object(), {"a": b"x"}, deep, {"$float": "nan"}):
        with pytest.raises(StudyError):
            dumps(value)


def test_the_checksum_is_blake2b_over_json() -> None:
    # b2sum -l 64 <<< of [1, "a", null, 0.5] without the newline
    import hashlib

    expected = hashlib.blake2b(b'[1, "a", null, 0.5]', digest_size=8).hexdigest()
    assert f"{checksum(1, 'a', None, 0.5) & (2**64 - 1):016x}" == expected


def test_a_trial_is_told_once(tmp_path: Path) -> None:
    store = make(tmp_path)
    assert add(store, 0)
    assert not add(store, 0)
    store.tell(0, settle(Result("ok", 0.5)))
    with pytest.raises(AlreadyTold, match="trial 0 was told before") as caught:
        store.tell(0, settle(Result("ok", 0.75)))
    assert caught.value.stored == settle(Result("ok", 0.5))
    with pytest.raises(StudyError, match="has no trial 5"):
        store.tell(5, settle(Result("ok", 0.5)))
    assert [record.score for record in store.trials()] == [0.5]


def test_claim_release_and_renew_touch_only_their_own(tmp_path: Path) -> None:
    store = make(tmp_path)
    for number in range(4):
        add(store, number, owner="me" if number % 2 else "you")
    store.tell(1, settle(Result("ok", 0.5)))
    before = {record.number: record for record in store.unfinished()}
    assert list(before) == [0, 2, 3]
    assert store.renew("me", 9.0) == 1
    assert store.release("me", "released") == 1
    after = {record.number: record for record in store.unfinished()}
    assert (after[3].state, after[3].owner) == ("released", "")
    assert after[0] == before[0]
    assert not store.claim(before[3], owner="she", lease=1.0)  # it changed since it was read
    assert store.claim(after[3], owner="she", lease=1.0)
    assert not store.claim(after[3], owner="it", lease=1.0)
    claimed = store.trials(start=3)[0]
    assert (claimed.state, claimed.owner, claimed.attempt) == ("running", "she", 2)


def test_pages_hold_every_trial(tmp_path: Path) -> None:
    store = make(tmp_path)
    for number in range(25):
        add(store, number)
    import nasturtium.study.store as module

    assert module.PAGE == 1000
    assert [r.number for r in store.trials()] == list(range(25))
    assert [r.number for r in store.trials(start=20)] == [20, 21, 22, 23, 24]
    assert [r.number for r in store.trials(start=3, most=2)] == [3, 4]
    assert store.trials(start=30) == []


def test_several_studies_share_a_file(tmp_path: Path) -> None:
    search, random = make(tmp_path), make(tmp_path, "random")
    add(search, 0)
    add(random, 0)
    random.tell(0, settle(Result("ok", 1.0)))
    random.event("note", 1)
    assert Store.studies(tmp_path / "study.db") == ["search", "random"]
    assert search.trials()[0].state == "running"
    assert search.events() == []
    with pytest.raises(RunExists, match="exists"):
        make(tmp_path)
    with pytest.raises(StudyError, match='did you mean "search"'):
        Store.open(tmp_path / "study.db", "serach")


@pytest.mark.parametrize("name", ["", "a" * 100_000, "a\nb", "\0", "\ud800"])
def test_bad_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyError, match="printable"):
        make(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE trial;--", '"quoted"', "%s %(x)s", "🌱", "a" * 200]
)
def test_names_are_data(tmp_path: Path, name: str) -> None:
    store = make(tmp_path, name)
    add(store, 0)
    assert Store.studies(tmp_path / "study.db") == [name]
    assert Store.open(tmp_path / "study.db", name).trials()[0].number == 0


def refused(path: Path) -> str:
    """The one line with which a file is refused, unchanged."""
    before = path.read_bytes()
    with pytest.raises(StudyVersionError) as caught:
        Store.open(path, "search")
    with pytest.raises(StudyVersionError):
        Store.create(path, "other", config={})
    with pytest.raises(StudyVersionError):
        Store.studies(path)
    assert path.read_bytes() == before
    assert [other.name for other in path.parent.iterdir()] == [path.name]
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize(("version", "age"), [(2, "newer"), (2**31 - 1, "newer"), (0, "older")])
def test_another_version_is_refused_unchanged(tmp_path: Path, version: int, age: str) -> None:
    path = tmp_path / "study.db"
    make(tmp_path).close()
    with path.open("r+b") as file:
        file.seek(60)
        file.write(struct.pack(">I", version))
    assert f"version {version}, of a" in (message := refused(path))
    assert age in message


def test_a_foreign_file_is_refused_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE trials (x)")
    connection.close()
    assert "no record" in refused(path)
    path.write_text("number,score\n0,0.5\n")
    assert "no record" in refused(path)
    path.write_bytes(b"")
    assert "no record" in refused(path)


def test_the_file_is_a_wal_database_of_ours(tmp_path: Path) -> None:
    make(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "study.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA application_id").fetchone() == (
        int.from_bytes(b"nast", "big"),
    )
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    assert {name for (name,) in names} >= {"study", "trial", "event"}


@pytest.mark.parametrize("statement", [UNFINISHED, SOME_TRIALS, RELEASE, RENEW, TELL, CLAIM])
def test_no_statement_looks_at_all_trials(tmp_path: Path, statement: Prepared) -> None:
    make(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "study.db")
    values = dict.fromkeys(statement.names, 1)
    plan = connection.execute(
        f"EXPLAIN QUERY PLAN {statement.sql}", statement.arguments(values)
    ).fetchall()
    connection.close()
    assert len(plan) == 1
    assert plan[0][3].startswith("SEARCH trial USING INTEGER PRIMARY KEY (rowid")


def test_paths_that_cannot_work_get_one_line(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no record here"):
        Store.open(tmp_path / "absent.db", "search")
    with pytest.raises(StudyError, match="the folder exists"):
        Store.create(tmp_path / "absent" / "study.db", "search", config={})
    with pytest.raises(StudyError, match="postgresql is no store"):
        Store.create("postgresql://user:password@host/db", "search", config={})
    odd = tmp_path / "a folder ä?#%20"
    odd.mkdir()
    add(make(odd), 0)
    assert len(Store.open(odd / "study.db", "search").trials()) == 1


def test_opening_a_record_twice_keeps_it_from_being_pulled_away(tmp_path: Path) -> None:
    store = make(tmp_path)
    add(store, 0)
    Store.open(tmp_path / "study.db", "search").close()
    # Another process comes and goes. Were it the last, it would remove the log that store uses.
    program = (
        "import sys, sqlite3; c = sqlite3.connect(sys.argv[1]); "
        "print(c.execute('SELECT count(*) FROM trial').fetchone()[0]); c.close()"
    )
    visit = [sys.executable, "-c", program]
    for number in (1, 2, 3):
        seen = subprocess.run([*visit, str(store.path)], capture_output=True, text=True, check=True)
        assert int(seen.stdout) == number
        add(store, number)
        assert (tmp_path / "study.db-wal").exists()


def test_a_record_deleted_under_us_is_not_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    store = make(folder)
    store.close()
    shutil.rmtree(folder)
    with pytest.raises(StudyError, match="cannot be opened"):
        add(store, 0)
    assert not folder.exists()
