"""The parts of search methods, each on its own."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasturtium.bookkeeping import Rungs
from nasturtium.errors import SpaceExhausted, UserError
from nasturtium.search import (
    CurveStop,
    Fresh,
    Limit,
    Limits,
    Mutation,
    RandomCodes,
    Trial,
    random_search,
)
from nasturtium.search.history import WORST
from nasturtium.search.sampling import function_keys
from nasturtium.spaces import Choice, Space, nb201
from nasturtium.testing import sign_test


def test_the_sign_test_against_closed_forms():
    assert sign_test(np.arange(100.0) + 1, np.arange(100.0)) == 0.5**100
    assert sign_test([1.0, 2.0, 3.0, 0.0], [0.0, 1.0, 3.0, 5.0]) == (3 + 1) / 8
    assert sign_test([1.0], [1.0]) == 1.0


def halving_by_sorting(scores, eta, rungs):
    """Synchronous successive halving, written plainly: the survivors of each rung."""
    survivors = [list(range(len(scores[0])))]
    for rung in range(rungs - 1):
        ranked = sorted(survivors[-1], key=lambda i: (-scores[rung][i], i))
        survivors.append(ranked[: len(ranked) // eta])
    return [set(s) for s in survivors]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4), st.integers(1, 40), st.randoms(use_true_random=False))
def test_rungs_agree_with_synchronous_halving_when_told_in_its_order(eta, n, random):
    # With one worker, and everything at the lowest rung told first, both rules agree.
    scores = [[random.randint(0, 6) for _ in range(n)] for _ in range(3)]
    low, high = Rungs([eta]), Rungs([eta])
    risen = [set(range(n)), set(), set()]
    for i in range(n):
        low.add(0, i, (scores[0][i],))
    while (rising := low.next()) is not None:
        low.promote(*rising)
        risen[1].add(rising[0])
    for i in sorted(risen[1]):
        high.add(0, i, (scores[1][i],))
    while (rising := high.next()) is not None:
        high.promote(*rising)
        risen[2].add(rising[0])
    assert risen == halving_by_sorting(scores, eta, 3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=120), st.integers(2, 4))
def test_asynchronous_rungs_keep_the_promotion_rule(arrivals, eta):
    """At any time: never twice, only from the best floor(n / eta), the top rung first."""
    rungs = Rungs([eta, eta])
    told = [{}, {}, {}]
    risen = set()
    numbers = itertools.count()
    for score, failed in arrivals:
        rising = rungs.next()
        allowed = {
            (number, rung)
            for rung in (0, 1)
            for number in sorted(
                (i for i, s in told[rung].items() if s is not None),
                key=lambda i, rung=rung: (-told[rung][i], i),
            )[: len(told[rung]) // eta]
        } - risen
        if rising is None:
            assert not allowed
            number, rung = next(numbers), -1
        else:
            assert rising in allowed
            assert rising[1] == max(rung for _, rung in allowed)
            rungs.promote(*rising)
            risen.add(rising)
            with pytest.raises(UserError, match="risen before"):
                rungs.promote(*rising)
            number, rung = rising
        told[rung + 1][number] = None if failed else score
        rungs.add(rung + 1, number, None if failed else (float(score),))


def trial(number, curve, *, rung=0, stopped=False):
    score = WORST if stopped else curve[-1]
    code = np.zeros(1, np.uint8)
    return Trial(number, code, str(number), rung, None, score, 0.0, stopped, tuple(curve))


def test_curve_thresholds_are_the_lower_quantile():
    rule = CurveStop(quantile=0.25, least=5, start=0.3)
    curves = [trial(i, [0.1 * i, 0.2 * i, 0.3 * i, 1.0]) for i in range(9)]
    assert rule.thresholds(curves[:4], rung=0, epochs=4) == {}
    found = rule.thresholds(curves, rung=0, epochs=4)
    # 0, 1, …, 8: a quarter of the way is 2; epoch 1 is too early, epoch 4 is the last.
    assert found == {2: 0.4, 3: pytest.approx(0.6)}


def test_what_was_stopped_counts_as_worst_later_on():
    rule = CurveStop(quantile=0.25, least=5, start=0.0)
    stopped = [trial(i, [0.0], stopped=True) for i in range(3)]
    curves = [trial(3 + i, [0.1 * i, 0.2 * i, 1.0]) for i in range(6)]
    found = rule.thresholds([*stopped, *curves], rung=0, epochs=3)
    assert set(found) == {1}, "a quarter was stopped already, so epoch 2 stops no more"
    assert rule.thresholds(curves, rung=1, epochs=3) == {}, "no curve at this rung"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.25, 0.4]))
def test_no_more_than_about_the_quantile_is_stopped(seed, quantile):
    generator = np.random.default_rng(seed)
    rule = CurveStop(quantile=quantile, least=6, start=0.0)
    trials = []
    for number in range(150):
        stop = rule.thresholds(trials, rung=0, epochs=5)
        curve = []
        for epoch, value in enumerate(generator.normal(size=5), start=1):
            curve.append(float(value))
            if value < stop.get(epoch, -math.inf):
                break
        trials.append(trial(number, curve, stopped=len(curve) < 5))
    share = sum(t.stopped for t in trials) / len(trials)
    assert share < quantile + 0.12


def test_limits_say_what_to_raise():
    space = nb201()
    weighted = Limit(
        lambda codes: 1000.0 * (1 + (codes == 2).sum(axis=1)), 900, "parameters", "--max-params"
    )
    size = Limit(lambda codes: codes.sum(axis=1).astype(float), 8, "units", "--max-units")
    with pytest.raises(UserError) as caught:
        random_search(space, seed=0, allowed=Limits((size, weighted))).ask()
    assert str(caught.value) == (
        "no architecture within the limits: the smallest of 15625 sampled has 1,000 parameters; "
        "raise --max-params"
    )
    allowed = Limits((size,))
    for proposal in random_search(space, seed=0, allowed=allowed).ask(50):
        assert int(proposal.arch.code.sum()) <= 8
    assert allowed(space.enumerate()).sum() == (space.enumerate().sum(axis=1) <= 8).sum()


def test_limits_of_a_space_too_large_to_enumerate():
    space = Space("large", [Choice(f"d{i}", tuple(range(10))) for i in range(12)])
    none = Limits((Limit(lambda c: c.sum(axis=1) + 100.0, 99, "parameters", "--max-params"),))
    with pytest.raises(UserError, match=r"smallest of 2048 sampled has 1\d\d parameters"):
        random_search(space, seed=0, allowed=none).ask()


def test_a_large_space_gives_up_after_the_stated_number_of_draws():
    space = Space("large", [Choice(f"d{i}", tuple(range(10))) for i in range(12)])
    drawn = []

    def first_only(codes):
        drawn.append(len(codes))
        return np.array([not kept or (c == kept[0]).all() for c in codes])

    kept = []
    fresh = Fresh(RandomCodes(space, seed=1), allowed=first_only, tries=300)
    code, key = fresh.random()
    kept.append(code)
    fresh.proposed(key)
    with pytest.raises(SpaceExhausted, match="in 300 draws"):
        fresh.random()
    assert 300 <= sum(drawn) - 1 < 300 + 256


def test_a_proxy_chooses_among_draws_and_among_mutants():
    space = Space("large", [Choice(f"d{i}", tuple(range(10))) for i in range(12)])

    def total(codes):
        return codes.sum(axis=1, dtype=np.float64)

    def below(codes):
        return codes[:, 0] < 5

    plain = Fresh(RandomCodes(space, seed=3), allowed=below)
    single = [plain.random()[0] for _ in range(40)]
    fresh = Fresh(RandomCodes(space, seed=3), allowed=below, proxy=total, choices=4)
    for four in np.array(single).reshape(10, 4, 12):
        code, key = fresh.random()
        assert (code == four[np.argmax(total(four))]).all()
        fresh.proposed(key)
    assert fresh.codes.taken == plain.codes.taken

    fresh = Fresh(RandomCodes(space, seed=3), allowed=below, proxy=total, choices=4)
    mutants = iter(enumerate(single))
    (code, key), parent = fresh.mutant(lambda: next(mutants)[::-1])
    assert parent == int(np.argmax(total(np.array(single[:4])))) and (code == single[parent]).all()
    assert next(mutants)[0] == 4 and key == function_keys(space, code[None])[0]
    few = iter([(single[5], 7), (single[5], 8)])
    assert fresh.mutant(lambda: next(few), tries=2)[1] == 7, "one function, seen first from 7"


def test_the_rest_of_a_small_space_is_found_exactly():
    space = Space("bits", [Choice(f"b{i}", (0, 1)) for i in range(11)])
    fresh = Fresh(RandomCodes(space, seed=2), tries=8)
    found = set()
    for _ in range(2**11):
        code, key = fresh.random()
        fresh.proposed(key)
        found.add(code.tobytes())
    assert len(found) == 2**11
    with pytest.raises(SpaceExhausted):
        fresh.random()


def test_draws_do_not_depend_on_how_far_one_looks_ahead():
    space = nb201()
    some, many = RandomCodes(space, seed=3), RandomCodes(space, seed=3)
    whole = many.peek(20)
    for i in range(20):
        assert (some.peek(1 + i % 4)[0] == whole[i]).all()
        some.taken += 1
    mutate, again = Mutation(space, seed=4), Mutation(space, seed=4)
    mutants = [mutate(whole[0]) for _ in range(10)]
    again.taken = 7
    assert (again(whole[0]) == mutants[7]).all()
    assert len({m.tobytes() for m in mutants}) > 3
