"""JSON texts and checksums of the record.

Numbers that JSON lacks are written as `{"$float": "nan"}` (also "inf" and "-inf"), so that every
value comes back as it went in. Texts are ASCII: whatever a name or a traceback holds is escaped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import numbers
from collections.abc import Mapping
from typing import Any

from nasturtium.errors import StudyError
from nasturtium.evaluators.base import Result
from nasturtium.search.base import Proposal
from nasturtium.spaces import Space

__all__ = [
    "checksum",
    "dumps",
    "loads",
    "proposal_from",
    "proposal_text",
    "result_from",
    "result_text",
    "settle",
]

MAX_DEPTH = 64
MAX_DETAIL = 16 * 1024
_MARK = "$float"


def dumps(value: object) -> str:
    """The JSON text of `value`; StudyError where it is no JSON value or nested too deeply."""
    return json.dumps(_plain(value, 0), allow_nan=False, separators=(",", ":"))


def loads(text: str) -> Any:
    """The value of a text written by `dumps`; ValueError where it is none."""
    return json.loads(text, object_hook=_revive)


def checksum(*parts: str | int | float | None) -> int:
    """A signed 64-bit BLAKE2b digest over the parts, in their order."""
    digest = hashlib.blake2b(json.dumps(parts, default=repr).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def proposal_text(proposal: Proposal) -> str:
    """The stored form of a proposal; what is empty is left out."""
    fields: dict[str, object] = {
        "arch": str(proposal.arch),
        "fidelity": dict(proposal.fidelity),
        "origin": proposal.origin,
    }
    if proposal.parent is not None:
        fields["parent"] = proposal.parent
    if proposal.stop:
        fields["stop"] = {str(epoch): score for epoch, score in sorted(proposal.stop.items())}
    return dumps(fields)


def proposal_from(text: str, space: Space) -> Proposal:
    """The proposal that `proposal_text` wrote."""
    fields = loads(text)
    return Proposal(
        arch=space.parse(fields["arch"]),
        fidelity=fields["fidelity"],
        origin=fields["origin"],
        parent=fields.get("parent"),
        stop={int(epoch): score for epoch, score in fields.get("stop", {}).items()},
    )


def settle(result: Result) -> Result:
    """The result in plain Python numbers, as it reads back from the record.

    An "ok" without a finite score becomes "failed"; its raw score is kept. Details longer than
    16 KiB lose their beginning: a traceback says what happened at its end. StudyError where a
    field cannot be stored.
    """
    score = _number(result.score, "score")
    detail = str(result.detail)
    status = str(result.status)
    if status == "ok" and (score is None or not math.isfinite(score)):
        status, detail = "failed", detail or f"the score is {score}"
    return Result(
        status=status,
        score=score,
        values={str(k): _float(v, str(k)) for k, v in result.values.items()},
        curve=tuple(_float(v, "curve") for v in result.curve),
        seconds=_float(result.seconds, "seconds"),
        detail=detail[-MAX_DETAIL:],
    )


def result_text(result: Result) -> str:
    """The stored form of a settled result, but for its status."""
    fields = {
        "score": result.score,
        "values": dict(result.values),
        "curve": list(result.curve),
        "seconds": result.seconds,
        "detail": result.detail,
    }
    return dumps({name: value for name, value in fields.items() if value or name == "score"})


def result_from(status: str, text: str) -> Result:
    """The result that `result_text` wrote."""
    fields = loads(text)
    return Result(
        status=status,
        score=fields["score"],
        values=fields.get("values", {}),
        curve=tuple(fields.get("curve", ())),
        seconds=fields.get("seconds", 0.0),
        detail=fields.get("detail", ""),
    )


def _number(value: object, name: str) -> float | None:
    return None if value is None else _float(value, name)


def _float(value: object, name: str) -> float:
    if not isinstance(value, str) and hasattr(value, "__float__"):
        with contextlib.suppress(TypeError, ValueError, OverflowError, RuntimeError):
            return float(value)
    raise StudyError(f'the result\'s "{name}" is {type(value).__name__}, not a number')


def _plain(value: object, depth: int) -> object:
    kind = type(value)
    if value is None or kind is str or kind is int or kind is bool:
        return value
    if kind is float and math.isfinite(value):  # type: ignore[arg-type]
        return value
    if depth > MAX_DEPTH:
        raise StudyError(f"a value of the record is nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict | Mapping):
        if _MARK in value:
            raise StudyError(f'the key "{_MARK}" is taken by the record')
        return {str(k): _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, depth + 1) for v in value]
    return _scalar(value)


def _scalar(value: object) -> object:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else {_MARK: repr(number)}
    raise StudyError(f"{type(value).__name__} is no JSON value and cannot be recorded")


def _revive(fields: dict[str, Any]) -> Any:
    return float(fields[_MARK]) if len(fields) == 1 and _MARK in fields else fields
