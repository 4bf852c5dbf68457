"""Arguments as the core takes them."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium.errors import UserError

__all__ = ["array", "check_draw"]

T = TypeVar("T", bound=np.generic)

# By their scalar types, since a comparison with a type makes its dtype anew.
_DTYPES: dict[Any, np.dtype[Any]] = {
    kind: np.dtype(kind) for kind in (np.float64, np.int64, np.uint64, np.uint32, np.uint8)
}


def array(values: ArrayLike, dtype: type[T], axes: int, name: str) -> NDArray[T]:
    """A C-contiguous array of that type and number of axes; one that is already so is not copied.

    Raises `UserError` for others, and where a value would change.
    """
    given: NDArray[Any] = np.asarray(values)
    if given.ndim != axes:
        raise UserError(f"{name} must have {axes} axes, not {given.ndim}")
    if given.dtype is _DTYPES.get(dtype) or given.dtype == np.dtype(dtype):
        return np.ascontiguousarray(given)
    fits = given.dtype.kind in "biuf"
    if fits and given.size and np.dtype(dtype).kind in "iu":
        fits = given.dtype.kind != "f" and bool((given.astype(dtype) == given).all())
    if not fits and given.size:
        raise UserError(f"{name} must hold {np.dtype(dtype).name}, not {given.dtype}")
    return np.ascontiguousarray(given, dtype)


def check_draw(seed: int, stream: int, start: int = 0) -> None:
    """Raises `UserError` where the core could not hold what draws are keyed by."""
    if not 0 <= seed < 1 << 64:
        raise UserError(f"seed {seed} is not between 0 and 2**64 - 1")
    if not 0 <= stream < 1 << 32:
        raise UserError(f"stream {stream} is not between 0 and 2**32 - 1")
    if not 0 <= start < 1 << 64:
        raise UserError(f"start {start} is not between 0 and 2**64 - 1")
