"""States: bytes that keep a space or codes beyond the process, checked when they come back.

The format is stated in `csrc/include/nasturtium/state.hpp`: a header with version, kind and length,
the payload, and MurmurHash3_x64_128 of both; all numbers little-endian. C and C++ programs read
and write the same bytes.
"""

from __future__ import annotations

from nasturtium.errors import SpaceError
from nasturtium.spaces.space import Codes, Space


def save_space(space: Space) -> bytes:
    """The state of a space's text form."""
    # Imported here so that declarations can be read where the core is not built.
    from nasturtium import _core

    return _core.save_space(space.text)


def load_space_text(state: bytes) -> str:
    """The text form of a space that `save_space` (or a C program) wrote, found to compile.

    Raises `SpaceError` that names the byte, or the line of the text, for truncated, damaged and
    foreign bytes.
    """
    from nasturtium import _core

    try:
        return _core.load_space(state).decode()
    except UnicodeDecodeError as error:
        raise SpaceError(f"state: the text is not UTF-8 at byte {error.start}") from None


def save_codes(space: Space, codes: Codes) -> bytes:
    """The state of `codes`, uint8[n, d]: 64 bytes and those of the codes.

    Raises `SpaceError` for a row that is no code of the space.

    Example:
        >>> from nasturtium.spaces import load_codes, nb201, save_codes
        >>> codes = nb201().sample(100, seed=1)
        >>> bool((load_codes(nb201(), save_codes(nb201(), codes)) == codes).all())
        True
    """
    from nasturtium import _core

    return _core.save_codes(space.text, space.checked(codes))


def load_codes(space: Space, state: bytes) -> Codes:
    """The codes of a state, uint8[n, d]; every row is a code of the space.

    Constraints are not checked: `Space.valid` does that. Raises `SpaceError` that names the byte
    for truncated, damaged and foreign bytes, and where the codes were written for a space with
    another name or other decisions.
    """
    from nasturtium import _core

    return _core.load_codes(space.text, state)
