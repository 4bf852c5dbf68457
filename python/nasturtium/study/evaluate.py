"""One evaluation, whatever the evaluator does short of ending its process."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import replace

from nasturtium.errors import StudyError
from nasturtium.evaluators.base import Evaluator, Result
from nasturtium.spaces import Architecture
from nasturtium.study.codec import settle

__all__ = ["evaluate"]


def evaluate(
    evaluator: Evaluator,
    arch: Architecture,
    fidelity: Mapping[str, int],
    seed: int,
    stop: Mapping[int, float],
) -> Result:
    """The evaluator's result, settled; "failed" with the traceback where it raises.

    What is no Result, or cannot be stored, is "failed" too, and its text is kept as the detail.
    """
    start = time.perf_counter()
    try:
        result: object = evaluator.evaluate(arch, fidelity, seed, stop=stop)
    except (Exception, SystemExit):  # sys.exit() in user code must not end the search
        return _failed(traceback.format_exc(), start)
    if not isinstance(result, Result):
        return _failed(f"the evaluator returned {_text(result)}, not a Result", start)
    try:
        settled = settle(result)
    except (StudyError, AttributeError, TypeError) as error:
        return _failed(f"{error}: {_text(result)}", start)
    if settled.seconds > 0.0:
        return settled
    return replace(settled, seconds=time.perf_counter() - start)


def _failed(detail: str, start: float) -> Result:
    seconds = time.perf_counter() - start
    return settle(Result("failed", None, {}, seconds=seconds, detail=detail))


def _text(value: object) -> str:
    try:
        return repr(value)[:1000]
    except Exception:  # the value's own code
        return f"a {type(value).__name__}"
