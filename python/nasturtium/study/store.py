"""The record of a study on disk: rows in, rows out, each operation one durable transaction."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from sqlalchemy import bindparam, insert, select, update

from nasturtium.errors import AlreadyTold, RunExists, StudyError, nearest
from nasturtium.evaluators.base import Result
from nasturtium.study import dialect, schema
from nasturtium.study.codec import checksum, dumps, loads, result_from, result_text
from nasturtium.study.dialect import Database, Prepared, TakenError
from nasturtium.study.records import Event, TrialRecord

__all__ = ["Store"]

MAX_NAME = 200
PAGE = 1000

_t, _e, _s = schema.trial.c, schema.event.c, schema.study.c
_THIS = _t.id == bindparam("this")
_FROM = (_t.id >= bindparam("this"), _t.id < bindparam("end"))
_OPEN = _t.state != schema.TOLD
_MINE = (*_FROM, _t.owner == bindparam("old_owner"), _t.state == schema.RUNNING)
_OURS = _e.study_id == bindparam("study")
_EVENTS = select(schema.event).where(_OURS).order_by(_e.id)
_OF_KIND = select(schema.event).where(_OURS, _e.kind == bindparam("of_kind"))

ADD_STUDY = Prepared(
    insert(schema.study).values({c.name: bindparam(c.name) for c in _s if c.name != "id"})
)
ADD_EVENT = Prepared(
    insert(schema.event).values({c.name: bindparam(c.name) for c in _e if c.name != "id"})
)
ADD_TRIAL = Prepared(
    insert(schema.trial)
    .values({c.name: bindparam(c.name) for c in _t if not c.nullable})
    .values(state=schema.RUNNING, attempt=1)
)
TELL = Prepared(
    update(schema.trial)
    .where(_THIS, _OPEN)
    .values({name: bindparam(f"new_{name}") for name in ("attempt", "status", "result")})
    .values(told_at=bindparam("new_at"), told_sum=bindparam("new_sum"))
    .values(state=schema.TOLD, owner="", lease=0.0)
)
CLAIM = Prepared(
    update(schema.trial)
    .where(_THIS, _t.state == bindparam("old_state"), _t.owner == bindparam("old_owner"))
    .where(_t.attempt == bindparam("old_attempt"))
    .values(state=schema.RUNNING, attempt=_t.attempt + 1)
    .values(owner=bindparam("new_owner"), lease=bindparam("new_lease"))
)
RELEASE = Prepared(
    update(schema.trial).where(*_MINE).values(state=bindparam("new_state"), owner="", lease=0.0)
)
RENEW = Prepared(update(schema.trial).where(*_MINE).values(lease=bindparam("new_lease")))
UNFINISHED = Prepared(select(schema.trial).where(*_FROM, _OPEN).order_by(_t.id))
SOME_TRIALS = Prepared(select(schema.trial).where(*_FROM).order_by(_t.id).limit(bindparam("most")))
ALL_EVENTS = Prepared(_EVENTS)
EVENTS = Prepared(_OF_KIND.order_by(_e.id))
LAST_EVENT = Prepared(_OF_KIND.order_by(_e.id.desc()).limit(1))
THE_STUDY = Prepared(select(schema.study).where(_s.name == bindparam("of_name")))
STUDIES = Prepared(select(_s.name).order_by(_s.id))


class Store:
    """One study in a record; several studies share a file.

    Make it with `Store.create` or `Store.open`; it is safe to use from several threads and,
    each with its own Store, from several processes. Every method raises StudyError in one line
    when the file cannot be used, and StoreFull when the disk is full; what was acknowledged
    before stays.
    """

    def __init__(self, path: Path, study: str) -> None:
        dialect.check_file(path)
        self.path = path
        self.name = study
        self._database = Database(path)
        self._id, self.config = self._study()

    @classmethod
    def create(cls, url: str | Path, study: str, *, config: Mapping[str, Any]) -> Self:
        """Add `study` to the record at `url` (a path or `sqlite:///path`), made where absent.

        `config` is any JSON object. Raises RunExists where the study is there already.
        """
        path = dialect.path_of(url)
        if not study or len(study) > MAX_NAME or not study.isprintable():
            raise StudyError(f"a study's name is 1 to {MAX_NAME} printable characters")
        text, now = dumps(config), time.time()
        if not path.exists():
            dialect.make_file(path)
        dialect.check_file(path)
        row = {"name": study, "config": text, "created_at": now, "sum": checksum(study, text, now)}
        database = Database(path)
        try:
            database.change(ADD_STUDY, row)
        except TakenError:
            raise RunExists(f'{path}: the study "{study}" exists; resume or overwrite it') from None
        finally:
            database.close()
        return cls(path, study)

    @classmethod
    def open(cls, url: str | Path, study: str) -> Self:
        """The study of that name. Raises StudyError where it is absent."""
        return cls(dialect.path_of(url), study)

    @staticmethod
    def studies(url: str | Path) -> list[str]:
        """The names of the studies in a record, oldest first."""
        path = dialect.path_of(url)
        dialect.check_file(path)
        database = Database(path)
        try:
            return [str(row["name"]) for row in database.rows(STUDIES, {})]
        finally:
            database.close()

    def close(self) -> None:
        """Close the connections; the store opens new ones when it is used again."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, number: int, seed: int, proposal: str, *, owner: str, lease: float) -> bool:
        """Record that trial `number` is asked and given to `owner`; False where it is there."""
        now = time.time()
        row = {
            "id": schema.trial_id(self._id, number),
            "study_id": self._id,
            "number": number,
            "seed": seed,
            "proposal": proposal,
            "asked_at": now,
            "asked_sum": checksum(self._id, number, seed, proposal, now),
            "owner": owner,
            "lease": lease,
        }
        try:
            self._database.change(ADD_TRIAL, row)
        except TakenError:
            return False
        return True

    def tell(self, number: int, result: Result, *, attempt: int = 1) -> None:
        """Record the result of a trial, exactly once.

        `result` is settled (`codec.settle`). Of any number of concurrent calls for one trial one
        returns; the others raise AlreadyTold with the stored result. StudyError where there is
        no such trial.
        """
        text, now = result_text(result), time.time()
        values = {
            "new_attempt": attempt,
            "new_status": result.status,
            "new_result": text,
            "new_at": now,
            "new_sum": checksum(self._id, number, result.status, text, now),
        }
        if self._database.change(TELL, self._key(number) | values) == 1:
            return
        stored = self.trials(start=number, most=1)
        if not stored or stored[0].number != number:
            raise StudyError(f'{self.path}: the study "{self.name}" has no trial {number}')
        raise AlreadyTold(f"trial {number} was told before", stored[0].result)

    def claim(self, record: TrialRecord, *, owner: str, lease: float) -> bool:
        """Give an unfinished trial out again; False where it changed since `record` was read."""
        values = {
            "old_state": record.state,
            "old_owner": record.owner,
            "old_attempt": record.attempt,
            "new_owner": owner,
            "new_lease": lease,
        }
        return self._database.change(CLAIM, self._key(record.number) | values) == 1

    def release(self, owner: str, state: str, *, start: int = 0) -> int:
        """Give up the trials from number `start` on that `owner` runs; returns how many."""
        values = {"old_owner": owner, "new_state": state}
        return self._database.change(RELEASE, self._key(start) | values)

    def renew(self, owner: str, lease: float, *, start: int = 0) -> int:
        """Prolong the trials from `start` on that `owner` runs to `lease`; returns how many."""
        values = {"old_owner": owner, "new_lease": lease}
        return self._database.change(RENEW, self._key(start) | values)

    def unfinished(self, *, start: int = 0) -> list[TrialRecord]:
        """The trials from number `start` on that have no result, by number."""
        return [self._trial(row) for row in self._database.rows(UNFINISHED, self._key(start))]

    def trials(self, *, start: int = 0, most: int | None = None) -> list[TrialRecord]:
        """The trials from number `start` on, in order and without gaps, at most `most` of them."""
        found: list[TrialRecord] = []
        while most is None or len(found) < most:
            page = PAGE if most is None else min(PAGE, most - len(found))
            rows = self._database.rows(SOME_TRIALS, self._key(start) | {"most": page})
            for record in map(self._trial, rows):
                if record.number != start:
                    raise self._damage(f"trial {start}", "is missing")
                found.append(record)
                start += 1
            if len(rows) < page:
                break
        return found

    def event(self, kind: str, payload: object) -> None:
        """Append an event; `payload` is any JSON value, NaN and infinities included."""
        text, now = dumps(payload), time.time()
        total = checksum(self._id, kind, text, now)
        row = {"study_id": self._id, "kind": kind, "payload": text, "at": now, "sum": total}
        self._database.change(ADD_EVENT, row)

    def events(self, kind: str | None = None) -> list[Event]:
        """The events, oldest first; of one kind where it is given."""
        if kind is None:
            return [
                self._event(row) for row in self._database.rows(ALL_EVENTS, {"study": self._id})
            ]
        return self._events(EVENTS, kind)

    def last_event(self, kind: str) -> Event | None:
        """The newest event of a kind."""
        return next(iter(self._events(LAST_EVENT, kind)), None)

    def check(self) -> list[str]:
        """What is wrong with the file and its rows, one line each; empty where all is well."""
        found = [f"{self.path}: {line}" for line in self._database.integrity()]
        if found:
            return found
        for row in self._database.rows(SOME_TRIALS, self._key(0) | {"most": -1}):
            found.extend(_complaint(self._trial, row))
        for row in self._database.rows(ALL_EVENTS, {"study": self._id}):
            found.extend(_complaint(self._event, row))
        return found

    def _key(self, number: int) -> dict[str, Any]:
        this, end = schema.trial_id(self._id, number), schema.trial_id(self._id + 1, 0)
        return {"this": this, "end": end}

    def _study(self) -> tuple[int, Any]:
        rows = self._database.rows(THE_STUDY, {"of_name": self.name})
        if not rows:
            hint = nearest(self.name, self.studies(self.path))
            raise StudyError(f'{self.path}: there is no study "{self.name}"; {hint}')
        row = rows[0]
        if row["sum"] != checksum(row["name"], row["config"], row["created_at"]):
            raise self._damage(f'the study "{self.name}"')
        return row["id"], loads(row["config"])

    def _events(self, statement: Prepared, kind: str) -> list[Event]:
        rows = self._database.rows(statement, {"study": self._id, "of_kind": kind})
        return [self._event(row) for row in rows]

    def _event(self, row: dict[str, Any]) -> Event:
        if row["sum"] != checksum(row["study_id"], row["kind"], row["payload"], row["at"]):
            raise self._damage(f"event {row['id']}")
        return Event(row["kind"], loads(row["payload"]), row["at"])

    def _trial(self, row: dict[str, Any]) -> TrialRecord:
        asked = checksum(
            row["study_id"], row["number"], row["seed"], row["proposal"], row["asked_at"]
        )
        told = row["state"] == schema.TOLD
        total = (
            checksum(row["study_id"], row["number"], row["status"], row["result"], row["told_at"])
            if told
            else None
        )
        sound = (
            row["asked_sum"] == asked
            and row["id"] == schema.trial_id(row["study_id"], row["number"])
            and row["told_sum"] == total
            and row["state"] in schema.STATES
        )
        if not sound:
            raise self._damage(f"trial {row['number']}")
        fields = loads(row["proposal"])
        return TrialRecord(
            number=row["number"],
            seed=row["seed"],
            state=row["state"],
            attempt=row["attempt"],
            arch=fields["arch"],
            fidelity=fields["fidelity"],
            origin=fields["origin"],
            parent=fields.get("parent"),
            stop={int(epoch): score for epoch, score in fields.get("stop", {}).items()},
            asked_at=row["asked_at"],
            told_at=row["told_at"],
            result=result_from(row["status"], row["result"]) if told else None,
            owner=row["owner"],
            lease=row["lease"],
            proposal_text=row["proposal"],
        )

    def _damage(self, what: str, how: str = "is damaged (its checksum differs)") -> StudyError:
        return StudyError(f"{self.path}: {what} {how}; restore the file from a copy")


def _complaint(read: Any, row: dict[str, Any]) -> list[str]:
    try:
        read(row)
    except StudyError as error:
        return [str(error)]
    return []
