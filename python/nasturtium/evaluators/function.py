"""A user's own function as an evaluator."""

import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from nasturtium.evaluators.base import Result
from nasturtium.spaces import Architecture

__all__ = ["FunctionEvaluator"]

_MOST_DETAIL = 16 * 1024
_MOST_VALUES = 64


@dataclass(frozen=True, slots=True)
class FunctionEvaluator:
    """Scores an architecture by calling `function(arch)`.

    The function returns the score (to be maximized) as a number, a numpy scalar or an array or
    tensor with one element, or a mapping with the key `"score"` and further numbers to be kept.
    Whatever else it returns, and whatever it raises, gives a failed result that says why; the
    study goes on. To be used with worker processes the function must be picklable.
    """

    function: Callable[[Architecture], Any]

    def evaluate(
        self,
        arch: Architecture,
        fidelity: Mapping[str, int],
        seed: int,
        *,
        stop: Mapping[int, float] | None = None,
    ) -> Result:
        start = time.monotonic()
        try:
            returned = self.function(arch)
            score, values = _read(returned)
        except _UnusableError as error:
            return Result("failed", None, seconds=time.monotonic() - start, detail=str(error))
        except Exception:
            detail = traceback.format_exc()[-_MOST_DETAIL:]
            return Result("failed", None, seconds=time.monotonic() - start, detail=detail)
        return Result("ok", score, values, seconds=time.monotonic() - start)


class _UnusableError(Exception):
    """The function returned something that is no score."""


def _read(returned: object) -> tuple[float, dict[str, float]]:
    if not isinstance(returned, Mapping):
        return _number(returned, "the function returned"), {}
    if "score" not in returned:
        keys = ", ".join(repr(key)[:40] for key in list(returned)[:8])
        raise _UnusableError(f'the function returned a mapping without the key "score": {keys}')
    score = _number(returned["score"], 'the value of "score" is')
    others = [(key, value) for key, value in returned.items() if key != "score"][:_MOST_VALUES]
    for key, _ in others:
        if not isinstance(key, str):
            raise _UnusableError(
                f"the function returned a mapping with the key {key!r}, not a text"
            )
    return score, {key: _number(value, f"the value of {key!r} is") for key, value in others}


def _number(value: object, what: str) -> float:
    """A finite float from a number, a numpy scalar, or a one-element array or tensor."""
    if isinstance(value, (str, bytes, bool)) or value is None:
        raise _UnusableError(f"{what} {repr(value)[:200]}, not a number")
    if not isinstance(value, Real):
        item = getattr(value, "item", None)
        if not callable(item):
            raise _UnusableError(f"{what} a {type(value).__name__}, not a number")
        try:
            value = item()
        except (ValueError, RuntimeError, TypeError) as error:
            raise _UnusableError(f"{what} a {type(value).__name__} that is no number") from error
    if isinstance(value, bool) or not isinstance(value, (int, float, Real)):
        raise _UnusableError(f"{what} {repr(value)[:200]}, not a number")
    number = float(value)
    if not math.isfinite(number):
        raise _UnusableError(f"{what} {number}, which is not finite")
    return number
