"""The split: exact counts, groups, seals, and what it may depend on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from nasturtium.data import Dataset, SealedPart, Split, from_arrays, load, split
from nasturtium.errors import DataError, TestPartUsed


def table(y: Any, groups: Any = None, strict: bool = False) -> Dataset:
    """A table whose only column is the row's number."""
    x = np.arange(len(y), dtype=np.float32)[:, None]
    return from_arrays(x, y, groups=groups, strict=strict)


def parts_of(dataset: Dataset, parts: Split) -> list[np.ndarray[Any, Any]]:
    """The row numbers of the three parts, the test's read from its sealed rows."""
    x, y = parts.test.open()
    rows = x[:, 0].astype(int)
    assert (dataset.y[rows] == y).all()
    return [parts.train, parts.validation, rows]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(3, 60), min_size=2, max_size=8), st.integers(0, 2**64 - 1))
def test_classes_are_shared_out_by_the_fractions(counts: list[int], seed: int) -> None:
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    dataset = table([f"class {c}" for c in y])
    parts = parts_of(dataset, split(dataset, seed=seed))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(y)))
    got = np.array([np.bincount(y[rows], minlength=len(counts)) for rows in parts])
    exact = np.outer([0.64, 0.16, 0.2], counts)
    small = np.array(counts) < 7
    assert (np.abs(got - exact)[:, ~small] < 2).all()
    assert (got > 0).all()


def test_digits_are_cut_as_said() -> None:
    dataset = load("digits")
    parts = split(dataset, seed=7)
    sizes = len(parts.train), len(parts.validation), parts.test.size
    assert sizes == (1150, 288, 359)
    train = np.bincount(dataset.y[parts.train].astype(int))
    np.testing.assert_allclose(train, 0.64 * np.bincount(dataset.y.astype(int)), atol=1)
    assert (np.diff(parts.train) > 0).all() and parts.train.dtype == np.int64


def test_the_seed_decides() -> None:
    dataset = table(np.arange(200) % 4, strict=True)
    one, same, other = (split(dataset, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.train, same.train)
    np.testing.assert_array_equal(one.test.open()[0], same.test.open()[0])
    assert not np.array_equal(one.train, other.train)
    # Golden rows: a split must not change between versions, or resumed runs would mix their parts.
    assert split(dataset, seed=1).validation[:6].tolist() == GOLDEN


GOLDEN = [3, 13, 17, 18, 22, 28]


def test_chance_of_a_row_is_its_fraction() -> None:
    dataset = table(np.arange(100) % 2, strict=True)
    train = np.zeros(100)
    for seed in range(300):
        train[split(dataset, seed=seed).train] += 1
    deviation = np.sqrt(300 * 0.64 * 0.36)
    assert np.abs(train - 192).max() < 4.5 * deviation
    assert 0.7 < train.std() / deviation < 1.3


def test_regression_is_stratified_by_quantiles() -> None:
    y = np.exp(np.random.default_rng(0).standard_normal(1000))
    dataset = table(y)
    for rows in parts_of(dataset, split(dataset, seed=3)):
        tenths = np.digitize(y[rows], np.quantile(y, np.linspace(0, 1, 11)[1:-1]))
        np.testing.assert_allclose(np.bincount(tenths) / len(rows), 0.1, atol=0.011)


def test_regression_with_ties_and_few_rows() -> None:
    for y in (np.repeat([0.5, 1.5, 2.25], 10), np.full(30, 0.5), np.arange(5) / 3):
        dataset = table(y)
        parts = parts_of(dataset, split(dataset, seed=0))
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(y)))
        assert len(parts[0]) and len(parts[1])


@settings(max_examples=50, deadline=None)
@given(st.integers(3, 40), st.integers(1, 12), st.integers(0, 1000))
def test_groups_never_straddle(number: int, largest: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, largest + 1, number)
    groups = rng.permutation(np.repeat(np.arange(number), sizes))
    y = rng.integers(0, 2, len(groups))
    y[:2] = 0, 1
    dataset = table(y, groups)
    parts = parts_of(dataset, split(dataset, seed=seed))
    owners = [set(groups[rows].tolist()) for rows in parts]
    assert all(owners) and sum(map(len, owners)) == number
    assert set().union(*owners) == set(range(number))


def test_groups_come_near_the_fractions_and_strata() -> None:
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(100), 10)
    y = np.where(rng.random(1000) < (groups % 10) / 10, 1, 0)
    dataset = table(y, groups)
    parts = parts_of(dataset, split(dataset, seed=0))
    np.testing.assert_allclose([len(rows) / 1000 for rows in parts], [0.64, 0.16, 0.2], atol=0.02)
    np.testing.assert_allclose([y[rows].mean() for rows in parts], y.mean(), atol=0.02)


def test_too_few_groups() -> None:
    with pytest.raises(DataError, match="2 groups: at least 3"):
        split(table(np.arange(40) % 2, np.arange(40) // 20), seed=0)


def test_the_seal_opens_once() -> None:
    part = SealedPart(np.ones((2, 1), np.float32), np.array([0, 1]))
    assert (part.size, part.opened) == (2, False)
    x, y = part.open()
    assert x.shape == (2, 1) and y.tolist() == [0, 1] and part.opened
    with pytest.raises(TestPartUsed, match="opened before"):
        part.open()
    assert not [v for v in vars(part).values() if isinstance(v, (np.ndarray, tuple))]


def test_given_test_part_changes_nothing_else() -> None:
    dataset = table(np.arange(100) % 3, strict=True)
    y = np.arange(30) % 3
    test = table(y, strict=True)
    shuffled = table(np.random.default_rng(0).permutation(y), strict=True)
    one, other = split(dataset, seed=4, test=test), split(dataset, seed=4, test=shuffled)
    np.testing.assert_array_equal(one.train, other.train)
    np.testing.assert_array_equal(one.validation, other.validation)
    assert (len(one.train), len(one.validation), one.test.size) == (80, 20, 30)
    (x1, y1), (x2, y2) = one.test.open(), other.test.open()
    np.testing.assert_array_equal(x1, x2)
    assert y1.tolist() == y.tolist() and y2.tolist() != y.tolist()


def test_a_test_file_with_other_codes_is_brought_to_ours(tmp_path: Path) -> None:
    train = "k,a,y\n" + "".join(f"{'rgb'[i % 3]},{i},{'xyz'[i % 3]}\n" for i in range(30))
    test = "y,a,k\n" + "".join(f"{'zy'[i % 2]},{i},{'bqr'[i % 3]}\n" for i in range(30))
    (tmp_path / "train.csv").write_text(train)
    (tmp_path / "test.csv").write_text(test)
    dataset, other = load(tmp_path / "train.csv"), load(tmp_path / "test.csv")
    x, y = split(dataset, seed=0, test=other).test.open()
    assert x[:3].tolist() == [[0, 0], [-1, 1], [2, 2]] and y[:3].tolist() == [2, 1, 2]
    like = load(tmp_path / "test.csv", like=dataset.schema)
    np.testing.assert_array_equal(like.x, x)
    np.testing.assert_array_equal(like.y, y)


def test_a_test_part_of_another_kind_is_refused(tmp_path: Path) -> None:
    dataset = table(np.arange(30) % 2, strict=True)
    with pytest.raises(DataError, match="both need the same columns or image size"):
        split(dataset, seed=0, test=load("digits"))
    with pytest.raises(DataError, match="is a regression"):
        split(dataset, seed=0, test=table(np.arange(30) / 7))
    lacking = dataclasses.replace(
        dataset, schema=from_arrays(dataset.x, dataset.y, columns=["z"]).schema
    )
    with pytest.raises(DataError, match="no usable column 'x0'"):
        split(dataset, seed=0, test=lacking)
    with pytest.raises(DataError, match="'2' is not among those trained on"):
        split(dataset, seed=0, test=table(np.arange(30) % 3))
    digits = load("digits")
    smaller = from_arrays(digits.x[:, :, :7], digits.y, classes=digits.schema.classes)
    with pytest.raises(DataError, match="1 x 7 x 8"):
        split(digits, seed=0, test=smaller)


def test_outer_folds() -> None:
    dataset = load("digits")
    tested = np.zeros(len(dataset), dtype=int)
    for rest, test in StratifiedKFold(5, shuffle=True, random_state=0).split(dataset.x, dataset.y):
        parts = Split.from_indices(dataset, rest[::5], np.setdiff1d(rest, rest[::5]), test)
        x, y = parts.test.open()
        np.testing.assert_array_equal(x, dataset.x[test])
        np.testing.assert_array_equal(y, dataset.y[test])
        tested[test] += 1
    assert (tested == 1).all()


def test_wrong_indices() -> None:
    dataset = table(np.arange(30) % 2, np.arange(30) // 5)
    rows = np.arange(30)
    cases: list[tuple[Any, Any, Any, str]] = [
        (rows[:10], rows[5:15], rows[15:], "two parts"),
        (rows[:10], rows[10:20], [30], "from 0 to 29"),
        (rows[:10], rows[10:20], [-1], "from 0 to 29"),
        (rows[:10], [], rows[10:], "at least one row"),
        (rows[:10] / 2, rows[10:20], rows[20:], "whole numbers"),
        (rows[:12], rows[12:20], rows[20:], "rows of one group"),
    ]
    for train, validation, test, words in cases:
        with pytest.raises(DataError, match=words):
            Split.from_indices(dataset, train, validation, test)
    assert Split.from_indices(dataset, rows[:10], rows[10:], []).test.size == 0


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (1, 0, 0), (0.5, -0.1, 0.6), (np.nan, 1, 1)])
def test_wrong_fractions(fractions: Any) -> None:
    with pytest.raises(DataError, match="three fractions"):
        split(table(np.arange(30) % 2), seed=0, fractions=fractions)


def test_no_test_part_on_request() -> None:
    parts = split(table(np.arange(30) % 2), seed=0, fractions=(0.8, 0.2, 0))
    assert (len(parts.train), len(parts.validation), parts.test.size) == (24, 6, 0)


def test_split_of_many_rows_is_quick() -> None:
    import time

    dataset = table(np.arange(60_000) % 10)
    begun = time.process_time()
    split(dataset, seed=0)
    assert time.process_time() - begun < 2
