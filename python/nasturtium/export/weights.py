"""A network's weights on disk: safetensors, with the names of what they belong to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasturtium.errors import ExportError
from nasturtium.export.files import write_atomic

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["read_metadata", "read_weights", "to_bytes", "write_weights"]


def write_weights(
    path: str | os.PathLike[str],
    state: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write tensors by name, moved to the CPU, with text metadata (architecture, fingerprint).

    The file appears in one step. Raises `ExportError` where the folder cannot be written.
    """
    return write_atomic(path, to_bytes(state, metadata))


def to_bytes(state: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """The same as the bytes of a safetensors file."""
    from safetensors.torch import save

    # A copy each: safetensors refuses tensors that share memory, as tied weights do.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    return save(tensors, metadata=dict(metadata or {}))


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors by name of a file that `write_weights` wrote.

    Raises `ExportError` naming the file where it is missing, cut or no safetensors file.
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of the same; raises the same."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise ExportError(f"cannot read weights from {path}: {error}; export it again") from error
