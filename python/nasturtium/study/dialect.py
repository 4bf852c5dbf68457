"""Everything that is particular to SQLite: the file, its header, its locks and its errors.

A record is a file in WAL mode with synchronous=FULL: a committed transaction survives the end of
the process and the loss of power. Every change of the record is one statement and so a transaction
of its own, which waits for the write lock when it begins.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Select, UpdateBase, create_engine
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from nasturtium.errors import StoreFull, StudyError, StudyVersionError
from nasturtium.study.schema import VERSION, metadata

__all__ = ["Database", "Prepared", "TakenError", "check_file", "make_file", "path_of"]

APPLICATION_ID = 0x6E617374  # "nast"
BUSY_SECONDS = 60.0
_FULL = ("SQLITE_FULL",)
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")


def path_of(url: str | Path) -> Path:
    """The file of a path or of a `sqlite:///…` URL; StudyError for another database."""
    text = str(url)
    if "://" in text:
        scheme, _, rest = text.partition(":///")
        if scheme != "sqlite" or not rest:
            raise StudyError(f"{text.partition('://')[0]} is no store: give a path or sqlite:///…")
        text = rest
    if "\0" in text:
        raise StudyError("the path of a record holds a NUL character")
    return Path(text)


def make_file(path: Path) -> None:
    """Create an empty record at `path` unless one is there: whole, or not at all."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with translated(path):
        try:
            _make_tables(draft)
            _publish(draft, path)
        finally:
            draft.unlink(missing_ok=True)


def _make_tables(path: Path) -> None:
    engine = create_engine(URL.create("sqlite", database=str(path.absolute())))
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")
    with engine.connect() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar()
    engine.dispose()
    if mode != "wal":
        raise StudyError(f"{path.parent}: SQLite's WAL mode does not work here; use a local disk")


def _publish(draft: Path, path: Path) -> None:
    """Give the finished file its name and make the name durable; the first of several wins."""
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check_file(path: Path) -> None:
    """Refuse what is no record of this version; the file is left unchanged.

    SQLite reads the file, not we: closing a file of our own would drop the locks that other
    connections of this process hold on it, and with them their protection from other processes.
    """
    if not path.exists():
        raise StudyError(f"{path}: there is no record here")
    # A connection for writing takes its auxiliary files away again. Where there are some already,
    # it might complete what an interrupted writer left: then only look.
    busy = any(path.with_name(path.name + end).exists() for end in ("-wal", "-journal"))
    with translated(path):
        uri = _uri(path, "ro" if busy else "rw")
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)
        try:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname != "SQLITE_NOTADB":
                raise
            application, version = 0, 0
        finally:
            connection.close()
    if application != APPLICATION_ID:
        raise StudyVersionError(f"{path}: is no record of nasturtium; choose another folder")
    if version != VERSION:
        age = "a newer" if version > VERSION else "an older"
        raise StudyVersionError(
            f"{path}: the record has version {version}, of {age} nasturtium, this one reads "
            f"version {VERSION}; use that nasturtium, or start a new run in another folder"
        )


class TakenError(StudyError):
    """A row with this key is there already."""


class Prepared:
    """A statement of SQLAlchemy Core, compiled once and run by the driver itself.

    Measured: executing through Core costs 0.2 ms of processor time more a statement, as much as
    making a transaction durable.
    """

    def __init__(self, statement: Select[Any] | UpdateBase) -> None:
        compiled = statement.compile(dialect=sqlite.dialect())
        self.sql = str(compiled)
        self.names = tuple(compiled.positiontup or ())
        self._constants = dict(compiled.params)

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The parameters in their order, those of the statement itself among them."""
        return [values[n] if n in values else self._constants[n] for n in self.names]


class Database:
    """Connections to the record at `path`, one for each thread at a time, kept for the next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free: list[sqlite3.Connection] = []
        weakref.finalize(self, _close_all, self._free)

    def change(self, statement: Prepared, values: Mapping[str, Any]) -> int:
        """Run a statement as one durable transaction; returns the number of rows it changed."""
        with self._connection() as connection:
            cursor = connection.execute(statement.sql, statement.arguments(values))
            return cursor.rowcount

    def rows(self, statement: Prepared, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All rows of a query, by column name."""
        with self._connection() as connection:
            cursor = connection.execute(statement.sql, statement.arguments(values))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def integrity(self) -> list[str]:
        """What SQLite finds wrong with the file; empty where nothing is."""
        with self._connection() as connection:
            found = [str(line) for (line,) in connection.execute("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Close the connections that no thread uses."""
        _close_all(self._free)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with translated(self._path):
            try:
                connection = self._free.pop()
            except IndexError:
                connection = self._connect()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._free.append(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            _uri(self._path, "rw"),
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,  # a statement is a transaction
            check_same_thread=False,
        )
        connection.execute("PRAGMA synchronous = FULL")
        return connection


def _close_all(connections: list[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote(str(path.absolute()))}?mode={mode}"


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the file system as StudyError or StoreFull, in one line."""
    try:
        yield
    except DBAPIError as error:
        raise _translation(path, error.orig) from error
    except sqlite3.IntegrityError as error:
        raise TakenError(f"{path}: {error}") from error
    except (sqlite3.Error, OSError) as error:
        raise _translation(path, error) from error


def _translation(path: Path, error: Any) -> StudyError:
    name = getattr(error, "sqlite_errorname", "") or ""
    reason = " ".join(str(error).split())[:200]  # SQLite quotes damaged text as it is
    if name.startswith(_FULL) or getattr(error, "errno", None) == 28:  # ENOSPC
        return StoreFull(f"{path}: the disk is full; free some space and resume")
    if name.startswith(_DAMAGED):
        return StudyError(f"{path}: the record is damaged ({reason}); restore it from a copy")
    if name.startswith(_BUSY):
        return StudyError(f"{path}: another process held the record for {BUSY_SECONDS:.0f} s")
    if name.startswith("SQLITE_READONLY") or isinstance(error, PermissionError):
        return StudyError(f"{path}: cannot be written; check the permissions of file and folder")
    if name.startswith("SQLITE_CANTOPEN") or isinstance(error, FileNotFoundError):
        return StudyError(f"{path}: cannot be opened; check that the folder exists and is writable")
    return StudyError(f"{path}: {reason}")
