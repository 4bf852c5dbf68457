"""The tables of the record: study, trial, event.

`asked_sum`, `told_sum` and `sum` are checksums over what their row says; they are verified when
the row is read. Which process holds a trial (`state`, `attempt`, `owner`, `lease`) changes while
it runs and stands outside them. Times are seconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

__all__ = [
    "CUT",
    "RELEASED",
    "RUNNING",
    "STATES",
    "TOLD",
    "VERSION",
    "event",
    "study",
    "trial",
    "trial_id",
]

VERSION = 1
RUNNING, RELEASED, CUT, TOLD = "running", "released", "cut", "told"
STATES = (RUNNING, RELEASED, CUT, TOLD)

metadata = MetaData()

# In SQLite a column of type INTEGER is the key of the table itself; any other key is a second tree,
# and a page more to write for each trial. For the same reason there is no index of what is
# unfinished: that can only be among the last trials, and a study knows from where on.
_Id = BigInteger().with_variant(Integer, "sqlite")


def trial_id(study_id: int, number: int) -> int:
    """The key of a trial: the trials of a study lie side by side, by number."""
    return study_id * 2**40 + number


study = Table(
    "study",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("config", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("sum", BigInteger, nullable=False),
)

trial = Table(
    "trial",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("study_id", Integer, ForeignKey("study.id"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("proposal", Text, nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("asked_sum", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("owner", Text, nullable=False),
    Column("lease", Double, nullable=False),
    Column("status", Text),
    Column("result", Text),
    Column("told_at", Double),
    Column("told_sum", BigInteger),
)

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", Integer, ForeignKey("study.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("sum", BigInteger, nullable=False),
    Index("event_kind", "study_id", "kind"),
)
