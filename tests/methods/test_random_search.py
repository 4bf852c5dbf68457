"""Random search against the law of the best of k."""

from __future__ import annotations

import numpy as np

from nasturtium.search import random_search
from nasturtium.spaces import Choice, Space

K, RUNS = 9, 400


def test_mean_quantile_of_the_best_of_k():
    # Drawn without replacement from N, the best of k has rank (N + 1) / (k + 1) on average.
    space = Space("table", [Choice(name, tuple(range(10))) for name in ("a", "b", "c")])
    n = 1000
    table = np.random.default_rng(0).permutation(n)
    quantiles = []
    for seed in range(RUNS):
        codes = np.stack([p.arch.code for p in random_search(space, seed=seed).ask(K)])
        places = codes.astype(np.int64) @ np.array([100, 10, 1])
        quantiles.append((n - table[places].max()) / (n + 1))
    # The quantile is beta distributed with parameters (1, k): its deviation is known.
    deviation = np.sqrt(K / ((K + 1) ** 2 * (K + 2)))
    assert abs(np.mean(quantiles) - 1 / (K + 1)) < 3 * deviation / np.sqrt(RUNS)


def test_draws_each_function_once_and_all_of_a_small_space():
    space = Space("small", [Choice("a", ("x", "y", "z")), Choice("b", (1, 2, 3, 4))])
    proposals = random_search(space, seed=1).ask(50)
    assert {p.arch.code.tobytes() for p in proposals} == {
        code.tobytes() for code in space.enumerate()
    }
    assert len(proposals) == 12


def test_draws_uniformly():
    space = Space("dice", [Choice("a", tuple(range(6)))])
    first = [int(random_search(space, seed=s).ask()[0].arch.code[0]) for s in range(1200)]
    counts = np.bincount(first, minlength=6)
    chi_squared = float(((counts - 200) ** 2 / 200).sum())
    assert chi_squared < 20.5  # the 0.999 quantile for 5 degrees of freedom
