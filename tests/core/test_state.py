"""States of spaces and codes: the format, and that nothing damaged or forged comes through."""

from __future__ import annotations

import doctest
from collections.abc import Callable

import numpy as np
import pytest
import space_twin
import state_twin as twin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasturtium import _core
from nasturtium.errors import SpaceError
from nasturtium.spaces import (
    Choice,
    Space,
    image_cell,
    load_codes,
    load_space_text,
    nb201,
    residual_mlp,
    save_codes,
    save_space,
    state,
)

SPACES = (nb201, image_cell, residual_mlp)
FEW = np.array([[0, 1, 2, 3, 4, 0], [4, 3, 2, 1, 0, 4]], np.uint8)
some = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def small() -> Space:
    a = Choice("a", ("x", "y", "z"))
    return Space("small", [a, Choice("b", (1, 2.5, True), when={"a": ("x", "z")})])


# Published values of MurmurHash3_x64_128 with seed 0.
@pytest.mark.parametrize(
    ("data", "first", "second"),
    [
        (b"", 0, 0),
        (b"hello", 0xCBD8A7B341BD9B02, 0x5B1E906A48AE1D19),
        (
            b"The quick brown fox jumps over the lazy dog",
            0xE34BBC7BBC071B6C,
            0x7A433CA9C49A9347,
        ),
    ],
)
def test_the_hash_is_the_published_one(data: bytes, first: int, second: int) -> None:
    assert _core.murmur128(data, 0) == (first, second)


@some
@given(st.binary(max_size=70), st.integers(0, 2**64 - 1))
def test_the_hash_agrees_with_the_twin(data: bytes, seed: int) -> None:
    assert _core.murmur128(data, seed) == twin.murmur(data, seed)


def test_states_stay_what_they_are() -> None:
    """Programs keep states, so that these bytes never change."""
    assert save_codes(nb201(), FEW).hex() == (
        "894e53540d0a1a0a010000000200000024000000000000007cb178b866f2e3af67e7aef837c10d02"
        "0200000000000000000102030400040302010004a431ee5642a6f34f0eff9d92ca239f70"
    )


@pytest.mark.parametrize("make", SPACES)
def test_built_in_spaces(make: Callable[[], Space]) -> None:
    space = make()
    codes = space.sample(500, seed=1)
    assert save_space(space) == twin.space_state(space)
    assert load_space_text(save_space(space)) == space.text
    assert save_codes(space, codes) == twin.codes_state(space, codes)
    assert np.array_equal(load_codes(space, save_codes(space, codes)), codes)
    empty = load_codes(space, save_codes(space, codes[:0]))
    assert empty.shape == (0, codes.shape[1]) and empty.dtype == np.uint8


@some
@given(space_twin.spaces())
def test_random_spaces_agree_with_the_twin(space: Space) -> None:
    codes = space.enumerate()[:20]
    assert save_space(space) == twin.space_state(space)
    assert load_space_text(save_space(space)) == space.text
    assert save_codes(space, codes) == twin.codes_state(space, codes)
    assert np.array_equal(load_codes(space, save_codes(space, codes)), codes)


def test_every_truncation_and_every_flipped_bit_is_refused() -> None:
    space = small()
    spoiled = []
    for whole in (save_codes(space, space.sample(5, seed=1)), save_space(space)):
        spoiled += [whole[:n] for n in range(len(whole))]
        for at in range(8 * len(whole)):
            bent = bytearray(whole)
            bent[at // 8] ^= 1 << at % 8
            spoiled.append(bytes(bent))
        spoiled += [whole + b"\0", whole + whole, b"\0" + whole]
    for damaged in spoiled:
        with pytest.raises(SpaceError, match="state, byte"):
            load_codes(space, damaged)
        with pytest.raises(SpaceError, match="state, byte"):
            load_space_text(damaged)


def forged(rows: int, *, key: bytes | None = None, codes: bytes = bytes(4), **header: int) -> bytes:
    """The state of two codes of `small`, with numbers of one's own and a checksum that fits."""
    good = twin.codes_state(small(), np.zeros((2, 2), np.uint8))
    payload = (key or good[24:40]) + rows.to_bytes(8, "little") + codes
    return twin.state(twin.CODES, payload, **header)


def test_the_forger_is_right_where_nothing_is_forged() -> None:
    assert forged(2) == save_codes(small(), np.zeros((2, 2), np.uint8))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (forged(2**62), "state, byte 48: more items than"),
        (forged(2**63 + 2), "state, byte 48: more items than"),
        (forged(3), "state, byte 48: more items than"),
        (forged(1), "state, byte 50: bytes are left"),
        (forged(2, key=bytes(16)), "state, byte 24: the codes are of another space"),
        (forged(2, codes=b"\1\1\0\0"), "row 0: decision 'b' is inactive"),
        (forged(2, codes=b"\0\0\0\3"), "row 1: decision 'b' has 3 options"),
        (forged(2, version=2), "state, byte 8: version 2 of the format"),
        (forged(2, version=0), "state, byte 8: version 0 of the format"),
        (forged(2, length=2**64 - 40), "state, byte 16: the length"),
        (twin.state(twin.CODES, bytes(8)), "state, byte 32: the payload ends too early"),
        (twin.space_state(small()), "state, byte 12: a state of kind 1, not 2"),
    ],
)
def test_forged_codes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        load_codes(small(), data)


def test_forged_texts_are_refused() -> None:
    text = small().text
    with pytest.raises(SpaceError, match="space text, line 3: expected 'decision NAME"):
        load_space_text(twin.state(twin.SPACE, text.replace(' "x" "y" "z"', "", 1).encode()))
    with pytest.raises(SpaceError, match="longer than 1 MiB"):
        load_space_text(twin.state(twin.SPACE, b"a" * (2**20 + 1)))
    with pytest.raises(SpaceError, match="not UTF-8"):
        load_space_text(twin.state(twin.SPACE, text.encode().replace(b'"y"', b'"\xff"')))


def test_codes_belong_to_a_declaration() -> None:
    """Another name, order, option, type of an option or condition is another meaning."""
    a, b = Choice("a", (1, 2)), Choice("b", (1, 2))
    space = Space("s", [a, b])
    kept = save_codes(space, space.enumerate())
    others = [
        Space("t", [a, b]),
        Space("s", [b, a]),
        Space("s", [a, Choice("b", (1, 3))]),
        Space("s", [a, Choice("b", ("1", "2"))]),
        Space("s", [a, Choice("b", (1, 2), when={"a": 1})]),
        Space("s", [a, b, Choice("c", (1,))]),
    ]
    for other in others:
        with pytest.raises(SpaceError, match="of another space"):
            load_codes(other, kept)


@some
@given(st.data())
def test_what_is_accepted_comes_back_the_same(data: st.DataObject) -> None:
    """Payloads changed at will, with a checksum that fits: refused, or one batch's own bytes."""
    space = small()
    payload = bytearray(save_codes(space, space.sample(3, seed=1))[24:-16])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(16, len(payload) - 1))
        payload[at] = data.draw(st.sampled_from([0, 1, 2, 3, 255]))
    bent = twin.state(twin.CODES, bytes(payload))
    try:
        codes = load_codes(space, bent)
    except SpaceError:
        return
    assert save_codes(space, codes) == bent


def test_rows_that_are_no_codes_are_not_saved() -> None:
    with pytest.raises(SpaceError, match="row 1: decision 'edge_1_0' has 5 options"):
        save_codes(nb201(), FEW + np.array([[0] * 6, [1] + [0] * 5], np.uint8))
    with pytest.raises(SpaceError, match=r"uint8\[n, 6\]"):
        save_codes(nb201(), FEW[:, :5])


def test_the_example() -> None:
    assert doctest.testmod(state).failed == 0
    assert doctest.testmod(state).attempted > 0
