"""Exceptions of the library. What a user can cause is a `UserError` with a one-line message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AlreadyTold",
    "DataError",
    "ExportError",
    "GraphBudget",
    "MethodError",
    "MissingExtra",
    "NasturtiumError",
    "RunExists",
    "SpaceError",
    "SpaceExhausted",
    "StoreFull",
    "StudyError",
    "StudyVersionError",
    "TestPartUsed",
    "UserError",
    "nearest",
]


class NasturtiumError(Exception):
    """Base of every exception that the library raises on purpose."""


class UserError(NasturtiumError):
    """The input is wrong: one line says what is wrong and what to do; the command exits with 2."""


class DataError(UserError):
    """A data set cannot be read or cannot be learned from."""


class SpaceError(UserError):
    """A search space is declared wrongly, or an architecture does not belong to it."""


class SpaceExhausted(UserError):  # noqa: N818
    """No architecture is left that was not proposed before and that the limits allow."""


class GraphBudget(SpaceError):  # noqa: N818
    """An exact answer about a graph takes more search nodes than allowed; there is none then."""


class MethodError(UserError):
    """A method is unknown, or its parameters are wrong."""


class StudyError(UserError):
    """The record of a study is damaged, or used in a way that would damage it."""


class AlreadyTold(StudyError):  # noqa: N818
    """The trial has a result; `stored` is the result that the record holds."""

    def __init__(self, message: str, stored: object = None) -> None:
        super().__init__(message, stored)
        self.stored = stored

    def __str__(self) -> str:
        return str(self.args[0])


class StudyVersionError(StudyError):
    """The record was written by another version of the schema, or is no record of ours."""


class StoreFull(StudyError):  # noqa: N818
    """The disk that holds the record is full."""


class RunExists(StudyError):  # noqa: N818
    """The folder or the study exists already, and neither resume nor overwrite was asked for."""


class ExportError(UserError):
    """An exported file differs from the trained network, or cannot be written."""


class TestPartUsed(UserError):  # noqa: N818
    """The sealed test part was opened a second time."""

    __test__ = False  # pytest would take the class for a test by its name


class MissingExtra(UserError):  # noqa: N818
    """An optional package is absent: `package` is its name, `extra` the extra that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)
        self.package = package
        self.extra = extra

    def __str__(self) -> str:
        return (
            f"{self.package} is not installed; install it with: "
            f'pip install "nasturtium[{self.extra}]"'
        )


def nearest(name: str, names: Iterable[str]) -> str:
    """The part of a message that follows an unknown name.

    Returns `did you mean "a" or "b"?` with up to three close names, or the list of the known ones
    (at most twelve) when none is close.
    """
    known = sorted(set(names))
    by_plain = {_plain(k): k for k in known}
    close = [by_plain[p] for p in difflib.get_close_matches(_plain(name), by_plain, n=3)]
    if close:
        return f"did you mean {' or '.join(chr(34) + c + chr(34) for c in close)}?"
    if not known:
        return "none is known"
    tail = ", …" if len(known) > 12 else ""
    return f"known are {', '.join(known[:12])}{tail}"


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "-")
