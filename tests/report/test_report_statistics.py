"""Statistics against closed forms and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nasturtium.report.statistics import (
    mcnemar_exact,
    paired_bootstrap,
    rmse_interval,
    root_mean,
    wilson,
)


@given(n=st.integers(1, 5000), share=st.floats(0, 1), level=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_wilson_equals_scipy(n: int, share: float, level: float) -> None:
    k = round(share * n)
    expected = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    assert wilson(k, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_bounds_at_the_ends() -> None:
    z2 = 1.959963984540054**2
    assert wilson(0, 10) == pytest.approx((0.0, z2 / (10 + z2)))
    assert wilson(10, 10) == pytest.approx((10 / (10 + z2), 1.0))
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("k", "n", "level"), [(-1, 3, 0.95), (4, 3, 0.95), (1, 3, 1.0)])
def test_wilson_refuses_what_is_no_proportion(k: int, n: int, level: float) -> None:
    with pytest.raises(ValueError):
        wilson(k, n, level)


@given(only_a=st.integers(0, 60), only_b=st.integers(0, 60), both=st.integers(0, 5))
def test_mcnemar_is_the_two_sided_sign_test(only_a: int, only_b: int, both: int) -> None:
    a = np.r_[np.ones(only_a), np.zeros(only_b), np.ones(both), np.zeros(both)].astype(bool)
    b = np.r_[np.zeros(only_a), np.ones(only_b), np.ones(both), np.zeros(both)].astype(bool)
    p, first, second = mcnemar_exact(a, b)
    assert (first, second) == (only_a, only_b)
    total = only_a + only_b
    assert p == pytest.approx(stats.binomtest(only_a, total).pvalue if total else 1.0, rel=1e-10)


def test_mcnemar_neither_underflows_nor_takes_unequal_lengths() -> None:
    a = np.zeros(4000, dtype=bool)
    a[:2100] = True
    p, _, _ = mcnemar_exact(a, ~a)
    assert p == pytest.approx(stats.binomtest(1900, 4000).pvalue, rel=1e-9)
    with pytest.raises(ValueError, match="same length"):
        mcnemar_exact(a, a[:-1])


def test_paired_bootstrap_matches_the_normal_theory() -> None:
    generator = np.random.Generator(np.random.Philox(key=1))
    common = generator.normal(size=2000)
    a = common + generator.normal(0.3, 0.5, size=2000)
    difference, low, high = paired_bootstrap(a, common, seed=7)
    delta = a - common
    half = 1.96 * delta.std(ddof=1) / np.sqrt(2000)
    assert difference == pytest.approx(delta.mean())
    assert low == pytest.approx(delta.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(delta.mean() + half, abs=0.1 * half)
    assert paired_bootstrap(a, common, seed=7) == (difference, low, high)
    assert paired_bootstrap(a, common, seed=8)[1] != low


def test_paired_bootstrap_agrees_with_scipy_on_rmse() -> None:
    generator = np.random.Generator(np.random.Philox(key=2))
    a, b = generator.exponential(1.0, 300), generator.exponential(1.3, 300)

    def statistic(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.sqrt(x.mean(axis=axis)) - np.sqrt(y.mean(axis=axis))

    expected = stats.bootstrap(
        (a, b), statistic, paired=True, n_resamples=4000, method="percentile", rng=generator
    ).confidence_interval
    difference, low, high = paired_bootstrap(a, b, seed=3, statistic=root_mean)
    width = expected.high - expected.low
    assert difference == pytest.approx(np.sqrt(a.mean()) - np.sqrt(b.mean()))
    assert low == pytest.approx(expected.low, abs=0.06 * width)
    assert high == pytest.approx(expected.high, abs=0.06 * width)


def test_equal_systems_do_not_differ() -> None:
    values = np.arange(50.0)
    assert paired_bootstrap(values, values, seed=0) == (0.0, 0.0, 0.0)


def test_rmse_interval_covers_as_often_as_it_says() -> None:
    generator = np.random.Generator(np.random.Philox(key=3))
    hits = 0
    for seed in range(200):
        low, high = rmse_interval(
            np.zeros(200), generator.normal(0, 2.0, 200), seed=seed, resamples=400
        )
        hits += low <= 2.0 <= high
    # 95 % of 200 are 190 (standard deviation 3.1); percentile intervals fall slightly short.
    assert 176 <= hits <= 199


def test_rmse_interval_of_a_constant_error_is_a_point() -> None:
    assert rmse_interval(np.arange(9.0), np.arange(9.0) + 3, seed=0) == pytest.approx((3.0, 3.0))


@pytest.mark.parametrize("bad", [[], [np.nan, 1.0], [[1.0], [2.0]]])
def test_bootstrap_refuses_bad_samples(bad: list[float]) -> None:
    with pytest.raises(ValueError):
        paired_bootstrap(bad, bad, seed=0)
    with pytest.raises(ValueError):
        rmse_interval(bad, bad, seed=0)
