"""Intervals and tests for measured accuracies and errors.

All functions take plain arrays and are deterministic: the bootstraps draw from a Philox generator
keyed by the given seed and touch no global state.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]

# Upper bound on the entries of one block of resampled indices: 4 million int64 are 32 MB.
_BLOCK = 4_000_000


def mean(samples: Floats) -> Floats:
    """Mean over the last axis."""
    return np.asarray(samples.mean(axis=-1), dtype=np.float64)


def root_mean(samples: Floats) -> Floats:
    """Square root of the mean over the last axis: the RMSE, given squared errors."""
    return np.asarray(np.sqrt(samples.mean(axis=-1)), dtype=np.float64)


def wilson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion of ``k`` successes in ``n`` trials.

    The bounds are the two roots in ``p`` of ``(k / n - p)^2 = z^2 p (1 - p) / n``.

    Args:
        k: successes, ``0 <= k <= n``.
        n: trials; with ``n = 0`` nothing is known and the interval is ``(0, 1)``.
        level: coverage, in ``(0, 1)``.

    Returns:
        The lower and the upper bound, within ``[0, 1]``.

    Raises:
        ValueError: ``k`` is outside ``[0, n]`` or ``level`` outside ``(0, 1)``.

    Reference: E. B. Wilson, Probable inference, the law of succession, and statistical
    inference, JASA 22 (1927).

    >>> low, high = wilson(358, 360)
    >>> round(low, 4), round(high, 4)
    (0.98, 0.9985)
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} successes in {n} trials")
    z = NormalDist().inv_cdf(0.5 + _checked(level) / 2)
    if n == 0:
        return 0.0, 1.0
    p = k / n
    center = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if k == 0 else max(0.0, center - half)
    high = 1.0 if k == n else min(1.0, center + half)
    return low, high


def mcnemar_exact(a_correct: ArrayLike, b_correct: ArrayLike) -> tuple[float, int, int]:
    """Exact two-sided McNemar test of two classifiers on the same samples.

    Under the null hypothesis each sample that exactly one of the two gets right is as likely
    a's as b's, so ``p = min(1, 2 P[Binomial(only_a + only_b, 1/2) <= min(only_a, only_b)])``.

    Args:
        a_correct: bool[n], whether the first classifier is right on each sample.
        b_correct: bool[n], the same of the second.

    Returns:
        ``(p, only_a, only_b)``: the p-value and the samples only one of the two gets right.

    Raises:
        ValueError: the two differ in shape.
    """
    a = np.asarray(a_correct, dtype=bool)
    b = np.asarray(b_correct, dtype=bool)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"two vectors of the same length are needed, not {a.shape} and {b.shape}")
    only_a = int(np.count_nonzero(a & ~b))
    only_b = int(np.count_nonzero(b & ~a))
    total = only_a + only_b
    term = tail = 1
    for i in range(min(only_a, only_b)):
        term = term * (total - i) // (i + 1)
        tail += term
    # Integers stay exact for any number of samples; a float would underflow at 1,075 of them.
    return min(1.0, 2 * tail / 2**total), only_a, only_b


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    *,
    seed: int,
    statistic: Statistic = mean,
    resamples: int = 4000,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Percentile bootstrap interval of ``statistic(a) - statistic(b)`` for paired samples.

    A resample draws samples with replacement and takes the same ones from both, so what the two
    have in common cancels.

    Args:
        a: float[n], one value per sample (1 or 0 for right or wrong, a squared error, ...).
        b: float[n], the other system's values on the same samples.
        seed: key of the random generator.
        statistic: reduces the last axis; ``mean``, ``root_mean`` or any such function.
        resamples: number of bootstrap resamples.
        level: coverage, in ``(0, 1)``.

    Returns:
        ``(difference, low, high)``.

    Raises:
        ValueError: empty, unequal or non-finite samples.

    Reference: B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    first, second = _samples(a), _samples(b)
    if first.shape != second.shape:
        raise ValueError(f"samples are paired, but there are {first.size} and {second.size}")

    def difference(indices: Any) -> Floats:
        return statistic(first[indices]) - statistic(second[indices])

    low, high = _percentile(difference, first.size, seed, resamples, level)
    return float(difference(slice(None))), low, high


def rmse_interval(
    y: ArrayLike,
    prediction: ArrayLike,
    *,
    seed: int,
    resamples: int = 4000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the root mean squared error.

    Args:
        y: float[n], true values.
        prediction: float[n], predictions in the same unit.
        seed: key of the random generator.
        resamples: number of bootstrap resamples.
        level: coverage, in ``(0, 1)``.

    Returns:
        ``(low, high)`` in the target's unit.

    Raises:
        ValueError: empty, unequal or non-finite values.
    """
    truth, guess = _samples(y), _samples(prediction)
    if truth.shape != guess.shape:
        raise ValueError(f"{truth.size} true values, but {guess.size} predictions")
    squared = (truth - guess) ** 2
    return _percentile(lambda i: root_mean(squared[i]), truth.size, seed, resamples, level)


def _percentile(
    value: Callable[[Any], Floats], n: int, seed: int, resamples: int, level: float
) -> tuple[float, float]:
    generator = np.random.Generator(np.random.Philox(key=seed))
    tail = (1 - _checked(level)) / 2
    rows = max(1, _BLOCK // n)
    values = [
        value(generator.integers(n, size=(min(rows, resamples - start), n)))
        for start in range(0, resamples, rows)
    ]
    low, high = np.quantile(np.concatenate(values), [tail, 1 - tail])
    return float(low), float(high)


def _samples(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"a vector of at least one sample is needed, not one of {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("the samples hold NaN or infinity")
    return array


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    return level
