"""A network's weights on disk: safetensors, with the names of what they belong to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nasturtium.errors import ExportError
from nasturtium.export.files import write_atomic

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["read", "save", "to_bytes"]


def save(
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
    from safetensors.torch import save as encode

    # A copy each: safetensors refuses tensors that share memory, as tied weights do.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    return encode(tensors, metadata=dict(metadata or {}))


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors by name and the metadata of a file that `save` wrote.

    Raises `ExportError` naming the file where it is missing, cut or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            names = file.keys()  # the handle itself cannot be iterated over
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ExportError(f"cannot read weights from {path}: {error}; export it again") from error
