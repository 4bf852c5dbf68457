"""Populations that replace the worst or themselves, species and sharing, against plain twins."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasturtium.bookkeeping import Generational, Species, SteadyState, apportion, share_scores
from nasturtium.errors import UserError

many = settings(max_examples=150, deadline=None, derandomize=True)
scores = st.lists(
    st.sampled_from([math.nan, -math.inf, 0.0, 0.5, 1.0, math.inf]) | st.floats(-3, 3), max_size=40
)


def value(score: float) -> float:
    return -math.inf if math.isnan(score) else score


@many
@given(st.integers(1, 6), scores)
def test_the_worst_dies(size: int, births: list[float]) -> None:
    population = SteadyState(size)
    living: list[tuple[int, float]] = []
    for i, score in enumerate(births):
        living.append((i, score))
        gone = None
        if len(living) > size:
            gone = min(living, key=lambda member: (value(member[1]), member[0]))[0]
            living = [member for member in living if member[0] != gone]
        assert population.born(i, score) == gone
        assert population.members.tolist() == [member for member, _ in living]
        assert np.array_equal(population.scores, [s for _, s in living], equal_nan=True)
        assert len(population) == len(living)


@many
@given(st.integers(1, 5), st.integers(0, 4), scores)
def test_generations_replace_each_other(size: int, elites: int, births: list[float]) -> None:
    elites = min(elites, size - 1)
    population = Generational(size, elites=elites)
    present: list[tuple[int, float]] = []
    coming: list[tuple[int, float]] = []
    count = 0
    for i, score in enumerate(births):
        coming.append((i, score))
        done = len(coming) == (size - elites if count else size)
        if done:
            kept = sorted(present, key=lambda member: -value(member[1]))[: elites if count else 0]
            present, coming, count = [*kept, *coming], [], count + 1
        assert population.born(i, score) == done
        assert population.members.tolist() == [member for member, _ in present]
        assert np.array_equal(population.scores, [s for _, s in present], equal_nan=True)
        assert population.generation == count


@many
@given(st.integers(1, 5), st.integers(0, 3), st.integers(0, 30), st.integers(0, 2**32))
def test_species_are_founded_by_what_is_unlike(width: int, radius: int, n: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 3, (n, width), dtype=np.uint8)
    founders: list[Any] = []
    expected = []
    for code in codes:
        near = [k for k, f in enumerate(founders) if int((f != code).sum()) <= radius]
        if not near:
            founders.append(code)
        expected.append(near[0] if near else len(founders) - 1)
    species = Species(width, radius=radius)
    got = [*species.assign(codes[: n // 2]), *species.assign(codes[n // 2 :])]
    assert got == expected
    assert species.founders.tolist() == [f.tolist() for f in founders]
    assert len(species) == len(founders) and (species.assign(codes) == expected).all()


def test_shared_scores_are_over_the_size_of_the_species() -> None:
    rng = np.random.default_rng(0)
    values, species = rng.random(500), rng.integers(0, 40, 500)
    sizes = np.bincount(species)
    assert np.array_equal(share_scores(values, species), values / sizes[species])
    assert share_scores([], []).tolist() == []
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(UserError, match="row 1: the score to share"):
            share_scores([0.0, wrong], [0, 0])
    with pytest.raises(UserError, match="row 0: the species"):
        share_scores([0.0], [1])


@many
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(0, 1000))
def test_places_go_to_the_largest_remainders(weights: list[int], total: int) -> None:
    got = apportion(np.array(weights, float), total)
    shares = [Fraction(w, sum(weights)) if sum(weights) else Fraction(1, len(weights))
              for w in weights]  # fmt: skip
    assert got.sum() == total
    for g, share in zip(got.tolist(), shares, strict=True):
        assert abs(g - share * total) < 1 + Fraction(1, 10**9)
    rest = [share * total - math.floor(share * total) for share in shares]
    left = total - sum(math.floor(share * total) for share in shares)
    order = sorted(range(len(weights)), key=lambda i: (-rest[i], i))
    distinct = len({r for r in rest if r}) == len([r for r in rest if r])
    if distinct and all(r == 0 or min(r, 1 - r) > Fraction(1, 10**6) for r in rest):
        expected = [math.floor(s * total) + (i in order[:left]) for i, s in enumerate(shares)]
        whole = all((s * total).denominator != 1 or s == 0 for s in shares)
        assert not whole or got.tolist() == expected


def test_what_is_refused() -> None:
    for make in (lambda: SteadyState(0), lambda: Generational(2, elites=2),
                 lambda: Generational(0, elites=0), lambda: Species(0, radius=1),
                 lambda: Species(2, radius=-1), lambda: Species(5000, radius=1)):  # fmt: skip
        with pytest.raises(UserError):
            make()
    for weights, total in (([], 1), ([-1.0], 1), ([math.nan], 1), ([1.0], -1), ([1.0], 2**53)):
        with pytest.raises(UserError):
            apportion(weights, total)
