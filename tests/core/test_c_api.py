"""The C header, called in the module by ctypes: the same results as from Python, and refusals."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import space_twin as twin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import nasturtium
from nasturtium import _core
from nasturtium.bookkeeping import AgeingQueue, Tree, TreeRule
from nasturtium.encodings import (
    GraphArrays,
    PathEncoder,
    categorical,
    graph_labels,
    one_hot,
    one_hot_bits,
    operation_counts,
)
from nasturtium.graphs import GraphBatch, canonical_keys, canonical_orders, prune
from nasturtium.keymap import KeyMap
from nasturtium.spaces import (
    Choice,
    Space,
    image_cell,
    nb201,
    residual_mlp,
    save_codes,
    save_space,
)
from nasturtium.testing.graphs import hard_graphs, random_dags

HEADER = Path(__file__).parents[2] / "csrc" / "include" / "nasturtium" / "c_api.h"
OK, TEXT, ROW, EXHAUSTED, LIMIT, BUDGET, STATE, MEMORY, ARGUMENT, CAPACITY, INTERNAL = range(11)
KINDS = {
    "*": ctypes.c_void_p,
    "size_t": ctypes.c_size_t,
    "uint64_t": ctypes.c_uint64,
    "uint32_t": ctypes.c_uint32,
    "nst_status": ctypes.c_int32,
    "void": None,
}
some = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def kind_of(declared: str) -> Any:
    """The ctypes type of a parameter or result as the header writes it."""
    if "*" in declared:
        return ctypes.c_char_p if declared == "const char*" else ctypes.c_void_p
    return KINDS[declared.split()[0]]


def declarations() -> dict[str, tuple[Any, list[Any]]]:
    """Result and parameters of every function, read from the header."""
    text = " ".join(HEADER.read_text(encoding="utf-8").split())
    found = {}
    for result, name, listed in re.findall(r"NST_API ([\w *]+?) ?(nst_\w+)\(([^)]*)\)", text):
        parameters = [] if listed == "void" else listed.split(", ")
        found[name] = (kind_of(result), [kind_of(part) for part in parameters])
    return found


def loaded() -> ctypes.CDLL:
    library = ctypes.CDLL(_core.__file__)
    for name, (result, parameters) in declarations().items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, parameters
    return library


LIB = loaded()


class Draws(ctypes.Structure):
    _fields_ = [
        ("seed", ctypes.c_uint64),
        ("start", ctypes.c_uint64),
        ("stream", ctypes.c_uint32),
        ("threads", ctypes.c_uint32),
    ]


class Handle:
    """A space of the C header, and the error of its calls."""

    def __init__(self, text: str) -> None:
        error, space = ctypes.c_void_p(), ctypes.c_void_p()
        assert LIB.nst_error_create(ctypes.byref(error)) == OK
        self.error = error.value
        data = text.encode()
        status = LIB.nst_space_create(data, len(data), ctypes.byref(space), self.error)
        assert (status == OK) == (space.value is not None)
        self.space = space.value

    def close(self) -> None:
        LIB.nst_space_destroy(self.space)
        LIB.nst_error_destroy(self.error)

    def call(self, name: str, *arguments: Any) -> int:
        status: int = getattr(LIB, name)(self.space, *arguments, self.error)
        assert LIB.nst_error_status(self.error) == status
        assert (status == OK) == (self.message == "")
        return status

    @property
    def message(self) -> str:
        said: bytes = LIB.nst_error_message(self.error)
        return said.decode()

    @property
    def where(self) -> int:
        place: int = LIB.nst_error_where(self.error)
        return place


def at(array: NDArray[Any]) -> int:
    return array.ctypes.data


@pytest.fixture(params=[nb201, image_cell, residual_mlp])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Space, Handle]]:
    space: Space = request.param()
    handle = Handle(space.text)
    yield space, handle
    handle.close()


def test_every_prototype_was_found() -> None:
    text = " ".join(HEADER.read_text(encoding="utf-8").split())
    assert len(declarations()) == text.count(") NST_NOEXCEPT;") == 76


def test_versions_and_names() -> None:
    assert LIB.nst_version().decode() == nasturtium.__version__
    assert LIB.nst_abi_version() == _core.abi_version
    text = HEADER.read_text(encoding="utf-8")
    assert f"#define NST_ABI_VERSION {_core.abi_version}\n" in text
    numbers = {name: int(value) for name, value in re.findall(r"(NST_[A-Z_]+) = (\d+)", text)}
    assert list(numbers.values()) == list(range(11))
    for name, number in numbers.items():
        assert LIB.nst_status_name(number).decode() == name
    for number in (-1, 11, 2**31 - 1, -(2**31)):
        assert LIB.nst_status_name(number) == b"NST_ERROR_INTERNAL"


def test_what_a_space_says_of_itself(pair: tuple[Space, Handle]) -> None:
    space, handle = pair
    assert LIB.nst_space_name(handle.space).decode() == space.name
    assert LIB.nst_space_text(handle.space).decode() == space.text
    width = LIB.nst_space_width(handle.space)
    assert width == len(space.decisions)
    assert LIB.nst_space_one_hot_width(handle.space) == space.options.sum()
    for i, choice in enumerate(space.decisions):
        assert LIB.nst_space_decision(handle.space, i).decode() == choice.name
        assert LIB.nst_space_options(handle.space, i) == len(choice.options)
        texts = [LIB.nst_space_option(handle.space, i, v) for v in range(len(choice.options) + 1)]
        assert texts[-1] is None
        for text, option in zip(texts[:-1], choice.options, strict=True):
            plain = str(option).lower() if isinstance(option, bool) else str(option)
            assert text.decode() == plain
    assert LIB.nst_space_decision(handle.space, width) is None
    assert LIB.nst_space_options(handle.space, width) == 0
    assert LIB.nst_space_option(handle.space, width, 0) is None


def results(handle: Handle, n: int, draws: Draws, conventions: list[str]) -> dict[str, Any]:
    """Every batch function, each on what the ones before it gave."""
    width = LIB.nst_space_width(handle.space)
    key = ctypes.byref(draws)
    codes, mutants, children = (np.zeros((n, width), np.uint8) for _ in range(3))
    assert handle.call("nst_space_sample", key, n, at(codes)) == OK
    assert handle.call("nst_space_mutate", key, n, at(codes), at(mutants)) in (OK, EXHAUSTED)
    mixed = codes[::-1].copy()
    assert handle.call("nst_space_crossover", key, n, at(codes), at(mixed), at(children)) == OK
    valid = np.zeros(n, np.uint8)
    assert handle.call("nst_space_valid", n, at(codes), draws.threads, at(valid)) == OK
    hot = np.zeros((n, LIB.nst_space_one_hot_width(handle.space)), np.float32)
    assert handle.call("nst_space_one_hot", n, at(codes), draws.threads, at(hot)) == OK
    numbers = np.zeros((n, width), np.int16)
    assert handle.call("nst_space_categorical", n, at(codes), draws.threads, at(numbers)) == OK
    keys = {}
    for convention in conventions:
        words = np.zeros((n, 2), np.uint64)
        arguments = (convention.encode(), n, at(codes), draws.threads, at(words))
        assert handle.call("nst_space_keys", *arguments) == OK
        keys[convention] = words
    return {
        "codes": codes,
        "mutants": mutants,
        "children": children,
        "valid": valid,
        "hot": hot,
        "numbers": numbers,
        "keys": keys,
    }


def listed(handle: Handle, name: str, *arguments: Any) -> NDArray[np.uint8]:
    """A list of rows by the protocol: ask, too little, enough."""
    width = LIB.nst_space_width(handle.space)
    rows = ctypes.c_uint64(77)
    assert handle.call(name, *arguments, None, 0, ctypes.byref(rows)) == OK
    out = np.zeros((rows.value, width), np.uint8)
    if rows.value > 0:
        too_few = rows.value - 1
        status = handle.call(name, *arguments, at(out), too_few, ctypes.byref(rows))
        assert (status, handle.where, rows.value) == (CAPACITY, len(out), len(out))
        assert not out.any()
    assert handle.call(name, *arguments, at(out), len(out), ctypes.byref(rows)) == OK
    assert rows.value == len(out)
    return out


@pytest.mark.parametrize("threads", [0, 3])
def test_batches_are_those_of_python(pair: tuple[Space, Handle], threads: int) -> None:
    space, handle = pair
    n = 33_000
    draws = Draws(seed=2**64 - 1, start=2**40, stream=7, threads=threads)
    key: dict[str, Any] = {"seed": 2**64 - 1, "start": 2**40, "stream": 7}
    got = results(handle, n, draws, ["genotype", "pruned", "graph", "function"])
    codes = space.sample(n, **key)
    assert np.array_equal(got["codes"], codes)
    assert np.array_equal(got["mutants"], space.mutate(codes, **key))
    assert np.array_equal(got["children"], space.crossover(codes, codes[::-1], **key))
    assert got["valid"].all()
    assert np.array_equal(got["hot"], one_hot(space, codes))
    assert np.array_equal(got["numbers"], categorical(space, codes))
    for convention, words in got["keys"].items():
        assert np.array_equal(words, space.keys(codes, convention))
    around = listed(handle, "nst_space_neighbors", at(codes[0].copy()))
    assert np.array_equal(around, space.neighbors(codes[0]))


@some
@given(twin.spaces(), st.integers(0, 2**64 - 1))
def test_random_spaces_are_those_of_python(space: Space, seed: int) -> None:
    every = space.enumerate()
    if len(every) == 0:
        return
    handle = Handle(space.text)
    limit = int(np.prod([len(choice.options) for choice in space.decisions]))
    assert np.array_equal(listed(handle, "nst_space_enumerate", limit), every)
    got = results(handle, 5, Draws(seed=seed, start=0, stream=0, threads=1), ["graph"])
    assert np.array_equal(got["codes"], space.sample(5, seed=seed))
    assert np.array_equal(got["hot"], one_hot(space, got["codes"]))
    assert np.array_equal(got["numbers"], categorical(space, got["codes"]))
    assert np.array_equal(got["keys"]["graph"], space.keys(got["codes"], "graph"))
    code = every[-1].copy()
    assert handle.call("nst_space_check", at(code)) == OK
    assert np.array_equal(listed(handle, "nst_space_neighbors", at(code)), space.neighbors(code))
    handle.close()


def test_random_words_are_those_of_python() -> None:
    out = np.zeros(37, np.uint64)
    expected = np.zeros(37, np.uint64)
    assert LIB.nst_random_words(5, 6, 7, 37, at(out), None) == OK
    _core.random_words(expected, 5, 6, 7)
    assert np.array_equal(out, expected)


def test_states_are_those_of_python(pair: tuple[Space, Handle]) -> None:
    space, handle = pair
    codes = space.sample(9, seed=1)
    size, rows = ctypes.c_size_t(), ctypes.c_uint64()
    whole, batch = save_space(space), save_codes(space, codes)

    assert handle.call("nst_space_save", None, 0, ctypes.byref(size)) == OK
    assert size.value == len(whole)
    out = np.zeros(size.value, np.uint8)
    assert handle.call("nst_space_save", at(out), len(out) - 1, ctypes.byref(size)) == CAPACITY
    assert handle.where == len(out) and not out.any()
    assert handle.call("nst_space_save", at(out), len(out), ctypes.byref(size)) == OK
    assert out.tobytes() == whole
    again = ctypes.c_void_p()
    assert LIB.nst_space_load(at(out), len(out), ctypes.byref(again), None) == OK
    assert LIB.nst_space_text(again).decode() == space.text
    LIB.nst_space_destroy(again)
    out[30] ^= 1
    assert LIB.nst_space_load(at(out), len(out), ctypes.byref(again), handle.error) == STATE
    assert again.value is None and handle.where == len(out) - 16

    save = ("nst_codes_save", 9, at(codes))
    assert handle.call(*save, None, 0, ctypes.byref(size)) == OK
    assert size.value == len(batch)
    out = np.zeros(size.value, np.uint8)
    assert handle.call(*save, at(out), len(out), ctypes.byref(size)) == OK
    assert out.tobytes() == batch
    load = ("nst_codes_load", at(out), len(out))
    assert handle.call(*load, None, 0, ctypes.byref(rows)) == OK and rows.value == 9
    back = np.zeros_like(codes)
    assert handle.call(*load, at(back), 8, ctypes.byref(rows)) == CAPACITY
    assert handle.call(*load, at(back), 9, ctypes.byref(rows)) == OK
    assert np.array_equal(back, codes)
    other = Handle(Space("other", [Choice("a", (1, 2))]).text)
    assert other.call(*load, at(back), 9, ctypes.byref(rows)) == STATE
    assert "another space" in other.message
    other.close()


KEEP_DRAWS = Draws(seed=1, start=0, stream=0, threads=1)
KEPT: list[Any] = []  # arrays and numbers whose addresses the tests hold


def pointers(name: str) -> list[int]:
    """Places of a function's pointers among the arguments between space and error."""
    parameters = declarations()[name][1]
    return [i for i, kind in enumerate(parameters[1:-1]) if kind is ctypes.c_void_p]


def calls(codes: NDArray[np.uint8], space: Space) -> dict[str, list[Any]]:
    """Arguments between space and error that every function takes without a complaint."""
    n = len(codes)

    def room(dtype: Any, columns: int) -> int:
        KEPT.append(np.zeros((n, columns), dtype))
        return at(KEPT[-1])

    width, size = codes.shape[1], ctypes.c_size_t()
    draws = ctypes.addressof(KEEP_DRAWS)
    batch = np.frombuffer(save_codes(space, codes), np.uint8).copy()
    KEPT.extend([size, batch])
    from_, to = at(codes), room(np.uint8, width)
    number = ctypes.addressof(size)
    return {
        "nst_space_sample": [draws, n, to],
        "nst_space_mutate": [draws, n, from_, to],
        "nst_space_crossover": [draws, n, from_, from_, to],
        "nst_space_neighbors": [from_, room(np.uint8, width * 40), 40 * n, number],
        "nst_space_enumerate": [20_000, room(np.uint8, width * 4000), 4000 * n, number],
        "nst_space_valid": [n, from_, 1, to],
        "nst_space_check": [from_],
        "nst_space_keys": [b"graph", n, from_, 1, room(np.uint64, 2)],
        "nst_space_one_hot": [n, from_, 1, room(np.float32, 40)],
        "nst_space_categorical": [n, from_, 1, room(np.int16, width)],
        "nst_space_one_hot_bits": [n, from_, 1, room(np.uint64, 1)],
        "nst_space_save": [room(np.uint8, 400), 400 * n, number],
        "nst_codes_save": [n, from_, room(np.uint8, 100), 100 * n, number],
        "nst_codes_load": [at(batch), len(batch), to, n, number],
    }


@pytest.fixture
def nasbench() -> Iterator[tuple[Space, Handle, NDArray[np.uint8]]]:
    space = nb201()
    handle = Handle(space.text)
    yield space, handle, space.sample(5, seed=1)
    handle.close()


def test_null_is_refused_everywhere(nasbench: tuple[Space, Handle, NDArray[np.uint8]]) -> None:
    space, handle, codes = nasbench
    refused = 0
    for name, arguments in calls(codes, space).items():
        assert handle.call(name, *arguments) == OK
        for i in pointers(name):
            bad = list(arguments)
            bad[i] = None
            assert handle.call(name, *bad) == ARGUMENT, (name, i)
            refused += 1
        assert getattr(LIB, name)(None, *arguments, handle.error) == ARGUMENT
        assert getattr(LIB, name)(None, *arguments, None) == ARGUMENT
        assert "NULL" in handle.message
    assert refused == 34
    space_out, size = ctypes.c_void_p(1), len(space.text)
    text = space.text.encode()
    for name in ("nst_space_create", "nst_space_load"):
        function = getattr(LIB, name)
        assert function(text, size, None, handle.error) == ARGUMENT
        assert function(None, size, ctypes.byref(space_out), handle.error) == ARGUMENT
        assert space_out.value is None
    assert LIB.nst_random_words(1, 0, 0, 1, None, handle.error) == ARGUMENT
    assert LIB.nst_error_create(None) == ARGUMENT
    assert LIB.nst_error_status(None) == ARGUMENT
    assert (LIB.nst_error_where(None), LIB.nst_error_message(None)) == (0, b"")
    for name in ("nst_space_name", "nst_space_text"):
        assert getattr(LIB, name)(None) is None
    assert LIB.nst_space_width(None) == LIB.nst_space_one_hot_width(None) == 0
    LIB.nst_space_destroy(None)
    LIB.nst_error_destroy(None)


def test_overlaps_are_refused(nasbench: tuple[Space, Handle, NDArray[np.uint8]]) -> None:
    _, handle, codes = nasbench
    n = 5
    draws = ctypes.addressof(KEEP_DRAWS)
    block = np.zeros(6 * n * 3, np.uint8)
    block[30:60] = codes.ravel()
    first = at(block)
    for begin, status in [(0, OK), (1, ARGUMENT), (30, ARGUMENT), (59, ARGUMENT), (60, OK)]:
        there = first + begin
        assert handle.call("nst_space_mutate", draws, n, first + 30, there) == status
        assert ("overlaps" in handle.message) == (status == ARGUMENT)
        assert handle.call("nst_space_crossover", draws, n, first + 30, at(codes), there) == status
        assert handle.call("nst_space_crossover", draws, n, at(codes), first + 30, there) == status
    wide = np.zeros(40, np.uint64)
    wide.view(np.uint8)[:30] = codes.ravel()
    assert handle.call("nst_space_keys", b"graph", n, at(wide), 1, at(wide) + 24) == ARGUMENT
    assert handle.call("nst_space_keys", b"graph", n, at(wide), 1, at(wide) + 32) == OK
    rows = at(wide) + 48
    assert handle.call("nst_space_neighbors", at(codes), at(wide), 30, rows) == ARGUMENT


def test_odd_numbers_are_refused(nasbench: tuple[Space, Handle, NDArray[np.uint8]]) -> None:
    _, handle, codes = nasbench
    out = np.zeros(1000, np.uint64)
    for n in (2**63, 2**64 - 1, 2**64 // 6 + 1, 2**47):
        assert handle.call("nst_space_valid", n, at(codes), 1, at(out)) == ARGUMENT
        assert handle.call("nst_space_keys", b"graph", n, at(codes), 1, at(out)) == ARGUMENT
        assert handle.call("nst_space_one_hot", n, at(codes), 1, at(out)) == ARGUMENT
    assert handle.call("nst_space_keys", b"graph", 5, at(codes), 1, at(out) + 4) == ARGUMENT
    assert "aligned" in handle.message
    assert handle.call("nst_space_keys", b"graphs", 5, at(codes), 1, at(out)) == ARGUMENT
    assert "function" in handle.message
    assert handle.call("nst_space_valid", 0, None, 1, None) == OK
    assert handle.call("nst_space_enumerate", 10, None, 0, at(out)) == LIMIT


def test_failures_say_where() -> None:
    handle = Handle(nb201().text)
    codes = np.zeros((3, 6), np.uint8)
    codes[2, 4] = 5
    out = np.zeros((3, 6), np.uint8)
    draws = ctypes.addressof(KEEP_DRAWS)
    assert handle.call("nst_space_mutate", draws, 3, at(codes), at(out)) == ROW
    assert handle.where == 2 and "edge_3_1" in handle.message
    assert handle.call("nst_space_check", at(codes) + 12) == ROW
    assert "the code holds 5" in handle.message
    space = ctypes.c_void_p()
    text = b"nasturtium-space 1\nspace s\ndecision a 1 1\nend\n"
    assert LIB.nst_space_create(text, len(text), ctypes.byref(space), handle.error) == TEXT
    assert (handle.where, handle.message) == (3, "option '1' is given twice")
    assert space.value is None
    assert LIB.nst_space_create(text, 0, ctypes.byref(space), handle.error) == TEXT
    long = b"a" * (2**20 + 1)
    assert LIB.nst_space_create(long, len(long), ctypes.byref(space), handle.error) == LIMIT
    handle.close()


class Rule(ctypes.Structure):
    _fields_ = [
        ("c", ctypes.c_double),
        ("first_play", ctypes.c_double),
        ("pending", ctypes.c_double),
        ("widen_factor", ctypes.c_double),
        ("widen_exponent", ctypes.c_double),
        ("max_nodes", ctypes.c_uint64),
        ("puct", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


class Book:
    """A map, population or tree of the C header."""

    def __init__(self, kind: str, *arguments: Any, maker: str = "create") -> None:
        self.kind = kind
        error, made = ctypes.c_void_p(), ctypes.c_void_p()
        assert LIB.nst_error_create(ctypes.byref(error)) == OK
        self.error = error.value
        make = getattr(LIB, f"nst_{kind}_{maker}")
        self.status = make(*arguments, ctypes.byref(made), self.error)
        self.made = made.value
        assert (self.status == OK) == (self.made is not None)

    def __call__(self, name: str, *arguments: Any) -> int:
        status: int = getattr(LIB, f"nst_{self.kind}_{name}")(self.made, *arguments, self.error)
        assert LIB.nst_error_status(self.error) == status
        return status

    def state(self) -> bytes:
        size = ctypes.c_size_t()
        assert self("save", None, 0, ctypes.byref(size)) == OK
        data = np.empty(size.value, np.uint8)
        assert self("save", at(data), size.value - 1, ctypes.byref(size)) == CAPACITY
        assert self("save", at(data), size.value, ctypes.byref(size)) == OK
        return data.tobytes()

    def close(self) -> None:
        getattr(LIB, f"nst_{self.kind}_destroy")(self.made)
        LIB.nst_error_destroy(self.error)


def test_encodings_are_those_of_python(pair: tuple[Space, Handle]) -> None:
    space, handle = pair
    n = 700
    codes = space.sample(n, seed=4)
    bits = np.zeros((n, (int(space.options.sum()) + 63) // 64), np.uint64)
    assert handle.call("nst_space_one_hot_bits", n, at(codes), 2, at(bits)) == OK
    assert np.array_equal(bits, one_hot_bits(space, codes))
    if space.graph is None or not space.graph.nodes:
        return
    for zeros in (0, 1):
        paths, plain = Book("paths", handle.space, zeros), PathEncoder(space, zeros=bool(zeros))
        columns = LIB.nst_paths_columns(paths.made)
        assert columns == plain.columns
        words = np.zeros((n, (columns + 63) // 64), np.uint64)
        assert paths("bits", n, at(codes), 2, at(words)) == OK
        assert np.array_equal(words, plain.bits(codes))
        few = max(1, columns // 2)
        hot = np.zeros((n, few), np.float32)
        assert paths("one_hot", n, at(codes), few, 1, at(hot)) == OK
        assert np.array_equal(hot, plain.one_hot(codes, columns=few))
        assert paths("one_hot", n, at(codes), columns + 1, 1, at(hot)) == ARGUMENT
        assert paths("one_hot", n, at(codes), 0, 1, at(hot)) == ARGUMENT
        paths.close()
    for operations, pruned in ((0, 0), (0, 1), (1, 0), (1, 1)):
        view: Any = "operations" if operations else "nodes"
        plain_arrays = GraphArrays(space, view=view, pruned=bool(pruned))
        arrays = Book("arrays", handle.space, operations, pruned)
        v = LIB.nst_arrays_vertices(arrays.made)
        assert v == plain_arrays.vertices
        assert LIB.nst_arrays_labels(arrays.made) == len(graph_labels(space))
        shapes: dict[str, tuple[Any, ...]] = {
            "adjacency": (np.float32, n, v, v), "nodes": (np.int16, n, v),
            "edges": (np.int16, n, v, v), "mask": (np.bool_, n, v),
        }  # fmt: skip
        got = {name: np.ones(shape, kind) for name, (kind, *shape) in shapes.items()}
        places = [at(array) for array in got.values()]
        assert arrays("fill", n, at(codes), 2, *places) == OK
        expected = plain_arrays(codes)
        for name, array in got.items():
            assert np.array_equal(array, getattr(expected, name)), name
        places[2] = None  # type: ignore[call-overload]
        assert arrays("fill", n, at(codes), 2, *places) == ARGUMENT
        if pruned and operations:
            counts = np.zeros((n, len(graph_labels(space))), np.int32)
            assert arrays("counts", n, at(codes), 1, at(counts)) == OK
            assert np.array_equal(counts, operation_counts(space, codes))
        arrays.close()


def test_encoders_outlive_their_space_and_refuse() -> None:
    handle = Handle(nb201().text)
    codes = nb201().sample(5, seed=1)
    paths = Book("paths", handle.space, 1)
    for kind, flags in (("paths", (2,)), ("arrays", (0, 7)), ("arrays", (2, 0))):
        wrong = Book(kind, handle.space, *flags)
        assert wrong.status == ARGUMENT
        wrong.close()
    none = Book("paths", None, 1)
    assert none.status == ARGUMENT
    flat = Handle(Space("flat", [Choice("a", (1, 2))]).text)
    without = Book("paths", flat.space, 1)
    assert without.status == LIMIT
    handle.close()
    words = np.zeros((5, 3), np.uint64)
    assert paths("bits", 5, at(codes), 1, at(words)) == OK
    assert np.array_equal(words, PathEncoder(nb201()).bits(codes))
    codes[3, 1] = 9
    assert paths("bits", 5, at(codes), 1, at(words)) == ROW
    assert paths("bits", 5, None, 1, at(words)) == ARGUMENT
    assert paths("bits", 5, at(words), 1, at(words)) == ARGUMENT
    assert LIB.nst_paths_bits(None, 5, at(codes), 1, at(words), None) == ARGUMENT
    assert LIB.nst_paths_columns(None) == LIB.nst_arrays_vertices(None) == 0
    assert LIB.nst_arrays_labels(None) == 0
    LIB.nst_paths_destroy(None)
    LIB.nst_arrays_destroy(None)
    for book in (paths, none, without):
        book.close()
    flat.close()


class Sizes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("graphs", "vertices", "words", "edges")]


def graphs_of(batch: GraphBatch) -> Book:
    sizes = Sizes(len(batch), len(batch.labels), batch.rows.shape[1],
                  0 if batch.edge_labels is None else len(batch.edge_labels))  # fmt: skip
    marks = None if batch.edge_labels is None else at(batch.edge_labels)
    arrays = (at(batch.offsets), at(batch.rows), at(batch.labels), marks)
    return Book("graphs", ctypes.byref(sizes), *arrays)


def read_back(made: int | None) -> GraphBatch:
    sizes = Sizes()
    assert LIB.nst_graphs_sizes(made, ctypes.byref(sizes), None) == OK
    offsets = np.zeros(sizes.graphs + 1, np.int64)
    rows = np.zeros((sizes.vertices, sizes.words), np.uint64)
    labels, marks = np.zeros(sizes.vertices, np.uint64), np.zeros(sizes.edges, np.uint64)
    places = [at(array) for array in (offsets, rows, labels, marks)]
    assert LIB.nst_graphs_read(made, *places, None) == OK
    return GraphBatch(offsets, rows, labels, marks)


def same_graphs(a: GraphBatch, b: GraphBatch) -> bool:
    def marks(batch: GraphBatch) -> NDArray[np.uint64]:
        none = np.zeros(int(batch.edge_counts.sum()), np.uint64)
        return none if batch.edge_labels is None else batch.edge_labels

    parts = [(a.offsets, b.offsets), (a.rows, b.rows), (a.labels, b.labels), (marks(a), marks(b))]
    return all(np.array_equal(x, y) for x, y in parts)


def labeled_graphs() -> GraphBatch:
    sparse = random_dags(300, 12, degree=3, labels=3, seed=2)
    marks = np.random.default_rng(1).integers(0, 3, int(sparse.edge_counts.sum()), np.uint64)
    return GraphBatch(sparse.offsets, sparse.rows, sparse.labels, marks)


def test_graphs_are_those_of_python() -> None:
    large = random_dags(3, 150, degree=2, labels=5, seed=3)
    for batch in (labeled_graphs(), large, GraphBatch.from_edges([], [])):
        graphs = graphs_of(batch)
        assert graphs.status == OK and same_graphs(read_back(graphs.made), batch)
        keys = np.zeros((len(batch), 2), np.uint64)
        assert graphs("keys", 1, 0, 2, at(keys)) == OK
        assert np.array_equal(keys, canonical_keys(batch))
        order = np.zeros(len(batch.labels), np.int64)
        assert graphs("orders", 1, 0, 1, at(order)) == OK
        assert np.array_equal(order, canonical_orders(batch))
        ends = np.zeros(len(batch), np.int64), np.full(len(batch), -1, np.int64)
        pruned = ctypes.c_void_p()
        assert graphs("prune", at(ends[0]), at(ends[1]), 2, ctypes.byref(pruned)) == OK
        assert same_graphs(read_back(pruned.value), prune(batch))
        LIB.nst_graphs_destroy(pruned)
        graphs.close()


def test_graphs_refuse() -> None:
    batch = labeled_graphs()
    graphs = graphs_of(batch)
    keys = np.zeros((len(batch), 2), np.uint64)
    assert graphs("keys", 2, 0, 1, at(keys)) == ARGUMENT
    assert graphs("keys", 0, 0, 1, at(keys)) == ROW  # not symmetric
    assert graphs("keys", 1, 0, 1, None) == ARGUMENT
    assert graphs("keys", 1, 0, 1, at(keys) + 4) == ARGUMENT
    hard = graphs_of(max(hard_graphs().values(), key=lambda g: len(g.labels)))
    assert hard("keys", 1, 1, 1, at(keys)) == BUDGET
    far = np.full(len(batch), 99, np.int64)
    pruned = ctypes.c_void_p(1)
    assert graphs("prune", at(far), at(far), 1, ctypes.byref(pruned)) == ROW
    assert pruned.value is None
    assert graphs("prune", None, at(far), 1, ctypes.byref(pruned)) == ARGUMENT
    sizes = Sizes()
    assert LIB.nst_graphs_sizes(None, ctypes.byref(sizes), None) == ARGUMENT
    assert LIB.nst_graphs_sizes(graphs.made, None, None) == ARGUMENT
    assert LIB.nst_graphs_read(graphs.made, None, None, None, None, None) == ARGUMENT
    assert LIB.nst_graphs_keys(None, 1, 0, 1, at(keys), None) == ARGUMENT
    LIB.nst_graphs_destroy(None)
    for change, status in (("graphs", LIMIT), ("vertices", LIMIT), ("edges", LIMIT),
                           ("words", LIMIT)):  # fmt: skip
        sizes = Sizes(len(batch), len(batch.labels), 1, len(batch.edge_labels))  # type: ignore[arg-type]
        setattr(sizes, change, 0 if change == "words" else getattr(sizes, change) - 1)
        wrong = Book("graphs", ctypes.byref(sizes), at(batch.offsets), at(batch.rows),
                     at(batch.labels), at(batch.edge_labels))  # type: ignore[arg-type]  # fmt: skip
        assert wrong.status == status, change
        wrong.close()
    huge = Sizes(2**64 - 1, 2**63, 2**40, 1)
    arrays = (at(batch.offsets), at(batch.rows), at(batch.labels), None)
    for sizes in (huge, Sizes(2**64 - 1, 0, 1, 0), Sizes(0, 2**60, 1, 0)):
        wrong = Book("graphs", ctypes.byref(sizes), *arrays)
        assert wrong.status == ARGUMENT
        wrong.close()
    loop = Sizes(1, 1, 1, 0)
    bits = np.array([2], np.uint64)
    offsets = np.array([0, 1], np.int64)
    wrong = Book("graphs", ctypes.byref(loop), at(offsets), at(bits), at(bits), None)
    assert wrong.status == ROW  # a bit behind the last vertex
    for book in (wrong, hard, graphs):
        book.close()


def loaded_book(kind: str, state: bytes) -> Book:
    return Book(kind, state, len(state), maker="load")


def test_a_map_from_c_is_the_map_from_python() -> None:
    keys = np.random.default_rng(0).integers(0, 50, (300, 2), dtype=np.uint64)
    book, plain = Book("map"), KeyMap()
    numbers, fresh = np.empty(200, np.uint64), np.empty(200, np.uint8)
    assert book("insert", 200, at(keys), at(numbers), at(fresh)) == OK
    expected = plain.insert(keys[:200])
    assert np.array_equal(numbers, expected[0]) and np.array_equal(fresh, expected[1])
    assert LIB.nst_map_size(book.made) == len(plain)
    again = loaded_book("map", book.state())
    assert book.state() == plain.state() == again.state()
    for some in (book, again):
        found = np.empty(300, np.uint64)
        assert some("find", 300, at(keys), 2, at(found)) == OK
        assert np.array_equal(found.view(np.int64), plain.find(keys))
    assert book("find", 300, None, 2, at(numbers)) == ARGUMENT
    assert book("insert", 200, at(keys), at(keys), at(fresh)) == ARGUMENT
    damaged = loaded_book("map", b"\x00" + plain.state()[1:])
    assert damaged.status == STATE
    for some in (book, again, damaged):
        some.close()


def test_a_population_from_c_is_the_one_from_python() -> None:
    book, plain = Book("population", 3), AgeingQueue(3)
    died, gone, length = ctypes.c_uint64(), ctypes.c_uint8(), ctypes.c_uint64()
    for i in range(8):
        assert book("born", 10 + i, ctypes.byref(died), ctypes.byref(gone)) == OK
        assert (died.value if gone.value else None) == plain.born(10 + i)
    assert LIB.nst_population_size(book.made) == 3
    assert book("members", None, 0, ctypes.byref(length)) == OK and length.value == 3
    members = np.empty(3, np.uint64)
    assert book("members", at(members), 2, ctypes.byref(length)) == CAPACITY
    assert book("members", at(members), 3, ctypes.byref(length)) == OK
    assert members.tolist() == plain.members.tolist()
    again = loaded_book("population", book.state())
    assert again.state() == plain.state()
    none = Book("population", 0)
    assert none.status == ARGUMENT
    for some in (book, again, none):
        some.close()


@pytest.mark.parametrize("puct", [0, 1])
def test_a_tree_from_c_is_the_tree_from_python(puct: int) -> None:
    branching = np.array([3, 2, 4], np.uint32)
    table = np.random.default_rng(1).random((3, 2, 4))
    rule = Rule(0.7, 0.2, -0.5, 1.0, 0.5, 0, puct, 0)
    book = Book("tree", at(branching), 3, ctypes.byref(rule), 9, 2)
    plain = Tree((3, 2, 4), TreeRule("puct" if puct else "uct", 0.7, 0.2, -0.5, (1.0, 0.5)),
                 seed=9, stream=2)  # fmt: skip
    assert book("run", at(table), table.size, 60) == OK
    plain.run(table, 60)
    codes, lengths = np.empty((4, 3), np.uint8), np.empty(4, np.uint32)
    tickets, values = np.empty(4, np.uint64), np.array([0.5, 0.25])
    assert book("select", 4, at(codes), at(lengths), at(tickets)) == OK
    leaves = plain.select(4)
    assert np.array_equal(codes, leaves.codes) and np.array_equal(tickets, leaves.tickets)
    assert book("backup", 2, at(tickets), at(values)) == OK
    assert book("backup", 2, at(tickets), at(values)) == ROW
    assert book("forget", 1, at(tickets[2:])) == OK
    plain.backup(leaves.tickets[:2], values)
    plain.forget(leaves.tickets[2:3])
    assert LIB.nst_tree_visits(book.made) == plain.simulations
    again = loaded_book("tree", book.state())
    assert book.state() == plain.state() == again.state()
    visits, sums = np.empty(4, np.uint64), np.empty(4)
    path = np.array([1, 0], np.uint8)
    assert again("children", at(path), 2, at(visits), at(sums)) == OK
    assert np.array_equal(visits, plain.visits(path))
    assert again("children", at(path), 3, at(visits), at(sums)) == LIMIT
    length = ctypes.c_uint64()
    best = np.empty(3, np.uint8)
    assert again("best_path", at(best), 3, ctypes.byref(length)) == OK
    assert best[: length.value].tolist() == plain.best_path().tolist()
    wrong = Book("tree", at(branching), 3, ctypes.byref(Rule(-1.0)), 9, 2)
    assert wrong.status == LIMIT
    for some in (book, again, wrong):
        some.close()


def test_books_refuse_what_is_not_there() -> None:
    for kind in ("map", "population", "tree"):
        getattr(LIB, f"nst_{kind}_destroy")(None)
        size = ctypes.c_size_t()
        assert getattr(LIB, f"nst_{kind}_save")(None, None, 0, ctypes.byref(size), None) == ARGUMENT
        assert getattr(LIB, f"nst_{kind}_load")(None, 8, None, None) == ARGUMENT
    assert LIB.nst_map_size(None) == LIB.nst_population_size(None) == LIB.nst_tree_visits(None) == 0
