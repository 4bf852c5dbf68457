"""NAS-Bench-201: published counts, the published strings, exact functions, golden keys."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasturtium.errors import SpaceError
from nasturtium.spaces import Space, nb201

GOLDEN = Path(__file__).parents[1] / "golden" / "architecture_keys.json"
DATA = Path(os.environ.get("NASTURTIUM_DATA", Path(__file__).parents[2] / "../shared/data"))


@pytest.fixture(scope="module")
def space() -> Space:
    return nb201()


@pytest.fixture(scope="module")
def codes(space: Space) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return space.enumerate()


def operations(space: Space, code: Any) -> dict[tuple[int, int], str]:
    edges = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
    names = [str(c.options[v]) for c, v in zip(space.decisions, code, strict=True)]
    return dict(zip(edges, names, strict=True))


def authors_string(ops: dict[tuple[int, int], str], *, zeros: bool) -> str:
    """The rule as the benchmark's authors published it."""
    nodes = {0: "0"}
    for dst in (1, 2, 3):
        terms = []
        for src in range(dst):
            op = ops[dst, src]
            if zeros and (op == "none" or nodes[src] == "#"):
                terms.append("#")
            elif op == "skip_connect":
                terms.append(nodes[src])
            else:
                terms.append(f"({nodes[src]})@{op}")
        nodes[dst] = "+".join(sorted(terms))
    return nodes[3]


def computed(ops: dict[tuple[int, int], str]) -> Any:
    """What a cell computes, in a canonical form found by trying all orders of its convolutions."""
    convolutions = [e for e, op in ops.items() if "conv" in op]

    def value(dst: int, rank: dict[tuple[int, int], int]) -> tuple[Any, ...]:
        """The node as a sorted multiset; a convolution is its rank, its kind and its argument."""
        if dst == 0:
            return ("x",)
        terms: list[Any] = []
        for src in range(dst):
            op, argument = ops[dst, src], value(src, rank)
            if op == "none" or not argument:
                continue
            if op == "skip_connect":
                terms += argument
            elif op == "avg_pool_3x3":
                terms.append(("pool", argument))
            else:
                terms.append((op, rank[dst, src], argument))
        return tuple(sorted(terms, key=repr))

    ranks = (
        dict(zip(convolutions, order, strict=True))
        for order in itertools.permutations(range(len(convolutions)))
    )
    return min((value(3, rank) for rank in ranks), key=repr)


def as_pairs(keys: Any) -> list[tuple[int, int]]:
    return [tuple(key) for key in keys.tolist()]


def test_published_counts(space: Space) -> None:
    """15,625 codes and 6,466 strings (Dong and Yang 2020); the rest recomputed elsewhere."""
    sizes = {c: space.size(c) for c in space.conventions}
    assert sizes["genotype"] == 15625
    assert sizes["pruned"] == 9445
    assert sizes["nb201_string"] == 6466
    assert sizes["nb201_skips"] == 12751
    assert sizes["function"] == 5260


@pytest.mark.parametrize(("convention", "zeros"), [("nb201_string", True), ("nb201_skips", False)])
def test_string_keys_are_the_authors_partition(
    space: Space, codes: Any, convention: str, zeros: bool
) -> None:
    strings = [authors_string(operations(space, code), zeros=zeros) for code in codes]
    pairs = set(zip(strings, as_pairs(space.keys(codes, convention)), strict=True))
    assert len(pairs) == len(set(strings)) == len({key for _, key in pairs})


def test_function_keys_are_the_partition_by_what_is_computed(space: Space, codes: Any) -> None:
    """On cells of at most three convolutions, by a search over all orders of them."""
    few = [code for code in codes if ((code == 2) | (code == 3)).sum() <= 3]
    forms = [repr(computed(operations(space, code))) for code in few]
    pairs = set(zip(forms, as_pairs(space.keys(np.array(few))), strict=True))
    assert len(pairs) == len(set(forms)) == len({key for _, key in pairs})


def test_iso_classes_of_the_table(space: Space) -> None:
    path = DATA / "nb201" / "nb201.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent; set NASTURTIUM_DATA")
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    architectures = [space.parse(f"nb201:{row['arch']}").code for row in rows]
    keys = as_pairs(space.keys(np.array(architectures), "nb201_string"))
    pairs = {(row["iso_class"], key) for row, key in zip(rows, keys, strict=True)}
    assert len(rows) == 15625
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == 6466


def test_what_a_function_key_tells_apart(space: Space) -> None:
    def key(text: str) -> str:
        return space.parse(f"nb201:{text}").key()

    shared = "|nor_conv_1x1~0|+|skip_connect~0|none~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    swapped = "|skip_connect~0|+|nor_conv_1x1~0|none~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    assert key(shared) == key(swapped)
    # One convolution read twice, and two convolutions of one kind read once each.
    once = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|nor_conv_1x1~1|nor_conv_1x1~2|"
    twice = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|nor_conv_1x1~1|nor_conv_1x1~2|"
    assert key(once) != key(twice)
    # Poolings of one value are one value, however often they are written.
    one_pool = "|avg_pool_3x3~0|+|none~0|skip_connect~1|+|none~0|nor_conv_1x1~1|nor_conv_1x1~2|"
    two_pools = "|avg_pool_3x3~0|+|avg_pool_3x3~0|none~1|+|none~0|nor_conv_1x1~1|nor_conv_1x1~2|"
    assert key(one_pool) == key(two_pools)
    assert key("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|") == key(
        "|nor_conv_3x3~0|+|avg_pool_3x3~0|none~1|+|none~0|none~1|none~2|"
    )


def test_text_round_trip_and_neighbors(space: Space, codes: Any) -> None:
    for code in codes[::7]:
        architecture = space.architecture(code)
        assert space.parse(str(architecture)) == architecture
        assert len(space.neighbors(code)) == 24


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nb101:|none~0|", "does not start with 'nb201:'"),
        ("nb201:|none~0|", "position 6: 1 parts"),
        ("nb201:|nor_conv_4x4~0|+|none~0|none~1|+|none~0|none~1|none~2|",
         r'position 7: .*did you mean "nor_conv'),
        ("nb201:|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "position 27: .*end in '~1'"),
        ("nb201:|none~0|+|none~0|+|none~0|none~1|none~2|", "position 15: node 2 does not have 2"),
        ("nb201:|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+", "4 parts"),
    ],
)  # fmt: skip
def test_other_text_is_refused_with_its_position(space: Space, text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        space.parse(text)


def test_golden_keys() -> None:
    """Tables keep keys: they change with no version and on no platform."""
    golden = json.loads(GOLDEN.read_text())
    assert len(golden["nb201"]) == 50
    space = nb201()
    for text, keys in golden["nb201"].items():
        architecture = space.parse(text)
        assert {c: architecture.key(c) for c in keys} == keys
    assert golden["fingerprints"]["nb201"] == space.fingerprint


def test_samples_are_uniform(space: Space) -> None:
    codes = space.sample(250_000, seed=11)
    numbers = codes.astype(np.int64) @ 5 ** np.arange(6)
    counts = np.array(list(Counter(numbers.tolist()).values()))
    assert len(counts) == 15625
    chi = float(((counts - 16) ** 2 / 16).sum())
    # 15,624 degrees of freedom: mean 15,624, standard deviation 177.
    assert abs(chi - 15624) < 5 * 177
    changed = (space.mutate(codes, seed=12) != codes).sum(axis=1)
    assert (changed == 1).all()
