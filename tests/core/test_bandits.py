"""Bandits against plain twins, closed forms and the published bounds on their regret."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import space_twin as twin
from hypothesis import given, settings
from hypothesis import strategies as st

from nasturtium.bookkeeping import Bandit
from nasturtium.errors import UserError

PURPOSE = 18
many = settings(max_examples=100, deadline=None, derandomize=True)


class Words:
    """The words of one row, and variables drawn from them, after the papers."""

    def __init__(self, seed: int, stream: int, row: int) -> None:
        self.key, self.row, self.stream, self.block = seed, row, stream, 0
        self.left: list[int] = []

    def fraction(self) -> float:
        if not self.left:
            counter = [self.row & 0xFFFFFFFF, self.row >> 32, (PURPOSE << 24) + self.block,
                       self.stream]  # fmt: skip
            v = twin.philox(counter, [self.key & 0xFFFFFFFF, self.key >> 32])
            self.left = [v[0] | v[1] << 32, v[2] | v[3] << 32]
            self.block += 1
        return (self.left.pop(0) >> 11) * 2.0**-53

    def normal(self) -> float:
        while True:
            u, v = 2 * self.fraction() - 1, 2 * self.fraction() - 1
            s = u * u + v * v
            if 0 < s < 1:
                return u * math.sqrt(-2 * math.log(s) / s)

    def gamma(self, a: float) -> float:
        d = a - 1.0 / 3
        c = 1 / math.sqrt(9 * d)
        while True:
            x = self.normal()
            root = 1 + c * x
            if root <= 0:
                continue
            v = root * root * root
            u = self.fraction()
            low = -math.inf if u == 0 else math.log(u)
            if low < 0.5 * x * x + d - d * v + d * math.log(v):
                return d * v


class Plain:
    """The three rules, written as the equations stand."""

    def __init__(self, arms: int, formula: str, c: float, gamma: float, seed: int) -> None:
        self.formula, self.c, self.gamma, self.seed = formula, c, gamma, seed
        self.pulls, self.known = [0] * arms, [0] * arms
        self.sums, self.weights = [0.0] * arms, [0.0] * arms
        self.chosen = 0

    def probabilities(self) -> list[float]:
        top = max(self.weights)
        w = [math.exp(x - top) for x in self.weights]
        return [(1 - self.gamma) * x / sum(w) + self.gamma / len(w) for x in w]

    def choose(self) -> tuple[int, float]:
        words, k = Words(self.seed, 0, self.chosen), len(self.pulls)
        p = 1.0
        if self.formula == "ucb1":
            new = [i for i in range(k) if not self.known[i]]
            if new:
                arm = min(new, key=lambda i: (self.pulls[i], i))
            else:
                total = sum(self.pulls)
                value = [
                    self.sums[i] / self.known[i]
                    + self.c * math.sqrt(2 * math.log(total)) / math.sqrt(self.pulls[i])
                    for i in range(k)
                ]
                arm = max(range(k), key=lambda i: (value[i], -i))
        elif self.formula == "thompson":
            draws = []
            for i in range(k):
                a = words.gamma(1 + self.sums[i])
                b = words.gamma(max(1.0, 1 + self.known[i] - self.sums[i]))
                draws.append(a / (a + b))
            arm = max(range(k), key=lambda i: (draws[i], -i))
        else:
            each = self.probabilities()
            left, arm = words.fraction(), 0
            while arm + 1 < k and left >= each[arm]:
                left -= each[arm]
                arm += 1
            p = each[arm]
        self.pulls[arm] += 1
        self.chosen += 1
        return arm, p

    def reward(self, arm: int, p: float, value: float) -> None:
        self.known[arm] += 1
        self.sums[arm] += value
        self.weights[arm] += self.gamma * value / (p * len(self.pulls))


@many
@given(
    st.sampled_from(["ucb1", "thompson", "exp3"]),
    st.integers(1, 6),
    st.integers(0, 2**64 - 1),
    st.lists(st.integers(0, 8), max_size=60),
)
def test_choices_equal_the_plain_ones(
    formula: Any, arms: int, seed: int, rewards: list[int]
) -> None:
    bandit = Bandit(arms, formula, c=0.5, gamma=0.3, seed=seed)
    plain = Plain(arms, formula, 0.5, 0.3, seed)
    waiting: list[tuple[int, float]] = []
    for value in rewards:
        (arm,), (p,) = bandit.choose()
        expected, q = plain.choose()
        assert arm == expected and p == pytest.approx(q, rel=1e-12)
        waiting.append((int(arm), float(p)))
        if value % 3 == 0:
            continue  # this one comes later
        arm, p = waiting.pop(value % len(waiting))
        if value == 1:
            bandit.forget([arm])
            plain.pulls[arm] -= 1
            continue
        bandit.reward([arm], [p], [value / 8])
        plain.reward(arm, p, value / 8)
    assert bandit.pulls.pulls.tolist() == plain.pulls
    assert bandit.pulls.known.tolist() == plain.known
    assert bandit.pulls.sums.tolist() == plain.sums
    if formula == "exp3":
        assert bandit.probabilities == pytest.approx(plain.probabilities(), rel=1e-12)


def test_several_choices_are_those_of_one_after_the_other() -> None:
    for formula in ("ucb1", "thompson", "exp3"):
        one, many_ = (Bandit(4, formula, seed=5) for _ in range(2))  # type: ignore[arg-type]
        arms, p = many_.choose(50)
        pairs = [one.choose() for _ in range(50)]
        assert [int(a[0]) for a, _ in pairs] == arms.tolist()
        assert [float(q[0]) for _, q in pairs] == p.tolist()


def test_thompson_chooses_with_the_probability_that_an_arm_is_best() -> None:
    bandit = Bandit(2, "thompson", seed=9)
    arms, p = bandit.choose(40)
    first = np.flatnonzero(arms == 0)[:5]
    second = np.flatnonzero(arms == 1)[:4]
    some = np.concatenate([first, second])
    bandit.reward(arms[some], p[some], [1, 1, 1, 0, 0, 1, 0, 0, 0])
    n = 40_000
    share = float((bandit.choose(n)[0] == 0).mean())
    p_first = integral(4, 3, 2, 4)  # Beta(1 + 3, 1 + 2) and Beta(1 + 1, 1 + 3)
    assert abs(share - p_first) < 4 * math.sqrt(p_first * (1 - p_first) / n)


def integral(a: int, b: int, c: int, d: int) -> float:
    """P(X > Y) for X ~ Beta(a, b), Y ~ Beta(c, d), by the midpoint rule."""
    x = (np.arange(200_000) + 0.5) / 200_000
    first = x ** (a - 1) * (1 - x) ** (b - 1)
    second = np.cumsum(x ** (c - 1) * (1 - x) ** (d - 1))
    return float((first * second).sum() / (first.sum() * second[-1]))


def regret(bandit: Bandit, means: list[float], steps: int, seed: int) -> float:
    rewards = np.random.default_rng(seed).random(steps)
    lost = 0.0
    for u in rewards:
        arms, p = bandit.choose()
        mean = means[int(arms[0])]
        bandit.reward(arms, p, [float(u < mean)])
        lost += max(means) - mean
    return lost


def test_the_regret_keeps_the_published_bounds() -> None:
    means, steps = [0.2, 0.5, 0.9], 4_000
    gaps = [0.7, 0.4]
    bound = 8 * sum(math.log(steps) / g for g in gaps) + (1 + math.pi**2 / 3) * sum(gaps)
    found = [regret(Bandit(3, seed=s), means, steps, s) for s in range(5)]
    assert np.mean(found) < bound
    best = 2 * sum((math.log(steps) + 1) / g for g in gaps)  # Thompson, to logarithmic order
    assert (
        np.mean([regret(Bandit(3, "thompson", seed=s), means, steps, s) for s in range(5)]) < best
    )
    gamma = min(1.0, math.sqrt(3 * math.log(3) / ((math.e - 1) * steps)))
    bound = 2.63 * math.sqrt(steps * 3 * math.log(3))
    lost = [regret(Bandit(3, "exp3", gamma=gamma, seed=s), means, steps, s) for s in range(5)]
    assert np.mean(lost) < bound
    random = steps * float(np.mean([0.7, 0.4, 0.0]))
    assert max(*found, *lost) < random / 2


def test_exp3_draws_with_its_probabilities() -> None:
    bandit = Bandit(3, "exp3", gamma=0.2, seed=2)
    arms, p = bandit.choose(6)
    bandit.reward(arms, p, (arms == 1) * 0.9)
    each = bandit.probabilities
    assert each.sum() == pytest.approx(1) and each.min() >= 0.2 / 3
    n = 60_000
    counts = np.bincount(bandit.choose(n)[0], minlength=3)
    chi = float(((counts - n * each) ** 2 / (n * each)).sum())
    assert chi < 13.8  # the 0.999 quantile for 2 degrees of freedom


def test_what_bandits_refuse() -> None:
    for arguments, part in (
        ({"arms": 0}, "arms"),
        ({"arms": 2**20 + 1}, "arms"),
        ({"formula": "ucb"}, "formula"),
        ({"c": math.nan}, "c must be"),
        ({"gamma": 0.0}, "gamma"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(UserError, match=part):
            Bandit(**{"arms": 2, "seed": 0, **arguments})  # type: ignore[arg-type]
    bandit = Bandit(2, "exp3", gamma=0.5, seed=1)
    arms, p = bandit.choose(2)
    for wrong, part in (
        ((arms, p, [0.5, math.nan]), "row 1: the reward"),
        ((arms, p, [0.5, 1.5]), "row 1: the reward"),
        ((arms, [0.01, 0.5], [0.5, 0.5]), "row 0: the probability"),
        (([arms[0]] * 3, [0.5] * 3, [0.5] * 3), "fewer choices pending"),
        (([7], [0.5], [0.5]), "fewer choices pending"),
    ):
        before = bandit.state()
        with pytest.raises(UserError, match=part):
            bandit.reward(*wrong)
        assert bandit.state() == before
    with pytest.raises(UserError, match="without probabilities"):
        _ = Bandit(2, seed=0).probabilities
