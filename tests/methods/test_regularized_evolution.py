"""Regularized evolution: the ageing queue, the tournament, and what it gains over random search."""

from __future__ import annotations

from collections import Counter

import numpy as np

from nasturtium.bookkeeping import AgeingQueue
from nasturtium.search import Observation, random_search, regularized_evolution
from nasturtium.spaces import Choice, Space
from nasturtium.testing import sign_test

THREE = ("conv", "pool", "skip")
SPACE = Space("toy", [Choice(f"op{i}", THREE) for i in range(10)])


def rugged(seed):
    """A score with interactions of neighboring decisions; its table is written out here."""
    pairs = np.random.default_rng(seed).normal(size=(9, 3, 3))

    def score(code):
        return float(sum(pairs[i, code[i], code[i + 1]] for i in range(9)))

    return score


def best_of(search, score, trials):
    best = -np.inf
    for number in range(trials):
        (proposal,) = search.ask()
        value = score(proposal.arch.code)
        search.tell([Observation(number, proposal, "ok", value)])
        best = max(best, value)
    return best


def check_ages(population):
    """Individual i leaves exactly when i + population is born."""
    queue = AgeingQueue(population)
    for birth in range(4 * population):
        gone = queue.born(birth)
        assert gone == (birth - population if birth >= population else None)
        assert queue.members.tolist() == [*range(max(0, birth - population + 1), birth + 1)]


def test_ages_and_beats_random_search():
    for population in (1, 2, 7):
        check_ages(population)
    evolved, drawn = [], []
    for seed in range(50):
        score = rugged(seed)
        search = regularized_evolution(SPACE, seed=seed, population=50, sample=10)
        evolved.append(best_of(search, score, 500))
        drawn.append(best_of(random_search(SPACE, seed=seed, repeats=True), score, 500))
    assert sign_test(evolved, drawn) < 1e-6


def test_parents_are_alive_and_children_one_decision_away():
    search = regularized_evolution(SPACE, seed=3, population=8, sample=3)
    score = rugged(0)
    made = []
    for number in range(200):
        (proposal,) = search.ask()
        made.append(proposal)
        if number < 8:
            assert proposal.origin == "random" and proposal.parent is None
        else:
            assert number - 8 <= proposal.parent < number, "the parent has died"
            parent = made[proposal.parent].arch.code
            assert int((parent != proposal.arch.code).sum()) == 1
        search.tell([Observation(number, proposal, "ok", score(proposal.arch.code))])


def test_failed_individuals_are_not_parents_while_others_live():
    search = regularized_evolution(SPACE, seed=4, population=6, sample=100)
    good, parents = set(), []
    for number in range(150):
        (proposal,) = search.ask()
        if number >= 6:
            # 100 draws from 6 leave a member out with probability below 6 * (5 / 6) ** 100 = 1e-7
            parents.append(proposal.parent)
        failed = number % 2 == 0
        if not failed:
            good.add(number)
        search.tell([Observation(number, proposal, "failed" if failed else "ok", 1.0)])
    assert len(parents) == 144 and set(parents) <= good


def test_with_a_sample_of_one_parents_are_drawn_uniformly():
    search = regularized_evolution(SPACE, seed=5, population=5, sample=1)
    ages = Counter()
    for number in range(1005):
        (proposal,) = search.ask()
        if proposal.parent is not None:
            ages[number - proposal.parent] += 1
        search.tell([Observation(number, proposal, "ok", -float(number))])
    assert set(ages) == {1, 2, 3, 4, 5}
    chi_squared = sum((n - 200) ** 2 / 200 for n in ages.values())
    assert chi_squared < 18.5  # the 0.999 quantile for 4 degrees of freedom
