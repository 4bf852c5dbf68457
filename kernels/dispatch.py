"""Which implementation of an operator runs, and why."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import cache

VARIABLE = "NASTURTIUM_KERNELS"
MODES = ("auto", "reference", "cpu")


@dataclass(frozen=True)
class Choice:
    """An implementation (``reference`` or ``cpu``) and the reason for it, in words."""

    name: str
    reason: str


@cache
def available() -> tuple[str, ...]:
    """Instruction sets of the CPU kernels that this processor runs, the best last; or none."""
    try:
        from . import _cpu
    except ImportError:
        return ()
    return tuple(_cpu.isas())


def mode() -> str:
    """The value of ``NASTURTIUM_KERNELS``: ``auto`` (the default), ``reference`` or ``cpu``.

    ``cpu`` takes the kernel wherever it can run, also where torch was measured to be faster.

    Raises:
        ValueError: the variable holds something else.
    """
    value = os.environ.get(VARIABLE, "auto")
    if value not in MODES:
        raise ValueError(f"{VARIABLE} is {value!r}; use one of {', '.join(MODES)}")
    return value


def choose(*, device: str, dtype: str, unsupported: str = "", slower: str = "") -> Choice:
    """Pick the implementation for one call.

    Args:
        device: type of the device, such as ``cpu``.
        dtype: name of the number format, such as ``torch.float32``.
        unsupported: why the kernel cannot run this call; empty if it can.
        slower: why torch is faster on this call; empty if it is not.
    """
    wanted = mode()
    if wanted == "reference":
        return Choice("reference", f"{VARIABLE}=reference")
    if unsupported:
        return Choice("reference", unsupported)
    if device != "cpu":
        return Choice("reference", f"no kernel for device {device}")
    if dtype != "torch.float32":
        return Choice("reference", f"no kernel for {dtype}")
    if not available():
        return Choice("reference", "the compiled kernels are not installed")
    if slower and wanted == "auto":
        return Choice("reference", slower)
    return Choice("cpu", available()[-1])


class KernelFallback(UserWarning):
    """An operator that has a kernel runs in plain torch."""


# Calls of operators with more than one implementation, by (operator, implementation).
ran: Counter[tuple[str, str]] = Counter()
_warned: set[tuple[str, str]] = set()


def warn_of_fallback(operator: str, choice: Choice) -> None:
    """Warn once of each reason for which an operator runs in plain torch without being told to."""
    told = choice.reason == f"{VARIABLE}=reference"
    if choice.name != "reference" or told or (operator, choice.reason) in _warned:
        return
    _warned.add((operator, choice.reason))
    warnings.warn(f"{operator} runs in plain torch: {choice.reason}", KernelFallback, stacklevel=4)
