"""Neural architecture search: from a data set to a found and verified network.

`search` runs a search, `Space`, `Choice` and `Graph` declare what is searched. The names are
imported on first use; importing the package imports neither torch nor numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasturtium.job import search as search
    from nasturtium.spaces import Choice, Graph, Space

    __version__: str

__all__ = ["Choice", "Graph", "Space", "__version__", "search"]

_SPACES = ("Choice", "Graph", "Space")


def __getattr__(name: str) -> Any:
    """Import `name` on its first use."""
    if name in _SPACES:
        value = vars(importlib.import_module("nasturtium.spaces"))[name]
    elif name == "search":
        # The package of search methods has the same name; it can be called like the function.
        value = importlib.import_module("nasturtium.search")
    elif name == "__version__":
        value = importlib.import_module("nasturtium.version").version()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
