"""What yields a number for an architecture."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

__all__ = ["STATUSES", "Evaluator", "Result"]

STATUSES = ("ok", "failed", "diverged", "stopped", "timeout", "crashed")


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one evaluation.

    `score` is to be maximized, and None unless `status` is `ok` or `stopped`. `curve` holds the
    score after each epoch, `seconds` the time it took, `detail` the reason of a failure.
    """

    status: str
    score: float | None
    values: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[float, ...] = ()
    seconds: float = 0.0
    detail: str = ""


@runtime_checkable
class Evaluator(Protocol):
    """Picklable: it travels to worker processes.

    An attribute `preload`, if there is one, names modules that those processes import once.
    """

    def evaluate(
        self,
        arch: Any,
        fidelity: Mapping[str, int],
        seed: int,
        *,
        stop: Mapping[int, float] = {},
    ) -> Result:
        """Score `arch` at `fidelity`; `stop` maps an epoch to the least score to go on."""
        ...
