"""The machine and the versions that a measurement was made with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["commit", "cores", "flags", "measured_with", "processor", "versions"]

_INFO = Path("/proc/cpuinfo")


def cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    return _field("model name") or platform.processor() or platform.machine()


def flags() -> frozenset[str]:
    """What the processor says that it can do; empty where the system does not tell."""
    return frozenset((_field("flags") or _field("Features") or "").split())


def versions(packages: Sequence[str]) -> dict[str, str | None]:
    """The installed version of each package, None where it is not installed."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def commit(folder: str | Path) -> str:
    """The commit that a checkout is at, "-dirty" behind it where files differ; else "unknown"."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def measured_with(packages: Sequence[str], *, checkout: str | Path) -> dict[str, str]:
    """Columns for a row of results: cpu, cores, python, each package's version, commit."""
    known = {name: version or "absent" for name, version in versions(packages).items()}
    return {
        "cpu": processor(),
        "cores": str(cores()),
        "python": platform.python_version(),
        **known,
        "commit": commit(checkout),
    }


def _field(name: str) -> str:
    if not _INFO.is_file():
        return ""
    for line in _INFO.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
