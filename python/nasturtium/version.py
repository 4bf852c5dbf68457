"""The version of the library, from the one place where it is kept."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

__all__ = ["version"]


def version() -> str:
    """The installed version; in a source tree that is not installed, the one in version.hpp."""
    try:
        return metadata.version("nasturtium")
    except metadata.PackageNotFoundError:
        header = "csrc/include/nasturtium/version.hpp"
        text = (Path(__file__).resolve().parents[2] / header).read_text(encoding="utf-8")
        found = re.search(r'"(\d+\.\d+\.\d+)"', text)
        if found is None:
            raise RuntimeError(f"{header} holds no version") from None
        return found.group(1)
