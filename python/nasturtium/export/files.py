"""Writing a file so that a reader finds the old one or the new one, never a part of it."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from nasturtium.errors import ExportError

__all__ = ["write_atomic"]


def write_atomic(path: str | os.PathLike[str], data: bytes | str) -> Path:
    """Write `data` (text as UTF-8) to `path`, replacing what is there in one step.

    The bytes go to a temporary file of the same folder, which is flushed to the disk, renamed, and
    the folder's entry flushed too: after the return neither a kill nor a power loss takes the file
    back. The file gets the permissions that a plain `open` would give it. Returns the path.

    Raises `ExportError` with the path and the reason when the folder cannot be written or is full;
    whatever was at `path` before is then untouched and nothing else is left behind.
    """
    target = Path(path)
    content = data.encode() if isinstance(data, str) else data
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise ExportError(
            f"cannot write {target}: {error.strerror or error}; "
            "name a folder that exists, can be written and has space"
        ) from error
    return target


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
