"""Training, validation and test part: stratified, with groups kept together, the test part under a
seal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasturtium.data.adapt import adapt
from nasturtium.data.dataset import Dataset, Floats, Labels
from nasturtium.errors import DataError, TestPartUsed
from nasturtium.rng import words

Indices = NDArray[np.int64]

FRACTIONS = (0.64, 0.16, 0.20)
MAX_BINS = 10
ROWS_PER_BIN = 10
GROUP_TRIALS = 16


class SealedPart:
    """The test part: its rows come out once.

    >>> part = SealedPart(np.zeros((2, 3), np.float32), np.array([0, 1]))
    >>> part.size, part.opened
    (2, False)
    """

    def __init__(self, x: Floats, y: Labels) -> None:
        self.__content: tuple[Floats, Labels] | None = (x, y)
        self.size = len(x)

    @property
    def opened(self) -> bool:
        """Whether the rows were taken out."""
        return self.__content is None

    def open(self) -> tuple[Floats, Labels]:
        """The inputs and targets, for the one final measurement.

        Raises:
            TestPartUsed: at the second call.
        """
        if self.__content is None:
            raise TestPartUsed(
                "the test part was opened before: a second look would make its score no test; "
                "split again with new data"
            )
        content, self.__content = self.__content, None
        return content

    def __repr__(self) -> str:
        return f"SealedPart(size={self.size}, opened={self.opened})"


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Row numbers (int64, ascending) of the training and the validation part, and the sealed test
    part.
    """

    train: Indices
    validation: Indices
    test: SealedPart

    @classmethod
    def from_indices(
        cls, dataset: Dataset, train: ArrayLike, validation: ArrayLike, test: ArrayLike
    ) -> Split:
        """The parts that three arrays of row numbers say, as outer folds do; `test` may be empty.

        Raises:
            DataError: a number is out of range or in two parts, a part is empty, or a group is in
                two parts.
        """
        parts = [_row_numbers(part, len(dataset)) for part in (train, validation, test)]
        if not len(parts[0]) or not len(parts[1]):
            raise DataError("the training and the validation part need at least one row each")
        every = np.concatenate(parts)
        if len(np.unique(every)) != len(every):
            raise DataError("a row is in two parts of the split, or twice in one")
        if dataset.groups is not None:
            seen = np.concatenate([np.unique(dataset.groups[part]) for part in parts])
            if len(np.unique(seen)) != len(seen):
                raise DataError("rows of one group are in two parts of the split")
        return cls(parts[0], parts[1], SealedPart(dataset.x[parts[2]], dataset.y[parts[2]]))


def split(
    dataset: Dataset,
    *,
    seed: int,
    test: Dataset | None = None,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Split:
    """Cut a data set into training, validation and test part, the same for the same seed.

    Each class (for a regression: each of up to 10 quantile bins of the target) is shared out by the
    fractions, and a class with at least three rows is in every part. Groups stay whole; then the
    shares are as near as they allow. With `test`, that is the test part and the other two fractions
    share the data: nothing depends on the test targets. Without it the test targets act through the
    stratification alone.

    Raises:
        DataError: fractions that are none, too few rows or groups, or a test part with other
            columns or classes.
    """
    shares = _shares(fractions, with_test=test is None)
    strata = _strata(dataset)
    order = _permutation(seed, 0, len(dataset))
    if dataset.groups is None:
        part = _stratified(strata, order, shares)
    else:
        part = _grouped(strata, dataset.groups, shares, seed, dataset.name)
    train, validation, held_out = (np.flatnonzero(part == number) for number in range(3))
    if not len(train) or not len(validation):
        raise DataError(
            f"{dataset.name} holds {len(dataset)} rows: too few to train and validate on"
        )
    if test is None:
        return Split.from_indices(dataset, train, validation, held_out)
    adapted = adapt(test, dataset)
    return Split(train, validation, SealedPart(adapted.x, adapted.y))


def _row_numbers(part: ArrayLike, rows: int) -> Indices:
    numbers = np.asarray(part)
    if numbers.size == 0:
        return np.empty(0, dtype=np.int64)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise DataError(f"row numbers are a list of whole numbers, not of the type {numbers.dtype}")
    if numbers.min() < 0 or numbers.max() >= rows:
        raise DataError(f"row numbers run from 0 to {rows - 1}, not to {int(numbers.max())}")
    return np.sort(numbers.astype(np.int64))


def _shares(fractions: Sequence[float], *, with_test: bool) -> NDArray[np.float64]:
    shares = np.asarray(fractions, dtype=np.float64)
    if (
        shares.shape != (3,)
        or not np.isfinite(shares).all()
        or shares.min() < 0
        or shares[:2].min() == 0
    ):
        raise DataError(
            "three fractions (training, validation, test) are needed, the first two above 0: "
            f"{fractions}"
        )
    if not with_test:
        shares[2] = 0.0
    normal: NDArray[np.float64] = shares / shares.sum()
    return normal


def _strata(dataset: Dataset) -> Indices:
    if dataset.schema.task == "classification":
        return dataset.y.astype(np.int64)
    bins = max(1, min(MAX_BINS, len(dataset) // ROWS_PER_BIN))
    edges = np.quantile(dataset.y.astype(np.float64), np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, dataset.y, side="right").astype(np.int64)


def _permutation(seed: int, stream: int, n: int) -> Indices:
    return np.argsort(words(seed % 2**64, stream, 0, n), kind="stable").astype(np.int64)


def _stratified(strata: Indices, order: Indices, shares: NDArray[np.float64]) -> NDArray[np.int8]:
    part = np.empty(len(strata), dtype=np.int8)
    owed = np.zeros(3)
    for stratum in np.unique(strata):
        rows = order[strata[order] == stratum]
        counts = _share_out(len(rows), shares, owed)
        owed += len(rows) * shares - counts
        part[rows] = np.repeat(np.arange(3, dtype=np.int8), counts)
    return part


def _share_out(n: int, shares: NDArray[np.float64], owed: NDArray[np.float64]) -> Indices:
    """Counts with sum n nearest to n * shares; `owed`, what the parts lack so far, decides how to
    round.
    """
    exact = n * shares
    counts = np.floor(exact).astype(np.int64)
    want = exact - counts + owed
    want[shares == 0] = -np.inf
    for place in np.argsort(-want, kind="stable")[: n - int(counts.sum())]:
        counts[place] += 1
    needed = np.flatnonzero((shares > 0) & (counts == 0))
    for place in needed if n >= np.count_nonzero(shares) else needed[:0]:
        counts[int(counts.argmax())] -= 1
        counts[place] += 1
    return counts


def _grouped(
    strata: Indices, groups: Indices, shares: NDArray[np.float64], seed: int, name: str
) -> NDArray[np.int8]:
    """Whole groups, largest first, each to the part that lacks its strata most; the best of a few
    random orders.
    """
    _, group = np.unique(groups, return_inverse=True)
    number = int(group.max()) + 1
    if number < np.count_nonzero(shares):
        raise DataError(
            f"{name} has {number} groups: at least {np.count_nonzero(shares)} are needed, one for "
            "each part"
        )
    table = np.zeros((number, int(strata.max()) + 1))
    np.add.at(table, (group, strata), 1)
    wanted = shares[:, None] * table.sum(axis=0)
    best, least = np.zeros(number, dtype=np.int8), np.inf
    for trial in range(GROUP_TRIALS if number <= 2000 else 1):
        assigned, loss = _assign(table, wanted, _permutation(seed, 1 + trial, number))
        if loss < least:
            best, least = assigned, loss
    if not np.isfinite(least):
        raise DataError(
            f"{name}: its {number} groups cannot be shared out to the parts: give more or smaller "
            "groups"
        )
    taken: NDArray[np.int8] = best[group]
    return taken


def _assign(
    table: NDArray[np.float64], wanted: NDArray[np.float64], order: Indices
) -> tuple[NDArray[np.int8], float]:
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    scale = 1 / np.maximum(table.sum(axis=0), 1)
    usable = wanted.sum(axis=1) > 0
    have = np.zeros_like(wanted)
    assigned = np.empty(len(table), dtype=np.int8)
    for place, row in enumerate(order):
        after = have + table[row]
        gain = ((after - wanted) ** 2 - (have - wanted) ** 2) @ scale
        gain[~usable] = np.inf
        empty = usable & (have.sum(axis=1) == 0)
        if len(order) - place <= empty.sum():
            gain[~empty] = np.inf
        chosen = int(gain.argmin())
        assigned[row] = chosen
        have[chosen] += table[row]
    present = wanted.sum(axis=0) > 0
    untaught = int((have[0][present] == 0).sum())
    loss = float(((have - wanted) ** 2 @ scale).sum()) + 1e6 * untaught
    return assigned, loss if (have.sum(axis=1)[usable] > 0).all() else np.inf
