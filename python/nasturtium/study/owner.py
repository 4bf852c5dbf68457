"""Who holds a trial, and whether it is still there.

An owner is a text: machine, boot and process namespace, process with its start time, and a number
that tells the studies within one process apart.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import weakref
from pathlib import Path

__all__ = ["is_gone", "new_owner"]

_count = itertools.count(1)
_alive: set[str] = set()


def new_owner(holder: object) -> str:
    """A name for `holder`, which counts as gone when the object or its process is."""
    me = os.getpid()
    owner = f"{_machine()}|{me}|{_started(me)}|{next(_count)}"
    _alive.add(owner)
    weakref.finalize(holder, _alive.discard, owner)
    return owner


def is_gone(owner: str) -> bool:
    """True where the owner certainly no longer runs; False where nobody can tell from here."""
    host, boot, space, pid, started, _ = (owner.split("|") + [""] * 6)[:6]
    here = _machine().split("|")
    if host != here[0]:
        return False
    if boot != here[1]:
        return True
    if space != here[2] or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():
        return owner not in _alive
    return _started(int(pid)) != started


def _machine() -> str:
    boot = space = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = Path("/proc/self/ns/pid").readlink().name
    return f"{platform.node().replace('|', '-')}|{boot}|{space}"


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; empty where it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "" if Path("/proc/self/stat").exists() or not _exists(pid) else "unknown"
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
