"""Which implementation of an operator runs, and why.

An operator with a gradient has implementations: objects with the functions ``forward`` and
``backward``, which take and return what the operator's own docstrings say. ``register`` adds one,
also a user's; a call takes the one that ``NASTURTIUM_KERNELS`` names, or by default the first that
is meant for the device. Where none can run, plain torch does, and says why once.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

VARIABLE = "NASTURTIUM_KERNELS"
BUILT_IN = ("cpu", "triton", "cuda")


@dataclass(frozen=True)
class Choice:
    """An implementation (``reference``, ``cpu``, ``triton``, ...) and the reason, in words."""

    name: str
    reason: str


@dataclass(frozen=True)
class Implementation:
    """One way to compute an operator.

    Attributes:
        name: as ``NASTURTIUM_KERNELS`` has it.
        load: gives an object with ``forward`` and ``backward``; called on use.
        obstacle: for a type of device why it cannot run there; empty if it can.
        about: what it runs on, in words.
        automatic: types of devices on which it is taken without being named.
    """

    name: str
    load: Callable[[], Any]
    obstacle: Callable[[str], str]
    about: Callable[[], str]
    automatic: tuple[str, ...]


_implementations: dict[str, dict[str, Implementation]] = {}
_left_to_torch: dict[tuple[str, str], str] = {}


def register(
    operator: str,
    name: str,
    load: Callable[[], Any] | str,
    *,
    obstacle: Callable[[str], str] = lambda device: "",
    about: Callable[[], str] | None = None,
    automatic: tuple[str, ...] = (),
    first: bool = False,
) -> None:
    """Add an implementation of an operator, or replace the one of that name.

    Args:
        operator: such as ``normalize_and_mix``.
        name: as ``NASTURTIUM_KERNELS`` will name it.
        load: gives an object with ``forward`` and ``backward``, or the name of a module that has
            them; called or imported on each use.
        obstacle: for a type of device why it cannot run there; empty if it can.
        about: what it runs on, in words; its name.
        automatic: types of devices on which it is taken without being named.
        first: whether it is tried before those that are there.

    ``example.py`` is an implementation as a user may write one.

    Raises:
        ValueError: the name means something else.
    """
    if name in ("auto", "reference") or not name:
        raise ValueError(f"an implementation cannot be called {name!r}")
    own = Implementation(
        name,
        (lambda: importlib.import_module(load)) if isinstance(load, str) else load,
        obstacle,
        about or (lambda: name),
        automatic,
    )
    others = {k: v for k, v in _implementations.get(operator, {}).items() if k != name}
    _implementations[operator] = {name: own, **others} if first else {**others, name: own}


def implementations(operator: str) -> tuple[Implementation, ...]:
    """All of an operator, in the order in which they are tried."""
    return tuple(_implementations.get(operator, {}).values())


def operators() -> tuple[str, ...]:
    """Names of the operators that have implementations; their modules must be imported."""
    return tuple(_implementations)


@cache
def available() -> tuple[str, ...]:
    """Instruction sets of the CPU kernels that this processor runs, the best last; or none."""
    try:
        from . import _cpu
    except ImportError:
        return ()
    return tuple(_cpu.isas())


def register_cpu(operator: str, load: Callable[[], Any] | str) -> None:
    """Add the compiled CPU kernel of an operator."""

    def obstacle(device: str) -> str:
        if device != "cpu":
            return f"no cpu kernel for device {device}"
        return "" if available() else "the compiled kernels are not installed"

    register(
        operator, "cpu", load, obstacle=obstacle, about=lambda: available()[-1], automatic=("cpu",)
    )


def leave_to_torch(operator: str, device: str, reason: str) -> None:
    """Let plain torch compute an operator on a type of device where no kernel is named."""
    _left_to_torch[operator, device] = reason


def mode() -> str:
    """The value of ``NASTURTIUM_KERNELS``: ``auto``, the default, ``reference`` or a kernel's name.

    A name takes that kernel wherever it can run, also where torch was measured to be faster.

    Raises:
        ValueError: the variable holds something else.
    """
    value = os.environ.get(VARIABLE, "auto")
    if value in ("auto", "reference", *BUILT_IN):
        return value
    added = sorted({name for own in _implementations.values() for name in own} - {*BUILT_IN})
    if value not in added:
        known = ("auto", "reference", *BUILT_IN, *added)
        raise ValueError(f"{VARIABLE} is {value!r}; use one of {', '.join(known)}")
    return value


def _wanted(operator: str, device: str, wanted: str) -> list[Implementation]:
    """Those that a mode allows on a type of device, whether they can run or not."""
    if wanted == "auto":
        return [own for own in implementations(operator) if device in own.automatic]
    return [own for own in implementations(operator) if own.name == wanted]


def choose(
    operator: str,
    *,
    device: str,
    dtype: str,
    unsupported: str = "",
    slower: str = "",
) -> Choice:
    """Pick the implementation for one call.

    Args:
        operator: its name.
        device: type of the device, such as ``cpu``.
        dtype: name of the number format, such as ``torch.float32``.
        unsupported: why no kernel can run this call; empty if one can.
        slower: why torch is faster on this call; empty if it is not.
    """
    wanted = mode()
    if wanted == "reference":
        return Choice("reference", f"{VARIABLE}=reference")
    if unsupported:
        return Choice("reference", unsupported)
    if dtype != "torch.float32":
        return Choice("reference", f"no kernel for {dtype}")
    if wanted == "auto" and (operator, device) in _left_to_torch:
        return Choice("reference", _left_to_torch[operator, device])
    reasons = []
    for own in _wanted(operator, device, wanted):
        reason = own.obstacle(device)
        if not reason:
            if slower and wanted == "auto":
                return Choice("reference", slower)
            return Choice(own.name, own.about())
        reasons.append(reason)
    nothing = f"no {'' if wanted == 'auto' else wanted + ' '}kernel for device {device}"
    return Choice("reference", "; ".join(reasons) or nothing)


def kernel(operator: str, device: str) -> Implementation:
    """The implementation that an operator called by itself runs: the chosen one, or any that can.

    Raises:
        RuntimeError: there is none.
    """
    own = _wanted(operator, device, mode())
    for each in (*own, *_wanted(operator, device, "auto"), *implementations(operator)):
        if not each.obstacle(device):
            return each
    raise RuntimeError(f"{operator} has no kernel for device {device}")


def forward(operator: str, device: str, *arguments: Any) -> Any:
    """Run an operator and count it in ``ran``."""
    own = kernel(operator, device)
    ran[operator, own.name] += 1
    return own.load().forward(*arguments)


def backward(operator: str, device: str, *arguments: Any) -> Any:
    """Run the gradient of an operator and count it in ``ran``."""
    own = kernel(operator, device)
    ran[f"{operator}_backward", own.name] += 1
    return own.load().backward(*arguments)


class KernelFallback(UserWarning):
    """An operator that has a kernel runs in plain torch."""


# Calls of operators with more than one implementation, by (operator, implementation).
ran: Counter[tuple[str, str]] = Counter()
_warned: set[tuple[str, str]] = set()


def warn_of_fallback(operator: str, choice: Choice) -> None:
    """Warn once of each reason for which an operator runs in plain torch without being told to."""
    told = choice.reason in (f"{VARIABLE}=reference", *_left_to_torch.values())
    if choice.name != "reference" or told or (operator, choice.reason) in _warned:
        return
    _warned.add((operator, choice.reason))
    warnings.warn(f"{operator} runs in plain torch: {choice.reason}", KernelFallback, stacklevel=4)
