"""The default method: promotions, parents, early stopping, and what it gains."""

from __future__ import annotations

import numpy as np
import pytest

from nasturtium.errors import MethodError, SpaceExhausted
from nasturtium.search import (
    Observation,
    halving_evolution,
    random_search,
    regularized_evolution,
)
from nasturtium.search.methods import etas_of
from nasturtium.spaces import Choice, Space, nb201
from nasturtium.testing import Toy, drive, sign_test

LADDER = ({"epochs": 3}, {"epochs": 9})


def test_beats_both_of_its_parents():
    space = nb201()
    found = {"halving": [], "evolution": [], "random": []}
    for seed in range(36):
        toy = Toy(space, seed=seed, noise=1.0)
        context = {"seed": seed, "fidelities": LADDER}
        for name, search in (
            ("halving", halving_evolution(space, **context)),
            ("evolution", regularized_evolution(space, population=10, sample=5, **context)),
            ("random", random_search(space, **context)),
        ):
            seen = list(drive(search, toy, trials=1000, lag=4, budget=30 * 9))
            top = [o for o in seen if o.proposal.fidelity["epochs"] == 9 and o.status == "ok"]
            best = max(top, key=lambda o: o.score)
            found[name].append(float(toy.true(best.proposal.arch.code[None])[0]))
    assert sign_test(found["halving"], found["random"]) < 0.01
    assert sign_test(found["halving"], found["evolution"]) < 0.01


def test_one_evaluation_of_a_function_at_each_rung_and_promotions_say_so():
    space = nb201()
    seen = list(drive(halving_evolution(space, seed=1, fidelities=LADDER), Toy(space), trials=300))
    pairs = [(o.proposal.arch.key("function"), o.proposal.fidelity["epochs"]) for o in seen]
    assert len(set(pairs)) == len(pairs)
    risen = [o.proposal for o in seen if o.proposal.fidelity["epochs"] == 9]
    assert len(risen) > 30
    for proposal in risen:
        source = seen[proposal.parent].proposal
        assert proposal.origin == f"promotion of {proposal.parent}"
        assert source.arch == proposal.arch and source.fidelity == {"epochs": 3}


def test_promotes_the_best_share_of_the_lowest_rung():
    space = nb201()
    search = halving_evolution(space, seed=2, fidelities=LADDER, eta=3, stop=0.0)
    low, risen = {}, set()
    for number in range(200):
        (proposal,) = search.ask()
        if proposal.parent is not None and proposal.origin.startswith("promotion"):
            best = sorted(low, key=lambda n: (-low[n], n))[: len(low) // 3]
            assert proposal.parent in best and proposal.parent not in risen
            risen.add(proposal.parent)
        else:
            best = sorted(low, key=lambda n: (-low[n], n))[: len(low) // 3]
            assert set(best) <= risen, "something could rise, but nothing did"
            low[number] = float(number * 7919 % 1009)
        search.tell([Observation(number, proposal, "ok", low.get(number, 0.5))])
    assert len(risen) > 30


def test_the_fewer_parameters_win_a_tie():
    space = nb201()
    search = halving_evolution(space, seed=3, fidelities=LADDER, initial=12, eta=4)
    batch = search.ask(4)
    search.tell(
        [
            Observation(i, p, "ok", 0.9, {"params": params})
            for i, (p, params) in enumerate(zip(batch, (400, 300, 100, 200), strict=True))
        ]
    )
    assert search.ask()[0].origin == "promotion of 2"


def test_what_failed_or_was_stopped_never_rises():
    space = nb201()
    search = halving_evolution(space, seed=4, fidelities=LADDER, eta=2)
    batch = search.ask(6)
    statuses = ("failed", "stopped", "diverged", "ok", "stopped", "crashed")
    search.tell(
        [
            Observation(i, p, s, 1.0 - 0.1 * (s == "ok"), {}, (0.1,))
            for i, (p, s) in enumerate(zip(batch, statuses, strict=True))
        ]
    )
    assert next(p.origin for p in search.ask(3)) == "promotion of 3"
    assert not any(p.origin.startswith("promotion") for p in search.ask(5))


def test_early_stopping_ends_bad_runs_and_spares_good_ones():
    space = nb201()
    toy = Toy(space, seed=5, noise=0.1)
    seen = list(drive(halving_evolution(space, seed=5, fidelities=LADDER), toy, trials=300, lag=4))
    stopped = [o for o in seen if o.status == "stopped"]
    share = len(stopped) / len(seen)
    assert 0.03 < share < 0.35
    values = toy.true(np.stack([o.proposal.arch.code for o in seen]))
    bad = toy.true(np.stack([o.proposal.arch.code for o in stopped]))
    assert np.median(bad) < np.quantile(values, 0.3)
    never = halving_evolution(space, seed=5, fidelities=LADDER, stop=0.0)
    assert all(not o.proposal.stop for o in drive(never, toy, trials=100))


def test_a_space_that_runs_out_still_raises_what_it_has():
    space = Space("small", [Choice("a", tuple(range(4))), Choice("b", tuple(range(5)))])
    search = halving_evolution(space, seed=6, fidelities=LADDER, stop=0.0)
    seen = list(drive(search, Toy(space), trials=100, lag=2))
    runs = sorted((o.proposal.arch.code.tobytes(), o.proposal.fidelity["epochs"]) for o in seen)
    assert runs == sorted((c.tobytes(), e) for c in space.enumerate() for e in (3, 9))
    with pytest.raises(SpaceExhausted, match="left to propose"):
        search.ask()


def test_reduction_factors_follow_the_costs_of_the_rungs():
    assert etas_of(LADDER, 0) == [4]
    assert etas_of(({"epochs": 12}, {"epochs": 200}), 0) == [17]
    assert etas_of(({"epochs": 1}, {"epochs": 9}, {"epochs": 81, "width": 2}), 0) == [9, 18]
    assert etas_of(LADDER, 3) == [3]
    for wrong, eta in (((LADDER[1], LADDER[0]), 0), (LADDER, 1)):
        with pytest.raises(MethodError):
            etas_of(wrong, eta)


def test_parameters_are_checked():
    for wrong in ({"population": 0}, {"sample": 0}, {"explore": -0.1}, {"stop": -1.0}):
        with pytest.raises(MethodError, match=next(iter(wrong))):
            halving_evolution(nb201(), seed=0, **wrong)


def test_known_designs_come_first_where_they_are_allowed():
    space = nb201()
    starts = space.sample(5, seed=77)
    refused = starts[2].copy()

    def allowed(codes):
        return (codes != refused).any(axis=1)

    context = {"seed": 7, "fidelities": LADDER, "allowed": allowed, "starts": starts}
    search = halving_evolution(space, **context)
    first = search.ask(6)
    known = [p for p in first if p.origin == "known design"]
    assert [p.arch.code.tolist() for p in known] == [starts[i].tolist() for i in (0, 1, 3, 4)]
    assert first[:4] == known and first[4].origin == "random"
    other = halving_evolution(space, **context)
    other.load(search.state())
    assert [p.arch for p in other.ask(3)] == [p.arch for p in search.ask(3)]
