"""The format of states, written plainly a second time from its description in state.hpp."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nasturtium.spaces import Space
from nasturtium.spaces.declare import option_text

MASK = (1 << 64) - 1
MAGIC = b"\x89NST\r\n\x1a\n"
SPACE, CODES = 1, 2


def mix(x: int) -> int:
    x ^= x >> 33
    x = x * 0xFF51AFD7ED558CCD & MASK
    x ^= x >> 33
    x = x * 0xC4CEB9FE1A85EC53 & MASK
    return x ^ x >> 33


def rotate(x: int, by: int) -> int:
    return (x << by | x >> (64 - by)) & MASK


def murmur(data: bytes, seed: int = 0) -> tuple[int, int]:
    """MurmurHash3_x64_128, after its description: blocks of 16 bytes, a tail, a finish."""
    c1, c2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
    h1 = h2 = seed
    whole = len(data) - len(data) % 16
    for at in range(0, whole, 16):
        k1, k2 = struct.unpack_from("<QQ", data, at)
        h1 ^= rotate(k1 * c1 & MASK, 31) * c2 & MASK
        h1 = ((rotate(h1, 27) + h2) * 5 + 0x52DCE729) & MASK
        h2 ^= rotate(k2 * c2 & MASK, 33) * c1 & MASK
        h2 = ((rotate(h2, 31) + h1) * 5 + 0x38495AB5) & MASK
    tail = data[whole:]
    if len(tail) > 8:
        k2 = int.from_bytes(tail[8:], "little")
        h2 ^= rotate(k2 * c2 & MASK, 33) * c1 & MASK
    if tail:
        k1 = int.from_bytes(tail[:8], "little")
        h1 ^= rotate(k1 * c1 & MASK, 31) * c2 & MASK
    h1, h2 = h1 ^ len(data), h2 ^ len(data)
    h1 = (h1 + h2) & MASK
    h2 = (h2 + h1) & MASK
    h1, h2 = mix(h1), mix(h2)
    h1 = (h1 + h2) & MASK
    return h1, (h2 + h1) & MASK


def hash_text(text: str, seed: int) -> int:
    data = text.encode()
    h = mix(seed ^ 0xCBF29CE484222325)
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & MASK
    return mix(h ^ len(data))


def declaration_words(space: Space) -> Iterable[int]:
    places = {choice.name: i for i, choice in enumerate(space.decisions)}
    yield hash_text(space.name, 3)
    yield len(space.decisions)
    for choice in space.decisions:
        yield hash_text(choice.name, 4)
        yield len(choice.options)
        for option in choice.options:
            quoted = isinstance(option, str)
            yield hash_text(str(option) if quoted else option_text(option), 1 if quoted else 2)
        yield len(choice.when)
        for name, values in choice.when:
            yield places[name]
            parent = space.decisions[places[name]]
            chosen = sum(1 << parent.index(value) for value in values)
            yield from (chosen >> 64 * i & MASK for i in range(4))


def state(kind: int, payload: bytes, *, version: int = 1, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    body = MAGIC + struct.pack("<IIQ", version, kind, size) + payload
    return body + struct.pack("<QQ", *murmur(body))


def payload_of(data: bytes) -> tuple[int, bytes]:
    """The kind and the payload of a state."""
    (kind,) = struct.unpack_from("<I", data, 12)
    return kind, data[24:-16]


def space_state(space: Space) -> bytes:
    return state(SPACE, space.text.encode())


def codes_state(space: Space, codes: NDArray[np.uint8], *, rows: int | None = None) -> bytes:
    words = b"".join(struct.pack("<Q", word) for word in declaration_words(space))
    count = len(codes) if rows is None else rows
    return state(CODES, struct.pack("<QQQ", *murmur(words), count) + codes.tobytes())
